//! One link of an Ogg chain: its header packets, the codec they configure, and how long its packets are.

use super::bytes::{Bytes, be, le};
use super::codec::{CodecConfig, Kind};
use super::flac_alac::flac_block_frames;
use super::ogg_page::{FIRST, MAX_PAGE_BYTES, find_page};
use super::opus::{self, OpusHead};
use super::vorbis::{IDENT_BYTES, VorbisCounter};
use crate::error::{Error, Result};

/// One link of a chain.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub config: CodecConfig,
    pub counter: Counter,
    pub serial: u32,
    /// Page and packet index at which the audio starts.
    pub audio: (u64, usize),
    pub pre_skip: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Counter {
    Vorbis(VorbisCounter),
    Opus,
    Flac,
}

/// Frames of a packet.
pub(super) fn count(counter: &Counter, head: &[u8], previous_block: &mut u64) -> Option<u64> {
    match counter {
        Counter::Vorbis(v) => v.count(head, previous_block),
        Counter::Opus => opus::packet_frames(head),
        Counter::Flac => flac_block_frames(head),
    }
}

/// Reads the headers of the link whose first page is at or after `from`.
pub(super) fn read_link(bytes: &mut Bytes, from: u64, track: Option<u32>) -> Result<Link> {
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

/// Largest packet; Vorbis set-up headers and pictures in comments stay far below.
pub(super) const MAX_PACKET_BYTES: usize = 16 << 20;
