//! The facade: everything that programs and bindings do goes through an [`Engine`].

mod admission;
mod analyse;
mod audio;
mod cached;
#[cfg(test)]
mod cached_tests;
mod compare;
mod compose;
mod current;
mod memory;
mod observed;
mod part_metrics;
mod pictures;
mod quality;
mod retry;
mod run_events;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cache::{Cache, CacheOptions, Kind};
use crate::config::{Config, ConfigOptions, LimitSettings, Settings};
use crate::error::{Error, Result};
use crate::events::{EventBus, EventOptions, Subscription};
use crate::filters::FilterSpec;
use crate::formats::tags::Metadata;
use crate::formats::{CodecSet, Decoder, DecoderFactory, Limits, MediaInfo, ReadOptions, Source};
use crate::meter::Loudness;
use crate::observe::{HealthChecks, Log, LogLevel, LogSink, Metrics};
use crate::presets::PresetStore;
use crate::processing::{self, Control, Cost, FileAssets, Plan, Recipe, Report, Resources};
use crate::resources::{PoolOptions, ResourcePool};
use crate::services::seams::{Clock, FileSystem, IdGenerator, Operation, Policy};
use crate::services::{ServiceBuilder, Services};
use admission::Admitted;
pub use analyse::{AnalyseOptions, ClassifyOptions, FeatureArrays};
pub use compare::CompareOptions;
use compose::{Composition, Parts, add_defaults};
use observed::{Call, Observed, Watched};
pub use pictures::PeakOptions;
use run_events::RunEvents;

/// Where settings come from.
#[derive(Clone)]
enum Values {
    Fixed(Box<Settings>),
    Live(Config),
}

impl Default for Values {
    fn default() -> Self {
        Self::Fixed(Box::default())
    }
}

impl Values {
    fn with<T>(&self, read: impl FnOnce(&Settings) -> T) -> T {
        match self {
            Self::Fixed(settings) => read(settings),
            Self::Live(config) => read(&config.current().settings),
        }
    }
}

/// Builds an [`Engine`]. Every setting has a default; what is set here wins over a configuration.
#[derive(Clone, Default)]
pub struct EngineBuilder {
    threads: Option<usize>,
    spool_memory_bytes: Option<u64>,
    temp_dir: Option<PathBuf>,
    preset_dirs: Vec<PathBuf>,
    own_presets: Option<PathBuf>,
    decoders: Vec<Arc<dyn DecoderFactory>>,
    values: Values,
    events: Option<EventBus>,
    services: ServiceBuilder,
    log: Option<(LogLevel, LogSink)>,
    unobserved: bool,
    cache: Option<Option<Cache>>,
}

impl EngineBuilder {
    /// Number of threads for CPU work; 0 (default) is one per core. Results do not depend on it.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Audio of one job that is kept in memory between measuring and encoding, in bytes. What is more goes to a temporary
    /// file. Default 32 MiB.
    pub fn spool_memory_bytes(mut self, bytes: u64) -> Self {
        self.spool_memory_bytes = Some(bytes);
        self
    }

