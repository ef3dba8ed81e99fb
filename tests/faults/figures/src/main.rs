//! Figures of the job store: one line `ID what: value, goal ...: PASS|FAIL` each; exit code 1 when one fails.
//!
//! `cargo run --release -p pure-sound-job-figures -- [enqueue|latency|exactly|postgres|all] [FOLDER] [long]`: FOLDER is on the disk that is
//! meant (default: the system's folder for temporary files); `long` does as many as the goals say. `postgres` needs a server, named by
//! PURESOUND_TEST_POSTGRES: `PURESOUND_TEST_FSYNC=on tests/with_services --only postgres ...` starts one.

mod child;
mod enqueue;
mod exactly;
mod latency;
mod load;
mod postgres;

use std::path::{Path, PathBuf};
use std::time::Duration;

use pure_sound::Error;

/// One figure beside its goal.
fn line(id: &str, what: &str, value: impl std::fmt::Display, goal: &str, good: bool) -> bool {
    println!("{id} {what}: {value}, goal {goal}: {}", if good { "PASS" } else { "FAIL" });
    good
}

/// A figure of speed beside its goal. It is told and does not count unless asked for: on a busy machine it says nothing about the code.
fn timing(id: &str, what: &str, value: impl std::fmt::Display, goal: &str, good: bool) -> bool {
    if std::env::var_os("PURESOUND_TIMES_COUNT").is_some() {
        return line(id, what, value, goal, good);
    }
    println!("{id} {what}: {value}, goal {goal}: {}", if good { "PASS" } else { "MISSED (not counted)" });
    true
}

/// The value below which 99 of 100 lie.
fn p99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get((times.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn run(what: &str, folder: &Path, long: bool) -> Result<bool, Error> {
    let mut good = true;
    if matches!(what, "enqueue" | "all") {
        good &= enqueue::run(folder, if long { 20_000 } else { 4_000 })?;
    }
    if matches!(what, "latency" | "all") {
        good &= latency::run(folder, if long { 1_000 } else { 200 })?;
    }
    if matches!(what, "exactly" | "all") {
        good &= exactly::run(folder, if long { 50_000 } else { 4_000 })?;
    }
    if what == "postgres" {
        good &= postgres::run(folder, long)?;
    }
    Ok(good)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|a| a == "--child") {
        return child::work(&args[1..]);
    }
    let long = args.iter().any(|a| a == "long");
    if args.first().is_some_and(|a| a == "--load") {
        if let Err(error) = load::run(&args[1..]) {
            eprintln!("error: {error}");
            std::process::exit(1);
        }
        return;
    }
    let mut words = args.iter().filter(|a| *a != "long");
    let what = words.next().map_or("all", String::as_str);
    if !["enqueue", "latency", "exactly", "postgres", "all"].contains(&what) {
        eprintln!("usage: pure-sound-job-figures [enqueue|latency|exactly|postgres|all] [FOLDER] [long]");
        std::process::exit(2);
    }
    let folder = words.next().map_or_else(std::env::temp_dir, PathBuf::from);
    match run(what, &folder, long) {
        Ok(good) => std::process::exit(i32::from(!good)),
        Err(error) => {
            eprintln!("error: {error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
            std::process::exit(1);
        }
    }
}

/// A fresh folder on the disk that is meant.
fn fresh(folder: &Path) -> Result<tempfile::TempDir, Error> {
    tempfile::tempdir_in(folder).map_err(|source| Error::Io { op: "create folder", path: Some(folder.into()), source })
}
