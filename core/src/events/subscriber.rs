//! One who receives: its handler, what it cost, what it failed at.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

use serde::Serialize;

use super::bus::Inner;
use super::context::Running;
use super::cursor::{Cursor, CursorStore};
use super::event::{Delivery, Event, Priority};
use super::inbox::{Inbox, State};
use super::lane::{Class, Pushed};
use super::topic::Pattern;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Mutex, MutexGuard, lock, thread};

/// What a handler returns. An error counts as a failure of this delivery and is kept with the event as a [`DeadLetter`].
pub type HandlerResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A handler.
pub(super) type Handler = Box<dyn Fn(&Delivery) -> HandlerResult + Send + Sync>;

/// An event that a handler failed at.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The event.
    pub event: Arc<Event>,
    /// The error, or `panic: ` and the message.
    pub reason: String,
}

/// What a subscriber did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SubscriberStats {
    /// Events handled without error, or taken from the poll interface.
    pub delivered: u64,
    /// Events that the handler failed at.
    pub failed: u64,
    /// Events that were dropped because it was too slow.
    pub lost: u64,
    /// Events that were replaced by a newer one of the same key ([`Class::Latest`]).
    pub replaced: u64,
    /// Events that came while it was suspended.
    pub skipped: u64,
    /// Events that wait now.
    pub waiting: u64,
    /// True after too many failures in a row.
    pub suspended: bool,
}

/// Where the handler runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// In the thread of the publisher.
    Synchronous,
    /// In threads of its own.
    Queued,
    /// Nowhere: the host asks.
    Poll,
}

/// What all subscribers of a bus did so far, those that are gone too.
#[derive(Default)]
pub(super) struct Totals {
    pub lost: AtomicU64,
    pub failed: AtomicU64,
}

pub(super) struct Durable {
    pub store: Arc<dyn CursorStore>,
    pub name: String,
    pub stream: u64,
}

pub(super) struct Subscriber {
    pub id: u64,
    pub name: String,
    pub pattern: Pattern,
    pub class: Class,
    pub mode: Mode,
    pub capacity: usize,
    /// One for each handler that may run at a time.
    pub inboxes: Vec<Inbox>,
    pub handler: Option<Handler>,
    pub durable: Option<Durable>,
    pub bus: Weak<Inner>,
    pub totals: Arc<Totals>,
    pub suspend_after: u32,
    pub max_dead: usize,
    pub failures_in_row: AtomicU32,
    pub suspended: AtomicBool,
    pub delivered: AtomicU64,
    pub failed: AtomicU64,
    pub lost: AtomicU64,
    pub replaced: AtomicU64,
    pub skipped: AtomicU64,
    pub dead: Mutex<VecDeque<DeadLetter>>,
}

impl Subscriber {
    /// The inbox of an event: the same for all of one key, so that their order stays.
    pub fn inbox(&self, key: Option<&str>, sequence: u64) -> &Inbox {
        let n = self.inboxes.len() as u64;
        let index = match key {
            _ if n == 1 => 0,
            Some(key) => {
                let mut hasher = std::hash::DefaultHasher::new();
                key.hash(&mut hasher);
                hasher.finish() % n
            }
            None => sequence % n,
        };
        &self.inboxes[index as usize]
    }

