//! What will be done ([`Plan`]) and what was done ([`Report`]).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::recipe::{CheckSpec, LevelTarget};
use crate::audio::Spec;
use crate::filters::Finding;
use crate::formats::encode::{Encoded, Negotiated};
use crate::formats::tags::Loss;
use crate::formats::{Damage, StreamInfo};
use crate::meter::Loudness;

/// One step of a plan, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// What is done, such as `filter highpass`.
    pub what: String,
    /// Why, or with what consequence.
    pub why: String,
}

/// What a run of a recipe will do. Made from the headers of the input only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The input.
    pub input: StreamInfo,
    /// Everything that will be done, in order.
    pub steps: Vec<Step>,
    /// Rate and layout after the filters, where the level is measured.
    pub working: Spec,
    /// Delay of the filters in seconds. It is compensated: outputs are not shifted.
    pub latency_s: f64,
    /// True when the samples are copied untouched.
    pub bit_exact: bool,
    /// Size of the spool in bytes, when the duration is known; 0 when none is needed.
    pub spool_bytes: Option<u64>,
    /// Part of the spool that stays in memory, in bytes; the rest goes to a temporary file.
    pub spool_memory_bytes: u64,
    /// Per output: what the encoder needs and does.
    pub outputs: Vec<PlannedOutput>,
}

/// An output of a [`Plan`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedOutput {
    /// Where it will be written.
    pub path: PathBuf,
    /// What the encoder needs and does.
    pub encoder: Negotiated,
}

/// What a run did, with proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Version of this record's layout.
    pub report_version: u32,
    /// Version of the library.
    pub engine_version: String,
    /// Name of the preset, when one was used.
    pub preset: Option<String>,
    /// The input as decoded; its duration is exact now.
    pub input: StreamInfo,
    /// BLAKE3 of the decoded input samples (after trimming), as they entered the filters; for bit-exact runs only.
    pub input_pcm_blake3: Option<String>,
    /// What was wrong with the input and survived.
    pub damage: Damage,
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// What filters found or did, such as the cuts of `cut_silence`.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// The input, measured.
    pub before: Option<Loudness>,
    /// After the filters, before gain and limiter.
    pub filtered: Option<Loudness>,
    /// The outputs.
    pub outputs: Vec<OutputReport>,
    /// Time spent; of a report from the cache, by the run that made it.
    pub timing: Timing,
    /// True when nothing was processed: outputs and report are those of an earlier run, from the cache. Default false.
    #[serde(default)]
    pub from_cache: bool,
}

impl Report {
    /// True when every output meets its level target and checks.
    pub fn all_met(&self) -> bool {
        self.outputs.iter().all(|o| o.target_met != Some(false) && o.checks.iter().all(|c| c.passed))
    }
}

/// One written file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutputReport {
    /// Where it is.
    pub path: PathBuf,
    /// What the encoder was told and why.
    pub encoder: Negotiated,
    /// What the encoder wrote.
    pub encoded: Encoded,
    /// BLAKE3 of the file; absent when nothing of it is verified.
    pub blake3: Option<String>,
    /// True when the decoded output was compared with the input and holds exactly its samples; absent when not asked.
    pub bit_exact: Option<bool>,
    /// Level that was asked for.
    pub target: Option<LevelTarget>,
    /// Gain that was applied before the limiter, in dB.
    pub gain_db: f64,
    /// Ceiling that the limiter was given, in dBTP; lower than the target's where the codec overshoots.
    pub limiter_ceiling_dbtp: Option<f64>,
    /// Times the file was encoded until it met the target.
    pub attempts: u32,
    /// The decoded output, measured.
    pub after: Option<Loudness>,
    /// True when the level target is met within its tolerance; absent when none was given or verify is off.
    pub target_met: Option<bool>,
    /// Why the target is not met.
    pub target_reason: Option<String>,
    /// Checks of the recipe.
    pub checks: Vec<CheckResult>,
    /// Tags and such that could not be kept.
    pub losses: Vec<Loss>,
}

/// Outcome of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    /// What was asked.
    #[serde(flatten)]
    pub check: CheckSpec,
    /// What was measured; absent when it cannot be measured (silence, too short).
    pub value: Option<f64>,
    /// Within the limits.
    pub passed: bool,
}

/// Wall time of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// Decoding, filtering, measuring, in seconds.
    pub analyse_s: f64,
    /// Finding the gain, in seconds, all outputs.
    pub solve_s: f64,
    /// Limiting and encoding, in seconds, all outputs.
    pub encode_s: f64,
    /// Verifying, in seconds, all outputs.
    pub verify_s: f64,
    /// Everything, in seconds.
    pub total_s: f64,
    /// Seconds of input per second of wall time.
    pub realtime_factor: f64,
}
