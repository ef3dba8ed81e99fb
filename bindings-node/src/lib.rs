//! The Node.js addon of Pure Sound: what `index.js` stands on.
//!
//! Only conversions are here. Options and records cross as JSON text, samples as `Float32Array`s, errors as JavaScript errors that
//! `index.js` makes from the record of the core's error. Long work runs on threads of this addon ([`threads`]), never on libuv's,
//! which file and name look-ups of the host need.

// Glue to a C interface: `#[napi]` expands to it, and samples are read and written where JavaScript keeps them.
#![allow(unsafe_code)]

mod call;
mod cancel;
mod chain;
mod decoder;
mod encoder;
mod engine;
mod error;
mod events;
mod features;
mod jobs;
mod meter;
mod observe;
mod pictures;
mod promise;
mod resampler;
mod samples;
mod slot;
mod source;
mod stream_chain;
mod threads;

use napi::bindgen_prelude::{Env, FunctionRef, Unknown};
use napi_derive::napi;

/// Version of the library.
#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// All errors: JSON list of `[number, name, kind]`.
#[napi]
pub fn error_table(env: &Env) -> napi::Result<String> {
    let table: Vec<_> =
        pure_sound::ErrorCode::ALL.iter().map(|code| (code.number(), code.name(), code.kind().name())).collect();
    error::sync(env, || promise::json(&table))
}

/// JSON Schemas of all options and records, by name; or one of them.
#[napi]
pub fn schema(env: &Env, name: Option<String>) -> napi::Result<String> {
    error::sync(env, || {
        let all = pure_sound::schema::all();
        match name {
            None => promise::json(&all),
            Some(name) => match all.get(&name) {
                Some(schema) => promise::json(schema),
                None => Err(pure_sound::Error::unknown_name("schema", &name, all.keys().map(String::as_str))),
            },
        }
    })
}

/// All filters with their parameters, as JSON; or one of them.
#[napi]
pub fn filters(env: &Env, name: Option<String>) -> napi::Result<String> {
    error::sync(env, || match name {
        None => promise::json(&pure_sound::filters::registry::filters()),
        Some(name) => promise::json(&pure_sound::filters::registry::find(&name)?),
    })
}

/// Channels of a layout.
#[napi]
pub fn channel_count(env: &Env, layout: String) -> napi::Result<u32> {
    error::sync(env, || Ok(samples::spec_of(48_000.0, &layout)?.channels() as u32))
}

/// Panics behind the border, for the tests of the guard.
#[napi]
pub fn test_panic(env: &Env) -> napi::Result<()> {
    error::sync(env, || panic!("asked for"))
}

/// Takes the function that makes JavaScript errors of the core's records. Called once, by `index.js`, before anything else.
#[napi]
pub fn on_error(env: &Env, make: FunctionRef<String, Unknown<'static>>) -> napi::Result<()> {
    error::install(env, make)
}
