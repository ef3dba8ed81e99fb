//! Saturation: the curves of tape, valves and transistors, calculated at a higher rate.

use fearless_simd::{Simd, dispatch};

use super::clipper::Oversampling;
use super::delay::Delay;
use super::math::{exp2, smoothing};
use super::params::{FilterParams, filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::kernels;
use crate::dsp::oversample::Oversampler;
use crate::error::Result;

filter_choice! {
    /// Curve of a saturation; all have slope 1 at 0 and stay within -1 to 1.
    pub enum SaturationCurve {
        Tanh = "tanh": "Hyperbolic tangent: soft, odd harmonics.",
        Cubic = "cubic": "`x - 4 x^3 / 27` up to 1.5, then flat: third harmonic only, until it clips.",
        Tube = "tube": "Bent earlier to one side than to the other: even and odd harmonics.",
    }
}

filter_params! {
    /// Adds warmth and harmonics by driving the sound into a soft curve.
    pub struct SaturationParams for "saturation" in Effects, realtime true {
        /// Gain before the curve.
        drive_db: f64 = 6.0, -12.0 to 48.0 "dB";
        /// The curve.
        curve: SaturationCurve = SaturationCurve::Tanh;
        /// Gain after the curve.
        output_db: f64 = 0.0, -48.0 to 24.0 "dB";
        /// How many times the rate is raised, so that harmonics have room above the band instead of folding back.
        oversampling: Oversampling = Oversampling::X4;
        /// Share of the saturated sound; the rest is the input.
        mix_percent: f64 = 100.0, 0.0 to 100.0 "%";
    }
}

/// The bias that makes the tube curve uneven, and what it does to level and slope.
const BIAS: f32 = 0.35;

/// `tanh` with a relative error of about 1e-6 beyond 0.05; below, its series, which `1 - 2 / (e^2x + 1)` would round away.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let s = x * x;
    let small = x * (1.0 - s * (1.0 / 3.0 - s * (2.0 / 15.0)));
    let large = 1.0 - 2.0 / (exp2(x * (2.0 * std::f32::consts::LOG2_E)) + 1.0);
    if x.abs() < 0.05 { small } else { large }
}

impl SaturationCurve {
    /// Replaces samples by what the curve adds to them, with `drive` before it and taken away again after it.
    pub(super) fn added(self, samples: &mut [f32], drive: f32) {
        dispatch!(kernels::level(), simd => add(simd, self, samples, drive));
    }

    /// Applies the curve in place, with `drive` before it.
    pub(super) fn apply(self, samples: &mut [f32], drive: f32) {
        dispatch!(kernels::level(), simd => bend(simd, self, samples, drive));
    }
}

// No closures: their bodies would be compiled without the instruction set of the caller.
#[inline(always)]
fn bend<S: Simd>(_simd: S, curve: SaturationCurve, samples: &mut [f32], drive: f32) {
    match curve {
        SaturationCurve::Tanh => {
            for x in samples {
                *x = tanh(drive * *x);
            }
        }
        SaturationCurve::Cubic => {
            for x in samples {
                let v = (drive * *x).clamp(-1.5, 1.5);
                *x = v - v * v * v * (4.0 / 27.0);
            }
        }
        SaturationCurve::Tube => {
            let (at_bias, slope) = (tanh(BIAS), 1.0 - tanh(BIAS) * tanh(BIAS));
            let (scale, drive) = (1.0 / (1.0 + at_bias), drive * (1.0 + at_bias) / slope);
            for x in samples {
                *x = (tanh(drive * *x + BIAS) - at_bias) * scale;
            }
        }
    }
}

#[inline(always)]
fn add<S: Simd>(simd: S, curve: SaturationCurve, samples: &mut [f32], drive: f32) {
    let per_drive = 1.0 / drive;
    for part in samples.chunks_mut(64) {
        let mut bent = [0.0f32; 64];
        let bent = &mut bent[..part.len()];
        bent.copy_from_slice(part);
        bend(simd, curve, bent, drive);
        for (x, y) in part.iter_mut().zip(bent.iter()) {
            *x = y * per_drive - *x;
        }
    }
}

/// See [`SaturationParams`]. Latency is that of the oversampling, for the unsaturated share as well. An uneven curve makes a
/// constant from sound; a high-pass of 5 Hz takes it away.
#[derive(Debug)]
pub struct Saturation {
    params: SaturationParams,
    oversamplers: Vec<Oversampler>,
    delays: Vec<Delay>,
    /// Mean of each channel, f64 because its pole is close to 1.
    means: Vec<f64>,
    averaging: f64,
    dry: Vec<f32>,
}

/// Frames that are worked on at once.
const PIECE_FRAMES: usize = 256;

impl Saturation {
    /// A saturation of `params`.
    pub fn new(params: &SaturationParams) -> Self {
        Self {
            params: params.clone(),
            oversamplers: Vec::new(),
            delays: Vec::new(),
            means: Vec::new(),
            averaging: 0.0,
            dry: Vec::new(),
        }
    }
}

