//! Figures of the core services: one line `ID what value goal PASS|FAIL` each; exit code 1 when one fails.
//!
//! `cargo run --release -p pure-sound-service-figures [-- EVENTS [RELOADS [PERMITS [FAULTS [MINUTES [ROUNDS]]]]]]`, by default
//! 1,000,000, 2,000, 10,000,000, 500 a way, recordings of 120 minutes, and 15. With `--metrics FILE` it writes the figures of an engine
//! under hostile labels, for another reader. With `--observed [ROUNDS]` it measures what observing costs, and nothing else.

mod cost;
mod events;
mod faults;
mod health;
mod metrics;
mod permits;
mod queueing;
mod reloads;

/// One figure beside its goal.
fn line(id: &str, what: &str, value: impl std::fmt::Display, goal: &str, good: bool) -> bool {
    println!("{id} {what}: {value}, goal {goal}: {}", if good { "PASS" } else { "FAIL" });
    good
}

/// A figure of time beside its goal. It is told and does not count: on a busy machine it says nothing about the code.
fn timing(id: &str, what: &str, value: impl std::fmt::Display, goal: &str, good: bool) -> bool {
    println!("{id} {what}: {value}, goal {goal}: {}", if good { "PASS" } else { "MISSED (not counted)" });
    true
}

/// A field of `/proc/self/status` in KiB; none where there is no such file.
fn status_kib(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn main() {
    let number = |n: usize, default| std::env::args().nth(n).map_or(Ok(default), |s| s.parse::<u64>());
    match (std::env::args().nth(1).as_deref(), std::env::args().nth(2)) {
        (Some("--start"), _) => return cost::start_here(),
        (Some("--metrics"), Some(file)) => std::process::exit(i32::from(!metrics::run(std::path::Path::new(&file)))),
        (Some("--observed"), rounds) => {
            let rounds = rounds.and_then(|r| r.parse().ok()).unwrap_or(15);
            std::process::exit(i32::from(!(cost::run(rounds) && health::run())));
        }
        _ => {}
    }
    let [Ok(events), Ok(reloads), Ok(permits), Ok(points), Ok(minutes), Ok(rounds)] =
        [number(1, 1_000_000), number(2, 2_000), number(3, 10_000_000), number(4, 500), number(5, 120), number(6, 15)]
    else {
        eprintln!(
            "usage: pure-sound-service-figures [EVENTS [RELOADS [PERMITS [FAULTS [MINUTES [ROUNDS]]]]] | --observed [ROUNDS] | \
             --metrics FILE]"
        );
        std::process::exit(2);
    };
    // Handlers that panic are part of the measurement; their messages are not.
    std::panic::set_hook(Box::new(|info| {
        if !info.to_string().contains("on purpose") {
            eprintln!("{info}");
        }
    }));
    // The budget goes with the length: 512 MiB for two hours.
    let memory_mib = (512 * minutes / 120).clamp(96, 4096) as u32;
    let good = [
        events::run(events),
        reloads::run(reloads),
        permits::run(permits),
        queueing::run(minutes, memory_mib),
        faults::run(points, if points < 100 { 3.0 } else { 10.0 }),
        health::run(),
        cost::run(rounds),
    ];
    std::process::exit(i32::from(good.contains(&false)));
}
