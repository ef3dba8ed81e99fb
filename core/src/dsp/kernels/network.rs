//! Sixteen lines side by side, for a feedback delay network: low-passes, the Hadamard matrix, and what goes in.
//!
//! Lines are rows of one slice, `stride` samples apart; of each the first `count` samples are worked on.

use std::ops::{Add, Sub};

use fearless_simd::{Level, Simd, dispatch, f32x8, prelude::*};

use super::level;

/// Lines of a network.
pub const NETWORK_LINES: usize = 16;
/// Frames that are worked on together.
const GROUP: usize = 8;

/// First-order low-passes of all lines, `y = from x + pole y`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NetworkLowpass {
    /// Factor of the input of each line.
    pub from: [f32; NETWORK_LINES],
    /// Factor of what each line gave last.
    pub pole: [f32; NETWORK_LINES],
    state: [f32; NETWORK_LINES],
}

impl NetworkLowpass {
    /// Filters each row in place. Below -400 dB is silence; this ends a decay before denormal numbers. Real-time safe.
    pub fn run(&mut self, rows: &mut [f32], stride: usize, count: usize) {
        self.run_at(level(), rows, stride, count);
    }

    fn run_at(&mut self, level: Level, rows: &mut [f32], stride: usize, count: usize) {
        dispatch!(level, simd => lowpass(simd, self, rows, stride, count));
    }

    /// Back to rest.
    pub fn reset(&mut self) {
        self.state = [0.0; NETWORK_LINES];
    }
}

/// Multiplies the rows by the Hadamard matrix over 4, which is orthogonal. Real-time safe.
pub fn hadamard(rows: &mut [f32], stride: usize, count: usize) {
    hadamard_at(level(), rows, stride, count);
}

fn hadamard_at(level: Level, rows: &mut [f32], stride: usize, count: usize) {
    dispatch!(level, simd => hadamard_impl(simd, rows, stride, count));
}

/// Adds `gain(line) * input` to each row; `input` is as long as what is worked on. Real-time safe.
pub fn inject(rows: &mut [f32], stride: usize, gains: &[f32; NETWORK_LINES], input: &[f32]) {
    inject_at(level(), rows, stride, gains, input);
}

fn inject_at(level: Level, rows: &mut [f32], stride: usize, gains: &[f32; NETWORK_LINES], input: &[f32]) {
    dispatch!(level, simd => inject_impl(simd, rows, stride, gains, input));
}

#[inline(always)]
fn lowpass<S: Simd>(simd: S, filter: &mut NetworkLowpass, rows: &mut [f32], stride: usize, count: usize) {
    let mut done = 0;
    let [from_a, from_b] = halves(simd, &filter.from);
    let [pole_a, pole_b] = halves(simd, &filter.pole);
    let [mut y_a, mut y_b] = halves(simd, &filter.state);
    while done + GROUP <= count {
        // Lines become lanes: what a line waits for, the others use.
        let (mut a, mut b) = (load(simd, rows, stride, 0, done), load(simd, rows, stride, GROUP, done));
        for n in 0..GROUP {
            y_a = audible(simd, from_a * a[n] + pole_a * y_a);
            y_b = audible(simd, from_b * b[n] + pole_b * y_b);
            (a[n], b[n]) = (y_a, y_b);
        }
        store(a, rows, stride, 0, done);
        store(b, rows, stride, GROUP, done);
        done += GROUP;
    }
    y_a.store_slice(&mut filter.state[..GROUP]);
    y_b.store_slice(&mut filter.state[GROUP..]);
    for line in 0..NETWORK_LINES {
        let (from, pole, mut y) = (filter.from[line], filter.pole[line], filter.state[line]);
        for x in &mut rows[line * stride + done..line * stride + count] {
            y = from * *x + pole * y;
            y = if y.abs() > 1e-20 { y } else { 0.0 };
            *x = y;
        }
        filter.state[line] = y;
    }
}

#[inline(always)]
fn halves<S: Simd>(simd: S, of: &[f32; NETWORK_LINES]) -> [f32x8<S>; 2] {
    [f32x8::from_slice(simd, &of[..GROUP]), f32x8::from_slice(simd, &of[GROUP..])]
}

#[inline(always)]
fn audible<S: Simd>(simd: S, y: f32x8<S>) -> f32x8<S> {
    y.abs().simd_gt(f32x8::splat(simd, 1e-20)).select(y, f32x8::splat(simd, 0.0))
}

/// Eight frames of eight lines from `first` on, one vector for each frame.
#[inline(always)]
fn load<S: Simd>(simd: S, rows: &[f32], stride: usize, first: usize, at: usize) -> [f32x8<S>; GROUP] {
    let mut v = [f32x8::splat(simd, 0.0); GROUP];
    for (i, v) in v.iter_mut().enumerate() {
        let start = (first + i) * stride + at;
        *v = f32x8::from_slice(simd, &rows[start..start + GROUP]);
    }
    transposed(v)
}

/// The way back of [`load`].
#[inline(always)]
fn store<S: Simd>(v: [f32x8<S>; GROUP], rows: &mut [f32], stride: usize, first: usize, at: usize) {
    let v = transposed(v);
    for (i, v) in v.iter().enumerate() {
        let start = (first + i) * stride + at;
        v.store_slice(&mut rows[start..start + GROUP]);
    }
}

#[inline(always)]
fn transposed<S: Simd>(v: [f32x8<S>; GROUP]) -> [f32x8<S>; GROUP] {
    shuffled(shuffled(shuffled(v)))
}

