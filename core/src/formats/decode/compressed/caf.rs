//! Core Audio Format with compressed audio: ALAC, AAC, Opus, MPEG layers, IMA4 (Apple Core Audio Format Specification 1.0).

use super::bytes::{Bytes, be};
use super::codec::{CodecConfig, Kind};
use super::mp4_entry::parse_esds;
use super::reader::{Coded, Framer, HEAD_BYTES, Mark};
use crate::error::{Error, Result};
use crate::formats::info::Damage;

/// Largest cookie that is read.
const MAX_COOKIE_BYTES: u64 = 1 << 20;
/// Largest packet table that is read.
const MAX_TABLE_BYTES: u64 = 64 << 20;

/// Packets of a CAF file.
pub(super) struct CafFramer {
    config: CodecConfig,
    /// Start and end of the packets.
    data: (u64, u64),
    /// Size of every packet, or 0: then `sizes`.
    packet_bytes: u64,
    sizes: Vec<u32>,
    /// Frames of every packet, 0 when they vary; then `frames` has them, if the codec cannot tell.
    pub packet_frames: u64,
    frames: Vec<u32>,
    /// Valid frames, priming, remainder by the packet table.
    pub table: Option<(u64, u64, u64)>,
    index: u64,
    offset: u64,
}

impl CafFramer {
    /// Reads the chunks.
    pub fn open(bytes: &mut Bytes) -> Result<Self> {
        let missing = |what: &str| Error::malformed("CAF", None, format!("no {what} chunk"));
        let mut pos = 8u64;
        let (mut desc, mut cookie, mut table, mut data) = (None, Vec::new(), Vec::new(), None);
        while let Some(head) = bytes.array::<12>(pos)? {
            let size = be(&head[4..]) as i64;
            let body = pos + 12;
            let end = u64::try_from(size).map_or(bytes.len(), |s| body.saturating_add(s)).min(bytes.len());
            let content = |bytes: &mut Bytes, max: u64| -> Result<Vec<u8>> {
                Ok(bytes.window(body, (end - body.min(end)).min(max) as usize)?.to_vec())
            };
            match &head[..4] {
                b"desc" => desc = Some(content(bytes, 32)?),
                b"kuki" => cookie = content(bytes, MAX_COOKIE_BYTES)?,
                b"pakt" => table = content(bytes, MAX_TABLE_BYTES)?,
                // The data starts with an edit count of 4 bytes.
                b"data" => data = Some(((body + 4).min(end), end)),
                _ => {}
            }
            if size < 0 {
                break;
            }
            pos = body.saturating_add(size as u64);
        }
        let d = desc.filter(|d| d.len() >= 32).ok_or_else(|| missing("desc"))?;
        let data = data.ok_or_else(|| missing("data"))?;
        let rate = f64::from_be_bytes(<[u8; 8]>::try_from(&d[..8]).unwrap_or_default());
        let rate_hz = if rate.is_finite() && rate > 0.0 && rate < 4e9 { rate as u32 } else { 0 };
        let mut config = CodecConfig { rate_hz, channels: be(&d[24..28]).min(4096) as usize, ..CodecConfig::default() };
        (config.kind, config.extra) = codec(&d[8..12], cookie)?;
        let mut framer = Self {
            config,
            data,
            packet_bytes: be(&d[16..20]),
            sizes: Vec::new(),
            packet_frames: be(&d[20..24]),
            frames: Vec::new(),
            table: None,
            index: 0,
            offset: data.0,
        };
        framer.read_table(&table);
        if framer.packet_bytes == 0 && framer.sizes.is_empty() {
            return Err(missing("pakt"));
        }
        Ok(framer)
    }

