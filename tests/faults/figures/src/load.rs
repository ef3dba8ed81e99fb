//! `--load DATABASE ACKS JOBS`: threads that enqueue, claim and complete jobs, and write down each call that has returned.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use pure_sound::Error;
use pure_sound::jobs::*;
use serde_json::json;

use crate::child::KIND;

const ENQUEUERS: usize = 6;
const WORKERS: usize = 4;

pub fn run(args: &[String]) -> Result<(), Error> {
    let [db, acks, jobs] = args else { return Err(Error::Conflict { what: "three arguments".into() }) };
    let jobs: usize = jobs.parse().map_err(|_| Error::Conflict { what: format!("'{jobs}' is no number") })?;
    let told = |source| Error::Io { op: "write", path: Some(acks.into()), source };
    let acks = OpenOptions::new().append(true).create(true).open(acks).map_err(told)?;
    // One write each: lines of threads do not mix.
    let note = |what: &str, id: JobId| {
        let line = format!("{what} {}\n", id.to_string().replace('-', "").to_uppercase());
        (&acks).write_all(line.as_bytes()).map_err(told)
    };
    let store = SqliteStore::open(db, &SqliteOptions::default())?;
    let (left, done) = (AtomicUsize::new(jobs), AtomicUsize::new(0));
    let enqueue = || {
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
            let made = store.enqueue(vec![JobSpec::new(KIND, json!({ "text": "x".repeat(300) }))])?;
            made.iter().try_for_each(|made| note("e", made.id))?;
        }
        Ok(())
    };
    let work = || {
        while done.load(Ordering::Relaxed) < jobs {
            let Some(claimed) = store.claim(&ClaimRequest::new("load"))? else {
                store.wait(0, std::time::Duration::from_millis(1))?;
                continue;
            };
            if store.complete(&claimed.lease, Some(json!({ "ok": true })))?.is_some() {
                note("c", claimed.job.id)?;
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let mut threads: Vec<_> = (0..ENQUEUERS).map(|_| scope.spawn(enqueue)).collect();
        threads.extend((0..WORKERS).map(|_| scope.spawn(work)));
        let ended = |thread: std::thread::ScopedJoinHandle<'_, Result<(), Error>>| {
            thread.join().unwrap_or(Err(Error::Closed { what: "thread" }))
        };
        threads.into_iter().try_for_each(ended)
    })
}
