//! [`Engine`]: the facade of the core, each call a promise.

use std::path::Path;
use std::sync::Arc;

use napi::bindgen_prelude::{Buffer, Env, Object};
use napi_derive::napi;
use pure_sound::config::Settings;
use pure_sound::engine::AnalyseOptions;
use pure_sound::formats::tags::Metadata;
use pure_sound::formats::{FormatSettings, ReadOptions};
use pure_sound::processing::{EncodeTarget, Overwrite};
use pure_sound::{Engine as CoreEngine, Error as CoreError};
use serde_json::Value;

use crate::call::Call;
use crate::cancel::{Cancel, ProgressCallback, Reins};
use crate::decoder::Decoder;
use crate::encoder::{Encoder, Target};
use crate::error::sync;
use crate::events::{self, Subscription};
use crate::features::Features;
use crate::observe;
use crate::promise::{json, options, promise};
use crate::samples::{Audio, Planes, spec_of};
use crate::source::Source;
use crate::threads::Lane;

/// Outputs in memory, with the report.
#[napi(object, object_from_js = false)]
pub struct Processed {
    /// The report as JSON.
    pub report: String,
    /// The outputs in order.
    pub outputs: Vec<Buffer>,
}

/// An encoded file in memory.
#[napi(object, object_from_js = false)]
pub struct EncodedBytes {
    /// What was written, as JSON.
    pub encoded: String,
    /// The file.
    pub bytes: Option<Buffer>,
}

/// An audio engine.
#[napi]
pub struct Engine {
    engine: Arc<CoreEngine>,
    settings: Settings,
}

impl Engine {
    /// The core's engine, to keep.
    pub fn shared(&self) -> Arc<CoreEngine> {
        Arc::clone(&self.engine)
    }

    /// The core's engine.
    pub fn core(&self) -> &CoreEngine {
        &self.engine
    }
}

#[napi]
impl Engine {
    /// An engine with settings as JSON.
    #[napi(constructor)]
    pub fn new(env: &Env, settings: String) -> napi::Result<Self> {
        sync(env, || {
            let given: Value = options("settings", &settings)?;
            let engine = CoreEngine::builder().settings_json(&given)?.build()?;
            // What the builder took; it told of everything that is wrong.
            let settings = options("settings", &settings)?;
            Ok(Self { engine: Arc::new(engine), settings })
        })
    }

    /// The settings that hold, as JSON.
    #[napi]
    pub fn config(&self, env: &Env) -> napi::Result<String> {
        sync(env, || json(&self.settings))
    }

    /// All presets as JSON.
    #[napi]
    pub fn presets(&self, env: &Env) -> napi::Result<String> {
        sync(env, || json(&self.engine.presets().iter().collect::<Vec<_>>()))
    }

    /// One preset as JSON.
    #[napi]
    pub fn preset(&self, env: &Env, name: String) -> napi::Result<String> {
        sync(env, || json(&self.engine.presets().get(&name)?))
    }

    /// The recipe that a request asks for, as JSON.
    #[napi]
    pub fn recipe(&self, env: &Env, request: String) -> napi::Result<String> {
        sync(env, || json(&self.engine.recipe(&options::<Value>("recipe", &request)?)?))
    }

