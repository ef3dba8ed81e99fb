//! Vorbis comments (xiph.org "Ogg Vorbis I format specification: comment field and header specification"), also in FLAC,
//! Opus and Speex. Chapters: "Chapter Extension" of the Xiph wiki. Pictures: `METADATA_BLOCK_PICTURE`.

use super::bytes::{Cursor, from_base64, to_base64};
use super::collect::{Collector, normal_mime};
use super::write::{Serialized, lose, lose_chapter_ends, lose_natives};
use super::{Field, Loss, Metadata, Picture, cue, fields, flac, text};

/// Reads a comment header without packet signature.
pub(super) fn parse(data: &[u8], c: &mut Collector) {
    let mut cur = Cursor::new(data);
    let mut one = Collector::default();
    let mut chapters: Vec<Found> = Vec::new();
    let mut covers: Vec<Vec<u8>> = Vec::new();
    let mut cover_mime = String::new();
    let Some(vendor) = cur.u32_le().and_then(|n| cur.take(n as usize)) else { return };
    let count = cur.u32_le().unwrap_or(0);
    for _ in 0..count {
        let Some(comment) = cur.u32_le().and_then(|n| cur.take(n as usize)) else { break };
        let Some(eq) = comment.iter().position(|b| *b == b'=') else { continue };
        let (name, value) = (text::utf8(&comment[..eq]), &comment[eq + 1..]);
        let upper = name.to_ascii_uppercase();
        match upper.as_str() {
            "METADATA_BLOCK_PICTURE" => {
                let block = std::str::from_utf8(value).ok().and_then(from_base64);
                if let Some(picture) = block.as_deref().and_then(flac::parse_picture) {
                    one.picture(picture);
                }
            }
            "COVERART" => covers.extend(std::str::from_utf8(value).ok().and_then(from_base64)),
            "COVERARTMIME" => cover_mime = text::utf8(value),
            _ => {
                if let Some((number, part)) = chapter_name(&upper) {
                    note_chapter(&mut chapters, number, part, &text::utf8(value));
                } else {
                    one.add_named(&name, text::utf8(value));
                }
            }
        }
    }
    for data in covers {
        one.picture(Picture { kind: 3, mime: normal_mime(&cover_mime, &data), description: String::new(), data });
    }
    for found in chapters {
        if let Some(start) = found.start_s {
            one.chapter(start, None, found.title);
            if !found.url.is_empty() {
                one.chapter_url(found.url);
            }
        }
    }
    if one.is_missing("encoder") {
        one.add("encoder", text::utf8(vendor));
    }
    if !one.has_chapters()
        && let Some(sheet) = one.first("cuesheet").map(str::to_owned)
        && let Ok(sheet) = cue::parse(&sheet)
    {
        sheet.chapters().into_iter().for_each(|ch| one.chapter(ch.start_s, ch.end_s, ch.title));
    }
    c.merge(one.finish());
}

/// A chapter being put together from its comments.
#[derive(Default)]
struct Found {
    number: u32,
    start_s: Option<f64>,
    title: String,
    url: String,
}

/// What a chapter comment says.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Start,
    Name,
    Url,
}

/// `CHAPTER001`, `CHAPTER001NAME` or `CHAPTER001URL`.
fn chapter_name(upper: &str) -> Option<(u32, Part)> {
    let rest = upper.strip_prefix("CHAPTER")?;
    let (digits, part) = match (rest.strip_suffix("NAME"), rest.strip_suffix("URL")) {
        (Some(digits), _) => (digits, Part::Name),
        (_, Some(digits)) => (digits, Part::Url),
        _ => (rest, Part::Start),
    };
    if !(2..=6).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, part))
}

fn note_chapter(chapters: &mut Vec<Found>, number: u32, part: Part, value: &str) {
    // Nearly always the last one: the comments of a chapter stand together.
    let at = chapters.iter().rev().take(512).position(|c| c.number == number).map(|i| chapters.len() - 1 - i);
    let at = at.unwrap_or_else(|| {
        chapters.push(Found { number, ..Found::default() });
        chapters.len() - 1
    });
    match part {
        Part::Start => chapters[at].start_s = parse_time(value),
        Part::Name => chapters[at].title = value.to_owned(),
        Part::Url => chapters[at].url = value.to_owned(),
    }
}

