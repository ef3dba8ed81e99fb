//! Compressor with soft knee, look-ahead, peak or RMS detection.
//!
//! Feed-forward in the logarithmic domain with the gain reduction smoothed by a branching one-pole: D. Giannoulis,
//! M. Massberg, J. Reiss, "Digital Dynamic Range Compressor Design", JAES 60(6), 2012, equations 4 and 16.

use fearless_simd::{Simd, dispatch};

use super::cells::{CELL_FRAMES, Cells};
use super::delay::Delay;
use super::math::{DB_PER_OCTAVE, exp2, log2, smoothing};
use super::params::{filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::kernels;
use crate::error::Result;

filter_choice! {
    /// How a level is measured.
    pub enum Detector {
        Rms = "rms": "Root mean square over some milliseconds; a full-scale sine reads -3.01 dBFS.",
        Peak = "peak": "Magnitude of the samples.",
    }
}

filter_params! {
    /// Lowers what is louder than a threshold, so that loud and quiet come closer.
    pub struct CompressorParams for "compressor" in Dynamics, realtime true {
        /// Level above which gain is reduced.
        threshold_dbfs: f64 = -20.0, -80.0 to 0.0 "dBFS";
        /// Input over output change above the threshold: 4 means 4:1.
        ratio: f64 = 3.0, 1.0 to 100.0 "";
        /// Width of the soft transition around the threshold.
        knee_db: f64 = 6.0, 0.0 to 36.0 "dB";
        /// Time to cover 63 % of a reduction.
        attack_ms: f64 = 10.0, 0.05 to 500.0 "ms";
        /// Time to cover 63 % of a recovery.
        release_ms: f64 = 150.0, 1.0 to 5000.0 "ms";
        /// Gain after compression.
        makeup_db: f64 = 0.0, -24.0 to 36.0 "dB";
        /// How the level is measured.
        detector: Detector = Detector::Rms;
        /// Time constant of the RMS detector.
        rms_ms: f64 = 10.0, 0.5 to 500.0 "ms";
        /// How much earlier the level is known than the sound is heard; adds as much latency.
        lookahead_ms: f64 = 0.0, 0.0 to 50.0 "ms";
        /// One gain for all channels, which keeps the stereo image; otherwise one for each.
        link: bool = true;
        /// Share of the compressed sound; the rest is the input (parallel compression).
        mix_percent: f64 = 100.0, 0.0 to 100.0 "%";
    }
}

/// State of one detector.
#[derive(Debug, Clone, Copy, Default)]
struct Envelope {
    mean_square: f64,
    /// Gain reduction in octaves (6.02 dB), 0 or more.
    reduction: f64,
}

/// See [`CompressorParams`]. Latency is the look-ahead. NaN counts as silence for the detector.
#[derive(Debug)]
pub struct Compressor {
    params: CompressorParams,
    envelopes: Vec<Envelope>,
    delays: Vec<Delay>,
    cells: Cells,
    attack: f64,
    release: f64,
    averaging: f64,
}

impl Compressor {
    /// A compressor of `params`.
    pub fn new(params: &CompressorParams) -> Self {
        Self {
            params: params.clone(),
            envelopes: Vec::new(),
            delays: Vec::new(),
            cells: Cells::default(),
            attack: 0.0,
            release: 0.0,
            averaging: 0.0,
        }
    }
}

/// Magnitudes of a detector that sees `channels` of the block, peaks or squares.
pub(super) fn detect<'a>(channels: impl Iterator<Item = &'a [f32]>, squares: bool, level: &mut [f32]) {
    level.fill(0.0);
    for samples in channels {
        for (l, x) in level.iter_mut().zip(samples) {
            // NaN compares false, so it is ignored. Infinity is limited, so that it does not stay in the average.
            let a = if squares { x * x } else { x.abs() };
            let a = if a < 1e6 { a } else { 0.0 };
            *l = if a > *l { a } else { *l };
        }
    }
}

/// Smooths squares to a mean square in place.
pub(super) fn average(level: &mut [f32], state: &mut f64, coefficient: f64) {
    let mut y = *state;
    for l in level {
        // The constant is -250 dBFS: it keeps the decay from reaching denormal numbers.
        let x = f64::from(*l);
        y = x + coefficient * (y - x) + 1e-25;
        *l = y as f32;
    }
    *state = y;
}

