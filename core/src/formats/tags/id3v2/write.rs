//! Writing ID3v2.4: UTF-8, several values separated by NUL.

use std::collections::BTreeMap;

use super::super::vorbis::chapter_number;
use super::super::write::{Serialized, lose, lose_natives};
use super::super::{Chapter, Field, Loss, Metadata, Picture, fields};

/// Largest body of a frame, and of the tag: sizes have 28 bits.
const MAX_BODY: usize = (1 << 28) - 1;

/// Text frames without a canonical name that may be written under their own.
const OTHER_TEXT: &[&str] = &["TDLY", "TSIZ", "TRDA", "TCOP", "TSSE", "TFLT"];

/// The complete tag: `TXXX` for free-form names, `COMM`, `USLT`, `APIC` of every kind, `CHAP` with `CTOC`, and the
/// frames that were kept as bytes. Empty metadata gives no bytes.
///
/// Source: ID3 tag version 2.4.0, ID3v2 Chapter Frame Addendum 1.0.
pub fn id3v2(meta: &Metadata) -> Serialized {
    let mut w = Writer::default();
    for field in &meta.fields {
        w.field(field, meta);
    }
    w.finish_people();
    for picture in &meta.pictures {
        w.picture(picture);
    }
    w.chapters(meta);
    let in_chapter = |kind: &str| chapter_frame(kind).is_some_and(|(n, _)| n <= meta.chapters.len());
    lose_natives(meta, "ID3v2", &mut w.losses, |kind| is_frame(kind) || in_chapter(kind));
    for item in meta.native.iter().filter(|n| is_frame(&n.kind)) {
        w.frame(&item.kind[4..], &item.data, &item.kind);
    }
    let mut bytes = Vec::new();
    if !w.frames.is_empty() {
        bytes.extend(b"ID3\x04\0\0");
        bytes.extend(syncsafe(w.frames.len()));
        bytes.extend(&w.frames);
    }
    Serialized { bytes, losses: w.losses }
}

/// True for the kind of a native item that is a whole frame, such as `id3:PRIV`.
fn is_frame(kind: &str) -> bool {
    kind.strip_prefix("id3:")
        .is_some_and(|id| id.len() == 4 && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()))
}

/// Chapter number from 1 and frame of a native item such as `chapter:3/APIC`.
fn chapter_frame(kind: &str) -> Option<(usize, &str)> {
    let (number, id) = kind.strip_prefix("chapter:")?.split_once('/')?;
    let number = number.parse().ok().filter(|n| *n > 0)?;
    is_frame(&format!("id3:{id}")).then_some((number, id))
}

fn push_frame(out: &mut Vec<u8>, id: &str, body: &[u8]) {
    out.extend(id.bytes());
    out.extend(syncsafe(body.len()));
    out.extend([0, 0]);
    out.extend(body);
}

fn syncsafe(n: usize) -> [u8; 4] {
    [(n >> 21) as u8 & 0x7F, (n >> 14) as u8 & 0x7F, (n >> 7) as u8 & 0x7F, n as u8 & 0x7F]
}

#[derive(Default)]
struct Writer {
    frames: Vec<u8>,
    losses: Vec<Loss>,
    /// Roles and names for `TIPL` and `TMCL`.
    people: BTreeMap<&'static str, Vec<u8>>,
}

impl Writer {
    fn frame(&mut self, id: &str, body: &[u8], field: &str) {
        if self.frames.len() + body.len() + 10 > MAX_BODY {
            return lose(&mut self.losses, field, "larger than an ID3v2 tag can be (256 MiB)");
        }
        push_frame(&mut self.frames, id, body);
    }

    fn text(&mut self, id: &str, values: &[String], field: &str) {
        let mut body = vec![3];
        body.extend(values.join("\0").bytes());
        self.frame(id, &body, field);
    }

    fn user_text(&mut self, name: &str, values: &[String], field: &str) {
        let mut body = vec![3];
        body.extend(name.bytes());
        body.push(0);
        body.extend(values.join("\0").bytes());
        self.frame("TXXX", &body, field);
    }

    fn field(&mut self, field: &Field, meta: &Metadata) {
        let (key, values) = (field.key.as_str(), &field.values[..]);
        let Some(def) = fields::by_key(key) else { return self.unknown(key, values, meta) };
        match def.id3 {
            "COMM" | "USLT" => self.language_text(def.id3, key, "", values, meta),
            "TRCK" | "TPOS" | "MVIN" => self.pair(def.id3, key, values, meta),
            "TCON" => self.genres(values),
            "PCST" if values == ["1"] => self.frame("PCST", &[0; 4], key),
            "PCST" => self.user_text(def.vorbis, values, key),
            "WXXX" => self.user_urls("", values, key),
            "WFED" => self.text("WFED", values, key),
            id if id.starts_with('W') => {
                if values.iter().all(|v| v.is_ascii()) {
                    values.iter().for_each(|v| self.frame(id, v.as_bytes(), key));
                } else {
                    self.user_text(def.vorbis, values, key);
                }
            }
            id => match id.split_once(':') {
                Some(("TXXX", name)) => self.user_text(name, values, key),
                Some(("UFID", owner)) => self.unique_id(owner, def.vorbis, values, key),
                Some((_, role)) => self.person("TIPL", role, values),
                None => self.text(id, values, key),
            },
        }
    }

