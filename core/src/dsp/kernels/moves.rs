//! Moving samples: plain loops, as wide as the machine's registers.

use fearless_simd::{Level, Simd, dispatch};

use super::level;

/// Swaps the samples of both, over the shorter length. Real-time safe.
pub fn swap(a: &mut [f32], b: &mut [f32]) {
    swap_at(level(), a, b);
}

/// `samples[i] *= gains[i]`, over the shorter length. Real-time safe.
pub fn multiply(samples: &mut [f32], gains: &[f32]) {
    multiply_at(level(), samples, gains);
}

/// Copies `from` to `to`, over the shorter length, held within `-limit` to `limit`; NaN becomes 0. Real-time safe.
pub fn copy_within_limit(to: &mut [f32], from: &[f32], limit: f32) {
    copy_within_limit_at(level(), to, from, limit);
}

fn swap_at(level: Level, a: &mut [f32], b: &mut [f32]) {
    dispatch!(level, simd => swap_impl(simd, a, b));
}

fn multiply_at(level: Level, samples: &mut [f32], gains: &[f32]) {
    dispatch!(level, simd => multiply_impl(simd, samples, gains));
}

fn copy_within_limit_at(level: Level, to: &mut [f32], from: &[f32], limit: f32) {
    dispatch!(level, simd => copy_within_limit_impl(simd, to, from, limit));
}

#[inline(always)]
fn swap_impl<S: Simd>(_simd: S, a: &mut [f32], b: &mut [f32]) {
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = (*b, *a);
    }
}

#[inline(always)]
fn multiply_impl<S: Simd>(_simd: S, samples: &mut [f32], gains: &[f32]) {
    for (x, gain) in samples.iter_mut().zip(gains) {
        *x *= gain;
    }
}

#[inline(always)]
fn copy_within_limit_impl<S: Simd>(_simd: S, to: &mut [f32], from: &[f32], limit: f32) {
    for (to, x) in to.iter_mut().zip(from) {
        let x = if x.is_nan() { 0.0 } else { *x };
        let x = if x > limit { limit } else { x };
        *to = if x < -limit { -limit } else { x };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::kernels::levels;

    #[test]
    fn every_instruction_set_moves_all_of_them() {
        for count in [0, 1, 7, 16, 33] {
            let x: Vec<f32> = (0..count).map(|n| n as f32 - 5.5).collect();
            let y: Vec<f32> = (0..count).map(|n| 0.25 * n as f32).collect();
            for level in levels() {
                let (mut a, mut b) = (x.clone(), y.clone());
                swap_at(level, &mut a, &mut b);
                assert_eq!((&a, &b), (&y, &x));
                multiply_at(level, &mut a, &b);
                assert!(a.iter().zip(x.iter().zip(&y)).all(|(a, (x, y))| *a == x * y));
                copy_within_limit_at(level, &mut a, &x, 3.0);
                assert!(a.iter().zip(&x).all(|(a, x)| *a == x.clamp(-3.0, 3.0)));
            }
        }
        let mut to = [9.0; 4];
        copy_within_limit(&mut to, &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.5], 1e9);
        assert_eq!(to, [0.0, 1e9, -1e9, 0.5]);
    }
}
