//! The main job through the public API: targets are met in every format, and the promises about files hold.
#![allow(clippy::unwrap_used)] // a failed helper is a failed test

mod common;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::{Signal, read_all, write_wav};
use pure_sound::audio::ChannelLayout;
use pure_sound::filters::FilterSpec;
use pure_sound::formats::{FormatSettings, Source};
use pure_sound::processing::{Control, LevelTarget, Output, OutputReport, Overwrite, Progress, Recipe, Trim, Verify};
use pure_sound::{Engine, Error};

const FORMATS: [&str; 10] = ["wav", "w64", "aiff", "caf", "flac", "alac.m4a", "mp3", "m4a", "aac", "opus"];

fn output(dir: &Path, extension: &str) -> Output {
    let path = dir.join(format!("out.{extension}"));
    let format = extension.starts_with("alac").then(|| FormatSettings::from_name("alac").unwrap());
    Output { path, format }
}

fn podcast(input: &Path, outputs: Vec<Output>) -> Recipe {
    let engine = Engine::new().unwrap();
    let recipe = engine.presets().recipe("podcast", &serde_json::json!({})).unwrap();
    Recipe { input: input.to_path_buf(), outputs, ..recipe }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Integrated loudness and true peak of the decoded output by an independent meter.
fn reference_loudness(path: &Path) -> (f64, f64) {
    let (spec, planes) = read_all(path);
    let mode = ebur128::Mode::I | ebur128::Mode::TRUE_PEAK;
    let mut meter = ebur128::EbuR128::new(planes.len() as u32, spec.rate_hz, mode).unwrap();
    meter.add_frames_planar_f32(&planes.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    let peak = (0..planes.len()).map(|c| meter.true_peak(c as u32).unwrap()).fold(0.0, f64::max);
    (meter.loudness_global().unwrap(), 20.0 * peak.log10())
}

#[test]
fn every_format_meets_the_target_by_an_independent_meter() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wav");
    write_wav(&input, 44_100, &Signal::speech(44_100, 2, 20.0));
    let outputs: Vec<_> = FORMATS.iter().map(|f| output(dir.path(), f)).collect();
    let report = Engine::new().unwrap().process(&podcast(&input, outputs), &Control::default()).unwrap();
    assert_eq!(report.outputs.len(), FORMATS.len());
    for done in &report.outputs {
        let name = done.path.display();
        assert_eq!(done.target_met, Some(true), "{name}: {:?}", done.target_reason);
        let (integrated, peak) = reference_loudness(&done.path);
        // The promise of the level target; the ebur128 crate implements the same standard.
        assert!((integrated + 16.0).abs() <= 0.1, "{name}: {integrated:.2} LUFS");
        assert!(peak <= -1.0 + 0.01, "{name}: {peak:.2} dBTP"); // 0.01: rounding of the interpolators
    }
}

#[test]
fn length_and_position_are_kept_to_the_frame() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wav");
    // A prime number of frames: no codec frame divides it.
    let frames = 200_003;
    let signal = Signal::clicks(1, frames, 96_000);
    write_wav(&input, 48_000, &signal);
    let outputs: Vec<_> = FORMATS.iter().filter(|f| **f != "aac").map(|f| output(dir.path(), f)).collect();
    let recipe = Recipe { input, outputs, ..Recipe::default() };
    Engine::new().unwrap().process(&recipe, &Control::default()).unwrap();
    for done in &recipe.outputs {
        let (_, planes) = read_all(&done.path);
        let name = done.path.display();
        assert_eq!(planes[0].len(), frames, "{name}");
        let loudest = |p: &[f32]| (0..p.len()).max_by(|a, b| p[*a].abs().total_cmp(&p[*b].abs())).unwrap();
        let (want, got) = (loudest(&signal[0]), loudest(&planes[0]));
        // Lossless to the frame; lossy codecs smear a click over a few frames.
        let tolerance = if done.format(&[]).unwrap().is_lossless() { 0 } else { 8 };
        assert!(want.abs_diff(got) <= tolerance, "{name}: click at {got}, was at {want}");
    }
}