    /// Names outside the table: `comment:x`, `url:x`, `performer:x`, frame ids, everything else.
    fn unknown(&mut self, key: &str, values: &[String], meta: &Metadata) {
        match key.split_once(':') {
            Some(("comment", description)) => self.language_text("COMM", "comment", description, values, meta),
            Some(("lyrics", description)) => self.language_text("USLT", "lyrics", description, values, meta),
            Some(("url", description)) => self.user_urls(description, values, key),
            Some(("performer", role)) => self.person("TMCL", role, values),
            _ if chapter_number(key).is_some_and(|n| n <= meta.chapters.len()) => {} // written with the chapter
            _ if OTHER_TEXT.contains(&key) => self.text(key, values, key),
            _ => self.user_text(key, values, key),
        }
    }

    fn language_text(&mut self, id: &str, key: &str, description: &str, values: &[String], meta: &Metadata) {
        let language = meta.fields.iter().find(|f| f.key == format!("{key}_language")).and_then(|f| f.values.first());
        let language = match language {
            Some(l) if description.is_empty() && l.len() == 3 && l.is_ascii() => l.as_str(),
            _ => "eng",
        };
        let mut body = vec![3];
        body.extend(language.bytes());
        body.extend(description.bytes());
        body.push(0);
        body.extend(values.join("\0").bytes());
        self.frame(id, &body, key);
    }

    /// Number and total share a frame, written with the number or, without one, with the total.
    fn pair(&mut self, id: &str, key: &str, values: &[String], meta: &Metadata) {
        let find = |k: &str| meta.fields.iter().find(|f| f.key == k);
        let base = key.trim_end_matches("_total").trim_end_matches("_number");
        let number = find(base).or_else(|| find(&format!("{base}_number")));
        if let Some(number_key) = number.map(|f| f.key.as_str()).filter(|k| *k != key) {
            // This is the total; the number's frame holds it when both are plain numbers.
            let plain = |k: &str| find(k).is_some_and(|f| f.values.len() == 1 && is_number(&f.values[0]));
            if !(plain(number_key) && plain(key)) {
                let name = fields::by_key(key).map_or(key, |d| d.vorbis);
                self.user_text(name, values, key);
            }
            return;
        }
        if key.ends_with("_total") {
            let name = fields::by_key(key).map_or(key, |d| d.vorbis);
            return self.user_text(name, values, key);
        }
        let total = find(&format!("{base}_total")).filter(|t| t.values.len() == 1 && is_number(&t.values[0]));
        match total {
            Some(total) if values.len() == 1 && is_number(&values[0]) => {
                self.text(id, &[format!("{}/{}", values[0], total.values[0])], key);
            }
            _ if values.len() == 1 => self.text(id, values, key),
            _ => {
                self.text(id, &values[..1], key);
                let name = fields::by_key(key).map_or(key, |d| d.vorbis);
                self.user_text(name, &values[1..], key);
            }
        }
    }

    fn genres(&mut self, values: &[String]) {
        // A bare number or a leading parenthesis means a numbered genre in `TCON`.
        let is_plain = |v: &String| super::super::genres::parse_tcon(v) == [v.clone()];
        let (plain, odd): (Vec<String>, Vec<String>) = values.iter().cloned().partition(is_plain);
        if !plain.is_empty() {
            self.text("TCON", &plain, "genre");
        }
        if !odd.is_empty() {
            self.user_text("GENRE", &odd, "genre");
        }
    }

    fn user_urls(&mut self, description: &str, values: &[String], key: &str) {
        for value in values {
            let mut body = vec![3];
            body.extend(description.bytes());
            body.push(0);
            body.extend(value.bytes());
            self.frame("WXXX", &body, key);
        }
    }

    fn unique_id(&mut self, owner: &str, name: &str, values: &[String], key: &str) {
        // 64 bytes is the limit of the identifier; one frame per owner.
        if let [id] = values
            && id.len() <= 64
        {
            let body = [owner.as_bytes(), &[0], id.as_bytes()].concat();
            return self.frame("UFID", &body, key);
        }
        self.user_text(name, values, key);
    }

    fn person(&mut self, frame: &'static str, role: &str, values: &[String]) {
        let list = self.people.entry(frame).or_insert_with(|| vec![3]);
        for value in values {
            list.extend(role.bytes());
            list.push(0);
            list.extend(value.bytes());
            list.push(0);
        }
    }

