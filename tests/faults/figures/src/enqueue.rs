//! G5: how many jobs a second can be noted durably, and given out and ended, by many callers at a time, beside bare loops that write
//! the same rows to the same tables.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use pure_sound::Error;
use pure_sound::jobs::*;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::{child, fresh, timing};

pub const CALLERS: usize = 64;

pub fn run(folder: &Path, jobs: usize) -> Result<bool, Error> {
    let folder = fresh(folder)?;
    let payload = payload();
    let store = SqliteStore::open(folder.path().join("ours.db"), &SqliteOptions::default())?;
    let ours = ours(&store, jobs, &payload)?;
    drop(store);
    let bare = bare(folder.path(), jobs, &payload)?;

    let enough = f64::min(20.0 * bare.single, 0.5 * bare.normal);
    let value = format!("{:.0}/s", ours.enqueued);
    let goal = format!(
        ">= {:.0}/s (0.7 x bare groups of 100) and >= {enough:.0}/s (20 x bare single {:.0}, or half of bare unsynced {:.0})",
        0.7 * bare.grouped,
        bare.single,
        bare.normal
    );
    let enqueued = ours.enqueued >= 0.7 * bare.grouped && ours.enqueued >= enough;
    let mut good = timing("G5", &format!("durable enqueue, {CALLERS} callers, {jobs} jobs"), value, &goal, enqueued);
    let goal = format!(">= {:.0}/s (0.7 x bare groups of {CALLERS})", 0.7 * bare.claimed);
    let value = format!("{:.0}/s", ours.claimed);
    good &= timing(
        "G5",
        &format!("durable claim and completion, {CALLERS} callers, {jobs} jobs"),
        value,
        &goal,
        ours.claimed >= 0.7 * bare.claimed,
    );
    Ok(good)
}

/// What a request for a recording looks like.
pub fn payload() -> Value {
    json!({ "input": "/recordings/2026/talk.mp3", "output": "/ready/2026/talk.opus", "preset": "podcast" })
}

pub struct Ours {
    pub enqueued: f64,
    pub claimed: f64,
}

/// What such a store does with so many jobs.
pub fn ours(store: &dyn JobStore, jobs: usize, payload: &Value) -> Result<Ours, Error> {
    let spec = JobSpec::new(child::KIND, payload.clone());
    let rate = |work: &(dyn Fn() -> Result<(), Error> + Sync)| {
        let left = AtomicUsize::new(jobs);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..CALLERS)
                .map(|_| {
                    scope.spawn(|| {
                        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
                            work()?;
                        }
                        Ok::<(), Error>(())
                    })
                })
                .collect();
            let ended = |caller: std::thread::ScopedJoinHandle<'_, Result<(), Error>>| {
                caller.join().unwrap_or(Err(Error::Closed { what: "caller" }))
            };
            callers.into_iter().try_for_each(ended)
        })?;
        Ok::<f64, Error>(jobs as f64 / begun.elapsed().as_secs_f64())
    };
    let enqueued = rate(&|| store.enqueue(vec![spec.clone()]).map(drop))?;
    let claimed = rate(&|| {
        let nothing = || Error::Unavailable { what: "job to claim".into() };
        let claimed = store.claim(&ClaimRequest::new("caller"))?.ok_or_else(nothing)?;
        store.complete(&claimed.lease, None)?.ok_or_else(nothing)
    })?;
    Ok(Ours { enqueued, claimed })
}

struct Bare {
    /// One row with its history in a transaction.
    single: f64,
    /// A hundred in a transaction.
    grouped: f64,
    /// One in a transaction that is not synced.
    normal: f64,
    /// Claims and completions in transactions of so many as there are callers.
    claimed: f64,
}

fn bare(folder: &Path, jobs: usize, payload: &Value) -> Result<Bare, Error> {
    let told = |e: rusqlite::Error| Error::Unavailable { what: format!("bare database: {e}") };
    let make = |name: &str, sync: &str| {
        let path = folder.join(name);
        // The tables of a store, and a row of one as a pattern.
        let store = SqliteStore::open(&path, &SqliteOptions::default())?;
        store.enqueue(vec![JobSpec::new(child::KIND, payload.clone())])?;
        drop(store);
        let db = Connection::open(&path).map_err(told)?;
        db.pragma_update(None, "journal_mode", "wal").map_err(told)?;
        db.pragma_update(None, "synchronous", sync).map_err(told)?;
        Ok::<_, Error>(db)
    };
    let single = inserts(&mut make("single.db", "full")?, jobs.min(2000), 1).map_err(told)?;
    let normal = inserts(&mut make("normal.db", "normal")?, jobs, 1).map_err(told)?;
    let mut db = make("grouped.db", "full")?;
    let grouped = inserts(&mut db, jobs, 100).map_err(told)?;
    let claimed = claims(&mut db, jobs).map_err(told)?;
    Ok(Bare { single, grouped, normal, claimed })
}

fn inserts(db: &mut Connection, jobs: usize, group: usize) -> rusqlite::Result<f64> {
    let (spec, status, rank): (String, String, i64) =
        db.query_row("select spec, status, rank from jobs limit 1", [], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
    let entry: String = db.query_row("select entry from history limit 1", [], |r| r.get(0))?;
    let begun = Instant::now();
    let mut done = 0_usize;
    while done < jobs {
        let step = db.transaction()?;
        for n in done..jobs.min(done + group) {
            let id = (1_u128 << 120 | n as u128).to_be_bytes();
            step.prepare_cached(
                "insert into jobs (id, state, queue, kind, rank, run_at, spec, status)
                    values (?1, 1, 'default', 'noop', ?2, ?2, ?3, ?4)",
            )?
            .execute(params![id, rank + n as i64, spec, status])?;
            step.prepare_cached("insert into history (job, entry) values (?, ?)")?.execute(params![id, entry])?;
        }
        step.commit()?;
        done += group;
    }
    Ok(jobs as f64 / begun.elapsed().as_secs_f64())
}

fn claims(db: &mut Connection, jobs: usize) -> rusqlite::Result<f64> {
    let entry: String = db.query_row("select entry from history limit 1", [], |r| r.get(0))?;
    let begun = Instant::now();
    let mut done = 0;
    while done < jobs {
        let mut taken: Vec<([u8; 16], String)> = Vec::new();
        for to in [2, 4] {
            let step = db.transaction()?;
            for n in 0..CALLERS.min(jobs - done) {
                if to == 2 {
                    taken.push(
                        step.prepare_cached(
                            "select id, status from jobs indexed by jobs_ready where state=1 order by rank, id limit 1",
                        )?
                        .query_row([], |r| Ok((r.get(0)?, r.get(1)?)))?,
                    );
                }
                let (id, status) = &taken[n];
                step.prepare_cached(
                    "update jobs set state=?2, status=?3, lease_boot=?4, lease_until=?5, finished=?6 where id=?1",
                )?
                .execute(params![
                    id,
                    to,
                    status,
                    (to == 2).then_some("3a3d5b3e-0000-0000-0000-000000000000"),
                    (to == 2).then_some(1),
                    (to == 4).then_some(1)
                ])?;
                step.prepare_cached("insert into history (job, entry) values (?, ?)")?.execute(params![id, entry])?;
            }
            step.commit()?;
        }
        done += CALLERS;
    }
    Ok(jobs as f64 / begun.elapsed().as_secs_f64())
}
