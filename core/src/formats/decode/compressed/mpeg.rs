//! MPEG audio elementary streams (.mp3, .mp2, .mp1, also inside WAV): finding frames, the Xing/Info, LAME and VBRI
//! headers, tags before, between and after the frames.

use super::bytes::{Bytes, be};
use super::codec::{CodecConfig, Kind};
use super::mpeg_header::MpegHeader;
use super::reader::{Coded, Framer, HEAD_BYTES, Mark};
use crate::error::Result;
use crate::formats::info::Damage;

/// Delay of every layer III decoder, in frames: 528 of the filter banks and one of the convention of the LAME tag.
const DECODER_DELAY: u64 = 529;
/// How far the first frame may be from the start (after tags).
const SYNC_BYTES: u64 = 1 << 20;

/// What the first frame says about all of them.
#[derive(Debug, Clone, Default)]
pub(super) struct MpegStream {
    /// Byte positions of the first frame with audio and of the end of the audio.
    pub start: u64,
    pub end: u64,
    /// Number of frames with audio by a Xing, Info or VBRI header.
    pub stated_packets: Option<u64>,
    /// Bytes of audio by that header.
    pub stated_bytes: Option<u64>,
    /// Encoder delay (with the decoder's) and padding (without the decoder's delay), in frames.
    pub gapless: Option<(u64, u64)>,
}

/// Frames of an elementary stream.
pub(super) struct MpegFramer {
    config: CodecConfig,
    first: MpegHeader,
    free_slots: usize,
    pub stream: MpegStream,
    pos: u64,
    /// Bytes were skipped before the next frame.
    lost: bool,
}

impl MpegFramer {
    /// Finds the first frame between `start` and `end`; None when there is none.
    pub fn open(bytes: &mut Bytes, start: u64, end: u64) -> Result<Option<Self>> {
        let mut pos = skip_tags(bytes, start, end)?;
        let limit = end.min(pos.saturating_add(SYNC_BYTES));
        while pos < limit {
            pos = match find_sync(bytes, pos, limit)? {
                Some(p) => p,
                None => return Ok(None),
            };
            if let Some(mut framer) = Self::confirm(bytes, pos, end)? {
                framer.read_info_frame(bytes)?;
                framer.pos = framer.stream.start;
                return Ok(Some(framer));
            }
            pos += 1;
        }
        Ok(None)
    }

    /// A framer when a frame starts at `pos` and more follow it.
    fn confirm(bytes: &mut Bytes, pos: u64, end: u64) -> Result<Option<Self>> {
        let Some(first) = MpegHeader::parse(bytes.window(pos, 4)?) else { return Ok(None) };
        let free_slots = if first.kbps == 0 {
            match free_format_slots(bytes, pos, end, &first)? {
                Some(n) => n,
                None => return Ok(None),
            }
        } else {
            0
        };
        let stream = MpegStream { start: pos, end, ..MpegStream::default() };
        let config = CodecConfig {
            kind: Kind::Mpeg,
            rate_hz: first.rate_hz,
            channels: first.channels,
            extra: first.word.to_be_bytes().to_vec(),
            aac: None,
        };
        let framer = Self { config, first, free_slots, stream, pos, lost: false };
        let mut at = pos;
        for seen in 1..=3 {
            let Some(h) = framer.header_at(bytes, at)? else { return Ok(None) };
            at += h.bytes(framer.free_slots) as u64;
            if at >= end || (seen > 1 && is_tag(bytes.window(at, 16)?)) {
                // The whole input is this short. One frame alone must not be a coincidence: it must fill the input.
                let fills = at <= end || seen > 1;
                return Ok((fills && at > pos + 4).then_some(framer));
            }
        }
        Ok(Some(framer))
    }

    fn header_at(&self, bytes: &mut Bytes, pos: u64) -> Result<Option<MpegHeader>> {
        if pos + 4 > self.stream.end {
            return Ok(None);
        }
        let h = MpegHeader::parse(bytes.window(pos, 4)?);
        Ok(h.filter(|h| h.same_stream(&self.first) && h.bytes(self.free_slots) > 8))
    }

    pub fn first(&self) -> &MpegHeader {
        &self.first
    }

