//! G8: every file operation of a job is failed once, in every way; the job must end with a typed error and leave nothing, or
//! do its work in full.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pure_sound::cancel::CancelToken;
use pure_sound::config::Settings;
use pure_sound::formats::{ReadOptions, Source};
use pure_sound::processing::{Control, Output, Recipe};
use pure_sound::services::seams::Clock;
use pure_sound::{Engine, Error};
use serde_json::{Value, json};

use super::faulty::{Fault, FaultyFiles};

/// Linux numbers: input/output error, no space, permission denied, interrupted, try again, stale handle, timed out.
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EACCES: i32 = 13;
const PASSING: [i32; 4] = [4, 11, 116, 110];

/// A clock whose pauses take no time.
struct NoPauses;
impl Clock for NoPauses {
    fn unix_ms(&self) -> u64 {
        0
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
    fn pause(&self, _: Duration, cancel: &CancelToken) -> pure_sound::Result<()> {
        cancel.check()
    }
}

/// A way through the engine.
pub struct Way {
    pub name: &'static str,
    input: &'static str,
    outputs: &'static [&'static str],
    recipe: Value,
    /// An output stands there already, and must stand there as it was after a failure.
    replaces: bool,
}

/// All ways. `input` names one of the files of [`inputs`].
pub fn ways() -> Vec<Way> {
    let level = json!({"level": {"measure": "loudness", "integrated_lufs": -20.0, "true_peak_dbtp": -2.0}});
    let way =
        |name, input, outputs, recipe: &Value, replaces| Way { name, input, outputs, recipe: recipe.clone(), replaces };
    let none = json!({});
    vec![
        way("wav to wav, copied", "in.wav", &["out.wav"], &none, false),
        way("wav to flac, copied over an old file", "in.wav", &["out.flac"], &none, true),
        way("wav to flac, levelled", "in.wav", &["out.flac"], &level, false),
        way("wav to mp3, levelled", "in.wav", &["out.mp3"], &level, true),
        way("wav to m4a, levelled", "in.wav", &["out.m4a"], &level, false),
        way("wav to opus, levelled", "in.wav", &["out.opus"], &level, false),
        way("wav to three outputs, levelled", "in.wav", &["a.wav", "b.flac", "c.mp3"], &level, false),
        way("flac to aiff at another rate", "in.flac", &["out.aiff"], &json!({"rate_hz": 32000}), false),
        way("mp3 to wav", "in.mp3", &["out.wav"], &none, true),
        way("m4a to wav", "in.m4a", &["out.wav"], &none, false),
        way("opus to flac", "in.opus", &["out.flac"], &none, false),
        way(
            "caf to two outputs that may not be there",
            "in.caf",
            &["a.wav", "b.wav"],
            &json!({"overwrite": "refuse"}),
            false,
        ),
        way("measuring wav", "in.wav", &[], &none, false),
        way("measuring mp3", "in.mp3", &[], &none, false),
    ]
}

/// Writes the inputs from a WAV: one per format.
pub fn inputs(dir: &Path) -> Result<(), Error> {
    let outputs = ["flac", "mp3", "m4a", "opus", "caf"].map(|e| Output::new(dir.join(format!("in.{e}"))));
    let recipe = Recipe { input: dir.join("in.wav"), outputs: outputs.into(), ..Recipe::default() };
    Engine::new()?.process(&recipe, &Control::default()).map(drop)
}

/// Results of one way.
#[derive(Debug, Default)]
pub struct Tally {
    pub operations: u64,
    pub points: u64,
    pub failed: u64,
    pub recovered: u64,
    /// What went wrong; empty when all is well.
    pub wrong: Vec<String>,
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn all_files(dir: &Path) -> Files {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|e| Some((e.path(), std::fs::read(e.path()).ok()?))).collect()
}

