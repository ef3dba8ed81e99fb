//! Matroska and WebM (RFC 9559, EBML: RFC 8794): the audio track and its blocks.
//!
//! The walk over the file is flat: segments, clusters and block groups are entered, everything else is stepped over. So
//! unknown sizes, which live streams have, need no special case, and nothing recurses.

use super::aac_config::AacConfig;
use super::bytes::{Bytes, be};
use super::codec::{CodecConfig, Kind};
use super::pcm::{Coding, PcmFormat};
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

/// An element's id and where its content is.
#[derive(Debug, Clone, Copy)]
struct Element {
    id: u32,
    start: u64,
    body: u64,
    /// None is an unknown size.
    size: Option<u64>,
}

impl Element {
    fn parse(d: &[u8], start: u64) -> Option<Self> {
        let id_len = d.first()?.leading_zeros() as usize + 1;
        if id_len > 4 {
            return None;
        }
        let id = be(d.get(..id_len)?) as u32;
        let (size, size_len) = vint(d.get(id_len..)?)?;
        let unknown = size == (1 << (7 * size_len)) - 1;
        Some(Self { id, start, body: start + (id_len + size_len) as u64, size: (!unknown).then_some(size) })
    }

    fn end(&self) -> u64 {
        self.body.saturating_add(self.size.unwrap_or(0))
    }
}

/// A variable length integer: value without the marker, and its length.
fn vint(d: &[u8]) -> Option<(u64, usize)> {
    let len = d.first()?.leading_zeros() as usize + 1;
    if len > 8 {
        return None;
    }
    let raw = be(d.get(..len)?);
    Some((raw & (u64::MAX >> (64 - 7 * len)), len))
}

/// Children of an element that was read whole.
fn children(d: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let e = Element::parse(d.get(at..)?, at as u64)?;
        let from = usize::try_from(e.body).ok()?;
        let to = usize::try_from(e.size.map_or(d.len() as u64, |_| e.end())).ok()?.min(d.len());
        at = to.max(from);
        Some((e.id, d.get(from..to)?))
    })
}

fn float(d: &[u8]) -> f64 {
    match d.len() {
        4 => f64::from(f32::from_bits(be(d) as u32)),
        8 => f64::from_bits(be(d)),
        _ => 0.0,
    }
}

