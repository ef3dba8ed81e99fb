//! The concurrent parts of the core, compiled from the same files, on the locks and threads of the model checker Shuttle.
//! The models are in `tests/models.rs`.

#[path = "../../../core/src/config/mod.rs"]
pub mod config;
#[path = "../../../core/src/error/mod.rs"]
pub mod error;
#[path = "../../../core/src/events/mod.rs"]
pub mod events;
#[path = "../../../core/src/services/mod.rs"]
pub mod services;
mod sync;

pub use error::{Error, ErrorKind, Result};
