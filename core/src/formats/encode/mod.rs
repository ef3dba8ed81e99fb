//! Encoding: [`negotiate`] tells what an encoder needs, [`create`] makes one.

mod aac;
mod aiff;
mod alac;
mod bits;
mod caf;
mod flac;
mod ints;
mod memory;
mod mp3;
mod mp4;
mod negotiate;
mod ogg;
mod opus;
mod ordered;
mod out;
mod pcm;
mod pieces;
mod settings;
#[cfg(test)]
mod testing;
#[cfg(feature = "vorbis")]
mod vorbis;
mod w64;
mod wav;

use std::io::{Seek, Write};
use std::sync::Arc;

use rayon::ThreadPool;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use memory::MemorySink;
pub use negotiate::negotiate;
pub use settings::{AlacSettings, BitRate, FlacSettings, FormatSettings, LossySettings, PcmSample, PcmSettings};

use self::pcm::PcmEncoder;
pub(crate) use self::pcm::pack_ints;
pub use crate::dsp::dither::Dither;

use super::SampleFormat;
use super::tags::{Loss, Metadata};
use crate::audio::{Buffer, IntBuffer, Spec};
use crate::error::Result;

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
    /// [`crate::Error::Io`]: nothing more may be written.
    fn write(&mut self, block: &Buffer) -> Result<()>;

    /// Encodes exact integers, left-justified. Only lossless formats whose bits suffice.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for lossy encoders; [`crate::Error::Io`].
    fn write_int(&mut self, block: &IntBuffer) -> Result<()>;

    /// Writes what is left and completes the headers. Call once, last.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    fn finish(&mut self) -> Result<Encoded>;
}

/// Names this library in files that ask for the program that made them. Without a version, so that the bytes of a file
/// change only when its encoder does.
pub(crate) const VENDOR: &str = "Pure Sound";

/// Makes the encoder that was negotiated, working in the calling thread. See [`create_on`].
///
/// # Errors
/// As [`create_on`].
pub fn create(
    negotiated: &Negotiated,
    sink: Box<dyn Sink>,
    metadata: &Metadata,
    frames_hint: Option<u64>,
) -> Result<Box<dyn Encoder>> {
    create_on(negotiated, sink, metadata, frames_hint, None)
}

/// Makes the encoder that was negotiated. `metadata` is written by it; `frames_hint` is the expected length, where known,
/// for containers that want it in front.
///
/// With a `pool`, FLAC, MP3, AAC, ALAC and Opus encode pieces of the stream on its threads while `write` goes on. The
/// pieces are the same without a pool and for any number of threads, and so are the bytes. At most one piece per thread
/// and the one being filled are in memory. `write` and `finish` may be called from a thread of the pool.
///
/// # Errors
/// [`crate::Error::Unsupported`], [`crate::Error::Io`]; [`crate::Error::InvalidValue`] for settings that [`negotiate`] did not make.
pub fn create_on(
    negotiated: &Negotiated,
    sink: Box<dyn Sink>,
    metadata: &Metadata,
    frames_hint: Option<u64>,
    pool: Option<Arc<ThreadPool>>,
) -> Result<Box<dyn Encoder>> {
    let spec = negotiated.spec;
    Ok(match &negotiated.settings {
        FormatSettings::Wav(s) => Box::new(PcmEncoder::new(wav::Wav::new(), spec, s, sink, metadata)?),
        FormatSettings::W64(s) => Box::new(PcmEncoder::new(w64::W64::default(), spec, s, sink, metadata)?),
        FormatSettings::Aiff(s) => Box::new(PcmEncoder::new(aiff::Aiff::default(), spec, s, sink, metadata)?),
        FormatSettings::Caf(s) => Box::new(PcmEncoder::new(caf::Caf::default(), spec, s, sink, metadata)?),
        FormatSettings::Flac(s) => Box::new(flac::FlacEncoder::new(spec, s, sink, metadata, frames_hint, pool)?),
        FormatSettings::Alac(s) => Box::new(alac::AlacEncoder::new(spec, s, sink, metadata, frames_hint, pool)?),
        FormatSettings::Mp3(s) => Box::new(mp3::Mp3Encoder::new(spec, s, sink, metadata, pool)?),
        FormatSettings::M4a(s) => Box::new(aac::m4a(spec, s, sink, metadata, frames_hint, pool)?),
        FormatSettings::Adts(s) => Box::new(aac::adts(spec, s, sink, metadata, pool)?),
        FormatSettings::Opus(s) => Box::new(opus::OpusEncoder::new(spec, s, sink, metadata, pool)?),
        #[cfg(feature = "vorbis")]
        FormatSettings::Vorbis(s) => Box::new(vorbis::VorbisEncoder::new(spec, s, sink, metadata)?),
        #[cfg(not(feature = "vorbis"))]
        FormatSettings::Vorbis(_) => return Err(negotiate::no_vorbis()),
    })
}
