//! Dot product, peak, energy.

use fearless_simd::{Level, Simd, dispatch, f32x16, f64x8, prelude::*};

use super::{LANES, fold, level};

/// Sum of `a[i] * b[i]` over the shorter length; see `scalar::dot`. Real-time safe.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_at(level(), a, b)
}

/// Largest absolute value, 0 for nothing, NaN skipped; see `scalar::peak`. Real-time safe.
pub fn peak(x: &[f32]) -> f32 {
    peak_at(level(), x)
}

/// Sum of squares in f64; see `scalar::sum_of_squares`. Real-time safe.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    sum_of_squares_at(level(), x)
}

fn dot_at(level: Level, a: &[f32], b: &[f32]) -> f32 {
    dispatch!(level, simd => dot_impl(simd, a, b))
}

fn peak_at(level: Level, x: &[f32]) -> f32 {
    dispatch!(level, simd => peak_impl(simd, x))
}

fn sum_of_squares_at(level: Level, x: &[f32]) -> f64 {
    dispatch!(level, simd => sum_of_squares_impl(simd, x))
}

#[inline(always)]
fn dot_impl<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let len = a.len().min(b.len());
    let (a, b) = (a[..len].chunks_exact(LANES), b[..len].chunks_exact(LANES));
    let tail = padded(a.remainder()).zip_mul(padded(b.remainder()));
    let mut sum = f32x16::splat(simd, 0.0);
    for (x, y) in a.zip(b) {
        sum += f32x16::from_slice(simd, x) * f32x16::from_slice(simd, y);
    }
    fold(sum + f32x16::simd_from(simd, tail))
}

#[inline(always)]
fn peak_impl<S: Simd>(_: S, x: &[f32]) -> f32 {
    // Plain loops, which become the processor's maximum. Two rows of lanes: one would wait for itself.
    let mut lanes = [[0.0f32; LANES]; 2];
    let (pairs, rest) = x.as_chunks::<{ 2 * LANES }>();
    for pair in pairs {
        for i in 0..LANES {
            lanes[0][i] = larger(lanes[0][i], pair[i].abs());
            lanes[1][i] = larger(lanes[1][i], pair[LANES + i].abs());
        }
    }
    // The last lanes once more where they overlap what was seen: a maximum does not mind.
    match x.last_chunk::<{ 2 * LANES }>() {
        Some(last) if !rest.is_empty() => {
            for i in 0..LANES {
                lanes[0][i] = larger(lanes[0][i], last[i].abs());
                lanes[1][i] = larger(lanes[1][i], last[LANES + i].abs());
            }
        }
        Some(_) => {}
        None => {
            for (lane, v) in lanes.as_flattened_mut().iter_mut().zip(rest) {
                *lane = larger(*lane, v.abs());
            }
        }
    }
    let [mut lanes, others] = lanes;
    for i in 0..LANES {
        lanes[i] = larger(lanes[i], others[i]);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = larger(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// A comparison, because `max` treats NaN differently from one CPU to the next: NaN is never larger.
#[inline(always)]
fn larger(old: f32, new: f32) -> f32 {
    if new > old { new } else { old }
}

#[inline(always)]
fn sum_of_squares_impl<S: Simd>(simd: S, x: &[f32]) -> f64 {
    let chunks = x.chunks_exact(LANES);
    let tail = padded(chunks.remainder());
    let mut sum = f64x8::splat(simd, 0.0);
    for chunk in chunks {
        let (low, high) = f32x16::from_slice(simd, chunk).widen();
        sum += low * low;
        sum += high * high;
    }
    let (low, high) = f32x16::simd_from(simd, tail).widen();
    sum += low * low;
    sum += high * high;
    let (low, high) = sum.split();
    let (low, high) = (low + high).split();
    let two = low + high;
    two[0] + two[1]
}

/// Zeros behind the last samples: adding `+0.0` changes no bit of a sum that began at `+0.0`.
#[inline(always)]
fn padded(tail: &[f32]) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    lanes[..tail.len()].copy_from_slice(tail);
    lanes
}

trait ZipMul {
    fn zip_mul(self, other: Self) -> Self;
}

impl ZipMul for [f32; LANES] {
    #[inline(always)]
    fn zip_mul(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] * other[i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::kernels::{levels, scalar};

    pub(crate) fn noise(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed | 1;
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state as f32 / 2_147_483_648.0 - 1.0
            })
            .collect()
    }

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_scalar_definition() {
        for level in levels() {
            for len in (0..100).chain([255, 1000, 4099]) {
                let (a, b) = (noise(len, 7), noise(len, 99));
                assert_eq!(dot_at(level, &a, &b).to_bits(), scalar::dot(&a, &b).to_bits(), "{level:?} dot {len}");
                assert_eq!(peak_at(level, &a).to_bits(), scalar::peak(&a).to_bits(), "{level:?} peak {len}");
                let squares = sum_of_squares_at(level, &a);
                assert_eq!(squares.to_bits(), scalar::sum_of_squares(&a).to_bits(), "{level:?} squares {len}");
            }
        }
    }

    #[test]
    fn peak_skips_nan_and_sees_infinity() {
        for level in levels() {
            let mut x = noise(50, 3);
            x[20] = f32::NAN;
            x[49] = f32::NAN;
            assert_eq!(peak_at(level, &x).to_bits(), scalar::peak(&x).to_bits());
            x[3] = f32::NEG_INFINITY;
            assert_eq!(peak_at(level, &x), f32::INFINITY);
        }
    }

    #[test]
    fn unequal_lengths_use_the_shorter() {
        assert_eq!(dot(&[1.0, 2.0, 3.0], &[4.0, 5.0]), 14.0);
    }
}
