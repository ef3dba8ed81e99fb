//! The rows of a job store in SQLite.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::schema::failure;
use crate::error::{Error, Result};
use crate::jobs::job::{HistoryEntry, Job, JobId, JobState, JobStatus};
use crate::jobs::scope::{Scope, ScopeRules};
use crate::jobs::store::{Batch, JobFilter};
use crate::jobs::table::{Table, Wanted};
use crate::jobs::time::Moment;

/// A connection, inside of a transaction or for reading.
pub(super) struct Rows<'a> {
    pub db: &'a Connection,
    pub path: &'a Path,
}

/// The columns that make a job.
const JOB: &str = "select id, spec, status from jobs";

impl Rows<'_> {
    fn told<T>(&self, op: &'static str, result: rusqlite::Result<T>) -> Result<T> {
        result.map_err(|e| failure(op, self.path, e))
    }

    fn run(&self, sql: &str, values: impl Params) -> Result<usize> {
        self.told("write", self.db.prepare_cached(sql).and_then(|mut s| s.execute(values)))
    }

    fn all<T>(&self, sql: &str, values: impl Params, read: impl Fn(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>> {
        let rows = self.db.prepare_cached(sql).and_then(|mut s| s.query_map(values, |row| read(row))?.collect());
        self.told("read", rows)
    }

    fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.told("read", self.db.prepare_cached(sql).and_then(|mut s| s.query_row(values, read).optional()))
    }

    fn parse<T: DeserializeOwned>(&self, text: &str) -> Result<T> {
        serde_json::from_str(text)
            .map_err(|e| Error::malformed("job store", None, format!("{}: {e}", self.path.display())))
    }

    fn job(&self, (id, spec, status): Raw) -> Result<Job> {
        Ok(Job { id: JobId(u128::from_be_bytes(id)), spec: self.parse(&spec)?, status: self.parse(&status)? })
    }

    fn jobs(&self, raw: Vec<Raw>) -> Result<Vec<Job>> {
        raw.into_iter().map(|raw| self.job(raw)).collect()
    }
}

type Raw = ([u8; 16], String, String);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn id_of(row: &Row<'_>) -> rusqlite::Result<JobId> {
    Ok(JobId(u128::from_be_bytes(row.get(0)?)))
}

fn key(id: JobId) -> [u8; 16] {
    id.0.to_be_bytes()
}

fn text<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal(format!("job store: {e}")))
}

fn number(state: JobState) -> i64 {
    JobState::ALL.iter().position(|s| *s == state).unwrap_or_default() as i64
}

fn state(number: i64) -> JobState {
    // The column is written from the same list.
    usize::try_from(number).ok().and_then(|n| JobState::ALL.get(n)).copied().unwrap_or(JobState::Dead)
}

fn late_at(status: &JobStatus) -> Option<u64> {
    [status.start_by_ms, status.deadline_ms].into_iter().flatten().min()
}

