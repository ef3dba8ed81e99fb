//! What an input may cost. Defaults are safe for files of strangers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Upper bounds while reading one input. What is not said is that of the engine's configuration, or else the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest input, in bytes. Default 64 GiB.
    pub max_bytes: Option<u64>,
    /// Longest audio, in seconds. Default 100 h.
    pub max_seconds: Option<f64>,
    /// Most channels. Default 64.
    pub max_channels: Option<u32>,
    /// Highest sample rate, in Hz. Default 768 kHz.
    pub max_rate_hz: Option<u32>,
    /// Largest single allocation that a header may cause (tables, pictures, packets), in bytes. Default 128 MiB.
    pub max_alloc_bytes: Option<u64>,
    /// Longest wall time for reading one input, in seconds; 0 is unlimited. Default 0.
    pub max_wall_seconds: Option<f64>,
}

/// One method for each limit: what holds, said or not.
macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr;)*) => {
        impl Limits {
            $($(#[$doc])*
            pub fn $name(&self) -> $type {
                self.$name.unwrap_or($default)
            })*

            /// These, with all that they do not say from `other`.
            pub fn or(&self, other: &Self) -> Self {
                Self { $($name: self.$name.or(other.$name)),* }
            }

            /// All of them, with the defaults where nothing is said.
            pub fn resolved(&self) -> Self {
                Self { $($name: Some(self.$name())),* }
            }
        }
    };
}

limits! {
    /// Largest input, in bytes.
    max_bytes: u64 = 64 << 30;
    /// Longest audio, in seconds.
    max_seconds: f64 = 360_000.0;
    /// Most channels.
    max_channels: u32 = 64;
    /// Highest sample rate, in Hz.
    max_rate_hz: u32 = 768_000;
    /// Largest single allocation that a header may cause, in bytes.
    max_alloc_bytes: u64 = 128 << 20;
    /// Longest wall time for reading one input, in seconds; 0 is unlimited.
    max_wall_seconds: f64 = 0.0;
}

impl Limits {
    /// Fails with [`Error::LimitExceeded`] when `value` is above `max`.
    pub fn check(limit: &'static str, value: f64, max: f64) -> Result<()> {
        if value <= max { Ok(()) } else { Err(Error::LimitExceeded { limit, value, max }) }
    }
}

/// How to read an input.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReadOptions {
    /// Upper bounds.
    pub limits: Limits,
    /// Fail at the first damage instead of decoding around it. Default false.
    pub strict: bool,
    /// Which audio track of a file with several, from 0. Default: the container's default track.
    pub track: Option<u32>,
}
