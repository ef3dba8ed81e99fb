//! One WavPack block: header, metadata, and the samples of its one or two channels.
//!
//! Source: "WavPack 4 & 5 Binary File / Block Format", David Bryant, April 12, 2020.

use super::super::input::le;
use super::bits::LsbBits;
use super::decorrelate::Pass;
use super::words::{ChannelWords, Hybrid, Words, exp2_signed};

/// Bytes of a block header.
pub(super) const HEADER_BYTES: usize = 32;
/// Limits of the format: larger blocks are not written by any encoder and are refused by the reference decoder.
const MAX_BLOCK_BYTES: u64 = 1 << 24;
const MAX_BLOCK_SAMPLES: u32 = 0x3_0000;
const MAX_PASSES: usize = 16;

const MONO: u32 = 1 << 2;
const HYBRID: u32 = 1 << 3;
const JOINT_STEREO: u32 = 1 << 4;
const FLOAT: u32 = 1 << 7;
const INT32: u32 = 1 << 8;
const HYBRID_BITRATE: u32 = 1 << 9;
const HYBRID_BALANCE: u32 = 1 << 10;
const INITIAL: u32 = 1 << 11;
const FINAL: u32 = 1 << 12;
const FALSE_STEREO: u32 = 1 << 30;
const DSD: u32 = 1 << 31;

const RATES: [u32; 15] =
    [6000, 8000, 9600, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000, 192_000];

/// A block header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    /// Bytes of the whole block.
    pub bytes: u64,
    /// Of the whole file; `None` when unknown.
    pub total: Option<u64>,
    /// Position of the first sample.
    pub index: u64,
    pub samples: u32,
    flags: u32,
    checksum: u32,
}

impl Header {
    /// Parses a header; `None` when it is not one.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let h = data.first_chunk::<HEADER_BYTES>()?;
        let bytes = le(h, 4, 4) + 8;
        let samples = le(h, 20, 4) as u32;
        let plausible = h.starts_with(b"wvpk")
            && (0x402..=0x410).contains(&le(h, 8, 2))
            && (HEADER_BYTES as u64..=MAX_BLOCK_BYTES).contains(&bytes)
            && samples < MAX_BLOCK_SAMPLES;
        // The upper 8 bits of both; -1 in the lower 32 bits of the total is "unknown".
        let total = (le(h, 12, 4) != 0xFFFF_FFFF).then(|| le(h, 12, 4) + u64::from(h[11]) * 0xFFFF_FFFF);
        plausible.then_some(Self {
            bytes,
            total,
            index: le(h, 16, 4) | u64::from(h[10]) << 32,
            samples,
            flags: le(h, 24, 4) as u32,
            checksum: le(h, 28, 4) as u32,
        })
    }

    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Channels that come out: 1 or 2.
    pub fn channels(&self) -> usize {
        if self.has(MONO) { 1 } else { 2 }
    }

    /// First block of those that hold the channels of the same samples.
    pub fn is_first(&self) -> bool {
        self.has(INITIAL)
    }

    /// Last block of those that hold the channels of the same samples.
    pub fn is_last(&self) -> bool {
        self.has(FINAL)
    }

    pub fn is_float(&self) -> bool {
        self.has(FLOAT)
    }

    pub fn is_dsd(&self) -> bool {
        self.has(DSD)
    }

    /// Rate by index; `None`: in the metadata.
    pub fn rate_hz(&self) -> Option<u32> {
        RATES.get((self.flags >> 23 & 15) as usize).copied()
    }

    /// Bytes per sample of the source, 1 to 4.
    pub fn sample_bytes(&self) -> u32 {
        (self.flags & 3) + 1
    }

    fn shift(&self) -> u32 {
        self.flags >> 13 & 31
    }

    /// Significant bits per sample.
    pub fn bits(&self) -> u32 {
        (self.sample_bytes() * 8).saturating_sub(self.shift()).max(1)
    }
}

/// How floats are made from integers.
#[derive(Debug, Clone, Copy, Default)]
struct FloatInfo {
    flags: u8,
    shift: u8,
    max_exponent: u8,
    norm_exponent: u8,
}