#[test]
fn threads_and_spool_size_do_not_change_a_byte() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wav");
    write_wav(&input, 44_100, &Signal::speech(44_100, 1, 12.0));
    let mut seen: Vec<Vec<OutputReport>> = Vec::new();
    for (threads, spool) in [(1, 32 << 20), (2, 32 << 20), (3, 100_000)] {
        let out = tempfile::tempdir().unwrap();
        let outputs = FORMATS.iter().map(|f| output(out.path(), f)).collect();
        let engine = Engine::builder().threads(threads).spool_memory_bytes(spool).build().unwrap();
        let report = engine.process(&podcast(&input, outputs), &Control::default()).unwrap();
        // The hash of the file and all that was measured of it.
        seen.push(report.outputs.into_iter().map(|o| OutputReport { path: PathBuf::new(), ..o }).collect());
    }
    assert_eq!(seen[0].len(), FORMATS.len());
    assert!(seen[0].iter().all(|o| o.blake3.is_some() && o.after.is_some()));
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

#[test]
fn an_archive_copy_is_bit_exact_for_every_depth() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::new().unwrap();
    for bits in [16_u32, 24, 32] {
        let input = dir.path().join(format!("in{bits}.wav"));
        common::write_wav_int(&input, 44_100, &Signal::noise_int(2, 50_001, bits), bits);
        let mut recipe = engine.presets().recipe("music_archive", &serde_json::json!({})).unwrap();
        recipe.input = input.clone();
        recipe.outputs = vec![output(dir.path(), "flac"), output(dir.path(), "alac.m4a"), output(dir.path(), "caf")];
        let report = engine.process(&recipe, &Control::default()).unwrap();
        for done in &report.outputs {
            assert_eq!(done.bit_exact, Some(true), "{bits} bits, {}", done.path.display());
            assert!(common::read_all_int(&done.path) == common::read_all_int(&input), "{}", done.path.display());
        }
    }
}

#[test]
fn what_cannot_be_bit_exact_is_refused_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wav");
    write_wav(&input, 44_100, &Signal::speech(44_100, 1, 1.0));
    for recipe in [
        Recipe { outputs: vec![output(dir.path(), "mp3")], ..Recipe::default() },
        Recipe { rate_hz: Some(48_000), outputs: vec![output(dir.path(), "flac")], ..Recipe::default() },
    ] {
        let recipe = Recipe { bit_exact: true, input: input.clone(), ..recipe };
        let error = Engine::new().unwrap().process(&recipe, &Control::default()).unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }), "{error}");
    }
    assert_eq!(names(dir.path()), ["in.wav"]);
}

#[test]
fn cancelling_in_any_stage_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wav");
    write_wav(&input, 44_100, &Signal::speech(44_100, 2, 20.0));
    for stop_at in 0..4 {
        let mut control = Control::default();
        let cancel = control.cancel.clone();
        let stages = Arc::new(AtomicUsize::new(0));
        let (counter, last) = (Arc::clone(&stages), Mutex::new(None));
        control.progress = Some(Arc::new(move |p: &Progress| {
            let mut last = last.lock().unwrap();
            if *last != Some(p.stage) {
                *last = Some(p.stage);
                if counter.fetch_add(1, Ordering::Relaxed) == stop_at {
                    cancel.cancel();
                }
            }
        }));
        let out = tempfile::tempdir().unwrap();
        let recipe = podcast(&input, vec![output(out.path(), "opus"), output(out.path(), "flac")]);
        match Engine::new().unwrap().process(&recipe, &control) {
            Err(Error::Cancelled) => assert!(names(out.path()).is_empty(), "stage {stop_at}"),
            Ok(_) => {
                assert!(stages.load(Ordering::Relaxed) <= stop_at + 1, "cancelled in stage {stop_at}, yet finished")
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn the_input_is_never_the_output() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wav");
    write_wav(&input, 44_100, &Signal::speech(44_100, 1, 1.0));
    let before = std::fs::read(&input).unwrap();
    let link = dir.path().join("link.wav");
    std::fs::hard_link(&input, &link).unwrap();
    for target in [&input, &link, &dir.path().join(".").join("in.wav")] {
        let recipe = Recipe { input: input.clone(), outputs: vec![Output::new(target)], ..Recipe::default() };
        let error = Engine::new().unwrap().process(&recipe, &Control::default()).unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }), "{}: {error}", target.display());
    }
    assert!(std::fs::read(&input).unwrap() == before);
}

