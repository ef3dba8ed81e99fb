//! Ogg (RFC 3533) with Vorbis, Opus (RFC 7845) or FLAC, chained or multiplexed.
//!
//! All links of a chain are one stream here. Packet durations are counted from the packets; granule positions serve for
//! what only they tell: how much of the first and of the last page is to be dropped.

use super::bytes::Bytes;
use super::codec::CodecConfig;
use super::ogg_link::{Counter, Link, MAX_PACKET_BYTES, count, read_link};
use super::ogg_page::{CONTINUED, FIRST, LAST, PageHeader, crc, find_page, last_page};
use super::reader::{Coded, Framer, Mark};
use crate::error::Result;
use crate::formats::info::Damage;

/// Most links of a chain.
const MAX_LINKS: usize = 10_000;

/// A packet, or a part of one, on the present page.
#[derive(Debug, Clone, Copy)]
struct Part {
    from: usize,
    to: usize,
    complete: bool,
    /// Duration of the packet that ends here, and what of it is dropped.
    frames: u64,
    trim_start: u64,
    trim_end: u64,
}

/// Packets of one logical stream, over all links.
pub(super) struct OggFramer {
    links: Vec<Link>,
    link: usize,
    /// The present page: where it is, its bytes, its parts; and the part that is next.
    page_at: u64,
    page: Vec<u8>,
    parts: Vec<Part>,
    part: usize,
    /// Where the page after it is searched.
    next_page: u64,
    /// A packet that began on an earlier page.
    partial: Option<Vec<u8>>,
    /// What counting and trimming carry over, after the present page and before it.
    state: PageState,
    state_before: PageState,
    sequence: Option<u32>,
    gap: bool,
    /// First part to give of the page that is loaded next, after a seek.
    resume_part: usize,
}

/// What counting and trimming carry from page to page.
#[derive(Debug, Clone, Copy, Default)]
struct PageState {
    /// Granule position at the end of the last page, once known.
    granule: Option<u64>,
    /// State of the Vorbis counter.
    previous_block: u64,
    /// Frames still to be dropped at the start of a link.
    skip_left: u64,
    /// First bytes of the packet that continues on the next page: enough to count its frames.
    carry: Option<[u8; 2]>,
}

impl OggFramer {
    /// Reads the headers of the first link; `track` counts the audio streams of a multiplexed file.
    pub fn open(bytes: &mut Bytes, track: Option<u32>) -> Result<Self> {
        let link = read_link(bytes, 0, track)?;
        let mut framer = Self {
            links: Vec::new(),
            link: 0,
            page_at: 0,
            page: Vec::new(),
            parts: Vec::new(),
            part: 0,
            next_page: link.audio.0,
            partial: None,
            state: PageState::default(),
            state_before: PageState::default(),
            sequence: None,
            gap: false,
            resume_part: 0,
        };
        framer.links.push(link);
        framer.start_link(0);
        // The delay of the first link is the stream's; see `OggFramer::pre_skip`.
        framer.state.skip_left = 0;
        Ok(framer)
    }

    /// Frames to drop at the start of the first link.
    pub fn pre_skip(&self) -> u64 {
        self.links[0].pre_skip
    }

    fn start_link(&mut self, link: usize) {
        self.link = link;
        let l = &self.links[link];
        self.next_page = l.audio.0;
        self.resume_part = l.audio.1;
        self.state = PageState { skip_left: l.pre_skip, ..PageState::default() };
        self.sequence = None;
        self.partial = None;
        self.parts.clear();
        self.part = 0;
    }