    pub fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::Acquire)
    }

    /// Takes an event in. Called under the lock of the bus, so in the order of numbers. With `true` its thread sleeps and must
    /// be woken, which is better done without that lock.
    pub fn push(&self, event: &Arc<Event>) -> bool {
        let inbox = self.inbox(event.key.as_deref(), event.sequence);
        if self.is_suspended() {
            self.skipped.fetch_add(1, Ordering::Relaxed);
            inbox.skip();
            return false;
        }
        let Some((pushed, asleep)) = inbox.push(Arc::clone(event)) else { return false };
        match pushed {
            Pushed::DroppedOldest => {
                self.totals.lost.fetch_add(1, Ordering::Relaxed);
                self.lost.fetch_add(1, Ordering::Relaxed)
            }
            Pushed::Replaced => self.replaced.fetch_add(1, Ordering::Relaxed),
            Pushed::Added => 0,
        };
        asleep
    }

    /// Starts the threads of a queued subscriber.
    pub fn start_threads(self: &Arc<Self>) -> std::io::Result<()> {
        for index in 0..self.inboxes.len() {
            let subscriber = Arc::clone(self);
            thread::Builder::new()
                .name(format!("events {}", self.name).chars().take(15).collect())
                .spawn(move || subscriber.work(index))?;
        }
        Ok(())
    }

    /// Life of a thread: handles what comes until the inbox is closed.
    fn work(&self, index: usize) {
        let inbox = &self.inboxes[index];
        let mut state = inbox.lock();
        while !state.closed {
            if let Some(delivery) = self.take(inbox, &mut state) {
                state = self.run(inbox, state, &delivery);
                continue;
            }
            drop(state);
            let busy = !self.is_suspended() && inbox.linger();
            state = inbox.lock();
            // Looked at again under the lock: what came meanwhile found nobody asleep.
            if !busy && !state.closed && (self.is_suspended() || !state.has_work()) {
                state = inbox.wait_work(state, None);
            }
        }
    }

    fn take(&self, inbox: &Inbox, state: &mut State) -> Option<Delivery> {
        if self.is_suspended() { None } else { inbox.begin(state) }
    }

    /// Handles in this thread until the event of this number is done, by whomever.
    pub fn drain_through(&self, priority: Priority, sequence: u64) {
        for inbox in &self.inboxes {
            let mut state = inbox.lock();
            while !state.closed && !self.is_suspended() && state.is_pending(priority, sequence) {
                if state.running.is_some() {
                    state = inbox.wait_idle(state, None);
                    continue;
                }
                match self.take(inbox, &mut state) {
                    Some(delivery) => state = self.run(inbox, state, &delivery),
                    None => break,
                }
            }
        }
    }

    /// Runs the handler outside of the lock, then keeps the cursor, then lets go of the inbox.
    fn run<'a>(&self, inbox: &'a Inbox, state: MutexGuard<'a, State>, delivery: &Delivery) -> MutexGuard<'a, State> {
        drop(state);
        let failure = self.call(inbox, delivery);
        if let Some(reason) = failure {
            self.fail(delivery, reason);
        } else if delivery.event().is_some() {
            self.failures_in_row.store(0, Ordering::Relaxed);
            self.delivered.fetch_add(1, Ordering::Relaxed);
        }
        let mut state = inbox.lock();
        if self.durable.is_none() {
            inbox.finish(&mut state);
            return state;
        }
        let running = state.running;
        let settled = inbox.finish(&mut state);
        // The inbox stays taken while the cursor is written, so that who unsubscribes finds it written.
        state.running = running;
        drop(state);
        self.keep_cursor(settled);
        let mut state = inbox.lock();
        inbox.finish(&mut state);
        state
    }

    /// Calls the handler; the reason when it failed.
    fn call(&self, inbox: &Inbox, delivery: &Delivery) -> Option<String> {
        let handler = self.handler.as_ref()?;
        let _running = Running::enter(inbox.address());
        // The text of the error is made inside too: it is foreign code.
        match catch_unwind(AssertUnwindSafe(|| handler(delivery).map_err(|e| e.to_string()))) {
            Ok(outcome) => outcome.err(),
            Err(panic) => {
                let message = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
                let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
                // What was thrown may throw again when it is dropped.
                let _ = catch_unwind(AssertUnwindSafe(move || drop(panic)));
                Some(format!("panic: {}", message.as_deref().unwrap_or("of an unknown type")))
            }
        }
    }

    fn fail(&self, delivery: &Delivery, reason: String) {
        if let Some(event) = delivery.event() {
            self.failed.fetch_add(1, Ordering::Relaxed);
            self.totals.failed.fetch_add(1, Ordering::Relaxed);
            let mut dead = lock(&self.dead);
            dead.push_back(DeadLetter { event: Arc::clone(event), reason: reason.clone() });
            while dead.len() > self.max_dead {
                dead.pop_front();
            }
        }
        let failures = self.failures_in_row.fetch_add(1, Ordering::Relaxed) + 1;
        if failures >= self.suspend_after && !self.suspended.swap(true, Ordering::AcqRel) {
            // Publishers that wait for room look again and go on without this subscriber.
            self.inboxes.iter().for_each(Inbox::wake_all);
            if let Some(bus) = self.bus.upgrade() {
                bus.warn_of_suspension(&self.name, failures, &reason);
            }
        }
    }

    /// Writes the cursor of a durable subscription.
    pub fn keep_cursor(&self, sequence: u64) {
        let Some(durable) = &self.durable else { return };
        let cursor = Cursor { stream: durable.stream, sequence };
        if let Err(error) = durable.store.save(&durable.name, cursor) {
            // The event will come again after a restart, which at-least-once allows; a health check sees the store.
            tracing::warn!(subscriber = %self.name, %error, "cursor not kept");
        }
    }

    /// Takes part again after a suspension.
    pub fn resume(&self) {
        self.failures_in_row.store(0, Ordering::Relaxed);
        self.suspended.store(false, Ordering::Release);
        self.inboxes.iter().for_each(Inbox::wake_all);
    }

    /// Ends it. With `wait`, returns when no handler runs, except those that this very thread is in.
    pub fn close(&self, wait: bool) {
        for inbox in &self.inboxes {
            inbox.close();
        }
        for inbox in self.inboxes.iter().filter(|i| wait && !Running::inside(i.address())) {
            let mut state = inbox.lock();
            while state.running.is_some() {
                state = inbox.wait_idle(state, None);
            }
        }
    }

    /// Waits until everything is handled; how many events are left when the time is over.
    pub fn drain(&self, deadline: Instant) -> u64 {
        let mut left = 0;
        for inbox in &self.inboxes {
            let mut state = inbox.lock();
            let mine = Running::inside(inbox.address());
            // What its owner has ended is nobody's loss, but its last call is waited for.
            let busy = |s: &State| (s.running.is_some() && !mine) || (s.waiting() > 0 && !s.closed);
            while busy(&state) && !self.is_suspended() && !mine && Instant::now() < deadline {
                state = inbox.wait_idle(state, Some(deadline));
            }
            if !state.closed {
                left += state.waiting() as u64 + u64::from(state.running.is_some() && !mine);
            }
        }
        left
    }

    pub fn stats(&self) -> SubscriberStats {
        SubscriberStats {
            delivered: self.delivered.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            replaced: self.replaced.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
            waiting: self.inboxes.iter().map(|i| i.lock().waiting() as u64).sum(),
            suspended: self.is_suspended(),
        }
    }
}
