//! What observing costs: CPU time of the main job with and without, in turns; and the start and memory of an idle engine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pure_sound::Engine;
use pure_sound::events::SubscribeOptions;
use pure_sound::observe::LogLevel;
use pure_sound::processing::{Control, Output, Recipe};

use crate::{line, status_kib, timing};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The main job: speech, cleaned, levelled, encoded, verified.
pub fn recipe(engine: &Engine, folder: &Path) -> Outcome<Recipe> {
    let mut recipe = engine.presets().recipe("podcast", &serde_json::json!({}))?;
    recipe.input = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../examples/media/speech.flac");
    recipe.outputs = vec![Output { path: folder.join("out.opus"), format: None }];
    Ok(recipe)
}

pub fn run(rounds: u64) -> bool {
    let overhead = overhead(rounds);
    let idle = idle();
    [overhead, idle].into_iter().all(|outcome| {
        outcome.unwrap_or_else(|e| {
            println!("observe: FAIL: {e}");
            false
        })
    })
}

/// CPU time of this process, with all threads that are or were.
#[cfg(target_os = "linux")]
fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
#[cfg(not(target_os = "linux"))]
fn cpu() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

fn overhead(rounds: u64) -> Outcome<bool> {
    let dir = tempfile::tempdir()?;
    // Without anything; as it is by default, with nobody listening; and with somebody who takes every event and log record.
    let off = Engine::builder().observe(false).build()?;
    let on = Engine::new()?;
    let (events, records) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let taken = Arc::clone(&records);
    let heard = Engine::builder()
        .log(
            LogLevel::Debug,
            Arc::new(move |_| {
                taken.fetch_add(1, Ordering::Relaxed);
            }),
        )
        .build()?;
    let seen = Arc::clone(&events);
    let _all = heard.events().subscribe(SubscribeOptions::new("**"), move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        Ok(())
    })?;
    let engines = [&off, &on, &heard];
    let mut times = [const { Vec::new() }; 3];
    // The first round warms up. The order changes, so that no engine always runs after the same other.
    for round in 0..=rounds {
        for turn in 0..3 {
            let which = ((round + turn) % 3) as usize;
            let engine = engines[which];
            let recipe = recipe(engine, dir.path())?;
            let before = cpu();
            engine.process(&recipe, &Control::default())?;
            if round > 0 {
                times[which].push((cpu() - before).as_secs_f64());
            }
        }
    }
    let (events, records) = (events.load(Ordering::Relaxed), records.load(Ordering::Relaxed));
    println!("observe: {rounds} rounds of the main job, {:.2} s of CPU each, in turns", least(&times[0]));
    let [off_s, on_s, heard_s] = times.map(|t| least(&t));
    let percent = |with: f64| 100.0 * (with / off_s - 1.0);
    let shown = |value: f64| format!("{value:+.2}");
    Ok([
        line("observe", "events and records taken", events.min(records), ">= 1", events.min(records) >= 1),
        // The least of many runs is what the work costs; the rest of each is what else the machine did.
        timing(
            "observe",
            "events, metrics and spans, % of CPU time",
            shown(percent(on_s)),
            "<= 1",
            percent(on_s) <= 1.0,
        ),
        timing(
            "observe",
            "the same with a subscriber and a log at debug, %",
            shown(percent(heard_s)),
            "<= 1",
            percent(heard_s) <= 1.0,
        ),
    ]
    .iter()
    .all(|good| *good))
}

fn least(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

/// In a process of its own: time to make an engine, and memory before and after.
pub fn start_here() {
    let before = status_kib("VmRSS").unwrap_or_default();
    let start = Instant::now();
    let engine = Engine::new();
    let micros = start.elapsed().as_micros();
    std::thread::sleep(Duration::from_millis(50));
    let after = status_kib("VmRSS").unwrap_or_default();
    println!("{micros} {before} {after} {}", engine.is_ok());
}

fn idle() -> Outcome<bool> {
    let mut starts = Vec::new();
    let mut grown = Vec::new();
    for _ in 0..11 {
        let done = Command::new(std::env::current_exe()?).arg("--start").output()?;
        let text = String::from_utf8(done.stdout)?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let [micros, before, after, "true"] = words.as_slice() else { return Err(format!("no start: {text}").into()) };
        starts.push(micros.parse::<u64>()?);
        grown.push(after.parse::<u64>()?.saturating_sub(before.parse()?));
    }
    starts.sort_unstable();
    grown.sort_unstable();
    let (ms, kib) = (starts[5] as f64 / 1e3, grown[5]);
    Ok([
        timing(
            "observe",
            "start of an engine in a new process, ms, median of 11",
            format_args!("{ms:.2}"),
            "<= 5",
            ms <= 5.0,
        ),
        line("observe", "memory of an idle engine beyond a bare process, KiB", kib, "<= 8192", kib <= 8192),
    ]
    .iter()
    .all(|good| *good))
}
