//! Faults of files on every way through the engine, at a few places each; `tests/performance/services/run` tries them all.
#![allow(clippy::unwrap_used)] // a failed helper is a failed test
#![cfg(target_os = "linux")] // the faults are numbers of Linux

mod common;
#[path = "common/fault_runs.rs"]
mod fault_runs;
#[path = "common/faulty.rs"]
mod faulty;

use common::{Signal, write_wav_int};

#[test]
fn g8_every_failed_file_operation_is_an_error_or_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    write_wav_int(&dir.path().join("in.wav"), 44_100, &Signal::to_int(&Signal::speech(44_100, 1, 3.0), 16), 16);
    fault_runs::inputs(dir.path()).unwrap();
    let points = std::env::var("PURESOUND_FAULT_POINTS").ok().and_then(|s| s.parse().ok()).unwrap_or(40);
    let mut wrong = Vec::new();
    for way in fault_runs::ways() {
        let scratch = tempfile::tempdir().unwrap();
        let mut tally = fault_runs::fail_everywhere(&way, dir.path(), scratch.path(), points);
        println!(
            "{}: {} operations, {} points, {} failed, {} by retry",
            way.name, tally.operations, tally.points, tally.failed, tally.recovered
        );
        wrong.append(&mut tally.wrong);
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
