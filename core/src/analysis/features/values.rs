//! The features by name: as series, and as summaries.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::statistics::{Summary, VectorSummary};

macro_rules! scalars {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// One of something for each feature that is one number per frame.
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
        pub struct Scalars<T> {
            $($(#[doc = $doc])+ pub $name: T,)+
        }

        impl<T> Scalars<T> {
            /// The same of something else.
            pub fn map<U>(&self, each: impl Fn(&T) -> U) -> Scalars<U> {
                Scalars { $($name: each(&self.$name),)+ }
            }

            /// Calls `each` with both sides, feature after feature.
            pub fn with<U>(&mut self, other: &Scalars<U>, mut each: impl FnMut(&mut T, &U)) {
                $(each(&mut self.$name, &other.$name);)+
            }

            /// Names and values, handed over.
            pub fn into_entries(self) -> Vec<(&'static str, T)> {
                vec![$((stringify!($name), self.$name),)+]
            }

            /// Names and values.
            pub fn entries(&self) -> Vec<(&'static str, &T)> {
                vec![$((stringify!($name), &self.$name),)+]
            }
        }
    };
}

scalars! {
    /// Spectral centroid in Hz.
    centroid_hz,
    /// Spectral bandwidth in Hz: deviation from the centroid.
    bandwidth_hz,
    /// Spectral roll-off in Hz: 85 % of the magnitude lies below.
    rolloff_hz,
    /// Spectral flatness, 0 to 1.
    flatness,
    /// Spectral flux: distance to the spectrum before, in units of magnitude.
    flux,
    /// Spectral slope in 1/Hz.
    slope,
    /// Spectral crest: largest by mean power.
    crest,
    /// Spectral entropy, 0 to 1.
    entropy,
    /// Zero-crossing rate: sign changes per sample.
    zero_crossing_rate,
    /// RMS of the mono mix, 1.0 being full scale.
    rms,
}

/// Features of a whole recording in a few numbers each.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FeatureSummary {
    /// Number of frames.
    pub frames: u64,
    /// Frames per second.
    pub frame_rate_hz: f64,
    /// Features of one number.
    #[serde(flatten)]
    pub scalars: Scalars<Summary>,
    /// Onset strength in dB per frame.
    pub onset_strength: Summary,
    /// Mel bands in dB (power 1 is 0 dB), floor `top_db` below the loudest.
    pub mel_db: VectorSummary,
    /// Mel-frequency cepstral coefficients.
    pub mfcc: VectorSummary,
    /// Their first derivative per frame.
    pub mfcc_delta: VectorSummary,
    /// Their second derivative per frame.
    pub mfcc_delta2: VectorSummary,
    /// Pitch classes from C on, the strongest of a frame being 1.
    pub chroma: VectorSummary,
    /// Spectral contrast in dB: below 200 Hz, then per octave.
    pub contrast_db: VectorSummary,
    /// Magnitudes of the constant-Q transform, the lowest band first, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cqt: Option<VectorSummary>,
    /// Pitch classes from C on of a constant-Q transform, the strongest of a frame being 1, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chroma_cqt: Option<VectorSummary>,
    /// Share of the energy that rings instead of striking, 0 to 1, of the frames that are not silent, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harmonic_ratio: Option<Summary>,
}

/// Features over time: element `t` belongs to the time `t / frame_rate_hz`. Lists of lists are `bands x frames`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// Features of one number.
    #[serde(flatten)]
    pub scalars: Scalars<Vec<f32>>,
    /// Onset strength.
    pub onset_strength: Vec<f32>,
    /// Power of the mel bands.
    pub mel: Vec<Vec<f32>>,
    /// Mel-frequency cepstral coefficients.
    pub mfcc: Vec<Vec<f32>>,
    /// Pitch classes from C on.
    pub chroma: Vec<Vec<f32>>,
    /// Spectral contrast in dB.
    pub contrast_db: Vec<Vec<f32>>,
    /// YIN's pitch in Hz, also of frames without a voice.
    pub yin_hz: Vec<f32>,
    /// Fundamental frequency in Hz; 0 for frames without a voice.
    pub f0_hz: Vec<f32>,
    /// Probability of a voice.
    pub voiced_probability: Vec<f32>,
    /// Magnitudes of the constant-Q transform, when asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cqt: Vec<Vec<f32>>,
    /// Pitch classes from C on of a constant-Q transform, when asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chroma_cqt: Vec<Vec<f32>>,
    /// Energy of what rings, when asked for: sum of the squared magnitudes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub harmonic_energy: Vec<f32>,
    /// Energy of what strikes, when asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub percussive_energy: Vec<f32>,
    /// Share of the energy that rings, when asked for; 0 for silence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub harmonic_ratio: Vec<f32>,
}

/// One feature over time as a matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureArray {
    /// Name of the feature: that of the field of [`Series`].
    pub name: &'static str,
    /// Number of bands; none for a feature that is one number per frame.
    pub bands: Option<usize>,
    /// Number of frames.
    pub frames: usize,
    /// Values, band after band.
    pub data: Vec<f32>,
}

impl Series {
    /// All features as arrays, those of one number first. Pitch is left out when it was not followed, and so is what was not asked for.
    pub fn into_arrays(self) -> Vec<FeatureArray> {
        let line = |name, data: Vec<f32>| FeatureArray { name, bands: None, frames: data.len(), data };
        let bands = |name, rows: Vec<Vec<f32>>| FeatureArray {
            name,
            bands: Some(rows.len()),
            frames: rows.first().map_or(0, Vec::len),
            data: rows.concat(),
        };
        let mut arrays: Vec<_> = self.scalars.into_entries().into_iter().map(|(name, data)| line(name, data)).collect();
        arrays.push(line("onset_strength", self.onset_strength));
        arrays.push(bands("mel", self.mel));
        arrays.push(bands("mfcc", self.mfcc));
        arrays.push(bands("chroma", self.chroma));
        arrays.push(bands("contrast_db", self.contrast_db));
        let asked = [("cqt", self.cqt), ("chroma_cqt", self.chroma_cqt)];
        arrays.extend(asked.into_iter().filter(|(_, rows)| !rows.is_empty()).map(|(name, rows)| bands(name, rows)));
        let pitch = [("yin_hz", self.yin_hz), ("f0_hz", self.f0_hz), ("voiced_probability", self.voiced_probability)];
        arrays.extend(pitch.into_iter().filter(|(_, data)| !data.is_empty()).map(|(name, data)| line(name, data)));
        let parts = [
            ("harmonic_energy", self.harmonic_energy),
            ("percussive_energy", self.percussive_energy),
            ("harmonic_ratio", self.harmonic_ratio),
        ];
        arrays.extend(parts.into_iter().filter(|(_, data)| !data.is_empty()).map(|(name, data)| line(name, data)));
        arrays
    }
}

/// Appends a frame to `bands x frames`.
pub(super) fn append(series: &mut Vec<Vec<f32>>, frame: &[f32]) {
    series.resize_with(frame.len(), Vec::new);
    series.iter_mut().zip(frame).for_each(|(s, v)| s.push(*v));
}
