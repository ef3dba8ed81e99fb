//! Fade in and fade out.

use super::delay::Delay;
use super::params::{filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_choice! {
    /// Course of a fade; `t` runs from 0 to 1.
    pub enum FadeShape {
        SCurve = "s_curve": "Raised cosine: `(1 - cos(pi t)) / 2`.",
        Linear = "linear": "Straight: `t`.",
        EqualPower = "equal_power": "Quarter sine: `sin(pi t / 2)`; for cross-fades of unrelated sound.",
        Exponential = "exponential": "Straight in decibels over 60 dB, then down to silence.",
        Logarithmic = "logarithmic": "Fast at the silent end: `log10(1 + 9 t)`.",
        Quadratic = "quadratic": "Slow at the silent end: `t * t`.",
    }
}

impl FadeShape {
    /// Gain at `t` of 0 to 1.
    pub fn gain(self, t: f64) -> f64 {
        let t = t.clamp(0.0, 1.0);
        match self {
            Self::SCurve => 0.5 - 0.5 * (std::f64::consts::PI * t).cos(),
            Self::Linear => t,
            Self::EqualPower => (std::f64::consts::FRAC_PI_2 * t).sin(),
            // Shifted so that it begins at 0 instead of -60 dB.
            Self::Exponential => (10f64.powf(3.0 * (t - 1.0)) - 0.001) / 0.999,
            Self::Logarithmic => (1.0 + 9.0 * t).log10(),
            Self::Quadratic => t * t,
        }
    }
}

filter_params! {
    /// Fades the beginning in and the end out. For files: the end is held back.
    pub struct FadeParams for "fade" in Time, realtime false {
        /// Length of the fade at the beginning.
        in_ms: f64 = 0.0, 0.0 to 60000.0 "ms";
        /// Length of the fade at the end.
        out_ms: f64 = 0.0, 0.0 to 60000.0 "ms";
        /// Course of both.
        shape: FadeShape = FadeShape::SCurve;
    }
}

/// See [`FadeParams`]. A recording shorter than the fade out begins within it. No latency: it compensates itself.
#[derive(Debug)]
pub struct Fade {
    params: FadeParams,
    spec: Option<Spec>,
    max_frames: usize,
    in_frames: u64,
    /// Gains of the end, in order.
    out_gains: Vec<f32>,
    held: Vec<Delay>,
    /// Frames that went in.
    received: u64,
    /// Frames that `finish` has given.
    drained: usize,
}

impl Fade {
    /// A fade of `params`.
    pub fn new(params: &FadeParams) -> Self {
        Self {
            params: params.clone(),
            spec: None,
            max_frames: 0,
            in_frames: 0,
            out_gains: Vec::new(),
            held: Vec::new(),
            received: 0,
            drained: 0,
        }
    }
}

impl Filter for Fade {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let frames = |ms: f64| (ms * f64::from(spec.rate_hz) / 1000.0).round() as usize;
        let out_frames = frames(self.params.out_ms);
        self.in_frames = frames(self.params.in_ms) as u64;
        self.out_gains = (0..out_frames)
            .map(|n| self.params.shape.gain((out_frames - 1 - n) as f64 / out_frames as f64) as f32)
            .collect();
        self.held = vec![Delay::new(out_frames); spec.channels()];
        (self.spec, self.max_frames) = (Some(spec), max_frames);
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let (frames, held) = (block.frames(), self.out_gains.len() as u64);
        if self.received < self.in_frames {
            for n in 0..frames {
                let at = self.received + n as u64;
                if at >= self.in_frames {
                    break;
                }
                let gain = self.params.shape.gain(at as f64 / self.in_frames as f64) as f32;
                for samples in block.channels_mut() {
                    samples[n] *= gain;
                }
            }
        }
        for (samples, delay) in block.channels_mut().zip(&mut self.held) {
            delay.process(samples);
        }
        // What comes out first is the silence the delay began with.
        let silence = held.saturating_sub(self.received).min(frames as u64);
        block.drop_front(silence as usize);
        self.received += frames as u64;
    }

    fn finish(&mut self, block: &mut Buffer) {
        let held = self.out_gains.len();
        let Some(spec) = self.spec else { return block.set_frames(0) };
        // A recording shorter than the fade fills the end of the delay only.
        let missing = held.saturating_sub(usize::try_from(self.received).unwrap_or(usize::MAX));
        if self.drained == 0 && missing > 0 {
            let mut skip = [0.0f32; 256];
            for delay in &mut self.held {
                let mut left = missing;
                while left > 0 {
                    let count = left.min(skip.len());
                    skip[..count].fill(0.0);
                    delay.process(&mut skip[..count]);
                    left -= count;
                }
            }
            self.drained = missing;
        }
        let count = (held - self.drained).min(self.max_frames);
        block.set_spec(spec);
        block.set_frames(count);
        let gains = &self.out_gains[self.drained..self.drained + count];
        for (samples, delay) in block.channels_mut().zip(&mut self.held) {
            samples.fill(0.0);
            delay.process(samples);
            samples.iter_mut().zip(gains).for_each(|(x, gain)| *x *= gain);
        }
        self.drained += count;
    }

    fn reset(&mut self) {
        self.held.iter_mut().for_each(Delay::reset);
        (self.received, self.drained) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    const SHAPES: [FadeShape; 6] = [
        FadeShape::SCurve,
        FadeShape::Linear,
        FadeShape::EqualPower,
        FadeShape::Exponential,
        FadeShape::Logarithmic,
        FadeShape::Quadratic,
    ];

    fn run(params: &FadeParams, frames: usize, block: usize) -> Vec<f32> {
        let spec = Spec::new(1_000, ChannelLayout::STEREO);
        let mut f = Fade::new(params);
        f.prepare(spec, block).unwrap();
        let (mut out, mut at) = (Vec::new(), 0);
        let mut part = Buffer::new(spec, block);
        while at < frames {
            let count = block.min(frames - at);
            part.set_frames(count);
            part.channels_mut().for_each(|c| c.fill(0.5));
            f.process(&mut part);
            out.extend_from_slice(part.channel(1));
            at += count;
        }
        loop {
            f.finish(&mut part);
            if part.is_empty() {
                return out;
            }
            out.extend_from_slice(part.channel(1));
        }
    }

    #[test]
    fn fades_both_ends_for_any_block_and_length() {
        for shape in SHAPES {
            let params = FadeParams { in_ms: 20.0, out_ms: 50.0, shape };
            for frames in [1usize, 30, 50, 51, 200] {
                for block in [1, 7, 64, 300] {
                    let y = run(&params, frames, block);
                    assert_eq!(y.len(), frames);
                    for (n, got) in y.iter().enumerate() {
                        let rise = shape.gain(n as f64 / 20.0);
                        let fall = shape.gain((frames - 1 - n) as f64 / 50.0);
                        assert!((f64::from(*got) - 0.5 * rise * fall).abs() < 1e-6, "{shape:?} {frames} {block} {n}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_shape_runs_from_silence_to_full() {
        for shape in SHAPES {
            assert!(shape.gain(0.0).abs() < 1e-12 && (shape.gain(1.0) - 1.0).abs() < 1e-12);
            assert!((1..100).all(|n| shape.gain(n as f64 / 100.0) > shape.gain((n - 1) as f64 / 100.0)));
        }
    }
}
