//! Receiving: with a handler in the publisher's thread, with one in a thread of its own, or by asking.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::bus::{EventBus, Inner};
use super::cursor::{Cursor, CursorStore};
use super::event::{Delivery, Event, Payload};
use super::inbox::Inbox;
use super::lane::Class;
use super::subscriber::{DeadLetter, Durable, Handler, HandlerResult, Mode, Subscriber, SubscriberStats};
use super::topic::Pattern;
use crate::error::{Error, Result};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Mutex, lock};

/// Most handlers of one subscription at a time.
const MAX_CONCURRENCY: usize = 64;

/// Where a subscription starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// With the next event.
    #[default]
    Live,
    /// With the oldest event that the history has.
    Oldest,
    /// With the event of this number.
    Sequence(u64),
    /// After this place, possibly of an earlier run.
    After(Cursor),
}

/// How to subscribe.
#[derive(Clone)]
pub struct SubscribeOptions {
    pattern: String,
    name: Option<String>,
    class: Class,
    synchronous: bool,
    lane_events: Option<usize>,
    concurrency: usize,
    start: Start,
    durable: Option<Arc<dyn CursorStore>>,
}

impl SubscribeOptions {
    /// Subscribes to a pattern of topics, see [`Pattern`]: lossy, in a thread of its own, from now on.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            name: None,
            class: Class::Lossy,
            synchronous: false,
            lane_events: None,
            concurrency: 1,
            start: Start::Live,
            durable: None,
        }
    }

    /// Name in errors, statistics and health. Default `subscriber-N`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What happens when it is slower than its events. Default [`Class::Lossy`].
    pub fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Runs the handler in the thread of the publisher, before `publish` returns.
    pub fn synchronous(mut self) -> Self {
        self.synchronous = true;
        self
    }

    /// Room for each priority, in events.
    pub fn lane_events(mut self, events: usize) -> Self {
        self.lane_events = Some(events);
        self
    }

    /// Runs so many handlers at a time, 1 to 64. Events of one key stay in order, others may overtake.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = handlers;
        self
    }

    /// Where to start. Default [`Start::Live`]. What the history has comes first, marked as replay, then what happens;
    /// nothing twice and nothing left out.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Keeps its place in `store` under its name after each handled event, and goes on from there the next time. An event may
    /// come twice after a crash, none is left out. Needs a name and one handler at a time.
    pub fn durable(mut self, store: Arc<dyn CursorStore>) -> Self {
        self.durable = Some(store);
        self
    }
}

impl EventBus {
    /// Calls `handler` for everything that `options` asks for. One call at a time, unless
    /// [`SubscribeOptions::concurrency`] says otherwise. A panic or error in it is counted and kept as a [`DeadLetter`], and
    /// touches nobody else; several in a row suspend it.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for a pattern that is none; [`Error::OutOfRange`] and [`Error::Conflict`] for options that
    /// contradict each other; [`Error::Unavailable`] when no thread can be started; [`Error::Closed`]; what the cursor store says.
    pub fn subscribe(
        &self,
        options: SubscribeOptions,
        handler: impl Fn(&Delivery) -> HandlerResult + Send + Sync + 'static,
    ) -> Result<Subscription> {
        let mode = if options.synchronous { Mode::Synchronous } else { Mode::Queued };
        self.attach(options, mode, Some(Box::new(handler)))
    }

    /// Calls `handler` with the payloads of one kind. Notices of losses and gaps are left to [`Subscription::stats`].
    ///
    /// # Errors
    /// As [`EventBus::subscribe`].
    pub fn subscribe_to<P: Payload>(
        &self,
        mut options: SubscribeOptions,
        handler: impl Fn(&P, &Event) -> HandlerResult + Send + Sync + 'static,
    ) -> Result<Subscription> {
        options.pattern = P::TOPIC.into();
        self.subscribe(options, move |delivery| match delivery.event() {
            Some(event) => match event.payload::<P>() {
                Some(payload) => handler(payload, event),
                None => handler(&event.decode::<P>()?, event),
            },
            None => Ok(()),
        })
    }

