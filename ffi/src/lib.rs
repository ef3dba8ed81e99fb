//! The C interface of Pure Sound. `include/puresound.h` is made from these files; what a C programmer must know stands there and in
//! `docs/c.md`. Here is only conversion: what happens, happens in `pure_sound`.
//!
//! Live objects are numbers (`handle`), so that a stale or wrong one is an error. Texts, bytes and errors that the library gives
//! away are plain memory of the caller, freed once by their own functions. Every function goes through `error::entry`: nothing unwinds
//! into C.

pub mod about;
pub mod audio;
pub mod chain;
pub mod error;
mod exclusive;
mod handle;
pub mod meter;
pub mod resampler;
mod samples;
pub mod status;
pub mod text;

#[cfg(feature = "engine")]
pub mod call;
#[cfg(feature = "engine")]
pub mod decoder;
#[cfg(feature = "engine")]
pub mod encoder;
#[cfg(feature = "engine")]
pub mod engine;
#[cfg(feature = "engine")]
pub mod events;
#[cfg(feature = "engine")]
pub mod input;
#[cfg(feature = "jobs")]
pub mod jobs;
#[cfg(feature = "engine")]
pub mod observe;
#[cfg(feature = "engine")]
pub mod outputs;
#[cfg(feature = "engine")]
pub mod pictures;
#[cfg(feature = "engine")]
pub mod quality;
#[cfg(feature = "engine")]
mod structs;
#[cfg(feature = "engine")]
mod user;
