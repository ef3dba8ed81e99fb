//! Loudness of a whole file: measured, then reached by gain and limiter.
//!
//! Integrated loudness after ITU-R BS.1770-5 and EBU R 128. The gain that brings it to the target is taken as it is when the
//! true peaks stay below the ceiling. Otherwise the limiter follows, which takes some loudness away: the gain before it is
//! found by running the held sound through gain and limiter, and following the secant through the last two results.

use super::gain::GainParams;
use super::limiter::LimiterParams;
use super::normalize::without_poison;
use super::params::filter_params;
use super::whole_file::WholeFile;
use super::{FileChain, Filter, FilterSpec, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::meter::{Loudness as Measured, LoudnessMeter, MeterOptions};

filter_params! {
    /// Brings a whole file to a loudness, with true peaks under a ceiling: measure, gain, limiter. For files.
    pub struct LoudnessParams for "loudness" in Level, realtime false {
        /// Integrated loudness of the result.
        target_lufs: f64 = -16.0, -60.0 to -5.0 "LUFS";
        /// Highest true peak of the result.
        ceiling_dbtp: f64 = -1.0, -20.0 to 0.0 "dBTP";
        /// Most gain: what needs more is noise, and stays quieter.
        max_gain_db: f64 = 60.0, 0.0 to 80.0 "dB";
        /// Measures a single channel as it sounds from two loudspeakers: 3.01 LU louder.
        dual_mono: bool = false;
    }
}

/// Error of the loudness that ends the search, in LU.
const SOLVED_LU: f64 = 0.01;
/// Rounds of the search after the first gain.
const MAX_ROUNDS: usize = 10;
/// Peaks this close below the ceiling get the limiter, in dB: the limiter looks closer than the meter.
const GUARD_DB: f64 = 0.3;
/// Frames read from the held sound at once.
const PIECE_FRAMES: usize = 4096;

/// See [`LoudnessParams`]. Everything is held back to the end, beyond 16 MiB in a temporary file. Silence stays as it is. NaN
/// and infinity do not count for the measurement, and are silence in the result. No latency, as it compensates itself.
pub struct LoudnessFilter {
    params: LoudnessParams,
    spec: Option<Spec>,
    max_frames: usize,
    whole: WholeFile,
    meter: Option<LoudnessMeter>,
    clean: Buffer,
    /// Gain and limiter, when they are known.
    chain: Option<FileChain>,
    /// Output that `finish` has not given yet, from `given` on.
    ready: Buffer,
    given: usize,
    error: Option<Error>,
}

impl LoudnessFilter {
    /// A loudness of `params`.
    pub fn new(params: &LoudnessParams) -> Self {
        let unset = Spec::new(48_000, ChannelLayout::MONO);
        Self {
            params: params.clone(),
            spec: None,
            max_frames: 0,
            whole: WholeFile::new(1),
            meter: None,
            clean: Buffer::new(unset, 0),
            chain: None,
            ready: Buffer::new(unset, 0),
            given: 0,
            error: None,
        }
    }

    fn options(&self) -> MeterOptions {
        MeterOptions { true_peak: true, range: false, dual_mono: self.params.dual_mono }
    }

    /// Gain, and limiter on request, prepared for the held sound.
    fn chain(&self, spec: Spec, gain_db: f64, limit: bool) -> Result<FileChain> {
        let mut filters = vec![FilterSpec::Gain(GainParams { gain_db, ..GainParams::default() })];
        if limit {
            let ceiling_dbtp = self.params.ceiling_dbtp;
            filters.push(FilterSpec::Limiter(LimiterParams { ceiling_dbtp, ..LimiterParams::default() }));
        }
        let mut chain = FileChain::new(&filters)?;
        chain.prepare(spec, PIECE_FRAMES)?;
        Ok(chain)
    }

    /// Loudness of the held sound after gain and limiter.
    fn trial(&mut self, spec: Spec, gain_db: f64) -> Result<f64> {
        let mut chain = self.chain(spec, gain_db, true)?;
        // No true peak: the limiter keeps it.
        let mut meter = LoudnessMeter::new(spec, MeterOptions { true_peak: false, ..self.options() })?;
        let mut push = |block: &Buffer| {
            meter.push(block);
            Ok(())
        };
        let mut work = Buffer::new(spec, PIECE_FRAMES);
        self.whole.rewind();
        loop {
            self.whole.read(&mut work, PIECE_FRAMES);
            if work.is_empty() {
                break;
            }
            chain.process(&mut work, &mut push)?;
        }
        chain.finish(&mut push)?;
        Ok(meter.integrated_lufs())
    }

    /// Finds gain and limiter.
    fn solve(&mut self, spec: Spec, measured: &Measured) -> Result<FileChain> {
        let (target, most) = (self.params.target_lufs, self.params.max_gain_db);
        if !measured.integrated_lufs.is_finite() {
            return self.chain(spec, 0.0, false);
        }
        // The range of the filter `gain`.
        let mut gain_db = (target - measured.integrated_lufs).clamp(-120.0, most.min(60.0));
        if measured.true_peak_dbtp + gain_db <= self.params.ceiling_dbtp - GUARD_DB {
            return self.chain(spec, gain_db, false);
        }
        let mut previous: Option<(f64, f64)> = None;
        for _ in 0..MAX_ROUNDS {
            let reached = self.trial(spec, gain_db)?;
            let missing = target - reached;
            if missing.abs() <= SOLVED_LU || !missing.is_finite() {
                break;
            }
            let slope = previous.map_or(1.0, |(gain, level)| (reached - level) / (gain_db - gain));
            // A limiter that gives nothing more must not lead to endless gain.
            let slope = if slope.is_finite() { slope.clamp(0.1, 2.0) } else { 1.0 };
            let next = (gain_db + (missing / slope).clamp(-12.0, 12.0)).clamp(-120.0, most.min(60.0));
            if next == gain_db {
                break;
            }
            previous = Some((gain_db, reached));
            gain_db = next;
        }
        self.chain(spec, gain_db, true)
    }

    /// Fills `ready` with what the next piece gives, which may be nothing; false at the end.
    fn refill(&mut self, spec: Spec) -> Result<bool> {
        if self.chain.is_none() {
            let Some(measured) = self.meter.as_ref().map(LoudnessMeter::summary) else { return Ok(false) };
            self.chain = Some(self.solve(spec, &measured)?);
            self.whole.rewind();
        }
        let Some(chain) = &mut self.chain else { return Ok(false) };
        self.ready.set_frames(0);
        self.given = 0;
        let ready = &mut self.ready;
        let mut keep = |block: &Buffer| {
            ready.append(block, 0, block.frames());
            Ok(())
        };
        self.whole.read(&mut self.clean, PIECE_FRAMES);
        if self.clean.is_empty() {
            // Gives nothing when it has been called before.
            chain.finish(&mut keep)?;
            return Ok(!self.ready.is_empty());
        }
        chain.process(&mut self.clean, &mut keep)?;
        Ok(true)
    }
}

impl Filter for LoudnessFilter {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.meter = Some(LoudnessMeter::new(spec, self.options())?);
        // What cannot be built is told now.
        self.chain(spec, 0.0, true)?;
        self.whole = WholeFile::new(spec.channels());
        self.ready = Buffer::new(spec, PIECE_FRAMES);
        self.clean = Buffer::new(spec, max_frames.max(PIECE_FRAMES));
        (self.spec, self.max_frames) = (Some(spec), max_frames);
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        if let Some(meter) = &mut self.meter {
            without_poison(block, &mut self.clean);
            meter.push(&self.clean);
            self.whole.push(&self.clean);
        }
        block.set_frames(0);
    }

    fn finish(&mut self, block: &mut Buffer) {
        block.set_frames(0);
        let Some(spec) = self.spec else { return };
        // The limiter swallows its latency first: a piece may give nothing.
        while self.given == self.ready.frames() {
            match self.refill(spec) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    self.error.get_or_insert(error);
                    return;
                }
            }
        }
        let count = (self.ready.frames() - self.given).min(self.max_frames);
        block.copy_from(&self.ready, self.given, count);
        self.given += count;
    }

    fn take_error(&mut self) -> Option<Error> {
        self.whole.take_error().or(self.error.take())
    }

    fn reset(&mut self) {
        self.whole.clear();
        if let Some(meter) = &mut self.meter {
            meter.reset();
        }
        self.chain = None;
        self.ready.set_frames(0);
        (self.given, self.error) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::normalize::tests::{noise, run};
    use super::*;

    fn measure(planes: &[Vec<f32>]) -> Measured {
        let spec = Spec::new(48_000, ChannelLayout::from_count(planes.len()));
        let mut meter = LoudnessMeter::new(spec, MeterOptions::default()).unwrap();
        meter.push(&Buffer::from_channels(spec, planes));
        meter.summary()
    }

    #[test]
    fn without_high_peaks_it_is_a_plain_gain() {
        let planes = [noise(96_000, 0.05, 1), noise(96_000, 0.05, 2)];
        let params = LoudnessParams { target_lufs: -20.0, ..Default::default() };
        let y = run(&mut LoudnessFilter::new(&params), 48_000, &planes);
        assert!((measure(&y).integrated_lufs + 20.0).abs() < 1e-4); // f32 gain
        let ratio = y[0][100] / planes[0][100];
        // Two roundings.
        assert!(y[1].iter().zip(&planes[1]).all(|(y, x)| (y - ratio * x).abs() <= 2e-7 * y.abs()));
        assert!(y[0].len() == 96_000);
    }

    #[test]
    fn with_high_peaks_the_limiter_holds_them_and_the_target_is_still_met() {
        let mut planes = [noise(144_000, 0.05, 1), noise(144_000, 0.05, 2)];
        for n in (500..144_000).step_by(2_000) {
            planes[n % 2][n] = 0.9;
        }
        let y = run(&mut LoudnessFilter::new(&LoudnessParams::default()), 48_000, &planes);
        let got = measure(&y);
        // The search ends at 0.01 LU.
        assert!((got.integrated_lufs + 16.0).abs() < 0.011, "{}", got.integrated_lufs);
        // The limiter looks at 16 points per sample, the meter at 4.
        assert!(got.true_peak_dbtp < -0.95, "{}", got.true_peak_dbtp);
        // In place: the clicks are where they were.
        assert!(y[0].len() == 144_000 && y[0][2_500].abs() > 0.5);
    }

    #[test]
    fn silence_poison_and_impossible_targets_are_survived() {
        let y = run(&mut LoudnessFilter::new(&LoudnessParams::default()), 48_000, &[vec![0.0; 30_000]]);
        assert!(y[0].len() == 30_000 && y[0].iter().all(|v| *v == 0.0));
        let mut poisoned = noise(48_000, 0.1, 5);
        poisoned[999] = f32::NAN;
        let y = run(&mut LoudnessFilter::new(&LoudnessParams::default()), 48_000, &[poisoned]);
        assert!(y[0].iter().all(|v| v.is_finite()) && y[0][999] == 0.0);
        let params = LoudnessParams { target_lufs: -5.0, ceiling_dbtp: -12.0, ..Default::default() };
        let y = run(&mut LoudnessFilter::new(&params), 48_000, &[noise(48_000, 0.1, 5)]);
        assert!(measure(&y).true_peak_dbtp < -11.95);
    }
}
