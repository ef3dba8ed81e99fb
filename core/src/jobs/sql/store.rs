//! [`JobStore`](crate::jobs::JobStore) for stores that run each operation as a transaction of a database.

/// What a transaction is for: databases with many writers lock by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jobs) enum Purpose {
    /// Jobs come in.
    Enqueue,
    /// Jobs move.
    Work,
    /// Rules change.
    Manage,
}

/// Implements `JobStore` by the functions `write(purpose, work)`, `read(work)` and `changed(seen, timeout)` of a type. The work may be
/// run more than once. What comes after the type replaces functions that the trait brings.
macro_rules! job_store {
    ($store:ty $(, $($own:tt)*)?) => {
        impl $crate::jobs::JobStore for $store {
            fn enqueue(&self, specs: Vec<JobSpec>) -> Result<Vec<Enqueued>> {
                let requests = Request::all(specs)?;
                self.write(Purpose::Enqueue, move |rules| rules.enqueue(&requests))
            }
            fn enqueue_batch(&self, name: &str, data: Value, specs: Vec<JobSpec>) -> Result<(JobId, Vec<Enqueued>)> {
                let name = name.to_owned();
                self.write(Purpose::Enqueue, move |rules| rules.enqueue_batch(&name, data.clone(), &specs))
            }
            fn claim(&self, request: &ClaimRequest) -> Result<Option<Claimed>> {
                let request = request.clone();
                self.write(Purpose::Work, move |rules| rules.claim(&request))
            }
            fn beat(&self, lease: &Lease, progress: Option<f64>) -> Result<Option<Beat>> {
                let lease = *lease;
                self.write(Purpose::Work, move |rules| rules.beat(&lease, progress))
            }
            fn publish(&self, lease: &Lease, file: &Published) -> Result<Option<()>> {
                let (lease, file) = (*lease, file.clone());
                self.write(Purpose::Work, move |rules| rules.publish(&lease, &file))
            }
            fn complete(&self, lease: &Lease, result: Option<Value>) -> Result<Option<()>> {
                let lease = *lease;
                self.write(Purpose::Work, move |rules| rules.complete(&lease, result.clone()))
            }
            fn fail(&self, lease: &Lease, error: &JobError) -> Result<Option<JobState>> {
                let (lease, error) = (*lease, error.clone());
                self.write(Purpose::Work, move |rules| rules.fail(&lease, &error))
            }
            fn hand_back(&self, lease: &Lease) -> Result<Option<()>> {
                let lease = *lease;
                self.write(Purpose::Work, move |rules| rules.hand_back(&lease))
            }
            fn sweep(&self) -> Result<Swept> {
                self.write(Purpose::Work, |rules| rules.sweep())
            }
            fn cancel(&self, id: JobId, why: &str) -> Result<CancelOutcome> {
                let why = why.to_owned();
                self.write(Purpose::Work, move |rules| rules.cancel(id, &why))
            }
            fn retry(&self, id: JobId) -> Result<()> {
                self.write(Purpose::Work, move |rules| rules.retry(id))
            }
            fn set_gate(&self, scope: &Scope, gate: Gate) -> Result<()> {
                let scope = scope.clone();
                self.write(Purpose::Manage, move |rules| rules.set_gate(&scope, gate))
            }
            fn set_limits(&self, scope: &Scope, limits: Limits) -> Result<()> {
                let scope = scope.clone();
                self.write(Purpose::Manage, move |rules| rules.set_limits(&scope, limits))
            }
            fn purge(&self, finished_before_ms: u64, filter: &JobFilter) -> Result<usize> {
                let filter = filter.clone();
                self.write(Purpose::Work, move |rules| rules.purge(finished_before_ms, &filter))
            }
            fn purgeable(&self, finished_before_ms: u64, filter: &JobFilter) -> Result<u64> {
                let filter = filter.clone();
                self.read(move |table, _| table.count_finished_before(finished_before_ms, &filter))
            }
            fn set_schedule(&self, schedule: Schedule) -> Result<ScheduleStatus> {
                self.write(Purpose::Manage, move |rules| rules.set_schedule(schedule.clone()))
            }
            fn remove_schedule(&self, name: &str) -> Result<bool> {
                let name = name.to_owned();
                self.write(Purpose::Manage, move |rules| rules.remove_schedule(&name))
            }
            fn schedules(&self) -> Result<Vec<ScheduleStatus>> {
                self.read(|table, _| table.schedules())
            }
            fn scopes(&self) -> Result<Vec<ScopeRules>> {
                self.read(|table, _| table.all_rules())
            }
            fn get(&self, id: JobId) -> Result<Job> {
                self.read(move |table, now| rules::get(table, now, id))
            }
            fn list(&self, filter: &JobFilter) -> Result<Vec<Job>> {
                let filter = filter.clone();
                self.read(move |table, now| rules::list(table, now, &filter))
            }
            fn history(&self, id: JobId) -> Result<Vec<HistoryEntry>> {
                self.read(move |table, _| rules::history(table, id))
            }
            fn batch(&self, id: JobId) -> Result<Batch> {
                self.read(move |table, _| rules::batch(table, id))
            }
            fn batches(&self, limit: usize) -> Result<Vec<Batch>> {
                self.read(move |table, _| rules::batches(table, limit))
            }
            fn stats(&self) -> Result<Stats> {
                self.read(|table, now| rules::stats(table, now))
            }
            fn wait(&self, seen: u64, timeout: Duration) -> Result<u64> {
                self.changed(seen, timeout)
            }
            fn wake(&self) {
                self.bell.ring();
            }
            $($($own)*)?
        }
    };
}
pub(in crate::jobs) use job_store;
