//! Looks for wishes to cancel, so that they act within a fraction of a second and not with the next beat of a lease.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::cancel::CancelToken;
use crate::jobs::{JobId, JobStore};
use crate::sync::{Mutex, lock};

/// How often the store is asked.
const EVERY: Duration = Duration::from_millis(150);

/// What runs in this process.
#[derive(Default)]
pub(super) struct Running {
    /// By a number of its own: one who lost a job may still be here when somebody else has it.
    runs: Mutex<HashMap<u64, (JobId, CancelToken)>>,
    next: AtomicU64,
    closed: CancelToken,
}

impl Running {
    /// Cancels `token` when somebody wants the job to stop, until what is returned is dropped.
    pub fn watch(self: &Arc<Self>, job: JobId, token: &CancelToken) -> Watched {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.runs).insert(number, (job, token.clone()));
        Watched { running: Arc::clone(self), number }
    }

    /// Ends [`Running::look`].
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Looks until it is closed.
    pub fn look(&self, store: &dyn JobStore) {
        loop {
            let runs: Vec<(JobId, CancelToken)> = lock(&self.runs).values().cloned().collect();
            for (id, token) in runs.into_iter().filter(|(_, token)| !token.is_cancelled()) {
                match store.get(id) {
                    Ok(job) if job.status.cancel.is_some() => token.cancel(),
                    Ok(_) => {}
                    // The beat of the lease will tell.
                    Err(error) => tracing::warn!(job = %id, %error, "cannot see whether a job should stop"),
                }
            }
            if self.closed.pause(EVERY).is_err() {
                return;
            }
        }
    }
}

/// A job that is watched.
pub(super) struct Watched {
    running: Arc<Running>,
    number: u64,
}

impl Drop for Watched {
    fn drop(&mut self) {
        lock(&self.running.runs).remove(&self.number);
    }
}
