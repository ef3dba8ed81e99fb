//! Decoding: [`open`] recognises the container by its content and gives a [`Decoder`].

mod compressed;
pub(crate) mod stream;

use super::info::{Damage, MediaInfo, StreamInfo};
use super::{ReadOptions, Source};
use crate::audio::{Buffer, IntBuffer};
use crate::error::{Error, Result};

/// One audio stream being decoded, from any container and codec.
///
/// Positions are frames of the decoded stream after encoder delay was removed; the stream ends before the encoder's
/// padding. Damage is decoded around and noted, unless [`ReadOptions::strict`].
pub trait Decoder: Send {
    /// What is being decoded. `duration` may become more exact while reading.
    fn info(&self) -> &StreamInfo;

    /// Replaces the content of `block` by the next frames, at most `max_frames`. Returns their number; 0 is the end.
    /// `block` is reserved for the stream's spec as needed.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`], [`Error::Io`]; [`Error::Malformed`] only when nothing more can be decoded.
    fn read(&mut self, block: &mut Buffer, max_frames: usize) -> Result<usize>;

    /// As [`Decoder::read`], exact integers (left-justified) for streams whose `sample_format` is `Int`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for other sample formats.
    fn read_int(&mut self, block: &mut IntBuffer, max_frames: usize) -> Result<usize>;

    /// Continues at exactly `frame`. Beyond the end: the next read returns 0.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`].
    fn seek(&mut self, frame: u64) -> Result<()>;

    /// Damage met so far.
    fn damage(&self) -> &Damage;
}

/// Opens `source`, recognised by content.
///
/// # Errors
/// [`Error::NotAudio`], [`Error::Empty`], [`Error::Unsupported`], [`Error::Malformed`], [`Error::LimitExceeded`], and
/// those of [`Source::open`].
pub fn open(source: Source, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
    let (media, bytes) = source.open(&options.limits)?;
    compressed::open(media, bytes, options)
}

/// Tells what `source` is, without decoding all of it.
///
/// # Errors
/// As [`open`].
pub fn probe(source: Source, options: &ReadOptions) -> Result<MediaInfo> {
    let _ = source.open(&options.limits)?;
    Err(Error::NotAudio { hint: None })
}
