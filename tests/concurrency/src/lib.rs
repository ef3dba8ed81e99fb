//! The concurrent parts of the core, compiled from the same files, on the locks and threads of the model checker Shuttle.
//! The models are in `tests/models.rs`.

#![allow(dead_code, unused_imports)] // what only other parts of the core use

#[path = "../../../core/src/cancel.rs"]
pub mod cancel;
#[path = "../../../core/src/config/mod.rs"]
pub mod config;
#[path = "../../../core/src/error/mod.rs"]
pub mod error;
#[path = "../../../core/src/events/mod.rs"]
pub mod events;
#[path = "../../../core/src/cache/flight.rs"]
pub mod flight;
#[path = "../../../core/src/resources/mod.rs"]
pub mod resources;
#[path = "../../../core/src/services/mod.rs"]
pub mod services;
mod sync;

pub use error::{Error, ErrorKind, Result};
