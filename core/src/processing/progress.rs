//! From frames done to a fraction that never falls, a speed and an estimate of the rest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
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
    started: Instant,
    rate_hz: f64,
    failed: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// Frames per stage that the job will have to do, when known.
    total: Option<f64>,
    stage: Stage,
    stage_started: Instant,
    stage_frames: f64,
    fraction: f64,
    last_told: Option<Instant>,
}

impl<'a> Tracker<'a> {
    /// A tracker for an input of `frames` frames, if known, with `outputs` outputs.
    pub fn new(control: &'a Control, rate_hz: u32, frames: Option<u64>) -> Self {
        let now = Instant::now();
        let state = State {
            total: frames.filter(|f| *f > 0).map(|f| f as f64),
            stage: Stage::Analyse,
            stage_started: now,
            stage_frames: 0.0,
            fraction: 0.0,
            last_told: None,
        };
        Self {
            control,
            stages: None,
            memory: MemoryAccount::unlimited(),
            started: now,
            rate_hz: f64::from(rate_hz),
            failed: AtomicBool::new(false),
            state: Mutex::new(state),
        }
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

    /// Enters a stage that will handle `total` frames of `rate_hz`, all outputs together.
    pub fn enter(&self, stage: Stage, total: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.stage = stage;
        state.fraction = state.fraction.max(before(stage));
        state.stage_started = Instant::now();
        state.stage_frames = 0.0;
        if total > 0 {
            state.total = Some(total as f64);
        }
        let fraction = state.fraction;
        // Whoever hears of it must not hold up the other threads of the job.
        drop(state);
        if let Some(tell) = self.stages {
            tell(stage, fraction);
        }
    }

    /// Notes work on `frames` frames of `rate_hz` in `stage` and tells the caller now and then. Work for another stage than
    /// the entered one (an output that is ahead of the others) is not counted.
    pub fn advance(&self, stage: Stage, frames: usize, rate_hz: u32) {
        let Some(tell) = &self.control.progress else { return };
        let progress = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.stage != stage {
                return;
            }
            state.stage_frames += frames as f64 * self.rate_hz / f64::from(rate_hz.max(1));
            let now = Instant::now();
            if state.last_told.is_some_and(|t| now - t < INTERVAL) {
                return;
            }
            state.last_told = Some(now);
            self.snapshot(&mut state)
        };
        tell(&progress);
    }

    fn snapshot(&self, state: &mut State) -> Progress {
        let share = SHARES.iter().find(|(s, _)| *s == state.stage).map_or(0.0, |(_, share)| *share);
        let within = state.total.map_or(0.0, |total| (state.stage_frames / total).min(1.0));
        state.fraction = state.fraction.max(before(state.stage) + share * within);
        let elapsed = state.stage_started.elapsed().as_secs_f64().max(1e-6);
        let eta = (state.total.is_some() && state.fraction > 0.01)
            .then(|| self.started.elapsed().as_secs_f64() * (1.0 - state.fraction) / state.fraction);
        Progress {
            stage: state.stage,
            fraction: state.fraction,
            speed: state.stage_frames / self.rate_hz / elapsed,
            eta_s: eta,
        }
    }

    /// Tells that the job is complete.
    pub fn done(&self) {
        if let Some(tell) = &self.control.progress {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.stage = Stage::Publish;
            let mut progress = self.snapshot(&mut state);
            drop(state);
            progress.fraction = 1.0;
            progress.eta_s = Some(0.0);
            tell(&progress);
        }
    }
}

/// Share of the job that is done when a stage begins.
fn before(stage: Stage) -> f64 {
    SHARES.iter().take_while(|(s, _)| *s != stage).map(|(_, share)| share).sum()
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
}