/// Rows of the lower half between those of the upper half, as a deck of cards is shuffled.
#[inline(always)]
fn shuffled<S: Simd>(v: [f32x8<S>; GROUP]) -> [f32x8<S>; GROUP] {
    [
        v[0].zip_low(v[4]),
        v[0].zip_high(v[4]),
        v[1].zip_low(v[5]),
        v[1].zip_high(v[5]),
        v[2].zip_low(v[6]),
        v[2].zip_high(v[6]),
        v[3].zip_low(v[7]),
        v[3].zip_high(v[7]),
    ]
}

#[inline(always)]
fn hadamard_impl<S: Simd>(simd: S, rows: &mut [f32], stride: usize, count: usize) {
    let mut at = 0;
    while at + GROUP <= count {
        let mut v = [f32x8::splat(simd, 0.0); NETWORK_LINES];
        for i in 0..NETWORK_LINES {
            v[i] = f32x8::from_slice(simd, &rows[i * stride + at..i * stride + at + GROUP]);
        }
        let v = butterflies(v);
        for i in 0..NETWORK_LINES {
            (v[i] * 0.25).store_slice(&mut rows[i * stride + at..i * stride + at + GROUP]);
        }
        at += GROUP;
    }
    while at < count {
        let mut v = [0.0f32; NETWORK_LINES];
        for i in 0..NETWORK_LINES {
            v[i] = rows[i * stride + at];
        }
        let v = butterflies(v);
        for i in 0..NETWORK_LINES {
            rows[i * stride + at] = v[i] * 0.25;
        }
        at += 1;
    }
}

#[inline(always)]
fn butterflies<V: Copy + Add<Output = V> + Sub<Output = V>>(v: [V; NETWORK_LINES]) -> [V; NETWORK_LINES] {
    sums::<V, 8>(sums::<V, 4>(sums::<V, 2>(sums::<V, 1>(v))))
}

/// Sums and differences of those whose numbers differ in one bit.
#[inline(always)]
fn sums<V: Copy + Add<Output = V> + Sub<Output = V>, const BIT: usize>(
    mut v: [V; NETWORK_LINES],
) -> [V; NETWORK_LINES] {
    for i in 0..NETWORK_LINES {
        if i & BIT == 0 {
            (v[i], v[i + BIT]) = (v[i] + v[i + BIT], v[i] - v[i + BIT]);
        }
    }
    v
}

#[inline(always)]
fn inject_impl<S: Simd>(_simd: S, rows: &mut [f32], stride: usize, gains: &[f32; NETWORK_LINES], input: &[f32]) {
    for line in 0..NETWORK_LINES {
        let gain = gains[line];
        for (y, x) in rows[line * stride..][..input.len()].iter_mut().zip(input) {
            *y += gain * x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::kernels::levels;

    const STRIDE: usize = 41;

    fn noise() -> Vec<f32> {
        let count = (NETWORK_LINES * STRIDE) as u32;
        (0..count).map(|i| (i.wrapping_mul(2_654_435_761) >> 9) as f32 / 4_194_304.0 - 1.0).collect()
    }

    #[test]
    fn every_instruction_set_filters_each_line_as_the_recurrence_says() {
        let start = NetworkLowpass {
            from: std::array::from_fn(|l| 0.1 + 0.05 * l as f32),
            pole: std::array::from_fn(|l| 0.9 - 0.05 * l as f32),
            ..NetworkLowpass::default()
        };
        let mut want = noise();
        for (line, row) in want.chunks_mut(STRIDE).enumerate() {
            let mut y = 0.0f32;
            for x in row {
                y = start.from[line] * *x + start.pole[line] * y;
                *x = y;
            }
        }
        for level in levels() {
            for split in [1, 7, 8, 30, STRIDE] {
                let (mut got, mut filter) = (noise(), start);
                for at in (0..STRIDE).step_by(split) {
                    // The rest of each row becomes a shorter row.
                    let count = split.min(STRIDE - at);
                    let mut rows: Vec<f32> = got.chunks(STRIDE).flat_map(|r| r[at..at + count].to_vec()).collect();
                    filter.run_at(level, &mut rows, count, count);
                    for (row, part) in got.chunks_mut(STRIDE).zip(rows.chunks(count)) {
                        row[at..at + count].copy_from_slice(part);
                    }
                }
                assert_eq!(got, want, "{level:?} {split}");
            }
        }
    }

    #[test]
    fn every_instruction_set_multiplies_by_the_matrix_and_adds_what_goes_in() {
        let gains: [f32; NETWORK_LINES] = std::array::from_fn(|l| 0.1 * l as f32 - 0.5);
        let input = &noise()[..STRIDE];
        for count in [0, 1, 8, 13, STRIDE] {
            let (mut first, rows) = (None, noise());
            for level in levels() {
                let mut got = rows.clone();
                hadamard_at(level, &mut got, STRIDE, count);
                for n in 0..STRIDE {
                    for line in 0..NETWORK_LINES {
                        let sum = |f: &dyn Fn(usize) -> f64| (0..NETWORK_LINES).map(f).sum::<f64>();
                        let sign = |k: usize| if (k & line).count_ones().is_multiple_of(2) { 0.25 } else { -0.25 };
                        let of = |k: usize| f64::from(rows[k * STRIDE + n]);
                        let want = if n < count { sum(&|k| sign(k) * of(k)) } else { of(line) };
                        // Four roundings of values up to 4.
                        assert!((f64::from(got[line * STRIDE + n]) - want).abs() < 1e-6);
                    }
                }
                inject_at(level, &mut got, STRIDE, &gains, &input[..count]);
                assert_eq!(&got, first.get_or_insert(got.clone()), "{level:?} {count}");
            }
        }
    }
}
