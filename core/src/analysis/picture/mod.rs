//! Pictures of a recording as PNG: [`waveform`] and [`spectrogram`].
//!
//! Both are collected from blocks while a recording is read, in memory that depends on the size of the picture and not on the length of the
//! recording, and any split into blocks gives the same bytes. Times run to the right; labels are drawn with a small font of our own, so
//! that a picture needs nothing else.

pub(crate) mod axis;
mod canvas;
mod colour;
mod font;
mod frame;
pub mod spectrogram;
pub mod waveform;

pub use axis::FrequencyScale;
pub use colour::{Colour, ColourMap};
pub use spectrogram::{Spectrogram, SpectrogramOptions};
pub use waveform::{AmplitudeScale, WaveformColours, WaveformOptions};

use crate::error::{Error, Result};

/// Checks that a side of a picture lies in a range, in pixels.
fn check_side(name: &str, pixels: u32, min: u32, max: u32) -> Result<()> {
    Error::check_range(name, pixels.into(), min.into(), max.into(), "pixels")
}

/// Pixels of the picture for one of the font: 1 up to 1600 x 800, 2 above.
fn font_scale(width: u32, height: u32) -> usize {
    if width > 1600 && height > 400 { 2 } else { 1 }
}