    /// Folder for the spool. Default: the system's.
    pub fn temp_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.temp_dir = Some(dir.into());
        self
    }

    /// Adds a folder with presets in YAML, after those of the configuration.
    pub fn preset_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.preset_dirs.push(dir.into());
        self
    }

    /// Keeps the presets that the user makes in this folder, see [`PresetStore::keep_in`]. Default: `presets.dir` of the configuration.
    pub fn own_presets_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.own_presets = Some(dir.into());
        self
    }

    /// Adds a decoder for formats that the built-in ones do not read.
    pub fn decoder(mut self, factory: Arc<dyn DecoderFactory>) -> Self {
        self.decoders.push(factory);
        self
    }

    /// Takes these settings. The last of this and [`EngineBuilder::config`] counts.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.values = Values::Fixed(Box::new(settings));
        self
    }

    /// Takes settings as a JSON object shaped like a configuration file: `{"engine": {"threads": 2}}`. Keys that are left out have
    /// their defaults. Counts as [`EngineBuilder::settings`].
    ///
    /// # Errors
    /// [`Error::Invalid`] with everything that is wrong, and suggestions.
    pub fn settings_json(self, settings: &serde_json::Value) -> Result<Self> {
        let given = settings.as_object().filter(|object| !object.is_empty());
        if given.is_none() && !settings.is_null() && !settings.is_object() {
            return Err(Error::InvalidValue {
                name: "settings".into(),
                value: settings.to_string(),
                allowed: "an object with the sections of a configuration".into(),
            });
        }
        let values = given.map_or_else(Vec::new, |_| leaves(settings));
        let config = Config::open(ConfigOptions::new().host_values(values))?;
        Ok(self.settings(config.current().settings.clone()))
    }

    /// Follows a configuration: keys that need a restart are read when the engine is built, `limits.*` by each call, and the
    /// history of the bus follows `events.history_*`. Events go to the bus of the configuration.
    pub fn config(mut self, config: &Config) -> Self {
        self.values = Values::Live(config.clone());
        self
    }

    /// Publishes to this bus, whose sizes are the host's matter then. Default: the bus of the configuration, or a new one.
    pub fn events(mut self, bus: &EventBus) -> Self {
        self.events = Some(bus.clone());
        self
    }

    /// Tells the time and makes pauses.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.services.instance(clock);
        self
    }

    /// Opens inputs, presets, outputs and temporary files.
    pub fn files(mut self, files: Arc<dyn FileSystem>) -> Self {
        self.services.instance(files);
        self
    }

    /// Names runs.
    pub fn ids(mut self, ids: Arc<dyn IdGenerator>) -> Self {
        self.services.instance(ids);
        self
    }

    /// Decodes and encodes, instead of [`BuiltInCodecs`](crate::formats::BuiltInCodecs) with what
    /// [`EngineBuilder::decoder`] has added.
    pub fn codecs(mut self, codecs: Arc<dyn CodecSet>) -> Self {
        self.services.instance(codecs);
        self
    }

    /// Is asked before every operation. Default: everything is allowed.
    pub fn policy(mut self, policy: Arc<dyn Policy>) -> Self {
        self.services.instance(policy);
        self
    }

    /// Registers services of the host, which may replace any part of the engine (`dyn Clock`, `dyn FileSystem`,
    /// `dyn IdGenerator`, `dyn CodecSet`, `dyn Policy`, `EventBus`, `ResourcePool`, `PresetStore`) and be made of others.
    pub fn services(mut self, add: impl FnOnce(&mut ServiceBuilder)) -> Self {
        add(&mut self.services);
        self
    }

    /// Hands log records of `level` and above to `sink`, which is called from any thread of the engine, see [`Log`]. Default: to nobody.
    pub fn log(mut self, level: LogLevel, sink: LogSink) -> Self {
        self.log = Some((level, sink));
        self
    }

    /// Whether calls are counted, run in spans, and told to the bus. Default true. Without, [`Engine::metrics`] stays at 0 and the bus is
    /// silent about runs; the log and health work.
    pub fn observe(mut self, observe: bool) -> Self {
        self.unobserved = !observe;
        self
    }

    /// Keeps results of measuring, analysing, looking at quality and processing in this cache, and takes them from there. Default: the one
    /// that `cache.*` of the configuration asks for.
    pub fn cache(mut self, cache: &Cache) -> Self {
        self.cache = Some(Some(cache.clone()));
        self
    }

    /// Keeps no results, whatever the configuration says.
    pub fn no_cache(mut self) -> Self {
        self.cache = Some(None);
        self
    }

    /// Makes the engine and all singletons of its registry.
    ///
    /// # Errors
    /// [`Error::Invalid`] when services are missing, registered twice or need each other in a circle; those of their constructors, such
    /// as [`PresetStore::load_dir`]; those of [`Cache::open`]; [`Error::Unavailable`] when threads cannot be started; [`Error::Closed`] when the bus of the
    /// configuration was shut down.
    pub fn build(self) -> Result<Engine> {
        let (events, resizing) = match (&self.events, &self.values) {
            (Some(bus), _) => (Some(bus.clone()), None),
            (None, Values::Fixed(_)) => (None, None),
            (None, Values::Live(config)) => (Some(config.events().clone()), Some(follow_history(config)?)),
        };
        let (parts, spool_memory_bytes, temp_dir) = self.values.with(|settings| {
            let parts = Parts {
                threads: self.threads.unwrap_or(settings.engine.threads as usize),
                preset_dirs: settings.engine.preset_dirs.iter().chain(&self.preset_dirs).cloned().collect(),
                own_presets: self.own_presets.or_else(|| settings.presets.dir.clone()),
                decoders: self.decoders,
                budgets: PoolOptions::from(&settings.resources),
                events,
                event_sizes: EventOptions::from(&settings.events),
            };
            let spool_memory_bytes = self.spool_memory_bytes.unwrap_or(u64::from(settings.spool.memory_mib) << 20);
            (parts, spool_memory_bytes, self.temp_dir.or_else(|| settings.engine.temp_dir.clone()))
        });
        let cache = match self.cache {
            Some(cache) => cache,
            None => {
                let options = self.values.with(|settings| CacheOptions::from(&settings.cache));
                options.is_some().then(|| Cache::open(&options)).transpose()?
            }
        };
        let mut services = self.services;
        add_defaults(&mut services, parts);
        let services = Composition(services.build()?);
        services.0.make_all()?;
        let all = &services.0;
        let events = EventBus::clone(&*all.get()?);
        let retries = Arc::<AtomicU64>::default();
        let observed = Observed::new(&Watched {
            bus: &events,
            config: if let Values::Live(config) = &self.values { Some(config) } else { None },
            clock: all.get()?,
            resources: &*all.get()?,
            retries: &retries,
            cache: cache.as_ref(),
            temp_dir: temp_dir.as_deref(),
            on: !self.unobserved,
        })?;
        if let Some((level, sink)) = self.log {
            observed.log.listen(level, sink);
        }
        Ok(Engine {
            observed,
            presets: all.get()?,
            pool: all.get()?,
            spool_memory_bytes,
            temp_dir,
            codecs: all.get()?,
            files: all.get()?,
            clock: all.get()?,
            ids: all.get()?,
            policy: all.get()?,
            resources: all.get()?,
            events,
            values: self.values,
            retries,
            services,
            cache,
            _resizing: resizing,
        })
    }
}

