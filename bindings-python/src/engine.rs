//! `Engine`: the facade.

use std::path::PathBuf;
use std::sync::Arc;

use pure_sound::Error;
use pure_sound::analysis::FeatureArray;
use pure_sound::engine::AnalyseOptions;
use pure_sound::events::Priority;
use pure_sound::formats::tags::Metadata;
use pure_sound::formats::{FormatSettings, ReadOptions};
use pure_sound::processing::{EncodeTarget, Overwrite, Recipe};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::decoder::Decoder;
use crate::encoder::Encoder;
use crate::errors::{detached, quick, raise};
use crate::events::{Poller, Subscription};
use crate::fork::Home;
use crate::observe::{self, Listener};
use crate::run::{Caller, CancelToken};
use crate::samples::{NewArray, NewSamples, Samples, spec};
use crate::sources::Input;
use crate::tables::{from_json, to_json};

/// An audio engine: options and results as JSON text.
#[pyclass(frozen, module = "pure_sound._native")]
pub struct Engine {
    inner: Option<Arc<pure_sound::Engine>>,
    listener: Listener,
    home: Home,
}

impl Engine {
    /// The engine, unless it was made in another process.
    pub fn get(&self, py: Python<'_>) -> PyResult<Arc<pure_sound::Engine>> {
        self.home.check(py, "engine")?;
        match &self.inner {
            Some(engine) => Ok(Arc::clone(engine)),
            None => Err(raise(py, &Error::Closed { what: "engine" })),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let Some(engine) = self.inner.take() else { return };
        if !self.home.is_here() {
            // Its threads are in the parent process: whoever waited for them here would wait for ever.
            std::mem::forget(engine);
            return;
        }
        // Ending its threads waits for event handlers, which may wait for the lock.
        Python::attach(|py| py.detach(|| drop(engine)));
    }
}

fn recipe(engine: &pure_sound::Engine, request: &str) -> pure_sound::error::Result<Recipe> {
    let request = serde_json::from_str(request).map_err(|e| Error::InvalidValue {
        name: "request".into(),
        value: request.into(),
        allowed: e.to_string(),
    })?;
    engine.recipe(&request)
}

#[pymethods]
impl Engine {
    /// An engine with settings shaped like a configuration file, as JSON text.
    #[new]
    #[pyo3(signature = (settings=None))]
    fn new(py: Python<'_>, settings: Option<&str>) -> PyResult<Self> {
        let settings: serde_json::Value = from_json(py, "settings", settings)?;
        let engine = detached(py, || pure_sound::Engine::builder().settings_json(&settings)?.build())?;
        Ok(Self { inner: Some(Arc::new(engine)), listener: Listener::default(), home: Home::here() })
    }

    /// The recipe that a request asks for.
    fn recipe(&self, py: Python<'_>, request: &str) -> PyResult<String> {
        let engine = self.get(py)?;
        quick(py, || to_json(&recipe(&engine, request)?))
    }

    /// All presets.
    fn presets(&self, py: Python<'_>) -> PyResult<String> {
        let engine = self.get(py)?;
        quick(py, || to_json(&engine.presets().iter().collect::<Vec<_>>()))
    }

    /// One preset.
    fn preset(&self, py: Python<'_>, name: &str) -> PyResult<String> {
        let engine = self.get(py)?;
        quick(py, || to_json(&engine.presets().get(name)?))
    }

    /// The settings, every value filled in.
    fn config(&self, py: Python<'_>) -> PyResult<String> {
        let engine = self.get(py)?;
        quick(py, || to_json(&engine.settings()))
    }

    /// Tells what an input is.
    #[pyo3(signature = (source, options=None))]
    fn probe(&self, py: Python<'_>, source: Input, options: Option<&str>) -> PyResult<String> {
        let (engine, options) = (self.get(py)?, from_json::<ReadOptions>(py, "options", options)?);
        let Input { source, faults } = source;
        let caller = Caller { faults, ..Caller::default() };
        caller.run(py, move |_| to_json(&engine.probe(source, &options)?))
    }

    /// Reads tags, pictures and chapters.
    #[pyo3(signature = (source, options=None))]
    fn tags(&self, py: Python<'_>, source: Input, options: Option<&str>) -> PyResult<String> {
        let (engine, options) = (self.get(py)?, from_json::<ReadOptions>(py, "options", options)?);
        let Input { source, faults } = source;
        let caller = Caller { faults, ..Caller::default() };
        caller.run(py, move |_| to_json(&engine.tags(source, &options)?))
    }

