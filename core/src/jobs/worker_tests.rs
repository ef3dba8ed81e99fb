use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::bench::{file, spec};
use super::*;
use crate::error::{Error, Result};
use crate::events::{EventBus, EventOptions};

/// A handler made of a function.
struct Do<F>(F);

impl<F: Fn(&Job, &JobRun) -> Result<Value, JobError> + Send + Sync> JobHandler for Do<F> {
    fn run(&self, job: &Job, run: &JobRun) -> Result<Value, JobError> {
        (self.0)(job, run)
    }
}

fn handlers(work: impl Fn(&Job, &JobRun) -> Result<Value, JobError> + Send + Sync + 'static) -> JobHandlers {
    JobHandlers::from([("k".to_owned(), Arc::new(Do(work)) as Arc<dyn JobHandler>)])
}

fn pool(store: &Arc<dyn JobStore>, threads: usize, lease_ms: u64, handlers: JobHandlers) -> WorkerPool {
    let options = WorkerOptions { threads, lease_ms, ..WorkerOptions::default() };
    WorkerPool::start(Arc::clone(store), handlers, None, options).unwrap()
}

fn memory() -> Arc<dyn JobStore> {
    Arc::new(MemoryStore::default())
}

/// Waits until a job is in a state; for ever, if it never is.
fn until(store: &Arc<dyn JobStore>, id: JobId, state: JobState) -> Job {
    let mut seen = 0;
    loop {
        let job = store.get(id).unwrap();
        if job.status.state == state {
            return job;
        }
        assert!(!job.status.state.is_over(), "{job:?}");
        seen = store.wait(seen, Duration::from_secs(1)).unwrap();
    }
}

fn add(store: &Arc<dyn JobStore>, spec: JobSpec) -> JobId {
    store.enqueue(vec![spec]).unwrap()[0].id
}

/// Works until it is told to stop.
fn endless(run: &JobRun) -> Result<Value, JobError> {
    run.cancel().pause(Duration::MAX)?;
    Ok(Value::Null)
}

#[test]
fn jobs_are_done_and_results_kept() {
    let store = memory();
    let ids: Vec<_> = (0..50).map(|n| add(&store, JobSpec::new("k", json!(n)))).collect();
    let pool = pool(&store, 4, 30_000, handlers(|job, _| Ok(json!(job.spec.payload.as_i64().unwrap() * 2))));
    for (n, id) in ids.into_iter().enumerate() {
        assert_eq!(until(&store, id, JobState::Succeeded).status.result, Some(json!(n * 2)));
    }
    assert_eq!(pool.stop(Duration::from_secs(60)), 0);
}

#[test]
fn a_panic_is_the_death_of_its_job_only() {
    let store = memory();
    let bad = add(&store, JobSpec::new("k", json!("bad")));
    let good = add(&store, spec());
    let _pool = pool(
        &store,
        1,
        30_000,
        handlers(|job, _| {
            assert!(job.spec.payload != json!("bad"), "on purpose");
            Ok(Value::Null)
        }),
    );
    assert_eq!(until(&store, bad, JobState::Dead).status.error.unwrap().name, "PANIC");
    until(&store, good, JobState::Succeeded);
}

#[test]
fn what_may_pass_is_tried_again() {
    let store = memory();
    let tries = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&tries);
    let id = add(&store, JobSpec { backoff: Backoff { base_ms: 1, max_ms: 1 }, ..spec() });
    let _pool = pool(
        &store,
        1,
        30_000,
        handlers(move |_, _| {
            if count.fetch_add(1, Ordering::SeqCst) < 2 {
                return Err(Error::Full { what: "memory".into(), max: 1 }.into());
            }
            Ok(Value::Null)
        }),
    );
    let job = until(&store, id, JobState::Succeeded);
    assert_eq!((job.status.attempts, job.status.claims, tries.load(Ordering::SeqCst)), (2, 3, 3));
}

#[test]
fn a_running_job_is_cancelled() {
    let store = memory();
    let id = add(&store, spec());
    // A short lease: beats come often.
    let _pool = pool(&store, 1, 300, handlers(|_, run| endless(run)));
    until(&store, id, JobState::Running);
    assert_eq!(store.cancel(id, "enough").unwrap(), CancelOutcome::Asked);
    let job = until(&store, id, JobState::Cancelled);
    assert_eq!(job.status.cancel.as_deref(), Some("enough"));
}

#[test]
fn a_run_that_takes_too_long_is_stopped_and_counts_as_a_failure() {
    let store = memory();
    let id = add(&store, JobSpec { timeout_run_ms: Some(1), max_attempts: 1, ..spec() });
    let _pool = pool(&store, 1, 30_000, handlers(|_, run| endless(run)));
    let error = until(&store, id, JobState::Dead).status.error.unwrap();
    assert_eq!(error.name, "LIMIT_EXCEEDED");
    assert!(error.message.contains("timeout_run_ms"), "{}", error.message);
}

