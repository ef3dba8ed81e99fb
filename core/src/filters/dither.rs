//! Reduction to fewer bits with dither; the maths is in [`crate::dsp::dither`].

use super::params::{filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::dither::{Dither as Kind, Quantizer};
use crate::error::Result;

filter_choice! {
    /// Noise that is added before bits are dropped.
    pub enum DitherShape {
        Tpdf = "tpdf": "Triangular, 2 LSB peak to peak, white.",
        Shaped = "shaped": "Triangular, with the error moved to where the ear is least sensitive.",
        None = "none": "Plain rounding: the error is distortion.",
    }
}

filter_params! {
    /// Reduces the samples to fewer bits with dither, so that the error is noise instead of distortion.
    pub struct DitherParams for "dither" in Level, realtime true {
        /// Bits of the result, which stays in floats.
        bits: u32 = 16, 4 to 24 "bits";
        /// Noise that is added before bits are dropped.
        shape: DitherShape = DitherShape::Tpdf;
    }
}

/// Frames that are quantised at once.
const PIECE_FRAMES: usize = 1024;

/// See [`DitherParams`]. The noise begins with the first frame that does not lie on the grid of the target, and then stays on.
/// Beyond full scale it clips. NaN becomes 0. No latency.
pub struct DitherFilter {
    params: DitherParams,
    quantizer: Option<Quantizer>,
    piece: Buffer,
    quantised: Vec<Vec<i32>>,
}

impl DitherFilter {
    /// A reduction of `params`.
    pub fn new(params: &DitherParams) -> Self {
        let unset = Spec::new(48_000, crate::audio::ChannelLayout::MONO);
        Self { params: params.clone(), quantizer: None, piece: Buffer::new(unset, 0), quantised: Vec::new() }
    }
}

impl Filter for DitherFilter {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let kind = match self.params.shape {
            DitherShape::Tpdf => Kind::Tpdf,
            DitherShape::Shaped => Kind::Shaped,
            DitherShape::None => Kind::None,
        };
        self.quantizer = Some(Quantizer::new(self.params.bits as u8, kind, spec.channels(), spec.rate_hz));
        self.piece = Buffer::new(spec, PIECE_FRAMES);
        // A clone of an empty vector would have no room.
        self.quantised = (0..spec.channels()).map(|_| Vec::with_capacity(PIECE_FRAMES)).collect();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let Some(quantizer) = &mut self.quantizer else { return };
        let step = 1.0 / (1u32 << (self.params.bits - 1)) as f32;
        let mut at = 0;
        while at < block.frames() {
            let count = PIECE_FRAMES.min(block.frames() - at);
            self.piece.copy_from(block, at, count);
            self.quantised.iter_mut().for_each(Vec::clear);
            // Within the reserved room, so nothing is allocated.
            quantizer.quantize(&self.piece, &mut self.quantised);
            for (samples, whole) in block.channels_mut().zip(&self.quantised) {
                for (x, q) in samples[at..at + count].iter_mut().zip(whole) {
                    // Exact: at most 24 bits times a power of two.
                    *x = *q as f32 * step;
                }
            }
            at += count;
        }
    }

    fn reset(&mut self) {
        if let Some(quantizer) = &mut self.quantizer {
            quantizer.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    fn run(params: &DitherParams, x: &[f32]) -> Vec<f32> {
        let spec = Spec::new(44_100, ChannelLayout::MONO);
        let mut block = Buffer::from_channels(spec, &[x.to_vec()]);
        let mut f = DitherFilter::new(params);
        f.prepare(spec, x.len()).unwrap();
        f.process(&mut block);
        block.channel(0).to_vec()
    }

    #[test]
    fn every_sample_lies_on_the_grid_and_the_noise_is_that_of_the_theory() {
        let x: Vec<f32> = (0..100_000).map(|n| 0.3 * (n as f32 * 0.01).sin()).collect();
        for bits in [8u32, 16] {
            let scale = f64::from(1u32 << (bits - 1));
            for (shape, variance) in [(DitherShape::Tpdf, 0.25), (DitherShape::None, 1.0 / 12.0)] {
                let y = run(&DitherParams { bits, shape }, &x);
                let error = |(x, y): (&f32, &f32)| (f64::from(*y) - f64::from(*x)) * scale;
                assert!(y.iter().all(|v| (f64::from(*v) * scale).fract() == 0.0));
                let got = x.iter().zip(&y).map(error).map(|e| e * e).sum::<f64>() / x.len() as f64;
                // Lipshitz, Wannamaker, Vanderkooy 1992: 1/12 for rounding, 2/12 for the noise, in LSB^2. Five standard errors.
                assert!((got - variance).abs() < 0.006, "{bits} {shape:?}: {got}");
            }
        }
    }

    #[test]
    fn what_is_on_the_grid_passes_and_full_scale_clips() {
        let x: Vec<f32> = (-100..100).map(|n| n as f32 / 128.0 * 0.5).map(|v| (v * 128.0).round() / 128.0).collect();
        assert_eq!(run(&DitherParams { bits: 8, shape: DitherShape::Tpdf }, &x), x);
        let y = run(&DitherParams { bits: 8, shape: DitherShape::None }, &[3.0, -3.0, f32::NAN, 0.3]);
        assert_eq!(y, [127.0 / 128.0, -1.0, 0.0, 38.0 / 128.0]);
    }

    #[test]
    fn shaping_leaves_less_noise_where_the_ear_is_keen() {
        let x: Vec<f32> = (0..16_384).map(|n| 0.3 * (n as f32 * 0.05).sin()).collect();
        // Power of the error around 3 kHz, by its transform at a few frequencies.
        let power = |shape| {
            let y = run(&DitherParams { bits: 16, shape }, &x);
            (1_000..1_300)
                .step_by(10)
                .map(|k| {
                    let w = std::f64::consts::TAU * f64::from(k) / 16_384.0;
                    let (re, im) = x.iter().zip(&y).enumerate().fold((0.0, 0.0), |(re, im), (n, (x, y))| {
                        let e = f64::from(*y) - f64::from(*x);
                        (re + e * (w * n as f64).cos(), im + e * (w * n as f64).sin())
                    });
                    re * re + im * im
                })
                .sum::<f64>()
        };
        let gain_db = 10.0 * (power(DitherShape::Shaped) / power(DitherShape::Tpdf)).log10();
        assert!(gain_db < -10.0, "{gain_db}"); // the curve of the filter lies 12 to 20 dB down there
    }
}
