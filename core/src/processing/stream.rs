//! [`StreamEncoder`]: blocks in, an encoded file out.

use std::path::Path;
use std::sync::Arc;

use super::job::conversions_between;
use super::pipe::{BLOCK_FRAMES, in_blocks};
use super::publish::PendingFile;
use super::recipe::Overwrite;
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};
use crate::filters::FileChain;
use crate::formats::encode::{Encoded, Encoder, MemorySink, Negotiated, Sink, create_on, negotiate};
use crate::formats::tags::Metadata;
use crate::formats::{FormatSettings, SampleFormat};

/// Where an encoder writes to.
pub enum EncodeTarget<'a> {
    /// A file, which appears when the stream is finished, whole.
    Path(&'a Path, Overwrite),
    /// Memory: [`StreamEncoder::finish`] gives the bytes.
    Memory,
    /// Anything that can be written to and sought in. Unlike a file it sees every write at once.
    Sink(Box<dyn Sink>),
}

enum Written {
    File(PendingFile, Overwrite),
    Memory(MemorySink),
    Elsewhere,
}

/// Encodes blocks of one spec. What the format cannot take as it is (rate, channels) is resampled and mixed, as
/// [`StreamEncoder::negotiated`] tells. Dropped before [`StreamEncoder::finish`], it leaves no file.
pub struct StreamEncoder {
    input: Spec,
    chain: FileChain,
    encoder: Box<dyn Encoder>,
    negotiated: Negotiated,
    written: Written,
    work: Buffer,
    frames: u64,
    failed: bool,
}

impl StreamEncoder {
    /// An encoder for blocks of `spec`. With a `pool` some formats encode on several threads; the bytes are the same.
    ///
    /// # Errors
    /// Those of [`negotiate`]; [`Error::Conflict`] when the file exists and may not be replaced; [`Error::NotFound`] for a missing
    /// folder; [`Error::Denied`], [`Error::Io`].
    pub fn create(
        target: EncodeTarget<'_>,
        format: &FormatSettings,
        spec: Spec,
        metadata: &Metadata,
        pool: Option<Arc<rayon::ThreadPool>>,
    ) -> Result<Self> {
        let negotiated = negotiate(format, spec, SampleFormat::Float(32))?;
        let mut chain = FileChain::new(&conversions_between(spec, negotiated.spec))?;
        chain.prepare(spec, BLOCK_FRAMES)?;
        let (written, sink): (_, Box<dyn Sink>) = match target {
            EncodeTarget::Path(path, overwrite) => {
                let pending = PendingFile::create(path, overwrite)?;
                let file = pending.handle()?;
                (Written::File(pending, overwrite), Box::new(file))
            }
            EncodeTarget::Memory => {
                let memory = MemorySink::default();
                (Written::Memory(memory.clone()), Box::new(memory))
            }
            EncodeTarget::Sink(sink) => (Written::Elsewhere, sink),
        };
        let encoder = create_on(&negotiated, sink, metadata, None, pool)?;
        let work = Buffer::new(spec, BLOCK_FRAMES);
        Ok(Self { input: spec, chain, encoder, negotiated, written, work, frames: 0, failed: false })
    }

    /// Rate and layout of the blocks.
    pub fn spec(&self) -> Spec {
        self.input
    }

    /// What is written: rate, layout, settings with every default filled in, and why they differ from the blocks.
    pub fn negotiated(&self) -> &Negotiated {
        &self.negotiated
    }

    /// Frames that were written so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Encodes a block of any length.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a block of another spec, or after an error; [`Error::Io`].
    pub fn write(&mut self, block: &Buffer) -> Result<()> {
        if self.failed || block.spec() != self.input {
            return Err(Error::Conflict {
                what: match self.failed {
                    true => "an encoder that failed takes no more blocks".into(),
                    false => format!("a block of {:?} for an encoder of {:?}", block.spec(), self.input),
                },
            });
        }
        let Self { chain, encoder, work, .. } = self;
        let outcome =
            in_blocks(block, work, &mut |piece| chain.process(piece, &mut |converted| encoder.write(converted)));
        self.failed = outcome.is_err();
        self.frames += block.frames() as u64;
        outcome
    }

