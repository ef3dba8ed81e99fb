//! Jobs of a program: one door to a store, and to threads that work.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::job::{HistoryEntry, Job, JobId, JobSpec, Unique};
use super::memory::MemoryStore;
use super::process::{PROCESS, ProcessHandler};
use super::rules::StoreOptions;
use super::scope::{Gate, Scope};
use super::store::{Batch, CancelOutcome, JobFilter, JobStore, Stats};
use super::worker::{JobHandlers, WorkerOptions, WorkerPool};
use crate::Engine;
use crate::cancel::CancelToken;
use crate::config::JobSettings;
use crate::error::{Error, Result};
use crate::sync::{Mutex, lock};

/// Longest pause before a wish to stop waiting is seen.
const LOOK: Duration = Duration::from_millis(50);

/// Recordings to be processed, and how these jobs are to be treated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Submission {
    /// What to do, a job each: requests as for processing, with an input and at least one output that are paths. Relative ones are taken from
    /// the current folder now. Presets are written out now: one that changes later does not change the job.
    pub requests: Vec<Value>,
    /// Name of the batch for people. Several requests always make a batch.
    pub batch: Option<String>,
    /// Queue. Default: `default`.
    pub queue: Option<String>,
    /// On whose behalf.
    pub tenant: Option<String>,
    /// -100 to 100; more goes first. Default 0.
    pub priority: i32,
    /// Not before this time, in milliseconds since 1970-01-01 UTC. Default: at once.
    pub run_at_ms: Option<u64>,
    /// At most one job that is not over has this key; asking again answers the one that is there. With several requests the path of the
    /// first output is added to it.
    pub unique_key: Option<String>,
    /// Put this request in place of one of the same key that still waits.
    pub replace: bool,
    /// Failures that make it dead, 1 to 1000. Default: `jobs.max_attempts` of the configuration.
    pub max_attempts: Option<u32>,
    /// Longest run of one try in milliseconds; more is a failure.
    pub timeout_run_ms: Option<u64>,
    /// Longest time from being submitted to its end in milliseconds; then it is dead.
    pub timeout_total_ms: Option<u64>,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Submitted {
    /// The batch, when it is one.
    pub batch: Option<JobId>,
    /// A job for each request, in their order.
    pub jobs: Vec<super::store::Enqueued>,
}

/// How threads of this process work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkOptions {
    /// Jobs at the same time, 0 to 1024; 0 is one per core. Default: `jobs.workers` of the configuration.
    pub workers: Option<u32>,
    /// Queues to serve; none means all.
    pub queues: Vec<String>,
    /// Name to be known by. Default: `worker-` and the number of the process.
    pub name: Option<String>,
}

/// Jobs of a program: a store, and threads that do what is in it when they are asked to.
///
/// Jobs in a file survive the program; other programs with the same file see them and may do them, such as `puresound worker`.
pub struct Jobs {
    engine: Arc<Engine>,
    store: Arc<dyn JobStore>,
    settings: JobSettings,
    pool: Mutex<Option<WorkerPool>>,
}

impl Jobs {
    /// Jobs in a file, which is made when it is not there, in a PostgreSQL database (`postgres://...`), or, without either, in memory.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when this build has no such store; [`Error::Io`]; [`Error::Malformed`] for a file that is no database.
    pub fn open(engine: Arc<Engine>, database: Option<&Path>) -> Result<Self> {
        let settings = engine.settings().jobs;
        let store: Arc<dyn JobStore> = match database {
            None => Arc::new(MemoryStore::new(StoreOptions::from(&settings))),
            Some(database) => open_store(database, &settings)?,
        };
        Ok(Self::with_store(engine, store))
    }

