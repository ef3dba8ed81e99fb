//! As `core/src/sync.rs`, with Shuttle's locks. Its waits never time out, so a model that would need that stops with a deadlock.

pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, RwLock};
pub(crate) use shuttle::{thread, thread_local};

use std::sync::{LockResult, PoisonError};
use std::time::Instant;

pub(crate) fn unpoisoned<T>(result: LockResult<T>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>, _: Option<Instant>) -> MutexGuard<'a, T> {
    unpoisoned(condvar.wait(guard))
}
