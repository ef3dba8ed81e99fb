//! The facade: everything that programs and bindings do goes through an [`Engine`].

mod audio;
mod current;
mod memory;
mod run_events;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Config, ConfigOptions, LimitSettings, Settings};
use crate::error::{Error, Result};
use crate::events::{EventBus, EventOptions, Subscription};
use crate::filters::FilterSpec;
use crate::formats::decode::{self, DecoderFactory};
use crate::formats::tags::Metadata;
use crate::formats::{Decoder, Limits, MediaInfo, ReadOptions, Source};
use crate::meter::Loudness;
use crate::presets::PresetStore;
use crate::processing::{self, Control, FileAssets, Plan, Recipe, Report, Resources};
use crate::services::seams::{IdGenerator, UuidV7};
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
    decoders: Vec<Arc<dyn DecoderFactory>>,
    values: Values,
    events: Option<EventBus>,
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

    /// Makes the engine.
    ///
    /// # Errors
    /// Those of [`PresetStore::load_dir`]; [`Error::Unavailable`] when threads cannot be started; [`Error::Closed`] when the bus of
    /// the configuration was shut down.
    pub fn build(self) -> Result<Engine> {
        let mut presets = PresetStore::built_in()?;
        let (threads, spool_memory_bytes, temp_dir) = self.values.with(|settings| {
            for dir in settings.engine.preset_dirs.iter().chain(&self.preset_dirs) {
                presets.load_dir(dir)?;
            }
            Ok((
                self.threads.unwrap_or(settings.engine.threads as usize),
                self.spool_memory_bytes.unwrap_or(u64::from(settings.spool.memory_mib) << 20),
                self.temp_dir.or_else(|| settings.engine.temp_dir.clone()),
            ))
        })?;
        let (events, resizing) = match (self.events, &self.values) {
            (Some(bus), _) => (bus, None),
            (None, Values::Fixed(settings)) => (EventBus::new(EventOptions::from(&settings.events)), None),
            (None, Values::Live(config)) => (config.events().clone(), Some(follow_history(config)?)),
        };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("pure-sound-{i}"))
            .build()
            .map_err(|e| Error::Unavailable { what: format!("worker threads: {e}") })?;
        Ok(Engine {
            presets,
            pool: Arc::new(pool),
            spool_memory_bytes,
            temp_dir,
            decoders: self.decoders,
            values: self.values,
            events,
            ids: UuidV7::default(),
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

/// The limits that hold for a reader who asks for `asked`: one that is not the default of [`Limits`] was said on purpose and stays,
/// the others are those of the configuration.
fn limits_under(configured: &LimitSettings, asked: &Limits) -> Limits {
    fn one<T: PartialEq>(asked: T, default: T, configured: T) -> T {
        if asked == default { configured } else { asked }
    }
    let default = Limits::default();
    Limits {
        max_bytes: one(asked.max_bytes, default.max_bytes, configured.max_bytes),
        max_seconds: one(asked.max_seconds, default.max_seconds, configured.max_seconds),
        max_channels: one(asked.max_channels, default.max_channels, configured.max_channels),
        max_rate_hz: one(asked.max_rate_hz, default.max_rate_hz, configured.max_rate_hz),
        max_alloc_bytes: one(asked.max_alloc_bytes, default.max_alloc_bytes, configured.max_alloc_bytes),
        max_wall_seconds: one(asked.max_wall_seconds, default.max_wall_seconds, configured.max_wall_seconds),
    }
}

/// An audio engine. Cheap to share by reference between threads; two engines know nothing of each other.
pub struct Engine {
    presets: PresetStore,
    pool: Arc<rayon::ThreadPool>,
    spool_memory_bytes: u64,
    temp_dir: Option<PathBuf>,
    decoders: Vec<Arc<dyn DecoderFactory>>,
    values: Values,
    events: EventBus,
    ids: UuidV7,
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
    /// `process.finished`.
    pub fn events(&self) -> &EventBus {
        &self.events
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
        Ok(decode::open_described(source, &self.read_options(options), &self.decoders)?.1)
    }

    /// Reads tags, pictures and chapters, also of files whose audio cannot be decoded here.
    ///
    /// # Errors
    /// As [`crate::formats::probe`], when there are no tags either.
    pub fn tags(&self, source: Source, options: &ReadOptions) -> Result<Metadata> {
        decode::read_tags(source, &self.read_options(options))
    }

    /// Opens an input for reading blocks.
    ///
    /// # Errors
    /// As [`crate::formats::open`].
    pub fn open(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
        decode::open_with(source, &self.read_options(options), &self.decoders)
    }

    /// Measures loudness, true peak and levels of a whole input.
    ///
    /// # Errors
    /// Those of [`crate::formats::open`]; [`Error::Cancelled`].
    pub fn measure(&self, source: Source, options: &ReadOptions, control: &Control) -> Result<Loudness> {
        processing::measure(&mut *self.open(source, options)?, control)
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
        recipe.validate()?;
        let recipe = &self.with_assets(recipe)?;
        let (decoder, _) = decode::open_described(source, &recipe.read, &self.decoders)?;
        processing::plan(recipe, decoder.info(), self.spool_memory_bytes)
    }

    /// Runs a recipe. Outputs appear whole or not at all.
    ///
    /// # Errors
    /// Those of [`Recipe::validate`] and [`crate::formats::open`]; [`Error::Conflict`] when an output is the input or exists
    /// and may not be replaced; [`Error::Io`]; [`Error::Cancelled`].
    pub fn process(&self, recipe: &Recipe, control: &Control) -> Result<Report> {
        self.process_source(Source::from(recipe.input.as_path()), recipe, control)
    }

    /// As [`Engine::process`], reading from `source` instead of `recipe.input`.
    ///
    /// # Errors
    /// As [`Engine::process`].
    pub fn process_source(&self, source: Source, recipe: &Recipe, control: &Control) -> Result<Report> {
        let events = RunEvents::new(&self.events, self.ids.next_id(), recipe.outputs.len());
        let result = self.run(source, recipe, control, &events);
        events.finished(&result);
        result
    }

    fn run(&self, source: Source, recipe: &Recipe, control: &Control, events: &RunEvents<'_>) -> Result<Report> {
        recipe.validate()?;
        let recipe = &self.with_assets(recipe)?;
        let (decoder, media) = decode::open_described(source, &recipe.read, &self.decoders)?;
        let resources = Resources {
            pool: Arc::clone(&self.pool),
            spool_memory_bytes: self.spool_memory_bytes,
            temp_dir: self.temp_dir.clone(),
        };
        events.started(media.stream.duration.map(|d| media.stream.spec.seconds(d.frames)));
        processing::run(decoder, &media, recipe, &resources, control, &|stage, done| events.stage(stage, done))
    }

    /// Loads the recordings that filters name (such as the impulse of `convolution`), before a
    /// [`Chain`](crate::filters::Chain) is made of them. [`Engine::process`] does so itself.
    ///
    /// # Errors
    /// Those of [`Engine::open`] and of decoding.
    pub fn load_assets(&self, filters: &mut [FilterSpec], options: &ReadOptions) -> Result<()> {
        let options = &self.read_options(options);
        let mut assets = FileAssets { options, decoders: &self.decoders };
        filters.iter_mut().try_for_each(|filter| filter.load_assets(&mut assets))
    }

    fn with_assets(&self, recipe: &Recipe) -> Result<Recipe> {
        let mut recipe = recipe.clone();
        recipe.read = self.read_options(&recipe.read);
        let mut assets = FileAssets { options: &recipe.read, decoders: &self.decoders };
        recipe.filters.iter_mut().try_for_each(|filter| filter.load_assets(&mut assets))?;
        Ok(recipe)
    }
}
