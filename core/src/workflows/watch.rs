//! Looks for wishes to cancel, so that they act within a fraction of a second and not with the next beat of a lease.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cancel::CancelToken;
use crate::jobs::{JobId, JobStore};
use crate::sync::{Mutex, lock};

/// How often the store is asked.
const EVERY: Duration = Duration::from_millis(150);

/// What runs in this process.
#[derive(Default)]
pub(super) struct Running {
    jobs: Mutex<HashMap<JobId, CancelToken>>,
    closed: AtomicBool,
}

impl Running {
    /// Cancels `token` when somebody wants the job to stop, until what is returned is dropped.
    pub fn watch(self: &Arc<Self>, job: JobId, token: &CancelToken) -> Watched {
        lock(&self.jobs).insert(job, token.clone());
        Watched { running: Arc::clone(self), job }
    }

    /// Ends [`Running::look`].
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Looks until it is closed.
    pub fn look(&self, store: &dyn JobStore) {
        while !self.closed.load(Ordering::Acquire) {
            let jobs: Vec<(JobId, CancelToken)> = lock(&self.jobs).iter().map(|(id, t)| (*id, t.clone())).collect();
            for (id, token) in jobs.into_iter().filter(|(_, token)| !token.is_cancelled()) {
                match store.get(id) {
                    Ok(job) if job.status.cancel.is_some() => token.cancel(),
                    Ok(_) => {}
                    // The beat of the lease will tell.
                    Err(error) => tracing::warn!(job = %id, %error, "cannot see whether a job should stop"),
                }
            }
            std::thread::sleep(EVERY);
        }
    }
}

/// A job that is watched.
pub(super) struct Watched {
    running: Arc<Running>,
    job: JobId,
}

impl Drop for Watched {
    fn drop(&mut self) {
        lock(&self.running.jobs).remove(&self.job);
    }
}
