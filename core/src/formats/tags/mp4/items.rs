//! The items of an `ilst`, and QuickTime's text items.

use super::super::bytes::Cursor;
use super::super::collect::{Collector, normal_mime};
use super::super::{Picture, fields, genres, text};

/// A box inside an item that is in memory.
fn boxes(data: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut cur = Cursor::new(data);
    std::iter::from_fn(move || {
        let size = cur.u32_be()? as usize;
        let kind = cur.take(4)?;
        let body = cur.take(size.checked_sub(8)?.min(cur.left()))?;
        Some((kind, body))
    })
}

/// The values of an item: type code and bytes of each `data` box.
fn values(data: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    boxes(data).filter(|(kind, _)| *kind == b"data").filter_map(|(_, body)| {
        let mut cur = Cursor::new(body);
        let code = cur.u32_be()? & 0x00FF_FFFF;
        cur.u32_be()?; // locale
        Some((code, cur.rest()))
    })
}

fn as_text(code: u32, value: &[u8]) -> String {
    match code {
        2 => text::utf16(value, true),
        _ => text::utf8_or_latin1(value),
    }
}

/// Big-endian integer of 1, 2, 3, 4 or 8 bytes.
fn integer(value: &[u8]) -> Option<i64> {
    let first = *value.first()?;
    if value.len() > 8 {
        return None;
    }
    let sign = if first >= 0x80 { -1 } else { 0 };
    Some(value.iter().fold(sign, |v, b| (v << 8) | i64::from(*b)))
}

/// Reads one item.
pub(super) fn item(kind: [u8; 4], data: &[u8], keys: Option<&[String]>, c: &mut Collector) {
    let atom = text::latin1(&kind);
    match &kind {
        b"----" => return freeform(data, c),
        b"covr" => return covers(data, c),
        b"trkn" => return pair(data, "track", "track_total", c),
        b"disk" => return pair(data, "disc", "disc_total", c),
        b"gnre" => {
            for (_, value) in values(data) {
                // ID3v1 numbers, plus one.
                let number = integer(value).and_then(|n| usize::try_from(n - 1).ok());
                if let Some(genre) = number.and_then(genres::name) {
                    c.add("genre", genre);
                }
            }
            return;
        }
        _ => {}
    }
    // With a `keys` box the type is an index from 1.
    if let Some(name) = keys.and_then(|k| k.get((u32::from_be_bytes(kind) as usize).checked_sub(1)?)) {
        let short = name.strip_prefix("com.apple.quicktime.").unwrap_or(name);
        for (code, value) in values(data) {
            match code {
                13 | 14 | 27 => c.picture(cover(value)),
                _ if short == "software" => c.add("encoder", as_text(code, value)),
                _ if short == "creationdate" => c.add("date", as_text(code, value)),
                _ => add_value(fields::by_name(short).unwrap_or(name), code, value, c),
            }
        }
        return;
    }
    let key = match &kind {
        [0xA9, b's', b'w', b'r'] => "encoder",
        [0xA9, b'p', b'u', b'b'] => "publisher",
        [0xA9, b'c', b'o', b'n'] => "conductor",
        [0xA9, b'p', b'r', b'f'] => "performer",
        [0xA9, b'd', b'i', b'r'] => "director",
        [0xA9, b'd', b'e', b's'] => "description",
        [0xA9, b'c', b'p', b'y'] => "copyright",
        [0xA9, b'a', b'u', b't'] => "artist",
        [0xA9, b'c', b'o', b'm'] => "composer",
        _ => fields::by_mp4(&atom).unwrap_or(&atom),
    };
    for (code, value) in values(data) {
        add_value(key, code, value, c);
    }
}

fn add_value(key: &str, code: u32, value: &[u8], c: &mut Collector) {
    let numeric = matches!(
        key,
        "bpm"
            | "compilation"
            | "gapless"
            | "podcast"
            | "media_kind"
            | "advisory"
            | "hd_video"
            | "tv_season"
            | "tv_episode"
            | "movement_number"
            | "movement_total"
            | "show_movement"
            | "itunes_account_type"
            | "itunes_country_id"
            | "itunes_catalog_id"
            | "itunes_artist_id"
            | "itunes_album_id"
            | "itunes_genre_id"
            | "itunes_composer_id"
    );
    match code {
        1 => c.add(key, text::utf8_or_latin1(value)),
        2 => c.add(key, text::utf16(value, true)),
        21 | 22 => integer(value).into_iter().for_each(|n| c.add(key, n.to_string())),
        23 if value.len() == 4 => {
            let v: [u8; 4] = value.try_into().unwrap_or_default();
            c.add(key, f32::from_be_bytes(v).to_string());
        }
        // Implicit type: what the atom says.
        0 if numeric && matches!(value.len(), 1..=8) => {
            integer(value).into_iter().for_each(|n| c.add(key, n.to_string()))
        }
        0 if std::str::from_utf8(value).is_ok_and(|s| !s.chars().any(|ch| ch.is_control() && !ch.is_whitespace())) => {
            c.add(key, text::utf8(value));
        }
        _ => c.native(format!("mp4:{key}"), value),
    }
}

