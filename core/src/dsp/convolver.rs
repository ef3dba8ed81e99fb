//! Convolution of one channel with an impulse response.
//!
//! The response is cut into partitions whose products are taken in the frequency domain, in overlap-save form with one delay
//! line of spectra: T. G. Stockham, "High-Speed Convolution and Correlation", AFIPS 1966; G. Garcia, "Optimal Filter Partition
//! for Efficient Convolution with Short Input/Output Delay", 113th AES Convention, 2002. [`Partitions`] of one size delay by
//! that size. [`Convolver`] has no latency: the first taps are a plain sum, small partitions follow, then large ones, whose
//! work is spread evenly over the time they have (W. G. Gardner, "Efficient Convolution without Input-Output Delay", JAES
//! 43(3), 1995), so that no block takes much longer than the others.

use std::sync::Arc;

use fearless_simd::{Simd, dispatch};
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::kernels;

/// Taps of the plain sum, and the smaller partition.
const SMALL: usize = 128;

/// The larger partition. Two of it are left to the smaller ones: while one is filled, the one before is worked on.
const LARGE: usize = 2_048;

/// Time of a transform of the larger partition in that of the product of two of its spectra, roughly as measured.
const TRANSFORM_UNITS: usize = 12;

/// Spectra as separate real and imaginary parts, which vector code likes.
#[derive(Debug, Clone, Default)]
struct Spectra {
    re: Vec<f32>,
    im: Vec<f32>,
    bins: usize,
}

impl Spectra {
    fn new(count: usize, bins: usize) -> Self {
        Self { re: vec![0.0; count * bins], im: vec![0.0; count * bins], bins }
    }

    fn set(&mut self, index: usize, values: &[Complex<f32>]) {
        let at = index * self.bins;
        let parts = self.re[at..at + self.bins].iter_mut().zip(&mut self.im[at..at + self.bins]);
        for ((re, im), value) in parts.zip(values) {
            (*re, *im) = (value.re, value.im);
        }
    }

    fn clear(&mut self) {
        self.re.fill(0.0);
        self.im.fill(0.0);
    }

    fn get(&self, index: usize) -> (&[f32], &[f32]) {
        let range = index * self.bins..(index + 1) * self.bins;
        (&self.re[range.clone()], &self.im[range])
    }
}

/// Adds `a * b` to `sum`, complex.
#[inline(always)]
fn multiply_add<S: Simd>(_: S, sum: (&mut [f32], &mut [f32]), a: (&[f32], &[f32]), b: (&[f32], &[f32])) {
    let n = sum.0.len();
    let (sr, si) = (sum.0, &mut sum.1[..n]);
    let (ar, ai, br, bi) = (&a.0[..n], &a.1[..n], &b.0[..n], &b.1[..n]);
    for k in 0..n {
        sr[k] += ar[k] * br[k] - ai[k] * bi[k];
        si[k] += ar[k] * bi[k] + ai[k] * br[k];
    }
}

/// When the work of a full partition is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// At once: the output is one partition behind.
    AtOnce,
    /// Spread over the next partition: the output is two partitions behind.
    Spread,
}

/// Partitions of one size. A clone has a signal of its own and shares the impulse response.
#[derive(Clone)]
pub struct Partitions {
    size: usize,
    work: Work,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    /// Spectra of the impulse's partitions.
    impulse: Arc<Spectra>,
    count: usize,
    /// Spectra of the input, a ring; `newest` is the last one.
    input: Spectra,
    newest: usize,
    /// The last two partitions of input.
    window: Vec<f32>,
    filled: usize,
    /// Output for the partition that is being filled.
    ready: Vec<f32>,
    /// Input of the work, then its result.
    time: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    sum: Spectra,
    scratch: Vec<Complex<f32>>,
    /// Units of the work that are done.
    done: usize,
}

