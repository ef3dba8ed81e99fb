//! What a store of jobs does, whoever keeps it.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::failure::JobError;
use super::job::{HistoryEntry, Job, JobId, JobSpec, JobState, Published};
use super::schedule::{Schedule, ScheduleStatus};
use super::scope::{Gate, Limits, Scope, ScopeRules};
use crate::error::{Error, Result};

/// Keeps jobs, hands them to workers, and survives whatever happens to those.
///
/// Each call is one transaction: it happens whole or not at all, and when it returns, what it did is as durable as the store is. A
/// worker writes with the [`Lease`] that it was given; once that is lost (the worker was too slow, and somebody else may have the
/// job), its writes do nothing and answer `None`: it must stop, and publish nothing.
///
/// # Errors
/// Besides those that are named: [`Error::Io`] when the store cannot be read or written;
/// [`Error::Malformed`] when what is in it is damaged; [`Error::Closed`].
pub trait JobStore: Send + Sync {
    /// Adds jobs, all or none.
    ///
    /// # Errors
    /// Those of [`JobSpec::validate`]; [`Error::Conflict`] while a scope of one of them is draining.
    fn enqueue(&self, specs: Vec<JobSpec>) -> Result<Vec<Enqueued>>;

    /// Adds jobs that belong together. `data` is kept with the batch.
    ///
    /// # Errors
    /// As [`JobStore::enqueue`].
    fn enqueue_batch(&self, name: &str, data: Value, specs: Vec<JobSpec>) -> Result<(JobId, Vec<Enqueued>)>;

    /// Gives the next job to a worker: the highest priority first, then what could start earliest, then what was enqueued first.
    /// None when there is nothing that may start now.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for the name of the worker, [`Error::OutOfRange`]
    /// for the lease.
    fn claim(&self, request: &ClaimRequest) -> Result<Option<Claimed>>;

    /// Renews a lease and notes progress, which never goes back.
    ///
    /// # Errors
    /// Those of the store.
    fn beat(&self, lease: &Lease, progress: Option<f64>) -> Result<Option<Beat>>;

    /// Notes a file that is whole and about to get its name; the job is `publishing` from then on. Only who was told `Some` may go on.
    ///
    /// # Errors
    /// Those of the store.
    fn publish(&self, lease: &Lease, file: &Published) -> Result<Option<()>>;

    /// The job is done.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] for the result.
    fn complete(&self, lease: &Lease, result: Option<Value>) -> Result<Option<()>>;

    /// [`JobStore::complete`] and [`JobStore::claim`] together, for a worker that goes on: in one transaction where that is cheaper than two.
    /// What was not claimed because of an error counts as nothing: who asks again, hears of it.
    ///
    /// # Errors
    /// As [`JobStore::complete`]; nothing was claimed then.
    fn complete_and_claim(
        &self,
        lease: &Lease,
        result: Option<Value>,
        request: &ClaimRequest,
    ) -> Result<(Option<()>, Option<Claimed>)> {
        let done = self.complete(lease, result)?;
        Ok((done, self.claim(request).unwrap_or(None)))
    }

    /// The try failed. Where the job went.
    ///
    /// # Errors
    /// Those of the store.
    fn fail(&self, lease: &Lease, error: &JobError) -> Result<Option<JobState>>;

    /// Gives the job back undone, at nobody's charge: the worker has to stop.
    ///
    /// # Errors
    /// Those of the store.
    fn hand_back(&self, lease: &Lease) -> Result<Option<()>>;

    /// Takes back the jobs whose lease is over, and ends those that waited too long. Anybody may call it, often.
    ///
    /// # Errors
    /// Those of the store.
    fn sweep(&self) -> Result<Swept>;

    /// Stops a job: at once when it waits; a running one is asked to, and told so by its next beat.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    fn cancel(&self, id: JobId, why: &str) -> Result<CancelOutcome>;

    /// Makes a dead or cancelled job wait again, with counters at 0.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; [`Error::Conflict`] for a job in another state,
    /// and while another job has its unique key.
    fn retry(&self, id: JobId) -> Result<()>;

    /// Opens, pauses or drains a scope.
    ///
    /// # Errors
    /// Those of the store.
    fn set_gate(&self, scope: &Scope, gate: Gate) -> Result<()>;

    /// Limits a scope.
    ///
    /// # Errors
    /// Those of [`Limits::validate`].
    fn set_limits(&self, scope: &Scope, limits: Limits) -> Result<()>;

    /// All scopes that have rules.
    ///
    /// # Errors
    /// Those of the store.
    fn scopes(&self) -> Result<Vec<ScopeRules>>;

    /// A job.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    fn get(&self, id: JobId) -> Result<Job>;

    /// Jobs in the order of their making, by page.
    ///
    /// # Errors
    /// Those of the store.
    fn list(&self, filter: &JobFilter) -> Result<Vec<Job>>;

    /// The steps of a job's life, the first one first.
    ///
    /// # Errors
    /// Those of the store.
    fn history(&self, id: JobId) -> Result<Vec<HistoryEntry>>;

    /// A batch and how far it is.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    fn batch(&self, id: JobId) -> Result<Batch>;

    /// The newest batches, the newest first.
    ///
    /// # Errors
    /// Those of the store.
    fn batches(&self, limit: usize) -> Result<Vec<Batch>>;