/// The values of nested objects, by dotted path.
fn leaves(value: &serde_json::Value) -> Vec<(String, serde_json::Value)> {
    fn visit(path: &str, value: &serde_json::Value, into: &mut Vec<(String, serde_json::Value)>) {
        match value.as_object().filter(|object| !object.is_empty()) {
            Some(object) => {
                for (key, value) in object {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    visit(&path, value, into);
                }
            }
            None => into.push((path.to_owned(), value.clone())),
        }
    }
    let mut all = Vec::new();
    visit("", value, &mut all);
    all
}

/// Keeps the history of the bus of `config` as large as `events.history_*` say, until the subscription goes.
fn follow_history(config: &Config) -> Result<Subscription> {
    let resize = |config: &Config| {
        let sizes = EventOptions::from(&config.current().settings.events);
        config.events().resize_history(sizes.history_events, sizes.history_bytes);
    };
    let follower = config.clone();
    let subscription = config.on_change("events", move |_| {
        resize(&follower);
        Ok(())
    })?;
    resize(config);
    Ok(subscription)
}

/// The limits that hold for a reader who asks for `asked`: what it does not say is that of the configuration.
fn limits_under(configured: &LimitSettings, asked: &Limits) -> Limits {
    asked.or(&Limits {
        max_bytes: Some(configured.max_bytes),
        max_seconds: Some(configured.max_seconds),
        max_channels: Some(configured.max_channels),
        max_rate_hz: Some(configured.max_rate_hz),
        max_alloc_bytes: Some(configured.max_alloc_bytes),
        max_wall_seconds: Some(configured.max_wall_seconds),
    })
}

