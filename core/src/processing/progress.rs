//! From frames done to a fraction that never falls, a speed and an estimate of the rest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::control::{Control, Progress, Stage};
use crate::error::{Error, Result};
use crate::resources::MemoryAccount;

/// Rough shares of the stages in the time of a job with one lossy output; only for the progress bar.
const SHARES: [(Stage, f64); 5] = [
    (Stage::Analyse, 0.35),
    (Stage::Solve, 0.05),
    (Stage::Encode, 0.45),
    (Stage::Verify, 0.13),
    (Stage::Publish, 0.02),
];

const INTERVAL: Duration = Duration::from_millis(50);

/// Told of each stage that a job enters, with the share of the job that is done.
pub(crate) type StageFn<'a> = dyn Fn(Stage, f64) + Sync + 'a;

/// Collects the work of all threads of a job.
pub(crate) struct Tracker<'a> {
    control: &'a Control,
    stages: Option<&'a StageFn<'a>>,
    memory: MemoryAccount,
    outputs: f64,
    /// As [`SHARES`]; all of it is the reading in a job without outputs.
    shares: [f64; SHARES.len()],
    started: Instant,
    rate_hz: f64,
    failed: AtomicBool,
    /// Held while a stage is told, so that stages are told in their order. Work that only advances does not wait for it.
    entering: Mutex<()>,
    state: Mutex<State>,
}

struct State {
    /// Frames that each output will have to handle in each stage, when known.
    each: Option<f64>,
    /// By stage, as in [`SHARES`].
    work: [Work; SHARES.len()],
    /// The last stage that was entered.
    stage: usize,
    stage_started: Instant,
    fraction: f64,
    last_told: Option<Instant>,
}

/// Work of one stage, all outputs together, in frames of the input's rate.
#[derive(Clone, Copy, Default)]
struct Work {
    done: f64,
    /// When it differs from that of the other stages.
    total: Option<f64>,
    entered: bool,
}

impl<'a> Tracker<'a> {
    /// A tracker for an input of `frames` frames, if known.
    pub fn new(control: &'a Control, rate_hz: u32, frames: Option<u64>) -> Self {
        let now = Instant::now();
        let state = State {
            each: frames.filter(|f| *f > 0).map(|f| f as f64),
            work: [Work::default(); SHARES.len()],
            stage: 0,
            stage_started: now,
            fraction: 0.0,
            last_told: None,
        };
        Self {
            control,
            stages: None,
            memory: MemoryAccount::unlimited(),
            outputs: 1.0,
            shares: SHARES.map(|(_, share)| share),
            started: now,
            rate_hz: f64::from(rate_hz),
            failed: AtomicBool::new(false),
            entering: Mutex::new(()),
            state: Mutex::new(state),
        }
    }

    /// For a job that only reads: to decode, to measure, to analyse.
    pub fn for_reading(control: &'a Control, rate_hz: u32, frames: Option<u64>) -> Self {
        Self { shares: [1.0, 0.0, 0.0, 0.0, 0.0], ..Self::new(control, rate_hz, frames) }
    }

    /// For so many outputs, each of which does the work behind the analysis.
    pub fn with_outputs(mut self, outputs: usize) -> Self {
        self.outputs = outputs.max(1) as f64;
        self
    }

    /// From now on it is known that each output handles `frames` frames of `rate_hz` in each stage.
    pub fn expect(&self, frames: u64, rate_hz: u32) {
        let each = self.to_input(frames as f64, rate_hz);
        self.state().each = (each > 0.0).then_some(each);
    }