impl Table for Rows<'_> {
    fn insert(&mut self, job: &Job) -> Result<()> {
        let (spec, status) = (&job.spec, &job.status);
        let holder = status.holder.as_ref();
        self.run(
            "insert into jobs (id, state, queue, kind, tenant, unique_key, batch, rank, run_at, late_at, finished,
                lease_boot, lease_until, spec, status) values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            params![
                key(job.id),
                number(status.state),
                spec.queue,
                spec.kind,
                spec.tenant,
                spec.unique.as_ref().map(|u| &u.key),
                spec.batch.map(key),
                status.rank,
                status.run_at_ms,
                late_at(status),
                status.finished_ms,
                holder.map(|h| &h.boot),
                holder.map(|h| h.until_ms),
                text(spec)?,
                text(status)?,
            ],
        )?;
        Ok(())
    }

    fn update(&mut self, job: &Job, whole: bool) -> Result<()> {
        let status = &job.status;
        let holder = status.holder.as_ref();
        self.run(
            "update jobs set state=?, rank=?, run_at=?, late_at=?, finished=?, lease_boot=?, lease_until=?, status=? where id=?",
            params![
                number(status.state),
                status.rank,
                status.run_at_ms,
                late_at(status),
                status.finished_ms,
                holder.map(|h| &h.boot),
                holder.map(|h| h.until_ms),
                text(status)?,
                key(job.id),
            ],
        )?;
        if whole {
            let spec = &job.spec;
            self.run(
                "update jobs set queue=?, kind=?, tenant=?, unique_key=?, batch=?, spec=? where id=?",
                params![
                    spec.queue,
                    spec.kind,
                    spec.tenant,
                    spec.unique.as_ref().map(|u| &u.key),
                    spec.batch.map(key),
                    text(spec)?,
                    key(job.id),
                ],
            )?;
        }
        Ok(())
    }

    fn remove(&mut self, id: JobId) -> Result<()> {
        self.run("delete from jobs where id=?", [key(id)])?;
        self.run("delete from history where job=?", [key(id)])?;
        Ok(())
    }

    fn get(&self, id: JobId) -> Result<Option<Job>> {
        self.one(&format!("{JOB} where id=?"), [key(id)], raw)?.map(|raw| self.job(raw)).transpose()
    }

    fn promote(&mut self, unix_ms: u64) -> Result<()> {
        self.run(
            "update jobs set state=1, status=json_set(status, '$.state', 'available') where state=0 and run_at<=?",
            [unix_ms],
        )?;
        Ok(())
    }

    fn next(&self, wanted: &Wanted<'_>) -> Result<Option<Job>> {
        let names = |pick: fn(&Scope) -> Option<&String>| {
            let names: Vec<&String> = wanted.closed.iter().filter_map(pick).collect();
            text(&names)
        };
        let queue = names(|s| if let Scope::Queue(name) = s { Some(name) } else { None })?;
        let kind = names(|s| if let Scope::Kind(name) = s { Some(name) } else { None })?;
        let tenant = names(|s| if let Scope::Tenant(name) = s { Some(name) } else { None })?;
        // First the name alone, from the index.
        let id = self.one(
            "select id from jobs indexed by jobs_ready where state=1
                and (?1='[]' or queue in (select value from json_each(?1)))
                and (?2='[]' or kind in (select value from json_each(?2)))
                and (?3='[]' or queue not in (select value from json_each(?3)))
                and (?4='[]' or kind not in (select value from json_each(?4)))
                and (?5='[]' or tenant is null or tenant not in (select value from json_each(?5)))
                order by rank, id limit 1",
            params![text(&wanted.queues)?, text(&wanted.kinds)?, queue, kind, tenant],
            id_of,
        )?;
        id.map_or(Ok(None), |id| self.get(id))
    }

    fn orphans(&self, now: &Moment) -> Result<Vec<Job>> {
        let sql = format!("{JOB} where state in (2,3) and (lease_until<=?1 or lease_boot<>?2) order by id");
        self.all(&sql, params![now.up_ms, &*now.boot], raw).and_then(|raw| self.jobs(raw))
    }

    fn overdue(&self, unix_ms: u64) -> Result<Vec<Job>> {
        let sql = format!("{JOB} where state in (0,1) and late_at is not null and late_at<=?1 order by id");
        self.all(&sql, [unix_ms], raw).and_then(|raw| self.jobs(raw))
    }

    fn leased(&self, scope: &Scope) -> Result<u64> {
        let (column, name) = match scope {
            Scope::All => ("1", "1"),
            Scope::Queue(name) => ("queue", name.as_str()),
            Scope::Kind(name) => ("kind", name.as_str()),
            Scope::Tenant(name) => ("tenant", name.as_str()),
        };
        let sql = format!("select count(*) from jobs where state in (2,3) and {column}=cast(?1 as text)");
        let sql = if *scope == Scope::All { "select count(*) from jobs where state in (2,3) and ?1='1'" } else { &sql };
        Ok(self.one(sql, [name], |row| row.get(0))?.unwrap_or(0))
    }

    fn holder_of(&self, unique: &str) -> Result<Option<Job>> {
        let sql = format!("{JOB} where unique_key=? and unique_key is not null and state<4");
        self.one(&sql, [unique], raw)?.map(|raw| self.job(raw)).transpose()
    }

    fn succeeded_since(&self, unique: &str, unix_ms: u64) -> Result<Option<JobId>> {
        self.one(
            "select id from jobs where unique_key=? and unique_key is not null and state=4 and finished>=?
                order by id desc limit 1",
            params![unique, unix_ms],
            id_of,
        )
    }

    fn list(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        let states: Vec<i64> = filter.states.iter().map(|s| number(*s)).collect();
        let sql = format!(
            "{JOB} where (?1='[]' or state in (select value from json_each(?1)))
                and (?2 is null or queue=?2) and (?3 is null or kind=?3) and (?4 is null or tenant=?4)
                and (?5 is null or batch=?5) and (?6 is null or unique_key=?6) and (?7 is null or id>?7)
                order by id limit ?8"
        );
        let values = params![
            text(&states)?,
            filter.queue,
            filter.kind,
            filter.tenant,
            filter.batch.map(key),
            filter.unique_key,
            filter.after.map(key),
            filter.page() as i64,
        ];
        self.all(&sql, values, raw).and_then(|raw| self.jobs(raw))
    }

    fn finished_before(&self, unix_ms: u64, limit: usize) -> Result<Vec<JobId>> {
        self.all(
            "select id from jobs where finished is not null and finished<? order by finished, id limit ?",
            params![unix_ms, limit as i64],
            id_of,
        )
    }

    fn counts(&self) -> Result<Vec<(String, JobState, u64)>> {
        self.all("select queue, state, count(*) from jobs group by state, queue", [], |row| {
            Ok((row.get(0)?, state(row.get(1)?), row.get(2)?))
        })
    }

    fn oldest(&self) -> Result<Option<u64>> {
        Ok(self.one("select min(run_at) from jobs where state=1", [], |row| row.get(0))?.flatten())
    }

    fn rules(&self, scope: &Scope) -> Result<Option<ScopeRules>> {
        let found =
            self.one("select rules from scopes where scope=?", [scope.to_string()], |row| row.get::<_, String>(0))?;
        found.map(|rules| self.parse(&rules)).transpose()
    }

    fn all_rules(&self) -> Result<Vec<ScopeRules>> {
        let all = self.all("select rules from scopes order by scope", [], |row| row.get::<_, String>(0))?;
        all.iter().map(|rules| self.parse(rules)).collect()
    }

    fn set_rules(&mut self, rules: &ScopeRules) -> Result<()> {
        self.run("insert or replace into scopes (scope, rules) values (?,?)", params![rules.scope, text(rules)?])?;
        Ok(())
    }

    fn note(&mut self, id: JobId, entry: &HistoryEntry) -> Result<()> {
        self.run("insert into history (job, entry) values (?,?)", params![key(id), text(entry)?])?;
        Ok(())
    }

    fn history(&self, id: JobId) -> Result<Vec<HistoryEntry>> {
        let all =
            self.all("select entry from history where job=? order by rowid", [key(id)], |row| row.get::<_, String>(0))?;
        all.iter().map(|entry| self.parse(entry)).collect()
    }

    fn add_batch(&mut self, batch: &Batch) -> Result<()> {
        self.run("insert into batches (id, batch) values (?,?)", params![key(batch.id), text(batch)?])?;
        Ok(())
    }

    fn batch(&self, id: JobId) -> Result<Option<Batch>> {
        let found = self.one("select batch from batches where id=?", [key(id)], |row| row.get::<_, String>(0))?;
        found.map(|batch| self.parse(&batch)).transpose()
    }

    fn batches(&self, limit: usize) -> Result<Vec<Batch>> {
        let all = self
            .all("select batch from batches order by id desc limit ?", [limit as i64], |row| row.get::<_, String>(0))?;
        all.iter().map(|batch| self.parse(batch)).collect()
    }

    fn batch_states(&self, id: JobId) -> Result<BTreeMap<JobState, u64>> {
        let all = self.all("select state, count(*) from jobs where batch=? group by state", [key(id)], |row| {
            Ok((state(row.get(0)?), row.get(1)?))
        })?;
        Ok(all.into_iter().collect())
    }
}
