//! G26: an engine that did a job and whose host counts under 10,000 hostile label values; the text goes to a file, for a reader that
//! did not come from this project (`openmetrics.py`).

use std::path::Path;
use std::time::{Duration, Instant};

use pure_sound::Engine;
use pure_sound::config::{Config, ConfigOptions};
use pure_sound::observe::Label;
use pure_sound::processing::Control;

use crate::{cost, timing};

/// Label values that try to break lines, quotes, keys, readers and memory.
fn hostile(n: u32) -> String {
    match n % 10 {
        0 => format!("a\"b{n}"),
        1 => format!("a\\{n}\\"),
        2 => format!("line\n# TYPE x counter\nx_total {n}"),
        3 => format!("}} {n} # {{trace_id=\"x\"}} 1"),
        4 => format!("\u{0}\u{1f}\u{7f}\r{n}"),
        5 => format!("\u{2028}\u{85}{n}\u{202e}"),
        6 => format!("{n}{}", "x".repeat(100_000)),
        7 => format!("ünï😀{n}"),
        8 => format!("# EOF\n{n}"),
        _ => format!("{n},le=\"+Inf\""),
    }
}

pub fn run(file: &Path) -> bool {
    measure(file).unwrap_or_else(|e| {
        println!("G26: FAIL: {e}");
        false
    })
}

fn measure(file: &Path) -> Result<bool, Box<dyn std::error::Error>> {
    let config = Config::open(ConfigOptions::new())?;
    let engine = Engine::builder().config(&config).build()?;
    let dir = tempfile::tempdir()?;
    engine.process(&cost::recipe(&engine, dir.path())?, &Control::default())?;
    engine.health().all();
    let metrics = engine.metrics();
    let requests =
        metrics.counter("host_requests", "Requests by who asks.", [Label::any("who"), Label::any("what")])?;
    let sizes = metrics.histogram("host_size_bytes", "Sizes by who asks.", &[1.0, 1e3, 1e6], [Label::any("who")])?;
    for n in 0..10_000 {
        requests.with(&[&hostile(n), "get"]).inc();
        sizes.with(&[&hostile(n)]).observe(f64::from(n));
    }
    let mut worst = Duration::ZERO;
    for _ in 0..20 {
        let start = Instant::now();
        let text = metrics.to_openmetrics();
        worst = worst.max(start.elapsed());
        std::hint::black_box(text);
    }
    let text = metrics.to_openmetrics();
    std::fs::write(file, &text)?;
    let ms = worst.as_secs_f64() * 1e3;
    let what = format!("slowest scrape of 20, {} KiB, ms", text.len() >> 10);
    Ok(timing("G26", &what, format_args!("{ms:.1}"), "<= 20", ms <= 20.0))
}
