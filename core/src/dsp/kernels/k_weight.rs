//! K weighting and energy of two channels in one pass: two second-order sections in f64.

use fearless_simd::{Level, Simd, dispatch, f64x2, prelude::*};

use super::k_weight_one::KOne;
use super::level;
use crate::dsp::biquad::Coefficients;

/// The two sections, with the operations of `State::step`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KCoefficients {
    sections: [[f64; 5]; 2],
}

impl KCoefficients {
    /// From the shelf and the high-pass.
    pub fn new(shelf: &Coefficients, highpass: &Coefficients) -> Self {
        let section = |c: &Coefficients| {
            let [c1, c2] = c.input_part();
            [c.b0, c1, c2, c.a1, c.a2]
        };
        Self { sections: [section(shelf), section(highpass)] }
    }

    /// One sample of one channel: the definition. `s` holds `s1`, `s2` of the shelf and of the high-pass.
    pub(super) fn step(&self, s: &mut [f64; 4], x: f64) -> f64 {
        let mut y = x;
        for (section, s) in self.sections.iter().zip(s.as_chunks_mut::<2>().0) {
            let [b0, c1, c2, a1, a2] = *section;
            let x = y;
            y = b0 * x + s[0];
            *s = [(c1 * x + s[1]) - a1 * s[0], c2 * x - a2 * s[0]];
        }
        y
    }
}

/// State and sums of two channels.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct KState {
    /// `s1`, `s2` of the shelf, `s1`, `s2` of the high-pass, for both channels.
    filter: [[f64; 2]; 4],
    /// Sum of squares of the weighted signal since it was last taken.
    weighted: [f64; 2],
    /// Sum of squares of the signal itself.
    plain: [f64; 2],
}

impl KState {
    /// One of the two channels by itself.
    pub fn one(&self, channel: usize) -> KOne {
        KOne::from_parts(self.filter.map(|s| s[channel]), self.weighted[channel], self.plain[channel])
    }

    /// Returns and clears the sums `(weighted, plain)` of both channels. Also ends what would never decay: states
    /// too small to matter (they would turn into denormals, which are slow) and those that are no longer finite.
    pub fn take(&mut self) -> ([f64; 2], [f64; 2]) {
        for s in self.filter.iter_mut().flatten() {
            if !(s.abs() > 1e-60 && s.is_finite()) {
                *s = 0.0;
            }
        }
        let finite = |sums: [f64; 2]| sums.map(|s| if s.is_finite() { s } else { 0.0 });
        let sums = (finite(self.weighted), finite(self.plain));
        self.weighted = [0.0; 2];
        self.plain = [0.0; 2];
        sums
    }
}

/// Adds the samples of two channels of equal length. Sums run sequentially, so any split gives the same bits.
/// Real-time safe.
pub fn k_weight(coefficients: &KCoefficients, state: &mut KState, left: &[f32], right: &[f32]) {
    k_weight_at(level(), coefficients, state, left, right);
}

fn k_weight_at(level: Level, coefficients: &KCoefficients, state: &mut KState, left: &[f32], right: &[f32]) {
    dispatch!(level, simd => k_weight_impl(simd, coefficients, state, left, right));
}

#[inline(always)]
fn k_weight_impl<S: Simd>(simd: S, k: &KCoefficients, state: &mut KState, left: &[f32], right: &[f32]) {
    // No closures: their bodies would be compiled without the instruction set of the caller.
    let mut first = [f64x2::splat(simd, 0.0); 5];
    let mut second = first;
    for i in 0..5 {
        first[i] = f64x2::splat(simd, k.sections[0][i]);
        second[i] = f64x2::splat(simd, k.sections[1][i]);
    }
    let mut p1 = f64x2::simd_from(simd, state.filter[0]);
    let mut p2 = f64x2::simd_from(simd, state.filter[1]);
    let mut q1 = f64x2::simd_from(simd, state.filter[2]);
    let mut q2 = f64x2::simd_from(simd, state.filter[3]);
    let mut weighted = f64x2::simd_from(simd, state.weighted);
    let mut plain = f64x2::simd_from(simd, state.plain);
    for (l, r) in left.iter().zip(right) {
        let x = f64x2::simd_from(simd, [f64::from(*l), f64::from(*r)]);
        let y = first[0] * x + p1;
        let next = (first[1] * x + p2) - first[3] * p1;
        p2 = first[2] * x - first[4] * p1;
        p1 = next;
        let z = second[0] * y + q1;
        let next = (second[1] * y + q2) - second[3] * q1;
        q2 = second[2] * y - second[4] * q1;
        q1 = next;
        weighted += z * z;
        plain += x * x;
    }
    state.filter = [p1.into(), p2.into(), q1.into(), q2.into()];
    state.weighted = weighted.into();
    state.plain = plain.into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::biquad::Biquad;
    use crate::dsp::kernels::levels;

    fn noise(len: u32, seed: u32) -> Vec<f32> {
        (0..len).map(|i| (i.wrapping_mul(seed) >> 9) as f32 / 4_194_304.0 - 1.0).collect()
    }

    #[test]
    fn equals_two_biquads_and_any_cpu_and_split_gives_the_same_bits() {
        let shelf = Coefficients::high_shelf(48_000.0, 1_500.0, 0.707, 4.0).unwrap();
        let highpass = Coefficients::highpass(48_000.0, 38.0, 0.5).unwrap();
        let k = KCoefficients::new(&shelf, &highpass);
        let (left, right) = (noise(1001, 2_654_435_761), noise(1001, 40_503));
        let mut whole = KState::default();
        k_weight(&k, &mut whole, &left, &right);
        for level in levels() {
            let mut parts = KState::default();
            for (l, r) in left.chunks(37).zip(right.chunks(37)) {
                k_weight_at(level, &k, &mut parts, l, r);
            }
            assert_eq!(parts, whole, "{level:?}");
        }
        let (weighted, plain) = whole.take();
        for (channel, samples) in [left, right].iter().enumerate() {
            let (mut a, mut b) = (Biquad::new(shelf), Biquad::new(highpass));
            let (mut want, mut want_plain) = (0.0, 0.0);
            for x in samples.iter().map(|x| f64::from(*x)) {
                want += b.step(a.step(x)).powi(2);
                want_plain += x * x;
            }
            // The same operations in the same order.
            assert_eq!(weighted[channel], want);
            assert_eq!(plain[channel], want_plain);
        }
        assert_eq!(whole.take(), ([0.0; 2], [0.0; 2]));
    }

    #[test]
    fn recovers_from_what_is_not_finite() {
        let shelf = Coefficients::high_shelf(48_000.0, 1_500.0, 0.707, 4.0).unwrap();
        let k = KCoefficients::new(&shelf, &Coefficients::IDENTITY);
        let mut state = KState::default();
        k_weight(&k, &mut state, &[1.0, f32::NAN, 1.0], &[f32::INFINITY, 0.5, 0.0]);
        assert_eq!(state.take(), ([0.0; 2], [0.0; 2]));
        k_weight(&k, &mut state, &[1.0], &[0.0]);
        let (weighted, _) = state.take();
        assert!((weighted[0] - shelf.b0 * shelf.b0).abs() < 1e-12 && weighted[1] == 0.0);
    }
}
