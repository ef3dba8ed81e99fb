//! Second-order sections in series on two channels at once.

use fearless_simd::{Level, Simd, dispatch, f64x2, prelude::*};

use super::level;
use crate::dsp::biquad::{Coefficients, State};

/// Sections that are calculated together for each frame: with more, what waits for its turn is more than a CPU looks ahead.
const GROUP: usize = 4;
/// Frames that one group hands to the next.
const STRIP: usize = 64;

/// Filters two channels of equal length in place: the bits of `State::step` for each, one after the other. `sections`
/// and the states of each channel have the same length; what one has more is left out. Real-time safe.
pub fn cascade2(sections: &[Coefficients], states: [&mut [State]; 2], left: &mut [f32], right: &mut [f32]) {
    cascade2_at(level(), sections, states, left, right);
}

fn cascade2_at(
    level: Level,
    sections: &[Coefficients],
    [first, second]: [&mut [State]; 2],
    left: &mut [f32],
    right: &mut [f32],
) {
    let count = sections.len().min(first.len()).min(second.len());
    let (sections, first, second) = (&sections[..count], &mut first[..count], &mut second[..count]);
    if count <= GROUP {
        let frames = left.len().min(right.len());
        let io = Channels { left: &mut left[..frames], right: &mut right[..frames] };
        return group(level, sections, first, second, io);
    }
    for (left, right) in left.chunks_mut(STRIP).zip(right.chunks_mut(STRIP)) {
        let mut strip = [[0.0; 2]; STRIP];
        let strip = &mut strip[..left.len().min(right.len())];
        for ((to, l), r) in strip.iter_mut().zip(left.iter()).zip(right.iter()) {
            *to = [f64::from(*l), f64::from(*r)];
        }
        let groups = sections.chunks(GROUP).zip(first.chunks_mut(GROUP)).zip(second.chunks_mut(GROUP));
        for ((sections, first), second) in groups {
            group(level, sections, first, second, Strip(strip));
        }
        for ((from, l), r) in strip.iter().zip(left).zip(right) {
            (*l, *r) = (from[0] as f32, from[1] as f32);
        }
    }
}

/// Frames of two channels, wherever they are.
trait Frames {
    fn len(&self) -> usize;
    fn load<S: Simd>(&self, simd: S, index: usize) -> f64x2<S>;
    fn store<S: Simd>(&mut self, index: usize, frame: f64x2<S>);
}

/// Both of one length.
struct Channels<'a> {
    left: &'a mut [f32],
    right: &'a mut [f32],
}

impl Frames for Channels<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.left.len()
    }

    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, index: usize) -> f64x2<S> {
        f64x2::simd_from(simd, [f64::from(self.left[index]), f64::from(self.right[index])])
    }

    #[inline(always)]
    fn store<S: Simd>(&mut self, index: usize, frame: f64x2<S>) {
        let frame: [f64; 2] = frame.into();
        self.left[index] = frame[0] as f32;
        self.right[index] = frame[1] as f32;
    }
}

struct Strip<'a>(&'a mut [[f64; 2]]);

impl Frames for Strip<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, index: usize) -> f64x2<S> {
        f64x2::simd_from(simd, self.0[index])
    }

    #[inline(always)]
    fn store<S: Simd>(&mut self, index: usize, frame: f64x2<S>) {
        self.0[index] = frame.into();
    }
}

/// At most [`GROUP`] sections.
fn group(level: Level, sections: &[Coefficients], first: &mut [State], second: &mut [State], io: impl Frames) {
    // A length known to the compiler keeps all state in registers.
    match sections.len() {
        0 => {}
        1 => dispatch!(level, simd => run::<_, _, 1>(simd, sections, first, second, io)),
        2 => dispatch!(level, simd => run::<_, _, 2>(simd, sections, first, second, io)),
        3 => dispatch!(level, simd => run::<_, _, 3>(simd, sections, first, second, io)),
        _ => dispatch!(level, simd => run::<_, _, GROUP>(simd, sections, first, second, io)),
    }
}

// No closures here: their bodies would be compiled without the instruction set of the caller.
#[inline(always)]
fn run<S: Simd, F: Frames, const N: usize>(
    simd: S,
    sections: &[Coefficients],
    first: &mut [State],
    second: &mut [State],
    mut io: F,
) {
    let zero = f64x2::splat(simd, 0.0);
    let (mut s1, mut s2, mut c) = ([zero; N], [zero; N], [[zero; 5]; N]);
    for i in 0..N {
        s1[i] = f64x2::simd_from(simd, [first[i].s1, second[i].s1]);
        s2[i] = f64x2::simd_from(simd, [first[i].s2, second[i].s2]);
        let [c1, c2] = sections[i].input_part();
        let from = [sections[i].b0, c1, c2, sections[i].a1, sections[i].a2];
        for k in 0..5 {
            c[i][k] = f64x2::splat(simd, from[k]);
        }
    }
    for n in 0..io.len() {
        let mut x = io.load(simd, n);
        for i in 0..N {
            let y = c[i][0] * x + s1[i];
            let next = (c[i][1] * x + s2[i]) - c[i][3] * s1[i];
            s2[i] = c[i][2] * x - c[i][4] * s1[i];
            s1[i] = next;
            x = y;
        }
        io.store(n, x);
    }
    for i in 0..N {
        let (a, b): ([f64; 2], [f64; 2]) = (s1[i].into(), s2[i].into());
        first[i] = State { s1: a[0], s2: b[0] };
        second[i] = State { s1: a[1], s2: b[1] };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::kernels::levels;

    fn noise(len: u32, seed: u32) -> Vec<f32> {
        (0..len).map(|i| (i.wrapping_mul(seed) >> 9) as f32 / 4_194_304.0 - 1.0).collect()
    }

    #[test]
    fn every_instruction_set_and_split_gives_the_bits_of_single_steps() {
        for count in (0..=9).chain([31]) {
            let sections: Vec<Coefficients> = (0..count)
                .map(|i| Coefficients::peak(48_000.0, 100.0 * (i + 1) as f64, 1.0, 3.0 - i as f64 / 8.0).unwrap())
                .collect();
            let inputs = [noise(333, 2_654_435_761), noise(333, 40_503)];
            let mut want = inputs.clone();
            let mut want_states = vec![vec![State::default(); count]; 2];
            for (samples, states) in want.iter_mut().zip(&mut want_states) {
                for x in samples {
                    *x = states.iter_mut().zip(&sections).fold(f64::from(*x), |x, (s, c)| s.step(c, x)) as f32;
                }
            }
            for level in levels() {
                for block in [1, 50, 64, 100, 333] {
                    let [mut l, mut r] = inputs.clone();
                    let (mut a, mut b) = (vec![State::default(); count], vec![State::default(); count]);
                    for (l, r) in l.chunks_mut(block).zip(r.chunks_mut(block)) {
                        cascade2_at(level, &sections, [&mut a, &mut b], l, r);
                    }
                    assert_eq!([l, r], want, "{level:?} {count} {block}");
                    assert_eq!([a, b].as_slice(), want_states.as_slice());
                }
            }
        }
    }
}
