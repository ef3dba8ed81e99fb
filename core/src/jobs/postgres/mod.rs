//! Jobs in PostgreSQL: durable, shared by several machines.
//!
//! A few threads of each store hold a connection and run one transaction at a time; one more listens for what other processes did.
//! A connection that is gone is made anew; what was not begun by then is done with the new one, and callers hear
//! [`Error::Unavailable`] while there is none.

mod connection;
mod link;
mod listener;
mod notifier;
mod schema;
#[cfg(test)]
mod tests;

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, unbounded};
use postgres::Config;
use serde_json::Value;

use self::connection::{Connection, Place};
use self::notifier::Notifier;
use super::bell::Bell;
use super::failure::JobError;
use super::job::{HistoryEntry, Job, JobId, JobSpec, JobState, Published};
use super::rules::{self, Request, Rules, StoreOptions};
use super::schedule::{Schedule, ScheduleStatus};
use super::scope::{Gate, Limits, Scope, ScopeRules};
use super::sql::store::{Purpose, job_store};
use super::store::{Batch, Beat, CancelOutcome, ClaimRequest, Claimed, Enqueued, JobFilter, Lease, Stats, Swept};
use super::table::Table;
use super::time::Moment;
use crate::error::{Error, Result};
use crate::services::seams::random_u64;

/// How a database is used.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Names, chance, ageing; its time counts with `own_time` only.
    pub store: StoreOptions,
    /// Schema that holds the tables: a lower-case letter or `_`, then also digits, at most 48. It is made when it is not there, if the user
    /// may. Default `puresound`.
    pub schema: String,
    /// Transactions at the same time, 1 to 64; each has a connection, and there are two more, to hear and to tell what changed. Default 4.
    pub connections: usize,
    /// Take the time of `store` instead of the server's. All machines must then agree on it.
    pub own_time: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { store: StoreOptions::default(), schema: "puresound".into(), connections: 4, own_time: false }
    }
}

/// A store in PostgreSQL 13 or later. Time is the server's, so that machines need not agree on theirs.
pub struct PostgresStore {
    options: StoreOptions,
    place: Arc<Place>,
    /// None once it is closing.
    tasks: Option<Sender<Task>>,
    threads: Vec<std::thread::JoinHandle<()>>,
    closing: Arc<AtomicBool>,
    bell: Arc<Bell>,
    notifier: Arc<Notifier>,
}

/// Something to be done with a connection; answers its caller itself.
type Task = Box<dyn FnOnce(&mut Connection) + Send>;

impl PostgresStore {
    /// Connects, and makes or updates the tables. `connection` is a URL (`postgres://user:password@host/database`) or
    /// `host=... user=... dbname=...`, as in libpq; TLS is not built in.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for the connection string and the schema, [`Error::OutOfRange`]; [`Error::Unavailable`] when the server
    /// cannot be reached; [`Error::Denied`] when it refuses; [`Error::NotFound`] for the database; [`Error::Malformed`] for a schema of
    /// another program; [`Error::Unsupported`] for one of a newer version, and for a server that demands TLS.
    pub fn open(connection: &str, options: &PostgresOptions) -> Result<Self> {
        Error::check_range("connections", options.connections as f64, 1.0, 64.0, "connections")?;
        let place = Arc::new(place(connection, options)?);
        schema::migrate(&mut place.connect()?, &place, schema::MIGRATIONS, None)?;
        let (bell, closing) = (Arc::<Bell>::default(), Arc::<AtomicBool>::default());
        let (tasks, work) = unbounded::<Task>();
        let mut store = Self {
            options: options.store.clone(),
            place: Arc::clone(&place),
            tasks: Some(tasks),
            threads: Vec::new(),
            closing: Arc::clone(&closing),
            bell: Arc::clone(&bell),
            notifier: Arc::default(),
        };
        for number in 1..=options.connections {
            let (work, place) = (work.clone(), Arc::clone(&place));
            store.threads.push(spawn(format!("puresound-pg-{number}"), move || {
                let mut connection = Connection::new(place);
                while let Ok(task) = work.recv() {
                    task(&mut connection);
                }
            })?);
        }
        let client = listener::listen(&place)?;
        // It ends by itself, within a second of the store; nobody waits for it.
        let heard = Arc::clone(&place);
        spawn("puresound-pg-listen".into(), move || listener::run(client, &heard, &bell, &closing))?;
        let notifier = Arc::clone(&store.notifier);
        spawn("puresound-pg-notify".into(), move || notifier.run(&place))?;
        Ok(store)
    }

