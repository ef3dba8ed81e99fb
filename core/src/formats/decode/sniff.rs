//! What a file is, told by its first bytes; never by its name.

use super::flac::frame_header_at;
use super::input::{be, le, read_at};
use crate::error::Result;
use crate::formats::{Container, MediaSource};

/// Bytes that are looked at, after any ID3v2 tags.
const HEAD_BYTES: usize = 1 << 16;
/// ID3v2 tags one after the other that are skipped.
const MAX_TAGS: usize = 16;

/// The start of an input, and what it says.
pub(crate) struct Head {
    /// First bytes after ID3v2 tags.
    pub bytes: Vec<u8>,
    /// What was recognised.
    pub container: Option<Container>,
    /// Where the container starts: after ID3v2 tags and, for some, after garbage.
    pub container_start: u64,
}

impl Head {
    /// Looks at the start of `media` of `len` bytes. Leaves it at an unspecified position.
    pub fn read(media: &mut dyn MediaSource, len: u64) -> Result<Self> {
        let mut start = 0;
        for _ in 0..MAX_TAGS {
            let mut tag = [0; 10];
            let got = read_at(media, start, &mut tag)?;
            match id3v2_bytes(&tag[..got]) {
                Some(size) if start + size < len => start += size,
                _ => break,
            }
        }
        let mut bytes = vec![0; HEAD_BYTES.min(usize::try_from(len - start).unwrap_or(HEAD_BYTES))];
        let got = read_at(media, start, &mut bytes)?;
        bytes.truncate(got);
        if let Some(container) = sniff(&bytes) {
            return Ok(Self { bytes, container: Some(container), container_start: start });
        }
        let garbage = if looks_like(&bytes).is_none() { after_garbage(&bytes) } else { None };
        let (skip, container) = garbage.map_or((0, None), |(at, c)| (at, Some(c)));
        Ok(Self { bytes, container, container_start: start + skip as u64 })
    }
}

/// Size of an ID3v2 tag with its header and footer, when one starts here (ID3v2.4.0 structure, section 3.1).
pub(crate) fn id3v2_bytes(head: &[u8]) -> Option<u64> {
    let tag = head.first_chunk::<10>()?;
    if &tag[..3] != b"ID3" || tag[3] == 0xFF || tag[4] == 0xFF || tag[6..].iter().any(|b| *b >= 0x80) {
        return None;
    }
    let size = tag[6..].iter().fold(0, |n, b| n << 7 | u64::from(*b));
    Some(size + if tag[5] & 0x10 != 0 { 20 } else { 10 })
}

/// Container that starts with `head`, which should be some KiB. ID3v2 tags must have been skipped.
pub(crate) fn sniff(head: &[u8]) -> Option<Container> {
    let at = |pos: usize, what: &[u8]| head.get(pos..).is_some_and(|h| h.starts_with(what));
    let wave = at(8, b"WAVE");
    if wave && at(0, b"RIFF") {
        Some(Container::Wav)
    } else if wave && at(0, b"RIFX") {
        Some(Container::Rifx)
    } else if wave && at(0, b"RF64") {
        Some(Container::Rf64)
    } else if wave && at(0, b"BW64") {
        Some(Container::Bw64)
    } else if at(0, &super::w64::RIFF_GUID) {
        Some(Container::W64)
    } else if at(0, b"FORM") && at(8, b"AIFF") {
        Some(Container::Aiff)
    } else if at(0, b"FORM") && at(8, b"AIFC") {
        Some(Container::Aifc)
    } else if at(0, b"caff") {
        Some(Container::Caf)
    } else if at(0, b".snd") || at(0, b"dns.") {
        Some(Container::Au)
    } else if at(0, b"fLaC") {
        Some(Container::Flac)
    } else if at(0, b"wvpk") {
        Some(Container::WavPack)
    } else if at(0, b"OggS") {
        Some(Container::Ogg)
    } else if at(0, &[0x1A, 0x45, 0xDF, 0xA3]) {
        let webm = head[..head.len().min(4096)].windows(4).any(|w| w == b"webm");
        Some(if webm { Container::WebM } else { Container::Matroska })
    } else if is_mp4(head) {
        Some(Container::Mp4)
    } else if text_kind(head).is_some() {
        None
    } else if frame_header_at(head).is_some() {
        Some(Container::Flac)
    } else {
        sniff_frames(head)
    }
}

