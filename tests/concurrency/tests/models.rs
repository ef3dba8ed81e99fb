//! G10: small programs that are run under many orders of their steps. `PURESOUND_SCHEDULES` says under how many each, half of
//! them random, half by priorities (PCT, 3 changes). A deadlock, a panic or a failed assertion in any order fails the test.

#![allow(clippy::unwrap_used)] // helpers of tests count as tests

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pure_sound_concurrency::cancel::CancelToken;
use pure_sound_concurrency::config::{Config, ConfigOptions, Model};
use pure_sound_concurrency::events::{
    Class, Delivery, EventBus, EventOptions, Priority, Start, SubscribeOptions, Subscription,
};
use pure_sound_concurrency::flight::{Entry, Flights};
use pure_sound_concurrency::resources::{Amounts, Permit, PoolOptions, Request, Resource, ResourcePool};
use pure_sound_concurrency::services::{Lifetime, ServiceBuilder};
use pure_sound_concurrency::{Error, Result};
use serde_json::json;
use shuttle::sync::Mutex;
use shuttle::thread;

const LONG: Duration = Duration::from_secs(3600);

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let schedules = std::env::var("PURESOUND_SCHEDULES").ok().and_then(|s| s.parse().ok()).unwrap_or(1000_usize);
    let model = Arc::new(model);
    let again = Arc::clone(&model);
    shuttle::check_random(move || model(), schedules.div_ceil(2));
    shuttle::check_pct(move || again(), schedules.div_ceil(2), 3);
}

fn say(bus: &EventBus, n: u64) -> Result<u64> {
    bus.publish_json("t", 1, Priority::Normal, None, json!(n))
}

fn sequence(delivery: &Delivery) -> u64 {
    delivery.event().expect("only events are expected").sequence
}

fn lossless(events: usize) -> SubscribeOptions {
    SubscribeOptions::new("t").class(Class::Lossless { wait: LONG }).lane_events(events)
}

/// A subscription that writes down what it gets.
fn recorder(bus: &EventBus, options: SubscribeOptions) -> (Subscription, Arc<Mutex<Vec<u64>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let s = bus.subscribe(options, move |d| {
        record.lock().unwrap().push(sequence(d));
        Ok(())
    });
    (s.unwrap(), seen)
}

/// Two publishers wait for two subscribers with room for one event each: nothing is lost, the order is that of the
/// numbers, and no wake-up goes astray.
#[test]
fn lossless_is_lossless() {
    explore(|| {
        let bus = EventBus::default();
        let (_a, seen_a) = recorder(&bus, lossless(1));
        let (_b, seen_b) = recorder(&bus, lossless(1));
        let publishers: Vec<_> = (0..2)
            .map(|_| {
                let bus = bus.clone();
                thread::spawn(move || (0..2).for_each(|n| assert!(say(&bus, n).is_ok())))
            })
            .collect();
        publishers.into_iter().for_each(|p| p.join().unwrap());
        assert_eq!(bus.shutdown(LONG), 0);
        assert_eq!(*seen_a.lock().unwrap(), [1, 2, 3, 4]);
        assert_eq!(*seen_b.lock().unwrap(), [1, 2, 3, 4]);
    });
}

/// After `unsubscribe` has returned, no call runs or begins.
#[test]
fn unsubscribe_is_the_end() {
    explore(|| {
        let bus = EventBus::default();
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        let s = bus
            .subscribe(lossless(2), move |_| {
                assert!(!seen.load(Ordering::SeqCst), "called after the end");
                thread::yield_now();
                assert!(!seen.load(Ordering::SeqCst), "runs after the end");
                Ok(())
            })
            .unwrap();
        let publisher = bus.clone();
        let publisher = thread::spawn(move || (0..3).for_each(|n| assert!(say(&publisher, n).is_ok())));
        s.unsubscribe();
        ended.store(true, Ordering::SeqCst);
        publisher.join().unwrap();
        assert_eq!(bus.stats().subscribers, 0);
    });
}

/// A subscription ends in its own handler while another thread publishes to it and to a lossless neighbour.
#[test]
fn a_handler_ends_itself() {
    for synchronous in [false, true] {
        explore(move || {
            let bus = EventBus::default();
            let own: Arc<Mutex<Option<Subscription>>> = Arc::default();
            let calls = Arc::new(AtomicU64::new(0));
            let (mine, count) = (Arc::clone(&own), Arc::clone(&calls));
            let options = if synchronous { lossless(1).synchronous() } else { lossless(1) };
            let s = bus.subscribe(options, move |_| {
                count.fetch_add(1, Ordering::SeqCst);
                let s = mine.lock().unwrap().take();
                drop(s);
                Ok(())
            });
            *own.lock().unwrap() = Some(s.unwrap());
            let (_b, seen) = recorder(&bus, lossless(1));
            let other = bus.clone();
            let other = thread::spawn(move || assert!(say(&other, 1).is_ok()));
            say(&bus, 2).unwrap();
            other.join().unwrap();
            assert_eq!(bus.shutdown(LONG), 0);
            assert_eq!(*seen.lock().unwrap(), [1, 2]);
            assert_eq!(calls.load(Ordering::SeqCst), 1);
        });
    }
}

