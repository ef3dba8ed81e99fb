//! Runs, as programs see them: start, look, cancel, resume.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::board::Cell;
use super::definition::Workflow;
use super::load::invalid;
use super::record::{RunRecord, WORKFLOW, inputs_of};
use super::results::{ResultRef, ResultStore};
use super::view::{RunView, result_of};
use crate::cancel::CancelToken;
use crate::error::{Error, Problem, Result};
use crate::jobs::{CancelOutcome, Job, JobError, JobFilter, JobId, JobState, JobStore};

/// What a run is started with.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// What is to be done; [`Workflow::validate`] has passed it.
    pub workflow: Workflow,
    /// Its inputs by name.
    pub inputs: Map<String, Value>,
    /// Where relative paths begin. Default: the folder of this process.
    pub base: Option<PathBuf>,
    /// Queue of its jobs. Default: `default`.
    pub queue: String,
    /// On whose behalf.
    pub tenant: Option<String>,
    /// -100 to 100; more goes first.
    pub priority: i32,
}

impl RunRequest {
    /// A run with these inputs, and defaults for the rest.
    pub fn new(workflow: Workflow, inputs: Map<String, Value>) -> Self {
        Self { workflow, inputs, base: None, queue: "default".into(), tenant: None, priority: 0 }
    }

    /// Where relative paths begin.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for what is not UTF-8; [`Error::Io`].
    pub(super) fn base(&self) -> Result<PathBuf> {
        let given = self.base.clone().unwrap_or_default();
        let base = std::path::absolute(if given.as_os_str().is_empty() { ".".into() } else { given })
            .map_err(|e| Error::io("find the folder of", self.base.as_deref(), e))?;
        if base.to_str().is_none() {
            let (value, allowed) = (base.display().to_string(), "a path in UTF-8".to_owned());
            return Err(Error::InvalidValue { name: "base".into(), value, allowed });
        }
        Ok(base)
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waits for a worker.
    Waiting,
    /// Goes on.
    Running,
    /// All steps are done, but for skipped ones.
    Succeeded,
    /// It is over, and steps failed that may.
    Partial,
    /// A step failed that may not.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl RunState {
    /// Nothing more happens by itself.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }

    fn of(job: &Job) -> Self {
        match job.status.state {
            JobState::Scheduled | JobState::Available => Self::Waiting,
            JobState::Running | JobState::Publishing => Self::Running,
            JobState::Succeeded if job.status.result.as_ref().is_some_and(|r| r["outcome"] == "partial") => {
                Self::Partial
            }
            JobState::Succeeded => Self::Succeeded,
            JobState::Dead => Self::Failed,
            JobState::Cancelled => Self::Cancelled,
        }
    }
}

/// A run in a few words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunInfo {
    /// Its name.
    pub run: JobId,
    /// Name of the workflow.
    pub workflow: String,
    /// Version of the workflow.
    pub version: u32,
    /// Digest of the definition that it began with.
    pub digest: String,
    /// Where it stands.
    pub state: RunState,
    /// Part that is done, 0 to 1.
    pub progress: f64,
    /// When it was asked for, in milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
    /// When it came to its end.
    pub finished_ms: Option<u64>,
    /// Why it failed.
    pub error: Option<JobError>,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepInfo {
    /// The step.
    pub step: String,
    /// Its kind, as in `type`.
    pub kind: &'static str,
    /// Number of its file in a `fan_out`, from 0.
    pub item: Option<u32>,
    /// That file.
    pub file: Option<String>,
    /// `open`, `waiting`, `running`, `done`, `failed`, `cancelled`, `skipped`.
    pub state: &'static str,
    /// How often a worker took it.
    pub claims: u32,
    /// Its last failure.
    pub error: Option<JobError>,
    /// Its job, once there is one.
    pub job: Option<JobId>,
    /// Its result, once it is done.
    pub result: Option<ResultRef>,
    /// Whether its effect was taken back.
    pub undone: bool,
}

/// A run with all its steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// The run.
    #[serde(flatten)]
    pub info: RunInfo,
    /// What it was given.
    pub inputs: Map<String, Value>,
    /// Its steps, in the order of the definition.
    pub steps: Vec<StepInfo>,
}