#[test]
fn an_existing_output_may_be_protected() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wav");
    write_wav(&input, 44_100, &Signal::speech(44_100, 1, 1.0));
    let target = dir.path().join("out.flac");
    std::fs::write(&target, "mine").unwrap();
    let outputs = vec![Output::new(&target)];
    let recipe = Recipe { input, outputs, overwrite: Overwrite::Refuse, ..Recipe::default() };
    let error = Engine::new().unwrap().process(&recipe, &Control::default()).unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }));
    assert_eq!(std::fs::read(&target).unwrap(), b"mine");
}

#[test]
fn silence_is_told_and_very_short_inputs_keep_their_length() {
    let dir = tempfile::tempdir().unwrap();
    for (name, planes) in [("silent", vec![vec![0.0; 100_000]]), ("short", vec![vec![0.25; 3]])] {
        let input = dir.path().join(format!("{name}.wav"));
        write_wav(&input, 48_000, &planes);
        let outputs = vec![output(dir.path(), "wav"), output(dir.path(), "opus"), output(dir.path(), "mp3")];
        let report = Engine::new().unwrap().process(&podcast(&input, outputs), &Control::default()).unwrap();
        for done in report.outputs {
            assert_eq!(done.encoded.frames, planes[0].len() as u64, "{name} {}", done.path.display());
            if name == "silent" {
                assert_eq!(done.target_met, Some(false));
                assert!(done.target_reason.is_some_and(|r| r.contains("silent")));
            }
        }
    }
}

#[test]
fn an_impossible_target_is_reported_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wav");
    // Clicks over near silence: no gain brings them to -5 LUFS under -20 dBTP.
    write_wav(&input, 48_000, &Signal::clicks(1, 480_000, 48_000));
    let level = Some(LevelTarget::Loudness { integrated_lufs: -5.0, true_peak_dbtp: -20.0 });
    let recipe = Recipe { input, level, outputs: vec![output(dir.path(), "wav")], ..Recipe::default() };
    let report = Engine::new().unwrap().process(&recipe, &Control::default()).unwrap();
    assert_eq!(report.outputs[0].target_met, Some(false));
    assert!(report.outputs[0].after.as_ref().unwrap().true_peak_dbtp <= -20.0);
    assert!(!report.all_met());
}

#[test]
fn trimming_takes_exactly_the_asked_part() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wav");
    let signal = Signal::speech(48_000, 2, 4.0);
    write_wav(&input, 48_000, &signal);
    let trim = Trim { start_s: 1.25, end_s: Some(2.5) };
    let recipe = Recipe { input, trim, outputs: vec![output(dir.path(), "flac")], ..Recipe::default() };
    let report = Engine::new().unwrap().process(&recipe, &Control::default()).unwrap();
    assert_eq!(report.input.duration.unwrap().frames, 60_000);
    let (_, planes) = read_all(&recipe.outputs[0].path);
    assert_eq!(planes[1].len(), 60_000);
    // 24-bit FLAC of a float input: half a step of 2^-23 and TPDF dither of up to one step.
    let worst = planes[1].iter().zip(&signal[1][60_000..120_000]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= 1.6 / 8_388_608.0, "{worst:e}");
}

#[test]
fn a_mono_mix_meets_its_own_target() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wav");
    write_wav(&input, 44_100, &Signal::speech(44_100, 2, 10.0));
    let engine = Engine::new().unwrap();
    let mut recipe = engine.presets().recipe("podcast_mono", &serde_json::json!({})).unwrap();
    recipe.input = input;
    recipe.outputs = vec![output(dir.path(), "mp3"), output(dir.path(), "wav")];
    let report = engine.process(&recipe, &Control::default()).unwrap();
    for done in &report.outputs {
        assert_eq!(done.encoder.spec.layout, ChannelLayout::MONO);
        let (integrated, _) = reference_loudness(&done.path);
        assert!((integrated + 19.0).abs() <= 0.1, "{integrated}");
    }
}