/// The audio track that is read.
#[derive(Debug, Clone, Default)]
struct Track {
    number: u64,
    config: CodecConfig,
    codec_delay_ns: u64,
    /// Bytes that were stripped from every packet.
    stripped: Vec<u8>,
    default: bool,
    /// Bytes of one PCM frame.
    pcm_frame: usize,
    error: Option<(&'static str, String)>,
}

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

/// Length of the lacing header and sizes of the packets in a block (RFC 9559 10.3).
fn lace_sizes(lacing: u8, d: &[u8]) -> Option<(usize, Vec<usize>)> {
    if lacing == 0 {
        return Some((0, vec![d.len()]));
    }
    let count = usize::from(*d.first()?) + 1;
    let mut at = 1;
    let mut sizes = Vec::with_capacity(count);
    match lacing {
        1 => {
            for _ in 1..count {
                let mut size = 0;
                loop {
                    let b = *d.get(at)?;
                    at += 1;
                    size += usize::from(b);
                    if b < 255 {
                        break;
                    }
                }
                sizes.push(size);
            }
        }
        2 => {
            let each = (d.len() - 1) / count;
            return Some((1, vec![each; count]));
        }
        _ => {
            let mut size = 0i64;
            for i in 1..count {
                let (v, n) = vint(d.get(at..)?)?;
                at += n;
                // The first is a size, the others are differences, biased by half their range.
                size = if i == 1 { v as i64 } else { size + v as i64 - ((1i64 << (7 * n - 1)) - 1) };
                sizes.push(usize::try_from(size).ok()?);
            }
        }
    }
    let used: usize = sizes.iter().try_fold(at, |sum, s| sum.checked_add(*s))?;
    sizes.push(d.len().checked_sub(used)?);
    Some((at, sizes))
}

fn element_at(bytes: &mut Bytes, pos: u64) -> Result<Option<Element>> {
    Ok(Element::parse(bytes.window(pos, 12)?, pos))
}

/// Ids of the top level that may legally reach beyond the end of a cut file.
fn known_id(id: u32) -> bool {
    matches!(id, 0x114D_9B74 | 0x1C53_BB6B | 0x1941_A469 | 0x1043_A770 | 0x1254_C367 | TRACKS | INFO | 0xEC | 0xBF)
}

fn to_frames(ns: u64, rate_hz: u32) -> u64 {
    ((u128::from(ns) * u128::from(rate_hz) + 500_000_000) / 1_000_000_000).min(1 << 40) as u64
}

/// An audio TrackEntry; None for other kinds.
fn read_track(d: &[u8]) -> Option<Track> {
    let mut t = Track { default: true, ..Track::default() };
    let (mut kind, mut codec, mut private) = (0, "", &[][..]);
    let (mut rate, mut output_rate, mut channels, mut bits) = (8000.0, 0.0, 1, 0);
    for (id, d) in children(d) {
        let uint = if d.len() <= 8 { be(d) } else { 0 };
        match id {
            0xD7 => t.number = uint,
            0x83 => kind = uint,
            0x88 => t.default = uint != 0,
            0x86 => codec = std::str::from_utf8(d).unwrap_or("").trim_end_matches('\0'),
            0x63A2 => private = d,
            0x56AA => t.codec_delay_ns = uint,
            0xE1 => {
                for (id, d) in children(d) {
                    match id {
                        0xB5 => rate = float(d),
                        0x78B5 => output_rate = float(d),
                        0x9F if d.len() <= 8 => channels = be(d).min(255) as usize,
                        0x6264 if d.len() <= 8 => bits = be(d).min(64) as u8,
                        _ => {}
                    }
                }
            }
            0x6D80 => read_encodings(d, &mut t),
            _ => {}
        }
    }
    if kind != 2 {
        return None;
    }
    let clean = |r: f64| if r.is_finite() && r > 0.0 && r < 4e9 { r as u32 } else { 0 };
    t.config = CodecConfig { rate_hz: clean(rate), channels, extra: private.to_vec(), ..CodecConfig::default() };
    if let Err(e) = set_codec(&mut t, codec, private, bits, clean(output_rate)) {
        t.error = t.error.or(Some(e));
    }
    Some(t)
}

/// ContentEncodings: header stripping is undone, anything else refused.
fn read_encodings(d: &[u8], t: &mut Track) {
    for (_, encoding) in children(d).filter(|(id, _)| *id == 0x6240) {
        for (id, d) in children(encoding) {
            match id {
                0x5034 => {
                    let algorithm =
                        children(d).find(|(id, _)| *id == 0x4254).map_or(0, |(_, d)| be(&d[..d.len().min(8)]));
                    if algorithm == 3 {
                        t.stripped = children(d).find(|(id, _)| *id == 0x4255).map_or(Vec::new(), |(_, d)| d.to_vec());
                    } else {
                        t.error = Some(("compression of Matroska blocks", algorithm.to_string()));
                    }
                }
                0x5035 => t.error = Some(("encrypted audio", "Matroska".into())),
                _ => {}
            }
        }
    }
}

fn set_codec(
    t: &mut Track,
    codec: &str,
    private: &[u8],
    bits: u8,
    output_rate: u32,
) -> Result<(), (&'static str, String)> {
    let refuse = |value: &str| Err(("codec", value.to_owned()));
    let broken = || ("Matroska CodecPrivate of", codec.to_owned());
    t.config.kind = match codec {
        "A_OPUS" | "A_OPUS/EXPERIMENTAL" => Kind::Opus,
        "A_VORBIS" => {
            t.config.extra = unlace_vorbis(private).ok_or_else(broken)?;
            Kind::Vorbis
        }
        "A_FLAC" => {
            t.config.extra = private.get(8..42).ok_or_else(broken)?.to_vec();
            Kind::Flac
        }
        "A_ALAC" => Kind::Alac,
        "A_MPEG/L1" | "A_MPEG/L2" | "A_MPEG/L3" => {
            t.config.extra.clear();
            Kind::Mpeg
        }
        "A_PCM/INT/LIT" | "A_PCM/INT/BIG" => {
            let big = codec.ends_with("BIG");
            let format = PcmFormat::int(bits.clamp(1, 64), big);
            Kind::Pcm(if bits <= 8 { PcmFormat { coding: Coding::Unsigned, ..format } } else { format })
        }
        "A_PCM/FLOAT/IEEE" => Kind::Pcm(PcmFormat::float(if bits == 64 { 64 } else { 32 }, false)),
        "A_MS/ACM" => return set_acm(t, private),
        c if c.starts_with("A_AAC") => {
            if private.is_empty() {
                t.config.extra = old_aac(c, t.config.rate_hz, t.config.channels, output_rate).ok_or_else(broken)?;
            }
            Kind::Aac
        }
        c if c.starts_with("A_AC3") => return refuse("AC-3"),
        "A_EAC3" => return refuse("E-AC-3"),
        c if c.starts_with("A_DTS") => return refuse("DTS"),
        "A_TRUEHD" | "A_MLP" => return refuse("TrueHD"),
        "" => return refuse("none given"),
        c => return refuse(c),
    };
    if let Kind::Pcm(f) = t.config.kind {
        t.pcm_frame = usize::from(f.bytes) * t.config.channels;
    }
    Ok(())
}

/// A WAVEFORMATEX as CodecPrivate.
fn set_acm(t: &mut Track, d: &[u8]) -> Result<(), (&'static str, String)> {
    let word = |at: usize| d.get(at..at + 2).map_or(0, |w| u16::from_le_bytes([w[0], w[1]]));
    let (tag, bits) = (word(0), word(14).min(64) as u8);
    t.config.kind = match tag {
        1 if bits <= 8 => Kind::Pcm(PcmFormat { coding: Coding::Unsigned, ..PcmFormat::int(8, false) }),
        1 => Kind::Pcm(PcmFormat::int(bits, false)),
        3 => Kind::Pcm(PcmFormat::float(bits, false)),
        6 => Kind::Pcm(PcmFormat::law(Coding::ALaw)),
        7 => Kind::Pcm(PcmFormat::law(Coding::MuLaw)),
        0x50 | 0x55 => Kind::Mpeg,
        0xFF => Kind::Aac,
        t => return Err(("codec", format!("WAVE format tag 0x{t:04X}"))),
    };
    t.config.extra = if tag == 0xFF { d.get(18..).unwrap_or(&[]).to_vec() } else { Vec::new() };
    if let Kind::Pcm(f) = t.config.kind {
        t.pcm_frame = usize::from(f.bytes) * t.config.channels;
    }
    Ok(())
}

/// Identification and set-up header out of the Xiph lacing of all three.
fn unlace_vorbis(d: &[u8]) -> Option<Vec<u8>> {
    let (header, sizes) = lace_sizes(1, d).filter(|(_, s)| s.len() == 3)?;
    let setup_at = header + sizes[0] + sizes[1];
    let ident = d.get(header..header + super::vorbis::IDENT_BYTES)?;
    Some([ident, d.get(setup_at..)?].concat())
}

/// AudioSpecificConfig for the old codec ids, such as `A_AAC/MPEG4/LC/SBR`.
fn old_aac(id: &str, rate_hz: u32, channels: usize, _output_rate: u32) -> Option<Vec<u8>> {
    let profile = match id {
        _ if id.contains("/MAIN") => 0,
        _ if id.contains("/SSR") => 2,
        _ if id.contains("/LTP") => 3,
        _ => 1,
    };
    // SBR is found in the packets.
    let index = AacConfig::rate_index(rate_hz)?;
    let config = match channels {
        n @ 1..=6 => n as u32,
        8 => 7,
        _ => return None,
    };
    AacConfig::of_adts(profile, index, config)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_lacings() {
        // RFC 9559 10.3.2: sizes 800, 500, 1000 in Xiph lacing.
        let mut d = vec![2, 255, 255, 255, 35, 255, 245];
        d.resize(7 + 2300, 0);
        assert_eq!(lace_sizes(1, &d), Some((7, vec![800, 500, 1000])));
        // 10.3.3: the same in EBML lacing: 0x4320, then -300 as 0x5ED3.
        let mut d = vec![2, 0x43, 0x20, 0x5E, 0xD3];
        d.resize(5 + 2300, 0);
        assert_eq!(lace_sizes(3, &d), Some((5, vec![800, 500, 1000])));
        let mut d = vec![2];
        d.resize(1 + 2400, 0);
        assert_eq!(lace_sizes(2, &d), Some((1, vec![800; 3])));
        assert_eq!(lace_sizes(1, &[2, 255]), None);
    }

    #[test]
    fn elements_with_known_and_unknown_sizes() {
        let e = Element::parse(&[0x1F, 0x43, 0xB6, 0x75, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], 10).unwrap();
        assert_eq!((e.id, e.body, e.size), (CLUSTER, 22, None));
        let e = Element::parse(&[0xA3, 0x40, 0x02], 0).unwrap();
        assert_eq!((e.id, e.body, e.size), (SIMPLE_BLOCK, 3, Some(2)));
        assert!(Element::parse(&[0x00, 0x81], 0).is_none());
    }
}
