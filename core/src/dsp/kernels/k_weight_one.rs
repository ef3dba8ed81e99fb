//! K weighting and energy of one channel, eight samples at a time: for what has no second channel to share a register with.
//!
//! A filter sample by sample waits for itself: two operations pass before the next sample can begin. But what it gives for
//! eight samples, and the state that it ends in, are sums over these samples and the state before them (the state-space
//! form raised to a block of eight). Eight samples later is soon enough for the next state, and the sums fill the registers.

use fearless_simd::{Level, Simd, dispatch, f64x4, f64x8, prelude::*};

use super::k_weight::KCoefficients;
use super::level;

/// Samples of a block.
const BLOCK: usize = 8;
/// States of the two sections.
const STATES: usize = 4;

/// What each of the eight samples and of the four states before them adds to the eight results and the four states after.
#[derive(Debug, Clone, PartialEq)]
pub struct KBlock {
    step: KCoefficients,
    results: [[f64; BLOCK]; BLOCK + STATES],
    states: [[f64; STATES]; BLOCK + STATES],
}

impl KBlock {
    /// The same filter in blocks.
    pub fn new(step: &KCoefficients) -> Self {
        let mut block =
            Self { step: *step, results: [[0.0; BLOCK]; BLOCK + STATES], states: [[0.0; STATES]; BLOCK + STATES] };
        for from in 0..BLOCK + STATES {
            let mut state = [0.0; STATES];
            if from >= BLOCK {
                state[from - BLOCK] = 1.0;
            }
            for n in 0..BLOCK {
                block.results[from][n] = step.step(&mut state, if n == from { 1.0 } else { 0.0 });
            }
            block.states[from] = state;
        }
        block
    }
}

/// State and sums of one channel.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct KOne {
    /// `s1`, `s2` of the shelf, `s1`, `s2` of the high-pass.
    filter: [f64; STATES],
    /// Sums of squares since they were last taken: of the weighted signal and of the signal itself, each place of a block
    /// for itself.
    weighted: [f64; BLOCK],
    plain: [f64; BLOCK],
    /// The same of what belongs to no block.
    rest: (f64, f64),
    /// Samples that do not make a block yet.
    waiting: [f32; BLOCK],
    count: usize,
}

impl KOne {
    /// Goes on from the states of the two sections, with sums of squares (weighted, plain) to begin with.
    pub fn from_parts(filter: [f64; 4], weighted: f64, plain: f64) -> Self {
        Self { filter, rest: (weighted, plain), ..Self::default() }
    }

    /// Adds samples. Blocks are counted from the last [`KOne::take`], so any split gives the same bits. Real-time safe.
    pub fn push(&mut self, block: &KBlock, samples: &[f32]) {
        self.push_at(level(), block, samples);
    }

    fn push_at(&mut self, level: Level, block: &KBlock, mut samples: &[f32]) {
        if self.count > 0 {
            let (now, later) = samples.split_at(samples.len().min(BLOCK - self.count));
            self.waiting[self.count..self.count + now.len()].copy_from_slice(now);
            self.count += now.len();
            if self.count < BLOCK {
                return;
            }
            let waiting = [self.waiting];
            dispatch!(level, simd => run(simd, block, self, &waiting));
            (self.count, samples) = (0, later);
        }
        let (whole, rest) = samples.as_chunks::<BLOCK>();
        dispatch!(level, simd => run(simd, block, self, whole));
        self.waiting[..rest.len()].copy_from_slice(rest);
        self.count = rest.len();
    }

    /// Returns and clears the sums `(weighted, plain)`. Also ends what would never decay, as `KState::take` does.
    pub fn take(&mut self, block: &KBlock) -> (f64, f64) {
        for x in &self.waiting[..self.count] {
            let x = f64::from(*x);
            let z = block.step.step(&mut self.filter, x);
            self.rest.0 += z * z;
            self.rest.1 += x * x;
        }
        for s in &mut self.filter {
            if !(s.abs() > 1e-60 && s.is_finite()) {
                *s = 0.0;
            }
        }
        let finite = |sum: f64| if sum.is_finite() { sum } else { 0.0 };
        let sum = |x: &[f64; BLOCK]| ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
        let sums = (finite(sum(&self.weighted) + self.rest.0), finite(sum(&self.plain) + self.rest.1));
        *self = Self { filter: self.filter, ..Self::default() };
        sums
    }
}

