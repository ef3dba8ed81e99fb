//! The tags at the end of MPEG files: ID3v1 and 1.1, its "TAG+" extension, Lyrics3.

use super::bytes::Input;
use super::collect::Collector;
use super::{genres, text};

/// Size of an ID3v1 tag.
const LEN: u64 = 128;

/// Reads the ID3v1 family before `end`; returns where the tags begin.
pub(super) fn read(input: &mut Input<'_>, end: u64, c: &mut Collector) -> u64 {
    let Some(at) = end.checked_sub(LEN) else { return end };
    let Some(tag) = input.array::<128>(at).filter(|t| t.starts_with(b"TAG")) else {
        return read_lyrics3(input, end, c);
    };
    let mut start = at;
    let mut long = [String::new(), String::new(), String::new()];
    if let Some(ext) = at.checked_sub(227).and_then(|a| input.array::<227>(a)).filter(|t| t.starts_with(b"TAG+")) {
        start = at - 227;
        for (i, long) in long.iter_mut().enumerate() {
            *long = text::fixed(&ext[4 + 60 * i..64 + 60 * i]);
        }
    }
    for (i, key) in ["title", "artist", "album"].into_iter().enumerate() {
        let short = text::fixed(&tag[3 + 30 * i..33 + 30 * i]);
        c.add(key, if short.is_empty() { String::new() } else { format!("{short}{}", long[i]) });
    }
    c.add("date", text::fixed(&tag[93..97]));
    let comment = &tag[97..127];
    // 1.1: a NUL, then the track, in the last two bytes of the comment.
    if comment[28] == 0 && comment[29] != 0 {
        c.add("track", comment[29].to_string());
        c.add("comment", text::fixed(&comment[..28]));
    } else {
        c.add("comment", text::fixed(comment));
    }
    if let Some(genre) = genres::name(usize::from(tag[127])) {
        c.add("genre", genre);
    }
    read_lyrics3(input, start, c)
}

/// Lyrics3 v2: `LYRICSBEGIN`, fields of a 3-letter id and 5 digits of size, 6 digits of total size, `LYRICS200`.
fn read_lyrics3(input: &mut Input<'_>, end: u64, c: &mut Collector) -> u64 {
    let footer = end.checked_sub(15).and_then(|at| input.array::<15>(at));
    let Some(size) = footer.filter(|f| f.ends_with(b"LYRICS200")).and_then(|f| number(&f[..6])) else { return end };
    let Some(start) = end.checked_sub(15 + size) else { return end };
    let data = input.up_to(start, size);
    let Some(mut rest) = data.strip_prefix(b"LYRICSBEGIN") else { return end };
    while rest.len() >= 8 {
        let Some(len) = number(&rest[3..8]).map(|n| n as usize).filter(|n| *n <= rest.len() - 8) else { break };
        let key = match &rest[..3] {
            b"LYR" => "lyrics",
            b"INF" => "comment",
            b"AUT" => "lyricist",
            b"EAL" => "album",
            b"EAR" => "artist",
            b"ETT" => "title",
            _ => "",
        };
        if c.is_missing(key) {
            c.add(key, text::utf8_or_latin1(&rest[8..8 + len]).trim_end());
        }
        rest = &rest[8 + len..];
    }
    start
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Limits;

    #[test]
    fn track_of_version_1_1_and_lyrics3_before_it() {
        let mut file = b"audioLYRICSBEGININD0000211LYR00005hello".to_vec();
        let size = file.len() - 5;
        file.extend(format!("{size:06}LYRICS200").bytes());
        let mut tag = [0u8; 128];
        tag[..8].copy_from_slice(b"TAGTitle");
        tag[97..100].copy_from_slice(b"hey");
        tag[126] = 7;
        tag[127] = 17;
        file.extend(tag);
        let len = file.len() as u64;
        let mut media = std::io::Cursor::new(file);
        let mut c = Collector::default();
        assert_eq!(read(&mut Input::new(&mut media, len, &Limits::default()), len, &mut c), 5);
        for (key, value) in
            [("title", "Title"), ("comment", "hey"), ("track", "7"), ("genre", "Rock"), ("lyrics", "hello")]
        {
            assert_eq!(c.first(key), Some(value), "{key}");
        }
    }
}
