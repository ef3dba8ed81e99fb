//! Opus in Ogg: mono, stereo, and 3 to 8 channels as mapping family 1.
//!
//! Sources: RFC 6716 (codec), RFC 7845 (Ogg encapsulation). The encoder is `ropus`, a port of libopus.
//!
//! Where the rate allows the transform mode alone (CELT), the stream is encoded in pieces that do not know of each other:
//! each starts with pre-roll and its first packet that counts is coded without reference to the packet before. Below, in
//! the speech modes, one encoder goes through the whole stream.

use std::sync::Arc;

use rayon::ThreadPool;
use ropus::{OPUS_APPLICATION_AUDIO, OPUS_APPLICATION_VOIP, OpusEncoder as Codec, OpusMSEncoder};

use super::negotiate::vorbis_order;
use super::ogg::OggWriter;
use super::ordered::Ordered;
use super::out::Out;
use super::pcm::check_spec;
use super::pieces::{Cutter, Piece};
use super::{BitRate, Dither, Encoded, Encoder, LossySettings, Sink};
use crate::audio::{Buffer, IntBuffer, Spec};
use crate::error::{Error, Result};
use crate::formats::tags::{Loss, Metadata, write};

/// 20 ms at 48 kHz.
const FRAME: usize = 960;
/// Algorithmic delay of the encoder at 48 kHz: 2.5 ms of overlap and 4 ms of delay compensation. Asserted by a test.
const PRE_SKIP: u64 = 312;
/// Packets of pre-roll: 0.4 s.
const PREROLL: usize = 20;
/// Packets of a piece, over all channels: 20 s of mono.
const PIECE_CHANNEL_PACKETS: usize = 1000;
/// One second to a page, as RFC 7845 section 7 advises at most.
const PACKETS_PER_PAGE: u64 = 50;
/// Largest packet of one stream (RFC 6716 section 3.4: 1275 bytes a frame) with its length bytes.
const MAX_STREAM_BYTES: usize = 1277;
/// libopus's name of the transform-only mode.
const MODE_CELT_ONLY: i32 = 1002;
const COMPLEXITY: i32 = 10;

/// How a stream is coded; what each piece's encoder is made from.
#[derive(Debug, Clone, Copy)]
struct Params {
    channels: usize,
    kbps: u32,
    /// Only the transform mode.
    transform_only: bool,
}

impl Params {
    fn application(self) -> i32 {
        // Below 16 kbit/s per channel nothing but speech is worth listening to.
        if self.kbps < 16 * self.channels as u32 { OPUS_APPLICATION_VOIP } else { OPUS_APPLICATION_AUDIO }
    }
}

/// One or several streams behind one face.
enum Codecs {
    Single(Box<Codec>),
    Multi(Box<OpusMSEncoder>),
}

fn failed(what: &str, code: i32) -> Error {
    Error::internal(format!("Opus encoder: {what} failed with {code}"))
}

impl Codecs {
    fn new(p: Params) -> Result<Self> {
        let bps = p.kbps as i32 * 1000;
        if p.channels <= 2 {
            let mut e = Codec::new(48_000, p.channels as i32, p.application()).map_err(|c| failed("creation", c))?;
            let mut codes =
                vec![e.set_bitrate(bps), e.set_complexity(COMPLEXITY), e.set_vbr(1), e.set_vbr_constraint(0)];
            if p.transform_only {
                codes.push(e.set_force_mode(MODE_CELT_ONLY));
            }
            check(&codes)?;
            return Ok(Self::Single(Box::new(e)));
        }
        let (mut e, ..) = OpusMSEncoder::new_surround(48_000, p.channels as i32, 1, p.application())
            .map_err(|c| failed("creation", c))?;
        check(&[e.set_bitrate(bps), e.set_complexity(COMPLEXITY), e.set_vbr(1), e.set_vbr_constraint(0)])?;
        if p.transform_only {
            check(&[e.set_force_mode(MODE_CELT_ONLY)])?;
        }
        Ok(Self::Multi(Box::new(e)))
    }

    /// Encodes one frame of interleaved samples into `out`; returns its length.
    fn encode(&mut self, pcm: &[f32], pcm16: &mut Vec<i16>, out: &mut [u8]) -> Result<usize> {
        let max = out.len() as i32;
        let n = match self {
            Self::Single(e) => e.encode_float(pcm, FRAME as i32, out, max),
            Self::Multi(e) => {
                pcm16.clear();
                pcm16.extend(pcm.iter().map(|s| (s * 32_768.0).round_ties_even() as i16));
                e.encode(pcm16, FRAME as i32, out, max)
            }
        };
        n.map(|n| n as usize).map_err(|c| failed("encoding", c))
    }