/// The metadata of a block.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    passes: Vec<Pass>,
    words: [ChannelWords; 2],
    float: Option<FloatInfo>,
    /// Bits sent apart, zeros, ones, duplicates.
    int32: Option<[u32; 4]>,
    main: Option<&'a [u8]>,
    extra: Option<&'a [u8]>,
    /// Number of channels and mask of the whole file.
    pub channel_info: Option<(usize, u32)>,
    pub rate_hz: Option<u32>,
}

/// Why a block cannot be decoded.
pub(super) type BlockError = &'static str;

impl<'a> Block<'a> {
    /// Parses the metadata after the header.
    pub fn parse(header: &Header, mut data: &'a [u8]) -> Result<Self, BlockError> {
        let mut block = Self::default();
        let mono = header.has(MONO | FALSE_STEREO);
        while let [id, size, rest @ ..] = data {
            let mut rest = rest;
            let mut size = usize::from(*size) * 2;
            if id & 0x80 != 0 {
                let Some((high, more)) = rest.split_first_chunk::<2>() else { return Err("metadata is cut off") };
                size += usize::from(u16::from_le_bytes(*high)) << 9;
                rest = more;
            }
            let Some((padded, next)) = rest.split_at_checked(size) else {
                return Err("metadata longer than its block");
            };
            let body = &padded[..size - usize::from(id & 0x40 != 0 && size > 0)];
            data = next;
            block.item(id & 0x3F, body, header, mono)?;
        }
        Ok(block)
    }

    fn item(&mut self, id: u8, body: &'a [u8], header: &Header, mono: bool) -> Result<(), BlockError> {
        let word = |i: usize| i32::from(i16::from_le_bytes([body[2 * i], body[2 * i + 1]]));
        let count = if mono { 1 } else { 2 };
        match id {
            2 => {
                if body.len() > MAX_PASSES {
                    return Err("too many filter terms");
                }
                let pass = |b: &u8| Pass { term: i32::from(b & 31) - 5, delta: i32::from(b >> 5), ..Pass::default() };
                self.passes = body.iter().map(pass).collect();
                if !self.passes.iter().all(|p| p.is_valid(!mono)) {
                    return Err("reserved filter term");
                }
            }
            3 => {
                if body.len() / count > self.passes.len() {
                    return Err("more weights than filter terms");
                }
                for (pass, stored) in self.passes.iter_mut().zip(body.chunks_exact(count)) {
                    for (weight, s) in pass.weights.iter_mut().zip(stored) {
                        let w = i32::from(*s as i8) * 8;
                        *weight = if w > 0 { w + ((w + 64) >> 7) } else { w };
                    }
                }
            }
            4 => self.histories(body, mono)?,
            5 => {
                if body.len() != 6 * count {
                    return Err("entropy state of wrong size");
                }
                for (i, c) in self.words.iter_mut().enumerate().take(count) {
                    c.medians = [0, 1, 2].map(|level| exp2_signed(word(3 * i + level) & 0xFFFF) as u32);
                }
            }
            6 => self.hybrid_profile(body, header, count)?,
            8 | 9 => {
                let Some([a, b, c, d]) = body.first_chunk::<4>().copied() else {
                    return Err("number format is cut off");
                };
                if id == 8 {
                    self.float = Some(FloatInfo { flags: a, shift: b, max_exponent: c, norm_exponent: d });
                } else if [a, b, c, d].iter().any(|n| *n > 31) {
                    return Err("integer extension of more than 31 bits");
                } else {
                    self.int32 = Some([a, b, c, d].map(u32::from));
                }
            }
            0xA => self.main = Some(body),
            // Its own checksum comes first.
            0xC => self.extra = body.get(4..),
            0xD => {
                self.channel_info = match body {
                    [low, _, high, mask @ ..] if body.len() >= 6 => Some((
                        usize::from(*low) + (usize::from(high & 15) << 8) + 1,
                        le(mask, 0, mask.len().min(4)) as u32,
                    )),
                    [channels, mask @ ..] => Some((usize::from(*channels), le(mask, 0, mask.len().min(4)) as u32)),
                    [] => None,
                }
            }
            0x27 => self.rate_hz = Some(le(body, 0, body.len().min(4)) as u32),
            // Anything below 0x20 must be understood.
            1..=0x1F if !matches!(id, 1 | 7 | 0xB | 0xE) => return Err("unknown metadata that is needed to decode"),
            _ => {}
        }
        Ok(())
    }

