//! What the module promises, case by case. Waiting is by channels; the timeouts only end a test that hangs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::error::Error;
use crate::services::seams::SystemFiles;

const LONG: Duration = Duration::from_secs(60);

fn small(events: usize) -> EventBus {
    EventBus::new(EventOptions { history_events: events, ..EventOptions::default() })
}

fn say(bus: &EventBus, topic: &str, n: u64) -> Result<u64, Error> {
    bus.publish_json(topic, 1, Priority::Normal, None, json!(n))
}

fn number(event: &Event) -> u64 {
    event.payload_json().unwrap().as_u64().unwrap()
}

/// `7`, `r7` for a replay, `lost 3`, `gap 1-2`.
fn short(delivery: &Delivery) -> String {
    match delivery {
        Delivery::Event { event, replay } => format!("{}{}", if *replay { "r" } else { "" }, number(event)),
        Delivery::Lagged { lost } => format!("lost {lost}"),
        Delivery::Gap { from, to, restarted } => {
            format!("gap {from}-{to}{}", if *restarted { " restarted" } else { "" })
        }
    }
}

fn rest(poller: &Poller) -> Vec<String> {
    std::iter::from_fn(|| poller.try_next()).map(|d| short(&d)).collect()
}

/// A handler that tells a channel when it starts and waits for another to go on.
fn gated() -> (impl Fn(&Delivery) -> HandlerResult, Receiver<String>, Sender<()>) {
    let (told, tell) = channel();
    let (go, wait) = channel();
    let wait = Mutex::new(wait);
    let handler = move |d: &Delivery| {
        told.send(short(d))?;
        wait.lock().unwrap().recv_timeout(LONG)?;
        Ok(())
    };
    (handler, tell, go)
}

#[test]
fn synchronous_handlers_have_run_when_publish_returns_and_never_nest() {
    let bus = EventBus::default();
    let log = Arc::new(Mutex::new(Vec::new()));
    let (inner, record) = (bus.clone(), Arc::clone(&log));
    let _a = bus
        .subscribe(SubscribeOptions::new("a").synchronous(), move |d| {
            record.lock().unwrap().push(format!("a{} in", short(d)));
            say(&inner, "b", 1)?;
            record.lock().unwrap().push(format!("a{} out", short(d)));
            Ok(())
        })
        .unwrap();
    let record = Arc::clone(&log);
    let _b = bus
        .subscribe(SubscribeOptions::new("b").synchronous(), move |_| {
            record.lock().unwrap().push("b".into());
            Ok(())
        })
        .unwrap();
    say(&bus, "a", 7).unwrap();
    assert_eq!(*log.lock().unwrap(), ["a7 in", "a7 out", "b"]);
}

#[test]
fn handlers_that_publish_in_a_circle_are_stopped() {
    let bus = EventBus::new(EventOptions { max_depth: 3, ..EventOptions::default() });
    let inner = bus.clone();
    let seen =
        bus.subscribe(SubscribeOptions::new("a").synchronous(), move |_| Ok(say(&inner, "a", 0).map(|_| ())?)).unwrap();
    say(&bus, "a", 0).unwrap();
    assert_eq!(bus.last_sequence(), 4, "the event and three that follow from it");
    let dead = seen.take_dead_letters();
    assert_eq!((dead.len(), dead[0].event.sequence), (1, 4));
    assert!(dead[0].reason.contains("events.max_depth"), "{}", dead[0].reason);
}

#[test]
fn a_full_lossless_queue_refuses_the_event_for_everybody() {
    let bus = EventBus::default();
    let full = SubscribeOptions::new("**").name("full").lane_events(1).class(Class::Lossless { wait: Duration::ZERO });
    let full = bus.poll(full).unwrap();
    let other = bus.poll(SubscribeOptions::new("**")).unwrap();
    assert_eq!(say(&bus, "t", 1).unwrap(), 1);
    let error = say(&bus, "t", 2).unwrap_err();
    assert_eq!((error.name(), error.to_string()), ("FULL", "queue of subscriber 'full' is full (1)".into()));
    // Another priority has a queue of its own.
    bus.publish_json("t", 1, Priority::High, None, json!(3)).unwrap();
    assert_eq!(bus.last_sequence(), 2, "a refused event has no number");
    assert_eq!((rest(&full), rest(&other)), (vec!["3".into(), "1".into()], vec!["3".into(), "1".into()]));
    assert_eq!(bus.stats().refused, 1);
}

