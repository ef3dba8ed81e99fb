//! Impulse responses from a curve of gains: linear or minimum phase.
//!
//! Linear phase: the curve is sampled on a fine grid, transformed to the time domain and windowed (the window method; A. V.
//! Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, chapter 7). Minimum phase: the causal half of the cepstrum
//! (the same, chapter 13: the complex cepstrum of a minimum-phase sequence is causal, so its phase follows from its
//! gain). Everything in f64.

use rustfft::algorithm::Radix4;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftDirection};

use crate::error::{Error, Result};

/// Points of the grid for each tap: the gain between two points of the grid is as good as straight.
const OVERSAMPLING: usize = 8;
/// Gains under this are raised to it, in dB: the logarithm of 0 has no cepstrum.
const FLOOR_DB: f64 = -140.0;

/// An odd number of taps, symmetric, with the delay `(taps - 1) / 2`, whose gain follows `gain_db(freq_hz)`; details finer
/// than about `2 rate / taps` Hz are smoothed by the window (Hann). An even number is raised by one.
///
/// # Errors
/// [`Error::OutOfRange`]: fewer than 1 or more than 2^20 taps.
pub fn linear_phase(gain_db: impl Fn(f64) -> f64, taps: usize, rate_hz: f64) -> Result<Vec<f32>> {
    let taps = taps | 1;
    let grid = check(taps)?;
    let gain = |freq_hz| 10f64.powf(gain_db(freq_hz).max(FLOOR_DB) / 20.0);
    let time = transform(even(gain, grid, rate_hz), FftDirection::Inverse);
    let half = taps / 2;
    let window = |t: f64| 0.5 + 0.5 * (std::f64::consts::PI * t).cos();
    Ok((0..taps)
        .map(|n| {
            let distance = n.abs_diff(half);
            (time[distance].re * window(distance as f64 / (half + 1) as f64)) as f32
        })
        .collect())
}

/// `taps` taps of least delay whose gain follows `gain_db(freq_hz)`. The last quarter fades out.
///
/// # Errors
/// As [`linear_phase`].
pub fn minimum_phase(gain_db: impl Fn(f64) -> f64, taps: usize, rate_hz: f64) -> Result<Vec<f32>> {
    let grid = check(taps)?;
    // Natural logarithm of the gain; its transform is the cepstrum.
    let to_log = std::f64::consts::LN_10 / 20.0;
    let log_gain = |freq_hz| gain_db(freq_hz).max(FLOOR_DB) * to_log;
    let mut cepstrum = transform(even(log_gain, grid, rate_hz), FftDirection::Inverse);
    // What lies before 0 (the upper half) is folded to after 0.
    cepstrum[1..grid / 2].iter_mut().for_each(|c| *c *= 2.0);
    cepstrum[grid / 2 + 1..].fill(Complex::ZERO);
    let mut spectrum = transform(cepstrum, FftDirection::Forward);
    for z in &mut spectrum {
        *z = z.exp();
    }
    let time = transform(spectrum, FftDirection::Inverse);
    let fade = taps / 4;
    Ok((0..taps)
        .map(|n| {
            let left = taps - n;
            let gain = if left <= fade {
                0.5 - 0.5 * (std::f64::consts::PI * left as f64 / (fade + 1) as f64).cos()
            } else {
                1.0
            };
            (time[n].re * gain) as f32
        })
        .collect())
}

/// Length of the transform.
fn check(taps: usize) -> Result<usize> {
    Error::check_range("taps", taps as f64, 1.0, 1_048_576.0, "taps")?;
    Ok((taps * OVERSAMPLING).next_power_of_two().max(64))
}

/// `value(freq_hz)` over a whole turn of `grid` points, which its second half mirrors.
fn even(value: impl Fn(f64) -> f64, grid: usize, rate_hz: f64) -> Vec<Complex<f64>> {
    let mut points: Vec<_> =
        (0..=grid / 2).map(|k| Complex::new(value(k as f64 * rate_hz / grid as f64), 0.0)).collect();
    points.extend_from_within(1..grid / 2);
    points[grid / 2 + 1..].reverse();
    points
}

