//! FLAC metadata blocks (RFC 9639 section 8): comments, pictures, cue sheet, application data.

use super::bytes::{Cursor, Input};
use super::collect::{Collector, normal_mime};
use super::write::{lose, lose_natives};
use super::{Loss, Metadata, Picture, text, vorbis};

/// Block types.
const APPLICATION: u8 = 2;
const VORBIS_COMMENT: u8 = 4;
const CUESHEET: u8 = 5;
const PICTURE: u8 = 6;
/// Block lengths have 24 bits.
const MAX_BLOCK: usize = (1 << 24) - 1;

/// Reads the blocks of a native FLAC stream whose `fLaC` mark is at `at`.
pub(super) fn read(input: &mut Input<'_>, at: u64, c: &mut Collector) {
    let mut at = at + 4;
    let mut rate = 0;
    for _ in 0..4096 {
        let Some([kind, a, b, d]) = input.array::<4>(at) else { return };
        let len = u64::from(u32::from_be_bytes([0, a, b, d]));
        // Padding and the seek table say nothing about the work.
        if !matches!(kind & 0x7F, 1 | 3 | 127) {
            let data = input.up_to(at + 4, len);
            block(kind & 0x7F, &data, &mut rate, c);
        }
        at += 4 + len;
        if kind & 0x80 != 0 {
            return;
        }
    }
}

/// Reads one block. `rate` passes the sample rate of STREAMINFO on to the cue sheet.
pub(super) fn block(kind: u8, data: &[u8], rate: &mut u32, c: &mut Collector) {
    match kind {
        0 => *rate = data.get(10..13).map_or(0, |r| u32::from_be_bytes([0, r[0], r[1], r[2]]) >> 4),
        APPLICATION => c.native("flac:application", data),
        VORBIS_COMMENT => vorbis::parse(data, c),
        CUESHEET => {
            cue_sheet(data, *rate, c);
            // With the rate for which its sample offsets hold.
            c.native(format!("flac:cuesheet:{rate}"), data);
        }
        PICTURE => {
            if let Some(picture) = parse_picture(data) {
                c.picture(picture);
            }
        }
        1 | 3 => {}
        _ => c.native(format!("flac:block:{kind}"), data),
    }
}

/// The body of a PICTURE block.
pub(super) fn parse_picture(data: &[u8]) -> Option<Picture> {
    let mut cur = Cursor::new(data);
    let kind = cur.u32_be()?;
    let mime_len = cur.u32_be()? as usize;
    let mime = text::utf8(cur.take(mime_len)?);
    let description_len = cur.u32_be()? as usize;
    let description = text::utf8(cur.take(description_len)?);
    cur.take(16)?; // width, height, depth, colours: the picture itself knows
    let stated = cur.u32_be()? as usize;
    // Pictures above 16 MiB were written with a wrong length by some programs: what is there counts.
    let data = cur.take(stated.min(cur.left()))?;
    let kind = u8::try_from(kind).unwrap_or(0);
    (!data.is_empty()).then(|| Picture { kind, mime: normal_mime(&mime, data), description, data: data.to_vec() })
}

/// Index points of the tracks as chapters: only offsets in samples, no titles.
fn cue_sheet(data: &[u8], rate: u32, c: &mut Collector) {
    let mut cur = Cursor::new(data);
    // Catalog number, lead-in, flags, reserved.
    let (Some(_), true) = (cur.take(128 + 8 + 1 + 258), rate > 0) else { return };
    let Some(count) = cur.u8() else { return };
    let mut starts = Vec::new();
    for _ in 0..count {
        let (Some(offset), Some(number)) = (cur.u64_be(), cur.u8()) else { break };
        let (Some(_), Some(indices)) = (cur.take(12 + 1 + 13), cur.u8()) else { break };
        let mut start = offset;
        for _ in 0..indices {
            let (Some(index_offset), Some(index), Some(_)) = (cur.u64_be(), cur.u8(), cur.take(3)) else { break };
            if index == 1 {
                start = offset.saturating_add(index_offset);
            }
        }
        starts.push((number, start as f64 / f64::from(rate)));
    }
    if c.has_chapters() {
        return;
    }
    for (i, (number, start)) in starts.iter().enumerate() {
        // 170 and 255 are the lead-out.
        if !matches!(number, 170 | 255) {
            c.chapter(*start, starts.get(i + 1).map(|(_, end)| *end), format!("Track {number:02}"));
        }
    }
}

/// The body of a PICTURE block for `picture`, with its size in pixels where that is cheap to find.
pub(super) fn picture_block(picture: &Picture) -> Vec<u8> {
    let (width, height, depth) = dimensions(&picture.data).unwrap_or((0, 0, 0));
    let mut out = Vec::with_capacity(picture.data.len() + 64);
    let mut put = |n: u32, bytes: &[u8]| {
        out.extend(n.to_be_bytes());
        out.extend(bytes);
    };
    put(u32::from(picture.kind), &[]);
    put(picture.mime.len() as u32, picture.mime.as_bytes());
    put(picture.description.len() as u32, picture.description.as_bytes());
    for n in [width, height, depth, 0] {
        put(n, &[]);
    }
    put(picture.data.len() as u32, &picture.data);
    out
}

