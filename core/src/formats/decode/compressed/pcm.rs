//! Samples as they are, and the simple codings of the telephone and QuickTime age, inside general containers.

use super::codec::{CodecConfig, Output, PacketCodec};
use crate::audio::{ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::formats::decode::stream::Packet;
use crate::formats::info::{Codec, SampleFormat};

/// Coding of one PCM sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PcmFormat {
    /// Bytes of one sample.
    pub bytes: u8,
    /// Significant bits, at most `8 * bytes`.
    pub bits: u8,
    pub coding: Coding,
    pub big_endian: bool,
}

/// Meaning of the bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Coding {
    #[default]
    Signed,
    Unsigned,
    Float,
    /// ITU-T G.711.
    ALaw,
    /// ITU-T G.711.
    MuLaw,
}

impl PcmFormat {
    /// Integers of `bits` bits in as few bytes as possible.
    pub fn int(bits: u8, big_endian: bool) -> Self {
        Self { bytes: bits.div_ceil(8), bits, coding: Coding::Signed, big_endian }
    }
    /// 32 or 64 bits.
    pub fn float(bits: u8, big_endian: bool) -> Self {
        Self { bytes: bits / 8, bits, coding: Coding::Float, big_endian }
    }
    /// One of the G.711 laws.
    pub fn law(coding: Coding) -> Self {
        Self { bytes: 1, bits: 16, coding, big_endian: false }
    }
}

/// PCM decoder.
pub(super) struct PcmCodec {
    format: PcmFormat,
    output: Output,
}

impl PcmCodec {
    /// Needs rate and channel count from the container.
    pub fn new(config: &CodecConfig, format: PcmFormat) -> Result<Self> {
        let float_ok = format.coding != Coding::Float || matches!(format.bytes, 4 | 8);
        if !(1..=8).contains(&format.bytes) || !float_ok || config.channels == 0 {
            let what = format!("PCM of {} bytes, {} channels", format.bytes, config.channels);
            return Err(Error::unsupported("sample format", what));
        }
        let (codec, sample_format) = match format.coding {
            Coding::Float => (Codec::PcmFloat, SampleFormat::Float(8 * format.bytes)),
            Coding::ALaw => (Codec::ALaw, SampleFormat::Int(16)),
            Coding::MuLaw => (Codec::MuLaw, SampleFormat::Int(16)),
            _ => (Codec::Pcm, SampleFormat::Int(format.bits.clamp(1, 32))),
        };
        let spec = Spec::new(config.rate_hz, ChannelLayout::from_count(config.channels));
        Ok(Self { format, output: Output { codec, spec, sample_format } })
    }

    fn int(&self, b: &[u8]) -> i32 {
        match self.format.coding {
            Coding::ALaw => i32::from(alaw(b[0])) << 16,
            Coding::MuLaw => i32::from(mulaw(b[0])) << 16,
            _ => {
                // The four most significant bytes, left-justified.
                let n = b.len();
                let mut v = 0u32;
                for i in 0..n.min(4) {
                    let byte = if self.format.big_endian { b[i] } else { b[n - 1 - i] };
                    v |= u32::from(byte) << (24 - 8 * i);
                }
                if self.format.coding == Coding::Unsigned { (v ^ 1 << 31) as i32 } else { v as i32 }
            }
        }
    }

    fn float(&self, b: &[u8]) -> f32 {
        let mut a = [0u8; 8];
        let n = b.len().min(8);
        a[..n].copy_from_slice(&b[..n]);
        if self.format.big_endian {
            a[..n].reverse();
        }
        if n == 8 { f64::from_le_bytes(a) as f32 } else { f32::from_le_bytes([a[0], a[1], a[2], a[3]]) }
    }
}

impl PacketCodec for PcmCodec {
    fn decode(&mut self, data: &[u8], out: &mut Packet) -> Result<(), String> {
        let (width, channels) = (usize::from(self.format.bytes), self.output.spec.channels());
        let frames = data.len() / (width * channels);
        let sample = |frame: usize, c: usize| &data[(frame * channels + c) * width..][..width];
        match out {
            Packet::Int(p) => {
                p.reserve(self.output.spec, frames);
                p.set_frames(frames);
                for (c, plane) in p.channels_mut().enumerate() {
                    for (f, s) in plane.iter_mut().enumerate() {
                        *s = self.int(sample(f, c));
                    }
                }
            }
            Packet::Float(p) => {
                p.reserve(self.output.spec, frames);
                p.set_frames(frames);
                for (c, plane) in p.channels_mut().enumerate() {
                    for (f, s) in plane.iter_mut().enumerate() {
                        *s = self.float(sample(f, c));
                    }
                }
            }
        }
        Ok(())
    }
    fn reset(&mut self) {}
    fn count_frames(&self, _: &[u8], _: &mut u64) -> Option<u64> {
        None // by the demuxer
    }
    fn preroll_frames(&self) -> u64 {
        0
    }
    fn output(&self) -> Output {
        self.output
    }
}

