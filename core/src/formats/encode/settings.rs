//! Settings of every output format, one definition for recipes, presets, the CLI and the bindings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dsp::dither::Dither;

/// An output format with its settings. Fields left out take a default that fits the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "format", rename_all = "snake_case", deny_unknown_fields)]
pub enum FormatSettings {
    /// RIFF WAVE; becomes RF64 past 4 GiB.
    Wav(PcmSettings),
    /// Sony Wave64.
    W64(PcmSettings),
    /// AIFF (integers), AIFF-C (floats).
    Aiff(PcmSettings),
    /// Apple Core Audio Format, PCM.
    Caf(PcmSettings),
    /// FLAC.
    Flac(FlacSettings),
    /// Apple Lossless in M4A.
    Alac(AlacSettings),
    /// MP3 with gapless information.
    Mp3(LossySettings),
    /// AAC-LC in M4A.
    M4a(LossySettings),
    /// AAC-LC with ADTS headers. Cannot hold tags or gapless information.
    Adts(LossySettings),
    /// Opus in Ogg.
    Opus(LossySettings),
    /// Vorbis in Ogg. Needs the feature `vorbis`.
    Vorbis(LossySettings),
}

impl FormatSettings {
    /// Names of all formats as they stand in recipes.
    pub const NAMES: &'static [&'static str] =
        &["wav", "w64", "aiff", "caf", "flac", "alac", "mp3", "m4a", "adts", "opus", "vorbis"];

    /// The format with default settings, by its name or by a usual file name extension (`aif`, `aac`, `ogg`, `mp4`).
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "wav" | "wave" | "rf64" | "bwf" => Self::Wav(PcmSettings::default()),
            "w64" => Self::W64(PcmSettings::default()),
            "aiff" | "aif" | "aifc" => Self::Aiff(PcmSettings::default()),
            "caf" => Self::Caf(PcmSettings::default()),
            "flac" => Self::Flac(FlacSettings::default()),
            "alac" => Self::Alac(AlacSettings::default()),
            "mp3" => Self::Mp3(LossySettings::default()),
            "m4a" | "mp4" | "m4b" => Self::M4a(LossySettings::default()),
            "aac" | "adts" => Self::Adts(LossySettings::default()),
            "opus" => Self::Opus(LossySettings::default()),
            "ogg" | "oga" | "vorbis" => Self::Vorbis(LossySettings::default()),
            _ => return None,
        })
    }

    /// Usual file name extension, without the dot.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Wav(_) => "wav",
            Self::W64(_) => "w64",
            Self::Aiff(_) => "aiff",
            Self::Caf(_) => "caf",
            Self::Flac(_) => "flac",
            Self::Alac(_) | Self::M4a(_) => "m4a",
            Self::Mp3(_) => "mp3",
            Self::Adts(_) => "aac",
            Self::Opus(_) => "opus",
            Self::Vorbis(_) => "ogg",
        }
    }

    /// True when decoding gives back the samples that were written.
    pub fn is_lossless(&self) -> bool {
        matches!(self, Self::Wav(_) | Self::W64(_) | Self::Aiff(_) | Self::Caf(_) | Self::Flac(_) | Self::Alac(_))
    }
}

/// Sample format of a PCM file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PcmSample {
    /// 16-bit integers.
    S16,
    /// 24-bit integers.
    S24,
    /// 32-bit integers.
    S32,
    /// 32-bit floats.
    F32,
}

/// Settings of PCM containers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PcmSettings {
    /// Sample format. Default: that of a lossless source (8 bits become 16), else 24-bit integers.
    pub sample: Option<PcmSample>,
    /// Dither when bits are dropped. Default TPDF.
    pub dither: Dither,
}

/// Settings of FLAC.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlacSettings {
    /// Effort, 0 (fast) to 8 (small). Default 5.
    pub level: Option<u8>,
    /// 16, 24 or 32. Default: that of a lossless source, else 24.
    pub bits: Option<u8>,
    /// Dither when bits are dropped. Default TPDF.
    pub dither: Dither,
}

/// Settings of ALAC.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlacSettings {
    /// 16, 20, 24 or 32. Default: that of a lossless source, else 24.
    pub bits: Option<u8>,
    /// Dither when bits are dropped. Default TPDF.
    pub dither: Dither,
}

/// How a lossy encoder chooses its bit rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BitRate {
    /// Constant (or average, where a codec knows no constant) rate in kbit/s for all channels together.
    Kbps(u32),
    /// Variable, 0.0 (smallest) to 1.0 (best).
    Quality(f32),
}

/// Settings of lossy codecs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LossySettings {
    /// Bit rate. Default: one that is transparent for most listeners, by codec, channels and rate.
    pub bit_rate: Option<BitRate>,
}
