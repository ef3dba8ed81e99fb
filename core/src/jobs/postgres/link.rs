//! PostgreSQL as a [`Database`].

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::error::Error as _;
use std::io;

use bytes::BytesMut;
use postgres::error::SqlState;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use postgres::{GenericClient, Statement};

use super::connection::Place;
use crate::error::{Error, Result};
use crate::jobs::job::JobState;
use crate::jobs::sql::store::Purpose;
use crate::jobs::sql::{Database, Locks, Row, Value};

/// Statements that a connection keeps prepared, at most; there are about forty.
const STATEMENTS: usize = 200;

/// Statements that were prepared, by their text.
pub(super) type Statements = HashMap<String, Statement>;

/// What an error says about the transaction and the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Others were in the way: the same transaction may be run again.
    Collision,
    /// The connection is of no use any more.
    Gone,
    /// Neither.
    Other,
}

/// A connection inside of a transaction.
pub(super) struct Link<'a, C> {
    pub client: RefCell<&'a mut C>,
    pub statements: RefCell<&'a mut Statements>,
    pub place: &'a Place,
    /// None: nothing is written, and nothing locked.
    pub purpose: Option<Purpose>,
    /// There are no rules, and none comes during the transaction.
    pub unruled: bool,
    /// What the first error was like.
    pub fault: Cell<Option<Fault>>,
    /// Something was written.
    pub changed: Cell<bool>,
    /// Somebody elsewhere may want to know.
    pub tell: Cell<bool>,
}

impl<'a, C: GenericClient> Link<'a, C> {
    pub fn new(
        client: &'a mut C,
        statements: &'a mut Statements,
        place: &'a Place,
        purpose: Option<Purpose>,
        unruled: bool,
    ) -> Self {
        Self {
            client: RefCell::new(client),
            statements: RefCell::new(statements),
            place,
            purpose,
            unruled,
            fault: Cell::new(None),
            changed: Cell::new(false),
            tell: Cell::new(false),
        }
    }

    fn run<T>(
        &self,
        op: &'static str,
        sql: &str,
        values: &[Value],
        run: impl FnOnce(&mut C, &Statement, &[&(dyn ToSql + Sync)]) -> Result<T, postgres::Error>,
    ) -> Result<T> {
        let (mut client, mut statements) = (self.client.borrow_mut(), self.statements.borrow_mut());
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as _).collect();
        let known = statements.get(sql).cloned();
        let done = known.map_or_else(|| client.prepare(sql), Ok).and_then(|statement| {
            let done = run(&mut client, &statement, &values);
            if statements.len() >= STATEMENTS {
                statements.clear();
            }
            statements.insert(sql.to_owned(), statement);
            done
        });
        done.map_err(|error| {
            self.fault.set(self.fault.get().or(Some(fault(&error))));
            failure(op, self.place, error)
        })
    }
}

