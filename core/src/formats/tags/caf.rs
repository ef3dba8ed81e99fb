//! Core Audio Format: the `info` chunk (Apple, "Core Audio Format Specification 1.0", Information chunk).

use super::bytes::{Cursor, Input};
use super::collect::Collector;
use super::write::{Serialized, lose, lose_natives};
use super::{Chapter, Metadata, fields, text};

/// Keys that describe the coding, not the work.
const TECHNICAL: [&str; 3] = ["nominal bit rate", "channel layout", "approximate duration in seconds"];

/// Reads the `info` chunk.
pub(super) fn read(input: &mut Input<'_>, c: &mut Collector) {
    let mut at = 8u64;
    for _ in 0..8192 {
        let Some(head) = input.array::<12>(at) else { return };
        // -1: audio data up to the end of the file.
        let size = i64::from_be_bytes(head[4..].try_into().unwrap_or_default());
        let Ok(size) = u64::try_from(size) else { return };
        let body = at + 12;
        if &head[..4] == b"info" {
            parse(&input.up_to(body, size), c);
        }
        let Some(next) = body.checked_add(size) else { return };
        at = next;
    }
}

fn parse(data: &[u8], c: &mut Collector) {
    let mut cur = Cursor::new(data);
    let mut chapters: Vec<(f64, Option<f64>, String)> = Vec::new();
    for _ in 0..cur.u32_be().unwrap_or(0) {
        if cur.left() == 0 {
            break;
        }
        let (key, value) = (text::utf8(cur.until_nul()), text::utf8(cur.until_nul()));
        // `key 2`, `key 3`: further values, see `caf_info`.
        if let Some(chapter) = key.strip_prefix("chapter ").and_then(|n| parse_chapter(n, &value)) {
            chapters.push(chapter);
            continue;
        }
        if TECHNICAL.contains(&key.as_str()) {
            continue;
        }
        let base = numbered(&key).map_or(key.as_str(), |(base, _)| base);
        match fields::by_caf(base) {
            Some("track") => c.add_pair("track", "track_total", &value),
            Some(known) => c.add(known, value),
            None => c.add_named(base, value),
        }
    }
    chapters.into_iter().for_each(|(start, end, title)| c.chapter(start, end, title));
}

/// Splits `artist#2` into the key and the number of the value.
fn numbered(key: &str) -> Option<(&str, u32)> {
    let (base, n) = key.rsplit_once('#')?;
    Some((base, n.parse().ok()?))
}

/// True for a key that would be taken for something else; with `#1` behind it, it is not.
fn is_special(key: &str) -> bool {
    let chapter = key.strip_prefix("chapter ").is_some_and(|n| n.parse::<u32>().is_ok());
    chapter || numbered(key).is_some() || TECHNICAL.contains(&key)
}

fn parse_chapter(key: &str, value: &str) -> Option<(f64, Option<f64>, String)> {
    key.parse::<u32>().ok()?;
    let (times, title) = value.split_once(' ').unwrap_or((value, ""));
    let (start, end) = times.split_once('-')?;
    Some((start.parse().ok()?, end.parse().ok(), title.to_owned()))
}

/// The content of an `info` chunk: pairs of key and value, UTF-8. Keys must differ, so the second value of `artist` is
/// `artist#2`, and a chapter is `chapter 1` = `start-end title` in seconds; other programs show both as text. Pictures
/// and blocks of bytes have no place. Empty metadata gives no bytes.
pub fn caf_info(meta: &Metadata) -> Serialized {
    let mut losses = Vec::new();
    let mut pairs: Vec<(String, String)> = Vec::new();
    for field in &meta.fields {
        let name = match fields::by_key(&field.key) {
            Some(def) if !def.caf.is_empty() => def.caf,
            Some(def) => def.key,
            None => field.key.as_str(),
        };
        for (i, value) in field.values.iter().enumerate() {
            let key = if i == 0 && !is_special(name) { name.to_owned() } else { format!("{name}#{}", i + 1) };
            pairs.push((key, value.clone()));
        }
    }
    for (i, Chapter { start_s, end_s, title }) in meta.chapters.iter().enumerate() {
        let end = end_s.map_or_else(String::new, |e| e.to_string());
        pairs.push((format!("chapter {}", i + 1), format!("{start_s}-{end} {title}")));
    }
    for picture in &meta.pictures {
        lose(
            &mut losses,
            "picture",
            format!("CAF has no place for pictures (type {}, {} bytes)", picture.kind, picture.data.len()),
        );
    }
    lose_natives(meta, "CAF", &mut losses, |_| false);
    let mut bytes = Vec::new();
    if !pairs.is_empty() {
        bytes.extend((pairs.len() as u32).to_be_bytes());
        for part in pairs.iter().flat_map(|(k, v)| [k, v]) {
            bytes.extend(part.bytes());
            bytes.push(0);
        }
    }
    Serialized { bytes, losses }
}

#[cfg(test)]
mod tests {
    use super::super::Field;
    use super::*;

    #[test]
    fn values_and_chapters_come_back() {
        let field = |key: &str, values: &[&str]| Field {
            key: key.into(),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
        };
        let meta = Metadata {
            fields: vec![
                field("artist", &["A", "B"]),
                field("album_artist", &["C"]),
                field("own", &["x"]),
                field("track", &["3"]),
            ],
            chapters: vec![
                Chapter { start_s: 0.0, end_s: Some(1.5), title: "a b".into() },
                Chapter { start_s: 2.0, end_s: None, title: String::new() },
            ],
            ..Metadata::default()
        };
        let out = caf_info(&meta);
        let mut c = Collector::default();
        parse(&out.bytes, &mut c);
        assert_eq!((out.losses, c.finish()), (vec![], meta));
    }
}
