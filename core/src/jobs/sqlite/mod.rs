//! Jobs in a SQLite file: durable, shared by the processes of one machine, without a server.
//!
//! One thread of each store writes. What callers ask for while a transaction is being synced goes into the next one together, so
//! that many callers share the price of the disk; each is answered when its transaction is on disk.

mod call;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};
use rusqlite::Connection;
use serde_json::Value;

use self::call::{Call, Operation, answer};
use self::rows::File;
use self::schema::{FileOptions, failure};
use self::writer::Writer;
use super::bell::Bell;
use super::failure::JobError;
use super::job::{HistoryEntry, Job, JobId, JobSpec, JobState, Published};
use super::rules::{self, Request, Rules, StoreOptions};
use super::schedule::{Schedule, ScheduleStatus};
use super::scope::{Gate, Limits, Scope, ScopeRules};
use super::sql::Rows;
use super::sql::store::{Purpose, job_store};
use super::store::{Batch, Beat, CancelOutcome, ClaimRequest, Claimed, Enqueued, JobFilter, Lease, Stats, Swept};
use super::table::Table;
use super::time::Moment;
use crate::error::{Error, Result};
use crate::sync::{Mutex, lock};

/// How often a waiting caller looks for changes of other processes.
const POLL: Duration = Duration::from_millis(50);

/// How a file is used.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Time, names, ageing.
    pub store: StoreOptions,
    /// Do not wait for the disk: faster, and a power cut may take the last moments of what was promised. The file stays whole.
    pub may_lose_last_ms: bool,
    /// Use a folder on a network, where SQLite's locks may not hold.
    pub allow_network: bool,
    /// How long to wait for other processes that write, in milliseconds.
    pub busy_ms: u64,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { store: StoreOptions::default(), may_lose_last_ms: false, allow_network: false, busy_ms: 30_000 }
    }
}

/// A store in a file.
pub struct SqliteStore {
    options: StoreOptions,
    path: Arc<Path>,
    reader: Mutex<Connection>,
    /// None once it is closing.
    writes: Option<Sender<Box<dyn Operation>>>,
    writer: Option<JoinHandle<()>>,
    bell: Arc<Bell>,
}

impl SqliteStore {
    /// Opens a file, and makes it when it is not there; its folder must be.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Io`] by the system; [`Error::Malformed`] for a file that is something else or
    /// damaged; [`Error::Unsupported`] for one of a newer version, and for a network folder.
    pub fn open(path: impl Into<PathBuf>, options: &SqliteOptions) -> Result<Self> {
        let path: Arc<Path> = path.into().into();
        let file = FileOptions::from(options);
        let db = schema::open(&path, file, None)?;
        let reader = Mutex::new(schema::open(&path, file, None)?);
        let (writes, work) = unbounded();
        let bell = Arc::<Bell>::default();
        let writer = Writer { db, path: Arc::clone(&path), bell: Arc::clone(&bell) };
        let writer = std::thread::Builder::new()
            .name("puresound-jobs".into())
            .spawn(move || writer.run(&work))
            .map_err(|e| Error::Unavailable { what: format!("thread of the job store: {e}") })?;
        let options = options.store.clone();
        Ok(Self { options, path, reader, writes: Some(writes), writer: Some(writer), bell })
    }

    /// Brings a file that no store has open to another version of its tables: an older one for an older program. Version 0 has none:
    /// all jobs are gone.
    ///
    /// # Errors
    /// As [`SqliteStore::open`]; [`Error::Unsupported`] for a version that this program does not know.
    pub fn migrate(path: &Path, options: &SqliteOptions, version: usize) -> Result<()> {
        schema::open(path, options.into(), Some(version)).map(drop)
    }

