//! One transform of all channels, for the detectors that look at spectra.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use crate::audio::Buffer;

/// Bins that hold the offset of a frame.
const BELOW: usize = 3;

/// Power spectra of frames of two hops, Hann window, mean over the channels. A sine of full scale in all of them has the power 1 in its bin.
pub(super) struct Spectra {
    hop: usize,
    window: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    /// The last hop of each channel.
    last: Vec<Vec<f32>>,
    time: Vec<f32>,
    bins: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    pub power: Vec<f32>,
    /// Mean square of the frame without its offset, over all channels.
    pub mean_square: f64,
    filled: bool,
}

impl Spectra {
    pub fn new(hop: usize, channels: usize) -> Self {
        let size = 2 * hop;
        let forward = RealFftPlanner::<f32>::new().plan_fft_forward(size);
        Self {
            hop,
            window: hann(size),
            last: vec![vec![0.0; hop]; channels],
            time: vec![0.0; size],
            bins: vec![Complex::default(); hop + 1],
            scratch: vec![Complex::default(); forward.get_scratch_len()],
            forward,
            power: vec![0.0; hop + 1],
            mean_square: 0.0,
            filled: false,
        }
    }

    /// A block of one hop; true when there is a spectrum of it and the one before.
    pub fn push(&mut self, block: &Buffer) -> bool {
        let whole = block.frames() == self.hop;
        let there = std::mem::replace(&mut self.filled, whole) && whole;
        if there {
            self.power.fill(0.0);
        }
        // Sum of the window: half its size; a sine has half its amplitude in its bin.
        let scale = (2.0 / self.hop as f32).powi(2) / self.last.len() as f32;
        for (last, samples) in self.last.iter_mut().zip(block.channels()) {
            if there {
                let input = last.iter().chain(samples);
                for ((to, from), window) in self.time.iter_mut().zip(input).zip(&self.window) {
                    *to = from * window;
                }
                // Lengths are fixed, so that it cannot fail.
                let _ = self.forward.process_with_scratch(&mut self.time, &mut self.bins, &mut self.scratch);
                for (power, bin) in self.power.iter_mut().zip(&self.bins) {
                    *power += bin.norm_sqr() * scale;
                }
            }
            if whole {
                last.copy_from_slice(samples);
            }
        }
        if there {
            // A sine has half the power of its amplitude, and a Hann window spreads it to 1.5 times that of the middle bin.
            self.mean_square = self.power[BELOW..].iter().map(|p| f64::from(*p)).sum::<f64>() / 3.0;
        }
        there
    }
}

/// A periodic Hann window.
pub(super) fn hann(size: usize) -> Vec<f32> {
    let at = |n: usize| 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / size as f64).cos();
    (0..size).map(|n| at(n) as f32).collect()
}