/// The static curve, in octaves.
#[derive(Clone, Copy)]
struct Curve {
    /// From the logarithm of the detector's value to octaves of amplitude.
    scale: f32,
    threshold: f32,
    knee: f32,
    /// `1 - 1 / ratio`.
    slope: f32,
}

impl Curve {
    /// From levels to reductions, in place. A plain loop, compiled for each instruction set: the same bits on each.
    #[inline(always)]
    fn reductions<S: Simd>(self, _: S, level: &mut [f32]) {
        let (half, per_knee) = (0.5 * self.knee, 0.5 / self.knee);
        for l in level {
            let over = self.scale * log2(*l) - self.threshold;
            let from_foot = over + half;
            let in_knee = if from_foot > 0.0 { from_foot } else { 0.0 };
            let in_knee = if in_knee < self.knee { in_knee } else { self.knee };
            let above = if over > half { over - half } else { 0.0 };
            *l = self.slope * (in_knee * in_knee * per_knee + above);
        }
    }
}

/// From reductions to gains, in place.
#[inline(always)]
fn gains<S: Simd>(_: S, level: &mut [f32], makeup: f32, wet: f32) {
    for l in level {
        *l = 1.0 - wet + wet * exp2(makeup - *l);
    }
}

/// Smooths reductions (in octaves) in place: `up` while they grow, `down` while they shrink.
pub(super) fn follow(level: &mut [f32], state: &mut f64, up: f64, down: f64) {
    let mut y = *state;
    for l in level {
        let x = f64::from(*l);
        let c = if x > y { up } else { down };
        y = x + c * (y - x);
        // Under 1e-7 octaves (6e-7 dB) is none; this also ends the decay before denormal numbers.
        y = if y > 1e-7 { y } else { 0.0 };
        *l = y as f32;
    }
    *state = y;
}

