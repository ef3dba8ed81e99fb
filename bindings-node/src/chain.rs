//! [`Chain`]: filters over samples in place, for live audio.

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use pure_sound::Error as CoreError;
use pure_sound::audio::Buffer as CoreBuffer;
use pure_sound::filters::{Chain as CoreChain, FilterSpec};
use pure_sound::formats::ReadOptions;
use serde_json::Value;

use crate::engine::Engine;
use crate::error::sync;
use crate::promise::options;
use crate::samples::{Audio, BLOCK_FRAMES, Planes, spec_of};

/// The filters of a JSON list, whose items are objects or texts as on the command line, with the recordings that they name.
///
/// # Errors
/// As [`FilterSpec::from_json`], [`FilterSpec::parse`] and [`pure_sound::Engine::load_assets`].
pub fn read_filters(engine: &Engine, filters: &str) -> pure_sound::Result<Vec<FilterSpec>> {
    let items: Vec<Value> = options("filters", filters)?;
    let read = |item| match item {
        Value::String(text) => FilterSpec::parse(&text),
        other => FilterSpec::from_json(other),
    };
    let mut filters = items.into_iter().map(read).collect::<pure_sound::Result<Vec<_>>>()?;
    engine.core().load_assets(&mut filters, &ReadOptions::default())?;
    Ok(filters)
}

/// Filters in series. Used by the JavaScript thread alone.
#[napi]
pub struct Chain {
    /// None after a panic.
    chain: Option<CoreChain>,
    block: CoreBuffer,
    /// Most frames that go through at once.
    max_frames: usize,
}

impl Chain {
    /// Works with the chain. One that panicked is not used again.
    fn with<T>(
        &mut self,
        env: &Env,
        work: impl FnOnce(&mut CoreChain, &mut CoreBuffer) -> pure_sound::Result<T>,
    ) -> napi::Result<T> {
        let mut outcome = Err(CoreError::Closed { what: "chain" });
        if let Some(chain) = &mut self.chain {
            outcome = pure_sound::guarded(|| work(chain, &mut self.block));
        }
        if matches!(outcome, Err(CoreError::Panic { .. })) {
            self.chain = None;
        }
        outcome.map_err(|error| crate::error::to_js(env, &error))
    }

    fn ask<T: Default>(&self, question: impl FnOnce(&CoreChain) -> T) -> T {
        self.chain.as_ref().map_or_else(T::default, question)
    }
}

#[napi]
impl Chain {
    /// A chain of filters (JSON) for streams of this rate and layout.
    #[napi(constructor)]
    pub fn new(
        env: &Env,
        engine: &Engine,
        filters: String,
        rate_hz: f64,
        layout: String,
        max_frames: Option<f64>,
    ) -> napi::Result<Self> {
        sync(env, || {
            let mut chain = CoreChain::new(&read_filters(engine, &filters)?)?;
            let asked = max_frames.unwrap_or(BLOCK_FRAMES as f64);
            CoreError::check_range("max_frames", asked, 1.0, 16_777_216.0, "frames")?;
            // The size does not change the result, and what fits the cache is faster.
            let max_frames = BLOCK_FRAMES.min(asked as usize);
            chain.prepare(spec_of(rate_hz, &layout)?, max_frames)?;
            let block = chain.new_block()?;
            Ok(Self { chain: Some(chain), block, max_frames })
        })
    }

    /// Filters samples in place, of any number.
    #[napi]
    pub fn process(&mut self, env: &Env, planes: Planes, interleaved: bool) -> napi::Result<()> {
        let max_frames = self.max_frames;
        self.with(env, |chain, block| planes.change(block, max_frames, interleaved, chain))
    }

    /// What filters held back, after the last `process`; null when that is all.
    #[napi]
    pub fn finish(&mut self, env: &Env) -> napi::Result<Option<Audio>> {
        self.with(env, |chain, block| {
            let spec = block.spec();
            chain.finish(block);
            let rest = (block.frames() > 0).then(|| Audio(block.clone()));
            block.set_spec(spec);
            Ok(rest)
        })
    }

    /// Sets a parameter of the filter at this place; it glides there.
    #[napi]
    pub fn set_parameter(&mut self, env: &Env, filter: u32, name: String, value: f64) -> napi::Result<()> {
        self.with(env, |chain, _| chain.set_parameter(filter as usize, &name, value))
    }

    /// The value that a parameter has, or glides to.
    #[napi]
    pub fn parameter(&mut self, env: &Env, filter: u32, name: String) -> napi::Result<f64> {
        self.with(env, |chain, _| chain.parameter(filter as usize, &name))
    }

    /// Sets how long parameters glide, in ms.
    #[napi]
    pub fn set_glide_ms(&mut self, env: &Env, glide_ms: f64) -> napi::Result<()> {
        self.with(env, |chain, _| chain.set_glide_ms(glide_ms))
    }

    /// Forgets the signal.
    #[napi]
    pub fn reset(&mut self, env: &Env) -> napi::Result<()> {
        self.with(env, |chain, _| {
            chain.reset();
            Ok(())
        })
    }

    /// Lets it go.
    #[napi]
    pub fn close(&mut self) {
        self.chain = None;
    }

    /// Frames by which the output is behind the input.
    #[napi(getter)]
    pub fn latency_frames(&self) -> f64 {
        self.ask(|chain| chain.latency_frames() as f64)
    }

    /// Frames of sound that may follow the end of the input.
    #[napi(getter)]
    pub fn tail_frames(&self) -> f64 {
        self.ask(|chain| chain.tail_frames() as f64)
    }

    /// True when no filter is for files only.
    #[napi(getter)]
    pub fn is_realtime(&self) -> bool {
        self.ask(CoreChain::is_realtime)
    }

    /// Samples that were not finite, and became silence.
    #[napi(getter)]
    pub fn non_finite_samples(&self) -> f64 {
        self.ask(|chain| chain.non_finite_samples() as f64)
    }
}
