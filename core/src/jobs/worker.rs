//! Workers: threads of this process that take jobs, do them, and keep their leases.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::failure::{FailureClass, JobError};
use super::job::{Job, JobId, JobState, Published, check_name};
use super::lookout::Lookout;
use super::scope::{Gate, Scope};
use super::slots::{Slot, Slots};
use super::store::{ClaimRequest, Claimed, JobFilter, JobStore, Lease};
use crate::cancel::CancelToken;
use crate::error::{Error, Result};
use crate::events::{self, EventBus, Payload};
use crate::guard::guarded;
use crate::sync::{Condvar, Mutex, lock, wait};

/// Does the jobs of a kind.
pub trait JobHandler: Send + Sync {
    /// Does a job. What it returns is kept as the job's result.
    ///
    /// It looks at [`JobRun::cancel`] at least every 100 ms and ends then; it may be run again after a crash, so what it does twice
    /// must be as if it was done once. A panic counts as a permanent failure.
    ///
    /// # Errors
    /// What went wrong, and whether another try may help.
    fn run(&self, job: &Job, run: &JobRun) -> Result<Value, JobError>;
}

/// Handlers by the kind of job.
pub type JobHandlers = BTreeMap<String, Arc<dyn JobHandler>>;

/// Why a run should end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// Somebody wants it.
    Cancelled,
    /// It took too long.
    Timeout,
    /// Its total time is over.
    Overdue,
    /// The worker ends.
    Shutdown,
    /// Somebody else may have the job.
    Lost,
}

struct Running {
    lease: Lease,
    store: Arc<dyn JobStore>,
    cancel: CancelToken,
    /// Bits of the part that is done.
    progress: AtomicU64,
    stop: Mutex<Option<Stop>>,
    /// Its place at work, until its files are whole.
    slot: Mutex<Option<Slot>>,
}

/// A handler's border with its worker. Clones are of the same run.
#[derive(Clone)]
pub struct JobRun(Arc<Running>);

impl JobRun {
    pub(super) fn new(claimed: &Claimed, store: &Arc<dyn JobStore>) -> Self {
        Self(Arc::new(Running {
            lease: claimed.lease,
            store: Arc::clone(store),
            cancel: CancelToken::new(),
            progress: AtomicU64::new(0),
            stop: Mutex::new(None),
            slot: Mutex::new(None),
        }))
    }

    /// Cancelled when the handler should end.
    pub fn cancel(&self) -> &CancelToken {
        &self.0.cancel
    }

    /// Tells the part that is done, 0 to 1. As often as one likes: it is written at most four times a second.
    pub fn progress(&self, part: f64) {
        self.0.progress.store(part.to_bits(), Ordering::Relaxed);
    }

    /// Asks for leave to give a file its name. With `Ok` that was noted durably, and the file may have it.
    ///
    /// For a job's last steps: from here on it mostly waits for the disk, and its pool begins another one.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the job is not this worker's any more, or should stop; those of the store.
    pub fn publish(&self, file: &Published) -> Result<()> {
        self.0.cancel.check()?;
        self.leave_slot();
        if self.0.store.publish(&self.0.lease, file)?.is_none() {
            self.stop(Stop::Lost);
            return Err(Error::Cancelled);
        }
        Ok(())
    }

    /// What is left waits for the disk more than it works: the pool may begin another job. Again as often as one likes.
    pub(super) fn leave_slot(&self) {
        drop(lock(&self.0.slot).take());
    }

    /// Ends the run; the first reason counts, but for a lost lease, which beats all.
    fn stop(&self, why: Stop) {
        let mut stop = lock(&self.0.stop);
        if stop.is_none() || why == Stop::Lost {
            *stop = Some(why);
        }
        drop(stop);
        self.0.cancel.cancel();
    }

    fn stopped(&self) -> Option<Stop> {
        *lock(&self.0.stop)
    }
}

