//! Decoding: [`open`] recognises the container by its content and gives a [`Decoder`].

mod adpcm;
mod aiff;
mod au;
mod blocks;
mod caf;
pub(crate) mod compressed;
pub(crate) mod flac;
mod gsm;
mod input;
mod pcm;
pub(crate) mod sniff;
pub(crate) mod stream;
mod w64;
mod wav;
mod wave_format;
mod wavpack;

use std::io::{Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use super::info::{Container, Damage, MediaInfo, StreamInfo};
use super::tags::Metadata;
use super::{MediaSource, ReadOptions, Source};
use crate::audio::{Buffer, IntBuffer};
use crate::error::{Error, Result};
use input::Input;

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

/// A decoder that the host brings, asked for what the built-in ones do not read.
pub trait DecoderFactory: Send + Sync {
    /// Name, for messages.
    fn name(&self) -> &str;

    /// True when this decoder may read a file that starts with `head` (up to 64 KiB, after any ID3v2 tag).
    fn sniff(&self, head: &[u8]) -> bool;

    /// Opens `media` of `bytes` bytes, which stands at its start.
    ///
    /// # Errors
    /// [`Error::NotAudio`] or [`Error::Unsupported`] pass the input on to the next factory; any other ends the search.
    fn open(&self, media: Box<dyn MediaSource>, bytes: u64, options: &ReadOptions) -> Result<Box<dyn Decoder>>;
}

/// Opens `source`, recognised by content.
///
/// # Errors
/// [`Error::NotAudio`], [`Error::Empty`], [`Error::Unsupported`], [`Error::Malformed`], [`Error::LimitExceeded`], and
/// those of [`Source::open`].
pub fn open(source: Source, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
    open_with(source, options, &[])
}

/// As [`open`]; what the built-in decoders do not read is offered to `factories`, in order.
///
/// # Errors
/// As [`open`], and those of the factories. When none takes the input: the error of the built-in decoders.
pub fn open_with(
    source: Source,
    options: &ReadOptions,
    factories: &[Arc<dyn DecoderFactory>],
) -> Result<Box<dyn Decoder>> {
    let (mut media, bytes) = source.open(&options.limits)?;
    let head = sniff::Head::read(&mut *media, bytes)?;
    open_any(media, bytes, &head, options, factories)
}

/// As [`open_with`], with all that [`probe`] tells.
///
/// # Errors
/// As [`open_with`].
pub fn open_described(
    source: Source,
    options: &ReadOptions,
    factories: &[Arc<dyn DecoderFactory>],
) -> Result<(Box<dyn Decoder>, MediaInfo)> {
    let (mut media, bytes) = source.open(&options.limits)?;
    let head = sniff::Head::read(&mut *media, bytes)?;
    let metadata = super::tags::read(&mut *media, bytes, head.container.unwrap_or(Container::Other), &options.limits)?;
    media.seek(SeekFrom::Start(0)).map_err(|e| Error::io("seek in input", None, e))?;
    let decoder = open_any(media, bytes, &head, options, factories)?;
    let info =
        MediaInfo { stream: decoder.info().clone(), bytes: Some(bytes), metadata, damage: decoder.damage().clone() };
    Ok((decoder, info))
}

/// Tells what `source` is, without decoding all of it.
///
/// # Errors
/// As [`open`].
pub fn probe(source: Source, options: &ReadOptions) -> Result<MediaInfo> {
    Ok(open_described(source, options, &[])?.1)
}

/// Tags of any file that has some, whether its audio can be decoded or not.
///
/// # Errors
/// As [`open`], when there are none.
pub fn read_tags(source: Source, options: &ReadOptions) -> Result<Metadata> {
    let (mut media, bytes) = source.open(&options.limits)?;
    // By content: tags may stand where no audio follows.
    let metadata = super::tags::read(&mut *media, bytes, Container::Other, &options.limits)?;
    if metadata == Metadata::default() {
        media.seek(SeekFrom::Start(0)).map_err(|e| Error::io("seek in input", None, e))?;
        let head = sniff::Head::read(&mut *media, bytes)?;
        open_builtin(media, bytes, &head, options)?;
    }
    Ok(metadata)
}

fn open_any(
    media: Box<dyn MediaSource>,
    bytes: u64,
    head: &sniff::Head,
    options: &ReadOptions,
    factories: &[Arc<dyn DecoderFactory>],
) -> Result<Box<dyn Decoder>> {
    if factories.is_empty() {
        return open_builtin(media, bytes, head, options);
    }
    let shared = SharedMedia(Arc::new(Mutex::new(media)));
    let refused = match open_builtin(Box::new(shared.clone()), bytes, head, options) {
        Err(e @ (Error::NotAudio { .. } | Error::Unsupported { .. })) => e,
        other => return other,
    };
    for factory in factories.iter().filter(|f| f.sniff(&head.bytes)) {
        let mut media = Box::new(shared.clone());
        media.seek(SeekFrom::Start(0)).map_err(|e| Error::io("seek in input", None, e))?;
        match factory.open(media, bytes, options) {
            Err(Error::NotAudio { .. } | Error::Unsupported { .. }) => {}
            other => return other,
        }
    }
    Err(refused)
}

/// Containers of one track that are read here; those that [`compressed`] reads tell for themselves.
const SINGLE_TRACK: [Container; 11] = [
    Container::Wav,
    Container::Rifx,
    Container::Rf64,
    Container::Bw64,
    Container::W64,
    Container::Aiff,
    Container::Aifc,
    Container::Caf,
    Container::Au,
    Container::Flac,
    Container::WavPack,
];

/// For files that cannot have several tracks.
///
/// # Errors
/// [`Error::OutOfRange`] when another than the first is wanted.
fn check_only_track(options: &ReadOptions) -> Result<()> {
    let track = f64::from(options.track.unwrap_or(0));
    Error::check_range("track", track, 0.0, 0.0, "")
}

fn open_builtin(
    media: Box<dyn MediaSource>,
    bytes: u64,
    head: &sniff::Head,
    options: &ReadOptions,
) -> Result<Box<dyn Decoder>> {
    let at_start = |media| Input::new(media, bytes, head.container_start);
    if SINGLE_TRACK.iter().any(|container| head.container == Some(*container)) {
        check_only_track(options)?;
    }
    match head.container {
        Some(Container::Wav | Container::Rifx | Container::Rf64 | Container::Bw64) => {
            wav::open(at_start(media)?, options)
        }
        Some(Container::W64) => w64::open(at_start(media)?, options),
        Some(Container::Aiff | Container::Aifc) => aiff::open(at_start(media)?, options),
        Some(Container::Caf) => caf::open(at_start(media)?, options),
        Some(Container::Au) => au::open(at_start(media)?, options),
        Some(Container::Flac) => flac::open(at_start(media)?, options),
        Some(Container::WavPack) => wavpack::open(at_start(media)?, options),
        other => {
            let hint = sniff::looks_like(&head.bytes);
            if other.is_none() && hint.is_some() {
                return Err(Error::NotAudio { hint });
            }
            let (media, bytes) = Input::new(media, bytes, 0)?.into_media()?;
            compressed::open(media, bytes, options)
        }
    }
}

/// One source for several attempts to open it.
#[derive(Clone)]
struct SharedMedia(Arc<Mutex<Box<dyn MediaSource>>>);

impl Read for SharedMedia {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).read(to)
    }
}

