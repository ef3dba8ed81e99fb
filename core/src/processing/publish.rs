//! Outputs that appear whole or not at all, see [`NewFile`].

use std::path::{Path, PathBuf};

use super::recipe::Overwrite;
use crate::error::{Error, Result};
use crate::services::seams::{FileHandle, FileSystem, NewFile};

/// A file on its way to `target`.
pub(crate) struct PendingFile {
    target: PathBuf,
    file: Box<dyn NewFile>,
}

impl PendingFile {
    /// Creates the file in the folder of `target`, which must exist.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a missing folder, [`Error::Denied`], [`Error::Io`]; [`Error::Conflict`] when `target` is a
    /// folder, or exists and `overwrite` refuses.
    pub fn create(files: &dyn FileSystem, target: &Path, overwrite: Overwrite) -> Result<Self> {
        match files.info(target) {
            Ok(info) if info.folder => {
                return Err(Error::Conflict { what: format!("output {} is a folder", target.display()) });
            }
            Ok(_) if overwrite == Overwrite::Refuse => return Err(exists(target)),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("look at", Some(target), e)),
        }
        let dir = target.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = files.create(target).map_err(|e| Error::io("create a file in", Some(dir), e))?;
        Ok(Self { target: target.to_path_buf(), file })
    }

    /// The file, to write to or to read back. All handles share one position.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn handle(&self) -> Result<Box<dyn FileHandle>> {
        self.file.handle().map_err(|e| Error::io("write", Some(&self.target), e))
    }

    /// Empties the file, for another attempt.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn truncate(&self) -> Result<()> {
        let mut file = self.handle()?;
        file.set_len(0)
            .and_then(|()| std::io::Seek::rewind(&mut file))
            .map_err(|e| Error::io("write", Some(&self.target), e))
    }

    /// Makes the file durable and gives it its name, replacing what was there in one step. True when nothing was there.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Denied`]; [`Error::Conflict`] when `overwrite` refuses.
    pub fn publish(self, overwrite: Overwrite) -> Result<bool> {
        let replace = overwrite == Overwrite::Replace;
        self.file.publish(replace).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists if !replace => exists(&self.target),
            _ => Error::io("write", Some(&self.target), e),
        })
    }
}

/// Publishes all of these, or none where that can be helped: when one fails, those before it are removed again, but for files that
/// they have replaced.
///
/// # Errors
/// As [`PendingFile::publish`].
pub(crate) fn publish_all(
    files: &dyn FileSystem,
    pending: impl IntoIterator<Item = PendingFile>,
    overwrite: Overwrite,
) -> Result<()> {
    let mut created = Vec::new();
    for file in pending {
        let target = file.target.clone();
        match file.publish(overwrite) {
            Ok(true) => created.push(target),
            Ok(false) => {}
            Err(error) => {
                for path in created {
                    if let Err(error) = files.remove(&path) {
                        tracing::warn!(path = %path.display(), %error, "an output of a failed job could not be removed");
                    }
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

fn exists(target: &Path) -> Error {
    Error::Conflict { what: format!("output {} exists and may not be replaced", target.display()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::services::seams::SystemFiles;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_published_file_replaces_and_a_dropped_one_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.wav");
        for text in ["one", "two"] {
            let pending = PendingFile::create(&SystemFiles, &target, Overwrite::Replace).unwrap();
            pending.handle().unwrap().write_all(text.as_bytes()).unwrap();
            assert_eq!(pending.publish(Overwrite::Replace).unwrap(), text == "one");
            assert_eq!(std::fs::read_to_string(&target).unwrap(), text);
            assert_eq!(names(dir.path()), ["a.wav"]);
        }
        let pending = PendingFile::create(&SystemFiles, &target, Overwrite::Replace).unwrap();
        pending.handle().unwrap().write_all(b"three").unwrap();
        drop(pending);
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "two");
        assert_eq!(names(dir.path()), ["a.wav"]);
    }

    #[test]
    fn refusing_to_overwrite_is_a_conflict_early_and_late() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.wav");
        let pending = PendingFile::create(&SystemFiles, &target, Overwrite::Refuse).unwrap();
        std::fs::write(&target, "theirs").unwrap();
        assert!(matches!(pending.publish(Overwrite::Refuse), Err(Error::Conflict { .. })));
        assert!(matches!(PendingFile::create(&SystemFiles, &target, Overwrite::Refuse), Err(Error::Conflict { .. })));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "theirs");
        assert_eq!(names(dir.path()), ["a.wav"]);
    }

    #[test]
    fn impossible_targets_are_typed_errors() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            PendingFile::create(&SystemFiles, dir.path(), Overwrite::Replace),
            Err(Error::Conflict { .. })
        ));
        let missing = dir.path().join("no/such/a.wav");
        assert!(matches!(PendingFile::create(&SystemFiles, &missing, Overwrite::Replace), Err(Error::NotFound { .. })));
    }

    #[test]
    fn when_one_cannot_be_published_those_before_it_are_gone_again() {
        let dir = tempfile::tempdir().unwrap();
        let (new, old, taken) = (dir.path().join("new"), dir.path().join("old"), dir.path().join("taken"));
        std::fs::write(&old, "before").unwrap();
        let all = [&new, &old, &taken].map(|p| PendingFile::create(&SystemFiles, p, Overwrite::Replace).unwrap());
        std::fs::create_dir(&taken).unwrap();
        assert!(matches!(publish_all(&SystemFiles, all, Overwrite::Replace), Err(Error::Io { .. })));
        assert_eq!(names(dir.path()), ["old", "taken"]);
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "", "replaced by the new one, which is whole and empty");
    }
}
