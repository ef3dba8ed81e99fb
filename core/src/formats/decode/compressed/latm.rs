//! AAC in LOAS/LATM: AudioSyncStream with AudioMuxElement, ISO/IEC 14496-3 1.7. One program with one layer.

use super::aac_config::AacConfig;
use super::bytes::{Bits, Bytes};
use super::codec::{CodecConfig, Kind};
use super::reader::{Coded, Framer, Mark};
use crate::error::{Error, Result};
use crate::formats::info::Damage;

/// Length of the LOAS header.
const HEADER_BYTES: usize = 3;

/// StreamMuxConfig, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct MuxConfig {
    /// AudioSpecificConfig.
    asc: Vec<u8>,
    /// Number of access units in one AudioMuxElement.
    subframes: usize,
    /// Frame length in bytes for streams of constant frame length.
    fixed_bytes: Option<usize>,
}

/// Access units of a LOAS stream.
pub(super) struct LatmFramer {
    config: CodecConfig,
    mux: MuxConfig,
    /// First element with a configuration.
    start: u64,
    pos: u64,
    /// Where the present element is, its access units, and the next of them.
    element_at: u64,
    units: Vec<Vec<u8>>,
    unit: usize,
    resume_unit: usize,
    lost: bool,
}

/// Length of the element that starts here.
fn element_bytes(d: &[u8]) -> Option<usize> {
    let d = d.get(..HEADER_BYTES)?;
    let len = usize::from(d[1] & 0x1F) << 8 | usize::from(d[2]);
    (d[0] == 0x56 && d[1] & 0xE0 == 0xE0 && len > 0).then_some(HEADER_BYTES + len)
}

impl LatmFramer {
    /// Finds three elements in a row near the start, and the first configuration.
    pub fn open(bytes: &mut Bytes) -> Result<Option<Self>> {
        let end = bytes.len();
        for pos in 0..end.min(8192) {
            let (mut at, mut seen) = (pos, 0);
            while seen < 3
                && let Some(n) = element_bytes(bytes.window(at, HEADER_BYTES)?)
            {
                (at, seen) = (at + n as u64, seen + 1);
            }
            // A stream of fewer elements must be the whole input, or a header could be a coincidence.
            if seen < 3 && (seen == 0 || at != end || pos != 0) {
                continue;
            }
            // A configuration comes with every few elements.
            let mut at = pos;
            for _ in 0..512 {
                let Some(n) = element_bytes(bytes.window(at, HEADER_BYTES)?) else { break };
                let d = bytes.window(at + HEADER_BYTES as u64, n - HEADER_BYTES)?;
                let mut bits = Bits::new(d);
                if !bits.flag() {
                    let mux = read_mux(&mut bits)?;
                    let config = CodecConfig { kind: Kind::Aac, extra: mux.asc.clone(), ..CodecConfig::default() };
                    return Ok(Some(Self {
                        config,
                        mux,
                        start: at,
                        pos: at,
                        element_at: 0,
                        units: Vec::new(),
                        unit: 0,
                        resume_unit: 0,
                        lost: false,
                    }));
                }
                at += n as u64;
            }
            return Ok(None);
        }
        Ok(None)
    }

    /// Bytes and number of the access units in the first `count` elements.
    pub fn sample_sizes(&self, bytes: &mut Bytes, count: u64) -> Result<(u64, u64)> {
        let (mut at, mut n) = (self.start, 0);
        while n < count
            && let Some(len) = element_bytes(bytes.window(at, HEADER_BYTES)?)
        {
            (at, n) = (at + len as u64, n + 1);
        }
        Ok((at - self.start, n * self.mux.subframes as u64))
    }

    /// Where the first element with a configuration is.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The access units of one AudioMuxElement.
    fn read_element(&mut self, d: &[u8]) -> Result<()> {
        self.units.clear();
        self.unit = 0;
        let mut bits = Bits::new(d);
        if !bits.flag() {
            let mux = read_mux(&mut bits)?;
            if mux.asc != self.mux.asc {
                return Err(Error::malformed("LATM", None, "the configuration changes"));
            }
            self.mux = mux;
        }
        for _ in 0..self.mux.subframes {
            let len = match self.mux.fixed_bytes {
                Some(n) => n,
                None => {
                    let mut n = 0;
                    loop {
                        let b = bits.get(8) as usize;
                        n += b;
                        if b < 255 || bits.overrun() {
                            break n;
                        }
                    }
                }
            };
            if len * 8 > bits.left() {
                return Err(Error::malformed("LATM", None, "access unit beyond its element"));
            }
            self.units.push(take_bits(&mut bits, len * 8));
        }
        Ok(())
    }
}