    /// Ends the stream: the file appears under its name; bytes in memory are handed over (else they are none).
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Denied`]; [`Error::Conflict`] when the file exists by now and may not be replaced, or after an error.
    pub fn finish(self) -> Result<(Encoded, Option<Vec<u8>>)> {
        let Self { mut chain, mut encoder, written, failed, .. } = self;
        if failed {
            return Err(Error::Conflict { what: "an encoder that failed cannot be finished".into() });
        }
        chain.finish(&mut |converted| encoder.write(converted))?;
        let encoded = encoder.finish()?;
        drop(encoder);
        Ok(match written {
            Written::File(pending, overwrite) => {
                pending.publish(overwrite)?;
                (encoded, None)
            }
            Written::Memory(memory) => (encoded, Some(memory.take())),
            Written::Elsewhere => (encoded, None),
        })
    }
}

impl std::fmt::Debug for StreamEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamEncoder").field("negotiated", &self.negotiated).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;
    use crate::formats::{ReadOptions, Source};

    /// A whole-numbered sawtooth: exact in 16 bits and up.
    fn saw(spec: Spec, frames: usize) -> Buffer {
        let channel = (0..frames).map(|i| ((i * 37) % 256) as f32 / 512.0 - 0.25).collect::<Vec<f32>>();
        Buffer::from_channels(spec, &vec![channel; spec.channels()])
    }

    fn encode(format: &FormatSettings, audio: &Buffer, block: usize) -> Vec<u8> {
        let metadata = Metadata::default();
        let mut encoder = StreamEncoder::create(EncodeTarget::Memory, format, audio.spec(), &metadata, None).unwrap();
        let mut part = Buffer::new(audio.spec(), block);
        for start in (0..audio.frames()).step_by(block) {
            part.copy_from(audio, start, block.min(audio.frames() - start));
            encoder.write(&part).unwrap();
        }
        encoder.finish().unwrap().1.unwrap()
    }

    #[test]
    fn what_is_written_in_any_blocks_is_read_back() {
        let audio = saw(Spec::new(44_100, ChannelLayout::STEREO), 20_001);
        let flac = FormatSettings::from_name("flac").unwrap();
        let bytes = encode(&flac, &audio, 20_001);
        assert!(bytes == encode(&flac, &audio, 777), "the bytes depend on the blocks");
        let mut decoder = crate::formats::open(Source::from(bytes), &ReadOptions::default()).unwrap();
        let mut back = Buffer::new(audio.spec(), 30_000);
        assert_eq!(decoder.read(&mut back, 30_000).unwrap(), 20_001);
        assert!(back.channel(1) == audio.channel(1));
    }

    #[test]
    fn a_rate_that_the_format_lacks_is_converted() {
        let audio = saw(Spec::new(44_100, ChannelLayout::MONO), 44_100);
        let bytes = encode(&FormatSettings::from_name("opus").unwrap(), &audio, 4096);
        let info = crate::formats::probe(Source::from(bytes), &ReadOptions::default()).unwrap();
        assert_eq!(info.stream.spec.rate_hz, 48_000);
        assert_eq!(info.stream.duration.unwrap().frames, 48_000);
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let spec = Spec::new(8000, ChannelLayout::MONO);
        let make = |overwrite| {
            let format = FormatSettings::from_name("wav").unwrap();
            let target = EncodeTarget::Path(&path, overwrite);
            StreamEncoder::create(target, &format, spec, &Metadata::default(), None)
        };
        let mut dropped = make(Overwrite::Replace).unwrap();
        dropped.write(&saw(spec, 100)).unwrap();
        drop(dropped);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

        let mut kept = make(Overwrite::Refuse).unwrap();
        let stereo = saw(Spec::new(8000, ChannelLayout::STEREO), 10);
        assert!(matches!(kept.write(&stereo), Err(Error::Conflict { .. })));
        kept.write(&saw(spec, 100)).unwrap();
        assert!(!path.exists());
        assert_eq!(kept.finish().unwrap().0.frames, 100);
        assert!(path.exists());
        assert!(matches!(make(Overwrite::Refuse), Err(Error::Conflict { .. })));
    }
}
