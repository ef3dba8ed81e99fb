//! G22: many events from 8 publishers to 16 subscribers, some of which misbehave, beside plain channels.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pure_sound::events::{Class, Delivery, EventBus, EventOptions, Payload, SubscribeOptions, Subscription};

use crate::{line, status_kib, timing};

const PUBLISHERS: u64 = 8;
const SUBSCRIBERS: usize = 16;
const LANE: usize = 1024;
const LONG: Duration = Duration::from_secs(600);

#[derive(Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Tick {
    publisher: u64,
    n: u64,
}
impl Payload for Tick {
    const TOPIC: &'static str = "test.tick";
    const VERSION: u32 = 1;
}

/// What a subscriber saw.
#[derive(Default)]
struct Seen {
    events: AtomicU64,
    lost: AtomicU64,
    last: AtomicU64,
    disorder: AtomicU64,
}

impl Seen {
    /// Counts a delivery; the number of the event.
    fn note(&self, delivery: &Delivery) -> u64 {
        match delivery {
            Delivery::Event { event, .. } => {
                if self.last.swap(event.sequence, Ordering::Relaxed) >= event.sequence {
                    self.disorder.fetch_add(1, Ordering::Relaxed);
                }
                self.events.fetch_add(1, Ordering::Relaxed) + 1
            }
            Delivery::Lagged { lost } => self.lost.fetch_add(*lost, Ordering::Relaxed),
            _ => 0,
        }
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Publishes from 8 threads; seconds until all is delivered.
fn publish(bus: &EventBus, events: u64) -> f64 {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            scope.spawn(move || {
                for n in 0..events / PUBLISHERS {
                    bus.publish(Tick { publisher, n }).expect("there is room within ten minutes");
                }
            });
        }
    });
    assert_eq!(bus.shutdown(LONG), 0, "everything is delivered");
    start.elapsed().as_secs_f64()
}

/// 16 well-behaved subscribers: ours, events per second.
fn our_rate(events: u64) -> f64 {
    let bus = EventBus::new(EventOptions { lane_events: LANE, ..EventOptions::default() });
    let subscribers: Vec<(Subscription, Arc<Seen>)> =
        (0..SUBSCRIBERS).map(|_| subscriber(&bus, lossless(), |_| {})).collect();
    let seconds = publish(&bus, events);
    assert!(subscribers.iter().all(|(_, s)| load(&s.events) == events));
    events as f64 / seconds
}

/// The same with a channel of crossbeam for each subscriber: events per second. It has no topics, history, priorities, common
/// order or isolation; it is the bare transport.
fn channel_rate(events: u64) -> f64 {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let mut senders = Vec::new();
        for _ in 0..SUBSCRIBERS {
            let (sender, receiver) = crossbeam_channel::bounded::<Arc<Tick>>(LANE);
            senders.push(sender);
            scope.spawn(move || {
                let seen = Seen::default();
                for tick in receiver {
                    seen.last.swap(tick.n, Ordering::Relaxed);
                    seen.events.fetch_add(1, Ordering::Relaxed);
                }
                assert_eq!(load(&seen.events), events);
            });
        }
        for publisher in 0..PUBLISHERS {
            let senders = senders.clone();
            scope.spawn(move || {
                for n in 0..events / PUBLISHERS {
                    let tick = Arc::new(Tick { publisher, n });
                    senders.iter().for_each(|s| s.send(Arc::clone(&tick)).expect("the receiver lives"));
                }
            });
        }
    });
    events as f64 / start.elapsed().as_secs_f64()
}

fn lossless() -> SubscribeOptions {
    SubscribeOptions::new("test.*").class(Class::Lossless { wait: LONG })
}

fn subscriber(
    bus: &EventBus,
    options: SubscribeOptions,
    act: impl Fn(u64) + Send + Sync + 'static,
) -> (Subscription, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let note = Arc::clone(&seen);
    let subscription = bus.subscribe(options, move |delivery| {
        act(note.note(delivery));
        Ok(())
    });
    (subscription.expect("a subscription"), seen)
}

