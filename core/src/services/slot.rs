//! A place for something that is made once, by whoever asks first.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result};
use crate::sync::{Condvar, Mutex, lock, wait};

enum State<T> {
    Empty,
    /// Somebody makes it; so many wait.
    Making,
    Ready(T),
    Closed,
}

/// Made once under races. Who comes while it is made waits; when making fails, that one gets the error and the next tries again.
pub(crate) struct Slot<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T: Clone> Slot<T> {
    pub fn new() -> Self {
        Self { state: Mutex::new(State::Empty), changed: Condvar::new() }
    }

    /// The value, if it was made.
    pub fn get(&self) -> Option<T> {
        match &*lock(&self.state) {
            State::Ready(value) => Some(value.clone()),
            _ => None,
        }
    }

    /// The value; made by `make` when there is none. A panic in `make` becomes [`Error::Internal`].
    pub fn get_or_make(&self, what: &str, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut state = lock(&self.state);
        loop {
            match &*state {
                State::Ready(value) => return Ok(value.clone()),
                State::Closed => return Err(Error::Closed { what: "service container" }),
                State::Making => state = wait(&self.changed, state, None),
                State::Empty => break,
            }
        }
        *state = State::Making;
        drop(state);
        let made = catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|panic| {
            let message = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
            let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(Error::internal(format!("the constructor of {what} panicked: {message}")))
        });
        let mut state = lock(&self.state);
        *state = match &made {
            Ok(value) => State::Ready(value.clone()),
            Err(_) => State::Empty,
        };
        drop(state);
        self.changed.notify_all();
        made
    }

    /// Makes no more; waits for one that is being made. The value, if there is one.
    pub fn close(&self) -> Option<T> {
        let mut state = lock(&self.state);
        while matches!(&*state, State::Making) {
            state = wait(&self.changed, state, None);
        }
        let before = std::mem::replace(&mut *state, State::Closed);
        drop(state);
        self.changed.notify_all();
        match before {
            State::Ready(value) => Some(value),
            _ => None,
        }
    }
}
