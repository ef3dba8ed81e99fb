//! Opus packets, mono to many streams: RFC 6716 (packets), RFC 7845 5.1 (OpusHead, gain and channel mapping).

use rusty_opus::OpusDecoder;

use super::bytes::le;
use super::codec::{CodecConfig, Output, PacketCodec};
use crate::audio::{ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::formats::decode::stream::Packet;
use crate::formats::info::{Codec, SampleFormat};

/// Opus always decodes at this rate here.
pub(super) const RATE_HZ: u32 = 48_000;
/// Longest packet: 120 ms.
const MAX_FRAMES: usize = 5760;

/// The identification header (RFC 7845 5.1).
#[derive(Debug, Clone)]
pub(super) struct OpusHead {
    pub channels: usize,
    /// Frames at 48 kHz to drop at the start.
    pub pre_skip: u64,
    /// Q7.8 dB.
    pub gain: i16,
    pub family: u8,
    streams: usize,
    coupled: usize,
    mapping: Vec<u8>,
}

impl OpusHead {
    /// Parses `OpusHead...`.
    pub fn parse(d: &[u8]) -> Result<Self> {
        let bad = |what: String| Error::malformed("OpusHead", None, what);
        if d.len() < 19 || !d.starts_with(b"OpusHead") {
            return Err(bad("no signature".into()));
        }
        if d[8] >> 4 != 0 {
            return Err(Error::unsupported("OpusHead version", d[8].to_string()));
        }
        let (channels, family) = (usize::from(d[9]), d[18]);
        let (streams, coupled, mapping) = if family == 0 {
            match channels {
                1 => (1, 0, vec![0]),
                2 => (1, 1, vec![0, 1]),
                n => return Err(bad(format!("{n} channels in mapping family 0"))),
            }
        } else {
            let table = d.get(21..21 + channels).ok_or_else(|| bad("short channel mapping".into()))?;
            (usize::from(d[19]), usize::from(d[20]), table.to_vec())
        };
        let valid = channels > 0
            && streams > 0
            && coupled <= streams
            && streams + coupled <= 255
            && mapping.iter().all(|m| *m == 255 || usize::from(*m) < streams + coupled);
        if !valid {
            return Err(bad(format!("{channels} channels, {streams} streams, {coupled} coupled")));
        }
        let gain = i16::from_le_bytes([d[16], d[17]]);
        Ok(Self { channels, pre_skip: le(&d[10..12]), gain, family, streams, coupled, mapping })
    }

    /// Output order: index of the coded channel for each WAVE channel. Family 1 has Vorbis order.
    fn order(&self) -> Vec<usize> {
        let vorbis: &[usize] = match (self.family, self.channels) {
            (1, 3) => &[0, 2, 1],
            (1, 5) => &[0, 2, 1, 3, 4],
            (1, 6) => &[0, 2, 1, 5, 3, 4],
            (1, 7) => &[0, 2, 1, 6, 5, 3, 4],
            (1, 8) => &[0, 2, 1, 7, 5, 6, 3, 4],
            _ => return (0..self.channels).collect(),
        };
        vorbis.to_vec()
    }
}

/// Decoder of all streams of a packet.
pub(super) struct OpusCodec {
    head: OpusHead,
    decoders: Vec<OpusDecoder>,
    gain: f32,
    /// (stream, channel within it) for each output channel; None is silence.
    routes: Vec<Option<(usize, usize)>>,
    /// Interleaved output of one stream.
    buffer: Vec<f32>,
    packet: Vec<u8>,
    output: Output,
}

impl OpusCodec {
    /// `config.extra` is OpusHead.
    pub fn new(config: &CodecConfig) -> Result<Self> {
        let head = OpusHead::parse(&config.extra)?;
        let layout = match head.family {
            0 | 1 => ChannelLayout::from_count(head.channels),
            _ if head.channels <= 2 => ChannelLayout::from_count(head.channels),
            _ => ChannelLayout::discrete(head.channels),
        };
        let routes = head
            .order()
            .into_iter()
            .map(|coded| match head.mapping.get(coded).map(|m| usize::from(*m)) {
                None | Some(255) => None,
                Some(m) if m < 2 * head.coupled => Some((m / 2, m % 2)),
                Some(m) => Some((m - head.coupled, 0)),
            })
            .collect();
        let mut codec = Self {
            gain: 10f32.powf(f32::from(head.gain) / (20.0 * 256.0)),
            decoders: Vec::new(),
            routes,
            buffer: vec![0.0; 2 * MAX_FRAMES],
            packet: Vec::new(),
            output: Output { codec: Codec::Opus, spec: Spec::new(RATE_HZ, layout), sample_format: SampleFormat::Lossy },
            head,
        };
        codec.rebuild()?;
        Ok(codec)
    }

    fn rebuild(&mut self) -> Result<()> {
        self.decoders.clear();
        for s in 0..self.head.streams {
            let channels = if s < self.head.coupled { 2 } else { 1 };
            let decoder =
                OpusDecoder::new(RATE_HZ as i32, channels).map_err(|e| Error::internal(format!("opus: {e:?}")))?;
            self.decoders.push(decoder);
        }
        Ok(())
    }
}

impl PacketCodec for OpusCodec {
    fn decode(&mut self, data: &[u8], out: &mut Packet) -> Result<(), String> {
        let Packet::Float(planes) = out else { return Err("opus decodes to floats".into()) };
        let frames = packet_frames(data).ok_or("not an Opus packet")? as usize;
        planes.reserve(self.output.spec, frames);
        planes.set_frames(frames);
        for plane in planes.channels_mut() {
            plane.fill(0.0);
        }
        let mut rest = data;
        for s in 0..self.head.streams {
            let channels = if s < self.head.coupled { 2 } else { 1 };
            let last = s + 1 == self.head.streams;
            let stream: &[u8] = if last {
                rest
            } else {
                let used = undelimit(rest, &mut self.packet).ok_or("streams of the packet do not fit it")?;
                rest = &rest[used..];
                &self.packet
            };
            let got = match self.decoders.get_mut(s) {
                Some(d) => {
                    d.decode(stream, frames, &mut self.buffer[..frames * channels]).map_err(|e| format!("{e:?}"))?
                }
                None => 0,
            };
            let got = got.min(frames);
            for (plane, route) in planes.channels_mut().zip(&self.routes) {
                if let Some((_, c)) = route.filter(|(stream, _)| *stream == s) {
                    let from = self.buffer[..got * channels].chunks_exact(channels);
                    for (to, frame) in plane.iter_mut().zip(from) {
                        *to = frame[c] * self.gain;
                    }
                }
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        // Cannot fail: the same decoders were made before.
        let _ = self.rebuild();
    }

    fn count_frames(&self, head: &[u8], _: &mut u64) -> Option<u64> {
        packet_frames(head)
    }

    fn preroll_frames(&self) -> u64 {
        // RFC 7845 4.6 asks for 80 ms at least. CELT forgets within some frames; the long-term prediction of SILK takes
        // most of a second until a seek cannot be told from a linear decode any more.
        48_000
    }

    fn output(&self) -> Output {
        self.output
    }
}

/// Frames (48 kHz) of a packet by its TOC byte (RFC 6716 3.1).
pub(super) fn packet_frames(data: &[u8]) -> Option<u64> {
    let toc = *data.first()?;
    let frame = match toc >> 3 {
        c @ 0..=11 => [480, 960, 1920, 2880][usize::from(c & 3)],
        c @ 12..=15 => [480, 960][usize::from(c & 1)],
        c => 120u64 << (c & 3),
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(data.get(1)? & 63),
    };
    let frames = frame * count;
    (frames > 0 && frames <= MAX_FRAMES as u64).then_some(frames)
}

/// Turns a self-delimited packet (RFC 6716 appendix B) at the start of `data` into a normal one in `out`. Returns how
/// many bytes it took.
fn undelimit(data: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    // A length: one byte below 252, else two.
    fn length(d: &[u8], at: &mut usize) -> Option<usize> {
        let first = usize::from(*d.get(*at)?);
        *at += 1;
        if first < 252 {
            return Some(first);
        }
        let second = usize::from(*d.get(*at)?);
        *at += 1;
        Some(4 * second + first)
    }
    let toc = *data.first()?;
    let mut at = 1;
    out.clear();
    let payload = match toc & 3 {
        0 => {
            out.push(toc);
            length(data, &mut at)?
        }
        1 => {
            out.push(toc);
            2 * length(data, &mut at)?
        }
        2 => {
            let first_at = at;
            let first = length(data, &mut at)?;
            out.push(toc);
            out.extend_from_slice(&data[first_at..at]);
            first + length(data, &mut at)?
        }
        _ => {
            let flags = *data.get(at)?;
            at += 1;
            let count = usize::from(flags & 63);
            out.extend_from_slice(&[toc, flags]);
            let mut padding = 0;
            if flags & 0x40 != 0 {
                loop {
                    let p = *data.get(at)?;
                    out.push(p);
                    at += 1;
                    padding += usize::from(p.min(254));
                    if p != 255 {
                        break;
                    }
                }
            }
            let frames = if flags & 0x80 != 0 {
                let mut sum = 0;
                for _ in 1..count {
                    let from = at;
                    sum += length(data, &mut at)?;
                    out.extend_from_slice(&data[from..at]);
                }
                sum + length(data, &mut at)?
            } else {
                count * length(data, &mut at)?
            };
            frames + padding
        }
    };
    out.extend_from_slice(data.get(at..at + payload)?);
    Some(at + payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_the_toc_table() {
        // RFC 6716 table 2: configurations 0 (SILK 10 ms), 3 (60 ms), 13 (hybrid 20 ms), 16 (CELT 2.5 ms), 31 (20 ms).
        for (config, frames) in [(0u8, 480), (3, 2880), (13, 960), (16, 120), (31, 960)] {
            assert_eq!(packet_frames(&[config << 3]), Some(frames));
            assert_eq!(packet_frames(&[config << 3 | 1]), Some(2 * frames));
        }
        assert_eq!(packet_frames(&[31 << 3 | 3, 6]), Some(5760));
        assert_eq!(packet_frames(&[31 << 3 | 3, 7]), None);
        assert_eq!(packet_frames(&[3]), None);
    }

    #[test]
    fn self_delimited_packets_lose_one_length_only() {
        let mut out = Vec::new();
        assert_eq!(undelimit(&[0xF8, 2, 0xAA, 0xBB, 0xCC], &mut out), Some(4));
        assert_eq!(out, [0xF8, 0xAA, 0xBB]);
        assert_eq!(undelimit(&[0xFA, 1, 2, 0xA, 0xB, 0xC, 9], &mut out), Some(6));
        assert_eq!(out, [0xFA, 1, 0xA, 0xB, 0xC]);
        // Three frames of variable length with one byte of padding.
        assert_eq!(undelimit(&[0xFB, 0xC3, 1, 1, 2, 1, 7, 8, 8, 9, 0, 5], &mut out), Some(11));
        assert_eq!(out, [0xFB, 0xC3, 1, 1, 2, 7, 8, 8, 9, 0]);
        assert_eq!(undelimit(&[0xF8, 20, 1], &mut out), None);
    }
}
