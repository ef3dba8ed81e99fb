//! The facade: everything that programs and bindings do goes through an [`Engine`].

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::filters::FilterSpec;
use crate::formats::decode::{self, DecoderFactory};
use crate::formats::tags::Metadata;
use crate::formats::{Decoder, MediaInfo, ReadOptions, Source};
use crate::meter::Loudness;
use crate::presets::PresetStore;
use crate::processing::{self, Control, FileAssets, Plan, Recipe, Report, Resources};

/// Builds an [`Engine`]. Every setting has a default.
#[derive(Clone)]
pub struct EngineBuilder {
    threads: usize,
    spool_memory_bytes: u64,
    temp_dir: Option<PathBuf>,
    preset_dirs: Vec<PathBuf>,
    decoders: Vec<Arc<dyn DecoderFactory>>,
}

impl Default for EngineBuilder {
    fn default() -> Self {
        Self { threads: 0, spool_memory_bytes: 32 << 20, temp_dir: None, preset_dirs: Vec::new(), decoders: Vec::new() }
    }
}

impl EngineBuilder {
    /// Number of threads for CPU work; 0 (default) is one per core. Results do not depend on it.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Audio of one job that is kept in memory between measuring and encoding, in bytes. What is more goes to a temporary
    /// file. Default 32 MiB.
    pub fn spool_memory_bytes(mut self, bytes: u64) -> Self {
        self.spool_memory_bytes = bytes;
        self
    }

    /// Folder for the spool. Default: the system's.
    pub fn temp_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.temp_dir = Some(dir.into());
        self
    }

    /// Adds a folder with presets in YAML.
    pub fn preset_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.preset_dirs.push(dir.into());
        self
    }

    /// Adds a decoder for formats that the built-in ones do not read.
    pub fn decoder(mut self, factory: Arc<dyn DecoderFactory>) -> Self {
        self.decoders.push(factory);
        self
    }

    /// Makes the engine.
    ///
    /// # Errors
    /// Those of [`PresetStore::load_dir`]; [`Error::Unavailable`] when threads cannot be started.
    pub fn build(self) -> Result<Engine> {
        let mut presets = PresetStore::built_in()?;
        for dir in &self.preset_dirs {
            presets.load_dir(dir)?;
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .thread_name(|i| format!("pure-sound-{i}"))
            .build()
            .map_err(|e| Error::Unavailable { what: format!("worker threads: {e}") })?;
        Ok(Engine {
            presets,
            pool: Arc::new(pool),
            spool_memory_bytes: self.spool_memory_bytes,
            temp_dir: self.temp_dir,
            decoders: self.decoders,
        })
    }
}

/// An audio engine. Cheap to share by reference between threads; two engines know nothing of each other.
pub struct Engine {
    presets: PresetStore,
    pool: Arc<rayon::ThreadPool>,
    spool_memory_bytes: u64,
    temp_dir: Option<PathBuf>,
    decoders: Vec<Arc<dyn DecoderFactory>>,
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

    /// Tells what an input is without decoding all of it.
    ///
    /// # Errors
    /// As [`crate::formats::probe`].
    pub fn probe(&self, source: Source, options: &ReadOptions) -> Result<MediaInfo> {
        Ok(decode::open_described(source, options, &self.decoders)?.1)
    }

    /// Reads tags, pictures and chapters, also of files whose audio cannot be decoded here.
    ///
    /// # Errors
    /// As [`crate::formats::probe`], when there are no tags either.
    pub fn tags(&self, source: Source, options: &ReadOptions) -> Result<Metadata> {
        decode::read_tags(source, options)
    }

    /// Opens an input for reading blocks.
    ///
    /// # Errors
    /// As [`crate::formats::open`].
    pub fn open(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
        decode::open_with(source, options, &self.decoders)
    }

    /// Measures loudness, true peak and levels of a whole input.
    ///
    /// # Errors
    /// Those of [`crate::formats::open`]; [`Error::Cancelled`].
    pub fn measure(&self, source: Source, options: &ReadOptions, control: &Control) -> Result<Loudness> {
        processing::measure(&mut *self.open(source, options)?, control)
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
        recipe.validate()?;
        let recipe = &self.with_assets(recipe)?;
        let (decoder, media) = decode::open_described(source, &recipe.read, &self.decoders)?;
        let resources = Resources {
            pool: Arc::clone(&self.pool),
            spool_memory_bytes: self.spool_memory_bytes,
            temp_dir: self.temp_dir.clone(),
        };
        processing::run(decoder, &media, recipe, &resources, control)
    }

    /// Loads the recordings that filters name (such as the impulse of `convolution`), before a
    /// [`Chain`](crate::filters::Chain) is made of them. [`Engine::process`] does so itself.
    ///
    /// # Errors
    /// Those of [`Engine::open`] and of decoding.
    pub fn load_assets(&self, filters: &mut [FilterSpec], options: &ReadOptions) -> Result<()> {
        let mut assets = FileAssets { options, decoders: &self.decoders };
        filters.iter_mut().try_for_each(|filter| filter.load_assets(&mut assets))
    }

    fn with_assets(&self, recipe: &Recipe) -> Result<Recipe> {
        let mut recipe = recipe.clone();
        let options = recipe.read.clone();
        self.load_assets(&mut recipe.filters, &options)?;
        Ok(recipe)
    }
}
