//! Comparison of a recording with its reference: how far it lies off, as a waveform, as a spectrum, and to the ear.
//!
//! [`Comparer`] takes two aligned streams of 48 kHz and gives [`Differences`]; [`crate::Engine::compare`] decodes, converts, aligns and
//! gives a [`Comparison`]. One file per measure, each with its source; `docs/compare.md` has the table. The figures of the ear model are
//! "after BS.1387": they follow the formulae of the basic version of that recommendation, whose conformance test is not part of this project.

pub mod align;
mod bands;
mod bandwidth;
mod comparer;
mod detection;
mod difference;
mod ear;
mod feed;
mod modulation;
mod noise_to_mask;
mod perceptual;
mod run;
mod spectral_distance;
#[cfg(test)]
mod tests;
mod two_f;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use comparer::{Comparer, Differences};
pub use difference::MAX_RATIO_DB;
pub use perceptual::Perceptual;
pub(crate) use run::{ALIGN_S, compare_all};
pub use two_f::two_f_score;

use crate::audio::Spec;
use crate::error::{Error, Result};

/// Version of [`Comparison`]: raised when a field changes its meaning or goes. New fields do not raise it.
pub const COMPARISON_VERSION: u32 = 1;

/// How two inputs are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompareParams {
    /// Whether to find out how much later one of both is, by their first 20 s, and to take that away. Default true.
    pub align: bool,
    /// Largest offset that is looked for, in seconds. 0 to 60, default 5.
    pub max_offset_s: f64,
    /// Whether to give the degraded input the level of the reference before anything is measured. Default false.
    pub match_level: bool,
    /// Whether to compare the means of the channels: for inputs with different numbers of them. Default false.
    pub mix_to_mono: bool,
}

impl Default for CompareParams {
    fn default() -> Self {
        Self { align: true, max_offset_s: 5.0, match_level: false, mix_to_mono: false }
    }
}

impl CompareParams {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn validate(&self) -> Result<()> {
        Error::check_range("max_offset_s", self.max_offset_s, 0.0, 60.0, "s")
    }
}

/// One of the two inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedInput {
    /// Rate and layout.
    pub spec: Spec,
    /// Frames (samples per channel) at that rate.
    pub frames: u64,
    /// Duration in seconds.
    pub duration_s: f64,
}

/// Where the two inputs lie against each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alignment {
    /// Whether an offset was found, which may be 0. Without one, both are compared from their beginnings.
    pub found: bool,
    /// Frames of 48 kHz by which the degraded input is later; negative: earlier. That much of it (of the reference) was left out.
    pub offset_frames: i64,
    /// The same in seconds, to a fraction of a frame.
    pub offset_s: f64,
    /// Correlation of the waveforms at this offset, -1 to 1; 0 when none was found. Negative: the polarity is inverted.
    pub correlation: f64,
}

/// How far a recording lies off its reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Version of this record, 1: raised when a field changes its meaning or goes. New fields do not raise it.
    pub comparison_version: u32,
    /// How this was found.
    pub params: CompareParams,
    /// What it is compared with.
    pub reference: ComparedInput,
    /// What is compared.
    pub degraded: ComparedInput,
    /// The offset; none: not looked for.
    pub alignment: Option<Alignment>,
    /// Gain in dB that the degraded input was given; none: not asked for, or nothing to go by.
    pub matched_db: Option<f64>,
    /// The figures of what both have in common after that. The level difference is that before the gain.
    pub differences: Differences,
}
