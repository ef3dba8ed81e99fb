//! Gathers what readers find into one [`Metadata`], within bounds and each key once.

use std::collections::HashMap;

use super::fields;
use super::{Chapter, Field, Metadata, NativeItem, Picture};

/// Most values of all fields together. Real files have tens.
const MAX_VALUES: usize = 16_384;
/// Most chapters, pictures, native items.
const MAX_ITEMS: usize = 8_192;

/// Metadata being read.
#[derive(Default)]
pub(super) struct Collector {
    meta: Metadata,
    index: HashMap<String, usize>,
    values: usize,
    /// What chapters have besides a title: index of the chapter, and what.
    extras: Vec<(usize, Extra)>,
}

/// Part of a chapter that has no place in [`Chapter`].
enum Extra {
    /// Becomes the field `chapter_url:N`, N from 1.
    Url(String),
    /// An ID3v2 frame; becomes the native item `chapter:N/ID`.
    Frame(String, Vec<u8>),
}

impl Collector {
    /// Adds a value to the field `key` (already canonical). Blank values and repeated ones are dropped.
    pub fn add(&mut self, key: &str, value: impl Into<String>) {
        let mut value: String = value.into();
        value.truncate(value.trim_end_matches('\0').len());
        if value.trim().is_empty() || key.is_empty() || self.values >= MAX_VALUES {
            return;
        }
        if value.contains('\0') {
            // No text format can carry it.
            value = value.replace('\0', " ");
        }
        let at = match self.index.get(key) {
            Some(at) => *at,
            None => {
                let at = self.meta.fields.len();
                self.index.insert(key.to_owned(), at);
                self.meta.fields.push(Field { key: key.to_owned(), values: Vec::new() });
                at
            }
        };
        // Comparing with a few is enough to drop the copies that one tag makes of another's value.
        let values = &mut self.meta.fields[at].values;
        if !values.iter().take(64).any(|v| *v == value) {
            values.push(value);
            self.values += 1;
        }
    }

    /// Adds a value under a free-form name (Vorbis, TXXX, APE, MP4 freeform), which is made canonical when it is known.
    pub fn add_named(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match fields::by_name(name) {
            Some("track") => self.add_pair("track", "track_total", &value),
            Some("disc") => self.add_pair("disc", "disc_total", &value),
            Some(key) => self.add(key, value),
            None => self.add(name, value),
        }
    }

    /// Adds `3/12` as number and total, anything else as number.
    pub fn add_pair(&mut self, number: &str, total: &str, value: &str) {
        match value.split_once('/') {
            Some((n, t)) if (numeric(n) || n.trim().is_empty()) && numeric(t) => {
                // A total of 0 says that it is not known, and so does a number of 0 beside it.
                let no_total = t.trim().bytes().all(|b| b == b'0');
                if !(no_total && n.trim().bytes().all(|b| b == b'0')) {
                    self.add(number, n.trim());
                }
                if !no_total {
                    self.add(total, t.trim());
                }
            }
            _ => self.add(number, value),
        }
    }

    /// True when no field was found.
    pub fn is_empty(&self) -> bool {
        self.meta.fields.is_empty()
    }

    /// True when `key` has no value yet.
    pub fn is_missing(&self, key: &str) -> bool {
        !self.index.contains_key(key)
    }

    /// First value of `key`.
    pub fn first(&self, key: &str) -> Option<&str> {
        self.index.get(key).and_then(|at| self.meta.fields[*at].values.first()).map(String::as_str)
    }

    /// Adds a picture, unless the same bytes are there already with the same kind.
    pub fn picture(&mut self, picture: Picture) {
        let same = |p: &Picture| p.kind == picture.kind && p.data == picture.data;
        if !picture.data.is_empty() && self.meta.pictures.len() < MAX_ITEMS && !self.meta.pictures.iter().any(same) {
            self.meta.pictures.push(picture);
        }
    }

    /// Adds a chapter with a sensible start.
    pub fn chapter(&mut self, start_s: f64, end_s: Option<f64>, title: impl Into<String>) {
        // 1e9 s is 30 years: beyond it a time is damage.
        if (0.0..=1e9).contains(&start_s) && self.meta.chapters.len() < MAX_ITEMS {
            let end_s = end_s.filter(|e| *e >= start_s && *e <= 1e9);
            let mut title: String = title.into();
            title.truncate(title.trim_end_matches('\0').len());
            self.meta.chapters.push(Chapter { start_s, end_s, title: title.replace('\0', " ") });
        }
    }

    /// Adds a link to the chapter added last.
    pub fn chapter_url(&mut self, url: impl Into<String>) {
        self.extra(Extra::Url(url.into()));
    }

    /// Adds an ID3v2 frame to the chapter added last.
    pub fn chapter_frame(&mut self, id: &str, body: &[u8]) {
        self.extra(Extra::Frame(id.to_owned(), body.to_vec()));
    }