/// An audio engine. Cheap to share by reference between threads; two engines know nothing of each other.
pub struct Engine {
    /// First, so that services end while all that they need is there.
    services: Composition,
    observed: Observed,
    presets: Arc<PresetStore>,
    pool: Arc<rayon::ThreadPool>,
    spool_memory_bytes: u64,
    temp_dir: Option<PathBuf>,
    codecs: Arc<dyn CodecSet>,
    files: Arc<dyn FileSystem>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    policy: Arc<dyn Policy>,
    resources: Arc<ResourcePool>,
    values: Values,
    events: EventBus,
    /// Operations that were tried again.
    retries: Arc<AtomicU64>,
    cache: Option<Cache>,
    _resizing: Option<Subscription>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("threads", &self.pool.current_num_threads()).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine with default settings.
    ///
    /// # Errors
    /// As [`EngineBuilder::build`].
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// Starts to build an engine.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// All presets.
    pub fn presets(&self) -> &PresetStore {
        &self.presets
    }

    /// The bus that [`Engine::process`] tells of its runs: `process.started`, `process.stage` for each stage entered,
    /// `process.retry`, `process.finished`; `resource.waiting` and `resource.granted` when they wait for room.
    pub fn events(&self) -> &EventBus {
        &self.events
    }

    /// All parts of the engine, frozen: the built-in ones and those of the host. They end with the engine, what was made last first.
    pub fn services(&self) -> &Services {
        &self.services.0
    }

    /// The budgets that jobs share; [`ResourcePool::usage`] tells what is used.
    pub fn resources(&self) -> &ResourcePool {
        &self.resources
    }

    /// Where results are kept, when there is such a place.
    pub fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// How often an operation was tried again after a failure that may pass, since the engine was made.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Asks the policy.
    fn ask_policy(
        &self,
        name: &'static str,
        source: &Source,
        outputs: &[&Path],
        control: Option<&Control>,
    ) -> Result<()> {
        let input = if let Source::Path(path) = source { Some(path.as_path()) } else { None };
        Operation { name, tenant: control.and_then(|c| c.tenant.as_deref()), input, outputs }.check(&*self.policy)
    }

    /// Opens the bytes of a source with the files of the engine.
    fn media(&self, source: Source, repeatable: &mut bool, options: &ReadOptions) -> Result<Source> {
        let opened = source.open_on(&options.limits, &*self.files, self.temp_dir.as_deref())?;
        *repeatable &= opened.repeatable;
        Ok(Source::Seekable(opened.media))
    }

    fn open_described(
        &self,
        source: Source,
        repeatable: &mut bool,
        options: &ReadOptions,
    ) -> Result<(Box<dyn Decoder>, MediaInfo)> {
        self.codecs.open_described(self.media(source, repeatable, options)?, options)
    }

    /// Runs something that only reads, as often as it takes.
    fn reading<T>(
        &self,
        call: Call,
        source: Source,
        options: &ReadOptions,
        read: impl Fn(Source, &ReadOptions) -> Result<T>,
    ) -> Result<T> {
        self.observed.operation(call, || {
            self.ask_policy(call.name(), &source, &[], None)?;
            let options = self.read_options(options);
            self.retrying(None, source, &Control::default(), |attempt| {
                let source = std::mem::replace(&mut attempt.source, Source::Bytes(Arc::default()));
                read(self.media(source, &mut attempt.repeatable, &options)?, &options)
            })
        })
    }

    /// The figures of this engine, to read and to add others to.
    pub fn metrics(&self) -> &Metrics {
        &self.observed.metrics
    }

    /// The health of this engine, to ask and to add checks to.
    pub fn health(&self) -> &HealthChecks {
        &self.observed.health
    }

    /// The log of this engine, to listen to and to set its level while it runs.
    pub fn log(&self) -> &Log {
        &self.observed.log
    }

    /// `options` with the limits of the configuration where they say nothing else.
    fn read_options(&self, options: &ReadOptions) -> ReadOptions {
        let limits = self.values.with(|settings| limits_under(&settings.limits, &options.limits));
        ReadOptions { limits, ..options.clone() }
    }

