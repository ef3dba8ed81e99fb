//! Interpolation at the quarters between samples, for true peaks.

use std::f64::consts::PI;

use fearless_simd::{Level, Simd, dispatch, f32x16, prelude::*};

use super::{LANES, level};

/// Samples under the interpolator: the value at `n + 1/4` .. `n + 3/4` needs samples `n - 15` to `n + 16`.
pub const INTERPOLATOR_TAPS: usize = 32;
const TAPS: usize = INTERPOLATOR_TAPS;

/// Coefficients for the three points between two samples; the fourth phase is the sample itself, because the
/// prototype is a fourth-band filter.
///
/// A sinc under a Kaiser window of 60 dB: flat within 0.015 dB to 0.44 of the sampling rate (19.4 kHz at 44.1 kHz).
/// The example in ITU-R BS.1770-5 Annex 2 has 12 taps per phase where this has 32.
#[derive(Debug, Clone, PartialEq)]
pub struct Interpolator {
    /// Phases 1/4, 1/2, 3/4.
    phases: [[f32; TAPS]; 3],
    /// Largest possible gain: the largest sum of absolute coefficients, rounded up.
    gain_bound: f32,
    /// By how much a value between two samples can exceed both, as a share of the largest second difference under the
    /// filter.
    bend_bound: f32,
}

impl Default for Interpolator {
    fn default() -> Self {
        Self::new()
    }
}

impl Interpolator {
    /// Computes the coefficients.
    pub fn new() -> Self {
        // Kaiser's formula for 60 dB.
        let beta = 0.1102 * (60.0 - 8.7);
        let phases = [0.25, 0.5, 0.75].map(|fraction: f64| {
            let taps: [f64; TAPS] = std::array::from_fn(|k| {
                let t = k as f64 - (TAPS as f64 / 2.0 - 1.0) - fraction;
                let x = t / (TAPS as f64 / 2.0);
                (PI * t).sin() / (PI * t) * bessel_i0(beta * (1.0 - x * x).max(0.0).sqrt()) / bessel_i0(beta)
            });
            let sum: f64 = taps.iter().sum();
            taps.map(|v| (v / sum) as f32)
        });
        let bound = phases.iter().map(|p| p.iter().map(|v| v.abs()).sum::<f32>()).fold(1.0, f32::max);
        let bend_bound = phases.iter().map(bend_bound).fold(0.0, f64::max) as f32;
        // 1e-4 covers all roundings of sums of 32 products.
        Self { phases, gain_bound: bound * 1.0001, bend_bound }
    }

    /// No interpolated value exceeds this times the largest sample under the filter.
    pub fn gain_bound(&self) -> f32 {
        self.gain_bound
    }

    /// No interpolated value exceeds the larger of its two neighbours (plus a ten-thousandth of the largest sample under
    /// the filter, for the roundings) by more than this times the largest second difference under the filter.
    pub fn bend_bound(&self) -> f32 {
        self.bend_bound
    }

    /// Largest absolute value among the interpolated ones. `window` holds `n + TAPS - 1` samples for `n` positions,
    /// `count` is 3 (quarters) or 1 (halves only). NaN is skipped. Real-time safe.
    pub fn peak(&self, window: &[f32], quarters: bool) -> f32 {
        self.peak_at(level(), window, quarters)
    }

    /// Raises `peaks[i]` to the largest absolute value at `i + 15` .. `i + 15 + 3/4` of `window` (the sample and the
    /// three points behind it). `window` holds `peaks.len() + TAPS - 1` samples. Real-time safe.
    pub fn raise(&self, window: &[f32], peaks: &mut [f32]) {
        self.raise_at(level(), window, peaks);
    }

    fn peak_at(&self, level: Level, window: &[f32], quarters: bool) -> f32 {
        dispatch!(level, simd => peak_impl(simd, self, window, quarters))
    }

    fn raise_at(&self, level: Level, window: &[f32], peaks: &mut [f32]) {
        dispatch!(level, simd => raise_impl(simd, self, window, peaks));
    }
}