    fn extra(&mut self, extra: Extra) {
        if let Some(at) = self.meta.chapters.len().checked_sub(1)
            && self.extras.len() < MAX_ITEMS
        {
            self.extras.push((at, extra));
        }
    }

    /// True when chapters were found.
    pub fn has_chapters(&self) -> bool {
        !self.meta.chapters.is_empty()
    }

    /// Keeps a block as bytes.
    pub fn native(&mut self, kind: impl Into<String>, data: &[u8]) {
        let kind = kind.into();
        let same = |n: &NativeItem| n.kind == kind && n.data == data;
        if self.meta.native.len() < MAX_ITEMS && !self.meta.native.iter().any(same) {
            self.meta.native.push(NativeItem { kind, data: data.to_vec() });
        }
    }

    /// Fills what is missing from a tag of lower rank: whole fields; pictures and chapters when there are none.
    pub fn merge(&mut self, lower: Metadata) {
        let has_chapters = self.has_chapters();
        for field in lower.fields {
            let of_chapter = field.key.starts_with("chapter_url:");
            if self.is_missing(&field.key) && !(has_chapters && of_chapter) {
                for value in field.values {
                    self.add(&field.key, value);
                }
            }
        }
        for picture in lower.pictures {
            let same_kind = |p: &Picture| p.data == picture.data;
            if !self.meta.pictures.iter().any(same_kind) {
                self.picture(picture);
            }
        }
        if !self.has_chapters() {
            self.meta.chapters = lower.chapters;
        }
        for item in lower.native.into_iter().filter(|n| !(has_chapters && n.kind.starts_with("chapter:"))) {
            self.native(item.kind, &item.data);
        }
    }

    /// The result, chapters by start time.
    pub fn finish(mut self) -> Metadata {
        let mut order: Vec<usize> = (0..self.meta.chapters.len()).collect();
        order.sort_by(|a, b| self.meta.chapters[*a].start_s.total_cmp(&self.meta.chapters[*b].start_s));
        let mut number = vec![0; order.len()];
        order.iter().enumerate().for_each(|(new, old)| number[*old] = new + 1);
        self.meta.chapters = order.iter().map(|old| self.meta.chapters[*old].clone()).collect();
        for (chapter, extra) in std::mem::take(&mut self.extras) {
            // Extras of chapters that a merge replaced have no number.
            let Some(n) = number.get(chapter) else { continue };
            match extra {
                Extra::Url(url) => self.add(&format!("chapter_url:{n}"), url),
                Extra::Frame(id, data) => self.native(format!("chapter:{n}/{id}"), &data),
            }
        }
        self.meta
    }
}

fn numeric(s: &str) -> bool {
    let s = s.trim();
    !s.is_empty() && s.len() <= 10 && s.bytes().all(|b| b.is_ascii_digit())
}

/// Media type of a picture by its first bytes.
pub(super) fn sniff_mime(data: &[u8]) -> &'static str {
    match data {
        [0xFF, 0xD8, 0xFF, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'B', b'M', ..] => "image/bmp",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => "image/tiff",
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', b'f', ..] => "image/avif",
        _ => "application/octet-stream",
    }
}

/// A media type as written in tags, in its usual form; found by content when it says nothing.
pub(super) fn normal_mime(stated: &str, data: &[u8]) -> String {
    let lower = stated.trim_matches(['\0', ' ']).to_ascii_lowercase();
    match lower.as_str() {
        "-->" => "-->".to_owned(),
        "" | "image/" | "image" | "application/octet-stream" => sniff_mime(data).to_owned(),
        "jpg" | "jpeg" | "image/jpg" => "image/jpeg".to_owned(),
        "png" => "image/png".to_owned(),
        "gif" => "image/gif".to_owned(),
        "bmp" => "image/bmp".to_owned(),
        _ => lower,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_collect_under_one_key_and_pairs_split() {
        let mut c = Collector::default();
        c.add_named("ARTIST", "A");
        c.add_named("artist", "B");
        c.add_named("Artist", "A");
        c.add_named("TRACKNUMBER", "03/12");
        c.add_named("discnumber", "A1");
        c.add_named("My Own", "x\0\0");
        c.add("empty", "\0");
        let m = c.finish();
        let get = |k: &str| m.fields.iter().find(|f| f.key == k).map(|f| f.values.join("|"));
        assert_eq!(get("artist").as_deref(), Some("A|B"));
        assert_eq!(get("track").as_deref(), Some("03"));
        assert_eq!(get("track_total").as_deref(), Some("12"));
        assert_eq!(get("disc").as_deref(), Some("A1"));
        assert_eq!(get("My Own").as_deref(), Some("x"));
        assert_eq!(get("empty"), None);
    }
}