    /// Queues everything that `options` asks for until the host asks for it: for hosts that must not be called from threads
    /// which are not theirs.
    ///
    /// # Errors
    /// As [`EventBus::subscribe`].
    pub fn poll(&self, options: SubscribeOptions) -> Result<Poller> {
        if options.synchronous || options.concurrency != 1 {
            return Err(Error::Conflict { what: "a polled subscription has no handlers".into() });
        }
        Ok(Poller(self.attach(options, Mode::Poll, None)?))
    }

    /// The place just after the event of this number, for [`Start::After`].
    pub fn cursor(&self, sequence: u64) -> Cursor {
        Cursor { stream: self.inner.stream, sequence }
    }

    fn attach(&self, options: SubscribeOptions, mode: Mode, handler: Option<Handler>) -> Result<Subscription> {
        let pattern = Pattern::new(&options.pattern)?;
        Error::check_range("concurrency", options.concurrency as f64, 1.0, MAX_CONCURRENCY as f64, "")?;
        if options.concurrency > 1 && (mode == Mode::Synchronous || options.durable.is_some()) {
            return Err(Error::Conflict {
                what: "a synchronous or durable subscription has one handler at a time".into(),
            });
        }
        let inner = &self.inner;
        let id = inner.next_id.fetch_add(1, Ordering::Relaxed);
        let (name, start) = match (&options.durable, &options.name) {
            (Some(_), None) => return Err(Error::Conflict { what: "a durable subscription needs a name".into() }),
            (Some(store), Some(name)) => (name.clone(), store.load(name)?.map_or(options.start, Start::After)),
            (None, name) => (name.clone().unwrap_or_else(|| format!("subscriber-{id}")), options.start),
        };
        let capacity = options.lane_events.unwrap_or(inner.options.lane_events).max(1);
        let durable = options.durable.map(|store| Durable { store, name: name.clone(), stream: inner.stream });
        let subscriber = Arc::new(Subscriber {
            id,
            name,
            pattern,
            class: options.class,
            mode,
            capacity,
            inboxes: (0..options.concurrency).map(|_| Inbox::new(options.class, capacity)).collect(),
            handler,
            durable,
            bus: Arc::downgrade(inner),
            totals: Arc::clone(&inner.totals),
            suspend_after: inner.options.suspend_after.max(1),
            max_dead: inner.options.dead_letters,
            failures_in_row: AtomicU32::new(0),
            suspended: AtomicBool::new(false),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            replaced: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            dead: Mutex::new(VecDeque::new()),
        });
        let subscription =
            Subscription { subscriber: Arc::clone(&subscriber), bus: Arc::downgrade(inner), attached: true };
        {
            // The history is read and the subscriber added under one lock: what comes later comes to its queues.
            let mut core = lock(&inner.core);
            if core.is_closed() {
                return Err(Error::Closed { what: "event bus" });
            }
            subscriber.seed(&core, start, inner.stream);
            core.add(Arc::clone(&subscriber));
        }
        match mode {
            Mode::Queued => subscriber.start_threads().map_err(|e| Error::Unavailable {
                what: format!("thread for subscriber '{}': {e}", subscriber.name),
            })?,
            // The history is handled before this returns.
            Mode::Synchronous => super::context::deliver([(subscriber, super::Priority::Low, 0)].into_iter()),
            Mode::Poll => {}
        }
        Ok(subscription)
    }
}

