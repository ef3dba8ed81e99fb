//! Pitch: chroma, tuning, key, fundamental frequency.

pub mod chroma;
pub mod key;
pub mod tuning;
pub mod yin;

pub use chroma::ChromaBank;
pub use key::{Key, KeyCandidate, KeyProfile, Mode};
pub use tuning::PeakHistogram;
pub use yin::{Pitch, Yin, YinParams};
