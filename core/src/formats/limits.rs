//! What an input may cost. Defaults are safe for files of strangers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Upper bounds while reading one input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest input, in bytes. Default 64 GiB.
    pub max_bytes: u64,
    /// Longest audio, in seconds. Default 100 h.
    pub max_seconds: f64,
    /// Most channels. Default 64.
    pub max_channels: u32,
    /// Highest sample rate, in Hz. Default 768 kHz.
    pub max_rate_hz: u32,
    /// Largest single allocation that a header may cause (tables, pictures, packets), in bytes. Default 128 MiB.
    pub max_alloc_bytes: u64,
    /// Longest wall time for reading one input, in seconds; 0 is unlimited. Default 0.
    pub max_wall_seconds: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 30,
            max_seconds: 360_000.0,
            max_channels: 64,
            max_rate_hz: 768_000,
            max_alloc_bytes: 128 << 20,
            max_wall_seconds: 0.0,
        }
    }
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
