//! What is wanted: input, filters, level target, outputs.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audio::ChannelLayout;
use crate::error::{Error, Result};
use crate::filters::FilterSpec;
use crate::formats::tags::TagPolicy;
use crate::formats::{FormatSettings, ReadOptions};

/// A complete description of one job: the same recipe and input give the same bytes everywhere.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// Name of the preset that this was made from, for the report. Not in JSON: there a request names its preset, see
    /// [`crate::Engine::recipe`].
    #[serde(skip)]
    pub preset: Option<String>,
    /// The file to read. Left empty when the caller hands over a [`crate::formats::Source`].
    pub input: PathBuf,
    /// How to read it.
    pub read: ReadOptions,
    /// Part of the input to use.
    pub trim: Trim,
    /// Processing before the level is measured, in order.
    pub filters: Vec<FilterSpec>,
    /// Level to meet. Default: the level stays as it is.
    pub level: Option<LevelTarget>,
    /// Sample rate of the outputs in Hz, 8000 to 768000. Default: that of the input, or what a format needs.
    pub rate_hz: Option<u32>,
    /// Channels of the outputs. Default: those of the input, or what a format allows.
    pub layout: Option<ChannelLayout>,
    /// Files to write, all from one decode.
    pub outputs: Vec<Output>,
    /// Settings for outputs that do not state a format, by the format that their extension gives.
    pub format_defaults: Vec<FormatSettings>,
    /// What to do with tags, pictures and chapters.
    pub tags: TagPolicy,
    /// Fields to set (a text) or to remove (null), after the policy.
    pub set_tags: std::collections::BTreeMap<String, Option<String>>,
    /// Values that the outputs must keep to. One that is missed is reported; it is no error.
    pub checks: Vec<CheckSpec>,
    /// Require that every output holds exactly the input's samples. Default false.
    pub bit_exact: bool,
    /// Whether every output is decoded and measured again. Default: `full`.
    pub verify: Verify,
    /// What to do with outputs that exist. Default: `replace`.
    pub overwrite: Overwrite,
}

/// Whether outputs are decoded and measured again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// Decode, measure and correct.
    #[default]
    Full,
    /// Trust the encoder: no decode, no correction, no measurement of the output.
    None,
}

/// What to do with an output that exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overwrite {
    /// Replace it, atomically.
    #[default]
    Replace,
    /// Fail with [`Error::Conflict`].
    Refuse,
}

/// Part of the input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Trim {
    /// Start in seconds, from the beginning. Default 0.
    pub start_s: f64,
    /// End in seconds, from the beginning. Default: the end.
    pub end_s: Option<f64>,
}

/// A level that the outputs must have, measured after encoding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "measure", rename_all = "snake_case", deny_unknown_fields)]
pub enum LevelTarget {
    /// Integrated loudness, ITU-R BS.1770-5 / EBU R 128.
    Loudness {
        /// Target in LUFS, -70 to -5.
        integrated_lufs: f64,
        /// Highest true peak in dBTP, -20 to 0.
        true_peak_dbtp: f64,
    },
    /// RMS over the whole file, as audiobook platforms ask.
    Rms {
        /// Target in dBFS where a full-scale square wave is 0, -60 to -3.
        rms_dbfs: f64,
        /// Highest true peak in dBTP, -20 to 0.
        true_peak_dbtp: f64,
    },
}

impl LevelTarget {
    /// Highest true peak of the outputs, in dBTP.
    pub fn true_peak_dbtp(&self) -> f64 {
        match self {
            Self::Loudness { true_peak_dbtp, .. } | Self::Rms { true_peak_dbtp, .. } => *true_peak_dbtp,
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Loudness { integrated_lufs, .. } => {
                Error::check_range("integrated_lufs", *integrated_lufs, -70.0, -5.0, "LUFS")?;
            }
            Self::Rms { rms_dbfs, .. } => Error::check_range("rms_dbfs", *rms_dbfs, -60.0, -3.0, "dBFS")?,
        }
        Error::check_range("true_peak_dbtp", self.true_peak_dbtp(), -20.0, 0.0, "dBTP")
    }
}

/// One file to write.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// Where to write it.
    pub path: PathBuf,
    /// Format and settings. Default: by the extension of `path`.
    pub format: Option<FormatSettings>,
}

impl Output {
    /// An output whose format follows from the extension of `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), format: None }
    }

    /// The format: stated, or by the extension with the settings that `defaults` has for it.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for an extension that is no format.
    pub fn format(&self, defaults: &[FormatSettings]) -> Result<FormatSettings> {
        if let Some(format) = &self.format {
            return Ok(format.clone());
        }
        let extension = self.path.extension().and_then(|e| e.to_str()).unwrap_or("");
        let format = FormatSettings::from_name(extension)
            .ok_or_else(|| Error::unknown_name("output format", extension, FormatSettings::NAMES.iter().copied()))?;
        Ok(defaults.iter().find(|d| d.name() == format.name()).cloned().unwrap_or(format))
    }
}

/// Quantities that a check can look at, measured on the decoded output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[allow(missing_docs)] // the names are the documentation
pub enum Quantity {
    IntegratedLufs,
    TruePeakDbtp,
    SamplePeakDbfs,
    RmsDbfs,
    NoiseFloorDbfs,
    RangeLu,
    MaxMomentaryLufs,
    MaxShortTermLufs,
}

/// A value that an output must keep to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckSpec {
    /// What is looked at.
    pub quantity: Quantity,
    /// Smallest allowed value.
    #[serde(default)]
    pub min: Option<f64>,
    /// Largest allowed value.
    #[serde(default)]
    pub max: Option<f64>,
}

impl Recipe {
    /// Checks everything that can be checked without the input.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::InvalidValue`], [`Error::UnknownName`], [`Error::Conflict`].
    pub fn validate(&self) -> Result<()> {
        for filter in &self.filters {
            filter.validate()?;
        }
        if let Some(level) = &self.level {
            level.validate()?;
        }
        if let Some(rate) = self.rate_hz {
            Error::check_range("rate_hz", f64::from(rate), 8_000.0, 768_000.0, "Hz")?;
        }
        Error::check_range("start_s", self.trim.start_s, 0.0, f64::MAX, "s")?;
        if let Some(end) = self.trim.end_s
            && (end.is_nan() || end <= self.trim.start_s)
        {
            return Err(Error::InvalidValue {
                name: "end_s".into(),
                value: end.to_string(),
                allowed: format!("more than start_s = {} s", self.trim.start_s),
            });
        }
        for (index, output) in self.outputs.iter().enumerate() {
            output.format(&self.format_defaults)?;
            if self.outputs[..index].iter().any(|o| o.path == output.path) {
                return Err(Error::Conflict { what: format!("output {} is given twice", output.path.display()) });
            }
        }
        let changes =
            !self.filters.is_empty() || self.level.is_some() || self.rate_hz.is_some() || self.layout.is_some();
        if self.bit_exact && changes {
            return Err(Error::Conflict {
                what: "bit_exact allows no filters, level, rate_hz or layout: they change samples".into(),
            });
        }
        Ok(())
    }
}