fn run(way: &Way, inputs: &Path, dir: &Path, files: &FaultyFiles) -> (Result<(), Error>, u64, u64) {
    let mut settings = Settings::default();
    (settings.resources.memory_mib, settings.resources.temp_disk_mib) = (512, 512);
    let built = Engine::builder()
        .settings(settings)
        .files(Arc::new(files.clone()))
        .clock(Arc::new(NoPauses))
        .threads(2)
        // So that nearly all of the spool goes to disk.
        .spool_memory_bytes(100_000)
        .build();
    let engine = match built {
        Ok(engine) => engine,
        Err(error) => return (Err(error), 0, 0),
    };
    let input = inputs.join(way.input);
    let result = if way.outputs.is_empty() {
        engine.measure(Source::from(input), &ReadOptions::default(), &Control::default()).map(drop)
    } else {
        match serde_json::from_value::<Recipe>(way.recipe.clone()) {
            Ok(recipe) => {
                let outputs = way.outputs.iter().map(|o| Output::new(dir.join(o))).collect();
                engine.process(&Recipe { input, outputs, ..recipe }, &Control::default()).map(drop)
            }
            Err(e) => Err(Error::Internal { what: e.to_string() }),
        }
    };
    let usage = engine.resources().usage();
    (result, engine.retries(), usage.resources.iter().map(|r| r.used).sum::<u64>() + u64::from(usage.holders))
}

/// Fails operations of `way`, about `points` of them. `scratch` is an empty folder.
pub fn fail_everywhere(way: &Way, inputs: &Path, scratch: &Path, points: u64) -> Tally {
    let mut tally = Tally::default();
    let wrong = |what: String| Tally { wrong: vec![format!("{}: {what}", way.name)], ..Tally::default() };
    let dir = scratch.join("work");
    let fresh = || -> std::io::Result<()> {
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir)?;
        if way.replaces {
            std::fs::write(dir.join(way.outputs[0]), "the old file")?;
        }
        Ok(())
    };
    if let Err(e) = fresh() {
        return wrong(e.to_string());
    }
    let before = all_files(&dir);
    let counting = FaultyFiles::counting();
    if let (Err(e), ..) = run(way, inputs, &dir, &counting) {
        return wrong(format!("fails without a fault: {e}"));
    }
    let after = all_files(&dir);
    tally.operations = counting.operations();
    let faults: Vec<Fault> = PASSING
        .map(Fault::Once)
        .into_iter()
        .chain([Fault::Once(EIO), Fault::FromThen(EIO), Fault::FromThen(ENOSPC), Fault::Once(EACCES)])
        .chain([Fault::FromThen(PASSING[2]), Fault::Short])
        .collect();
    let stride = (tally.operations * faults.len() as u64).div_ceil(points.max(1)).max(1);
    // Without a common divisor with the number of faults, so that each kind has its turn.
    let shares = |n: u64| (2..=n).any(|d| n.is_multiple_of(d) && (faults.len() as u64).is_multiple_of(d));
    let stride = (stride..).find(|n| !shares(*n)).unwrap_or(1);
    let mut number = 0;
    for at in 0..tally.operations {
        for fault in &faults {
            number += 1;
            if number % stride != 0 {
                continue;
            }
            if let Err(e) = fresh() {
                return wrong(e.to_string());
            }
            let files = FaultyFiles::new(*fault, at);
            let outcome = catch_unwind(AssertUnwindSafe(|| run(way, inputs, &dir, &files)));
            tally.points += 1;
            let place = format!("{}, operation {at} of {}, {fault:?}", way.name, tally.operations);
            let Ok((result, retries, held)) = outcome else {
                tally.wrong.push(format!("{place}: panic"));
                continue;
            };
            let now = all_files(&dir);
            if held > 0 {
                tally.wrong.push(format!("{place}: resources are not given back"));
            }
            match result {
                Ok(()) => {
                    tally.recovered += u64::from(retries > 0);
                    if now != after {
                        tally.wrong.push(format!("{place}: success with other files: {:?}", differing(&now, &after)));
                    }
                }
                Err(error) => {
                    tally.failed += 1;
                    if now != before {
                        tally.wrong.push(format!("{place}: {error}, but files differ: {:?}", differing(&now, &before)));
                    }
                    let passing = matches!(fault, Fault::Once(n) if PASSING.contains(n)) || *fault == Fault::Short;
                    if passing {
                        tally.wrong.push(format!("{place}: {error}, though it would have passed"));
                    }
                    if !matches!(error.name(), "IO" | "DENIED") {
                        tally.wrong.push(format!("{place}: {} is not the cause: {error}", error.name()));
                    }
                }
            }
        }
    }
    tally
}

fn differing(now: &Files, expected: &Files) -> Vec<String> {
    let name = |p: &Path| p.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let changed = now
        .iter()
        .filter(|(p, bytes)| expected.get(*p) != Some(bytes))
        .map(|(p, b)| format!("{} ({})", name(p), b.len()));
    let gone = expected.keys().filter(|p| !now.contains_key(*p)).map(|p| format!("no {}", name(p)));
    changed.chain(gone).collect()
}
