//! AIFF and AIFF-C text chunks, markers and the `ID3 ` chunk (Apple, "Audio Interchange File Format" 1.3).

use super::bytes::{Cursor, Input};
use super::collect::Collector;
use super::write::{SerializedChunks, lose_natives};
use super::{Metadata, id3v2, text};

/// Most chunks that are looked at.
const MAX_CHUNKS: usize = 8192;
/// Text chunks and the fields they hold.
const TEXTS: [(&[u8; 4], &str); 4] =
    [(b"NAME", "title"), (b"AUTH", "artist"), (b"(c) ", "copyright"), (b"ANNO", "comment")];

/// Reads all chunks.
pub(super) fn read(input: &mut Input<'_>, c: &mut Collector) {
    let mut at = 12u64;
    let mut rate = 0.0;
    let mut markers = Vec::new();
    let (mut texts, mut id3) = (Collector::default(), Collector::default());
    for _ in 0..MAX_CHUNKS {
        let Some(head) = input.array::<8>(at) else { break };
        let id = [head[0], head[1], head[2], head[3]];
        let size = u64::from(u32::from_be_bytes([head[4], head[5], head[6], head[7]]));
        let body = at + 8;
        let mut load = || input.up_to(body, size);
        match &id {
            b"COMM" => rate = load().get(8..18).map_or(0.0, extended),
            b"MARK" => markers = parse_markers(&load()),
            b"COMT" => comments(&load(), &mut texts),
            b"ID3 " | b"id3 " => {
                let mut one = Collector::default();
                id3v2::parse(&load(), &mut one);
                id3.merge(one.finish());
            }
            b"APPL" | b"INST" | b"MIDI" => texts.native(format!("aiff:{}", text::latin1(&id)), &load()),
            _ => {
                if let Some((_, key)) = TEXTS.iter().find(|(name, _)| **name == id) {
                    texts.add(key, text::fixed(&load()));
                }
            }
        }
        at = (body + size).next_multiple_of(2);
    }
    c.merge(id3.finish());
    c.merge(texts.finish());
    if rate > 0.0 && !c.has_chapters() {
        for (position, name) in markers {
            c.chapter(f64::from(position) / rate, None, name);
        }
    }
}

/// 80-bit IEEE 754 extended, as sample rates are stored.
fn extended(b: &[u8]) -> f64 {
    let exponent = i32::from(u16::from_be_bytes([b[0] & 0x7F, b[1]])) - 16_383 - 63;
    let mantissa = b[2..10].iter().fold(0u64, |v, b| (v << 8) | u64::from(*b));
    let value = mantissa as f64 * f64::from(exponent.clamp(-1000, 1000)).exp2();
    if value.is_finite() { value } else { 0.0 }
}

/// Id, position in frames, name as a Pascal string padded to even length.
fn parse_markers(data: &[u8]) -> Vec<(u32, String)> {
    let mut cur = Cursor::new(data);
    let mut out = Vec::new();
    for _ in 0..cur.u16_be().unwrap_or(0) {
        let (Some(_), Some(position), Some(len)) = (cur.u16_be(), cur.u32_be(), cur.u8()) else { break };
        let Some(name) = cur.take(usize::from(len)) else { break };
        if len % 2 == 0 {
            cur.take(1);
        }
        out.push((position, text::utf8_or_latin1(name)));
    }
    out
}

/// `COMT`: time stamp, marker, counted text.
fn comments(data: &[u8], c: &mut Collector) {
    let mut cur = Cursor::new(data);
    for _ in 0..cur.u16_be().unwrap_or(0) {
        let (Some(_), Some(_), Some(len)) = (cur.u32_be(), cur.u16_be(), cur.u16_be()) else { break };
        let Some(value) = cur.take(usize::from(len)) else { break };
        if len % 2 == 1 {
            cur.take(1);
        }
        c.add("comment", text::fixed(value));
    }
}

/// True for what an ID3 chunk can hold, or will list as lost.
fn is_id3(kind: &str) -> bool {
    kind.starts_with("id3:") || kind.starts_with("chapter:")
}

/// Chunks for AIFF: NAME, AUTH, `(c) ` and ANNO for plain ASCII, and `ID3 ` when these cannot hold everything.
pub fn aiff_chunks(meta: &Metadata) -> SerializedChunks {
    let mut out = SerializedChunks::default();
    let mut rest = meta.clone();
    rest.native.retain(|n| is_id3(&n.kind));
    rest.fields.retain(|field| {
        let Some((id, _)) = TEXTS.iter().find(|(_, key)| *key == field.key) else { return true };
        let exact = |v: &String| v.is_ascii() && v.trim_end() == v;
        // Only ANNO may occur more than once.
        if (field.values.len() == 1 || **id == *b"ANNO") && field.values.iter().all(exact) {
            out.chunks.extend(field.values.iter().map(|v| (**id, v.clone().into_bytes())));
            return false;
        }
        true
    });
    if !(rest.fields.is_empty() && rest.pictures.is_empty() && rest.chapters.is_empty() && rest.native.is_empty()) {
        // Many programs read only this tag when there is one: it must not be a torso.
        rest.fields.clone_from(&meta.fields);
    }
    let tag = id3v2::id3v2(&rest);
    out.losses = tag.losses;
    lose_natives(meta, "AIFF", &mut out.losses, is_id3);
    if !tag.bytes.is_empty() {
        out.chunks.push((*b"ID3 ", tag.bytes));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_rates_and_markers() {
        // 44100 Hz as in the AIFF specification's example.
        assert_eq!(extended(&[0x40, 0x0E, 0xAC, 0x44, 0, 0, 0, 0, 0, 0]), 44_100.0);
        assert!(extended(&[0x7F, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0]).is_finite());
        let data = b"\0\x02\0\x01\0\0\0\x64\x03abc\0\x02\0\0\0\xC8\x02ab\0";
        assert_eq!(parse_markers(data), [(100, "abc".to_owned()), (200, "ab".to_owned())]);
        assert_eq!(parse_markers(b"\xFF\xFF\0"), []);
    }
}