/// Sum of the magnitudes of `g`, where the coefficients are those of a straight line between the two samples in the middle,
/// plus the second difference of `g`: what they make of a signal is within that times its second difference of the line.
fn bend_bound(coefficients: &[f32; TAPS]) -> f64 {
    let (sum, moment) = coefficients.iter().enumerate().fold((0.0, 0.0), |(sum, moment), (k, c)| {
        (sum + f64::from(*c), moment + f64::from(*c) * (k as f64 - (TAPS as f64 / 2.0 - 1.0)))
    });
    // The place on the line that the filter reads from a ramp; then nothing is left of a constant or a ramp.
    let place = moment / sum;
    debug_assert!((0.0..=1.0).contains(&place));
    let (mut slope, mut value, mut bound) = (0.0, 0.0, 0.0);
    for (k, c) in coefficients.iter().enumerate() {
        let line = match k + 1 {
            k if k == TAPS / 2 => 1.0 - place,
            k if k == TAPS / 2 + 1 => place,
            _ => 0.0,
        };
        slope += f64::from(*c) / sum - line;
        value += slope;
        bound += f64::abs(value);
    }
    bound
}

/// The definition: `sum of coefficients[k] * window[k]` in order of `k`.
#[inline(always)]
fn one(coefficients: &[f32; TAPS], window: &[f32]) -> f32 {
    let mut sum = 0.0;
    for (c, x) in coefficients.iter().zip(window) {
        sum += c * x;
    }
    sum
}

#[inline(always)]
fn peak_impl<S: Simd>(simd: S, interpolator: &Interpolator, window: &[f32], quarters: bool) -> f32 {
    let positions = (window.len() + 1).saturating_sub(TAPS);
    let mut largest = f32x16::splat(simd, 0.0);
    let whole = positions / LANES * LANES;
    for n in (0..whole).step_by(LANES) {
        let v = sixteen(simd, interpolator, &window[n..n + LANES + TAPS - 1], quarters);
        largest = v.simd_gt(largest).select(v, largest);
    }
    let lanes: [f32; LANES] = largest.into();
    let mut peak = lanes.iter().fold(0.0, |peak, v| if *v > peak { *v } else { peak });
    for n in whole..positions {
        let v = single(interpolator, &window[n..], quarters);
        peak = if v > peak { v } else { peak };
    }
    peak
}

#[inline(always)]
fn raise_impl<S: Simd>(simd: S, interpolator: &Interpolator, window: &[f32], peaks: &mut [f32]) {
    let whole = peaks.len() / LANES * LANES;
    let centre = TAPS / 2 - 1;
    for n in (0..whole).step_by(LANES) {
        let between = sixteen(simd, interpolator, &window[n..n + LANES + TAPS - 1], true);
        let here = f32x16::from_slice(simd, &window[n + centre..][..LANES]).abs();
        let largest = here.simd_gt(between).select(here, between);
        let old = f32x16::from_slice(simd, &peaks[n..n + LANES]);
        largest.simd_gt(old).select(largest, old).store_slice(&mut peaks[n..n + LANES]);
    }
    for n in whole..peaks.len() {
        let between = single(interpolator, &window[n..], true);
        let here = window[n + centre].abs();
        let largest = if here > between { here } else { between };
        if largest > peaks[n] {
            peaks[n] = largest;
        }
    }
}

/// Largest absolute interpolated value for each of 16 positions.
#[inline(always)]
fn sixteen<S: Simd>(simd: S, interpolator: &Interpolator, window: &[f32], quarters: bool) -> f32x16<S> {
    let [first, second, third] = &interpolator.phases;
    let zero = f32x16::splat(simd, 0.0);
    if !quarters {
        let mut sum = zero;
        for k in 0..TAPS {
            sum += f32x16::from_slice(simd, &window[k..k + LANES]) * second[k];
        }
        let sum = sum.abs();
        return sum.simd_gt(zero).select(sum, zero);
    }
    let mut sums = [zero; 3];
    for k in 0..TAPS {
        let x = f32x16::from_slice(simd, &window[k..k + LANES]);
        sums[0] += x * first[k];
        sums[1] += x * second[k];
        sums[2] += x * third[k];
    }
    let mut largest = zero;
    for sum in sums {
        let sum = sum.abs();
        largest = sum.simd_gt(largest).select(sum, largest);
    }
    largest
}

#[inline(always)]
fn single(interpolator: &Interpolator, window: &[f32], quarters: bool) -> f32 {
    let mut largest = 0.0;
    for (index, phase) in interpolator.phases.iter().enumerate() {
        if quarters || index == 1 {
            let v = one(phase, window).abs();
            if v > largest {
                largest = v;
            }
        }
    }
    largest
}

/// Modified Bessel function of order 0, by its power series: all terms are positive, so f64 keeps 15 digits here.
pub(crate) fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term) = (1.0, 1.0);
    for inverse in &INVERSE_SQUARES[1..] {
        term *= quarter * inverse;
        sum += term;
        if term <= 1e-17 * sum {
            break;
        }
    }
    sum
}

