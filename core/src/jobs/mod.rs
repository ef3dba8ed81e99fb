//! Jobs: work that survives the program that asked for it and the one that does it.
//!
//! A [`JobStore`] keeps jobs; workers take them with a lease, beat while they work, and write with the token of their lease, so
//! that one who was away too long can change nothing any more. The rules are in one place for all stores.
//!
//! ```
//! use pure_sound::jobs::{ClaimRequest, JobSpec, JobStore, MemoryStore};
//! use serde_json::json;
//!
//! let store = MemoryStore::default();
//! store.enqueue(vec![JobSpec::new("greet", json!({ "who": "world" }))])?;
//! let claimed = store.claim(&ClaimRequest::new("worker 1"))?.ok_or(pure_sound::Error::Empty)?;
//! assert_eq!(claimed.job.spec.payload["who"], "world");
//! assert_eq!(store.complete(&claimed.lease, None)?, Some(()));
//! # Ok::<(), pure_sound::Error>(())
//! ```

mod bell;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod conformance;
mod failure;
mod job;
mod lookout;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod process;
mod rules;
mod schedule;
mod scope;
mod service;
mod settings;
#[cfg(test)]
mod simulation;
mod slots;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod table;
mod time;
mod when;
mod worker;
#[cfg(test)]
mod worker_tests;

#[cfg(feature = "postgres")]
pub use self::postgres::{PostgresOptions, PostgresStore};
pub use failure::{FailureClass, JobError};
pub use job::{
    Backoff, HistoryEntry, Holder, Job, JobId, JobSpec, JobState, JobStatus, MAX_DOCUMENT_BYTES, MAX_NAME_BYTES,
    MAX_PRIORITY, Published, Unique,
};
pub use memory::MemoryStore;
pub use process::{PROCESS, ProcessHandler};
pub(crate) use process::{is_as_noted, publishing};
pub use rules::StoreOptions;
pub use schedule::{MissedTicks, Schedule, ScheduleStatus};
pub use scope::{Gate, Limits, Rate, Scope, ScopeRules};
pub use service::{Jobs, Submission, Submitted, WorkOptions, open_store, postgres_url};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteStore};
pub use store::{
    Batch, Beat, CancelOutcome, ClaimRequest, Claimed, Enqueued, JobFilter, JobStore, Lease, Stats, Swept,
};
pub use time::{MachineTime, Moment, StoreTime};
pub use when::{format_time, parse_duration_ms, parse_time};
pub use worker::{JobHandler, JobHandlers, JobRun, WorkerOptions, WorkerPool};
