//! Removes what pictures tell besides the picture: Exif (with its GPS position), XMP, IPTC and text blocks.

/// A JPEG or PNG without its metadata segments. `None` when there is nothing to remove, or it is another format.
pub(super) fn strip(data: &[u8]) -> Option<Vec<u8>> {
    let clean = match data {
        [0xFF, 0xD8, ..] => strip_jpeg(data),
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => strip_png(data),
        _ => None,
    }?;
    (clean.len() < data.len()).then_some(clean)
}

/// Without APP1 (Exif, XMP), APP13 (IPTC) and comments. ITU-T T.81 annex B.
fn strip_jpeg(data: &[u8]) -> Option<Vec<u8>> {
    let mut out = data[..2].to_vec();
    let mut at = 2;
    while let Some([0xFF, marker, a, b]) = data.get(at..at + 4) {
        if *marker == 0xDA {
            break; // the coded picture follows
        }
        let end = at + 2 + usize::from(u16::from_be_bytes([*a, *b]));
        let segment = data.get(at..end).filter(|s| s.len() >= 4)?;
        if !matches!(marker, 0xE1 | 0xED | 0xFE) {
            out.extend(segment);
        }
        at = end;
    }
    out.extend(data.get(at..)?);
    Some(out)
}

/// Without the text, Exif and time chunks. PNG specification, sections 5 and 11.3.
fn strip_png(data: &[u8]) -> Option<Vec<u8>> {
    let mut out = data[..8].to_vec();
    let mut at = 8;
    while let Some(head) = data.get(at..at + 8) {
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let end = at.checked_add(len)?.checked_add(12)?;
        let chunk = data.get(at..end)?;
        if !matches!(&head[4..8], b"tEXt" | b"zTXt" | b"iTXt" | b"eXIf" | b"tIME") {
            out.extend(chunk);
        }
        at = end;
    }
    out.extend(&data[at..]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_metadata_goes() {
        let jfif = b"\xFF\xE0\0\x04ab";
        let exif = b"\xFF\xE1\0\x06GPS!";
        let scan = b"\xFF\xDA\0\x02\xFF\xE1\0\x06data\xFF\xD9";
        let jpeg = [b"\xFF\xD8".as_slice(), jfif, exif, scan].concat();
        assert_eq!(strip(&jpeg).unwrap(), [b"\xFF\xD8".as_slice(), jfif, scan].concat());
        let chunk = |kind: &[u8], body: &[u8]| [&(body.len() as u32).to_be_bytes()[..], kind, body, &[0; 4]].concat();
        let sign = b"\x89PNG\r\n\x1a\n".to_vec();
        let png = [sign.clone(), chunk(b"IHDR", &[0; 13]), chunk(b"tEXt", b"me"), chunk(b"IEND", b"")].concat();
        let want = [sign, chunk(b"IHDR", &[0; 13]), chunk(b"IEND", b"")].concat();
        assert_eq!(strip(&png).unwrap(), want);
        assert_eq!(strip(&want), None);
        assert_eq!(strip(&jpeg[..10]), None, "cut short: left alone");
    }
}