#[test]
fn the_plan_says_what_the_run_does() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wav");
    write_wav(&input, 44_100, &Signal::speech(44_100, 2, 2.0));
    let recipe = podcast(&input, vec![output(dir.path(), "opus"), output(dir.path(), "mp3")]);
    let engine = Engine::new().unwrap();
    let plan = engine.plan(&recipe).unwrap();
    assert_eq!(names(dir.path()), ["in.wav"], "a plan writes nothing");
    let report = engine.process(&recipe, &Control::default()).unwrap();
    assert_eq!(plan.steps, report.steps);
    assert_eq!(plan.outputs[0].encoder, report.outputs[0].encoder);
    assert!(plan.steps.iter().any(|s| s.what.contains("highpass")));
    assert!(plan.outputs[0].encoder.notes.iter().any(|n| n.contains("48")), "{:?}", plan.outputs[0].encoder.notes);
}

#[test]
fn inputs_from_memory_and_pipes_give_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wav");
    write_wav(&input, 44_100, &Signal::speech(44_100, 1, 3.0));
    let bytes = std::fs::read(&input).unwrap();
    let engine = Engine::new().unwrap();
    let mut hashes = Vec::new();
    for source in [
        Source::from(input.as_path()),
        Source::from(bytes.clone()),
        Source::Stream(Box::new(std::io::Cursor::new(bytes))),
    ] {
        let recipe = Recipe { verify: Verify::None, ..podcast(Path::new(""), vec![output(dir.path(), "opus")]) };
        hashes.push(engine.process_source(source, &recipe, &Control::default()).unwrap().outputs[0].blake3.clone());
    }
    assert!(hashes.windows(2).all(|w| w[0] == w[1]));
}

#[test]
fn recipes_with_nonsense_are_typed_errors() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wav");
    write_wav(&input, 44_100, &Signal::speech(44_100, 1, 1.0));
    let engine = Engine::new().unwrap();
    let base = Recipe { input, outputs: vec![output(dir.path(), "wav")], ..Recipe::default() };
    let level = |l, p| Some(LevelTarget::Loudness { integrated_lufs: l, true_peak_dbtp: p });
    let too_high = FilterSpec::parse("highpass:cutoff_hz=20000").unwrap();
    let cases = [
        (Recipe { level: level(f64::NAN, -1.0), ..base.clone() }, 300),
        (Recipe { level: level(-16.0, 3.0), ..base.clone() }, 300),
        (Recipe { rate_hz: Some(7), ..base.clone() }, 300),
        (Recipe { outputs: vec![Output::new("x.xyz")], ..base.clone() }, 302),
        (Recipe { outputs: vec![Output::new("/no/such/folder/x.wav")], ..base.clone() }, 601),
        (Recipe { input: "/no/such/file".into(), ..base.clone() }, 601),
        (Recipe { rate_hz: Some(16_000), outputs: vec![], ..base.clone() }, 0),
        (Recipe { filters: vec![FilterSpec::parse("resample:rate_hz=8000").unwrap(), too_high], ..base.clone() }, 300),
    ];
    for (recipe, code) in cases {
        let got = engine.process(&recipe, &Control::default()).map_or_else(|e| e.code(), |_| 0);
        assert_eq!(got, code, "{recipe:?}");
    }
    assert_eq!(names(dir.path()), ["in.wav"]);
}

#[test]
fn built_in_presets_all_run() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wav");
    common::write_wav_int(&input, 44_100, &Signal::to_int(&Signal::speech(44_100, 2, 6.0), 16), 16);
    let engine = Engine::new().unwrap();
    let mut count = 0;
    for preset in engine.presets().iter() {
        let mut recipe = preset.recipe.clone();
        recipe.input = input.clone();
        recipe.outputs = vec![output(dir.path(), "flac")];
        let report = engine.process(&recipe, &Control::default()).unwrap();
        assert_ne!(report.outputs[0].target_met, Some(false), "{}: {:?}", preset.name, report.outputs[0].target_reason);
        assert!(!preset.description.is_empty() && preset.version > 0);
        assert!(!preset.sources.is_empty(), "{} names no sources", preset.name);
        count += 1;
    }
    assert_eq!(count, 12);
    assert!(matches!(engine.presets().get("podcats"), Err(Error::UnknownName { .. })));
}
