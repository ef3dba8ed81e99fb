//! APEv1 and APEv2 tags (hydrogenaud.io "APEv2 specification"): in WavPack, Monkey's Audio and some MP3 files.

use super::bytes::{Cursor, Input};
use super::collect::{Collector, normal_mime};
use super::{Picture, text};

/// Reads a tag that ends at `end`; returns where it begins.
pub(super) fn read_before(input: &mut Input<'_>, end: u64, c: &mut Collector) -> u64 {
    let Some((size, items, flags)) = end.checked_sub(32).and_then(|at| header(input, at)) else { return end };
    // The size counts items and footer, not the header.
    let Some(at) = end.checked_sub(size) else { return end };
    let data = input.up_to(at, size.saturating_sub(32));
    parse_items(&data, items, c);
    if flags & 0x8000_0000 != 0 { at.saturating_sub(32) } else { at }
}

/// Reads a tag that begins at `at`.
pub(super) fn read_at(input: &mut Input<'_>, at: u64, c: &mut Collector) -> u64 {
    let Some((size, items, _)) = header(input, at) else { return at };
    let data = input.up_to(at + 32, size);
    parse_items(&data, items, c);
    at + 32 + size
}

fn header(input: &mut Input<'_>, at: u64) -> Option<(u64, u32, u32)> {
    let h = input.array::<32>(at)?;
    let mut cur = Cursor::new(h.strip_prefix(b"APETAGEX")?);
    let _version = cur.u32_le()?;
    let (size, items, flags) = (cur.u32_le()?, cur.u32_le()?, cur.u32_le()?);
    (size >= 32).then_some((u64::from(size), items, flags))
}

fn parse_items(data: &[u8], items: u32, c: &mut Collector) {
    let mut cur = Cursor::new(data);
    for _ in 0..items.min(65_536) {
        let (Some(size), Some(flags)) = (cur.u32_le(), cur.u32_le()) else { return };
        let key = text::utf8_or_latin1(cur.until_nul());
        let Some(value) = cur.take(size as usize) else { return };
        if flags & 6 == 2 {
            binary(&key, value, c);
        } else {
            for part in value.split(|b| *b == 0) {
                c.add_named(key.trim(), text::utf8_or_latin1(part));
            }
        }
    }
}

/// Pictures are binary items `Cover Art (Front)`: a file name, NUL, the data.
fn binary(key: &str, value: &[u8], c: &mut Collector) {
    let lower = key.to_ascii_lowercase();
    let kind = match lower.strip_prefix("cover art (").and_then(|k| k.strip_suffix(')')) {
        None => return c.native(format!("ape:{key}"), value),
        Some("front") => 3,
        Some("back") => 4,
        Some("leaflet") => 5,
        Some("media") => 6,
        Some("lead") => 7,
        Some("artist") => 8,
        Some("icon") => 1,
        Some(_) => 0,
    };
    let mut cur = Cursor::new(value);
    let name = text::utf8_or_latin1(cur.until_nul());
    let data = if cur.left() > 0 { cur.rest() } else { value };
    // The name is usually `Cover Art (Front).jpg`, which describes nothing.
    let description = if name.to_ascii_lowercase().starts_with("cover art") { String::new() } else { name };
    c.picture(Picture { kind, mime: normal_mime("", data), description, data: data.to_vec() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Limits;

    #[test]
    fn items_pictures_and_a_size_beyond_the_file() {
        let mut items = Vec::new();
        for (flags, key, value) in
            [(0u32, "Artist", b"A\0B".to_vec()), (2, "Cover Art (Front)", b"x.png\0\x89PNG..".to_vec())]
        {
            items.extend((value.len() as u32).to_le_bytes());
            items.extend(flags.to_le_bytes());
            items.extend(key.bytes());
            items.push(0);
            items.extend(value);
        }
        let footer = |size: u32| {
            [b"APETAGEX".as_slice(), &2000u32.to_le_bytes(), &size.to_le_bytes(), &2u32.to_le_bytes(), &[0; 12]]
                .concat()
        };
        let good = [b"audio".as_slice(), &items, &footer(items.len() as u32 + 32)].concat();
        let mut c = Collector::default();
        let len = good.len() as u64;
        assert_eq!(
            read_before(&mut Input::new(&mut std::io::Cursor::new(good), len, &Limits::default()), len, &mut c),
            5
        );
        let m = c.finish();
        assert_eq!(m.fields[0].values, ["A", "B"]);
        assert_eq!((m.pictures[0].kind, m.pictures[0].mime.as_str()), (3, "image/png"));
        let bad = [b"audio".as_slice(), &footer(4_000_000_000)].concat();
        let len = bad.len() as u64;
        let mut c = Collector::default();
        assert_eq!(
            read_before(&mut Input::new(&mut std::io::Cursor::new(bad), len, &Limits::default()), len, &mut c),
            len
        );
    }
}
