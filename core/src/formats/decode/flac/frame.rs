//! One FLAC frame: header, subframes, channels put together. For FLAC in any container.
//!
//! Source: RFC 9639, sections 8.2 (STREAMINFO) and 9 (frames).

use super::bits::Bits;
use super::crc::{crc8, crc16};
use super::predict;
use crate::audio::{Buffer, ChannelLayout, IntBuffer, Spec};
use crate::error::{Error, Result};

/// The STREAMINFO block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamParams {
    pub min_block: u32,
    pub max_block: u32,
    /// 0 when unknown.
    pub max_frame_bytes: u32,
    pub rate_hz: u32,
    pub channels: usize,
    pub bits: u32,
    /// 0 when unknown.
    pub total_frames: u64,
}

impl StreamParams {
    /// Parses the 34 bytes of a STREAMINFO block (without block header).
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is short or states a rate of 0 or fewer than 4 bits.
    pub fn parse(block: &[u8]) -> Result<Self> {
        let Some(b) = block.first_chunk::<34>() else {
            return Err(Error::malformed("FLAC STREAMINFO", None, format!("{} bytes instead of 34", block.len())));
        };
        let mut bits = Bits::new(b);
        let (min_block, max_block) = (bits.take(16), bits.take(16));
        let (_, max_frame_bytes) = (bits.take(24), bits.take(24));
        let (rate_hz, channels, depth) = (bits.take(20), bits.take(3) as usize + 1, bits.take(5) + 1);
        let total_frames = u64::from(bits.take(4)) << 32 | u64::from(bits.take(32));
        if rate_hz == 0 || depth < 4 {
            return Err(Error::malformed("FLAC STREAMINFO", None, format!("{rate_hz} Hz, {depth} bits")));
        }
        Ok(Self { min_block, max_block, max_frame_bytes, rate_hz, channels, bits: depth, total_frames })
    }

    /// Rate and layout (RFC 9639, 9.1.3).
    pub fn spec(&self) -> Spec {
        Spec::new(self.rate_hz, ChannelLayout::from_count(self.channels))
    }
}

/// A frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Length of the header in bytes, with its checksum.
    pub bytes: usize,
    pub block: u32,
    /// `None`: as in STREAMINFO.
    pub rate_hz: Option<u32>,
    pub channels: usize,
    /// 0: independent, 1: left/side, 2: side/right, 3: mid/side.
    stereo: u8,
    /// `None`: as in STREAMINFO.
    pub bits: Option<u32>,
    /// Frame number, or sample number when `variable`.
    pub number: u64,
    pub variable: bool,
}

impl FrameHeader {
    /// Parses a header; `None` when the bytes are not one (or are cut).
    pub fn parse(data: &[u8]) -> Option<Self> {
        let h = data.first_chunk::<4>()?;
        if h[0] != 0xFF || h[1] & 0xFE != 0xF8 || h[3] & 1 != 0 {
            return None;
        }
        let mut at = 4;
        let mut next = |count: usize| {
            let value = data.get(at..at + count)?.iter().fold(0_u32, |v, b| v << 8 | u32::from(*b));
            at += count;
            Some(value)
        };
        // A number coded like UTF-8, up to 36 bits.
        let first = next(1)? as u8;
        let length = first.leading_ones();
        let mut number = u64::from(first) & (0x7F_u64 >> length);
        if length == 1 || length == 8 {
            return None;
        }
        for _ in 1..length {
            let more = next(1)?;
            if more & 0xC0 != 0x80 {
                return None;
            }
            number = number << 6 | u64::from(more & 0x3F);
        }
        let block = match h[2] >> 4 {
            0 => return None,
            1 => 192,
            n @ 2..=5 => 576 << (n - 2),
            6 => next(1)? + 1,
            7 => next(2)? + 1,
            n => 256 << (n - 8),
        };
        let rate_hz = match h[2] & 15 {
            0 => None,
            n @ 1..=11 => {
                const RATES: [u32; 11] =
                    [88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];
                Some(RATES[usize::from(n) - 1])
            }
            12 => Some(next(1)? * 1000),
            13 => Some(next(2)?),
            14 => Some(next(2)? * 10),
            _ => return None,
        };
        let (channels, stereo) = match h[3] >> 4 {
            n @ 0..=7 => (usize::from(n) + 1, 0),
            n @ 8..=10 => (2, n - 7),
            _ => return None,
        };
        let bits = match h[3] >> 1 & 7 {
            0 => None,
            3 => return None,
            n => Some([0, 8, 12, 0, 16, 20, 24, 32][usize::from(n)]),
        };
        let crc = next(1)? as u8;
        (crc8(&data[..at - 1]) == crc && block > 0).then_some(Self {
            bytes: at,
            block,
            rate_hz,
            channels,
            stereo,
            bits,
            number,
            variable: h[1] & 1 != 0,
        })
    }

