//! Wakes whoever waits for something to happen in a store.

use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex, lock, wait};

/// A counter that rings when it moves.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<u64>,
    waiting: Condvar,
}

impl Bell {
    /// Tells everybody.
    pub fn ring(&self) {
        *lock(&self.rung) += 1;
        self.waiting.notify_all();
    }

    /// How often it has rung.
    #[cfg(feature = "sqlite")]
    pub fn rung(&self) -> u64 {
        *lock(&self.rung)
    }

    /// Waits until it has rung more often than `seen`, at most for `timeout`. How often it has rung by then.
    pub fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let deadline = Instant::now().checked_add(timeout);
        let mut rung = lock(&self.rung);
        while *rung == seen && deadline.is_none_or(|at| Instant::now() < at) {
            rung = wait(&self.waiting, rung, deadline);
        }
        *rung
    }
}