impl Partitions {
    /// Convolution with `taps` in partitions of `size` frames. Allocates.
    pub fn new(size: usize, taps: &[f32], work: Work) -> Self {
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(2 * size), planner.plan_fft_inverse(2 * size));
        let count = taps.len().div_ceil(size).max(1);
        let bins = size + 1;
        let mut impulse = Spectra::new(count, bins);
        let (mut time, mut spectrum) = (vec![0.0; 2 * size], vec![Complex::default(); bins]);
        let mut scratch = vec![Complex::default(); forward.get_scratch_len().max(inverse.get_scratch_len())];
        // The inverse transform of realfft is not scaled.
        let scale = 1.0 / (2 * size) as f32;
        for (index, part) in taps.chunks(size).enumerate() {
            time.fill(0.0);
            time.iter_mut().zip(part).for_each(|(t, x)| *t = x * scale);
            // Lengths are those of the plan, so that it cannot fail.
            let _ = forward.process_with_scratch(&mut time, &mut spectrum, &mut scratch);
            impulse.set(index, &spectrum);
        }
        time.fill(0.0);
        Self {
            size,
            work,
            forward,
            inverse,
            impulse: Arc::new(impulse),
            count,
            input: Spectra::new(count, bins),
            newest: 0,
            window: vec![0.0; 2 * size],
            filled: 0,
            ready: vec![0.0; size],
            time,
            spectrum,
            sum: Spectra::new(1, bins),
            scratch,
            done: count + 2 * TRANSFORM_UNITS,
        }
    }

    /// Replaces `samples` by their convolution, behind as [`Work`] says. What is not finite counts as silence. Real-time
    /// safe.
    pub fn process(&mut self, mut samples: &mut [f32]) {
        while !samples.is_empty() {
            let count = samples.len().min(SMALL).min(self.size - self.filled);
            let (piece, rest) = samples.split_at_mut(count);
            let mut input = [0.0f32; SMALL];
            take_finite(piece, &mut input[..count]);
            piece.fill(0.0);
            self.add(&input[..count], piece);
            samples = rest;
        }
    }

    /// Adds the output of the next frames to `out` and takes `input`. Neither may reach over the end of the partition.
    fn add(&mut self, input: &[f32], out: &mut [f32]) {
        let range = self.filled..self.filled + input.len();
        out.iter_mut().zip(&self.ready[range]).for_each(|(y, r)| *y += r);
        self.window[self.size + self.filled..][..input.len()].copy_from_slice(input);
        self.filled += input.len();
        let units = self.count + 2 * TRANSFORM_UNITS;
        if self.work == Work::Spread {
            self.advance(units * self.filled / self.size);
        }
        if self.filled == self.size {
            self.filled = 0;
            if self.work == Work::Spread {
                self.ready.copy_from_slice(&self.time[self.size..]);
            }
            self.time.copy_from_slice(&self.window);
            self.window.copy_within(self.size.., 0);
            self.done = 0;
            if self.work == Work::AtOnce {
                self.advance(units);
                self.ready.copy_from_slice(&self.time[self.size..]);
            }
        }
    }

    /// Works on the partition that is full until `units` are done. When which part is done changes no result.
    fn advance(&mut self, units: usize) {
        let products = TRANSFORM_UNITS..TRANSFORM_UNITS + self.count;
        if self.done == 0 && units > 0 {
            let _ = self.forward.process_with_scratch(&mut self.time, &mut self.spectrum, &mut self.scratch);
            self.newest = if self.newest == 0 { self.count - 1 } else { self.newest - 1 };
            self.input.set(self.newest, &self.spectrum);
            self.sum.clear();
            self.done = products.start;
        }
        while self.done < units && products.contains(&self.done) {
            let part = self.done - products.start;
            let mut at = self.newest + part;
            if at >= self.count {
                at -= self.count;
            }
            let (a, b) = (self.input.get(at), self.impulse.get(part));
            let sum = (&mut self.sum.re[..], &mut self.sum.im[..]);
            dispatch!(kernels::level(), simd => multiply_add(simd, sum, a, b));
            self.done += 1;
        }
        if self.done == products.end && units > products.end {
            let last = self.spectrum.len() - 1;
            for (value, (re, im)) in self.spectrum.iter_mut().zip(self.sum.re.iter().zip(&self.sum.im)) {
                *value = Complex::new(*re, *im);
            }
            // Those of real signals are real there; rounding must not say otherwise.
            self.spectrum[0].im = 0.0;
            self.spectrum[last].im = 0.0;
            let _ = self.inverse.process_with_scratch(&mut self.spectrum, &mut self.time, &mut self.scratch);
            self.done = products.end + TRANSFORM_UNITS;
        }
    }

    /// Fills with silence. Real-time safe.
    pub fn reset(&mut self) {
        self.input.clear();
        self.window.fill(0.0);
        self.ready.fill(0.0);
        self.time.fill(0.0);
        (self.newest, self.filled, self.done) = (0, 0, self.count + 2 * TRANSFORM_UNITS);
    }
}

/// Copies `from` to `to`, with silence in place of what is not finite or would make transforms overflow.
fn take_finite(from: &[f32], to: &mut [f32]) {
    for (y, x) in to.iter_mut().zip(from) {
        *y = if x.abs() < 1e9 { *x } else { 0.0 };
    }
}

/// Convolves one channel. No latency; `process` neither allocates nor locks, and its longest block of 64 frames is that
/// with a transform of 4096 points. A clone has a signal of its own and shares the impulse response.
#[derive(Debug, Clone)]
pub struct Convolver {
    /// The first taps in reverse.
    head: Arc<[f32]>,
    /// The input of the plain sum: the taps before the piece, then the piece.
    line: Vec<f32>,
    parts: Vec<Partitions>,
    /// Frames into the small partition.
    filled: usize,
}

