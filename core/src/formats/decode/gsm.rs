//! GSM 06.10 full-rate speech as in WAVE (format tag 0x31): blocks of 65 bytes with two frames of 160 samples.
//!
//! Source: ETSI EN 300 961 (GSM 06.10) 8.1.1: clauses 5.3.1 to 5.3.7 for the decoder, 5.1 for its 16-bit arithmetic, table
//! 5.x for the constants. Bit-exact, as the standard demands.

use super::blocks::BlockCodec;
use crate::audio::IntBuffer;

const BLOCK_BYTES: usize = 65;
const FRAME: usize = 160;
const SUBFRAME: usize = 40;
/// Longest lag of the long-term predictor.
const HISTORY: usize = 120;

/// B, MIC and INVA of the eight log-area ratios (table 5.1), and their widths in bits (table 1.1).
const RATIOS: [(i32, i32, i32, u32); 8] = [
    (0, -32, 13107, 6),
    (0, -32, 13107, 6),
    (2048, -16, 13107, 5),
    (-2560, -16, 13107, 5),
    (94, -8, 19223, 4),
    (-1792, -8, 17476, 4),
    (-341, -4, 31454, 3),
    (-1144, -4, 29708, 3),
];
/// QLB, long-term gains (table 5.3b).
const GAINS: [i32; 4] = [3277, 11469, 21299, 32767];
/// FAC, normalised direct mantissas (table 5.6).
const MANTISSAS: [i32; 8] = [18431, 20479, 22527, 24575, 26623, 28671, 30719, 32767];

fn saturate(x: i32) -> i32 {
    x.clamp(-32768, 32767)
}

/// `mult_r` of clause 5.1: rounded product of two Q15 numbers.
fn mult_r(a: i32, b: i32) -> i32 {
    saturate((a * b + 16384) >> 15)
}

/// Decoder state.
#[derive(Debug, Clone)]
pub(crate) struct GsmMs {
    /// Reconstructed short-term residual: history, then the subframe.
    residual: [i32; HISTORY + SUBFRAME],
    lag: usize,
    previous_ratios: [i32; 8],
    lattice: [i32; 9],
    deemphasis: i32,
}

impl Default for GsmMs {
    fn default() -> Self {
        Self { residual: [0; HISTORY + SUBFRAME], lag: 40, previous_ratios: [0; 8], lattice: [0; 9], deemphasis: 0 }
    }
}

/// Reads fields, least significant bit first.
struct Fields<'a> {
    bytes: &'a [u8],
    bit: usize,
}

impl Fields<'_> {
    fn take(&mut self, bits: u32) -> i32 {
        (0..bits).fold(0, |value, i| {
            let byte = self.bytes.get(self.bit / 8).copied().unwrap_or(0);
            let bit = byte >> (self.bit % 8) & 1;
            self.bit += 1;
            value | i32::from(bit) << i
        })
    }
}

impl GsmMs {
    fn frame(&mut self, fields: &mut Fields<'_>) -> [i32; FRAME] {
        let ratios = RATIOS.map(|(b, mic, inva, bits)| {
            let coded = saturate((fields.take(bits) + mic) << 10);
            let t = mult_r(inva, saturate(coded - (b << 1)));
            saturate(t + t)
        });
        let mut out = [0; FRAME];
        for sub in out.chunks_exact_mut(SUBFRAME) {
            self.excite(fields);
            sub.copy_from_slice(&self.residual[HISTORY..]);
            self.residual.copy_within(SUBFRAME.., 0);
        }
        self.synthesise(&ratios, &mut out);
        for s in &mut out {
            self.deemphasis = saturate(*s + mult_r(self.deemphasis, 28180));
            *s = saturate(self.deemphasis * 2) & !7;
        }
        out
    }