/// How a pool works.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Name for people; each thread adds its number.
    pub name: String,
    /// Jobs at the same time, at least 1. With 2 or more, a job that is publishing does not count: while it waits for the disk, the next
    /// one is begun. With 1, each is over before the next one.
    pub threads: usize,
    /// Queues to serve; none means all.
    pub queues: Vec<String>,
    /// How long a job stays with a worker that gives no sign of life, in milliseconds.
    pub lease_ms: u64,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        let name = format!("worker-{}", std::process::id());
        Self { name, threads: 1, queues: Vec::new(), lease_ms: 30_000 }
    }
}

/// Longest sleep of a thread that has nothing to do.
const IDLE: Duration = Duration::from_millis(500);
/// How often leases and progress are looked at.
const TICK: Duration = Duration::from_millis(50);
/// Progress is written at most once in this time.
const PROGRESS: Duration = Duration::from_millis(250);
/// Pause after an error of the store.
const AWAY: Duration = Duration::from_millis(500);

/// A job that was taken, and when it was asked for.
type Taken = (Claimed, Instant);

/// A run, as the keeper of leases sees it.
struct Kept {
    run: JobRun,
    begun: Instant,
    beaten: Instant,
    told: f64,
    timeout: Option<Duration>,
}

struct Shared {
    store: Arc<dyn JobStore>,
    handlers: JobHandlers,
    events: Option<EventBus>,
    options: WorkerOptions,
    /// No more jobs are taken.
    stopping: AtomicBool,
    /// Those that run are stopped.
    halting: AtomicBool,
    /// All are over.
    closed: CancelToken,
    handed_back: AtomicUsize,
    /// By job and token of the lease: the next run of a job may begin, in another thread, before the last one is out of here.
    kept: Mutex<HashMap<(JobId, u64), Kept>>,
    room: Mutex<Room>,
    /// Rings when somebody leaves the room.
    left: Condvar,
    /// For those who have nothing to do.
    lookout: Lookout,
    /// For those who have, or look for it.
    slots: Arc<Slots>,
}

/// Threads that take a job or have one.
///
/// A job whose next crash is its last may be what brings processes down, and it may be an innocent one that ran beside that. It is run
/// while this process has nothing else in hand: so it takes nobody along, and nobody takes it along.
#[derive(Default)]
struct Room {
    busy: usize,
    /// One thread wants to be alone, or is.
    reserved: bool,
}

/// Threads that do jobs, until the pool is stopped or dropped.
pub struct WorkerPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl WorkerPool {
    /// Starts threads that do the kinds of jobs that there are handlers for. State and progress of jobs are told to `events`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for options; [`Error::InvalidValue`] without handlers; [`Error::Unavailable`] when threads cannot be started.
    pub fn start(
        store: Arc<dyn JobStore>,
        handlers: JobHandlers,
        events: Option<EventBus>,
        options: WorkerOptions,
    ) -> Result<Self> {
        check_name("worker", &options.name)?;
        Error::check_range("threads", options.threads as f64, 1.0, 1024.0, "threads")?;
        Error::check_range("lease_ms", options.lease_ms as f64, 100.0, 86_400_000.0, "ms")?;
        if handlers.is_empty() {
            let allowed = "at least one handler".to_owned();
            return Err(Error::InvalidValue { name: "handlers".into(), value: "none".into(), allowed });
        }
        let threads = options.threads;
        let shared = Arc::new(Shared {
            store,
            handlers,
            events,
            options,
            stopping: AtomicBool::new(false),
            halting: AtomicBool::new(false),
            closed: CancelToken::new(),
            handed_back: AtomicUsize::new(0),
            kept: Mutex::default(),
            room: Mutex::default(),
            left: Condvar::new(),
            lookout: Lookout::default(),
            slots: Slots::new(threads),
        });
        let mut pool = Self { shared, threads: Vec::new(), keeper: None };
        let keeper = Arc::clone(&pool.shared);
        pool.keeper = Some(spawn("puresound-leases".into(), move || keeper.keep())?);
        // Some more than work at the same time, for the jobs that are publishing.
        let spare = if threads > 1 { threads.div_ceil(2) } else { 0 };
        for number in 1..=threads + spare {
            let shared = Arc::clone(&pool.shared);
            pool.threads.push(spawn(format!("puresound-job-{number}"), move || shared.work(number))?);
        }
        Ok(pool)
    }