/// ITU-T G.711 A-law to 16 bits (13 significant).
pub(super) fn alaw(code: u8) -> i16 {
    let v = code ^ 0x55;
    let (exponent, mantissa) = (v >> 4 & 7, i16::from(v & 15));
    let magnitude = match exponent {
        0 => (mantissa << 4) + 8,
        e => ((mantissa << 4) + 0x108) << (e - 1),
    };
    if v & 0x80 != 0 { magnitude } else { -magnitude }
}

/// ITU-T G.711 mu-law to 16 bits (14 significant).
pub(super) fn mulaw(code: u8) -> i16 {
    let v = !code;
    let magnitude = (((i16::from(v & 15) << 3) + 0x84) << (v >> 4 & 7)) - 0x84;
    if v & 0x80 != 0 { -magnitude } else { magnitude }
}

const IMA_STEPS: [i32; 89] = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107,
    118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963,
    1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894,
    6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794,
    32767,
];
const IMA_INDEX: [i32; 8] = [-1, -1, -1, -1, 2, 4, 6, 8];

/// QuickTime IMA ADPCM (`ima4`): per channel blocks of 34 bytes, 2 bytes of state and 64 codes of 4 bits, low nibble
/// first (Apple TN1081).
pub(super) struct ImaQtCodec {
    output: Output,
}

impl ImaQtCodec {
    pub const BLOCK_BYTES: usize = 34;
    pub const BLOCK_FRAMES: usize = 64;

    /// Needs rate and channel count from the container.
    pub fn new(config: &CodecConfig) -> Result<Self> {
        if config.channels == 0 {
            return Err(Error::malformed("ima4", None, "no channels"));
        }
        let spec = Spec::new(config.rate_hz, ChannelLayout::from_count(config.channels));
        Ok(Self { output: Output { codec: Codec::AdpcmIma, spec, sample_format: SampleFormat::Lossy } })
    }
}

impl PacketCodec for ImaQtCodec {
    fn decode(&mut self, data: &[u8], out: &mut Packet) -> Result<(), String> {
        let Packet::Float(p) = out else { return Err("ima4 decodes to floats".into()) };
        let channels = self.output.spec.channels();
        let blocks = data.len() / (Self::BLOCK_BYTES * channels);
        p.reserve(self.output.spec, blocks * Self::BLOCK_FRAMES);
        p.set_frames(blocks * Self::BLOCK_FRAMES);
        for (c, plane) in p.channels_mut().enumerate() {
            for (b, to) in plane.chunks_exact_mut(Self::BLOCK_FRAMES).enumerate() {
                ima_block(&data[(b * channels + c) * Self::BLOCK_BYTES..][..Self::BLOCK_BYTES], to);
            }
        }
        Ok(())
    }
    fn reset(&mut self) {}
    fn count_frames(&self, _: &[u8], _: &mut u64) -> Option<u64> {
        None // by the demuxer
    }
    fn preroll_frames(&self) -> u64 {
        0
    }
    fn output(&self) -> Output {
        self.output
    }
}

fn ima_block(block: &[u8], to: &mut [f32]) {
    let head = i16::from_be_bytes([block[0], block[1]]);
    let mut index = i32::from(head & 0x7F).min(88);
    let mut predictor = i32::from(head & !0x7F);
    for (i, s) in to.iter_mut().enumerate() {
        let code = i32::from(block[2 + i / 2] >> (4 * (i & 1)) & 15);
        let step = IMA_STEPS[index as usize];
        let mut diff = step >> 3;
        for bit in 0..3 {
            if code >> bit & 1 != 0 {
                diff += step >> (2 - bit);
            }
        }
        predictor = (if code & 8 != 0 { predictor - diff } else { predictor + diff }).clamp(-32768, 32767);
        index = (index + IMA_INDEX[(code & 7) as usize]).clamp(0, 88);
        *s = predictor as f32 / 32768.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g711_corner_values() {
        // ITU-T G.711 tables 1a and 2a: the decision values at the ends and around zero.
        assert_eq!((alaw(0xD5), alaw(0x55), alaw(0xAA), alaw(0x2A)), (8, -8, 32_256, -32_256));
        assert_eq!((mulaw(0xFF), mulaw(0x80), mulaw(0x00)), (0, 32_124, -32_124));
    }

    #[test]
    fn integers_of_any_width_are_left_justified() {
        let config = CodecConfig { rate_hz: 8000, channels: 1, ..CodecConfig::default() };
        let decode = |format: PcmFormat, data: &[u8]| {
            let mut out = Packet::Int(crate::audio::IntBuffer::new(Spec::new(8000, ChannelLayout::MONO), 0));
            PcmCodec::new(&config, format).unwrap().decode(data, &mut out).unwrap();
            let Packet::Int(p) = out else { panic!() };
            p.channel(0).to_vec()
        };
        assert_eq!(decode(PcmFormat::int(24, true), &[0x80, 0, 1]), [i32::MIN + 256]);
        assert_eq!(decode(PcmFormat::int(16, false), &[1, 0x80, 0xFF, 0x7F]), [i32::MIN + 65_536, 0x7FFF_0000]);
        let unsigned = PcmFormat { coding: Coding::Unsigned, ..PcmFormat::int(8, false) };
        assert_eq!(decode(unsigned, &[0, 128]), [i32::MIN, 0]);
    }
}
