//! Buffered output with a byte count and corrections of what was written before.

use std::io::{BufWriter, Seek, SeekFrom, Write};

use super::Sink;
use crate::error::{Error, Result};

/// Bytes that are gathered before the sink sees them. Larger writes, such as the blocks of PCM, pass the buffer by.
const BUFFER_BYTES: usize = 32 * 1024;

/// A [`Sink`] behind a buffer. Positions count from where the sink stood when it was handed over.
pub(crate) struct Out {
    inner: BufWriter<Box<dyn Sink>>,
    base: u64,
    position: u64,
}

impl Out {
    /// Starts at the sink's present position.
    pub fn new(mut sink: Box<dyn Sink>) -> Result<Self> {
        let base = sink.stream_position().map_err(io)?;
        Ok(Self { inner: BufWriter::with_capacity(BUFFER_BYTES, sink), base, position: 0 })
    }

    /// Bytes written so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Appends `bytes`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.inner.write_all(bytes).map_err(io)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Overwrites what stands at `at`, within what was written.
    pub fn patch(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        debug_assert!(at + bytes.len() as u64 <= self.position);
        self.inner.seek(SeekFrom::Start(self.base + at)).map_err(io)?;
        self.inner.write_all(bytes).map_err(io)?;
        self.inner.seek(SeekFrom::Start(self.base + self.position)).map_err(io)?;
        Ok(())
    }

    /// Hands everything to the sink; returns the number of bytes.
    pub fn finish(&mut self) -> Result<u64> {
        self.inner.flush().map_err(io)?;
        Ok(self.position)
    }
}

fn io(source: std::io::Error) -> Error {
    Error::io("write", None, source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::encode::testing::SharedSink;

    #[test]
    fn patches_leave_the_position_at_the_end_and_respect_the_base() {
        let mut sink = SharedSink::default();
        sink.write_all(b"before").unwrap();
        let mut out = Out::new(Box::new(sink.clone())).unwrap();
        out.write(b"0123456789").unwrap();
        out.patch(2, b"XY").unwrap();
        out.write(b"end").unwrap();
        assert_eq!(out.finish().unwrap(), 13);
        assert_eq!(sink.bytes(), b"before01XY456789end");
    }
}
