//! What the pool promises, with threads and beside a model.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::cancel::CancelToken;
use crate::error::Error;
use crate::services::seams::Clock;

const LONG: Duration = Duration::from_secs(3600);

fn pool(memory_bytes: u64, threads: u64) -> ResourcePool {
    let budgets = Amounts { memory_bytes, threads, ..Amounts::UNLIMITED };
    ResourcePool::new(PoolOptions { budgets, ..PoolOptions::default() })
}

fn memory(bytes: u64) -> Request {
    Request::new("test", Amounts::of(Resource::Memory, bytes))
}

fn used(pool: &ResourcePool, resource: Resource) -> u64 {
    pool.usage().resources.iter().find(|r| r.resource == resource).unwrap().used
}

/// Waits until so many stand in line.
fn until_waiting(pool: &ResourcePool, count: u32) {
    while pool.usage().waiting != count {
        std::thread::yield_now();
    }
}

#[test]
fn all_or_nothing_and_back_again() {
    let pool = pool(100, 2);
    let both = Request::new("both", Amounts { memory_bytes: 60, threads: 2, ..Amounts::default() });
    let held = pool.try_acquire(&both).unwrap();
    let full = pool.try_acquire(&memory(50).tenant(None)).unwrap_err();
    assert_eq!(full.name(), "WOULD_DEADLOCK", "this thread holds some");
    let held = held.hand_over();
    let full = pool.try_acquire(&memory(50)).unwrap_err();
    assert_eq!(full.to_string(), "the budget for memory is full (100)");
    // The thread is missing, so no memory is taken either.
    let mixed = Request::new("mixed", Amounts { memory_bytes: 10, threads: 1, ..Amounts::default() });
    assert_eq!(pool.try_acquire(&mixed).unwrap_err().to_string(), "the budget for threads is full (2)");
    assert_eq!((used(&pool, Resource::Memory), used(&pool, Resource::Threads)), (60, 2));
    drop(held);
    assert_eq!((used(&pool, Resource::Memory), used(&pool, Resource::Threads)), (0, 0));
    let usage = pool.usage();
    assert_eq!((usage.granted, usage.waited, usage.holders, usage.resources[0].peak), (1, 0, 0, 60));
    assert_eq!((usage.resources[0].budget, usage.resources[3].budget), (Some(100), None));
}

#[test]
fn what_never_fits_is_refused_at_once() {
    let pool = pool(100, u64::MAX);
    let error = pool.acquire(&memory(101)).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { limit: "memory_bytes", value: 101.0, max: 100.0 }));
    assert_eq!((pool.usage().refused, pool.usage().waiting), (1, 0));
    // Without a budget it is only counted.
    let threads = pool.acquire(&Request::new("many", Amounts::of(Resource::Threads, 1 << 40))).unwrap();
    assert_eq!(used(&pool, Resource::Threads), 1 << 40);
    // And who holds only that may ask for more of it: nobody ever waits for it.
    drop(pool.acquire(&Request::new("more", Amounts::of(Resource::Threads, 1))).unwrap());
    drop(threads);
}

#[test]
fn the_line_is_served_from_its_front() {
    let pool = pool(100, u64::MAX);
    let first = pool.acquire(&memory(80)).unwrap().hand_over();
    let (served, order) = channel();
    let waiting: Vec<_> = [(70_u64, "big"), (10, "small"), (30, "last")]
        .into_iter()
        .enumerate()
        .map(|(n, (bytes, name))| {
            let (pool_of, served) = (pool.clone(), served.clone());
            let thread = std::thread::spawn(move || {
                let permit = pool_of.acquire(&memory(bytes)).unwrap();
                served.send(name).unwrap();
                permit
            });
            until_waiting(&pool, n as u32 + 1);
            thread
        })
        .collect();
    // 10 would fit beside 80, but 70 came first. Of another resource nobody keeps anything back.
    assert!(pool.try_acquire(&memory(5)).is_err());
    drop(pool.try_acquire(&Request::new("files", Amounts::of(Resource::Files, 1))).unwrap());
    drop(first);
    let names: Vec<_> = order.iter().take(2).collect();
    assert!(names.contains(&"big") && names.contains(&"small"), "80 of 100 for the first two: {names:?}");
    assert_eq!(pool.usage().waiting, 1);
    let permits: Vec<Permit> = waiting.into_iter().take(2).map(|t| t.join().unwrap()).collect();
    drop(permits);
    assert_eq!(order.recv().unwrap(), "last");
    assert_eq!(pool.usage().waited, 3);
}

