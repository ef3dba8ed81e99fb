//! The rules of jobs, once for every kind of store. Each function runs inside of one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::failure::{FailureClass, JobError};
use super::job::{
    HistoryEntry, Holder, Job, JobId, JobSpec, JobState, JobStatus, Published, check_document, check_name,
};
use super::schedule::{Schedule, ScheduleStatus};
use super::scope::{Gate, Limits, Scope, ScopeRules};
use super::store::{Batch, Beat, CancelOutcome, ClaimRequest, Claimed, Enqueued, JobFilter, Lease, Stats, Swept};
use super::table::{Table, Wanted};
use super::time::{MachineTime, Moment, StoreTime};
use crate::error::{Error, ErrorCode, Result};
use crate::services::seams::{IdGenerator, UuidV7, random_u64};

/// Milliseconds that a step of priority is worth when no ageing is wanted: 317 years.
const STRICT_MS: i64 = 10_000_000_000_000;

/// Longest pause before another try that is believed: a year.
const LONGEST_PAUSE_MS: u64 = 31_536_000_000;

/// What a store needs from the world.
#[derive(Clone)]
pub struct StoreOptions {
    /// Tells the time.
    pub time: Arc<dyn StoreTime>,
    /// Names jobs.
    pub ids: Arc<dyn IdGenerator>,
    /// Random bits for leases and pauses.
    pub random: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// How many milliseconds of waiting are worth one step of priority, so that low priorities come to their turn, too. Holds for jobs
    /// that are enqueued from now on. Default: priorities are strict.
    pub ageing_ms: Option<u64>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            time: Arc::new(MachineTime::default()),
            ids: Arc::new(UuidV7::default()),
            random: Arc::new(random_u64),
            ageing_ms: None,
        }
    }
}

impl std::fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreOptions").field("ageing_ms", &self.ageing_ms).finish_non_exhaustive()
    }
}

/// What is wanted, checked, with its text. Made by callers, before anybody has a transaction.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub spec: JobSpec,
    /// `spec` as JSON.
    #[cfg_attr(not(any(feature = "sqlite", feature = "postgres")), expect(dead_code, reason = "a text for databases"))]
    pub text: String,
}

impl Request {
    /// # Errors
    /// Those of [`JobSpec::validate`].
    pub fn new(spec: JobSpec) -> Result<Self> {
        spec.validate()?;
        let text = serde_json::to_string(&spec).map_err(|e| Error::internal(format!("job store: {e}")))?;
        Ok(Self { spec, text })
    }

    /// # Errors
    /// As [`Request::new`].
    pub fn all(specs: impl IntoIterator<Item = JobSpec>) -> Result<Vec<Self>> {
        specs.into_iter().map(Self::new).collect()
    }
}

/// One transaction.
pub(super) struct Rules<'a> {
    table: &'a mut dyn Table,
    options: &'a StoreOptions,
    now: Moment,
}

impl<'a> Rules<'a> {
    pub fn new(table: &'a mut dyn Table, options: &'a StoreOptions) -> Self {
        Self::at(table, options, options.time.now())
    }

    /// As [`Rules::new`], at a time that somebody else tells.
    pub fn at(table: &'a mut dyn Table, options: &'a StoreOptions, now: Moment) -> Self {
        Self { table, options, now }
    }

    fn rank(&self, spec: &JobSpec, run_at_ms: u64) -> i64 {
        let step = self.options.ageing_ms.map_or(STRICT_MS, |ms| i64::try_from(ms).unwrap_or(STRICT_MS).min(STRICT_MS));
        i64::try_from(run_at_ms).unwrap_or(i64::MAX / 2) - i64::from(spec.priority) * step
    }

    /// Puts `job` into another state and writes it.
    fn go(&mut self, job: &mut Job, to: JobState, why: Option<String>, whole: bool) -> Result<()> {
        let from = job.status.state;
        if !from.may_become(to) {
            return Err(Error::internal(format!("job {}: {} cannot become {}", job.id, from.name(), to.name())));
        }
        job.status.state = to;
        if !to.is_leased() {
            job.status.holder = None;
        }
        job.status.finished_ms = to.is_over().then_some(self.now.unix_ms);
        let entry = HistoryEntry { time_ms: self.now.unix_ms, from: Some(from), to, claim: job.status.claims, why };
        self.table.update(job, whole)?;
        self.table.note(job.id, &entry)
    }

