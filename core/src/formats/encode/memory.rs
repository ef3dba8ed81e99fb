//! [`MemorySink`]: encoders that write to memory.

use std::io::{Cursor, Result, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes in memory, as a file would be. Clones share them and their position, so that they can be had after an encoder that
/// owns one of the clones is done.
#[derive(Debug, Clone, Default)]
pub struct MemorySink(Arc<Mutex<Cursor<Vec<u8>>>>);

impl MemorySink {
    /// The bytes; the sink is empty after.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.cursor()).into_inner()
    }

    fn cursor(&self) -> MutexGuard<'_, Cursor<Vec<u8>>> {
        // A write that panicked left whole bytes behind: there is nothing to protect from.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for MemorySink {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.cursor().write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Seek for MemorySink {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.cursor().seek(to)
    }
}