    /// Length in frames after all trimming, of all links; None when the pages do not tell.
    pub fn total_frames(&mut self, bytes: &mut Bytes) -> Result<Option<u64>> {
        let Some((last_serial, last_granule)) = last_page(bytes)? else { return Ok(None) };
        let first_start = self.start_granule(bytes, 0)?;
        if last_serial == self.links[0].serial {
            return Ok(last_granule.checked_sub(first_start + self.links[0].pre_skip));
        }
        // Chained, or the last page belongs to another multiplexed stream: walk over all pages.
        let (mut total, mut pos, mut link) = (0u64, self.links[0].audio.0, 0);
        let mut last = 0;
        let mut start = first_start;
        while let Some((at, h)) = find_page(bytes, pos, bytes.len())? {
            pos = at + h.bytes();
            if h.flags & FIRST != 0 && at > self.links[link].audio.0 {
                total += last.max(start + self.links[link].pre_skip) - start - self.links[link].pre_skip;
                last = 0;
                link += 1;
                if link >= MAX_LINKS {
                    return Ok(None);
                }
                if link >= self.links.len() {
                    match read_link(bytes, at, None) {
                        Ok(l) => self.links.push(l),
                        Err(_) => return Ok(None),
                    }
                }
                pos = self.links[link].audio.0.max(pos);
                start = self.start_granule(bytes, link)?;
            } else if h.serial == self.links[link].serial
                && let Some(g) = h.granule
            {
                last = g;
            }
        }
        total += last.max(start + self.links[link].pre_skip) - start - self.links[link].pre_skip;
        Ok(Some(total))
    }

    /// Granule position before the first packet of a link: not 0 where a running stream was recorded.
    fn start_granule(&mut self, bytes: &mut Bytes, link: usize) -> Result<u64> {
        let l = self.links[link].clone();
        let mut pos = l.audio.0;
        let (mut frames, mut previous) = (0, 0);
        let mut index = l.audio.1;
        for _ in 0..64 {
            let Some((at, h)) = find_page(bytes, pos, bytes.len())? else { break };
            pos = at + h.bytes();
            if h.serial != l.serial {
                continue;
            }
            let page = bytes.window(at, h.bytes() as usize)?;
            let mut from = h.header;
            let mut part = 0;
            let lacing: Vec<u8> = page.get(27..h.header).unwrap_or(&[]).to_vec();
            let mut len = 0;
            for l_value in lacing {
                len += usize::from(l_value);
                if l_value < 255 {
                    let continued = h.flags & CONTINUED != 0 && part == 0;
                    if part >= index && !continued {
                        let head = page.get(from..(from + len).min(page.len())).unwrap_or(&[]);
                        frames += count(&l.counter, head, &mut previous).unwrap_or(0);
                    }
                    from += len;
                    len = 0;
                    part += 1;
                }
            }
            index = 0;
            if let Some(g) = h.granule.filter(|_| part > 0) {
                // On a last page a smaller position means trimming at the end.
                return Ok(g.saturating_sub(frames));
            }
        }
        Ok(0)
    }

    /// Loads the next page of the stream; false at the end.
    fn load_page(&mut self, bytes: &mut Bytes, damage: &mut Damage) -> Result<bool> {
        loop {
            let from = self.next_page;
            let Some((at, h)) = find_page(bytes, from, bytes.len())? else {
                if bytes.len().saturating_sub(from) > 0 && from > 0 {
                    damage.truncated = true;
                    damage.note(None, Some(from), "no page where one should start, up to the end");
                }
                return Ok(false);
            };
            if at > from {
                damage.bytes_skipped += at - from;
                damage.note(None, Some(from), "no page where one should start; searching on");
                self.gap = true;
            }
            if at + h.bytes() > bytes.len() {
                damage.truncated = true;
                damage.note(None, Some(at), "the last page is cut off");
            }
            self.next_page = at + h.bytes();
            if h.flags & FIRST != 0 && at > self.links[self.link].audio.0 && h.serial != self.links[self.link].serial {
                if !self.next_link(bytes, at, damage)? {
                    return Ok(false);
                }
                continue;
            }
            if h.serial != self.links[self.link].serial {
                continue;
            }
            self.page.clear();
            self.page.extend_from_slice(bytes.window(at, h.bytes() as usize)?);
            if crc(&self.page) != 0 {
                damage.note(None, Some(at), "page with a wrong checksum; left out");
                damage.bytes_skipped += h.bytes();
                self.gap = true;
                continue;
            }
            if self.sequence.is_some_and(|s| s.wrapping_add(1) != h.sequence) {
                damage.note(None, Some(at), "pages are missing");
                self.partial = None;
            }
            self.sequence = Some(h.sequence);
            self.page_at = at;
            self.state_before = self.state;
            self.split_page(&h);
            self.part = std::mem::take(&mut self.resume_part);
            return Ok(true);
        }
    }

