//! Loads the recordings that filters name, such as impulse responses.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::audio::Buffer;
use crate::error::{Error, Result};
use crate::filters::assets::AssetLoader;
use crate::formats::{CodecSet, ReadOptions, Source};
use crate::services::seams::FileSystem;

/// Longest recording that is held in memory, in samples of all channels: 256 MiB.
const MAX_SAMPLES: usize = 64 << 20;

/// Frames read at once.
const BLOCK_FRAMES: usize = 8_192;

/// Reads whole recordings into memory, from paths and from `data:` URLs.
pub(crate) struct FileAssets<'a> {
    pub options: &'a ReadOptions,
    pub codecs: &'a dyn CodecSet,
    pub files: &'a dyn FileSystem,
    /// Refuses paths that must not be read.
    pub allow: &'a dyn Fn(&Path) -> Result<()>,
}

impl AssetLoader for FileAssets<'_> {
    fn load(&mut self, place: &str) -> Result<Buffer> {
        let source = match place.strip_prefix("data:") {
            Some(url) => Source::Bytes(data_url(url)?.into()),
            None => {
                let path = Path::new(place);
                (self.allow)(path)?;
                Source::from(path)
            }
        };
        let media = source.open_on(&self.options.limits, self.files, None)?.media;
        let mut decoder = self.codecs.open(Source::Seekable(media), self.options)?;
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
        let codecs = crate::formats::BuiltInCodecs::default();
        let mut assets = FileAssets {
            options: &options,
            codecs: &codecs,
            files: &crate::services::seams::SystemFiles,
            allow: &|_| Ok(()),
        };
        let url = format!("data:audio/wav;base64,{}", STANDARD.encode(&wav));
        for place in [path.to_str().unwrap(), &url] {
            assert_eq!(assets.load(place).unwrap().channel(0), [0.0, 0.5, -0.5, 0.25]);
        }
        assert!(matches!(assets.load("data:audio/wav,abc"), Err(Error::InvalidValue { .. })));
        assert!(matches!(assets.load("data:;base64,%%%"), Err(Error::InvalidValue { .. })));
        assert!(matches!(assets.load("no such file"), Err(Error::NotFound { .. } | Error::Io { .. })));
    }
}