    /// Position of the first sample, when frames of a fixed size have `fixed_block` samples.
    pub fn position(&self, fixed_block: u32) -> u64 {
        if self.variable { self.number } else { self.number.saturating_mul(u64::from(fixed_block)) }
    }
}

/// Why a frame was not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// The bytes end inside the frame.
    Cut,
    /// No frame header here.
    NoHeader,
    /// Something in it is not allowed.
    Invalid(&'static str),
    /// The checksum at the end does not match.
    Checksum,
}

impl FrameError {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Cut => "frame is cut off",
            Self::NoHeader => "no frame header where one should be",
            Self::Invalid(what) => what,
            Self::Checksum => "frame checksum does not match",
        }
    }
}

/// A decoded frame's place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decoded {
    pub header: FrameHeader,
    /// Length of the frame in bytes.
    pub bytes: usize,
    /// Bits per sample of this frame.
    pub bits: u32,
}

/// Decodes frames one by one.
pub(crate) struct FrameDecoder {
    /// Samples of each channel, native width, before the channels are put together.
    planes: Vec<Vec<i32>>,
    /// A side channel of 33 bits.
    wide: Vec<i64>,
    last: Option<Decoded>,
}

impl FrameDecoder {
    /// A decoder without memory: frames are independent.
    pub fn new() -> Self {
        Self { planes: Vec::new(), wide: Vec::new(), last: None }
    }

    /// Decodes the frame at the start of `data`, which may go on after it. `default_bits` are those of STREAMINFO. The
    /// samples are then given by [`FrameDecoder::ints`] or [`FrameDecoder::floats`].
    pub fn decode(&mut self, data: &[u8], default_bits: u32) -> Result<Decoded, FrameError> {
        self.last = None;
        let header = FrameHeader::parse(data).ok_or(FrameError::NoHeader)?;
        let bits = header.bits.unwrap_or(default_bits);
        let block = header.block as usize;
        if self.planes.len() < header.channels {
            self.planes.resize(header.channels, Vec::new());
        }
        self.wide.clear();
        let mut reader = Bits::new(&data[header.bytes..]);
        for (channel, plane) in self.planes.iter_mut().enumerate().take(header.channels) {
            let side = matches!((header.stereo, channel), (1 | 3, 1) | (2, 0));
            plane.resize(block, 0);
            let depth = bits + u32::from(side);
            if depth > 32 {
                subframe_33(&mut reader, plane, &mut self.wide)?;
            } else {
                subframe(&mut reader, plane, depth)?;
            }
            if reader.overrun() {
                return Err(FrameError::Cut);
            }
        }
        reader.align();
        let end = header.bytes + reader.position() / 8;
        let Some(crc) = data.get(end..end + 2) else { return Err(FrameError::Cut) };
        if crc16(&data[..end]).to_be_bytes() != crc {
            return Err(FrameError::Checksum);
        }
        let decoded = Decoded { header, bytes: end + 2, bits };
        self.last = Some(decoded);
        Ok(decoded)
    }

    /// The frame's samples, left-justified. Channels that the frame lacks are silent.
    pub fn ints(&mut self, out: &mut IntBuffer) {
        let Some(last) = self.last else { return };
        let block = last.header.block as usize;
        let shift = 32 - last.bits;
        out.set_frames(block);
        if let (1..=3, Some((left, right))) = (last.header.stereo, out.stereo_mut()) {
            self.stereo(last.header.stereo, left, right, |x| x << shift);
            out.channels_mut().skip(2).for_each(|c| c.fill(0));
            return;
        }
        for (index, to) in out.channels_mut().enumerate() {
            match self.planes.get(index).filter(|_| index < last.header.channels) {
                Some(plane) => to.iter_mut().zip(plane).for_each(|(t, f)| *t = f << shift),
                None => to.fill(0),
            }
        }
    }

    /// The frame's samples, +/-1.0 full scale, rounded from more than 24 bits.
    pub fn floats(&mut self, out: &mut Buffer) {
        let Some(last) = self.last else { return };
        let block = last.header.block as usize;
        let scale = 1.0 / (1_u64 << (last.bits - 1)) as f32;
        out.set_frames(block);
        if let (1..=3, Some((left, right))) = (last.header.stereo, out.stereo_mut()) {
            self.stereo(last.header.stereo, left, right, |x| x as f32 * scale);
            out.channels_mut().skip(2).for_each(|c| c.fill(0.0));
            return;
        }
        for (index, to) in out.channels_mut().enumerate() {
            match self.planes.get(index).filter(|_| index < last.header.channels) {
                Some(plane) => to.iter_mut().zip(plane).for_each(|(t, f)| *t = *f as f32 * scale),
                None => to.fill(0.0),
            }
        }
    }

