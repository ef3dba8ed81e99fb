//! Features: numbers per frame and what they come to over a recording, in one pass.
//!
//! One short-time Fourier transform feeds all of them while the frame is in the cache. Parameters and definitions are librosa's where it
//! has the feature. Memory does not grow with the length, but for the onset strength (4 bytes per frame) and series that are asked for.

pub mod cepstrum;
pub mod contrast;
pub mod cqt;
pub mod extractor;
mod floor;
pub mod framer;
pub mod hpss;
pub mod level;
pub mod mel;
pub mod spectral;
pub mod statistics;
pub mod stft;
mod values;

pub use contrast::ContrastBands;
pub use cqt::{Cqt, CqtParams};
pub use extractor::{FeatureExtractor, FeatureParams, Features};
pub use framer::{Frame, Framer};
pub use hpss::Hpss;
pub use mel::{MelBank, MelParams};
pub use spectral::{Shape, ShapeMeter};
pub use statistics::{Summary, VectorSummary};
pub use stft::Stft;
pub use values::{FeatureArray, FeatureSummary, Scalars, Series};