impl Filter for Saturation {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let make = |_| Oversampler::new(self.params.oversampling.factor());
        self.oversamplers = (0..spec.channels()).map(make).collect::<Result<_>>()?;
        let latency_frames = self.oversamplers.first().map_or(0, Oversampler::latency_frames);
        self.delays = vec![Delay::new(latency_frames); spec.channels()];
        self.means = vec![0.0; spec.channels()];
        self.averaging = smoothing(1_000.0 / (std::f64::consts::TAU * 5.0), f64::from(spec.rate_hz));
        self.dry = vec![0.0; PIECE_FRAMES];
        let tail_frames = match self.params.curve {
            SaturationCurve::Tube => spec.rate_hz as usize,
            _ => 2 * latency_frames,
        };
        Ok(Prepared { spec, max_frames, latency_frames, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        let p = &self.params;
        let drive = 10f64.powf(p.drive_db / 20.0) as f32;
        let wet = (p.mix_percent / 100.0) as f32;
        let (dry_gain, gain) = (1.0 - wet, wet * 10f64.powf(p.output_db / 20.0) as f32);
        let curve = p.curve;
        let states = self.oversamplers.iter_mut().zip(&mut self.delays).zip(&mut self.means);
        for (samples, ((oversampler, delay), mean)) in block.channels_mut().zip(states) {
            for piece in samples.chunks_mut(PIECE_FRAMES) {
                let dry = &mut self.dry[..piece.len()];
                dry.copy_from_slice(piece);
                delay.process(dry);
                oversampler.process(piece, |high| curve.apply(high, drive));
                if curve == SaturationCurve::Tube {
                    let mut m = *mean;
                    for x in piece.iter_mut() {
                        let y = f64::from(*x);
                        let y = if y.is_finite() { y } else { 0.0 };
                        m = y + self.averaging * (m - y);
                        m = if m.abs() > 1e-20 { m } else { 0.0 };
                        *x -= m as f32;
                    }
                    *mean = m;
                }
                for (x, d) in piece.iter_mut().zip(dry.iter()) {
                    *x = gain * *x + dry_gain * d;
                }
            }
        }
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        self.params.set_number(index, value)
    }

    fn reset(&mut self) {
        self.oversamplers.iter_mut().for_each(Oversampler::reset);
        self.delays.iter_mut().for_each(Delay::reset);
        self.means.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    const CURVES: [SaturationCurve; 3] = [SaturationCurve::Tanh, SaturationCurve::Cubic, SaturationCurve::Tube];

    #[test]
    fn curves_have_slope_one_at_zero_and_stay_within_full_scale() {
        for curve in CURVES {
            let at = |x: f32| {
                let mut y = [x];
                curve.apply(&mut y, 1.0);
                y[0]
            };
            let slope = (at(1e-3) - at(-1e-3)) / 2e-3;
            // The third-order term bends by at most 1e-6 of the value; f32 differences of 1e-3 round by 1e-4.
            assert!((slope - 1.0).abs() < 2e-4, "{curve:?} {slope}");
            assert!([-100.0, -1.0, 1.0, 100.0].into_iter().all(|x| at(x).abs() <= 1.000_001), "{curve:?}");
            assert_eq!(at(0.0), 0.0);
        }
        for x in [-3.0f32, -0.4, -0.049, 0.01, 0.051, 1.0, 4.0] {
            assert!((tanh(x) - x.tanh()).abs() < 2e-6, "{x}");
        }
    }

    /// Amplitude at `hz` of one second of a sine of 5 kHz at -6 dBFS after the filter, by correlation.
    fn amplitude(params: &SaturationParams, hz: f64) -> f64 {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut f = Saturation::new(params);
        f.prepare(spec, 96_000).unwrap();
        let x =
            (0..96_000).map(|n| (0.5 * (std::f64::consts::TAU * 5_000.0 * n as f64 / 48_000.0).sin()) as f32).collect();
        let mut block = Buffer::from_channels(spec, &[x]);
        f.process(&mut block);
        let (mut re, mut im) = (0.0, 0.0);
        for (n, y) in block.channel(0).iter().enumerate().skip(48_000) {
            let (s, c) = (std::f64::consts::TAU * hz * n as f64 / 48_000.0).sin_cos();
            re += f64::from(*y) * c;
            im += f64::from(*y) * s;
        }
        (re * re + im * im).sqrt() / 24_000.0
    }

    #[test]
    fn harmonics_are_the_curves_and_aliases_are_gone() {
        let db = |curve, oversampling, hz| {
            let params = SaturationParams { drive_db: 6.0, curve, oversampling, ..SaturationParams::default() };
            20.0 * amplitude(&params, hz).max(1e-12).log10()
        };
        // The seventh harmonic of 5 kHz, 35 kHz, comes back at 13 kHz.
        let plain = db(SaturationCurve::Tanh, Oversampling::X1, 13_000.0);
        let clean = db(SaturationCurve::Tanh, Oversampling::X8, 13_000.0);
        assert!(plain > -70.0 && clean < -100.0, "{plain} {clean}");
        // `sin^3` has a quarter of its amplitude in the third harmonic: 4/27 of 1/4, for a sine of 0.5 driven by 6 dB.
        let third = db(SaturationCurve::Cubic, Oversampling::X4, 15_000.0);
        let driven = 0.5 * 10f64.powf(6.0 / 20.0);
        assert!((third - 20.0 * (driven.powi(3) / 27.0).log10()).abs() < 0.01, "{third}");
        // Even harmonics only from the uneven curve.
        assert!(db(SaturationCurve::Tube, Oversampling::X4, 10_000.0) > -40.0);
        assert!(db(SaturationCurve::Tanh, Oversampling::X4, 10_000.0) < -110.0);
    }
}
