//! The few things that a kind of store does differently: rows. All rules are in `rules`, once, for every kind.

use std::collections::{BTreeMap, BTreeSet};

use super::job::{HistoryEntry, Job, JobId, JobState, JobStatus};
use super::rules::Request;
use super::schedule::ScheduleStatus;
use super::scope::{Scope, ScopeRules};
use super::store::{Batch, JobFilter};
use super::time::Moment;
use crate::error::Result;

/// What a claim looks for.
#[derive(Debug, Default)]
pub(super) struct Wanted<'a> {
    /// Queues; none means all.
    pub queues: &'a [String],
    /// Kinds; none means all.
    pub kinds: &'a [String],
    /// Scopes that may not start anything now.
    pub closed: BTreeSet<Scope>,
}

/// The rows of a store, inside of a transaction.
pub(super) trait Table {
    /// Adds a job.
    fn insert(&mut self, id: JobId, request: &Request, status: &JobStatus) -> Result<()>;
    /// Writes the status of a job, and its request when `whole`.
    fn update(&mut self, job: &Job, whole: bool) -> Result<()>;
    /// Removes a job and its history.
    fn remove(&mut self, id: JobId) -> Result<()>;
    /// A job as it was written.
    fn get(&self, id: JobId) -> Result<Option<Job>>;
    /// Makes the scheduled jobs available whose time has come.
    fn promote(&mut self, unix_ms: u64) -> Result<()>;
    /// The first of the available jobs, by rank and then by name.
    fn next(&self, wanted: &Wanted<'_>) -> Result<Option<Job>>;
    /// Jobs whose lease is over, or of another start of the machine.
    fn orphans(&self, now: &Moment) -> Result<Vec<Job>>;
    /// Waiting jobs that had to start, or be over, before now.
    fn overdue(&self, unix_ms: u64) -> Result<Vec<Job>>;
    /// How many jobs of a scope are leased.
    fn leased(&self, scope: &Scope) -> Result<u64>;
    /// The job that is not over and has this unique key; `to_change` if it will be written.
    fn holder_of(&self, key: &str, to_change: bool) -> Result<Option<Job>>;
    /// A job with this unique key that succeeded at or after this time.
    fn succeeded_since(&self, key: &str, unix_ms: u64) -> Result<Option<JobId>>;
    /// Jobs by name.
    fn list(&self, filter: &JobFilter) -> Result<Vec<Job>>;
    /// A page of the jobs of a filter that ended before this time, with their batches; without those of batches that are not over.
    fn finished_before(&self, unix_ms: u64, filter: &JobFilter) -> Result<Vec<(JobId, Option<JobId>)>>;
    /// How many these are on all pages.
    fn count_finished_before(&self, unix_ms: u64, filter: &JobFilter) -> Result<u64>;
    /// How many jobs, by queue and state.
    fn counts(&self) -> Result<Vec<(String, JobState, u64)>>;
    /// When the oldest available job could have started.
    fn oldest(&self) -> Result<Option<u64>>;
    /// The rules of a scope.
    fn rules(&self, scope: &Scope) -> Result<Option<ScopeRules>>;
    /// All rules, by scope.
    fn all_rules(&self) -> Result<Vec<ScopeRules>>;
    /// Writes the rules of a scope.
    fn set_rules(&mut self, rules: &ScopeRules) -> Result<()>;
    /// Adds a step to the life of a job.
    fn note(&mut self, id: JobId, entry: &HistoryEntry) -> Result<()>;
    /// The steps of a job.
    fn history(&self, id: JobId) -> Result<Vec<HistoryEntry>>;
    /// Adds a batch; its states do not count.
    fn add_batch(&mut self, batch: &Batch) -> Result<()>;
    /// Removes a batch; its jobs are gone.
    fn remove_batch(&mut self, id: JobId) -> Result<()>;
    /// A batch without its states.
    fn batch(&self, id: JobId) -> Result<Option<Batch>>;
    /// The newest batches without their states.
    fn batches(&self, limit: usize) -> Result<Vec<Batch>>;
    /// How many jobs of a batch are in which state.
    fn batch_states(&self, id: JobId) -> Result<BTreeMap<JobState, u64>>;
    /// All schedules by name.
    fn schedules(&self) -> Result<Vec<ScheduleStatus>>;
    /// Those whose next tick is not after this time.
    fn due_schedules(&self, unix_ms: u64) -> Result<Vec<ScheduleStatus>>;
    /// Writes a schedule, in place of one of its name.
    fn set_schedule(&mut self, schedule: &ScheduleStatus) -> Result<()>;
    /// Removes a schedule; whether it was there.
    fn remove_schedule(&mut self, name: &str) -> Result<bool>;
}
