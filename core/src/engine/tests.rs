//! The engine beside what it is given: settings, a configuration that changes, a bus.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::config::ConfigOptions;
use crate::error::Error;
use crate::events::{Delivery, Outcome, ProcessFinished, ProcessStage, ProcessStarted, SubscribeOptions};
use crate::formats::BuiltInCodecs;
use crate::processing::Output;
use crate::resources::{Amounts, Request, Resource};
use crate::services::seams::Decision;
use crate::services::{Dependency, Key, Lifetime, Made, Registration};
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
    assert_eq!(topics, ["process.started", stage, stage, stage, "process.finished"]);
    assert_eq!(heard[1].1, 0.0);
    assert!(heard[1].1 < heard[2].1 && heard[2].1 < heard[3].1 && heard[3].1 < 1.0, "{heard:?}");
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
    assert_eq!(told(&stages), ["analyse", "encode", "publish"]);
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

/// Ten jobs of which two fit at once: those that do not fit wait, hold nothing meanwhile, and all of them succeed.
#[test]
fn jobs_that_do_not_fit_wait_in_line() {
    let dir = tempfile::tempdir().unwrap();
    write_wav(&dir.path().join("in.wav"));
    let level = json!({"level": {"measure": "loudness", "integrated_lufs": -20.0, "true_peak_dbtp": -1.0}});
    let mut settings = Settings::default();
    (settings.resources.memory_mib, settings.resources.tenant_share_percent) = (64, 50);
    let engine = Engine::builder().settings(settings).build().unwrap();
    let poll = |topic: &str| engine.events().poll(SubscribeOptions::new(topic)).unwrap();
    let (waiting, granted) = (poll("resource.waiting"), poll("resource.granted"));
    let all = Amounts::of(Resource::Memory, 64 << 20);
    let held = engine.resources().acquire(&Request::new("test", all)).unwrap().hand_over();
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..10)
            .map(|n| {
                let mut recipe = recipe(dir.path(), "in.wav", level.clone());
                recipe.outputs = vec![Output { path: dir.path().join(format!("{n}.wav")), format: None }];
                let engine = &engine;
                scope.spawn(move || {
                    let control = Control { tenant: (n % 2 == 0).then(|| "even".into()), ..Control::default() };
                    engine.process(&recipe, &control)
                })
            })
            .collect();
        while engine.resources().usage().waiting < 10 {
            std::thread::yield_now();
        }
        drop(held);
        jobs.into_iter().for_each(|job| drop(job.join().unwrap().unwrap()));
    });
    let usage = engine.resources().usage();
    assert_eq!((usage.holders, usage.waiting, usage.waited, usage.resources[0].used), (0, 0, 10, 0));
    assert!(usage.resources[0].peak <= 64 << 20);
    for (poller, topic) in [(waiting, "resource.waiting"), (granted, "resource.granted")] {
        let count = std::iter::from_fn(|| poller.try_next()).count();
        assert_eq!(count, 10, "{topic}");
    }

    // What can never fit is refused at once, and a wait can be cancelled.
    let mut settings = Settings::default();
    (settings.resources.memory_mib, settings.resources.max_wait_s) = (1, 1);
    let small = Engine::builder().settings(settings).build().unwrap();
    let refused = small.process(&recipe(dir.path(), "in.wav", level.clone()), &Control::default()).unwrap_err();
    assert!(matches!(refused, Error::LimitExceeded { limit: "memory_bytes", .. }), "{refused}");
    let held = engine.resources().acquire(&Request::new("test", all)).unwrap().hand_over();
    let control = Control::default();
    std::thread::scope(|scope| {
        let job = scope.spawn(|| engine.measure(dir.path().join("in.wav").into(), &ReadOptions::default(), &control));
        while engine.resources().usage().waiting == 0 {
            std::thread::yield_now();
        }
        control.cancel.cancel();
        assert!(matches!(job.join().unwrap(), Err(Error::Cancelled)));
    });
    drop(held);
}

/// A policy that lets tenants read their own folder and write nothing.
struct OwnFolder;
impl Policy for OwnFolder {
    fn decide(&self, operation: &Operation<'_>) -> Decision {
        let own = operation
            .tenant
            .is_none_or(|t| operation.input.is_some_and(|p| p.components().any(|c| c.as_os_str() == t)));
        if own && operation.outputs.is_empty() {
            return Decision::Allow;
        }
        Decision::Deny { reason: format!("{} is not for you", operation.name) }
    }
}

#[test]
fn a_policy_is_asked_before_anything_is_done() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("ann")).unwrap();
    let input = dir.path().join("ann").join("in.wav");
    write_wav(&input);
    let engine = Engine::builder().policy(Arc::new(OwnFolder)).build().unwrap();
    let finished = engine.events().poll(SubscribeOptions::new("process.finished")).unwrap();
    let as_tenant = |name: &str| Control { tenant: Some(name.into()), ..Control::default() };
    let measure = |name: &str| engine.measure(input.as_path().into(), &ReadOptions::default(), &as_tenant(name));
    assert!(measure("ann").is_ok());
    let refused = measure("bob").unwrap_err();
    assert_eq!((refused.name(), refused.to_string().ends_with("in.wav: measure is not for you")), ("DENIED", true));
    assert!(engine.probe(input.as_path().into(), &ReadOptions::default()).is_ok());
    let refused = engine.process(&recipe(&dir.path().join("ann"), "in.wav", json!({})), &as_tenant("ann")).unwrap_err();
    assert_eq!(refused.name(), "DENIED");
    assert_eq!(told(&finished), ["Failed Some(700) 0"]);
    assert!(!dir.path().join("ann").join("out.wav").exists());
    // A recording that a filter names is read, too.
    let plain = Engine::builder().policy(Arc::new(NoAssets)).build().unwrap();
    let filters = json!({"filters": [{"type": "convolution", "impulse": input.to_str().unwrap()}]});
    let refused = plain.process(&recipe(&dir.path().join("ann"), "in.wav", filters), &Control::default()).unwrap_err();
    assert!(refused.to_string().ends_with("in.wav: no recordings"), "{refused}");
}

