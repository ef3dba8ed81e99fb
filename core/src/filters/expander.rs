//! Downward expander: a gentle gate with a ratio.

use super::cells::{CELL_FRAMES, Cells};
use super::compressor::{average, detect, follow};
use super::math::{DB_PER_OCTAVE, exp2, log2, smoothing};
use super::params::filter_params;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Lowers what is quieter than a threshold, the quieter the more: room and breath go down without a gate's steps.
    pub struct ExpanderParams for "expander" in Dynamics, realtime true {
        /// RMS level under which gain is reduced.
        threshold_dbfs: f64 = -45.0, -100.0 to 0.0 "dBFS";
        /// Output over input change under the threshold: 2 means 1 dB less in gives 2 dB less out.
        ratio: f64 = 2.0, 1.0 to 20.0 "";
        /// Width of the soft transition around the threshold.
        knee_db: f64 = 10.0, 0.0 to 36.0 "dB";
        /// Most reduction.
        range_db: f64 = 12.0, 0.0 to 80.0 "dB";
        /// Time to cover 63 % of a rise of the gain.
        attack_ms: f64 = 3.0, 0.05 to 500.0 "ms";
        /// Time to cover 63 % of a fall of the gain.
        release_ms: f64 = 200.0, 1.0 to 5000.0 "ms";
        /// Time constant of the RMS detector.
        rms_ms: f64 = 10.0, 0.5 to 500.0 "ms";
    }
}

/// See [`ExpanderParams`]. All channels share one gain. No latency.
#[derive(Debug)]
pub struct Expander {
    params: ExpanderParams,
    cells: Cells,
    attack: f64,
    release: f64,
    averaging: f64,
    mean_square: f64,
    /// Reduction in octaves (6.02 dB).
    reduction: f64,
}

impl Expander {
    /// An expander of `params`.
    pub fn new(params: &ExpanderParams) -> Self {
        Self {
            params: params.clone(),
            cells: Cells::default(),
            attack: 0.0,
            release: 0.0,
            averaging: 0.0,
            mean_square: 0.0,
            reduction: 0.0,
        }
    }
}

impl Filter for Expander {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let rate_hz = f64::from(spec.rate_hz);
        self.attack = smoothing(self.params.attack_ms, rate_hz);
        self.release = smoothing(self.params.release_ms, rate_hz);
        self.averaging = smoothing(self.params.rms_ms, rate_hz);
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let p = &self.params;
        let threshold = p.threshold_dbfs as f32 / DB_PER_OCTAVE;
        let knee = (p.knee_db as f32 / DB_PER_OCTAVE).max(1e-4);
        let slope = (p.ratio - 1.0) as f32;
        let range = p.range_db as f32 / DB_PER_OCTAVE;
        let (attack, release, averaging) = (self.attack, self.release, self.averaging);
        let (mean_square, y) = (&mut self.mean_square, &mut self.reduction);
        let mut level = [0.0f32; CELL_FRAMES];
        self.cells.for_each(block.frames(), |piece, _| {
            let level = &mut level[..piece.len()];
            detect(block.channels().map(|s| &s[piece.clone()]), true, level);
            average(level, mean_square, averaging);
            for l in level.iter_mut() {
                let under = threshold - 0.5 * log2(*l);
                let in_knee = (under + 0.5 * knee).clamp(0.0, knee);
                let wanted = slope * (in_knee * in_knee / (2.0 * knee) + (under - 0.5 * knee).max(0.0));
                *l = wanted.min(range);
            }
            follow(level, y, release, attack);
            for l in level.iter_mut() {
                *l = exp2(-*l);
            }
            for samples in block.channels_mut() {
                for (x, gain) in samples[piece.clone()].iter_mut().zip(level.iter()) {
                    *x *= *gain;
                }
            }
        });
    }

    fn reset(&mut self) {
        (self.mean_square, self.reduction) = (0.0, 0.0);
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
}