#[test]
fn a_publisher_waits_for_room_as_long_as_the_subscriber_allows() {
    let bus = EventBus::default();
    let options = SubscribeOptions::new("t").lane_events(1).class(Class::Lossless { wait: LONG });
    let poller = bus.poll(options).unwrap();
    say(&bus, "t", 1).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| say(&bus, "t", 2));
        assert_eq!(short(&poller.next(LONG).unwrap()), "1");
        assert_eq!(waiting.join().unwrap().unwrap(), 2);
    });
    assert_eq!(rest(&poller), ["2"]);
}

#[test]
fn a_handler_that_would_wait_for_itself_is_told() {
    let bus = EventBus::default();
    let inner = bus.clone();
    let (told, tell) = channel();
    let options = SubscribeOptions::new("t").lane_events(1).class(Class::Lossless { wait: LONG });
    let _s = bus
        .subscribe(options, move |d| {
            if short(d) == "1" {
                say(&inner, "t", 2)?;
                told.send(say(&inner, "t", 3).unwrap_err().name())?;
            }
            Ok(())
        })
        .unwrap();
    say(&bus, "t", 1).unwrap();
    assert_eq!(tell.recv_timeout(LONG).unwrap(), "WOULD_DEADLOCK");
}

#[test]
fn losses_are_told_and_counted() {
    let bus = EventBus::default();
    let lossy = bus.poll(SubscribeOptions::new("t").lane_events(2)).unwrap();
    let latest = bus.poll(SubscribeOptions::new("t").lane_events(2).class(Class::Latest)).unwrap();
    for n in 0..5 {
        bus.publish_json("t", 1, Priority::Normal, Some(["x", "y"][n % 2]), json!(n)).unwrap();
    }
    assert_eq!(rest(&lossy), ["lost 3", "3", "4"]);
    assert_eq!(rest(&latest), ["3", "4"], "the newest of each key");
    assert_eq!((lossy.stats().lost, latest.stats().lost, latest.stats().replaced), (3, 0, 3));
    drop((lossy, latest));
    assert_eq!((bus.stats().lost, bus.stats().subscribers), (3, 0), "losses stay known when the subscriber is gone");
}

#[test]
fn the_urgent_come_first() {
    let bus = EventBus::default();
    let poller = bus.poll(SubscribeOptions::new("t")).unwrap();
    for (n, priority) in
        [Priority::Low, Priority::Normal, Priority::Critical, Priority::High, Priority::Critical].iter().enumerate()
    {
        bus.publish_json("t", 1, *priority, None, json!(n)).unwrap();
    }
    assert_eq!(rest(&poller), ["2", "4", "3", "1", "0"]);
}

#[test]
fn panics_and_errors_stay_with_their_subscriber_and_suspend_it() {
    let bus = EventBus::new(EventOptions { suspend_after: 3, dead_letters: 2, ..EventOptions::default() });
    let bad = bus
        .subscribe(SubscribeOptions::new("t").name("bad").synchronous(), |d| match short(d).as_str() {
            "0" => panic!("no {}", "zero"),
            "1" => Err("one".into()),
            "lost 1" | "3" => Ok(()),
            _ => std::panic::panic_any(7_u8),
        })
        .unwrap();
    let health = bus.poll(SubscribeOptions::new("service.health")).unwrap();
    let good = bus.poll(SubscribeOptions::new("t")).unwrap();
    for n in [0, 3, 0, 1, 2, 9] {
        say(&bus, "t", n).unwrap();
    }
    assert_eq!(rest(&good).len(), 6);
    let stats = bad.stats();
    assert_eq!((stats.delivered, stats.failed, stats.skipped, stats.suspended), (1, 4, 1, true));
    assert_eq!((bus.stats().failed, bus.stats().suspended, bus.suspended()), (4, 1, vec!["bad".to_owned()]));
    let reasons: Vec<_> = bad.take_dead_letters().into_iter().map(|d| d.reason).collect();
    assert_eq!(reasons, ["one", "panic: of an unknown type"], "the last two");
    let warning = health.try_next().unwrap();
    let warning: &ServiceHealth = warning.event().unwrap().payload().unwrap();
    assert_eq!((warning.service.as_str(), warning.status), ("events.bad", HealthStatus::Warn));
    bad.resume();
    say(&bus, "t", 3).unwrap();
    assert_eq!((bad.stats().delivered, bad.stats().suspended), (2, false));
}

