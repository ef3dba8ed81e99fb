//! Writing `ilst` and `chpl`.

use super::super::write::{Serialized, lose, lose_chapter_ends, lose_natives};
use super::super::{Chapter, Field, Loss, Metadata, fields, text};

/// The content of `moov.udta`: a `meta` box with handler and `ilst`, and a `chpl` box for chapters (the first 255: its
/// count has 8 bits for most readers). Empty metadata gives no bytes.
///
/// A name that has no atom becomes a freeform item of `com.apple.iTunes`. All pictures become cover art: MP4 has no
/// picture types.
pub fn ilst(meta: &Metadata) -> Serialized {
    let mut losses = Vec::new();
    let mut items = Vec::new();
    for field in &meta.fields {
        items.extend(item(field, meta));
    }
    items.extend(pictures(meta, &mut losses));
    lose_natives(meta, "MP4", &mut losses, |_| false);
    let mut bytes = Vec::new();
    if !items.is_empty() {
        let handler = [&[0; 8][..], b"mdirappl", &[0; 9]].concat();
        let content = [&[0; 4][..], &make_box(b"hdlr", &handler), &make_box(b"ilst", &items)].concat();
        bytes.extend(make_box(b"meta", &content));
    }
    bytes.extend(nero(&meta.chapters, &mut losses));
    Serialized { bytes, losses }
}

fn make_box(kind: &[u8], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
}

fn data(code: u32, value: &[u8]) -> Vec<u8> {
    make_box(b"data", &[&code.to_be_bytes()[..], &[0; 4], value].concat())
}

/// The bytes of an atom's name: `\u{a9}` is one byte there.
fn atom_name(name: &str) -> Vec<u8> {
    name.chars().map(|c| c as u8).collect()
}

fn texts(kind: &[u8], values: &[String]) -> Vec<u8> {
    let content: Vec<u8> = values.iter().flat_map(|v| data(1, v.as_bytes())).collect();
    make_box(kind, &content)
}

fn freeform(name: &str, values: &[String]) -> Vec<u8> {
    let (mean, name) = match name.split_once(':') {
        // A domain that was kept while reading.
        Some((mean, name)) if mean.contains('.') && !mean.contains(' ') && !name.is_empty() => (mean, name),
        _ => ("com.apple.iTunes", name),
    };
    let part = |kind: &[u8], s: &str| make_box(kind, &[&[0; 4][..], s.as_bytes()].concat());
    let values: Vec<u8> = values.iter().flat_map(|v| data(1, v.as_bytes())).collect();
    make_box(b"----", &[part(b"mean", mean), part(b"name", name), values].concat())
}

fn item(field: &Field, meta: &Metadata) -> Vec<u8> {
    let (key, values) = (field.key.as_str(), &field.values[..]);
    let Some(def) = fields::by_key(key) else {
        let own_atom = key.starts_with('\u{a9}') && key.chars().count() == 4 && key.chars().all(|c| (c as u32) < 256);
        return if own_atom { texts(&atom_name(key), values) } else { freeform(key, values) };
    };
    if !fields::is_atom(def.mp4) {
        return freeform(def.mp4, values);
    }
    let name = atom_name(def.mp4);
    let width = match def.mp4 {
        "trkn" | "disk" => return pair(&name, key, values, meta, def.vorbis),
        "tmpo" | "\u{a9}mvi" | "\u{a9}mvc" => 2,
        "cpil" | "pgap" | "pcst" | "hdvd" | "stik" | "rtng" | "shwm" | "akID" => 1,
        "tvsn" | "tves" | "sfID" | "cnID" | "atID" | "geID" | "cmID" => 4,
        "plID" => 8,
        _ => return texts(&name, values),
    };
    // An integer atom holds one number of its width; anything else stays text under the field's own name.
    let number = if values.len() == 1 { canonical_number(&values[0]) } else { None };
    match number.filter(|n| width == 8 || *n < 1 << (8 * width - 1)) {
        Some(n) => make_box(&name, &data(21, &n.to_be_bytes()[8 - width..])),
        None => freeform(def.vorbis, values),
    }
}

/// A number that prints as it was written.
fn canonical_number(s: &str) -> Option<u64> {
    s.parse::<u64>().ok().filter(|n| *n <= i64::MAX as u64 && n.to_string() == s)
}

/// Number and total in one atom, written with the number or, without one, with the total.
fn pair(name: &[u8], key: &str, values: &[String], meta: &Metadata, vorbis: &str) -> Vec<u8> {
    let base = key.trim_end_matches("_total");
    let total_key = format!("{base}_total");
    let fits = |k: &str| {
        let field = meta.fields.iter().find(|f| f.key == k).filter(|f| f.values.len() == 1)?;
        // Leading zeros are formatting; the number survives.
        field.values[0].parse::<u16>().ok().filter(|n| *n > 0)
    };
    let (number, total) = (fits(base), fits(&total_key));
    if (key == base && number.is_none()) || (key != base && total.is_none()) {
        return freeform(vorbis, values);
    }
    if key != base && number.is_some() {
        return Vec::new(); // written with the number
    }
    let mut value = vec![0, 0];
    value.extend(number.unwrap_or(0).to_be_bytes());
    value.extend(total.unwrap_or(0).to_be_bytes());
    if base == "track" {
        value.extend([0, 0]);
    }
    make_box(name, &data(0, &value))
}

