//! Clipper: bends the peaks at a ceiling, at up to eight times the rate.
//!
//! Curves of `u`, the sample over the ceiling, each with slope 1 at 0 and +/-1 as its end:
//!
//! | shape | curve for u of 0 or more |
//! |---|---|
//! | hard | `min(u, 1)` |
//! | soft | `u` up to `1 - k`, then `u - (u - 1 + k)^2 / (4 k)` up to `1 + k`, then 1; `k` is the knee |
//! | tanh | `tanh(u)` |
//! | cubic | `u - 4/27 u^3` up to 1.5, then 1 (third-order polynomial of J. O. Smith, *Physical Audio Signal Processing*, "Cubic nonlinear distortion", scaled to slope 1) |
//!
//! A curve makes harmonics; those that find no room under half the rate come back as tones that do not belong there. The
//! curve therefore runs at a higher rate ([`dsp::oversample`](crate::dsp::oversample)). Measured by the tests: a full-scale
//! tone at 5 kHz driven 12 dB into `tanh` at 48 kHz leaves aliases of -26 dB at 1x, -59 dB at 2x, -119 dB at 4x and -143 dB
//! (rounding) at 8x. On the way down the edges of hard clipping ring: peaks may stand up to 1.5 dB above the ceiling. A limiter
//! after it keeps a ceiling that must hold.

use fearless_simd::{Simd, dispatch};