    /// Bytes and number of the first `count` packets.
    pub fn sample_sizes(&self, bytes: &mut Bytes, count: u64) -> Result<(u64, u64)> {
        let (mut at, mut n) = (self.stream.start, 0);
        while n < count {
            let Some(h) = self.header_at(bytes, at)? else { break };
            let next = at + h.bytes(self.free_slots) as u64;
            if next > self.stream.end {
                break;
            }
            (at, n) = (next, n + 1);
        }
        Ok((at - self.stream.start, n))
    }

    /// Takes the first frame as a Xing, Info or VBRI header when it is one.
    fn read_info_frame(&mut self, bytes: &mut Bytes) -> Result<()> {
        if self.first.layer != 3 {
            return Ok(());
        }
        let len = self.first.bytes(self.free_slots);
        let frame = bytes.window(self.stream.start, len)?.to_vec();
        let h = &self.first;
        // Xing follows the side information; a CRC is not counted by any known writer.
        let xing = 4 + h.side_info_bytes();
        let tag = |at: usize| frame.get(at..at + 4);
        let at = [xing, xing + 2].into_iter().find(|at| matches!(tag(*at), Some(b"Xing" | b"Info")));
        if let Some(at) = at {
            self.read_xing(&frame[at..]);
        } else if tag(36) == Some(b"VBRI") {
            let field = |at: usize| frame.get(36 + at..36 + at + 4).map(be);
            self.stream.stated_bytes = field(10).filter(|n| *n > 0);
            self.stream.stated_packets = field(14).filter(|n| *n > 0);
        } else {
            return Ok(());
        }
        self.stream.start += len as u64;
        Ok(())
    }

    fn read_xing(&mut self, x: &[u8]) {
        let word = |at: usize| x.get(at..at + 4).map(be);
        let Some(flags) = word(4) else { return };
        let mut at = 8;
        if flags & 1 != 0 {
            self.stream.stated_packets = word(at).filter(|n| *n > 0);
            at += 4;
        }
        if flags & 2 != 0 {
            self.stream.stated_bytes = word(at).filter(|n| *n > 0);
            at += 4;
        }
        at += if flags & 4 != 0 { 100 } else { 0 };
        at += if flags & 8 != 0 { 4 } else { 0 };
        // The LAME extension: encoder name 9 bytes, ..., delay and padding of 12 bits each at offset 21.
        let Some(lame) = x.get(at..at + 24) else { return };
        let named = lame[..4].iter().all(|b| b.is_ascii_alphanumeric()) || lame.starts_with(b"L3.99");
        let both = be(&lame[21..24]);
        let (delay, padding) = (both >> 12, both & 0xFFF);
        // Delay 0 with padding 0 is what writers without that knowledge leave there.
        if named && both != 0 {
            self.stream.gapless = Some((delay + DECODER_DELAY, padding.saturating_sub(DECODER_DELAY)));
        }
    }
}

/// Position after ID3v2 tags (and zero bytes) from `pos`.
pub(super) fn skip_tags(bytes: &mut Bytes, mut pos: u64, end: u64) -> Result<u64> {
    while pos < end {
        let head = bytes.window(pos, 32)?;
        match tag_bytes(head) {
            Some(n) => pos = pos.saturating_add(n),
            None => break,
        }
    }
    Ok(pos.min(end))
}

/// Length of the tag that starts here: ID3v2, ID3v1, APEv2 (header first), Lyrics3 counts as ID3v1's neighbour.
fn tag_bytes(head: &[u8]) -> Option<u64> {
    if head.starts_with(b"ID3") && head.len() >= 10 && head[3] != 0xFF && head[4] != 0xFF {
        let size = head[6..10].iter().fold(0u64, |v, b| v << 7 | u64::from(b & 0x7F));
        let footer = if head[5] & 0x10 != 0 { 10 } else { 0 };
        return Some(10 + size + footer);
    }
    if head.starts_with(b"TAG") {
        return Some(128);
    }
    if head.starts_with(b"APETAGEX") && head.len() >= 24 {
        let size = u64::from(u32::from_le_bytes([head[12], head[13], head[14], head[15]]));
        let is_header = head[23] & 0x20 != 0;
        return Some(if is_header { 32 + size } else { 32 });
    }
    if head.starts_with(b"LYRICSBEGIN") {
        // Up to the ID3v1 tag; its length stands at its end only.
        return Some(11);
    }
    None
}