    /// Tells what an input is without decoding all of it.
    ///
    /// # Errors
    /// As [`crate::formats::probe`].
    pub fn probe(&self, source: Source, options: &ReadOptions) -> Result<MediaInfo> {
        self.reading(Call::Probe, source, options, |media, options| Ok(self.codecs.open_described(media, options)?.1))
    }

    /// Reads tags, pictures and chapters, also of files whose audio cannot be decoded here.
    ///
    /// # Errors
    /// As [`crate::formats::probe`], when there are no tags either.
    pub fn tags(&self, source: Source, options: &ReadOptions) -> Result<Metadata> {
        self.reading(Call::Tags, source, options, |media, options| self.codecs.tags(media, options))
    }

    /// Opens an input for reading blocks.
    ///
    /// # Errors
    /// As [`crate::formats::open`].
    pub fn open(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
        self.reading(Call::Open, source, options, |media, options| self.codecs.open(media, options))
    }

    /// Measures loudness, true peak and levels of a whole input. Waits while the budgets have no room for it.
    ///
    /// # Errors
    /// Those of [`crate::formats::open`] and of [`ResourcePool::acquire`]; [`Error::Cancelled`]; [`Error::Denied`] by the policy.
    pub fn measure(&self, source: Source, options: &ReadOptions, control: &Control) -> Result<Loudness> {
        self.observed.operation(Call::Measure, || {
            self.ask_policy("measure", &source, &[], Some(control))?;
            let options = self.read_options(options);
            self.remembered(Kind::Loudness, source, &options, &(), control, |source| {
                self.retrying(None, source, control, |attempt| {
                    let cost = |media: &MediaInfo| Ok(Cost::of_measuring(&media.stream));
                    let mut admitted = self.admit("measure", attempt, &options, control, &cost)?;
                    processing::measure(&mut *admitted.decoder, control, admitted.permit.memory())
                })
            })
        })
    }

    /// The recipe that a JSON object asks for: the fields of a [`Recipe`], and
    /// `preset` (its values hold where the request says nothing: objects merge, everything else replaces),
    /// `output` (short for `outputs`: a path, or a list), outputs that are paths, filters as text (`highpass:cutoff_hz=80`).
    ///
    /// # Errors
    /// [`Error::UnknownName`] for a preset or filter; [`Error::InvalidValue`] for what is no recipe; [`Error::Conflict`].
    pub fn recipe(&self, request: &serde_json::Value) -> Result<Recipe> {
        processing::recipe_of(&self.presets, request)
    }

    /// Tells what [`Engine::process`] would do.
    ///
    /// # Errors
    /// Those of [`Recipe::validate`] and [`crate::formats::probe`].
    pub fn plan(&self, recipe: &Recipe) -> Result<Plan> {
        self.plan_source(Source::from(recipe.input.as_path()), recipe)
    }