/// Width and height in pixels and bits per pixel of a PNG, JPEG, GIF or BMP, from its header.
pub(super) fn dimensions(data: &[u8]) -> Option<(u32, u32, u32)> {
    let le16 = |at: usize| data.get(at..at + 2).map(|b| u32::from(u16::from_le_bytes([b[0], b[1]])));
    match data {
        [0x89, b'P', b'N', b'G', ..] => {
            let mut cur = Cursor::new(data.get(16..26)?);
            let (w, h, bits, colour) = (cur.u32_be()?, cur.u32_be()?, cur.u8()?, cur.u8()?);
            let samples = match colour {
                2 => 3,
                4 => 2,
                6 => 4,
                _ => 1,
            };
            Some((w, h, u32::from(bits) * samples))
        }
        [b'G', b'I', b'F', ..] => Some((le16(6)?, le16(8)?, 8)),
        [b'B', b'M', ..] => Some((le16(18)?, le16(22)?, le16(28)?)),
        [0xFF, 0xD8, ..] => {
            let mut cur = Cursor::new(&data[2..]);
            // Each marker segment has at least 2 bytes, so this ends.
            loop {
                while cur.u8()? != 0xFF {}
                let mut marker = cur.u8()?;
                while marker == 0xFF {
                    marker = cur.u8()?;
                }
                if matches!(marker, 0x01 | 0xD0..=0xD8) {
                    continue;
                }
                let len = usize::from(cur.u16_be()?);
                let body = cur.take(len.checked_sub(2)?)?;
                if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
                    let mut b = Cursor::new(body);
                    let (bits, h, w, n) = (b.u8()?, b.u16_be()?, b.u16_be()?, b.u8()?);
                    return Some((w.into(), h.into(), u32::from(bits) * u32::from(n)));
                }
            }
        }
        _ => None,
    }
}

/// True when a picture is too large for a FLAC block.
pub(super) fn is_too_large(picture: &Picture) -> bool {
    picture.data.len() + picture.mime.len() + picture.description.len() + 32 > MAX_BLOCK
}

/// PICTURE block bodies, one per picture that fits (a block holds 16 MiB); [`super::write::vorbis_comment`] lists those
/// that do not.
pub fn flac_pictures(meta: &Metadata) -> Vec<Vec<u8>> {
    meta.pictures.iter().map(picture_block).filter(|b| b.len() <= MAX_BLOCK).collect()
}

/// All metadata blocks of a FLAC file after STREAMINFO.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlacBlocks {
    /// Block type and body. The caller sets the last-block flag.
    pub blocks: Vec<(u8, Vec<u8>)>,
    /// What is not in them.
    pub losses: Vec<Loss>,
}

/// Block type of a native item that a FLAC file of `rate_hz` may hold.
fn block_type(kind: &str, rate_hz: u32) -> Option<u8> {
    match kind.strip_prefix("flac:")?.split_once(':') {
        None => (kind == "flac:application").then_some(APPLICATION),
        Some(("cuesheet", rate)) => (rate.parse() == Ok(rate_hz)).then_some(CUESHEET),
        Some(("block", number)) => number.parse().ok().filter(|n| (7..127).contains(n)),
        Some(_) => None,
    }
}

/// Comments, pictures, application data, blocks of unknown type, and a cue sheet if its sample offsets are for
/// `rate_hz`, as FLAC blocks. `vendor` names the encoder.
pub fn flac_blocks(meta: &Metadata, vendor: &str, rate_hz: u32) -> FlacBlocks {
    let mut losses = Vec::new();
    lose_natives(meta, "FLAC", &mut losses, |kind| block_type(kind, rate_hz).is_some());
    let mut blocks = vec![(VORBIS_COMMENT, vorbis::comments(meta, vendor, false, &mut losses))];
    blocks.extend(meta.native.iter().filter_map(|n| Some((block_type(&n.kind, rate_hz)?, n.data.clone()))));
    blocks.extend(meta.pictures.iter().map(|p| (PICTURE, picture_block(p))));
    blocks.retain(|(kind, body)| {
        let fits = body.len() <= MAX_BLOCK;
        if !fits {
            let field = if *kind == PICTURE { "picture" } else { "comments" };
            lose(&mut losses, field, format!("{} bytes; a FLAC metadata block holds 16 MiB", body.len()));
        }
        fits
    });
    FlacBlocks { blocks, losses }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_block_knows_its_size_and_comes_back() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend([0, 0, 1, 0, 0, 0, 0, 128, 8, 6, 0, 0, 0]);
        let picture = Picture { kind: 3, mime: "image/png".into(), description: "x".into(), data: png };
        assert_eq!(dimensions(&picture.data), Some((256, 128, 32)));
        assert_eq!(parse_picture(&picture_block(&picture)), Some(picture));
        let jpeg = [0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, 0xC0, 0, 9, 8, 0, 10, 0, 20, 3, 0];
        assert_eq!(dimensions(&jpeg), Some((20, 10, 24)));
        assert_eq!(dimensions(&jpeg[..9]), None);
        assert_eq!(parse_picture(&[0xFF; 40]), None);
    }
}