    fn next_link(&mut self, bytes: &mut Bytes, at: u64, damage: &mut Damage) -> Result<bool> {
        let next = self.link + 1;
        if next >= self.links.len() {
            if next >= MAX_LINKS {
                damage.note(None, Some(at), "too many links");
                return Ok(false);
            }
            match read_link(bytes, at, None) {
                Ok(l) => self.links.push(l),
                Err(e) => {
                    damage.note(None, Some(at), format!("next link of the chain: {e}; ends here"));
                    return Ok(false);
                }
            }
        }
        self.start_link(next);
        Ok(true)
    }

    /// Fills `parts` and works out durations and trimming.
    fn split_page(&mut self, h: &PageHeader) {
        let Self { links, link, page, parts, state, .. } = self;
        let counter = &links[*link].counter;
        parts.clear();
        let mut from = h.header;
        let mut len = 0;
        let mut last_value = 0;
        let carry = state.carry.take().filter(|_| h.flags & CONTINUED != 0);
        for i in 27..h.header {
            let Some(value) = page.get(i).copied() else { break };
            last_value = value;
            len += usize::from(value);
            if value == 255 {
                continue;
            }
            let to = (from + len).min(page.len());
            let continues = parts.is_empty() && h.flags & CONTINUED != 0;
            let frames = match (continues, &carry) {
                (true, Some(head)) => count(counter, head, &mut state.previous_block),
                (true, None) => None, // the rest of a packet whose start is lost
                _ => count(counter, page.get(from..to).unwrap_or(&[]), &mut state.previous_block),
            };
            let frames = frames.unwrap_or(0);
            parts.push(Part { from, to, complete: true, frames, trim_start: 0, trim_end: 0 });
            (from, len) = (to, 0);
        }
        if last_value == 255 {
            let to = (from + len).min(page.len());
            let head = |d: &[u8]| [d.first().copied().unwrap_or(0), d.get(1).copied().unwrap_or(0)];
            let whole_page = parts.is_empty() && h.flags & CONTINUED != 0;
            state.carry = if whole_page { carry } else { Some(head(page.get(from..to).unwrap_or(&[]))) };
            parts.push(Part { from, to, complete: false, frames: 0, trim_start: 0, trim_end: 0 });
        }
        let audio = self.links[self.link].audio;
        if self.page_at == audio.0 && audio.1 > 0 {
            // Headers and audio share a page.
            let n = audio.1.min(self.parts.len());
            for p in &mut self.parts[..n] {
                p.frames = 0;
            }
        }
        self.trim_page(h);
    }

    fn trim_page(&mut self, h: &PageHeader) {
        let sum: u64 = self.parts.iter().map(|p| p.frames).sum();
        let Some(granule) = h.granule.filter(|_| self.parts.iter().any(|p| p.complete)) else {
            // Only the end of a page with a completed packet has a position.
            self.state.granule = self.state.granule.map(|g| g.saturating_add(sum));
            return;
        };
        let is_last = h.flags & LAST != 0;
        let mut start_excess = 0;
        let before = match self.state.granule {
            Some(g) => g,
            // Vorbis: a first page that counts fewer frames than it holds starts in the middle of a block.
            None if !is_last => {
                start_excess = sum.saturating_sub(granule);
                granule.saturating_sub(sum)
            }
            None => 0,
        };
        let mut end_excess = if is_last { (before + sum).saturating_sub(granule) } else { 0 };
        if start_excess > 0 && !matches!(self.links[self.link].counter, Counter::Vorbis(_)) {
            start_excess = 0;
        }
        if granule < before {
            end_excess = 0; // positions that run backwards tell nothing
        }
        start_excess += std::mem::take(&mut self.state.skip_left);
        for p in &mut self.parts {
            p.trim_start = start_excess.min(p.frames);
            start_excess -= p.trim_start;
        }
        self.state.skip_left = start_excess;
        for p in self.parts.iter_mut().rev() {
            p.trim_end = end_excess.min(p.frames - p.trim_start);
            end_excess -= p.trim_end;
        }
        self.state.granule = Some(granule);
    }
}

