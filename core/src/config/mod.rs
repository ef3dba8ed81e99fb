//! Configuration: layers, the origin of every value, checks, reloading, generations.
//!
//! From low to high: what is built in; `default.yaml`; `config.d/*`; `{environment}.yaml`; `local.yaml` and files of the user;
//! variables (`PURESOUND_EVENTS__LANE_EVENTS=64`); the command line; calls. Later layers win key by key; lists are replaced as
//! a whole. Files may be YAML, TOML or JSON, up to 1 MiB, 32 levels, without YAML tags. Every mistake in every layer is told at once,
//! with its place. What holds is a numbered [`Generation`]; a change that is wrong changes nothing.
//!
//! ```
//! use pure_sound::config::{Config, ConfigOptions, Settings};
//! use pure_sound::events::EventBus;
//!
//! let options = ConfigOptions::new().variables([("PURESOUND_RETRY__ATTEMPTS".into(), "5".into())]);
//! let config = Config::<Settings>::load(options, &EventBus::default())?;
//! let now = config.current();
//! assert_eq!(now.settings.retry.attempts, 5);
//! assert_eq!(now.entry("retry.attempts").unwrap().origin.to_string(), "variable PURESOUND_RETRY__ATTEMPTS");
//! # Ok::<(), pure_sound::Error>(())
//! ```

mod document;
mod generation;
mod keys;
mod layers;
mod options;
mod print;
mod secret;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod watch;

pub use generation::{Cause, Generation};
pub use keys::{Guard, KeyInfo, schema_of};
pub use layers::{Entry, Origin};
pub use options::ConfigOptions;
pub use print::{default_yaml, settings_schema};
pub use secret::{REDACTED, Secret};
pub use settings::*;
pub use store::Config;
pub use watch::Watcher;