    /// How many jobs there are, where.
    ///
    /// # Errors
    /// Those of the store.
    fn stats(&self) -> Result<Stats>;

    /// Forgets jobs of a filter that ended before `finished_before_ms`, with their history; at most as many as a page of the filter has.
    /// How many. What belongs to a batch stays until all of it is over: a run of a workflow knows by its steps what is done. A batch goes
    /// with the last of its jobs.
    ///
    /// # Errors
    /// Those of the store.
    fn purge(&self, finished_before_ms: u64, filter: &JobFilter) -> Result<usize>;

    /// How many [`JobStore::purge`] would forget, called until nothing is left.
    ///
    /// # Errors
    /// Those of the store.
    fn purgeable(&self, finished_before_ms: u64, filter: &JobFilter) -> Result<u64>;

    /// Adds a schedule, or replaces the one of its name, which goes on at its next tick when its times are the same.
    ///
    /// # Errors
    /// Those of [`Schedule::validate`]; [`Error::Unsupported`] of a store without schedules.
    fn set_schedule(&self, _schedule: Schedule) -> Result<ScheduleStatus> {
        Err(Error::unsupported("job store", "schedules"))
    }

    /// Removes a schedule; whether it was there. Jobs that it has made stay.
    ///
    /// # Errors
    /// Those of the store.
    fn remove_schedule(&self, _name: &str) -> Result<bool> {
        Ok(false)
    }

    /// All schedules by name.
    ///
    /// # Errors
    /// Those of the store.
    fn schedules(&self) -> Result<Vec<ScheduleStatus>> {
        Ok(Vec::new())
    }

    /// Waits until the store has changed since it answered `seen` (0 at first), at most for `timeout`. May answer early. What to
    /// pass as `seen` next time.
    ///
    /// # Errors
    /// Those of the store.
    fn wait(&self, seen: u64, timeout: Duration) -> Result<u64>;

    /// Lets everybody in this process who waits for the store look around: [`JobStore::wait`] answers. Without it they look when their time
    /// is over.
    fn wake(&self) {}
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Enqueued {
    /// The job; with `duplicate`, the one that was there.
    pub id: JobId,
    /// There was a job with this unique key, and it counts.
    pub duplicate: bool,
    /// It waited, and has the new request now.
    pub replaced: bool,
}

/// What a worker can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// Name of the worker, for people.
    pub worker: String,
    /// Queues that it serves; none means all.
    pub queues: Vec<String>,
    /// Kinds that it knows; none means all.
    pub kinds: Vec<String>,
    /// How long it has the job without a beat, in milliseconds; 100 to 86,400,000.
    pub lease_ms: u64,
}

impl ClaimRequest {
    /// Any job, for 30 s.
    pub fn new(worker: impl Into<String>) -> Self {
        Self { worker: worker.into(), queues: Vec::new(), kinds: Vec::new(), lease_ms: 30_000 }
    }
}

/// The right to write for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    pub(super) token: u64,
    /// How long it holds after each beat, in milliseconds.
    pub ttl_ms: u64,
}

/// A job in the hands of a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The job.
    pub job: Job,
    /// The right to write for it.
    pub lease: Lease,
}

/// Answer to a beat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Why the worker should stop, if it should.
    pub cancel: Option<String>,
    /// The job ran out of its total time: stop, and fail.
    pub overdue: bool,
}

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Jobs whose worker vanished, and where they went.
    pub orphans: Vec<(JobId, JobState)>,
    /// Jobs that waited too long and are dead.
    pub overdue: Vec<JobId>,
}

/// What a wish to cancel did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelOutcome {
    /// It waited and is cancelled.
    Cancelled,
    /// It runs and is asked to stop.
    Asked,
    /// It was over already.
    Over,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JobFilter {
    /// In these states; none means all.
    pub states: Vec<JobState>,
    /// In this queue.
    pub queue: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Of this batch.
    pub batch: Option<JobId>,
    /// With this unique key.
    pub unique_key: Option<String>,
    /// After this job, for the next page.
    pub after: Option<JobId>,
    /// At most so many; 0 means 100.
    pub limit: usize,
}

impl JobFilter {
    /// How many jobs a page has.
    pub(super) fn page(&self) -> usize {
        if self.limit == 0 { 100 } else { self.limit }
    }
}

/// Jobs that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Batch {
    /// Its name for programs.
    pub id: JobId,
    /// Its name for people.
    pub name: String,
    /// What came with it.
    pub data: Value,
    /// When it was made, in milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
    /// How many of its jobs are in which state.
    pub states: BTreeMap<JobState, u64>,
}

impl Batch {
    /// Jobs of the batch.
    pub fn total(&self) -> u64 {
        self.states.values().sum()
    }

    /// Jobs that are over.
    pub fn over(&self) -> u64 {
        self.states.iter().filter(|(state, _)| state.is_over()).map(|(_, count)| count).sum()
    }
}

/// How many jobs there are, where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// By state.
    pub states: BTreeMap<JobState, u64>,
    /// By queue and state.
    pub queues: BTreeMap<String, BTreeMap<JobState, u64>>,
    /// How long the oldest of those that could run has waited, in milliseconds.
    pub oldest_ms: Option<u64>,
}
