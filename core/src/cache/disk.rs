//! Values in a folder: one file each, named by its key.
//!
//! A value is written to a temporary file and renamed, so nobody reads half of one. Nothing is synced: what a power cut tears fails its
//! check later and counts as not there. Several processes may share a folder. What was used longest ago goes first when there is too much;
//! the time of use is the time of change of the file, which every hit renews.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use super::frame::{Kind, Look, OVERHEAD, Seal};
use super::{CacheKey, LayerCounts};
use crate::error::{Error, Result};
use crate::sync::{AtomicU64, Mutex};

/// Layout of the folder; another one gets another name.
const LAYOUT: &str = "v1";
/// Age from which a temporary file is one that a killed process has left.
const STALE: Duration = Duration::from_secs(3600);

pub(crate) struct Disk {
    root: PathBuf,
    max_bytes: u64,
    seal: Seal,
    /// What lies here, as far as this process knows; counted again when it comes near the bound.
    bytes: AtomicU64,
    evicting: Mutex<()>,
    counts: Arc<LayerCounts>,
}

impl Disk {
    pub fn open(dir: &Path, max_bytes: u64, seal: Seal, counts: Arc<LayerCounts>) -> Result<Self> {
        let root = dir.join(LAYOUT);
        let temporary = root.join("tmp");
        make_private(&temporary).map_err(|e| Error::io("create folder", Some(&temporary), e))?;
        for folder in [dir, &root] {
            refuse_writable_by_others(folder)?;
        }
        let disk = Self { root, max_bytes, seal, bytes: AtomicU64::new(0), evicting: Mutex::new(()), counts };
        disk.remove_leftovers();
        disk.evict();
        Ok(disk)
    }

    fn path(&self, key: &CacheKey) -> PathBuf {
        let hex = key.to_hex();
        let (folder, name) = hex.split_at(2);
        self.root.join(folder).join(name)
    }

