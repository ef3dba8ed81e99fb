//! RIFF WAVE: LIST INFO, `bext`, `iXML`, `id3 `, cue points with labels; also RIFX, RF64, BW64 and Sony Wave64.
//!
//! Sources: Microsoft Multimedia Programming Interface 1.0 (INFO, cue, adtl), EBU Tech 3285 (bext), EBU Tech 3306 (RF64),
//! Sony Wave64 white paper.

use super::bytes::{Cursor, Input};
use super::collect::Collector;
use super::write::{SerializedChunks, lose, lose_natives};
use super::{Chapter, Metadata, bext, fields, id3v2, text};

/// Most chunks that are looked at.
const MAX_CHUNKS: usize = 8192;
/// Chunks that are kept as bytes and written again. They describe the work, not the samples.
const KEPT: [&[u8; 4]; 6] = [b"cart", b"_PMX", b"axml", b"ubxt", b"link", b"DISP"];
/// Chunks that speak of samples or their use, which processing changes: reported as lost.
const BOUND: [&[u8; 4]; 6] = [b"smpl", b"inst", b"acid", b"chna", b"plst", b"umid"];

struct Reader {
    big_endian: bool,
    rate: u32,
    points: Vec<(u32, u32)>,
    labels: Vec<(u32, String)>,
    lengths: Vec<(u32, u32)>,
    info: Collector,
    id3: Collector,
}