#[test]
fn a_suspended_subscriber_holds_up_nobody() {
    let bus = EventBus::new(EventOptions { suspend_after: 1, ..EventOptions::default() });
    let options = SubscribeOptions::new("t").lane_events(1).class(Class::Lossless { wait: LONG });
    let (told, tell) = channel();
    let bad = bus
        .subscribe(options, move |d| {
            told.send(short(d))?;
            if d.event().is_some() { Err("no".into()) } else { Ok(()) }
        })
        .unwrap();
    for n in 0..100 {
        say(&bus, "t", n).unwrap();
    }
    assert_eq!(tell.recv_timeout(LONG).unwrap(), "0");
    // The rest was skipped, but for one that may have been in the queue; all of it is told.
    while !bad.stats().suspended {
        std::thread::yield_now();
    }
    let (skipped, waiting) = (bad.stats().skipped, bad.stats().waiting);
    assert_eq!(skipped + waiting, 99);
    bad.resume();
    assert_eq!(tell.recv_timeout(LONG).unwrap(), format!("lost {skipped}"));
}

#[test]
fn history_comes_first_and_gaps_are_told() {
    let bus = small(3);
    for n in 1..=5 {
        say(&bus, "t", n).unwrap();
    }
    let poll = |start| bus.poll(SubscribeOptions::new("t").start(start)).unwrap();
    let pollers = [
        (poll(Start::Oldest), vec!["r3", "r4", "r5", "6"]),
        (poll(Start::Sequence(4)), vec!["r4", "r5", "6"]),
        (poll(Start::Sequence(2)), vec!["gap 2-2", "r3", "r4", "r5", "6"]),
        (poll(Start::After(bus.cursor(4))), vec!["r5", "6"]),
        (poll(Start::After(bus.cursor(5))), vec!["6"]),
        (poll(Start::After(Cursor { stream: 1, sequence: 9 })), vec!["gap 1-2 restarted", "r3", "r4", "r5", "6"]),
        (poll(Start::Live), vec!["6"]),
    ];
    say(&bus, "t", 6).unwrap();
    for (poller, want) in pollers {
        assert_eq!(rest(&poller), want);
    }
}

#[test]
fn replay_then_live_leaves_nothing_out_and_brings_nothing_twice() {
    let bus = small(100_000);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..2000).for_each(|n| assert!(say(&bus, "t", n).unwrap() > 0)));
        }
        for from in [1, 500, 3000] {
            let bus = bus.clone();
            scope.spawn(move || {
                while bus.last_sequence() < from {
                    std::thread::yield_now();
                }
                let options = SubscribeOptions::new("t").start(Start::Sequence(from)).lane_events(10_000);
                let poller = bus.poll(options).unwrap();
                for want in from..=8000 {
                    assert_eq!(poller.next(LONG).unwrap().event().unwrap().sequence, want);
                }
                assert!(poller.try_next().is_none());
            });
        }
    });
}

