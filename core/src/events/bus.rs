//! Publishing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::context::{self, NoEvents, Running};
use super::event::{AnyPayload, Event, JsonPayload, OVERHEAD_BYTES, Payload, Priority, json_bytes};
use super::history::History;
use super::inbox::Inbox;
use super::lane::Class;
use super::payloads::{HealthStatus, ServiceHealth};
use super::subscriber::{Mode, Subscriber, Totals};
use super::topic::check_topic;
use crate::error::{Error, Result};
use crate::services::seams::{Clock, IdGenerator, SystemClock, UuidV7};
use crate::sync::{AtomicU64, Mutex, lock};

/// How many topics the bus remembers the subscribers of. What is more is looked up again.
const MAX_ROUTES: usize = 1024;

/// Sizes of a bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventOptions {
    /// Events that the history keeps at most. Default 10,000.
    pub history_events: usize,
    /// Bytes that the history keeps at most: the JSON form of each event and a fixed part of about 200 bytes. Default 4 MiB.
    pub history_bytes: usize,
    /// Room of a subscriber for each priority, in events, unless it says otherwise. Default 1024.
    pub lane_events: usize,
    /// Largest payload, in bytes of JSON. Default 256 KiB.
    pub max_event_bytes: usize,
    /// How many publications from within synchronous handlers may follow from each other. Default 16.
    pub max_depth: u32,
    /// Events that a subscriber failed at and that are kept for it. Default 100.
    pub dead_letters: usize,
    /// Failures in a row that suspend a subscriber. Default 5.
    pub suspend_after: u32,
}

impl Default for EventOptions {
    fn default() -> Self {
        Self {
            history_events: 10_000,
            history_bytes: 4 << 20,
            lane_events: 1024,
            max_event_bytes: 256 << 10,
            max_depth: 16,
            dead_letters: 100,
            suspend_after: 5,
        }
    }
}

/// What a bus did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BusStats {
    /// Events published.
    pub published: u64,
    /// Events that nobody was subscribed to.
    pub dead_events: u64,
    /// Publications that failed because a lossless subscriber had no room in time.
    pub refused: u64,
    /// Events that a subscriber was too slow for, over all subscribers that are or were.
    pub lost: u64,
    /// Events that a handler failed at, over all subscribers that are or were.
    pub failed: u64,
    /// Subscribers now.
    pub subscribers: u64,
    /// Subscribers that are suspended now.
    pub suspended: u64,
    /// Events in the history now.
    pub history_events: u64,
    /// Bytes of the history now.
    pub history_bytes: u64,
}

/// Who gets the events of a topic.
#[derive(Clone)]
struct Route {
    topic: Arc<str>,
    subscribers: Arc<[Arc<Subscriber>]>,
    synchronous: bool,
}

/// What publishers and subscribers agree on under one lock. It is held while an event gets its number and enters the queues, and
/// never while a handler runs or anybody waits; so every queue is in the order of numbers.
pub(super) struct Core {
    next: u64,
    pub history: History,
    subscribers: Vec<Arc<Subscriber>>,
    routes: HashMap<Arc<str>, Route>,
    closed: bool,
}

impl Core {
    fn route(&mut self, topic: &str) -> Result<Route> {
        if let Some(route) = self.routes.get(topic) {
            return Ok(route.clone());
        }
        check_topic(topic)?;
        let wanted = self.subscribers.iter().filter(|s| s.pattern.matches(topic)).map(Arc::clone);
        let subscribers: Arc<[_]> = wanted.collect();
        let synchronous = subscribers.iter().any(|s| s.mode == Mode::Synchronous);
        let route = Route { topic: topic.into(), subscribers, synchronous };
        if self.routes.len() >= MAX_ROUTES {
            self.routes.clear();
        }
        self.routes.insert(Arc::clone(&route.topic), route.clone());
        Ok(route)
    }

    /// Number of the last event.
    pub fn last(&self) -> u64 {
        self.next - 1
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    pub fn add(&mut self, subscriber: Arc<Subscriber>) {
        self.subscribers.push(subscriber);
        self.routes.clear();
    }

    pub fn remove(&mut self, id: u64) {
        self.subscribers.retain(|s| s.id != id);
        self.routes.clear();
    }
}

pub(super) struct Inner {
    pub core: Mutex<Core>,
    pub options: EventOptions,
    pub stream: u64,
    pub next_id: AtomicU64,
    pub totals: Arc<Totals>,
    clock: Arc<dyn Clock>,
    dead_events: AtomicU64,
    refused: AtomicU64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The threads of subscribers live on their own; without a bus they have nothing to wait for.
        for subscriber in &lock(&self.core).subscribers {
            subscriber.close(false);
        }
    }
}

/// What is to be published.
struct Draft<'a> {
    topic: &'a str,
    version: u32,
    priority: Priority,
    key: Option<Arc<str>>,
    payload: Box<dyn AnyPayload>,
    bytes: usize,
}

