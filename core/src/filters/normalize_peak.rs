//! Peak normalisation of a whole file.

use super::normalize::{GainAfterAll, without_poison};
use super::params::{filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::meter::TruePeak;
use crate::meter::level::amplitude_db;

filter_choice! {
    /// Which peak.
    pub enum PeakKind {
        Sample = "sample": "The largest sample.",
        True = "true": "The largest value of the wave form between the samples, after ITU-R BS.1770-5, Annex 2.",
    }
}

filter_params! {
    /// Gives a whole file the gain that brings its highest peak to a target. For files.
    pub struct NormalizePeakParams for "normalize_peak" in Level, realtime false {
        /// Peak of the result.
        target_dbfs: f64 = -1.0, -60.0 to 0.0 "dBFS";
        /// Which peak.
        peak: PeakKind = PeakKind::Sample;
        /// One gain for all channels, which keeps the stereo image; otherwise one for each.
        link: bool = true;
        /// Most gain: what needs more stays quieter.
        max_gain_db: f64 = 60.0, 0.0 to 120.0 "dB";
    }
}

/// See [`NormalizePeakParams`]. Everything is held back to the end, beyond 16 MiB in a temporary file. Silence stays as it
/// is. NaN and infinity do not count. No latency, as it compensates itself.
pub struct NormalizePeak {
    params: NormalizePeakParams,
    stream: GainAfterAll,
    meters: Vec<TruePeak>,
    clean: Buffer,
}

impl NormalizePeak {
    /// A normalisation of `params`.
    pub fn new(params: &NormalizePeakParams) -> Self {
        let unset = Spec::new(48_000, ChannelLayout::MONO);
        Self { params: params.clone(), stream: GainAfterAll::new(), meters: Vec::new(), clean: Buffer::new(unset, 0) }
    }
}

impl Filter for NormalizePeak {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.stream.prepare(spec, max_frames);
        self.meters = vec![TruePeak::new(spec.rate_hz); spec.channels()];
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        without_poison(block, &mut self.clean);
        for (meter, samples) in self.meters.iter_mut().zip(self.clean.channels()) {
            meter.push(samples);
        }
        self.stream.take(block);
    }

    fn finish(&mut self, block: &mut Buffer) {
        let (p, meters) = (&self.params, &self.meters);
        self.stream.give(block, || {
            let peak = |m: &TruePeak| match p.peak {
                PeakKind::Sample => m.sample_peak(),
                PeakKind::True => m.peak(),
            };
            let top = meters.iter().map(peak).fold(0.0, f32::max);
            let gain_db = |m: &TruePeak| {
                let peak_dbfs = amplitude_db(f64::from(if p.link { top } else { peak(m) }));
                if peak_dbfs.is_finite() { (p.target_dbfs - peak_dbfs).min(p.max_gain_db) } else { 0.0 }
            };
            meters.iter().map(gain_db).collect()
        });
    }

    fn take_error(&mut self) -> Option<Error> {
        self.stream.take_error()
    }

    fn reset(&mut self) {
        self.stream.reset();
        self.meters.iter_mut().for_each(TruePeak::reset);
    }
}

#[cfg(test)]
mod tests {
    use super::super::normalize::tests::{noise, run};
    use super::*;

    fn peak(x: &[f32]) -> f64 {
        20.0 * f64::from(x.iter().fold(0.0f32, |m, v| m.max(v.abs()))).log10()
    }

    #[test]
    fn the_highest_peak_comes_to_the_target() {
        let planes = [noise(5_500, 0.3, 1), noise(5_500, 0.05, 2)];
        let linked = run(&mut NormalizePeak::new(&NormalizePeakParams::default()), 44_100, &planes);
        // One rounding of gain and product each.
        assert!((peak(&linked[0]) + 1.0).abs() < 1e-5 && linked[0].len() == 5_500);
        let ratio = linked[0][7] / planes[0][7];
        assert!(planes[1].iter().zip(&linked[1]).all(|(x, y)| *y == ratio * x || (y - ratio * x).abs() < 1e-7));
        let params = NormalizePeakParams { link: false, target_dbfs: -6.0, ..Default::default() };
        let each = run(&mut NormalizePeak::new(&params), 44_100, &planes);
        assert!(each.iter().all(|c| (peak(c) + 6.0).abs() < 1e-5));
        let params = NormalizePeakParams { max_gain_db: 3.0, ..Default::default() };
        let held = run(&mut NormalizePeak::new(&params), 44_100, &planes);
        assert!((peak(&held[0]) - peak(&planes[0]) - 3.0).abs() < 1e-5);
    }

    #[test]
    fn the_true_peak_lies_between_the_samples_and_silence_stays() {
        // A quarter of the rate at 45 degrees: samples at 0.7071 of the wave; faded in and out.
        let sine: Vec<f32> = (0..8_000)
            .map(|n| {
                let fade = (n.min(7_999 - n) as f32 / 1_000.0).min(1.0);
                0.1 * fade * (std::f32::consts::FRAC_PI_2 * (n % 4) as f32 + std::f32::consts::FRAC_PI_4).sin()
            })
            .collect();
        let params = NormalizePeakParams { peak: PeakKind::True, target_dbfs: -2.0, ..Default::default() };
        let y = run(&mut NormalizePeak::new(&params), 48_000, &[sine]);
        // The interpolator is exact to 0.01 dB.
        assert!((peak(&y[0]) + 2.0 + 3.0103).abs() < 0.02, "{}", peak(&y[0]));
        let silent = run(&mut NormalizePeak::new(&params), 48_000, &[vec![0.0; 2_000]]);
        assert!(silent[0].len() == 2_000 && silent[0].iter().all(|y| *y == 0.0));
    }
}
