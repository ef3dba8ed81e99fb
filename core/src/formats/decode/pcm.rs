//! Linear PCM, float PCM, A-law and mu-law, in any width and byte order.

use super::blocks::BlockCodec;
use super::input::{be, le};
use crate::audio::{Buffer, IntBuffer, Planar};
use crate::formats::{Codec, SampleFormat};

const INT_TO_FLOAT: f32 = 1.0 / 2_147_483_648.0;

/// How one sample is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Two's complement, left-justified in its container.
    Signed,
    /// Offset binary, left-justified in its container.
    Unsigned,
    /// IEEE 754 of 16, 32 or 64 bits.
    Float,
    /// ITU-T G.711 A-law.
    ALaw,
    /// ITU-T G.711 mu-law.
    MuLaw,
}

/// Interleaved samples of one coding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pcm {
    pub coding: Coding,
    /// Bytes of one sample of one channel, 1 to 8.
    pub width: usize,
    pub channels: usize,
    pub big_endian: bool,
}

impl Pcm {
    /// Codec and sample format for [`crate::formats::StreamInfo`]. `bits` are the significant bits of integers.
    pub fn describe(&self, bits: usize) -> (Codec, SampleFormat) {
        match self.coding {
            Coding::Signed | Coding::Unsigned => (Codec::Pcm, SampleFormat::Int(bits.clamp(1, 32) as u8)),
            Coding::Float => (Codec::PcmFloat, SampleFormat::Float((self.width * 8) as u8)),
            Coding::ALaw => (Codec::ALaw, SampleFormat::Int(16)),
            Coding::MuLaw => (Codec::MuLaw, SampleFormat::Int(16)),
        }
    }
}

impl BlockCodec for Pcm {
    fn block_bytes(&self) -> usize {
        self.width * self.channels
    }

    fn block_frames(&self) -> usize {
        1
    }

    fn frames_in_part(&self, _bytes: usize) -> usize {
        0
    }

    fn decode_int(&mut self, bytes: &[u8], out: &mut IntBuffer) {
        let n = self.channels;
        match (self.coding, self.width, self.big_endian) {
            (Coding::ALaw, ..) => each(bytes, n, out, |[b]| i32::from(ALAW[usize::from(b)]) << 16),
            (Coding::MuLaw, ..) => each(bytes, n, out, |[b]| i32::from(MULAW[usize::from(b)]) << 16),
            (Coding::Signed, 1, _) => each(bytes, n, out, |[b]| i32::from(b) << 24),
            (Coding::Unsigned, 1, _) => each(bytes, n, out, |[b]| i32::from(b ^ 0x80) << 24),
            (Coding::Signed, 2, false) => each(bytes, n, out, |b| i32::from(i16::from_le_bytes(b)) << 16),
            (Coding::Signed, 2, true) => each(bytes, n, out, |b| i32::from(i16::from_be_bytes(b)) << 16),
            (Coding::Signed, 3, false) => each(bytes, n, out, |[a, b, c]| i32::from_le_bytes([0, a, b, c])),
            (Coding::Signed, 3, true) => each(bytes, n, out, |[a, b, c]| i32::from_be_bytes([a, b, c, 0])),
            (Coding::Signed, 4, false) => each(bytes, n, out, i32::from_le_bytes),
            (Coding::Signed, 4, true) => each(bytes, n, out, i32::from_be_bytes),
            // Rare: offset binary of several bytes, and integers of 5 to 8 bytes, of which the top 32 bits count.
            (coding, width, big) => {
                let flip = if coding == Coding::Unsigned { i32::MIN } else { 0 };
                for (channel, samples) in out.channels_mut().enumerate() {
                    for (sample, frame) in samples.iter_mut().zip(bytes.chunks_exact(width * n)) {
                        let at = channel * width;
                        let value = if big { be(frame, at, width) } else { le(frame, at, width) };
                        *sample = ((value << (64 - 8 * width)) >> 32) as i32 ^ flip;
                    }
                }
            }
        }
    }

