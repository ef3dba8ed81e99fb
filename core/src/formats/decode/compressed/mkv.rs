//! Matroska and WebM (RFC 9559, EBML: RFC 8794): the audio track and its blocks.
//!
//! The walk over the file is flat: segments, clusters and block groups are entered, everything else is stepped over. So
//! unknown sizes, which live streams have, need no special case, and nothing recurses.

use super::bytes::{Bytes, be};
use super::codec::{CodecConfig, Kind};
use super::mkv_ebml::{Element, children, element_at, float, lace_sizes, vint};
use super::mkv_track::{Track, read_track};
use super::reader::{Coded, Framer, HEAD_BYTES, Mark};
use crate::error::{Error, Result};
use crate::formats::info::Damage;

const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1F43_B675;
const TRACKS: u32 = 0x1654_AE6B;
const INFO: u32 = 0x1549_A966;
const BLOCK_GROUP: u32 = 0xA0;
const BLOCK: u32 = 0xA1;
const SIMPLE_BLOCK: u32 = 0xA3;
/// Largest block that is read.
const MAX_BLOCK_BYTES: u64 = 64 << 20;
/// Largest list of tracks that is read.
const MAX_TRACKS_BYTES: u64 = 16 << 20;

/// Blocks of one track.
pub(super) struct MkvFramer {
    track: Track,
    pub webm: bool,
    /// Nanoseconds by the segment's header; 0 unknown.
    pub duration_ns: f64,
    /// First byte of the first cluster.
    start: u64,
    pos: u64,
    /// Element that holds the present block, the packets in it, and the next of them.
    block_at: u64,
    laces: Vec<(u64, usize)>,
    lace: usize,
    discard_ns: i64,
    resume_lace: usize,
    config: CodecConfig,
}

