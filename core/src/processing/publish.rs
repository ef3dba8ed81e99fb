//! Outputs that appear whole or not at all.
//!
//! On Linux the file has no name while it is written (`O_TMPFILE`), so that not even `kill -9` leaves a trace; it is
//! linked under a hidden name and renamed at the end. Elsewhere, and on file systems without nameless files, it is a
//! hidden `.part` file that is removed when the job ends in any orderly way.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::recipe::Overwrite;
use crate::error::{Error, Result};

/// A file on its way to `target`.
pub(crate) struct PendingFile {
    target: PathBuf,
    dir: PathBuf,
    kind: Kind,
}

enum Kind {
    #[cfg(target_os = "linux")]
    Nameless(File),
    Named(tempfile::NamedTempFile),
}

impl PendingFile {
    /// Creates the file in the folder of `target`, which must exist.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a missing folder, [`Error::Denied`], [`Error::Io`]; [`Error::Conflict`] when `target` is a
    /// folder, or exists and `overwrite` refuses.
    pub fn create(target: &Path, overwrite: Overwrite) -> Result<Self> {
        let dir = match target.parent() {
            Some(d) if !d.as_os_str().is_empty() => d.to_path_buf(),
            _ => PathBuf::from("."),
        };
        if target.is_dir() {
            return Err(Error::Conflict { what: format!("output {} is a folder", target.display()) });
        }
        if overwrite == Overwrite::Refuse && target.exists() {
            return Err(exists(target));
        }
        let kind = Kind::create(&dir, target)?;
        Ok(Self { target: target.to_path_buf(), dir, kind })
    }

    /// The file, to write to or to read back. All clones share one position.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn handle(&self) -> Result<File> {
        let file = match &self.kind {
            #[cfg(target_os = "linux")]
            Kind::Nameless(file) => file.try_clone(),
            Kind::Named(file) => file.as_file().try_clone(),
        };
        file.map_err(|e| Error::io("write", Some(&self.target), e))
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

    /// Makes the file durable and gives it its name, replacing what was there in one step.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Denied`]; [`Error::Conflict`] when `overwrite` refuses.
    pub fn publish(self, overwrite: Overwrite) -> Result<()> {
        let target = &self.target;
        self.handle()?.sync_all().map_err(|e| Error::io("write", Some(target), e))?;
        match self.kind {
            #[cfg(target_os = "linux")]
            Kind::Nameless(file) => nameless::link(&file, &self.dir, target, overwrite)?,
            Kind::Named(file) => match overwrite {
                Overwrite::Replace => {
                    file.persist(target).map_err(|e| Error::io("rename to", Some(target), e.error))?
                }
                Overwrite::Refuse => file.persist_noclobber(target).map_err(|e| match e.error.kind() {
                    std::io::ErrorKind::AlreadyExists => exists(target),
                    _ => Error::io("rename to", Some(target), e.error),
                })?,
            }
            .sync_all()
            .map_err(|e| Error::io("write", Some(target), e))?,
        }
        // The name itself must survive a power cut too.
        #[cfg(unix)]
        File::open(&self.dir).and_then(|d| d.sync_all()).map_err(|e| Error::io("sync folder of", Some(target), e))?;
        Ok(())
    }
}

fn exists(target: &Path) -> Error {
    Error::Conflict { what: format!("output {} exists and may not be replaced", target.display()) }
}

impl Kind {
    fn create(dir: &Path, target: &Path) -> Result<Self> {
        #[cfg(target_os = "linux")]
        if let Some(file) = nameless::create(dir) {
            return Ok(Self::Nameless(file));
        }
        let name = target.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let mut builder = tempfile::Builder::new();
        let prefix = format!(".{name}.");
        builder.prefix(&prefix).suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666)); // less the umask
        }
        builder.tempfile_in(dir).map(Self::Named).map_err(|e| Error::io("create a file in", Some(dir), e))
    }
}

#[cfg(target_os = "linux")]
mod nameless {
    use std::fs::{File, OpenOptions};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::Path;

    use rustix::fs::{AtFlags, CWD, OFlags, linkat};

    use super::{Overwrite, exists};
    use crate::error::{Error, Result};

    /// None where the file system cannot do it; the caller finds out the reason by trying the other way.
    pub fn create(dir: &Path) -> Option<File> {
        let flags = i32::try_from(OFlags::TMPFILE.bits()).ok()?;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).mode(0o666).open(dir).ok()?;
        // Linking needs /proc; where it is not mounted, a named file must do.
        Path::new(&proc_path(&file)).exists().then_some(file)
    }

    fn proc_path(file: &File) -> String {
        format!("/proc/self/fd/{}", file.as_raw_fd())
    }

    pub fn link(file: &File, dir: &Path, target: &Path, overwrite: Overwrite) -> Result<()> {
        let from = proc_path(file);
        let link = |to: &Path| linkat(CWD, &from, CWD, to, AtFlags::SYMLINK_FOLLOW).map_err(std::io::Error::from);
        match link(target) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                if overwrite == Overwrite::Refuse {
                    return Err(exists(target));
                }
            }
            Err(e) => return Err(Error::io("write", Some(target), e)),
        }
        // A link cannot replace: link under a free hidden name, then rename, which can.
        let name = target.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let hidden = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(".part")
            .make_in(dir, link)
            .map_err(|e| Error::io("write", Some(target), e))?;
        hidden.persist(target).map(drop).map_err(|e| Error::io("rename to", Some(target), e.error))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

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
            let pending = PendingFile::create(&target, Overwrite::Replace).unwrap();
            pending.handle().unwrap().write_all(text.as_bytes()).unwrap();
            pending.publish(Overwrite::Replace).unwrap();
            assert_eq!(std::fs::read_to_string(&target).unwrap(), text);
            assert_eq!(names(dir.path()), ["a.wav"]);
        }
        let pending = PendingFile::create(&target, Overwrite::Replace).unwrap();
        pending.handle().unwrap().write_all(b"three").unwrap();
        drop(pending);
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "two");
        assert_eq!(names(dir.path()), ["a.wav"]);
    }

    #[test]
    fn refusing_to_overwrite_is_a_conflict_early_and_late() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.wav");
        let pending = PendingFile::create(&target, Overwrite::Refuse).unwrap();
        std::fs::write(&target, "theirs").unwrap();
        assert!(matches!(pending.publish(Overwrite::Refuse), Err(Error::Conflict { .. })));
        assert!(matches!(PendingFile::create(&target, Overwrite::Refuse), Err(Error::Conflict { .. })));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "theirs");
        assert_eq!(names(dir.path()), ["a.wav"]);
    }

    #[test]
    fn impossible_targets_are_typed_errors() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(PendingFile::create(dir.path(), Overwrite::Replace), Err(Error::Conflict { .. })));
        let missing = dir.path().join("no/such/a.wav");
        assert!(matches!(PendingFile::create(&missing, Overwrite::Replace), Err(Error::NotFound { .. })));
    }
}
