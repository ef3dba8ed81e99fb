//! Where the bytes come from: a path, memory, any reader, a pipe.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::encode::{self, Dither, PcmSample, PcmSettings};
use super::tags::Metadata;
use super::{FormatSettings, Limits, SampleFormat};
use crate::audio::Buffer;
use crate::error::{Error, Result};

/// Bytes that can be read and sought in.
pub trait MediaSource: Read + Seek + Send + Sync {}
impl<T: Read + Seek + Send + Sync> MediaSource for T {}

/// An input, not yet opened.
pub enum Source {
    /// A file.
    Path(PathBuf),
    /// A whole file in memory.
    Bytes(Arc<[u8]>),
    /// Something seekable.
    Seekable(Box<dyn MediaSource>),
    /// A pipe or socket. It is copied to memory (8 MiB), then to a temporary file, before it is opened, because most
    /// containers need seeking.
    Stream(Box<dyn Read + Send>),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(p) => write!(f, "Path({})", p.display()),
            Self::Bytes(b) => write!(f, "Bytes({})", b.len()),
            Self::Seekable(_) => write!(f, "Seekable"),
            Self::Stream(_) => write!(f, "Stream"),
        }
    }
}

impl Source {
    /// Audio in memory as an input: exact 32-bit floats.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a spec without channels or rate.
    pub fn from_audio(audio: &Buffer) -> Result<Self> {
        let format = FormatSettings::Wav(PcmSettings { sample: Some(PcmSample::F32), dither: Dither::None });
        let negotiated = encode::negotiate(&format, audio.spec(), SampleFormat::Float(32))?;
        let sink = encode::MemorySink::default();
        let frames = Some(audio.frames() as u64);
        let mut encoder = encode::create(&negotiated, Box::new(sink.clone()), &Metadata::default(), frames)?;
        encoder.write(audio)?;
        encoder.finish()?;
        drop(encoder);
        Ok(Self::from(sink.take()))
    }
}

impl From<&Path> for Source {
    fn from(p: &Path) -> Self {
        Self::Path(p.to_path_buf())
    }
}
impl From<PathBuf> for Source {
    fn from(p: PathBuf) -> Self {
        Self::Path(p)
    }
}
impl From<&str> for Source {
    fn from(p: &str) -> Self {
        Self::Path(p.into())
    }
}
impl From<Vec<u8>> for Source {
    fn from(b: Vec<u8>) -> Self {
        Self::Bytes(b.into())
    }
}

/// Bytes of a pipe that are kept in memory before a temporary file is used.
const STREAM_MEMORY_BYTES: usize = 8 << 20;

impl Source {
    /// Opens the source. Gives the bytes and their number.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Io`]; [`Error::Empty`] for zero bytes;
    /// [`Error::LimitExceeded`] above `limits.max_bytes`; [`Error::InvalidValue`] for a directory.
    pub fn open(self, limits: &Limits) -> Result<(Box<dyn MediaSource>, u64)> {
        let (media, bytes): (Box<dyn MediaSource>, u64) = match self {
            Self::Path(path) => open_path(&path, limits)?,
            Self::Bytes(bytes) => {
                let len = bytes.len() as u64;
                (Box::new(Cursor::new(bytes)), len)
            }
            Self::Seekable(mut media) => {
                let seek_end = |m: &mut dyn MediaSource| -> io::Result<u64> {
                    let end = m.seek(SeekFrom::End(0))?;
                    m.seek(SeekFrom::Start(0))?;
                    Ok(end)
                };
                let len = seek_end(&mut *media).map_err(|e| Error::io("seek in input", None, e))?;
                (media, len)
            }
            Self::Stream(reader) => spool_stream(reader, limits)?,
        };
        if bytes == 0 {
            return Err(Error::Empty);
        }
        Limits::check("max_bytes", bytes as f64, limits.max_bytes as f64)?;
        Ok((media, bytes))
    }
}

fn open_path(path: &Path, limits: &Limits) -> Result<(Box<dyn MediaSource>, u64)> {
    let io = |e| Error::io("open", Some(path), e);
    let meta = std::fs::metadata(path).map_err(io)?;
    if meta.is_dir() {
        return Err(Error::InvalidValue {
            name: "input".into(),
            value: path.display().to_string(),
            allowed: "a file, not a directory".into(),
        });
    }
    let file = File::open(path).map_err(io)?;
    if !meta.is_file() {
        // A named pipe or device: it has no length and cannot be sought.
        return spool_stream(Box::new(file), limits);
    }
    Ok((Box::new(BufReader::with_capacity(1 << 16, file)), meta.len()))
}

fn spool_stream(mut reader: Box<dyn Read + Send>, limits: &Limits) -> Result<(Box<dyn MediaSource>, u64)> {
    let io = |e| Error::io("read input", None, e);
    let mut head = Vec::new();
    reader.by_ref().take(STREAM_MEMORY_BYTES as u64).read_to_end(&mut head).map_err(io)?;
    if head.len() < STREAM_MEMORY_BYTES {
        let len = head.len() as u64;
        return Ok((Box::new(Cursor::new(head)), len));
    }
    let mut file = tempfile::tempfile().map_err(|e| Error::io("create temporary file", None, e))?;
    file.write_all(&head).map_err(|e| Error::io("write temporary file", None, e))?;
    let rest_max = limits.max_bytes.saturating_sub(head.len() as u64) + 1;
    let rest = io::copy(&mut reader.take(rest_max), &mut file).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    Ok((Box::new(BufReader::with_capacity(1 << 16, file)), head.len() as u64 + rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_pipe_goes_through_a_file_unchanged() {
        let data: Vec<u8> = (0..STREAM_MEMORY_BYTES + 100_000).map(|i| (i * 7 % 251) as u8).collect();
        let (mut media, len) = Source::Stream(Box::new(Cursor::new(data.clone()))).open(&Limits::default()).unwrap();
        assert_eq!(len, data.len() as u64);
        let mut back = Vec::new();
        media.read_to_end(&mut back).unwrap();
        assert!(back == data);
    }

    #[test]
    fn typed_errors_for_what_cannot_be_opened() {
        let limits = Limits { max_bytes: 3, ..Limits::default() };
        assert!(matches!(Source::from("/no/such").open(&limits), Err(Error::NotFound { .. })));
        assert!(matches!(Source::from("/").open(&limits), Err(Error::InvalidValue { .. })));
        assert!(matches!(Source::from(Vec::new()).open(&limits), Err(Error::Empty)));
        assert!(matches!(Source::from(vec![0; 4]).open(&limits), Err(Error::LimitExceeded { .. })));
    }
}
