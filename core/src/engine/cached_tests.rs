//! What an engine takes from its cache is what it would have made.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::*;
use crate::analysis::quality::QualityReport;
use crate::cache::Layer;
use crate::processing::{CancelToken, Overwrite};

/// A WAV of 16 bits and 16 kHz: three seconds of a tone that gets louder, as every `seed` makes it.
fn wav(seed: u32) -> Vec<u8> {
    let frames = 48_000_u32;
    let mut bytes = Vec::new();
    for part in [b"RIFF", &(36 + frames * 2).to_le_bytes(), b"WAVE", b"fmt ", &16_u32.to_le_bytes()] {
        bytes.extend(part);
    }
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(16_000_u32.to_le_bytes());
    bytes.extend(32_000_u32.to_le_bytes());
    bytes.extend([2, 0, 16, 0]);
    bytes.extend(b"data");
    bytes.extend((frames * 2).to_le_bytes());
    for n in 0..frames {
        let sample = (f64::from(n * (300 + seed)) / 16_000.0 * std::f64::consts::TAU).sin();
        bytes.extend(((sample * (2_000.0 + f64::from(n) / 4.0)) as i16).to_le_bytes());
    }
    bytes
}

struct Place {
    dir: tempfile::TempDir,
    cache: Cache,
    engine: Engine,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = CacheOptions { dir: Some(dir.path().join("cache")), ..CacheOptions::default() };
        let cache = Cache::open(&options).unwrap();
        let engine = Engine::builder().cache(&cache).build().unwrap();
        std::fs::write(dir.path().join("in.wav"), wav(0)).unwrap();
        Self { dir, cache, engine }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn recipe(&self, outputs: &[&str], more: serde_json::Value) -> Recipe {
        let mut request = json!({
            "input": self.path("in.wav"),
            "output": outputs.iter().map(|name| self.path(name)).collect::<Vec<_>>(),
            "filters": ["highpass:cutoff_hz=80"],
            "level": {"measure": "loudness", "integrated_lufs": -20.0, "true_peak_dbtp": -1.0},
        });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.engine.recipe(&request).unwrap()
    }

    fn process(&self, recipe: &Recipe) -> Report {
        self.engine.process(recipe, &Control::default()).unwrap()
    }