/// `HH:MM:SS.mmm`, with any part before the seconds left out.
fn parse_time(s: &str) -> Option<f64> {
    let mut seconds = 0.0;
    for part in s.trim().split(':') {
        let v: f64 = part.trim().parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0)?;
        seconds = seconds * 60.0 + v;
    }
    Some(seconds)
}

/// `HH:MM:SS.mmm`.
fn format_time(seconds: f64) -> String {
    let ms = (seconds * 1000.0).round().max(0.0) as u64;
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

/// A comment header for FLAC: no packet signature, no framing bit. Pictures are not in it: see
/// [`flac_pictures`](super::write::flac_pictures). `vendor` names the encoder.
pub fn vorbis_comment(meta: &Metadata, vendor: &str) -> Serialized {
    let mut losses = Vec::new();
    lose_natives(meta, "a Vorbis comment", &mut losses, |_| false);
    if meta.pictures.iter().any(flac::is_too_large) {
        lose(&mut losses, "picture", "larger than a FLAC block can be (16 MiB)");
    }
    Serialized { bytes: comments(meta, vendor, false, &mut losses), losses }
}

/// A comment header for Ogg, with the pictures as base64. No packet signature, no framing bit.
pub fn vorbis_comment_with_pictures(meta: &Metadata, vendor: &str) -> Serialized {
    let mut losses = Vec::new();
    lose_natives(meta, "a Vorbis comment", &mut losses, |_| false);
    Serialized { bytes: comments(meta, vendor, true, &mut losses), losses }
}

/// As [`vorbis_comment_with_pictures`], for Opus: RFC 7845 section 5.2.1 wants R128 gains (to -23 LUFS, in 1/256 dB)
/// instead of ReplayGain (to -18 LUFS), so these are converted, and the peaks are left out.
pub fn opus_comment(meta: &Metadata, vendor: &str) -> Serialized {
    let mut meta = meta.clone();
    let mut converted = Vec::new();
    for (from, to) in [("replaygain_track_gain", "r128_track_gain"), ("replaygain_album_gain", "r128_album_gain")] {
        let gain = meta.fields.iter().find(|f| f.key == from).and_then(|f| f.values.first()).and_then(|v| gain_db(v));
        if let Some(gain) = gain
            && !meta.fields.iter().any(|f| f.key == to)
        {
            let q7_8 = ((gain - 5.0) * 256.0).round().clamp(-32_768.0, 32_767.0);
            meta.fields.push(Field { key: to.into(), values: vec![format!("{q7_8:.0}")] });
        }
    }
    meta.fields.retain(|f| {
        let replaygain = f.key.starts_with("replaygain_");
        if replaygain {
            let reason =
                if f.key.ends_with("_gain") { "written as R128 gain" } else { "Opus has R128 gains only (RFC 7845)" };
            lose(&mut converted, &f.key, reason);
        }
        !replaygain
    });
    let mut out = vorbis_comment_with_pictures(&meta, vendor);
    out.losses.extend(converted);
    out
}

/// The number in `-7.89 dB`.
fn gain_db(value: &str) -> Option<f64> {
    let number = value.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    number.parse().ok().filter(|g: &f64| g.abs() < 128.0)
}

/// The header itself; native items are left to the caller.
pub(super) fn comments(meta: &Metadata, vendor: &str, with_pictures: bool, losses: &mut Vec<Loss>) -> Vec<u8> {
    let mut list: Vec<String> = Vec::new();
    for field in &meta.fields {
        let of_chapter = chapter_number(&field.key).filter(|n| *n <= meta.chapters.len().min(MAX_CHAPTERS));
        let name = match (fields::by_key(&field.key), of_chapter) {
            (Some(def), _) => def.vorbis.to_owned(),
            (None, Some(n)) => format!("CHAPTER{n:03}URL"),
            (None, None) => legal_name(&field.key, losses),
        };
        list.extend(field.values.iter().map(|v| format!("{name}={v}")));
    }
    if meta.chapters.len() > MAX_CHAPTERS {
        lose(losses, "chapter", "Vorbis chapters have three digits: only the first 999 are kept");
    }
    let kept = &meta.chapters[..meta.chapters.len().min(MAX_CHAPTERS)];
    for (i, chapter) in kept.iter().enumerate() {
        let n = i + 1;
        list.push(format!("CHAPTER{n:03}={}", format_time(chapter.start_s)));
        list.push(format!("CHAPTER{n:03}NAME={}", chapter.title));
    }
    lose_chapter_ends(kept, "Vorbis", losses);
    if with_pictures {
        let blocks = meta.pictures.iter().map(flac::picture_block);
        list.extend(blocks.map(|b| format!("METADATA_BLOCK_PICTURE={}", to_base64(&b))));
    }
    let mut out = Vec::new();
    out.extend((vendor.len() as u32).to_le_bytes());
    out.extend(vendor.bytes());
    out.extend((list.len() as u32).to_le_bytes());
    for comment in list {
        out.extend((comment.len() as u32).to_le_bytes());
        out.extend(comment.bytes());
    }
    out
}

/// Most chapters: three digits, from 1.
const MAX_CHAPTERS: usize = 999;

/// N of `chapter_url:N`.
pub(super) fn chapter_number(key: &str) -> Option<usize> {
    key.strip_prefix("chapter_url:")?.parse().ok().filter(|n| *n > 0)
}

/// Names are ASCII 0x20 to 0x7D without `=`.
fn legal_name(key: &str, losses: &mut Vec<Loss>) -> String {
    let legal = |c: char| matches!(c, ' '..='}') && c != '=';
    let taken = chapter_name(&key.to_ascii_uppercase()).is_some() || key.is_empty();
    if key.chars().all(legal) && !taken {
        return key.to_owned();
    }
    let mut name: String = key.chars().map(|c| if legal(c) { c } else { '_' }).collect();
    if taken {
        name.push('_');
    }
    lose(losses, key, format!("a Vorbis comment cannot have this name; kept as {name}"));
    name
}

#[cfg(test)]
mod tests {
    use super::super::Chapter;
    use super::*;

    #[test]
    fn fields_chapters_and_pictures_come_back() {
        let field = |key: &str, values: &[&str]| Field {
            key: key.into(),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
        };
        let meta = Metadata {
            fields: vec![
                field("title", &["a=b"]),
                field("artist", &["A", "B"]),
                field("album_artist", &["C"]),
                field("own", &["x"]),
            ],
            pictures: vec![Picture {
                kind: 4,
                mime: "image/png".into(),
                description: "back".into(),
                data: vec![1, 2, 3],
            }],
            chapters: vec![Chapter { start_s: 3723.25, end_s: None, title: "Eins".into() }],
            native: vec![],
        };
        let out = vorbis_comment_with_pictures(&meta, "vendor");
        assert_eq!(out.losses, []);
        let mut c = Collector::default();
        parse(&out.bytes, &mut c);
        let mut back = c.finish();
        assert_eq!(back.fields.pop(), Some(field("encoder", &["vendor"])));
        assert_eq!(back, meta);
    }

    #[test]
    fn opus_gets_r128_gains() {
        let field = |key: &str, value: &str| Field { key: key.into(), values: vec![value.into()] };
        let fields = vec![field("replaygain_track_gain", "-2.00 dB"), field("replaygain_track_peak", "0.9")];
        let out = opus_comment(&Metadata { fields, ..Metadata::default() }, "");
        // -2 dB to -18 LUFS is -7 dB to -23 LUFS; times 256.
        assert!(out.bytes.ends_with(b"R128_TRACK_GAIN=-1792"));
        assert_eq!(out.losses.len(), 2);
    }

    #[test]
    fn illegal_names_are_changed_and_listed_and_counts_lie() {
        let meta =
            Metadata { fields: vec![Field { key: "schön=".into(), values: vec!["x".into()] }], ..Metadata::default() };
        let out = vorbis_comment(&meta, "");
        assert_eq!(out.losses[0].field, "schön=");
        assert!(out.bytes.ends_with(b"sch_n_=x"));
        let mut c = Collector::default();
        parse(b"\0\0\0\0\xFF\xFF\xFF\xFF\x03\0\0\0a=b\xFF\xFF\xFF\x7F", &mut c);
        assert_eq!(c.first("a"), Some("b"));
        assert_eq!(format_time(3723.25), "01:02:03.250");
        assert_eq!(parse_time("01:02:03.250"), Some(3723.25));
    }
}
