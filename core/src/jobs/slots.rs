//! How many threads of a pool are at work at the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex, lock, wait};

/// Places at work.
pub(super) struct Slots {
    state: Mutex<State>,
    freed: Condvar,
}

struct State {
    free: usize,
    closed: bool,
}

/// One of them, until it is dropped.
pub(super) struct Slot(Arc<Slots>);

impl Slots {
    /// So many.
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { free: count, closed: false }), freed: Condvar::new() })
    }

    /// One that is free soon.
    pub fn take(self: &Arc<Self>, patience: Duration) -> Option<Slot> {
        let deadline = Instant::now() + patience;
        let mut state = lock(&self.state);
        while state.free == 0 {
            if state.closed || Instant::now() >= deadline {
                return None;
            }
            state = wait(&self.freed, state, Some(deadline));
        }
        state.free -= 1;
        Some(Slot(Arc::clone(self)))
    }

    /// Nobody waits for one any more.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.freed.notify_all();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.0.state).free += 1;
        self.0.freed.notify_one();
    }
}

#[test]
fn there_are_as_many_as_said_and_one_that_was_dropped_is_there_again() {
    let slots = Slots::new(2);
    let (one, two) = (slots.take(Duration::ZERO), slots.take(Duration::ZERO));
    assert!(one.is_some() && two.is_some() && slots.take(Duration::from_millis(1)).is_none());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| slots.take(Duration::from_secs(600)).is_some());
        drop(one);
        assert!(waiting.join().unwrap());
    });
    assert!(slots.take(Duration::ZERO).is_some());
    let _all = (slots.take(Duration::ZERO), slots.take(Duration::ZERO));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| slots.take(Duration::from_secs(600)).is_none());
        slots.close();
        assert!(waiting.join().unwrap());
    });
}
