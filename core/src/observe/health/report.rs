//! What a probe answers, in the shape of `application/health+json` (draft-inadarei-api-health-check-06, which expired).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::services::{Health, HealthStatus};

/// Media type of a [`HealthAnswer`].
pub const HEALTH_TYPE: &str = "application/health+json";

/// What one check found.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckAnswer {
    /// `component`, `datastore`, `system`, or a word of the host.
    pub component_type: String,
    /// The figure behind the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_value: Option<f64>,
    /// Unit of the figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_unit: Option<String>,
    /// Whether it works.
    pub status: HealthStatus,
    /// When it was asked, RFC 3339, UTC.
    pub time: String,
    /// Why it does not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

impl CheckAnswer {
    pub(super) fn new(component_type: &str, health: Health, time_ms: u64) -> Self {
        Self {
            component_type: component_type.into(),
            observed_value: health.observed.filter(|v| v.is_finite()),
            observed_unit: health.unit,
            status: health.status,
            time: rfc3339(time_ms),
            output: health.note,
        }
    }
}

/// What a probe answers.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthAnswer {
    /// The worst of all checks.
    pub status: HealthStatus,
    /// Version of this shape.
    pub version: String,
    /// Version of the library.
    pub release_id: String,
    /// What this is about.
    pub description: String,
    /// What each check found, by `component:measure`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<String, Vec<CheckAnswer>>,
}

impl HealthAnswer {
    pub(super) fn new(description: &str, checks: BTreeMap<String, Vec<CheckAnswer>>) -> Self {
        let status = checks.values().flatten().map(|c| c.status).max().unwrap_or_default();
        Self {
            status,
            version: "1".into(),
            release_id: env!("CARGO_PKG_VERSION").into(),
            description: description.into(),
            checks,
        }
    }

    /// The status of HTTP that goes with it: 200, or 503 when something fails.
    pub fn http_status(&self) -> u16 {
        if self.status == HealthStatus::Fail { 503 } else { 200 }
    }

    /// The same without what only the operator should see: status and version.
    pub fn without_details(mut self) -> Self {
        self.checks.clear();
        self
    }
}

/// `2026-01-31T23:59:59.123Z`. Days to dates as in H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
pub(crate) fn rfc3339(time_ms: u64) -> String {
    let (days, ms) = (time_ms / 86_400_000, time_ms % 86_400_000);
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z", ms % 1000)
}
