//! How many threads of a pool are at work at the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex, lock, wait};

/// Places at work.
pub(super) struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

/// One of them, until it is dropped.
pub(super) struct Slot(Arc<Slots>);

impl Slots {
    /// So many.
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::new(count), freed: Condvar::new() })
    }

    /// One that is free soon.
    pub fn take(self: &Arc<Self>, patience: Duration) -> Option<Slot> {
        let deadline = Instant::now() + patience;
        let mut free = lock(&self.free);
        while *free == 0 {
            if Instant::now() >= deadline {
                return None;
            }
            free = wait(&self.freed, free, Some(deadline));
        }
        *free -= 1;
        Some(Slot(Arc::clone(self)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *lock(&self.0.free) += 1;
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
}
