//! The gain before the limiter with which the limited signal meets the level target.

use super::control::Stage;
use super::job::JobOutput;
use super::progress::Tracker;
use super::recipe::LevelTarget;
use super::spool::Spool;
use crate::audio::{Buffer, Spec};
use crate::dsp::kernels::KState;
use crate::error::Result;
use crate::filters::gain::GainParams;
use crate::filters::limiter::{LimiterParams, LimiterTrial};
use crate::filters::{FileChain, FilterSpec};
use crate::meter::{Loudness, LoudnessMeter, MeterOptions};

use super::pipe::{BLOCK_FRAMES, in_blocks};

/// Error of the level that ends the search, in dB: a tenth of the promised +/-0.1.
const SOLVED_DB: f64 = 0.01;

/// Errors up to this follow the secant: what is left then is far below [`SOLVED_DB`], in dB.
const STRAIGHT_DB: f64 = 0.1;

/// Rounds of the search after the first two gains; none is usual.
const MAX_ROUNDS: usize = 10;

/// Level that the limiter usually takes from speech and music, in dB for each dB that the peaks are above its ceiling.
const USUAL_LOSS: f64 = 0.16;

/// Most gain, in dB: what needs more is noise.
const MAX_GAIN_DB: f64 = 60.0;

/// Peaks this close below the ceiling keep the limiter in the chain, in dB: resampling and rounding may raise them.
const LIMITER_GUARD_DB: f64 = 0.3;

/// Gain and limiter of one output.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Solution {
    pub gain_db: f64,
    /// None: the peaks stay below the ceiling without a limiter.
    pub ceiling_dbtp: Option<f64>,
    /// Level that the search predicts before encoding, in LUFS or dBFS.
    pub level: f64,
    /// Why the target cannot be met, when it cannot.
    pub reason: Option<String>,
}

impl Solution {
    /// The filters that carry it out, after the conversions of `output`.
    pub fn filters(&self, output: &JobOutput) -> Vec<FilterSpec> {
        let mut filters = output.back.clone();
        if self.gain_db != 0.0 {
            filters.push(FilterSpec::Gain(GainParams { gain_db: self.gain_db, ..GainParams::default() }));
        }
        if let Some(ceiling_dbtp) = self.ceiling_dbtp {
            filters.push(FilterSpec::Limiter(LimiterParams { ceiling_dbtp, ..LimiterParams::default() }));
        }
        filters
    }
}

/// The quantity of a measurement that a target is about.
pub(crate) fn level_of(target: &LevelTarget, measured: &Loudness) -> f64 {
    match target {
        LevelTarget::Loudness { .. } => measured.integrated_lufs,
        LevelTarget::Rms { .. } => measured.rms_dbfs,
    }
}

/// The wanted value of that quantity.
pub(crate) fn wanted(target: &LevelTarget) -> f64 {
    match target {
        LevelTarget::Loudness { integrated_lufs, .. } => *integrated_lufs,
        LevelTarget::Rms { rms_dbfs, .. } => *rms_dbfs,
    }
}

/// What all measurements of one output share.
pub(crate) struct Solver<'a> {
    pub spool: &'a Spool,
    /// Rate and layout of the spool.
    pub working: Spec,
    pub output: &'a JobOutput,
    pub tracker: &'a Tracker<'a>,
}