#[test]
fn the_next_run_of_a_job_is_kept_although_the_last_one_is_not_out_yet() {
    let store = memory();
    let backoff = Backoff { base_ms: 0, max_ms: 0 };
    let id = add(&store, JobSpec { timeout_run_ms: Some(1), max_attempts: 30, backoff, ..spec() });
    // Three threads wait for each end of a run, and one of them has the next before the last one is out. A run ends only when its time is
    // told to be over; one that nobody keeps would never end.
    let _pool = pool(&store, 4, 600_000, handlers(|_, run| endless(run)));
    assert_eq!(until(&store, id, JobState::Dead).status.claims, 30);
}

#[test]
fn what_is_not_done_when_the_pool_ends_is_handed_back_uncharged() {
    let store = memory();
    let ids = [add(&store, spec()), add(&store, spec())];
    let pool = pool(&store, 1, 30_000, handlers(|_, run| endless(run)));
    until(&store, ids[0], JobState::Running);
    assert_eq!(pool.stop(Duration::ZERO), 1);
    for id in ids {
        let status = store.get(id).unwrap().status;
        assert_eq!((status.state, status.attempts, status.crashes), (JobState::Available, 0, 0));
    }
}

#[test]
fn a_long_job_keeps_its_short_lease_and_tells_its_progress() {
    let store = memory();
    let bus = EventBus::new(EventOptions::default());
    let id = add(&store, spec());
    let options = WorkerOptions { lease_ms: 300, ..WorkerOptions::default() };
    let work = handlers(|_, run| {
        // Four leases long.
        for step in 1..=24 {
            run.progress(f64::from(step) / 24.0);
            run.cancel().pause(Duration::from_millis(50))?;
        }
        Ok(Value::Null)
    });
    let _pool = WorkerPool::start(Arc::clone(&store), work, Some(bus.clone()), options).unwrap();
    // On a machine that stalls for longer than the lease the job is done again, so only its end is looked at here.
    until(&store, id, JobState::Succeeded);
    assert!(bus.last_sequence() > 2, "states and progress were told");
}

#[test]
fn a_worker_that_lost_its_lease_may_publish_nothing() {
    let store = memory();
    let id = add(&store, spec());
    let claimed = store.claim(&ClaimRequest { lease_ms: 100, ..ClaimRequest::new("slow") }).unwrap().unwrap();
    let run = JobRun::new(&claimed, &store);
    run.publish(&file("a")).unwrap();
    store.hand_back(&claimed.lease).unwrap();
    assert!(matches!(run.publish(&file("b")), Err(Error::Cancelled)));
    assert!(run.cancel().is_cancelled());
    assert_eq!(store.get(id).unwrap().status.published, [file("a")]);
}

#[test]
fn a_pool_needs_work_it_can_do() {
    let start = |handlers, threads| {
        WorkerPool::start(memory(), handlers, None, WorkerOptions { threads, ..WorkerOptions::default() }).map(drop)
    };
    assert!(matches!(start(JobHandlers::new(), 1), Err(Error::InvalidValue { .. })));
    assert!(matches!(start(handlers(|_, _| Ok(Value::Null)), 0), Err(Error::OutOfRange { .. })));
}

/// Lets a worker vanish over each of these jobs.
fn vanish(store: &Arc<dyn JobStore>, ids: &[JobId]) {
    let before: Vec<u32> = ids.iter().map(|id| store.get(*id).unwrap().status.crashes).collect();
    for _ in ids {
        let request = ClaimRequest { lease_ms: 100, ..ClaimRequest::new("ghost") };
        assert!(ids.contains(&store.claim(&request).unwrap().unwrap().job.id));
    }
    while ids.iter().zip(&before).any(|(id, crashes)| store.get(*id).unwrap().status.crashes == *crashes) {
        std::thread::sleep(Duration::from_millis(10));
        store.sweep().unwrap();
    }
}

#[test]
fn a_job_on_its_last_chance_has_the_process_for_itself() {
    let store = memory();
    let suspects: Vec<_> = (0..3).map(|_| add(&store, JobSpec::new("k", json!("suspect")))).collect();
    vanish(&store, &suspects);
    vanish(&store, &suspects);
    let others: Vec<_> = (0..30).map(|_| add(&store, JobSpec { priority: 1, ..spec() })).collect();
    let inside = Arc::new(AtomicU32::new(0));
    let most = Arc::new(AtomicU32::new(0));
    let (count, crowd) = (Arc::clone(&inside), Arc::clone(&most));
    let work = move |job: &Job, run: &JobRun| {
        let now = count.fetch_add(1, Ordering::SeqCst) + 1;
        let suspect = job.spec.payload == json!("suspect");
        if suspect {
            crowd.fetch_max(now, Ordering::SeqCst);
        }
        run.cancel().pause(Duration::from_millis(5))?;
        if suspect {
            crowd.fetch_max(count.load(Ordering::SeqCst), Ordering::SeqCst);
        }
        count.fetch_sub(1, Ordering::SeqCst);
        Ok(Value::Null)
    };
    let pool = pool(&store, 4, 30_000, handlers(work));
    for id in suspects.iter().chain(&others) {
        let status = until(&store, *id, JobState::Succeeded).status;
        assert_eq!((status.attempts, status.crashes), (0, if suspects.contains(id) { 2 } else { 0 }));
    }
    assert_eq!(most.load(Ordering::SeqCst), 1, "nothing else ran beside a suspect");
    assert_eq!(pool.stop(Duration::from_secs(60)), 0);
}

