//! Loads the recordings that filters name, such as impulse responses.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};
use crate::filters::assets::{AssetLoader, AudioOpener, AudioStream};
use crate::formats::decode::{self, DecoderFactory};
use crate::formats::{Decoder, ReadOptions, Source};

/// Longest recording that is held in memory, in samples of all channels: 256 MiB.
const MAX_SAMPLES: usize = 64 << 20;

/// Frames read at once.
const BLOCK_FRAMES: usize = 8_192;

/// Reads recordings from paths and from `data:` URLs.
pub(crate) struct FileAssets<'a> {
    pub options: &'a ReadOptions,
    pub decoders: &'a [Arc<dyn DecoderFactory>],
}

impl AssetLoader for FileAssets<'_> {
    fn load(&mut self, place: &str) -> Result<Buffer> {
        let mut decoder = decode::open_with(Place::of(place)?.source(), self.options, self.decoders)?;
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

    fn opener(&mut self, place: &str) -> Result<Arc<dyn AudioOpener>> {
        let at = Place::of(place)?;
        if let Place::Path(path) = &at
            && std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
        {
            // A pipe can be read once only.
            return Ok(Arc::new(Arc::new(self.load(place)?)));
        }
        let opener = FileOpener { place: at, options: self.options.clone(), decoders: self.decoders.to_vec() };
        // Whether it can be read at all is better known now.
        opener.open()?;
        Ok(Arc::new(opener))
    }
}

/// Where a recording is, to be opened as often as wanted.
enum Place {
    Path(PathBuf),
    Bytes(Arc<[u8]>),
}

impl Place {
    fn of(place: &str) -> Result<Self> {
        Ok(match place.strip_prefix("data:") {
            Some(url) => Self::Bytes(data_url(url)?.into()),
            None => Self::Path(place.into()),
        })
    }

    fn source(&self) -> Source {
        match self {
            Self::Path(path) => Source::Path(path.clone()),
            Self::Bytes(bytes) => Source::Bytes(Arc::clone(bytes)),
        }
    }
}

/// Opens a recording.
struct FileOpener {
    place: Place,
    options: ReadOptions,
    decoders: Vec<Arc<dyn DecoderFactory>>,
}

impl AudioOpener for FileOpener {
    fn open(&self) -> Result<Box<dyn AudioStream>> {
        let decoder = decode::open_with(self.place.source(), &self.options, &self.decoders)?;
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
        let mut assets = FileAssets { options: &options, decoders: &[] };
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
