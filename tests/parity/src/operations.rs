//! The operations of an engine, and what needs none.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pure_sound::audio::Buffer;
use pure_sound::engine::AnalyseOptions;
use pure_sound::error::ErrorCode;
use pure_sound::events::{Delivery, Event, SubscribeOptions};
use pure_sound::filters::registry;
use pure_sound::formats::tags::Metadata;
use pure_sound::formats::{Encoded, FormatSettings, ReadOptions, Source};
use pure_sound::processing::{Control, Progress, Recipe, Report};
use pure_sound::{Engine, Error, schema};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::jobs::jobs;
use crate::{Failure, Outcome, input, live, pictures, signal};

/// Runs the operation `op`.
pub fn run(op: &str, args: &Value) -> Outcome {
    match op {
        "version" => Ok(json!({ "version": env!("CARGO_PKG_VERSION") })),
        "error_table" => Ok(error_table()),
        "presets" => {
            let engine = engine(args)?;
            Ok(json!({ "names": engine.presets().iter().map(|p| p.name).collect::<Vec<_>>() }))
        }
        "preset" => Ok(serde_json::to_value(engine(args)?.presets().get(text(args, "preset"))?)?),
        "filters" => filters(args),
        "schema" => schema_of(args),
        "recipe" => Ok(serde_json::to_value(engine(args)?.recipe(&args["request"])?)?),
        "config" => Ok(serde_json::to_value(engine(args)?.settings())?),
        "probe" => Ok(serde_json::to_value(engine(args)?.probe(source(args)?, &options(args)?)?)?),
        "tags" => Ok(serde_json::to_value(engine(args)?.tags(source(args)?, &options(args)?)?)?),
        "measure" => {
            let loudness = engine(args)?.measure(source(args)?, &options(args)?, &Control::default())?;
            Ok(serde_json::to_value(loudness)?)
        }
        "analyse" => {
            let analysis = engine(args)?.analyse(source(args)?, &analyse_options(args)?, &Control::default())?;
            Ok(serde_json::to_value(analysis)?)
        }
        "check" => {
            let names: Vec<String> =
                args.get("specifications").map_or(Ok(Vec::new()), |names| serde_json::from_value(names.clone()))?;
            Ok(serde_json::to_value(engine(args)?.check(
                source(args)?,
                &names,
                &options(args)?,
                &Control::default(),
            )?)?)
        }
        "classify" => pictures::classify(args),
        "recommend" => pictures::recommend(args),
        "compare" => pictures::compare(args),
        "waveform_peaks" => pictures::waveform_peaks(args),
        "picture" => pictures::picture(args),
        "page" => pictures::page(args),
        "page_of_two" => pictures::page_of_two(args),
        "plan" => {
            let engine = engine(args)?;
            let recipe = engine.recipe(&args["request"])?;
            Ok(serde_json::to_value(engine.plan_source(source(args)?, &recipe)?)?)
        }
        "process" => {
            let engine = engine(args)?;
            let (report, outputs) = process(&engine, args, &Control::default())?;
            let outputs: Vec<Value> =
                outputs.iter().map(|o| json!({ "bytes": o.len(), "sha256": hash_bytes(o) })).collect();
            Ok(json!({ "report": report, "outputs": outputs }))
        }
        "decode" => {
            let audio = engine(args)?.decode(source(args)?, &options(args)?, &Control::default())?;
            Ok(json!({
                "rate_hz": audio.spec().rate_hz, "channels": audio.channel_count(), "layout": audio.spec().layout,
                "frames": audio.frames(), "sha256": hash_samples(&[audio]),
            }))
        }
        "encode" => encode(args),
        "metrics" => metrics(args),
        "health" => health(args),
        "usage" => {
            let engine = engine(args)?;
            process_first(&engine, args)?;
            Ok(serde_json::to_value(engine.resources().usage())?)
        }
        "events" => events(args),
        "progress" => progress(args),
        "jobs" => jobs(args),
        "cancel" => cancel(args),
        "chain" => live::chain(args),
        "meter" => live::meter(args),
        "resample" => live::resample(args),
        "stream_decode" => live::stream_decode(args),
        "stream_encode" => live::stream_encode(args),
        other => Err(Failure::Case(format!("unknown operation '{other}'"))),
    }
}

pub fn text<'a>(args: &'a Value, key: &str) -> &'a str {
    args.get(key).and_then(Value::as_str).unwrap_or("")
}

/// The engine with the settings of the case.
pub fn engine(args: &Value) -> Result<Engine, Failure> {
    Ok(match args.get("settings") {
        Some(settings) => Engine::builder().settings_json(settings)?.build()?,
        None => Engine::new()?,
    })
}