    fn read_table(&mut self, t: &[u8]) {
        if t.len() < 24 {
            return;
        }
        let clean = |v: i64| u64::try_from(v).unwrap_or(0);
        let valid = clean(be(&t[8..16]) as i64);
        let priming = clean(i64::from(be(&t[16..20]) as u32 as i32));
        let remainder = clean(i64::from(be(&t[20..24]) as u32 as i32));
        self.table = Some((valid, priming, remainder));
        let mut rest = t[24..].iter();
        let mut number = || {
            let mut v = 0u64;
            loop {
                let b = *rest.next()?;
                v = v << 7 & 0xFFFF_FFFF | u64::from(b & 0x7F);
                if b & 0x80 == 0 {
                    return Some(v as u32);
                }
            }
        };
        for _ in 0..be(&t[..8]) {
            if self.packet_bytes == 0 {
                let Some(size) = number() else { break };
                self.sizes.push(size);
            }
            if self.packet_frames == 0 {
                let Some(frames) = number() else { break };
                self.frames.push(frames);
            }
            if self.packet_bytes != 0 && self.packet_frames != 0 {
                break;
            }
        }
    }

    /// Number of packets.
    pub fn packets(&self) -> u64 {
        match self.packet_bytes {
            0 => self.sizes.len() as u64,
            n => (self.data.1 - self.data.0) / n,
        }
    }

    /// Bytes of all packets.
    pub fn data_bytes(&self) -> u64 {
        self.data.1 - self.data.0
    }
}

fn codec(id: &[u8], cookie: Vec<u8>) -> Result<(Kind, Vec<u8>)> {
    Ok(match id {
        b"alac" => {
            // The cookie may stand in a `frma` and an `alac` box, as in QuickTime.
            let bare = match cookie.windows(4).rposition(|w| w == b"alac") {
                Some(at) if cookie.get(4..8) == Some(b"frma") || at == 4 => {
                    cookie.get(at + 8..).unwrap_or(&[]).to_vec()
                }
                _ => cookie,
            };
            (Kind::Alac, bare)
        }
        b"aac " | b"aach" | b"aacp" | b"aacl" | b"aace" => {
            let info = parse_esds(&cookie).info;
            (Kind::Aac, if info.is_empty() { cookie } else { info })
        }
        b"opus" => {
            let at = cookie.windows(8).position(|w| w == b"OpusHead").unwrap_or(0);
            (Kind::Opus, cookie.get(at..).unwrap_or(&[]).to_vec())
        }
        b".mp1" | b".mp2" | b".mp3" => (Kind::Mpeg, Vec::new()),
        b"ima4" => (Kind::ImaQt, Vec::new()),
        b"flac" => {
            let at = cookie.windows(4).position(|w| w == b"fLaC").map_or(0, |p| p + 8);
            let at = if cookie.get(4..8) == Some(b"dfLa") { 16 } else { at };
            (Kind::Flac, cookie.get(at..).unwrap_or(&[]).to_vec())
        }
        other => return Err(Error::unsupported("codec", String::from_utf8_lossy(other).trim().to_owned())),
    })
}

impl Framer for CafFramer {
    fn next(&mut self, bytes: &mut Bytes, packet: &mut Coded, whole: bool, damage: &mut Damage) -> Result<bool> {
        loop {
            if self.index >= self.packets() {
                return Ok(false);
            }
            let i = self.index as usize;
            let size = if self.packet_bytes > 0 { self.packet_bytes } else { u64::from(self.sizes[i]) };
            let at = self.offset;
            self.index += 1;
            if size == 0 {
                continue;
            }
            if at.saturating_add(size) > self.data.1 {
                damage.truncated = true;
                damage.note(None, Some(at), "the packet table points beyond the data");
                self.index = self.packets();
                return Ok(false);
            }
            self.offset = at + size;
            let want = if whole { size as usize } else { HEAD_BYTES.min(size as usize) };
            packet.data.extend_from_slice(bytes.window(at, want)?);
            packet.byte = at;
            packet.frames = match self.config.kind {
                Kind::ImaQt => Some(size / (34 * self.config.channels.max(1) as u64) * 64),
                _ => None,
            };
            return Ok(true);
        }
    }

    fn mark(&self) -> Option<Mark> {
        Some(Mark([self.index, self.offset, 0, 0]))
    }

    fn resume(&mut self, mark: Mark) {
        (self.index, self.offset) = (mark.0[0], mark.0[1]);
    }

    fn config(&self, _: u32) -> &CodecConfig {
        &self.config
    }

    fn config_mut(&mut self) -> &mut CodecConfig {
        &mut self.config
    }
}
