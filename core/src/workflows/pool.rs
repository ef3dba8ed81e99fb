//! Workers for runs and their steps in this process.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::coordinator::RunHandler;
use super::record::{WORKFLOW, WORKFLOW_STEP};
use super::runs::Workflows;
use super::step::{CustomActions, StepHandler};
use super::watch::Running;
use super::webhook::WebhookOptions;
use crate::Engine;
use crate::error::{Error, Result};
use crate::jobs::{JobHandlers, WorkerOptions, WorkerPool};
use crate::sync::Mutex;

/// How a pool works.
#[derive(Debug, Clone)]
pub struct WorkflowOptions {
    /// Name for people.
    pub name: String,
    /// Steps at the same time, at least 1.
    pub threads: usize,
    /// Runs at the same time, at least 1. Each takes a thread that mostly sleeps.
    pub runs: usize,
    /// Queues to serve; none means all.
    pub queues: Vec<String>,
    /// How long a step stays with a process that gives no sign of life, in milliseconds.
    pub lease_ms: u64,
    /// Where `notify` steps may send notices. Default: nowhere.
    pub webhooks: WebhookOptions,
}

impl Default for WorkflowOptions {
    fn default() -> Self {
        let name = format!("workflows-{}", std::process::id());
        Self { name, threads: 1, runs: 8, queues: Vec::new(), lease_ms: 10_000, webhooks: WebhookOptions::default() }
    }
}

/// Threads that do the runs of a store and their steps, until the pool is stopped or dropped. Several processes, on several machines when the
/// store and the results are shared, may each have one: any of them does any step.
pub struct WorkflowPool {
    steps: Option<WorkerPool>,
    runs: Option<WorkerPool>,
    running: Arc<Running>,
    watch: Option<JoinHandle<()>>,
}

impl WorkflowPool {
    /// Starts threads. Events go to the bus of the engine.
    ///
    /// # Errors
    /// As [`WorkerPool::start`].
    pub fn start(
        engine: Arc<Engine>,
        workflows: &Workflows,
        actions: CustomActions,
        options: &WorkflowOptions,
    ) -> Result<Self> {
        Self::start_with(engine, workflows, actions, JobHandlers::new(), options)
    }

    /// As [`WorkflowPool::start`], with threads that also do jobs of other kinds: steps and jobs together are as many at a time as the
    /// options say.
    ///
    /// # Errors
    /// As [`WorkerPool::start`]; [`Error::Conflict`] for handlers of runs or steps.
    pub fn start_with(
        engine: Arc<Engine>,
        workflows: &Workflows,
        actions: CustomActions,
        mut others: JobHandlers,
        options: &WorkflowOptions,
    ) -> Result<Self> {
        if let Some(own) = [WORKFLOW, WORKFLOW_STEP].iter().find(|kind| others.contains_key(**kind)) {
            return Err(Error::Conflict { what: format!("jobs of the kind '{own}' have a handler already") });
        }
        let (store, results) = (workflows.store(), workflows.results());
        let running = Arc::<Running>::default();
        let (looking, watched) = (Arc::clone(&running), Arc::clone(store));
        let watch = std::thread::Builder::new().name("puresound-watch".into()).spawn(move || looking.look(&*watched));
        let watch = watch.map_err(|e| Error::Unavailable { what: format!("thread of a worker: {e}") })?;
        let mut pool = Self { steps: None, runs: None, running: Arc::clone(&running), watch: Some(watch) };
        let events = engine.events().clone();
        let one = |handlers: JobHandlers, threads: usize| {
            let own = WorkerOptions {
                name: options.name.clone(),
                threads,
                queues: options.queues.clone(),
                lease_ms: options.lease_ms,
            };
            WorkerPool::start(Arc::clone(store), handlers, Some(events.clone()), own)
        };
        let steps = StepHandler {
            engine,
            store: Arc::clone(store),
            results: Arc::clone(results),
            actions,
            webhooks: options.webhooks.clone(),
            running: Arc::clone(&running),
            runs: Mutex::new(HashMap::new()),
        };
        let runs =
            RunHandler { store: Arc::clone(store), results: Arc::clone(results), events: events.clone(), running };
        others.insert(WORKFLOW_STEP.to_owned(), Arc::new(steps));
        // Apart, so that runs that wait for their steps never take the threads that do them.
        pool.steps = Some(one(others, options.threads)?);
        pool.runs = Some(one(JobHandlers::from([(WORKFLOW.to_owned(), Arc::new(runs) as _)]), options.runs)?);
        Ok(pool)
    }

    /// True when there is nothing left to do for this pool, see [`WorkerPool::is_idle`]: no run goes on or could begin, and no step or
    /// other job of its kinds.
    ///
    /// # Errors
    /// Those of the store.
    pub fn is_idle(&self) -> Result<bool> {
        // What is in hand here needs no look at the store, which is asked often while there is much to do.
        if [&self.runs, &self.steps].into_iter().flatten().any(|pool| pool.running() > 0) {
            return Ok(false);
        }
        // First the runs: without one, nobody asks for another step in between.
        for pool in [&self.runs, &self.steps].into_iter().flatten() {
            if !pool.is_idle()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes nothing new, and waits up to `patience` for the steps that run; what is not done by then is stopped and handed back, at
    /// nobody's charge. How many steps were handed back.
    pub fn stop(mut self, patience: Duration) -> usize {
        self.end(patience)
    }

    fn end(&mut self, patience: Duration) -> usize {
        // First those who ask for steps.
        drop(self.runs.take());
        let back = self.steps.take().map_or(0, |steps| steps.stop(patience));
        self.running.close();
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
        back
    }
}

impl Drop for WorkflowPool {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

impl std::fmt::Debug for WorkflowPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkflowPool").field("steps", &self.steps).field("runs", &self.runs).finish_non_exhaustive()
    }
}
