//! The decoders and encoders that an engine uses, as one part that a host can replace or wrap.

use std::sync::Arc;

use rayon::ThreadPool;

use super::decode::{self, Decoder, DecoderFactory};
use super::encode::{self, Encoder, Negotiated, Sink};
use super::info::MediaInfo;
use super::tags::Metadata;
use super::{FormatSettings, MediaSource, ReadOptions, Source};
use crate::error::Result;

/// Decoders and encoders.
pub trait CodecSet: Send + Sync {
    /// Opens an input for reading blocks.
    ///
    /// # Errors
    /// As [`open`](super::open).
    fn open(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Decoder>>;

    /// Opens an input, and tells what [`probe`](super::probe) tells.
    ///
    /// # Errors
    /// As [`open`](super::open).
    fn open_described(&self, source: Source, options: &ReadOptions) -> Result<(Box<dyn Decoder>, MediaInfo)>;

    /// Reads tags, also of files whose audio cannot be decoded.
    ///
    /// # Errors
    /// As [`open`](super::open), when there are no tags either.
    fn tags(&self, source: Source, options: &ReadOptions) -> Result<Metadata>;

    /// Makes the encoder that was negotiated.
    ///
    /// # Errors
    /// As [`create_on`](super::encode::create_on).
    fn encoder(
        &self,
        negotiated: &Negotiated,
        sink: Box<dyn Sink>,
        metadata: &Metadata,
        frames_hint: Option<u64>,
        pool: Option<Arc<ThreadPool>>,
    ) -> Result<Box<dyn Encoder>>;

    /// How to read what [`CodecSet::encoder`] makes with these settings while it is still being written: once, in order, without
    /// knowing its end. None where that cannot be; then it is read when it is finished.
    fn growing(&self, _settings: &FormatSettings) -> Option<OpenGrowing> {
        None
    }
}

/// Opens a file that is being written. A read waits for what is not there yet.
pub type OpenGrowing = fn(Box<dyn MediaSource>, &ReadOptions) -> Result<Box<dyn Decoder>>;

/// The codecs of this library, and decoders that a host adds to them.
#[derive(Clone, Default)]
pub struct BuiltInCodecs {
    /// Asked in this order for what the built-in decoders do not read.
    pub decoders: Vec<Arc<dyn DecoderFactory>>,
}

impl CodecSet for BuiltInCodecs {
    fn open(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
        decode::open_with(source, options, &self.decoders)
    }

    fn open_described(&self, source: Source, options: &ReadOptions) -> Result<(Box<dyn Decoder>, MediaInfo)> {
        decode::open_described(source, options, &self.decoders)
    }

    fn tags(&self, source: Source, options: &ReadOptions) -> Result<Metadata> {
        decode::read_tags(source, options)
    }

    fn encoder(
        &self,
        negotiated: &Negotiated,
        sink: Box<dyn Sink>,
        metadata: &Metadata,
        frames_hint: Option<u64>,
        pool: Option<Arc<ThreadPool>>,
    ) -> Result<Box<dyn Encoder>> {
        encode::create_on(negotiated, sink, metadata, frames_hint, pool)
    }

    fn growing(&self, settings: &FormatSettings) -> Option<OpenGrowing> {
        // Ogg is written without going back.
        matches!(settings, FormatSettings::Opus(_)).then_some(decode::compressed::open_growing_ogg)
    }
}