    /// Jobs in a store of the host.
    pub fn with_store(engine: Arc<Engine>, store: Arc<dyn JobStore>) -> Self {
        let settings = engine.settings().jobs;
        Self { engine, store, settings, pool: Mutex::new(None) }
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn JobStore> {
        &self.store
    }

    /// Queues recordings to be processed: all of them, or none.
    ///
    /// # Errors
    /// Those of [`Engine::recipe`] and [`JobSpec::validate`]; [`Error::InvalidValue`] without requests, inputs or outputs;
    /// [`Error::Conflict`] while a scope of them is draining; those of the store.
    pub fn submit(&self, submission: &Submission) -> Result<Submitted> {
        if submission.requests.is_empty() {
            return Err(Error::InvalidValue {
                name: "requests".into(),
                value: "none".into(),
                allowed: "at least one request".into(),
            });
        }
        let specs =
            submission.requests.iter().map(|request| self.spec(submission, request)).collect::<Result<Vec<_>>>()?;
        if specs.len() == 1 && submission.batch.is_none() {
            return Ok(Submitted { batch: None, jobs: self.store.enqueue(specs)? });
        }
        let name = submission.batch.as_deref().unwrap_or("jobs");
        let (batch, jobs) = self.store.enqueue_batch(name, Value::Null, specs)?;
        Ok(Submitted { batch: Some(batch), jobs })
    }

    fn spec(&self, submission: &Submission, request: &Value) -> Result<JobSpec> {
        let mut recipe = self.engine.recipe(request)?;
        let missing = |name: &str| Error::InvalidValue {
            name: name.into(),
            value: "none".into(),
            allowed: "a path: jobs read and write files".into(),
        };
        if recipe.input.as_os_str().is_empty() {
            return Err(missing("input"));
        }
        recipe.input = absolute(&recipe.input)?;
        if recipe.outputs.is_empty() {
            return Err(missing("outputs"));
        }
        for output in &mut recipe.outputs {
            if output.path.as_os_str().is_empty() {
                return Err(missing("outputs.path"));
            }
            output.path = absolute(&output.path)?;
        }
        recipe.validate()?;
        let key = submission.unique_key.as_ref().map(|key| match submission.requests.len() {
            1 => key.clone(),
            _ => format!("{key}:{}", recipe.outputs[0].path.display()),
        });
        let payload = serde_json::to_value(&recipe).map_err(|e| Error::internal(e.to_string()))?;
        let usual = JobSpec::with_settings(PROCESS, payload, &self.settings);
        let spec = JobSpec {
            queue: submission.queue.clone().unwrap_or_else(|| usual.queue.clone()),
            tenant: submission.tenant.clone(),
            priority: submission.priority,
            run_at_ms: submission.run_at_ms,
            unique: key.map(|key| Unique { key, window_ms: None, replace: submission.replace }),
            max_attempts: submission.max_attempts.unwrap_or(usual.max_attempts),
            timeout_run_ms: submission.timeout_run_ms,
            timeout_total_ms: submission.timeout_total_ms,
            ..usual
        };
        spec.validate()?;
        Ok(spec)
    }

    /// A job.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; those of the store.
    pub fn get(&self, id: JobId) -> Result<Job> {
        self.store.get(id)
    }

    /// The steps of a job's life, the first one first.
    ///
    /// # Errors
    /// As [`Jobs::get`].
    pub fn history(&self, id: JobId) -> Result<Vec<HistoryEntry>> {
        self.store.get(id)?;
        self.store.history(id)
    }

    /// Jobs in the order of their making, by page.
    ///
    /// # Errors
    /// Those of the store.
    pub fn list(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        self.store.list(filter)
    }

    /// A batch and how far it is.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; those of the store.
    pub fn batch(&self, id: JobId) -> Result<Batch> {
        self.store.batch(id)
    }

    /// Stops a job: at once when it waits; a running one is asked to, and ends within a block of audio.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; those of the store.
    pub fn cancel(&self, id: JobId, why: &str) -> Result<CancelOutcome> {
        self.store.cancel(id, why)
    }

    /// Makes a dead or cancelled job wait again, with counters at 0.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; [`Error::Conflict`] for a job in another state, and while another job has its unique key.
    pub fn retry(&self, id: JobId) -> Result<()> {
        self.store.retry(id)
    }

    /// Opens, pauses or drains a scope.
    ///
    /// # Errors
    /// Those of the store.
    pub fn set_gate(&self, scope: &Scope, gate: Gate) -> Result<()> {
        self.store.set_gate(scope, gate)
    }

    /// How many jobs there are, where.
    ///
    /// # Errors
    /// Those of the store.
    pub fn stats(&self) -> Result<Stats> {
        self.store.stats()
    }

    /// Starts threads that do jobs, until [`Jobs::stop`] or the end of this. State and progress are told as events of the engine.
    ///
    /// # Errors
    /// [`Error::Conflict`] when they work already; those of [`WorkerPool::start`].
    pub fn start(&self, options: &WorkOptions) -> Result<()> {
        let mut pool = lock(&self.pool);
        if pool.is_some() {
            return Err(Error::Conflict { what: "these jobs are being worked on: stop first".into() });
        }
        let mut settings = self.settings.clone();
        settings.workers = options.workers.unwrap_or(settings.workers);
        let mut work = WorkerOptions { queues: options.queues.clone(), ..WorkerOptions::from(&settings) };
        work.name = options.name.clone().unwrap_or(work.name);
        let handler = ProcessHandler::new(Arc::clone(&self.engine));
        let handlers = JobHandlers::from([(PROCESS.to_owned(), Arc::new(handler) as _)]);
        *pool = Some(WorkerPool::start(Arc::clone(&self.store), handlers, Some(self.engine.events().clone()), work)?);
        Ok(())
    }

    /// Takes no more jobs, and waits up to `patience` (default: `jobs.drain_s` of the configuration) for those that run; what is not done by
    /// then is handed back, at nobody's charge. How many were handed back. Nothing happens when nobody works.
    pub fn stop(&self, patience: Option<Duration>) -> usize {
        let patience = patience.unwrap_or(Duration::from_secs(u64::from(self.settings.drain_s)));
        let pool = lock(&self.pool).take();
        pool.map_or(0, |pool| pool.stop(patience))
    }

    /// Waits until these jobs are over, whoever does them; without any, until threads of this have nothing left to do (jobs that wait for
    /// their time do not count). At most for `timeout`. Whether it came to that.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; [`Error::Cancelled`]; [`Error::Conflict`] without jobs when no threads were started; those of the store.
    pub fn wait(&self, jobs: &[JobId], timeout: Option<Duration>, cancel: &CancelToken) -> Result<bool> {
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        let mut left: Vec<JobId> = jobs.to_vec();
        let mut seen = 0;
        loop {
            cancel.check()?;
            while let Some(id) = left.last() {
                if !self.store.get(*id)?.status.state.is_over() {
                    break;
                }
                left.pop();
            }
            if left.is_empty() && (!jobs.is_empty() || self.is_idle()?) {
                return Ok(true);
            }
            let room = deadline.map_or(LOOK, |at| at.saturating_duration_since(Instant::now()).min(LOOK));
            if room.is_zero() {
                return Ok(false);
            }
            seen = self.store.wait(seen, room)?;
            // Holds back a store that changes all the time.
            cancel.pause(room.min(LOOK / 10))?;
        }
    }

    fn is_idle(&self) -> Result<bool> {
        let pool = lock(&self.pool);
        let pool =
            pool.as_ref().ok_or_else(|| Error::Conflict { what: "nobody works on these jobs: start first".into() })?;
        pool.is_idle()
    }
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("pool", &*lock(&self.pool)).finish_non_exhaustive()
    }
}