/// Who starts with the history while others publish gets every number once.
#[test]
fn replay_meets_live() {
    explore(|| {
        let bus = EventBus::default();
        let publisher = bus.clone();
        let publisher = thread::spawn(move || (0..4).for_each(|n| assert!(say(&publisher, n).is_ok())));
        let poller = bus.poll(SubscribeOptions::new("t").start(Start::Oldest)).unwrap();
        publisher.join().unwrap();
        let got: Vec<u64> = std::iter::from_fn(|| poller.try_next()).map(|d| sequence(&d)).collect();
        assert_eq!(got, [1, 2, 3, 4]);
    });
}

/// Synchronous handlers of two threads: each has run when its publisher goes on, one at a time, in the order of numbers, also
/// those that handlers cause.
#[test]
fn synchronous_handlers_take_turns() {
    explore(|| {
        let bus = EventBus::default();
        let inside = Arc::new(AtomicBool::new(false));
        let (guard, inner) = (Arc::clone(&inside), bus.clone());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let _a = bus
            .subscribe(lossless(8).synchronous(), move |d| {
                assert!(!guard.swap(true, Ordering::SeqCst), "two at a time");
                record.lock().unwrap().push(sequence(d));
                inner.publish_json("u", 1, Priority::Normal, None, json!(0))?;
                guard.store(false, Ordering::SeqCst);
                Ok(())
            })
            .unwrap();
        let (_b, caused) = recorder(&bus, SubscribeOptions::new("u").synchronous());
        let run = |bus: EventBus, seen: Arc<Mutex<Vec<u64>>>| {
            let number = say(&bus, 0).unwrap();
            assert!(seen.lock().unwrap().contains(&number), "has not run");
        };
        let (other, theirs) = (bus.clone(), Arc::clone(&seen));
        let other = thread::spawn(move || run(other, theirs));
        run(bus.clone(), Arc::clone(&seen));
        other.join().unwrap();
        let (seen, caused) = (seen.lock().unwrap().clone(), caused.lock().unwrap().clone());
        assert!(seen.len() == 2 && seen[0] < seen[1], "{seen:?}");
        assert!(caused.len() == 2 && caused[0] < caused[1], "{caused:?}");
    });
}

/// What was published before a shutdown is handled, what comes after is refused.
#[test]
fn shutdown_drains() {
    explore(|| {
        let bus = EventBus::default();
        let (_s, seen) = recorder(&bus, lossless(1));
        let publisher = bus.clone();
        let publisher = thread::spawn(move || {
            let said: Vec<u64> = (0..3).map_while(|n| say(&publisher, n).ok()).collect();
            said.len()
        });
        assert_eq!(bus.shutdown(LONG), 0);
        let said = publisher.join().unwrap();
        assert_eq!(seen.lock().unwrap().len(), said);
        assert!(matches!(say(&bus, 9), Err(Error::Closed { .. })));
    });
}

/// A publisher that waits for a subscriber which gets suspended goes on without it.
#[test]
fn suspension_frees_publishers() {
    explore(|| {
        let bus = EventBus::new(EventOptions { suspend_after: 1, ..EventOptions::default() });
        let s = bus.subscribe(lossless(1), |_| Err("no".into())).unwrap();
        let other = bus.clone();
        let other = thread::spawn(move || (0..2).for_each(|n| assert!(say(&other, n).is_ok())));
        (0..2).for_each(|n| assert!(say(&bus, n).is_ok()));
        other.join().unwrap();
        let stats = s.stats();
        assert!(stats.failed <= 1 && stats.failed + stats.skipped + stats.waiting == 4, "{stats:?}");
        drop(s);
    });
}

