//! From floats to integers of fewer bits: rounding, dither, noise shaping, and the count of what was clipped.
//!
//! Dither starts with the first frame that does not lie on the grid of the target (in any channel) and then stays on for
//! all channels, digital silence included, as usual practice has it: noise that comes and goes with the signal would be
//! audible. Until then samples pass unchanged, so that an untouched 16-bit recording stays bit-exact at 16 bits. The noise
//! of a channel depends on nothing but the channel's index and the number of frames since the start: not on block sizes.
//!
//! Sources: S. P. Lipshitz, R. A. Wannamaker, J. Vanderkooy, "Quantization and Dither: A Theoretical Survey", JAES 40 (1992)
//! (triangular noise of 2 LSB makes the first two moments of the error independent of the signal); the same with
//! "Minimally Audible Noise Shaping", JAES 39 (1991), table of 5-tap filters for 44.1 kHz.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audio::Buffer;

/// Noise that is added before bits are dropped, so that the error is noise instead of distortion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dither {
    /// None: only when no bits are dropped, or on request.
    None,
    /// Triangular, 2 LSB peak to peak, white.
    #[default]
    Tpdf,
    /// Triangular with the error moved to where the ear is least sensitive.
    Shaped,
}

/// Lipshitz, Vanderkooy, Wannamaker 1991: modified E-weighted, 44.1 kHz; good at 48 kHz too.
const SHAPE_44K: [f64; 5] = [2.033, -2.165, 1.959, -1.590, 0.6149];
/// A zero at DC, for rates where no weighted filter is established.
const SHAPE_HIGH_PASS: [f64; 5] = [1.0, 0.0, 0.0, 0.0, 0.0];

/// More bits than a float's mantissa holds: plain rounding there, the error lies below the float's own.
const MAX_DITHERED_BITS: u8 = 24;

/// One channel's noise generator and error history.
#[derive(Debug, Clone)]
struct Lane {
    state: u64,
    /// Last quantisation errors in LSB, newest first.
    errors: [f64; 5],
}

/// Rounds planar floats to integers of `bits` bits, right-justified.
#[derive(Debug, Clone)]
pub struct Quantizer {
    bits: u8,
    dither: Dither,
    shape: [f64; 5],
    lanes: Vec<Lane>,
    /// True from the first frame off the grid on.
    active: bool,
    clipped: u64,
}

impl Quantizer {
    /// For `channels` channels at `rate_hz`, to integers of 2 to 32 `bits`.
    pub fn new(bits: u8, dither: Dither, channels: usize, rate_hz: u32) -> Self {
        let bits = bits.clamp(2, 32);
        let lanes = (0..channels as u64).map(Lane::new).collect();
        Self {
            bits,
            dither: if bits > MAX_DITHERED_BITS { Dither::None } else { dither },
            shape: if (44_100..=48_000).contains(&rate_hz) { SHAPE_44K } else { SHAPE_HIGH_PASS },
            lanes,
            active: false,
            clipped: 0,
        }
    }

    /// As new: the noise begins again. Real-time safe.
    pub fn reset(&mut self) {
        for (channel, lane) in self.lanes.iter_mut().enumerate() {
            *lane = Lane::new(channel as u64);
        }
        (self.active, self.clipped) = (false, 0);
    }

    /// Samples beyond +/-1.0 that were clipped so far.
    pub fn clipped(&self) -> u64 {
        self.clipped
    }

    /// The dither that was applied: [`Dither::None`] while every sample lay on the grid.
    pub fn applied(&self) -> Dither {
        if self.active { self.dither } else { Dither::None }
    }

    /// Appends the samples of each channel of `block` to the vector of that channel in `out`. NaN becomes 0. Allocates
    /// when the vectors grow.
    pub fn quantize(&mut self, block: &Buffer, out: &mut [Vec<i32>]) {
        let plain = if self.active || self.dither == Dither::None { 0 } else { self.frames_on_grid(block) };
        let plain = if self.dither == Dither::None { block.frames() } else { plain };
        if plain < block.frames() {
            self.active = true;
        }
        let scale = (1_u64 << (self.bits - 1)) as f64;
        for ((channel, lane), to) in block.channels().zip(&mut self.lanes).zip(out) {
            to.reserve(channel.len());
            let (on_grid, rest) = channel.split_at(plain);
            let mut clipped = 0;
            let max = scale - 1.0;
            to.extend(on_grid.iter().map(|s| {
                clipped += u64::from(s.abs() > 1.0);
                round(f64::from(*s) * scale).clamp(-scale, max) as i32
            }));
            match self.dither {
                Dither::Shaped => to.extend(rest.iter().map(|s| {
                    clipped += u64::from(s.abs() > 1.0);
                    lane.shaped(f64::from(*s) * scale, scale, &self.shape)
                })),
                _ => to.extend(rest.iter().map(|s| {
                    clipped += u64::from(s.abs() > 1.0);
                    round(f64::from(*s) * scale + lane.noise()).clamp(-scale, max) as i32
                })),
            }
            self.clipped += clipped;
        }
    }

