//! Results of steps, stored once under the digest of their content.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::services::seams::{FileSystem, SystemFiles};
use crate::sync::{Mutex, lock};

/// Largest result, as JSON, in bytes.
pub const MAX_RESULT_BYTES: u64 = 64 << 20;

/// Names a stored result.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResultRef {
    /// BLAKE3 of its JSON, in hexadecimal.
    pub digest: String,
    /// Length of its JSON.
    pub bytes: u64,
}

/// Keeps results. What was put is there for all who share the store, unchanged, for ever.
pub trait ResultStore: Send + Sync {
    /// Keeps a result, and returns when it is as safe as the store is. Equal results are kept once.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] above [`MAX_RESULT_BYTES`]; [`Error::Io`].
    fn put(&self, result: &Value) -> Result<ResultRef>;

    /// A result that was kept.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Malformed`] when what is there is not what was put; [`Error::Io`].
    fn get(&self, result: &ResultRef) -> Result<Value>;
}

/// Results in files of a folder, named by their digest.
pub struct FolderResults {
    folder: PathBuf,
    files: Arc<dyn FileSystem>,
}

impl FolderResults {
    /// Results below this folder, which is made with the first one when it is not there.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] when there is something else in its place.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        if folder.exists() && !folder.is_dir() {
            let (value, allowed) = (folder.display().to_string(), "a folder, or nothing yet".to_owned());
            return Err(Error::InvalidValue { name: "results".into(), value, allowed });
        }
        Ok(Self { folder, files: Arc::new(SystemFiles) })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, digest: &str) -> Result<PathBuf> {
        // It becomes a path: nothing else may.
        if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Error::malformed("result of a step", None, format!("'{digest}' is no digest")));
        }
        Ok(self.folder.join(&digest[..2]).join(format!("{}.json", &digest[2..])))
    }
}

impl std::fmt::Debug for FolderResults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FolderResults").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl ResultStore for FolderResults {
    fn put(&self, result: &Value) -> Result<ResultRef> {
        let (reference, bytes) = encode(result)?;
        let path = self.path(&reference.digest)?;
        if self.files.info(&path).is_ok_and(|info| info.len == reference.bytes) && self.get(&reference).is_ok() {
            return Ok(reference);
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
            let first = !self.folder.is_dir();
            make_folder(parent)?;
            // The names of new folders must survive a power cut, too.
            sync_folder(&self.folder)?;
            if first {
                let above = self.folder.parent().filter(|p| !p.as_os_str().is_empty());
                sync_folder(above.unwrap_or(Path::new(".")))?;
            }
        }
        self.files.replace(&path, &bytes).map_err(|e| Error::io("write", Some(&path), e))?;
        Ok(reference)
    }

    fn get(&self, result: &ResultRef) -> Result<Value> {
        let path = self.path(&result.digest)?;
        let bytes = match self.files.read(&path, MAX_RESULT_BYTES) {
            Err(e) if e.kind() == ErrorKind::FileTooLarge => return Err(changed(&path)),
            other => other.map_err(|e| Error::io("read", Some(&path), e))?,
        };
        if bytes.len() as u64 != result.bytes || blake3::hash(&bytes).to_hex().as_str() != result.digest {
            return Err(changed(&path));
        }
        serde_json::from_slice(&bytes).map_err(|_| changed(&path))
    }
}

fn changed(path: &Path) -> Error {
    Error::malformed("result of a step", None, format!("{} is not what was stored", path.display()))
}

fn sync_folder(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| Error::io("write", Some(folder), e))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Makes a folder and those above it.
pub(super) fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io("create folder", Some(folder), e))
}

fn encode(result: &Value) -> Result<(ResultRef, Vec<u8>)> {
    let bytes = serde_json::to_vec(result).map_err(|e| Error::internal(format!("result as JSON: {e}")))?;
    if bytes.len() as u64 > MAX_RESULT_BYTES {
        let (value, max) = (bytes.len() as f64, MAX_RESULT_BYTES as f64);
        return Err(Error::LimitExceeded { limit: "result bytes of a step", value, max });
    }
    Ok((ResultRef { digest: blake3::hash(&bytes).to_hex().to_string(), bytes: bytes.len() as u64 }, bytes))
}

/// Results in memory: for tests, and for hosts that lose nothing when they end.
#[derive(Debug, Default)]
pub struct MemoryResults(Mutex<HashMap<String, Value>>);

impl ResultStore for MemoryResults {
    fn put(&self, result: &Value) -> Result<ResultRef> {
        let (reference, _) = encode(result)?;
        lock(&self.0).entry(reference.digest.clone()).or_insert_with(|| result.clone());
        Ok(reference)
    }

    fn get(&self, result: &ResultRef) -> Result<Value> {
        let found = lock(&self.0).get(&result.digest).cloned();
        found.ok_or_else(|| Error::NotFound { path: format!("result {}", result.digest) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_results_are_one_and_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let stores: [Box<dyn ResultStore>; 2] =
            [Box::new(FolderResults::new(dir.path().join("r")).unwrap()), Box::new(MemoryResults::default())];
        for store in stores {
            let (a, b) = (json!({ "x": [1, 2.5, null] }), json!("other"));
            let first = store.put(&a).unwrap();
            assert_eq!(store.put(&a).unwrap(), first);
            assert_ne!(store.put(&b).unwrap(), first);
            assert_eq!(store.get(&first).unwrap(), a);
            let unknown = ResultRef { digest: "0".repeat(64), bytes: 1 };
            assert!(matches!(store.get(&unknown), Err(Error::NotFound { .. })));
        }
    }

    #[test]
    fn what_was_changed_is_noticed_and_what_is_no_digest_is_no_path() {
        let dir = tempfile::tempdir().unwrap();
        let store = FolderResults::new(dir.path()).unwrap();
        let good = json!({ "met": true });
        let reference = store.put(&good).unwrap();
        let path = store.path(&reference.digest).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bad).unwrap();
            assert!(matches!(store.get(&reference), Err(Error::Malformed { .. })), "bit {bit}");
        }
        // Putting it again heals it.
        assert_eq!(store.put(&good).unwrap(), reference);
        assert_eq!(store.get(&reference).unwrap(), good);
        let outside = ResultRef { digest: "../../etc/passwd".into(), bytes: 1 };
        assert!(matches!(store.get(&outside), Err(Error::Malformed { .. })));
    }
}