    /// Clauses 5.3.1 to 5.3.3: RPE decoding and long-term synthesis of one subframe.
    fn excite(&mut self, fields: &mut Fields<'_>) {
        let lag = fields.take(7) as usize;
        let gain = GAINS[fields.take(2) as usize];
        let grid = fields.take(2) as usize;
        let maximum = fields.take(6);
        let (mut exponent, mut mantissa) = (if maximum > 15 { (maximum >> 3) - 1 } else { 0 }, 0);
        mantissa += maximum - (exponent << 3);
        if mantissa == 0 {
            (exponent, mantissa) = (-4, 7);
        } else {
            while mantissa <= 7 {
                mantissa = mantissa << 1 | 1;
                exponent -= 1;
            }
            mantissa -= 8;
        }
        let mut pulses = [0; SUBFRAME];
        let shift = 6 - exponent;
        for i in 0..13 {
            let coded = ((fields.take(3) << 1) - 7) << 12;
            let value = saturate(mult_r(MANTISSAS[mantissa as usize & 7], coded) + (1 << shift >> 1));
            if let Some(pulse) = pulses.get_mut(grid + 3 * i) {
                *pulse = value >> shift;
            }
        }
        if (40..=HISTORY).contains(&lag) {
            self.lag = lag;
        }
        for (k, pulse) in pulses.into_iter().enumerate() {
            let at = HISTORY + k;
            self.residual[at] = saturate(pulse + mult_r(gain, self.residual[at - self.lag]));
        }
    }

    /// Clauses 5.3.4 to 5.3.6: interpolation of the ratios and the short-term lattice filter.
    fn synthesise(&mut self, ratios: &[i32; 8], samples: &mut [i32; FRAME]) {
        let old = self.previous_ratios;
        self.previous_ratios = *ratios;
        for (part, range) in [0..13, 13..27, 27..40, 40..FRAME].into_iter().enumerate() {
            let mut reflection = [0; 8];
            for ((r, new), old) in reflection.iter_mut().zip(ratios).zip(&old) {
                let ratio = match part {
                    0 => saturate(saturate((old >> 2) + (new >> 2)) + (old >> 1)),
                    1 => saturate((old >> 1) + (new >> 1)),
                    2 => saturate(saturate((old >> 2) + (new >> 2)) + (new >> 1)),
                    _ => *new,
                };
                let magnitude = saturate(ratio.abs());
                let value = match magnitude {
                    m if m < 11059 => m << 1,
                    m if m < 20070 => m + 11059,
                    m => saturate((m >> 2) + 26112),
                };
                *r = if ratio < 0 { -value } else { value };
            }
            for sample in &mut samples[range] {
                let mut s = *sample;
                for i in (0..8).rev() {
                    s = saturate(s - mult_r(reflection[i], self.lattice[i]));
                    self.lattice[i + 1] = saturate(self.lattice[i] + mult_r(reflection[i], s));
                }
                self.lattice[0] = s;
                *sample = s;
            }
        }
    }
}

impl BlockCodec for GsmMs {
    fn block_bytes(&self) -> usize {
        BLOCK_BYTES
    }

    fn block_frames(&self) -> usize {
        2 * FRAME
    }

    fn frames_in_part(&self, bytes: usize) -> usize {
        // The first frame ends in the middle of byte 33.
        if bytes >= 33 { FRAME } else { 0 }
    }

    fn decode_int(&mut self, bytes: &[u8], out: &mut IntBuffer) {
        let samples = out.channel_mut(0);
        for (block, two) in bytes.chunks(BLOCK_BYTES).zip(samples.chunks_mut(2 * FRAME)) {
            let mut fields = Fields { bytes: block, bit: 0 };
            for part in two.chunks_mut(FRAME) {
                for (to, from) in part.iter_mut().zip(self.frame(&mut fields)) {
                    *to = from << 16;
                }
            }
        }
    }

    fn preroll_blocks(&self) -> u64 {
        // The long-term predictor can hold on to its past for some time: 2 s at 8 kHz.
        50
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_from_the_lowest_bit() {
        let mut f = Fields { bytes: &[0b1110_0101, 0b1], bit: 0 };
        assert_eq!([f.take(3), f.take(5), f.take(1), f.take(4)], [5, 0b11100, 1, 0]);
    }

    #[test]
    fn silence_decays_to_silence_and_any_bytes_stay_in_range() {
        let mut gsm = GsmMs::default();
        let mut x = 1_u32;
        for _ in 0..200 {
            let bytes: Vec<u8> = (0..BLOCK_BYTES)
                .map(|_| {
                    x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (x >> 24) as u8
                })
                .collect();
            let mut fields = Fields { bytes: &bytes, bit: 0 };
            for _ in 0..2 {
                assert!(gsm.frame(&mut fields).iter().all(|s| (-32768..=32767).contains(s) && s % 8 == 0));
            }
        }
    }
}
