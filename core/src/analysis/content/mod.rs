//! Content: speech, music, speech over music, noise, silence, second by second and for the whole recording.
//!
//! [`ContentClassifier`] brings the mean of the channels to 16 kHz and an even level; a network that was trained on speech, singing and music
//! (`network`) hears it; a second's worth of its inner values is weighed by a linear layer (`head`, trained by
//! `tests/training/train.py` on Debian packages), smoothed over time (`segments`). Nothing that speaks clearly for one class is
//! [`ContentClass::Unknown`]. `docs/content.md` tells how well it does.

mod classifier;
mod head;
mod log_mel;
mod network;
mod segments;
#[cfg(feature = "ml")]
mod speech_quality;
#[cfg(test)]
mod tests;
mod voice;
mod weights;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use classifier::ContentClassifier;

use super::activity::Segment;
use crate::error::{Error, Result};

/// Parameters of the classifier.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContentParams {
    /// RMS of a second below which noise counts as silence, in dBFS (a full-scale sine reads -3.01). -80 to 0, default -60.
    pub silence_dbfs: f64,
    /// Confidence below which the answer is `unknown`. 0 to 1, default 0.4.
    pub unknown_below: f64,
    /// Estimate what listeners would say of the speech, by DNSMOS P.835, at half a second of work for each of up to 8 windows; needs a build
    /// with the feature `ml`. Default false.
    pub speech_quality: bool,
}

impl Default for ContentParams {
    fn default() -> Self {
        Self { silence_dbfs: -60.0, unknown_below: 0.4, speech_quality: false }
    }
}

impl ContentParams {
    fn validate(&self) -> Result<()> {
        Error::check_range("silence_dbfs", self.silence_dbfs, -80.0, 0.0, "dBFS")?;
        Error::check_range("unknown_below", self.unknown_below, 0.0, 1.0, "")?;
        if self.speech_quality && cfg!(not(feature = "ml")) {
            return Err(Error::Unsupported {
                what: "analysis",
                value: "speech_quality".into(),
                hint: Some("it needs a build with the feature ml".into()),
            });
        }
        Ok(())
    }
}

/// What a sound is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentClass {
    /// Somebody speaks.
    Speech,
    /// Music, singing included.
    Music,
    /// Somebody speaks while music plays.
    SpeechOverMusic,
    /// Anything else that is heard: nature, machines, effects, hiss.
    Noise,
    /// Nothing, or noise below `silence_dbfs`.
    Silence,
    /// Nothing speaks clearly for one of the others.
    Unknown,
}

/// A stretch of one class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContentSegment {
    /// Beginning in seconds.
    pub start_s: f64,
    /// End in seconds.
    pub end_s: f64,
    /// What it is.
    pub class: ContentClass,
    /// Mean probability of the likeliest class, 0 to 1.
    pub confidence: f64,
}

/// What a recording is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Content {
    /// What most of it is, silence aside.
    pub class: ContentClass,
    /// Mean probability of that over what is not silent, 0 to 1.
    pub confidence: f64,
    /// Share of the time with speech, over music or not, 0 to 1.
    pub speech_ratio: f64,
    /// Share of the time with music, under speech or not, 0 to 1.
    pub music_ratio: f64,
    /// Share of the time with noise alone, 0 to 1.
    pub noise_ratio: f64,
    /// Share of the time with silence, 0 to 1.
    pub silence_ratio: f64,
    /// Stretches of one class, to the second, without gaps.
    pub segments: Vec<ContentSegment>,
    /// Speaker activity: where somebody speaks, to 10 ms.
    pub voice: Vec<Segment>,
    /// What listeners would say of the speech, when that was asked for and somebody speaks for long enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speech_quality: Option<SpeechQuality>,
}

/// Estimates of mean opinion scores as of ITU-T P.835, 1 (bad) to 5 (excellent), by DNSMOS P.835: means over the windows that were heard.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpeechQuality {
    /// Of the speech itself: little or much distortion.
    pub signal_mos: f64,
    /// Of what is behind it: 1 is intrusive, 5 is not noticed.
    pub background_mos: f64,
    /// Of both together.
    pub overall_mos: f64,
    /// Windows of 9 s that were heard.
    pub windows: u32,
}

impl Content {
    /// Share of the time of some classes in all that is not silent, 0 to 1.
    pub fn share(&self, of: impl Fn(ContentClass) -> bool) -> f64 {
        let seconds = |of: &dyn Fn(ContentClass) -> bool| -> f64 {
            self.segments.iter().filter(|s| of(s.class)).map(|s| s.end_s - s.start_s).sum()
        };
        let heard_s = seconds(&|class| class != ContentClass::Silence);
        if heard_s > 0.0 { seconds(&of) / heard_s } else { 0.0 }
    }
}
