//! Time: onsets, tempo, beats.

pub mod beats;
pub mod onsets;
pub mod tempo;

pub use beats::beats;
pub use onsets::onsets;
pub use tempo::{Tempo, TempoCandidate, TempoParams, tempo};