struct NoAssets;
impl Policy for NoAssets {
    fn decide(&self, operation: &Operation<'_>) -> Decision {
        if operation.name == "asset" { Decision::Deny { reason: "no recordings".into() } } else { Decision::Allow }
    }
}

/// Counts identifiers from 7, and codecs that are asked.
struct Counting(AtomicU64, BuiltInCodecs);
impl IdGenerator for Counting {
    fn next_id(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 7
    }
}
impl CodecSet for Counting {
    fn open(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        self.1.open(source, options)
    }
    fn open_described(&self, source: Source, options: &ReadOptions) -> Result<(Box<dyn Decoder>, MediaInfo)> {
        self.0.fetch_add(100, Ordering::Relaxed);
        self.1.open_described(source, options)
    }
    fn tags(&self, source: Source, options: &ReadOptions) -> Result<Metadata> {
        self.1.tags(source, options)
    }
    fn encoder(
        &self,
        negotiated: &crate::formats::encode::Negotiated,
        sink: Box<dyn crate::formats::encode::Sink>,
        metadata: &Metadata,
        frames_hint: Option<u64>,
        pool: Option<Arc<rayon::ThreadPool>>,
    ) -> Result<Box<dyn crate::formats::Encoder>> {
        self.0.fetch_add(10_000, Ordering::Relaxed);
        self.1.encoder(negotiated, sink, metadata, frames_hint, pool)
    }
}

#[test]
fn every_part_can_be_replaced_and_ends_with_the_engine() {
    let dir = tempfile::tempdir().unwrap();
    write_wav(&dir.path().join("in.wav"));
    let codecs = Arc::new(Counting(AtomicU64::new(0), BuiltInCodecs::default()));
    let ended = Arc::<Mutex<Vec<&'static str>>>::default();
    let stop = Arc::clone(&ended);
    let bus = EventBus::default();
    let leaks = bus.poll(SubscribeOptions::new("resource.leak")).unwrap();
    let finished = bus.poll(SubscribeOptions::new("process.finished")).unwrap();
    let engine = Engine::builder()
        .events(&bus)
        .ids(Arc::new(Counting(AtomicU64::new(0), BuiltInCodecs::default())))
        .codecs(codecs.clone())
        .services(|services| {
            // A part of the host that is made of parts of the engine, and ends before them.
            let needs = vec![Dependency { key: Key::of::<ResourcePool>(), optional: false }];
            services.register(Registration::new(Key::of::<String>(), Lifetime::Singleton, needs, move |resolver| {
                let pool = resolver.get::<ResourcePool>(&Key::of::<ResourcePool>())?;
                let stop = Arc::clone(&stop);
                Ok(Made::new(Arc::new("host".to_owned())).with_stop(move || {
                    drop(pool.acquire(&Request::new("still open", Amounts::default()))?);
                    lock(&stop).push("host");
                    Ok(())
                }))
            }));
        })
        .build()
        .unwrap();
    engine.process(&recipe(dir.path(), "in.wav", json!({})), &Control::default()).unwrap();
    assert_eq!(codecs.0.load(Ordering::Relaxed), 10_101, "opened with tags, one encoder, read back once");
    let event = finished.try_next().unwrap();
    assert_eq!(event.event().unwrap().key.as_deref(), Some("00000000-0000-0000-0000-000000000007"));
    assert_eq!(**engine.services().get::<String>().unwrap(), *"host");
    assert!(engine.services().get::<dyn Policy>().is_ok());
    std::mem::forget(engine.resources().acquire(&Request::new("lost", Amounts::of(Resource::Files, 2))).unwrap());
    let services = engine.services().clone();
    drop(engine);
    assert_eq!(*lock(&ended), ["host"]);
    assert_eq!(services.get::<String>().unwrap_err().name(), "CLOSED");
    let leak = leaks.try_next().unwrap();
    let leak = leak.event().unwrap().payload::<crate::events::ResourceLeak>().unwrap();
    assert_eq!((leak.pool.as_str(), leak.amount, leak.holders["lost"]), ("files", 2, 2));
    assert!(leaks.try_next().is_none());

    // Twice the same, and one that needs what nobody has.
    let codecs = || Arc::new(BuiltInCodecs::default());
    let wrong = Engine::builder()
        .codecs(codecs())
        .codecs(codecs())
        .services(|s| {
            s.factory(Lifetime::Singleton, |_: Arc<u8>| Ok(Arc::new(1_u16)));
        })
        .build()
        .unwrap_err();
    let text = wrong.to_string();
    assert!(text.contains("ambiguous: CodecSet") && text.contains("missing: u16: needs u8"), "{text}");
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