    fn disable_prediction(&mut self, disabled: bool) -> Result<()> {
        let v = i32::from(disabled);
        check(&[match self {
            Self::Single(e) => e.set_prediction_disabled(v),
            Self::Multi(e) => e.set_prediction_disabled(v),
        }])
    }
}

fn check(codes: &[i32]) -> Result<()> {
    codes.iter().find(|c| **c != 0).map_or(Ok(()), |c| Err(failed("configuration", *c)))
}

/// Packets of one piece, one after the other.
#[derive(Default)]
struct Packets {
    bytes: Vec<u8>,
    sizes: Vec<usize>,
}

/// Encodes all packets of `piece`; those of the pre-roll are thrown away.
fn encode_piece(codecs: &mut Codecs, params: Params, piece: &Piece) -> Result<Packets> {
    let order = vorbis_order(params.channels);
    let mut packets = Packets::default();
    let mut interleaved = vec![0.0_f32; FRAME * params.channels];
    let mut pcm16 = Vec::new();
    let mut buffer = vec![0; MAX_STREAM_BYTES * params.channels];
    for i in 0..piece.preroll + piece.count {
        for (to, from) in order.iter().enumerate() {
            let samples = &piece.samples[*from][i * FRAME..(i + 1) * FRAME];
            for (frame, s) in interleaved.chunks_exact_mut(params.channels).zip(samples) {
                // NaN becomes silence; the codec itself clips to 16 bits.
                frame[to] = if s.is_nan() { 0.0 } else { s.clamp(-1.0, 1.0) };
            }
        }
        let first = piece.preroll > 0 && i == piece.preroll;
        if first {
            codecs.disable_prediction(true)?;
        }
        let n = codecs.encode(&interleaved, &mut pcm16, &mut buffer)?;
        if first {
            codecs.disable_prediction(false)?;
        }
        if i >= piece.preroll {
            packets.bytes.extend_from_slice(&buffer[..n]);
            packets.sizes.push(n);
        }
    }
    Ok(packets)
}

/// See the module.
pub(crate) struct OpusEncoder {
    spec: Spec,
    params: Params,
    ogg: OggWriter,
    cutter: Cutter,
    jobs: Ordered<Packets>,
    /// The one encoder, where the stream is not cut.
    serial: Option<Codecs>,
    packets: u64,
    total: Option<u64>,
    clipped: u64,
    bytes: u64,
    losses: Vec<Loss>,
}

impl OpusEncoder {
    /// Writes the two header packets. `settings` must be complete, as `negotiate` makes them.
    pub fn new(
        spec: Spec,
        settings: &LossySettings,
        sink: Box<dyn Sink>,
        metadata: &Metadata,
        pool: Option<Arc<ThreadPool>>,
    ) -> Result<Self> {
        let channels = spec.channels();
        let Some(BitRate::Kbps(kbps)) = settings.bit_rate else {
            return Err(Error::InvalidValue {
                name: "bit_rate".into(),
                value: format!("{:?}", settings.bit_rate),
                allowed: "kbit/s, as negotiate() gives".into(),
            });
        };
        if spec.rate_hz != 48_000 || channels > 8 {
            return Err(Error::internal(format!("Opus encoder for {} Hz, {channels} channels", spec.rate_hz)));
        }
        // From here on libopus itself would choose the transform mode for speech and music alike.
        let transform_only = kbps >= if channels == 1 { 56 } else { 44 * channels as u32 };
        let params = Params { channels, kbps, transform_only };
        let comment = write::opus_comment(metadata, super::VENDOR);
        let mut tags = b"OpusTags".to_vec();
        tags.extend_from_slice(&comment.bytes);
        let mut ogg = OggWriter::new(Out::new(sink)?);
        ogg.packet(&head(channels), 0)?;
        ogg.flush()?;
        ogg.packet(&tags, 0)?;
        ogg.flush()?;
        let per_piece = if transform_only { (PIECE_CHANNEL_PACKETS / channels).max(PREROLL * 2) } else { 50 };
        let preroll = if transform_only { PREROLL } else { 0 };
        Ok(Self {
            spec,
            params,
            ogg,
            cutter: Cutter::new(spec, FRAME, preroll, per_piece),
            jobs: Ordered::new(pool),
            serial: if transform_only { None } else { Some(Codecs::new(params)?) },
            packets: 0,
            total: None,
            clipped: 0,
            bytes: 0,
            losses: comment.losses,
        })
    }