/// `----`: `mean` and `name` before the values.
fn freeform(data: &[u8], c: &mut Collector) {
    let part = |kind: &[u8]| boxes(data).find(|(k, _)| *k == kind).map(|(_, b)| text::utf8(b.get(4..).unwrap_or(&[])));
    let (mean, name) = (part(b"mean").unwrap_or_default(), part(b"name").unwrap_or_default());
    let key = match (mean.as_str(), name.as_str()) {
        (_, "") => mean.clone(),
        ("com.apple.iTunes" | "", _) => name.clone(),
        // Other programs use their own domain for the same names.
        _ if fields::by_name(&name).is_some() => name.clone(),
        _ => format!("{mean}:{name}"),
    };
    for (code, value) in values(data) {
        match code {
            0 if std::str::from_utf8(value).is_err() => c.native(format!("mp4:{key}"), value),
            21 | 22 => integer(value).into_iter().for_each(|n| c.add_named(&key, n.to_string())),
            _ => c.add_named(&key, as_text(code, value)),
        }
    }
}

fn cover(value: &[u8]) -> Picture {
    Picture { kind: 3, mime: normal_mime("", value), description: String::new(), data: value.to_vec() }
}

fn covers(data: &[u8], c: &mut Collector) {
    // Some writers put a `name` or free space between the values.
    values(data).filter(|(_, value)| !value.is_empty()).for_each(|(_, value)| c.picture(cover(value)));
}

/// `trkn`, `disk`: reserved, number, total, 16 bits each.
fn pair(data: &[u8], number: &str, total: &str, c: &mut Collector) {
    for (code, value) in values(data) {
        if code == 1 {
            c.add_pair(number, total, &text::utf8(value));
            continue;
        }
        let mut cur = Cursor::new(value);
        cur.u16_be();
        for key in [number, total] {
            if let Some(n) = cur.u16_be().filter(|n| *n > 0) {
                c.add(key, n.to_string());
            }
        }
    }
}

/// The names in a `keys` box.
pub(super) fn keys(data: &[u8]) -> Vec<String> {
    let mut cur = Cursor::new(data);
    let mut out = Vec::new();
    let count = cur.u32_be().and_then(|_| cur.u32_be()).unwrap_or(0);
    for _ in 0..count {
        let Some(size) = cur.u32_be().and_then(|n| (n as usize).checked_sub(8)) else { break };
        let (Some(_), Some(name)) = (cur.u32_be(), cur.take(size)) else { break };
        out.push(text::utf8(name));
    }
    out
}

/// QuickTime user data text: 16-bit length, language, text; repeated per language.
pub(super) fn quicktime_text(kind: [u8; 4], data: &[u8], c: &mut Collector) {
    // Some programs put a `data` box here as in `ilst`.
    if data.get(4..8) == Some(b"data") {
        return item(kind, data, None, c);
    }
    let mut cur = Cursor::new(data);
    let (Some(len), Some(_language)) = (cur.u16_be(), cur.u16_be()) else { return };
    let Some(value) = cur.take(usize::from(len).min(cur.left())) else { return };
    let value = if value.starts_with(&[0xFE, 0xFF]) || value.starts_with(&[0xFF, 0xFE]) {
        text::utf16(value, true)
    } else {
        text::utf8_or_latin1(value)
    };
    let mut wrapped = Vec::with_capacity(value.len() + 16);
    wrapped.extend((value.len() as u32 + 16).to_be_bytes());
    wrapped.extend(b"data\0\0\0\x01\0\0\0\0");
    wrapped.extend(value.bytes());
    let mut one = Collector::default();
    item(kind, &wrapped, None, &mut one);
    c.merge(one.finish());
}

/// User data text of 3GPP TS 26.244 section 8: version, language, then UTF-8 or UTF-16 with a byte order mark.
pub(super) fn text_3gpp(kind: [u8; 4], data: &[u8], c: &mut Collector) {
    let Some(value) = data.get(6..) else { return };
    let key = match &kind {
        b"titl" => "title",
        b"auth" => "author",
        b"perf" => "artist",
        b"dscp" => "description",
        b"albm" => "album",
        b"cprt" => "copyright",
        _ => "genre",
    };
    let value = if value.starts_with(&[0xFE, 0xFF]) {
        text::utf16(value, true)
    } else {
        text::utf8_or_latin1(value.split(|b| *b == 0).next().unwrap_or(&[]))
    };
    if c.is_missing(key) {
        c.add(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_each_kind() {
        let data = |code: u8, value: &[u8]| {
            [&(value.len() as u32 + 16).to_be_bytes()[..], b"data\0\0\0", &[code], &[0; 4], value].concat()
        };
        let mut c = Collector::default();
        item(*b"gnre", &data(0, &[0, 18]), None, &mut c);
        item(*b"trkn", &data(0, &[0, 0, 0, 3, 0, 0, 0, 0]), None, &mut c);
        item(*b"tmpo", &data(21, &[0, 120]), None, &mut c);
        item(*b"covr", &[data(13, b"\xFF\xD8\xFF1"), data(14, b"\x89PNG2")].concat(), None, &mut c);
        item([0, 0, 0, 1], &data(1, b"QT"), Some(&["com.apple.quicktime.title".to_owned()]), &mut c);
        quicktime_text([0xA9, b'x', b'y', b'z'], b"\0\x08\x15\xC7+48+011/", &mut c);
        text_3gpp(*b"albm", b"\0\0\0\0\x15\xC7Album\0\x05", &mut c);
        for (key, value) in [
            ("genre", "Rock"),
            ("track", "3"),
            ("bpm", "120"),
            ("title", "QT"),
            ("location", "+48+011/"),
            ("album", "Album"),
        ] {
            assert_eq!(c.first(key), Some(value), "{key}");
        }
        assert!(c.is_missing("track_total"));
        let mimes: Vec<String> = c.finish().pictures.into_iter().map(|p| p.mime).collect();
        assert_eq!(mimes, ["image/jpeg", "image/png"]);
        item(*b"trkn", &data(0, &[0]), None, &mut Collector::default());
    }
}
