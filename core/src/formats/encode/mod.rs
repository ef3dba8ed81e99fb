//! Encoding: [`negotiate`] tells what an encoder needs, [`create`] makes one.

mod settings;

use std::io::{Seek, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use settings::{
    AlacSettings, BitRate, Dither, FlacSettings, FormatSettings, LossySettings, PcmSample, PcmSettings,
};

use super::SampleFormat;
use super::tags::{Loss, Metadata};
use crate::audio::{Buffer, IntBuffer, Spec};
use crate::error::{Error, Result};

/// Where an encoder writes: most containers go back to fill in their headers.
pub trait Sink: Write + Seek + Send {}
impl<T: Write + Seek + Send> Sink for T {}

/// What an encoder will do for a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Negotiated {
    /// Rate and layout that [`Encoder::write`] takes. Where it differs from the source, the caller resamples and mixes.
    pub spec: Spec,
    /// Sample format in the file.
    pub sample_format: SampleFormat,
    /// Settings with every default filled in (bit rate, bits, ...).
    pub settings: FormatSettings,
    /// What differs from the source and why, in words, for the plan and the report.
    pub notes: Vec<String>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Encoded {
    /// Frames of audio that a decoder honouring gapless information gives back.
    pub frames: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Frames that the encoder added at the start and that the file tells decoders to drop.
    pub delay_frames: u64,
    /// Frames that the encoder added at the end.
    pub padding_frames: u64,
    /// Samples that were beyond full scale and were clipped (integer formats only).
    pub clipped_samples: u64,
    /// Dither that was applied.
    pub dither: Dither,
    /// Metadata that the format could not hold.
    pub losses: Vec<Loss>,
}

/// One stream being encoded.
pub trait Encoder: Send {
    /// Rate and layout that `write` takes.
    fn spec(&self) -> Spec;

    /// Encodes the frames of `block` (+/-1.0 is full scale).
    ///
    /// # Errors
    /// [`Error::Io`]: nothing more may be written.
    fn write(&mut self, block: &Buffer) -> Result<()>;

    /// Encodes exact integers, left-justified. Only lossless formats whose bits suffice.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for lossy encoders; [`Error::Io`].
    fn write_int(&mut self, block: &IntBuffer) -> Result<()>;

    /// Writes what is left and completes the headers. Call once, last.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn finish(&mut self) -> Result<Encoded>;
}

/// What an encoder with `settings` needs and will do for a stream of `source` with samples of `format`.
///
/// # Errors
/// [`Error::OutOfRange`], [`Error::InvalidValue`], [`Error::Unsupported`].
pub fn negotiate(settings: &FormatSettings, source: Spec, format: SampleFormat) -> Result<Negotiated> {
    let _ = (source, format);
    Err(Error::unsupported("output format", format!("{settings:?}")))
}

/// Makes the encoder that was negotiated. `metadata` is written by it; `frames_hint` is the expected length, where known,
/// for containers that want it in front.
///
/// # Errors
/// [`Error::Unsupported`], [`Error::Io`].
pub fn create(
    negotiated: &Negotiated,
    sink: Box<dyn Sink>,
    metadata: &Metadata,
    frames_hint: Option<u64>,
) -> Result<Box<dyn Encoder>> {
    let _ = (sink, metadata, frames_hint);
    Err(Error::unsupported("output format", format!("{:?}", negotiated.settings)))
}
