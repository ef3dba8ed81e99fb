//! How a service is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a service works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// It works.
    #[default]
    Pass,
    /// It works, but somebody should look.
    Warn,
    /// It does not work.
    Fail,
}

/// What a service says of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Whether it works.
    pub status: HealthStatus,
    /// Why, when it does not pass.
    pub note: Option<String>,
    /// The figure behind the status, when there is one.
    pub observed: Option<f64>,
    /// Unit of `observed`.
    pub unit: Option<String>,
}

impl Health {
    /// It works.
    pub fn pass() -> Self {
        Self::default()
    }

    /// It works, but somebody should look.
    pub fn warn(note: impl Into<String>) -> Self {
        Self { status: HealthStatus::Warn, note: Some(note.into()), ..Self::default() }
    }

    /// It does not work.
    pub fn fail(note: impl Into<String>) -> Self {
        Self { status: HealthStatus::Fail, note: Some(note.into()), ..Self::default() }
    }

    /// With the figure behind the status.
    pub fn observed(mut self, value: f64, unit: impl Into<String>) -> Self {
        (self.observed, self.unit) = (Some(value), Some(unit.into()));
        self
    }
}