    /// Jobs that run now.
    pub fn running(&self) -> usize {
        lock(&self.shared.kept).len()
    }

    /// True when there is nothing left to do for this pool: of the queues and kinds that it serves, no job is in anybody's hands, and none
    /// could start. Jobs that wait for their time and those of paused scopes do not count.
    ///
    /// # Errors
    /// Those of the store.
    pub fn is_idle(&self) -> Result<bool> {
        if self.running() > 0 {
            return Ok(false);
        }
        let (store, options) = (&self.shared.store, &self.shared.options);
        let active = [JobState::Available, JobState::Running, JobState::Publishing];
        let stats = store.stats()?;
        if active.iter().all(|state| stats.states.get(state).is_none_or(|count| *count == 0)) {
            return Ok(true);
        }
        let paused: Vec<String> =
            store.scopes()?.into_iter().filter(|r| r.gate == Gate::Paused).map(|r| r.scope).collect();
        let is_paused = |job: &Job| Scope::of(&job.spec).iter().any(|scope| paused.contains(&scope.to_string()));
        for kind in self.shared.handlers.keys() {
            let mut filter =
                JobFilter { states: active.to_vec(), kind: Some(kind.clone()), limit: 200, ..JobFilter::default() };
            loop {
                let jobs = store.list(&filter)?;
                let served = |job: &&Job| options.queues.is_empty() || options.queues.contains(&job.spec.queue);
                if jobs.iter().filter(served).any(|job| job.status.state.is_leased() || !is_paused(job)) {
                    return Ok(false);
                }
                match jobs.last() {
                    Some(last) if jobs.len() == filter.limit => filter.after = Some(last.id),
                    _ => break,
                }
            }
        }
        Ok(true)
    }

    /// Takes no more jobs, and waits up to `patience` for those that run; what is not done by then is stopped and handed back, at
    /// nobody's charge. How many were handed back.
    pub fn stop(mut self, patience: Duration) -> usize {
        self.end(patience)
    }

    fn end(&mut self, patience: Duration) -> usize {
        self.shared.stopping.store(true, Ordering::Release);
        // Nobody sleeps on, so that the end of an idle pool takes no time.
        self.shared.lookout.close();
        self.shared.slots.close();
        self.shared.store.wake();
        let deadline = Instant::now().checked_add(patience);
        while self.threads.iter().any(|t| !t.is_finished()) && deadline.is_none_or(|at| Instant::now() < at) {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.shared.halting.store(true, Ordering::SeqCst);
        let left: Vec<JobRun> = lock(&self.shared.kept).values().map(|k| k.run.clone()).collect();
        left.iter().for_each(|run| run.stop(Stop::Shutdown));
        for thread in self.threads.drain(..) {
            // A panic of a handler was caught; its thread ends in order.
            let _ = thread.join();
        }
        self.shared.closed.cancel();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
        self.shared.handed_back.load(Ordering::Relaxed)
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

impl std::fmt::Debug for WorkerPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerPool").field("options", &self.shared.options).field("running", &self.running()).finish()
    }
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name).spawn(work);
    thread.map_err(|e| Error::Unavailable { what: format!("thread of a worker: {e}") })
}