    fn histories(&mut self, body: &[u8], mono: bool) -> Result<(), BlockError> {
        let (words, _) = body.as_chunks::<2>();
        let mut words = words.iter().map(|w| exp2_signed(i32::from(i16::from_le_bytes(*w))));
        let channels = if mono { 1 } else { 2 };
        for pass in &mut self.passes {
            pass.history = Default::default();
            let mut place = |channel: usize, at: usize| words.next().map(|w| pass.history[channel][at] = w);
            let filled = match pass.term {
                17 | 18 => (0..channels).all(|c| (0..2).all(|i| place(c, i).is_some())),
                1..=8 => (0..pass.term as usize).all(|i| (0..channels).all(|c| place(c, i).is_some())),
                _ => (0..2).all(|c| place(c, 0).is_some()),
            };
            if !filled {
                break; // the rest starts from zero
            }
        }
        Ok(())
    }

    fn hybrid_profile(&mut self, body: &[u8], header: &Header, count: usize) -> Result<(), BlockError> {
        let (words, _) = body.as_chunks::<2>();
        let mut words = words.iter().map(|w| i32::from(u16::from_le_bytes(*w)));
        let mut each = |set: &mut dyn FnMut(&mut ChannelWords, i32)| {
            for c in self.words.iter_mut().take(count) {
                let Some(w) = words.next() else { return false };
                set(c, w);
            }
            true
        };
        if header.has(HYBRID_BITRATE) && !each(&mut |c, w| c.slow_level = exp2_signed(w)) {
            return Err("hybrid profile is cut off");
        }
        if !each(&mut |c, w| c.bitrate = w << 16) {
            return Err("hybrid profile is cut off");
        }
        each(&mut |c, w| c.bitrate_delta = exp2_signed(i32::from(w as i16)));
        Ok(())
    }

    /// Decodes the samples: integers as stored, or the bits of floats. `right` stays empty for one channel.
    pub fn decode(mut self, header: &Header, left: &mut Vec<i32>, right: &mut Vec<i32>) -> Result<(), BlockError> {
        let count = header.samples as usize;
        let stereo = !header.has(MONO | FALSE_STEREO);
        let hybrid = Hybrid {
            enabled: header.has(HYBRID),
            bitrate: header.has(HYBRID_BITRATE),
            balance: header.has(HYBRID_BALANCE),
        };
        left.clear();
        right.clear();
        let mut words = Words::new(self.main.ok_or("no audio in the block")?, self.words, hybrid, stereo);
        for _ in 0..count {
            left.push(words.next(0).ok_or("invalid code")?);
            if stereo {
                right.push(words.next(1).ok_or("invalid code")?);
            }
            if words.overrun() {
                return Err("audio is cut off");
            }
        }
        // Stored in the order of the encoder.
        for pass in self.passes.iter_mut().rev() {
            pass.undo(left, right);
        }
        let mut checksum = u32::MAX;
        if stereo {
            for (l, r) in left.iter_mut().zip(right.iter_mut()) {
                if header.has(JOINT_STEREO) {
                    *r = r.wrapping_sub(*l >> 1);
                    *l = l.wrapping_add(*r);
                }
                checksum = checksum.wrapping_mul(9).wrapping_add((*l as u32).wrapping_mul(3)).wrapping_add(*r as u32);
            }
        } else {
            for l in left.iter() {
                checksum = checksum.wrapping_mul(3).wrapping_add(*l as u32);
            }
        }
        if checksum != header.checksum {
            return Err("checksum does not match");
        }
        self.finish(header, left, right)?;
        if header.channels() == 2 && !stereo {
            right.extend_from_slice(left);
        }
        Ok(())
    }