/// First box of an MP4 or QuickTime file (ISO/IEC 14496-12, 4.2; QuickTime File Format for the older ones).
fn is_mp4(head: &[u8]) -> bool {
    let Some(kind) = head.get(4..8) else { return false };
    let known: [&[u8]; 9] = [b"ftyp", b"moov", b"mdat", b"styp", b"sidx", b"moof", b"wide", b"free", b"skip"];
    let size = be(head, 0, 4);
    known.contains(&kind) && (size == 0 || size == 1 || size >= 8)
}

/// Elementary streams: a frame header, confirmed by a second one where the first says it is.
fn sniff_frames(head: &[u8]) -> Option<Container> {
    if let Some(size) = adts_bytes(head) {
        let next = head.get(size..).unwrap_or_default();
        return (next.len() < 7 || adts_bytes(next).is_some()).then_some(Container::Adts);
    }
    if let Some(size) = loas_bytes(head) {
        let next = head.get(size..).unwrap_or_default();
        return (next.len() < 3 || loas_bytes(next).is_some()).then_some(Container::Latm);
    }
    mpeg_header(head).then_some(Container::MpegAudio)
}

/// Length of an ADTS frame (ISO/IEC 13818-7, 6.2).
fn adts_bytes(head: &[u8]) -> Option<usize> {
    let h = head.first_chunk::<7>()?;
    let size = be(h, 3, 3) >> 5 & 0x1FFF;
    (h[0] == 0xFF && h[1] & 0xF6 == 0xF0 && h[2] >> 2 & 15 < 13 && size >= 7).then_some(size as usize)
}

/// Length of a LOAS AudioSyncStream frame (ISO/IEC 14496-3, 1.7.2).
fn loas_bytes(head: &[u8]) -> Option<usize> {
    let h = head.first_chunk::<3>()?;
    (h[0] == 0x56 && h[1] & 0xE0 == 0xE0).then(|| (be(h, 1, 2) & 0x1FFF) as usize + 3)
}

/// An MPEG audio frame header without reserved values (ISO/IEC 11172-3, 2.4.2.3).
fn mpeg_header(head: &[u8]) -> bool {
    let Some(h) = head.first_chunk::<4>() else { return false };
    h[0] == 0xFF
        && h[1] & 0xE0 == 0xE0
        && h[1] >> 3 & 3 != 1
        && h[1] >> 1 & 3 != 0
        && h[2] >> 4 != 15
        && h[2] >> 2 & 3 != 3
}

/// A container that starts later, after bytes that are nothing known. Only those with long magic numbers.
fn after_garbage(head: &[u8]) -> Option<(usize, Container)> {
    (1..head.len().saturating_sub(12)).find_map(|i| {
        let rest = &head[i..];
        match rest[0] {
            b'R' | b'F' if matches!(rest.get(8..12), Some(b"WAVE" | b"AIFF" | b"AIFC")) => sniff(rest).map(|c| (i, c)),
            b'f' if rest.starts_with(b"fLaC") && rest[4] & 0x7F == 0 && be(rest, 5, 3) == 34 => {
                Some((i, Container::Flac))
            }
            b'w' if rest.starts_with(b"wvpk") && matches!(le(rest, 8, 2), 0x402..=0x410) => {
                Some((i, Container::WavPack))
            }
            _ => None,
        }
    })
}

