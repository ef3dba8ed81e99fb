//! Whole recordings in memory, and encoders for streams.

use std::path::Path;
use std::sync::Arc;

use super::Engine;
use super::observed::Call;
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};
use crate::formats::tags::Metadata;
use crate::formats::{Encoded, FormatSettings, ReadOptions, Source};
use crate::processing::progress::Tracker;
use crate::processing::{Control, EncodeTarget, Output, Overwrite, Stage, StreamEncoder};
use crate::services::seams::Operation;

/// Frames that are decoded at once: a cancel waits for no more than these.
const READ_FRAMES: usize = 16_384;

/// Frames for which a header is believed when memory is set aside: 23 minutes at 48 kHz. More is found while decoding.
const TRUSTED_FRAMES: usize = 1 << 26;

impl Engine {
    /// Decodes a whole input into memory: `channels x frames`, +/-1.0 is full scale.
    ///
    /// # Errors
    /// Those of [`Engine::open`]; [`Error::LimitExceeded`] when the memory cannot be had; [`Error::Cancelled`].
    pub fn decode(&self, source: Source, options: &ReadOptions, control: &Control) -> Result<Buffer> {
        self.observed.operation(Call::Decode, || self.decode_whole(source, options, control))
    }

    fn decode_whole(&self, source: Source, options: &ReadOptions, control: &Control) -> Result<Buffer> {
        self.ask_policy(Call::Decode.name(), &source, &[], Some(control))?;
        let options = &self.read_options(options);
        let mut decoder = self.codecs.open(self.media(source, &mut true, options)?, options)?;
        let (spec, duration) = (decoder.info().spec, decoder.info().duration);
        let expected = duration.filter(|d| d.exact).and_then(|d| usize::try_from(d.frames).ok());
        // A header may claim anything, so its word is taken up to a size only. Memory that is never touched costs nothing.
        let mut audio = Buffer::new(spec, expected.unwrap_or(0).min(TRUSTED_FRAMES));
        let mut block = Buffer::new(spec, READ_FRAMES);
        let tracker = Tracker::for_reading(control, spec.rate_hz, duration.map(|d| d.frames));
        loop {
            tracker.check()?;
            let count = decoder.read(&mut block, READ_FRAMES)?;
            if count == 0 {
                tracker.done();
                return Ok(audio);
            }
            tracker.advance(Stage::Analyse, count, spec.rate_hz);
            let frames = audio.frames() + count;
            if !audio.try_grow(frames) {
                let needed = frames as f64 * spec.channels() as f64 * 4.0;
                return Err(Error::LimitExceeded { limit: "memory", value: needed, max: needed });
            }
            audio.append(&block, 0, count);
        }
    }

    /// An encoder for blocks of `spec`, on the threads of this engine. Without `format` the extension of a path decides.
    ///
    /// # Errors
    /// As [`StreamEncoder::create`]; [`Error::Denied`] by the policy; [`Error::UnknownName`] for an extension that is no format; [`Error::InvalidValue`] without both.
    pub fn encoder(
        &self,
        target: EncodeTarget<'_>,
        format: Option<&FormatSettings>,
        spec: Spec,
        metadata: &Metadata,
    ) -> Result<StreamEncoder> {
        let format = match (format, &target) {
            (Some(format), _) => format.clone(),
            (None, EncodeTarget::Path(path, _)) => Output::new(*path).format(&[])?,
            (None, _) => {
                return Err(Error::InvalidValue {
                    name: "format".into(),
                    value: "none".into(),
                    allowed: "a format: without a path nothing else tells it".into(),
                });
            }
        };
        let outputs: &[&Path] = if let EncodeTarget::Path(path, _) = &target { &[*path] } else { &[] };
        Operation { name: "encode", tenant: None, input: None, outputs }.check(&*self.policy)?;
        let pool = Some(Arc::clone(&self.pool));
        StreamEncoder::create_with(&*self.files, &*self.codecs, target, &format, spec, metadata, pool)
    }

    /// Encodes audio in memory to a file, which appears whole or not at all. No level is changed.
    ///
    /// # Errors
    /// As [`Engine::encoder`] and [`StreamEncoder::finish`].
    pub fn encode(
        &self,
        audio: &Buffer,
        path: &Path,
        format: Option<&FormatSettings>,
        metadata: &Metadata,
    ) -> Result<Encoded> {
        self.observed.operation(Call::Encode, || {
            let target = EncodeTarget::Path(path, Overwrite::Replace);
            let mut encoder = self.encoder(target, format, audio.spec(), metadata)?;
            encoder.write(audio)?;
            Ok(encoder.finish()?.0)
        })
    }

    /// As [`Engine::encode`], to memory.
    ///
    /// # Errors
    /// As [`Engine::encode`].
    pub fn encode_to_memory(
        &self,
        audio: &Buffer,
        format: &FormatSettings,
        metadata: &Metadata,
    ) -> Result<(Encoded, Vec<u8>)> {
        self.observed.operation(Call::Encode, || {
            let mut encoder = self.encoder(EncodeTarget::Memory, Some(format), audio.spec(), metadata)?;
            encoder.write(audio)?;
            let (encoded, bytes) = encoder.finish()?;
            Ok((encoded, bytes.unwrap_or_default()))
        })
    }
}
