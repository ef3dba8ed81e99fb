//! [`Jobs`]: work that survives the program that asked for it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use napi::bindgen_prelude::{Env, Object, ToNapiValue};
use napi_derive::napi;
use pure_sound::jobs::{Gate, Job, JobFilter, JobId, Jobs as CoreJobs, Scope, Submission, WorkOptions};
use pure_sound::{Error as CoreError, Result};

use crate::cancel::{Cancel, Reins};
use crate::engine::Engine;
use crate::error::sync;
use crate::promise::{json, options, promise};
use crate::threads::Lane;

/// Jobs in a file, a database or memory. Options and records are JSON.
#[napi]
pub struct Jobs {
    jobs: Arc<Mutex<Option<Arc<CoreJobs>>>>,
}

/// The jobs, unless they were closed.
fn open(jobs: &Mutex<Option<Arc<CoreJobs>>>) -> Result<Arc<CoreJobs>> {
    let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
    jobs.clone().ok_or(CoreError::Closed { what: "jobs" })
}

/// Seconds, or none.
fn seconds(name: &str, value: Option<f64>) -> Result<Option<Duration>> {
    let Some(value) = value else { return Ok(None) };
    Duration::try_from_secs_f64(value).map(Some).map_err(|_| CoreError::InvalidValue {
        name: name.into(),
        value: value.to_string(),
        allowed: "seconds from 0 on".into(),
    })
}

impl Jobs {
    /// A promise of what `work` does with the jobs; the store may have to wait for a disk.
    fn with<'env, T: ToNapiValue + Send + 'static>(
        &self,
        env: &'env Env,
        work: impl FnOnce(&CoreJobs) -> Result<T> + Send + 'static,
    ) -> napi::Result<Object<'env>> {
        let jobs = Arc::clone(&self.jobs);
        promise(env, Lane::Block, move || work(&*open(&jobs)?))
    }
}

#[napi]
impl Jobs {
    /// Jobs of an engine.
    #[napi(constructor)]
    pub fn new(env: &Env, engine: &Engine, database: Option<String>) -> napi::Result<Self> {
        sync(env, || {
            let jobs = CoreJobs::open(engine.shared(), database.as_deref().map(Path::new))?;
            Ok(Self { jobs: Arc::new(Mutex::new(Some(Arc::new(jobs)))) })
        })
    }

    /// Queues recordings.
    #[napi]
    pub fn submit<'env>(&self, env: &'env Env, submission: String) -> napi::Result<Object<'env>> {
        self.with(env, move |jobs| json(&jobs.submit(&options::<Submission>("submission", &submission)?)?))
    }

    /// A job.
    #[napi]
    pub fn get<'env>(&self, env: &'env Env, id: String) -> napi::Result<Object<'env>> {
        self.with(env, move |jobs| json(&jobs.get(id.parse()?)?.record()?))
    }

    /// The steps of a job's life.
    #[napi]
    pub fn history<'env>(&self, env: &'env Env, id: String) -> napi::Result<Object<'env>> {
        self.with(env, move |jobs| json(&jobs.history(id.parse()?)?))
    }

    /// Jobs, a page at a time.
    #[napi]
    pub fn list<'env>(&self, env: &'env Env, filter: String) -> napi::Result<Object<'env>> {
        self.with(env, move |jobs| {
            let found = jobs.list(&options::<JobFilter>("filter", &filter)?)?;
            json(&found.iter().map(Job::record).collect::<Result<Vec<_>>>()?)
        })
    }

    /// A batch.
    #[napi]
    pub fn batch<'env>(&self, env: &'env Env, id: String) -> napi::Result<Object<'env>> {
        self.with(env, move |jobs| json(&jobs.batch(id.parse()?)?))
    }

    /// Stops a job.
    #[napi]
    pub fn cancel<'env>(&self, env: &'env Env, id: String, why: String) -> napi::Result<Object<'env>> {
        self.with(env, move |jobs| json(&jobs.cancel(id.parse()?, &why)?))
    }

    /// Makes a dead or cancelled job wait again.
    #[napi]
    pub fn retry<'env>(&self, env: &'env Env, id: String) -> napi::Result<Object<'env>> {
        self.with(env, move |jobs| jobs.retry(id.parse()?))
    }

    /// Opens, pauses or drains a scope.
    #[napi]
    pub fn set_gate<'env>(&self, env: &'env Env, scope: String, gate: String) -> napi::Result<Object<'env>> {
        self.with(env, move |jobs| jobs.set_gate(&scope.parse::<Scope>()?, gate.parse::<Gate>()?))
    }

    /// How many jobs there are, where.
    #[napi]
    pub fn stats<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.with(env, |jobs| json(&jobs.stats()?))
    }

    /// Starts threads that do jobs.
    #[napi]
    pub fn start(&self, env: &Env, work: String) -> napi::Result<()> {
        sync(env, || open(&self.jobs)?.start(&options::<WorkOptions>("options", &work)?))
    }

    /// Ends them; how many jobs were handed back.
    #[napi]
    pub fn stop<'env>(&self, env: &'env Env, patience_s: Option<f64>) -> napi::Result<Object<'env>> {
        let jobs = Arc::clone(&self.jobs);
        promise(env, Lane::Fed, move || {
            let patience = seconds("patience_s", patience_s)?;
            Ok(open(&jobs)?.stop(patience) as u32)
        })
    }

    /// Waits until jobs (a JSON list of names) are over; for null until nothing is left to do.
    #[napi]
    pub fn wait<'env>(
        &self,
        env: &'env Env,
        ids: String,
        timeout_s: Option<f64>,
        cancel: &Cancel,
    ) -> napi::Result<Object<'env>> {
        let (jobs, reins) = (Arc::clone(&self.jobs), Reins::new(cancel, None));
        promise(env, Lane::Fed, move || {
            reins.drive(|control| {
                let ids: Option<Vec<JobId>> = options("ids", &ids)?;
                open(&jobs)?.wait(&ids.unwrap_or_default(), seconds("timeout_s", timeout_s)?, &control.cancel)
            })
        })
    }

    /// Stops, and lets go of the store.
    #[napi]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        promise(env, Lane::Fed, move || {
            drop(jobs);
            Ok(())
        })
    }
}
