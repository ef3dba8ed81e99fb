//! The handler of runs: it looks at what is over, asks for what may begin, and decides how the run ends.
//!
//! It keeps nothing that the stores do not: when its process vanishes, another one reads the run's jobs and goes on.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::board::{At, Cell};
use super::definition::OnFailure;
use super::results::ResultStore;
use super::step::tell;
use super::view::RunView;
use super::watch::Running;
use crate::error::{Error, Result};
use crate::events::{self, EventBus};
use crate::jobs::{FailureClass, Job, JobError, JobHandler, JobId, JobRun, JobState, JobStore};

/// Jobs of one run that wait or run at the same time. The rest is asked for as these end.
const MAX_GOING: usize = 256;
/// Longest sleep between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Shortest time between two looks, so that a busy store is not read all the time.
const PAUSE: Duration = Duration::from_millis(5);

/// Runs workflows.
pub(super) struct RunHandler {
    pub store: Arc<dyn JobStore>,
    pub results: Arc<dyn ResultStore>,
    pub events: EventBus,
    pub running: Arc<Running>,
}

/// Why a run is not going on.
enum End {
    /// All that could be done was.
    Over,
    /// A step failed that may not.
    Failed,
}

impl JobHandler for RunHandler {
    fn run(&self, job: &Job, run: &JobRun) -> Result<Value, JobError> {
        let _watched = self.running.watch(job.id, run.cancel());
        let mut view = RunView::load(job, &*self.store, &self.results)?;
        self.tell(&view, "running", None);
        let end = match self.go_on(&mut view, run) {
            Err(Error::Cancelled) => return Err(self.cancelled(&mut view, job.id)?),
            Err(error) => {
                let error = JobError::from(error);
                if error.class == FailureClass::Permanent {
                    // Nobody will come back for its steps.
                    self.stop(&view, &error.message)?;
                }
                return Err(error);
            }
            Ok(end) => end,
        };
        match end {
            End::Over => {
                let count = |cell: Cell| view.board.all().filter(|(_, c)| *c == cell).count();
                let failed = count(Cell::Failed) + count(Cell::Cancelled);
                let outcome = if failed == 0 { "succeeded" } else { "partial" };
                self.tell(&view, outcome, None);
                Ok(json!({
                    "outcome": outcome, "done": count(Cell::Done), "failed": failed, "skipped": count(Cell::Skipped),
                }))
            }
            End::Failed => {
                let error = self.failed(&mut view, run)?;
                self.tell(&view, "failed", Some(error.message.clone()));
                Err(error)
            }
        }
    }
}