impl Shared {
    /// What each thread does.
    fn work(&self, number: usize) {
        let request = ClaimRequest {
            worker: format!("{}/{number}", self.options.name),
            queues: self.options.queues.clone(),
            kinds: self.handlers.keys().cloned().collect(),
            lease_ms: self.options.lease_ms,
        };
        let (mut seen, mut post, mut slot) = (0, self.lookout.post(), None);
        // True while this thread has the room reserved.
        let mut alone = false;
        while !self.stopping.load(Ordering::Acquire) {
            slot = slot.or_else(|| self.slots.take(IDLE));
            if slot.is_none() || !self.enter(alone) {
                continue;
            }
            let asked = Instant::now();
            let claimed = self.store.claim(&request);
            let next = match claimed {
                Ok(Some(claimed)) => {
                    post.found();
                    let mut next = Some((claimed, asked));
                    while let Some((claimed, asked)) = next {
                        (next, alone) = self.work_on(&claimed, asked, alone, &request, &mut slot);
                    }
                    continue;
                }
                other => {
                    self.leave(alone);
                    alone = false;
                    other.and_then(|_| if post.rest() { self.store.wait(seen, IDLE) } else { Ok(seen) })
                }
            };
            match next {
                Ok(now) => seen = now,
                Err(Error::Closed { .. }) => return,
                Err(error) => {
                    tracing::warn!(worker = request.worker, %error, "the job store is away");
                    std::thread::sleep(AWAY);
                }
            }
        }
        if alone {
            lock(&self.room).reserved = false;
            self.left.notify_all();
        }
    }

    /// Goes in, when that is possible soon; one who is `alone` waits until nobody else is in.
    fn enter(&self, alone: bool) -> bool {
        let deadline = Instant::now() + TICK;
        let mut room = lock(&self.room);
        while if alone { room.busy > 0 } else { room.reserved } {
            if Instant::now() >= deadline {
                return false;
            }
            room = wait(&self.left, room, Some(deadline));
        }
        room.busy += 1;
        true
    }

    /// Goes out, and gives the reservation up.
    fn leave(&self, alone: bool) {
        let mut room = lock(&self.room);
        room.busy -= 1;
        if alone {
            room.reserved = false;
        }
        drop(room);
        self.left.notify_all();
    }

    /// Does what was taken, or hands it back when it must be alone and is not. What was taken next, with which this thread is still in the
    /// room; and whether the room is reserved for it.
    fn work_on(
        &self,
        claimed: &Claimed,
        asked: Instant,
        mut alone: bool,
        request: &ClaimRequest,
        slot: &mut Option<Slot>,
    ) -> (Option<Taken>, bool) {
        let (status, spec) = (&claimed.job.status, &claimed.job.spec);
        let suspect = status.crashes > 0 && status.crashes + 1 >= spec.max_crashes;
        let mut room = lock(&self.room);
        if suspect && !alone && (room.reserved || room.busy > 1) {
            let ours = !room.reserved;
            room.reserved = true;
            drop(room);
            self.written(|| Ok(self.store.hand_back(&claimed.lease)?.map(|()| JobState::Available)));
            self.leave(false);
            return (None, ours);
        }
        if suspect {
            room.reserved = true;
        } else if alone {
            // Something else came first, and needs no reservation.
            room.reserved = false;
        }
        alone = suspect;
        drop(room);
        self.left.notify_all();
        // Who is alone lets the others in again first.
        let next = self.one(claimed, asked, (!alone).then_some(request), slot);
        if next.is_none() {
            self.leave(alone);
        }
        (next, false)
    }

