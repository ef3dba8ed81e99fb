//! Vorbis packets: block sizes from the set-up header, samples by symphonia's decoder.

use symphonia::core::codecs::audio::AudioDecoder;
use symphonia::core::codecs::audio::well_known::CODEC_ID_VORBIS;

use super::bytes::le;
use super::codec::{CodecConfig, Output, PacketCodec};
use super::symphonia_codec;
use crate::audio::Spec;
use crate::error::{Error, Result};
use crate::formats::decode::stream::Packet;
use crate::formats::info::{Codec, SampleFormat};

/// Length of the identification header.
pub(super) const IDENT_BYTES: usize = 30;

/// Counts the frames of packets by their block sizes.
#[derive(Debug, Clone, Default)]
pub(super) struct VorbisCounter {
    block_log2: [u32; 2],
    /// Block flag of each mode.
    modes: Vec<bool>,
}

impl VorbisCounter {
    /// From identification and set-up header, one after the other.
    pub fn new(headers: &[u8]) -> Option<Self> {
        let (ident, setup) = headers.split_at_checked(IDENT_BYTES)?;
        let block_log2 = [u32::from(ident[28] & 15), u32::from(ident[28] >> 4)];
        Some(Self { block_log2, modes: read_modes(setup)? })
    }

    /// Frames that come out of a packet. `previous` is the block size of the packet before, 0 at the start of a stream.
    pub fn count(&self, head: &[u8], previous: &mut u64) -> Option<u64> {
        let first = *head.first()?;
        if first & 1 != 0 {
            return Some(0); // a header packet
        }
        let bits = self.modes.len().checked_sub(1)?.checked_ilog2().map_or(0, |b| b + 1);
        let mode = usize::from(first >> 1) & ((1 << bits) - 1);
        let long = *self.modes.get(mode)?;
        let size = 1u64 << self.block_log2[usize::from(long)];
        // A packet gives the second half of the previous block overlapped with the first half of this one; the first
        // packet of a stream gives nothing.
        let before = std::mem::replace(previous, size);
        Some(if before == 0 { 0 } else { (before + size) / 4 })
    }
}

/// Vorbis I decoder.
pub(super) struct VorbisCodec {
    decoder: Box<dyn AudioDecoder>,
    counter: VorbisCounter,
    output: Output,
}

impl VorbisCodec {
    /// `config.extra` is the identification header followed by the set-up header.
    pub fn new(config: &CodecConfig) -> Result<Self> {
        let bad = |what: &str| Error::malformed("Vorbis header", None, what.to_owned());
        let (ident, setup) = config.extra.split_at_checked(IDENT_BYTES).ok_or_else(|| bad("too short"))?;
        if !ident.starts_with(b"\x01vorbis") || !setup.starts_with(b"\x05vorbis") {
            return Err(bad("no signature"));
        }
        let rate = le(&ident[12..16]) as u32;
        let counter = VorbisCounter::new(&config.extra).ok_or_else(|| bad("no modes in the set-up header"))?;
        let decoder = symphonia_codec::open(CODEC_ID_VORBIS, &config.extra, 0, None)?;
        let channels = usize::from(ident[11]);
        let layout = decoder
            .codec_params()
            .channels
            .as_ref()
            .map_or_else(|| vorbis_layout(channels), symphonia_codec::layout_of);
        let output = Output { codec: Codec::Vorbis, spec: Spec::new(rate, layout), sample_format: SampleFormat::Lossy };
        Ok(Self { decoder, counter, output })
    }
}

/// Layout of `channels` Vorbis channels after reordering (Vorbis I 4.3.9).
pub(super) fn vorbis_layout(channels: usize) -> crate::audio::ChannelLayout {
    crate::audio::ChannelLayout::from_count(channels)
}

impl PacketCodec for VorbisCodec {
    fn decode(&mut self, data: &[u8], out: &mut Packet) -> Result<(), String> {
        if data.is_empty() {
            return Err("empty packet".into());
        }
        symphonia_codec::decode(&mut *self.decoder, data, out)
    }
    fn reset(&mut self) {
        self.decoder.reset();
    }
    fn count_frames(&self, head: &[u8], state: &mut u64) -> Option<u64> {
        self.counter.count(head, state)
    }
    fn preroll_frames(&self) -> u64 {
        // One block; the packet that holds the target may be long and the one before as well.
        1 << self.counter.block_log2[1]
    }
    fn output(&self) -> Output {
        self.output
    }
}

/// Block flags of all modes. They stand at the end of the set-up header, which is read backwards so that its codebooks
/// need no parsing: framing bit, then per mode (from the last) mapping 8, transform type 16 = 0, window type 16 = 0,
/// block flag 1; before the first mode 6 bits hold their count less one (Vorbis I 4.2.4).
fn read_modes(setup: &[u8]) -> Option<Vec<bool>> {
    let bit = |i: usize| setup[i >> 3] >> (i & 7) & 1 != 0;
    let field = |at: usize, n: usize| (0..n).fold(0u32, |v, i| v | u32::from(bit(at + i)) << i);
    // The framing bit is the last set bit.
    let end = (0..setup.len() * 8).rev().find(|i| bit(*i))?;
    let mut at = end;
    let mut flags = Vec::new();
    let mut found = None;
    while flags.len() < 64 && at >= 41 + 6 + 56 {
        at -= 41;
        if field(at + 1, 16) != 0 || field(at + 17, 16) != 0 || field(at + 33, 8) > 63 {
            break;
        }
        flags.push(bit(at));
        if field(at - 6, 6) as usize + 1 == flags.len() {
            // The count may match by chance within a mode; the longest match is the real one.
            found = Some(flags.len());
        }
    }
    flags.truncate(found?);
    flags.reverse();
    Some(flags)
}
