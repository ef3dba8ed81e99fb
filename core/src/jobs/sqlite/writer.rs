//! The thread that writes: what many callers want in one transaction.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use rusqlite::Connection;

use super::call::{Chain, Operation};
use super::rows::File;
use super::schema::failure;
use crate::jobs::bell::Bell;
use crate::jobs::sql::Rows;

/// Operations that share a transaction, at most.
const GROUP: usize = 256;
/// How long those who were answered just now are waited for, at most: they mostly come again at once, and a transaction costs as much for one
/// as for all.
const GATHER: Duration = Duration::from_micros(500);
/// How often they are counted. Whoever sleeps until the next one comes is woken by each.
const COUNT: Duration = Duration::from_micros(50);

type Group = Vec<Box<dyn Operation>>;

/// Owns the connection that writes.
pub(super) struct Writer {
    pub db: Connection,
    pub path: Arc<Path>,
    pub bell: Arc<Bell>,
}

impl Writer {
    /// Works until all senders are gone and all is done that they asked for.
    pub fn run(self, work: &Receiver<Box<dyn Operation>>) {
        let (mut before, mut told) = (1, None::<Arc<Chain>>);
        while let Ok(first) = work.recv() {
            let mut group = gather(first, work, before);
            told.take().inspect(|chain| chain.wake_all());
            before = group.len();
            let changes = self.db.total_changes();
            let lost = self.transact(&mut group);
            let changed = lost.is_none() && self.db.total_changes() != changes;
            let chain = Chain::of(&group);
            for operation in group {
                operation.answer(lost.as_ref().map(|e| failure("write", &self.path, copy(e))), &chain);
            }
            chain.wake_some();
            told = Some(chain);
            if changed {
                self.bell.ring();
            }
        }
    }

    /// Runs a group in one transaction. Why none of it holds, if so.
    fn transact(&self, group: &mut Group) -> Option<rusqlite::Error> {
        match self.together(group) {
            Ok(true) => self.say("commit").err().inspect(|_| self.roll_back()),
            // Nobody else is concerned: its own error is the answer.
            Ok(false) if group.len() == 1 => {
                self.roll_back();
                None
            }
            Ok(false) => {
                self.roll_back();
                self.apart(group).inspect(|_| self.roll_back())
            }
            Err(lost) => {
                self.roll_back();
                Some(lost)
            }
        }
    }

    /// Runs all operations without a way back for each, which is what a savepoint costs: a copy of each page that is changed after it.
    /// False: one failed that had begun to write.
    fn together(&self, group: &mut Group) -> rusqlite::Result<bool> {
        self.say("begin immediate")?;
        let mut rows = Rows::new(File::new(&self.db, &self.path));
        for operation in group {
            rows.database.touched.set(false);
            if !operation.run(&mut rows) && rows.database.touched.get() {
                return Ok(false);
            }
            // As it may after an error of the disk. Nothing is run outside of a transaction.
            if self.db.is_autocommit() {
                return Err(lost_transaction());
            }
        }
        Ok(true)
    }

    /// Runs all operations; one that fails is undone alone, and the others of its transaction hold.
    fn apart(&self, group: &mut Group) -> Option<rusqlite::Error> {
        let mut run = || {
            self.say("begin immediate")?;
            let mut rows = Rows::new(File::new(&self.db, &self.path));
            for operation in group.iter_mut() {
                self.say("savepoint operation")?;
                let holds = operation.run(&mut rows);
                if self.db.is_autocommit() {
                    // As it may on a full disk.
                    return Err(lost_transaction());
                }
                if !holds {
                    self.say("rollback to operation")?;
                    rows.forget();
                }
                self.say("release operation")?;
            }
            self.say("commit")
        };
        run().err()
    }

    fn say(&self, words: &str) -> rusqlite::Result<()> {
        self.db.prepare_cached(words)?.execute([]).map(drop)
    }

    fn roll_back(&self) {
        if !self.db.is_autocommit() {
            // What is wrong is told already.
            let _ = self.say("rollback");
        }
    }
}

/// The operations of the next transaction: those that are there, and as many as there were in the one before, if they come soon.
fn gather(first: Box<dyn Operation>, work: &Receiver<Box<dyn Operation>>, before: usize) -> Group {
    let mut group = vec![first];
    group.extend(work.try_iter().take(GROUP - 1));
    if group.len() < before {
        let deadline = Instant::now() + GATHER;
        while group.len() < before.min(GROUP) && Instant::now() < deadline {
            std::thread::sleep(COUNT);
            group.extend(work.try_iter().take(GROUP - group.len()));
        }
    }
    group
}

/// The transaction has ended by itself, and with it what the operations before had done.
fn lost_transaction() -> rusqlite::Error {
    let text = "another operation of the same transaction failed, and took it down".to_owned();
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR), Some(text))
}

/// Errors of SQLite cannot be copied, and everybody in a group gets one.
fn copy(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => rusqlite::Error::SqliteFailure(*code, text.clone()),
        other => rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERNAL),
            Some(other.to_string()),
        ),
    }
}