proptest! {
    /// The history keeps the longest tail that both bounds allow.
    #[test]
    fn history_equals_the_model(max_events in 0..20_usize, max_bytes in 0..8000_usize, sizes in prop::collection::vec(0..2000_usize, 0..60)) {
        let bus = EventBus::new(EventOptions { history_events: max_events, history_bytes: max_bytes, ..EventOptions::default() });
        for size in &sizes {
            bus.publish_json("t", 1, Priority::Normal, None, json!("x".repeat(*size))).unwrap();
        }
        // Two quotation marks around the text.
        let cost = |size: &usize| size + 2 + event::OVERHEAD_BYTES;
        let mut kept = 0;
        while kept < sizes.len().min(max_events) && sizes[sizes.len() - kept - 1..].iter().map(cost).sum::<usize>() <= max_bytes {
            kept += 1;
        }
        let bytes: usize = sizes[sizes.len() - kept..].iter().map(cost).sum();
        let stats = bus.stats();
        prop_assert_eq!((stats.history_events, stats.history_bytes), (kept as u64, bytes as u64));
        let got = bus.poll(SubscribeOptions::new("t").start(Start::Oldest)).unwrap();
        let got: Vec<u64> = std::iter::from_fn(|| got.try_next()).map(|d| d.event().unwrap().sequence).collect();
        prop_assert_eq!(got, ((sizes.len() - kept) as u64 + 1..=sizes.len() as u64).collect::<Vec<_>>());
    }
}

#[test]
fn a_durable_subscription_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let store = || Arc::new(FileCursors::new(dir.path(), Arc::new(SystemFiles)));
    let bus = EventBus::default();
    let run = |fail_at: &'static str| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let options = SubscribeOptions::new("t").name("books").start(Start::Oldest).durable(store()).synchronous();
        let s = bus.subscribe(options, move |d| {
            record.lock().unwrap().push(short(d));
            if short(d) == fail_at { Err("no".into()) } else { Ok(()) }
        });
        (s.unwrap(), seen)
    };
    say(&bus, "t", 1).unwrap();
    let (s, seen) = run("r1");
    say(&bus, "t", 2).unwrap();
    s.unsubscribe();
    assert_eq!(*seen.lock().unwrap(), ["r1", "2"], "the cursor moves past what fails");
    assert_eq!(store().load("books").unwrap(), Some(bus.cursor(2)));
    say(&bus, "t", 3).unwrap();
    let (_s, seen) = run("");
    say(&bus, "t", 4).unwrap();
    assert_eq!(*seen.lock().unwrap(), ["r3", "4"]);
    // Another run of the engine.
    let bus = EventBus::default();
    let options = SubscribeOptions::new("t").name("books").durable(store());
    assert_eq!(rest(&bus.poll(options).unwrap()), ["gap 1-0 restarted"]);
    assert_eq!("0123456789abcdef:7".parse::<Cursor>().unwrap().to_string(), "0123456789abcdef:7");
    assert!("7".parse::<Cursor>().is_err());
}

/// A cursor behind an event of high priority must not pass the older ones that still wait.
#[test]
fn the_cursor_never_passes_what_was_not_handled() {
    let store = Arc::new(MemoryCursors::default());
    let bus = EventBus::default();
    let (handler, tell, go) = gated();
    let options = SubscribeOptions::new("t").name("s").durable(Arc::clone(&store) as _);
    let s = bus.subscribe(options, handler).unwrap();
    say(&bus, "t", 1).unwrap();
    assert_eq!(tell.recv_timeout(LONG).unwrap(), "1");
    say(&bus, "t", 2).unwrap();
    bus.publish_json("t", 1, Priority::High, None, json!(3)).unwrap();
    go.send(()).unwrap();
    assert_eq!(tell.recv_timeout(LONG).unwrap(), "3");
    assert_eq!(store.load("s").unwrap().unwrap().sequence, 1);
    go.send(()).unwrap();
    assert_eq!(tell.recv_timeout(LONG).unwrap(), "2");
    assert_eq!(store.load("s").unwrap().unwrap().sequence, 1);
    go.send(()).unwrap();
    assert_eq!(bus.shutdown(LONG), 0);
    assert_eq!(store.load("s").unwrap().unwrap().sequence, 3);
    drop(s);
}