#[inline(always)]
fn run<S: Simd>(simd: S, k: &KBlock, one: &mut KOne, blocks: &[[f32; BLOCK]]) {
    let mut results = [f64x8::splat(simd, 0.0); BLOCK + STATES];
    let mut states = [f64x4::splat(simd, 0.0); BLOCK + STATES];
    for i in 0..BLOCK + STATES {
        results[i] = f64x8::simd_from(simd, k.results[i]);
        states[i] = f64x4::simd_from(simd, k.states[i]);
    }
    let mut weighted = f64x8::simd_from(simd, one.weighted);
    let mut plain = f64x8::simd_from(simd, one.plain);
    let mut s = one.filter;
    for block in blocks {
        let mut x = [0.0f64; BLOCK];
        for (x, sample) in x.iter_mut().zip(block) {
            *x = f64::from(*sample);
        }
        let low = (results[0] * x[0] + results[1] * x[1]) + (results[2] * x[2] + results[3] * x[3]);
        let high = (results[4] * x[4] + results[5] * x[5]) + (results[6] * x[6] + results[7] * x[7]);
        let before = (results[8] * s[0] + results[9] * s[1]) + (results[10] * s[2] + results[11] * s[3]);
        let z = (low + high) + before;
        let low = (states[0] * x[0] + states[1] * x[1]) + (states[2] * x[2] + states[3] * x[3]);
        let high = (states[4] * x[4] + states[5] * x[5]) + (states[6] * x[6] + states[7] * x[7]);
        let before = (states[8] * s[0] + states[9] * s[1]) + (states[10] * s[2] + states[11] * s[3]);
        s = ((low + high) + before).into();
        let x = f64x8::simd_from(simd, x);
        weighted += z * z;
        plain += x * x;
    }
    one.filter = s;
    one.weighted = weighted.into();
    one.plain = plain.into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::biquad::{Biquad, Coefficients};
    use crate::dsp::kernels::levels;

    fn noise(len: u32) -> Vec<f32> {
        (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 9) as f32 / 4_194_304.0 - 1.0).collect()
    }

    #[test]
    fn equals_two_biquads_and_any_cpu_and_split_gives_the_same_bits() {
        let shelf = Coefficients::high_shelf(48_000.0, 1_500.0, 0.707, 4.0).unwrap();
        let highpass = Coefficients::highpass(48_000.0, 38.0, 0.5).unwrap();
        let k = KBlock::new(&KCoefficients::new(&shelf, &highpass));
        let samples = noise(100_003);
        let mut whole = KOne::default();
        whole.push(&k, &samples);
        for level in levels() {
            for split in [1, 5, 37, 4_096] {
                let mut parts = KOne::default();
                samples.chunks(split).for_each(|part| parts.push_at(level, &k, part));
                assert_eq!(parts.take(&k), whole.clone().take(&k), "{level:?} {split}");
                assert_eq!(
                    parts.filter,
                    {
                        let mut w = whole;
                        w.take(&k);
                        w.filter
                    },
                    "{level:?} {split}"
                );
            }
        }
        let (weighted, plain) = whole.take(&k);
        let (mut a, mut b) = (Biquad::new(shelf), Biquad::new(highpass));
        let (mut want, mut want_plain) = (0.0, 0.0);
        for x in samples.iter().map(|x| f64::from(*x)) {
            want += b.step(a.step(x)).powi(2);
            want_plain += x * x;
        }
        // The same filter in another form: roundings of 1e-16, which the poles at 38 Hz amplify by up to
        // (48000 / (2 pi 38))^2 = 4e4.
        assert!((weighted / want - 1.0).abs() < 1e-11, "{}", weighted / want - 1.0);
        // 1e5 additions of 1e-16.
        assert!((plain / want_plain - 1.0).abs() < 1e-11);
        assert_eq!(whole.take(&k).1, 0.0);
    }

    #[test]
    fn recovers_from_what_is_not_finite() {
        let shelf = Coefficients::high_shelf(48_000.0, 1_500.0, 0.707, 4.0).unwrap();
        let k = KBlock::new(&KCoefficients::new(&shelf, &Coefficients::IDENTITY));
        for length in [3, 20] {
            let mut one = KOne::default();
            let mut samples = vec![1.0; length];
            samples[1] = f32::NAN;
            one.push(&k, &samples);
            assert_eq!(one.take(&k), (0.0, 0.0));
            one.push(&k, &[1.0]);
            assert!((one.take(&k).0 - shelf.b0 * shelf.b0).abs() < 1e-12);
        }
    }
}
