//! Where a subscriber stands, and where that is kept between runs.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::services::seams::FileSystem;
use crate::sync::{Mutex, lock};

/// A place in the events of one run of a bus: everything up to `sequence` has been handled. Text: `STREAM:SEQUENCE`, the first
/// in 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Which run. Numbers of different runs have nothing to do with each other.
    pub stream: u64,
    /// Number of the last event that was handled; 0 before the first.
    pub sequence: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}:{}", self.stream, self.sequence)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.split_once(':')
            .filter(|(stream, _)| stream.len() == 16)
            .and_then(|(stream, sequence)| {
                Some(Self { stream: u64::from_str_radix(stream, 16).ok()?, sequence: sequence.parse().ok()? })
            })
            .ok_or_else(|| Error::InvalidValue {
                name: "cursor".into(),
                value: text.chars().take(64).collect(),
                allowed: "16 hexadecimal digits, ':' and a number".into(),
            })
    }
}

/// Keeps the cursors of durable subscriptions.
pub trait CursorStore: Send + Sync {
    /// The cursor of a subscription, if it ever had one.
    ///
    /// # Errors
    /// What keeps the store from being read.
    fn load(&self, name: &str) -> Result<Option<Cursor>>;
    /// Keeps a cursor. When this returns, it survives whatever the store promises to survive.
    ///
    /// # Errors
    /// What keeps the store from being written.
    fn save(&self, name: &str, cursor: Cursor) -> Result<()>;
}

/// Cursors that last as long as the process.
#[derive(Default)]
pub struct MemoryCursors(Mutex<HashMap<String, Cursor>>);

impl CursorStore for MemoryCursors {
    fn load(&self, name: &str) -> Result<Option<Cursor>> {
        Ok(lock(&self.0).get(name).copied())
    }
    fn save(&self, name: &str, cursor: Cursor) -> Result<()> {
        lock(&self.0).insert(name.to_owned(), cursor);
        Ok(())
    }
}

/// Cursors in files of a folder, `NAME.cursor`. Each is replaced whole and synced, which costs a few milliseconds per event on
/// a disk: meant for subscribers of rare events.
pub struct FileCursors {
    folder: PathBuf,
    files: Arc<dyn FileSystem>,
}

impl FileCursors {
    /// Cursors in a folder that exists.
    pub fn new(folder: impl Into<PathBuf>, files: Arc<dyn FileSystem>) -> Self {
        Self { folder: folder.into(), files }
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        // The name becomes a file name: the alphabet of topics is safe on every system.
        super::topic::check_topic(name)?;
        Ok(self.folder.join(format!("{name}.cursor")))
    }
}

impl CursorStore for FileCursors {
    fn load(&self, name: &str) -> Result<Option<Cursor>> {
        let path = self.path(name)?;
        match self.files.read(&path, 64) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).trim_end().parse().map(Some),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", Some(&path), e)),
        }
    }

    fn save(&self, name: &str, cursor: Cursor) -> Result<()> {
        let path = self.path(name)?;
        self.files.replace(&path, format!("{cursor}\n").as_bytes()).map_err(|e| Error::io("write", Some(&path), e))
    }
}
