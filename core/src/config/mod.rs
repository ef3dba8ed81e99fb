//! Configuration: layers, the origin of every value, checks, reloading, generations.
//!
//! From low to high: what is built in; `default.yaml`; `config.d/*`; `{environment}.yaml`; `local.yaml` and files of the user;
//! variables (`PURESOUND_EVENTS__LANE_EVENTS=64`); the command line; calls. Later layers win key by key; lists are replaced as
//! a whole. Files may be YAML, TOML or JSON, up to 1 MiB, 32 levels, without YAML tags. Every mistake in every layer is told at once,
//! with its place. What holds is a numbered [`Generation`]; a change that is wrong changes nothing.
//!
//! ```
//! use pure_sound::config::{Config, ConfigOptions};
//!
//! let options = ConfigOptions::new().variables([("PURESOUND_LIMITS__MAX_CHANNELS".into(), "8".into())]);
//! let config = Config::open(options)?;
//! let now = config.current();
//! assert_eq!(now.settings.limits.max_channels, 8);
//! // An engine that follows it.
//! let engine = pure_sound::Engine::builder().config(&config).build()?;
//! assert_eq!(now.entry("limits.max_channels").unwrap().origin.to_string(), "variable PURESOUND_LIMITS__MAX_CHANNELS");
//! # Ok::<(), pure_sound::Error>(())
//! ```

mod document;
mod edit;
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

pub(crate) use document::yaml_value;
pub use edit::FileEdit;
pub use generation::{Cause, Generation};
pub use keys::{Guard, KeyInfo, schema_of};
pub use layers::{Entry, Origin};
pub use options::ConfigOptions;
pub use print::{default_yaml, settings_schema};
pub use secret::{REDACTED, Secret};
pub use settings::*;
pub use store::Config;
pub use watch::Watcher;
