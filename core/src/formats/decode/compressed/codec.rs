//! What a decoder of packets is, and which one decodes what.

use super::{aac, flac_alac, mpeg_codec, opus, pcm, vorbis};
use crate::audio::Spec;
use crate::error::{Error, Result};
use crate::formats::decode::stream::Packet;
use crate::formats::info::{Codec, SampleFormat};

/// What a container says about the coding of a track.
#[derive(Debug, Clone, Default)]
pub(super) struct CodecConfig {
    /// Which decoder.
    pub kind: Kind,
    /// Sample rate by the container, 0 when it does not say. The codec's own headers win.
    pub rate_hz: u32,
    /// Channel count by the container, 0 when it does not say.
    pub channels: usize,
    /// The codec's set-up data in the form that its specification gives it (see each decoder).
    pub extra: Vec<u8>,
    /// How AAC is decoded, see [`aac::plan`].
    pub aac: Option<aac::AacPlan>,
}

/// Decoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// Something that cannot be decoded here.
    #[default]
    Unknown,
    /// MPEG-1/2/2.5 layer I, II or III, the layer being told by each frame.
    Mpeg,
    /// AAC; `extra` is the AudioSpecificConfig.
    Aac,
    /// `extra` is the 24-byte cookie.
    Alac,
    /// `extra` is the STREAMINFO block's content.
    Flac,
    /// `extra` is identification header and set-up header, one after the other.
    Vorbis,
    /// `extra` is OpusHead.
    Opus,
    /// Samples as they are.
    Pcm(pcm::PcmFormat),
    /// QuickTime IMA ADPCM: blocks of 34 bytes and 64 samples per channel.
    ImaQt,
}

/// Decodes packets of one codec.
pub(super) trait PacketCodec: Send {
    /// Decodes one packet; `out` is replaced. On error the decoder is ready for the next packet.
    fn decode(&mut self, data: &[u8], out: &mut Packet) -> std::result::Result<(), String>;
    /// Forgets what came before.
    fn reset(&mut self);
    /// Duration of a packet by its first bytes. `state` belongs to the caller, so that packets can be walked over
    /// without decoding.
    fn count_frames(&self, head: &[u8], state: &mut u64) -> Option<u64>;
    /// First `state`.
    fn sizer_start(&self) -> u64 {
        0
    }
    /// How far before the target decoding has to start after a seek.
    fn preroll_frames(&self) -> u64;
    /// How many packets after a reset may fail for want of what came before.
    fn settling_packets(&self) -> u64 {
        0
    }
    /// What comes out. Known after construction.
    fn output(&self) -> Output;
}

/// Format of the decoded audio.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub codec: Codec,
    pub spec: Spec,
    pub sample_format: SampleFormat,
}

/// Makes the decoder for `config`.
pub(super) fn build(config: &CodecConfig) -> Result<Box<dyn PacketCodec>> {
    Ok(match config.kind {
        Kind::Mpeg => Box::new(mpeg_codec::MpegCodec::new(config)?),
        Kind::Aac => aac::build(config)?,
        Kind::Alac => Box::new(flac_alac::AlacCodec::new(config)?),
        Kind::Flac => Box::new(flac_alac::FlacCodec::new(config)?),
        Kind::Vorbis => Box::new(vorbis::VorbisCodec::new(config)?),
        Kind::Opus => Box::new(opus::OpusCodec::new(config)?),
        Kind::Pcm(format) => Box::new(pcm::PcmCodec::new(config, format)?),
        Kind::ImaQt => Box::new(pcm::ImaQtCodec::new(config)?),
        Kind::Unknown => return Err(Error::unsupported("codec", "unknown")),
    })
}
