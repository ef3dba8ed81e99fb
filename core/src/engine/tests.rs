//! The engine beside what it is given: settings, a configuration that changes, a bus.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::config::ConfigOptions;
use crate::error::Error;
use crate::events::{Delivery, Outcome, ProcessFinished, ProcessStage, ProcessStarted, SubscribeOptions};
use crate::processing::Output;
use crate::sync::{Mutex, lock};

/// One second of a 16-bit mono WAV of 8 kHz with a triangle in it.
fn write_wav(path: &Path) {
    let samples = (0..8000_i32).flat_map(|n| (((n % 40) * 400 - 8000) as i16).to_le_bytes());
    let mut bytes =
        b"RIFF\xa4\x3e\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x80\x3e\0\0".to_vec();
    bytes.extend(samples);
    std::fs::write(path, bytes).unwrap();
}

fn recipe(dir: &Path, name: &str, extra: serde_json::Value) -> Recipe {
    let mut recipe: Recipe = serde_json::from_value(extra).unwrap();
    recipe.input = dir.join(name);
    recipe.outputs = vec![Output { path: dir.join("out.wav"), format: None }];
    recipe
}

/// One line per event that waits.
fn told(poller: &crate::events::Poller) -> Vec<String> {
    let mut lines = Vec::new();
    let mut runs = std::collections::BTreeSet::new();
    while let Some(Delivery::Event { event, .. }) = poller.try_next() {
        runs.extend(event.key.clone());
        if let Some(e) = event.payload::<ProcessStarted>() {
            lines.push(format!("started {:?} {}", e.duration_s, e.outputs));
        } else if let Some(e) = event.payload::<ProcessStage>() {
            lines.push(e.stage.clone());
        } else {
            let e = event.payload::<ProcessFinished>().unwrap();
            assert!(e.wall_s > 0.0 && e.error.is_some() == e.error_code.is_some());
            lines.push(format!("{:?} {:?} {}", e.outcome, e.error_code, e.audio_s));
        }
    }
    assert!(runs.len() <= 1, "one run, one key: {runs:?}");
    lines
}

#[test]
fn a_run_is_told_from_start_to_end_in_order() {
    let dir = tempfile::tempdir().unwrap();
    write_wav(&dir.path().join("in.wav"));
    let engine = Engine::new().unwrap();
    // Topic, and fraction for stages.
    let heard = Arc::<Mutex<Vec<(String, f64)>>>::default();
    let sink = Arc::clone(&heard);
    let _subscription = engine.events().subscribe(SubscribeOptions::new("process.*").synchronous(), move |delivery| {
        if let Some(event) = delivery.event() {
            let fraction = event.payload::<ProcessStage>().map_or(0.0, |stage| stage.fraction);
            lock(&sink).push((event.topic.to_string(), fraction));
        }
        Ok(())
    });
    let level = json!({"level": {"measure": "loudness", "integrated_lufs": -20.0, "true_peak_dbtp": -1.0}});
    engine.process(&recipe(dir.path(), "in.wav", level), &Control::default()).unwrap();
    let heard = lock(&heard);
    let topics: Vec<&str> = heard.iter().map(|(topic, _)| topic.as_str()).collect();
    let stage = "process.stage";
    assert_eq!(topics, ["process.started", stage, stage, stage, stage, stage, "process.finished"]);
    let stages = &heard[1..6];
    assert!(stages[0].1 == 0.0 && stages[1].1 > 0.0 && stages[4].1 < 1.0, "{heard:?}");
    assert!(stages.windows(2).all(|w| w[0].1 <= w[1].1), "{heard:?}");
}