    /// Does one job. `asked` is from before the claim: the lease is not younger than that. When it is done, another one may be taken
    /// together with that, as `request` says, when the `slot` was kept.
    fn one(
        &self,
        claimed: &Claimed,
        asked: Instant,
        request: Option<&ClaimRequest>,
        slot: &mut Option<Slot>,
    ) -> Option<Taken> {
        let job = &claimed.job;
        let run = JobRun::new(claimed, &self.store);
        *lock(&run.0.slot) = slot.take();
        let kept = Kept {
            run: run.clone(),
            begun: asked,
            beaten: asked,
            told: 0.0,
            timeout: job.spec.timeout_run_ms.map(Duration::from_millis),
        };
        lock(&self.kept).insert((job.id, claimed.lease.token), kept);
        // Taken while the pool was told to end: either it saw the run, or the run sees this.
        if self.halting.load(Ordering::SeqCst) {
            run.stop(Stop::Shutdown);
        }
        self.tell_state(job.id, JobState::Running, job.status.claims, None);
        let outcome = match self.handlers.get(&job.spec.kind) {
            Some(handler) => guarded(|| Ok(handler.run(job, &run))).unwrap_or_else(|panic| Err(panic.into())),
            None => Err(Error::unsupported("kind of job", &job.spec.kind).into()),
        };
        *slot = lock(&run.0.slot).take();
        let request = request.filter(|_| slot.is_some());
        // Still kept: the lease is renewed while its end is being written.
        let mut next = None;
        let state = self.written(|| self.finish(claimed, &run, &outcome, request, &mut next));
        lock(&self.kept).remove(&(job.id, claimed.lease.token));
        if let Some(state) = state {
            let why = outcome.err().filter(|_| state != JobState::Succeeded).map(|e| e.message);
            self.tell_state(job.id, state, job.status.claims, why);
        }
        next
    }

    /// Writes the end of a run. Where the job went; none when it is somebody else's. What was taken with that is put into `next`.
    fn finish(
        &self,
        claimed: &Claimed,
        run: &JobRun,
        outcome: &Result<Value, JobError>,
        request: Option<&ClaimRequest>,
        next: &mut Option<Taken>,
    ) -> Result<Option<JobState>> {
        let lease = &claimed.lease;
        if let (Ok(result), None, Some(request)) = (outcome, run.stopped(), request)
            && self.may_go_on()
        {
            let asked = Instant::now();
            // What is wrong with one of the two shows again when this one is written alone.
            if let Ok((done, taken)) = self.store.complete_and_claim(lease, Some(result.clone()), request) {
                *next = taken.map(|taken| (taken, asked));
                return Ok(done.map(|()| JobState::Succeeded));
            }
        }
        let error = match (outcome, run.stopped()) {
            (_, Some(Stop::Lost)) => return Ok(None),
            (Ok(result), _) => match self.store.complete(lease, Some(result.clone())) {
                Err(error @ Error::LimitExceeded { .. }) => JobError::from(error),
                done => return Ok(done?.map(|()| JobState::Succeeded)),
            },
            (Err(_), Some(Stop::Shutdown)) => {
                let back = self.store.hand_back(lease)?;
                self.handed_back.fetch_add(usize::from(back.is_some()), Ordering::Relaxed);
                return Ok(back.map(|()| JobState::Available));
            }
            (Err(error), Some(Stop::Cancelled)) => JobError { class: FailureClass::Cancelled, ..error.clone() },
            (Err(_), Some(why @ (Stop::Timeout | Stop::Overdue))) => {
                let (limit, ms, class) = match why {
                    Stop::Timeout => ("timeout_run_ms", claimed.job.spec.timeout_run_ms, FailureClass::Transient),
                    _ => ("timeout_total_ms", claimed.job.spec.timeout_total_ms, FailureClass::Permanent),
                };
                let max = ms.unwrap_or(0) as f64;
                JobError::of(&Error::LimitExceeded { limit, value: max, max }, class)
            }
            (Err(error), None) => error.clone(),
        };
        self.store.fail(lease, &error)
    }

    /// False when a thread should look around before it takes another job.
    fn may_go_on(&self) -> bool {
        !self.stopping.load(Ordering::Acquire) && !lock(&self.room).reserved
    }

    /// Writes again while the store is away, as long as the lease may hold.
    fn written(&self, mut write: impl FnMut() -> Result<Option<JobState>>) -> Option<JobState> {
        let deadline = Instant::now() + Duration::from_millis(self.options.lease_ms);
        loop {
            match write() {
                Ok(state) => return state,
                Err(error) if Instant::now() < deadline && !matches!(error, Error::Closed { .. }) => {
                    tracing::warn!(%error, "the end of a job could not be written, and will be");
                    std::thread::sleep(AWAY.min(Duration::from_millis(self.options.lease_ms / 10)));
                }
                Err(error) => {
                    tracing::error!(%error, "the end of a job could not be written: it will be done again");
                    return None;
                }
            }
        }
    }

