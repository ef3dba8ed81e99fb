//! Multiplication by a factor, and the question whether all samples are finite.

use fearless_simd::{Level, Simd, dispatch};

use super::{LANES, level};

/// Multiplies each sample by `factor`, rounded once. False when a product is NaN or infinite. Real-time safe.
pub fn scale(x: &mut [f32], factor: f32) -> bool {
    scale_at(level(), x, factor)
}

/// True when no sample is NaN or infinite. Real-time safe.
pub fn all_finite(x: &[f32]) -> bool {
    all_finite_at(level(), x)
}

fn scale_at(level: Level, x: &mut [f32], factor: f32) -> bool {
    dispatch!(level, simd => scale_impl(simd, x, factor))
}

fn all_finite_at(level: Level, x: &[f32]) -> bool {
    dispatch!(level, simd => all_finite_impl(simd, x))
}

// NaN and infinity times 0 are NaN, everything else 0: sums find them without a branch for each sample. Two rows of lanes: one would
// wait for itself. Plain loops, which become the processor's vectors.

#[inline(always)]
fn scale_impl<S: Simd>(_: S, x: &mut [f32], factor: f32) -> bool {
    let mut zeros = [[0.0f32; LANES]; 2];
    let (pairs, rest) = x.as_chunks_mut::<{ 2 * LANES }>();
    for pair in pairs {
        for i in 0..LANES {
            pair[i] *= factor;
            zeros[0][i] += pair[i] * 0.0;
            pair[LANES + i] *= factor;
            zeros[1][i] += pair[LANES + i] * 0.0;
        }
    }
    let mut rest_zero = 0.0;
    for sample in rest {
        *sample *= factor;
        rest_zero += *sample * 0.0;
    }
    !(zeros.as_flattened().iter().sum::<f32>() + rest_zero).is_nan()
}

#[inline(always)]
fn all_finite_impl<S: Simd>(_: S, x: &[f32]) -> bool {
    let mut zeros = [[0.0f32; LANES]; 2];
    let (pairs, rest) = x.as_chunks::<{ 2 * LANES }>();
    for pair in pairs {
        for i in 0..LANES {
            zeros[0][i] += pair[i] * 0.0;
            zeros[1][i] += pair[LANES + i] * 0.0;
        }
    }
    let rest_zero = rest.iter().map(|sample| sample * 0.0).sum::<f32>();
    !(zeros.as_flattened().iter().sum::<f32>() + rest_zero).is_nan()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::kernels::levels;

    #[test]
    fn products_are_those_of_plain_multiplication_at_each_level() {
        for level in levels() {
            for length in [0, 1, 31, 32, 33, 1000] {
                let samples: Vec<f32> = (0..length).map(|n| (n as f32 * 0.37).sin()).collect();
                let mut scaled = samples.clone();
                assert!(scale_at(level, &mut scaled, 0.3));
                assert!(scaled.iter().zip(&samples).all(|(y, x)| y.to_bits() == (x * 0.3).to_bits()));
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_seen_at_every_place() {
        for level in levels() {
            for at in 0..70 {
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut samples = [-0.5; 70];
                    assert!(all_finite_at(level, &samples) && scale_at(level, &mut samples, 1.0));
                    samples[at] = bad;
                    assert!(!all_finite_at(level, &samples) && !scale_at(level, &mut samples, 0.5));
                }
                let mut samples = [-0.5; 70];
                samples[at] = f32::MAX;
                assert!(all_finite_at(level, &samples) && !scale_at(level, &mut samples, 2.0));
            }
        }
    }
}