    /// Number of frames before the first one with a sample between two steps of the target.
    fn frames_on_grid(&self, block: &Buffer) -> usize {
        let scale = (1_u64 << (self.bits - 1)) as f32;
        block
            .channels()
            .map(|c| {
                // Scaling by a power of two is exact. From 2^23 on a float is an integer; NaN counts as silence.
                let off = |s: &f32| {
                    let v = *s * scale;
                    v.abs() < 8_388_608.0 && v as i32 as f32 != v
                };
                // A first look per run of 64 keeps the test cheap on the usual path.
                let run = c.chunks(64).position(|run| run.iter().fold(false, |any, s| any | off(s)));
                run.map_or(c.len(), |r| {
                    let start = r * 64;
                    start + c[start..].iter().position(off).unwrap_or(0)
                })
            })
            .min()
            .unwrap_or(0)
    }
}

/// To the nearest integer, ties to even. Adding 1.5 * 2^52 leaves no fraction bits; far faster than `f64::round` where
/// the processor's rounding instruction cannot be assumed. |x| must stay below 2^51. NaN stays NaN (and becomes 0 as i32).
fn round(x: f64) -> f64 {
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    // Infinities and huge values would lose the trick; they are clipped afterwards anyway.
    let x = x.clamp(-1.0e12, 1.0e12);
    (x + MAGIC) - MAGIC
}

impl Lane {
    fn new(channel: u64) -> Self {
        // Any odd multiplier spreads the seeds; the golden ratio's is the usual one.
        Self { state: (channel + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15), errors: [0.0; 5] }
    }

    /// Triangular noise in LSB, -1 to 1.
    fn noise(&mut self) -> f64 {
        // Knuth's MMIX constants; the high half of the state is the random number.
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = (self.state >> 32) as u32;
        // Two uniform numbers of 16 bits each: their sum is triangular, with steps of 2^-16 LSB.
        let sum = (random >> 16) + (random & 0xFFFF);
        (f64::from(sum) - 65_535.0) * (1.0 / 65_536.0)
    }

