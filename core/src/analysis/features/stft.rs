//! Short-time Fourier transform of one frame: magnitude and power.
//!
//! `X[k] = sum w[n] x[n] exp(-2 pi i k n / n_fft)` with a periodic Hann window, as `librosa.stft` has it, without scaling: a sine of
//! amplitude `a` in the middle of a bin gives a magnitude of `a * sum(w) / 2`.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use crate::error::{Error, Result};

/// Periodic Hann window of `win_length` in the middle of `n_fft` samples.
pub(crate) fn hann(win_length: usize, n_fft: usize) -> Vec<f32> {
    let before = (n_fft - win_length) / 2;
    let mut window = vec![0.0; n_fft];
    for (i, w) in window[before..before + win_length].iter_mut().enumerate() {
        let phase = std::f64::consts::TAU * i as f64 / win_length as f64;
        *w = (0.5 - 0.5 * phase.cos()) as f32;
    }
    window
}

/// Transforms frames of `n_fft` samples.
pub struct Stft {
    window: Vec<f32>,
    fft: Arc<dyn RealToComplex<f32>>,
    windowed: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    magnitude: Vec<f32>,
    power: Vec<f32>,
}

impl Stft {
    /// For frames of `n_fft` samples, of which the `win_length` in the middle count.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when `n_fft` is not in 16..=65536 or `win_length` not in 2..=`n_fft`.
    pub fn new(n_fft: usize, win_length: usize) -> Result<Self> {
        Error::check_range("n_fft", n_fft as f64, 16.0, 65_536.0, "samples")?;
        Error::check_range("win_length", win_length as f64, 2.0, n_fft as f64, "samples")?;
        let fft = RealFftPlanner::new().plan_fft_forward(n_fft);
        let bins = n_fft / 2 + 1;
        Ok(Self {
            window: hann(win_length, n_fft),
            windowed: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
            magnitude: vec![0.0; bins],
            power: vec![0.0; bins],
        })
    }

    /// Magnitude and power of the `n_fft / 2 + 1` bins of a frame of `n_fft` samples.
    pub fn transform(&mut self, frame: &[f32]) -> (&[f32], &[f32]) {
        for ((to, x), w) in self.windowed.iter_mut().zip(frame).zip(&self.window) {
            *to = x * w;
        }
        let done = self.fft.process_with_scratch(&mut self.windowed, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok(), "the buffers are those of the plan");
        for (p, x) in self.power.iter_mut().zip(&self.spectrum) {
            *p = x.re * x.re + x.im * x.im;
        }
        for (m, p) in self.magnitude.iter_mut().zip(&self.power) {
            *m = p.sqrt();
        }
        (&self.magnitude, &self.power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_sum_of_the_definition() {
        for (n_fft, win_length) in [(64, 64), (64, 40), (60, 33)] {
            let frame: Vec<f32> = (0..n_fft).map(|i| ((i * i) as f32 * 0.37).sin()).collect();
            let window = hann(win_length, n_fft);
            let mut stft = Stft::new(n_fft, win_length).unwrap();
            let (magnitude, power) = stft.transform(&frame);
            for k in 0..=n_fft / 2 {
                let (mut re, mut im) = (0.0, 0.0);
                for (i, (x, w)) in frame.iter().zip(&window).enumerate() {
                    let phase = std::f64::consts::TAU * (i * k) as f64 / n_fft as f64;
                    re += f64::from(x * w) * phase.cos();
                    im -= f64::from(x * w) * phase.sin();
                }
                let expected = (re * re + im * im).sqrt();
                // f32: 2^-24 of the sum of up to 64 products, times the log2(64) stages of the transform.
                assert!((f64::from(magnitude[k]) - expected).abs() < 64.0 * 6.0 * 6e-8, "bin {k}");
                assert!((power[k].sqrt() - magnitude[k]).abs() <= 1e-6 * magnitude[k]);
            }
        }
    }

    #[test]
    fn a_sine_has_half_the_sum_of_the_window() {
        let frame: Vec<f32> =
            (0..2048).map(|i| (std::f64::consts::TAU * 100.0 * i as f64 / 2048.0).sin() as f32).collect();
        let mut stft = Stft::new(2048, 2048).unwrap();
        // The sum of a periodic Hann window is half its length.
        assert!((stft.transform(&frame).0[100] - 512.0).abs() < 1e-2);
    }
}