#[test]
fn a_pool_is_idle_when_nothing_is_left_for_it() {
    let store = memory();
    let options = WorkerOptions { queues: vec!["mine".into()], ..WorkerOptions::default() };
    let pool = WorkerPool::start(Arc::clone(&store), handlers(|_, _| Ok(Value::Null)), None, options).unwrap();
    assert!(pool.is_idle().unwrap());
    let mine = || JobSpec { queue: "mine".into(), ..spec() };
    store.set_gate(&Scope::Tenant("t".into()), Gate::Paused).unwrap();
    add(&store, spec());
    add(&store, JobSpec { kind: "other".into(), ..mine() });
    add(&store, JobSpec { tenant: Some("t".into()), ..mine() });
    add(&store, JobSpec { run_at_ms: Some(MachineTime::default().now().unix_ms + 3_600_000), ..mine() });
    assert!(pool.is_idle().unwrap(), "of another queue, of another kind, paused, for later");
    store.set_gate(&Scope::Queue("mine".into()), Gate::Paused).unwrap();
    let id = add(&store, mine());
    store.set_gate(&Scope::Queue("mine".into()), Gate::Open).unwrap();
    until(&store, id, JobState::Succeeded);
    // The one of the paused tenant may be claimed by somebody else.
    store.set_gate(&Scope::Tenant("t".into()), Gate::Open).unwrap();
    while !pool.is_idle().unwrap() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let elsewhere = store.claim(&ClaimRequest { kinds: vec!["other".into()], ..ClaimRequest::new("x") }).unwrap();
    assert!(elsewhere.is_some() && pool.is_idle().unwrap(), "of a kind that it does not know");
}

/// Who began, of three jobs that go on as long as the first one of them: the first, after it has published, and the others.
fn begun_beside_one_that_publishes(threads: usize) -> u32 {
    let store = memory();
    let ids: Vec<_> = (0..3).map(|n| add(&store, JobSpec::new("k", json!(n)))).collect();
    let (begun, go_on) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (count, wait) = (Arc::clone(&begun), Arc::clone(&go_on));
    let work = move |job: &Job, run: &JobRun| {
        if job.spec.payload == json!(0) {
            run.publish(&file("a"))?;
        }
        count.fetch_add(1, Ordering::SeqCst);
        while wait.load(Ordering::SeqCst) == 0 {
            run.cancel().pause(Duration::from_millis(1))?;
        }
        Ok(Value::Null)
    };
    let pool = pool(&store, threads, 30_000, handlers(work));
    until(&store, ids[0], JobState::Publishing);
    let patience = std::time::Instant::now();
    // Those who may begin do; whoever may not, would have in this time.
    while begun.load(Ordering::SeqCst) < 3 && patience.elapsed() < Duration::from_millis(300) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let now = begun.load(Ordering::SeqCst);
    go_on.store(1, Ordering::SeqCst);
    ids.iter().for_each(|id| drop(until(&store, *id, JobState::Succeeded)));
    assert_eq!(pool.stop(Duration::from_secs(60)), 0);
    now
}

#[test]
fn a_job_is_begun_beside_one_that_publishes_unless_they_go_one_by_one() {
    assert_eq!(begun_beside_one_that_publishes(2), 3);
    assert_eq!(begun_beside_one_that_publishes(1), 1);
}

#[test]
fn no_more_jobs_than_said_are_at_work() {
    let store = memory();
    let ids: Vec<_> = (0..40).map(|_| add(&store, spec())).collect();
    let (inside, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (count, crowd) = (Arc::clone(&inside), Arc::clone(&most));
    let work = move |_: &Job, run: &JobRun| {
        crowd.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        run.cancel().pause(Duration::from_millis(2))?;
        count.fetch_sub(1, Ordering::SeqCst);
        run.publish(&file("a"))?;
        Ok(Value::Null)
    };
    let pool = pool(&store, 3, 30_000, handlers(work));
    ids.iter().for_each(|id| drop(until(&store, *id, JobState::Succeeded)));
    assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
    assert_eq!(pool.stop(Duration::from_secs(60)), 0);
}