    /// Copies a value to what `to` makes of its length. What was written counts only after [`Look::Hit`].
    ///
    /// # Errors
    /// Those of writing to `to`.
    pub fn read(&self, kind: Kind, key: &CacheKey, to: &mut dyn Write) -> io::Result<Look> {
        let path = self.path(key);
        let look = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Look::Miss,
            Err(_) => Look::Bad,
            Ok(file) => match file.metadata() {
                Ok(data) if data.is_file() => {
                    let look =
                        self.seal.copy(kind, key, data.len(), &mut BufReader::with_capacity(1 << 16, &file), to)?;
                    if look == Look::Hit {
                        // For who is to go first; a folder that cannot be written to still gives what it has.
                        let _ = file.set_modified(SystemTime::now());
                    }
                    look
                }
                _ => Look::Bad,
            },
        };
        if look == Look::Bad {
            // It will not get better. Another process may have replaced it by a good one just now; then that is made again.
            let _ = fs::remove_file(&path);
        }
        Ok(look)
    }

    /// Keeps a value of `length` bytes. False when it is larger than a quarter of the bound, which would push out too much else.
    ///
    /// # Errors
    /// Those of reading it and of the file system.
    pub fn write(&self, kind: Kind, key: &CacheKey, length: u64, from: &mut dyn Read) -> io::Result<bool> {
        let whole = length.saturating_add(OVERHEAD as u64);
        if whole > self.max_bytes / 4 {
            return Ok(false);
        }
        let path = self.path(key);
        if let Some(folder) = path.parent() {
            make_private(folder)?;
        }
        let mut file = tempfile::NamedTempFile::new_in(self.root.join("tmp"))?;
        let mut buffered = io::BufWriter::with_capacity(1 << 16, file.as_file_mut());
        self.seal.write(kind, key, length, from, &mut buffered)?;
        buffered.flush()?;
        drop(buffered);
        file.persist(&path).map_err(|e| e.error)?;
        if self.bytes.fetch_add(whole, Ordering::Relaxed).saturating_add(whole) > self.max_bytes {
            self.evict();
        }
        Ok(true)
    }

    /// What lies here, in bytes, as far as this process knows.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts what is there, and removes what was used longest ago until a tenth of the bound is free, if it is above the bound.
    fn evict(&self) {
        // One thread does it; the others go on.
        let Ok(_turn) = self.evicting.try_lock() else { return };
        let mut files = self.files();
        let mut total: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        if total > self.max_bytes {
            files.sort();
            let goal = self.max_bytes - self.max_bytes / 10;
            for (_, bytes, path) in files {
                if total <= goal {
                    break;
                }
                // Somebody else may have removed it.
                if fs::remove_file(&path).is_ok() {
                    self.counts.evictions.fetch_add(1, Ordering::Relaxed);
                }
                total -= bytes;
            }
        }
        self.bytes.store(total, Ordering::Relaxed);
    }

    /// All values: last use, size, path.
    fn files(&self) -> Vec<(SystemTime, u64, PathBuf)> {
        let folders = entries(&self.root).filter(|path| path.file_name().is_some_and(|name| name.len() == 2));
        let all = folders.flat_map(|folder| entries(&folder).collect::<Vec<_>>());
        all.filter_map(|path| {
            let data = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
            Some((data.modified().unwrap_or(SystemTime::UNIX_EPOCH), data.len(), path))
        })
        .collect()
    }

    /// Removes temporary files of processes that were killed.
    fn remove_leftovers(&self) {
        for path in entries(&self.root.join("tmp")) {
            let age =
                fs::symlink_metadata(&path).and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > STALE) {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

/// The paths in a folder; none when it cannot be read.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

/// Makes a folder that only its owner may look into.
fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// In a folder that others may write to, they could put values of their own.
fn refuse_writable_by_others(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let mode = fs::metadata(folder).map_err(|e| Error::io("look at", Some(folder), e))?.mode();
        if mode & 0o022 != 0 {
            return Err(Error::Denied {
                path: folder.display().to_string(),
                reason: "a cache in a folder that others may write to cannot be trusted: chmod go-w".into(),
            });
        }
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(n: u64) -> CacheKey {
        CacheKey::new(&[0; 32], &json!(n), "", None)
    }

    fn disk(dir: &Path, max_bytes: u64) -> Disk {
        Disk::open(dir, max_bytes, Seal::new(None), Arc::default()).unwrap()
    }

    fn get(disk: &Disk, n: u64) -> (Look, Vec<u8>) {
        let mut value = Vec::new();
        let look = disk.read(Kind::Output, &key(n), &mut value).unwrap();
        (look, value)
    }

    fn put(disk: &Disk, n: u64, value: &[u8]) -> bool {
        disk.write(Kind::Output, &key(n), value.len() as u64, &mut &value[..]).unwrap()
    }

    #[test]
    fn values_stay_after_a_restart_and_bad_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("cache");
        assert!(put(&disk(&folder, 1 << 20), 1, b"one"));
        let again = disk(&folder, 1 << 20);
        assert_eq!(get(&again, 1), (Look::Hit, b"one".to_vec()));
        assert_eq!(get(&again, 2).0, Look::Miss);
        assert_eq!(again.bytes(), 3 + OVERHEAD as u64);
        assert_eq!(again.read(Kind::Report, &key(1), &mut Vec::new()).unwrap(), Look::Bad, "of another kind");
        assert_eq!(get(&again, 1).0, Look::Miss, "and gone");
        assert!(entries(&again.root.join("tmp")).next().is_none());
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("cache");
        let value = vec![7; 1000 - OVERHEAD];
        let disk = disk(&folder, 10_000);
        let use_at = |n: u64, seconds: u64| {
            let file = File::open(disk.path(&key(n))).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        };
        for n in 0..10 {
            assert!(put(&disk, n, &value));
            use_at(n, 100 + n);
        }
        assert_eq!(get(&disk, 0).0, Look::Hit, "which is a use, now");
        assert_eq!(disk.bytes(), 10_000);
        assert!(put(&disk, 10, &value));
        // 11,000 bytes are cut to 9,000: the two that were used longest ago.
        let there: Vec<u64> = (0..11).filter(|n| disk.path(&key(*n)).exists()).collect();
        assert_eq!(there, [0, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!((disk.bytes(), disk.counts.evictions.load(Ordering::Relaxed)), (9_000, 2));
        assert!(!put(&disk, 11, &[0; 2500]), "more than a quarter of the bound");
    }

    #[test]
    fn leftovers_of_killed_processes_go_and_fresh_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("cache");
        let root = disk(&folder, 1 << 20).root;
        for (name, seconds) in [("old", 2 * STALE.as_secs()), ("new", 1)] {
            let file = File::create(root.join("tmp").join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
        }
        disk(&folder, 1 << 20);
        assert_eq!(entries(&root.join("tmp")).collect::<Vec<_>>(), [root.join("tmp/new")]);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_for_everybody_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let refused = Disk::open(dir.path(), 1 << 20, Seal::new(None), Arc::default()).err().unwrap();
        assert!(matches!(refused, Error::Denied { .. }), "{refused}");
        assert!(Disk::open(&dir.path().join("below"), 1 << 20, Seal::new(None), Arc::default()).is_ok());
    }

    #[test]
    fn eight_threads_write_and_read_the_same_keys() {
        let dir = tempfile::tempdir().unwrap();
        // Small enough that values are removed all the time.
        let disk = disk(&dir.path().join("cache"), 40_000);
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                let disk = &disk;
                scope.spawn(move || {
                    for round in 0..200 {
                        let n = (thread * 7 + round * 13) % 50;
                        let value = vec![n as u8; 900];
                        match get(disk, n) {
                            (Look::Hit, got) => assert!(got == value, "never the value of another key"),
                            (look, _) => {
                                assert_eq!(look, Look::Miss, "nothing is ever half there");
                                assert!(put(disk, n, &value));
                            }
                        }
                    }
                });
            }
        });
        disk.evict();
        assert!(disk.bytes() <= 40_000 && disk.counts.evictions.load(Ordering::Relaxed) > 0);
    }
}
