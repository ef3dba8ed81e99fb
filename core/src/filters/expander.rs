//! Downward expander, a gentle gate with a ratio; or upward compressor, which raises what is quiet.
//!
//! The static curve is that of the compressor turned over at the threshold: see [`gain_computer`](super::gain_computer).

use super::cells::{CELL_FRAMES, Cells};
use super::compressor::Detector;
use super::detector::{Sense, average, follow};
use super::gain_computer::{Curve, gains};
use super::math::{DB_PER_OCTAVE, smoothing};
use super::params::{FilterParams, filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_choice! {
    /// What happens to quiet sound.
    pub enum ExpanderMode {
        Downward = "downward": "Lowers what is under the threshold by `ratio - 1` dB for each dB (expander).",
        Upward = "upward": "Raises what is under the threshold by `1 - 1 / ratio` dB for each dB (upward compressor).",
    }
}

filter_params! {
    /// Lowers what is quieter than a threshold, the quieter the more: room and breath go down without a gate's steps. Or
    /// raises it, down to a floor.
    pub struct ExpanderParams for "expander" in Dynamics, realtime true {
        /// Level under which gain is changed.
        threshold_dbfs: f64 = -45.0, -100.0 to 0.0 "dBFS";
        /// Downward, output over input change under the threshold: 2 means 1 dB less in gives 2 dB less out. Upward, input
        /// over output change: 2 means 2 dB less in gives 1 dB less out.
        ratio: f64 = 2.0, 1.0 to 20.0 "";
        /// Width of the soft transition around the threshold.
        knee_db: f64 = 10.0, 0.0 to 36.0 "dB";
        /// Most change of gain.
        range_db: f64 = 12.0, 0.0 to 80.0 "dB";
        /// Time to cover 63 % of the way when the sound gets louder.
        attack_ms: f64 = 3.0, 0.05 to 500.0 "ms";
        /// Time to cover 63 % of the way when the sound gets quieter.
        release_ms: f64 = 200.0, 1.0 to 5000.0 "ms";
        /// Time constant of the RMS detector.
        rms_ms: f64 = 10.0, 0.5 to 500.0 "ms";
        /// What happens to quiet sound.
        mode: ExpanderMode = ExpanderMode::Downward;
        /// Upward only: under this level the gain falls again, 1 dB per dB, so that noise in pauses is not raised.
        floor_dbfs: f64 = -60.0, -120.0 to 0.0 "dBFS";
        /// How the level is measured.
        detector: Detector = Detector::Rms;
        /// High-pass in front of the detector (12 dB per octave); 0 is none.
        sidechain_highpass_hz: f64 = 0.0, 0.0 to 2000.0 "Hz";
    }
}

/// See [`ExpanderParams`]. All channels share one gain. No latency.
#[derive(Debug)]
pub struct Expander {
    params: ExpanderParams,
    rate_hz: f64,
    sense: Sense,
    cells: Cells,
    curve: Curve,
    /// In octaves.
    range: f32,
    floor: f32,
    /// Coefficients for a growing and a shrinking change of gain.
    up: f64,
    down: f64,
    averaging: f64,
    mean_square: f64,
    /// Change of gain in octaves (6.02 dB), 0 or more.
    change: f64,
}

impl Expander {
    /// An expander of `params`.
    pub fn new(params: &ExpanderParams) -> Self {
        Self {
            params: params.clone(),
            rate_hz: 48_000.0,
            sense: Sense::new(),
            cells: Cells::default(),
            curve: Curve::default(),
            range: 0.0,
            floor: 0.0,
            up: 0.0,
            down: 0.0,
            averaging: 0.0,
            mean_square: 0.0,
            change: 0.0,
        }
    }

    fn update(&mut self) {
        let (p, rate_hz) = (&self.params, self.rate_hz);
        let downward = p.mode == ExpanderMode::Downward;
        let slope = if downward { p.ratio - 1.0 } else { 1.0 - 1.0 / p.ratio };
        self.curve = Curve::new(p.detector == Detector::Rms, p.threshold_dbfs, p.knee_db, slope);
        self.range = p.range_db as f32 / DB_PER_OCTAVE;
        // Downward has no floor: lower than any level is.
        self.floor = if downward { -1e3 } else { p.floor_dbfs as f32 / DB_PER_OCTAVE };
        let (attack, release) = (smoothing(p.attack_ms, rate_hz), smoothing(p.release_ms, rate_hz));
        // Quieter sound makes a growing change.
        (self.up, self.down) = (release, attack);
        self.averaging = smoothing(p.rms_ms, rate_hz);
        self.sense.set_highpass(p.sidechain_highpass_hz, rate_hz);
    }

    fn run(&mut self, block: &mut Buffer, key: Option<&Buffer>) {
        let rms = self.params.detector == Detector::Rms;
        // With `makeup` 0 a reduction lowers; its negative raises.
        let sign = if self.params.mode == ExpanderMode::Downward { 1.0 } else { -1.0 };
        let (curve, range, floor, up, down) = (self.curve, self.range, self.floor, self.up, self.down);
        let (sense, averaging) = (&mut self.sense, self.averaging);
        let (mean_square, change) = (&mut self.mean_square, &mut self.change);
        let mut level = [0.0f32; CELL_FRAMES];
        let frames = key.map_or(block.frames(), |k| k.frames().min(block.frames()));
        self.cells.for_each(frames, |piece, _| {
            let level = &mut level[..piece.len()];
            sense.load(key.unwrap_or(&*block), piece.clone());
            sense.level(key.unwrap_or(&*block), piece.clone(), None, rms, level);
            if rms {
                average(level, mean_square, averaging);
            }
            curve.below(range, floor, level);
            follow(level, change, up, down);
            if sign < 0.0 {
                level.iter_mut().for_each(|l| *l = -*l);
            }
            gains(level, 0.0, 1.0);
            for samples in block.channels_mut() {
                for (x, gain) in samples[piece.clone()].iter_mut().zip(level.iter()) {
                    *x *= *gain;
                }
            }
        });
    }
}

impl Filter for Expander {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        self.sense.prepare(spec.channels());
        self.update();
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        self.run(block, None);
    }

    fn process_keyed(&mut self, block: &mut Buffer, key: &Buffer) {
        self.run(block, Some(key));
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set {
            self.update();
        }
        set
    }

    fn reset(&mut self) {
        (self.mean_square, self.change) = (0.0, 0.0);
        self.sense.reset();
        self.cells.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn static_curve_follows_the_ratio_down_to_the_range() {
        let params = ExpanderParams { threshold_dbfs: -40.0, knee_db: 0.0, range_db: 15.0, ..Default::default() };
        for (level_dbfs, want_db) in [(-20.0, 0.0), (-39.0, 0.0), (-45.0, -5.0), (-52.0, -12.0), (-80.0, -15.0)] {
            let spec = Spec::new(48_000, ChannelLayout::MONO);
            let mut f = Expander::new(&params);
            f.prepare(spec, 192_000).unwrap();
            let x = 10f64.powf(level_dbfs / 20.0) as f32;
            let mut block = Buffer::from_channels(spec, &[vec![x; 192_000]]);
            f.process(&mut block);
            // Four seconds are 20 release times; the rest is the approximations of log2 and exp2.
            let got_db = 20.0 * (block.channel(0)[191_999] / x).log10();
            assert!((got_db - want_db).abs() < 2e-3, "{level_dbfs}: {got_db}");
        }
    }

    fn settled_gain_db(params: &ExpanderParams, level_dbfs: f64, key_dbfs: Option<f64>) -> f64 {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut f = Expander::new(params);
        f.prepare(spec, 192_000).unwrap();
        let constant = |db: f64| Buffer::from_channels(spec, &[vec![10f64.powf(db / 20.0) as f32; 192_000]]);
        let mut block = constant(level_dbfs);
        match key_dbfs {
            Some(db) => f.process_keyed(&mut block, &constant(db)),
            None => f.process(&mut block),
        }
        20.0 * (f64::from(block.channel(0)[191_999]) / 10f64.powf(level_dbfs / 20.0)).log10()
    }

    #[test]
    fn upward_raises_quiet_sound_and_not_what_is_under_the_floor() {
        let params = ExpanderParams {
            threshold_dbfs: -20.0,
            ratio: 2.0,
            knee_db: 0.0,
            range_db: 12.0,
            mode: ExpanderMode::Upward,
            floor_dbfs: -60.0,
            ..Default::default()
        };
        for (level_dbfs, want_db) in
            [(-10.0, 0.0), (-20.0, 0.0), (-30.0, 5.0), (-44.0, 12.0), (-60.0, 12.0), (-66.0, 6.0), (-80.0, 0.0)]
        {
            let got_db = settled_gain_db(&params, level_dbfs, None);
            assert!((got_db - want_db).abs() < 2e-3, "{level_dbfs}: {got_db}");
        }
    }

    #[test]
    fn the_key_decides() {
        let params = ExpanderParams { threshold_dbfs: -40.0, knee_db: 0.0, range_db: 15.0, ..Default::default() };
        assert!((settled_gain_db(&params, -10.0, Some(-50.0)) + 10.0).abs() < 2e-3);
        assert!(settled_gain_db(&params, -70.0, Some(-30.0)).abs() < 2e-3);
    }

    #[test]
    fn attack_and_release_cover_63_percent_in_their_times() {
        let params = ExpanderParams {
            threshold_dbfs: -40.0,
            ratio: 2.0,
            knee_db: 0.0,
            attack_ms: 10.0,
            release_ms: 100.0,
            detector: Detector::Peak,
            ..Default::default()
        };
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut f = Expander::new(&params);
        f.prepare(spec, 96_000).unwrap();
        // 10 dB under the threshold, then over it.
        let quiet = 10f32.powf(-2.5);
        let mut x = vec![quiet; 48_000];
        x.extend(vec![0.1; 48_000]);
        let mut block = Buffer::from_channels(spec, &[x]);
        f.process(&mut block);
        let y = block.channel(0);
        let after_release_db = 20.0 * (y[4_800] / quiet).log10();
        let after_attack_db = 20.0 * (y[48_480] / 0.1).log10();
        // 10 dB times 1 - 1/e and 1/e; one frame is 0.001 and 0.01 dB.
        assert!((after_release_db + 6.32).abs() < 0.02, "{after_release_db}");
        assert!((after_attack_db + 3.68).abs() < 0.02, "{after_attack_db}");
    }

    #[test]
    fn distortion_of_a_sine() {
        // 8 dB of reduction, settled after 20 release times: what remains is the detector's ripple at twice the tone.
        let params = ExpanderParams { threshold_dbfs: -20.0, rms_ms: 30.0, release_ms: 50.0, ..Default::default() };
        let got_db = crate::filters::detector::tests::thd_n_db(&mut Expander::new(&params), -25.0);
        println!("expander THD+N {got_db:.1} dB");
        assert!(got_db < -60.0, "{got_db}");
    }
}
