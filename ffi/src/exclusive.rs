//! Objects for one call at a time: a second one at the same time is told so, it never waits.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pure_sound::{Error, Result};

/// A value that one call at a time may use.
pub struct Exclusive<T> {
    /// What it is, for errors.
    name: &'static str,
    /// Mark of the thread that is inside; 0 for none.
    owner: AtomicUsize,
    /// A call panicked: the value may be in any state.
    poisoned: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through `enter` alone, by one thread at a time.
unsafe impl<T: Send> Sync for Exclusive<T> {}

/// A number that no other living thread has.
fn this_thread() -> usize {
    thread_local!(static MARK: u8 = const { 0 });
    MARK.with(|mark| std::ptr::from_ref(mark) as usize)
}

impl<T> Exclusive<T> {
    /// Wraps `value`; `name` is told in errors.
    pub fn new(name: &'static str, value: T) -> Self {
        Self { name, owner: AtomicUsize::new(0), poisoned: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// The value, for this call. Does not wait, lock or allocate.
    ///
    /// # Errors
    /// [`Error::Reentrant`] when this thread is inside already, in a callback; [`Error::Busy`] when another is; [`Error::Panic`]
    /// after a call that panicked.
    pub fn enter(&self) -> Result<Entered<'_, T>> {
        let thread = this_thread();
        if let Err(owner) = self.owner.compare_exchange(0, thread, Ordering::Acquire, Ordering::Relaxed) {
            return Err(if owner == thread {
                Error::Reentrant { what: format!("a callback of a {} may not use the same one", self.name) }
            } else {
                Error::Busy { what: self.name }
            });
        }
        let entered = Entered(self);
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(Error::Panic { what: format!("an earlier call of this {} panicked", self.name), place: None });
        }
        Ok(entered)
    }
}

/// The right to use the value, until dropped.
pub struct Entered<'a, T>(&'a Exclusive<T>);

impl<T> Deref for Entered<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: `owner` is this call until `drop`.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Entered<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Entered<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poisoned.store(true, Ordering::Relaxed);
        }
        self.0.owner.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_call_at_the_same_time_is_told() {
        let value = Exclusive::new("thing", 1);
        let mut entered = value.enter().unwrap();
        *entered += 1;
        assert!(matches!(value.enter().err(), Some(Error::Reentrant { .. })));
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(matches!(value.enter().err(), Some(Error::Busy { what: "thing" }))));
        });
        drop(entered);
        assert_eq!(*value.enter().unwrap(), 2);
    }

    #[test]
    fn a_panic_poisons_and_says_so_ever_after() {
        let value = Exclusive::new("thing", 1);
        let panicked = pure_sound::guarded(|| -> Result<()> {
            let _entered = value.enter()?;
            panic!("inside")
        });
        assert!(matches!(panicked, Err(Error::Panic { place: Some(_), .. })));
        for _ in 0..2 {
            assert!(matches!(value.enter().err(), Some(Error::Panic { place: None, .. })));
        }
    }
}
