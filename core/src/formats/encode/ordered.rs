//! Jobs that run in parallel and whose results come back in order.
//!
//! Encoders cut a stream into pieces of a fixed length and hand each piece here, with or without a pool: the pieces, hence
//! the bytes, are the same for any number of threads.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::{Receiver, TryRecvError, bounded};
use rayon::ThreadPool;

use crate::error::{Error, Result};
use crate::observe::Carrier;

/// A queue of jobs on an optional pool.
pub(crate) struct Ordered<T> {
    pool: Option<Arc<ThreadPool>>,
    running: VecDeque<Receiver<Result<T>>>,
    done: VecDeque<Result<T>>,
}

impl<T: Send + 'static> Ordered<T> {
    /// Runs jobs on `pool`, or at once where there is none.
    pub fn new(pool: Option<Arc<ThreadPool>>) -> Self {
        Self { pool, running: VecDeque::new(), done: VecDeque::new() }
    }

    /// Starts `job`. A panic inside it (a codec's bug) becomes [`Error::Internal`].
    pub fn submit(&mut self, job: impl FnOnce() -> Result<T> + Send + 'static) {
        let guarded = move || {
            catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| Err(Error::internal("an encoder's job panicked")))
        };
        match &self.pool {
            None => self.done.push_back(guarded()),
            Some(pool) => {
                let (sender, receiver) = bounded(1);
                // A send fails only when the encoder was dropped: nobody wants the result then.
                let carrier = Carrier::here();
                pool.spawn(move || drop(sender.send(carrier.run(guarded))));
                self.running.push_back(receiver);
            }
        }
    }

    /// The next result, as soon as memory demands it: waits while more jobs run than there are threads.
    pub fn next_if_crowded(&mut self) -> Option<Result<T>> {
        let threads = self.pool.as_ref().map_or(0, |p| p.current_num_threads());
        if !self.done.is_empty() || self.running.len() > threads { self.next() } else { self.next_if_ready() }
    }

    /// The next result; waits for it. `None` when nothing is running.
    pub fn next(&mut self) -> Option<Result<T>> {
        if let Some(done) = self.done.pop_front() {
            return Some(done);
        }
        let receiver = self.running.pop_front()?;
        let lost = || Err(Error::Unavailable { what: "the thread pool".into() });
        // A worker of the pool must not block: it could be the only one. It works on other jobs meanwhile.
        if let Some(pool) = &self.pool
            && pool.current_thread_index().is_some()
        {
            loop {
                match receiver.try_recv() {
                    Ok(result) => return Some(result),
                    Err(TryRecvError::Disconnected) => return Some(lost()),
                    Err(TryRecvError::Empty) => {
                        if pool.yield_now() == Some(rayon::Yield::Idle) {
                            std::thread::yield_now();
                        }
                    }
                }
            }
        }
        Some(receiver.recv().unwrap_or_else(|_| lost()))
    }

    fn next_if_ready(&mut self) -> Option<Result<T>> {
        let result = self.running.front()?.try_recv().ok()?;
        self.running.pop_front();
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pool: Option<Arc<ThreadPool>>) -> Vec<u64> {
        let mut queue = Ordered::new(pool);
        let mut results = Vec::new();
        for i in 0..50_u64 {
            queue.submit(move || {
                // Uneven work, so that later jobs finish before earlier ones.
                Ok((0..(50 - i) * 1000).fold(i, |a, b| a.wrapping_mul(31).wrapping_add(b)))
            });
            results.extend(queue.next_if_crowded().map(Result::unwrap));
        }
        while let Some(r) = queue.next() {
            results.push(r.unwrap());
        }
        results
    }

    #[test]
    fn order_is_kept_with_and_without_threads_and_inside_a_worker() {
        let expected = run(None);
        for threads in [1, 2, 3] {
            let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
            assert_eq!(run(Some(pool.clone())), expected);
            let inner = pool.clone();
            assert_eq!(pool.install(move || run(Some(inner))), expected, "{threads} threads, from a worker");
        }
    }

    #[test]
    fn a_panic_becomes_an_error() {
        let mut queue: Ordered<()> = Ordered::new(None);
        queue.submit(|| panic!("on purpose"));
        assert!(matches!(queue.next(), Some(Err(Error::Internal { .. }))));
    }
}