#[test]
fn stages_lengths_and_errors_are_told() {
    let dir = tempfile::tempdir().unwrap();
    write_wav(&dir.path().join("in.wav"));
    let engine = Engine::new().unwrap();
    // A poller takes the most urgent first; so one for each topic.
    let poll = |topic: &str| engine.events().poll(SubscribeOptions::new(topic)).unwrap();
    let (started, stages, finished) = (poll("process.started"), poll("process.stage"), poll("process.finished"));
    let level = json!({"level": {"measure": "loudness", "integrated_lufs": -20.0, "true_peak_dbtp": -1.0}});
    engine.process(&recipe(dir.path(), "in.wav", level), &Control::default()).unwrap();
    assert_eq!(told(&started), ["started Some(1.0) 1"]);
    assert_eq!(told(&stages), ["analyse", "solve", "encode", "verify", "publish"]);
    assert_eq!(told(&finished), ["Succeeded None 1"]);

    // What cannot even be opened, with the number of the error that the caller gets.
    let error = engine.process(&recipe(dir.path(), "no.wav", json!({})), &Control::default()).unwrap_err();
    assert_eq!(told(&started), ["started None 1"]);
    assert!(told(&stages).is_empty());
    assert_eq!(told(&finished), [format!("Failed Some({}) 0", error.code())]);

    let control = Control::default();
    control.cancel.cancel();
    assert!(engine.process(&recipe(dir.path(), "in.wav", json!({})), &control).is_err());
    assert_eq!(told(&finished), [format!("{:?} Some({}) 0", Outcome::Cancelled, Error::Cancelled.code())]);
}

#[test]
fn a_bus_that_was_shut_down_stops_no_job() {
    let dir = tempfile::tempdir().unwrap();
    write_wav(&dir.path().join("in.wav"));
    let bus = EventBus::default();
    let engine = Engine::builder().events(&bus).build().unwrap();
    bus.shutdown(std::time::Duration::ZERO);
    engine.process(&recipe(dir.path(), "in.wav", json!({})), &Control::default()).unwrap();
    assert_eq!(engine.events().last_sequence(), 0);
}

#[test]
fn settings_are_taken_and_calls_win() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("mine.yaml"),
        "name: mine\nversion: 1\ncategory: speech\ndescription: Test.\ninherits: podcast\n",
    )
    .unwrap();
    let mut settings = Settings::default();
    settings.engine.threads = 3;
    settings.engine.temp_dir = Some(dir.path().join("spool"));
    settings.engine.preset_dirs = vec![dir.path().to_path_buf()];
    settings.spool.memory_mib = 5;
    settings.events.history_events = 2;
    let engine = Engine::builder().settings(settings.clone()).build().unwrap();
    assert_eq!((engine.pool.current_num_threads(), engine.spool_memory_bytes), (3, 5 << 20));
    assert_eq!(engine.temp_dir, settings.engine.temp_dir);
    assert!(engine.presets().recipe("mine", &json!({})).is_ok());
    for n in 0..4 {
        engine.events().publish_json("a.b", 1, crate::events::Priority::Low, None, json!(n)).unwrap();
    }
    assert_eq!(engine.events().stats().history_events, 2);

    let builder = Engine::builder().threads(2).spool_memory_bytes(7).temp_dir("x").settings(settings);
    let engine = builder.build().unwrap();
    assert_eq!((engine.pool.current_num_threads(), engine.spool_memory_bytes), (2, 7));
    assert_eq!(engine.temp_dir.as_deref(), Some(Path::new("x")));

    let plain = Engine::new().unwrap();
    assert_eq!((plain.spool_memory_bytes, &plain.temp_dir), (32 << 20, &None));
}

#[test]
fn limits_of_the_configuration_hold_unless_a_recipe_says_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wav");
    write_wav(&input);
    let config = Config::open(ConfigOptions::new().command_line("limits.max_seconds", "10")).unwrap();
    let engine = Engine::builder().config(&config).build().unwrap();
    let run = |extra| engine.process(&recipe(dir.path(), "in.wav", extra), &Control::default());
    run(json!({})).unwrap();
    // While it runs, without a restart.
    config.set("test", [("limits.max_bytes".to_owned(), json!(1000))]).unwrap();
    let refused = |error: Error| matches!(error, Error::LimitExceeded { max: 1000.0, .. });
    assert!(refused(run(json!({})).unwrap_err()));
    assert!(refused(engine.probe(Source::from(input.as_path()), &ReadOptions::default()).unwrap_err()));
    assert!(refused(engine.plan(&recipe(dir.path(), "in.wav", json!({}))).unwrap_err()));
    run(json!({"read": {"limits": {"max_bytes": 100_000}}})).unwrap();
    // Also when it says what is the default anyhow.
    run(json!({"read": {"limits": {"max_bytes": Limits::default().max_bytes()}}})).unwrap();
    run(json!({"read": {"limits": {"max_bytes": null}}})).unwrap_err();
}

