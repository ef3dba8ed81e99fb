//! Matroska and WebM: Tags, Chapters, Attachments (RFC 9559), on a small EBML reader.

use super::bytes::{Cursor, Input};
use super::collect::{Collector, normal_mime};
use super::{Picture, text};

const SEGMENT: u32 = 0x1853_8067;
const SEEK_HEAD: u32 = 0x114D_9B74;
const INFO: u32 = 0x1549_A966;
const TAGS: u32 = 0x1254_C367;
const CHAPTERS: u32 = 0x1043_A770;
const ATTACHMENTS: u32 = 0x1941_A469;

/// Most top-level elements; an hour has some thousand clusters.
const MAX_ELEMENTS: usize = 500_000;
/// Deepest nesting of chapters and simple tags that is followed.
const MAX_DEPTH: usize = 4;

/// Length of the first byte's number, and the number, with or without its marker bit.
fn vint(cur: &mut Cursor<'_>, keep_marker: bool) -> Option<u64> {
    let first = cur.u8()?;
    let extra = first.leading_zeros();
    if extra > 7 {
        return None;
    }
    let mut value = if keep_marker { u64::from(first) } else { u64::from(first) & ((1u64 << (7 - extra)) - 1) };
    let mut ones = value == (1 << (7 - extra)) - 1;
    for _ in 0..extra {
        let b = cur.u8()?;
        ones &= b == 0xFF;
        value = (value << 8) | u64::from(b);
    }
    // All ones: unknown size.
    if ones && !keep_marker { Some(u64::MAX) } else { Some(value) }
}

/// Id, size (`u64::MAX` when unknown) and length of an element header in the file.
fn header(input: &mut Input<'_>, at: u64) -> Option<(u32, u64, u64)> {
    let head = input.up_to(at, 12);
    let mut cur = Cursor::new(&head);
    let id = u32::try_from(vint(&mut cur, true)?).ok()?;
    let size = vint(&mut cur, false)?;
    Some((id, size, (head.len() - cur.left()) as u64))
}

/// Child elements in memory: id and content.
fn elements(data: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut cur = Cursor::new(data);
    std::iter::from_fn(move || {
        let id = u32::try_from(vint(&mut cur, true)?).ok()?;
        let size = vint(&mut cur, false)?;
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(cur.left());
        Some((id, cur.take(size)?))
    })
}

fn unsigned(data: &[u8]) -> u64 {
    data.iter().take(8).fold(0, |v, b| (v << 8) | u64::from(*b))
}

/// Text, padded with NUL.
fn string(data: &[u8]) -> String {
    text::utf8(data.split(|b| *b == 0).next().unwrap_or(&[]))
}

#[derive(Default)]
struct Found {
    /// Level (30 track, 50 album, 0 not stated), name, value.
    tags: Vec<(u64, String, String)>,
    title: String,
    app: String,
}

/// Reads a whole file.
pub(super) fn read(input: &mut Input<'_>, c: &mut Collector) {
    let mut at = 0;
    let mut found = Found::default();
    // EBML header first, then the segment.
    for _ in 0..16 {
        let Some((id, size, head)) = header(input, at) else { break };
        if id == SEGMENT {
            let end = at.saturating_add(head).saturating_add(size).min(input.len);
            segment(input, at + head, end, &mut found, c);
            break;
        }
        at = at.saturating_add(head).saturating_add(size);
    }
    finish(found, c);
}

fn segment(input: &mut Input<'_>, start: u64, end: u64, found: &mut Found, c: &mut Collector) {
    let mut at = start;
    let mut seeks: Vec<u64> = Vec::new();
    let mut done: Vec<u64> = Vec::new();
    for _ in 0..MAX_ELEMENTS {
        let Some((id, size, head)) = header(input, at).filter(|_| at < end) else { break };
        if size == u64::MAX {
            break; // a live stream's cluster: the index says where the rest is
        }
        if id == SEEK_HEAD {
            seeks.extend(seek_positions(&input.up_to(at + head, size)));
        }
        if element(input, id, at + head, size, found, c) {
            done.push(at);
        }
        let Some(next) = at.checked_add(head).and_then(|n| n.checked_add(size)) else { break };
        at = next;
    }
    for position in seeks.into_iter().take(64) {
        let Some(target) = start.checked_add(position).filter(|t| *t >= at && !done.contains(t)) else { continue };
        if let Some((id, size, head)) = header(input, target)
            && element(input, id, target + head, size.min(input.len), found, c)
        {
            done.push(target);
        }
    }
}

