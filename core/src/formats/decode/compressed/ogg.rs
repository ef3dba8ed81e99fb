//! Ogg (RFC 3533) with Vorbis, Opus (RFC 7845) or FLAC, chained or multiplexed.
//!
//! All links of a chain are one stream here. Packet durations are counted from the packets; granule positions serve for
//! what only they tell: how much of the first and of the last page is to be dropped.

use super::bytes::{Bytes, be, le};
use super::codec::{CodecConfig, Kind};
use super::flac_alac::flac_block_frames;
use super::opus::{self, OpusHead};
use super::reader::{Coded, Framer, Mark};
use super::vorbis::{IDENT_BYTES, VorbisCounter};
use crate::error::{Error, Result};
use crate::formats::info::Damage;

/// Largest page: header, 255 lacing values, 255 segments of 255 bytes.
const MAX_PAGE_BYTES: usize = 27 + 255 + 255 * 255;
/// Largest packet; Vorbis set-up headers and pictures in comments stay far below.
const MAX_PACKET_BYTES: usize = 16 << 20;
/// Most links of a chain.
const MAX_LINKS: usize = 10_000;

const CONTINUED: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;

/// Header of a page.
#[derive(Debug, Clone, Copy)]
struct PageHeader {
    flags: u8,
    granule: Option<u64>,
    serial: u32,
    sequence: u32,
    /// Bytes of header and of content.
    header: usize,
    body: usize,
}

impl PageHeader {
    fn parse(d: &[u8]) -> Option<Self> {
        if d.len() < 27 || !d.starts_with(b"OggS") || d[4] != 0 {
            return None;
        }
        let segments = usize::from(d[26]);
        let lacing = d.get(27..27 + segments)?;
        Some(Self {
            flags: d[5],
            granule: Some(le(&d[6..14])).filter(|g| *g != u64::MAX),
            serial: le(&d[14..18]) as u32,
            sequence: le(&d[18..22]) as u32,
            header: 27 + segments,
            body: lacing.iter().map(|l| usize::from(*l)).sum(),
        })
    }

    fn bytes(&self) -> u64 {
        (self.header + self.body) as u64
    }
}

/// One link of a chain.
#[derive(Debug, Clone)]
struct Link {
    config: CodecConfig,
    counter: Counter,
    serial: u32,
    /// Page and packet index at which the audio starts.
    audio: (u64, usize),
    pre_skip: u64,
}

#[derive(Debug, Clone)]
enum Counter {
    Vorbis(VorbisCounter),
    Opus,
    Flac,
}

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

/// Frames of a packet.
fn count(counter: &Counter, head: &[u8], previous_block: &mut u64) -> Option<u64> {
    match counter {
        Counter::Vorbis(v) => v.count(head, previous_block),
        Counter::Opus => opus::packet_frames(head),
        Counter::Flac => flac_block_frames(head),
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

/// First page at or after `pos`.
fn find_page(bytes: &mut Bytes, mut pos: u64, limit: u64) -> Result<Option<(u64, PageHeader)>> {
    while pos + 27 <= limit {
        if let Some(h) = PageHeader::parse(bytes.window(pos, 27 + 255)?) {
            return Ok(Some((pos, h)));
        }
        let w = bytes.window(pos + 1, 32 << 10)?;
        if w.is_empty() {
            // The input ends before its length said, as one that is still being written does.
            return Ok(None);
        }
        let step = w.windows(4).position(|p| p == b"OggS").unwrap_or(w.len().saturating_sub(3).max(1));
        pos += 1 + step as u64;
    }
    Ok(None)
}

/// Serial number and granule position of the last page that has one.
fn last_page(bytes: &mut Bytes) -> Result<Option<(u32, u64)>> {
    let len = bytes.len();
    let mut from = len;
    let mut found = None;
    while from > 0 && found.is_none() && len - from < 4 << 20 {
        from = from.saturating_sub(128 << 10);
        let mut pos = from;
        while let Some((at, h)) = find_page(bytes, pos, len)? {
            pos = at + h.bytes();
            if let Some(g) = h.granule.filter(|_| pos <= len) {
                found = Some((h.serial, g));
            }
        }
    }
    Ok(found)
}

/// Reads the headers of the link whose first page is at or after `from`.
fn read_link(bytes: &mut Bytes, from: u64, track: Option<u32>) -> Result<Link> {
    let none = || Error::NotAudio { hint: Some("Ogg without a known audio stream".into()) };
    let mut pos = from;
    let mut candidates: Vec<(u32, u64, Vec<u8>)> = Vec::new();
    let mut other = None;
    while let Some((at, h)) = find_page(bytes, pos, bytes.len())? {
        if h.flags & FIRST == 0 || candidates.len() >= 64 {
            break;
        }
        let page = bytes.window(at, h.bytes().min(MAX_PAGE_BYTES as u64) as usize)?;
        let body = page.get(h.header..).unwrap_or(&[]).to_vec();
        match codec_of(&body) {
            Some(_) => candidates.push((h.serial, at, body)),
            None => other = other.or_else(|| name_of(&body)),
        }
        pos = at + h.bytes();
    }
    let picked = candidates.into_iter().nth(track.unwrap_or(0) as usize);
    let Some((serial, start, ident)) = picked else {
        return Err(other.map_or_else(none, |name| Error::unsupported("codec", name)));
    };
    let kind = codec_of(&ident).ok_or_else(none)?;
    let wanted = match kind {
        Kind::Vorbis => 2,
        Kind::Opus => 1,
        // Number of header packets by the mapping; 0 is unknown: until the first frame.
        _ => match be(ident.get(7..9).unwrap_or(&[])) as usize {
            0 => usize::MAX,
            n => n,
        },
    };
    let mut collector = Collector { bytes, serial, pos: start, packets: vec![], audio: (start, 0), limit: wanted };
    collector.run(kind)?;
    let (packets, audio) = (std::mem::take(&mut collector.packets), collector.audio);
    let mut config = CodecConfig { kind, ..CodecConfig::default() };
    let mut pre_skip = 0;
    let counter = match kind {
        Kind::Vorbis => {
            let id = packets.first().filter(|p| p.len() >= IDENT_BYTES);
            let setup = packets.iter().find(|p| p.starts_with(b"\x05vorbis"));
            let (Some(id), Some(setup)) = (id, setup) else {
                return Err(Error::malformed("Vorbis headers", start, "not all three are there"));
            };
            config.extra = [&id[..IDENT_BYTES], setup].concat();
            config.rate_hz = le(&id[12..16]) as u32;
            config.channels = usize::from(id[11]);
            let counter = VorbisCounter::new(&config.extra);
            Counter::Vorbis(counter.ok_or_else(|| Error::malformed("Vorbis set-up header", start, "no modes"))?)
        }
        Kind::Opus => {
            let head = OpusHead::parse(packets.first().map_or(&[], |p| p))?;
            pre_skip = head.pre_skip;
            config.channels = head.channels;
            config.rate_hz = opus::RATE_HZ;
            config.extra = packets.into_iter().next().unwrap_or_default();
            Counter::Opus
        }
        _ => {
            // 0x7F "FLAC" version 2 count 2 "fLaC", then the STREAMINFO block with its header of 4 bytes.
            config.extra = ident.get(17..51).unwrap_or(&[]).to_vec();
            Counter::Flac
        }
    };
    Ok(Link { config, counter, serial, audio, pre_skip })
}

fn codec_of(ident: &[u8]) -> Option<Kind> {
    match ident {
        d if d.starts_with(b"\x01vorbis") => Some(Kind::Vorbis),
        d if d.starts_with(b"OpusHead") => Some(Kind::Opus),
        d if d.starts_with(b"\x7FFLAC") => Some(Kind::Flac),
        _ => None,
    }
}

fn name_of(ident: &[u8]) -> Option<&'static str> {
    match ident {
        d if d.starts_with(b"Speex   ") => Some("Speex"),
        d if d.starts_with(b"fLaC") => Some("old Ogg FLAC"),
        d if d.starts_with(b"\x80theora") => Some("Theora (video only)"),
        d if d.starts_with(b"\x80kate") => Some("Kate (text only)"),
        d if d.starts_with(b"BBCD") => Some("Dirac (video only)"),
        _ => None,
    }
}

/// Collects the header packets of a stream.
struct Collector<'a> {
    bytes: &'a mut Bytes,
    serial: u32,
    pos: u64,
    packets: Vec<Vec<u8>>,
    /// Where the audio starts: page and part.
    audio: (u64, usize),
    /// Number of header packets after the first.
    limit: usize,
}

