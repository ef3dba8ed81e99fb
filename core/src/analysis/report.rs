//! The record that an analysis gives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activity::{Activity, ActivityParams};
use super::content::{Content, ContentParams};
use super::features::{FeatureParams, FeatureSummary, Series, Summary};
use super::fingerprint::{Fingerprint, FingerprintParams};
use super::rhythm::{Tempo, TempoParams};
use super::tonal::{Key, KeyProfile};
use super::waveform::{PeakParams, Peaks};
use crate::audio::Spec;
use crate::meter::Loudness;

/// Version of [`Analysis`]: raised when a field changes its meaning or goes. New fields do not raise it.
pub const ANALYSIS_VERSION: u32 = 1;

/// What an analysis is to find, and how.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnalysisParams {
    /// Features, pitch among them.
    pub features: FeatureParams,
    /// Tempo and beats.
    pub tempo: TempoParams,
    /// Profiles that keys are compared with.
    pub key_profile: KeyProfile,
    /// Sound and silence.
    pub activity: ActivityParams,
    /// Speech, music, noise; without, they are not told apart.
    pub content: Option<ContentParams>,
    /// Waveform peaks; without, there are none.
    pub peaks: Option<PeakParams>,
    /// Acoustic fingerprint; without, there is none.
    pub fingerprint: Option<FingerprintParams>,
    /// Whether features are given over time as well. Takes about 0.8 kB of memory per frame. Default false.
    pub series: bool,
}

/// Onsets, tempo, beats.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Rhythm {
    /// Tempo; none when nothing repeats.
    pub tempo: Option<Tempo>,
    /// Times of the beats in seconds.
    pub beats_s: Vec<f64>,
    /// Times of the onsets in seconds.
    pub onsets_s: Vec<f64>,
    /// Onsets per second.
    pub onset_rate_hz: f64,
}

/// Pitch over a recording.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PitchSummary {
    /// Share of the frames with a pitch, 0 to 1.
    pub voiced_ratio: f64,
    /// Fundamental frequency of those frames in Hz; all 0 without any.
    pub f0_hz: Summary,
}

/// Tuning, key, pitch.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Tonal {
    /// Distance to A4 = 440 Hz in semitones, -0.5 to 0.49.
    pub tuning_semitones: f64,
    /// Key; none when no pitch class stands out.
    pub key: Option<Key>,
    /// Strength of the pitch classes from C on; they add up to 1, or are all 0.
    pub pitch_classes: [f64; 12],
    /// Pitch; none when it was not followed.
    pub pitch: Option<PitchSummary>,
}

/// What a recording is like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Analysis {
    /// Version of this record, 1: raised when a field changes its meaning or goes. New fields do not raise it.
    pub analysis_version: u32,
    /// Rate and layout.
    pub spec: Spec,
    /// Frames (samples per channel).
    pub frames: u64,
    /// Duration in seconds.
    pub duration_s: f64,
    /// How this was found.
    pub params: AnalysisParams,
    /// Loudness, true peak, levels.
    pub loudness: Loudness,
    /// Features in a few numbers each.
    pub features: FeatureSummary,
    /// Onsets, tempo, beats.
    pub rhythm: Rhythm,
    /// Tuning, key, pitch.
    pub tonal: Tonal,
    /// Sound and silence.
    pub activity: Activity,
    /// Speech, music, noise, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// Waveform peaks, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waveform: Option<Peaks>,
    /// Acoustic fingerprint, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Features over time, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
}
