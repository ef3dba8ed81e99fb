//! Pure Sound: an embeddable audio engine.
//!
//! A recording in any common format goes in; it comes out clean, level, measured and encoded, with proof of what was
//! done. Arrows of dependency point down: engine, processing, analysis, filters/formats/meter, dsp, audio; `error` is for all.
//! Beside them, knowing nothing of audio: events, services, config, observe, resources, cancel, cache, storage, and the stores of jobs.

pub mod analysis;
pub mod audio;
pub mod cache;
pub mod cancel;
pub mod config;
pub mod dsp;
pub mod engine;
pub mod error;
pub mod events;
pub mod filters;
pub mod formats;
mod guard;
pub mod jobs;
pub mod meter;
pub mod observe;
pub mod presets;
pub mod processing;
pub mod resources;
pub mod schema;
pub mod services;
pub mod storage;
mod sync;
pub mod workflows;

pub use engine::{Engine, EngineBuilder};
pub use error::{Error, ErrorCode, ErrorKind, Result};
pub use guard::guarded;
