//! G25, the part of the engine: probes while something it depends on is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pure_sound::Engine;
use pure_sound::observe::Probe;
use pure_sound::services::{Health, HealthStatus};

use crate::{line, timing};

/// Probes per second, all threads together.
const RATE: u32 = 5000;
const THREADS: u32 = 4;
/// How long each state holds.
const PHASE: Duration = Duration::from_secs(3);

pub fn run() -> bool {
    measure().unwrap_or_else(|e| {
        println!("G25: FAIL: {e}");
        false
    })
}

fn measure() -> Result<bool, Box<dyn std::error::Error>> {
    let engine = Engine::new()?;
    let (down, stop) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(false));
    let gone = Arc::clone(&down);
    engine.health().register("database:write", "datastore", Probe::Ready, move || {
        // As slow as a database may be.
        std::thread::sleep(Duration::from_millis(20));
        if gone.load(Ordering::Relaxed) { Health::fail("no connection") } else { Health::pass() }
    })?;
    let (probes, dead) = (AtomicU64::new(0), AtomicU64::new(0));
    let failing = || engine.health().ready().checks["database:write"][0].status == HealthStatus::Fail;
    let mut changes = Vec::new();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    engine.health().ready();
                    if engine.health().live().status == HealthStatus::Fail {
                        dead.fetch_add(1, Ordering::Relaxed);
                    }
                    probes.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_secs(1) * THREADS / RATE);
                }
            });
        }
        for state in [false, true, false] {
            down.store(state, Ordering::Relaxed);
            let start = Instant::now();
            while failing() != state && start.elapsed() < PHASE {
                std::thread::sleep(Duration::from_millis(5));
            }
            changes.push(start.elapsed());
            std::thread::sleep(PHASE.saturating_sub(start.elapsed()));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let seconds = begun.elapsed().as_secs_f64();
    let runs = engine.health().runs("database:write").unwrap_or_default();
    let rate = probes.load(Ordering::Relaxed) as f64 / seconds;
    let dead = dead.load(Ordering::Relaxed);
    // One at the start, and one for each second that was begun since.
    let allowed = seconds.ceil() as u64 + 1;
    println!("G25 {rate:.0} probes/s for {seconds:.1} s, 2 changes of a dependency");
    let limit = Duration::from_secs(2);
    Ok([
        line("G25", "live failed", dead, "0", dead == 0),
        line("G25", "checks of the dependency", runs, &format!("<= {allowed}, one a second"), runs <= allowed),
        timing("G25", "until not ready, ms", changes[1].as_millis(), "<= 2000", changes[1] <= limit),
        timing("G25", "until ready again, ms", changes[2].as_millis(), "<= 2000", changes[2] <= limit),
    ]
    .iter()
    .all(|good| *good))
}
