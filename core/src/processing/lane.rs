//! One output: convert, gain, limit, encode, verify, correct.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::control::Stage;
use super::job::{Job, JobOutput};
use super::pipe::{BLOCK_FRAMES, BlockReceiver, in_blocks, two_stages};
use super::progress::Tracker;
use super::publish::PendingFile;
use super::recipe::{CheckSpec, LevelTarget, Quantity, Recipe, Verify};
use super::report::{CheckResult, OutputReport};
use super::solve::{Solution, Solver, level_of, wanted};
use super::spool::Spool;
use super::verify::Verified;
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};
use crate::filters::{FileChain, FilterSpec};
use crate::formats::encode::{BitRate, Encoded, Encoder, Sink};
use crate::formats::tags::{Loss, Metadata};
use crate::formats::{CodecSet, FormatSettings};
use crate::meter::Loudness;
use crate::services::seams::FileSystem;

/// Deviation of the decoded output from the level target that is accepted, in dB or LU: the promised 0.1 less what other
/// meters may read differently.
const TOLERANCE_DB: f64 = 0.08;

/// Once an output is encoded again for any reason, smaller deviations are corrected too, in dB or LU.
const CORRECTION_DB: f64 = 0.03;

/// Most times that an output is encoded.
const MAX_ATTEMPTS: u32 = 5;

/// Kept below the ceiling, in dB: true peak meters with other interpolators read a little differently
/// (EBU Tech 3341 allows +0.2/-0.4 dB).
const METER_GUARD_DB: f64 = 0.05;

/// Takes blocks one after the other.
pub(super) type EachBlock<'a> = &'a mut dyn FnMut(&Buffer) -> Result<()>;

/// Gives all blocks of an output.
pub(super) type Feed<'a> = &'a mut (dyn FnMut(EachBlock<'_>) -> Result<()> + Send);

/// What a lane needs from the job around it.
pub(crate) struct LaneContext<'a> {
    pub recipe: &'a Recipe,
    pub job: &'a Job,
    pub metadata: &'a Metadata,
    pub losses: &'a [Loss],
    pub tracker: &'a Tracker<'a>,
    pub pool: &'a Arc<rayon::ThreadPool>,
    pub files: &'a dyn FileSystem,
    pub codecs: &'a dyn CodecSet,
    /// Frames at the working rate, when known before encoding.
    pub frames_hint: Option<u64>,
}

/// A finished output, not yet published.
pub(crate) struct Finished {
    pub pending: PendingFile,
    pub report: OutputReport,
    pub solve_s: f64,
    pub encode_s: f64,
    pub verify_s: f64,
}

/// One output on its way.
pub(crate) struct Lane<'a> {
    pub(super) context: &'a LaneContext<'a>,
    pub(super) output: &'a JobOutput,
    pub(super) path: PathBuf,
    pub(super) pending: PendingFile,
    /// Wall time of solving, encoding and verifying, in seconds.
    pub(super) times: (f64, f64, f64),
}

impl<'a> Lane<'a> {
    /// Creates the pending file of output `index`.
    pub fn new(context: &'a LaneContext<'a>, index: usize) -> Result<Self> {
        let path = context.recipe.outputs[index].path.clone();
        let pending = PendingFile::create(context.files, &path, context.recipe.overwrite)?;
        Ok(Self { context, output: &context.job.outputs[index], path, pending, times: (0.0, 0.0, 0.0) })
    }

    /// Levelled route: solves, encodes from the spool, verifies and corrects.
    pub fn run_levelled(mut self, spool: &Spool, filtered: &Loudness, target: &LevelTarget) -> Result<Finished> {
        let (working, output, tracker) = (self.context.job.working, self.output, self.context.tracker);
        let solver = Solver { spool, working, output, tracker };
        let before = self.timed_solve(|| solver.before_gain(filtered))?;
        let ceiling = target.true_peak_dbtp();
        let negotiated = &self.output.negotiated;
        // What the codec adds to level and peaks; learned from the decoded output.
        let (mut shift_db, mut headroom_db) = (
            shift_guess_db(&negotiated.settings),
            METER_GUARD_DB + overshoot_guess_db(&negotiated.settings, negotiated.spec.channels()),
        );
        let mut attempts = 0;
        loop {
            attempts += 1;
            let solution =
                self.timed_solve(|| solver.solve(&before, target, wanted(target) - shift_db, ceiling - headroom_db))?;
            let filters = solution.filters(self.output);
            let (encoded, verified) = self.encode_and_verify(&filters, &mut |each| spool.replay(each))?;
            let Some((after, verified)) = verified.and_then(|v| Some((v.loudness?, v))) else {
                return self.finish(encoded, Some(target), &solution, attempts, None, None);
            };
            let deviation = level_of(target, &after) - wanted(target);
            let over = after.true_peak_dbtp - (ceiling - METER_GUARD_DB / 2.0);
            let level_ok = deviation.abs() <= TOLERANCE_DB || solution.reason.is_some();
            let retry = (over > 0.0 || !level_ok) && attempts < MAX_ATTEMPTS;
            tracing::debug!(path = %self.path.display(), attempts, deviation, over, retry, "verified");
            if !retry {
                let reason = unmet_reason(target, &after, deviation, solution.reason.as_deref());
                return self.finish(encoded, Some(target), &solution, attempts, Some(verified), reason);
            }
            if over > 0.0 {
                // A little more than was missing: the overshoot moves with the ceiling.
                headroom_db += 1.2 * over + 0.1;
            }
            if deviation.abs() > CORRECTION_DB && deviation.is_finite() {
                shift_db += deviation;
            }
            self.pending.truncate()?;
        }
    }

