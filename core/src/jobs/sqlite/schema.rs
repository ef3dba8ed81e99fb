//! The file: how it is opened, checked, brought to the current version, and how its errors are told.

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::SqliteOptions;
use crate::error::{Error, Result};
use crate::jobs::sql::migrations::{Migration, way};

/// `PRAGMA application_id`: "PsJq". Other programs' databases are refused.
const APPLICATION: i64 = 0x5073_4a71;

/// The versions of the schema; how many were made is kept in `PRAGMA user_version`.
const MIGRATIONS: &[Migration] = &[
    Migration {
        up: "
create table jobs (
    id blob not null unique,
    state integer not null,        -- place in JobState::ALL
    queue text not null,
    kind text not null,
    tenant text,
    unique_key text,
    batch blob,
    rank integer not null,
    run_at integer not null,
    late_at integer,               -- the earlier of start_by and deadline
    finished integer,
    lease_boot text,
    lease_until integer,
    spec text not null,
    status text not null
);
create index jobs_ready on jobs (rank, id, queue, kind, tenant) where state = 1;
create index jobs_due on jobs (run_at) where state = 0;
create index jobs_leased on jobs (lease_until, lease_boot, queue, kind, tenant) where state in (2, 3);
create index jobs_late on jobs (late_at) where state in (0, 1) and late_at is not null;
create unique index jobs_unique on jobs (unique_key) where state < 4 and unique_key is not null;
create index jobs_unique_done on jobs (unique_key, finished) where state = 4 and unique_key is not null;
create index jobs_batch on jobs (batch, state) where batch is not null;
create index jobs_finished on jobs (finished) where finished is not null;
create index jobs_state on jobs (state, queue);
create table history (job blob not null, entry text not null);
create index history_job on history (job);
create table scopes (scope text primary key, rules text not null) without rowid;
create table batches (id blob primary key, batch text not null) without rowid;
",
        down: "drop table jobs; drop table history; drop table scopes; drop table batches;",
    },
    Migration {
        up: "
create table schedules (name text primary key, next_at integer, schedule text not null) without rowid;
create index schedules_due on schedules (next_at) where next_at is not null;
",
        down: "drop table schedules;",
    },
];

/// What a store's file is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileOptions {
    pub may_lose_last_ms: bool,
    pub network: bool,
    pub busy_ms: u64,
}

impl From<&SqliteOptions> for FileOptions {
    fn from(options: &SqliteOptions) -> Self {
        Self { may_lose_last_ms: options.may_lose_last_ms, network: options.allow_network, busy_ms: options.busy_ms }
    }
}

/// Opens the file, and makes it when it is not there; at another version than the newest if `to` says so.
pub(super) fn open(path: &Path, options: FileOptions, to: Option<usize>) -> Result<Connection> {
    if !options.network {
        refuse_network(path)?;
    }
    let told = |e| failure("open", path, e);
    let mut db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(told)?;
    db.busy_timeout(Duration::from_millis(options.busy_ms)).map_err(told)?;
    check(&db, path)?;
    // Before the journal is switched: that writes to the file.
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(told)?;
    if mode != "wal" {
        return Err(Error::Unsupported {
            what: "file system for a job store",
            value: path.display().to_string(),
            hint: Some("it cannot share memory between processes; put the store on a local disk".into()),
        });
    }
    db.pragma_update(None, "synchronous", if options.may_lose_last_ms { "normal" } else { "full" }).map_err(told)?;
    db.set_prepared_statement_cache_capacity(64);
    migrate(&mut db, path, MIGRATIONS, to.unwrap_or(MIGRATIONS.len()))?;
    Ok(db)
}

/// Refuses files that are not ours, or newer than this program.
fn check(db: &Connection, path: &Path) -> Result<()> {
    let told = |e| failure("open", path, e);
    let number = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(told);
    let tables: i64 = db.query_row("select count(*) from sqlite_schema", [], |row| row.get(0)).map_err(told)?;
    let (application, version) = (number("application_id")?, number("user_version")?);
    if application != APPLICATION && (tables > 0 || application != 0) {
        return Err(Error::malformed(
            "job store",
            None,
            format!("{} is a database of another program", path.display()),
        ));
    }
    way(MIGRATIONS, usize::try_from(version).unwrap_or(usize::MAX), MIGRATIONS.len())?;
    Ok(())
}

/// Brings the file to version `to` of these, in one transaction; of several programs that try, one does it.
fn migrate(db: &mut Connection, path: &Path, known: &[Migration], to: usize) -> Result<()> {
    let told = |e| failure("migrate", path, e);
    let version = |db: &Connection| db.pragma_query_value(None, "user_version", |row| row.get::<_, usize>(0));
    if version(db).map_err(told)? == to {
        return Ok(());
    }
    let step = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(told)?;
    for script in way(known, version(&step).map_err(told)?, to)? {
        step.execute_batch(script).map_err(told)?;
    }
    step.pragma_update(None, "application_id", APPLICATION).map_err(told)?;
    step.pragma_update(None, "user_version", to).map_err(told)?;
    step.commit().map_err(told)
}

/// SQLite's locks and shared memory do not work over a network.
fn refuse_network(path: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        // Numbers of `linux/magic.h`: NFS, SMB, SMB2, CIFS.
        const NETWORK: [u64; 4] = [0x6969, 0x517b, 0xfe53_4d42, 0xff53_4d42];
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Ok(info) = rustix::fs::statfs(folder)
            && NETWORK.contains(&((info.f_type as u64) & 0xffff_ffff))
        {
            return Err(Error::Unsupported {
                what: "file system for a job store",
                value: folder.display().to_string(),
                hint: Some("SQLite's locks do not hold on network folders; put the store on a local disk".into()),
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = path;
    Ok(())
}

/// An error of SQLite as one of ours.
pub(super) fn failure(op: &'static str, path: &Path, error: rusqlite::Error) -> Error {
    let kind = match &error {
        rusqlite::Error::SqliteFailure(e, _) => match e.code {
            ErrorCode::DiskFull => io::ErrorKind::StorageFull,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => io::ErrorKind::WouldBlock,
            ErrorCode::PermissionDenied | ErrorCode::ReadOnly => io::ErrorKind::PermissionDenied,
            ErrorCode::CannotOpen if !path.parent().is_none_or(|p| p.as_os_str().is_empty() || p.is_dir()) => {
                io::ErrorKind::NotFound
            }
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                return Error::malformed("job store", None, format!("{}: {error}", path.display()));
            }
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => io::ErrorKind::Other,
            _ => return Error::internal(format!("job store: {error}")),
        },
        _ => return Error::malformed("job store", None, format!("{}: {error}", path.display())),
    };
    Error::io(op, Some(path), io::Error::new(kind, error))
}