    fn submit(&mut self, piece: Piece) -> Result<()> {
        let params = self.params;
        if let Some(codecs) = &mut self.serial {
            let packets = encode_piece(codecs, params, &piece)?;
            return self.emit(&packets);
        }
        self.jobs.submit(move || encode_piece(&mut Codecs::new(params)?, params, &piece));
        while let Some(packets) = self.jobs.next_if_crowded() {
            self.emit(&packets?)?;
        }
        Ok(())
    }

    fn emit(&mut self, packets: &Packets) -> Result<()> {
        let mut at = 0;
        for size in &packets.sizes {
            // A page is ended before the next packet, so that the last packet's page can be marked as the last.
            if self.packets > 0 && self.packets.is_multiple_of(PACKETS_PER_PAGE) {
                self.ogg.flush()?;
            }
            self.packets += 1;
            let end = self.packets * FRAME as u64;
            // The last packet's position tells where the audio ends inside it (RFC 7845 section 4.4).
            let end = self.total.map_or(end, |t| end.min(t + PRE_SKIP));
            self.ogg.packet(&packets.bytes[at..at + size], end)?;
            at += size;
        }
        Ok(())
    }
}

/// The identification header (RFC 7845 section 5.1).
fn head(channels: usize) -> Vec<u8> {
    let mut h = b"OpusHead\x01".to_vec();
    h.push(channels as u8);
    h.extend_from_slice(&(PRE_SKIP as u16).to_le_bytes());
    h.extend_from_slice(&48_000_u32.to_le_bytes());
    h.extend_from_slice(&0_u16.to_le_bytes()); // no output gain
    if channels <= 2 {
        h.push(0);
        return h;
    }
    // Family 1: streams, coupled ones, and the channel mapping of section 5.1.1.2.
    let (streams, coupled, mapping): (u8, u8, &[u8]) = match channels {
        3 => (2, 1, &[0, 2, 1]),
        4 => (2, 2, &[0, 1, 2, 3]),
        5 => (3, 2, &[0, 4, 1, 2, 3]),
        6 => (4, 2, &[0, 4, 1, 2, 3, 5]),
        7 => (4, 3, &[0, 4, 1, 2, 3, 5, 6]),
        _ => (5, 3, &[0, 6, 1, 2, 3, 4, 5, 7]),
    };
    h.extend_from_slice(&[1, streams, coupled]);
    h.extend_from_slice(mapping);
    h
}

impl Encoder for OpusEncoder {
    fn spec(&self) -> Spec {
        self.spec
    }

    fn write(&mut self, block: &Buffer) -> Result<()> {
        check_spec(self.spec, block.spec())?;
        self.clipped += block.channels().flatten().filter(|s| s.abs() > 1.0).count() as u64;
        self.cutter.push(block);
        while let Some(piece) = self.cutter.next() {
            self.submit(piece)?;
        }
        Ok(())
    }

    fn write_int(&mut self, _block: &IntBuffer) -> Result<()> {
        Err(Error::unsupported("integer samples for", "Opus"))
    }

    fn finish(&mut self) -> Result<Encoded> {
        let total = self.cutter.total();
        let packets = (total + PRE_SKIP).div_ceil(FRAME as u64);
        if self.total.is_none() {
            let piece = self.cutter.finish(packets);
            // Everything before the last piece still has its natural position: `min` in `emit` changes the last only.
            self.total = Some(total);
            self.submit(piece)?;
            while let Some(p) = self.jobs.next() {
                self.emit(&p?)?;
            }
            self.bytes = self.ogg.finish()?;
        }
        Ok(Encoded {
            frames: total,
            bytes: self.bytes,
            delay_frames: PRE_SKIP,
            padding_frames: packets * FRAME as u64 - PRE_SKIP - total,
            clipped_samples: self.clipped,
            dither: Dither::None,
            losses: std::mem::take(&mut self.losses),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_pre_skip_is_the_encoders_lookahead() {
        for application in [OPUS_APPLICATION_AUDIO, OPUS_APPLICATION_VOIP] {
            assert_eq!(Codec::new(48_000, 2, application).unwrap().get_lookahead() as u64, PRE_SKIP);
        }
    }

    #[test]
    fn the_mapping_in_the_header_is_the_encoders() {
        for channels in 3..=8_usize {
            let (_, streams, coupled, mapping) =
                OpusMSEncoder::new_surround(48_000, channels as i32, 1, OPUS_APPLICATION_AUDIO).unwrap();
            let h = head(channels);
            assert_eq!((i32::from(h[19]), i32::from(h[20]), &h[21..]), (streams, coupled, &mapping[..]));
        }
    }
}