    /// Keeps leases, tells progress, passes wishes to cancel on, and takes back what others lost.
    fn keep(&self) {
        let ttl = Duration::from_millis(self.options.lease_ms);
        let mut swept: Option<Instant> = None;
        loop {
            if swept.is_none_or(|at| at.elapsed() >= ttl / 3) {
                swept = Some(Instant::now());
                self.sweep();
            }
            let due: Vec<(JobRun, f64)> = {
                let mut kept = lock(&self.kept);
                kept.values_mut().filter_map(|kept| kept.due(ttl).map(|part| (kept.run.clone(), part))).collect()
            };
            for (run, part) in due {
                self.beat(&run, part);
            }
            if self.closed.pause(TICK.min(ttl / 10)).is_err() {
                return;
            }
        }
    }

    fn beat(&self, run: &JobRun, part: f64) {
        let sent = Instant::now();
        let Lease { job: id, token, .. } = run.0.lease;
        match self.store.beat(&run.0.lease, Some(part)) {
            Ok(Some(beat)) => {
                let told = {
                    let mut kept = lock(&self.kept);
                    let Some(kept) = kept.get_mut(&(id, token)) else { return };
                    kept.beaten = sent;
                    std::mem::replace(&mut kept.told, part)
                };
                if part > told {
                    self.tell(events::JobProgress {
                        job: id.to_string(),
                        fraction: part.clamp(0.0, 1.0),
                        remaining_s: None,
                    });
                }
                if beat.cancel.is_some() {
                    run.stop(Stop::Cancelled);
                } else if beat.overdue {
                    run.stop(Stop::Overdue);
                }
            }
            // Its end may have been written in the meantime.
            Ok(None) if lock(&self.kept).contains_key(&(id, token)) => run.stop(Stop::Lost),
            Ok(None) => {}
            Err(error) => tracing::warn!(job = %id, %error, "a lease could not be renewed"),
        }
    }

    fn sweep(&self) {
        match self.store.sweep() {
            Ok(swept) => {
                for (id, state) in swept.orphans {
                    self.tell_state(id, state, 0, Some("its worker vanished".into()));
                }
                for id in swept.overdue {
                    self.tell_state(id, JobState::Dead, 0, Some("it waited too long".into()));
                }
            }
            Err(error) => tracing::warn!(%error, "the job store could not be swept"),
        }
    }

    fn tell_state(&self, id: JobId, state: JobState, attempt: u32, reason: Option<String>) {
        self.tell(events::JobState { job: id.to_string(), state: state.name().into(), attempt, reason });
    }

    /// A job does not fail because somebody could not be told of it.
    fn tell<P: Payload>(&self, payload: P) {
        if let Some(Err(error)) = self.events.as_ref().map(|bus| bus.publish(payload))
            && !matches!(error, Error::Closed { .. })
        {
            tracing::warn!(topic = P::TOPIC, %error, "not everybody could be told");
        }
    }
}

impl Kept {
    /// The part to tell with a beat, when one is due. Stops the run when the lease may be over: one that could not be renewed is given
    /// up a fifth before its end, by this process's own clock.
    fn due(&mut self, ttl: Duration) -> Option<f64> {
        if self.timeout.is_some_and(|max| self.begun.elapsed() >= max) {
            self.run.stop(Stop::Timeout);
        }
        let age = self.beaten.elapsed();
        if age >= ttl - ttl / 5 {
            self.run.stop(Stop::Lost);
            return None;
        }
        let part = f64::from_bits(self.run.0.progress.load(Ordering::Relaxed));
        (age >= ttl / 3 || (part > self.told && age >= PROGRESS)).then_some(part)
    }
}