#[test]
fn the_history_follows_the_configuration_until_the_engine_goes() {
    let config = Config::open(ConfigOptions::new().command_line("events.lane_events", "1")).unwrap();
    let engine = Engine::builder().config(&config).build().unwrap();
    let history = |events: u32| {
        config.set("test", [("events.history_events".to_owned(), json!(events))]).unwrap();
        config.events().stats().history_events
    };
    assert_eq!((history(2), history(3), history(1), history(0)), (1, 2, 1, 0));
    assert_eq!(engine.events().stats().subscribers, 1);
    // `lane_events` is 1: the second event drops the first.
    let poller = engine.events().poll(SubscribeOptions::new("a.b")).unwrap();
    for n in 0..2 {
        engine.events().publish_json("a.b", 1, crate::events::Priority::Low, None, json!(n)).unwrap();
    }
    assert!(matches!(poller.try_next(), Some(Delivery::Lagged { lost: 1 })));
    drop((engine, poller));
    assert_eq!(config.events().stats().subscribers, 0);
}

#[test]
fn audio_goes_through_memory_and_comes_back() {
    let engine = Engine::new().unwrap();
    let spec = crate::audio::Spec::new(8000, crate::audio::ChannelLayout::STEREO);
    let channel = |step: usize| (0..8000).map(|n| ((n * step) % 64) as f32 / 128.0 - 0.25).collect::<Vec<f32>>();
    let audio = crate::audio::Buffer::from_channels(spec, &[channel(3), channel(5)]);
    let (options, control) = (ReadOptions::default(), Control::default());

    let back = engine.decode(Source::from_audio(&audio).unwrap(), &options, &control).unwrap();
    assert_eq!((back.spec(), back.frames()), (spec, 8000));
    assert_eq!(back.into_planar(), audio.clone().into_planar());

    let metadata = Metadata::default();
    let flac = crate::formats::FormatSettings::from_name("flac").unwrap();
    let (encoded, bytes) = engine.encode_to_memory(&audio, &flac, &metadata).unwrap();
    assert_eq!(encoded.frames, 8000);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.flac");
    engine.encode(&audio, &path, None, &metadata).unwrap();
    assert!(std::fs::read(&path).unwrap() == bytes, "a path and memory give different bytes");

    let outputs = json!({"outputs": [{"format": {"format": "flac"}}, {"format": {"format": "wav", "sample": "f32"}}]});
    let recipe = engine.recipe(&outputs).unwrap();
    let source = Source::from_audio(&audio).unwrap();
    let (report, files) = engine.process_to_memory(source, &recipe, &control).unwrap();
    assert_eq!(files.len(), 2);
    assert_eq!(report.outputs[0].blake3, Some(blake3::hash(&files[0]).to_hex().to_string()));
    let wav = engine.decode(Source::from(files[1].clone()), &options, &control).unwrap();
    assert_eq!(wav.into_planar(), audio.into_planar());
}

#[test]
fn outputs_in_memory_state_their_format_and_no_path() {
    let engine = Engine::new().unwrap();
    let run = |request| {
        let recipe = engine.recipe(&request).unwrap();
        let source = Source::from(Vec::from(*b"never opened"));
        engine.process_to_memory(source, &recipe, &Control::default()).unwrap_err().to_string()
    };
    assert!(run(json!({"output": "a.wav"})).contains("outputs[0].path: 'a.wav'"));
    assert!(run(json!({"outputs": [{}]})).contains("outputs[0].format"));
    let cancelled = Control::default();
    cancelled.cancel.cancel();
    let error = engine.decode(Source::from("examples"), &ReadOptions::default(), &cancelled).unwrap_err();
    assert!(matches!(error, Error::InvalidValue { .. } | Error::NotFound { .. }), "{error}");
}

#[test]
fn settings_are_taken_as_json_and_mistakes_named() {
    let build = |settings: serde_json::Value| Engine::builder().settings_json(&settings)?.build();
    let engine = build(json!({"engine": {"threads": 3}})).unwrap();
    assert_eq!(engine.pool.current_num_threads(), 3);
    assert!(build(json!({})).is_ok() && build(json!(null)).is_ok());
    let Error::Invalid { problems, .. } = build(json!({"engine": {"threds": 3}})).unwrap_err() else { panic!() };
    assert!(problems[0].message.contains("threads"), "{problems:?}");
    assert!(matches!(build(json!(3)), Err(Error::InvalidValue { .. })));
}

