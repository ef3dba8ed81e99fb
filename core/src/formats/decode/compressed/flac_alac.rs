//! The lossless codecs inside general containers: ALAC, and FLAC in Ogg, Matroska and MP4.

use symphonia::core::codecs::audio::AudioDecoder;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_ALAC, CODEC_ID_FLAC};

use super::bytes::{Bits, be};
use super::codec::{CodecConfig, Output, PacketCodec};
use super::symphonia_codec;
use crate::audio::{ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::formats::decode::stream::Packet;
use crate::formats::info::{Codec, SampleFormat};

/// Apple Lossless. No packet depends on another.
pub(super) struct AlacCodec {
    decoder: Box<dyn AudioDecoder>,
    frame_length: u64,
    output: Output,
}

impl AlacCodec {
    /// `config.extra` is ALACSpecificConfig (24 bytes, or 48 with a channel layout).
    pub fn new(config: &CodecConfig) -> Result<Self> {
        let c = &config.extra;
        if c.len() < 24 {
            return Err(Error::malformed("ALAC cookie", None, format!("{} bytes instead of 24", c.len())));
        }
        let decoder = symphonia_codec::open(CODEC_ID_ALAC, if c.len() >= 48 { &c[..48] } else { &c[..24] }, 0, None)
            .or_else(|_| symphonia_codec::open(CODEC_ID_ALAC, &c[..24], 0, None))?;
        let bits = c[5];
        if bits == 0 {
            return Err(Error::malformed("ALAC cookie", None, "0 bits per sample"));
        }
        let rate = match be(&c[20..24]) as u32 {
            0 => config.rate_hz,
            r => r,
        };
        let params = decoder.codec_params();
        let layout =
            params.channels.as_ref().map_or(ChannelLayout::from_count(usize::from(c[9])), symphonia_codec::layout_of);
        let output =
            Output { codec: Codec::Alac, spec: Spec::new(rate, layout), sample_format: SampleFormat::Int(bits) };
        Ok(Self { decoder, frame_length: be(&c[..4]), output })
    }
}

impl PacketCodec for AlacCodec {
    fn decode(&mut self, data: &[u8], out: &mut Packet) -> Result<(), String> {
        symphonia_codec::decode(&mut *self.decoder, data, out)
    }
    fn reset(&mut self) {}
    fn count_frames(&self, head: &[u8], _: &mut u64) -> Option<u64> {
        // element tag 3, instance 4, unused 12, partial frame 1, shift 2, escape 1, then the count when partial.
        let mut bits = Bits::new(head);
        let tag = bits.get(3);
        bits.skip(16);
        let partial = bits.flag();
        bits.skip(3);
        Some(if matches!(tag, 0 | 1 | 3) && partial {
            u64::from(bits.get(32)).min(self.frame_length)
        } else {
            self.frame_length
        })
    }
    fn preroll_frames(&self) -> u64 {
        0
    }
    fn output(&self) -> Output {
        self.output
    }
}

/// FLAC frames. No frame depends on another.
pub(super) struct FlacCodec {
    decoder: Box<dyn AudioDecoder>,
    output: Output,
}

impl FlacCodec {
    /// `config.extra` is the content of the STREAMINFO block, 34 bytes.
    pub fn new(config: &CodecConfig) -> Result<Self> {
        let c = config.extra.get(..34).ok_or_else(|| Error::malformed("FLAC STREAMINFO", None, "too short"))?;
        let decoder = symphonia_codec::open(CODEC_ID_FLAC, c, 0, None)?;
        let mut bits = Bits::new(&c[10..]);
        let (rate, channels, depth) = (bits.get(20), bits.get(3) as usize + 1, bits.get(5) as u8 + 1);
        let output = Output {
            codec: Codec::Flac,
            spec: Spec::new(rate, ChannelLayout::from_count(channels)),
            sample_format: SampleFormat::Int(depth),
        };
        Ok(Self { decoder, output })
    }
}

impl PacketCodec for FlacCodec {
    fn decode(&mut self, data: &[u8], out: &mut Packet) -> Result<(), String> {
        symphonia_codec::decode(&mut *self.decoder, data, out)
    }
    fn reset(&mut self) {}
    fn count_frames(&self, head: &[u8], _: &mut u64) -> Option<u64> {
        flac_block_frames(head)
    }
    fn preroll_frames(&self) -> u64 {
        0
    }
    fn output(&self) -> Output {
        self.output
    }
}

/// Block size by a FLAC frame header (RFC 9639 9.1); None when it is not one.
pub(super) fn flac_block_frames(h: &[u8]) -> Option<u64> {
    if h.len() < 6 || h[0] != 0xFF || h[1] & 0xFE != 0xF8 {
        return None;
    }
    // The coded number takes as many bytes as UTF-8 would.
    let number_bytes = match h[4].leading_ones() {
        0 => 1,
        n @ 2..=7 => n as usize,
        _ => return None,
    };
    let after = h.get(4 + number_bytes..)?;
    Some(match h[2] >> 4 {
        0 => return None,
        1 => 192,
        n @ 2..=5 => 576 << (n - 2),
        6 => be(after.get(..1)?) + 1,
        7 => be(after.get(..2)?) + 1,
        n => 256 << (n - 8),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flac_block_sizes_of_the_table() {
        let head = |code: u8, rest: &[u8]| [&[0xFF, 0xF8, code << 4 | 9, 0x18, 0x05][..], rest, &[0; 4]].concat();
        assert_eq!(flac_block_frames(&head(1, &[])), Some(192));
        assert_eq!(flac_block_frames(&head(5, &[])), Some(4608));
        assert_eq!(flac_block_frames(&head(12, &[])), Some(4096));
        assert_eq!(flac_block_frames(&head(6, &[99])), Some(100));
        assert_eq!(flac_block_frames(&head(7, &[1, 0])), Some(257));
        assert_eq!(flac_block_frames(&head(0, &[])), None);
        assert_eq!(flac_block_frames(b"OggS000"), None);
    }
}
