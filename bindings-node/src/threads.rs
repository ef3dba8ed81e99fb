//! Threads for work that takes longer than a turn of the event loop may.
//!
//! libuv's pool has four threads, which `fs`, `dns` and `zlib` share; a conversion of minutes has no place there. Threads start when
//! there is work and end when there was none for a while.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use pure_sound::{Error, Result};

type Work = Box<dyn FnOnce() + Send>;

/// How long a thread waits for more work.
const IDLE: Duration = Duration::from_secs(5);

/// What kind of work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Whole files: seconds to hours. At most twice as many at a time as there are processors; more wait in line.
    File,
    /// Headers and blocks: milliseconds. They do not wait behind files.
    Block,
    /// What waits for bytes that JavaScript brings: a thread each. In a line they could wait for each other for ever.
    Fed,
}

struct State {
    queue: VecDeque<Work>,
    threads: usize,
    idle: usize,
}

struct Pool {
    name: &'static str,
    state: Mutex<State>,
    wake: Condvar,
}

impl Pool {
    const fn new(name: &'static str) -> Self {
        let state = State { queue: VecDeque::new(), threads: 0, idle: 0 };
        Self { name, state: Mutex::new(state), wake: Condvar::new() }
    }

    fn submit(&'static self, work: Work, limit: usize) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.queue.push_back(work);
        if state.idle >= state.queue.len() || state.threads >= limit {
            self.wake.notify_one();
            return Ok(());
        }
        match std::thread::Builder::new().name(self.name.into()).spawn(|| self.serve()) {
            Ok(_) => state.threads += 1,
            // Those that there are will come to it.
            Err(_) if state.threads > 0 => self.wake.notify_one(),
            Err(e) => {
                state.queue.pop_back();
                return Err(Error::Unavailable { what: format!("a thread for the work: {e}") });
            }
        }
        Ok(())
    }

    fn serve(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(work) = state.queue.pop_front() {
                drop(state);
                work();
                state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.idle += 1;
            let (back, waited) = self.wake.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = back;
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

static FILES: Pool = Pool::new("pure-sound-file");
static BLOCKS: Pool = Pool::new("pure-sound-block");

/// Runs `work` on a thread of its lane. `work` must not panic.
///
/// # Errors
/// [`Error::Unavailable`] when no thread can be started.
pub fn run(lane: Lane, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    match lane {
        Lane::File => FILES.submit(Box::new(work), 2 * cores),
        Lane::Block => BLOCKS.submit(Box::new(work), cores + 2),
        Lane::Fed => std::thread::Builder::new()
            .name("pure-sound-fed".into())
            .spawn(work)
            .map(drop)
            .map_err(|e| Error::Unavailable { what: format!("a thread for the work: {e}") }),
    }
}