    /// As [`Engine::plan`], reading from `source` instead of `recipe.input`.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub fn plan_source(&self, source: Source, recipe: &Recipe) -> Result<Plan> {
        self.observed.operation(Call::Plan, || {
            recipe.validate()?;
            self.ask_policy("plan", &source, &outputs_of(recipe), None)?;
            let recipe = &self.with_assets(recipe, None)?;
            let (decoder, _) = self.open_described(source, &mut true, &recipe.read)?;
            processing::plan(recipe, decoder.info(), self.spool_memory_bytes)
        })
    }

    /// Runs a recipe. Outputs appear whole or not at all. Waits while the budgets have no room for it. After a failure that may
    /// pass ([`Error::is_transient`]) it is run again from the front, as `retry.*` of the configuration says.
    ///
    /// # Errors
    /// Those of [`Recipe::validate`], [`crate::formats::open`] and [`ResourcePool::acquire`]; [`Error::Conflict`] when an output is
    /// the input or exists and may not be replaced; [`Error::Io`]; [`Error::Cancelled`]; [`Error::Denied`] by the policy.
    pub fn process(&self, recipe: &Recipe, control: &Control) -> Result<Report> {
        self.process_source(Source::from(recipe.input.as_path()), recipe, control)
    }

    /// As [`Engine::process`], reading from `source` instead of `recipe.input`.
    ///
    /// # Errors
    /// As [`Engine::process`].
    pub fn process_source(&self, source: Source, recipe: &Recipe, control: &Control) -> Result<Report> {
        self.process_on(&self.files, source, recipe, &outputs_of(recipe), control)
    }

    /// Asks the policy about something that is done to files beside the engine's own operations.
    pub(crate) fn may(
        &self,
        name: &'static str,
        input: Option<&Path>,
        outputs: &[&Path],
        control: &Control,
    ) -> Result<()> {
        Operation { name, tenant: control.tenant.as_deref(), input, outputs }.check(&*self.policy)
    }

    /// The files of the engine.
    pub(crate) fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.files
    }

    /// Runs a recipe with other files; `outputs` is what the policy is told of them.
    pub(crate) fn process_on(
        &self,
        files: &Arc<dyn FileSystem>,
        source: Source,
        recipe: &Recipe,
        outputs: &[&Path],
        control: &Control,
    ) -> Result<Report> {
        let events = RunEvents::new(self.observed.bus(&self.events), self.ids.next_id(), recipe.outputs.len());
        self.observed.run(&events, || {
            let result = recipe
                .validate()
                .and_then(|()| self.ask_policy("process", &source, outputs, Some(control)))
                .and_then(|()| self.run_remembered(files, source, recipe, control, &events));
            events.finished(&result);
            result
        })
    }

    fn run(
        &self,
        files: &Arc<dyn FileSystem>,
        source: Source,
        recipe: &Recipe,
        control: &Control,
        events: &RunEvents<'_>,
    ) -> Result<Report> {
        self.retrying(Some(events.id()), source, control, |attempt| {
            let recipe = &self.with_assets(recipe, Some(control))?;
            let threads = self.pool.current_num_threads();
            let cost = |media: &MediaInfo| processing::cost(recipe, &media.stream, threads);
            let admitted = self.admit("process", attempt, &recipe.read, control, &cost)?;
            let Admitted { decoder, media, permit, spool_memory_bytes } = admitted;
            let resources = Resources {
                pool: Arc::clone(&self.pool),
                spool_memory_bytes,
                temp_dir: self.temp_dir.clone(),
                files: Arc::clone(files),
                codecs: Arc::clone(&self.codecs),
                permit,
            };
            events.started(media.stream.duration.map(|d| media.stream.spec.seconds(d.frames)));
            processing::run(decoder, &media, recipe, &resources, control, &|stage, done| events.stage(stage, done))
        })
    }

    /// Loads the recordings that filters name (such as the impulse of `convolution`), before a
    /// [`Chain`](crate::filters::Chain) is made of them. [`Engine::process`] does so itself.
    ///
    /// # Errors
    /// Those of [`Engine::open`] and of decoding.
    pub fn load_assets(&self, filters: &mut [FilterSpec], options: &ReadOptions) -> Result<()> {
        let options = &self.read_options(options);
        let allow = |path: &Path| self.ask_policy("asset", &Source::from(path), &[], None);
        let mut assets = FileAssets { options, codecs: &self.codecs, files: &self.files, allow: &allow };
        filters.iter_mut().try_for_each(|filter| filter.load_assets(&mut assets))
    }

    fn with_assets(&self, recipe: &Recipe, control: Option<&Control>) -> Result<Recipe> {
        let mut recipe = recipe.clone();
        recipe.read = self.read_options(&recipe.read);
        let allow = |path: &Path| self.ask_policy("asset", &Source::from(path), &[], control);
        let mut assets = FileAssets { options: &recipe.read, codecs: &self.codecs, files: &self.files, allow: &allow };
        recipe.filters.iter_mut().try_for_each(|filter| filter.load_assets(&mut assets))?;
        Ok(recipe)
    }
}

fn outputs_of(recipe: &Recipe) -> Vec<&Path> {
    recipe.outputs.iter().map(|o| o.path.as_path()).collect()
}