/// Value of a series.
fn figure(engine: &Engine, name: &str, labels: &[(&str, &str)]) -> f64 {
    engine.metrics().value(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?}"))
}

#[test]
fn calls_are_counted_by_how_they_end() {
    let dir = tempfile::tempdir().unwrap();
    write_wav(&dir.path().join("in.wav"));
    let (engine, other) = (Engine::new().unwrap(), Engine::new().unwrap());
    let level = json!({"level": {"measure": "loudness", "integrated_lufs": -20.0, "true_peak_dbtp": -1.0}});
    engine.process(&recipe(dir.path(), "in.wav", level), &Control::default()).unwrap();
    engine.process(&recipe(dir.path(), "no.wav", json!({})), &Control::default()).unwrap_err();
    let control = Control::default();
    control.cancel.cancel();
    engine.process(&recipe(dir.path(), "in.wav", json!({})), &control).unwrap_err();
    let input = dir.path().join("in.wav");
    engine.probe(Source::from(input.as_path()), &ReadOptions::default()).unwrap();
    engine.measure(Source::from(input.as_path()), &ReadOptions::default(), &Control::default()).unwrap();

    let ended = |operation, outcome| {
        figure(&engine, "pure_sound_operations", &[("operation", operation), ("outcome", outcome)])
    };
    let process = ["succeeded", "failed", "cancelled"].map(|outcome| ended("process", outcome));
    assert_eq!((process, ended("probe", "succeeded"), ended("open", "succeeded")), ([1.0; 3], 1.0, 0.0));
    assert_eq!(ended("measure", "succeeded"), 1.0);
    let error = [("operation", "process"), ("error", "NOT_FOUND")];
    assert_eq!(figure(&engine, "pure_sound_operation_errors", &error), 1.0);
    assert_eq!(figure(&engine, "pure_sound_operations_running", &[("operation", "process")]), 0.0);
    assert_eq!(figure(&engine, "pure_sound_process_audio_seconds", &[]), 1.0);
    assert_eq!(figure(&engine, "pure_sound_process_outputs", &[("format", "wav")]), 1.0);
    assert_eq!(figure(&engine, "pure_sound_admissions", &[]), engine.resources().usage().granted as f64);
    assert!(figure(&engine, "pure_sound_resource_peak", &[("resource", "memory")]) > 0.0);
    assert_eq!(figure(&engine, "pure_sound_resource_used", &[("resource", "memory")]), 0.0);
    assert_eq!(figure(&engine, "pure_sound_retries", &[]), 0.0);
    assert_eq!(figure(&engine, "pure_sound_events_published", &[]), engine.events().last_sequence() as f64);
    let text = engine.metrics().to_openmetrics();
    for line in [
        "pure_sound_process_realtime_factor_count 1\n",
        "pure_sound_process_stage_duration_seconds_count{stage=\"verify\"} 1\n",
        "pure_sound_process_stage_duration_seconds_count{stage=\"publish\"} 1\n",
        "pure_sound_operation_duration_seconds_count{operation=\"process\"} 3\n",
        "# {trace_id=\"",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let idle = [("operation", "process"), ("outcome", "succeeded")];
    assert_eq!(figure(&other, "pure_sound_operations", &idle), 0.0, "another engine knows nothing of it");
}

#[test]
fn an_engine_that_is_not_observed_counts_and_tells_nothing_and_makes_the_same() {
    let dir = tempfile::tempdir().unwrap();
    write_wav(&dir.path().join("in.wav"));
    let run = |observe| {
        let engine = Engine::builder().observe(observe).build().unwrap();
        let level = json!({"level": {"measure": "loudness", "integrated_lufs": -20.0, "true_peak_dbtp": -1.0}});
        engine.process(&recipe(dir.path(), "in.wav", level), &Control::default()).unwrap();
        let ended = [("operation", "process"), ("outcome", "succeeded")];
        let counted = figure(&engine, "pure_sound_operations", &ended);
        (std::fs::read(dir.path().join("out.wav")).unwrap(), engine.events().last_sequence(), counted)
    };
    let (observed, unobserved) = (run(true), run(false));
    assert_eq!((observed.1, observed.2), (7, 1.0));
    assert_eq!((unobserved.1, unobserved.2), (0, 0.0));
    assert!(observed.0 == unobserved.0);
}

#[test]
fn all_threads_of_a_run_speak_to_the_log_of_the_engine() {
    use crate::observe::{LogLevel, LogRecord};
    let dir = tempfile::tempdir().unwrap();
    write_wav(&dir.path().join("in.wav"));
    let records = Arc::<Mutex<Vec<LogRecord>>>::default();
    let sink = Arc::clone(&records);
    let engine = Engine::builder().log(LogLevel::Debug, Arc::new(move |r: &LogRecord| lock(&sink).push(r.clone())));
    let engine = engine.build().unwrap();
    let run = |name| {
        let level = json!({"level": {"measure": "loudness", "integrated_lufs": -20.0, "true_peak_dbtp": -1.0}});
        let _ = engine.process(&recipe(dir.path(), name, level), &Control::default());
    };
    run("in.wav");
    {
        let records = lock(&records);
        // From the thread of the output, in the spans of the run.
        let verified = records.iter().find(|r| r.message == "verified").expect("told at this level");
        let names: Vec<&str> = verified.spans.iter().map(|s| s.name).collect();
        assert_eq!(names, ["run", "process"]);
        assert!(records.iter().any(|r| r.message == "processed" && r.level == LogLevel::Info));
        assert!(records.iter().all(|r| r.spans[0].fields["id"] == verified.spans[0].fields["id"]));
    }
    lock(&records).clear();
    engine.log().set_level(LogLevel::Error);
    run("in.wav");
    assert!(lock(&records).is_empty());
    run("no.wav");
    let levels: Vec<LogLevel> = lock(&records).iter().map(|r| r.level).collect();
    assert_eq!(levels, [LogLevel::Error]);
    assert_eq!(figure(&engine, "pure_sound_log_records", &[("level", "error")]), 1.0);
    engine.log().mute();
    run("no.wav");
    assert_eq!(lock(&records).len(), 1);
}

#[test]
fn health_tells_of_storage_events_and_configuration() {
    use crate::services::HealthStatus;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.yaml");
    std::fs::write(&file, "limits: {max_channels: 2}\n").unwrap();
    let config = Config::open(ConfigOptions::new().user_file(&file)).unwrap();
    let engine = Engine::builder().config(&config).temp_dir(dir.path().join("gone")).build().unwrap();
    let answer = engine.health().ready();
    assert_eq!((answer.status, answer.http_status()), (HealthStatus::Fail, 503));
    assert_eq!(answer.checks["temp:writable"][0].status, HealthStatus::Fail);
    assert_eq!(answer.checks["config:rejected"][0].status, HealthStatus::Pass);
    assert_eq!(engine.health().live().status, HealthStatus::Pass);
    assert_eq!(figure(&engine, "pure_sound_health_status", &[("check", "temp:writable")]), 2.0);

    std::fs::write(&file, "limits: {max_channels: none}\n").unwrap();
    config.reload().unwrap_err();
    config.reload().unwrap_err();
    assert_eq!(figure(&engine, "pure_sound_config_rejections", &[]), 1.0);
    let other = Engine::builder().config(&config).temp_dir(dir.path()).build().unwrap();
    let checks = other.health().ready().checks;
    assert_eq!(checks["config:rejected"][0].status, HealthStatus::Warn);
    assert!(checks["config:rejected"][0].output.as_ref().unwrap().contains("limits.max_channels"));
    assert_eq!(checks["temp:writable"][0].status, HealthStatus::Pass);
}

#[test]
fn every_metric_of_the_engine_has_a_right_name_and_help() {
    let config = Config::open(ConfigOptions::new()).unwrap();
    let engine = Engine::builder().config(&config).build().unwrap();
    let all = engine.metrics().catalogue();
    assert!(all.len() >= 25, "{}", all.len());
    for metric in all {
        assert!(metric.name.starts_with("pure_sound_") && metric.help.ends_with('.'), "{}", metric.name);
    }
}