    fn hits(&self) -> u64 {
        self.cache.stats(Layer::Disk).unwrap().hits
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn a_second_run_gives_the_same_bytes_and_the_same_report() {
    let place = Place::new();
    let first = place.process(&place.recipe(&["a.flac", "a.mp3"], json!({})));
    assert!(!first.from_cache);
    let again = place.process(&place.recipe(&["b.flac", "b.mp3"], json!({"preset": null})));
    assert!(again.from_cache);
    for ext in ["flac", "mp3"] {
        assert!(read(&place.path(&format!("a.{ext}"))) == read(&place.path(&format!("b.{ext}"))), "{ext}");
    }
    // But for the places and the mark, the reports are equal, to the last bit.
    let mut told = again.clone();
    told.from_cache = false;
    for (told, first) in told.outputs.iter_mut().zip(&first.outputs) {
        assert!(told.path.display().to_string().contains("/b."), "{}", told.path.display());
        told.path.clone_from(&first.path);
    }
    for (told, first) in told.steps.iter_mut().zip(&first.steps) {
        told.what = told.what.replace("/b.", "/a.");
        assert_eq!(told, first);
    }
    assert_eq!(told, first);
    assert!(again.steps.iter().any(|s| s.what.ends_with("/b.flac")));
    let engine = Engine::builder().no_cache().build().unwrap();
    let made = engine.process(&place.recipe(&["c.flac"], json!({})), &Control::default()).unwrap();
    assert!(!made.from_cache && read(&place.path("c.flac")) == read(&place.path("b.flac")));
}

#[test]
fn everything_that_changes_the_outputs_changes_the_key() {
    let place = Place::new();
    let base = place.recipe(&["a.flac"], json!({}));
    assert!(!place.process(&base).from_cache && place.process(&base).from_cache);
    for more in [
        json!({"rate_hz": 48_000}),
        json!({"filters": ["highpass:cutoff_hz=81"]}),
        json!({"filters": []}),
        json!({"set_tags": {"title": "x"}}),
        json!({"trim": {"start_s": 0.5}}),
        json!({"verify": "none"}),
        json!({"format_defaults": [{"format": "flac", "level": 1}]}),
        json!({"read": {"limits": {"max_channels": 2}}}),
    ] {
        assert!(!place.process(&place.recipe(&["a.flac"], more.clone())).from_cache, "{more}");
    }
    assert!(!place.process(&place.recipe(&["a.wav"], json!({}))).from_cache, "another format");
    assert!(place.process(&place.recipe(&["a.flac"], json!({"overwrite": "replace"}))).from_cache);
    let tenant = |name: &str| Control { tenant: Some(name.into()), ..Control::default() };
    assert!(!place.engine.process(&base, &tenant("a")).unwrap().from_cache);
    assert!(!place.engine.process(&base, &tenant("b")).unwrap().from_cache, "tenants share nothing");
    assert!(place.engine.process(&base, &tenant("a")).unwrap().from_cache);
    // The content counts and not the name.
    std::fs::write(place.path("in.wav"), wav(1)).unwrap();
    assert!(!place.process(&base).from_cache);
    std::fs::write(place.path("in.wav"), wav(0)).unwrap();
    assert!(place.process(&base).from_cache);
}

#[test]
fn what_would_be_refused_is_refused_with_a_cache_too() {
    let place = Place::new();
    place.process(&place.recipe(&["a.wav"], json!({})));
    let refuse = Recipe { overwrite: Overwrite::Refuse, ..place.recipe(&["a.wav"], json!({})) };
    let error = place.engine.process(&refuse, &Control::default()).unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    let before = read(&place.path("in.wav"));
    let error = place.engine.process(&place.recipe(&["in.wav"], json!({})), &Control::default()).unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    assert!(read(&place.path("in.wav")) == before);
    let error = place.engine.process(&place.recipe(&["no/such/a.wav"], json!({})), &Control::default()).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let cancelled = Control { cancel: CancelToken::new(), ..Control::default() };
    cancelled.cancel.cancel();
    assert!(matches!(place.engine.process(&place.recipe(&["b.wav"], json!({})), &cancelled), Err(Error::Cancelled)));
    assert!(!place.path("b.wav").exists());
    let missing = Recipe { input: place.path("none.wav"), ..place.recipe(&["b.wav"], json!({})) };
    assert!(matches!(place.engine.process(&missing, &Control::default()), Err(Error::NotFound { .. })));
}

#[test]
fn an_output_that_was_damaged_in_the_cache_is_made_again() {
    let place = Place::new();
    let recipe = place.recipe(&["a.flac", "b.opus"], json!({}));
    place.process(&recipe);
    let wanted = (read(&place.path("a.flac")), read(&place.path("b.opus")));
    // The largest file is the FLAC: its middle is hit while it is copied.
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in std::fs::read_dir(place.path("cache/v1")).unwrap() {
        files.extend(std::fs::read_dir(folder.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    let largest = files.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = read(largest);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(largest, bytes).unwrap();
    for name in ["a.flac", "b.opus"] {
        std::fs::remove_file(place.path(name)).unwrap();
    }
    assert!(!place.process(&recipe).from_cache);
    assert!((read(&place.path("a.flac")), read(&place.path("b.opus"))) == wanted);
    assert_eq!(place.cache.stats(Layer::Disk).unwrap().bad, 1);
    let mut names: Vec<_> = std::fs::read_dir(place.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.flac", "b.opus", "cache", "in.wav"], "nothing is left behind");
}

#[test]
fn measuring_analysing_and_quality_are_remembered_exactly() {
    let place = Place::new();
    let (read, control) = (ReadOptions::default(), Control::default());
    let source = || Source::from(place.path("in.wav"));
    let options = AnalyseOptions::default();
    let plain = Engine::builder().no_cache().build().unwrap();
    let measured = plain.measure(source(), &read, &control).unwrap();
    let analysed = plain.analyse(source(), &options, &control).unwrap();
    let looked: QualityReport = plain.quality(source(), &read, &control).unwrap();
    for round in 0..3 {
        assert_eq!(place.engine.measure(source(), &read, &control).unwrap(), measured);
        assert_eq!(place.engine.analyse(source(), &options, &control).unwrap(), analysed);
        assert_eq!(place.engine.quality(source(), &read, &control).unwrap(), looked);
        assert_eq!(place.hits(), 3 * round);
    }
    // In whatever form the same bytes come.
    let bytes = wav(0);
    let streamed = Source::Stream(Box::new(std::io::Cursor::new(bytes.clone())));
    let seekable = Source::Seekable(Box::new(std::io::Cursor::new(bytes.clone())));
    for source in [Source::from(bytes), streamed, seekable] {
        assert_eq!(place.engine.measure(source, &read, &control).unwrap(), measured);
    }
    assert_eq!(place.hits(), 9);
    let mut series = AnalyseOptions::default();
    series.analysis.series = true;
    assert!(place.engine.analyse(source(), &series, &control).is_ok());
    assert_eq!(place.hits(), 9, "other options, another result");
}

#[test]
fn silence_and_what_cannot_be_measured_come_back_as_they_were() {
    let place = Place::new();
    let mut silent = wav(0);
    silent[44..].fill(0);
    let measure = || place.engine.measure(Source::from(silent.clone()), &ReadOptions::default(), &Control::default());
    let (first, again) = (measure().unwrap(), measure().unwrap());
    assert!(first.integrated_lufs == f64::NEG_INFINITY && first == again && place.hits() == 1);
}

#[test]
fn outputs_in_memory_come_from_the_cache_as_well() {
    let place = Place::new();
    let recipe = place.engine.recipe(&json!({"outputs": [{"format": {"format": "flac"}}]})).unwrap();
    let run = || place.engine.process_to_memory(Source::from(wav(0)), &recipe, &Control::default()).unwrap();
    let ((first, bytes), (again, same)) = (run(), run());
    assert!(!first.from_cache && again.from_cache && bytes == same && !bytes[0].is_empty());
    assert_eq!(again.outputs[0].path, PathBuf::new());
}

#[test]
fn filters_that_read_other_files_are_not_cached() {
    let place = Place::new();
    std::fs::write(place.path("impulse.wav"), wav(2)).unwrap();
    let filter = json!({"type": "convolution", "impulse": place.path("impulse.wav")});
    let recipe = place.recipe(&["a.wav"], json!({"filters": [filter]}));
    for _ in 0..2 {
        assert!(!place.process(&recipe).from_cache);
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_not_kept() {
    let place = Place::new();
    let recipe = place.recipe(&["a.wav"], json!({}));
    let input = place.path("in.wav");
    let changed = std::sync::atomic::AtomicBool::new(false);
    let control = Control {
        progress: Some(Arc::new({
            let changed = Arc::new(changed);
            move |_: &processing::Progress| {
                if !changed.swap(true, Ordering::SeqCst) {
                    std::fs::write(&input, wav(3)).unwrap();
                }
            }
        })),
        ..Control::default()
    };
    // Whatever came of it: nobody else gets it.
    let _ = place.engine.process(&recipe, &control);
    std::fs::write(place.path("in.wav"), wav(0)).unwrap();
    assert!(!place.process(&recipe).from_cache);
}

#[test]
fn a_configuration_opens_a_cache_and_its_figures_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let settings = json!({"cache": {"dir": dir.path().join("cache"), "memory_mib": 8}});
    let engine = Engine::builder().settings_json(&settings).unwrap().build().unwrap();
    for _ in 0..2 {
        engine.measure(Source::from(wav(0)), &ReadOptions::default(), &Control::default()).unwrap();
    }
    let text = engine.metrics().to_openmetrics();
    assert!(text.contains("pure_sound_cache_hits_total{layer=\"memory\"} 1"), "{text}");
    assert!(text.contains("pure_sound_cache_misses_total{layer=\"disk\"} 2"), "{text}");
    assert!(Engine::builder().settings_json(&settings).unwrap().no_cache().build().unwrap().cache().is_none());
    assert!(Engine::new().unwrap().cache().is_none());
}