    /// From the coded integers to those of the source, or to floats.
    fn finish(&self, header: &Header, left: &mut [i32], right: &mut [i32]) -> Result<(), BlockError> {
        let mut extra = self.extra.map(LsbBits::new);
        let mut shift = header.shift();
        if header.has(FLOAT) {
            let info = self.float.ok_or("no float format")?;
            for_each_frame(left, right, |s| {
                let bits = match &mut extra {
                    Some(extra) => info.exact(*s, extra),
                    None => info.approximate(*s),
                };
                *s = (f32::from_bits(bits) * info.scale()).to_bits() as i32;
            });
            return Ok(());
        }
        if let Some([sent, mut zeros, mut ones, mut dups]) = self.int32.filter(|_| header.has(INT32)) {
            let extend = |s: i32, zeros, ones, dups| match (zeros, ones, dups) {
                (1.., _, _) => s.wrapping_shl(zeros),
                (_, 1.., _) => s.wrapping_add(1).wrapping_shl(ones).wrapping_sub(1),
                (_, _, 1..) => s.wrapping_add(s & 1).wrapping_shl(dups).wrapping_sub(s & 1),
                _ => s,
            };
            if let Some(extra) = &mut extra {
                for_each_frame(left, right, |s| {
                    *s = extend(s.wrapping_shl(sent) | extra.take(sent) as i32, zeros, ones, dups);
                });
            } else if sent == 0 && zeros + ones + dups > 0 {
                while header.has(HYBRID) && header.sample_bytes() == 4 && shift < 8 && zeros + ones + dups > 0 {
                    *[&mut zeros, &mut ones, &mut dups].into_iter().find(|n| **n > 0).unwrap_or(&mut 0) -= 1;
                    shift += 1;
                }
                for_each_frame(left, right, |s| *s = extend(*s, zeros, ones, dups));
            } else {
                shift += sent + zeros + ones + dups;
            }
        }
        if header.has(HYBRID) {
            let half = 1_i64 << (header.sample_bytes() * 8 - 1);
            let (low, high) = ((-half >> shift.min(40)) as i32, ((half - 1) >> shift.min(40)) as i32);
            for_each_frame(left, right, |s| *s = (*s).clamp(low, high));
        }
        if shift > 0 {
            for_each_frame(left, right, |s| *s = s.checked_shl(shift).unwrap_or(0));
        }
        Ok(())
    }
}

/// Calls `f` on all samples in the order in which they were coded.
fn for_each_frame(left: &mut [i32], right: &mut [i32], mut f: impl FnMut(&mut i32)) {
    if right.is_empty() {
        left.iter_mut().for_each(f);
    } else {
        for (l, r) in left.iter_mut().zip(right) {
            f(l);
            f(r);
        }
    }
}

impl FloatInfo {
    const SHIFT_ONES: u8 = 1;
    const SHIFT_SAME: u8 = 2;
    const SHIFT_SENT: u8 = 4;
    const ZEROS_SENT: u8 = 8;
    const NEGATIVE_ZEROS: u8 = 16;

    /// Files whose full scale is not 1.0 say so by their exponent.
    fn scale(self) -> f32 {
        2.0_f32.powi((127 - i32::from(self.norm_exponent)).clamp(-126, 127))
    }

    /// Bits of the float, with what the extra stream tells about the bits below.
    fn exact(self, value: i32, extra: &mut LsbBits<'_>) -> u32 {
        let mut exponent = u32::from(self.max_exponent);
        if value == 0 {
            if self.flags & Self::ZEROS_SENT != 0 && extra.bit() {
                let mantissa = extra.take(23);
                let exponent = if exponent >= 25 { extra.take(8) } else { 0 };
                return u32::from(extra.bit()) << 31 | exponent << 23 | mantissa;
            }
            let negative = self.flags & (Self::ZEROS_SENT | Self::NEGATIVE_ZEROS)
                == Self::ZEROS_SENT | Self::NEGATIVE_ZEROS
                && extra.bit();
            return u32::from(negative) << 31;
        }
        let value = value.wrapping_shl(u32::from(self.shift));
        let sign = (value as u32) & 0x8000_0000;
        let mut magnitude = value.unsigned_abs();
        if magnitude == 0x100_0000 {
            // Infinity, or NaN with its mantissa.
            return sign | 0xFF << 23 | if extra.bit() { extra.take(23) } else { 0 };
        }
        let mut shifted = 0;
        if exponent > 0 {
            while magnitude & 0x80_0000 == 0 && shifted < 24 {
                exponent -= 1;
                if exponent == 0 {
                    break;
                }
                shifted += 1;
                magnitude <<= 1;
            }
        }
        if shifted > 0 {
            let all = (1 << shifted) - 1;
            if self.flags & Self::SHIFT_ONES != 0 || (self.flags & Self::SHIFT_SAME != 0 && extra.bit()) {
                magnitude |= all;
            } else if self.flags & Self::SHIFT_SENT != 0 {
                magnitude |= extra.take(shifted) & all;
            }
        }
        sign | (exponent & 0xFF) << 23 | (magnitude & 0x7F_FFFF)
    }

