//! How large and how bent a signal is, for every 16 samples: enough to tell where its peaks cannot be.

use fearless_simd::{Level, Simd, dispatch, f32x16, prelude::*};

use super::{LANES, level};

/// For each 16 samples `x[16 j..16 j + 16]` the largest magnitude, and the largest second difference
/// `|x[n - 1] - 2 x[n] + x[n + 1]|` around `n` from `16 j + 1` to `16 j + 16`. `x` holds `16 * peaks.len() + 2` samples;
/// `bends` is as long as `peaks`. Real-time safe.
pub fn peaks_and_bends(x: &[f32], peaks: &mut [f32], bends: &mut [f32]) {
    peaks_and_bends_at(level(), x, peaks, bends);
}

fn peaks_and_bends_at(level: Level, x: &[f32], peaks: &mut [f32], bends: &mut [f32]) {
    dispatch!(level, simd => peaks_and_bends_impl(simd, x, peaks, bends));
}

#[inline(always)]
fn peaks_and_bends_impl<S: Simd>(simd: S, x: &[f32], peaks: &mut [f32], bends: &mut [f32]) {
    for (j, (peak, bend)) in peaks.iter_mut().zip(bends).enumerate() {
        let x = &x[LANES * j..LANES * (j + 1) + 2];
        let first = f32x16::from_slice(simd, &x[..LANES]);
        let middle = f32x16::from_slice(simd, &x[1..LANES + 1]);
        let last = f32x16::from_slice(simd, &x[2..]);
        *peak = largest(simd, first.abs());
        *bend = largest(simd, ((first + last) - middle * 2.0).abs());
    }
}

/// Largest of 16 values that are not negative; NaN is skipped.
#[inline(always)]
fn largest<S: Simd>(simd: S, v: f32x16<S>) -> f32 {
    let zero = f32x16::splat(simd, 0.0);
    let v = v.simd_gt(zero).select(v, zero);
    let (a, b) = v.split();
    let (a, b) = a.simd_gt(b).select(a, b).split();
    let v = a.simd_gt(b).select(a, b);
    let (a, b) = (if v[0] > v[1] { v[0] } else { v[1] }, if v[2] > v[3] { v[2] } else { v[3] });
    if a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::kernels::levels;

    #[test]
    fn every_instruction_set_gives_the_definition() {
        let x: Vec<f32> =
            (0..16 * 9 + 2u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 9) as f32 / 4_194_304.0 - 1.0).collect();
        for level in levels() {
            for blocks in 0..=9 {
                let (mut peaks, mut bends) = (vec![9.0; blocks], vec![9.0; blocks]);
                peaks_and_bends_at(level, &x[..16 * blocks + 2], &mut peaks, &mut bends);
                for j in 0..blocks {
                    let peak = (0..16).fold(0.0f32, |top, i| top.max(x[16 * j + i].abs()));
                    let bend = (1..=16).map(|i| 16 * j + i);
                    let bend = bend.fold(0.0f32, |top, n| top.max(((x[n - 1] + x[n + 1]) - 2.0 * x[n]).abs()));
                    assert_eq!((peaks[j], bends[j]), (peak, bend), "{level:?} {j}");
                }
            }
        }
    }
}