/// Carries events from those who publish to those who subscribed. Clones are the same bus; two buses know nothing of each other.
///
/// Publishing locks and allocates: never do it from a real-time thread (see [`NoEvents`]).
#[derive(Clone)]
pub struct EventBus {
    pub(super) inner: Arc<Inner>,
}

impl Default for EventBus {
    fn default() -> Self {
        Self::new(EventOptions::default())
    }
}

impl std::fmt::Debug for EventBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventBus").field("stats", &self.stats()).finish()
    }
}

impl EventBus {
    /// A bus with the clock of the system.
    pub fn new(options: EventOptions) -> Self {
        Self::with_seams(options, Arc::new(SystemClock::default()), &UuidV7::default())
    }

    /// A bus with a clock and a source of identifiers of the host's choice.
    pub fn with_seams(options: EventOptions, clock: Arc<dyn Clock>, ids: &dyn IdGenerator) -> Self {
        let id = ids.next_id();
        let core = Core {
            next: 1,
            history: History::new(options.history_events, options.history_bytes),
            subscribers: Vec::new(),
            routes: HashMap::new(),
            closed: false,
        };
        let inner = Inner {
            core: Mutex::new(core),
            options,
            stream: (id as u64) ^ ((id >> 64) as u64),
            next_id: AtomicU64::new(1),
            totals: Arc::default(),
            clock,
            dead_events: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Publishes an event and returns its number. Synchronous handlers have run when this returns, unless it is called from
    /// within one: then they run when that one returns.
    ///
    /// # Errors
    /// [`Error::Full`] when a lossless subscriber had no room in its time: nobody gets the event. [`Error::WouldDeadlock`] when the
    /// handler that publishes is the one that would have to make room. [`Error::LimitExceeded`] for a payload above
    /// [`EventOptions::max_event_bytes`] and for handlers that publish in a circle. [`Error::Closed`] after
    /// [`EventBus::shutdown`]. [`Error::Conflict`] on a thread marked by [`NoEvents`].
    pub fn publish<P: Payload>(&self, payload: P) -> Result<u64> {
        self.inner.publish_typed(payload, None)
    }

    /// Publishes an event whose shape only the host knows.
    ///
    /// # Errors
    /// As [`EventBus::publish`]; [`Error::InvalidValue`] for a topic that is none.
    pub fn publish_json(
        &self,
        topic: &str,
        version: u32,
        priority: Priority,
        key: Option<&str>,
        payload: Value,
    ) -> Result<u64> {
        let bytes = json_bytes(&payload)?;
        let payload = Box::new(JsonPayload(payload));
        self.inner.publish(Draft { topic, version, priority, key: key.map(Arc::from), payload, bytes }, None)
    }

    /// Sets the bounds of the history.
    pub fn resize_history(&self, events: usize, bytes: usize) {
        lock(&self.inner.core).history.resize(events, bytes);
    }

    /// Number of the last event; 0 before the first.
    pub fn last_sequence(&self) -> u64 {
        lock(&self.inner.core).last()
    }

    /// What it did so far.
    pub fn stats(&self) -> BusStats {
        let core = lock(&self.inner.core);
        BusStats {
            published: core.last(),
            dead_events: self.inner.dead_events.load(Ordering::Relaxed),
            refused: self.inner.refused.load(Ordering::Relaxed),
            lost: self.inner.totals.lost.load(Ordering::Relaxed),
            failed: self.inner.totals.failed.load(Ordering::Relaxed),
            suspended: core.subscribers.iter().filter(|s| s.is_suspended()).count() as u64,
            subscribers: core.subscribers.len() as u64,
            history_events: core.history.len() as u64,
            history_bytes: core.history.bytes() as u64,
        }
    }

    /// Names of the subscribers that are suspended after too many failures in a row.
    pub fn suspended(&self) -> Vec<String> {
        let core = lock(&self.inner.core);
        core.subscribers.iter().filter(|s| s.is_suspended()).map(|s| s.name.clone()).collect()
    }

    /// Takes no more events, lets subscribers handle what they have until `timeout` is over, and ends them all. Returns how many
    /// deliveries were not made. May be called from a handler, which then does not wait for itself.
    pub fn shutdown(&self, timeout: Duration) -> u64 {
        let deadline = Instant::now() + timeout;
        let subscribers = {
            let mut core = lock(&self.inner.core);
            core.closed = true;
            core.routes.clear();
            std::mem::take(&mut core.subscribers)
        };
        let left = subscribers.iter().map(|s| s.drain(deadline)).sum();
        subscribers.iter().for_each(|s| s.close(false));
        left
    }
}

impl Inner {
    pub(super) fn publish_typed<P: Payload>(&self, payload: P, patience: Option<Duration>) -> Result<u64> {
        let draft = Draft {
            topic: P::TOPIC,
            version: P::VERSION,
            priority: P::PRIORITY,
            key: payload.key().map(Arc::from),
            bytes: json_bytes(&payload)?,
            payload: Box::new(payload),
        };
        self.publish(draft, patience)
    }

    /// `patience` bounds the wait for room below what subscribers ask for.
    fn publish(&self, draft: Draft, patience: Option<Duration>) -> Result<u64> {
        if NoEvents::here() {
            return Err(Error::Conflict { what: "a real-time thread must not publish events".into() });
        }
        let within = |limit, value: usize, max: usize| {
            if value <= max {
                Ok(())
            } else {
                Err(Error::LimitExceeded { limit, value: value as f64, max: max as f64 })
            }
        };
        within("events.max_event_bytes", draft.bytes, self.options.max_event_bytes)?;
        within("events.max_depth", context::depth() as usize, self.options.max_depth as usize)?;
        let started = Instant::now();
        let (priority, key) = (draft.priority, draft.key.clone());
        // Whose room woke this publisher last: when it is not used, the wake-up goes to the next in line.
        let mut woken: Option<Arc<Subscriber>> = None;
        let pass_on = |woken: &Option<Arc<Subscriber>>| {
            if let Some(subscriber) = woken {
                subscriber.inbox(key.as_deref(), 0).pass_room(priority);
            }
        };
        loop {
            let mut core = lock(&self.core);
            if core.closed {
                drop(core);
                pass_on(&woken);
                return Err(Error::Closed { what: "event bus" });
            }
            let route = core.route(draft.topic)?;
            let sequence = core.next;
            let full = route.subscribers.iter().find(|s| {
                matches!(s.class, Class::Lossless { .. })
                    && !s.is_suspended()
                    && !s.inbox(key.as_deref(), sequence).has_room(priority)
            });
            let Some(full) = full else {
                let asleep = self.commit(&mut core, &route, draft, sequence);
                drop(core);
                for subscriber in asleep {
                    subscriber.inbox(key.as_deref(), sequence).wake_worker();
                }
                if route.synchronous {
                    let synchronous = route.subscribers.iter().filter(|s| s.mode == Mode::Synchronous);
                    context::deliver(synchronous.map(|s| (Arc::clone(s), priority, sequence)));
                }
                return Ok(sequence);
            };
            drop(core);
            let inbox = full.inbox(key.as_deref(), sequence);
            let waited = self.wait_for(full, inbox, priority, started, patience);
            if waited.is_err() || woken.as_ref().is_some_and(|w| w.id != full.id) {
                pass_on(&woken);
            }
            waited?;
            woken = Some(Arc::clone(full));
        }
    }

    fn wait_for(
        &self,
        full: &Subscriber,
        inbox: &Inbox,
        priority: Priority,
        started: Instant,
        patience: Option<Duration>,
    ) -> Result<()> {
        if Running::inside(inbox.address()) {
            return Err(Error::WouldDeadlock {
                what: format!("the handler of '{}' publishes into its own full queue", full.name),
            });
        }
        let Class::Lossless { wait } = full.class else { return Ok(()) };
        let deadline = started + patience.map_or(wait, |p| p.min(wait));
        if inbox.wait_room(priority, deadline, || full.is_suspended()) {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(Error::Full { what: format!("queue of subscriber '{}'", full.name), max: full.capacity as u64 })
    }

    /// Gives the event its number and puts it into the history and all queues. Returns whom to wake.
    fn commit<'a>(&self, core: &mut Core, route: &'a Route, draft: Draft, sequence: u64) -> Vec<&'a Subscriber> {
        core.next += 1;
        let event = Arc::new(Event {
            sequence,
            time_ms: self.clock.unix_ms(),
            topic: Arc::clone(&route.topic),
            version: draft.version,
            priority: draft.priority,
            key: draft.key,
            bytes: draft.bytes + OVERHEAD_BYTES,
            payload: draft.payload,
        });
        let asleep = route.subscribers.iter().map(|s| &**s).filter(|s| s.push(&event)).collect();
        if route.subscribers.is_empty() {
            self.dead_events.fetch_add(1, Ordering::Relaxed);
        }
        core.history.push(event);
        asleep
    }

    /// Tells that a subscriber was suspended, if there is room to tell it.
    pub(super) fn warn_of_suspension(&self, name: &str, failures: u32, reason: &str) {
        let health = ServiceHealth {
            service: format!("events.{name}"),
            status: HealthStatus::Warn,
            note: Some(format!("suspended after {failures} failures in a row, the last: {reason}")),
        };
        if let Err(error) = self.publish_typed(health, Some(Duration::ZERO)) {
            tracing::warn!(subscriber = name, failures, reason, %error, "subscriber suspended");
        }
    }
}