impl Seek for SharedMedia {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Codec, Duration};

    #[test]
    fn a_track_that_is_not_there_is_refused() {
        let open_track =
            |track| open(Source::from(wav()), &ReadOptions { track: Some(track), ..ReadOptions::default() });
        assert!(open_track(0).is_ok());
        assert!(matches!(open_track(1), Err(Error::OutOfRange { name, max: 0.0, .. }) if name == "track"));
    }

    /// Two frames of 8-bit mono.
    fn wav() -> Vec<u8> {
        let mut f = b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1F\0\0\x40\x1F\0\0\x01\0\x08\0".to_vec();
        f.extend(b"data\x02\0\0\0\x80\xFF");
        f
    }

    #[test]
    fn probe_tells_the_stream_and_the_size() {
        let info = probe(wav().into(), &ReadOptions::default()).unwrap();
        assert_eq!((info.stream.container, info.stream.codec), (Container::Wav, Codec::Pcm));
        assert_eq!((info.stream.duration, info.bytes), (Some(Duration { frames: 2, exact: true }), Some(46)));
        assert!(info.damage.is_none());
    }

    #[test]
    fn what_is_not_audio_is_named() {
        let refused = open(b"%PDF-1.4 some text".to_vec().into(), &ReadOptions::default());
        assert!(matches!(refused, Err(Error::NotAudio { hint: Some(h) }) if h == "a PDF document"));
        assert!(matches!(open(Vec::new().into(), &ReadOptions::default()), Err(Error::Empty)));
    }

    /// Takes files that start like a PDF and reads the WAV that follows.
    struct Prefixed;
    impl DecoderFactory for Prefixed {
        fn name(&self) -> &str {
            "prefixed"
        }
        fn sniff(&self, head: &[u8]) -> bool {
            head.starts_with(b"%PDF")
        }
        fn open(&self, mut media: Box<dyn MediaSource>, _: u64, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
            let mut all = Vec::new();
            media.read_to_end(&mut all).map_err(|e| Error::io("read", None, e))?;
            open(all[4..].to_vec().into(), options)
        }
    }

    #[test]
    fn registered_decoders_get_what_the_built_in_ones_refuse() {
        let file = || [b"%PDF".to_vec(), wav()].concat();
        let options = ReadOptions::default();
        let factories: [Arc<dyn DecoderFactory>; 1] = [Arc::new(Prefixed)];
        let mut decoder = open_with(file().into(), &options, &factories).unwrap();
        let mut block = IntBuffer::new(decoder.info().spec, 0);
        assert_eq!(decoder.read_int(&mut block, 9).unwrap(), 2);
        assert_eq!(block.channel(0), [0, 127 << 24]);
        // What nobody takes keeps the first error; what is known is not offered.
        let png = b"\x89PNG\r\n\x1A\n".to_vec();
        assert!(matches!(open_with(png.into(), &options, &factories), Err(Error::NotAudio { hint: Some(_) })));
        assert_eq!(open_with(wav().into(), &options, &factories).unwrap().info().container, Container::Wav);
    }
}