    /// Bits of the float without the extra stream: of lossy files.
    fn approximate(self, value: i32) -> u32 {
        if value == 0 {
            return 0;
        }
        let value = value.wrapping_shl(u32::from(self.shift));
        let sign = (value as u32) & 0x8000_0000;
        let (mut magnitude, mut exponent, mut shifted) = (value.unsigned_abs(), u32::from(self.max_exponent), 0);
        if magnitude >= 0x100_0000 {
            while magnitude & 0xFF00_0000 != 0 {
                magnitude >>= 1;
                exponent += 1;
            }
        } else if exponent > 0 {
            while magnitude & 0x80_0000 == 0 && shifted < 24 {
                exponent -= 1;
                if exponent == 0 {
                    break;
                }
                shifted += 1;
                magnitude <<= 1;
            }
            if shifted > 0 && self.flags & Self::SHIFT_ONES != 0 {
                magnitude |= (1 << shifted) - 1;
            }
        }
        sign | exponent.min(0xFF) << 23 | (magnitude & 0x7F_FFFF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: u32, samples: u32, checksum: u32) -> Vec<u8> {
        let mut h = b"wvpk".to_vec();
        h.extend(100_u32.to_le_bytes());
        h.extend(0x410_u16.to_le_bytes());
        h.extend([1, 0]);
        for v in [u32::MAX, 7, samples, flags, checksum] {
            h.extend(v.to_le_bytes());
        }
        h
    }

    #[test]
    fn headers_tell_positions_rates_and_widths() {
        let h = Header::parse(&header(0x14BC_1831, 22_050, 0)).unwrap();
        assert_eq!((h.total, h.index, h.samples), (None, (1 << 32) + 7, 22_050));
        assert_eq!((h.rate_hz(), h.bits(), h.channels()), (Some(44_100), 16, 2));
        assert!(h.is_first() && h.is_last() && !h.is_float());
        assert!(Header::parse(&header(0, MAX_BLOCK_SAMPLES, 0)).is_none());
        assert!(Header::parse(&header(0, 1, 0)[..31]).is_none());
    }

    #[test]
    fn metadata_that_lies_is_refused() {
        let h = Header::parse(&header(0, 1, 0)).unwrap();
        assert!(Block::parse(&h, &[2, 200, 0]).is_err());
        assert!(Block::parse(&h, &[2, 1, 0xE0 | 14, 0xE0 | 14]).is_err());
        assert!(Block::parse(&h, &[0x1F, 1, 0, 0]).is_err());
        // Unknown but optional: skipped.
        assert!(Block::parse(&h, &[0x3F, 1, 0, 0]).is_ok());
    }

    #[test]
    fn floats_from_integers() {
        let info = FloatInfo { flags: 0, shift: 0, max_exponent: 127, norm_exponent: 127 };
        for (value, float) in [(0x80_0000, 1.0_f32), (-0x80_0000, -1.0), (0x40_0000, 0.5), (0xC0_0000, 1.5), (0, 0.0)] {
            assert_eq!(f32::from_bits(info.approximate(value)), float);
            assert_eq!(f32::from_bits(info.exact(value, &mut LsbBits::new(&[0; 8]))), float);
        }
    }
}
