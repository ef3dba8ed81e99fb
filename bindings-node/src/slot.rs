//! [`Slot`]: a live object that one call at a time may use, wherever that call runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pure_sound::{Error, Result, guarded};

enum State<T> {
    Idle(T),
    /// A call has it. It is dropped when that call ends, if it was closed meanwhile.
    Busy {
        closed: bool,
    },
    Closed,
}

/// Holds a `T` between calls. A call takes it out and puts it back, so nothing is locked while it works; a second call meanwhile
/// fails with `BUSY`, and one after `close` or after a panic with `CLOSED`.
pub struct Slot<T> {
    what: &'static str,
    state: Arc<Mutex<State<T>>>,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self { what: self.what, state: Arc::clone(&self.state) }
    }
}

impl<T> Slot<T> {
    /// `what` names the object in errors.
    pub fn new(what: &'static str, object: T) -> Self {
        Self { what, state: Arc::new(Mutex::new(State::Idle(object))) }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the object for one call.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Closed`].
    pub fn take(&self) -> Result<Taken<T>> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Busy { closed: false }) {
            State::Idle(object) => Ok(Taken { slot: self.clone(), object }),
            State::Busy { closed } => {
                *state = State::Busy { closed };
                Err(if closed { self.gone() } else { Error::Busy { what: self.what } })
            }
            State::Closed => {
                *state = State::Closed;
                Err(self.gone())
            }
        }
    }

    fn gone(&self) -> Error {
        Error::Closed { what: self.what }
    }

    /// Drops the object, now or when the call that has it ends. Again: nothing.
    pub fn close(&self) {
        let before = {
            let mut state = self.lock();
            let after = match *state {
                State::Busy { .. } => State::Busy { closed: true },
                _ => State::Closed,
            };
            std::mem::replace(&mut *state, after)
        };
        drop(before);
    }
}

/// An object that a call has. Dropped without [`Taken::with`], the slot is closed.
pub struct Taken<T> {
    slot: Slot<T>,
    object: T,
}

impl<T> Taken<T> {
    /// Works with the object and puts it back, unless the work panics.
    ///
    /// # Errors
    /// Those of `work`; [`Error::Panic`].
    pub fn with<R>(self, work: impl FnOnce(&mut T) -> Result<R>) -> Result<R> {
        let Self { slot, mut object } = self;
        let outcome = guarded(|| work(&mut object));
        let keep = !matches!(outcome, Err(Error::Panic { .. }));
        let mut state = slot.lock();
        let closed = matches!(*state, State::Busy { closed: true });
        *state = State::Closed;
        if keep && !closed {
            *state = State::Idle(object);
        }
        outcome
    }

    /// The object for good; the slot is closed.
    pub fn into_inner(self) -> T {
        *self.slot.lock() = State::Closed;
        self.object
    }
}
