//! The rows of a job store in a database that speaks SQL, once for all of them; what they say differently is a [`Database`].
//!
//! Statements name their parameters `$1`, `$2`, ... in the order of their first appearance, which both SQLite and PostgreSQL read.

pub(super) mod migrations;
pub(super) mod store;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::job::{HistoryEntry, Job, JobId, JobSpec, JobState, JobStatus};
use super::rules::Request;
use super::schedule::ScheduleStatus;
use super::scope::{Scope, ScopeRules};
use super::store::{Batch, JobFilter};
use super::table::{Table, Wanted};
use super::time::Moment;
use crate::error::{Error, Result};

/// A value of a column or parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Number(i64),
    Text(String),
    /// The name of a job or batch, most significant byte first.
    Id([u8; 16]),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<JobId> for Value {
    fn from(id: JobId) -> Self {
        Self::Id(id.0.to_be_bytes())
    }
}

impl From<u64> for Value {
    /// Numbers of ours have at most 63 bits.
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<JobState> for Value {
    fn from(state: JobState) -> Self {
        Self::Number(JobState::ALL.iter().position(|s| *s == state).unwrap_or_default() as i64)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// What a statement gave, one row of it.
pub(super) struct Row(pub Vec<Value>);

impl Row {
    fn take(&mut self, column: usize) -> Value {
        self.0.get_mut(column).map_or(Value::Null, |value| std::mem::replace(value, Value::Null))
    }

    fn number(&mut self, column: usize) -> Result<i64> {
        match self.take(column) {
            Value::Number(number) => Ok(number),
            other => Err(odd(&other)),
        }
    }

    fn count(&mut self, column: usize) -> Result<u64> {
        Ok(u64::try_from(self.number(column)?).unwrap_or(0))
    }

    fn text(&mut self, column: usize) -> Result<String> {
        match self.take(column) {
            Value::Text(text) => Ok(text),
            other => Err(odd(&other)),
        }
    }

    fn id(&mut self, column: usize) -> Result<JobId> {
        match self.take(column) {
            Value::Id(id) => Ok(JobId(u128::from_be_bytes(id))),
            other => Err(odd(&other)),
        }
    }

    fn maybe_id(&mut self, column: usize) -> Result<Option<JobId>> {
        match self.take(column) {
            Value::Null => Ok(None),
            Value::Id(id) => Ok(Some(JobId(u128::from_be_bytes(id)))),
            other => Err(odd(&other)),
        }
    }

    fn state(&mut self, column: usize) -> Result<JobState> {
        let number = self.number(column)?;
        let known = usize::try_from(number).ok().and_then(|n| JobState::ALL.get(n)).copied();
        known.ok_or_else(|| Error::malformed("job store", None, format!("there is no state {number}")))
    }
}

fn odd(value: &Value) -> Error {
    Error::malformed("job store", None, format!("a column holds {value:?}"))
}

/// What a transaction locks, as the ends of its statements.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Locks {
    /// Of one row: waits for who has it.
    pub one: &'static str,
    /// Of some rows: leaves out those that others have.
    pub free: &'static str,
    /// Of the rules of a scope.
    pub rules: &'static str,
}

/// A database inside of a transaction.
pub(super) trait Database {
    /// Comes after `jobs` in the search for the next job.
    const READY: &'static str = "";
    /// Nobody else writes during a transaction: what was seen in it holds until it writes something else itself.
    const ALONE: bool = false;
    /// Runs a statement. How many rows it changed.
    fn run(&self, sql: &str, values: &[Value]) -> Result<u64>;
    /// Runs a query.
    fn all(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>>;
    /// The texts in a parameter that holds a JSON list, as a query.
    fn each(parameter: &str) -> String;
    /// What the transaction locks.
    fn locks(&self) -> Locks;
    /// Where it is, for messages.
    fn place(&self) -> String;
    /// No scope has rules, and none gets any during the transaction.
    fn is_unruled(&self) -> bool {
        false
    }
    /// Hears of each step of a job's life.
    fn stepped(&self, _to: JobState) {}
}

/// The columns that make a job. The state is that of its column: what `promote` writes.
const JOB: &str = "select id, state, spec, status from jobs";

/// What a transaction has seen, and need not look for again.
#[derive(Default)]
struct Seen {
    rules: HashMap<String, Option<ScopeRules>>,
    /// No schedule has a tick before this time.
    next_tick: Option<u64>,
    /// No scheduled job may start before this time.
    next_due: Option<u64>,
}

/// The rows of a store, in one transaction.
pub(super) struct Rows<D> {
    pub database: D,
    seen: RefCell<Seen>,
}

impl<D: Database> Rows<D> {
    pub fn new(database: D) -> Self {
        Self { database, seen: RefCell::default() }
    }

    /// Part of the transaction was undone.
    #[cfg(feature = "sqlite")]
    pub fn forget(&self) {
        self.seen.take();
    }

    /// True when nothing is to be found before `unix_ms`, as far as is known or the one column of a query says.
    fn is_before(&self, known: fn(&mut Seen) -> &mut Option<u64>, unix_ms: u64, first: &str) -> Result<bool> {
        if !D::ALONE {
            return Ok(false);
        }
        let mut seen = self.seen.borrow_mut();
        let known = known(&mut seen);
        if known.is_none() {
            *known = Some(self.one(first, &[])?.map_or(Ok(u64::MAX), |mut row| row.count(0))?);
        }
        Ok(known.is_some_and(|at| unix_ms < at))
    }

    /// A job may be scheduled now that was not.
    fn moved(&self, state: JobState) {
        if D::ALONE && state == JobState::Scheduled {
            self.seen.borrow_mut().next_due = None;
        }
    }

    fn one(&self, sql: &str, values: &[Value]) -> Result<Option<Row>> {
        Ok(self.database.all(sql, values)?.pop())
    }

    fn parse<T: DeserializeOwned>(&self, text: &str) -> Result<T> {
        serde_json::from_str(text)
            .map_err(|e| Error::malformed("job store", None, format!("{}: {e}", self.database.place())))
    }

    fn job(&self, mut row: Row) -> Result<Job> {
        let (id, state) = (row.id(0)?, row.state(1)?);
        let (spec, status) = (row.text(2)?, row.text(3)?);
        Ok(Job { id, spec: self.parse(&spec)?, status: JobStatus { state, ..self.parse(&status)? } })
    }

    fn jobs(&self, sql: &str, values: &[Value]) -> Result<Vec<Job>> {
        self.database.all(sql, values)?.into_iter().map(|row| self.job(row)).collect()
    }

    fn one_job(&self, sql: &str, values: &[Value]) -> Result<Option<Job>> {
        self.one(sql, values)?.map(|row| self.job(row)).transpose()
    }

    /// The one column of rows that are JSON.
    fn documents<T: DeserializeOwned>(&self, sql: &str, values: &[Value]) -> Result<Vec<T>> {
        self.database.all(sql, values)?.into_iter().map(|mut row| self.parse(&row.text(0)?)).collect()
    }
}

/// Jobs that ended before `$1`, without those of batches that are not over.
const ENDED: &str = "finished is not null and finished<$1
    and (batch is null or not exists (select 1 from jobs other where other.batch=jobs.batch and other.state<4))";

/// The conditions of a filter, whose values are added to `values`.
fn fits(filter: &JobFilter, values: &mut Vec<Value>) -> String {
    let mut sql = String::new();
    if !filter.states.is_empty() {
        let mut states = Vec::new();
        for state in &filter.states {
            values.push((*state).into());
            states.push(format!("${}", values.len()));
        }
        sql.push_str(&format!(" and state in ({})", states.join(",")));
    }
    let texts = [
        ("queue", &filter.queue),
        ("kind", &filter.kind),
        ("tenant", &filter.tenant),
        ("unique_key", &filter.unique_key),
    ];
    let texts = texts.into_iter().filter_map(|(column, text)| Some((column, "=", text.as_deref()?.into())));
    let ids = [("batch", "=", filter.batch), ("id", ">", filter.after)];
    let ids = ids.into_iter().filter_map(|(column, compare, id)| Some((column, compare, id?.into())));
    for (column, compare, value) in texts.chain(ids) {
        values.push(value);
        sql.push_str(&format!(" and {column}{compare}${}", values.len()));
    }
    sql
}

fn json<T: Serialize>(value: &T) -> Result<Value> {
    serde_json::to_string(value).map(Value::Text).map_err(|e| Error::internal(format!("job store: {e}")))
}

/// The columns that follow from a status.
fn columns(status: &JobStatus) -> Result<[Value; 8]> {
    let holder = status.holder.as_ref();
    Ok([
        status.state.into(),
        Value::Number(status.rank),
        status.run_at_ms.into(),
        [status.start_by_ms, status.deadline_ms].into_iter().flatten().min().into(),
        status.finished_ms.into(),
        holder.map(|h| h.boot.as_str()).into(),
        holder.map(|h| h.until_ms).into(),
        json(status)?,
    ])
}

/// The columns that follow from a request, whose text is the last one.
fn request(spec: &JobSpec, text: Value) -> [Value; 6] {
    [
        spec.queue.as_str().into(),
        spec.kind.as_str().into(),
        spec.tenant.as_deref().into(),
        spec.unique.as_ref().map(|u| u.key.as_str()).into(),
        spec.batch.into(),
        text,
    ]
}

impl<D: Database> Table for Rows<D> {
    fn insert(&mut self, id: JobId, wanted: &Request, status: &JobStatus) -> Result<()> {
        let mut values = vec![id.into()];
        values.extend(columns(status)?);
        values.extend(request(&wanted.spec, wanted.text.as_str().into()));
        self.moved(status.state);
        self.database.run(
            "insert into jobs (id, state, rank, run_at, late_at, finished, lease_boot, lease_until, status,
                queue, kind, tenant, unique_key, batch, spec)
                values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15)",
            &values,
        )?;
        Ok(())
    }

    fn update(&mut self, job: &Job, whole: bool) -> Result<()> {
        let mut values = columns(&job.status)?.to_vec();
        values.push(job.id.into());
        self.moved(job.status.state);
        self.database.run(
            "update jobs set state=$1, rank=$2, run_at=$3, late_at=$4, finished=$5, lease_boot=$6, lease_until=$7, status=$8
                where id=$9",
            &values,
        )?;
        if whole {
            let mut values = request(&job.spec, json(&job.spec)?).to_vec();
            values.push(job.id.into());
            let sql = "update jobs set queue=$1, kind=$2, tenant=$3, unique_key=$4, batch=$5, spec=$6 where id=$7";
            self.database.run(sql, &values)?;
        }
        Ok(())
    }

    fn remove(&mut self, id: JobId) -> Result<()> {
        self.database.run("delete from jobs where id=$1", &[id.into()])?;
        self.database.run("delete from history where job=$1", &[id.into()])?;
        Ok(())
    }

    fn get(&self, id: JobId) -> Result<Option<Job>> {
        self.one_job(&format!("{JOB} where id=$1{}", self.database.locks().one), &[id.into()])
    }

    fn promote(&mut self, unix_ms: u64) -> Result<()> {
        let first = "select run_at from jobs where state=0 order by run_at limit 1";
        if self.is_before(|seen| &mut seen.next_due, unix_ms, first)? {
            return Ok(());
        }
        self.seen.borrow_mut().next_due = None;
        let free = self.database.locks().free;
        let due = "state=0 and run_at<=$1";
        let sql = if free.is_empty() {
            format!("update jobs set state=1 where {due}")
        } else {
            // Several who promote at once would wait for each other in a circle.
            format!("update jobs set state=1 where {due} and id = any(array(select id from jobs where {due}{free}))")
        };
        self.database.run(&sql, &[unix_ms.into()])?;
        Ok(())
    }

    fn next(&self, wanted: &Wanted<'_>) -> Result<Option<Job>> {
        let closed =
            |pick: fn(&Scope) -> Option<&String>| -> Vec<&String> { wanted.closed.iter().filter_map(pick).collect() };
        let queues = closed(|s| if let Scope::Queue(name) = s { Some(name) } else { None });
        let kinds = closed(|s| if let Scope::Kind(name) = s { Some(name) } else { None });
        let tenants = closed(|s| if let Scope::Tenant(name) = s { Some(name) } else { None });
        let (mut conditions, mut values) = (String::new(), Vec::new());
        let mut add = |before: &str, names: Value, after: &str| {
            values.push(names);
            let each = D::each(&format!("cast(${} as text)", values.len()));
            conditions.push_str(&format!(" and {before} in ({each}){after}"));
        };
        if !wanted.queues.is_empty() {
            add("queue", json(&wanted.queues)?, "");
        }
        if !wanted.kinds.is_empty() {
            add("kind", json(&wanted.kinds)?, "");
        }
        if !queues.is_empty() {
            add("queue not", json(&queues)?, "");
        }
        if !kinds.is_empty() {
            add("kind not", json(&kinds)?, "");
        }
        if !tenants.is_empty() {
            add("(tenant is null or tenant not", json(&tenants)?, ")");
        }
        let order = format!("where state=1{conditions} order by rank, id limit 1{}", self.database.locks().free);
        if D::ALONE {
            return self.one_job(&format!("{JOB} {} {order}", D::READY), &values);
        }
        // First the name alone: that is found in the index, and read again when it is ours.
        let id = self.one(&format!("select id from jobs {} {order}", D::READY), &values)?;
        id.map(|mut row| row.id(0)).transpose()?.map_or(Ok(None), |id| self.get(id))
    }

    fn orphans(&self, now: &Moment) -> Result<Vec<Job>> {
        let free = self.database.locks().free;
        let sql = format!("{JOB} where state in (2,3) and (lease_until<=$1 or lease_boot<>$2) order by id{free}");
        self.jobs(&sql, &[now.up_ms.into(), Value::from(&*now.boot)])
    }

    fn overdue(&self, unix_ms: u64) -> Result<Vec<Job>> {
        let free = self.database.locks().free;
        let sql = format!("{JOB} where state in (0,1) and late_at is not null and late_at<=$1 order by id{free}");
        self.jobs(&sql, &[unix_ms.into()])
    }

    fn leased(&self, scope: &Scope) -> Result<u64> {
        let sql = "select count(*) from jobs where state in (2,3)";
        let (column, name) = match scope {
            Scope::All => return self.one(sql, &[])?.map_or(Ok(0), |mut row| row.count(0)),
            Scope::Queue(name) => ("queue", name),
            Scope::Kind(name) => ("kind", name),
            Scope::Tenant(name) => ("tenant", name),
        };
        let row = self.one(&format!("{sql} and {column}=$1"), &[name.as_str().into()])?;
        row.map_or(Ok(0), |mut row| row.count(0))
    }

    fn holder_of(&self, key: &str, to_change: bool) -> Result<Option<Job>> {
        let lock = if to_change { self.database.locks().one } else { "" };
        let sql = format!("{JOB} where unique_key=$1 and unique_key is not null and state<4{lock}");
        self.one_job(&sql, &[key.into()])
    }

    fn succeeded_since(&self, key: &str, unix_ms: u64) -> Result<Option<JobId>> {
        let sql = "select id from jobs where unique_key=$1 and unique_key is not null and state=4 and finished>=$2
            order by id desc limit 1";
        self.one(sql, &[key.into(), unix_ms.into()])?.map(|mut row| row.id(0)).transpose()
    }

    fn list(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        let mut values = Vec::new();
        let mut sql = format!("{JOB} where true{}", fits(filter, &mut values));
        values.push((filter.page() as u64).into());
        sql.push_str(&format!(" order by id limit ${}", values.len()));
        self.jobs(&sql, &values)
    }

    fn finished_before(&self, unix_ms: u64, filter: &JobFilter) -> Result<Vec<(JobId, Option<JobId>)>> {
        let mut values = vec![unix_ms.into()];
        let which = fits(filter, &mut values);
        values.push((filter.page() as u64).into());
        let (limit, free) = (values.len(), self.database.locks().free);
        let sql = format!("select id, batch from jobs where {ENDED}{which} order by finished, id limit ${limit}{free}");
        let rows = self.database.all(&sql, &values)?;
        rows.into_iter().map(|mut row| Ok((row.id(0)?, row.maybe_id(1)?))).collect()
    }

    fn count_finished_before(&self, unix_ms: u64, filter: &JobFilter) -> Result<u64> {
        let mut values = vec![unix_ms.into()];
        let sql = format!("select count(*) from jobs where {ENDED}{}", fits(filter, &mut values));
        self.one(&sql, &values)?.map_or(Ok(0), |mut row| row.count(0))
    }

    fn counts(&self) -> Result<Vec<(String, JobState, u64)>> {
        let rows = self.database.all("select queue, state, count(*) from jobs group by state, queue", &[])?;
        rows.into_iter().map(|mut row| Ok((row.text(0)?, row.state(1)?, row.count(2)?))).collect()
    }

    fn oldest(&self) -> Result<Option<u64>> {
        let row = self.one("select run_at from jobs where state=1 order by run_at limit 1", &[])?;
        row.map(|mut row| row.count(0)).transpose()
    }

    fn rules(&self, scope: &Scope) -> Result<Option<ScopeRules>> {
        if self.database.is_unruled() {
            return Ok(None);
        }
        let (name, lock) = (scope.to_string(), self.database.locks().rules);
        if let Some(known) = self.seen.borrow().rules.get(&name) {
            return Ok(known.clone());
        }
        let sql = format!("select rules from scopes where scope=$1{lock}");
        let rules: Option<ScopeRules> = self.documents(&sql, &[name.as_str().into()])?.pop();
        if D::ALONE {
            self.seen.borrow_mut().rules.insert(name, rules.clone());
        }
        Ok(rules)
    }

    fn all_rules(&self) -> Result<Vec<ScopeRules>> {
        self.documents("select rules from scopes order by scope", &[])
    }

    fn set_rules(&mut self, rules: &ScopeRules) -> Result<()> {
        self.seen.borrow_mut().rules.remove(&rules.scope);
        let sql =
            "insert into scopes (scope, rules) values ($1,$2) on conflict (scope) do update set rules=excluded.rules";
        self.database.run(sql, &[rules.scope.as_str().into(), json(rules)?])?;
        Ok(())
    }

    fn schedules(&self) -> Result<Vec<ScheduleStatus>> {
        self.documents("select schedule from schedules order by name", &[])
    }

    fn due_schedules(&self, unix_ms: u64) -> Result<Vec<ScheduleStatus>> {
        let first = "select next_at from schedules where next_at is not null order by next_at limit 1";
        if self.is_before(|seen| &mut seen.next_tick, unix_ms, first)? {
            return Ok(Vec::new());
        }
        let free = self.database.locks().free;
        let sql =
            format!("select schedule from schedules where next_at is not null and next_at<=$1 order by name{free}");
        self.documents(&sql, &[unix_ms.into()])
    }

    fn set_schedule(&mut self, schedule: &ScheduleStatus) -> Result<()> {
        self.seen.borrow_mut().next_tick = None;
        let sql = "insert into schedules (name, next_at, schedule) values ($1,$2,$3)
            on conflict (name) do update set next_at=excluded.next_at, schedule=excluded.schedule";
        self.database.run(sql, &[schedule.schedule.name.as_str().into(), schedule.next_ms.into(), json(schedule)?])?;
        Ok(())
    }

    fn remove_schedule(&mut self, name: &str) -> Result<bool> {
        Ok(self.database.run("delete from schedules where name=$1", &[name.into()])? > 0)
    }

    fn note(&mut self, id: JobId, entry: &HistoryEntry) -> Result<()> {
        self.database.run("insert into history (job, entry) values ($1,$2)", &[id.into(), json(entry)?])?;
        self.database.stepped(entry.to);
        Ok(())
    }

    fn history(&self, id: JobId) -> Result<Vec<HistoryEntry>> {
        self.documents("select entry from history where job=$1 order by rowid", &[id.into()])
    }

    fn add_batch(&mut self, batch: &Batch) -> Result<()> {
        self.database.run("insert into batches (id, batch) values ($1,$2)", &[batch.id.into(), json(batch)?])?;
        Ok(())
    }

    fn remove_batch(&mut self, id: JobId) -> Result<()> {
        self.database.run("delete from batches where id=$1", &[id.into()])?;
        Ok(())
    }

    fn batch(&self, id: JobId) -> Result<Option<Batch>> {
        Ok(self.documents("select batch from batches where id=$1", &[id.into()])?.pop())
    }

    fn batches(&self, limit: usize) -> Result<Vec<Batch>> {
        self.documents("select batch from batches order by id desc limit $1", &[(limit as u64).into()])
    }

    fn batch_states(&self, id: JobId) -> Result<BTreeMap<JobState, u64>> {
        let rows = self.database.all("select state, count(*) from jobs where batch=$1 group by state", &[id.into()])?;
        rows.into_iter().map(|mut row| Ok((row.state(0)?, row.count(1)?))).collect()
    }
}
