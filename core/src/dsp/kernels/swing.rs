//! Values of an oscillator.

use fearless_simd::{Level, Simd, dispatch};

use super::level;

/// The part of `turns` that is left beside the nearest whole number, -0.5 to 0.5.
#[inline(always)]
fn part_of_turn(turns: f64) -> f32 {
    // Adding and taking away 1.5 * 2^52 rounds to a whole number.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    (turns - ((turns + ROUND) - ROUND)) as f32
}

/// Sine of `x` turns, -0.5 to 0.5, absolute error below 4e-7.
///
/// Folded to a quarter turn, then the Taylor polynomial of degree 11, whose remainder is below 6e-8; the rest is rounding.
/// Multiplications and additions in a fixed order: the same bits on every machine.
#[inline(always)]
pub fn sine_of_part(x: f32) -> f32 {
    let a = x.abs();
    let folded = 0.5 - a;
    let w = std::f32::consts::TAU * if a < folded { a } else { folded };
    let s = w * w;
    let p = 1.0 / 362_880.0 - s * (1.0 / 39_916_800.0);
    let p = w * (1.0 - s * (1.0 / 6.0 - s * (1.0 / 120.0 - s * (1.0 / 5_040.0 - s * p))));
    p.copysign(x)
}

/// `out[n]` is the sine of `start + (first + n) step` turns. Each value depends on its own number alone: any split gives the
/// same bits. Real-time safe.
pub fn sine_swing(start: f64, step: f64, first: usize, out: &mut [f32]) {
    sine_swing_at(level(), start, step, first, out);
}

fn sine_swing_at(level: Level, start: f64, step: f64, first: usize, out: &mut [f32]) {
    dispatch!(level, simd => sine_swing_impl(simd, start, step, first, out));
}

#[inline(always)]
fn sine_swing_impl<S: Simd>(_simd: S, start: f64, step: f64, first: usize, out: &mut [f32]) {
    for (n, y) in out.iter_mut().enumerate() {
        *y = sine_of_part(part_of_turn(start + step * f64::from((first + n) as i32)));
    }
}

/// As [`sine_swing`], straight up and straight down between the peaks of the sine.
pub fn triangle_swing(start: f64, step: f64, first: usize, out: &mut [f32]) {
    triangle_swing_at(level(), start, step, first, out);
}

fn triangle_swing_at(level: Level, start: f64, step: f64, first: usize, out: &mut [f32]) {
    dispatch!(level, simd => triangle_swing_impl(simd, start, step, first, out));
}

#[inline(always)]
fn triangle_swing_impl<S: Simd>(_simd: S, start: f64, step: f64, first: usize, out: &mut [f32]) {
    for (n, y) in out.iter_mut().enumerate() {
        // A quarter turn back: the high corner is at a whole number of turns.
        let x = part_of_turn((start - 0.25) + step * f64::from((first + n) as i32));
        *y = 1.0 - 4.0 * x.abs();
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{FRAC_2_PI, TAU};

    use super::*;
    use crate::dsp::kernels::levels;

    #[test]
    fn both_shapes_are_within_their_error() {
        let (mut sine, mut triangle) = (vec![0.0; 80_001], vec![0.0; 80_001]);
        sine_swing(-4.0, 1e-4, 0, &mut sine);
        triangle_swing(-4.0, 1e-4, 0, &mut triangle);
        for (n, (s, t)) in sine.iter().zip(&triangle).enumerate() {
            let want = ((n as f64 * 1e-4 - 4.0) * TAU).sin();
            assert!((f64::from(*s) - want).abs() < 4e-7, "{n}");
            // Rounding of a part of a turn, 3e-8, four times; asin loses half of its digits at 1.
            assert!((f64::from(*t) - want.clamp(-1.0, 1.0).asin() * FRAC_2_PI).abs() < 2e-7, "{n}");
        }
    }

    #[test]
    fn every_instruction_set_and_split_gives_the_same_bits() {
        for (start, step) in [(0.0, 1e-5), (0.3, 0.002_5), (-0.5, 0.45)] {
            let (mut sine, mut triangle) = (vec![0.0; 256], vec![0.0; 256]);
            for n in 0..256 {
                sine_swing_at(Level::baseline(), start, step, n, &mut sine[n..=n]);
                triangle_swing_at(Level::baseline(), start, step, n, &mut triangle[n..=n]);
            }
            for level in levels() {
                for split in [1, 7, 100, 256] {
                    let (mut s, mut t) = (vec![0.0; 256], vec![0.0; 256]);
                    for (k, (s, t)) in s.chunks_mut(split).zip(t.chunks_mut(split)).enumerate() {
                        sine_swing_at(level, start, step, k * split, s);
                        triangle_swing_at(level, start, step, k * split, t);
                    }
                    assert_eq!((&s, &t), (&sine, &triangle), "{level:?} {split}");
                }
            }
        }
    }
}
