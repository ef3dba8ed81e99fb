//! G27: permits that are taken and given back by many threads, with panics, timeouts, cancelled waits and tenants.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pure_sound::cancel::CancelToken;
use pure_sound::resources::{Amounts, PoolOptions, Request, Resource, ResourcePool};

use crate::{line, timing};

const THREADS: u64 = 8;
const MEMORY: u64 = 1000;

/// xorshift64*, seeded.
struct Random(u64);
impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }
}

#[derive(Default)]
struct Counts {
    granted: AtomicU64,
    panics: AtomicU64,
    timeouts: AtomicU64,
    cancelled: AtomicU64,
    wrong: AtomicU64,
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Takes and gives back until `left` is used up.
fn worker(pool: &ResourcePool, seed: u64, left: &AtomicU64, held: &[AtomicU64; 2], counts: &Counts) {
    let mut random = Random(seed * 0x9E37_79B9 + 1);
    let tenants: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).into();
    let cancelled = CancelToken::new();
    cancelled.cancel();
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
        let asked = [1 + random.below(300), random.below(3)];
        let amounts = Amounts { memory_bytes: asked[0], threads: asked[1], ..Amounts::default() };
        let tenant = random.below(4) as usize;
        let way = random.below(1000);
        let mut request = Request::new("figure", amounts).tenant(tenants.get(tenant).cloned());
        if way < 3 {
            // Gives up after a moment.
            request = request.max_wait(Some(Duration::from_micros(random.below(200))));
        } else if way < 6 {
            request = request.cancel(&cancelled);
        }
        let result = catch_unwind(AssertUnwindSafe(|| -> pure_sound::Result<()> {
            let permit = pool.acquire(&request)?;
            let sums = [0, 1].map(|k| held[k].fetch_add(asked[k], Ordering::SeqCst) + asked[k]);
            if sums[0] > MEMORY || sums[1] > THREADS {
                add(&counts.wrong);
            }
            let lease = permit.memory().take(asked[0]);
            if lease.is_err() || permit.memory().take(1).is_ok() {
                add(&counts.wrong);
            }
            for (held, asked) in held.iter().zip(asked) {
                held.fetch_sub(asked, Ordering::SeqCst);
            }
            if way == 999 {
                panic_any("on purpose");
            }
            Ok(())
        }));
        match result {
            Ok(Ok(())) => add(&counts.granted),
            Ok(Err(e)) if e.name() == "FULL" => add(&counts.timeouts),
            Ok(Err(e)) if e.name() == "CANCELLED" => add(&counts.cancelled),
            Ok(Err(_)) => add(&counts.wrong),
            Err(_) => add(&counts.panics),
        }
    }
}

pub fn run(operations: u64) -> bool {
    let budgets = Amounts { memory_bytes: MEMORY, threads: THREADS, ..Amounts::UNLIMITED };
    let pool = ResourcePool::new(PoolOptions { budgets, tenant_share: 0.6 });
    let (left, held, counts) = (AtomicU64::new(operations), [AtomicU64::new(0), AtomicU64::new(0)], Counts::default());
    let (begun, done, stuck) = (Instant::now(), AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|n| {
                let (pool, left, held, counts) = (&pool, &left, &held, &counts);
                scope.spawn(move || worker(pool, n + 1, left, held, counts))
            })
            .collect();
        // A deadlock is told, not waited for: nothing more done in a minute.
        let (pool, left, done, stuck) = (&pool, &left, &done, &stuck);
        scope.spawn(move || {
            let mut last = (u64::MAX, Instant::now());
            while !done.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
                let now = left.load(Ordering::Relaxed);
                if now != last.0 {
                    last = (now, Instant::now());
                } else if last.1.elapsed() > Duration::from_secs(60) && pool.usage().waiting > 0 {
                    stuck.store(true, Ordering::Relaxed);
                    pool.close();
                    return;
                }
            }
        });
        workers.into_iter().for_each(|w| drop(w.join()));
        done.store(true, Ordering::Relaxed);
    });
    let seconds = begun.elapsed().as_secs_f64();
    let count = |c: &AtomicU64| c.load(Ordering::Relaxed);
    let usage = pool.usage();
    println!(
        "G27 {operations} acquisitions by {THREADS} threads: {} granted, {} of them waited, {} panics, {} timeouts, {} cancelled",
        count(&counts.granted),
        usage.waited,
        count(&counts.panics),
        count(&counts.timeouts),
        count(&counts.cancelled)
    );
    let leaked = usage.resources.iter().map(|r| r.used).sum::<u64>() + pool.close().len() as u64;
    let over = Resource::ALL.into_iter().zip(&usage.resources).filter(|(r, u)| u.peak > budgets.get(*r)).count();
    let rate = operations as f64 / seconds / 1e6;
    let good = [
        line("G27", "leaked", leaked, "0", leaked == 0),
        line(
            "G27",
            "budget exceeded or wrongly counted",
            over as u64 + count(&counts.wrong),
            "0",
            over == 0 && count(&counts.wrong) == 0,
        ),
        line("G27", "deadlocks", u8::from(count_bool(&stuck)), "0", !count_bool(&stuck)),
        timing("G27", "million acquisitions a second", format!("{rate:.2}"), ">= 0.2", rate >= 0.2),
    ];
    good.iter().all(|g| *g)
}

fn count_bool(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}