impl Filter for Compressor {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let rate_hz = f64::from(spec.rate_hz);
        let p = &self.params;
        let lookahead_frames = (p.lookahead_ms * rate_hz / 1000.0).round() as usize;
        let detectors = if p.link { 1 } else { spec.channels() };
        self.envelopes = vec![Envelope::default(); detectors];
        self.delays = vec![Delay::new(lookahead_frames); spec.channels()];
        self.attack = smoothing(p.attack_ms, rate_hz);
        self.release = smoothing(p.release_ms, rate_hz);
        self.averaging = smoothing(p.rms_ms, rate_hz);
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: lookahead_frames, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let p = &self.params;
        let rms = p.detector == Detector::Rms;
        // Everything in octaves. The logarithm of a square is twice that of the magnitude.
        let scale = if rms { 0.5 } else { 1.0 };
        let threshold = p.threshold_dbfs as f32 / DB_PER_OCTAVE;
        let knee = (p.knee_db as f32 / DB_PER_OCTAVE).max(1e-4);
        let slope = (1.0 - 1.0 / p.ratio) as f32;
        let makeup = p.makeup_db as f32 / DB_PER_OCTAVE;
        let wet = (p.mix_percent / 100.0) as f32;
        let (attack, release, averaging) = (self.attack, self.release, self.averaging);
        let mut level = [0.0f32; CELL_FRAMES];
        let frames = block.frames();
        let (envelopes, delays) = (&mut self.envelopes, &mut self.delays);
        self.cells.for_each(frames, |piece, _| {
            let level = &mut level[..piece.len()];
            for (index, envelope) in envelopes.iter_mut().enumerate() {
                let mine = |c: usize| p.link || c == index;
                detect(
                    block.channels().enumerate().filter(|(c, _)| mine(*c)).map(|(_, s)| &s[piece.clone()]),
                    rms,
                    level,
                );
                if rms {
                    average(level, &mut envelope.mean_square, averaging);
                }
                let curve = Curve { scale, threshold, knee, slope };
                dispatch!(kernels::level(), simd => curve.reductions(simd, level));
                follow(level, &mut envelope.reduction, attack, release);
                dispatch!(kernels::level(), simd => gains(simd, level, makeup, wet));
                for (_, (samples, delay)) in
                    block.channels_mut().zip(delays.iter_mut()).enumerate().filter(|(c, _)| mine(*c))
                {
                    let samples = &mut samples[piece.clone()];
                    delay.process(samples);
                    for (x, gain) in samples.iter_mut().zip(level.iter()) {
                        *x *= *gain;
                    }
                }
            }
        });
    }

    fn reset(&mut self) {
        self.envelopes.fill(Envelope::default());
        self.delays.iter_mut().for_each(Delay::reset);
        self.cells.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    /// Settled gain in dB for a constant of `level_dbfs`.
    fn static_gain_db(params: &CompressorParams, level_dbfs: f64) -> f64 {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let mut f = Compressor::new(params);
        f.prepare(spec, 96_000).unwrap();
        let x = 10f64.powf(level_dbfs / 20.0) as f32;
        let mut block = Buffer::from_channels(spec, &[vec![x; 96_000], vec![x / 2.0; 96_000]]);
        f.process(&mut block);
        20.0 * f64::from(block.channel(0)[95_999] / x).log10()
    }

    #[test]
    fn static_curve_follows_the_formula() {
        for detector in [Detector::Peak, Detector::Rms] {
            for (ratio, knee_db) in [(4.0, 0.0), (2.0, 10.0), (100.0, 6.0)] {
                let params = CompressorParams {
                    threshold_dbfs: -24.0,
                    ratio,
                    knee_db,
                    detector,
                    makeup_db: 3.0,
                    ..Default::default()
                };
                for level_dbfs in [-60.0, -30.0, -26.0, -24.0, -21.0, -12.0, 0.0] {
                    let over: f64 = level_dbfs + 24.0;
                    let slope = 1.0 / ratio - 1.0;
                    // Giannoulis et al. 2012, equation 4.
                    let want_db = 3.0
                        + if 2.0 * over < -knee_db || (knee_db == 0.0 && over <= 0.0) {
                            0.0
                        } else if 2.0 * over.abs() <= knee_db {
                            slope * (over + knee_db / 2.0).powi(2) / (2.0 * knee_db)
                        } else {
                            slope * over
                        };
                    let got_db = static_gain_db(&params, level_dbfs);
                    // log2, exp2 and f32 dB values: 1e-4 dB; the settled RMS adds as much.
                    assert!((got_db - want_db).abs() < 1e-3, "{ratio} {knee_db} {level_dbfs}: {got_db} {want_db}");
                }
            }
        }
    }

    #[test]
    fn attack_and_release_take_their_times() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let params = CompressorParams {
            threshold_dbfs: -20.0,
            ratio: 2.0,
            knee_db: 0.0,
            detector: Detector::Peak,
            attack_ms: 10.0,
            release_ms: 100.0,
            ..Default::default()
        };
        let mut f = Compressor::new(&params);
        f.prepare(spec, 96_000).unwrap();
        let mut x = vec![1.0f32; 48_000];
        x.extend(vec![0.01; 48_000]);
        let mut block = Buffer::from_channels(spec, &[x]);
        f.process(&mut block);
        let y = block.channel(0);
        // A step of 20 dB over the threshold at 2:1 settles at -10 dB and covers 1 - 1/e of it in the attack time.
        let at_attack_db = 20.0 * y[480].log10();
        assert!((at_attack_db + 6.32).abs() < 0.05, "{at_attack_db}");
        let at_release_db = 20.0 * (y[48_000 + 4_800] / 0.01).log10();
        assert!((at_release_db + 3.68).abs() < 0.05, "{at_release_db}");
    }

    #[test]
    fn lookahead_delays_the_sound_and_not_the_gain() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let params = CompressorParams { lookahead_ms: 5.0, attack_ms: 1.0, ..Default::default() };
        let mut f = Compressor::new(&params);
        assert_eq!(f.prepare(spec, 1_000).unwrap().latency_frames, 240);
        let mut block = Buffer::from_channels(spec, &[vec![1.0; 1_000]]);
        f.process(&mut block);
        assert!(block.channel(0)[..240].iter().all(|y| *y == 0.0));
        assert!(block.channel(0)[240] < 0.5, "the onset is already reduced: {}", block.channel(0)[240]);
    }
}