    /// Brings the tables to another version: an older one for an older program. Version 0 has none: all jobs are gone. No store may be in
    /// use meanwhile.
    ///
    /// # Errors
    /// As [`PostgresStore::open`]; [`Error::Unsupported`] for a version that this program does not know.
    pub fn migrate(connection: &str, options: &PostgresOptions, version: usize) -> Result<()> {
        let place = place(connection, options)?;
        schema::migrate(&mut place.connect()?, &place, schema::MIGRATIONS, Some(version))
    }

    /// Adds jobs inside of a transaction of the caller's, to the same database: they are there when that is committed, and never when it
    /// is not.
    ///
    /// # Errors
    /// As [`JobStore::enqueue`](super::JobStore::enqueue); the transaction can only be rolled back then, or to a savepoint.
    pub fn enqueue_in(
        &self,
        transaction: &mut postgres::Transaction<'_>,
        specs: Vec<JobSpec>,
    ) -> Result<Vec<Enqueued>> {
        let requests = Request::all(specs)?;
        connection::inside(transaction, &self.place, |table, now| {
            Rules::at(table, &self.options, now).enqueue(&requests)
        })
    }

    /// Runs an operation as a transaction on some connection, and returns when that is over.
    fn write<T: Send + 'static>(
        &self,
        purpose: Purpose,
        work: impl Fn(&mut Rules<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (options, bell, notifier) = (self.options.clone(), Arc::clone(&self.bell), Arc::clone(&self.notifier));
        self.run(move |connection| {
            let done = connection.transact(Some(purpose), |table, now| work(&mut Rules::at(table, &options, now)))?;
            if done.changed {
                bell.ring();
            }
            if done.tell {
                notifier.tell();
            }
            Ok(done.value)
        })
    }

    fn read<T: Send + 'static>(&self, work: impl Fn(&dyn Table, &Moment) -> Result<T> + Send + 'static) -> Result<T> {
        self.run(move |connection| Ok(connection.transact(None, |table, now| work(table, &now))?.value))
    }

    fn run<T: Send + 'static>(&self, work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static) -> Result<T> {
        const CLOSED: Error = Error::Closed { what: "job store" };
        let (answers, answer) = bounded(1);
        // Nobody listens when the caller's thread is gone.
        let task: Task = Box::new(move |connection| drop(answers.send(work(connection))));
        self.tasks.as_ref().and_then(|tasks| tasks.send(task).ok()).ok_or(CLOSED)?;
        answer.recv().unwrap_or(Err(CLOSED))
    }

    /// See [`JobStore::wait`](super::JobStore::wait).
    fn changed(&self, seen: u64, timeout: Duration) -> Result<u64> {
        Ok(self.bell.wait(seen, timeout))
    }
}

fn place(connection: &str, options: &PostgresOptions) -> Result<Place> {
    let config = Config::from_str(connection).map_err(|e| Error::InvalidValue {
        name: "connection".into(),
        // Not repeated: there may be a password in it.
        value: e.to_string(),
        allowed: "postgres://USER:PASSWORD@HOST:PORT/DATABASE, or host=HOST user=USER dbname=DATABASE".into(),
    })?;
    let own_time = options.own_time.then(|| Arc::clone(&options.store.time));
    Place::new(config, &options.schema, own_time, random_u64())
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name).spawn(work);
    thread.map_err(|e| Error::Unavailable { what: format!("thread of the job store: {e}") })
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("place", &self.place.name).finish_non_exhaustive()
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        drop(self.tasks.take());
        for thread in self.threads.drain(..) {
            // They end when all that was asked for is done.
            let _ = thread.join();
        }
        self.notifier.close();
    }
}

job_store!(PostgresStore);