/// The next `count` bits as bytes, the last filled up with zeros.
fn take_bits(bits: &mut Bits<'_>, count: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(count.div_ceil(8));
    for _ in 0..count / 8 {
        out.push(bits.get(8) as u8);
    }
    let rest = (count % 8) as u32;
    if rest > 0 {
        out.push((bits.get(rest) << (8 - rest)) as u8);
    }
    out
}

/// StreamMuxConfig (table 1.42).
fn read_mux(b: &mut Bits<'_>) -> Result<MuxConfig> {
    let refuse = |what: &str| Error::unsupported("LATM stream", what.to_owned());
    let version = b.get(1);
    if version == 1 && b.flag() {
        return Err(refuse("audioMuxVersionA 1"));
    }
    let value = |b: &mut Bits<'_>| {
        let n = b.get(2) + 1;
        b.get(8 * n)
    };
    if version == 1 {
        value(b);
    }
    let same_framing = b.flag();
    let subframes = b.get(6) as usize + 1;
    let (programs, layers) = (b.get(4), b.get(3));
    if !same_framing || programs > 0 || layers > 0 {
        return Err(refuse("several programs or layers"));
    }
    let asc_bits = if version == 1 { value(b) as usize } else { 0 };
    let mut probe = b.clone();
    let config =
        AacConfig::read(&mut probe, false).ok_or_else(|| Error::malformed("LATM", None, "AudioSpecificConfig"))?;
    let asc_bits = if version == 1 { asc_bits } else { config.bits };
    if asc_bits > b.left() || asc_bits > 8 * 1024 {
        return Err(Error::malformed("LATM", None, format!("AudioSpecificConfig of {asc_bits} bits")));
    }
    let asc = take_bits(b, asc_bits);
    let fixed_bytes = match b.get(3) {
        0 => {
            b.skip(8);
            None
        }
        1 => Some((b.get(9) as usize + 20).div_ceil(8)),
        n => return Err(refuse(&format!("frame length type {n}"))),
    };
    if b.flag() {
        if version == 1 {
            value(b);
        } else {
            while b.flag() && !b.overrun() {
                b.skip(8);
            }
            b.skip(8);
        }
    }
    if b.flag() {
        b.skip(8);
    }
    if b.overrun() {
        return Err(Error::malformed("LATM", None, "StreamMuxConfig is cut off"));
    }
    Ok(MuxConfig { asc, subframes, fixed_bytes })
}

impl Framer for LatmFramer {
    fn next(&mut self, bytes: &mut Bytes, packet: &mut Coded, _: bool, damage: &mut Damage) -> Result<bool> {
        loop {
            if let Some(unit) = self.units.get_mut(self.unit) {
                packet.data.append(unit);
                packet.byte = self.element_at;
                packet.gap = std::mem::take(&mut self.lost);
                self.unit += 1;
                if packet.data.is_empty() {
                    continue;
                }
                return Ok(true);
            }
            let end = bytes.len();
            if self.pos + HEADER_BYTES as u64 > end {
                return Ok(false);
            }
            match element_bytes(bytes.window(self.pos, HEADER_BYTES)?) {
                Some(n) if self.pos + n as u64 > end => {
                    damage.truncated = true;
                    damage.note(None, Some(self.pos), "the last element is cut off");
                    return Ok(false);
                }
                Some(n) => {
                    self.element_at = self.pos;
                    let d = bytes.window(self.pos + HEADER_BYTES as u64, n - HEADER_BYTES)?.to_vec();
                    self.pos += n as u64;
                    if let Err(e) = self.read_element(&d) {
                        damage.note(None, Some(self.element_at), e.to_string());
                        self.lost = true;
                    }
                    self.unit = std::mem::take(&mut self.resume_unit);
                }
                None => {
                    let w = bytes.window(self.pos + 1, 32 << 10)?;
                    let step = w.windows(2).position(|p| p[0] == 0x56 && p[1] & 0xE0 == 0xE0).unwrap_or(w.len());
                    damage.bytes_skipped += 1 + step as u64;
                    if !self.lost {
                        damage.note(None, Some(self.pos), "no element where one should start; searching on");
                    }
                    self.pos += 1 + step as u64;
                    self.lost = true;
                }
            }
        }
    }

    fn mark(&self) -> Option<Mark> {
        Some(if self.unit < self.units.len() {
            Mark([self.element_at, self.unit as u64, 0, 0])
        } else {
            Mark([self.pos, 0, 0, 0])
        })
    }

    fn resume(&mut self, mark: Mark) {
        self.pos = mark.0[0];
        self.resume_unit = mark.0[1] as usize;
        self.units.clear();
        self.unit = 0;
        self.lost = false;
    }

    fn config(&self, _: u32) -> &CodecConfig {
        &self.config
    }

    fn config_mut(&mut self) -> &mut CodecConfig {
        &mut self.config
    }
}
