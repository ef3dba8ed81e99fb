//! Free format MPEG audio (bit rate index 0) made digestible for a decoder that knows the tabulated bit rates only.
//!
//! Layers I and II: the frame gets a tabulated bit rate that is at least as large and, for layer II, selects the same
//! allocation table; the surplus is ancillary data. Layer III: its main data may start in earlier frames, so the bytes
//! that a frame refers to are collected here and the frame is written anew with `main_data_begin` 0.

use super::bytes::Bits;
use super::mpeg_header::MpegHeader;

/// Largest `main_data_begin` of layer III, in bytes.
const RESERVOIR_BYTES: usize = 511;

/// The main data that later frames may refer to.
#[derive(Default)]
pub(super) struct FreeFormat {
    reservoir: Vec<u8>,
}

impl FreeFormat {
    /// Writes into `out` a frame with a tabulated bit rate that decodes to the same samples as `data`.
    pub fn normalise(&mut self, h: &MpegHeader, data: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        if h.layer == 3 {
            return self.normalise_layer3(h, data, out);
        }
        let kbps_real = data.len() as f64 * 8.0 * f64::from(h.rate_hz) / h.samples() as f64 / 1000.0;
        let per_channel = kbps_real / h.channels as f64;
        // ISO/IEC 11172-3 table 3-B.2 is chosen by the bit rate per channel, with steps at 48 and 80 kbit/s.
        let class = |kbps: f64| {
            if kbps < 52.0 {
                0
            } else if kbps < 88.0 {
                1
            } else {
                2
            }
        };
        let usable = |k: u16| {
            let same_table =
                h.layer == 1 || h.version > 0 || class(f64::from(k) / h.channels as f64) == class(per_channel);
            is_legal(h, k) && same_table
        };
        let candidates = || h.rates().filter(|(_, k)| usable(*k));
        // Where none is large enough, the largest: its end may be ancillary data only, else the decoder will say so.
        let fitting = candidates().find(|(_, k)| with_rate(h, *k, 0).bytes(0) >= data.len());
        let (index, _) = fitting.or_else(|| candidates().last()).ok_or("bit rate beyond the tables")?;
        write_frame(h, index, data.get(4..).unwrap_or(&[]), out)
    }

    fn normalise_layer3(&mut self, h: &MpegHeader, data: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let side_at = MpegHeader::BYTES + if h.crc { 2 } else { 0 };
        let main_at = side_at + h.side_info_bytes();
        let side = data.get(side_at..main_at).ok_or("frame without side information")?;
        let begin_bits = if h.version == 0 { 9 } else { 8 };
        let mut bits = Bits::new(side);
        let begin = bits.get(begin_bits) as usize;
        let private = match (h.version, h.channels) {
            (0, 1) => 5,
            (0, _) => 3,
            (_, 1) => 1,
            _ => 2,
        };
        let scfsi = if h.version == 0 { 4 * h.channels } else { 0 };
        bits.skip(private + scfsi);
        // One granule and channel is 59 bits long in MPEG-1, 63 in MPEG-2; part2_3_length comes first.
        let (granules, rest) = if h.version == 0 { (2, 59 - 12) } else { (1, 63 - 12) };
        let mut need_bits = 0;
        for _ in 0..granules * h.channels {
            need_bits += bits.get(12) as usize;
            bits.skip(rest);
        }
        let need = need_bits.div_ceil(8);
        let have_before = self.reservoir.len();
        let available = begin <= have_before;
        let mut main = Vec::with_capacity(begin + data.len());
        if available {
            main.extend_from_slice(&self.reservoir[have_before - begin..]);
        }
        main.extend_from_slice(&data[main_at..]);
        self.reservoir.extend_from_slice(&data[main_at..]);
        let surplus = self.reservoir.len().saturating_sub(RESERVOIR_BYTES);
        self.reservoir.drain(..surplus);
        if !available {
            return Err("main data of an earlier frame is missing".into());
        }
        main.truncate(need);

        let mut payload = side.to_vec();
        // main_data_begin = 0, keeping what follows it in its last byte.
        payload[0] = 0;
        if begin_bits == 9 {
            payload[1] &= 0x7F;
        }
        payload.extend_from_slice(&main);
        let total = MpegHeader::BYTES + payload.len();
        let fits = |(_, k): &(u32, u16)| with_rate(h, *k, 0).bytes(0) >= total;
        let (index, _) = h.rates().find(fits).ok_or("free format frame larger than the largest bit rate allows")?;
        let plain = MpegHeader { crc: false, word: h.word | 1 << 16, ..*h };
        write_frame(&plain, index, &payload, out)
    }
}

/// False for combinations of bit rate and mode that ISO/IEC 11172-3 2.4.2.3 excludes in layer II, which the decoder
/// refuses but which some encoders wrote.
pub(super) fn is_legal(h: &MpegHeader, kbps: u16) -> bool {
    match (h.layer, h.channels) {
        (2, 1) => !matches!(kbps, 224 | 256 | 320 | 384),
        (2, _) => !matches!(kbps, 32 | 48 | 56 | 80),
        _ => true,
    }
}

fn with_rate(h: &MpegHeader, kbps: u16, padding: u32) -> MpegHeader {
    MpegHeader { kbps, padding: padding != 0, ..*h }
}

/// Header with bit rate `index` and no padding, `payload`, and zeros up to the frame's length.
fn write_frame(h: &MpegHeader, index: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let word = h.word & !(0xF << 12) & !(1 << 9) | index << 12;
    out.clear();
    out.extend_from_slice(&word.to_be_bytes());
    out.extend_from_slice(payload);
    let header = MpegHeader::parse(out).ok_or("free format header")?;
    out.resize(header.bytes(0), 0);
    Ok(())
}