    /// Direct route: blocks come from the first pass while it runs.
    pub fn run_direct(mut self, blocks: BlockReceiver<f32>) -> Result<Finished> {
        let back = self.output.back.clone();
        let (encoded, verified) = self.encode_and_verify(&back, &mut {
            let mut blocks = Some(blocks);
            move |each| match blocks.take() {
                Some(blocks) => blocks.drain(&mut |block| each(block)),
                None => Err(Error::internal("blocks are there once")),
            }
        })?;
        let solution = Solution { gain_db: 0.0, ceiling_dbtp: None, level: 0.0, reason: None };
        self.finish(encoded, None, &solution, 1, verified, None)
    }

    /// An encoder into the pending file. For the copy route, which writes integers.
    pub fn encoder(&self) -> Result<Box<dyn Encoder>> {
        self.encoder_into(Box::new(self.pending.handle()?))
    }

    fn encoder_into(&self, sink: Box<dyn Sink>) -> Result<Box<dyn Encoder>> {
        let frames = self.context.frames_hint.map(|f| scale(f, self.context.job.working, self.output.negotiated.spec));
        // Not buffered here: every encoder buffers what it writes.
        let pool = Some(Arc::clone(self.context.pool));
        self.context.codecs.encoder(&self.output.negotiated, sink, self.context.metadata, frames, pool)
    }

    /// Ends the copy route.
    pub fn finish_copy(
        self,
        encoded: Encoded,
        loudness: Option<Loudness>,
        bit_exact: Option<bool>,
    ) -> Result<Finished> {
        let solution = Solution { gain_db: 0.0, ceiling_dbtp: None, level: 0.0, reason: None };
        let verified = match self.context.recipe.verify {
            Verify::Full => Some(Verified { loudness, blake3: self.hash()? }),
            Verify::None => None,
        };
        let mut finished = self.finish(encoded, None, &solution, 1, verified, None)?;
        finished.report.bit_exact = bit_exact;
        Ok(finished)
    }

    fn timed_solve<T>(&mut self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let result = work();
        self.times.0 += start.elapsed().as_secs_f64();
        result
    }

    /// Runs `feed` through `filters` into an encoder that writes to `sink`: filters on one thread, encoder on another.
    pub(super) fn encode(&mut self, sink: Box<dyn Sink>, filters: &[FilterSpec], feed: Feed<'_>) -> Result<Encoded> {
        let start = Instant::now();
        let (working, tracker) = (self.context.job.working, self.context.tracker);
        let _span = tracing::info_span!("encode", path = %self.path.display()).entered();
        let mut chain = FileChain::new(filters)?;
        let spec = chain.prepare(working, BLOCK_FRAMES)?;
        if spec != self.output.negotiated.spec {
            return Err(Error::internal(format!(
                "lane gives {spec:?}, encoder takes {:?}",
                self.output.negotiated.spec
            )));
        }
        let mut encoder = self.encoder_into(sink)?;
        if filters.is_empty() {
            // Nothing to do beside encoding: a thread more would only cost copies.
            feed(&mut |block| {
                tracker.check()?;
                tracker.advance(Stage::Encode, block.frames(), spec.rate_hz);
                encoder.write(block)
            })?;
            tracker.check()?;
            let encoded = encoder.finish()?;
            self.times.1 += start.elapsed().as_secs_f64();
            return Ok(encoded);
        }
        let ((), encoded) = two_stages::<f32, _, _>(
            |send| {
                let mut work = Buffer::new(working, BLOCK_FRAMES);
                let mut out = |block: &Buffer| send.send(block);
                feed(&mut |block| {
                    tracker.check()?;
                    in_blocks(block, &mut work, &mut |block| chain.process(block, &mut out))
                })?;
                chain.finish(&mut out)
            },
            |receive| {
                receive.drain(&mut |block| {
                    tracker.check()?;
                    tracker.advance(Stage::Encode, block.frames(), spec.rate_hz);
                    encoder.write(block)
                })?;
                tracker.check()?;
                encoder.finish()
            },
        )?;
        self.times.1 += start.elapsed().as_secs_f64();
        Ok(encoded)
    }