    /// Measures a whole input.
    #[pyo3(signature = (source, options=None, progress=None, cancel=None, tenant=None))]
    fn measure(
        &self,
        py: Python<'_>,
        source: Input,
        options: Option<&str>,
        progress: Option<Py<PyAny>>,
        cancel: Option<Py<CancelToken>>,
        tenant: Option<&str>,
    ) -> PyResult<String> {
        let (engine, options) = (self.get(py)?, from_json::<ReadOptions>(py, "options", options)?);
        let Input { source, faults } = source;
        let caller = Caller { progress, cancel, tenant: tenant.map(Arc::from), faults };
        caller.run(py, move |control| to_json(&engine.measure(source, &options, control)?))
    }

    /// Tells what an input is like.
    #[pyo3(signature = (source, options=None, progress=None, cancel=None, tenant=None))]
    fn analyse(
        &self,
        py: Python<'_>,
        source: Input,
        options: Option<&str>,
        progress: Option<Py<PyAny>>,
        cancel: Option<Py<CancelToken>>,
        tenant: Option<&str>,
    ) -> PyResult<String> {
        let (engine, options) = (self.get(py)?, from_json::<AnalyseOptions>(py, "options", options)?);
        let Input { source, faults } = source;
        let caller = Caller { progress, cancel, tenant: tenant.map(Arc::from), faults };
        caller.run(py, move |control| to_json(&engine.analyse(source, &options, control)?))
    }

    /// Tells what an input is like: the record, and each feature over time by name, `(frames,)` or `(bands, frames)`.
    #[pyo3(signature = (source, options=None, progress=None, cancel=None, tenant=None))]
    fn features<'py>(
        &self,
        py: Python<'py>,
        source: Input,
        options: Option<&str>,
        progress: Option<Py<PyAny>>,
        cancel: Option<Py<CancelToken>>,
        tenant: Option<&str>,
    ) -> PyResult<(String, Vec<(&'static str, NewArray<'py>)>)> {
        let (engine, options) = (self.get(py)?, from_json::<AnalyseOptions>(py, "options", options)?);
        let Input { source, faults } = source;
        let caller = Caller { progress, cancel, tenant: tenant.map(Arc::from), faults };
        let (analysis, arrays) = caller.run(py, move |control| {
            let features = engine.features(source, &options, control)?;
            Ok((to_json(&features.analysis)?, features.arrays))
        })?;
        let array = |one: FeatureArray| Ok((one.name, NewArray::from_vec(py, one.data, one.bands, one.frames)?));
        Ok((analysis, arrays.into_iter().map(array).collect::<PyResult<_>>()?))
    }