/// Reads all chunks of a RIFF-like file.
pub(super) fn read(input: &mut Input<'_>, c: &mut Collector) {
    let Some(head) = input.array::<16>(0) else { return };
    let mut r = Reader {
        big_endian: head.starts_with(b"RIFX"),
        rate: 0,
        points: Vec::new(),
        labels: Vec::new(),
        lengths: Vec::new(),
        info: Collector::default(),
        id3: Collector::default(),
    };
    let wave64 = head.starts_with(b"riff");
    let (mut at, header, align) = if wave64 { (40, 24, 8) } else { (12, 8, 2) };
    let mut data_size_64 = None;
    for _ in 0..MAX_CHUNKS {
        let Some(head) = input.exact(at, header) else { break };
        let id = [head[0], head[1], head[2], head[3]];
        // A Wave64 chunk has a GUID that begins with the RIFF name, and a size that counts the header.
        let size = if wave64 {
            u64::from_le_bytes(head[16..24].try_into().unwrap_or_default()).saturating_sub(24)
        } else {
            let word = [head[4], head[5], head[6], head[7]];
            u64::from(if r.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
        };
        let body = at + header;
        let size = match (&id, data_size_64) {
            (b"data", Some(long)) if size == 0xFFFF_FFFF => long,
            _ => size,
        };
        if &id == b"ds64" {
            data_size_64 = input.array::<16>(body).map(|d| u64::from_le_bytes(d[8..].try_into().unwrap_or_default()));
        } else if &id == b"data" {
            // A stream that was never finished: nothing follows.
            if !wave64 && size == 0xFFFF_FFFF {
                break;
            }
        } else {
            r.chunk(id, size, input, body, c);
        }
        let Some(next) = body.checked_add(size).and_then(|n| n.checked_next_multiple_of(align)) else { break };
        at = next;
        if at >= input.len {
            break;
        }
    }
    r.finish(c);
}

impl Reader {
    fn chunk(&mut self, id: [u8; 4], size: u64, input: &mut Input<'_>, body: u64, c: &mut Collector) {
        let known =
            matches!(&id, b"fmt " | b"LIST" | b"list" | b"cue " | b"bext" | b"iXML" | b"id3 " | b"ID3 " | b"ID32");
        if !known && !KEPT.contains(&&id) && !BOUND.contains(&&id) {
            return;
        }
        let data = input.up_to(body, size);
        match &id {
            b"fmt " => {
                let b = [1, 2, 3, 4].map(|i| data.get(3 + i).copied().unwrap_or(0));
                self.rate = if self.big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) };
            }
            b"LIST" | b"list" => self.list(&data),
            b"cue " => {
                let mut cur = Cursor::new(&data);
                for _ in 0..self.u32(&mut cur).unwrap_or(0).min(8192) {
                    let (Some(id), Some(_), Some(_)) = (self.u32(&mut cur), cur.take(4), cur.take(12)) else { break };
                    let Some(offset) = self.u32(&mut cur) else { break };
                    self.points.push((id, offset));
                }
            }
            b"bext" => {
                bext::parse(&data, c);
                c.native("bext", &data);
            }
            b"iXML" => c.native("ixml", &data),
            b"id3 " | b"ID3 " | b"ID32" => {
                let mut one = Collector::default();
                id3v2::parse(&data, &mut one);
                self.id3.merge(one.finish());
            }
            _ => c.native(format!("riff:{}", text::latin1(&id)), &data),
        }
    }

    fn u32(&self, cur: &mut Cursor<'_>) -> Option<u32> {
        if self.big_endian { cur.u32_be() } else { cur.u32_le() }
    }

    fn list(&mut self, data: &[u8]) {
        let mut cur = Cursor::new(data);
        let Some(kind) = cur.array::<4>() else { return };
        while let (Some(id), Some(size)) = (cur.array::<4>(), self.u32(&mut cur)) {
            let size = (size as usize).min(cur.left());
            let Some(value) = cur.take(size) else { break };
            if size % 2 == 1 {
                cur.take(1);
            }
            match (&kind, &id) {
                (b"INFO" | b"info", _) => {
                    let name = text::latin1(&id).to_ascii_uppercase();
                    let value = text::fixed(value);
                    match fields::by_info(&name) {
                        Some("track") => self.info.add_pair("track", "track_total", &value),
                        Some(key) => self.info.add(key, value),
                        None => match name.as_str() {
                            "IPRT" | "TRCK" => self.info.add_pair("track", "track_total", &value),
                            "YEAR" => self.info.add("date", value),
                            "IWEB" => self.info.add("url", value),
                            "ICDS" => self.info.add("costume_designer", value),
                            _ => self.info.add(&name, value),
                        },
                    }
                }
                (b"adtl", b"labl") => {
                    let mut v = Cursor::new(value);
                    if let Some(id) = self.u32(&mut v) {
                        self.labels.push((id, text::fixed(v.rest())));
                    }
                }
                (b"adtl", b"ltxt") => {
                    let mut v = Cursor::new(value);
                    if let (Some(id), Some(len)) = (self.u32(&mut v), self.u32(&mut v)) {
                        self.lengths.push((id, len));
                    }
                }
                _ => {}
            }
            if self.labels.len() > 8192 || self.lengths.len() > 8192 {
                break;
            }
        }
    }

    /// ID3 has the highest rank: it holds what INFO cannot.
    fn finish(self, c: &mut Collector) {
        let own = std::mem::take(c);
        c.merge(self.id3.finish());
        c.merge(own.finish());
        c.merge(self.info.finish());
        if self.rate == 0 || c.has_chapters() {
            return;
        }
        let rate = f64::from(self.rate);
        let labels: std::collections::HashMap<u32, &str> =
            self.labels.iter().map(|(id, s)| (*id, s.as_str())).collect();
        let lengths: std::collections::HashMap<u32, u32> = self.lengths.iter().copied().collect();
        for (id, offset) in &self.points {
            let start = f64::from(*offset) / rate;
            let end = lengths.get(id).filter(|n| **n > 0).map(|n| start + f64::from(*n) / rate);
            c.chapter(start, end, labels.get(id).copied().unwrap_or(""));
        }
    }
}

/// Chunks for WAV, RF64 and (with GUIDs made of the same names) W64: LIST INFO, `bext`, `iXML`, and `id3 ` when INFO
/// cannot hold everything. Chapters go to `id3 `; with a rate, [`riff_chunks_at`] adds cue points.
pub fn riff_chunks(meta: &Metadata) -> SerializedChunks {
    riff_chunks_at(meta, None)
}