/// G8: events are not lost when their cursor cannot be written; they come again.
#[test]
fn a_cursor_that_cannot_be_kept_costs_repetition_not_events() {
    struct Flaky(MemoryCursors);
    impl CursorStore for Flaky {
        fn load(&self, name: &str) -> Result<Option<Cursor>, Error> {
            self.0.load(name)
        }
        fn save(&self, name: &str, cursor: Cursor) -> Result<(), Error> {
            if cursor.sequence > 1 {
                Err(Error::Unavailable { what: "disk".into() })
            } else {
                self.0.save(name, cursor)
            }
        }
    }
    let (bus, store) = (EventBus::default(), Arc::new(Flaky(MemoryCursors::default())));
    for want in [["1", "2", "3"].as_slice(), ["r2", "r3"].as_slice()] {
        let (told, tell) = channel();
        let options = SubscribeOptions::new("t").name("s").durable(Arc::clone(&store) as _).synchronous();
        let s = bus.subscribe(options, move |d| Ok(told.send(short(d))?)).unwrap();
        if want.len() == 3 {
            (1..=3).for_each(|n| assert_eq!(say(&bus, "t", n).unwrap(), n));
        }
        s.unsubscribe();
        assert_eq!(tell.iter().collect::<Vec<_>>(), want);
    }
    struct Broken;
    impl CursorStore for Broken {
        fn load(&self, _: &str) -> Result<Option<Cursor>, Error> {
            Err(Error::Unavailable { what: "disk".into() })
        }
        fn save(&self, _: &str, _: Cursor) -> Result<(), Error> {
            Ok(())
        }
    }
    let options = SubscribeOptions::new("t").name("s").durable(Arc::new(Broken));
    assert_eq!(bus.poll(options).unwrap_err().name(), "UNAVAILABLE");
    assert_eq!(bus.stats().subscribers, 0);
}

#[test]
fn unsubscribe_waits_for_the_running_call_and_is_the_end() {
    let bus = EventBus::default();
    let (handler, tell, go) = gated();
    let s = bus.subscribe(SubscribeOptions::new("t"), handler).unwrap();
    say(&bus, "t", 1).unwrap();
    say(&bus, "t", 2).unwrap();
    assert_eq!(tell.recv_timeout(LONG).unwrap(), "1");
    let ended = AtomicU64::new(0);
    let inside = Arc::clone(&s.subscriber);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            s.unsubscribe();
            ended.store(1, Ordering::SeqCst);
        });
        // Until the second event is gone.
        while inside.stats().waiting > 0 {
            std::thread::yield_now();
        }
        assert_eq!(ended.load(Ordering::SeqCst), 0, "the handler has not returned");
        go.send(()).unwrap();
    });
    drop(inside);
    say(&bus, "t", 3).unwrap();
    assert!(tell.recv_timeout(LONG).is_err(), "the handler is gone, and with it the channel");
    assert_eq!(bus.stats().subscribers, 0);
}

#[test]
fn a_handler_may_end_its_own_subscription() {
    for synchronous in [true, false] {
        let bus = EventBus::default();
        let own: Arc<Mutex<Option<Subscription>>> = Arc::default();
        let (told, tell) = channel();
        let mine = Arc::clone(&own);
        let mut options = SubscribeOptions::new("t");
        if synchronous {
            options = options.synchronous();
        }
        let s = bus.subscribe(options, move |d| {
            let s = mine.lock().unwrap().take();
            s.unwrap().unsubscribe();
            Ok(told.send(short(d))?)
        });
        *own.lock().unwrap() = Some(s.unwrap());
        say(&bus, "t", 1).unwrap();
        assert_eq!(tell.recv_timeout(LONG).unwrap(), "1");
        say(&bus, "t", 2).unwrap();
        assert!(tell.recv_timeout(LONG).is_err(), "the handler is dropped");
    }
}