/// A service is made once, however many ask, also when the first attempt fails.
#[test]
fn singletons_are_made_once() {
    explore(|| {
        let tries = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&tries);
        let mut builder = ServiceBuilder::new();
        builder.factory(Lifetime::Singleton, move |(): ()| {
            thread::yield_now();
            match counter.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Error::Unavailable { what: "disk".into() }),
                n => Ok(Arc::new(n)),
            }
        });
        builder.factory(Lifetime::Singleton, |n: Arc<u64>| Ok(Arc::new(n.to_string())));
        let services = builder.build().unwrap();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let services = services.clone();
                thread::spawn(move || {
                    services.get::<String>().or_else(|_| services.get::<String>()).map(|s| (*s).clone())
                })
            })
            .collect();
        for thread in threads {
            // One thread may have the failure twice? No: there is one failure, and the second try comes after it.
            assert_eq!(thread.join().unwrap().unwrap(), "1");
        }
        assert_eq!(tries.load(Ordering::SeqCst), 2);
        services.shutdown(LONG);
    });
}

#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Pair {
    a: u32,
    b: u32,
}
impl Model for Pair {
    fn check_together(&self) -> Vec<(&'static str, String)> {
        if self.a == self.b { Vec::new() } else { vec![("a", "is not b".into())] }
    }
}

/// Readers see one generation, never parts of two; numbers rise without holes.
#[test]
fn configurations_change_as_a_whole() {
    explore(|| {
        let config: Config<Pair> = Config::load(ConfigOptions::new(), &EventBus::default()).unwrap();
        let writers: Vec<_> = [3, 4]
            .map(|n| {
                let config = config.clone();
                thread::spawn(move || {
                    let values = ["a", "b"].map(|k| (k.to_owned(), json!(n)));
                    config.set("test", values).unwrap();
                })
            })
            .into();
        let mut last = 0;
        for _ in 0..4 {
            let now = config.current();
            assert_eq!(now.settings.a, now.settings.b);
            assert!(now.number >= last);
            last = now.number;
        }
        writers.into_iter().for_each(|w| w.join().unwrap());
        let numbers: Vec<u64> = config.generations().iter().map(|g| g.number).collect();
        assert_eq!(numbers, [1, 2, 3]);
    });
}

/// A pool in which somebody has to wait: room for two of three.
fn small_pool() -> ResourcePool {
    let budgets = Amounts { memory_bytes: 2, threads: 2, ..Amounts::UNLIMITED };
    ResourcePool::new(PoolOptions { budgets, ..PoolOptions::default() })
}

fn ask(memory_bytes: u64, threads: u64) -> Request {
    Request::new("model", Amounts { memory_bytes, threads, ..Amounts::default() })
}

fn assert_empty(pool: &ResourcePool) {
    let usage = pool.usage();
    assert!(usage.resources.iter().all(|r| r.used == 0), "{usage:?}");
    assert_eq!((usage.holders, usage.waiting), (0, 0));
}