pub fn run(events: u64) -> bool {
    let events = events / PUBLISHERS * PUBLISHERS;
    let options = EventOptions { lane_events: LANE, ..EventOptions::default() };
    let history = options.history_bytes as u64;
    let bus = EventBus::new(options);
    let before = status_kib("VmRSS");
    let good: Vec<_> = (0..10).map(|_| subscriber(&bus, lossless(), |_| {})).collect();
    let panics = subscriber(&bus, lossless(), |n| assert!(n % 100 != 0, "on purpose"));
    let slow = subscriber(&bus, SubscribeOptions::new("**"), |_| std::thread::sleep(Duration::from_millis(1)));
    let lossy = subscriber(&bus, SubscribeOptions::new("**"), |_| {});
    let latest = subscriber(&bus, SubscribeOptions::new("**").class(Class::Latest), |_| {});
    let urgent = subscriber(&bus, lossless().concurrency(1).name("urgent"), |_| {});
    let own: Arc<Mutex<Option<Subscription>>> = Arc::default();
    let mine = Arc::clone(&own);
    let (quits, quit) = subscriber(&bus, lossless(), move |n| {
        if n == 1000 {
            drop(mine.lock().expect("one at a time").take());
        }
    });
    *own.lock().expect("nobody else has it yet") = Some(quits);
    let seconds = publish(&bus, events);
    let grown = before.and_then(|b| Some(status_kib("VmHWM")?.max(b) - b));

    let lossless: Vec<&Arc<Seen>> = good.iter().chain([&panics, &urgent]).map(|(_, s)| s).collect();
    let lost: u64 = lossless.iter().map(|s| events - load(&s.events)).sum();
    let everybody = lossless.iter().copied().chain([&slow.1, &lossy.1, &latest.1, &quit]);
    let disorder: u64 = everybody.map(|s| load(&s.disorder)).sum();
    let silent: u64 = [&slow, &lossy].iter().map(|(_, s)| events.abs_diff(load(&s.events) + load(&s.lost))).sum();
    let stats = latest.0.stats();
    let silent = silent + events.abs_diff(load(&latest.1.events) + stats.replaced + load(&latest.1.lost));
    let failed = panics.0.stats().failed;
    // Full lanes of all at about 400 bytes an event, the history, and what 25 threads touch of their stacks.
    let bound = (SUBSCRIBERS * LANE * 400) as u64 + history + 25 * (64 << 10);
    // In turns, so that the machine's other work hits both.
    let quarter = (events / 4).max(PUBLISHERS) / PUBLISHERS * PUBLISHERS;
    our_rate(quarter / 8 / PUBLISHERS * PUBLISHERS);
    let mut rates: Vec<(f64, f64)> = (0..3).map(|_| (our_rate(quarter), channel_rate(quarter))).collect();
    rates.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (ours, theirs) = rates[1];

    println!(
        "G22 {events} events, {PUBLISHERS} publishers, {SUBSCRIBERS} subscribers, {seconds:.1} s with the misbehaving ones"
    );
    [
        line("G22", "lossless events lost", lost, "0", lost == 0),
        line("G22", "events out of order", disorder, "0", disorder == 0),
        line("G22", "losses not reported", silent, "0", silent == 0),
        line("G22", "panics caught", failed, &format!("{}", events / 100), failed == events / 100),
        line("G22", "calls after the end", load(&quit.events).abs_diff(1000), "0", load(&quit.events) == 1000),
        line(
            "G22",
            "memory grown by, KiB",
            grown.map_or("unknown".into(), |g| g.to_string()),
            &format!("<= {}", bound >> 10),
            grown.is_none_or(|g| g <= bound >> 10),
        ),
        timing(
            "G22",
            "rate beside crossbeam channels",
            format_args!("{:.2} ({ours:.0}/s, {theirs:.0}/s)", ours / theirs),
            ">= 0.3",
            ours >= 0.3 * theirs,
        ),
    ]
    .iter()
    .all(|good| *good)
}