#[test]
fn waiting_ends_by_time_by_cancelling_and_by_the_end() {
    let pool = pool(100, u64::MAX);
    let all = pool.acquire(&memory(100)).unwrap().hand_over();
    let error = pool.acquire(&memory(1).max_wait(Some(Duration::from_millis(2)))).unwrap_err();
    assert_eq!(error.name(), "FULL");
    let token = CancelToken::new();
    let wait = |request: Request| {
        let pool = pool.clone();
        std::thread::spawn(move || pool.acquire(&request).map(drop))
    };
    let cancelled = wait(memory(1).cancel(&token).max_wait(Some(LONG)));
    until_waiting(&pool, 1);
    token.cancel();
    assert!(matches!(cancelled.join().unwrap(), Err(Error::Cancelled)));
    assert!(matches!(pool.acquire(&memory(1).cancel(&token)), Err(Error::Cancelled)));
    let closed = wait(memory(1));
    until_waiting(&pool, 1);
    let left = pool.close();
    assert_eq!(closed.join().unwrap().unwrap_err().to_string(), "resource pool is closed");
    assert_eq!((left.len(), left[0].label.as_str(), left[0].amounts.memory_bytes), (1, "test", 100));
    drop(all);
    assert!(pool.close().is_empty());
    let usage = pool.usage();
    assert_eq!((usage.timed_out, usage.cancelled, usage.waiting), (1, 1, 0));
}

#[test]
fn a_tenant_keeps_to_its_share_and_others_pass() {
    let budgets = Amounts { memory_bytes: 100, ..Amounts::UNLIMITED };
    let pool = ResourcePool::new(PoolOptions { budgets, tenant_share: 0.5 });
    let of = |name: &str, bytes| memory(bytes).tenant(Some(name.into()));
    assert!(matches!(pool.acquire(&of("a", 51)), Err(Error::LimitExceeded { max: 50.0, .. })));
    let a = pool.acquire(&of("a", 40)).unwrap().hand_over();
    let (other, request) = (pool.clone(), of("a", 20));
    let second = std::thread::spawn(move || drop(other.acquire(&request).unwrap()));
    until_waiting(&pool, 1);
    // Behind it, but not of its tenant; and those of its tenant are served in order.
    let b = pool.try_acquire(&of("b", 50)).unwrap().hand_over();
    assert!(pool.try_acquire(&of("a", 5)).is_err());
    drop(pool.try_acquire(&memory(10)).unwrap());
    drop(a);
    second.join().unwrap();
    drop(b);
    assert_eq!(used(&pool, Resource::Memory), 0);
}

#[test]
fn memory_is_refused_beyond_the_permit_and_held_until_it_is_free() {
    let pool = pool(1000, u64::MAX);
    let permit = pool.acquire(&memory(100)).unwrap();
    let mut samples = BudgetedVec::<f32>::new(permit.memory()).unwrap();
    samples.extend_from_slice(&[1.0; 20]).unwrap();
    let lease = permit.memory().take(10).unwrap();
    // 80 bytes and 10 are counted; 24 samples are 96.
    let error = samples.extend_from_slice(&[2.0; 4]).unwrap_err();
    assert_eq!(error.to_string(), "limit memory_bytes of 100 exceeded (106)");
    assert_eq!((samples.len(), permit.memory().used_bytes()), (20, 90));
    drop(lease);
    samples.resize(24, 2.0).unwrap();
    assert_eq!((samples[0], samples[23], permit.memory().used_bytes()), (1.0, 2.0, 96));
    samples.clear();
    assert_eq!((samples.len(), permit.memory().used_bytes(), permit.memory().peak_bytes()), (0, 96, 96));
    drop(permit);
    assert_eq!(used(&pool, Resource::Memory), 100, "the buffer is still there");
    drop(samples);
    assert_eq!(used(&pool, Resource::Memory), 0);
}

#[test]
fn a_permit_grows_by_what_is_free_and_never_waits() {
    let budgets = Amounts { temp_disk_bytes: 100, ..Amounts::UNLIMITED };
    let pool = ResourcePool::new(PoolOptions { budgets, ..PoolOptions::default() });
    let permit = pool.acquire(&Request::new("spool", Amounts::of(Resource::TempDisk, 60))).unwrap();
    permit.extend(Resource::TempDisk, 40).unwrap();
    let error = permit.extend(Resource::TempDisk, 1).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { limit: "temp_disk_bytes", value: 101.0, max: 100.0 }));
    assert!(permit.extend(Resource::Memory, 1).is_err());
    assert_eq!((permit.amounts().temp_disk_bytes, used(&pool, Resource::TempDisk)), (100, 100));
    drop(permit);
    assert_eq!(used(&pool, Resource::TempDisk), 0);
}