    /// Undoes the stereo decorrelation (RFC 9639, 4.2) of one frame.
    fn stereo<T>(&self, mode: u8, left: &mut [T], right: &mut [T], convert: impl Fn(i32) -> T + Copy) {
        let (Some(a), Some(b)) = (self.planes.first(), self.planes.get(1)) else { return };
        if !self.wide.is_empty() {
            for (i, side) in self.wide.iter().enumerate().take(left.len().min(right.len())) {
                let (l, r) = match mode {
                    1 => (i64::from(a[i]), i64::from(a[i]).wrapping_sub(*side)),
                    2 => (i64::from(b[i]).wrapping_add(*side), i64::from(b[i])),
                    _ => {
                        let r = i64::from(a[i]).wrapping_sub(side >> 1);
                        (r.wrapping_add(*side), r)
                    }
                };
                left[i] = convert(l as i32);
                right[i] = convert(r as i32);
            }
            return;
        }
        let planes = a.iter().zip(b);
        let outs = left.iter_mut().zip(right);
        match mode {
            1 => outs.zip(planes).for_each(|((l, r), (a, b))| {
                *l = convert(*a);
                *r = convert(a.wrapping_sub(*b));
            }),
            2 => outs.zip(planes).for_each(|((l, r), (a, b))| {
                *l = convert(a.wrapping_add(*b));
                *r = convert(*b);
            }),
            // mid = (l + r) >> 1, side = l - r, hence r = mid - (side >> 1) without the lost bit.
            _ => outs.zip(planes).for_each(|((l, r), (mid, side))| {
                let value = mid.wrapping_sub(side >> 1);
                *l = convert(value.wrapping_add(*side));
                *r = convert(value);
            }),
        }
    }
}

/// Kind of a subframe and its wasted bits.
fn subframe_header(reader: &mut Bits<'_>, depth: u32) -> Result<(u32, u32), FrameError> {
    if reader.take(1) != 0 {
        return Err(FrameError::Invalid("subframe starts with a one bit"));
    }
    let kind = reader.take(6);
    let wasted = if reader.take(1) == 1 { reader.unary().saturating_add(1) } else { 0 };
    if wasted >= depth {
        return Err(FrameError::Invalid("all bits of a subframe are wasted"));
    }
    Ok((kind, wasted))
}

fn subframe(reader: &mut Bits<'_>, samples: &mut [i32], depth: u32) -> Result<(), FrameError> {
    let (kind, wasted) = subframe_header(reader, depth)?;
    let depth = depth - wasted;
    match kind {
        0 => samples.fill(reader.take_signed(depth)),
        1 => samples.iter_mut().for_each(|s| *s = reader.take_signed(depth)),
        8..=12 => {
            let order = (kind - 8) as usize;
            warm_up(reader, samples, order, depth)?;
            residual(reader, samples, order)?;
            predict::fixed(samples, order);
        }
        32..=63 => {
            let order = (kind - 31) as usize;
            warm_up(reader, samples, order, depth)?;
            let (coefficients, precision, shift) = linear_header(reader, order)?;
            residual(reader, samples, order)?;
            // |sum of products| <= order * 2^(depth + precision - 2)
            let narrow = depth + precision + order.next_power_of_two().ilog2() <= 32;
            predict::linear(samples, &coefficients[..order], shift, narrow);
        }
        _ => return Err(FrameError::Invalid("reserved subframe type")),
    }
    if wasted > 0 {
        samples.iter_mut().for_each(|s| *s <<= wasted);
    }
    Ok(())
}

/// The side channel of 32-bit stereo. `residuals` is scratch of the block's size.
fn subframe_33(reader: &mut Bits<'_>, residuals: &mut [i32], out: &mut Vec<i64>) -> Result<(), FrameError> {
    let (kind, wasted) = subframe_header(reader, 33)?;
    let depth = 33 - wasted;
    let block = residuals.len();
    match kind {
        0 => {
            let value = reader.take_signed_wide(depth);
            out.resize(block, value);
        }
        1 => out.extend((0..block).map(|_| reader.take_signed_wide(depth))),
        8..=12 | 32..=63 => {
            let order = if kind < 32 { kind - 8 } else { kind - 31 } as usize;
            if order > block {
                return Err(FrameError::Invalid("predictor longer than the block"));
            }
            out.extend((0..order).map(|_| reader.take_signed_wide(depth)));
            const FIXED: [&[i64]; 5] = [&[], &[1], &[2, -1], &[3, -3, 1], &[4, -6, 4, -1]];
            let (coefficients, shift) = if kind < 32 {
                (FIXED[order].to_vec(), 0)
            } else {
                let (c, _, shift) = linear_header(reader, order)?;
                (c[..order].iter().map(|c| i64::from(*c)).collect(), shift)
            };
            residual(reader, residuals, order)?;
            predict::linear_33(out, &residuals[order..], &coefficients, shift);
        }
        _ => return Err(FrameError::Invalid("reserved subframe type")),
    }
    if wasted > 0 {
        out.iter_mut().for_each(|s| *s <<= wasted);
    }
    Ok(())
}