use super::math::exp2;
use super::params::{FilterParams, filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::kernels;
use crate::dsp::oversample::Oversampler;
use crate::error::Result;

filter_choice! {
    /// How peaks are bent.
    pub enum ClipShape {
        Soft = "soft": "Straight, then a parabola into the ceiling.",
        Hard = "hard": "Straight up to the ceiling.",
        Tanh = "tanh": "Hyperbolic tangent: bends everything a little.",
        Cubic = "cubic": "Third-order polynomial: third harmonic only, until it meets the ceiling.",
    }
}

filter_choice! {
    /// How many times the rate is raised while a curve is applied.
    pub enum Oversampling {
        X4 = "4x": "Four times; 78 frames of latency.",
        X1 = "1x": "Not at all; no latency.",
        X2 = "2x": "Twice; 71 frames of latency.",
        X8 = "8x": "Eight times; 81 frames of latency.",
    }
}

impl Oversampling {
    /// The number.
    pub fn factor(self) -> usize {
        match self {
            Self::X1 => 1,
            Self::X2 => 2,
            Self::X4 => 4,
            Self::X8 => 8,
        }
    }
}

filter_params! {
    /// Bends peaks at a ceiling, hard or soft, without the aliases of a plain clipper.
    pub struct ClipperParams for "clipper" in Dynamics, realtime true {
        /// Gain before the curve.
        drive_db: f64 = 0.0, -24.0 to 48.0 "dB";
        /// Level that the curve ends at.
        ceiling_dbfs: f64 = -1.0, -60.0 to 0.0 "dBFS";
        /// How peaks are bent.
        shape: ClipShape = ClipShape::Soft;
        /// Where the bend of `soft` begins: at 100 from zero on, at 0 at the ceiling.
        knee_percent: f64 = 30.0, 0.0 to 100.0 "%";
        /// How many times the rate is raised; sets the latency.
        oversampling: Oversampling = Oversampling::X4;
        /// Gain after the curve.
        output_db: f64 = 0.0, -48.0 to 48.0 "dB";
    }
}

/// The curve with its scales.
#[derive(Debug, Clone, Copy)]
struct Bend {
    shape: ClipShape,
    /// To shares of the ceiling, and back with the output gain.
    before: f32,
    after: f32,
    knee: f32,
}

impl Bend {
    fn new(p: &ClipperParams) -> Self {
        Self {
            shape: p.shape,
            before: 10f64.powf((p.drive_db - p.ceiling_dbfs) / 20.0) as f32,
            after: 10f64.powf((p.ceiling_dbfs + p.output_db) / 20.0) as f32,
            // At 0 the division below would fail; this is hard to 1e-4.
            knee: (p.knee_percent / 100.0).max(1e-4) as f32,
        }
    }

    /// Bends samples in place. NaN becomes silence.
    fn run(self, samples: &mut [f32]) {
        let level = kernels::level();
        match self.shape {
            ClipShape::Hard => dispatch!(level, simd => self.hard(simd, samples)),
            ClipShape::Soft => dispatch!(level, simd => self.soft(simd, samples)),
            ClipShape::Tanh => dispatch!(level, simd => self.tanh(simd, samples)),
            ClipShape::Cubic => dispatch!(level, simd => self.cubic(simd, samples)),
        }
    }

    /// `x` as a share of the ceiling, held to `-most..most`.
    #[inline(always)]
    fn share(self, x: f32, most: f32) -> f32 {
        let u = self.before * x;
        let u = if u > -most { u } else { -most };
        if u < most { u } else { most }
    }

    #[inline(always)]
    fn hard<S: Simd>(self, _: S, samples: &mut [f32]) {
        for x in samples {
            *x = self.after * self.share(*x, 1.0);
        }
    }

    #[inline(always)]
    fn soft<S: Simd>(self, _: S, samples: &mut [f32]) {
        let (foot, per_knee) = (1.0 - self.knee, 0.25 / self.knee);
        for x in samples {
            let u = self.share(*x, 1.0 + self.knee);
            let above = u.abs() - foot;
            let above = if above > 0.0 { above } else { 0.0 };
            *x = self.after * (u - (above * above * per_knee).copysign(u));
        }
    }

    #[inline(always)]
    fn tanh<S: Simd>(self, _: S, samples: &mut [f32]) {
        // tanh(u) = (e^2u - 1) / (e^2u + 1), of the magnitude; at 10 it is 1 to f32. Absolute error below 2e-7. Under 0.05
        // the first two terms of the series, whose error is below 5e-8, keep small sounds exact.
        const OCTAVES: f32 = 2.0 * std::f32::consts::LOG2_E;
        for x in samples {
            let u = self.share(*x, 10.0);
            let e = exp2(OCTAVES * u.abs());
            let big = ((e - 1.0) / (e + 1.0)).copysign(u);
            let small = u - u * u * u * (1.0 / 3.0);
            *x = self.after * if u.abs() > 0.05 { big } else { small };
        }
    }

    #[inline(always)]
    fn cubic<S: Simd>(self, _: S, samples: &mut [f32]) {
        for x in samples {
            let u = self.share(*x, 1.5);
            *x = self.after * (u - 4.0 / 27.0 * (u * u * u));
        }
    }
}

/// See [`ClipperParams`]. Latency by the oversampling.
#[derive(Debug)]
pub struct Clipper {
    params: ClipperParams,
    bend: Bend,
    channels: Vec<Oversampler>,
}

impl Clipper {
    /// A clipper of `params`.
    pub fn new(params: &ClipperParams) -> Self {
        Self { params: params.clone(), bend: Bend::new(params), channels: Vec::new() }
    }
}

impl Filter for Clipper {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let oversampler = Oversampler::new(self.params.oversampling.factor())?;
        // Half of the response of the filters follows what the latency covers.
        let latency_frames = oversampler.latency_frames();
        self.channels = vec![oversampler; spec.channels()];
        Ok(Prepared { spec, max_frames, latency_frames, tail_frames: latency_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        let bend = self.bend;
        for (samples, oversampler) in block.channels_mut().zip(&mut self.channels) {
            if oversampler.factor() > 1 {
                // What is not finite would pass the filters for as long as their response.
                for x in samples.iter_mut() {
                    *x = if x.abs() < 1e9 { *x } else { 0.0 };
                }
            }
            oversampler.process(samples, |piece| bend.run(piece));
        }
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set {
            self.bend = Bend::new(&self.params);
        }
        set
    }

    fn reset(&mut self) {
        self.channels.iter_mut().for_each(Oversampler::reset);
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::audio::ChannelLayout;

    const SHAPES: [ClipShape; 4] = [ClipShape::Soft, ClipShape::Hard, ClipShape::Tanh, ClipShape::Cubic];

    fn formula(shape: ClipShape, k: f64, u: f64) -> f64 {
        let a = u.abs();
        let y = match shape {
            ClipShape::Hard => a.min(1.0),
            ClipShape::Soft if a <= 1.0 - k => a,
            ClipShape::Soft if a <= 1.0 + k => a - (a - 1.0 + k).powi(2) / (4.0 * k),
            ClipShape::Soft => 1.0,
            ClipShape::Tanh => a.tanh(),
            ClipShape::Cubic => {
                let a = a.min(1.5);
                a - 4.0 / 27.0 * a.powi(3)
            }
        };
        y.copysign(u)
    }

    #[test]
    fn the_curves_are_the_formulas() {
        for shape in SHAPES {
            let p = ClipperParams { drive_db: 6.0, ceiling_dbfs: -3.0, shape, output_db: 1.0, ..Default::default() };
            let (ceiling, drive, out) = (10f64.powf(-0.15), 10f64.powf(0.3), 10f64.powf(0.05));
            let xs: Vec<f32> = (-500..=500).map(|n| n as f32 / 250.0).collect();
            let mut ys = xs.clone();
            Bend::new(&p).run(&mut ys);
            for (x, y) in xs.iter().zip(&ys) {
                let want = ceiling * out * formula(shape, 0.3, f64::from(*x) * drive / ceiling);
                // Some roundings of f32 values about 1.
                assert!((f64::from(*y) - want).abs() < 5e-7, "{shape:?} {x}: {y} {want}");
            }
            let mut odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX];
            Bend::new(&p).run(&mut odd);
            assert!(odd.iter().all(|y| y.abs() < 1.0), "{odd:?}");
        }
    }

    /// Largest part of the output that is neither the tone of `periods` in 48000 frames nor one of its harmonics, in dB
    /// under the tone; and the tone's gain in dB.
    fn worst_alias_db(params: &ClipperParams, periods: usize) -> (f64, f64) {
        let frames = 48_000;
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut f = Clipper::new(params);
        f.prepare(spec, 2 * frames).unwrap();
        let step = TAU * periods as f64 / frames as f64;
        let mut block =
            Buffer::from_channels(spec, &[(0..2 * frames).map(|n| (step * n as f64).sin() as f32).collect()]);
        f.process(&mut block);
        // A whole second: every harmonic and alias falls on a whole number of Hz.
        let mut planner = realfft::RealFftPlanner::<f64>::new();
        let fft = planner.plan_fft_forward(frames);
        let mut x: Vec<f64> = block.channel(0)[frames..].iter().map(|v| f64::from(*v)).collect();
        let mut spectrum = fft.make_output_vec();
        fft.process(&mut x, &mut spectrum).unwrap();
        let tone = spectrum[periods].norm();
        // Up to 20 kHz, as the filters promise.
        let worst = (1..20_000).filter(|k| k % periods != 0).map(|k| spectrum[k].norm()).fold(0.0, f64::max);
        (20.0 * (worst / tone).log10(), 20.0 * (tone / (frames as f64 / 2.0)).log10())
    }

    #[test]
    fn aliases_fall_with_the_oversampling() {
        // 12 dB into tanh at 4999 Hz, whose aliases meet no harmonic.
        let at = |oversampling| {
            let p = ClipperParams {
                drive_db: 12.0,
                ceiling_dbfs: 0.0,
                shape: ClipShape::Tanh,
                oversampling,
                ..Default::default()
            };
            worst_alias_db(&p, 4_999).0
        };
        let got = [Oversampling::X1, Oversampling::X2, Oversampling::X4, Oversampling::X8].map(at);
        println!("tanh, 12 dB: aliases at 1x, 2x, 4x, 8x: {got:.1?} dB");
        // The harmonics of tanh fall by a steady factor, so each doubling about doubles the dB, down to the filters'
        // stop-band and rounding.
        for (got_db, most_db) in got.into_iter().zip([-25.0, -55.0, -100.0, -125.0]) {
            assert!(got_db < most_db, "{got:?}");
        }
        // A cubic that stays under its end has a third harmonic alone: at 2x nothing comes back at all.
        let p = ClipperParams {
            drive_db: 0.0,
            ceiling_dbfs: 0.0,
            shape: ClipShape::Cubic,
            oversampling: Oversampling::X2,
            ..Default::default()
        };
        assert!(worst_alias_db(&p, 9_001).0 < -100.0, "{}", worst_alias_db(&p, 9_001).0);
    }

    #[test]
    fn latency_is_the_oversamplers_and_quiet_sound_passes() {
        for (oversampling, latency) in
            [(Oversampling::X1, 0), (Oversampling::X2, 71), (Oversampling::X4, 78), (Oversampling::X8, 81)]
        {
            let p = ClipperParams { oversampling, ..Default::default() };
            let mut f = Clipper::new(&p);
            let spec = Spec::new(48_000, ChannelLayout::MONO);
            assert_eq!(f.prepare(spec, 4_000).unwrap().latency_frames, latency);
            let x: Vec<f32> = (0..4_000).map(|n| (0.2 * (TAU * 0.1 * f64::from(n)).sin()) as f32).collect();
            let mut block = Buffer::from_channels(spec, std::slice::from_ref(&x));
            f.process(&mut block);
            for (n, (y, x)) in block.channel(0)[latency..].iter().zip(&x).enumerate().skip(1_000).take(2_000) {
                // Under the knee the curve is straight: what differs is the ripple of 1e-4 dB and rounding.
                assert!((y - x).abs() < 1e-5, "{oversampling:?} {n}");
            }
        }
    }

    #[test]
    fn a_sine_comes_out_at_the_ceiling_and_clean_below() {
        for shape in SHAPES {
            let p = ClipperParams { drive_db: 24.0, ceiling_dbfs: -6.0, shape, ..Default::default() };
            let mut f = Clipper::new(&p);
            let spec = Spec::new(48_000, ChannelLayout::MONO);
            f.prepare(spec, 48_000).unwrap();
            let x = (0..48_000).map(|n| (TAU * 100.0 * f64::from(n) / 48_000.0).sin() as f32).collect();
            let mut block = Buffer::from_channels(spec, &[x]);
            f.process(&mut block);
            let top_db = 20.0 * block.channel(0)[4_800..].iter().fold(0.0f32, |a, b| a.max(b.abs())).log10();
            // The ringing of the edges, as the module says.
            assert!((-6.1..-4.5).contains(&top_db), "{shape:?} {top_db}");
        }
        let p = ClipperParams { drive_db: -12.0, ..Default::default() };
        let got_db = crate::filters::detector::tests::thd_n_db(&mut Clipper::new(&p), -1.0);
        println!("clipper THD+N under the knee {got_db:.1} dB");
        // f32 sums of 72 taps.
        assert!(got_db < -125.0, "{got_db}");
    }
}
