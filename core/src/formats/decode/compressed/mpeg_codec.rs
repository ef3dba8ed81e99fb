//! MPEG-1/2/2.5 audio layers I to III: frames to samples, by symphonia's decoder.

use symphonia::core::codecs::audio::AudioDecoder;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3};

use super::codec::{CodecConfig, Output, PacketCodec};
use super::mpeg_free::{self, FreeFormat};
use super::mpeg_header::MpegHeader;
use super::symphonia_codec;
use crate::audio::{ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::formats::decode::stream::Packet;
use crate::formats::info::{Codec, SampleFormat};

/// Decoder of frames that each begin with their header.
pub(super) struct MpegCodec {
    decoder: Option<Box<dyn AudioDecoder>>,
    /// Layer, version, rate and channels that `decoder` was made for.
    made_for: Option<(u8, u8, u32, usize)>,
    first: MpegHeader,
    free: FreeFormat,
    scratch: Vec<u8>,
}

impl MpegCodec {
    /// `config.extra` is the header of the first frame.
    pub fn new(config: &CodecConfig) -> Result<Self> {
        let first = MpegHeader::parse(&config.extra)
            .ok_or_else(|| Error::malformed("MPEG audio header", None, "no frame header"))?;
        Ok(Self { decoder: None, made_for: None, first, free: FreeFormat::default(), scratch: Vec::new() })
    }

    fn decoder_for(&mut self, h: &MpegHeader) -> Result<&mut dyn AudioDecoder, String> {
        let key = (h.layer, h.version, h.rate_hz, h.channels);
        if self.made_for != Some(key) {
            let id = [CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3][usize::from(h.layer) - 1];
            self.decoder = Some(symphonia_codec::open(id, &[], h.rate_hz, None).map_err(|e| e.to_string())?);
            self.made_for = Some(key);
        }
        match &mut self.decoder {
            Some(d) => Ok(d.as_mut()),
            None => Err("no decoder".into()),
        }
    }
}

impl PacketCodec for MpegCodec {
    fn decode(&mut self, data: &[u8], out: &mut Packet) -> Result<(), String> {
        let h = MpegHeader::parse(data).ok_or("no MPEG audio frame header")?;
        if h.kbps == 0 || !mpeg_free::is_legal(&h, h.kbps) {
            let mut scratch = std::mem::take(&mut self.scratch);
            let result = self.free.normalise(&h, data, &mut scratch).and_then(|()| {
                let standard = MpegHeader::parse(&scratch).ok_or("free format")?;
                symphonia_codec::decode(self.decoder_for(&standard)?, &scratch, out)
            });
            self.scratch = scratch;
            return result;
        }
        let want = h.bytes(0);
        if data.len() == want {
            return symphonia_codec::decode(self.decoder_for(&h)?, data, out);
        }
        // Containers may pad, and the last frame of a file may be cut.
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend_from_slice(&data[..data.len().min(want)]);
        scratch.resize(want, 0);
        let result = self.decoder_for(&h).and_then(|d| symphonia_codec::decode(d, &scratch, out));
        self.scratch = scratch;
        result
    }

    fn reset(&mut self) {
        if let Some(d) = &mut self.decoder {
            d.reset();
        }
        self.free = FreeFormat::default();
    }

    fn count_frames(&self, head: &[u8], _: &mut u64) -> Option<u64> {
        Some(MpegHeader::parse(head).map_or(self.first.samples(), |h| h.samples()))
    }

    fn preroll_frames(&self) -> u64 {
        // Layer III refers back up to 511 bytes of main data. The smallest frames hold some 11 bytes of it at 8 kbit/s
        // (MPEG-2) and 60 at 32 kbit/s (MPEG-1); one more frame for the overlap and one for the synthesis filter.
        let frames = match (self.first.layer, self.first.version) {
            (3, 0) => 12,
            (3, _) => 50,
            _ => 2,
        };
        frames * self.first.samples()
    }

    fn settling_packets(&self) -> u64 {
        if self.first.layer == 3 { 8 } else { 0 }
    }

    fn output(&self) -> Output {
        Output {
            codec: [Codec::Mp1, Codec::Mp2, Codec::Mp3][usize::from(self.first.layer) - 1],
            spec: Spec::new(self.first.rate_hz, ChannelLayout::from_count(self.first.channels)),
            sample_format: SampleFormat::Lossy,
        }
    }
}