    /// Makes `job` wait until `run_at_ms`.
    fn wait(&mut self, job: &mut Job, run_at_ms: u64, why: Option<String>, whole: bool) -> Result<()> {
        job.status.run_at_ms = run_at_ms;
        job.status.start_by_ms = job.spec.timeout_queue_ms.map(|ms| run_at_ms.saturating_add(ms));
        job.status.rank = self.rank(&job.spec, run_at_ms);
        job.status.cancel = None;
        let to = if run_at_ms <= self.now.unix_ms { JobState::Available } else { JobState::Scheduled };
        self.go(job, to, why, whole)
    }

    fn die(&mut self, job: &mut Job, error: JobError) -> Result<()> {
        let why = error.message.clone();
        job.status.error = Some(error);
        self.go(job, JobState::Dead, Some(why), false)
    }

    pub fn enqueue(&mut self, requests: &[Request]) -> Result<Vec<Enqueued>> {
        requests.iter().map(|request| self.add(request, None)).collect()
    }

    fn add(&mut self, request: &Request, why: Option<String>) -> Result<Enqueued> {
        let spec = &request.spec;
        for scope in Scope::of(spec) {
            if self.table.rules(&scope)?.is_some_and(|r| r.gate == Gate::Draining) {
                return Err(Error::Conflict { what: format!("{scope} is draining and takes no new jobs") });
            }
        }
        let now_ms = self.now.unix_ms;
        if let Some(unique) = &spec.unique {
            if let Some(mut job) = self.table.holder_of(&unique.key, unique.replace)? {
                let replaced = unique.replace && job.status.state.is_waiting();
                if replaced {
                    let run_at_ms = spec.run_at_ms.unwrap_or(now_ms);
                    let batch = job.spec.batch;
                    job.spec = JobSpec { batch, ..spec.clone() };
                    job.status.deadline_ms = job.spec.timeout_total_ms.map(|ms| now_ms.saturating_add(ms));
                    self.wait(&mut job, run_at_ms, Some("replaced by a new request".into()), true)?;
                }
                return Ok(Enqueued { id: job.id, duplicate: true, replaced });
            }
            if let Some(window) = unique.window_ms
                && let Some(id) = self.table.succeeded_since(&unique.key, now_ms.saturating_sub(window))?
            {
                return Ok(Enqueued { id, duplicate: true, replaced: false });
            }
        }
        let run_at_ms = spec.run_at_ms.unwrap_or(now_ms);
        let state = if run_at_ms <= now_ms { JobState::Available } else { JobState::Scheduled };
        let status = JobStatus {
            state,
            created_ms: now_ms,
            run_at_ms,
            start_by_ms: spec.timeout_queue_ms.map(|ms| run_at_ms.saturating_add(ms)),
            deadline_ms: spec.timeout_total_ms.map(|ms| now_ms.saturating_add(ms)),
            finished_ms: None,
            claims: 0,
            attempts: 0,
            crashes: 0,
            progress: 0.0,
            holder: None,
            cancel: None,
            error: None,
            published: Vec::new(),
            result: None,
            rank: self.rank(spec, run_at_ms),
        };
        let id = JobId(self.options.ids.next_id());
        self.table.insert(id, request, &status)?;
        let entry = HistoryEntry { time_ms: now_ms, from: None, to: state, claim: 0, why };
        self.table.note(id, &entry)?;
        Ok(Enqueued { id, duplicate: false, replaced: false })
    }

    pub fn enqueue_batch(&mut self, name: &str, data: Value, specs: &[JobSpec]) -> Result<(JobId, Vec<Enqueued>)> {
        check_name("batch", name)?;
        check_document(&data)?;
        let id = JobId(self.options.ids.next_id());
        let batch = Batch { id, name: name.into(), data, created_ms: self.now.unix_ms, states: BTreeMap::new() };
        self.table.add_batch(&batch)?;
        let requests = Request::all(specs.iter().map(|spec| JobSpec { batch: Some(id), ..spec.clone() }))?;
        Ok((id, self.enqueue(&requests)?))
    }