impl Job {
    /// The job as JSON, see the schema `job`: without what only its worker may know.
    ///
    /// # Errors
    /// [`Error::Internal`] for one that cannot be JSON.
    pub fn record(&self) -> Result<Value> {
        let mut value = serde_json::to_value(self).map_err(|e| Error::internal(e.to_string()))?;
        if let Some(fields) = value.as_object_mut() {
            fields.shift_remove("rank");
        }
        if let Some(holder) = value["holder"].as_object_mut() {
            for secret in ["token", "boot", "until_ms"] {
                holder.shift_remove(secret);
            }
        }
        Ok(value)
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::io("open", Some(path), e))
}

/// The store in a file, or in PostgreSQL by its URL (`postgres://USER:PASSWORD@HOST:PORT/DATABASE`).
///
/// # Errors
/// [`Error::Unsupported`] when this build has no such store; those of `SqliteStore::open` and `PostgresStore::open`.
pub fn open_store(database: &Path, settings: &JobSettings) -> Result<Arc<dyn JobStore>> {
    match postgres_url(database) {
        Some(connection) => open_postgres(connection, settings),
        None => open_file(database, settings),
    }
}

/// The text of `database` when it is a URL of PostgreSQL and no file.
pub fn postgres_url(database: &Path) -> Option<&str> {
    database.to_str().filter(|text| text.starts_with("postgres://") || text.starts_with("postgresql://"))
}