/// The runs of a store.
#[derive(Clone)]
pub struct Workflows {
    store: Arc<dyn JobStore>,
    results: Arc<dyn ResultStore>,
}

impl Workflows {
    /// Those of these stores.
    pub fn new(store: Arc<dyn JobStore>, results: Arc<dyn ResultStore>) -> Self {
        Self { store, results }
    }

    /// The jobs.
    pub fn store(&self) -> &Arc<dyn JobStore> {
        &self.store
    }

    /// The results.
    pub fn results(&self) -> &Arc<dyn ResultStore> {
        &self.results
    }

    /// Asks for a run. The definition and the inputs are kept with it: changes of a file do not reach it. A
    /// [`WorkflowPool`](super::WorkflowPool) does it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for inputs and for a graph that cannot be; those of [`JobStore::enqueue_batch`].
    pub fn start(&self, request: &RunRequest) -> Result<JobId> {
        let workflow = &request.workflow;
        let (graph, mut problems) = super::graph::Graph::new(workflow);
        if let Some(cycle) = graph.cycle() {
            let message = format!("wait for each other in a circle: {}", cycle.join(" -> "));
            problems.push(Problem { place: String::new(), path: "steps".into(), message });
        }
        if !problems.is_empty() {
            return Err(invalid(problems));
        }
        let base = request.base()?;
        let inputs = inputs_of(workflow, &request.inputs, &base)?;
        let record = RunRecord { digest: workflow.digest()?, workflow: workflow.clone(), inputs, base };
        let job = record.job(&request.queue, request.tenant.as_deref(), request.priority)?;
        let (_, asked) = self.store.enqueue_batch(&workflow.name, Value::Null, vec![job])?;
        asked.first().map(|enqueued| enqueued.id).ok_or_else(|| Error::internal("the store took no job"))
    }

    /// The job of a run.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for what is no run.
    fn job(&self, run: JobId) -> Result<Job> {
        let unknown = || Error::UnknownName { what: "run", name: run.to_string(), suggestion: None };
        match self.store.get(run) {
            Ok(job) if job.spec.kind == WORKFLOW => Ok(job),
            Ok(_) | Err(Error::UnknownName { .. }) => Err(unknown()),
            Err(other) => Err(other),
        }
    }

