//! G23: reloads under readers, half of them with files that are wrong, torn or swapped.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pure_sound::config::{Config, ConfigOptions, Model};
use pure_sound::events::EventBus;

use crate::{line, timing};

/// Three values that must be equal: what is torn or mixed shows at once.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Triple {
    a: u64,
    b: u64,
    c: u64,
}

impl Model for Triple {
    fn check_together(&self) -> Vec<(&'static str, String)> {
        if self.a == self.b && self.b == self.c { Vec::new() } else { vec![("b", "is not like a and c".into())] }
    }
}

fn text(a: u64, b: u64, c: u64) -> String {
    format!("a: {a}\nb: {b}\nc: {c}\n")
}

/// Replaces a file as careful editors do.
fn replace(path: &Path, content: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, content)?;
    std::fs::rename(new, path)
}

/// Lets the link point to a folder with this content, as Kubernetes does.
#[cfg(unix)]
fn swap(dir: &Path, n: u64, content: &str) -> std::io::Result<()> {
    let data = dir.join(format!("data-{}", n % 2));
    std::fs::create_dir_all(&data)?;
    std::fs::write(data.join("local.yaml"), content)?;
    let new = dir.join("link.new");
    std::os::unix::fs::symlink(&data, &new)?;
    std::fs::rename(&new, dir.join("data"))
}
#[cfg(not(unix))]
fn swap(dir: &Path, _: u64, content: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(dir.join("data"))?;
    replace(&dir.join("data").join("local.yaml"), content)
}

pub fn run(reloads: u64) -> bool {
    measure(reloads).unwrap_or_else(|e| {
        println!("G23: FAIL: {e}");
        false
    })
}

fn measure(reloads: u64) -> Result<bool, Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    swap(dir.path(), 1, &text(0, 0, 0))?;
    let options = ConfigOptions::new().folder(dir.path().join("data"));
    let config: Config<Triple> = Config::load(options, &EventBus::default())?;
    let (stop, mixed, reads, back) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let mut wrong = 0;
    std::thread::scope(|scope| -> Result<(), Box<dyn std::error::Error>> {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut last = 0;
                while !stop.load(Ordering::Relaxed) {
                    let now = config.current();
                    let s = &now.settings;
                    if s.a != s.b || s.b != s.c {
                        mixed.fetch_add(1, Ordering::Relaxed);
                    }
                    if now.number < last {
                        back.fetch_add(1, Ordering::Relaxed);
                    }
                    last = now.number;
                    reads.fetch_add(1, Ordering::Relaxed);
                    drop(now);
                    std::thread::yield_now();
                }
            });
        }
        let mut held = 0;
        for n in 1..=reloads {
            let path = dir.path().join("data").join("local.yaml");
            let good = match n % 8 {
                0 | 2 => replace(&path, &text(n, n, n)).map(|()| true)?,
                4 | 6 => swap(dir.path(), n, &text(n, n, n)).map(|()| true)?,
                // Torn in the middle of a key, of a number, of the file; contradicting; no YAML; a key that is none.
                1 => std::fs::write(&path, &text(n, n, n)[..9]).map(|()| false)?,
                3 => std::fs::write(&path, text(n, n + 1, n)).map(|()| false)?,
                5 => std::fs::write(&path, "a: [1\nb: 2").map(|()| false)?,
                _ => replace(&path, "a: 1\nd: 1\n").map(|()| false)?,
            };
            let accepted = config.reload().is_ok();
            held = if good { n } else { held };
            if accepted != good || config.current().settings.a != held {
                wrong += 1;
            }
        }
        stop.store(true, Ordering::Relaxed);
        Ok(())
    })?;
    let worst = watched(&config, dir.path(), reloads)?;
    let count = |c: &AtomicU64| c.load(Ordering::Relaxed);
    println!("G23 {reloads} reloads, {} reads by 8 readers", count(&reads));
    let good = [
        line("G23", "mixed or invalid values seen", count(&mixed), "0", count(&mixed) == 0),
        line("G23", "steps back seen", count(&back), "0", count(&back) == 0),
        line("G23", "wrong decisions", wrong, "0", wrong == 0),
        timing(
            "G23",
            "slowest visible change of 20, ms",
            worst.as_millis(),
            "<= 500",
            worst <= Duration::from_millis(500),
        ),
    ];
    Ok(good.iter().all(|g| *g))
}

/// The longest time from a change on disk to the new value, with the watcher at its usual interval.
fn watched(config: &Config<Triple>, dir: &Path, from: u64) -> Result<Duration, Box<dyn std::error::Error>> {
    let _watcher = config.watch(Duration::from_millis(100))?;
    let mut worst = Duration::ZERO;
    for n in from + 1..=from + 20 {
        if n % 2 == 0 {
            swap(dir, n, &text(n, n, n))?;
        } else {
            replace(&dir.join("data").join("local.yaml"), &text(n, n, n))?;
        }
        let start = Instant::now();
        while config.current().settings.a != n {
            if start.elapsed() > Duration::from_secs(30) {
                return Err(format!("change {n} was not seen").into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        worst = worst.max(start.elapsed());
    }
    Ok(worst)
}
