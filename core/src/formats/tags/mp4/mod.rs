//! MP4 and QuickTime metadata: `ilst` items, `mdta` keys, QuickTime user data, Nero and QuickTime chapters.
//!
//! Sources: ISO/IEC 14496-12 (boxes), QuickTime File Format (metadata, user data, text tracks), and for `chpl`, freeform
//! items and the iTunes atoms what players write.

mod chapters;
mod items;
mod write;

pub use write::ilst;

use super::bytes::Input;
use super::collect::Collector;

/// Most boxes that are looked at on one level.
const MAX_BOXES: usize = 4096;

/// A box: its type, and where its content begins and ends in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Box4 {
    pub kind: [u8; 4],
    pub start: u64,
    pub end: u64,
}

/// The boxes in `start..end`. Sizes are cut to the parent's end. Levels are walked by name, never by recursion, so depth
/// in the file costs nothing.
pub(super) fn children(input: &mut Input<'_>, start: u64, end: u64) -> Vec<Box4> {
    let mut out = Vec::new();
    let mut at = start;
    while at.saturating_add(8) <= end && out.len() < MAX_BOXES {
        let Some(head) = input.array::<8>(at) else { break };
        let mut header = 8;
        let mut size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        if size == 1 {
            let Some(large) = input.array::<8>(at + 8) else { break };
            size = u64::from_be_bytes(large);
            header = 16;
        } else if size == 0 {
            size = end - at;
        }
        if size < header {
            break;
        }
        let box_end = at.saturating_add(size).min(end);
        out.push(Box4 { kind: [head[4], head[5], head[6], head[7]], start: at + header, end: box_end });
        at = box_end;
    }
    out
}

/// First child of that type.
pub(super) fn child(input: &mut Input<'_>, parent: Box4, kind: &[u8; 4]) -> Option<Box4> {
    children(input, parent.start, parent.end).into_iter().find(|b| b.kind == *kind)
}

/// Reads a whole file.
pub(super) fn read(input: &mut Input<'_>, c: &mut Collector) {
    let len = input.len;
    for top in children(input, 0, len) {
        match &top.kind {
            b"moov" => movie(input, top, c),
            b"meta" => meta(input, top, c),
            _ => {}
        }
    }
}

fn movie(input: &mut Input<'_>, moov: Box4, c: &mut Collector) {
    let parts = children(input, moov.start, moov.end);
    let mut nero = Vec::new();
    for part in &parts {
        match &part.kind {
            b"udta" => user_data(input, *part, c, &mut nero),
            b"meta" => meta(input, *part, c),
            _ => {}
        }
    }
    let tracks: Vec<Box4> = parts.iter().copied().filter(|b| b.kind == *b"trak").collect();
    let quicktime = chapters::text_track(input, &tracks);
    // Where both are there, Nero's list may have been cut at 255 entries.
    let list = if quicktime.len() >= nero.len() { quicktime } else { nero };
    for (start, end, title) in list {
        c.chapter(start, end, title);
    }
    for track in &tracks {
        // Tags of some recorders sit in the track.
        if let Some(udta) = child(input, *track, b"udta") {
            let mut one = Collector::default();
            user_data(input, udta, &mut one, &mut Vec::new());
            c.merge(one.finish());
        }
    }
}

fn user_data(input: &mut Input<'_>, udta: Box4, c: &mut Collector, nero: &mut Vec<chapters::Entry>) {
    for part in children(input, udta.start, udta.end) {
        match &part.kind {
            b"meta" => meta(input, part, c),
            b"chpl" => *nero = chapters::nero(&input.up_to(part.start, part.end - part.start)),
            b"Xtra" => c.native("mp4:Xtra", &input.up_to(part.start, part.end - part.start)),
            b"titl" | b"auth" | b"perf" | b"dscp" | b"albm" | b"cprt" | b"gnre" => {
                items::text_3gpp(part.kind, &input.up_to(part.start, part.end - part.start), c);
            }
            b"loci" => c.native("mp4:loci", &input.up_to(part.start, part.end - part.start)),
            [0xA9, ..] => items::quicktime_text(part.kind, &input.up_to(part.start, part.end - part.start), c),
            _ => {}
        }
    }
}

/// `meta`: a full box in MP4 (4 bytes of version and flags), a plain one in QuickTime.
fn meta(input: &mut Input<'_>, meta: Box4, c: &mut Collector) {
    let full = input.array::<8>(meta.start).is_none_or(|h| &h[4..8] != b"hdlr");
    let start = if full { meta.start + 4 } else { meta.start };
    let parts = children(input, start, meta.end);
    let keys = parts.iter().find(|b| b.kind == *b"keys").map(|b| items::keys(&input.up_to(b.start, b.end - b.start)));
    for list in parts.iter().filter(|b| b.kind == *b"ilst") {
        for item in children(input, list.start, list.end) {
            let data = input.up_to(item.start, item.end - item.start);
            items::item(item.kind, &data, keys.as_deref(), c);
        }
    }
}