    /// The newest runs, the newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn list(&self, limit: usize) -> Result<Vec<RunInfo>> {
        let mut all = Vec::new();
        let mut filter = JobFilter { kind: Some(WORKFLOW.into()), limit: 500, ..JobFilter::default() };
        loop {
            let page = self.store.list(&filter)?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.id);
            all.extend(page);
            // Pages go from old to new: the old ones are not kept.
            all.drain(..all.len().saturating_sub(limit));
        }
        all.reverse();
        all.iter().map(|job| Ok(info(job, &RunRecord::of(job)?))).collect()
    }

    /// A run in a few words.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; those of the store.
    pub fn info(&self, run: JobId) -> Result<RunInfo> {
        let job = self.job(run)?;
        Ok(info(&job, &RunRecord::of(&job)?))
    }

    /// A run with all its steps.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; those of the stores.
    pub fn report(&self, run: JobId) -> Result<RunReport> {
        let mut view = RunView::load(&self.job(run)?, &*self.store, &self.results)?;
        // What is skipped follows from the rest.
        view.board.settle();
        let mut steps = Vec::new();
        for (at, cell) in view.board.all() {
            let job = view.jobs.get(&at);
            let node = &view.graph.nodes[at.0];
            steps.push(StepInfo {
                step: node.step.id.clone(),
                kind: node.step.action.kind(),
                item: node.parent.map(|_| u32::try_from(at.1).unwrap_or(u32::MAX)),
                file: view.file_of(at).map(str::to_owned),
                state: word(cell, job),
                claims: job.map_or(0, |job| job.status.claims),
                error: job.and_then(|job| job.status.error.clone()),
                job: job.map(|job| job.id),
                result: job.filter(|_| cell == Cell::Done).map(result_of).transpose()?,
                undone: view.undoes.get(&at).is_some_and(|undo| undo.status.state == JobState::Succeeded),
            });
        }
        Ok(RunReport { info: info(&view.job, &view.record), inputs: view.record.inputs, steps })
    }

    /// The result of a step that is done.
    ///
    /// # Errors
    /// As [`ResultStore::get`].
    pub fn result(&self, result: &ResultRef) -> Result<Value> {
        self.results.get(result)
    }

    /// Stops a run: what waits at once, what runs within a second. What is done stays done.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; those of the stores.
    pub fn cancel(&self, run: JobId, why: &str) -> Result<CancelOutcome> {
        let job = self.job(run)?;
        let outcome = self.store.cancel(run, why)?;
        if outcome != CancelOutcome::Over {
            let view = RunView::load(&job, &*self.store, &self.results)?;
            for step in view.jobs.values().chain(view.undoes.values()).filter(|job| !job.status.state.is_over()) {
                self.store.cancel(step.id, why)?;
            }
        }
        Ok(outcome)
    }

    /// Makes a run go on that failed or was cancelled: what is done stays done, the rest is tried again. One that waits or runs goes on
    /// anyway.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; [`Error::Conflict`] for a run that succeeded, or whose steps were undone; those of the stores.
    pub fn resume(&self, run: JobId) -> Result<()> {
        let job = self.job(run)?;
        let refuse = |why: &str| Err(Error::Conflict { what: format!("run {run} {why}") });
        match RunState::of(&job) {
            RunState::Waiting | RunState::Running => return Ok(()),
            RunState::Succeeded => return refuse("has succeeded: there is nothing left to do"),
            RunState::Partial => return refuse("is over; what failed in it may fail. Start a new run"),
            RunState::Failed | RunState::Cancelled => {}
        }
        let view = RunView::load(&job, &*self.store, &self.results)?;
        if !view.undoes.is_empty() {
            return refuse("was undone: start a new one");
        }
        for step in view.jobs.values() {
            if matches!(step.status.state, JobState::Dead | JobState::Cancelled) {
                self.store.retry(step.id)?;
            }
        }
        self.store.retry(run)
    }

    /// Waits until a run is over, and tells where it stands after each change. Somebody else has to do it.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; [`Error::Cancelled`]; those of the store.
    pub fn wait(&self, run: JobId, cancel: &CancelToken, mut each: impl FnMut(&RunInfo)) -> Result<RunInfo> {
        let mut seen = 0;
        loop {
            let info = self.info(run)?;
            each(&info);
            if info.state.is_over() {
                return Ok(info);
            }
            cancel.check()?;
            seen = self.store.wait(seen, Duration::from_millis(100))?;
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl std::fmt::Debug for Workflows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workflows").finish_non_exhaustive()
    }
}

fn info(job: &Job, record: &RunRecord) -> RunInfo {
    let state = RunState::of(job);
    RunInfo {
        run: job.id,
        workflow: record.workflow.name.clone(),
        version: record.workflow.version,
        digest: record.digest.clone(),
        state,
        progress: if matches!(state, RunState::Succeeded | RunState::Partial) { 1.0 } else { job.status.progress },
        created_ms: job.status.created_ms,
        finished_ms: job.status.finished_ms,
        error: job.status.error.clone(),
    }
}

fn word(cell: Cell, job: Option<&Job>) -> &'static str {
    match cell {
        Cell::Open => "open",
        Cell::Going if job.is_some_and(|job| job.status.state.is_leased()) => "running",
        Cell::Going => "waiting",
        Cell::Done => "done",
        Cell::Failed => "failed",
        Cell::Cancelled => "cancelled",
        Cell::Skipped => "skipped",
    }
}
