//! Analysis: what a recording is like, in numbers, from one pass over it.
//!
//! [`Analyser`] takes blocks and gives an [`Analysis`]: loudness, features, rhythm, key, pitch, activity, and on request content, series,
//! waveform peaks and a fingerprint. Its parts can be used alone: each has `new`, `push` and `finish`, takes blocks of any size with the same result, and keeps its
//! memory bounded unless it says otherwise.
//!
//! [`picture`] draws a recording, [`page`] shows people all that is known of it, [`quality`] tells what is wrong with it, [`recommend`] what to
//! do about that, [`delivery`] whether it holds the specification of who receives it, [`compare`] how far it lies off a reference.

pub mod activity;
pub mod compare;
#[cfg(test)]
mod conformance;
pub mod content;
pub mod delivery;
mod driver;
pub mod features;
pub mod fingerprint;
pub mod page;
pub mod picture;
pub mod quality;
pub mod recommend;
mod report;
pub mod rhythm;
pub mod tonal;
pub mod waveform;

pub use activity::{Activity, ActivityMeter, ActivityParams};
pub use content::{Content, ContentClass, ContentClassifier, ContentParams, ContentSegment, SpeechQuality};
pub use driver::Analyser;
pub use features::{FeatureArray, FeatureExtractor, FeatureParams, FeatureSummary, Series};
pub use fingerprint::{Fingerprint, FingerprintParams, Fingerprinter};
pub use report::{ANALYSIS_VERSION, Analysis, AnalysisParams, PitchSummary, Rhythm, Tonal};
pub use waveform::{PeakParams, Peaks, WaveformPeaks};

use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

/// Checks that a block is of the stream.
pub(crate) fn check_spec(expected: Spec, got: Spec) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    let allowed = format!("{} Hz and {} channels as before", expected.rate_hz, expected.channels());
    let value = format!("{} Hz, {} channels", got.rate_hz, got.channels());
    Err(Error::InvalidValue { name: "spec".into(), value, allowed })
}

/// Largest sample that is analysed: powers of spectra must stay numbers.
const LOUDEST: f32 = 1e6;

/// Mean of the channels. What is no number becomes 0.
pub(crate) fn mix_to_mono(block: &Buffer, out: &mut Vec<f32>) {
    out.clear();
    out.resize(block.frames(), 0.0);
    let scale = 1.0 / block.channel_count().max(1) as f32;
    for channel in block.channels() {
        out.iter_mut().zip(channel).for_each(|(sum, x)| *sum += x);
    }
    for x in out {
        let scaled = *x * scale;
        *x = if scaled.is_finite() { scaled.clamp(-LOUDEST, LOUDEST) } else { 0.0 };
    }
}
