//! Compressor with soft knee, look-ahead, peak or RMS detection.
//!
//! Feed-forward in the logarithmic domain with the gain reduction smoothed by a branching one-pole: D. Giannoulis,
//! M. Massberg, J. Reiss, "Digital Dynamic Range Compressor Design", JAES 60(6), 2012, equations 4 and 16. The detector
//! listens to the sound itself or to a key (side-chain), through a high-pass if wanted.

use super::cells::{CELL_FRAMES, Cells};
use super::delay::Delay;
use super::detector::{Sense, apply, average, follow};
use super::gain_computer::{Curve, gains};
use super::math::{DB_PER_OCTAVE, smoothing};
use super::params::{FilterParams, filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
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
        /// How far the gains of linked channels are one: at 50 a channel gets half of its own reduction and half of the
        /// common one, in dB. Without effect when `link` is false.
        link_percent: f64 = 100.0, 0.0 to 100.0 "%";
        /// Adds gain so that full scale loses half of its reduction: half of what the curve takes from 0 dBFS.
        auto_makeup: bool = false;
        /// High-pass in front of the detector (12 dB per octave), so that bass does not pump the rest; 0 is none.
        sidechain_highpass_hz: f64 = 0.0, 0.0 to 2000.0 "Hz";
    }
}

/// Place of `lookahead_ms`, which decides the latency.
const LOOKAHEAD: usize = 8;

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
    rate_hz: f64,
    sense: Sense,
    /// One for each channel, and the common one.
    envelopes: Vec<Envelope>,
    common: Envelope,
    delays: Vec<Delay>,
    cells: Cells,
    curve: Curve,
    attack: f64,
    release: f64,
    averaging: f64,
    /// In octaves.
    makeup: f32,
    wet: f32,
    /// Share of the common reduction.
    shared: f32,
}

impl Compressor {
    /// A compressor of `params`.
    pub fn new(params: &CompressorParams) -> Self {
        Self {
            params: params.clone(),
            rate_hz: 48_000.0,
            sense: Sense::new(),
            envelopes: Vec::new(),
            common: Envelope::default(),
            delays: Vec::new(),
            cells: Cells::default(),
            curve: Curve::default(),
            attack: 0.0,
            release: 0.0,
            averaging: 0.0,
            makeup: 0.0,
            wet: 1.0,
            shared: 1.0,
        }
    }

    fn update(&mut self) {
        let (p, rate_hz) = (&self.params, self.rate_hz);
        self.curve = Curve::new(p.detector == Detector::Rms, p.threshold_dbfs, p.knee_db, 1.0 - 1.0 / p.ratio);
        let auto = if p.auto_makeup { 0.5 * self.curve.beyond(-self.curve.threshold) } else { 0.0 };
        self.makeup = p.makeup_db as f32 / DB_PER_OCTAVE + auto;
        self.wet = (p.mix_percent / 100.0) as f32;
        self.shared = if p.link { (p.link_percent / 100.0) as f32 } else { 0.0 };
        self.attack = smoothing(p.attack_ms, rate_hz);
        self.release = smoothing(p.release_ms, rate_hz);
        self.averaging = smoothing(p.rms_ms, rate_hz);
        self.sense.set_highpass(p.sidechain_highpass_hz, rate_hz);
    }

