//! Checks under many questions, without answers, and in their JSON form.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;
use crate::events::{EventBus, ServiceHealth, SubscribeOptions};
use crate::services::seams::Clock;
use crate::services::{Health, HealthStatus};
use crate::sync::{Mutex, lock};

/// A clock that stands until it is moved.
#[derive(Default)]
struct Standing(AtomicU64);
impl Clock for Standing {
    fn unix_ms(&self) -> u64 {
        1_767_225_599_123 + self.0.load(Ordering::Relaxed)
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

fn with_clock() -> (HealthChecks, Arc<Standing>, EventBus) {
    let (clock, bus) = (Arc::new(Standing::default()), EventBus::default());
    (HealthChecks::new(Some(bus.clone()), Arc::clone(&clock) as Arc<dyn Clock>), clock, bus)
}

#[test]
fn an_answer_holds_for_a_second_however_many_ask() {
    let (health, clock, _) = with_clock();
    health.register("a:b", "component", Probe::Ready, Health::pass).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..100).for_each(|_| assert_eq!(health.ready().status, HealthStatus::Pass)));
        }
    });
    assert_eq!(health.runs("a:b"), Some(1));
    clock.0.store(999, Ordering::Relaxed);
    health.ready();
    assert_eq!(health.runs("a:b"), Some(1));
    clock.0.store(1000, Ordering::Relaxed);
    health.ready();
    assert_eq!((health.runs("a:b"), health.runs("c:d")), (Some(2), None));
}

#[test]
fn a_check_that_hangs_fails_alone_and_is_asked_once() {
    let (health, _, _) = with_clock();
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    health
        .register("slow:answer", "datastore", Probe::Ready, move || {
            let _ = lock(&wait).recv();
            Health::pass()
        })
        .unwrap();
    health.register("quick:answer", "component", Probe::Ready, Health::pass).unwrap();
    let begun = Instant::now();
    for _ in 0..3 {
        let answer = health.ready();
        assert_eq!((answer.status, answer.http_status()), (HealthStatus::Fail, 503));
        assert_eq!(answer.checks["quick:answer"][0].status, HealthStatus::Pass);
        assert!(answer.checks["slow:answer"][0].output.as_ref().unwrap().contains("no answer within 1 s"));
    }
    assert!(begun.elapsed() >= CHECK_TIMEOUT);
    assert_eq!(health.runs("slow:answer"), Some(1));
    assert_eq!(health.live().status, HealthStatus::Pass);
    drop(release);
    // It ends some time after its caller is gone.
    while health.last().iter().all(|(key, _)| key != "slow:answer") {
        std::thread::yield_now();
    }
    assert_eq!(health.ready().status, HealthStatus::Pass);
}

#[test]
fn live_depends_on_nothing() {
    let (health, _, _) = with_clock();
    health.register("database:write", "datastore", Probe::Ready, || Health::fail("gone")).unwrap();
    health.register("model:loaded", "component", Probe::Startup, || panic!("on purpose")).unwrap();
    let live = health.live();
    assert_eq!((live.status, live.checks.len()), (HealthStatus::Pass, 1));
    assert_eq!(health.runs("database:write"), Some(0));
    assert_eq!(health.ready().status, HealthStatus::Fail);
    let startup = health.startup();
    assert_eq!(startup.checks["model:loaded"][0].output.as_deref(), Some("panic"));
    assert_eq!(health.all().checks.len(), 3);
    assert!(health.ready().without_details().checks.is_empty());
}

