//! Delivery checks: pass or fail against named specifications.
//!
//! A specification is a list of [`Rule`]s, each a range for one measured [`Measured`] with the clause it comes from; [`SPECS`] is the
//! table. What cannot be measured from the sound of one file (a dialogue-gated loudness, room tone by ear) is told as a note of the
//! specification instead of being passed silently. Rules look at the results of [`QualityAnalyser`](super::quality::QualityAnalyser).

mod specs;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use specs::SPECS;

use super::quality::{QualityReport, Severity, Span, VerdictName};
use crate::error::{Error, Result};

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// Integrated loudness in LUFS.
    IntegratedLufs,
    /// True peak in dBTP.
    TruePeakDbtp,
    /// Sample peak in dBFS.
    SamplePeakDbfs,
    /// RMS of all in dBFS; a full-scale sine reads -3.01.
    RmsDbfs,
    /// RMS of the quietest half second in dBFS.
    NoiseFloorDbfs,
    /// Loudness range in LU.
    RangeLu,
    /// Largest momentary loudness in LUFS.
    MaxMomentaryLufs,
    /// Largest short-term loudness in LUFS.
    MaxShortTermLufs,
    /// Silence before the sound in seconds.
    SilenceAtStartS,
    /// Silence after the sound in seconds.
    SilenceAtEndS,
    /// Length in seconds.
    DurationS,
    /// Sample rate in Hz.
    RateHz,
    /// Faults of the severity `error` among the quality verdicts.
    Faults,
}

impl Measured {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::IntegratedLufs => "integrated_lufs",
            Self::TruePeakDbtp => "true_peak_dbtp",
            Self::SamplePeakDbfs => "sample_peak_dbfs",
            Self::RmsDbfs => "rms_dbfs",
            Self::NoiseFloorDbfs => "noise_floor_dbfs",
            Self::RangeLu => "range_lu",
            Self::MaxMomentaryLufs => "max_momentary_lufs",
            Self::MaxShortTermLufs => "max_short_term_lufs",
            Self::SilenceAtStartS => "silence_at_start_s",
            Self::SilenceAtEndS => "silence_at_end_s",
            Self::DurationS => "duration_s",
            Self::RateHz => "rate_hz",
            Self::Faults => "faults",
        }
    }

    fn of(self, report: &QualityReport) -> f64 {
        let (loudness, measured) = (&report.loudness, &report.measurements);
        match self {
            Self::IntegratedLufs => loudness.integrated_lufs,
            Self::TruePeakDbtp => loudness.true_peak_dbtp,
            Self::SamplePeakDbfs => loudness.sample_peak_dbfs,
            Self::RmsDbfs => loudness.rms_dbfs,
            Self::NoiseFloorDbfs => loudness.noise_floor_dbfs,
            Self::RangeLu => loudness.range_lu,
            Self::MaxMomentaryLufs => loudness.max_momentary_lufs,
            Self::MaxShortTermLufs => loudness.max_short_term_lufs,
            Self::SilenceAtStartS => measured.silence_at_start_s,
            Self::SilenceAtEndS => measured.silence_at_end_s,
            Self::DurationS => measured.duration_s,
            Self::RateHz => f64::from(report.spec.rate_hz),
            Self::Faults => report.verdicts.iter().filter(|v| v.severity == Severity::Error).count() as f64,
        }
    }
}

/// A range for one quantity. Both ends belong to it; an infinite end is open.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// What is looked at.
    pub quantity: Measured,
    /// Smallest allowed value.
    pub min: f64,
    /// Largest allowed value.
    pub max: f64,
    /// Where the rule stands.
    pub source: &'static str,
}

/// A named specification.
#[derive(Debug, Clone, Copy)]
pub struct Specification {
    /// Short name, as on a command line.
    pub name: &'static str,
    /// Name and edition of the document.
    pub title: &'static str,
    /// All of them must hold.
    pub rules: &'static [Rule],
    /// What the specification asks for beyond what is measured here; empty: nothing.
    pub not_measured: &'static str,
}

/// The specification of a name.
///
/// # Errors
/// [`Error::UnknownName`] with the closest name.
pub fn specification(name: &str) -> Result<&'static Specification> {
    let known = SPECS.iter().find(|s| s.name == name);
    known.ok_or_else(|| Error::unknown_name("specification", name, SPECS.iter().map(|s| s.name)))
}