fn warm_up(reader: &mut Bits<'_>, samples: &mut [i32], order: usize, depth: u32) -> Result<(), FrameError> {
    let Some(first) = samples.get_mut(..order) else {
        return Err(FrameError::Invalid("predictor longer than the block"));
    };
    first.iter_mut().for_each(|s| *s = reader.take_signed(depth));
    Ok(())
}

/// Coefficients, their precision in bits, and the shift.
fn linear_header(reader: &mut Bits<'_>, order: usize) -> Result<([i32; 32], u32, u32), FrameError> {
    let precision = reader.take(4) + 1;
    let shift = reader.take_signed(5);
    if precision == 16 || shift < 0 {
        return Err(FrameError::Invalid("reserved predictor precision or shift"));
    }
    let mut coefficients = [0; 32];
    coefficients.iter_mut().take(order).for_each(|c| *c = reader.take_signed(precision));
    Ok((coefficients, precision, shift as u32))
}

/// Residuals after the first `order` samples (RFC 9639, 9.2.7).
fn residual(reader: &mut Bits<'_>, samples: &mut [i32], order: usize) -> Result<(), FrameError> {
    let method = reader.take(2);
    if method > 1 {
        return Err(FrameError::Invalid("reserved residual coding"));
    }
    let parameter_bits = 4 + method;
    let escape = (1 << parameter_bits) - 1;
    let partition_order = reader.take(4);
    let partition = samples.len() >> partition_order;
    if partition << partition_order != samples.len() || partition < order {
        return Err(FrameError::Invalid("block cannot be cut into its partitions"));
    }
    let mut at = order;
    for index in 1..=1_usize << partition_order {
        let end = index * partition;
        let part = &mut samples[at..end];
        let parameter = reader.take(parameter_bits);
        if parameter == escape {
            let width = reader.take(5);
            part.iter_mut().for_each(|s| *s = reader.take_signed(width));
        } else {
            reader.rice(parameter, part);
        }
        if reader.overrun() {
            return Err(FrameError::Cut);
        }
        at = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_with_every_form_of_number_and_size() {
        // Frame number 0x1234 in three bytes, block 4096, rate 44.1 kHz, stereo mid/side, 16 bits.
        let mut h = vec![0xFF, 0xF8, 0xC9, 0xA8, 0xE1, 0x88, 0xB4];
        h.push(crc8(&h));
        let header = FrameHeader::parse(&h).unwrap();
        assert_eq!((header.number, header.block, header.rate_hz), (0x1234, 4096, Some(44_100)));
        assert_eq!((header.channels, header.stereo, header.bits, header.bytes), (2, 3, Some(16), 8));
        assert_eq!(header.position(4096), 0x1234 * 4096);
        // One wrong bit, and each way of being cut.
        for n in 0..h.len() {
            assert_eq!(FrameHeader::parse(&h[..n]), None);
            let mut wrong = h.clone();
            wrong[n] ^= 4;
            assert_eq!(FrameHeader::parse(&wrong), None);
        }
        // Block size and rate after the number: 1234 samples, 12345 Hz, as in the file.
        let mut h = vec![0xFF, 0xF9, 0x7D, 0x10, 0x05, 0x04, 0xD1, 0x30, 0x39];
        h.push(crc8(&h));
        let header = FrameHeader::parse(&h).unwrap();
        assert_eq!((header.block, header.rate_hz, header.bits, header.variable), (1234, Some(12_345), None, true));
        assert_eq!(header.position(4096), 5);
    }

    #[test]
    fn a_frame_by_hand() {
        // RFC 9639, appendix D.1: one block of one stereo sample, verbatim.
        let frame = [0xFF, 0xF8, 0x69, 0x18, 0x00, 0x00, 0xBF, 0x03, 0x58, 0xFD, 0x03, 0x12, 0x8B, 0xAA, 0x9A];
        let mut decoder = FrameDecoder::new();
        let decoded = decoder.decode(&frame, 16).unwrap();
        let mut out = IntBuffer::new(Spec::new(44_100, ChannelLayout::STEREO), 1);
        decoder.ints(&mut out);
        assert_eq!((decoded.bytes, decoded.header.block), (15, 1));
        assert_eq!((out.channel(0)[0] >> 16, out.channel(1)[0] >> 16), (25588, 10416));
        assert_eq!(decoder.decode(&frame[..14], 16).unwrap_err(), FrameError::Cut);
        let mut wrong = frame;
        wrong[9] ^= 1;
        assert_eq!(decoder.decode(&wrong, 16).unwrap_err(), FrameError::Checksum);
    }
}
