//! Two channels that each get a first-order section of their own signal and one of the other's.

use fearless_simd::{Level, Simd, dispatch, f64x4, prelude::*};

use super::level;
use crate::dsp::biquad::Coefficients;

/// State of the sections: of both channels' own, and of what both give to the other. Left, then right.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CrossState {
    own: [f64; 2],
    other: [f64; 2],
}

impl CrossState {
    /// As `State::settle`, for the end of a block.
    pub fn settle(&mut self) {
        for s in self.own.iter_mut().chain(&mut self.other) {
            if !(s.abs() > 1e-100 && s.is_finite()) {
                *s = 0.0;
            }
        }
    }

    /// `left = own(left) + other(right)` and the same for `right`, in place. Of the sections `b0`, `b1` and `a1` count. The
    /// bits of `State::step`. Real-time safe.
    pub fn run(&mut self, own: &Coefficients, other: &Coefficients, left: &mut [f32], right: &mut [f32]) {
        self.run_at(level(), own, other, left, right);
    }

    fn run_at(&mut self, level: Level, own: &Coefficients, other: &Coefficients, left: &mut [f32], right: &mut [f32]) {
        dispatch!(level, simd => run(simd, self, own, other, left, right));
    }
}

#[inline(always)]
fn run<S: Simd>(
    simd: S,
    state: &mut CrossState,
    own: &Coefficients,
    other: &Coefficients,
    left: &mut [f32],
    right: &mut [f32],
) {
    let count = left.len().min(right.len());
    let (left, right) = (&mut left[..count], &mut right[..count]);
    let (b_own, c_own, a_own) = (own.b0, own.input_part()[0], own.a1);
    let (b_other, c_other, a_other) = (other.b0, other.input_part()[0], other.a1);
    // Own of left and right, then what right gives to left and left to right.
    let b = f64x4::simd_from(simd, [b_own, b_own, b_other, b_other]);
    let c = f64x4::simd_from(simd, [c_own, c_own, c_other, c_other]);
    let a = f64x4::simd_from(simd, [a_own, a_own, a_other, a_other]);
    let mut s = f64x4::simd_from(simd, [state.own[0], state.own[1], state.other[1], state.other[0]]);
    for n in 0..count {
        let (l, r) = (f64::from(left[n]), f64::from(right[n]));
        let x = f64x4::simd_from(simd, [l, r, r, l]);
        let (own, other) = (b * x + s).split();
        s = c * x - a * s;
        let y: [f64; 2] = (own + other).into();
        left[n] = y[0] as f32;
        right[n] = y[1] as f32;
    }
    let s: [f64; 4] = s.into();
    (state.own, state.other) = ([s[0], s[1]], [s[3], s[2]]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::biquad::State;
    use crate::dsp::kernels::levels;

    #[test]
    fn every_instruction_set_and_split_gives_the_bits_of_single_steps() {
        let noise = |seed: u32| -> Vec<f32> {
            (0..333u32).map(|i| (i.wrapping_mul(seed) >> 9) as f32 / 4_194_304.0 - 1.0).collect()
        };
        let own = Coefficients { b0: 0.9, b1: -0.7, b2: 0.0, a1: -0.91, a2: 0.0 };
        let other = Coefficients { b0: 0.04, b1: 0.0, b2: 0.0, a1: -0.9, a2: 0.0 };
        let inputs = [noise(2_654_435_761), noise(40_503)];
        let mut want = inputs.clone();
        let mut states = [State::default(); 4];
        let [want_l, want_r] = &mut want;
        for (left, right) in want_l.iter_mut().zip(want_r) {
            let (l, r) = (f64::from(*left), f64::from(*right));
            *left = (states[0].step(&own, l) + states[3].step(&other, r)) as f32;
            *right = (states[1].step(&own, r) + states[2].step(&other, l)) as f32;
        }
        for level in levels() {
            for block in [1, 50, 333] {
                let ([mut l, mut r], mut state) = (inputs.clone(), CrossState::default());
                for (l, r) in l.chunks_mut(block).zip(r.chunks_mut(block)) {
                    state.run_at(level, &own, &other, l, r);
                }
                assert_eq!([l, r], want, "{level:?} {block}");
            }
        }
    }
}