    fn shaped(&mut self, x: f64, scale: f64, shape: &[f64; 5]) -> i32 {
        let x = if x.is_nan() { 0.0 } else { x.clamp(-1.0e12, 1.0e12) };
        let feedback: f64 = self.errors.iter().zip(shape).map(|(e, c)| e * c).sum();
        let wanted = x - feedback;
        let y = round(wanted + self.noise()).clamp(-scale, scale - 1.0);
        self.errors.copy_within(0..4, 1);
        // Bounded, so that clipping does not leave a long tail in the feedback.
        self.errors[0] = (y - wanted).clamp(-2.0, 2.0);
        y as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{ChannelLayout, Spec};

    fn buffer(channels: &[Vec<f32>]) -> Buffer {
        Buffer::from_channels(Spec::new(44_100, ChannelLayout::from_count(channels.len())), channels)
    }

    fn run(q: &mut Quantizer, b: &Buffer) -> Vec<Vec<i32>> {
        let mut out = vec![Vec::new(); b.channel_count()];
        q.quantize(b, &mut out);
        out
    }

    #[test]
    fn samples_on_the_grid_pass_unchanged_at_every_depth() {
        for bits in [8_u8, 16, 20, 24] {
            let max = (1_i64 << (bits - 1)) as f32;
            let ints: Vec<i32> = (-50..50).map(|i| i * 7).chain([-(max as i32), max as i32 - 1]).collect();
            let ints: Vec<i32> = ints.into_iter().map(|i| i.clamp(-(max as i32), max as i32 - 1)).collect();
            let floats = ints.iter().map(|i| *i as f32 / max).collect();
            let mut q = Quantizer::new(bits, Dither::Tpdf, 1, 44_100);
            assert_eq!(run(&mut q, &buffer(&[floats])), [ints]);
            assert_eq!((q.applied(), q.clipped()), (Dither::None, 0), "{bits} bits");
        }
    }

    #[test]
    fn noise_is_triangular_and_error_is_independent_of_the_signal() {
        // Total error of non-subtractive TPDF dither: variance 1/4 LSB^2 (1/12 + 2/12), mean 0, for any constant input.
        for level in [0.001_f32, 0.25, 0.4999, 0.77] {
            let n = 200_000;
            let x = level / 32_768.0;
            let mut q = Quantizer::new(16, Dither::Tpdf, 1, 44_100);
            let out = run(&mut q, &buffer(&[vec![x; n]]));
            let errors: Vec<f64> = out[0].iter().map(|y| f64::from(*y) - f64::from(x) * 32_768.0).collect();
            let mean = errors.iter().sum::<f64>() / n as f64;
            let variance = errors.iter().map(|e| e * e).sum::<f64>() / n as f64;
            // Standard error of the mean: 0.5 / sqrt(n) = 0.0011; five of them. The variance's is about as large.
            assert!(mean.abs() < 0.006, "level {level}: mean {mean}");
            assert!((variance - 0.25).abs() < 0.006, "level {level}: variance {variance}");
        }
    }

    #[test]
    fn any_block_size_gives_the_same_samples() {
        let make =
            |c: usize| (0..5000).map(|i| if i < 1234 { 0.0 } else { ((i * (c + 3)) as f32 * 0.01).sin() }).collect();
        let whole = buffer(&[make(0), make(1)]);
        for dither in [Dither::Tpdf, Dither::Shaped, Dither::None] {
            let expected = run(&mut Quantizer::new(16, dither, 2, 44_100), &whole);
            for size in [1, 7, 64, 1000, 4999] {
                let mut q = Quantizer::new(16, dither, 2, 44_100);
                let mut out = vec![Vec::new(); 2];
                let mut part = Buffer::new(whole.spec(), size);
                let mut at = 0;
                while at < whole.frames() {
                    let n = size.min(whole.frames() - at);
                    part.copy_from(&whole, at, n);
                    q.quantize(&part, &mut out);
                    at += n;
                }
                assert_eq!(out, expected, "{dither:?}, blocks of {size}");
            }
        }
    }

    #[test]
    fn shaping_moves_the_error_out_of_the_band_where_the_ear_is_keen() {
        // Energy of the error between 2 and 5 kHz against white TPDF: at least 10 dB lower (the 5-tap filter's curve
        // lies 12 to 20 dB down there).
        let n = 8192;
        let signal: Vec<f32> = (0..n).map(|i| 0.3 * (i as f32 * 0.05).sin()).collect();
        let band_energy = |dither| {
            let out = run(&mut Quantizer::new(16, dither, 1, 44_100), &buffer(std::slice::from_ref(&signal)));
            let errors: Vec<f64> =
                out[0].iter().zip(&signal).map(|(y, x)| f64::from(*y) - f64::from(*x) * 32_768.0).collect();
            let mut energy = 0.0;
            for bin in (372..929).step_by(16) {
                let w = std::f64::consts::TAU * f64::from(bin) / f64::from(n);
                let (mut re, mut im) = (0.0, 0.0);
                for (i, e) in errors.iter().enumerate() {
                    re += e * (w * i as f64).cos();
                    im += e * (w * i as f64).sin();
                }
                energy += re * re + im * im;
            }
            energy
        };
        let gain_db = 10.0 * (band_energy(Dither::Shaped) / band_energy(Dither::Tpdf)).log10();
        assert!(gain_db < -10.0, "{gain_db:.1} dB");
    }

    #[test]
    fn hostile_samples_are_clipped_and_counted() {
        let mut q = Quantizer::new(16, Dither::Shaped, 1, 48_000);
        let out = run(&mut q, &buffer(&[vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -2.0, 1.0, -1.0]]));
        assert!(out[0].iter().all(|s| (-32_768..=32_767).contains(s)));
        assert_eq!(out[0][1..4], [32_767, -32_768, 32_767]);
        assert_eq!(q.clipped(), 4);
    }
}
