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
}

impl Collector {
    /// Adds a value to the field `key` (already canonical). Empty values and repeated ones are dropped.
    pub fn add(&mut self, key: &str, value: impl Into<String>) {
        let mut value: String = value.into();
        value.truncate(value.trim_end_matches('\0').len());
        if value.is_empty() || key.is_empty() || self.values >= MAX_VALUES {
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
        let value = value.trim();
        match value.split_once('/') {
            Some((n, t)) if numeric(n) && numeric(t) => {
                self.add(number, n.trim());
                self.add(total, t.trim());
            }
            _ => self.add(number, value),
        }
    }

    /// Replaces nothing: true when `key` has no value yet.
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
        let had_comment = !self.is_missing("comment");
        for field in lower.fields {
            if self.is_missing(&field.key) && !(had_comment && field.key == "comment") {
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
        for item in lower.native {
            self.native(item.kind, &item.data);
        }
    }

    /// The result, chapters by start time.
    pub fn finish(mut self) -> Metadata {
        self.meta.chapters.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
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