    fn decode_float(&mut self, bytes: &[u8], out: &mut Buffer) {
        let n = self.channels;
        match (self.coding, self.width, self.big_endian) {
            (Coding::Float, 2, false) => each(bytes, n, out, |b| half(u16::from_le_bytes(b))),
            (Coding::Float, 2, true) => each(bytes, n, out, |b| half(u16::from_be_bytes(b))),
            (Coding::Float, 4, false) => each(bytes, n, out, f32::from_le_bytes),
            (Coding::Float, 4, true) => each(bytes, n, out, f32::from_be_bytes),
            (Coding::Float, _, false) => each(bytes, n, out, |b| f64::from_le_bytes(b) as f32),
            (Coding::Float, _, true) => each(bytes, n, out, |b| f64::from_be_bytes(b) as f32),
            (Coding::Signed, 2, false) => {
                each(bytes, n, out, |b| f32::from(i16::from_le_bytes(b)) * (1.0 / 32_768.0));
            }
            (Coding::Signed, 2, true) => {
                each(bytes, n, out, |b| f32::from(i16::from_be_bytes(b)) * (1.0 / 32_768.0));
            }
            (Coding::Signed, 3, false) => {
                each(bytes, n, out, |[a, b, c]| i32::from_le_bytes([0, a, b, c]) as f32 * INT_TO_FLOAT);
            }
            // `has_float` is false for the rest.
            _ => {}
        }
    }

    fn has_float(&self) -> bool {
        matches!(
            (self.coding, self.width, self.big_endian),
            (Coding::Float, ..) | (Coding::Signed, 2, _) | (Coding::Signed, 3, false)
        )
    }
}

/// Applies `convert` to each sample of interleaved `bytes`. One tight loop per channel count that is common, so that
/// the compiler vectorises it.
fn each<T: Copy + Default, const W: usize>(
    bytes: &[u8],
    channels: usize,
    out: &mut Planar<T>,
    convert: impl Fn([u8; W]) -> T + Copy,
) {
    let (samples, _) = bytes.as_chunks::<W>();
    if channels == 1 {
        for (to, from) in out.channel_mut(0).iter_mut().zip(samples) {
            *to = convert(*from);
        }
    } else if channels == 2
        && let Some((left, right)) = out.stereo_mut()
    {
        let (frames, _) = samples.as_chunks::<2>();
        for ((l, r), frame) in left.iter_mut().zip(right).zip(frames) {
            *l = convert(frame[0]);
            *r = convert(frame[1]);
        }
    } else {
        for (index, channel) in out.channels_mut().enumerate() {
            for (to, from) in channel.iter_mut().zip(samples.iter().skip(index).step_by(channels)) {
                *to = convert(*from);
            }
        }
    }
}

/// IEEE 754 binary16 to binary32, exact.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let (exponent, fraction) = (u32::from(bits >> 10 & 31), u32::from(bits & 0x3FF));
    match exponent {
        0 => f32::from_bits(sign | 0x3380_0000) * fraction as f32, // 2^-24 units
        31 => f32::from_bits(sign | 0x7F80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// ITU-T G.711 A-law to 16 bits, as ITU-T G.191 `alaw_expand` scales it.
static ALAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bits = code as i32 ^ 0x55;
        let (segment, step) = (bits >> 4 & 7, bits & 15);
        let magnitude = if segment == 0 { (step << 4) + 8 } else { ((step << 4) + 0x108) << (segment - 1) };
        table[code] = if bits & 0x80 != 0 { magnitude as i16 } else { -magnitude as i16 };
        code += 1;
    }
    table
};