#[cfg(feature = "sqlite")]
fn open_file(path: &Path, settings: &JobSettings) -> Result<Arc<dyn JobStore>> {
    Ok(Arc::new(super::SqliteStore::open(path, &super::SqliteOptions::from(settings))?))
}

#[cfg(not(feature = "sqlite"))]
fn open_file(_: &Path, _: &JobSettings) -> Result<Arc<dyn JobStore>> {
    Err(Error::unsupported("job store", "a file (built without the feature sqlite)"))
}

#[cfg(feature = "postgres")]
fn open_postgres(connection: &str, settings: &JobSettings) -> Result<Arc<dyn JobStore>> {
    let options = super::PostgresOptions { store: settings.into(), ..super::PostgresOptions::default() };
    Ok(Arc::new(super::PostgresStore::open(connection, &options)?))
}

#[cfg(not(feature = "postgres"))]
fn open_postgres(_: &str, _: &JobSettings) -> Result<Arc<dyn JobStore>> {
    Err(Error::unsupported("job store", "PostgreSQL (built without the feature postgres)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::JobState::{Available, Cancelled, Dead, Succeeded};
    use serde_json::json;

    fn wav(path: &Path, frames: usize) {
        let spec = crate::audio::Spec::new(8_000, crate::audio::ChannelLayout::MONO);
        let samples: Vec<f32> = (0..frames).map(|i| 0.25 * (i as f32 * 0.1).sin()).collect();
        let audio = crate::audio::Buffer::from_channels(spec, &[samples]);
        Engine::new().unwrap().encode(&audio, path, None, &crate::formats::tags::Metadata::default()).unwrap();
    }

    fn jobs(database: Option<&Path>) -> Jobs {
        Jobs::open(Arc::new(Engine::new().unwrap()), database).unwrap()
    }

    #[test]
    fn what_is_submitted_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("in.wav");
        wav(&input, 8_000);
        let jobs = jobs(None);
        let request = |name: &str| json!({ "input": input, "output": folder.path().join(name) });
        let submission = Submission { requests: vec![request("a.flac"), request("b.flac")], ..Submission::default() };
        let made = jobs.submit(&submission).unwrap();
        assert_eq!(jobs.batch(made.batch.unwrap()).unwrap().total(), 2);
        assert_eq!(jobs.get(made.jobs[0].id).unwrap().status.state, Available);
        let ids: Vec<JobId> = made.jobs.iter().map(|j| j.id).collect();
        let never = CancelToken::new();
        assert!(!jobs.wait(&ids, Some(Duration::from_millis(20)), &never).unwrap(), "nobody works");
        assert_eq!(jobs.wait(&[], None, &never).unwrap_err().name(), "CONFLICT");
        jobs.start(&WorkOptions { workers: Some(2), ..WorkOptions::default() }).unwrap();
        assert_eq!(jobs.start(&WorkOptions::default()).unwrap_err().name(), "CONFLICT");
        assert!(jobs.wait(&ids, Some(Duration::from_secs(60)), &never).unwrap());
        assert!(jobs.wait(&[], Some(Duration::from_secs(60)), &never).unwrap());
        assert_eq!(jobs.stop(None), 0);
        assert_eq!(jobs.stop(None), 0, "stopping twice is fine");
        for (id, name) in ids.iter().zip(["a.flac", "b.flac"]) {
            let record = jobs.get(*id).unwrap().record().unwrap();
            assert_eq!(record["state"], Succeeded.name(), "{record}");
            assert!(record.get("rank").is_none());
            assert!(folder.path().join(name).exists());
            assert_eq!(jobs.history(*id).unwrap().last().unwrap().to, Succeeded);
        }
        assert_eq!(jobs.stats().unwrap().states[&Succeeded], 2);
    }

    #[test]
    fn wishes_are_heeded_and_wrong_ones_refused() {
        let folder = tempfile::tempdir().unwrap();
        let jobs = jobs(None);
        let request = json!({ "input": folder.path().join("none.wav"), "output": folder.path().join("x.wav") });
        let one = Submission {
            requests: vec![request.clone()],
            unique_key: Some("x".into()),
            max_attempts: Some(1),
            ..Submission::default()
        };
        let made = jobs.submit(&one).unwrap().jobs[0];
        assert!(jobs.submit(&one).unwrap().jobs[0].duplicate);
        assert_eq!(jobs.cancel(made.id, "no").unwrap(), CancelOutcome::Cancelled);
        assert_eq!(jobs.get(made.id).unwrap().status.state, Cancelled);
        jobs.retry(made.id).unwrap();
        jobs.start(&WorkOptions { workers: Some(1), ..WorkOptions::default() }).unwrap();
        assert!(jobs.wait(&[made.id], Some(Duration::from_secs(60)), &CancelToken::new()).unwrap());
        assert_eq!(jobs.get(made.id).unwrap().status.state, Dead, "there is no such file");
        let refused = |submission: Submission| jobs.submit(&submission).unwrap_err().to_string();
        assert!(refused(Submission::default()).contains("requests"));
        let without = |fields: Value| Submission { requests: vec![fields], ..Submission::default() };
        assert!(refused(without(json!({ "output": "x.wav" }))).contains("input"));
        assert!(refused(without(json!({ "input": "x.wav" }))).contains("outputs"));
        assert!(refused(Submission { priority: 101, ..one.clone() }).contains("priority"));
        assert_eq!(jobs.get(JobId(7)).unwrap_err().name(), "UNKNOWN_NAME");
        let cancelled = CancelToken::new();
        cancelled.cancel();
        assert_eq!(jobs.wait(&[made.id], None, &cancelled).unwrap_err().name(), "CANCELLED");
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn jobs_in_a_file_survive() {
        let folder = tempfile::tempdir().unwrap();
        let (file, input) = (folder.path().join("jobs.db"), folder.path().join("in.wav"));
        wav(&input, 800);
        let request = json!({ "input": input, "output": folder.path().join("x.wav") });
        let made = jobs(Some(&file)).submit(&Submission { requests: vec![request], ..Submission::default() }).unwrap();
        let later = jobs(Some(&file));
        later.start(&WorkOptions::default()).unwrap();
        assert!(later.wait(&[made.jobs[0].id], Some(Duration::from_secs(60)), &CancelToken::new()).unwrap());
        assert!(folder.path().join("x.wav").exists());
        std::fs::write(file.with_extension("txt"), "no database at all, but text").unwrap();
        let error = Jobs::open(Arc::new(Engine::new().unwrap()), Some(&file.with_extension("txt"))).unwrap_err();
        assert!(["MALFORMED", "IO"].contains(&error.name()), "{error}");
    }
}