#[test]
fn shutdown_drains_and_tells_what_is_left() {
    let bus = EventBus::default();
    let count = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&count);
    let _s = bus.subscribe(SubscribeOptions::new("t"), move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let poller = bus.poll(SubscribeOptions::new("t")).unwrap();
    for n in 0..100 {
        say(&bus, "t", n).unwrap();
    }
    assert!(poller.try_next().is_some());
    assert_eq!(bus.shutdown(Duration::from_millis(50)), 99, "those that nobody polled");
    assert_eq!(count.load(Ordering::SeqCst), 100);
    assert_eq!(say(&bus, "t", 0).unwrap_err().name(), "CLOSED");
    assert!(bus.poll(SubscribeOptions::new("t")).is_err());
    assert!(poller.is_closed() && poller.next(LONG).is_none());
}

#[test]
fn concurrent_handlers_keep_the_order_per_key() {
    let bus = EventBus::default();
    let seen: Arc<Mutex<BTreeMap<String, Vec<u64>>>> = Arc::default();
    let record = Arc::clone(&seen);
    let options = SubscribeOptions::new("t").concurrency(4).class(Class::Lossless { wait: LONG }).lane_events(8);
    let _s = bus.subscribe(options, move |d| {
        let event = d.event().unwrap();
        record.lock().unwrap().entry(event.key.as_deref().unwrap().into()).or_default().push(number(event));
        Ok(())
    });
    for n in 0..1000 {
        bus.publish_json("t", 1, Priority::Normal, Some(&(n % 7).to_string()), json!(n)).unwrap();
    }
    assert_eq!(bus.shutdown(LONG), 0);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.values().map(Vec::len).sum::<usize>(), 1000);
    assert!(seen.values().all(|v| v.windows(2).all(|w| w[0] < w[1])));
}

#[test]
fn events_from_other_languages_reach_typed_handlers() {
    let bus = EventBus::default();
    let (told, tell) = channel();
    let s = bus.subscribe_to(SubscribeOptions::new("").synchronous(), move |p: &JobProgress, event| {
        Ok(told.send((p.fraction, event.key.clone()))?)
    });
    let s = s.unwrap();
    bus.publish(JobProgress { job: "7".into(), fraction: 0.5, remaining_s: None }).unwrap();
    bus.publish_json("job.progress", 1, Priority::Low, None, json!({"job": "8", "fraction": 1.0})).unwrap();
    bus.publish_json("job.progress", 1, Priority::Low, None, json!({"job": 8})).unwrap();
    assert_eq!(tell.try_recv().unwrap(), (0.5, Some("7".into())));
    assert_eq!(tell.try_recv().unwrap(), (1.0, None));
    assert!(s.take_dead_letters()[0].reason.contains("payload of job.progress"));
    assert_eq!(say(&bus, "nobody", 1).unwrap(), 4);
    assert_eq!(bus.stats().dead_events, 1);
}

#[test]
fn what_cannot_be_published_is_refused() {
    let bus = EventBus::new(EventOptions { max_event_bytes: 10, ..EventOptions::default() });
    assert_eq!(say(&bus, "No", 1).unwrap_err().name(), "INVALID_VALUE");
    assert_eq!(
        bus.publish_json("t", 1, Priority::Low, None, json!("x".repeat(9))).unwrap_err().name(),
        "LIMIT_EXCEEDED"
    );
    bus.publish_json("t", 1, Priority::Low, None, json!("x".repeat(8))).unwrap();
    let mark = NoEvents::on_this_thread();
    assert_eq!(say(&bus, "t", 1).unwrap_err().name(), "CONFLICT");
    drop(mark);
    say(&bus, "t", 1).unwrap();
}

#[test]
fn dropping_the_bus_ends_its_threads() {
    let bus = EventBus::default();
    let (told, tell) = channel::<()>();
    let s = bus.subscribe(SubscribeOptions::new("t"), move |_| Ok(told.send(())?)).unwrap();
    s.detach();
    drop(bus);
    // The sender lives in the handler, the handler in the thread.
    assert_eq!(tell.recv_timeout(LONG), Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
}