/// The transform of `points`, whose number is a power of two; scaled so that there and back changes nothing. By one algorithm, not a
/// planner: all that a planner may choose would be in every program, twice, for a few filter designs in f64.
fn transform(mut points: Vec<Complex<f64>>, direction: FftDirection) -> Vec<Complex<f64>> {
    Radix4::new(points.len(), direction).process(&mut points);
    if direction == FftDirection::Inverse {
        let scale = 1.0 / points.len() as f64;
        points.iter_mut().for_each(|z| *z *= scale);
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gain_db(taps: &[f32], freq_hz: f64) -> f64 {
        let w = 2.0 * std::f64::consts::PI * freq_hz / 48_000.0;
        let (re, im) = taps.iter().enumerate().fold((0.0, 0.0), |(re, im), (n, h)| {
            (re + f64::from(*h) * (w * n as f64).cos(), im - f64::from(*h) * (w * n as f64).sin())
        });
        10.0 * (re * re + im * im).log10()
    }

    /// A bell of 9 dB, 1 octave wide, at 1 kHz, and a slope of -3 dB per octave above 8 kHz.
    fn curve(freq_hz: f64) -> f64 {
        let octaves = (freq_hz.max(1.0) / 1_000.0).log2();
        9.0 * (-2.0 * octaves * octaves).exp() - 3.0 * (freq_hz / 8_000.0).log2().max(0.0)
    }

    #[test]
    fn both_phases_follow_the_curve() {
        let linear = linear_phase(curve, 4_095, 48_000.0).unwrap();
        let minimum = minimum_phase(curve, 4_095, 48_000.0).unwrap();
        for freq_hz in [30.0, 200.0, 500.0, 1_000.0, 1_300.0, 3_000.0, 6_000.0, 12_000.0, 20_000.0] {
            for taps in [&linear, &minimum] {
                let got_db = gain_db(taps, freq_hz);
                // The window smooths over 23 Hz; the bell bends by 104 dB per squared octave at its top: 0.02 dB.
                assert!((got_db - curve(freq_hz)).abs() < 0.02, "{freq_hz}: {got_db} {}", curve(freq_hz));
            }
        }
    }

    #[test]
    fn linear_phase_is_symmetric_and_flat_is_a_pure_impulse() {
        let taps = linear_phase(curve, 300, 48_000.0).unwrap();
        assert_eq!(taps.len(), 301);
        assert!(taps.iter().eq(taps.iter().rev()));
        let flat = linear_phase(|_| 0.0, 101, 48_000.0).unwrap();
        assert!(flat.iter().enumerate().all(|(n, h)| *h == if n == 50 { 1.0 } else { 0.0 }));
        let flat = minimum_phase(|_| -6.0206, 101, 48_000.0).unwrap();
        assert!((flat[0] - 0.5).abs() < 1e-6 && flat[1..].iter().all(|h| h.abs() < 1e-12));
    }

    #[test]
    fn minimum_phase_of_a_pole_is_its_decay() {
        // |1 / (1 - 0.9 z^-1)| has the minimum-phase impulse 0.9^n.
        let pole_db = |freq_hz: f64| {
            let w = 2.0 * std::f64::consts::PI * freq_hz / 48_000.0;
            -10.0 * (1.0 - 1.8 * w.cos() + 0.81).log10()
        };
        let taps = minimum_phase(pole_db, 512, 48_000.0).unwrap();
        for (n, h) in taps.iter().enumerate().take(256) {
            // f32 rounding; time aliasing of the cepstrum is 0.9^4096.
            assert!((f64::from(*h) - 0.9f64.powi(n as i32)).abs() < 1e-7, "{n}: {h}");
        }
        assert!(minimum_phase(|_| 0.0, 0, 48_000.0).is_err());
    }
}
