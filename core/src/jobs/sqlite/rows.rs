//! SQLite as a [`Database`].

use std::cell::Cell;
use std::path::Path;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use super::schema::failure;
use crate::error::Result;
use crate::jobs::sql::{Database, Locks, Row, Value};

/// A connection, inside of a transaction or for reading.
pub(super) struct File<'a> {
    pub db: &'a Connection,
    path: &'a Path,
    /// Something was written, or tried to be.
    pub touched: Cell<bool>,
}

impl<'a> File<'a> {
    pub fn new(db: &'a Connection, path: &'a Path) -> Self {
        Self { db, path, touched: Cell::new(false) }
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Number(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Id(id) => ValueRef::Blob(id),
        }))
    }
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let columns = row.as_ref().column_count();
    let value = |column| {
        Ok(match row.get_ref(column)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Number(number),
            ValueRef::Blob(_) => Value::Id(row.get(column)?),
            _ => Value::Text(row.get(column)?),
        })
    };
    (0..columns).map(value).collect::<rusqlite::Result<_>>().map(Row)
}

impl Database for File<'_> {
    const READY: &'static str = "indexed by jobs_ready";
    const ALONE: bool = true;

    fn run(&self, sql: &str, values: &[Value]) -> Result<u64> {
        self.touched.set(true);
        let changed = self.db.prepare_cached(sql).and_then(|mut s| s.execute(params_from_iter(values)));
        changed.map(|n| n as u64).map_err(|e| failure("write", self.path, e))
    }

    fn all(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>> {
        let rows = self.db.prepare_cached(sql).and_then(|mut s| s.query_map(params_from_iter(values), row)?.collect());
        rows.map_err(|e| failure("read", self.path, e))
    }

    fn each(parameter: &str) -> String {
        format!("select value from json_each({parameter})")
    }

    /// One at a time writes here: there is nothing to lock.
    fn locks(&self) -> Locks {
        Locks::default()
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}
