//! Text in the encodings that tags use.

/// Windows-1252 for 0x80..=0x9F; what writers of "Latin-1" mean by these bytes. 0 where it has none.
const CP1252: [u16; 32] = [
    0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017D, 0, 0,
    0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178,
];

/// ISO 8859-1.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

/// UTF-8 when it is valid, else Windows-1252: for formats that name no encoding (RIFF INFO, ID3v1, AIFF).
pub(super) fn utf8_or_latin1(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(s) => s.to_owned(),
        Err(_) => bytes
            .iter()
            .map(|b| match b {
                0x80..=0x9F => match CP1252[usize::from(b - 0x80)] {
                    0 => char::from(*b),
                    c => char::from_u32(u32::from(c)).unwrap_or('\u{fffd}'),
                },
                b => char::from(*b),
            })
            .collect(),
    }
}

/// UTF-8; invalid sequences become U+FFFD.
pub(super) fn utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// UTF-16 in the given byte order; a byte order mark at the start wins and is dropped. An odd last byte is ignored.
pub(super) fn utf16(bytes: &[u8], big_endian: bool) -> String {
    let (bytes, big_endian) = match bytes {
        [0xFF, 0xFE, rest @ ..] => (rest, false),
        [0xFE, 0xFF, rest @ ..] => (rest, true),
        _ => (bytes, big_endian),
    };
    let units = bytes
        .chunks_exact(2)
        .map(|c| if big_endian { u16::from_be_bytes([c[0], c[1]]) } else { u16::from_le_bytes([c[0], c[1]]) });
    char::decode_utf16(units).map(|r| r.unwrap_or('\u{fffd}')).collect()
}

/// Without what pads fixed-size fields: everything from the first NUL, then trailing blanks.
pub(super) fn fixed(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    utf8_or_latin1(&bytes[..end]).trim_end().to_owned()
}

/// Longest start of `s` that is at most `max` bytes and does not cut a character.
pub(super) fn truncate(s: &str, max: usize) -> &str {
    let mut end = s.len().min(max);
    while !s.is_char_boundary(end) {
        end -= 1;
    }
    &s[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_agree_on_the_same_text() {
        let s = "Grüße 😀";
        let be: Vec<u8> = s.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let le: Vec<u8> = s.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(utf16(&be, true), s);
        assert_eq!(utf16(&[&[0xFF, 0xFE], &le[..]].concat(), true), s, "the mark wins");
        assert_eq!(utf16(&[&le[..], &[1]].concat(), false), s, "odd byte");
        assert_eq!(utf16(&[0xD8, 0x00], true), "\u{fffd}");
        assert_eq!(utf8_or_latin1(b"Gr\xFC\xDFe \x80"), "Grüße €");
        assert_eq!(utf8_or_latin1(s.as_bytes()), s);
        assert_eq!(truncate("aü", 2), "a");
        assert_eq!(fixed(b"abc  \0xyz"), "abc");
    }
}