/// Name that stands for every specification.
pub const ALL: &str = "all";

/// The specifications of names, in the order given; [`ALL`] among them: every one.
///
/// # Errors
/// As [`specification`].
pub fn specifications(names: &[impl AsRef<str>]) -> Result<Vec<&'static Specification>> {
    if names.iter().any(|name| name.as_ref() == ALL) {
        return Ok(SPECS.iter().collect());
    }
    names.iter().map(|name| specification(name.as_ref())).collect()
}

/// How one rule came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleResult {
    /// What was looked at.
    pub quantity: Measured,
    /// Whether the value lies in the range.
    pub passed: bool,
    /// The measured value; none: minus infinity, that of silence.
    pub value: Option<f64>,
    /// Smallest allowed value; none: no limit.
    pub min: Option<f64>,
    /// Largest allowed value; none: no limit.
    pub max: Option<f64>,
    /// Where the rule stands.
    pub source: String,
    /// One sentence, when it failed.
    pub reason: Option<String>,
    /// Where it failed, when it did at certain places.
    pub times: Vec<Span>,
}

/// How a specification came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryResult {
    /// Short name.
    pub specification: String,
    /// Name and edition of the document.
    pub title: String,
    /// Whether all rules hold.
    pub passed: bool,
    /// All rules in order.
    pub rules: Vec<RuleResult>,
    /// What the specification asks for beyond what is measured here; empty: nothing.
    pub not_measured: String,
}

/// What [`crate::Engine::check`] finds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckReport {
    /// Whether all specifications that were asked for hold; true when none was.
    pub passed: bool,
    /// Faults and figures.
    pub quality: QualityReport,
    /// How each specification came out.
    pub delivery: Vec<DeliveryResult>,
}

/// Holds a report against a specification. Silence fails every rule with a lower limit.
pub fn check(report: &QualityReport, specification: &Specification) -> DeliveryResult {
    let rules: Vec<RuleResult> = specification.rules.iter().map(|rule| judge(report, rule)).collect();
    DeliveryResult {
        specification: specification.name.into(),
        title: specification.title.into(),
        passed: rules.iter().all(|r| r.passed),
        rules,
        not_measured: specification.not_measured.into(),
    }
}

fn judge(report: &QualityReport, rule: &Rule) -> RuleResult {
    let value = rule.quantity.of(report);
    let passed = value >= rule.min && value <= rule.max;
    let finite = |x: f64| x.is_finite().then_some(x);
    let name = rule.quantity.name();
    let limits = match (finite(rule.min), finite(rule.max)) {
        (Some(min), Some(max)) if min == max => format!("{min} is asked for"),
        (Some(min), Some(max)) => format!("{min} to {max} is asked for"),
        (Some(min), None) => format!("at least {min} is asked for"),
        (None, Some(max)) => format!("at most {max} is asked for"),
        (None, None) => String::new(),
    };
    let reason = (!passed).then(|| format!("{name} is {value:.2}, {limits} ({}).", rule.source));
    let times = if passed { Vec::new() } else { places(report, rule.quantity) };
    let (min, max) = (finite(rule.min), finite(rule.max));
    RuleResult {
        quantity: rule.quantity,
        passed,
        value: finite(value),
        min,
        max,
        source: rule.source.into(),
        reason,
        times,
    }
}

/// Where a rule failed, as far as verdicts know.
fn places(report: &QualityReport, quantity: Measured) -> Vec<Span> {
    let end_s = report.measurements.duration_s;
    let of = |name: VerdictName| report.verdict(name).map(|v| v.times.clone()).unwrap_or_default();
    match quantity {
        Measured::SilenceAtStartS => {
            vec![Span { start_s: 0.0, end_s: report.measurements.silence_at_start_s, channel: None }]
        }
        Measured::SilenceAtEndS => {
            vec![Span { start_s: end_s - report.measurements.silence_at_end_s, end_s, channel: None }]
        }
        Measured::TruePeakDbtp | Measured::SamplePeakDbfs => of(VerdictName::Clipping),
        Measured::Faults => {
            let faults = report.verdicts.iter().filter(|v| v.severity == Severity::Error);
            faults.flat_map(|v| v.times.iter().copied()).collect()
        }
        _ => Vec::new(),
    }
}