#[test]
fn what_is_up_stays_up_and_draining_is_not_ready() {
    let (health, clock, _) = with_clock();
    let up = Arc::new(AtomicU64::new(0));
    let asked = Arc::clone(&up);
    let ask = move || if asked.load(Ordering::Relaxed) == 0 { Health::fail("loading") } else { Health::pass() };
    health.register("model:loaded", "component", Probe::Startup, ask).unwrap();
    assert_eq!(health.startup().status, HealthStatus::Fail);
    up.store(1, Ordering::Relaxed);
    clock.0.store(1000, Ordering::Relaxed);
    assert_eq!(health.startup().status, HealthStatus::Pass);
    up.store(0, Ordering::Relaxed);
    clock.0.store(9000, Ordering::Relaxed);
    assert_eq!(health.startup().status, HealthStatus::Pass);

    assert_eq!(health.ready().status, HealthStatus::Pass);
    health.set_draining(true);
    assert_eq!((health.ready().status, health.live().status), (HealthStatus::Fail, HealthStatus::Pass));
    health.set_draining(false);
    assert_eq!(health.ready().status, HealthStatus::Pass);
}

#[test]
fn the_json_is_that_of_the_draft() {
    let (health, _, _) = with_clock();
    let ask = || Health::warn("full soon").observed(12.0, "bytes");
    health.register("temp:free_bytes", "datastore", Probe::Ready, ask).unwrap();
    let expected = serde_json::json!({
        "status": "warn",
        "version": "1",
        "releaseId": env!("CARGO_PKG_VERSION"),
        "description": "Pure Sound engine, ready",
        "checks": {"temp:free_bytes": [{
            "componentType": "datastore",
            "observedValue": 12.0,
            "observedUnit": "bytes",
            "status": "warn",
            "time": "2025-12-31T23:59:59.123Z",
            "output": "full soon",
        }]},
    });
    assert_eq!(serde_json::to_value(health.ready()).unwrap(), expected);
}

#[test]
fn dates_are_right_at_their_borders() {
    // Seconds from `date -u -d DATE +%s`.
    for (seconds, date) in [
        (0, "1970-01-01T00:00:00"),
        (951_782_400, "2000-02-29T00:00:00"),
        (951_868_800, "2000-03-01T00:00:00"),
        (1_709_251_199, "2024-02-29T23:59:59"),
        (4_107_542_400, "2100-03-01T00:00:00"),
    ] {
        assert_eq!(rfc3339(seconds * 1000), format!("{date}.000Z"));
    }
}

#[test]
fn changes_are_published_once() {
    let (health, clock, bus) = with_clock();
    let poller = bus.poll(SubscribeOptions::new("service.health")).unwrap();
    let bad = Arc::new(AtomicU64::new(0));
    let asked = Arc::clone(&bad);
    let ask = move || if asked.load(Ordering::Relaxed) == 1 { Health::fail("gone") } else { Health::pass() };
    health.register("a:b", "component", Probe::Ready, ask).unwrap();
    let fails = (HealthStatus::Fail, Some("gone"));
    let passes = (HealthStatus::Pass, None);
    for (second, value, told) in [(0, 0, None), (1, 1, Some(fails)), (2, 1, None), (3, 0, Some(passes)), (4, 0, None)] {
        clock.0.store(second * 1000, Ordering::Relaxed);
        bad.store(value, Ordering::Relaxed);
        health.ready();
        // Read at once: of two that wait, the bus keeps the later.
        if let Some(expected) = told {
            let delivery = poller.next(Duration::from_secs(10)).unwrap();
            let event = delivery.event().unwrap().payload::<ServiceHealth>().unwrap().clone();
            assert_eq!((event.service.as_str(), (event.status, event.note.as_deref())), ("a:b", expected));
        }
    }
    assert!(poller.try_next().is_none());
}

#[test]
fn keys_are_checked_and_checks_can_go() {
    let health = HealthChecks::default();
    for key in ["", "a", "a:", ":b", "A:b", "a b:c", "a:b:c"] {
        assert!(health.register(key, "x", Probe::Ready, Health::pass).is_err(), "{key:?}");
    }
    health.register("a:b", "x", Probe::Ready, || Health::fail("x")).unwrap();
    health.register("a:b", "x", Probe::Ready, Health::pass).unwrap();
    assert_eq!(health.ready().status, HealthStatus::Pass);
    assert!(health.unregister("a:b") && !health.unregister("a:b"));
    assert!(health.ready().checks.is_empty());
}
