//! The tables: how they are made, checked and brought to another version.

use postgres::Client;

use super::connection::Place;
use super::link::failure;
use crate::error::{Error, Result};
use crate::jobs::sql::migrations::{Migration, way};

/// The versions of the tables; how many were made is kept in `puresound_version`.
pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    up: r#"
create table jobs (
    id uuid primary key,
    state bigint not null,        -- place in JobState::ALL
    queue text not null,
    kind text not null,
    tenant text,
    unique_key text,
    batch uuid,
    rank bigint not null,
    run_at bigint not null,
    late_at bigint,               -- the earlier of start_by and deadline
    finished bigint,
    lease_boot text,
    lease_until bigint,
    spec text not null,           -- not jsonb: that forgets the order of keys, and refuses U+0000
    status text not null
) with (fillfactor = 70);
create index jobs_ready on jobs (rank, id) include (queue, kind, tenant) where state = 1;
create index jobs_oldest on jobs (run_at) where state = 1;
create index jobs_due on jobs (run_at) where state = 0;
create index jobs_leased on jobs (lease_until) include (queue, kind, tenant) where state in (2, 3);
create index jobs_late on jobs (late_at) where state in (0, 1) and late_at is not null;
create unique index jobs_unique on jobs (unique_key) where state < 4 and unique_key is not null;
create index jobs_unique_done on jobs (unique_key, finished) where state = 4 and unique_key is not null;
create index jobs_batch on jobs (batch, state) where batch is not null;
create index jobs_finished on jobs (finished, id) where finished is not null;
create table history (rowid bigint generated always as identity primary key, job uuid not null, entry text not null);
create index history_job on history (job, rowid);
create table scopes (scope text collate "C" primary key, rules text not null);
create table batches (id uuid primary key, batch text not null);
create table schedules (name text collate "C" primary key, next_at bigint, schedule text not null);
create index schedules_due on schedules (next_at) where next_at is not null;
"#,
    down: "drop table jobs; drop table history; drop table scopes; drop table batches; drop table schedules;",
}];

/// Brings the tables to version `to` of these, the newest if none is said, in one transaction; of several programs that try, one does it.
pub(super) fn migrate(client: &mut Client, place: &Place, known: &[Migration], to: Option<usize>) -> Result<()> {
    let told = |e| failure("migrate", place, e);
    let schema = &place.schema;
    let to = to.unwrap_or(known.len());
    let mut step = client.transaction().map_err(told)?;
    step.batch_execute(&format!("select pg_advisory_xact_lock({})", place.lock())).map_err(told)?;
    let there = |sql: &str, step: &mut postgres::Transaction<'_>| -> Result<bool> {
        Ok(step.query_opt(sql, &[schema]).map_err(told)?.is_some())
    };
    if !there("select 1 from pg_namespace where nspname=$1", &mut step)? {
        step.batch_execute(&format!("create schema {schema}")).map_err(told)?;
    }
    let tables = there(
        "select 1 from pg_tables where schemaname=$1 and tablename in ('jobs','history','scopes','batches') limit 1",
        &mut step,
    )?;
    let marked = there("select 1 from pg_tables where schemaname=$1 and tablename='puresound_version'", &mut step)?;
    if tables && !marked {
        return Err(Error::malformed(
            "job store",
            None,
            format!("{}: the schema {schema} has tables of another program", place.name),
        ));
    }
    if !marked {
        step.batch_execute(
            "create table puresound_version (version bigint not null); insert into puresound_version values (0)",
        )
        .map_err(told)?;
    }
    let version: i64 =
        step.query_one("select version from puresound_version", &[]).and_then(|row| row.try_get(0)).map_err(told)?;
    for script in way(known, usize::try_from(version).unwrap_or(usize::MAX), to)? {
        step.batch_execute(script).map_err(told)?;
    }
    step.execute("update puresound_version set version=$1", &[&(to as i64)]).map_err(told)?;
    step.commit().map_err(told)
}
