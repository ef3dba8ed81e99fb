//! What the services need from the world. A host may bring its own; tests bring ones that fail on demand.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::files;
pub use super::files::{FileHandle, NewFile, OpenedFile};
pub use super::policy::{AllowAll, Decision, Operation, Policy};
use crate::cancel::CancelToken;
use crate::error::Result;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01 UTC, for people and records. May step in either direction.
    fn unix_ms(&self) -> u64;
    /// Time since some fixed moment of this process, never going back. For intervals.
    fn monotonic(&self) -> Duration;
    /// Waits for `duration`, or until `cancel` is cancelled.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled).
    fn pause(&self, duration: Duration, cancel: &CancelToken) -> Result<()> {
        cancel.pause(duration)
    }
}

/// The clock of the operating system.
#[derive(Debug, Clone)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn unix_ms(&self) -> u64 {
        // A clock set before 1970 reads as 1970.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
    }
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Makes identifiers that no other process makes.
pub trait IdGenerator: Send + Sync {
    /// The next identifier.
    fn next_id(&self) -> u128;
}

/// UUID version 7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, then a counter (method 1 of 6.2) and random bits, so that the
/// identifiers of one generator sort by their making. For names, not for secrets.
pub struct UuidV7 {
    clock: Arc<dyn Clock>,
    /// Milliseconds in the upper 48 bits, counter in the lower 12 (bits between are 0).
    last: AtomicU64,
}

impl UuidV7 {
    /// Takes the time from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: AtomicU64::new(0) }
    }
}

impl Default for UuidV7 {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock::default()))
    }
}

impl fmt::Debug for UuidV7 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UuidV7").finish_non_exhaustive()
    }
}

impl IdGenerator for UuidV7 {
    fn next_id(&self) -> u128 {
        let now = (self.clock.unix_ms() & 0xffff_ffff_ffff) << 16;
        // Never below the one before: within a millisecond, or when the clock steps back, the counter moves on; when it is full,
        // the millisecond does.
        let step = |last: u64| {
            if now > last {
                now
            } else if last & 0xfff == 0xfff {
                (last | 0xffff) + 1
            } else {
                last + 1
            }
        };
        let before =
            self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |l| Some(step(l))).unwrap_or_default();
        let stamp = step(before);
        let random = u128::from(random_u64() & 0x3fff_ffff_ffff_ffff);
        (u128::from(stamp >> 16) << 80) | (0x7 << 76) | (u128::from(stamp & 0xfff) << 64) | (0b10 << 62) | random
    }
}

/// An identifier in the usual form, `018f6d2e-....`.
pub fn format_uuid(id: u128) -> String {
    let hex = format!("{id:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// 64 bits that differ between calls and processes. The keys of the standard library's hash maps come from the operating
/// system. Not for secrets.
pub fn random_u64() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileInfo {
    /// Length in bytes.
    pub len: u64,
    /// Nanoseconds since 1970 of the last change; 0 where the system does not tell.
    pub modified_ns: u128,
    /// Number of the file on its volume, after following links; 0 where the system does not tell.
    pub number: u64,
    /// Unix permission bits; none on other systems.
    pub mode: Option<u32>,
    /// True for a folder.
    pub folder: bool,
}

/// The few file operations of the engine. Services need those for whole files; jobs need the others, too, which
/// fail with `Unsupported` where they are not there.
pub trait FileSystem: Send + Sync {
    /// Reads a whole file.
    ///
    /// # Errors
    /// Those of the system; `FileTooLarge` above `max_bytes`, without reading more than that.
    fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>>;
    /// What is known of a file; links are followed.
    ///
    /// # Errors
    /// Those of the system.
    fn info(&self, path: &Path) -> io::Result<FileInfo>;
    /// Everything in a folder, sorted.
    ///
    /// # Errors
    /// Those of the system.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    /// Replaces a file whole or not at all, and returns when it is on disk.
    ///
    /// # Errors
    /// Those of the system.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Opens a file for reading.
    ///
    /// # Errors
    /// Those of the system.
    fn open(&self, _path: &Path) -> io::Result<OpenedFile> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Begins a file that will stand at `target`, in a folder that exists.
    ///
    /// # Errors
    /// Those of the system.
    fn create(&self, _target: &Path) -> io::Result<Box<dyn NewFile>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// A file that is gone when its last handle is. Without a folder: where the system keeps such files.
    ///
    /// # Errors
    /// Those of the system.
    fn temporary(&self, _folder: Option<&Path>) -> io::Result<Box<dyn FileHandle>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Removes a file.
    ///
    /// # Errors
    /// Those of the system.
    fn remove(&self, _path: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The files of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemFiles;

impl FileSystem for SystemFiles {
    fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max_bytes {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {max_bytes} bytes")));
        }
        Ok(bytes)
    }

    fn info(&self, path: &Path) -> io::Result<FileInfo> {
        let data = std::fs::metadata(path)?;
        let modified = data.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        #[cfg(unix)]
        let (number, mode) = {
            use std::os::unix::fs::MetadataExt;
            (data.ino(), Some(data.mode() & 0o7777))
        };
        #[cfg(not(unix))]
        let (number, mode) = (0, None);
        let modified_ns = modified.map_or(0, |d| d.as_nanos());
        Ok(FileInfo { len: data.len(), modified_ns, number, mode, folder: data.is_dir() })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = std::fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        // The rename itself is durable once the folder is; Windows cannot open folders and journals the rename.
        #[cfg(unix)]
        std::fs::File::open(folder)?.sync_all()?;
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<OpenedFile> {
        files::open(path)
    }

    fn create(&self, target: &Path) -> io::Result<Box<dyn NewFile>> {
        files::create(target)
    }

    fn temporary(&self, folder: Option<&Path>) -> io::Result<Box<dyn FileHandle>> {
        files::temporary(folder)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_version_7_and_sort_by_their_making() {
        let ids = UuidV7::default();
        // More than the 4096 of one millisecond's counter.
        let made: Vec<u128> = (0..20_000).map(|_| ids.next_id()).collect();
        assert!(made.windows(2).all(|w| w[0] < w[1]));
        let text = format_uuid(made[0]);
        assert_eq!((text.len(), &text[14..15]), (36, "7"));
        assert!("89ab".contains(&text[19..20]), "variant of RFC 9562, 4.1: {text}");
    }

    #[test]
    fn reading_stops_at_the_limit_and_replacing_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        SystemFiles.replace(&path, b"12345").unwrap();
        assert_eq!(SystemFiles.read(&path, 5).unwrap(), b"12345");
        assert_eq!(SystemFiles.read(&path, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        SystemFiles.replace(&path, b"1").unwrap();
        assert_eq!(SystemFiles.list(dir.path()).unwrap(), std::slice::from_ref(&path), "no temporary file is left");
        assert_eq!(SystemFiles.info(&path).unwrap().len, 1);
    }
}