impl Solver<'_> {
    /// Measures the spool as it will be before gain and limiter: the first pass did, unless the output has its own mix.
    pub fn before_gain(&self, filtered: &Loudness) -> Result<Loudness> {
        if self.output.negotiated.spec.layout == self.working.layout {
            return Ok(*filtered);
        }
        self.measure(&self.output.back, MeterOptions::default())
    }

    /// Finds gain and limiter so that the result has the level `wanted` with true peaks of at most `ceiling_dbtp`.
    pub fn solve(&self, before: &Loudness, target: &LevelTarget, wanted: f64, ceiling_dbtp: f64) -> Result<Solution> {
        let _span = tracing::info_span!("solve", wanted, ceiling_dbtp).entered();
        let level = level_of(target, before);
        if !level.is_finite() {
            let reason = "the input is silent: no gain gives it a level".to_owned();
            return Ok(Solution { gain_db: 0.0, ceiling_dbtp: None, level, reason: Some(reason) });
        }
        let mut solution =
            Solution { gain_db: (wanted - level).min(MAX_GAIN_DB), ceiling_dbtp: None, level: wanted, reason: None };
        if before.true_peak_dbtp + solution.gain_db <= ceiling_dbtp - LIMITER_GUARD_DB {
            if wanted - level > MAX_GAIN_DB {
                solution.level = level + MAX_GAIN_DB;
                solution.reason = Some(format!("it would take more than {MAX_GAIN_DB} dB of gain"));
            }
            return Ok(solution);
        }
        solution.ceiling_dbtp = Some(ceiling_dbtp);
        // Two gains in one pass: what makes up for nothing and what makes up for a usual loss in the limiter.
        let excess_db = before.true_peak_dbtp + solution.gain_db - ceiling_dbtp;
        let low = solution.gain_db;
        let high = (low + (USUAL_LOSS * excess_db).clamp(0.05, 2.0)).min(MAX_GAIN_DB);
        let limiter = LimiterParams { ceiling_dbtp, ..LimiterParams::default() };
        let levels_at =
            |gains_db: [f64; 2]| self.measure_two(&limiter, gains_db).map(|both| both.map(|m| level_of(target, &m)));
        let [at_low, at_high] = levels_at([low, high])?;
        let (mut previous, mut last) = ((low, at_low), (high, at_high));
        for round in 0..MAX_ROUNDS {
            let missing = wanted - last.1;
            (solution.gain_db, solution.level) = last;
            if missing.abs() <= SOLVED_DB {
                return Ok(solution);
            }
            // The secant through the last two points.
            let slope = (last.1 - previous.1) / (last.0 - previous.0);
            let slope = if slope.is_finite() { slope.clamp(0.1, 2.0) } else { 1.0 };
            let next = (last.0 + (missing / slope).clamp(-12.0, 12.0)).min(MAX_GAIN_DB);
            if next == last.0 {
                break;
            }
            // Between the first two points or not far outside, and close to the goal, the curve is as good as straight.
            let near_start = round == 0 && next >= low - 0.1 && next <= high + 0.5 * (high - low);
            if near_start || (round > 0 && missing.abs() <= STRAIGHT_DB) {
                return Ok(Solution { gain_db: next, level: wanted, ..solution });
            }
            (previous, last) = (last, (next, levels_at([next, next])?[0]));
        }
        solution.reason = Some(format!(
            "the limiter at {ceiling_dbtp:.1} dBTP holds the level at {:.1}: the peaks are too high for this target",
            solution.level
        ));
        Ok(solution)
    }

    /// Measures the spool after the conversions of the output, two gains and a limiter: what a target is about, no more.
    fn measure_two(&self, limiter: &LimiterParams, gains_db: [f64; 2]) -> Result<[Loudness; 2]> {
        let mut chain = FileChain::new(&self.output.back)?;
        let spec = chain.prepare(self.working, BLOCK_FRAMES)?;
        // No true peak: the limiter keeps it, and verify measures it.
        let options = MeterOptions { true_peak: false, range: false, ..MeterOptions::default() };
        let mut meters = [LoudnessMeter::new(spec, options)?, LoudnessMeter::new(spec, options)?];
        let mut pair = KState::default();
        let mut trial = LimiterTrial::new(limiter, gains_db, spec);
        let latency_frames = trial.latency_frames();
        let mut to_drop = latency_frames;
        let (mut first, mut second) = (Buffer::new(spec, BLOCK_FRAMES), Buffer::new(spec, BLOCK_FRAMES));
        let mut push = |block: &Buffer| {
            in_blocks(block, &mut first, &mut |first| {
                trial.process(first, &mut second);
                let drop = to_drop.min(first.frames());
                to_drop -= drop;
                let [a, b] = &mut meters;
                if spec.channels() == 1 {
                    LoudnessMeter::push_two([a, b], &mut pair, [&first.channel(0)[drop..], &second.channel(0)[drop..]]);
                } else {
                    first.drop_front(drop);
                    second.drop_front(drop);
                    a.push(first);
                    b.push(&second);
                }
                Ok(())
            })
        };
        let mut work = Buffer::new(self.working, BLOCK_FRAMES);
        self.spool.replay(&mut |block| {
            self.tracker.check()?;
            self.tracker.advance(Stage::Solve, block.frames(), self.working.rate_hz);
            in_blocks(block, &mut work, &mut |block| chain.process(block, &mut push))
        })?;
        chain.finish(&mut push)?;
        // The end, which is still on its way through the look-ahead.
        let mut silence = Buffer::new(spec, 0);
        silence.append_silence(latency_frames);
        push(&silence)?;
        let [a, b] = &mut meters;
        if spec.channels() == 1 {
            LoudnessMeter::end_two([a, b], &pair);
        }
        Ok([a.summary(), b.summary()])
    }

    fn measure(&self, filters: &[FilterSpec], options: MeterOptions) -> Result<Loudness> {
        let mut chain = FileChain::new(filters)?;
        let spec = chain.prepare(self.working, BLOCK_FRAMES)?;
        let mut meter = LoudnessMeter::new(spec, options)?;
        let mut work = Buffer::new(self.working, BLOCK_FRAMES);
        let mut push = |block: &Buffer| {
            meter.push(block);
            Ok(())
        };
        self.spool.replay(&mut |block| {
            self.tracker.check()?;
            self.tracker.advance(Stage::Solve, block.frames(), self.working.rate_hz);
            in_blocks(block, &mut work, &mut |block| chain.process(block, &mut push))
        })?;
        chain.finish(&mut push)?;
        Ok(meter.summary())
    }
}