/// Names well-known kinds of files that are not audio, for the error message.
pub(crate) fn looks_like(head: &[u8]) -> Option<String> {
    const MAGIC: [(&[u8], &str); 26] = [
        (b"\x89PNG\r\n\x1A\n", "a PNG image"),
        (b"\xFF\xD8\xFF", "a JPEG image"),
        (b"GIF8", "a GIF image"),
        (b"%PDF", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive or an office document"),
        (b"PK\x05\x06", "an empty ZIP archive"),
        (b"\x1F\x8B", "a gzip archive"),
        (b"BZh", "a bzip2 archive"),
        (b"\xFD7zXZ\0", "an xz archive"),
        (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive"),
        (b"\x28\xB5\x2F\xFD", "a zstd archive"),
        (b"Rar!\x1A\x07", "a RAR archive"),
        (b"\x7FELF", "an ELF program"),
        (b"MZ", "a Windows program"),
        (b"\xCA\xFE\xBA\xBE", "a Java class or a macOS program"),
        (b"II*\0", "a TIFF image"),
        (b"MM\0*", "a TIFF image"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"8BPS", "a Photoshop image"),
        (b"\0asm", "a WebAssembly module"),
        (b"MThd", "a MIDI file: notes, not audio"),
        (b"\x30\x26\xB2\x75\x8E\x66\xCF\x11", "ASF (WMA, WMV), which is not read here"),
        (b"MAC ", "Monkey's Audio, which is not read here"),
        (b"TTA1", "True Audio, which is not read here"),
        (b"tBaK", "TAK, which is not read here"),
        (b"DSD ", "DSF (DSD), which is not read here"),
    ];
    if let Some((_, name)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some((*name).to_owned());
    }
    match (head.get(..4), head.get(8..12)) {
        (Some(b"RIFF"), Some(b"AVI ")) => return Some("AVI video, which is not read here".into()),
        (Some(b"RIFF"), Some(b"WEBP")) => return Some("a WebP image".into()),
        (Some(b"FRM8"), _) => return Some("DSDIFF (DSD), which is not read here".into()),
        _ => {}
    }
    if head.len() >= 16 && head.iter().all(|b| *b == 0) {
        return Some("only zero bytes".into());
    }
    text_kind(head).map(Into::into)
}

/// HTML, XML, JSON, playlists and other text.
fn text_kind(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(&[0xFF, 0xFE]) && head.len() >= 4 && head[3] == 0
        || head.starts_with(&[0xFE, 0xFF]) && head.len() >= 4 && head[2] == 0
    {
        return Some("text in UTF-16");
    }
    let sample = &head[..head.len().min(1024)];
    // A cut multi-byte character at the end of the sample is still text.
    let valid = match std::str::from_utf8(sample) {
        Ok(_) => true,
        Err(e) => e.error_len().is_none(),
    };
    let control = |b: &u8| *b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0C | 0x1B);
    if sample.len() < 4 || !valid || sample.iter().any(control) {
        return None;
    }
    let start = String::from_utf8_lossy(sample).trim_start_matches('\u{FEFF}').trim_start().to_ascii_lowercase();
    Some(if start.starts_with("<!doctype html") || start.starts_with("<html") {
        "an HTML page"
    } else if start.starts_with("<?xml") {
        "an XML document"
    } else if start.starts_with("#extm3u") {
        "an M3U playlist"
    } else if start.starts_with('{') || start.starts_with('[') {
        "JSON or similar text"
    } else {
        "text"
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn head(bytes: &[u8]) -> Head {
        Head::read(&mut Cursor::new(bytes.to_vec()), bytes.len() as u64).unwrap()
    }

    #[test]
    fn tags_and_garbage_before_the_container_are_skipped() {
        let tag = [b"ID3\x04\0\0\0\0\0\x05".as_slice(), &[0; 5]].concat();
        let wav = b"RIFF\x04\0\0\0WAVEfmt ".as_slice();
        let h = head(&[&tag, &tag, wav].concat());
        assert_eq!((h.container, h.container_start), (Some(Container::Wav), 30));
        let h = head(&[&[0xEE; 100], wav].concat());
        assert_eq!((h.container, h.container_start), (Some(Container::Wav), 100));
        // A tag that claims to be longer than the file is not skipped.
        assert_eq!(head(b"ID3\x04\0\0\x7F\x7F\x7F\x7F1234567890").container_start, 0);
    }

    #[test]
    fn containers_by_their_magic() {
        for (bytes, container) in [
            (b"RIFX\0\0\0\x04WAVE".as_slice(), Container::Rifx),
            (b"FORM\0\0\0\x04AIFC", Container::Aifc),
            (b"caff\0\x01\0\0", Container::Caf),
            (b"OggS\0\0\0\0", Container::Ogg),
            (b"\0\0\0\x18ftypM4A ", Container::Mp4),
            (b"\x1A\x45\xDF\xA3\x93\x42\x82\x84webm", Container::WebM),
            (b"\xFF\xFB\x90\x64\0\0\0\0", Container::MpegAudio),
            (b"\xFF\xF1\x50\x80\x01\x1F\xFC\0", Container::Adts),
        ] {
            assert_eq!(head(bytes).container, Some(container));
        }
    }

    #[test]
    fn other_files_are_named() {
        for (bytes, name) in [
            (b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR".as_slice(), "a PNG image"),
            (b"%PDF-1.7\n%\xE2\xE3", "a PDF document"),
            (b"  <!DOCTYPE html><html>", "an HTML page"),
            (b"Dear reader,\nno sound here.", "text"),
            (b"\xFF\xFEh\0i\0", "text in UTF-16"),
            (b"RIFF\0\0\0\0AVI LIST", "AVI video, which is not read here"),
            (&[0; 64], "only zero bytes"),
        ] {
            let h = head(bytes);
            assert_eq!((h.container, looks_like(&h.bytes).as_deref()), (None, Some(name)));
        }
    }
}
