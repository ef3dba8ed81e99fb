//! `Jobs`: work that survives the program that asked for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pure_sound::jobs::{Gate, Job, JobFilter, JobId, Scope, Submission, WorkOptions};
use pure_sound::{Error, Result};
use pyo3::prelude::*;

use crate::engine::Engine;
use crate::errors::{detached, raise};
use crate::fork::Home;
use crate::run::{Caller, CancelToken};
use crate::tables::{from_json, to_json};

/// Jobs in a file, a database or memory: options and records as JSON text.
#[pyclass(frozen, module = "pure_sound._native")]
pub struct Jobs {
    inner: Mutex<Option<Arc<pure_sound::jobs::Jobs>>>,
    home: Home,
}

impl Jobs {
    fn get_inner(&self, py: Python<'_>) -> PyResult<Arc<pure_sound::jobs::Jobs>> {
        self.home.check(py, "jobs")?;
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clone().ok_or_else(|| raise(py, &Error::Closed { what: "jobs" }))
    }

    /// Runs `work` on the jobs, without the interpreter's lock.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&pure_sound::jobs::Jobs) -> Result<T> + Send,
    ) -> PyResult<T> {
        let jobs = self.get_inner(py)?;
        detached(py, move || work(&jobs))
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        let Some(jobs) = self.inner.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        if !self.home.is_here() {
            // As for engines: its threads are in the parent process.
            std::mem::forget(jobs);
            return;
        }
        Python::attach(|py| py.detach(|| drop(jobs)));
    }
}

fn id(text: &str) -> Result<JobId> {
    text.parse()
}

/// Seconds, or none.
fn seconds(name: &str, value: Option<f64>) -> Result<Option<Duration>> {
    let Some(value) = value else { return Ok(None) };
    Duration::try_from_secs_f64(value).map(Some).map_err(|_| Error::InvalidValue {
        name: name.into(),
        value: value.to_string(),
        allowed: "seconds from 0 on, or None".into(),
    })
}

#[pymethods]
impl Jobs {
    /// Jobs in a file or database; without, in memory.
    #[new]
    #[pyo3(signature = (engine, database=None))]
    fn new(py: Python<'_>, engine: &Engine, database: Option<PathBuf>) -> PyResult<Self> {
        let engine = engine.get(py)?;
        let jobs = detached(py, || pure_sound::jobs::Jobs::open(engine, database.as_deref()))?;
        Ok(Self { inner: Mutex::new(Some(Arc::new(jobs))), home: Home::here() })
    }

    /// Queues recordings.
    fn submit(&self, py: Python<'_>, submission: &str) -> PyResult<String> {
        let submission: Submission = from_json(py, "submission", Some(submission))?;
        self.with(py, |jobs| to_json(&jobs.submit(&submission)?))
    }

    /// A job.
    fn get(&self, py: Python<'_>, id: &str) -> PyResult<String> {
        self.with(py, |jobs| to_json(&jobs.get(self::id(id)?)?.record()?))
    }

    /// The steps of a job's life.
    fn history(&self, py: Python<'_>, id: &str) -> PyResult<String> {
        self.with(py, |jobs| to_json(&jobs.history(self::id(id)?)?))
    }

    /// Jobs, a page at a time.
    #[pyo3(signature = (filter=None))]
    fn list(&self, py: Python<'_>, filter: Option<&str>) -> PyResult<String> {
        let filter: JobFilter = from_json(py, "filter", filter)?;
        self.with(py, |jobs| to_json(&jobs.list(&filter)?.iter().map(Job::record).collect::<Result<Vec<_>>>()?))
    }

    /// A batch.
    fn batch(&self, py: Python<'_>, id: &str) -> PyResult<String> {
        self.with(py, |jobs| to_json(&jobs.batch(self::id(id)?)?))
    }

    /// Stops a job.
    fn cancel(&self, py: Python<'_>, id: &str, why: &str) -> PyResult<String> {
        self.with(py, |jobs| to_json(&jobs.cancel(self::id(id)?, why)?))
    }

    /// Makes a dead or cancelled job wait again.
    fn retry(&self, py: Python<'_>, id: &str) -> PyResult<()> {
        self.with(py, |jobs| jobs.retry(self::id(id)?))
    }

    /// Opens, pauses or drains a scope.
    fn set_gate(&self, py: Python<'_>, scope: &str, gate: &str) -> PyResult<()> {
        self.with(py, |jobs| jobs.set_gate(&scope.parse::<Scope>()?, gate.parse::<Gate>()?))
    }

    /// How many jobs there are, where.
    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |jobs| to_json(&jobs.stats()?))
    }

    /// Starts threads that do jobs.
    #[pyo3(signature = (options=None))]
    fn start(&self, py: Python<'_>, options: Option<&str>) -> PyResult<()> {
        let options: WorkOptions = from_json(py, "options", options)?;
        self.with(py, |jobs| jobs.start(&options))
    }

    /// Ends them; how many jobs were handed back.
    #[pyo3(signature = (patience_s=None))]
    fn stop(&self, py: Python<'_>, patience_s: Option<f64>) -> PyResult<usize> {
        self.with(py, |jobs| Ok(jobs.stop(seconds("patience_s", patience_s)?)))
    }

    /// Waits until jobs (a JSON list of names) are over; without any, until nothing is left to do.
    #[pyo3(signature = (ids=None, timeout_s=None, cancel=None))]
    fn wait(
        &self,
        py: Python<'_>,
        ids: Option<&str>,
        timeout_s: Option<f64>,
        cancel: Option<Py<CancelToken>>,
    ) -> PyResult<bool> {
        let (jobs, ids) = (self.get_inner(py)?, from_json::<Vec<JobId>>(py, "ids", ids)?);
        let caller = Caller { cancel, ..Caller::default() };
        caller.run(py, move |control| jobs.wait(&ids, seconds("timeout_s", timeout_s)?, &control.cancel))
    }

    /// Stops, and lets go of the store.
    fn close(&self, py: Python<'_>) {
        let jobs = self.inner.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(jobs) = jobs {
            if self.home.is_here() {
                py.detach(|| drop(jobs));
            } else {
                std::mem::forget(jobs);
            }
        }
    }
}