fn source(args: &Value) -> Result<Source, Failure> {
    input::source(args.get("input").unwrap_or(&Value::Null))
}

/// The argument `key` as what it is to be; its default when it is left out.
pub fn argument<T: serde_json::value::Index + AsRef<str>, R>(args: &Value, key: T) -> Result<R, Failure>
where
    R: serde::de::DeserializeOwned + Default,
{
    let Some(value) = args.get(&key) else { return Ok(R::default()) };
    let wrong = |e: serde_json::Error| Error::InvalidValue {
        name: key.as_ref().into(),
        value: e.to_string(),
        allowed: "its schema".into(),
    };
    Ok(serde_json::from_value(value.clone()).map_err(wrong)?)
}

/// Read options of the case.
pub fn options(args: &Value) -> Result<ReadOptions, Failure> {
    argument(args, "options")
}

/// The options of an analysis.
fn analyse_options(args: &Value) -> Result<AnalyseOptions, Failure> {
    argument(args, "options")
}

/// SHA-256 of the interleaved little-endian samples of all blocks.
pub fn hash_samples(blocks: &[Buffer]) -> String {
    let mut hash = Sha256::new();
    let (mut interleaved, mut bytes) = (Vec::new(), Vec::new());
    for block in blocks {
        block.interleave_into(&mut interleaved);
        bytes.clear();
        bytes.extend(interleaved.iter().flat_map(|s| s.to_le_bytes()));
        hash.update(&bytes);
    }
    hex(&hash.finalize())
}

/// SHA-256 of `bytes`.
pub fn hash_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn error_table() -> Value {
    let rows = ErrorCode::ALL.iter().map(|c| json!({ "code": c.number(), "name": c.name(), "kind": c.kind().name() }));
    json!({ "errors": rows.collect::<Vec<_>>() })
}

fn filters(args: &Value) -> Outcome {
    let all = registry::filters();
    let mut result = json!({ "count": all.len() });
    if let Some(name) = args.get("filter").and_then(Value::as_str) {
        result["filter"] = serde_json::to_value(registry::find(name)?)?;
    }
    Ok(result)
}

fn schema_of(args: &Value) -> Outcome {
    let all = schema::all();
    match args.get("schema").and_then(Value::as_str) {
        None => Ok(json!({ "names": all.keys().collect::<Vec<_>>() })),
        Some(name) => match all.get(name) {
            Some(schema) => Ok(schema.clone()),
            None => Err(Error::unknown_name("schema", name, all.keys().map(String::as_str)).into()),
        },
    }
}

/// Runs the recipe of the case; gives the bytes of all outputs.
fn process(engine: &Engine, args: &Value, control: &Control) -> Result<(Report, Vec<Vec<u8>>), Failure> {
    let recipe: Recipe = engine.recipe(&args["request"])?;
    let source = match args.get("input") {
        Some(input) => input::source(input)?,
        // Relative to the root, as in every language.
        None => Source::from(crate::root().join(&recipe.input)),
    };
    if !recipe.outputs.is_empty() && recipe.outputs.iter().all(|o| o.path.as_os_str().is_empty()) {
        return Ok(engine.process_to_memory(source, &recipe, control)?);
    }
    let report = engine.process_source(source, &recipe, control)?;
    let outputs = report.outputs.iter().map(|o| std::fs::read(&o.path)).collect::<Result<_, _>>()?;
    Ok((report, outputs))
}

/// What `encode` and `stream_encode` tell.
pub fn encoded(encoded: &Encoded, bytes: &[u8]) -> Value {
    json!({ "encoded": encoded, "bytes": bytes.len(), "sha256": hash_bytes(bytes) })
}

fn encode(args: &Value) -> Outcome {
    let audio = signal::make(&args["signal"])?;
    let engine = engine(args)?;
    let format: Option<FormatSettings> = argument(args, "format")?;
    let metadata: Metadata = argument(args, "metadata")?;
    if let Some(path) = args.get("path").and_then(Value::as_str) {
        let told = engine.encode(&audio, Path::new(path), format.as_ref(), &metadata)?;
        return Ok(encoded(&told, &std::fs::read(path)?));
    }
    let Some(format) = format else { return Err(Failure::Case("encode to memory needs a format".into())) };
    let (told, bytes) = engine.encode_to_memory(&audio, &format, &metadata)?;
    Ok(encoded(&told, &bytes))
}

/// Runs the recipe of the case, when there is one, so that there is something to tell.
fn process_first(engine: &Engine, args: &Value) -> Result<(), Failure> {
    if args.get("request").is_some() {
        process(engine, args, &Control::default())?;
    }
    Ok(())
}

