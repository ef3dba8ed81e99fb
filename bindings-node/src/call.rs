//! [`Call`]: inputs, and a thread to work with them on. The shape of most calls of an engine.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Object, ToNapiValue};
use pure_sound::Engine as CoreEngine;
use pure_sound::formats::Source as CoreSource;
use pure_sound::processing::{Control, Recipe};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cancel::Reins;
use crate::engine::Engine;
use crate::error::sync;
use crate::promise::{options, promise};
use crate::source::Source;
use crate::threads::Lane;

/// A call with its input, or with its inputs.
pub struct Call<I = CoreSource> {
    engine: Arc<CoreEngine>,
    input: I,
    lane: Lane,
}

impl Call {
    /// With one input, on `lane` unless JavaScript brings the bytes.
    ///
    /// # Errors
    /// Those of [`Source::take`].
    pub fn new(engine: &Engine, env: &Env, source: &Source, lane: Lane) -> napi::Result<Self> {
        let (input, lane) = sync(env, || source.take(lane))?;
        Ok(Self { engine: engine.shared(), input, lane })
    }

    /// Runs the recipe that `request` asks for, on a thread.
    ///
    /// # Errors
    /// Those of [`promise`].
    pub fn follow<'env, T: ToNapiValue + Send + 'static>(
        self,
        env: &'env Env,
        request: String,
        reins: Reins,
        work: impl FnOnce(&CoreEngine, CoreSource, &Recipe, &Control) -> pure_sound::Result<T> + Send + 'static,
    ) -> napi::Result<Object<'env>> {
        let Self { engine, input, lane } = self;
        promise(env, lane, move || {
            reins.drive(|control| {
                let recipe = engine.recipe(&options::<Value>("recipe", &request)?)?;
                work(&engine, input, &recipe, control)
            })
        })
    }
}

impl Call<(CoreSource, CoreSource)> {
    /// With two inputs for whole files. The work has a thread of its own when JavaScript brings the bytes of either.
    ///
    /// # Errors
    /// Those of [`Source::take`], of the first one before the second.
    pub fn of_two(engine: &Engine, env: &Env, first: &Source, second: &Source) -> napi::Result<Self> {
        let (input, lane) = sync(env, || {
            let (first, lane) = first.take(Lane::File)?;
            let (second, lane) = second.take(lane)?;
            Ok(((first, second), lane))
        })?;
        Ok(Self { engine: engine.shared(), input, lane })
    }
}

impl<I: Send + 'static> Call<I> {
    /// Works with the input as the options of `given`, JSON text, say; on a thread.
    ///
    /// # Errors
    /// Those of [`promise`].
    pub fn run<'env, O: DeserializeOwned, T: ToNapiValue + Send + 'static>(
        self,
        env: &'env Env,
        given: String,
        reins: Reins,
        work: impl FnOnce(&CoreEngine, I, &O, &Control) -> pure_sound::Result<T> + Send + 'static,
    ) -> napi::Result<Object<'env>> {
        let Self { engine, input, lane } = self;
        promise(env, lane, move || {
            reins.drive(|control| {
                let given: O = options("options", &given)?;
                work(&engine, input, &given, control)
            })
        })
    }
}
