//! The same of a store in PostgreSQL: G5 and G7, and G2 with workers that are killed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls, Statement};
use pure_sound::Error;
use pure_sound::jobs::*;
use serde_json::json;

use crate::enqueue::{CALLERS, ours, payload};
use crate::{child, exactly, fresh, line, timing};

/// Connections of a store, and of the bare loop beside it.
const CONNECTIONS: usize = 8;
const LEASE_MS: u64 = 2000;
const THREADS: usize = 2;

/// A schema that is gone with this.
struct Schema {
    server: String,
    name: &'static str,
}

impl Schema {
    fn new(server: &str, name: &'static str) -> Result<Self, Error> {
        let schema = Self { server: server.into(), name };
        schema.drop_it()?;
        Ok(schema)
    }

    fn client(&self) -> Result<Client, Error> {
        Client::connect(&self.server, NoTls).map_err(told)
    }

    fn drop_it(&self) -> Result<(), Error> {
        let words = format!("set client_min_messages = warning; drop schema if exists {} cascade", self.name);
        self.client()?.batch_execute(&words).map_err(told)
    }

    fn place(&self) -> String {
        format!("postgres:{}", self.name)
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        // The server is thrown away, too.
        let _ = self.drop_it();
    }
}

fn told(error: postgres::Error) -> Error {
    Error::Unavailable {
        what: format!("bare database: {error}: {:?}", std::error::Error::source(&error).map(ToString::to_string)),
    }
}

pub fn run(folder: &Path, long: bool) -> Result<bool, Error> {
    let Some(server) = std::env::var(child::SERVER).ok().filter(|text| !text.is_empty()) else {
        println!("skipped: figures of PostgreSQL: set {}, or use tests/with_services", child::SERVER);
        return Ok(true);
    };
    let folder = fresh(folder)?;
    let mut good = rates(&server, if long { 20_000 } else { 3_000 })?;
    let schema = Schema::new(&server, "puresound_figures_exactly")?;
    good &= exactly::on(&schema.place(), "PostgreSQL", folder.path(), if long { 50_000 } else { 2_000 })?;
    drop(schema);
    let (jobs, kills) = if long { (10_000, 200) } else { (600, 12) };
    good &= killed(&server, &folder.path().join("kills"), jobs, kills)?;
    Ok(good)
}

fn rates(server: &str, jobs: usize) -> Result<bool, Error> {
    let schema = Schema::new(server, "puresound_figures_rates")?;
    let ours = ours(&*child::open(&schema.place())?, jobs, &payload())?;
    let bare = bare(&schema, jobs)?;
    let mut good = true;
    for (what, ours, bare) in [("enqueue", ours.enqueued, bare.0), ("claim and completion", ours.claimed, bare.1)] {
        let what = format!("PostgreSQL, durable {what}, {CALLERS} callers on {CONNECTIONS} connections, {jobs} jobs");
        let goal = format!(">= {:.0}/s (0.7 x bare loops on as many connections)", 0.7 * bare);
        good &= timing("G5", &what, format!("{ours:.0}/s"), &goal, ours >= 0.7 * bare);
    }
    Ok(good)
}

/// Bare loops on as many connections, which write the same rows: inserts a second; and claims with completions.
fn bare(schema: &Schema, jobs: usize) -> Result<(f64, f64), Error> {
    let path = format!("set search_path to {}", schema.name);
    let mut db = schema.client()?;
    db.batch_execute(&path).map_err(told)?;
    // Rows of the store as a pattern, with names of their own.
    let words = "create table pattern as select * from jobs limit 1;
        create table entry as select entry from history limit 1; truncate jobs; truncate history";
    db.batch_execute(words).map_err(told)?;
    type Work = dyn Fn(&mut Client, &[Statement], usize) -> Result<(), postgres::Error> + Sync;
    let each = |statements: &[&str], work: &Work| {
        let next = AtomicUsize::new(0);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let loops: Vec<_> = (0..CONNECTIONS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut db = schema.client()?;
                        db.batch_execute(&path).map_err(told)?;
                        let ready = statements.iter().map(|sql| db.prepare(sql)).collect::<Result<Vec<_>, _>>();
                        let ready = ready.map_err(told)?;
                        loop {
                            let n = next.fetch_add(1, Ordering::Relaxed);
                            if n >= jobs {
                                return Ok::<(), Error>(());
                            }
                            work(&mut db, &ready, n).map_err(told)?;
                        }
                    })
                })
                .collect();
            let ended = |done: std::thread::ScopedJoinHandle<'_, Result<(), Error>>| {
                done.join().unwrap_or(Err(Error::Closed { what: "connection" }))
            };
            loops.into_iter().try_for_each(ended)
        })?;
        Ok::<f64, Error>(jobs as f64 / begun.elapsed().as_secs_f64())
    };
    const NOTE: &str = "insert into history (job, entry) select cast(cast($1 as text) as uuid), entry from entry";
    const MOVE: &str = "update jobs set state=$2, status=$3 where id=cast(cast($1 as text) as uuid)";
    let insert = "insert into jobs (id, state, queue, kind, rank, run_at, spec, status)
        select cast(cast($1 as text) as uuid), 1, queue, kind, rank, run_at, spec, status from pattern";
    let inserted = each(&[insert, NOTE], &|db, ready, n| {
        let id = format!("00000000-0000-0000-0000-{n:012x}");
        // As each caller of a store does: two statements, one transaction.
        let mut step = db.transaction()?;
        step.execute(&ready[0], &[&id])?;
        step.execute(&ready[1], &[&id])?;
        step.commit()
    })?;
    let next =
        "select cast(id as text), status from jobs where state=1 order by rank, id limit 1 for update skip locked";
    let held = "select status from jobs where id=cast(cast($1 as text) as uuid) for update";
    let claimed = each(&[next, held, MOVE, NOTE], &|db, ready, _| {
        let mut step = db.transaction()?;
        let row = step.query_one(&ready[0], &[])?;
        let (id, status): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        step.execute(&ready[2], &[&id, &2_i64, &status])?;
        step.execute(&ready[3], &[&id])?;
        step.commit()?;
        let mut step = db.transaction()?;
        step.query_one(&ready[1], &[&id])?;
        step.execute(&ready[2], &[&id, &4_i64, &status])?;
        step.execute(&ready[3], &[&id])?;
        step.commit()
    })?;
    Ok((inserted, claimed))
}

