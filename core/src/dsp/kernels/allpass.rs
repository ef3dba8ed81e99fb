//! First-order all-pass filters in a row, with feedback, on four channels at once.

use fearless_simd::{Level, Simd, dispatch, f32x4, prelude::*};

use super::level;

/// Most filters of a row.
pub const MAX_ALLPASSES: usize = 12;

/// State of a row on four channels.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AllpassRow {
    states: [[f32; 4]; MAX_ALLPASSES],
    /// What came out last.
    last: [f32; 4],
}

/// The coefficient of each channel: it moves straight from frame to frame.
#[derive(Debug, Clone, Copy)]
pub struct AllpassCourse {
    /// Coefficient at frame 0.
    pub from: [f32; 4],
    /// Difference from one frame to the next.
    pub slope: [f32; 4],
    /// Number of the first frame.
    pub first: usize,
}

impl AllpassRow {
    /// Puts each frame through `count` filters `(a + z^-1) / (1 + a z^-1)`, 1 to [`MAX_ALLPASSES`], to which goes the input and
    /// `feedback` of what came out for the frame before. Real-time safe.
    pub fn run(&mut self, count: usize, course: &AllpassCourse, feedback: f32, frames: &mut [[f32; 4]]) {
        self.run_at(level(), count, course, feedback, frames);
    }

    fn run_at(&mut self, level: Level, count: usize, course: &AllpassCourse, feedback: f32, frames: &mut [[f32; 4]]) {
        // A length known to the compiler keeps all state in registers.
        match count {
            0 | 1 => dispatch!(level, simd => run::<_, 1>(simd, self, course, feedback, frames)),
            2 => dispatch!(level, simd => run::<_, 2>(simd, self, course, feedback, frames)),
            3 => dispatch!(level, simd => run::<_, 3>(simd, self, course, feedback, frames)),
            4 => dispatch!(level, simd => run::<_, 4>(simd, self, course, feedback, frames)),
            5 => dispatch!(level, simd => run::<_, 5>(simd, self, course, feedback, frames)),
            6 => dispatch!(level, simd => run::<_, 6>(simd, self, course, feedback, frames)),
            7 => dispatch!(level, simd => run::<_, 7>(simd, self, course, feedback, frames)),
            8 => dispatch!(level, simd => run::<_, 8>(simd, self, course, feedback, frames)),
            9 => dispatch!(level, simd => run::<_, 9>(simd, self, course, feedback, frames)),
            10 => dispatch!(level, simd => run::<_, 10>(simd, self, course, feedback, frames)),
            11 => dispatch!(level, simd => run::<_, 11>(simd, self, course, feedback, frames)),
            _ => dispatch!(level, simd => run::<_, MAX_ALLPASSES>(simd, self, course, feedback, frames)),
        }
    }

    /// Clears what is below -400 dB, before it becomes denormal and slow, and what has no meaning any more.
    pub fn settle(&mut self) {
        for s in self.states.iter_mut().chain([&mut self.last]).flatten() {
            let a = s.abs();
            *s = if a > 1e-20 && a < 1e9 { *s } else { 0.0 };
        }
    }
}

/// Each filter in transposed form, one state: `y = a x + s`, `s' = x - a y`.
///
/// Three of them in one go, so that the output waits for one product and one sum in place of three:
/// `y3 = a^3 x + (a^2 s1 + a s2 + s3)`. The feedback makes that wait the price of the filter.
#[inline(always)]
fn run<S: Simd, const N: usize>(
    simd: S,
    row: &mut AllpassRow,
    course: &AllpassCourse,
    feedback: f32,
    frames: &mut [[f32; 4]],
) {
    let mut s = [f32x4::splat(simd, 0.0); N];
    for (s, state) in s.iter_mut().zip(&row.states) {
        *s = f32x4::simd_from(simd, *state);
    }
    let mut last = f32x4::simd_from(simd, row.last);
    let (from, slope) = (f32x4::simd_from(simd, course.from), f32x4::simd_from(simd, course.slope));
    for (n, frame) in frames.iter_mut().enumerate() {
        let a1 = from + slope * ((course.first + n) as i32 as f32);
        let (a2, a3) = (a1 * a1, a1 * (a1 * a1));
        let mut x = f32x4::simd_from(simd, *frame) + last * feedback;
        let mut i = 0;
        while i + 3 <= N {
            let (r2, r3) = (a1 * s[i] + s[i + 1], (a2 * s[i] + a1 * s[i + 1]) + s[i + 2]);
            let (y1, y2, y3) = (a1 * x + s[i], a2 * x + r2, a3 * x + r3);
            s[i] = x - a1 * y1;
            s[i + 1] = y1 - a1 * y2;
            s[i + 2] = y2 - a1 * y3;
            x = y3;
            i += 3;
        }
        while i < N {
            let y = a1 * x + s[i];
            s[i] = x - a1 * y;
            x = y;
            i += 1;
        }
        last = x;
        *frame = x.into();
    }
    for (state, s) in row.states.iter_mut().zip(s) {
        *state = s.into();
    }
    row.last = last.into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::kernels::levels;

    #[test]
    fn every_instruction_set_and_split_gives_the_same_bits_and_those_are_the_recurrence() {
        let input: Vec<[f32; 4]> = (0..200u32)
            .map(|n| [1u32, 3, 5, 7].map(|c| ((n * c).wrapping_mul(2_654_435_761) >> 9) as f32 / 4_194_304.0 - 1.0))
            .collect();
        let from = [-0.9f32, -0.5, 0.2, 0.7];
        let slope = [1e-4f32, -1e-4, 2e-4, 0.0];
        for count in 1..=MAX_ALLPASSES {
            let mut want = vec![[0.0f64; 4]; 200];
            for c in 0..4 {
                let (mut states, mut last) = (vec![0.0f64; count], 0.0f64);
                for (n, (x, want)) in input.iter().zip(&mut want).enumerate() {
                    let a = f64::from(from[c]) + f64::from(slope[c]) * n as f64;
                    let mut y = f64::from(x[c]) + 0.5 * last;
                    for s in &mut states {
                        let out = a * y + *s;
                        *s = y - a * out;
                        y = out;
                    }
                    last = y;
                    want[c] = y;
                }
            }
            let mut first: Option<(Vec<[f32; 4]>, AllpassRow)> = None;
            for level in levels() {
                for split in [1, 7, 200] {
                    let (mut got, mut row) = (input.clone(), AllpassRow::default());
                    for (k, part) in got.chunks_mut(split).enumerate() {
                        row.run_at(level, count, &AllpassCourse { from, slope, first: k * split }, 0.5, part);
                    }
                    for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
                        // Some 100 roundings of values up to 10, which the poles at 0.9 keep for ten frames.
                        assert!((f64::from(*got) - want).abs() < 1e-4, "{count}: {got} {want}");
                    }
                    let (samples, state) = first.get_or_insert((got.clone(), row));
                    assert_eq!((&got, &row), (&*samples, &*state), "{level:?} {count} {split}");
                }
            }
        }
    }
}
