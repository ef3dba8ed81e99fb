//! Reading a line of samples between them, at places that move slowly.

use fearless_simd::{Level, Simd, dispatch, f32x8, prelude::*};

use super::level;

/// Outputs that are calculated together where their distances are alike.
const GROUP: usize = 8;
/// Samples that a line has behind its end: again those from its start, so that a group can be read at once.
pub const CUBIC_GUARD: usize = GROUP + 3;

/// The cubic through four samples, newest first, at `d` from the second towards the third.
#[inline(always)]
pub fn cubic_between([y0, y1, y2, y3]: [f32; 4], d: f32) -> f32 {
    let (dm1, d1, d2) = (d + 1.0, d - 1.0, d - 2.0);
    let (a, b) = (d * d1, dm1 * d2);
    y0 * (a * d2 * (-1.0 / 6.0)) + y1 * (b * d1 * 0.5) + y2 * (b * d * -0.5) + y3 * (a * dm1 * (1.0 / 6.0))
}

/// Adds to `sum[n]` the value `delays[n]` samples before place `newest + n` of a ring of samples.
///
/// `line` is the ring, of a length that is a power of two, and behind it its first [`CUBIC_GUARD`] samples again. Delays are
/// 1 or more and within the ring. Each output depends on its own delay alone: any split gives the same bits. Real-time safe.
pub fn add_delayed(line: &[f32], newest: usize, delays: &[f32], sum: &mut [f32]) {
    add_delayed_at(level(), line, newest, delays, sum);
}

fn add_delayed_at(level: Level, line: &[f32], newest: usize, delays: &[f32], sum: &mut [f32]) {
    dispatch!(level, simd => add_delayed_impl(simd, line, newest, delays, sum));
}

/// Where the four samples for a delay begin, oldest first, before wrapping.
#[inline(always)]
fn oldest(newest: usize, whole: usize) -> usize {
    newest.wrapping_sub(whole).wrapping_sub(2)
}

#[inline(always)]
fn one(line: &[f32], mask: usize, newest: usize, delay: f32) -> f32 {
    let whole = delay as i32;
    let at = oldest(newest, whole as usize) & mask;
    let taps = &line[at..at + 4];
    cubic_between([taps[3], taps[2], taps[1], taps[0]], delay - whole as f32)
}

#[inline(always)]
fn add_delayed_impl<S: Simd>(simd: S, line: &[f32], newest: usize, delays: &[f32], sum: &mut [f32]) {
    let mask = (line.len() - CUBIC_GUARD) - 1;
    let count = delays.len().min(sum.len());
    let mut n = 0;
    while n + GROUP <= count {
        let delay = f32x8::from_slice(simd, &delays[n..n + GROUP]);
        let y = f32x8::from_slice(simd, &sum[n..n + GROUP]);
        let (first, last) = (delays[n] as i32, delays[n + GROUP - 1] as i32);
        let whole = if first < last { first } else { last };
        let mut d = delay - f32x8::splat(simd, whole as f32);
        let (zero, one_more, two) = (f32x8::splat(simd, 0.0), f32x8::splat(simd, 1.0), f32x8::splat(simd, 2.0));
        let further = d.simd_ge(one_more);
        // All of them so many whole samples late, or one more?
        if (d.simd_ge(zero) & d.simd_lt(two)).all_true() {
            let at = oldest(newest.wrapping_add(n), whole as usize + 1) & mask;
            let part = &line[at..at + GROUP + 4];
            let mut y3 = f32x8::from_slice(simd, &part[1..GROUP + 1]);
            let mut y2 = f32x8::from_slice(simd, &part[2..GROUP + 2]);
            let mut y1 = f32x8::from_slice(simd, &part[3..GROUP + 3]);
            let mut y0 = f32x8::from_slice(simd, &part[4..GROUP + 4]);
            if further.any_true() {
                y0 = further.select(y1, y0);
                y1 = further.select(y2, y1);
                y2 = further.select(y3, y2);
                y3 = further.select(f32x8::from_slice(simd, &part[..GROUP]), y3);
                d = further.select(d - one_more, d);
            }
            // As `cubic_between`.
            let (dm1, d1, d2) = (d + 1.0, d - 1.0, d - 2.0);
            let (a, b) = (d * d1, dm1 * d2);
            let newer = y0 * (a * d2 * (-1.0 / 6.0)) + y1 * (b * d1 * 0.5);
            let value = newer + y2 * (b * d * -0.5) + y3 * (a * dm1 * (1.0 / 6.0));
            (y + value).store_slice(&mut sum[n..n + GROUP]);
        } else {
            for k in n..n + GROUP {
                sum[k] += one(line, mask, newest.wrapping_add(k), delays[k]);
            }
        }
        n += GROUP;
    }
    while n < count {
        sum[n] += one(line, mask, newest.wrapping_add(n), delays[n]);
        n += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::kernels::levels;

    #[test]
    fn every_instruction_set_gives_the_bits_of_single_reads() {
        let size = 64usize;
        let mut line: Vec<f32> =
            (0..size as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 9) as f32 / 4_194_304.0 - 1.0).collect();
        line.extend_from_within(..CUBIC_GUARD);
        for newest in [0, 5, 63, usize::MAX] {
            for slope in [0.0, 0.01, 0.3, -0.05] {
                let delays: Vec<f32> = (0..45).map(|n| 20.0 + slope * n as f32).collect();
                let want: Vec<f32> = delays
                    .iter()
                    .enumerate()
                    .map(|(n, delay)| {
                        let whole = *delay as usize;
                        let tap = |k: usize| line[newest.wrapping_add(n + 1).wrapping_sub(whole + k) % size];
                        0.5 + cubic_between([tap(0), tap(1), tap(2), tap(3)], delay - whole as f32)
                    })
                    .collect();
                for level in levels() {
                    let mut sum = vec![0.5; 45];
                    add_delayed_at(level, &line, newest, &delays, &mut sum);
                    assert_eq!(sum, want, "{level:?} {newest} {slope}");
                }
            }
        }
    }
}