    fn to_input(&self, frames: f64, rate_hz: u32) -> f64 {
        frames * self.rate_hz / f64::from(rate_hz.max(1))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells `stages` of each stage that is entered.
    pub fn with_stages(mut self, stages: &'a StageFn<'a>) -> Self {
        self.stages = Some(stages);
        self
    }

    /// Counts the memory of the job here.
    pub fn with_memory(mut self, memory: &MemoryAccount) -> Self {
        self.memory = memory.clone();
        self
    }

    /// Where the memory of the job is counted.
    pub fn memory(&self) -> &MemoryAccount {
        &self.memory
    }

    /// Fails when the job was cancelled or has failed elsewhere. Every stage asks for every block.
    pub fn check(&self) -> Result<()> {
        self.control.cancel.check()?;
        if self.failed.load(Ordering::Relaxed) {
            return Err(Error::Unavailable { what: "the previous stage of the pipeline".into() });
        }
        Ok(())
    }

    /// Notes that a stage failed, so that the others stop instead of finishing an incomplete output.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Enters a stage that will handle `total` frames of `rate_hz`, all outputs together; 0 is as many as are expected. A stage that
    /// another output entered, or that comes before such a one, is not entered again.
    pub fn enter(&self, stage: Stage, total: u64) {
        let index = index_of(stage);
        let _one_after_the_other = self.entering.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        if total > 0 {
            state.work[index].total = Some(total as f64);
        }
        if state.work[index..].iter().any(|w| w.entered) {
            return;
        }
        state.work[index].entered = true;
        state.stage = index;
        state.stage_started = Instant::now();
        if stage == Stage::Publish {
            // What is left is less than the estimate can tell.
            state.fraction = state.fraction.max(1.0 - self.shares[index]);
        }
        let fraction = self.fraction(&mut state);
        // Whoever hears of it must not hold up threads of the job that are in a stage.
        drop(state);
        if let Some(tell) = self.stages {
            tell(stage, fraction);
        }
    }

    /// Notes work on `frames` frames of `rate_hz` in `stage`, which is entered with that, and tells the caller now and then.
    pub fn advance(&self, stage: Stage, frames: usize, rate_hz: u32) {
        let index = index_of(stage);
        let mut state = self.state();
        if !state.work[index..].iter().any(|w| w.entered) {
            drop(state);
            self.enter(stage, 0);
            state = self.state();
        }
        state.work[index].done += self.to_input(frames as f64, rate_hz);
        let Some(tell) = &self.control.progress else { return };
        let now = Instant::now();
        if state.last_told.is_some_and(|t| now - t < INTERVAL) {
            return;
        }
        state.last_told = Some(now);
        let progress = self.snapshot(&mut state);
        drop(state);
        tell(&progress);
    }

    /// Share of the whole job that is done. Never falls.
    fn fraction(&self, state: &mut State) -> f64 {
        let mut within = [0.0_f64; SHARES.len()];
        for (index, work) in state.work.iter().enumerate() {
            // The analysis happens once, everything behind it for each output.
            let times = if index == 0 { 1.0 } else { self.outputs };
            let total = work.total.or(state.each.map(|each| each * times));
            within[index] = total.map_or(0.0, |total| (work.done / total).min(1.0));
        }
        // What was verified was encoded before, and what was encoded was solved, if anything had to be.
        for index in (0..SHARES.len() - 1).rev() {
            within[index] = within[index].max(within[index + 1]);
        }
        let sum: f64 = self.shares.iter().zip(within).map(|(share, within)| share * within).sum();
        state.fraction = state.fraction.max(sum);
        state.fraction
    }

    fn snapshot(&self, state: &mut State) -> Progress {
        self.fraction(state);
        let elapsed = state.stage_started.elapsed().as_secs_f64().max(1e-6);
        let eta = (state.each.is_some() && state.fraction > 0.01)
            .then(|| self.started.elapsed().as_secs_f64() * (1.0 - state.fraction) / state.fraction);
        Progress {
            stage: SHARES[state.stage].0,
            fraction: state.fraction,
            speed: state.work[state.stage].done / self.rate_hz / elapsed,
            eta_s: eta,
        }
    }

    /// Tells that the job is complete.
    pub fn done(&self) {
        if let Some(tell) = &self.control.progress {
            let mut state = self.state();
            if self.shares[index_of(Stage::Publish)] > 0.0 {
                state.stage = index_of(Stage::Publish);
            }
            let mut progress = self.snapshot(&mut state);
            drop(state);
            progress.fraction = 1.0;
            progress.eta_s = Some(0.0);
            tell(&progress);
        }
    }
}

/// Place of a stage in [`SHARES`], which has them all in their order.
fn index_of(stage: Stage) -> usize {
    SHARES.iter().position(|(s, _)| *s == stage).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_fraction_never_falls_and_ends_at_one() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        let control = Control {
            progress: Some(Arc::new(move |p: &Progress| sink.lock().unwrap().push(p.clone()))),
            ..Control::default()
        };
        let tracker = Tracker::new(&control, 48_000, Some(480_000));
        for stage in [Stage::Analyse, Stage::Solve, Stage::Encode, Stage::Verify] {
            tracker.enter(stage, 480_000);
            for _ in 0..10 {
                // Past the interval, so that it is told.
                tracker.state.lock().unwrap().last_told = None;
                tracker.advance(stage, 48_000, 48_000);
            }
        }
        tracker.done();
        let heard = heard.lock().unwrap();
        assert!(heard.len() > 40);
        assert!(heard.windows(2).all(|w| w[0].fraction <= w[1].fraction));
        assert_eq!(heard.last().unwrap().fraction, 1.0);
    }