fn is_tag(head: &[u8]) -> bool {
    head.starts_with(b"TAG")
        || head.starts_with(b"ID3")
        || head.starts_with(b"APETAGEX")
        || head.starts_with(b"LYRICSBEGIN")
}

/// Next position from `pos` at which a header could start.
fn find_sync(bytes: &mut Bytes, mut pos: u64, limit: u64) -> Result<Option<u64>> {
    while pos < limit {
        let w = bytes.window(pos, 32 << 10)?;
        if w.len() < 4 {
            return Ok(None);
        }
        let hit = w.windows(2).position(|p| p[0] == 0xFF && p[1] & 0xE0 == 0xE0);
        match hit {
            Some(i) => return Ok(Some(pos + i as u64).filter(|p| *p < limit)),
            None => pos += w.len() as u64 - 1,
        }
    }
    Ok(None)
}

/// Slots of a free format frame without padding: the distance to the next header of the same stream.
fn free_format_slots(bytes: &mut Bytes, pos: u64, end: u64, first: &MpegHeader) -> Result<Option<usize>> {
    // 640 kbit/s at 8 kHz would be 11 kB; no real stream comes near.
    let max = 8192usize.min(usize::try_from(end - pos).unwrap_or(usize::MAX));
    let w = bytes.window(pos, max * 3 + 16)?;
    for distance in 24..max {
        let Some(next) = w.get(distance..).and_then(MpegHeader::parse) else { continue };
        if !next.same_stream(first) || next.channels != first.channels {
            continue;
        }
        let slot = first.slot_bytes();
        if distance % slot != 0 || distance / slot <= usize::from(first.padding) {
            continue;
        }
        let slots = distance / slot - usize::from(first.padding);
        // The one after next must fit as well, unless the input ends there.
        let after = distance + next.bytes(slots);
        match w.get(after..after + 4) {
            Some(h) if MpegHeader::parse(h).is_some_and(|h| h.same_stream(first)) => return Ok(Some(slots)),
            None => return Ok(Some(slots)),
            _ => {}
        }
    }
    Ok(None)
}

impl Framer for MpegFramer {
    fn next(&mut self, bytes: &mut Bytes, packet: &mut Coded, whole: bool, damage: &mut Damage) -> Result<bool> {
        let end = self.stream.end;
        let lost_from = self.pos;
        let mut skipped = 0;
        loop {
            if self.pos + 4 > end {
                return Ok(false);
            }
            if let Some(h) = self.header_at(bytes, self.pos)? {
                let len = h.bytes(self.free_slots);
                let after = self.pos + len as u64;
                // After lost bytes a single header is no proof.
                let proven = skipped == 0 || after + 4 > end || self.header_at(bytes, after)?.is_some();
                if proven {
                    // A whole frame is missing only its end: the file was cut.
                    let cut = after > end.min(bytes.len());
                    if cut && (self.pos + len as u64 / 2 > end || h.layer != 3) {
                        damage.truncated = true;
                        damage.note(None, Some(self.pos), "the last frame is cut off");
                        return Ok(false);
                    }
                    packet
                        .data
                        .extend_from_slice(bytes.window(self.pos, if whole { len } else { HEAD_BYTES.min(len) })?);
                    packet.frames = Some(h.samples());
                    packet.byte = self.pos;
                    packet.gap = std::mem::take(&mut self.lost);
                    self.pos = after;
                    return Ok(true);
                }
            }
            let head = bytes.window(self.pos, 32)?;
            if let Some(n) = tag_bytes(head) {
                self.pos = self.pos.saturating_add(n).min(end);
                continue;
            }
            let next = find_sync(bytes, self.pos + 1, end)?.unwrap_or(end);
            let step = next - self.pos;
            (skipped, self.pos) = (skipped + step, next);
            if !self.lost {
                self.lost = true;
                damage.note(None, Some(lost_from), "no frame where one should start; searching on");
            }
            damage.bytes_skipped += step;
            if self.pos >= end {
                return Ok(false);
            }
        }
    }

    fn mark(&self) -> Option<Mark> {
        Some(Mark([self.pos, 0, 0, 0]))
    }

    fn resume(&mut self, mark: Mark) {
        self.pos = mark.0[0];
        self.lost = false;
    }

    fn config(&self, _: u32) -> &CodecConfig {
        &self.config
    }

    fn config_mut(&mut self) -> &mut CodecConfig {
        &mut self.config
    }
}