/// As [`riff_chunks`], with chapters also as `cue ` and labels for a file of `rate_hz` frames per second.
pub fn riff_chunks_at(meta: &Metadata, rate_hz: Option<u32>) -> SerializedChunks {
    let mut out = SerializedChunks::default();
    // The chunk of the source holds its own parts; without one it is built from them.
    let original = meta.native.iter().find(|n| n.kind == "bext").map(|n| n.data.clone());
    let bext = original.or_else(|| bext::build(meta));
    let in_bext =
        |key: &str, values: &[String]| bext.as_ref().is_some_and(|b| bext::is_part(key) && bext::holds(b, key, values));

    let mut info = b"INFO".to_vec();
    let mut rest = Metadata::default();
    for field in &meta.fields {
        if in_bext(&field.key, &field.values) {
            continue;
        }
        let id = fields::by_key(&field.key).map(|d| d.info).filter(|i| !i.is_empty());
        let own = || {
            Some(field.key.as_str())
                .filter(|k| k.len() == 4 && k.starts_with('I') && k.bytes().all(|b| b.is_ascii_uppercase()))
        };
        // What readers turn into pairs or numbers must not pass through text.
        let track_with_total = field.key == "track" && field.values.iter().any(|v| v.contains('/'));
        match id.or_else(own) {
            Some(id) if !track_with_total => {
                let mut value = field.values.join("; ").into_bytes();
                value.push(0);
                push_chunk(&mut info, id.as_bytes(), &value);
                // One value that ends as it was written is fully there; otherwise the ID3 tag has the truth.
                let exact = field.values.len() == 1 && field.values[0].trim_end() == field.values[0];
                if !exact || fields::by_info(id).is_some_and(|k| k != field.key) {
                    rest.fields.push(field.clone());
                }
            }
            _ => rest.fields.push(field.clone()),
        }
    }
    rest.pictures.clone_from(&meta.pictures);
    rest.chapters.clone_from(&meta.chapters);
    rest.native = meta.native.iter().filter(|n| is_id3(&n.kind)).cloned().collect();
    if !(rest.fields.is_empty() && rest.pictures.is_empty() && rest.chapters.is_empty() && rest.native.is_empty()) {
        // Many programs read only this tag when there is one: it must not be a torso.
        rest.fields = meta.fields.iter().filter(|f| !in_bext(&f.key, &f.values)).cloned().collect();
    }
    let tag = id3v2::id3v2(&rest);
    out.losses = tag.losses;
    if info.len() > 4 {
        out.chunks.push((*b"LIST", info));
    }
    out.chunks.extend(bext.map(|b| (*b"bext", b)));
    for item in &meta.native {
        let id = match item.kind.as_str() {
            "ixml" => Some(*b"iXML"),
            kind => kind
                .strip_prefix("riff:")
                .and_then(|k| KEPT.iter().find(|id| k.as_bytes() == id.as_slice()))
                .map(|id| **id),
        };
        out.chunks.extend(id.map(|id| (id, item.data.clone())));
    }
    lose_natives(meta, "WAV", &mut out.losses, |kind| {
        let kept = kind.strip_prefix("riff:").is_some_and(|k| KEPT.iter().any(|id| k.as_bytes() == id.as_slice()));
        matches!(kind, "bext" | "ixml") || kept || is_id3(kind)
    });
    for loss in &mut out.losses {
        if BOUND.iter().any(|id| loss.field.strip_prefix("riff:").is_some_and(|k| k.as_bytes() == id.as_slice())) {
            loss.reason = "describes samples of the source, which are not the same any more".into();
        }
    }
    if !tag.bytes.is_empty() {
        out.chunks.push((*b"id3 ", tag.bytes));
    }
    if let Some(rate) = rate_hz {
        cue_points(&meta.chapters, rate, &mut out);
    }
    out
}

/// True for what an ID3 chunk can hold, or will list as lost.
fn is_id3(kind: &str) -> bool {
    kind.starts_with("id3:") || kind.starts_with("chapter:")
}

fn push_chunk(out: &mut Vec<u8>, id: &[u8], data: &[u8]) {
    out.extend(id);
    out.extend((data.len() as u32).to_le_bytes());
    out.extend(data);
    if data.len() % 2 == 1 {
        out.push(0);
    }
}