impl Subscriber {
    /// Fills in what the history has, and the notice of what it has not.
    fn seed(&self, core: &super::bus::Core, start: Start, stream: u64) {
        let oldest = core.history.oldest().unwrap_or(core.last() + 1);
        let (from, gap) = match start {
            Start::Live => return,
            Start::Oldest => (oldest, None),
            Start::After(cursor) if cursor.stream != stream => {
                (oldest, Some(Delivery::Gap { from: 1, to: oldest - 1, restarted: true }))
            }
            Start::Sequence(_) | Start::After(_) => {
                let from = match start {
                    Start::After(cursor) => cursor.sequence.saturating_add(1),
                    Start::Sequence(sequence) => sequence.max(1),
                    _ => oldest,
                };
                let gap = Delivery::Gap { from, to: oldest - 1, restarted: false };
                (from, (from < oldest).then_some(gap))
            }
        };
        if let Some(gap) = gap {
            self.inboxes[0].lock().gap = Some(gap);
        }
        for event in core.history.since(from).filter(|e| self.pattern.matches(&e.topic)) {
            self.inbox(event.key.as_deref(), event.sequence).lock().replay.push_back(Arc::clone(event));
        }
    }
}

/// A subscription. Dropping it ends it, as [`Subscription::unsubscribe`] does.
#[must_use = "dropping a subscription ends it"]
pub struct Subscription {
    pub(super) subscriber: Arc<Subscriber>,
    bus: Weak<Inner>,
    attached: bool,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("name", &self.subscriber.name).finish_non_exhaustive()
    }
}

impl Subscription {
    /// Ends it. When this returns, no handler of it runs or will run; called from within its own handler, that call is the last.
    /// Two handlers that each end the other's subscription wait for each other: end them from elsewhere.
    pub fn unsubscribe(self) {}

    /// Lets it live as long as the bus.
    pub fn detach(mut self) {
        self.attached = false;
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.subscriber.name
    }

    /// What it did so far.
    pub fn stats(&self) -> SubscriberStats {
        self.subscriber.stats()
    }

    /// The events that its handler failed at, oldest first; they are handed over and forgotten here.
    pub fn take_dead_letters(&self) -> Vec<DeadLetter> {
        lock(&self.subscriber.dead).drain(..).collect()
    }

    /// Goes on after a suspension. What came meanwhile is told as [`Delivery::Lagged`].
    pub fn resume(&self) {
        self.subscriber.resume();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if !self.attached {
            return;
        }
        if let Some(bus) = self.bus.upgrade() {
            lock(&bus.core).remove(self.subscriber.id);
        }
        self.subscriber.close(true);
    }
}

/// A subscription that is asked. May be used from several threads; each delivery goes to one of them.
#[derive(Debug)]
pub struct Poller(Subscription);

impl Poller {
    /// The next delivery, if there is one.
    pub fn try_next(&self) -> Option<Delivery> {
        self.take(None)
    }

    /// The next delivery; waits for it at most `timeout`. None also at once when the bus was shut down or dropped, see
    /// [`Poller::is_closed`].
    pub fn next(&self, timeout: Duration) -> Option<Delivery> {
        self.take(Some(Instant::now() + timeout))
    }

    fn take(&self, deadline: Option<Instant>) -> Option<Delivery> {
        let inbox = &self.0.subscriber.inboxes[0];
        let mut state = inbox.lock();
        loop {
            if let Some(delivery) = inbox.next(&mut state) {
                if delivery.event().is_some() {
                    self.0.subscriber.delivered.fetch_add(1, Ordering::Relaxed);
                }
                inbox.taken(&state);
                return Some(delivery);
            }
            match deadline {
                Some(at) if !state.closed && Instant::now() < at => state = inbox.wait_work(state, deadline),
                _ => return None,
            }
        }
    }

    /// Keeps the place of a durable subscription: everything up to `sequence` is handled.
    pub fn commit(&self, sequence: u64) {
        self.0.subscriber.keep_cursor(sequence);
    }

    /// True when nothing will come any more.
    pub fn is_closed(&self) -> bool {
        self.0.subscriber.inboxes[0].lock().closed
    }

    /// What it did so far.
    pub fn stats(&self) -> SubscriberStats {
        self.0.stats()
    }
}
