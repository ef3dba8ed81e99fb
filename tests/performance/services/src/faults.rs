//! G8: faults of files on every way through the engine.

#[path = "../../../../core/tests/common/mod.rs"]
#[allow(unused_imports, clippy::unwrap_used)] // shared with the tests of the core
mod common;
#[path = "../../../../core/tests/common/fault_runs.rs"]
mod fault_runs;
#[path = "../../../../core/tests/common/faulty.rs"]
mod faulty;

use common::{Signal, write_wav_int};

use crate::line;

/// Tries about `points` faults on each way; the goal is 500.
pub fn run(points: u64, seconds: f64) -> bool {
    let (Ok(dir), true) = (tempfile::tempdir(), cfg!(target_os = "linux")) else {
        println!("G8: not measured: the faults are numbers of Linux");
        return true;
    };
    write_wav_int(&dir.path().join("in.wav"), 44_100, &Signal::to_int(&Signal::speech(44_100, 2, seconds), 16), 16);
    if let Err(e) = fault_runs::inputs(dir.path()) {
        println!("G8: FAIL: {e}");
        return false;
    }
    let (mut wrong, mut total) = (Vec::new(), 0);
    let ways = fault_runs::ways();
    for way in &ways {
        let Ok(scratch) = tempfile::tempdir() else { return false };
        let mut tally = fault_runs::fail_everywhere(way, dir.path(), scratch.path(), points);
        println!(
            "G8 {}: {} operations, {} fault points: {} errors, {} by another try, {} wrong",
            way.name,
            tally.operations,
            tally.points,
            tally.failed,
            tally.recovered,
            tally.wrong.len()
        );
        total += tally.points;
        wrong.append(&mut tally.wrong);
    }
    wrong.iter().take(20).for_each(|w| println!("G8 {w}"));
    let what = format!("harm done by {total} failed file operations on {} ways", ways.len());
    line("G8", &what, wrong.len(), "0", wrong.is_empty())
}