/// Positions of Tags, Chapters and Attachments, relative to the segment.
fn seek_positions(data: &[u8]) -> Vec<u64> {
    let mut out = Vec::new();
    for (_, seek) in elements(data).filter(|(id, _)| *id == 0x4DBB) {
        let mut target = (0, None);
        for (id, value) in elements(seek) {
            match id {
                0x53AB => target.0 = unsigned(value) as u32,
                0x53AC => target.1 = Some(unsigned(value)),
                _ => {}
            }
        }
        if let (TAGS | CHAPTERS | ATTACHMENTS, Some(position)) = target {
            out.push(position);
        }
    }
    out
}

fn element(input: &mut Input<'_>, id: u32, at: u64, size: u64, found: &mut Found, c: &mut Collector) -> bool {
    if !matches!(id, INFO | TAGS | CHAPTERS | ATTACHMENTS) {
        return false;
    }
    let data = input.up_to(at, size);
    match id {
        INFO => {
            for (id, value) in elements(&data) {
                match id {
                    0x7BA9 => found.title = string(value),
                    0x5741 => found.app = string(value),
                    _ => {}
                }
            }
        }
        TAGS => elements(&data).filter(|(id, _)| *id == 0x7373).for_each(|(_, tag)| one_tag(tag, found, c)),
        CHAPTERS => {
            for (_, edition) in elements(&data).filter(|(id, _)| *id == 0x45B9) {
                // A second edition tells the same time in another way.
                if !c.has_chapters() {
                    elements(edition).filter(|(id, _)| *id == 0xB6).for_each(|(_, atom)| chapter(atom, 0, c));
                }
            }
        }
        _ => elements(&data).filter(|(id, _)| *id == 0x61A7).for_each(|(_, file)| attachment(file, c)),
    }
    true
}

fn one_tag(tag: &[u8], found: &mut Found, c: &mut Collector) {
    let (mut level, mut of_chapter) = (0, false);
    for (_, targets) in elements(tag).filter(|(id, _)| *id == 0x63C0) {
        for (id, value) in elements(targets) {
            match id {
                0x68CA => level = unsigned(value),
                0x63C4 => of_chapter |= unsigned(value) != 0,
                _ => {}
            }
        }
    }
    for (_, simple) in elements(tag).filter(|(id, _)| *id == 0x67C8) {
        if of_chapter {
            c.native("matroska:chapter_tag", simple);
        } else {
            simple_tag(simple, level, "", 0, found, c);
        }
    }
}

fn simple_tag(simple: &[u8], level: u64, prefix: &str, depth: usize, found: &mut Found, c: &mut Collector) {
    let mut name = String::new();
    for (id, value) in elements(simple) {
        match id {
            0x45A3 => name = format!("{prefix}{}", string(value)),
            0x4487 if found.tags.len() < 16_384 => found.tags.push((level, name.clone(), string(value))),
            0x4485 => c.native(format!("matroska:{name}"), value),
            0x67C8 if depth < MAX_DEPTH => simple_tag(value, level, &format!("{name}/"), depth + 1, found, c),
            _ => {}
        }
    }
}

fn chapter(atom: &[u8], depth: usize, c: &mut Collector) {
    let (mut start, mut end, mut title) = (None, None, None);
    for (id, value) in elements(atom) {
        match id {
            0x91 => start = Some(unsigned(value) as f64 / 1e9),
            0x92 => end = Some(unsigned(value) as f64 / 1e9),
            0x80 if title.is_none() => title = elements(value).find(|(id, _)| *id == 0x85).map(|(_, s)| string(s)),
            _ => {}
        }
    }
    if let Some(start) = start {
        c.chapter(start, end, title.unwrap_or_default());
    }
    if depth < MAX_DEPTH {
        elements(atom).filter(|(id, _)| *id == 0xB6).for_each(|(_, inner)| chapter(inner, depth + 1, c));
    }
}