    fn run(&mut self, block: &mut Buffer, key: Option<&Buffer>) {
        let rms = self.params.detector == Detector::Rms;
        let (curve, makeup, wet, shared) = (self.curve, self.makeup, self.wet, self.shared);
        let (attack, release, averaging) = (self.attack, self.release, self.averaging);
        let (sense, envelopes, common, delays) =
            (&mut self.sense, &mut self.envelopes, &mut self.common, &mut self.delays);
        let mut one = [0.0f32; CELL_FRAMES];
        let mut own = [0.0f32; CELL_FRAMES];
        let frames = key.map_or(block.frames(), |k| k.frames().min(block.frames()));
        self.cells.for_each(frames, |piece, _| {
            let one = &mut one[..piece.len()];
            sense.load(key.unwrap_or(&*block), piece.clone());
            let reductions = |channel, mean_square: &mut f64, level: &mut [f32], block: &Buffer| {
                sense.level(key.unwrap_or(block), piece.clone(), channel, rms, level);
                if rms {
                    average(level, mean_square, averaging);
                }
                curve.above(level);
            };
            if shared > 0.0 {
                reductions(None, &mut common.mean_square, one, block);
            }
            if shared == 1.0 {
                follow(one, &mut common.reduction, attack, release);
                gains(one, makeup, wet);
                for (samples, delay) in block.channels_mut().zip(delays.iter_mut()) {
                    apply(&mut samples[piece.clone()], delay, one);
                }
                // For when the link is loosened while running.
                envelopes.fill(*common);
                return;
            }
            let own = &mut own[..piece.len()];
            let mut most = 0.0f64;
            for (index, (envelope, delay)) in envelopes.iter_mut().zip(delays.iter_mut()).enumerate() {
                reductions(Some(index), &mut envelope.mean_square, own, block);
                if shared > 0.0 {
                    for (mine, all) in own.iter_mut().zip(one.iter()) {
                        *mine += shared * (all - *mine);
                    }
                }
                follow(own, &mut envelope.reduction, attack, release);
                most = most.max(envelope.reduction);
                gains(own, makeup, wet);
                if index < block.channel_count() {
                    apply(&mut block.channel_mut(index)[piece.clone()], delay, own);
                }
            }
            common.reduction = most;
        });
    }
}