impl Convolver {
    /// A convolver with `taps`. Allocates.
    pub fn new(taps: &[f32]) -> Self {
        let (head, rest) = taps.split_at(taps.len().min(SMALL));
        let (near, far) = rest.split_at(rest.len().min(2 * LARGE - SMALL));
        let mut head: Vec<f32> = head.to_vec();
        head.resize(SMALL, 0.0);
        head.reverse();
        let parts = [(SMALL, near, Work::AtOnce), (LARGE, far, Work::Spread)].into_iter().filter(|p| !p.1.is_empty());
        Self {
            head: head.into(),
            line: vec![0.0; 2 * SMALL],
            parts: parts.map(|(size, taps, work)| Partitions::new(size, taps, work)).collect(),
            filled: 0,
        }
    }

    /// Replaces `samples` by their convolution with the taps. What is not finite counts as silence. Real-time safe.
    pub fn process(&mut self, mut samples: &mut [f32]) {
        while !samples.is_empty() {
            let count = samples.len().min(SMALL - self.filled);
            let (piece, rest) = samples.split_at_mut(count);
            let mut input = [0.0f32; SMALL];
            let input = &mut input[..count];
            take_finite(piece, input);
            self.line[SMALL + self.filled..][..count].copy_from_slice(input);
            for (n, y) in piece.iter_mut().enumerate() {
                let end = SMALL + self.filled + n + 1;
                *y = kernels::dot(&self.line[end - SMALL..end], &self.head);
            }
            for part in &mut self.parts {
                part.add(input, piece);
            }
            self.filled += count;
            if self.filled == SMALL {
                self.filled = 0;
                self.line.copy_within(SMALL.., 0);
            }
            samples = rest;
        }
    }

    /// Fills with silence.
    pub fn reset(&mut self) {
        self.line.fill(0.0);
        self.parts.iter_mut().for_each(Partitions::reset);
        self.filled = 0;
    }
}

impl std::fmt::Debug for Partitions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Partitions").field("size", &self.size).field("count", &self.count).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize, mut seed: u32) -> Vec<f32> {
        (0..count)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) as f32 / 8_388_608.0 - 1.0
            })
            .collect()
    }

    #[test]
    fn equals_the_plain_sum_for_every_length_and_block() {
        let x = noise(9_000, 1);
        for taps in [1, 2, 127, 128, 129, 300, 2_049, 4_095, 4_096, 4_097, 7_000] {
            let h = noise(taps, 2);
            let mut whole = x.clone();
            Convolver::new(&h).process(&mut whole);
            for n in (0..x.len()).step_by(97) {
                let want: f64 = (0..=n.min(taps - 1)).map(|k| f64::from(h[k]) * f64::from(x[n - k])).sum();
                // Rounding of f32 transforms: some 1e-7 of the root of the energies, which is up to 80 / 3 here.
                assert!((f64::from(whole[n]) - want).abs() < 2e-5, "{taps} {n}: {} {want}", whole[n]);
            }
            for block in [1, 64, 1_000] {
                let mut split = x.clone();
                let mut convolver = Convolver::new(&h);
                split.chunks_mut(block).for_each(|b| convolver.process(b));
                assert!(split == whole, "{taps} {block}");
            }
        }
    }

    #[test]
    fn partitions_give_the_plain_sum_later() {
        let x = noise(3_000, 5);
        for (work, behind) in [(Work::AtOnce, 256), (Work::Spread, 512)] {
            for taps in [1usize, 2, 255, 256, 257, 700, 1_500] {
                // Decaying, so that the sum stays around 1.
                let h: Vec<f32> = noise(taps, 9).iter().zip(0..).map(|(h, n)| h * 0.99f32.powi(n) * 0.05).collect();
                let mut whole = x.clone();
                let mut partitions = Partitions::new(256, &h, work);
                partitions.process(&mut whole);
                assert!(whole[..behind].iter().all(|y| *y == 0.0));
                for n in 0..x.len() - behind {
                    let want: f64 = (0..=n.min(taps - 1)).map(|k| f64::from(h[k]) * f64::from(x[n - k])).sum();
                    // Transforms of 512 points in f32: a few 1e-7 of the largest value, which is below 1.
                    assert!((f64::from(whole[n + behind]) - want).abs() < 1e-6, "{work:?} {taps} {n}");
                }
                for block in [1, 100, 256] {
                    let mut split = x.clone();
                    partitions.reset();
                    split.chunks_mut(block).for_each(|b| partitions.process(b));
                    assert!(split == whole, "{work:?} {taps} {block}");
                }
            }
        }
    }

    #[test]
    fn reset_equals_new() {
        let h = noise(9_000, 3);
        let mut convolver = Convolver::new(&h);
        let mut first = noise(9_000, 4);
        convolver.process(&mut first);
        convolver.reset();
        let mut again = noise(9_000, 4);
        convolver.process(&mut again);
        assert_eq!(first, again);
    }
}