impl RunHandler {
    /// Begins what may begin, until there is nothing left or a step failed that may not.
    fn go_on(&self, view: &mut RunView, run: &JobRun) -> Result<End> {
        let mut seen = 0;
        loop {
            run.cancel().check()?;
            self.look(view)?;
            if view.failures().next().is_some() {
                return Ok(End::Failed);
            }
            // Steps are stopped together with their run; what comes after them must not begin before the run hears of it.
            if view.board.all().any(|(_, cell)| cell == Cell::Cancelled) {
                return Err(Error::Cancelled);
            }
            let (ready, skipped) = view.board.settle();
            skipped.into_iter().for_each(|at| self.tell_step(view, at, "skipped", None));
            let room = MAX_GOING.saturating_sub(going(view).len());
            let begun = self.begin(view, &ready[..ready.len().min(room)], false)?;
            run.progress(view.board.over() as f64 / view.board.total().max(1) as f64);
            if begun == 0 && going(view).is_empty() {
                return Ok(End::Over);
            }
            if begun == 0 {
                seen = self.store.wait(seen, LOOK)?;
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Takes notice of what ended.
    fn look(&self, view: &mut RunView) -> Result<()> {
        for (at, id) in going(view) {
            let job = self.store.get(id)?;
            let state = job.status.state;
            if state.is_over() {
                let error = job.status.error.as_ref().filter(|_| state == JobState::Dead).map(|e| e.message.clone());
                view.take(job)?;
                self.tell_step(view, at, state.name(), error);
            }
        }
        Ok(())
    }

    /// Asks for steps, all at once. How many are new.
    fn begin(&self, view: &mut RunView, ready: &[At], undo: bool) -> Result<usize> {
        let mut specs = Vec::new();
        for at in ready {
            specs.push(view.payload(*at, undo)?.job(&view.graph.nodes[at.0].step, &view.job)?);
        }
        if specs.is_empty() {
            return Ok(0);
        }
        // Each key is there once for ever: what another coordinator asked for before it vanished is found, and not done again.
        let asked = self.store.enqueue(specs)?;
        for enqueued in &asked {
            view.take(self.store.get(enqueued.id)?)?;
        }
        Ok(asked.len())
    }

    /// Stops what runs, takes back what is to be taken back. The error of the run.
    fn failed(&self, view: &mut RunView, run: &JobRun) -> Result<JobError, JobError> {
        let name = view.failures().next().map_or_else(String::new, |(at, _)| view.name_of(at));
        self.tell(view, "stopping", Some(format!("step '{name}' failed")));
        self.stop(view, &format!("step '{name}' failed"))?;
        self.wait(view, run)?;
        let failures: Vec<(At, OnFailure)> = view.failures().collect();
        let mut undone = (0, 0);
        if failures.iter().any(|(_, policy)| *policy == OnFailure::Compensate) {
            undone = self.undo(view, run)?;
        }
        let first = failures.first().and_then(|(at, _)| view.jobs.get(at)).and_then(|job| job.status.error.clone());
        let mut error = first.unwrap_or_else(|| JobError::from(Error::internal("a step failed without an error")));
        let undone = match undone {
            (0, 0) => String::new(),
            (good, 0) => format!("; {good} steps were undone"),
            (good, bad) => format!("; {good} steps were undone, {bad} could not be"),
        };
        error.message = format!("step '{name}' failed: {}{undone}", error.message);
        error.class = FailureClass::Permanent;
        Ok(error)
    }

    /// Takes back what was done, the last one first. How many steps, and how many could not be.
    fn undo(&self, view: &mut RunView, run: &JobRun) -> Result<(usize, usize)> {
        let mut done: Vec<(u64, At)> = view
            .board
            .all()
            .filter(|(at, cell)| *cell == Cell::Done && view.graph.nodes[at.0].step.undo.is_some())
            .filter_map(|(at, _)| Some((view.jobs.get(&at)?.status.finished_ms.unwrap_or(0), at)))
            .collect();
        done.sort_unstable_by(|a, b| b.cmp(a));
        if !done.is_empty() {
            self.tell(view, "undoing", None);
        }
        for (_, at) in &done {
            if !view.undoes.contains_key(at) {
                self.begin(view, &[*at], true)?;
            }
            let mut seen = 0;
            while let Some(job) = view.undoes.get(at).filter(|job| !job.status.state.is_over()) {
                run.cancel().check()?;
                let job = self.store.get(job.id)?;
                if job.status.state.is_over() {
                    view.take(job)?;
                } else {
                    seen = self.store.wait(seen, LOOK)?;
                }
            }
        }
        let is_undone =
            |(_, at): &&(u64, At)| view.undoes.get(at).is_some_and(|job| job.status.state == JobState::Succeeded);
        let good = done.iter().filter(is_undone).count();
        Ok((good, done.len() - good))
    }

    /// Asks everything that waits or runs to stop.
    fn stop(&self, view: &RunView, why: &str) -> Result<()> {
        let undoing = view.undoes.values().filter(|job| !job.status.state.is_over()).map(|job| job.id);
        for id in going(view).into_iter().map(|(_, id)| id).chain(undoing) {
            self.store.cancel(id, why)?;
        }
        Ok(())
    }

    /// Waits until what was asked to stop has.
    fn wait(&self, view: &mut RunView, run: &JobRun) -> Result<()> {
        let mut seen = 0;
        loop {
            self.look(view)?;
            if going(view).is_empty() {
                return Ok(());
            }
            run.cancel().check()?;
            seen = self.store.wait(seen, LOOK)?;
        }
    }

    /// Somebody wants the run to stop, or this worker ends.
    fn cancelled(&self, view: &mut RunView, id: JobId) -> Result<JobError> {
        let by_step =
            view.board.all().any(|(_, cell)| cell == Cell::Cancelled).then(|| "a step was cancelled".to_owned());
        if let Some(why) = self.store.get(id)?.status.cancel.or(by_step) {
            self.stop(view, &why)?;
            self.tell(view, "cancelled", Some(why));
        }
        Ok(Error::Cancelled.into())
    }

    fn tell(&self, view: &RunView, state: &str, reason: Option<String>) {
        let (run, workflow) = (view.job.id.to_string(), view.record.workflow.name.clone());
        tell(&self.events, events::WorkflowState { run, workflow, state: state.into(), reason });
    }

    fn tell_step(&self, view: &RunView, at: At, state: &str, error: Option<String>) {
        let step = &view.graph.nodes[at.0];
        tell(
            &self.events,
            events::WorkflowStepState {
                run: view.job.id.to_string(),
                step: step.step.id.clone(),
                item: step.parent.map(|_| u32::try_from(at.1).unwrap_or(u32::MAX)),
                state: state.into(),
                attempt: view.jobs.get(&at).map_or(0, |job| job.status.claims),
                error,
            },
        );
    }
}

/// Steps that wait or run.
fn going(view: &RunView) -> Vec<(At, JobId)> {
    let all = view.jobs.iter().filter(|(_, job)| !job.status.state.is_over());
    all.map(|(at, job)| (*at, job.id)).collect()
}
