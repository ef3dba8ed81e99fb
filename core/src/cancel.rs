//! Cancelling: a flag that any thread may raise, and that wakes whoever waits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::sync::{AtomicBool, Condvar, Mutex, lock, wait};

type Wake = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Shared {
    cancelled: AtomicBool,
    sleepers: Mutex<Sleepers>,
}

#[derive(Default)]
struct Sleepers {
    next: u64,
    wakes: Vec<(u64, Wake)>,
}

/// Cancels a running job from any thread. Clones share one flag.
#[derive(Clone, Default)]
pub struct CancelToken(Arc<Shared>);

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelToken").field(&self.is_cancelled()).finish()
    }
}

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the job to stop. It does within one block, or at once where it waits.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        // Woken outside of the lock: a wake takes the lock of what its sleeper looks at.
        let wakes: Vec<Wake> = lock(&self.0.sleepers).wakes.iter().map(|(_, wake)| Arc::clone(wake)).collect();
        wakes.iter().for_each(|wake| wake());
    }

    /// True after [`CancelToken::cancel`].
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// # Errors
    /// [`Error::Cancelled`] after [`CancelToken::cancel`].
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Waits for `duration`, or until it is cancelled.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn pause(&self, duration: Duration) -> Result<()> {
        let bell = Arc::new((Mutex::new(()), Condvar::new()));
        let ring = Arc::clone(&bell);
        let _sleeper = self.sleeper(Arc::new(move || {
            drop(lock(&ring.0));
            ring.1.notify_all();
        }));
        // A duration beyond what the clock can count is as good as forever.
        let deadline = Instant::now().checked_add(duration);
        let mut guard = lock(&bell.0);
        loop {
            self.check()?;
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return Ok(());
            }
            guard = wait(&bell.1, guard, deadline);
        }
    }

    /// Calls `wake` when it is cancelled, until what is returned is dropped. Whoever uses it looks at the flag after this call, under
    /// the lock that `wake` takes: then no cancelling goes unnoticed.
    pub(crate) fn sleeper(&self, wake: Wake) -> Sleeper<'_> {
        let mut sleepers = lock(&self.0.sleepers);
        let id = sleepers.next;
        sleepers.next += 1;
        sleepers.wakes.push((id, wake));
        Sleeper { token: self, id }
    }
}

/// Somebody who is woken by a cancelled token.
pub(crate) struct Sleeper<'a> {
    token: &'a CancelToken,
    id: u64,
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        lock(&self.token.0.sleepers).wakes.retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_by_itself_or_by_cancelling() {
        let token = CancelToken::new();
        let start = Instant::now();
        token.pause(Duration::from_millis(5)).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(5));
        let other = token.clone();
        let waiting = std::thread::spawn(move || other.pause(Duration::MAX));
        token.cancel();
        assert!(matches!(waiting.join().unwrap(), Err(Error::Cancelled)));
        assert!(matches!(token.pause(Duration::ZERO), Err(Error::Cancelled)));
        assert!(lock(&token.0.sleepers).wakes.is_empty(), "nobody stays behind");
    }
}
