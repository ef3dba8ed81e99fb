//! The bytes of one input with their number: positions, bounded reads, and cheap skips.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use super::super::MediaSource;
use crate::error::{Error, Result};

/// Skips up to this many bytes are read over instead of sought over, because a seek empties the source's buffer.
const READ_OVER_BYTES: u64 = 4096;

/// A media source whose length is known. Position 0 is the start of the container: bytes before it (an ID3v2 tag,
/// garbage) are hidden.
pub(crate) struct Input {
    media: Box<dyn MediaSource>,
    base: u64,
    len: u64,
    pos: u64,
}

impl Input {
    /// Takes over `media` of `bytes` bytes; the container starts at `base`.
    pub fn new(mut media: Box<dyn MediaSource>, bytes: u64, base: u64) -> Result<Self> {
        let base = base.min(bytes);
        media.seek(SeekFrom::Start(base)).map_err(seek_failed)?;
        Ok(Self { media, base, len: bytes - base, pos: 0 })
    }

    /// Bytes from the start of the container to the end of the input.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Position of the next byte.
    pub fn position(&self) -> u64 {
        self.pos
    }

    /// Bytes that are left.
    pub fn left(&self) -> u64 {
        self.len.saturating_sub(self.pos)
    }

    /// Offset in the whole input, for messages.
    pub fn absolute(&self, pos: u64) -> u64 {
        self.base.saturating_add(pos)
    }

    /// Goes to `pos`, at most to the end.
    pub fn seek(&mut self, pos: u64) -> Result<()> {
        let pos = pos.min(self.len);
        if pos == self.pos {
            return Ok(());
        }
        if pos > self.pos && pos - self.pos <= READ_OVER_BYTES {
            let mut scratch = [0; READ_OVER_BYTES as usize];
            let count = (pos - self.pos) as usize;
            if self.read(&mut scratch[..count])? == count {
                return Ok(());
            }
        }
        self.media.seek(SeekFrom::Start(self.base + pos)).map_err(seek_failed)?;
        self.pos = pos;
        Ok(())
    }

    /// Fills as much of `to` as the input still has; returns the number of bytes.
    pub fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < to.len() {
            match self.media.read(&mut to[done..]) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("read input", None, e)),
            }
        }
        self.pos += done as u64;
        Ok(done)
    }

    /// The next `N` bytes, when there are that many.
    pub fn array<const N: usize>(&mut self) -> Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        Ok((self.read(&mut bytes)? == N).then_some(bytes))
    }

    /// The next `count` bytes, or as many as there are. Allocates no more than the input still holds, and at most
    /// `max`.
    pub fn bytes(&mut self, count: u64, max: u64) -> Result<Vec<u8>> {
        let count = usize::try_from(count.min(max).min(self.left())).unwrap_or(0);
        let mut bytes = vec![0; count];
        let got = self.read(&mut bytes)?;
        bytes.truncate(got);
        Ok(bytes)
    }

    /// Gives the source back, at its very start, for another module to try.
    pub fn into_media(mut self) -> Result<(Box<dyn MediaSource>, u64)> {
        self.media.seek(SeekFrom::Start(0)).map_err(seek_failed)?;
        Ok((self.media, self.base + self.len))
    }
}

fn seek_failed(e: std::io::Error) -> Error {
    Error::io("seek in input", None, e)
}

/// Reads up to `to.len()` bytes at `pos` of a plain source; for the look at the first bytes.
pub(crate) fn read_at(media: &mut dyn MediaSource, pos: u64, to: &mut [u8]) -> Result<usize> {
    media.seek(SeekFrom::Start(pos)).map_err(seek_failed)?;
    let mut done = 0;
    while done < to.len() {
        match media.read(&mut to[done..]) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io("read input", None, e)),
        }
    }
    Ok(done)
}

/// Integer at `at` of a byte slice, little-endian; 0 beyond the end.
pub(crate) fn le(bytes: &[u8], at: usize, width: usize) -> u64 {
    (0..width).rev().fold(0, |v, i| v << 8 | u64::from(bytes.get(at + i).copied().unwrap_or(0)))
}

/// Integer at `at` of a byte slice, big-endian; 0 beyond the end.
pub(crate) fn be(bytes: &[u8], at: usize, width: usize) -> u64 {
    (0..width).fold(0, |v, i| v << 8 | u64::from(bytes.get(at + i).copied().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn positions_count_from_the_base_and_reads_stop_at_the_end() {
        let data: Vec<u8> = (0..=255).cycle().take(20_000).collect();
        let mut input = Input::new(Box::new(Cursor::new(data.clone())), 20_000, 10).unwrap();
        assert_eq!(input.array::<2>().unwrap(), Some([10, 11]));
        for pos in [100, 50, 15_000, 19_989] {
            input.seek(pos).unwrap();
            assert_eq!(input.array::<1>().unwrap(), Some([data[pos as usize + 10]]), "{pos}");
        }
        assert_eq!(input.array::<1>().unwrap(), None);
        input.seek(u64::MAX).unwrap();
        assert_eq!((input.position(), input.left()), (19_990, 0));
        input.seek(19_980).unwrap();
        assert_eq!(input.bytes(u64::MAX, 1 << 30).unwrap().len(), 10);
    }

    #[test]
    fn integers_of_both_orders() {
        assert_eq!(le(&[1, 2, 3, 4], 1, 2), 0x0302);
        assert_eq!(be(&[1, 2, 3, 4], 1, 2), 0x0203);
        assert_eq!(be(&[1], 0, 4), 0x0100_0000);
    }
}
