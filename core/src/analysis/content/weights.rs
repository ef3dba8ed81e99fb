//! The files of weights in `model/`: floats, little endian, and matrices of whole numbers of 8 bits with a factor for each row.

use crate::error::{Error, Result};

static NETWORK: &[u8] = include_bytes!("model/network.weights");
static HEAD: &[u8] = include_bytes!("model/head.weights");

/// Reads one file from its beginning.
pub(super) struct Weights {
    rest: &'static [u8],
}

impl Weights {
    /// Those of the network.
    pub fn network() -> Result<Self> {
        Self::open(NETWORK, b"PSNDAED1")
    }

    /// Those of what makes classes of it.
    pub fn head() -> Result<Self> {
        Self::open(HEAD, b"PSNDHED1")
    }

    fn open(rest: &'static [u8], name: &[u8; 8]) -> Result<Self> {
        rest.strip_prefix(name).map(|rest| Self { rest }).ok_or_else(broken)
    }

    fn take(&mut self, bytes: usize) -> Result<&'static [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or_else(broken)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `count` floats.
    pub fn floats(&mut self, count: usize) -> Result<Vec<f32>> {
        let (floats, _) = self.take(4 * count)?.as_chunks();
        Ok(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// The next matrix, row by row.
    pub fn matrix(&mut self, rows: usize, columns: usize) -> Result<Vec<f32>> {
        let factors = self.floats(rows)?;
        let numbers = self.take(rows * columns)?;
        let rows = numbers.chunks_exact(columns).zip(factors);
        Ok(rows.flat_map(|(row, factor)| row.iter().map(move |x| f32::from(x.cast_signed()) * factor)).collect())
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(broken()) }
    }
}

fn broken() -> Error {
    Error::internal("the weights of the classifier are not those of this version")
}
