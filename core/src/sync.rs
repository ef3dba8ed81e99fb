//! The locks and threads of the concurrent parts, in one place.
//!
//! `tests/concurrency` compiles the same sources with the locks of a model checker in place of this file. So what is
//! checked there under every order of events is the code that runs here.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, RwLock};
pub(crate) use std::{thread, thread_local};

use std::sync::{LockResult, PoisonError};
use std::time::Instant;

/// The value behind a lock even when a thread panicked while it held it.
///
/// Nothing here runs foreign code under a lock, so what a lock guards is whole at every point where a panic could start.
pub(crate) fn unpoisoned<T>(result: LockResult<T>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

/// Locks `mutex`.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

/// Waits for `condvar`, at most until `deadline`. May wake early: callers look at their condition again.
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>, deadline: Option<Instant>) -> MutexGuard<'a, T> {
    match deadline {
        None => unpoisoned(condvar.wait(guard)),
        Some(at) => unpoisoned(condvar.wait_timeout(guard, at.saturating_duration_since(Instant::now()))).0,
    }
}