impl Filter for Compressor {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        let lookahead_frames = (self.params.lookahead_ms * self.rate_hz / 1000.0).round() as usize;
        self.envelopes = vec![Envelope::default(); spec.channels()];
        self.delays = vec![Delay::new(lookahead_frames); spec.channels()];
        self.sense.prepare(spec.channels());
        self.update();
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: lookahead_frames, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        self.run(block, None);
    }

    fn process_keyed(&mut self, block: &mut Buffer, key: &Buffer) {
        self.run(block, Some(key));
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = index != LOOKAHEAD && self.params.set_number(index, value);
        if set {
            self.update();
        }
        set
    }

    fn reset(&mut self) {
        self.envelopes.fill(Envelope::default());
        self.common = Envelope::default();
        self.delays.iter_mut().for_each(Delay::reset);
        self.sense.reset();
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

    /// Runs `params` on channels of 48 kHz, with a key if given.
    fn run(params: &CompressorParams, x: &[Vec<f32>], key: Option<&[Vec<f32>]>) -> Vec<Vec<f32>> {
        let spec = |n: usize| Spec::new(48_000, ChannelLayout::from_count(n));
        let mut f = Compressor::new(params);
        f.prepare(spec(x.len()), x[0].len()).unwrap();
        let mut block = Buffer::from_channels(spec(x.len()), x);
        match key {
            Some(key) => f.process_keyed(&mut block, &Buffer::from_channels(spec(key.len()), key)),
            None => f.process(&mut block),
        }
        block.channels().map(<[f32]>::to_vec).collect()
    }

    fn end_db(y: &[f32], x: f32) -> f64 {
        20.0 * f64::from(y[y.len() - 1] / x).log10()
    }

    /// Settled channels of 0 dBFS and -40 dBFS get -15 dB and 0 dB alone at 4:1 over -20 dBFS.
    #[test]
    fn the_link_shares_the_reduction_in_db() {
        let x = [vec![1.0f32; 96_000], vec![0.01; 96_000]];
        for (link, link_percent, want_db) in
            [(false, 100.0, 0.0), (true, 0.0, 0.0), (true, 50.0, -7.5), (true, 90.0, -13.5), (true, 100.0, -15.0)]
        {
            let params = CompressorParams { ratio: 4.0, knee_db: 0.0, link, link_percent, ..Default::default() };
            let y = run(&params, &x, None);
            // As for the static curve.
            assert!((end_db(&y[0], 1.0) + 15.0).abs() < 1e-3, "{link_percent}");
            assert!((end_db(&y[1], 0.01) - want_db).abs() < 1e-3, "{link_percent}: {}", end_db(&y[1], 0.01));
        }
    }

    #[test]
    fn the_key_decides_and_its_bass_can_be_left_out() {
        let x = [vec![0.01f32; 96_000]];
        let params = CompressorParams { ratio: 4.0, knee_db: 0.0, ..Default::default() };
        let bass: Vec<f32> = (0..96_000).map(|n| (std::f32::consts::TAU * 40.0 * n as f32 / 48_000.0).sin()).collect();
        let y = run(&params, &x, Some(&[vec![0.0; 96_000], bass.clone()]));
        // A full-scale sine is -3 dBFS: 17 dB over, 12.7 dB down, with the ripple of 10 ms of averaging at 40 Hz.
        assert!((end_db(&y[0], 0.01) + 12.75).abs() < 1.5, "{}", end_db(&y[0], 0.01));
        let filtered = CompressorParams { sidechain_highpass_hz: 800.0, ..params };
        // (40 / 800)^2 is -52 dB: under the threshold.
        let y = run(&filtered, &x, Some(&[vec![0.0; 96_000], bass]));
        assert_eq!(y[0][95_999], 0.01);
    }

    #[test]
    fn auto_makeup_gives_half_of_what_full_scale_loses() {
        let params = CompressorParams { ratio: 4.0, knee_db: 0.0, auto_makeup: true, ..Default::default() };
        let y = run(&params, &[vec![1.0f32; 96_000]], None);
        assert!((end_db(&y[0], 1.0) + 7.5).abs() < 1e-3);
    }

    #[test]
    fn live_parameters_take_effect_and_latency_does_not_change() {
        let names: Vec<_> = CompressorParams::parameters().iter().map(|p| p.name).collect();
        assert_eq!(names[LOOKAHEAD], "lookahead_ms");
        let params = CompressorParams { ratio: 1.0, knee_db: 0.0, ..Default::default() };
        let mut f = Compressor::new(&params);
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        f.prepare(spec, 96_000).unwrap();
        assert!(!f.set_parameter(LOOKAHEAD, 5.0) && !f.set_parameter(99, 1.0));
        assert!(f.set_parameter(1, 4.0) && f.set_parameter(0, -10.0));
        let mut block = Buffer::from_channels(spec, &[vec![1.0; 96_000]]);
        f.process(&mut block);
        assert!((end_db(block.channel(0), 1.0) + 7.5).abs() < 1e-3);
    }

    #[test]
    fn distortion_of_a_sine() {
        // 12 dB of reduction with slow times: the ripple of the detector at twice the tone is what remains.
        let params = CompressorParams { ratio: 4.0, rms_ms: 30.0, ..Default::default() };
        let got_db = crate::filters::detector::tests::thd_n_db(&mut Compressor::new(&params), -1.0);
        println!("compressor THD+N {got_db:.1} dB");
        assert!(got_db < -100.0, "{got_db}");
    }

    #[test]
    fn the_fast_loops_are_the_plain_definition() {
        // Bursts of noise, so that attack and release alternate.
        let mut seed = 5u32;
        let mut noise = |n: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (if (n / 2_000) % 3 == 1 { 0.02 } else { 0.8 }) * ((seed >> 8) as f32 / 8_388_608.0 - 1.0)
        };
        let x: Vec<f32> = (0..40_000).map(&mut noise).collect();
        for detector in [Detector::Rms, Detector::Peak] {
            for (attack_ms, release_ms) in [(0.05, 80.0), (10.0, 150.0), (200.0, 5.0)] {
                let params = CompressorParams { detector, attack_ms, release_ms, ..Default::default() };
                let y = run(&params, std::slice::from_ref(&x), None);
                let c = |ms: f64| (-1.0 / (ms * 48.0)).exp();
                let (mut square, mut reduction_db) = (0.0f64, 0.0f64);
                for (n, (x, y)) in x.iter().zip(&y[0]).enumerate() {
                    let level = f64::from(*x).abs();
                    square = level * level + c(10.0) * (square - level * level);
                    let seen = if detector == Detector::Rms { square } else { level * level };
                    let over_db: f64 = 10.0 * (seen + 1e-30).log10() + 20.0;
                    let wanted_db = 2.0 / 3.0
                        * if over_db.abs() <= 3.0 { (over_db + 3.0).powi(2) / 12.0 } else { over_db.max(0.0) };
                    let share = if wanted_db > reduction_db { c(attack_ms) } else { c(release_ms) };
                    reduction_db = wanted_db + share * (reduction_db - wanted_db);
                    let want = f64::from(*x) * 10f64.powf(-reduction_db / 20.0);
                    // log2, exp2 and octaves in f32: 1e-5 dB, which is 1.2e-6 of the sample.
                    assert!((f64::from(*y) - want).abs() <= 2e-6 * want.abs() + 1e-12, "{params:?} {n}: {y} {want}");
                }
            }
        }
    }
}