fn attachment(file: &[u8], c: &mut Collector) {
    let (mut name, mut mime, mut description, mut data) = (String::new(), String::new(), String::new(), &[][..]);
    for (id, value) in elements(file) {
        match id {
            0x466E => name = string(value),
            0x4660 => mime = string(value),
            0x467E => description = string(value),
            0x465C => data = value,
            _ => {}
        }
    }
    let mime = normal_mime(&mime, data);
    if !mime.starts_with("image/") {
        return c.native("matroska:attachment", data);
    }
    // The specification reserves the names cover.* and small_cover.*.
    let kind = if name.to_ascii_lowercase().contains("cover") { 3 } else { 0 };
    c.picture(Picture { kind, mime, description, data: data.to_vec() });
}

/// Gives the tags their keys. At level 50 a TITLE is the album's; unless no tag is about a track, for then the file as a
/// whole is meant.
fn finish(found: Found, c: &mut Collector) {
    let has_track_level = found.tags.iter().any(|(level, ..)| *level == 30);
    for (level, name, value) in found.tags {
        let upper = name.to_ascii_uppercase();
        // Statistics that muxers compute.
        if upper.starts_with("_STATISTICS")
            || matches!(upper.as_str(), "BPS" | "DURATION" | "NUMBER_OF_FRAMES" | "NUMBER_OF_BYTES")
        {
            continue;
        }
        if level == 50 && has_track_level {
            match upper.as_str() {
                "TITLE" => c.add("album", value),
                "ARTIST" => c.add("album_artist", value),
                "TOTAL_PARTS" => c.add("track_total", value),
                "PART_NUMBER" => c.add_pair("disc", "disc_total", &value),
                "SORT_WITH" => c.add("album_sort", value),
                _ => c.add_named(&name, value),
            }
        } else {
            c.add_named(&name, value);
        }
    }
    for (key, value) in [("title", found.title), ("encoder", found.app)] {
        if c.is_missing(key) {
            c.add(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Limits;

    fn el(id: u32, body: &[u8]) -> Vec<u8> {
        let id: Vec<u8> = id.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect();
        let size = (body.len() as u32 | 0x1000_0000).to_be_bytes();
        [&id[..], &size, body].concat()
    }

    #[test]
    fn levels_chapters_and_an_unknown_cluster_size() {
        let simple =
            |name: &str, value: &str| el(0x67C8, &[el(0x45A3, name.as_bytes()), el(0x4487, value.as_bytes())].concat());
        let tag = |level: u8, simples: Vec<u8>| el(0x7373, &[el(0x63C0, &el(0x68CA, &[level])), simples].concat());
        let tags = el(TAGS, &[tag(50, simple("TITLE", "Album")), tag(30, simple("TITLE", "Song"))].concat());
        let atom = el(0xB6, &[el(0x91, &1_500_000_000u64.to_be_bytes()), el(0x80, &el(0x85, b"One"))].concat());
        let chapters = el(CHAPTERS, &el(0x45B9, &atom));
        // Seek head, a cluster of unknown size, then the tags that only the seek head finds.
        let cluster =
            [&0x1F43_B675u32.to_be_bytes()[..], &[0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], &[1, 2, 3]].concat();
        let seek = |p: u64| {
            el(SEEK_HEAD, &el(0x4DBB, &[el(0x53AB, &TAGS.to_be_bytes()), el(0x53AC, &p.to_be_bytes())].concat()))
        };
        let position = (seek(0).len() + chapters.len() + cluster.len()) as u64;
        let body = [seek(position), chapters, cluster, tags].concat();
        let file = [el(0x1A45_DFA3, &[]), el(SEGMENT, &body)].concat();
        let len = file.len() as u64;
        let mut c = Collector::default();
        read(&mut Input::new(&mut std::io::Cursor::new(file), len, &Limits::default()), &mut c);
        assert_eq!((c.first("album"), c.first("title")), (Some("Album"), Some("Song")));
        let m = c.finish();
        assert_eq!((m.chapters[0].start_s, m.chapters[0].title.as_str()), (1.5, "One"));
    }
}
