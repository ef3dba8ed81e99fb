//! Loads the recordings that filters name, such as impulse responses.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};
use crate::filters::assets::{AssetLoader, AudioOpener, AudioStream};
use crate::formats::{CodecSet, Decoder, ReadOptions, Source};
use crate::services::seams::FileSystem;

/// Longest recording that is held in memory, in samples of all channels: 256 MiB.
const MAX_SAMPLES: usize = 64 << 20;

/// Frames read at once.
const BLOCK_FRAMES: usize = 8_192;

/// Reads recordings from paths and from `data:` URLs.
pub(crate) struct FileAssets<'a> {
    pub options: &'a ReadOptions,
    pub codecs: &'a Arc<dyn CodecSet>,
    pub files: &'a Arc<dyn FileSystem>,
    /// Refuses paths that must not be read.
    pub allow: &'a dyn Fn(&Path) -> Result<()>,
}

impl FileAssets<'_> {
    fn recording(&self, place: &str) -> Result<Recording> {
        let place = match place.strip_prefix("data:") {
            Some(url) => Place::Bytes(data_url(url)?.into()),
            None => Place::Path(place.into()),
        };
        if let Place::Path(path) = &place {
            (self.allow)(path)?;
        }
        let (codecs, files) = (Arc::clone(self.codecs), Arc::clone(self.files));
        Ok(Recording { place, options: self.options.clone(), codecs, files })
    }
}

impl AssetLoader for FileAssets<'_> {
    fn load(&mut self, place: &str) -> Result<Buffer> {
        read_whole(self.recording(place)?.decoder()?.0, place)
    }

    fn opener(&mut self, place: &str) -> Result<Arc<dyn AudioOpener>> {
        let recording = self.recording(place)?;
        // Whether it can be read at all is better known now. A pipe can be read once only.
        let (decoder, repeatable) = recording.decoder()?;
        Ok(if repeatable { Arc::new(recording) } else { Arc::new(Arc::new(read_whole(decoder, place)?)) })
    }
}

fn read_whole(mut decoder: Box<dyn Decoder>, place: &str) -> Result<Buffer> {
    let spec = decoder.info().spec;
    let mut audio = Buffer::new(spec, 0);
    let mut block = Buffer::new(spec, BLOCK_FRAMES);
    while decoder.read(&mut block, BLOCK_FRAMES)? > 0 {
        let frames = audio.frames() + block.frames();
        if frames * spec.channels() > MAX_SAMPLES {
            return Err(Error::OutOfRange {
                name: format!("samples of '{}'", shorten(place)),
                value: (frames * spec.channels()) as f64,
                min: 0.0,
                max: MAX_SAMPLES as f64,
                unit: "",
            });
        }
        if frames > audio.capacity_frames() {
            audio.grow((2 * audio.capacity_frames()).max(frames));
        }
        audio.append(&block, 0, block.frames());
    }
    Ok(audio)
}

/// Where a recording is.
enum Place {
    Path(PathBuf),
    Bytes(Arc<[u8]>),
}

/// A recording that can be opened as often as wanted.
struct Recording {
    place: Place,
    options: ReadOptions,
    codecs: Arc<dyn CodecSet>,
    files: Arc<dyn FileSystem>,
}

impl Recording {
    /// A decoder at its first frame, and whether there can be another one.
    fn decoder(&self) -> Result<(Box<dyn Decoder>, bool)> {
        let source = match &self.place {
            Place::Path(path) => Source::Path(path.clone()),
            Place::Bytes(bytes) => Source::Bytes(Arc::clone(bytes)),
        };
        let opened = source.open_on(&self.options.limits, &*self.files, None)?;
        Ok((self.codecs.open(Source::Seekable(opened.media), &self.options)?, opened.repeatable))
    }
}

impl AudioOpener for Recording {
    fn open(&self) -> Result<Box<dyn AudioStream>> {
        let (decoder, _) = self.decoder()?;
        Ok(Box::new(Decoded { spec: decoder.info().spec, decoder }))
    }
}

/// A recording that is being decoded.
struct Decoded {
    decoder: Box<dyn Decoder>,
    spec: Spec,
}

impl AudioStream for Decoded {
    fn spec(&self) -> Spec {
        self.spec
    }

    fn read(&mut self, block: &mut Buffer, max_frames: usize) -> Result<()> {
        if self.decoder.read(block, max_frames)? == 0 {
            block.set_frames(0);
        } else if block.spec() != self.spec {
            return Err(Error::malformed("a recording that changes its rate or channels", None, "cannot be joined"));
        }
        Ok(())
    }

    fn seek(&mut self, frame: u64) -> Result<()> {
        self.decoder.seek(frame)
    }
}

/// The bytes of a `data:` URL (RFC 2397) in base64, without its scheme.
fn data_url(url: &str) -> Result<Vec<u8>> {
    let invalid = |allowed: String| Error::InvalidValue { name: "data URL".into(), value: shorten(url), allowed };
    let Some((_, text)) = url.split_once(',').filter(|(head, _)| head.ends_with(";base64")) else {
        return Err(invalid("data:TYPE;base64,TEXT".into()));
    };
    STANDARD.decode(text).map_err(|e| invalid(format!("base64 ({e})")))
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_data_urls_give_the_same_audio() {
        let mut wav =
            b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\xbb\0\0\0\x77\x01\0\x02\0\x10\0data\x08\0\0\0".to_vec();
        wav.extend([0i16, 16_384, -16_384, 8_192].iter().flat_map(|s| s.to_le_bytes()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("impulse.wav");
        std::fs::write(&path, &wav).unwrap();
        let options = ReadOptions::default();
        let codecs: Arc<dyn CodecSet> = Arc::new(crate::formats::BuiltInCodecs::default());
        let files: Arc<dyn FileSystem> = Arc::new(crate::services::seams::SystemFiles);
        let mut assets = FileAssets { options: &options, codecs: &codecs, files: &files, allow: &|_| Ok(()) };
        let url = format!("data:audio/wav;base64,{}", STANDARD.encode(&wav));
        for place in [path.to_str().unwrap(), &url] {
            assert_eq!(assets.load(place).unwrap().channel(0), [0.0, 0.5, -0.5, 0.25]);
            let opener = assets.opener(place).unwrap();
            for _ in 0..2 {
                let mut stream = opener.open().unwrap();
                assert_eq!(stream.spec(), Spec::new(48_000, crate::audio::ChannelLayout::MONO));
                stream.seek(1).unwrap();
                let mut block = Buffer::new(stream.spec(), 0);
                stream.read(&mut block, 2).unwrap();
                assert_eq!(block.channel(0), [0.5, -0.5]);
                stream.read(&mut block, 2).unwrap();
                assert_eq!(block.channel(0), [0.25]);
                stream.read(&mut block, 2).unwrap();
                assert!(block.is_empty());
            }
        }
        assert!(matches!(assets.load("data:audio/wav,abc"), Err(Error::InvalidValue { .. })));
        assert!(matches!(assets.load("data:;base64,%%%"), Err(Error::InvalidValue { .. })));
        assert!(matches!(assets.load("no such file"), Err(Error::NotFound { .. } | Error::Io { .. })));
        assert!(matches!(assets.opener("no such file"), Err(Error::NotFound { .. } | Error::Io { .. })));
    }
}