    fn finish_people(&mut self) {
        for (id, body) in std::mem::take(&mut self.people) {
            self.frame(id, &body[..body.len() - 1], "performer");
        }
    }

    fn picture(&mut self, picture: &Picture) {
        let mut body = vec![3];
        body.extend(picture.mime.bytes().filter(|b| *b != 0));
        body.extend([0, picture.kind]);
        body.extend(picture.description.bytes().filter(|b| *b != 0));
        body.push(0);
        body.extend(&picture.data);
        self.frame("APIC", &body, "picture");
    }

    fn chapters(&mut self, meta: &Metadata) {
        let chapters = &meta.chapters[..];
        let ms = |s: f64| (s * 1000.0).round();
        // All ones is kept for "not stated".
        let fits = |c: &&Chapter| (0.0..4_294_967_295.0).contains(&ms(c.start_s));
        // The starts ascend, so the numbers of the kept ones are those of all.
        let kept: Vec<&Chapter> = chapters.iter().take_while(fits).collect();
        if kept.len() < chapters.len() {
            lose(&mut self.losses, "chapter", "start beyond what milliseconds in 32 bits can say (49 days)");
        }
        // A table of contents lists up to 255 entries: longer ones are cut into several, under one top level.
        for (i, chapter) in kept.iter().enumerate() {
            let end = chapter.end_s.or_else(|| kept.get(i + 1).map(|next| next.start_s));
            let end = end.map_or(u32::MAX, |e| ms(e).clamp(0.0, 4_294_967_295.0) as u32);
            let mut body = format!("chp{i}\0").into_bytes();
            body.extend((ms(chapter.start_s) as u32).to_be_bytes());
            body.extend(end.to_be_bytes());
            body.extend([0xFF; 8]);
            if !chapter.title.is_empty() {
                let title = [b"\x03".as_slice(), chapter.title.as_bytes()].concat();
                push_frame(&mut body, "TIT2", &title);
            }
            for url in meta.fields.iter().filter(|f| chapter_number(&f.key) == Some(i + 1)).flat_map(|f| &f.values) {
                push_frame(&mut body, "WXXX", &[b"\x03chapter url\0", url.as_bytes()].concat());
            }
            for item in &meta.native {
                if let Some((_, id)) = chapter_frame(&item.kind).filter(|(n, _)| *n == i + 1) {
                    push_frame(&mut body, id, &item.data);
                }
            }
            self.frame("CHAP", &body, "chapter");
        }
        let parts = kept.len().div_ceil(255);
        for part in 0..parts {
            let range = part * 255..(part * 255 + 255).min(kept.len());
            let mut body = format!("toc{part}\0").into_bytes();
            // Top level (only the first may be), ordered.
            body.extend([if part == 0 { 3 } else { 1 }, range.len() as u8]);
            range.for_each(|i| body.extend(format!("chp{i}\0").bytes()));
            self.frame("CTOC", &body, "chapter");
        }
    }
}

fn is_number(s: &str) -> bool {
    !s.is_empty() && s.len() <= 10 && s.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::super::collect::Collector;
    use super::*;

    fn field(key: &str, values: &[&str]) -> Field {
        Field { key: key.into(), values: values.iter().map(|v| (*v).to_owned()).collect() }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let meta = Metadata {
            fields: vec![
                field("title", &["Größe"]),
                field("artist", &["A", "B"]),
                field("track", &["3"]),
                field("track_total", &["12"]),
                field("disc_total", &["2"]),
                field("genre", &["Rock", "17", "(odd"]),
                field("comment", &["first", "second"]),
                field("comment_language", &["deu"]),
                field("comment:iTunNORM", &["0"]),
                field("producer", &["P"]),
                field("performer:guitar", &["G", "H"]),
                field("musicbrainz_track_id", &["abc"]),
                field("podcast", &["1"]),
                field("podcast_url", &["http://x"]),
                field("url_artist", &["http://a"]),
                field("url:blog", &["http://b"]),
                field("My Own Name", &["1", "2"]),
            ],
            chapters: (0..300)
                .map(|i| Chapter { start_s: f64::from(i), end_s: Some(f64::from(i) + 0.5), title: format!("c{i}") })
                .collect(),
            ..Metadata::default()
        };
        let out = id3v2(&meta);
        assert_eq!(out.losses, []);
        let mut c = Collector::default();
        super::super::parse(&out.bytes, &mut c);
        let back = c.finish();
        for f in &meta.fields {
            let mut got = back.fields.iter().find(|b| b.key == f.key).map(|b| b.values.clone()).unwrap_or_default();
            let mut want = f.values.clone();
            got.sort();
            want.sort();
            assert_eq!(got, want, "{}", f.key);
        }
        assert_eq!(back.chapters, meta.chapters);
    }
}