/// ITU-T G.711 mu-law to 16 bits, as ITU-T G.191 `ulaw_expand` scales it.
static MULAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bits = !(code as i32) & 0xFF;
        let magnitude = ((((bits & 15) << 3) + 0x84) << (bits >> 4 & 7)) - 0x84;
        table[code] = if bits & 0x80 != 0 { -magnitude as i16 } else { magnitude as i16 };
        code += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{ChannelLayout, Spec};

    fn ints(pcm: Pcm, bytes: &[u8]) -> Vec<Vec<i32>> {
        let mut out = IntBuffer::new(Spec::new(8000, ChannelLayout::from_count(pcm.channels)), 64);
        out.set_frames(bytes.len() / pcm.block_bytes());
        let mut pcm = pcm;
        pcm.decode_int(bytes, &mut out);
        out.channels().map(<[i32]>::to_vec).collect()
    }

    fn pcm(coding: Coding, width: usize, channels: usize, big_endian: bool) -> Pcm {
        Pcm { coding, width, channels, big_endian }
    }

    #[test]
    fn every_width_and_order_is_left_justified() {
        // -2 of `width` bytes, then +1: the value shifted to the top of 32 bits.
        for width in 1..=8_usize {
            for big in [false, true] {
                let mut bytes = Vec::new();
                for value in [-2_i64, 1] {
                    let le = value.to_le_bytes();
                    let mut sample = le[..width].to_vec();
                    if big {
                        sample.reverse();
                    }
                    bytes.extend(sample);
                }
                let expect: Vec<i32> = [-2_i64, 1].iter().map(|v| ((v << (64 - 8 * width)) >> 32) as i32).collect();
                assert_eq!(ints(pcm(Coding::Signed, width, 1, big), &bytes), [expect], "{width} {big}");
            }
        }
        assert_eq!(ints(pcm(Coding::Unsigned, 1, 1, false), &[0, 128, 255]), [[i32::MIN, 0, 127 << 24]]);
        assert_eq!(ints(pcm(Coding::Unsigned, 2, 1, true), &[0, 0, 128, 1]), [[i32::MIN, 1 << 16]]);
    }

    #[test]
    fn channels_are_taken_apart() {
        for channels in 1..=9 {
            let bytes: Vec<u8> = (0..5 * channels as u8).flat_map(|i| [0, i]).collect();
            let planes = ints(pcm(Coding::Signed, 2, channels, false), &bytes);
            for (c, plane) in planes.iter().enumerate() {
                let expect: Vec<i32> = (0..5).map(|f| ((f * channels + c) as i32) << 24).collect();
                assert_eq!(plane, &expect, "{channels}");
            }
        }
    }

    #[test]
    fn g711_end_points() {
        // ITU-T G.711 tables 1 and 2, times the scale to 16 bits: largest, smallest, near zero.
        assert_eq!((MULAW[0x80], MULAW[0x00], MULAW[0xFF], MULAW[0x7F]), (32124, -32124, 0, 0));
        assert_eq!((ALAW[0xAA], ALAW[0x2A], ALAW[0xD5], ALAW[0x55]), (32256, -32256, 8, -8));
    }

    #[test]
    fn floats_of_all_widths() {
        let mut out = Buffer::new(Spec::new(8000, ChannelLayout::MONO), 8);
        out.set_frames(1);
        for value in [0.5_f64, -2.0, 0.0, 65504.0, 2.0_f64.powi(-24)] {
            let single = value as f32;
            pcm(Coding::Float, 4, 1, true).decode_float(&single.to_be_bytes(), &mut out);
            assert_eq!(out.channel(0), [single]);
            pcm(Coding::Float, 8, 1, false).decode_float(&value.to_le_bytes(), &mut out);
            assert_eq!(out.channel(0), [single]);
        }
        // IEEE 754 binary16: 1.0, -2, largest, smallest subnormal.
        for (bits, value) in [(0x3C00, 1.0), (0xC000, -2.0), (0x7BFF, 65504.0), (0x0001, 2.0_f32.powi(-24))] {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7E00).is_nan() && half(0xFC00) == f32::NEG_INFINITY);
    }

    #[test]
    fn direct_floats_equal_those_through_integers() {
        let bytes: Vec<u8> = (0..600_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for (width, big) in [(2, false), (2, true), (3, false)] {
            for channels in [1, 2, 3] {
                let mut codec = pcm(Coding::Signed, width, channels, big);
                let frames = bytes.len() / codec.block_bytes();
                let spec = Spec::new(8000, ChannelLayout::from_count(channels));
                let (mut int, mut direct, mut through) =
                    (IntBuffer::new(spec, frames), Buffer::new(spec, frames), Buffer::new(spec, frames));
                int.set_frames(frames);
                direct.set_frames(frames);
                codec.decode_int(&bytes, &mut int);
                codec.decode_float(&bytes, &mut direct);
                through.copy_from_int(&int);
                assert!(direct.channels().eq(through.channels()), "{width} {big} {channels}");
            }
        }
    }
}
