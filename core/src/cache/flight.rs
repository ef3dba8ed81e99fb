//! Single flight: of those who want the same thing at the same time, one makes it and the others wait.
//!
//! `tests/concurrency` runs this file on the locks of a model checker.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::cancel::CancelToken;
use crate::error::Result;
use crate::sync::{Condvar, Mutex, lock, wait};

/// What happens to one thing.
enum State<V> {
    /// Somebody makes it.
    Running,
    /// It was made, for those who waited.
    Made(V),
    /// It was made and cannot be shared: everybody makes their own.
    Alone,
    /// Who made it failed, was cancelled or panicked: another one may try.
    Released,
}

struct Flight<V> {
    state: Mutex<State<V>>,
    changed: Condvar,
}

type Table<K, V> = Arc<Mutex<HashMap<K, Arc<Flight<V>>>>>;

/// All that is being made.
pub struct Flights<K, V>(Table<K, V>);

/// What somebody is to do who wants something.
pub enum Entry<K: Eq + Hash, V> {
    /// Make it, and say so with the guard. A guard that is dropped without a word lets another one try.
    Lead(Lead<K, V>),
    /// Take it: another one has just made it.
    Take(V),
    /// Make it for oneself: it cannot be shared.
    Alone,
}

/// The duty to make something.
pub struct Lead<K: Eq + Hash, V> {
    key: K,
    flight: Arc<Flight<V>>,
    table: Table<K, V>,
    outcome: Option<State<V>>,
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash + Clone + Send + 'static, V: Clone + Send + 'static> Flights<K, V> {
    /// Asks for something. Waits while another one makes it, until `cancel` is cancelled.
    ///
    /// # Errors
    /// [`crate::error::Error::Cancelled`].
    pub fn enter(&self, key: &K, cancel: &CancelToken) -> Result<Entry<K, V>> {
        loop {
            let flight = {
                let mut table = lock(&self.0);
                match table.get(key) {
                    Some(flight) => Arc::clone(flight),
                    None => {
                        let flight = Arc::new(Flight { state: Mutex::new(State::Running), changed: Condvar::new() });
                        table.insert(key.clone(), Arc::clone(&flight));
                        let table = Arc::clone(&self.0);
                        return Ok(Entry::Lead(Lead { key: key.clone(), flight, table, outcome: None }));
                    }
                }
            };
            let woken = Arc::clone(&flight);
            // Without this a cancelled waiter would sleep until the other one is done.
            let _sleeper = cancel.sleeper(Arc::new(move || {
                drop(lock(&woken.state));
                woken.changed.notify_all();
            }));
            let mut state = lock(&flight.state);
            loop {
                cancel.check()?;
                match &*state {
                    State::Running => state = wait(&flight.changed, state, None),
                    State::Made(value) => return Ok(Entry::Take(value.clone())),
                    State::Alone => return Ok(Entry::Alone),
                    State::Released => break,
                }
            }
        }
    }

    /// How many things are being made.
    #[allow(dead_code)] // asked by tests only, those of tests/concurrency among them
    pub fn running(&self) -> usize {
        lock(&self.0).len()
    }
}

impl<K: Eq + Hash, V> Lead<K, V> {
    /// It is made; those who wait get `value`.
    pub fn made(mut self, value: V) {
        self.outcome = Some(State::Made(value));
    }

    /// It is made, and of no use to others.
    pub fn alone(mut self) {
        self.outcome = Some(State::Alone);
    }
}

impl<K: Eq + Hash, V> Drop for Lead<K, V> {
    fn drop(&mut self) {
        // Out of the table first: who comes now begins anew, with what the leader has stored.
        lock(&self.table).remove(&self.key);
        *lock(&self.flight.state) = self.outcome.take().unwrap_or(State::Released);
        self.flight.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::error::Error;

    /// Gets a thing in the way of the cache: made once, counted.
    fn get(flights: &Flights<u32, u32>, made: &AtomicU32, make: impl Fn() -> Option<u32>) -> Option<u32> {
        match flights.enter(&7, &CancelToken::new()).unwrap() {
            Entry::Take(value) => Some(value),
            Entry::Alone => None,
            Entry::Lead(lead) => {
                made.fetch_add(1, Ordering::SeqCst);
                let value = make()?;
                lead.made(value);
                Some(value)
            }
        }
    }

    #[test]
    fn many_ask_and_one_makes() {
        let (flights, made) = (Flights::default(), AtomicU32::new(0));
        let Entry::Lead(lead) = flights.enter(&7, &CancelToken::new()).unwrap() else { panic!("the first one leads") };
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..16).map(|_| scope.spawn(|| get(&flights, &made, || Some(9)))).collect();
            // Beside the table and the lead, each of those who wait holds the flight twice: once to be woken when it is cancelled.
            while Arc::strong_count(&lead.flight) < 2 + 2 * 16 {
                std::thread::yield_now();
            }
            lead.made(5);
            assert!(all.into_iter().all(|t| t.join().unwrap() == Some(5)));
        });
        assert_eq!((made.load(Ordering::SeqCst), flights.running()), (0, 0));
        assert_eq!(get(&flights, &made, || Some(9)), Some(9), "nothing is kept after the flight");
    }

    #[test]
    fn a_failure_and_a_panic_let_the_next_one_try() {
        let (flights, made) = (Flights::default(), AtomicU32::new(0));
        assert_eq!(get(&flights, &made, || None), None);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            get(&flights, &made, || panic!("on purpose"));
        }));
        assert!(panicked.is_err() && flights.running() == 0);
        assert_eq!(get(&flights, &made, || Some(3)), Some(3));
        assert_eq!(made.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn who_waits_can_be_cancelled_and_what_cannot_be_shared_is_not() {
        let flights = Flights::<u32, u32>::default();
        let Entry::Lead(lead) = flights.enter(&7, &CancelToken::new()).unwrap() else { panic!() };
        let token = CancelToken::new();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| flights.enter(&7, &token).map(drop));
            let alone = scope.spawn(|| flights.enter(&7, &CancelToken::new()).unwrap());
            while Arc::strong_count(&lead.flight) < 2 + 2 * 2 {
                std::thread::yield_now();
            }
            token.cancel();
            assert!(matches!(waiting.join().unwrap(), Err(Error::Cancelled)));
            lead.alone();
            assert!(matches!(alone.join().unwrap(), Entry::Alone));
        });
    }
}