    pub fn claim(&mut self, request: &ClaimRequest) -> Result<Option<Claimed>> {
        check_name("worker", &request.worker)?;
        Error::check_range("lease_ms", request.lease_ms as f64, 100.0, 86_400_000.0, "ms")?;
        self.tick()?;
        self.table.promote(self.now.unix_ms)?;
        let mut wanted = Wanted { queues: &request.queues, kinds: &request.kinds, ..Wanted::default() };
        while let Some(mut job) = self.table.next(&wanted)? {
            if self.end_overdue(&mut job)? {
                continue;
            }
            let mut admitted = Vec::new();
            let mut closed = None;
            for scope in Scope::of(&job.spec) {
                let Some(mut rules) = self.table.rules(&scope)? else { continue };
                let full = |max: u32| Ok::<_, Error>(self.table.leased(&scope)? >= u64::from(max));
                let arrival = rules.admit(&self.now);
                if rules.gate == Gate::Paused || rules.limits.max_running.map_or(Ok(false), full)? || arrival.is_none()
                {
                    closed = Some(scope);
                    break;
                }
                if let Some(Some(arrival)) = arrival {
                    rules.arrival = Some(arrival);
                    admitted.push(rules);
                }
            }
            match closed {
                Some(Scope::All) => return Ok(None),
                Some(scope) => {
                    wanted.closed.insert(scope);
                }
                None => {
                    admitted.iter().try_for_each(|rules| self.table.set_rules(rules))?;
                    return self.give(job, request).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn give(&mut self, mut job: Job, request: &ClaimRequest) -> Result<Claimed> {
        // 63 bits: a database has signed numbers.
        let token = (self.options.random)() >> 1;
        job.status.claims += 1;
        job.status.progress = 0.0;
        job.status.holder = Some(Holder {
            worker: request.worker.clone(),
            since_ms: self.now.unix_ms,
            token,
            boot: self.now.boot.to_string(),
            until_ms: self.now.up_ms + request.lease_ms,
        });
        self.go(&mut job, JobState::Running, Some(format!("taken by {}", request.worker)), false)?;
        let lease = Lease { job: job.id, token, ttl_ms: request.lease_ms };
        Ok(Claimed { job, lease })
    }

    /// The job of a lease that still holds.
    ///
    /// A lease is lost when its time is over even if nobody has taken the job yet: a worker that was away for so long must
    /// not find out by luck.
    fn held(&self, lease: &Lease) -> Result<Option<Job>> {
        let job = self.table.get(lease.job)?;
        Ok(job.filter(|job| {
            job.status.state.is_leased()
                && job
                    .status
                    .holder
                    .as_ref()
                    .is_some_and(|h| h.token == lease.token && *h.boot == *self.now.boot && self.now.up_ms < h.until_ms)
        }))
    }

    pub fn beat(&mut self, lease: &Lease, progress: Option<f64>) -> Result<Option<Beat>> {
        let Some(mut job) = self.held(lease)? else { return Ok(None) };
        if let Some(holder) = &mut job.status.holder {
            holder.until_ms = self.now.up_ms + lease.ttl_ms;
        }
        if let Some(part) = progress.filter(|p| p.is_finite()) {
            job.status.progress = job.status.progress.max(part.clamp(0.0, 1.0));
        }
        self.table.update(&job, false)?;
        let overdue = job.status.deadline_ms.is_some_and(|at| at <= self.now.unix_ms);
        Ok(Some(Beat { cancel: job.status.cancel, overdue }))
    }

    pub fn publish(&mut self, lease: &Lease, file: &Published) -> Result<Option<()>> {
        let Some(mut job) = self.held(lease)? else { return Ok(None) };
        if let Some(holder) = &mut job.status.holder {
            holder.until_ms = self.now.up_ms + lease.ttl_ms;
        }
        job.status.published.retain(|p| p.path != file.path);
        job.status.published.push(file.clone());
        self.go(&mut job, JobState::Publishing, Some(file.path.clone()), false)?;
        Ok(Some(()))
    }

    pub fn complete(&mut self, lease: &Lease, result: Option<Value>) -> Result<Option<()>> {
        if let Some(result) = &result {
            check_document(result)?;
        }
        let Some(mut job) = self.held(lease)? else { return Ok(None) };
        job.status.result = result;
        job.status.progress = 1.0;
        job.status.error = None;
        self.go(&mut job, JobState::Succeeded, None, false)?;
        Ok(Some(()))
    }

    pub fn fail(&mut self, lease: &Lease, error: &JobError) -> Result<Option<JobState>> {
        let Some(mut job) = self.held(lease)? else { return Ok(None) };
        let why = error.message.clone();
        job.status.error = Some(error.clone());
        if error.class == FailureClass::Cancelled {
            let why = job.status.cancel.clone().unwrap_or(why);
            self.go(&mut job, JobState::Cancelled, Some(why), false)?;
            return Ok(Some(job.status.state));
        }
        job.status.attempts += 1;
        let pause_ms = match error.class {
            FailureClass::RetryAfter(ms) => ms,
            _ => job.spec.backoff.pause_ms(job.status.attempts, (self.options.random)()),
        };
        if job.status.cancel.is_some() {
            // It was asked to stop: there is no other try.
            let why = job.status.cancel.clone();
            self.go(&mut job, JobState::Cancelled, why, false)?;
        } else if error.class == FailureClass::Permanent || job.status.attempts >= job.spec.max_attempts {
            self.go(&mut job, JobState::Dead, Some(why), false)?;
        } else {
            self.wait(&mut job, self.now.unix_ms + pause_ms.min(LONGEST_PAUSE_MS), Some(why), false)?;
        }
        Ok(Some(job.status.state))
    }

    pub fn hand_back(&mut self, lease: &Lease) -> Result<Option<()>> {
        let Some(mut job) = self.held(lease)? else { return Ok(None) };
        if let Some(why) = job.status.cancel.clone() {
            self.go(&mut job, JobState::Cancelled, Some(why), false)?;
        } else {
            // It keeps its place.
            let run_at_ms = job.status.run_at_ms.min(self.now.unix_ms);
            self.wait(&mut job, run_at_ms, Some("handed back".into()), false)?;
        }
        Ok(Some(()))
    }

    pub fn sweep(&mut self) -> Result<Swept> {
        let mut swept = Swept::default();
        self.tick()?;
        self.table.promote(self.now.unix_ms)?;
        for mut job in self.table.orphans(&self.now)? {
            job.status.crashes += 1;
            let who = job.status.holder.as_ref().map_or_else(String::new, |h| h.worker.clone());
            let vanished = format!("worker {who} vanished ({} of {})", job.status.crashes, job.spec.max_crashes);
            if let Some(why) = job.status.cancel.clone() {
                self.go(&mut job, JobState::Cancelled, Some(why), false)?;
            } else if job.status.crashes >= job.spec.max_crashes {
                self.die(&mut job, JobError::of(&Error::Unavailable { what: vanished }, FailureClass::Permanent))?;
            } else {
                let run_at_ms = job.status.run_at_ms.min(self.now.unix_ms);
                self.wait(&mut job, run_at_ms, Some(vanished), false)?;
            }
            swept.orphans.push((job.id, job.status.state));
        }
        for mut job in self.table.overdue(self.now.unix_ms)? {
            if self.end_overdue(&mut job)? {
                swept.overdue.push(job.id);
            }
        }
        Ok(swept)
    }

    /// Ends a waiting job that waited too long.
    fn end_overdue(&mut self, job: &mut Job) -> Result<bool> {
        let passed = |at: Option<u64>| at.is_some_and(|at| at <= self.now.unix_ms);
        let (limit, max) = if passed(job.status.deadline_ms) {
            ("timeout_total_ms", job.spec.timeout_total_ms)
        } else if passed(job.status.start_by_ms) {
            ("timeout_queue_ms", job.spec.timeout_queue_ms)
        } else {
            return Ok(false);
        };
        let waited = self.now.unix_ms.saturating_sub(job.status.created_ms) as f64;
        let error = Error::LimitExceeded { limit, value: waited, max: max.unwrap_or(0) as f64 };
        self.die(job, JobError::of(&error, FailureClass::Permanent))?;
        Ok(true)
    }

    pub fn cancel(&mut self, id: JobId, why: &str) -> Result<CancelOutcome> {
        let mut job = self.find(id)?;
        let why = if why.is_empty() { "cancelled" } else { why }.to_owned();
        if job.status.state.is_over() {
            return Ok(CancelOutcome::Over);
        }
        if job.status.state.is_waiting() {
            job.status.error = Some(JobError {
                class: FailureClass::Cancelled,
                code: ErrorCode::Cancelled.number(),
                name: ErrorCode::Cancelled.name().into(),
                message: why.clone(),
            });
            self.go(&mut job, JobState::Cancelled, Some(why), false)?;
            return Ok(CancelOutcome::Cancelled);
        }
        if job.status.cancel.is_none() {
            job.status.cancel = Some(why);
            self.table.update(&job, false)?;
        }
        Ok(CancelOutcome::Asked)
    }

    pub fn retry(&mut self, id: JobId) -> Result<()> {
        let mut job = self.find(id)?;
        if !matches!(job.status.state, JobState::Dead | JobState::Cancelled) {
            let what = format!("job {id} is {}: only dead and cancelled jobs are tried again", job.status.state.name());
            return Err(Error::Conflict { what });
        }
        if let Some(unique) = &job.spec.unique
            && let Some(other) = self.table.holder_of(&unique.key, false)?
        {
            return Err(Error::Conflict { what: format!("job {} has the unique key '{}' now", other.id, unique.key) });
        }
        job.status.attempts = 0;
        job.status.crashes = 0;
        job.status.progress = 0.0;
        job.status.deadline_ms = job.spec.timeout_total_ms.map(|ms| self.now.unix_ms.saturating_add(ms));
        self.wait(&mut job, self.now.unix_ms, Some("tried again by hand".into()), false)
    }

    pub fn set_gate(&mut self, scope: &Scope, gate: Gate) -> Result<()> {
        let rules = self.table.rules(scope)?.unwrap_or_else(|| ScopeRules::open(scope));
        self.table.set_rules(&ScopeRules { gate, ..rules })
    }

    pub fn set_limits(&mut self, scope: &Scope, limits: Limits) -> Result<()> {
        limits.validate()?;
        let rules = self.table.rules(scope)?.unwrap_or_else(|| ScopeRules::open(scope));
        self.table.set_rules(&ScopeRules { limits, ..rules })
    }

    pub fn set_schedule(&mut self, schedule: Schedule) -> Result<ScheduleStatus> {
        let old = self.table.schedules()?.into_iter().find(|old| old.schedule.name == schedule.name);
        let status = ScheduleStatus::new(schedule, old, self.now.unix_ms)?;
        self.table.set_schedule(&status)?;
        Ok(status)
    }

    pub fn remove_schedule(&mut self, name: &str) -> Result<bool> {
        self.table.remove_schedule(name)
    }

    /// Makes the jobs whose time has come by a schedule: in the transaction that moves the schedule on, so each tick counts once.
    fn tick(&mut self) -> Result<()> {
        for mut status in self.table.due_schedules(self.now.unix_ms)? {
            for tick in status.take_due(self.now.unix_ms)? {
                let why = format!("tick of the schedule '{}'", status.schedule.name);
                match self.add(&Request::new(status.schedule.request(tick))?, Some(why)) {
                    Ok(made) => {
                        status.made += u64::from(!made.duplicate);
                        status.last_ms = Some(tick);
                    }
                    // A scope that takes nothing new takes no ticks; the work of others goes on.
                    Err(Error::Conflict { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            self.table.set_schedule(&status)?;
        }
        Ok(())
    }

    fn find(&self, id: JobId) -> Result<Job> {
        self.table.get(id)?.ok_or_else(|| unknown("job", id))
    }

    pub fn purge(&mut self, finished_before_ms: u64, filter: &JobFilter) -> Result<usize> {
        let gone = self.table.finished_before(finished_before_ms, filter)?;
        gone.iter().try_for_each(|(id, _)| self.table.remove(*id))?;
        for batch in gone.iter().filter_map(|(_, batch)| *batch).collect::<BTreeSet<_>>() {
            if self.table.batch_states(batch)?.is_empty() {
                self.table.remove_batch(batch)?;
            }
        }
        Ok(gone.len())
    }
}

fn unknown(what: &'static str, id: JobId) -> Error {
    Error::UnknownName { what, name: id.to_string(), suggestion: None }
}

/// A scheduled job whose time has come is available, whether or not anybody has written so.
fn seen(mut job: Job, now: &Moment) -> Job {
    if job.status.state == JobState::Scheduled && job.status.run_at_ms <= now.unix_ms {
        job.status.state = JobState::Available;
    }
    job
}

pub(super) fn get(table: &dyn Table, now: &Moment, id: JobId) -> Result<Job> {
    Ok(seen(table.get(id)?.ok_or_else(|| unknown("job", id))?, now))
}

pub(super) fn list(table: &dyn Table, now: &Moment, filter: &JobFilter) -> Result<Vec<Job>> {
    Ok(table.list(filter)?.into_iter().map(|job| seen(job, now)).collect())
}

pub(super) fn history(table: &dyn Table, id: JobId) -> Result<Vec<HistoryEntry>> {
    table.get(id)?.ok_or_else(|| unknown("job", id))?;
    table.history(id)
}

pub(super) fn batch(table: &dyn Table, id: JobId) -> Result<Batch> {
    let batch = table.batch(id)?.ok_or_else(|| unknown("batch", id))?;
    Ok(Batch { states: table.batch_states(id)?, ..batch })
}

pub(super) fn batches(table: &dyn Table, limit: usize) -> Result<Vec<Batch>> {
    let whole = |batch: Batch| Ok(Batch { states: table.batch_states(batch.id)?, ..batch });
    table.batches(limit)?.into_iter().map(whole).collect()
}

pub(super) fn stats(table: &dyn Table, now: &Moment) -> Result<Stats> {
    let mut stats = Stats::default();
    for (queue, state, count) in table.counts()? {
        *stats.states.entry(state).or_default() += count;
        *stats.queues.entry(queue).or_default().entry(state).or_default() += count;
    }
    stats.oldest_ms = table.oldest()?.map(|at| now.unix_ms.saturating_sub(at));
    Ok(stats)
}
