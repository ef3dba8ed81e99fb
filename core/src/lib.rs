//! Pure Sound: an embeddable audio engine.
//!
//! A recording in any common format goes in; it comes out clean, level, measured and encoded, with proof of what was
//! done. Arrows of dependency point down: engine, processing, filters/formats/meter, dsp, audio; `error` is for all.

pub mod audio;
pub mod dsp;
pub mod engine;
pub mod error;
pub mod filters;
pub mod formats;
pub mod meter;
pub mod presets;
pub mod processing;

pub use engine::{Engine, EngineBuilder};
pub use error::{Error, ErrorKind, Result};