fn cue_points(chapters: &[Chapter], rate: u32, out: &mut SerializedChunks) {
    if chapters.is_empty() {
        return;
    }
    let frames = |s: f64| (s * f64::from(rate)).round();
    let kept: Vec<&Chapter> = chapters.iter().filter(|c| frames(c.start_s) <= f64::from(u32::MAX)).collect();
    if kept.len() < chapters.len() {
        lose(&mut out.losses, "chapter", "cue points beyond 2^32 frames are only in the ID3 chunk");
    }
    let mut cue = (kept.len() as u32).to_le_bytes().to_vec();
    let mut adtl = b"adtl".to_vec();
    for (i, chapter) in kept.iter().enumerate() {
        let id = i as u32 + 1;
        let start = frames(chapter.start_s) as u32;
        for word in [id, start, u32::from_le_bytes(*b"data"), 0, 0, start] {
            cue.extend(word.to_le_bytes());
        }
        let label = [&id.to_le_bytes()[..], chapter.title.as_bytes(), &[0]].concat();
        push_chunk(&mut adtl, b"labl", &label);
        if let Some(end) = chapter.end_s {
            let length = (frames(end) - f64::from(start)).clamp(0.0, f64::from(u32::MAX)) as u32;
            let text = [&id.to_le_bytes()[..], &length.to_le_bytes(), b"rgn ", &[0; 8]].concat();
            push_chunk(&mut adtl, b"ltxt", &text);
        }
    }
    out.chunks.push((*b"cue ", cue));
    out.chunks.push((*b"LIST", adtl));
}

#[cfg(test)]
mod tests {
    use super::super::{Field, NativeItem};
    use super::*;
    use crate::formats::Limits;

    fn read_bytes(data: Vec<u8>) -> Metadata {
        let len = data.len() as u64;
        let mut c = Collector::default();
        read(&mut Input::new(&mut std::io::Cursor::new(data), len, &Limits::default()), &mut c);
        c.finish()
    }
    fn chunk(id: &[u8], data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        push_chunk(&mut out, id, data);
        out
    }
    fn fmt() -> Vec<u8> {
        chunk(b"fmt ", &[&[1, 0, 1, 0][..], &1000u32.to_le_bytes(), &[0; 8]].concat())
    }

    #[test]
    fn cue_points_with_labels_and_lengths_are_chapters() {
        let meta = Metadata {
            chapters: vec![
                Chapter { start_s: 0.5, end_s: Some(1.0), title: "Eins".into() },
                Chapter { start_s: 2.0, end_s: None, title: "two".into() },
            ],
            ..Metadata::default()
        };
        let mut body = [&b"WAVE"[..], &fmt()].concat();
        for (id, data) in riff_chunks_at(&meta, Some(1000)).chunks.iter().filter(|(id, _)| id != b"id3 ") {
            body.extend(chunk(id, data));
        }
        assert_eq!(read_bytes([&b"RIFF\0\0\0\0"[..], &body].concat()).chapters, meta.chapters);
    }

    #[test]
    fn tags_after_audio_beyond_4_gib_are_sought_by_ds64() {
        let info = chunk(b"LIST", &[&b"INFO"[..], &chunk(b"INAM", b"Long\0")].concat());
        let ds64 = chunk(b"ds64", &[&[0; 8][..], &6u64.to_le_bytes(), &[0; 12]].concat());
        let data = [&b"data\xFF\xFF\xFF\xFF"[..], &[1; 6]].concat();
        let file = [&b"RF64\xFF\xFF\xFF\xFFWAVE"[..], &ds64, &fmt(), &data, &info].concat();
        assert_eq!(read_bytes(file).fields[0].values, ["Long"]);
    }

    #[test]
    fn big_endian_and_wave64_forms() {
        let list = b"LIST\0\0\0\x10INFOINAM\0\0\0\x04abc\0";
        assert_eq!(read_bytes([&b"RIFX\0\0\0\0WAVE"[..], list].concat()).fields[0].values, ["abc"]);
        let mut w64 = b"riff".to_vec();
        w64.extend([0; 36]);
        w64.extend(b"list");
        w64.extend([0; 12]);
        w64.extend(40u64.to_le_bytes());
        w64.extend(b"INFOINAM\x04\0\0\0abc\0");
        assert_eq!(read_bytes(w64).fields[0].values, ["abc"]);
    }

    #[test]
    fn bext_and_ixml_go_through_unchanged_and_say_no_thing_twice() {
        let mut bext = vec![0u8; 602];
        bext[..4].copy_from_slice(b"Rain");
        let native = |kind: &str, data: &[u8]| NativeItem { kind: kind.into(), data: data.to_vec() };
        let meta = Metadata {
            fields: vec![Field { key: "description".into(), values: vec!["Rain".into()] }],
            native: vec![native("bext", &bext), native("ixml", b"<x/>")],
            ..Metadata::default()
        };
        let out = riff_chunks(&meta);
        assert_eq!(out.chunks, [(*b"bext", bext), (*b"iXML", b"<x/>".to_vec())]);
        assert_eq!(out.losses, []);
    }
}
