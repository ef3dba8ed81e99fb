//! Jobs in memory: for tests, and for hosts that lose nothing when they end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde_json::Value;

use super::bell::Bell;
use super::failure::JobError;
use super::job::{HistoryEntry, Job, JobId, JobSpec, JobState, JobStatus, Published};
use super::rules::{self, Request, Rules, StoreOptions};
use super::schedule::{Schedule, ScheduleStatus};
use super::scope::{Gate, Limits, Scope, ScopeRules};
use super::store::{
    Batch, Beat, CancelOutcome, ClaimRequest, Claimed, Enqueued, JobFilter, JobStore, Lease, Stats, Swept,
};
use super::table::{Table, Wanted};
use super::time::Moment;
use crate::error::{Error, Result};
use crate::sync::{Mutex, lock};

/// A store that ends with the process.
#[derive(Default)]
pub struct MemoryStore {
    options: StoreOptions,
    rows: Mutex<Rows>,
    bell: Bell,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(options: StoreOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Runs one transaction; when it fails, nothing of it is left.
    fn write<T>(&self, work: impl FnOnce(&mut Rules<'_>) -> Result<T>) -> Result<T> {
        let mut rows = lock(&self.rows);
        let result = work(&mut Rules::new(&mut *rows, &self.options));
        let changed = result.is_ok() && !rows.undo.is_empty();
        match result {
            Ok(_) => rows.undo.clear(),
            Err(_) => rows.roll_back(),
        }
        drop(rows);
        if changed {
            self.bell.ring();
        }
        result
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("jobs", &lock(&self.rows).jobs.len()).finish_non_exhaustive()
    }
}

impl JobStore for MemoryStore {
    fn enqueue(&self, specs: Vec<JobSpec>) -> Result<Vec<Enqueued>> {
        let requests = Request::all(specs)?;
        self.write(|rules| rules.enqueue(&requests))
    }
    fn enqueue_batch(&self, name: &str, data: Value, specs: Vec<JobSpec>) -> Result<(JobId, Vec<Enqueued>)> {
        self.write(|rules| rules.enqueue_batch(name, data, &specs))
    }
    fn claim(&self, request: &ClaimRequest) -> Result<Option<Claimed>> {
        self.write(|rules| rules.claim(request))
    }
    fn beat(&self, lease: &Lease, progress: Option<f64>) -> Result<Option<Beat>> {
        self.write(|rules| rules.beat(lease, progress))
    }
    fn publish(&self, lease: &Lease, file: &Published) -> Result<Option<()>> {
        self.write(|rules| rules.publish(lease, file))
    }
    fn complete(&self, lease: &Lease, result: Option<Value>) -> Result<Option<()>> {
        self.write(|rules| rules.complete(lease, result))
    }
    fn fail(&self, lease: &Lease, error: &JobError) -> Result<Option<JobState>> {
        self.write(|rules| rules.fail(lease, error))
    }
    fn hand_back(&self, lease: &Lease) -> Result<Option<()>> {
        self.write(|rules| rules.hand_back(lease))
    }
    fn sweep(&self) -> Result<Swept> {
        self.write(|rules| rules.sweep())
    }
    fn cancel(&self, id: JobId, why: &str) -> Result<CancelOutcome> {
        self.write(|rules| rules.cancel(id, why))
    }
    fn retry(&self, id: JobId) -> Result<()> {
        self.write(|rules| rules.retry(id))
    }
    fn set_gate(&self, scope: &Scope, gate: Gate) -> Result<()> {
        self.write(|rules| rules.set_gate(scope, gate))
    }
    fn set_limits(&self, scope: &Scope, limits: Limits) -> Result<()> {
        self.write(|rules| rules.set_limits(scope, limits))
    }
    fn purge(&self, finished_before_ms: u64, filter: &JobFilter) -> Result<usize> {
        self.write(|rules| rules.purge(finished_before_ms, filter))
    }
    fn purgeable(&self, finished_before_ms: u64, filter: &JobFilter) -> Result<u64> {
        lock(&self.rows).count_finished_before(finished_before_ms, filter)
    }
    fn set_schedule(&self, schedule: Schedule) -> Result<ScheduleStatus> {
        self.write(|rules| rules.set_schedule(schedule))
    }
    fn remove_schedule(&self, name: &str) -> Result<bool> {
        self.write(|rules| rules.remove_schedule(name))
    }
    fn schedules(&self) -> Result<Vec<ScheduleStatus>> {
        lock(&self.rows).schedules()
    }
    fn scopes(&self) -> Result<Vec<ScopeRules>> {
        lock(&self.rows).all_rules()
    }
    fn get(&self, id: JobId) -> Result<Job> {
        rules::get(&*lock(&self.rows), &self.options.time.now(), id)
    }
    fn list(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        rules::list(&*lock(&self.rows), &self.options.time.now(), filter)
    }
    fn history(&self, id: JobId) -> Result<Vec<HistoryEntry>> {
        rules::history(&*lock(&self.rows), id)
    }
    fn batch(&self, id: JobId) -> Result<Batch> {
        rules::batch(&*lock(&self.rows), id)
    }
    fn batches(&self, limit: usize) -> Result<Vec<Batch>> {
        rules::batches(&*lock(&self.rows), limit)
    }
    fn stats(&self) -> Result<Stats> {
        rules::stats(&*lock(&self.rows), &self.options.time.now())
    }
    fn wait(&self, seen: u64, timeout: Duration) -> Result<u64> {
        Ok(self.bell.wait(seen, timeout))
    }
    fn wake(&self) {
        self.bell.ring();
    }
}

type Undo = Box<dyn FnOnce(&mut Rows) + Send>;

/// The rows, and how to find them.
#[derive(Default)]
struct Rows {
    jobs: BTreeMap<JobId, Job>,
    available: BTreeSet<(i64, JobId)>,
    scheduled: BTreeSet<(u64, JobId)>,
    leased: BTreeSet<JobId>,
    /// Jobs that are not over, by unique key.
    unique: HashMap<String, JobId>,
    history: HashMap<JobId, Vec<HistoryEntry>>,
    rules: BTreeMap<String, ScopeRules>,
    batches: BTreeMap<JobId, Batch>,
    schedules: BTreeMap<String, ScheduleStatus>,
    undo: Vec<Undo>,
}

impl Rows {
    fn roll_back(&mut self) {
        while let Some(step) = self.undo.pop() {
            step(self);
        }
    }

    /// Puts a job in place of the one of this name, or takes that away.
    fn put(&mut self, id: JobId, job: Option<Job>) -> Option<Job> {
        let old = self.jobs.remove(&id);
        if let Some(old) = &old {
            self.available.remove(&(old.status.rank, id));
            self.scheduled.remove(&(old.status.run_at_ms, id));
            self.leased.remove(&id);
            if let Some(unique) = &old.spec.unique
                && self.unique.get(&unique.key) == Some(&id)
            {
                self.unique.remove(&unique.key);
            }
        }
        if let Some(job) = job {
            match job.status.state {
                JobState::Available => drop(self.available.insert((job.status.rank, id))),
                JobState::Scheduled => drop(self.scheduled.insert((job.status.run_at_ms, id))),
                JobState::Running | JobState::Publishing => drop(self.leased.insert(id)),
                _ => {}
            }
            if let Some(unique) = &job.spec.unique
                && !job.status.state.is_over()
            {
                self.unique.insert(unique.key.clone(), id);
            }
            self.jobs.insert(id, job);
        }
        old
    }

    /// Puts a schedule in place of the one of this name, or takes that away; the one that was there.
    fn put_schedule(&mut self, name: &str, schedule: Option<ScheduleStatus>) -> Option<ScheduleStatus> {
        match schedule {
            Some(schedule) => self.schedules.insert(name.to_owned(), schedule),
            None => self.schedules.remove(name),
        }
    }

    fn put_schedule_undoably(&mut self, name: &str, schedule: Option<ScheduleStatus>) -> bool {
        let old = self.put_schedule(name, schedule);
        let (name, was_there) = (name.to_owned(), old.is_some());
        self.undo.push(Box::new(move |rows| drop(rows.put_schedule(&name, old))));
        was_there
    }

    fn put_undoably(&mut self, id: JobId, job: Option<Job>) {
        let old = self.put(id, job);
        self.undo.push(Box::new(move |rows| drop(rows.put(id, old))));
    }

    /// Jobs of a filter that ended before this time, without those of batches that are not over.
    fn ended(&self, unix_ms: u64, filter: &JobFilter) -> impl Iterator<Item = &Job> {
        let going: BTreeSet<JobId> =
            self.jobs.values().filter(|job| !job.status.state.is_over()).filter_map(|job| job.spec.batch).collect();
        self.jobs.values().filter(move |job| {
            job.status.finished_ms.is_some_and(|at| at < unix_ms)
                && fits(filter, job)
                && job.spec.batch.is_none_or(|batch| !going.contains(&batch))
        })
    }
}

fn fits(filter: &JobFilter, job: &Job) -> bool {
    let is = |wanted: &Option<String>, name: Option<&String>| wanted.is_none() || wanted.as_ref() == name;
    (filter.states.is_empty() || filter.states.contains(&job.status.state))
        && is(&filter.queue, Some(&job.spec.queue))
        && is(&filter.kind, Some(&job.spec.kind))
        && is(&filter.tenant, job.spec.tenant.as_ref())
        && is(&filter.unique_key, job.spec.unique.as_ref().map(|u| &u.key))
        && (filter.batch.is_none() || filter.batch == job.spec.batch)
        && filter.after.is_none_or(|after| job.id > after)
}

impl Table for Rows {
    fn insert(&mut self, id: JobId, request: &Request, status: &JobStatus) -> Result<()> {
        if self.jobs.contains_key(&id) {
            return Err(Error::internal(format!("there are two jobs {id}")));
        }
        self.put_undoably(id, Some(Job { id, spec: request.spec.clone(), status: status.clone() }));
        Ok(())
    }

    fn update(&mut self, job: &Job, _whole: bool) -> Result<()> {
        self.put_undoably(job.id, Some(job.clone()));
        Ok(())
    }

    fn remove(&mut self, id: JobId) -> Result<()> {
        self.put_undoably(id, None);
        let history = self.history.remove(&id);
        self.undo.push(Box::new(move |rows| {
            if let Some(history) = history {
                rows.history.insert(id, history);
            }
        }));
        Ok(())
    }

    fn get(&self, id: JobId) -> Result<Option<Job>> {
        Ok(self.jobs.get(&id).cloned())
    }

    fn promote(&mut self, unix_ms: u64) -> Result<()> {
        while let Some((_, id)) = self.scheduled.first().copied().filter(|(at, _)| *at <= unix_ms) {
            let Some(mut job) = self.jobs.get(&id).cloned() else { break };
            job.status.state = JobState::Available;
            self.put_undoably(id, Some(job));
        }
        Ok(())
    }

    fn next(&self, wanted: &Wanted<'_>) -> Result<Option<Job>> {
        let serves = |names: &[String], name: &String| names.is_empty() || names.contains(name);
        let job = self.available.iter().filter_map(|(_, id)| self.jobs.get(id)).find(|job| {
            serves(wanted.queues, &job.spec.queue)
                && serves(wanted.kinds, &job.spec.kind)
                && (wanted.closed.is_empty() || !Scope::of(&job.spec).iter().any(|s| wanted.closed.contains(s)))
        });
        Ok(job.cloned())
    }

    fn orphans(&self, now: &Moment) -> Result<Vec<Job>> {
        let leased = self.leased.iter().filter_map(|id| self.jobs.get(id));
        let gone =
            |job: &&Job| job.status.holder.as_ref().is_none_or(|h| *h.boot != *now.boot || h.until_ms <= now.up_ms);
        Ok(leased.filter(gone).cloned().collect())
    }

    fn overdue(&self, unix_ms: u64) -> Result<Vec<Job>> {
        let waiting = self.jobs.values().filter(|job| job.status.state.is_waiting());
        let passed = |at: Option<u64>| at.is_some_and(|at| at <= unix_ms);
        Ok(waiting.filter(|j| passed(j.status.start_by_ms) || passed(j.status.deadline_ms)).cloned().collect())
    }

    fn leased(&self, scope: &Scope) -> Result<u64> {
        let leased = self.leased.iter().filter_map(|id| self.jobs.get(id));
        Ok(leased.filter(|job| Scope::of(&job.spec).contains(scope)).count() as u64)
    }

    fn holder_of(&self, key: &str, _: bool) -> Result<Option<Job>> {
        Ok(self.unique.get(key).and_then(|id| self.jobs.get(id)).cloned())
    }

    fn succeeded_since(&self, key: &str, unix_ms: u64) -> Result<Option<JobId>> {
        let done = self.jobs.values().rev().find(|job| {
            job.status.state == JobState::Succeeded
                && job.spec.unique.as_ref().is_some_and(|u| u.key == key)
                && job.status.finished_ms.is_some_and(|at| at >= unix_ms)
        });
        Ok(done.map(|job| job.id))
    }

    fn list(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        Ok(self.jobs.values().filter(|job| fits(filter, job)).take(filter.page()).cloned().collect())
    }

    fn finished_before(&self, unix_ms: u64, filter: &JobFilter) -> Result<Vec<(JobId, Option<JobId>)>> {
        Ok(self.ended(unix_ms, filter).take(filter.page()).map(|job| (job.id, job.spec.batch)).collect())
    }

    fn count_finished_before(&self, unix_ms: u64, filter: &JobFilter) -> Result<u64> {
        Ok(self.ended(unix_ms, filter).count() as u64)
    }

    fn counts(&self) -> Result<Vec<(String, JobState, u64)>> {
        let mut counts = BTreeMap::<(String, JobState), u64>::new();
        for job in self.jobs.values() {
            *counts.entry((job.spec.queue.clone(), job.status.state)).or_default() += 1;
        }
        Ok(counts.into_iter().map(|((queue, state), count)| (queue, state, count)).collect())
    }

    fn oldest(&self) -> Result<Option<u64>> {
        let available = self.available.iter().filter_map(|(_, id)| self.jobs.get(id));
        Ok(available.map(|job| job.status.run_at_ms).min())
    }

    fn rules(&self, scope: &Scope) -> Result<Option<ScopeRules>> {
        Ok(if self.rules.is_empty() { None } else { self.rules.get(&scope.to_string()).cloned() })
    }

    fn all_rules(&self) -> Result<Vec<ScopeRules>> {
        Ok(self.rules.values().cloned().collect())
    }

    fn set_rules(&mut self, rules: &ScopeRules) -> Result<()> {
        let key = rules.scope.clone();
        let old = self.rules.insert(key.clone(), rules.clone());
        self.undo.push(Box::new(move |rows| {
            match old {
                Some(old) => rows.rules.insert(key, old),
                None => rows.rules.remove(&key),
            };
        }));
        Ok(())
    }

    fn schedules(&self) -> Result<Vec<ScheduleStatus>> {
        Ok(self.schedules.values().cloned().collect())
    }

    fn due_schedules(&self, unix_ms: u64) -> Result<Vec<ScheduleStatus>> {
        let due = |s: &&ScheduleStatus| s.next_ms.is_some_and(|at| at <= unix_ms);
        Ok(self.schedules.values().filter(due).cloned().collect())
    }

    fn set_schedule(&mut self, schedule: &ScheduleStatus) -> Result<()> {
        self.put_schedule_undoably(&schedule.schedule.name, Some(schedule.clone()));
        Ok(())
    }

    fn remove_schedule(&mut self, name: &str) -> Result<bool> {
        Ok(self.put_schedule_undoably(name, None))
    }

    fn note(&mut self, id: JobId, entry: &HistoryEntry) -> Result<()> {
        self.history.entry(id).or_default().push(entry.clone());
        self.undo.push(Box::new(move |rows| {
            rows.history.get_mut(&id).map(Vec::pop);
        }));
        Ok(())
    }

    fn history(&self, id: JobId) -> Result<Vec<HistoryEntry>> {
        Ok(self.history.get(&id).cloned().unwrap_or_default())
    }

    fn add_batch(&mut self, batch: &Batch) -> Result<()> {
        let id = batch.id;
        self.batches.insert(id, batch.clone());
        self.undo.push(Box::new(move |rows| drop(rows.batches.remove(&id))));
        Ok(())
    }

    fn remove_batch(&mut self, id: JobId) -> Result<()> {
        if let Some(batch) = self.batches.remove(&id) {
            self.undo.push(Box::new(move |rows| drop(rows.batches.insert(id, batch))));
        }
        Ok(())
    }

    fn batch(&self, id: JobId) -> Result<Option<Batch>> {
        Ok(self.batches.get(&id).cloned())
    }

    fn batches(&self, limit: usize) -> Result<Vec<Batch>> {
        Ok(self.batches.values().rev().take(limit).cloned().collect())
    }

    fn batch_states(&self, id: JobId) -> Result<BTreeMap<JobState, u64>> {
        let mut states = BTreeMap::new();
        for job in self.jobs.values().filter(|job| job.spec.batch == Some(id)) {
            *states.entry(job.status.state).or_default() += 1;
        }
        Ok(states)
    }
}
