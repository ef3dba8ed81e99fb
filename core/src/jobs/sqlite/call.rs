//! What a caller asks the writing thread for, and how it hears the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Thread;

use super::rows::File;
use crate::error::{Error, Result};
use crate::jobs::sql::Rows;
use crate::sync::{Mutex, lock};

/// One operation of a transaction.
pub(super) trait Operation: Send {
    /// Runs it; it may be run again when the transaction has to be. False: it failed, and what it did has to be undone.
    fn run(&mut self, rows: &mut Rows<File<'_>>) -> bool;
    /// Who waits for it.
    fn caller(&self) -> Thread;
    /// Notes for the caller how it ended; `lost` is why the transaction does not hold. The chain wakes the caller.
    fn answer(self: Box<Self>, lost: Option<Error>, chain: &Arc<Chain>);
}

/// An operation with the caller who waits for it.
pub(super) struct Call<T, W> {
    work: W,
    result: Option<Result<T>>,
    answering: Answering<T>,
}

impl<T, W: Fn(&mut Rows<File<'_>>) -> Result<T>> Call<T, W> {
    pub fn new(work: W, answering: Answering<T>) -> Self {
        Self { work, result: None, answering }
    }
}

impl<T: Send, W: Fn(&mut Rows<File<'_>>) -> Result<T> + Send> Operation for Call<T, W> {
    fn run(&mut self, rows: &mut Rows<File<'_>>) -> bool {
        self.result.insert((self.work)(rows)).is_ok()
    }

    fn caller(&self) -> Thread {
        self.answering.0.caller.clone()
    }

    fn answer(self: Box<Self>, lost: Option<Error>, chain: &Arc<Chain>) {
        let told = match (self.result, lost) {
            // What it failed at itself says more than what that did to the transaction.
            (Some(Err(own)), _) => Err(own),
            (_, Some(lost)) => Err(lost),
            (Some(done), None) => done,
            (None, None) => Err(CLOSED),
        };
        self.answering.tell(told, Some(Arc::clone(chain)));
    }
}

const CLOSED: Error = Error::Closed { what: "job store" };

/// How many others each caller wakes that was answered.
const FAN: usize = 2;

/// Those who were answered together. Waking somebody costs more than a row, so the writing thread wakes a few, each of whom wakes a few
/// more before it goes on.
pub(super) struct Chain {
    callers: Vec<Thread>,
    next: AtomicUsize,
}

impl Chain {
    pub fn of(group: &[Box<dyn Operation>]) -> Arc<Self> {
        Arc::new(Self {
            callers: group.iter().map(|operation| operation.caller()).collect(),
            next: AtomicUsize::new(0),
        })
    }

    /// Wakes the next few of those that nobody has woken.
    pub fn wake_some(&self) {
        for _ in 0..FAN {
            if let Some(caller) = self.callers.get(self.next.fetch_add(1, Ordering::Relaxed)) {
                caller.unpark();
            }
        }
    }

    /// Wakes all that are left: somebody who was woken may have been stopped before it woke others.
    pub fn wake_all(&self) {
        let from = self.next.fetch_add(self.callers.len(), Ordering::Relaxed);
        self.callers.iter().skip(from).for_each(Thread::unpark);
    }
}

/// An answer, and those who are to be woken next.
type Told<T> = (Result<T>, Option<Arc<Chain>>);

/// A place for one answer. A channel would do, but those who wait at one look again and again before they sleep, and take the
/// processor from the thread that they wait for.
struct Slot<T> {
    answer: Mutex<Option<Told<T>>>,
    caller: Thread,
}

/// Where the answer comes from. When it is dropped, the answer is that the store is closed.
pub(super) struct Answering<T>(Arc<Slot<T>>);

/// Where the answer goes: to the thread that made it.
pub(super) struct Answer<T>(Arc<Slot<T>>);

pub(super) fn answer<T>() -> (Answering<T>, Answer<T>) {
    let slot = Arc::new(Slot { answer: Mutex::new(None), caller: std::thread::current() });
    (Answering(Arc::clone(&slot)), Answer(slot))
}

impl<T> Answering<T> {
    fn tell(&self, answer: Result<T>, chain: Option<Arc<Chain>>) {
        lock(&self.0.answer).get_or_insert((answer, chain));
    }
}

impl<T> Drop for Answering<T> {
    fn drop(&mut self) {
        let mut answer = lock(&self.0.answer);
        if answer.is_none() && Arc::strong_count(&self.0) > 1 {
            *answer = Some((Err(CLOSED), None));
            self.0.caller.unpark();
        }
    }
}

impl<T> Answer<T> {
    pub fn wait(self) -> Result<T> {
        loop {
            let told = lock(&self.0.answer).take();
            match told {
                Some((answer, chain)) => {
                    chain.inspect(|chain| chain.wake_some());
                    return answer;
                }
                // It may return without a reason.
                None => std::thread::park(),
            }
        }
    }
}