    /// Looks at every page and index. What is wrong, in words; nothing when all is well.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Malformed`] when it cannot be looked at.
    pub fn check(&self) -> Result<Vec<String>> {
        let db = lock(&self.reader);
        let lines = db
            .prepare("pragma integrity_check")
            .and_then(|mut s| s.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>());
        let lines = lines.map_err(|e| failure("check", &self.path, e))?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    /// Writes a copy as of now to a file that is not there yet, while the store is in use.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the file is there; [`Error::Io`].
    pub fn back_up(&self, to: &Path) -> Result<()> {
        if to.exists() {
            return Err(Error::Conflict { what: format!("{} exists", to.display()) });
        }
        let name = to.to_str().ok_or_else(|| Error::InvalidValue {
            name: "backup".into(),
            value: to.display().to_string(),
            allowed: "a path in UTF-8".into(),
        })?;
        let written = lock(&self.reader).execute("vacuum into ?", [name]);
        let written = written.map_err(|e| failure("write", to, e)).and_then(|_| {
            std::fs::File::open(to).and_then(|file| file.sync_all()).map_err(|e| Error::io("write", Some(to), e))
        });
        if written.is_err() {
            // Half a copy is none.
            let _ = std::fs::remove_file(to);
        }
        written
    }

    /// Runs an operation in the next transaction, and returns when that is on disk.
    fn write<T: Send + 'static>(
        &self,
        _: Purpose,
        work: impl Fn(&mut Rules<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let options = self.options.clone();
        self.call(move |rows| work(&mut Rules::new(rows, &options)))
    }

    fn call<T: Send + 'static>(&self, work: impl Fn(&mut Rows<File<'_>>) -> Result<T> + Send + 'static) -> Result<T> {
        let (answering, answer) = answer();
        let writes = self.writes.as_ref().ok_or(Error::Closed { what: "job store" })?;
        writes.send(Box::new(Call::new(work, answering))).map_err(|_| Error::Closed { what: "job store" })?;
        answer.wait()
    }

    /// Runs something on the connection that writes.
    #[cfg(test)]
    fn write_raw<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = Arc::clone(&self.path);
        self.call(move |rows| work(rows.database.db).map_err(|e| failure("write", &path, e)))
    }

    fn read<T>(&self, work: impl FnOnce(&dyn Table, &Moment) -> Result<T>) -> Result<T> {
        let db = lock(&self.reader);
        // One state of the file for all that is read.
        let step = db.unchecked_transaction().map_err(|e| failure("read", &self.path, e))?;
        work(&Rows::new(File::new(&step, &self.path)), &self.options.time.now())
    }

    /// A number that changes when another connection has written.
    fn version(&self) -> Result<i64> {
        let db = lock(&self.reader);
        db.pragma_query_value(None, "data_version", |row| row.get(0)).map_err(|e| failure("read", &self.path, e))
    }

    /// See [`JobStore::wait`](super::JobStore::wait).
    fn changed(&self, seen: u64, timeout: Duration) -> Result<u64> {
        // What this process did rings the bell; what others did shows in the version of the data. Both only grow.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let rung = self.bell.rung();
            let now = rung.wrapping_add(self.version()?.unsigned_abs().wrapping_mul(1 << 32));
            let left = deadline.map_or(POLL, |at| at.saturating_duration_since(Instant::now()).min(POLL));
            if now != seen || left.is_zero() {
                return Ok(now);
            }
            self.bell.wait(rung, left);
        }
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        drop(self.writes.take());
        if let Some(writer) = self.writer.take() {
            // It ends when all that was asked for is done.
            let _ = writer.join();
        }
    }
}

job_store!(
    SqliteStore,
    // One wait for the disk instead of two.
    fn complete_and_claim(
        &self,
        lease: &Lease,
        result: Option<Value>,
        request: &ClaimRequest,
    ) -> Result<(Option<()>, Option<Claimed>)> {
        let (lease, request) = (*lease, request.clone());
        self.write(Purpose::Work, move |rules| Ok((rules.complete(&lease, result.clone())?, rules.claim(&request)?)))
    }
);
