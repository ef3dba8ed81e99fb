//! The engine and its parts: budgets, another try, policy, and every part replaced.
#![allow(clippy::unwrap_used)] // a failed helper is a failed test

mod common;
#[cfg(target_os = "linux")] // the faults are numbers of Linux
#[path = "common/faulty.rs"]
mod faulty;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::{Signal, write_wav_int};
use pure_sound::config::Settings;
use pure_sound::events::{EventBus, Poller, ProcessFinished, ResourceLeak, SubscribeOptions};
use pure_sound::formats::encode::{Negotiated, Sink};
use pure_sound::formats::tags::Metadata;
use pure_sound::formats::{BuiltInCodecs, CodecSet, Decoder, Encoder, MediaInfo, ReadOptions, Source};
use pure_sound::processing::{Control, Output, Recipe};
use pure_sound::resources::{Amounts, Request, Resource, ResourcePool};
use pure_sound::services::seams::{Decision, IdGenerator, Operation, Policy};
use pure_sound::services::{Dependency, Key, Lifetime, Made, Registration};
use pure_sound::{Engine, Error, Result};
use serde_json::json;

/// One second of mono.
fn write_wav(path: &Path) {
    write_wav_int(path, 8000, &Signal::to_int(&Signal::speech(8000, 1, 1.0), 16), 16);
}

fn recipe(dir: &Path, name: &str, extra: serde_json::Value) -> Recipe {
    let mut recipe: Recipe = serde_json::from_value(extra).unwrap();
    recipe.input = dir.join(name);
    recipe.outputs = vec![Output::new(dir.join("out.wav"))];
    recipe
}

/// Codes of the errors of the runs that ended.
fn codes(poller: &Poller) -> Vec<Option<u32>> {
    let next = || Some(poller.try_next()?.event()?.payload::<ProcessFinished>()?.error_code);
    std::iter::from_fn(next).collect()
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
    assert_eq!(codes(&finished), [Some(700)]);
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
        negotiated: &Negotiated,
        sink: Box<dyn Sink>,
        metadata: &Metadata,
        frames_hint: Option<u64>,
        pool: Option<Arc<rayon::ThreadPool>>,
    ) -> Result<Box<dyn Encoder>> {
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
                    stop.lock().unwrap().push("host");
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
    assert_eq!(*ended.lock().unwrap(), ["host"]);
    assert_eq!(services.get::<String>().unwrap_err().name(), "CLOSED");
    let leak = leaks.try_next().unwrap();
    let leak = leak.event().unwrap().payload::<ResourceLeak>().unwrap();
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

/// A failure that passes is tried again and told; one that stays, or that is not allowed another try, is the error.
#[cfg(target_os = "linux")]
#[test]
fn what_passes_is_tried_again() {
    use faulty::{Fault, FaultyFiles};
    use pure_sound::events::RetryScheduled;

    const ESTALE: i32 = 116;
    let dir = tempfile::tempdir().unwrap();
    write_wav(&dir.path().join("in.wav"));
    let engine = |fault: Fault, attempts: u32| {
        let mut settings = Settings::default();
        settings.retry.attempts = attempts;
        (settings.retry.base_ms, settings.retry.max_ms) = (1, 2);
        Engine::builder().settings(settings).files(Arc::new(FaultyFiles::new(fault, 2))).build().unwrap()
    };
    let run = |engine: &Engine, control: &Control| engine.process(&recipe(dir.path(), "in.wav", json!({})), control);
    let passing = engine(Fault::Once(ESTALE), 3);
    let told = passing.events().poll(SubscribeOptions::new("process.retry")).unwrap();
    run(&passing, &Control::default()).unwrap();
    assert_eq!(passing.retries(), 1);
    let delivery = told.try_next().unwrap();
    let retry = delivery.event().unwrap().payload::<RetryScheduled>().unwrap();
    assert_eq!((retry.attempt, retry.error_code, retry.delay_ms <= 1), (2, 600, true));
    assert!(told.try_next().is_none());

    let stays = engine(Fault::FromThen(ESTALE), 3);
    assert!(run(&stays, &Control::default()).unwrap_err().is_transient());
    assert_eq!(stays.retries(), 2);
    let once = engine(Fault::Once(ESTALE), 1);
    assert!(run(&once, &Control::default()).unwrap_err().is_transient());
    assert_eq!(once.retries(), 0);
    // A source that gives its bytes only once has one try.
    let input = std::fs::File::open(dir.path().join("in.wav")).unwrap();
    let streams = engine(Fault::Once(ESTALE), 3);
    let outcome = streams.process_source(
        Source::Stream(Box::new(input)),
        &recipe(dir.path(), "-", json!({})),
        &Control::default(),
    );
    assert!(outcome.unwrap_err().is_transient());
    assert_eq!(streams.retries(), 0);
    // And a cancelled job does not wait for its next try.
    let control = Control::default();
    let cancels = control.cancel.clone();
    let mut settings = Settings::default();
    (settings.retry.base_ms, settings.retry.max_ms) = (600_000, 3_600_000);
    let files = Arc::new(FaultyFiles::new(Fault::Once(ESTALE), 2));
    let slow = Engine::builder().settings(settings).files(files).build().unwrap();
    let options = SubscribeOptions::new("process.retry").synchronous();
    let _subscription = slow.events().subscribe(options, move |_| {
        cancels.cancel();
        Ok(())
    });
    assert!(matches!(run(&slow, &control), Err(Error::Cancelled)));
}