/// `1 / k^2`. 80 terms suffice for arguments up to 50; Kaiser windows of 150 dB need 16.
const INVERSE_SQUARES: [f64; 80] = {
    let mut table = [0.0; 80];
    let mut k = 1;
    while k < 80 {
        table[k] = 1.0 / (k * k) as f64;
        k += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::kernels::levels;

    fn noise(len: usize) -> Vec<f32> {
        (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 9) as f32 / 4_194_304.0 - 1.0).collect()
    }

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_definition() {
        let interpolator = Interpolator::new();
        for len in (0..120).chain([1000]) {
            let window = noise(len);
            let positions = (len + 1).saturating_sub(TAPS);
            for quarters in [false, true] {
                let want = (0..positions).map(|n| single(&interpolator, &window[n..], quarters)).fold(0.0, f32::max);
                for level in levels() {
                    assert_eq!(interpolator.peak_at(level, &window, quarters).to_bits(), want.to_bits());
                }
            }
            let want: Vec<f32> = (0..positions)
                .map(|n| single(&interpolator, &window[n..], true).max(window[n + TAPS / 2 - 1].abs()).max(0.1))
                .collect();
            for level in levels() {
                let mut got = vec![0.1; positions];
                interpolator.raise_at(level, &window, &mut got);
                assert_eq!(got, want);
            }
        }
    }

    #[test]
    fn a_sine_is_interpolated_within_0_015_db() {
        let interpolator = Interpolator::new();
        for frequency in [0.01, 0.1, 0.25, 0.4, 0.44] {
            let omega = 2.0 * PI * frequency;
            for n in 0..40 {
                let window: Vec<f32> = (0..TAPS).map(|k| (omega * (n + k) as f64 + 0.3).cos() as f32).collect();
                for (phase, fraction) in interpolator.phases.iter().zip([0.25, 0.5, 0.75]) {
                    let want = (omega * ((n + TAPS / 2 - 1) as f64 + fraction) + 0.3).cos();
                    // 0.015 dB of full scale.
                    assert!((f64::from(one(phase, &window)) - want).abs() < 1.73e-3, "{frequency} {fraction}");
                }
            }
        }
    }

    #[test]
    fn bessel_function_has_its_tabulated_values() {
        // M. Abramowitz, I. Stegun, Handbook of Mathematical Functions, Table 9.8 (there times exp(-x)).
        for (x, scaled) in [(0.0, 1.0), (1.0, 0.465_759_607_6), (5.0, 0.183_540_812_6), (20.0, 0.089_780_311_9)] {
            assert!((bessel_i0(x) * f64::exp(-x) / scaled - 1.0).abs() < 1e-8, "{x}");
        }
    }

    #[test]
    fn no_value_leaves_its_neighbours_by_more_than_the_bend_bound() {
        let interpolator = Interpolator::new();
        let bound = interpolator.bend_bound();
        let mut nearest = 0.0f32;
        for frequency in [0.0, 0.003, 0.02, 0.1, 0.25, 0.4, 0.5] {
            for (seed, x) in [noise(TAPS + 200), vec![0.0; TAPS + 200]].iter().enumerate() {
                let tone = |n: usize| (2.0 * PI * frequency * n as f64 + 0.3).cos() as f32;
                let x: Vec<f32> = x.iter().enumerate().map(|(n, v)| 0.1 * (1 - seed) as f32 * v + tone(n)).collect();
                for window in x.windows(TAPS) {
                    let bend = window.windows(3).map(|x| ((x[0] + x[2]) - 2.0 * x[1]).abs()).fold(0.0f32, f32::max);
                    let top = window.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                    let here = window[TAPS / 2 - 1].abs().max(window[TAPS / 2].abs());
                    let over = single(&interpolator, window, true) - here - 1e-4 * top;
                    assert!(over <= bound * bend, "{frequency}: {over}, bend {bend}");
                    nearest = nearest.max(over / bend);
                }
            }
        }
        // Not many times too large: it decides how much work is saved.
        assert!(nearest > 0.2 * bound && bound < 1.0, "{nearest} of {bound}");
    }

    #[test]
    fn the_bound_holds_for_the_worst_signal() {
        let interpolator = Interpolator::new();
        let worst = interpolator.phases[1].map(f32::signum);
        let peak = interpolator.peak(&worst, true);
        assert!(peak <= interpolator.gain_bound() && peak > 0.99 * interpolator.gain_bound(), "{peak}");
    }
}
