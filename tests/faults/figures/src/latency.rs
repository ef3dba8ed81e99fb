//! G6: how long it takes from asking for a job until a worker that has nothing else to do begins it.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pure_sound::Error;
use pure_sound::jobs::*;
use serde_json::json;

use crate::{child, fresh, ms, p99, timing};

pub fn run(folder: &Path, samples: usize) -> Result<bool, Error> {
    let folder = fresh(folder)?;
    let mut syncs = synced_writes(folder.path(), samples)?;
    let sync = p99(&mut syncs);

    let db = folder.path().join("in.db");
    let log = folder.path().join("in.log");
    let store: Arc<dyn JobStore> = Arc::new(SqliteStore::open(&db, &SqliteOptions::default())?);
    let pool = WorkerPool::start(Arc::clone(&store), child::handlers(&log)?, None, WorkerOptions::default())?;
    let mut inside = one_by_one(&*store, &log, samples)?;
    pool.stop(Duration::from_secs(10));

    let (db, log) = (folder.path().join("out.db"), folder.path().join("out.log"));
    let store = SqliteStore::open(&db, &SqliteOptions::default())?;
    let other = child::start(&db.to_string_lossy(), &log, 1, 30_000)?;
    let mut outside = one_by_one(&store, &log, samples)?;
    child::end(other)?;

    let mut good = true;
    for (what, times, goal_ms) in [("in the same process", &mut inside, 10), ("in another process", &mut outside, 100)]
    {
        let goal = Duration::from_millis(goal_ms).max(3 * sync);
        let found = p99(times);
        let median = times[times.len() / 2];
        let value = format!("p99 {} (median {})", ms(found), ms(median));
        let wanted = format!("<= {} (3 synced writes at p99: {})", ms(goal), ms(3 * sync));
        good &=
            timing("G6", &format!("enqueue to start, idle, {what}, {samples} samples"), value, &wanted, found <= goal);
    }
    Ok(good)
}

/// Writes of a page, each synced: what the disk does at best.
fn synced_writes(folder: &Path, samples: usize) -> Result<Vec<Duration>, Error> {
    let told = |source| Error::Io { op: "write", path: None, source };
    let mut file = File::create(folder.join("sync")).map_err(told)?;
    let one = |_| {
        let begun = Instant::now();
        file.write_all(&[7; 4096]).and_then(|()| file.sync_data()).map_err(told)?;
        Ok(begun.elapsed())
    };
    (0..samples).map(one).collect()
}

/// Asks for one job after the other; the times from before asking to the begin.
fn one_by_one(store: &dyn JobStore, log: &Path, samples: usize) -> Result<Vec<Duration>, Error> {
    let mut asked = Vec::new();
    let mut seen = 0;
    for n in 0..samples {
        // Longer than any poll, and not in step with it.
        std::thread::sleep(Duration::from_millis(20 + (n as u64 * 7) % 50));
        asked.push(child::now_ns());
        let id = store.enqueue(vec![JobSpec::new(child::KIND, json!(n))])?[0].id;
        while !store.get(id)?.status.state.is_over() {
            seen = store.wait(seen, Duration::from_secs(1))?;
        }
    }
    let text =
        std::fs::read_to_string(log).map_err(|source| Error::Io { op: "read", path: Some(log.into()), source })?;
    let begun = |row: &str| {
        let (n, at) = row.split_once(' ')?;
        let nanos = at.parse::<u128>().ok()?.saturating_sub(asked[n.parse::<usize>().ok()?]);
        Some(Duration::from_nanos(u64::try_from(nanos).ok()?))
    };
    let times: Vec<_> = text.lines().filter_map(begun).collect();
    if times.len() != samples {
        return Err(Error::Unavailable { what: format!("worker: {} of {samples} jobs began", times.len()) });
    }
    Ok(times)
}
