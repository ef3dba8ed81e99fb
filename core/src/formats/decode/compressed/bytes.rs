//! Windows into the input at absolute positions.
//!
//! Demuxers here are written as functions of a position, without a cursor of their own: that makes seeking trivial and
//! keeps every read bounded. One buffer serves all small reads; nothing is allocated from a length in a header.

use std::io::{ErrorKind, SeekFrom};

use crate::error::{Error, Result};
use crate::formats::MediaSource;

/// How much is read ahead at least.
const CHUNK_BYTES: usize = 64 << 10;

/// The input with one read-ahead buffer.
pub(super) struct Bytes {
    media: Box<dyn MediaSource>,
    len: u64,
    /// Absolute position of `buf[0]`.
    start: u64,
    buf: Vec<u8>,
    /// Where the next read of `media` happens, when known.
    cursor: Option<u64>,
}

impl Bytes {
    /// Reads `media`, which holds `len` bytes.
    pub fn new(media: Box<dyn MediaSource>, len: u64) -> Self {
        Self { media, len, start: 0, buf: Vec::new(), cursor: None }
    }

    /// Number of bytes of the input. Becomes smaller when the input turns out to be shorter than it was stated.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Up to `want` bytes from `pos`; fewer only at the end of the input.
    pub fn window(&mut self, pos: u64, want: usize) -> Result<&[u8]> {
        let left = usize::try_from(self.len.saturating_sub(pos)).unwrap_or(usize::MAX);
        let want = want.min(left);
        let inside = pos >= self.start && pos - self.start + want as u64 <= self.buf.len() as u64;
        if !inside {
            self.fill(pos, want)?;
        }
        let at = (pos - self.start).min(self.buf.len() as u64) as usize;
        Ok(&self.buf[at..self.buf.len().min(at + want)])
    }

    /// Exactly `N` bytes from `pos`, or None when the input ends before.
    pub fn array<const N: usize>(&mut self, pos: u64) -> Result<Option<[u8; N]>> {
        Ok(self.window(pos, N)?.try_into().ok())
    }

    fn fill(&mut self, pos: u64, want: usize) -> Result<()> {
        let end = self.start + self.buf.len() as u64;
        if pos >= self.start && pos < end {
            self.buf.drain(..(pos - self.start) as usize);
        } else {
            self.buf.clear();
        }
        self.start = pos;
        let from = pos + self.buf.len() as u64;
        let left = usize::try_from(self.len.saturating_sub(from)).unwrap_or(usize::MAX);
        let need = (want - want.min(self.buf.len())).max(CHUNK_BYTES).min(left);
        if self.cursor != Some(from) {
            self.media.seek(SeekFrom::Start(from)).map_err(|e| Error::io("seek in input", None, e))?;
        }
        self.cursor = None;
        let old = self.buf.len();
        self.buf.resize(old + need, 0);
        let mut got = 0;
        while got < need {
            match self.media.read(&mut self.buf[old + got..]) {
                Ok(0) => {
                    // The input shrank while it was read, or its length was wrong.
                    self.len = from + got as u64;
                    break;
                }
                Ok(n) => got += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("read input", None, e)),
            }
        }
        self.buf.truncate(old + got);
        self.cursor = Some(from + got as u64);
        Ok(())
    }
}

/// Big-endian integer of all of `b` (at most 8 bytes).
pub(super) fn be(b: &[u8]) -> u64 {
    b.iter().fold(0, |v, x| v << 8 | u64::from(*x))
}

/// Little-endian integer of all of `b` (at most 8 bytes).
pub(super) fn le(b: &[u8]) -> u64 {
    b.iter().rev().fold(0, |v, x| v << 8 | u64::from(*x))
}

/// Bits of a slice, most significant first. Beyond the end it gives zeros and remembers that.
#[derive(Clone)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    pos: usize,
}

impl<'a> Bits<'a> {
    /// Reads `data` from its first bit.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, pos: 0 }
    }
    /// The next `count` (at most 32) bits.
    pub fn get(&mut self, count: u32) -> u32 {
        let mut value = 0u64;
        for _ in 0..count {
            let bit = self.data.get(self.pos >> 3).map_or(0, |b| b >> (7 - (self.pos & 7)) & 1);
            value = value << 1 | u64::from(bit);
            self.pos += 1;
        }
        value as u32
    }
    /// The next bit.
    pub fn flag(&mut self) -> bool {
        self.get(1) != 0
    }
    /// Position in bits.
    pub fn position(&self) -> usize {
        self.pos
    }
    /// Skips `count` bits.
    pub fn skip(&mut self, count: usize) {
        self.pos = self.pos.saturating_add(count);
    }
    /// True when more was read than there is.
    pub fn overrun(&self) -> bool {
        self.pos > self.data.len().saturating_mul(8)
    }
    /// Bits left.
    pub fn left(&self) -> usize {
        self.data.len().saturating_mul(8).saturating_sub(self.pos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn windows_anywhere_equal_the_data() {
        let data: Vec<u8> = (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut bytes = Bytes::new(Box::new(Cursor::new(data.clone())), data.len() as u64);
        let mut pos = 1u64;
        for i in 0..2000u64 {
            let want = (i * 37 % 90_000) as usize;
            let expect = &data[pos as usize..data.len().min(pos as usize + want)];
            assert!(bytes.window(pos, want).unwrap() == expect, "{pos} {want}");
            pos = (pos * 6_364_136_223 + 1_442_695) % data.len() as u64;
        }
        assert!(bytes.window(data.len() as u64 + 5, 10).unwrap().is_empty());
    }

    #[test]
    fn a_length_that_lies_ends_where_the_data_ends() {
        let mut bytes = Bytes::new(Box::new(Cursor::new(vec![7u8; 100])), 1 << 40);
        assert_eq!(bytes.window(90, 1000).unwrap().len(), 10);
        assert_eq!(bytes.len(), 100);
    }

    #[test]
    fn bits_come_most_significant_first() {
        let mut bits = Bits::new(&[0b1010_0000, 0xFF]);
        assert_eq!((bits.get(3), bits.get(5), bits.get(8)), (5, 0, 255));
        assert_eq!(bits.get(1), 0);
        assert!(bits.overrun());
    }
}