    #[test]
    fn a_job_that_only_reads_is_done_when_all_is_read() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        let control = Control {
            progress: Some(Arc::new(move |p: &Progress| sink.lock().unwrap().push((p.stage, p.fraction)))),
            ..Control::default()
        };
        let tracker = Tracker::for_reading(&control, 48_000, Some(96_000));
        for _ in 0..2 {
            tracker.state.lock().unwrap().last_told = None;
            tracker.advance(Stage::Analyse, 48_000, 48_000);
        }
        tracker.done();
        assert_eq!(*heard.lock().unwrap(), [0.5, 1.0, 1.0].map(|fraction| (Stage::Analyse, fraction)));
    }

    #[test]
    fn stages_are_told_once_and_in_order_whatever_the_outputs_do() {
        let told = Mutex::new(Vec::new());
        let control = Control::default();
        let tell = |stage: Stage, fraction: f64| told.lock().unwrap().push((stage, fraction));
        let tracker = Tracker::new(&control, 48_000, None).with_stages(&tell).with_outputs(2);
        tracker.enter(Stage::Analyse, 0);
        tracker.advance(Stage::Analyse, 48_000, 48_000);
        tracker.expect(44_100, 44_100);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    // The second round is that of an output which missed its target.
                    for stage in
                        [Stage::Solve, Stage::Encode, Stage::Verify, Stage::Solve, Stage::Encode, Stage::Verify]
                    {
                        (0..10).for_each(|_| tracker.advance(stage, 4410, 44_100));
                    }
                });
            }
        });
        tracker.enter(Stage::Publish, 0);
        let told = told.into_inner().unwrap();
        let stages: Vec<Stage> = told.iter().map(|(stage, _)| *stage).collect();
        assert_eq!(stages, [Stage::Analyse, Stage::Solve, Stage::Encode, Stage::Verify, Stage::Publish]);
        assert!(told.windows(2).all(|w| w[0].1 <= w[1].1), "{told:?}");
        assert_eq!(told[4].1, 0.98);
    }

    #[test]
    fn a_stage_that_is_left_out_counts_as_done() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        let control = Control {
            progress: Some(Arc::new(move |p: &Progress| sink.lock().unwrap().push((p.stage, p.fraction)))),
            ..Control::default()
        };
        let tracker = Tracker::new(&control, 48_000, Some(48_000));
        tracker.advance(Stage::Analyse, 48_000, 48_000);
        tracker.state.lock().unwrap().last_told = None;
        tracker.advance(Stage::Encode, 24_000, 48_000);
        // 0.35 for the analysis, and half of the 0.05 and 0.45 of solving and encoding.
        let heard = heard.lock().unwrap();
        assert_eq!(heard[0], (Stage::Analyse, 0.35));
        assert!(heard[1].0 == Stage::Encode && (heard[1].1 - 0.6).abs() < 1e-9, "{heard:?}");
    }
}