    /// Looks for faults; holds the input against specifications.
    #[pyo3(signature = (source, specifications, options=None, progress=None, cancel=None, tenant=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn check(
        &self,
        py: Python<'_>,
        source: Input,
        specifications: &str,
        options: Option<&str>,
        progress: Option<Py<PyAny>>,
        cancel: Option<Py<CancelToken>>,
        tenant: Option<&str>,
    ) -> PyResult<String> {
        let (engine, options) = (self.get(py)?, from_json::<ReadOptions>(py, "options", options)?);
        let Input { source, faults } = source;
        let specifications = from_json::<Vec<String>>(py, "specifications", Some(specifications))?;
        let caller = Caller { progress, cancel, tenant: tenant.map(Arc::from), faults };
        caller.run(py, move |control| to_json(&engine.check(source, &specifications, &options, control)?))
    }

    /// Tells what `process` would do.
    fn plan(&self, py: Python<'_>, source: Input, request: &str) -> PyResult<String> {
        let engine = self.get(py)?;
        let Input { source, faults } = source;
        let caller = Caller { faults, ..Caller::default() };
        caller.run(py, move |_| to_json(&engine.plan_source(source, &recipe(&engine, request)?)?))
    }

    /// Runs a request whose outputs are paths.
    #[pyo3(signature = (source, request, progress=None, cancel=None, tenant=None))]
    fn process(
        &self,
        py: Python<'_>,
        source: Input,
        request: &str,
        progress: Option<Py<PyAny>>,
        cancel: Option<Py<CancelToken>>,
        tenant: Option<&str>,
    ) -> PyResult<String> {
        let engine = self.get(py)?;
        let Input { source, faults } = source;
        let caller = Caller { progress, cancel, tenant: tenant.map(Arc::from), faults };
        caller.run(py, move |control| {
            let mut recipe = recipe(&engine, request)?;
            if let pure_sound::formats::Source::Path(path) = &source {
                recipe.input.clone_from(path);
            }
            to_json(&engine.process_source(source, &recipe, control)?)
        })
    }

    /// Runs a request whose outputs have formats and no paths, and gives their bytes.
    #[pyo3(signature = (source, request, progress=None, cancel=None, tenant=None))]
    fn process_to_memory<'py>(
        &self,
        py: Python<'py>,
        source: Input,
        request: &str,
        progress: Option<Py<PyAny>>,
        cancel: Option<Py<CancelToken>>,
        tenant: Option<&str>,
    ) -> PyResult<(String, Vec<Bound<'py, PyBytes>>)> {
        let engine = self.get(py)?;
        let Input { source, faults } = source;
        let caller = Caller { progress, cancel, tenant: tenant.map(Arc::from), faults };
        let (report, outputs) = caller.run(py, move |control| {
            let (report, outputs) = engine.process_to_memory(source, &recipe(&engine, request)?, control)?;
            Ok((to_json(&report)?, outputs))
        })?;
        Ok((report, outputs.iter().map(|bytes| PyBytes::new(py, bytes)).collect()))
    }

    /// Decodes a whole input: (samples, rate_hz, layout).
    #[pyo3(signature = (source, options=None, progress=None, cancel=None, tenant=None))]
    fn decode<'py>(
        &self,
        py: Python<'py>,
        source: Input,
        options: Option<&str>,
        progress: Option<Py<PyAny>>,
        cancel: Option<Py<CancelToken>>,
        tenant: Option<&str>,
    ) -> PyResult<(NewSamples<'py>, u32, String)> {
        let (engine, options) = (self.get(py)?, from_json::<ReadOptions>(py, "options", options)?);
        let Input { source, faults } = source;
        let caller = Caller { progress, cancel, tenant: tenant.map(Arc::from), faults };
        let audio = caller.run(py, move |control| engine.decode(source, &options, control))?;
        let spec = audio.spec();
        Ok((NewSamples::from_buffer(py, audio)?, spec.rate_hz, spec.layout.name()))
    }

    /// Encodes samples to a file, which appears whole or not at all.
    #[pyo3(signature = (samples, rate_hz, path, format=None, metadata=None, layout=None, interleaved=false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn encode(
        &self,
        py: Python<'_>,
        samples: Samples<'_>,
        rate_hz: u32,
        path: PathBuf,
        format: Option<&str>,
        metadata: Option<&str>,
        layout: Option<&str>,
        interleaved: bool,
    ) -> PyResult<String> {
        let engine = self.get(py)?;
        let format: Option<FormatSettings> = from_json(py, "format", format)?;
        let metadata: Metadata = from_json(py, "metadata", metadata)?;
        let place = samples.place(interleaved)?;
        let spec = spec(py, rate_hz, place.channels(), layout)?;
        Caller::default().run(py, move |_| {
            // SAFETY: `samples` keeps the array borrowed until this call returns.
            let audio = unsafe { place.to_buffer(spec) };
            to_json(&engine.encode(&audio, &path, format.as_ref(), &metadata)?)
        })
    }

    /// Encodes samples to bytes: (record, bytes).
    #[pyo3(signature = (samples, rate_hz, format, metadata=None, layout=None, interleaved=false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn encode_to_memory<'py>(
        &self,
        py: Python<'py>,
        samples: Samples<'py>,
        rate_hz: u32,
        format: &str,
        metadata: Option<&str>,
        layout: Option<&str>,
        interleaved: bool,
    ) -> PyResult<(String, Bound<'py, PyBytes>)> {
        let engine = self.get(py)?;
        let format = stated_format(py, format)?;
        let metadata: Metadata = from_json(py, "metadata", metadata)?;
        let place = samples.place(interleaved)?;
        let spec = spec(py, rate_hz, place.channels(), layout)?;
        let (encoded, bytes) = Caller::default().run(py, move |_| {
            // SAFETY: `samples` keeps the array borrowed until this call returns.
            let audio = unsafe { place.to_buffer(spec) };
            let (encoded, bytes) = engine.encode_to_memory(&audio, &format, &metadata)?;
            Ok((to_json(&encoded)?, bytes))
        })?;
        Ok((encoded, PyBytes::new(py, &bytes)))
    }

    /// Opens an input for reading blocks.
    #[pyo3(signature = (source, options=None))]
    fn open(&self, py: Python<'_>, source: Input, options: Option<&str>) -> PyResult<Decoder> {
        let (engine, options) = (self.get(py)?, from_json::<ReadOptions>(py, "options", options)?);
        Decoder::open(py, &engine, source, &options, self.home)
    }

    /// An encoder for blocks, to a path, a seekable binary file object, or (None) memory.
    #[pyo3(signature = (target, rate_hz, channels, format=None, metadata=None, layout=None, overwrite=true))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn encoder(
        &self,
        py: Python<'_>,
        target: Option<Bound<'_, PyAny>>,
        rate_hz: u32,
        channels: usize,
        format: Option<&str>,
        metadata: Option<&str>,
        layout: Option<&str>,
        overwrite: bool,
    ) -> PyResult<Encoder> {
        let engine = self.get(py)?;
        let format: Option<FormatSettings> = from_json(py, "format", format)?;
        let metadata: Metadata = from_json(py, "metadata", metadata)?;
        let spec = spec(py, rate_hz, channels, layout)?;
        let overwrite = if overwrite { Overwrite::Replace } else { Overwrite::Refuse };
        Encoder::create(py, target, overwrite, self.home, |target: EncodeTarget<'_>| {
            engine.encoder(target, format.as_ref(), spec, &metadata)
        })
    }

    /// Calls `callback` with each delivery, as JSON text, from a thread of the engine.
    #[pyo3(signature = (pattern, callback, lane_events=None))]
    fn subscribe(
        &self,
        py: Python<'_>,
        pattern: &str,
        callback: Py<PyAny>,
        lane_events: Option<usize>,
    ) -> PyResult<Subscription> {
        let engine = self.get(py)?;
        Subscription::start(py, engine.events(), pattern, callback, lane_events, self.home)
    }

    /// Publishes an event of the host (payload as JSON text) and gives its number.
    #[pyo3(signature = (topic, payload, key=None))]
    fn publish(&self, py: Python<'_>, topic: &str, payload: &str, key: Option<&str>) -> PyResult<u64> {
        let (engine, payload) = (self.get(py)?, from_json::<serde_json::Value>(py, "payload", Some(payload))?);
        // A lossless subscriber may make it wait, for a callback that wants the lock.
        detached(py, || engine.events().publish_json(topic, 1, Priority::Normal, key, payload))
    }

    /// The figures of this engine as OpenMetrics text.
    fn metrics(&self, py: Python<'_>) -> PyResult<String> {
        let engine = self.get(py)?;
        detached(py, || Ok(engine.metrics().to_openmetrics()))
    }

    /// What a probe (live, ready, startup; without: everything) answers.
    #[pyo3(signature = (probe=None))]
    fn health(&self, py: Python<'_>, probe: Option<&str>) -> PyResult<String> {
        let engine = self.get(py)?;
        detached(py, || to_json(&observe::health(engine.health(), probe)?))
    }

    /// What is held of the budgets that jobs share.
    fn usage(&self, py: Python<'_>) -> PyResult<String> {
        let engine = self.get(py)?;
        detached(py, || to_json(&engine.resources().usage()))
    }

    /// Calls `callback` with each log record of `level` and above, as JSON text, from any thread of the engine; without it: sets the
    /// level.
    #[pyo3(signature = (level, callback=None))]
    fn log(&self, py: Python<'_>, level: &str, callback: Option<Py<PyAny>>) -> PyResult<()> {
        self.listener.log(py, self.get(py)?.log(), level, callback)
    }

    /// Queues deliveries until they are asked for.
    #[pyo3(signature = (pattern, lane_events=None, from_oldest=false))]
    fn poll(&self, py: Python<'_>, pattern: &str, lane_events: Option<usize>, from_oldest: bool) -> PyResult<Poller> {
        let engine = self.get(py)?;
        Poller::start(py, engine.events(), pattern, lane_events, from_oldest, self.home)
    }
}

fn stated_format(py: Python<'_>, text: &str) -> PyResult<FormatSettings> {
    let format: Option<FormatSettings> = from_json(py, "format", Some(text))?;
    format.ok_or_else(|| {
        let allowed = "a format: without a path nothing else tells it".into();
        raise(py, &Error::InvalidValue { name: "format".into(), value: "null".into(), allowed })
    })
}