impl Collector<'_> {
    fn run(&mut self, kind: Kind) -> Result<()> {
        let mut partial: Vec<u8> = Vec::new();
        let limit = self.bytes.len();
        while let Some((at, h)) = find_page(self.bytes, self.pos, limit)? {
            self.pos = at + h.bytes();
            if h.serial != self.serial {
                continue;
            }
            let page = self.bytes.window(at, h.bytes() as usize)?;
            let (mut from, mut len, mut part) = (h.header, 0, 0);
            for i in 27..h.header {
                let Some(value) = page.get(i).copied() else { break };
                len += usize::from(value);
                if value == 255 {
                    continue;
                }
                let data = page.get(from..(from + len).min(page.len())).unwrap_or(&[]);
                (from, len) = (from + len, 0);
                let is_header = match kind {
                    Kind::Vorbis => data.first().is_some_and(|b| b & 1 != 0) || !partial.is_empty(),
                    Kind::Flac => data.first() != Some(&0xFF) || !partial.is_empty(),
                    _ => self.packets.len() <= self.limit,
                };
                if !is_header || self.packets.len() > self.limit {
                    self.audio = (at, part);
                    return Ok(());
                }
                partial.extend_from_slice(data);
                self.packets.push(std::mem::take(&mut partial));
                part += 1;
            }
            if len > 0 {
                partial.extend_from_slice(page.get(from..(from + len).min(page.len())).unwrap_or(&[]));
                if partial.len() > MAX_PACKET_BYTES {
                    return Err(Error::malformed("Ogg header packet", at, "endless"));
                }
            }
            if self.packets.len() > self.limit {
                self.audio = (self.pos, 0);
                return Ok(());
            }
        }
        self.audio = (self.pos, 0);
        Ok(())
    }
}

/// CRC-32 of a page with polynomial 0x04C11DB7 over all its bytes; 0 for a sound page once its checksum field is
/// taken as zero and compared.
fn crc(page: &[u8]) -> u32 {
    let Some(stored) = page.get(22..26) else { return 1 };
    let stored = u32::from_le_bytes([stored[0], stored[1], stored[2], stored[3]]);
    let update = |c: u32, b: u8| c << 8 ^ CRC_TABLE[(c >> 24) as usize ^ usize::from(b)];
    let mut c = page[..22].iter().fold(0, |c, b| update(c, *b));
    c = (0..4).fold(c, |c, _| update(c, 0));
    c = page[26..].iter().fold(c, |c, b| update(c, *b));
    c ^ stored
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut i = 0;
    while i < 256 {
        let mut c = (i as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            c = if c & 1 << 31 != 0 { c << 1 ^ 0x04C1_1DB7 } else { c << 1 };
            bit += 1;
        }
        table[i] = c;
        i += 1;
    }
    table
};
