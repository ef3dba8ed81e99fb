//! G7: many processes, no faults: each job is run exactly once.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use pure_sound::Error;
use pure_sound::jobs::*;
use serde_json::json;

use crate::{child, fresh, line};

const PROCESSES: usize = 4;
const THREADS: usize = 4;

pub fn run(folder: &Path, jobs: usize) -> Result<bool, Error> {
    let folder = fresh(folder)?;
    let db = folder.path().join("jobs.db");
    on(&db.to_string_lossy(), "SQLite", folder.path(), jobs)
}

/// In the store at a place, see [`child::open`].
pub fn on(place: &str, name: &str, folder: &Path, jobs: usize) -> Result<bool, Error> {
    let log = folder.join("log");
    let store = child::open(place)?;
    let children = (0..PROCESSES).map(|_| child::start(place, &log, THREADS, 30_000)).collect::<Result<Vec<_>, _>>()?;
    let begun = Instant::now();
    let mut busy = 0;
    for first in (0..jobs).step_by(500) {
        let specs = (first..jobs.min(first + 500)).map(|n| JobSpec::new(child::KIND, json!(n))).collect();
        busy += usize::from(store.enqueue(specs).is_err());
    }
    let mut seen = 0;
    loop {
        let stats = store.stats()?;
        if stats.states.get(&JobState::Succeeded).is_some_and(|n| *n >= jobs as u64) {
            break;
        }
        if stats.states.contains_key(&JobState::Dead) || begun.elapsed() > Duration::from_secs(1800) {
            break;
        }
        seen = store.wait(seen, Duration::from_secs(1))?;
        std::thread::sleep(Duration::from_millis(100));
    }
    let seconds = begun.elapsed().as_secs_f64();
    let warnings = children.into_iter().map(child::end).sum::<Result<u64, _>>()?;
    let text = std::fs::read_to_string(&log).map_err(|source| Error::Io { op: "read", path: Some(log), source })?;
    let mut runs = HashMap::<&str, u32>::new();
    for row in text.lines() {
        *runs.entry(row.split(' ').next().unwrap_or_default()).or_default() += 1;
    }
    let twice = runs.values().filter(|n| **n > 1).count();
    let never = jobs - runs.len().min(jobs);
    let what = format!(
        "{name}, {jobs} jobs by {PROCESSES} processes with {THREADS} threads each ({:.0} jobs/s): never, twice, errors of the store",
        jobs as f64 / seconds
    );
    let value = format!("{never}, {twice}, {}", warnings + busy as u64);
    Ok(line("G7", &what, value, "0, 0, 0", never == 0 && twice == 0 && warnings == 0 && busy == 0))
}
