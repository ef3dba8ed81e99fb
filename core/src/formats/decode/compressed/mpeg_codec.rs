//! MPEG-1/2/2.5 audio layers I to III: frames to samples. Layer III by nanomp3, which has the speed of minimp3 (1.4 times that of
//! symphonia, samples equal to 1e-6); I and II by symphonia, which is lenient where we write free format anew.

use nanomp3_core::{DecodeError, Decoder as LayerIii, MAX_SAMPLES_PER_FRAME};
use symphonia::core::codecs::audio::AudioDecoder;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_MP1, CODEC_ID_MP2};

use super::codec::{CodecConfig, Output, PacketCodec};
use super::mpeg_free::{self, FreeFormat};
use super::mpeg_header::MpegHeader;
use super::symphonia_codec;
use crate::audio::{ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::formats::decode::stream::Packet;
use crate::formats::info::{Codec, SampleFormat};

/// Decoder of frames of one kind.
enum Decoder {
    LayersIAndIi(Box<dyn AudioDecoder>),
    LayerIii { decoder: Box<LayerIii>, interleaved: Box<[f32; MAX_SAMPLES_PER_FRAME]> },
}

impl Decoder {
    fn open(h: &MpegHeader) -> Result<Self> {
        let id = match h.layer {
            1 => CODEC_ID_MP1,
            2 => CODEC_ID_MP2,
            _ => return Ok(Self::layer_iii()),
        };
        symphonia_codec::open(id, &[], h.rate_hz, None).map(Self::LayersIAndIi)
    }

    fn layer_iii() -> Self {
        Self::LayerIii { decoder: Box::default(), interleaved: Box::new([0.0; MAX_SAMPLES_PER_FRAME]) }
    }

    /// Decodes `data`, which is one frame and nothing else; `h` is its header.
    fn decode(&mut self, h: &MpegHeader, data: &[u8], out: &mut Packet) -> Result<(), String> {
        let (decoder, interleaved) = match self {
            Self::LayersIAndIi(decoder) => return symphonia_codec::decode(decoder.as_mut(), data, out),
            Self::LayerIii { decoder, interleaved } => (decoder, interleaved),
        };
        let Packet::Float(to) = out else { return Err("unexpected sample format".into()) };
        let frames = match decoder.decode(data, interleaved.as_mut_slice()).1 {
            Ok(frame) if usize::from(frame.channels.num()) == h.channels => frame.samples_produced,
            Ok(_) => return Err("number of channels".into()),
            // The stream was cut out of a longer one, or a frame before was lost (which has been told).
            Err(DecodeError::ReservoirUnavailable(_)) => {
                interleaved.fill(0.0);
                h.samples() as usize
            }
            Err(error) => return Err(error.to_string()),
        };
        to.reserve(Spec::new(h.rate_hz, ChannelLayout::from_count(h.channels)), frames);
        to.set_frames(frames);
        for (channel, plane) in to.channels_mut().enumerate() {
            for (to, from) in plane.iter_mut().zip(interleaved.iter().skip(channel).step_by(h.channels)) {
                *to = *from;
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        match self {
            Self::LayersIAndIi(decoder) => decoder.reset(),
            Self::LayerIii { .. } => *self = Self::layer_iii(),
        }
    }
}

/// Decoder of frames that each begin with their header.
pub(super) struct MpegCodec {
    decoder: Option<Decoder>,
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

    /// Decodes one whole frame with a tabulated bit rate.
    fn decode_frame(&mut self, h: &MpegHeader, data: &[u8], out: &mut Packet) -> Result<(), String> {
        let key = (h.layer, h.version, h.rate_hz, h.channels);
        let decoder = match &mut self.decoder {
            Some(decoder) if self.made_for == Some(key) => decoder,
            decoder => {
                self.made_for = Some(key);
                decoder.insert(Decoder::open(h).map_err(|e| e.to_string())?)
            }
        };
        decoder.decode(h, data, out)
    }
}

impl PacketCodec for MpegCodec {
    fn decode(&mut self, data: &[u8], out: &mut Packet) -> Result<(), String> {
        let h = MpegHeader::parse(data).ok_or("no MPEG audio frame header")?;
        if h.kbps == 0 || !mpeg_free::is_legal(&h, h.kbps) {
            let mut scratch = std::mem::take(&mut self.scratch);
            let result = self.free.normalise(&h, data, &mut scratch).and_then(|()| {
                let standard = MpegHeader::parse(&scratch).ok_or("free format")?;
                self.decode_frame(&standard, &scratch, out)
            });
            self.scratch = scratch;
            return result;
        }
        let want = h.bytes(0);
        if data.len() == want {
            return self.decode_frame(&h, data, out);
        }
        // Containers may pad, and the last frame of a file may be cut.
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend_from_slice(&data[..data.len().min(want)]);
        scratch.resize(want, 0);
        let result = self.decode_frame(&h, &scratch, out);
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