/// Three ask for different mixtures, twice each, one of them panics with its permit: all come to an end, and the budget is kept.
#[test]
fn permits_go_round() {
    explore(|| {
        let pool = small_pool();
        let held = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        // Told outside: a failed assertion would be caught with the panic on purpose.
        let over = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = [(2, 0), (1, 1), (0, 2)]
            .into_iter()
            .map(|(memory, threads)| {
                let (pool, held, over) = (pool.clone(), Arc::clone(&held), Arc::clone(&over));
                thread::spawn(move || {
                    for round in 0..2 {
                        let work = || {
                            let _permit: Permit = pool.acquire(&ask(memory, threads)).unwrap();
                            for (sum, share) in held.iter().zip([memory, threads]) {
                                if sum.fetch_add(share, Ordering::SeqCst) + share > 2 {
                                    over.store(true, Ordering::SeqCst);
                                }
                            }
                            thread::yield_now();
                            held.iter().zip([memory, threads]).for_each(|(sum, share)| {
                                sum.fetch_sub(share, Ordering::SeqCst);
                            });
                            if memory == 1 && round == 0 {
                                std::panic::resume_unwind(Box::new("with a permit"));
                            }
                        };
                        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_empty(&pool);
        assert_eq!(pool.usage().granted, 6);
        assert!(!over.load(Ordering::SeqCst), "more than there is");
    });
}

/// Somebody stops waiting while the place becomes free: it gets it or it does not, and nothing is lost in between; who stands
/// behind is served all the same.
#[test]
fn a_cancelled_wait_loses_nothing() {
    explore(|| {
        let pool = small_pool();
        let first = pool.acquire(&ask(2, 0)).unwrap().hand_over();
        let token = CancelToken::new();
        let (waits, cancel) = (pool.clone(), token.clone());
        let waits = thread::spawn(move || match waits.acquire(&ask(2, 0).cancel(&cancel)) {
            Ok(permit) => drop(permit),
            Err(error) => assert!(matches!(error, Error::Cancelled)),
        });
        let behind = pool.clone();
        let behind = thread::spawn(move || drop(behind.acquire(&ask(1, 1)).unwrap()));
        let cancels = thread::spawn(move || token.cancel());
        drop(first);
        [waits, behind, cancels].into_iter().for_each(|t| t.join().unwrap());
        assert_empty(&pool);
    });
}

/// Memory that is counted by several threads against one permit goes back when the last of them is done, once.
#[test]
fn memory_goes_back_once() {
    explore(|| {
        let pool = small_pool();
        let permit = pool.acquire(&ask(2, 1)).unwrap();
        let account = permit.memory().clone();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let account = account.clone();
                thread::spawn(move || {
                    let lease = account.take(1).unwrap();
                    assert!(account.used_bytes() <= 2);
                    drop(lease);
                })
            })
            .collect();
        drop((permit, account));
        let other = pool.clone();
        let other = thread::spawn(move || drop(other.acquire(&ask(2, 0)).unwrap()));
        threads.into_iter().for_each(|t| t.join().unwrap());
        other.join().unwrap();
        assert_empty(&pool);
    });
}

/// A pool is closed while some wait and some hold.
#[test]
fn the_end_wakes_all() {
    explore(|| {
        let pool = small_pool();
        let first = pool.acquire(&ask(2, 0)).unwrap().hand_over();
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let pool = pool.clone();
                thread::spawn(move || assert!(matches!(pool.acquire(&ask(1, 0)), Err(Error::Closed { .. }))))
            })
            .collect();
        let closes = pool.clone();
        let closes = thread::spawn(move || assert_eq!(closes.close().len(), 1));
        closes.join().unwrap();
        waiting.into_iter().for_each(|t| t.join().unwrap());
        drop(first);
        assert_empty(&pool);
        assert_eq!(pool.usage().resources[Resource::ALL.iter().position(|r| *r == Resource::Memory).unwrap()].peak, 2);
    });
}

/// What a cache does for one key: look, enter, look again, make, keep.
struct OneValue {
    flights: Flights<u8, u64>,
    kept: Mutex<Option<u64>>,
    made: AtomicU64,
}

impl OneValue {
    fn new() -> Arc<Self> {
        Arc::new(Self { flights: Flights::default(), kept: Mutex::new(None), made: AtomicU64::new(0) })
    }

    fn get(&self, cancel: &CancelToken, make: impl FnOnce() -> Result<u64>) -> Result<u64> {
        if let Some(value) = *self.kept.lock().unwrap() {
            return Ok(value);
        }
        match self.flights.enter(&0, cancel)? {
            Entry::Take(value) => Ok(value),
            Entry::Alone => make(),
            Entry::Lead(lead) => {
                let again = *self.kept.lock().unwrap();
                let value = match again {
                    Some(value) => value,
                    None => {
                        self.made.fetch_add(1, Ordering::SeqCst);
                        make()?
                    }
                };
                *self.kept.lock().unwrap() = Some(value);
                lead.made(value);
                Ok(value)
            }
        }
    }
}

/// Three ask for the same at the same time: it is made once, and each has it.
#[test]
fn a_value_is_made_once() {
    explore(|| {
        let one = OneValue::new();
        let threads: Vec<_> = (0..3)
            .map(|n| {
                let one = Arc::clone(&one);
                thread::spawn(move || one.get(&CancelToken::new(), || Ok(n)).unwrap())
            })
            .collect();
        let got: Vec<u64> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        assert!(got.windows(2).all(|w| w[0] == w[1]), "{got:?}");
        assert_eq!((one.made.load(Ordering::SeqCst), one.flights.running()), (1, 0));
    });
}

/// Who makes it fails, while two wait, of whom one is cancelled: the other one makes it, and nobody waits for ever.
#[test]
fn a_failure_releases_those_who_wait() {
    explore(|| {
        let one = OneValue::new();
        let token = CancelToken::new();
        let (failing, waiting, cancelled) = (Arc::clone(&one), Arc::clone(&one), Arc::clone(&one));
        let theirs = token.clone();
        let threads = [
            // Has the value when another one was quicker.
            thread::spawn(move || {
                let got = failing.get(&CancelToken::new(), || Err(Error::Empty));
                assert!(matches!(got, Ok(7) | Err(Error::Empty)));
            }),
            thread::spawn(move || assert!(matches!(waiting.get(&CancelToken::new(), || Ok(7)), Ok(7)))),
            thread::spawn(move || {
                let got = cancelled.get(&theirs, || Ok(7));
                assert!(matches!(got, Ok(7) | Err(Error::Cancelled)));
            }),
            thread::spawn(move || token.cancel()),
        ];
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(one.flights.running(), 0);
    });
}
