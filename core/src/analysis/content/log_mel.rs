//! What the network hears: log powers of 80 mel bands every 10 ms, as Kaldi's `compute-fbank-feats` has them.
//!
//! Frames of 25 ms at 16 kHz and 16-bit scale, without their mean; pre-emphasis of 0.97; Povey's window (Hann to the power 0.85); power of a
//! transform of 512; triangles in HTK's mel between 20 Hz and 8 kHz. No dither.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use crate::analysis::features::Framer;
use crate::analysis::features::mel::hz_to_mel;
use crate::dsp::kernels::dot;
use crate::error::{Error, Result};

/// Rate that is looked at.
pub(super) const RATE_HZ: u32 = 16_000;
/// Samples from row to row.
pub(super) const HOP: usize = 160;
/// Rows per second.
pub(super) const ROWS_PER_S: usize = 100;
/// Bands.
pub(super) const BANDS: usize = 80;

/// Mean square of a row that cannot be heard, and tells nothing: below -80 dBFS.
pub(super) const INAUDIBLE: f32 = 1e-8;

const FRAME: usize = 400;
const FFT: usize = 512;
const FMIN_HZ: f64 = 20.0;
const FMAX_HZ: f64 = 8000.0;
const PRE_EMPHASIS: f32 = 0.97;
const WINDOW_POWER: f64 = 0.85;
/// Full scale of the samples that the network was made for.
const SCALE: f32 = 32_768.0;

/// Weights of the bins of one band, from `first` on.
struct Band {
    first: usize,
    weights: Vec<f32>,
}

/// Cuts a stream at 16 kHz into rows of log powers.
pub(super) struct LogMel {
    framer: Option<Framer>,
    spectrum: Spectrum,
}

struct Spectrum {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    bands: Vec<Band>,
    frame: Vec<f32>,
    bins: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    power: Vec<f32>,
}

impl LogMel {
    pub fn new() -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(FFT);
        let hann = |i: usize| 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / (FRAME - 1) as f64).cos();
        let spectrum = Spectrum {
            window: (0..FRAME).map(|i| hann(i).powf(WINDOW_POWER) as f32).collect(),
            bands: bands(),
            frame: fft.make_input_vec(),
            bins: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            power: vec![0.0; FFT / 2 + 1],
            fft,
        };
        Self { framer: Some(Framer::new(FRAME, HOP, false)), spectrum }
    }

    /// Adds samples, and to `rows` and `mean_squares` what is complete.
    pub fn push(&mut self, samples: &[f32], rows: &mut Vec<f32>, mean_squares: &mut Vec<f32>) -> Result<()> {
        let Some(framer) = &mut self.framer else { return Err(Error::internal("samples after the end")) };
        framer.push(samples, &mut |frame| self.spectrum.row(frame.samples, rows, mean_squares));
        Ok(())
    }

    /// The rows that reach beyond the end, so that there is one for every 10 ms that began.
    pub fn finish(&mut self, rows: &mut Vec<f32>, mean_squares: &mut Vec<f32>) -> Result<()> {
        self.push(&[0.0; FRAME - 1], rows, mean_squares)?;
        self.framer = None;
        Ok(())
    }
}

impl Spectrum {
    fn row(&mut self, samples: &[f32], rows: &mut Vec<f32>, mean_squares: &mut Vec<f32>) {
        mean_squares.push(dot(samples, samples) / FRAME as f32);
        let mean = samples.iter().sum::<f32>() / FRAME as f32;
        // The first sample stands before itself.
        let mut before = samples[0] - mean;
        for ((to, x), w) in self.frame.iter_mut().zip(samples).zip(&self.window) {
            let x = x - mean;
            *to = (x - PRE_EMPHASIS * before) * w * SCALE;
            before = x;
        }
        self.frame[FRAME..].fill(0.0);
        let done = self.fft.process_with_scratch(&mut self.frame, &mut self.bins, &mut self.scratch);
        debug_assert!(done.is_ok(), "the buffers are those of the plan");
        for (power, x) in self.power.iter_mut().zip(&self.bins) {
            *power = x.re * x.re + x.im * x.im;
        }
        rows.extend(self.bands.iter().map(|band| {
            let sum = dot(&band.weights, &self.power[band.first..]);
            sum.max(f32::EPSILON).ln()
        }));
    }
}

fn bands() -> Vec<Band> {
    let (low, high) = (hz_to_mel(FMIN_HZ, true), hz_to_mel(FMAX_HZ, true));
    let step = (high - low) / (BANDS + 1) as f64;
    let bin = |k: usize| hz_to_mel(k as f64 * f64::from(RATE_HZ) / FFT as f64, true);
    let band = |b: usize| {
        let middle = low + step * (b + 1) as f64;
        // Kaldi leaves the bin at half the rate out.
        let weight = |k: usize| (1.0 - (bin(k) - middle).abs() / step).max(0.0) as f32;
        let all: Vec<f32> = (0..FFT / 2).map(weight).collect();
        let first = all.iter().position(|w| *w > 0.0).unwrap_or(0);
        let end = all.iter().rposition(|w| *w > 0.0).map_or(first, |last| last + 1);
        Band { first, weights: all[first..end].to_vec() }
    };
    (0..BANDS).map(band).collect()
}