    /// What an input is, as JSON.
    #[napi]
    pub fn probe<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        read: String,
        cancel: &Cancel,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::Block)?;
        call.run(env, read, Reins::new(cancel, None), |engine, source, read: &ReadOptions, _| {
            json(&engine.probe(source, read)?)
        })
    }

    /// Tags, pictures and chapters as JSON.
    #[napi]
    pub fn tags<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        read: String,
        cancel: &Cancel,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::Block)?;
        call.run(env, read, Reins::new(cancel, None), |engine, source, read: &ReadOptions, _| {
            json(&engine.tags(source, read)?)
        })
    }

    /// Loudness, peaks and levels as JSON.
    #[napi]
    pub fn measure<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        read: String,
        cancel: &Cancel,
        tenant: Option<String>,
        progress: Option<ProgressCallback>,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::File)?;
        let reins = Reins::new(cancel, progress).tenant(tenant);
        call.run(env, read, reins, |engine, source, read: &ReadOptions, control| {
            json(&engine.measure(source, read, control)?)
        })
    }

    /// What an input is like, as JSON.
    #[napi]
    pub fn analyse<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        analyse: String,
        cancel: &Cancel,
        tenant: Option<String>,
        progress: Option<ProgressCallback>,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::File)?;
        let reins = Reins::new(cancel, progress).tenant(tenant);
        call.run(env, analyse, reins, |engine, source, options: &AnalyseOptions, control| {
            json(&engine.analyse(source, options, control)?)
        })
    }

    /// What an input is like, with its features over time.
    #[napi]
    pub fn features<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        analyse: String,
        cancel: &Cancel,
        tenant: Option<String>,
        progress: Option<ProgressCallback>,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::File)?;
        let reins = Reins::new(cancel, progress).tenant(tenant);
        call.run(env, analyse, reins, |engine, source, options: &AnalyseOptions, control| {
            Features::of(engine.features(source, options, control)?)
        })
    }

    /// Faults, and how specifications come out, as JSON.
    #[napi]
    #[allow(clippy::too_many_arguments, reason = "called by lib/engine.js alone")]
    pub fn check<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        specifications: Vec<String>,
        read: String,
        cancel: &Cancel,
        tenant: Option<String>,
        progress: Option<ProgressCallback>,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::File)?;
        let reins = Reins::new(cancel, progress).tenant(tenant);
        call.run(env, read, reins, move |engine, source, read: &ReadOptions, control| {
            json(&engine.check(source, &specifications, read, control)?)
        })
    }

    /// The whole input as samples.
    #[napi]
    pub fn decode<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        read: String,
        cancel: &Cancel,
        tenant: Option<String>,
        progress: Option<ProgressCallback>,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::File)?;
        let reins = Reins::new(cancel, progress).tenant(tenant);
        call.run(env, read, reins, |engine, source, read: &ReadOptions, control| {
            engine.decode(source, read, control).map(Audio)
        })
    }

    /// What [`Engine::process`] would do, as JSON.
    #[napi]
    pub fn plan<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        request: String,
        cancel: &Cancel,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::Block)?;
        call.follow(env, request, Reins::new(cancel, None), |engine, source, recipe, _| {
            json(&engine.plan_source(source, recipe)?)
        })
    }

    /// Runs a recipe that writes files; gives the report as JSON.
    #[napi]
    pub fn process<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        request: String,
        cancel: &Cancel,
        tenant: Option<String>,
        progress: Option<ProgressCallback>,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::File)?;
        call.follow(env, request, Reins::new(cancel, progress).tenant(tenant), |engine, source, recipe, control| {
            json(&engine.process_source(source, recipe, control)?)
        })
    }

    /// As [`Engine::process`] for outputs that come back as bytes.
    #[napi]
    pub fn process_to_memory<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        request: String,
        cancel: &Cancel,
        tenant: Option<String>,
        progress: Option<ProgressCallback>,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::File)?;
        call.follow(env, request, Reins::new(cancel, progress).tenant(tenant), |engine, source, recipe, control| {
            let (report, outputs) = engine.process_to_memory(source, recipe, control)?;
            Ok(Processed { report: json(&report)?, outputs: outputs.into_iter().map(Buffer::from).collect() })
        })
    }

    /// Opens an input for reading blocks.
    #[napi]
    pub fn open<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        read: String,
        cancel: &Cancel,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::Block)?;
        call.run(env, read, Reins::new(cancel, None), |engine, source, read: &ReadOptions, _| {
            Decoder::open(engine, source, read)
        })
    }

    /// Encodes audio in memory: to a file, or without a path to bytes.
    #[napi]
    #[allow(clippy::too_many_arguments)] // called by index.js alone, with all of them
    pub fn encode<'env>(
        &self,
        env: &'env Env,
        rate_hz: f64,
        layout: String,
        planes: Planes,
        path: Option<String>,
        format: String,
        metadata: String,
        cancel: &Cancel,
    ) -> napi::Result<Object<'env>> {
        let audio = sync(env, || planes.into_buffer(spec_of(rate_hz, &layout)?, false))?;
        let (engine, reins) = (Arc::clone(&self.engine), Reins::new(cancel, None));
        promise(env, Lane::File, move || {
            reins.drive(|control| {
                let (format, metadata) =
                    (options::<Option<FormatSettings>>("format", &format)?, read_metadata(&metadata)?);
                let target = match &path {
                    Some(path) => EncodeTarget::Path(Path::new(path), Overwrite::Replace),
                    None => EncodeTarget::Memory,
                };
                let mut encoder = engine.encoder(target, format.as_ref(), audio.spec(), &metadata)?;
                in_parts(&audio, |part| {
                    control.cancel.check()?;
                    encoder.write(part)
                })?;
                let (encoded, bytes) = encoder.finish()?;
                Ok(EncodedBytes { encoded: json(&encoded)?, bytes: bytes.map(Buffer::from) })
            })
        })
    }

    /// An encoder for blocks. `target` is `file`, `memory` or `stream`.
    #[napi]
    #[allow(clippy::too_many_arguments)] // as above
    pub fn encoder<'env>(
        &self,
        env: &'env Env,
        rate_hz: f64,
        layout: String,
        target: String,
        path: Option<String>,
        overwrite: bool,
        format: String,
        metadata: String,
    ) -> napi::Result<Object<'env>> {
        let engine = Arc::clone(&self.engine);
        promise(env, Lane::Block, move || {
            let spec = spec_of(rate_hz, &layout)?;
            let (format, metadata) = (options::<Option<FormatSettings>>("format", &format)?, read_metadata(&metadata)?);
            let overwrite = if overwrite { Overwrite::Replace } else { Overwrite::Refuse };
            let target = match (target.as_str(), path) {
                ("file", Some(path)) => Target::File(path, overwrite),
                ("stream", _) => Target::Stream,
                _ => Target::Memory,
            };
            Encoder::create(&engine, target, format.as_ref(), spec, &metadata)
        })
    }

    /// All figures as OpenMetrics text.
    #[napi]
    pub fn metrics(&self, env: &Env) -> napi::Result<String> {
        sync(env, || Ok(self.engine.metrics().to_openmetrics()))
    }

    /// A promise of what a probe answers, as JSON: a check may take a second. Without a probe: everything.
    #[napi]
    pub fn health<'env>(&self, env: &'env Env, probe: Option<String>) -> napi::Result<Object<'env>> {
        let engine = Arc::clone(&self.engine);
        promise(env, Lane::Block, move || json(&observe::health(engine.health(), probe.as_deref())?))
    }

    /// What jobs hold of the budgets, as JSON.
    #[napi]
    pub fn usage(&self, env: &Env) -> napi::Result<String> {
        sync(env, || json(&self.engine.resources().usage()))
    }

    /// Hands log records of `level` and above to `callback` as JSON; without one sets how much is told, or ends it with `off`.
    #[napi]
    pub fn log(&self, env: &Env, level: String, callback: Option<observe::Listener>) -> napi::Result<()> {
        sync(env, || observe::log(self.engine.log(), &level, callback))
    }

    /// Subscribes to a pattern of topics. `handler` gets each delivery as JSON.
    #[napi]
    pub fn subscribe(
        &self,
        env: &Env,
        pattern: String,
        options: String,
        handler: events::Handler,
    ) -> napi::Result<Subscription> {
        sync(env, || Subscription::new(self.engine.events(), &pattern, &options, handler))
    }

    /// Publishes a payload as JSON; gives the number of the event.
    #[napi]
    pub fn publish(&self, env: &Env, topic: String, payload: String) -> napi::Result<f64> {
        sync(env, || events::publish(self.engine.events(), &topic, &payload))
    }
}

/// Metadata to write, as JSON. Pictures are left out: their bytes are not in JSON.
fn read_metadata(text: &str) -> pure_sound::Result<Metadata> {
    Ok(options::<Option<Metadata>>("metadata", text)?.unwrap_or_default())
}

/// Calls `each` with `audio` in parts, between which a cancel is seen.
fn in_parts(
    audio: &pure_sound::audio::Buffer,
    mut each: impl FnMut(&pure_sound::audio::Buffer) -> Result<(), CoreError>,
) -> Result<(), CoreError> {
    const PART_FRAMES: usize = 1 << 16;
    let mut part = pure_sound::audio::Buffer::new(audio.spec(), PART_FRAMES.min(audio.frames()));
    for start in (0..audio.frames()).step_by(PART_FRAMES) {
        part.copy_from(audio, start, PART_FRAMES.min(audio.frames() - start));
        each(&part)?;
    }
    Ok(())
}