    fn finish(
        self,
        encoded: Encoded,
        target: Option<&LevelTarget>,
        solution: &Solution,
        attempts: u32,
        verified: Option<Verified>,
        reason: Option<String>,
    ) -> Result<Finished> {
        let (after, blake3) = verified.map_or((None, None), |v| (v.loudness, Some(v.blake3)));
        let checks = match &after {
            Some(after) => self.context.recipe.checks.iter().map(|c| check(c, after)).collect(),
            None => Vec::new(),
        };
        let losses = self.context.losses.iter().chain(&encoded.losses).cloned().collect();
        let report = OutputReport {
            path: self.path.clone(),
            encoder: self.output.negotiated.clone(),
            blake3,
            bit_exact: None,
            target: target.copied(),
            gain_db: solution.gain_db,
            limiter_ceiling_dbtp: solution.ceiling_dbtp,
            attempts,
            target_met: (target.is_some() && after.is_some()).then_some(reason.is_none()),
            target_reason: reason,
            after,
            checks,
            losses,
            encoded,
        };
        let (solve_s, encode_s, verify_s) = self.times;
        Ok(Finished { pending: self.pending, report, solve_s, encode_s, verify_s })
    }
}

/// How far the peaks of a codec usually rise above those of its input, in dB: the limiter starts that much lower, which
/// mostly saves a second encode. Only a starting point: the decoded output decides.
///
/// Measured on speech and music limited to -1 dBTP, near the 90th percentile of the overshoot.
fn overshoot_guess_db(settings: &FormatSettings, channels: usize) -> f64 {
    let table: &[(f64, f64)] = match settings {
        FormatSettings::Mp3(_) => &[(128.0, 0.15), (96.0, 0.25), (64.0, 0.6), (0.0, 1.0)],
        FormatSettings::Opus(_) => &[(96.0, 1.0), (64.0, 1.3), (32.0, 1.4), (0.0, 1.8)],
        FormatSettings::M4a(_) | FormatSettings::Adts(_) | FormatSettings::Vorbis(_) => {
            &[(96.0, 0.5), (64.0, 0.8), (48.0, 1.2), (0.0, 1.6)]
        }
        _ => return 0.0,
    };
    let kbps = match settings {
        FormatSettings::Mp3(s)
        | FormatSettings::Opus(s)
        | FormatSettings::M4a(s)
        | FormatSettings::Adts(s)
        | FormatSettings::Vorbis(s) => match s.bit_rate {
            Some(BitRate::Kbps(kbps)) => f64::from(kbps) / channels.max(1) as f64,
            // Qualities run from about 32 to 160 kbit/s a channel in all of them.
            Some(BitRate::Quality(q)) => 32.0 + 128.0 * f64::from(q),
            None => 64.0,
        },
        _ => return 0.0,
    };
    table.iter().find(|(from, _)| kbps >= *from).map_or(0.0, |(_, db)| *db)
}

/// How much a codec usually changes the loudness, in LU. AAC's encoder drops the highest band.
fn shift_guess_db(settings: &FormatSettings) -> f64 {
    match settings {
        FormatSettings::M4a(_) | FormatSettings::Adts(_) => -0.06,
        _ => 0.0,
    }
}

fn unmet_reason(target: &LevelTarget, after: &Loudness, deviation: f64, solver: Option<&str>) -> Option<String> {
    if let Some(reason) = solver {
        return Some(reason.to_owned());
    }
    if after.true_peak_dbtp > target.true_peak_dbtp() {
        return Some(format!(
            "the codec's overshoot keeps the true peak at {:.2} dBTP after {MAX_ATTEMPTS} attempts",
            after.true_peak_dbtp
        ));
    }
    (deviation.abs() > TOLERANCE_DB)
        .then(|| format!("the encoded level differs by {deviation:+.2} dB after {MAX_ATTEMPTS} attempts"))
}

fn check(check: &CheckSpec, after: &Loudness) -> CheckResult {
    let value = match check.quantity {
        Quantity::IntegratedLufs => after.integrated_lufs,
        Quantity::TruePeakDbtp => after.true_peak_dbtp,
        Quantity::SamplePeakDbfs => after.sample_peak_dbfs,
        Quantity::RmsDbfs => after.rms_dbfs,
        Quantity::NoiseFloorDbfs => after.noise_floor_dbfs,
        Quantity::RangeLu => after.range_lu,
        Quantity::MaxMomentaryLufs => after.max_momentary_lufs,
        Quantity::MaxShortTermLufs => after.max_short_term_lufs,
    };
    let passed = check.min.is_none_or(|min| value >= min) && check.max.is_none_or(|max| value <= max);
    CheckResult { check: check.clone(), value: value.is_finite().then_some(value), passed }
}

/// Frames after a change of rate.
fn scale(frames: u64, from: Spec, to: Spec) -> u64 {
    let exact = u128::from(frames) * u128::from(to.rate_hz);
    ((exact + u128::from(from.rate_hz) / 2) / u128::from(from.rate_hz)) as u64
}