impl Framer for OggFramer {
    fn next(&mut self, bytes: &mut Bytes, packet: &mut Coded, _: bool, damage: &mut Damage) -> Result<bool> {
        loop {
            let Some(part) = self.parts.get(self.part).copied() else {
                if !self.load_page(bytes, damage)? {
                    return Ok(false);
                }
                continue;
            };
            let index = self.part;
            self.part += 1;
            let continues = index == 0 && self.page.get(5).is_some_and(|f| f & CONTINUED != 0);
            let data = self.page.get(part.from..part.to).unwrap_or(&[]);
            let partial = self.partial.take();
            match (continues, partial) {
                (true, None) => continue, // its start is lost
                (true, Some(mut p)) => {
                    p.extend_from_slice(data);
                    if !part.complete {
                        if p.len() > MAX_PACKET_BYTES {
                            damage.note(None, Some(self.page_at), "endless packet; left out");
                        } else {
                            self.partial = Some(p);
                        }
                        continue;
                    }
                    packet.data.extend_from_slice(&p);
                }
                (false, _) if !part.complete => {
                    self.partial = Some(data.to_vec());
                    continue;
                }
                (false, _) => packet.data.extend_from_slice(data),
            }
            if packet.data.is_empty() {
                continue;
            }
            packet.frames = Some(part.frames);
            (packet.trim_start, packet.trim_end) = (part.trim_start, part.trim_end);
            packet.link = self.link as u32;
            packet.byte = self.page_at;
            packet.gap = false;
            self.gap = false;
            return Ok(true);
        }
    }

    fn mark(&self) -> Option<Mark> {
        if self.parts.is_empty() {
            // Before the first page of a link.
            let s = self.state;
            return Some(Mark([
                self.next_page,
                self.resume_part as u64 | (self.link as u64) << 16,
                pack_granule(&s),
                pack(&s),
            ]));
        }
        let s = self.state_before;
        Some(Mark([self.page_at, self.part as u64 | (self.link as u64) << 16, pack_granule(&s), pack(&s)]))
    }

    fn resume(&mut self, mark: Mark) {
        let [page, place, granule, rest] = mark.0;
        self.link = ((place >> 16) as usize).min(self.links.len() - 1);
        self.next_page = page;
        self.resume_part = (place & 0xFFFF) as usize;
        self.parts.clear();
        self.part = 0;
        self.partial = None;
        self.sequence = None;
        self.state = PageState {
            granule: granule.checked_sub(1),
            previous_block: rest & 0xFFFF,
            skip_left: rest >> 16 & 0x7F_FFFF,
            carry: (rest >> 39 & 1 != 0).then_some([(rest >> 48) as u8, (rest >> 40) as u8]),
        };
        self.state_before = self.state;
    }

    fn config(&self, link: u32) -> &CodecConfig {
        &self.links[(link as usize).min(self.links.len() - 1)].config
    }

    fn config_mut(&mut self) -> &mut CodecConfig {
        &mut self.links[0].config
    }
}

fn pack_granule(s: &PageState) -> u64 {
    s.granule.map_or(0, |g| g.saturating_add(1))
}

/// Block size in 16 bits, frames to skip in 23, then a flag and the two bytes of the carried packet.
fn pack(s: &PageState) -> u64 {
    let carry = s.carry.map_or(0, |c| 1 << 39 | u64::from(c[0]) << 48 | u64::from(c[1]) << 40);
    s.previous_block.min(0xFFFF) | s.skip_left.min(0x7F_FFFF) << 16 | carry
}
