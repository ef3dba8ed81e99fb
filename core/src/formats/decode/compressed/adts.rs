//! AAC with ADTS headers: ISO/IEC 13818-7 6.2.

use super::aac_config::AacConfig;
use super::bytes::Bytes;
use super::codec::{CodecConfig, Kind};
use super::mpeg::skip_tags;
use super::reader::{Coded, Framer, HEAD_BYTES, Mark};
use crate::error::Result;
use crate::formats::info::Damage;

/// One ADTS header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AdtsHeader {
    profile: u32,
    rate_index: u32,
    channels: u32,
    header_bytes: usize,
    frame_bytes: usize,
}

impl AdtsHeader {
    fn parse(d: &[u8]) -> Option<Self> {
        let d = d.get(..7)?;
        if d[0] != 0xFF || d[1] & 0xF6 != 0xF0 {
            return None;
        }
        let header_bytes = if d[1] & 1 != 0 { 7 } else { 9 };
        let h = Self {
            profile: u32::from(d[2] >> 6),
            rate_index: u32::from(d[2] >> 2 & 15),
            channels: u32::from(d[2] & 1) << 2 | u32::from(d[3] >> 6),
            header_bytes,
            frame_bytes: usize::from(d[3] & 3) << 11 | usize::from(d[4]) << 3 | usize::from(d[5] >> 5),
        };
        (h.rate_index < 13 && h.frame_bytes > header_bytes).then_some(h)
    }

    fn same_stream(&self, o: &Self) -> bool {
        (self.profile, self.rate_index, self.channels) == (o.profile, o.rate_index, o.channels)
    }
}

/// Access units of an ADTS stream.
pub(super) struct AdtsFramer {
    pub config: CodecConfig,
    first: AdtsHeader,
    start: u64,
    pos: u64,
    lost: bool,
}

impl AdtsFramer {
    /// Finds three frames in a row (or as many as there are) not far from the start.
    pub fn open(bytes: &mut Bytes) -> Result<Option<Self>> {
        let end = bytes.len();
        let start = skip_tags(bytes, 0, end)?;
        for pos in start..end.min(start + 8192) {
            let Some(first) = AdtsHeader::parse(bytes.window(pos, 7)?) else { continue };
            let (mut at, mut seen) = (pos, 0);
            while seen < 3 {
                match AdtsHeader::parse(bytes.window(at, 7)?) {
                    Some(h) if h.same_stream(&first) => at += h.frame_bytes as u64,
                    _ => break,
                }
                seen += 1;
            }
            // A stream of fewer frames must be the whole input, or a header could be a coincidence.
            if seen < 3 && (seen == 0 || at != end || pos != start) {
                continue;
            }
            let Some(extra) = AacConfig::of_adts(first.profile, first.rate_index, first.channels) else { continue };
            let config = CodecConfig { kind: Kind::Aac, extra, ..CodecConfig::default() };
            return Ok(Some(Self { config, first, start: pos, pos, lost: false }));
        }
        Ok(None)
    }

    /// Bytes and number of the first `count` frames.
    pub fn sample_sizes(&self, bytes: &mut Bytes, count: u64) -> Result<(u64, u64)> {
        let (mut at, mut n) = (self.start, 0);
        while n < count
            && let Some(h) = AdtsHeader::parse(bytes.window(at, 7)?)
        {
            (at, n) = (at + h.frame_bytes as u64, n + 1);
        }
        Ok((at - self.start, n))
    }

    /// Where the first frame starts.
    pub fn start(&self) -> u64 {
        self.start
    }
}

impl Framer for AdtsFramer {
    fn next(&mut self, bytes: &mut Bytes, packet: &mut Coded, whole: bool, damage: &mut Damage) -> Result<bool> {
        let mut noted = false;
        loop {
            let end = bytes.len();
            if self.pos + 7 > end {
                return Ok(false);
            }
            if let Some(h) = AdtsHeader::parse(bytes.window(self.pos, 7)?).filter(|h| h.same_stream(&self.first)) {
                let after = self.pos + h.frame_bytes as u64;
                if after > end {
                    damage.truncated = true;
                    damage.note(None, Some(self.pos), "the last frame is cut off");
                    return Ok(false);
                }
                let proven = !noted || after + 7 > end || AdtsHeader::parse(bytes.window(after, 7)?).is_some();
                if proven {
                    let len = h.frame_bytes - h.header_bytes;
                    let want = if whole { len } else { HEAD_BYTES.min(len) };
                    packet.data.extend_from_slice(bytes.window(self.pos + h.header_bytes as u64, want)?);
                    packet.byte = self.pos;
                    packet.gap = std::mem::take(&mut self.lost);
                    self.pos = after;
                    return Ok(true);
                }
            }
            let from = self.pos;
            self.pos = skip_tags(bytes, from, end)?;
            if self.pos > from {
                continue;
            }
            let w = bytes.window(from + 1, 32 << 10)?;
            let step = w.windows(2).position(|p| p[0] == 0xFF && p[1] & 0xF6 == 0xF0).unwrap_or(w.len().max(1));
            self.pos = from + 1 + step as u64;
            damage.bytes_skipped += self.pos - from;
            if !noted {
                damage.note(None, Some(from), "no frame where one should start; searching on");
            }
            (noted, self.lost) = (true, true);
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