fn metrics(args: &Value) -> Outcome {
    let engine = engine(args)?;
    process_first(&engine, args)?;
    let text = engine.metrics().to_openmetrics();
    let (mut families, mut samples) = (Map::new(), Map::new());
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            families.insert(name.into(), kind.into());
        } else if !line.starts_with('#')
            && !line.contains(" # ")
            && let Some((series, value)) = line.rsplit_once(' ')
        {
            samples.insert(series.into(), value.into());
        }
    }
    Ok(json!({ "families": families, "samples": samples, "ended": text.ends_with("# EOF\n") }))
}

fn health(args: &Value) -> Outcome {
    let engine = engine(args)?;
    let health = engine.health();
    let answer = match args.get("probe").and_then(Value::as_str) {
        None => health.all(),
        Some("live") => health.live(),
        Some("ready") => health.ready(),
        Some("startup") => health.startup(),
        Some(other) => {
            let allowed = "live, ready, startup".into();
            return Err(Error::InvalidValue { name: "probe".into(), value: other.into(), allowed }.into());
        }
    };
    Ok(serde_json::to_value(answer)?)
}

fn events(args: &Value) -> Outcome {
    let engine = engine(args)?;
    let pattern = args.get("pattern").and_then(Value::as_str).unwrap_or("process.*");
    let heard = Arc::<Mutex<Vec<Arc<Event>>>>::default();
    let deadline = Instant::now() + Duration::from_secs(30);
    let finished = |events: &[Arc<Event>]| events.iter().any(|e| &*e.topic == "process.finished");
    if args.get("poll") == Some(&Value::Bool(true)) {
        let poller = engine.events().poll(SubscribeOptions::new(pattern))?;
        process(&engine, args, &Control::default())?;
        // The most urgent comes first, so the end may come before the stages; after the run all are there.
        while let Some(delivery) = poller.try_next() {
            heard.lock().unwrap_or_else(PoisonError::into_inner).extend(delivery.event().cloned());
        }
    } else {
        let sink = Arc::clone(&heard);
        let subscription = engine.events().subscribe(SubscribeOptions::new(pattern), move |delivery: &Delivery| {
            sink.lock().unwrap_or_else(PoisonError::into_inner).extend(delivery.event().cloned());
            Ok(())
        })?;
        process(&engine, args, &Control::default())?;
        while subscription.stats().waiting > 0 || !finished(&heard.lock().unwrap_or_else(PoisonError::into_inner)) {
            if Instant::now() > deadline {
                return Err(Failure::Case("no process.finished".into()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        subscription.unsubscribe();
    }
    let mut events = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
    events.sort_by_key(|e| e.sequence);
    let (mut topics, mut stages, mut outcome) = (Vec::new(), Vec::new(), Value::Null);
    for event in events {
        let payload = event.payload_json()?;
        topics.push(event.topic.to_string());
        match &*event.topic {
            "process.stage" => stages.push(payload["stage"].clone()),
            "process.finished" => outcome = payload["outcome"].clone(),
            _ => {}
        }
    }
    Ok(json!({ "topics": topics, "stages": stages, "outcome": outcome }))
}

fn progress(args: &Value) -> Outcome {
    let engine = engine(args)?;
    let heard = Arc::<Mutex<Vec<f64>>>::default();
    let sink = Arc::clone(&heard);
    let tell = move |p: &Progress| sink.lock().unwrap_or_else(PoisonError::into_inner).push(p.fraction);
    let control = Control { progress: Some(Arc::new(tell)), ..Control::default() };
    match args.get("of").and_then(Value::as_str) {
        Some("measure") => engine.measure(source(args)?, &options(args)?, &control).map(drop)?,
        Some("check") => engine.check(source(args)?, &[""; 0], &options(args)?, &control).map(drop)?,
        Some("analyse") => engine.analyse(source(args)?, &analyse_options(args)?, &control).map(drop)?,
        Some("decode") => engine.decode(source(args)?, &options(args)?, &control).map(drop)?,
        _ => process(&engine, args, &control).map(drop)?,
    }
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(json!({
        "called": !heard.is_empty(),
        "monotone": heard.windows(2).all(|w| w[0] <= w[1]),
        "in_range": heard.iter().all(|f| (0.0..=1.0).contains(f)),
        "last": heard.last(),
    }))
}

fn cancel(args: &Value) -> Outcome {
    let engine = engine(args)?;
    let mut control = Control::default();
    match text(args, "when") {
        "before" => control.cancel.cancel(),
        "progress" => {
            let token = control.cancel.clone();
            control.progress = Some(Arc::new(move |_: &Progress| token.cancel()));
        }
        other => return Err(Failure::Case(format!("cancel at '{other}'"))),
    }
    process(&engine, args, &control)?;
    Ok(json!({}))
}