/// G2 on several machines' store: two worker processes, of which one is killed again and again.
fn killed(server: &str, log: &Path, jobs: usize, kills: usize) -> Result<bool, Error> {
    let schema = Schema::new(server, "puresound_figures_kills")?;
    let place = schema.place();
    let store: Arc<dyn JobStore> = child::open(&place)?;
    for first in (0..jobs).step_by(500) {
        // Kills here are not the fault of a job.
        let spec = |n| JobSpec { max_crashes: 1000, ..JobSpec::new(child::KIND, json!({ "n": n, "ms": 20 })) };
        store.enqueue((first..jobs.min(first + 500)).map(spec).collect())?;
    }
    let start = || child::start(&place, log, THREADS, LEASE_MS);
    let mut workers = vec![start()?, start()?];
    let (mut done, begun) = (0, Instant::now());
    let over = |store: &dyn JobStore| {
        let states = store.stats()?.states;
        Ok::<u64, Error>(states.iter().filter(|(state, _)| state.is_over()).map(|(_, n)| n).sum())
    };
    while over(&*store)? < jobs as u64 && begun.elapsed() < Duration::from_secs(1800) {
        // Between 50 and 350 ms, and not in step with anything.
        std::thread::sleep(Duration::from_millis(50 + (done as u64 * 97) % 300));
        if done < kills {
            let victim = &mut workers[done % 2];
            let gone = |source| Error::Io { op: "kill a worker", path: None, source };
            victim.kill().and_then(|()| victim.wait()).map_err(gone)?;
            *victim = start()?;
            done += 1;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    workers.into_iter().try_for_each(|worker| child::end(worker).map(drop))?;
    let succeeded = store.stats()?.states.get(&JobState::Succeeded).copied().unwrap_or(0) as usize;
    let (mut ends, mut claims, mut filter) = (0, 0, JobFilter { limit: 500, ..JobFilter::default() });
    loop {
        let page = store.list(&filter)?;
        for job in &page {
            claims += job.status.claims as usize;
            let life = store.history(job.id)?;
            ends += usize::from(life.iter().filter(|step| step.to == JobState::Succeeded).count() == 1);
        }
        match page.last() {
            Some(last) if page.len() == filter.limit => filter.after = Some(last.id),
            _ => break,
        }
    }
    let text =
        std::fs::read_to_string(log).map_err(|source| Error::Io { op: "read", path: Some(log.into()), source })?;
    let mut runs = HashMap::<&str, usize>::new();
    for row in text.lines() {
        *runs.entry(row.split(' ').next().unwrap_or_default()).or_default() += 1;
    }
    let (lost, reruns) = (jobs - succeeded.min(runs.len()), claims - jobs.min(claims));
    let what =
        format!("PostgreSQL, {done} kills of workers, {jobs} jobs in {seconds:.0} s: lost, not ended once, run again");
    let value = format!("{lost}, {}, {reruns}", jobs - ends);
    let goal = format!("0, 0, at most {} (kills x threads)", done * THREADS);
    Ok(line("G2", &what, value, &goal, lost == 0 && ends == jobs && reruns <= done * THREADS && done == kills))
}