impl MkvFramer {
    /// Reads the headers and selects audio track number `wanted` (from 0; None is the default one).
    pub fn open(bytes: &mut Bytes, wanted: Option<u32>) -> Result<Self> {
        let bad = |what: &str| Error::malformed("Matroska", None, what.to_owned());
        let head = bytes.window(0, 4096)?;
        let ebml = Element::parse(head, 0).ok_or_else(|| bad("no EBML header"))?;
        let content = head.get(ebml.body as usize..(ebml.end() as usize).min(head.len())).unwrap_or(&[]);
        let webm = children(content).any(|(id, d)| id == 0x4282 && d.starts_with(b"webm"));
        let mut pos = ebml.end();
        let (mut tracks, mut start) = (Vec::new(), None);
        let (mut scale, mut ticks) = (1_000_000.0, 0.0);
        while let Some(e) = element_at(bytes, pos)? {
            match e.id {
                SEGMENT => {
                    pos = e.body;
                    continue;
                }
                CLUSTER => {
                    start = start.or(Some(e.start));
                    if !tracks.is_empty() || e.size.is_none() {
                        break;
                    }
                }
                TRACKS if tracks.is_empty() => {
                    let len = e.size.unwrap_or(MAX_TRACKS_BYTES).min(MAX_TRACKS_BYTES);
                    let d = bytes.window(e.body, len as usize)?;
                    tracks = children(d).filter(|(id, _)| *id == 0xAE).filter_map(|(_, d)| read_track(d)).collect();
                    if tracks.is_empty() {
                        return Err(Error::NotAudio { hint: Some("Matroska without an audio track".into()) });
                    }
                }
                INFO => {
                    let d = bytes.window(e.body, e.size.unwrap_or(0).min(1 << 20) as usize)?;
                    for (id, d) in children(d) {
                        match id {
                            0x2A_D7B1 if d.len() <= 8 => scale = be(d) as f64,
                            0x4489 => ticks = float(d),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
            if e.size.is_none() {
                break;
            }
            pos = e.end();
        }
        let start = start.unwrap_or(pos);
        let count = tracks.len();
        let usable = |t: &Track| t.error.is_none();
        let pick = match wanted {
            Some(w) => tracks.get(w as usize),
            None => tracks.iter().find(|t| t.default && usable(t)).or_else(|| tracks.iter().find(|t| usable(t))),
        };
        let track = match (pick, wanted, tracks.first()) {
            (Some(t), ..) => t.clone(),
            (None, Some(w), _) => {
                let max = count.saturating_sub(1) as f64;
                return Err(Error::OutOfRange { name: "track".into(), value: f64::from(w), min: 0.0, max, unit: "" });
            }
            (None, None, Some(t)) => t.clone(),
            _ => return Err(bad("no tracks")),
        };
        if let Some((what, value)) = track.error {
            return Err(Error::unsupported(what, value));
        }
        let duration_ns = if ticks.is_finite() && ticks > 0.0 { ticks * scale } else { 0.0 };
        Ok(Self {
            config: track.config.clone(),
            track,
            webm,
            duration_ns,
            start,
            pos: start,
            block_at: 0,
            laces: Vec::new(),
            lace: 0,
            discard_ns: 0,
            resume_lace: 0,
        })
    }

    /// Frames that the encoder added at the start, as the container states them; None when it does not.
    pub fn codec_delay(&self, rate_hz: u32) -> Option<u64> {
        let ns = self.track.codec_delay_ns;
        (ns > 0).then(|| to_frames(ns, rate_hz))
    }

    /// First byte of the first cluster.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Goes to the next block of the track; false at the end.
    fn next_block(&mut self, bytes: &mut Bytes, damage: &mut Damage) -> Result<bool> {
        loop {
            if self.pos >= bytes.len() {
                return Ok(false);
            }
            let Some(e) = element_at(bytes, self.pos)? else {
                if self.pos + 16 < bytes.len() {
                    self.resync(bytes, damage)?;
                    continue;
                }
                return Ok(false);
            };
            match e.id {
                SEGMENT | CLUSTER => self.pos = e.body,
                BLOCK_GROUP if e.size.is_some() => {
                    self.pos = e.end();
                    if self.read_group(bytes, &e)? {
                        return Ok(true);
                    }
                }
                SIMPLE_BLOCK => {
                    self.pos = e.end();
                    self.discard_ns = 0;
                    if e.end() > bytes.len() {
                        damage.truncated = true;
                        damage.note(None, Some(e.start), "the last block is cut off");
                        return Ok(false);
                    }
                    self.block_at = e.start;
                    if self.read_block(bytes, e.body, e.size.unwrap_or(0))? {
                        return Ok(true);
                    }
                }
                _ if e.size.is_none() => self.pos = e.body,
                _ => {
                    if e.end() > bytes.len() {
                        if known_id(e.id) {
                            return Ok(false);
                        }
                        self.resync(bytes, damage)?;
                        continue;
                    }
                    self.pos = e.end();
                }
            }
        }
    }

    /// Searches the next cluster after bytes that are no element.
    fn resync(&mut self, bytes: &mut Bytes, damage: &mut Damage) -> Result<()> {
        let from = self.pos;
        let mut pos = from + 1;
        self.pos = bytes.len();
        while pos < bytes.len() {
            let w = bytes.window(pos, 64 << 10)?;
            if let Some(i) = w.windows(4).position(|p| p == CLUSTER.to_be_bytes()) {
                self.pos = pos + i as u64;
                break;
            }
            pos += (w.len() as u64).saturating_sub(3).max(1);
        }
        damage.bytes_skipped += self.pos - from;
        damage.note(None, Some(from), "no element where one should start; searching the next cluster");
        Ok(())
    }

    fn read_group(&mut self, bytes: &mut Bytes, group: &Element) -> Result<bool> {
        let (mut block, mut discard) = (None, 0);
        let mut pos = group.body;
        while pos < group.end() {
            let Some(e) = element_at(bytes, pos)? else { break };
            match e.id {
                BLOCK => block = Some(e),
                0x75A2 => {
                    let d = bytes.window(e.body, e.size.unwrap_or(0).min(8) as usize)?;
                    let shift = 64 - 8 * d.len().clamp(1, 8) as u32;
                    discard = (be(d) << shift) as i64 >> shift;
                }
                _ => {}
            }
            if e.size.is_none() {
                break;
            }
            pos = e.end();
        }
        let Some(b) = block.filter(|b| b.end() <= bytes.len()) else { return Ok(false) };
        self.block_at = group.start;
        self.discard_ns = discard;
        self.read_block(bytes, b.body, b.size.unwrap_or(0))
    }

    /// Fills `laces` when the block is of our track.
    fn read_block(&mut self, bytes: &mut Bytes, body: u64, size: u64) -> Result<bool> {
        self.laces.clear();
        self.lace = 0;
        if size > MAX_BLOCK_BYTES {
            return Ok(false);
        }
        let d = bytes.window(body, size as usize)?;
        let Some((number, n)) = vint(d) else { return Ok(false) };
        if number != self.track.number || d.len() < n + 3 {
            return Ok(false);
        }
        let flags = d[n + 2];
        let payload = &d[n + 3..];
        let base = body + n as u64 + 3;
        let sizes = lace_sizes(flags >> 1 & 3, payload);
        if let Some((header, sizes)) = sizes {
            let mut at = base + header as u64;
            for s in sizes {
                self.laces.push((at, s));
                at += s as u64;
            }
        }
        self.lace = std::mem::take(&mut self.resume_lace);
        Ok(self.lace < self.laces.len())
    }
}

/// Ids of the top level that may legally reach beyond the end of a cut file.
fn known_id(id: u32) -> bool {
    matches!(id, 0x114D_9B74 | 0x1C53_BB6B | 0x1941_A469 | 0x1043_A770 | 0x1254_C367 | TRACKS | INFO | 0xEC | 0xBF)
}

fn to_frames(ns: u64, rate_hz: u32) -> u64 {
    ((u128::from(ns) * u128::from(rate_hz) + 500_000_000) / 1_000_000_000).min(1 << 40) as u64
}

impl Framer for MkvFramer {
    fn next(&mut self, bytes: &mut Bytes, packet: &mut Coded, whole: bool, damage: &mut Damage) -> Result<bool> {
        loop {
            if self.lace >= self.laces.len() && !self.next_block(bytes, damage)? {
                return Ok(false);
            }
            let Some((at, len)) = self.laces.get(self.lace).copied() else { continue };
            self.lace += 1;
            if len == 0 && self.track.stripped.is_empty() {
                continue;
            }
            packet.data.extend_from_slice(&self.track.stripped);
            let want = if whole { len } else { HEAD_BYTES.min(len) };
            packet.data.extend_from_slice(bytes.window(at, want)?);
            packet.byte = at;
            packet.frames = (self.track.stripped.len() + len).checked_div(self.track.pcm_frame).map(|n| n as u64);
            let trim = to_frames(self.discard_ns.unsigned_abs(), self.output_rate());
            if self.discard_ns > 0 && self.lace == self.laces.len() {
                packet.trim_end = trim;
            } else if self.discard_ns < 0 && self.lace == 1 {
                packet.trim_start = trim;
            }
            return Ok(true);
        }
    }

    fn mark(&self) -> Option<Mark> {
        Some(if self.lace < self.laces.len() {
            Mark([self.block_at, self.lace as u64, 0, 0])
        } else {
            Mark([self.pos, 0, 0, 0])
        })
    }

    fn resume(&mut self, mark: Mark) {
        self.pos = mark.0[0];
        self.resume_lace = mark.0[1] as usize;
        self.laces.clear();
        self.lace = 0;
    }

    fn config(&self, _: u32) -> &CodecConfig {
        &self.config
    }

    fn config_mut(&mut self) -> &mut CodecConfig {
        &mut self.config
    }
}

impl MkvFramer {
    fn output_rate(&self) -> u32 {
        match self.config.kind {
            Kind::Opus => super::opus::RATE_HZ,
            Kind::Aac => self.config.aac.map_or(self.config.rate_hz, |p| p.rate_hz()),
            _ => self.config.rate_hz,
        }
    }
}
