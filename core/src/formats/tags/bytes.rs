//! Bounded reading: a cursor over bytes that never runs past their end, and a file reader with a memory budget.

use std::io::{Read, SeekFrom};

use super::super::{Limits, MediaSource};

/// Position in a slice. Every read gives `None` past the end.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    data: &'a [u8],
    pos: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, pos: 0 }
    }
    pub fn left(&self) -> usize {
        self.data.len() - self.pos
    }
    pub fn rest(&self) -> &'a [u8] {
        &self.data[self.pos..]
    }
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let part = self.data.get(self.pos..self.pos.checked_add(n)?)?;
        self.pos += n;
        Some(part)
    }
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|a| a[0])
    }
    pub fn u16_be(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }
    pub fn u32_be(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }
    pub fn u64_be(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
    pub fn u16_le(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }
    pub fn u32_le(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
    /// Bytes before the next `0`, which is consumed; all that is left when there is none.
    pub fn until_nul(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
        self.pos += (end + 1).min(rest.len());
        &rest[..end]
    }
}

/// A file, read in pieces that are checked against its size and a budget before they are allocated.
pub(super) struct Input<'a> {
    media: &'a mut dyn MediaSource,
    /// Size of the file in bytes.
    pub len: u64,
    /// Largest single piece, in bytes.
    pub piece_max: u64,
    /// Bytes that may still be read in large pieces, over all of them.
    budget: u64,
    /// How often the file may still be sought in.
    seeks: u32,
    /// Part of the file around the last small piece, so that a walk over headers does not seek for each.
    window: Vec<u8>,
    window_at: u64,
}

/// Most seeks for one file: a second or so of a disk cache's time. Walking over a day of Matroska clusters needs less.
const MAX_SEEKS: u32 = 100_000;
/// Pieces up to this size come through the window.
const WINDOW_BYTES: u64 = 8 << 10;

impl<'a> Input<'a> {
    pub fn new(media: &'a mut dyn MediaSource, len: u64, limits: &Limits) -> Self {
        // Tags of real files stay far below: the largest are a few 10 MB of pictures.
        let piece_max = limits.max_alloc_bytes().min(128 << 20);
        let budget = piece_max.saturating_mul(2);
        Self { media, len, piece_max, budget, seeks: MAX_SEEKS, window: Vec::new(), window_at: 0 }
    }

    /// Up to `len` bytes at `at`: fewer at the end of the file, none beyond the budget.
    pub fn up_to(&mut self, at: u64, len: u64) -> Vec<u8> {
        let len = len.min(self.len.saturating_sub(at));
        if len > self.piece_max || len == 0 {
            return Vec::new();
        }
        if len <= WINDOW_BYTES {
            let inside = at >= self.window_at && at + len <= self.window_at + self.window.len() as u64;
            if !inside {
                self.window = self.fetch(at, WINDOW_BYTES.min(self.len - at));
                self.window_at = at;
            }
            let start = (at - self.window_at) as usize;
            let end = (start + len as usize).min(self.window.len());
            return self.window[start.min(end)..end].to_vec();
        }
        if len > self.budget {
            return Vec::new();
        }
        self.budget -= len;
        self.fetch(at, len)
    }

    fn fetch(&mut self, at: u64, len: u64) -> Vec<u8> {
        if self.seeks == 0 || self.media.seek(SeekFrom::Start(at)).is_err() {
            return Vec::new();
        }
        self.seeks -= 1;
        let mut data = Vec::with_capacity(len as usize);
        // An I/O error ends the piece; tags are never a reason to fail.
        let _ = (&mut self.media).take(len).read_to_end(&mut data);
        data
    }

    /// Exactly `len` bytes at `at`, when the file has them.
    pub fn exact(&mut self, at: u64, len: u64) -> Option<Vec<u8>> {
        let end = at.checked_add(len)?;
        if end > self.len {
            return None;
        }
        let data = self.up_to(at, len);
        (data.len() as u64 == len).then_some(data)
    }

    /// `N` bytes at `at`.
    pub fn array<const N: usize>(&mut self, at: u64) -> Option<[u8; N]> {
        self.exact(at, N as u64)?.try_into().ok()
    }
}

/// Decodes base64 (RFC 4648), ignoring white space and missing padding. `None` at any other character.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut acc, mut bits) = (0u32, 0u32);
    for c in text.bytes() {
        let v = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            b if b.is_ascii_whitespace() => continue,
            _ => return None,
        };
        acc = (acc << 6) | u32::from(v);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((acc >> bits) as u8);
            acc &= (1 << bits) - 1;
        }
    }
    Some(out)
}

/// Encodes base64 (RFC 4648) with padding.
pub(super) fn to_base64(data: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(data.len().div_ceil(3) * 4);
    for chunk in data.chunks(3) {
        let v = (u32::from(chunk[0]) << 16)
            | (u32::from(chunk.get(1).copied().unwrap_or(0)) << 8)
            | u32::from(chunk.get(2).copied().unwrap_or(0));
        for i in 0..4 {
            if i <= chunk.len() {
                out.push(char::from(ALPHABET[(v >> (18 - 6 * i)) as usize & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_vectors_of_rfc_4648_both_ways() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")]
        {
            assert_eq!(to_base64(plain.as_bytes()), coded);
            assert_eq!(from_base64(coded).unwrap(), plain.as_bytes());
        }
        assert_eq!(from_base64("Zm 9v\nYg").unwrap(), b"foob");
        assert!(from_base64("Zm9*").is_none());
    }

    #[test]
    fn pieces_stop_at_the_end_of_the_file_and_of_the_budget() {
        let mut media = std::io::Cursor::new(vec![7u8; 100]);
        let limits = Limits { max_alloc_bytes: Some(60), ..Limits::default() };
        let mut input = Input::new(&mut media, 100, &limits);
        assert_eq!(input.up_to(90, 60).len(), 10);
        assert!(input.exact(90, 11).is_none());
        assert!(input.exact(u64::MAX, 2).is_none());
        assert!(input.up_to(0, 61).is_empty(), "a piece above the limit");
        assert_eq!(input.exact(0, 60).unwrap().len(), 60);
    }
}
