//! Threads of a pool that have nothing to do: one of them watches the store, the others sleep until something was found.
//!
//! Any change of a store may mean work, and most do not: each job of some other pool is taken, noted and ended. If every idle thread
//! looked after every change, the transactions of those who look in vain would keep those waiting who have work.

use crate::sync::{Condvar, Mutex, lock, wait};

/// What the idle threads of a pool share.
#[derive(Default)]
pub(super) struct Lookout {
    idle: Mutex<Idle>,
    woken: Condvar,
}

#[derive(Default)]
struct Idle {
    /// Somebody watches.
    watched: bool,
    asleep: usize,
    /// How many of those may look once.
    calls: usize,
    closed: bool,
}

impl Lookout {
    /// The place of one thread. It is not idle at first.
    pub fn post(&self) -> Post<'_> {
        Post { lookout: self, watching: false, idle: false }
    }

    /// Nobody sleeps here any more.
    pub fn close(&self) {
        lock(&self.idle).closed = true;
        self.woken.notify_all();
    }
}

/// The place of one thread.
pub(super) struct Post<'a> {
    lookout: &'a Lookout,
    watching: bool,
    idle: bool,
}

impl Post<'_> {
    /// For a thread that looked, and found nothing. True: it watches, and looks after each change of the store. False: after a sleep, it
    /// has reason to look once.
    pub fn rest(&mut self) -> bool {
        self.idle = true;
        if self.watching {
            return true;
        }
        let mut idle = lock(&self.lookout.idle);
        idle.asleep += 1;
        loop {
            if !idle.watched {
                idle.watched = true;
                self.watching = true;
                break;
            }
            if idle.calls > 0 {
                idle.calls -= 1;
                break;
            }
            if idle.closed {
                break;
            }
            idle = wait(&self.lookout.woken, idle, None);
        }
        idle.asleep -= 1;
        idle.calls = idle.calls.min(idle.asleep);
        self.watching
    }

    /// For a thread that found something. Where one thing was, there may be more: when it was idle, two others look, and two more for each
    /// of those who finds something. So all are at work soon after many jobs came at once.
    pub fn found(&mut self) {
        if std::mem::take(&mut self.idle) {
            let calls = if self.watching { 1 } else { 2 };
            self.call(calls);
        }
    }

    /// Wakes so many, and one to watch when this thread did.
    fn call(&mut self, calls: usize) {
        let mut idle = lock(&self.lookout.idle);
        let mut wake = calls;
        if std::mem::take(&mut self.watching) {
            idle.watched = false;
            wake += 1;
        }
        idle.calls = (idle.calls + calls).min(idle.asleep);
        drop(idle);
        (0..wake).for_each(|_| self.lookout.woken.notify_one());
    }
}

impl Drop for Post<'_> {
    fn drop(&mut self) {
        if self.watching {
            self.call(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn asleep(lookout: &Lookout) -> usize {
        lock(&lookout.idle).asleep
    }

    fn until(holds: impl Fn() -> bool) {
        while !holds() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn one_watches_and_the_others_sleep_until_it_finds_something() {
        let (lookout, looks, watches) = (Lookout::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            let mut first = lookout.post();
            assert!(first.rest() && first.rest(), "nobody else watches");
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut post = lookout.post();
                    let watching = post.rest();
                    if watching { &watches } else { &looks }.fetch_add(1, Ordering::SeqCst);
                    // It has found nothing, and whoever watches stays at it.
                    while watching && !lock(&lookout.idle).closed {
                        thread::sleep(Duration::from_millis(1));
                    }
                });
            }
            until(|| asleep(&lookout) == 3);
            first.found();
            until(|| (watches.load(Ordering::SeqCst), looks.load(Ordering::SeqCst)) == (1, 1));
            assert_eq!(asleep(&lookout), 1);
            first.found();
            thread::sleep(Duration::from_millis(20));
            assert_eq!(asleep(&lookout), 1, "one who was not idle calls nobody");
            lookout.close();
        });
        assert_eq!(watches.load(Ordering::SeqCst) + looks.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn somebody_watches_when_the_one_who_did_has_gone() {
        let lookout = Lookout::default();
        thread::scope(|scope| {
            let mut first = lookout.post();
            assert!(first.rest());
            let other = scope.spawn(|| lookout.post().rest());
            until(|| asleep(&lookout) == 1);
            drop(first);
            assert!(other.join().unwrap());
        });
    }

    #[test]
    fn all_are_woken_two_by_two() {
        let (lookout, found) = (Lookout::default(), AtomicUsize::new(0));
        thread::scope(|scope| {
            let mut first = lookout.post();
            assert!(first.rest());
            for _ in 0..20 {
                scope.spawn(|| {
                    let mut post = lookout.post();
                    post.rest();
                    post.found();
                    found.fetch_add(1, Ordering::SeqCst);
                });
            }
            until(|| asleep(&lookout) == 20);
            first.found();
        });
        assert_eq!(found.load(Ordering::SeqCst), 20);
    }
}