/// A clock that stands where it is put.
#[derive(Default)]
struct Hand(AtomicU64);
impl Clock for Hand {
    fn unix_ms(&self) -> u64 {
        0
    }
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

#[test]
fn who_holds_for_long_is_told_by_name() {
    let clock = Arc::new(Hand::default());
    let pool = ResourcePool::with_clock(PoolOptions::default(), clock.clone());
    std::mem::forget(pool.acquire(&Request::new("lost", Amounts::of(Resource::Files, 3))).unwrap());
    clock.0.store(50, Ordering::Relaxed);
    let young = pool.acquire(&Request::new("young", Amounts::of(Resource::Files, 1)).tenant(Some("t".into()))).unwrap();
    clock.0.store(60, Ordering::Relaxed);
    let found = pool.held_longer_than(Duration::from_secs(30));
    assert_eq!((found.len(), found[0].label.as_str(), found[0].held), (1, "lost", Duration::from_secs(60)));
    let all = pool.held_longer_than(Duration::ZERO);
    assert_eq!((all.len(), all[1].tenant.as_deref(), all[1].held), (2, Some("t"), Duration::from_secs(10)));
    drop(young);
    assert_eq!(pool.close().len(), 1);
}

#[test]
fn a_panic_gives_everything_back() {
    let pool = pool(100, 1);
    for _ in 0..3 {
        let all = Request::new("panics", Amounts { memory_bytes: 100, threads: 1, ..Amounts::default() });
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let permit = pool.acquire(&all).unwrap();
            let _buffer = permit.memory().take(50).unwrap();
            panic!("on purpose");
        }));
        assert!(outcome.is_err());
        assert_eq!((used(&pool, Resource::Memory), pool.usage().holders), (0, 0));
    }
}

/// What a random program does.
#[derive(Debug, Clone)]
enum Step {
    Ask { amounts: [u64; 2], tenant: Option<u8> },
    GiveBack(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ask =
        ([0..60_u64, 0..4_u64], prop::option::of(0..3_u8)).prop_map(|(amounts, tenant)| Step::Ask { amounts, tenant });
    let back = any::<prop::sample::Index>().prop_map(Step::GiveBack);
    prop::collection::vec(prop_oneof![3 => ask, 2 => back], 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Without anybody waiting, the pool grants exactly what a plain sum allows.
    #[test]
    fn grants_equal_the_model(steps in steps()) {
        let (budget, share) = ([100_u64, 5], [50_u64, 2]);
        let budgets = Amounts { memory_bytes: budget[0], threads: budget[1], ..Amounts::UNLIMITED };
        let pool = ResourcePool::new(PoolOptions { budgets, tenant_share: 0.5 });
        let mut held: Vec<(Permit, [u64; 2], Option<u8>)> = Vec::new();
        for step in steps {
            match step {
                Step::Ask { amounts, tenant } => {
                    let sum = |of: Option<u8>, k: usize| held.iter().filter(|h| of.is_none() || h.2 == of).map(|h| h.1[k]).sum::<u64>();
                    let fits = (0..2).all(|k| amounts[k] == 0 || sum(None, k) + amounts[k] <= budget[k])
                        && (tenant.is_none() || (0..2).all(|k| amounts[k] == 0 || sum(tenant, k) + amounts[k] <= share[k]));
                    let request = Amounts { memory_bytes: amounts[0], threads: amounts[1], ..Amounts::default() };
                    let request = Request::new("p", request).tenant(tenant.map(|t| t.to_string().into()));
                    let got = pool.try_acquire(&request);
                    prop_assert_eq!(got.is_ok(), fits, "{:?}", got);
                    held.extend(got.map(|permit| (permit.hand_over(), amounts, tenant)));
                }
                Step::GiveBack(index) if !held.is_empty() => drop(held.swap_remove(index.index(held.len()))),
                Step::GiveBack(_) => {}
            }
            let expected: BTreeMap<_, _> = (0..2).map(|k| (k, held.iter().map(|h| h.1[k]).sum::<u64>())).collect();
            prop_assert_eq!((used(&pool, Resource::Memory), used(&pool, Resource::Threads)), (expected[&0], expected[&1]));
        }
        drop(held);
        prop_assert!(pool.close().is_empty());
    }
}
