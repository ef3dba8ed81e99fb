//! What a thread is doing on behalf of buses: which handlers it runs, which deliveries wait until it comes out of them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;

use super::event::Priority;
use super::subscriber::Subscriber;
use crate::sync::thread_local;

/// A delivery in the publisher's thread that waits for the handler that caused it to return.
pub(super) struct Pending {
    pub subscriber: Arc<Subscriber>,
    pub priority: Priority,
    pub sequence: u64,
    pub depth: u32,
}

#[derive(Default)]
struct Synchronous {
    /// This thread delivers already; what its handlers publish joins `pending`.
    active: bool,
    /// How many publications led to the event whose handlers run now.
    depth: u32,
    pending: VecDeque<Pending>,
}

thread_local! {
    static RUNNING: RefCell<Vec<usize>> = RefCell::default();
    static SYNCHRONOUS: RefCell<Synchronous> = RefCell::default();
    static FORBIDDEN: Cell<u32> = Cell::default();
}

/// While it lives, its thread runs a handler of the inbox with this address.
pub(super) struct Running(());

impl Running {
    pub fn enter(inbox: usize) -> Self {
        RUNNING.with(|r| r.borrow_mut().push(inbox));
        Self(())
    }

    /// True when this thread is inside a handler of this inbox.
    pub fn inside(inbox: usize) -> bool {
        RUNNING.with(|r| r.borrow().contains(&inbox))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.with(|r| r.borrow_mut().pop());
    }
}

/// Depth that an event published now would have: 0 outside of synchronous handlers.
pub(super) fn depth() -> u32 {
    SYNCHRONOUS.with(|s| {
        let s = s.borrow();
        if s.active { s.depth + 1 } else { 0 }
    })
}

/// Delivers in this thread: now, or when the handler that is running returns. So handlers never nest, and the events of one
/// thread are handled in the order of their publication (as in Guava's per-thread queue).
pub(super) fn deliver(deliveries: impl Iterator<Item = (Arc<Subscriber>, Priority, u64)>) {
    let depth = depth();
    let outermost = SYNCHRONOUS.with(|s| {
        let mut s = s.borrow_mut();
        s.pending.extend(deliveries.map(|(subscriber, priority, sequence)| Pending {
            subscriber,
            priority,
            sequence,
            depth,
        }));
        !std::mem::replace(&mut s.active, true)
    });
    if !outermost {
        return;
    }
    loop {
        let next = SYNCHRONOUS.with(|s| {
            let mut s = s.borrow_mut();
            let next = s.pending.pop_front();
            s.depth = next.as_ref().map_or(0, |p| p.depth);
            s.active = next.is_some();
            next
        });
        let Some(next) = next else { break };
        next.subscriber.drain_through(next.priority, next.sequence);
    }
}

/// Marks a thread that must not publish, such as one that runs a real-time chain: publishing locks and allocates.
/// While the mark lives, publishing on its thread is refused without taking a lock.
#[derive(Debug)]
pub struct NoEvents(PhantomData<*const ()>);

impl NoEvents {
    /// Marks the current thread.
    #[must_use = "the mark ends when this is dropped"]
    pub fn on_this_thread() -> Self {
        FORBIDDEN.with(|f| f.set(f.get() + 1));
        Self(PhantomData)
    }

    pub(super) fn here() -> bool {
        FORBIDDEN.with(|f| f.get() > 0)
    }
}

impl Drop for NoEvents {
    fn drop(&mut self) {
        FORBIDDEN.with(|f| f.set(f.get() - 1));
    }
}