impl<C: GenericClient> Database for Link<'_, C> {
    fn run(&self, sql: &str, values: &[Value]) -> Result<u64> {
        let changed = self.run("write", sql, values, |client, sql, values| client.execute(sql, values))?;
        if changed > 0 {
            self.changed.set(true);
        }
        Ok(changed)
    }

    fn all(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>> {
        let rows = self.run("read", sql, values, |client, sql, values| client.query(sql, values))?;
        let row = |row: &postgres::Row| (0..row.len()).map(|column| row.try_get(column)).collect::<Result<_, _>>();
        rows.iter().map(|r| row(r).map(Row).map_err(|e| failure("read", self.place, e))).collect()
    }

    fn each(parameter: &str) -> String {
        format!("select jsonb_array_elements_text(cast({parameter} as jsonb))")
    }

    fn locks(&self) -> Locks {
        let (one, free) = (" for update", " for update skip locked");
        match self.purpose {
            None => Locks::default(),
            // Rules cannot change meanwhile, and are only looked at.
            Some(Purpose::Enqueue) => Locks { one, free, rules: "" },
            Some(Purpose::Work | Purpose::Manage) => Locks { one, free, rules: one },
        }
    }

    fn place(&self) -> String {
        self.place.name.clone()
    }

    fn is_unruled(&self) -> bool {
        self.unruled
    }

    /// Who waits for work, or for room, is elsewhere. Beats and claims wake nobody.
    fn stepped(&self, to: JobState) {
        if !to.is_leased() {
            self.tell.set(true);
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Number(number) => number.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Id(id) => {
                out.extend_from_slice(id);
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::UUID].contains(kind)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *kind {
            Type::INT8 => Self::Number(i64::from_sql(kind, raw)?),
            Type::UUID => Self::Id(raw.try_into()?),
            _ => Self::Text(String::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        <Self as ToSql>::accepts(kind)
    }
}

/// What an error says about the transaction and the connection.
pub(super) fn fault(error: &postgres::Error) -> Fault {
    let Some(db) = error.as_db_error() else {
        // Errors of this side's own, such as a value of the wrong type, have no cause in the connection.
        return if error.is_closed() || io_cause(error).is_some() { Fault::Gone } else { Fault::Other };
    };
    let collisions = [&SqlState::T_R_SERIALIZATION_FAILURE, &SqlState::T_R_DEADLOCK_DETECTED];
    if collisions.contains(&db.code())
        || (*db.code() == SqlState::UNIQUE_VIOLATION && db.constraint() == Some("jobs_unique"))
    {
        Fault::Collision
    } else if goes_away(db.code()) {
        Fault::Gone
    } else {
        Fault::Other
    }
}

/// The server is shutting down, starting, full, or not the one that writes.
fn goes_away(code: &SqlState) -> bool {
    let codes = [
        &SqlState::ADMIN_SHUTDOWN,
        &SqlState::CRASH_SHUTDOWN,
        &SqlState::CANNOT_CONNECT_NOW,
        &SqlState::TOO_MANY_CONNECTIONS,
        &SqlState::READ_ONLY_SQL_TRANSACTION,
        &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    code.code().starts_with("08") || codes.contains(&code)
}

fn io_cause(error: &postgres::Error) -> Option<&io::Error> {
    error.source()?.downcast_ref()
}

/// An error of PostgreSQL as one of ours.
pub(super) fn failure(op: &'static str, place: &Place, error: postgres::Error) -> Error {
    let name = &place.name;
    let Some(db) = error.as_db_error() else {
        let text = error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
        if error.is_closed() || io_cause(&error).is_some() {
            return Error::Unavailable { what: format!("{name}: {text}") };
        }
        if text.contains("TLS") {
            let hint = "TLS is not built in; use a local socket, a private network or a tunnel, and sslmode=disable";
            return Error::Unsupported { what: "connection", value: name.clone(), hint: Some(hint.into()) };
        }
        if text.contains("password") || text.contains("authentication") {
            return Error::Denied { path: name.clone(), reason: text };
        }
        if text.contains("timed out") || text.contains("connecting to server") {
            return Error::Unavailable { what: format!("{name}: {text}") };
        }
        return Error::malformed("job store", None, format!("{name}: {text}"));
    };
    let (code, text) = (db.code().clone(), db.message().to_owned());
    let io = |kind| Error::Io { op, path: None, source: io::Error::new(kind, format!("{name}: {text}")) };
    match &code {
        c if goes_away(c) => Error::Unavailable { what: format!("{name}: {text}") },
        c if c.code().starts_with("28") || *c == SqlState::INSUFFICIENT_PRIVILEGE => {
            Error::Denied { path: name.clone(), reason: text }
        }
        c if *c == SqlState::UNDEFINED_DATABASE => Error::NotFound { path: name.clone() },
        c if *c == SqlState::DISK_FULL => io(io::ErrorKind::StorageFull),
        c if [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED].contains(c) => io(io::ErrorKind::TimedOut),
        // Many were in each other's way, many times.
        c if c.code().starts_with("40") => io(io::ErrorKind::WouldBlock),
        c if *c == SqlState::CHARACTER_NOT_IN_REPERTOIRE => Error::InvalidValue {
            name: "text".into(),
            value: text,
            allowed: "text without the character U+0000".into(),
        },
        c if c.code().starts_with("53") || c.code().starts_with("57") => {
            Error::Unavailable { what: format!("{name}: {text}") }
        }
        c if [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN].contains(c) => {
            Error::malformed("job store", None, format!("{name}: {text}"))
        }
        c => Error::internal(format!("job store: {name}: {text} ({})", c.code())),
    }
}
