//! Interpolation at 16 points per sample, for limiters: slow, for the few places that need it.

use std::f64::consts::PI;

use fearless_simd::{Level, Simd, dispatch, f32x16, prelude::*};

use super::{LANES, bessel_i0, level};

/// Samples under the interpolator: the points from `n` to `n + 15/16` need samples `n - 127` to `n + 128`.
pub const FINE_TAPS: usize = 256;
const HALF: usize = FINE_TAPS / 2;
/// Samples under the short interpolator.
const SHORT_TAPS: usize = 20;
/// Sums that run side by side, so that an addition need not wait for the one before.
const SUMS: usize = 4;

/// The waveform between samples as steep and as gentle interpolators draw it.
///
/// Near half the rate there is no one true waveform: what a converter or resampler makes of it depends on its filter.
/// Two windowed sincs stand for the range: 256 taps, flat to 0.49 of the rate, and 20 taps under a Kaiser window of
/// shape 5, the default of common polyphase resamplers. The larger counts.
#[derive(Debug, Clone, PartialEq)]
pub struct FinePeak {
    /// `long[k][p]`: the coefficient of tap `k` for the point `p / 16` after the sample `HALF - 1` of the window.
    long: Vec<[f32; LANES]>,
    /// The same for the middle of the window.
    short: Vec<[f32; LANES]>,
    gain_bound: f32,
}

impl Default for FinePeak {
    fn default() -> Self {
        Self::new()
    }
}

impl FinePeak {
    /// Computes the coefficients. Allocates 18 kB.
    pub fn new() -> Self {
        let (long, long_bound) = rows(FINE_TAPS, 6.0);
        let (short, short_bound) = rows(SHORT_TAPS, 5.0);
        // f32 rounding of the sums: 256 * 6e-8.
        Self { long, short, gain_bound: (long_bound.max(short_bound) * 1.00002) as f32 }
    }

    /// No interpolated value exceeds this times the largest sample under the filter.
    pub fn gain_bound(&self) -> f32 {
        self.gain_bound
    }

    /// Raises `peaks[i]`, where it is at least `near[i]`, to the largest absolute value at the 16 points from
    /// `i + 127` to `i + 127 + 15/16` of `window`, which holds `peaks.len() + FINE_TAPS - 1` samples. Real-time safe.
    pub fn raise_near(&self, window: &[f32], near: &[f32], peaks: &mut [f32]) {
        self.raise_near_at(level(), window, near, peaks);
    }

    fn raise_near_at(&self, level: Level, window: &[f32], near: &[f32], peaks: &mut [f32]) {
        dispatch!(level, simd => raise_near_impl(simd, self, window, near, peaks));
    }
}

/// Coefficients of a windowed sinc for all 16 points, and the largest sum of their magnitudes for any point.
fn rows(taps: usize, beta: f64) -> (Vec<[f32; LANES]>, f64) {
    let half = (taps / 2) as f64;
    let mut rows = vec![[0.0; LANES]; taps];
    let mut bound = 1.0f64;
    for phase in 0..LANES {
        let values: Vec<f64> = (0..taps)
            .map(|k| {
                let t = k as f64 - (half - 1.0) - phase as f64 / LANES as f64;
                let sinc = if t == 0.0 { 1.0 } else { (PI * t).sin() / (PI * t) };
                sinc * bessel_i0(beta * (1.0 - (t / half).powi(2)).max(0.0).sqrt()) / bessel_i0(beta)
            })
            .collect();
        // Unity at DC.
        let sum: f64 = values.iter().sum();
        bound = bound.max(values.iter().map(|v| (v / sum).abs()).sum());
        for (row, value) in rows.iter_mut().zip(&values) {
            row[phase] = (value / sum) as f32;
        }
    }
    (rows, bound)
}

#[inline(always)]
fn raise_near_impl<S: Simd>(simd: S, fine: &FinePeak, window: &[f32], near: &[f32], peaks: &mut [f32]) {
    for (i, (peak, near)) in peaks.iter_mut().zip(near).enumerate() {
        if *peak >= *near {
            let x = &window[i..i + FINE_TAPS];
            let long = points(simd, &fine.long, x);
            let short = points(simd, &fine.short, &x[HALF - SHORT_TAPS / 2..][..SHORT_TAPS]);
            let lanes: [f32; LANES] = short.simd_gt(long).select(short, long).into();
            for value in lanes {
                if value > *peak {
                    *peak = value;
                }
            }
        }
    }
}

/// Absolute values at all 16 points: four running sums, folded as `(0 + 1) + (2 + 3)`.
#[inline(always)]
fn points<S: Simd>(simd: S, rows: &[[f32; LANES]], x: &[f32]) -> f32x16<S> {
    let mut sums = [f32x16::splat(simd, 0.0); SUMS];
    let (rows, _) = rows.as_chunks::<SUMS>();
    let (x, _) = x.as_chunks::<SUMS>();
    for (rows, x) in rows.iter().zip(x) {
        for k in 0..SUMS {
            sums[k] += f32x16::simd_from(simd, rows[k]) * x[k];
        }
    }
    ((sums[0] + sums[1]) + (sums[2] + sums[3])).abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::kernels::levels;

    fn noise(len: usize) -> Vec<f32> {
        (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 9) as f32 / 4_194_304.0 - 1.0).collect()
    }

    fn definition(rows: &[[f32; LANES]], x: &[f32], phase: usize) -> f32 {
        let sum = |s: usize| (s..rows.len()).step_by(SUMS).fold(0.0, |sum, k| sum + rows[k][phase] * x[k]);
        ((sum(0) + sum(1)) + (sum(2) + sum(3))).abs()
    }

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_definition() {
        let fine = FinePeak::new();
        let window = noise(40 + FINE_TAPS - 1);
        let start: Vec<f32> = noise(40).iter().map(|x| x.abs()).collect();
        let want: Vec<f32> = start
            .iter()
            .enumerate()
            .map(|(i, old)| {
                let x = &window[i..i + FINE_TAPS];
                let short = &x[HALF - SHORT_TAPS / 2..][..SHORT_TAPS];
                (0..LANES).fold(*old, |top, p| {
                    if *old < 0.3 {
                        top
                    } else {
                        top.max(definition(&fine.long, x, p)).max(definition(&fine.short, short, p))
                    }
                })
            })
            .collect();
        for level in levels() {
            let mut got = start.clone();
            fine.raise_near_at(level, &window, &[0.3; 40], &mut got);
            assert_eq!(got, want, "{level:?}");
        }
    }

    #[test]
    fn a_sine_is_interpolated_and_the_bound_holds() {
        let fine = FinePeak::new();
        for frequency in [0.01, 0.25, 0.4, 0.48] {
            let omega = 2.0 * PI * frequency;
            let window: Vec<f32> = (0..FINE_TAPS).map(|k| (omega * k as f64 + 0.3).cos() as f32).collect();
            for phase in 0..LANES {
                let want = (omega * ((HALF - 1) as f64 + phase as f64 / 16.0) + 0.3).cos().abs();
                // 0.01 dB of full scale: the ripple of a Kaiser window of shape 6 is 63 dB down.
                assert!(
                    (f64::from(definition(&fine.long, &window, phase)) - want).abs() < 1.2e-3,
                    "{frequency} {phase}"
                );
            }
        }
        let worst: Vec<f32> = fine.long.iter().map(|row| row[8].signum()).collect();
        let mut peak = [1.0];
        fine.raise_near(&worst, &[0.0], &mut peak);
        assert!(peak[0] <= fine.gain_bound() && peak[0] > 0.99 * fine.gain_bound(), "{peak:?}");
    }
}