fn pictures(meta: &Metadata, losses: &mut Vec<Loss>) -> Vec<u8> {
    let mut content = Vec::new();
    for picture in &meta.pictures {
        if picture.mime == "-->" {
            lose(losses, "picture", "MP4 cannot link to a picture");
            continue;
        }
        let code = match picture.mime.as_str() {
            "image/jpeg" => 13,
            "image/png" => 14,
            "image/bmp" => 27,
            "image/gif" => 12,
            _ => 0,
        };
        if picture.kind != 3 {
            lose(losses, "picture", format!("MP4 has no picture types: type {} becomes cover art", picture.kind));
        }
        if !picture.description.is_empty() {
            lose(losses, "picture", format!("MP4 has no picture descriptions: '{}' dropped", picture.description));
        }
        content.extend(data(code, &picture.data));
    }
    if content.is_empty() { Vec::new() } else { make_box(b"covr", &content) }
}

fn nero(chapters: &[Chapter], losses: &mut Vec<Loss>) -> Vec<u8> {
    if chapters.is_empty() {
        return Vec::new();
    }
    if chapters.len() > 255 {
        lose(losses, "chapter", "an MP4 chapter list holds 255: the rest is dropped");
    }
    let kept = &chapters[..chapters.len().min(255)];
    lose_chapter_ends(kept, "MP4", losses);
    let mut body = vec![1, 0, 0, 0, 0];
    body.extend((kept.len() as u32).to_be_bytes());
    for chapter in kept {
        let title = text::truncate(&chapter.title, 255);
        if title.len() < chapter.title.len() {
            lose(
                losses,
                "chapter",
                format!("an MP4 chapter title holds 255 bytes: '{}...' is cut", text::truncate(title, 40)),
            );
        }
        body.extend(((chapter.start_s * 1e7).round() as u64).to_be_bytes());
        body.push(title.len() as u8);
        body.extend(title.bytes());
    }
    make_box(b"chpl", &body)
}

#[cfg(test)]
mod tests {
    use super::super::super::Picture;
    use super::super::super::bytes::Input;
    use super::super::super::collect::Collector;
    use super::*;
    use crate::formats::Limits;

    fn back(udta: &[u8]) -> Metadata {
        let file = make_box(b"moov", &make_box(b"udta", udta));
        let len = file.len() as u64;
        let mut c = Collector::default();
        super::super::read(&mut Input::new(&mut std::io::Cursor::new(file), len, &Limits::default()), &mut c);
        c.finish()
    }

    #[test]
    fn every_kind_of_item_comes_back() {
        let field = |key: &str, values: &[&str]| Field {
            key: key.into(),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
        };
        let meta = Metadata {
            fields: vec![
                field("title", &["Größe"]),
                field("artist", &["A", "B"]),
                field("track", &["3"]),
                field("track_total", &["12"]),
                field("disc", &["A"]),
                field("disc_total", &["2"]),
                field("bpm", &["127.5"]),
                field("compilation", &["1"]),
                field("tv_season", &["4"]),
                field("itunes_album_id", &["12345678901"]),
                field("isrc", &["XX"]),
                field("my name", &["1", "2"]),
                field("org.foo:BAR", &["x"]),
                field("\u{a9}xyq", &["y"]),
            ],
            pictures: vec![Picture {
                kind: 3,
                mime: "image/png".into(),
                description: String::new(),
                data: b"\x89PNG1".to_vec(),
            }],
            chapters: vec![
                Chapter { start_s: 0.0, end_s: None, title: "a".into() },
                Chapter { start_s: 1.5, end_s: None, title: "b".into() },
            ],
            native: vec![],
        };
        let out = ilst(&meta);
        assert_eq!(out.losses, []);
        let mut got = back(&out.bytes);
        let mut want = meta.clone();
        got.fields.sort_by(|a, b| a.key.cmp(&b.key));
        want.fields.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(got, want);
    }

    #[test]
    fn what_mp4_cannot_say_is_listed() {
        let meta = Metadata {
            pictures: vec![Picture { kind: 4, mime: "image/png".into(), description: "x".into(), data: vec![1] }],
            chapters: vec![
                Chapter { start_s: 0.0, end_s: Some(1.0), title: "t".repeat(300) },
                Chapter { start_s: 2.0, end_s: None, title: String::new() },
            ],
            ..Metadata::default()
        };
        let reasons: Vec<String> = ilst(&meta).losses.into_iter().map(|l| l.reason).collect();
        assert_eq!(reasons.len(), 4, "{reasons:?}");
        assert_eq!(back(&ilst(&meta).bytes).chapters[0].title.len(), 255);
    }
}
