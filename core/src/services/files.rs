//! Files behind a seam: reading, temporary files, and files that appear whole or not at all.
//!
//! On Linux a new file has no name while it is written (`O_TMPFILE`), so that not even `kill -9` leaves a trace; it is
//! linked under a hidden name and renamed at the end. Elsewhere, and on file systems without nameless files, it is a
//! hidden `.part` file that is removed when the work ends in any orderly way.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// An open file. What it was not opened for fails.
pub trait FileHandle: Read + Write + Seek + Send + Sync {
    /// Another handle to the same file; both share one position.
    ///
    /// # Errors
    /// Those of the system.
    fn duplicate(&self) -> io::Result<Box<dyn FileHandle>>;
    /// Cuts it to `bytes`, or fills it up with zeros.
    ///
    /// # Errors
    /// Those of the system.
    fn set_len(&mut self, bytes: u64) -> io::Result<()>;
    /// Returns when all that was written is on disk.
    ///
    /// # Errors
    /// Those of the system.
    fn sync(&self) -> io::Result<()>;
}

/// An input that was opened.
pub struct OpenedFile {
    /// It, at its start.
    pub file: Box<dyn FileHandle>,
    /// False for pipes and devices, which cannot be sought in and have no length.
    pub seekable: bool,
}

/// A file that is not there yet. Dropping it leaves nothing behind.
pub trait NewFile: Send + Sync {
    /// The file, to write to and to read back. All handles share one position.
    ///
    /// # Errors
    /// Those of the system.
    fn handle(&self) -> io::Result<Box<dyn FileHandle>>;
    /// Makes it durable and gives it its name in one step. True when nothing was there before.
    ///
    /// # Errors
    /// Those of the system; `AlreadyExists` when something is there and `replace` is false. What was there is there still,
    /// unless only the folder could not be synced.
    fn publish(self: Box<Self>, replace: bool) -> io::Result<bool>;
}

impl FileHandle for File {
    fn duplicate(&self) -> io::Result<Box<dyn FileHandle>> {
        Ok(Box::new(self.try_clone()?))
    }
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        File::set_len(self, bytes)
    }
    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Opens a file of the operating system for reading.
pub(super) fn open(path: &Path) -> io::Result<OpenedFile> {
    let file = File::open(path)?;
    let seekable = file.metadata()?.is_file();
    Ok(OpenedFile { file: Box::new(file), seekable })
}

/// A file that is gone when its last handle is.
pub(super) fn temporary(folder: Option<&Path>) -> io::Result<Box<dyn FileHandle>> {
    // Without a name from the start: nothing is left behind, whatever happens.
    Ok(Box::new(match folder {
        Some(folder) => tempfile::tempfile_in(folder)?,
        None => tempfile::tempfile()?,
    }))
}

/// A new file in the folder of `target`, which must exist.
pub(super) fn create(target: &Path) -> io::Result<Box<dyn NewFile>> {
    let dir = match target.parent() {
        Some(d) if !d.as_os_str().is_empty() => d.to_path_buf(),
        _ => PathBuf::from("."),
    };
    #[cfg(target_os = "linux")]
    let nameless = nameless::create(&dir).map(Kind::Nameless);
    #[cfg(not(target_os = "linux"))]
    let nameless = None;
    let kind = match nameless {
        Some(kind) => kind,
        None => Kind::Named(named(&dir, target)?),
    };
    Ok(Box::new(SystemNewFile { target: target.to_path_buf(), dir, kind }))
}

struct SystemNewFile {
    target: PathBuf,
    dir: PathBuf,
    kind: Kind,
}

enum Kind {
    #[cfg(target_os = "linux")]
    Nameless(File),
    Named(tempfile::NamedTempFile),
}

impl SystemNewFile {
    fn file(&self) -> &File {
        match &self.kind {
            #[cfg(target_os = "linux")]
            Kind::Nameless(file) => file,
            Kind::Named(file) => file.as_file(),
        }
    }
}

impl NewFile for SystemNewFile {
    fn handle(&self) -> io::Result<Box<dyn FileHandle>> {
        self.file().duplicate()
    }

    fn publish(self: Box<Self>, replace: bool) -> io::Result<bool> {
        self.file().sync_all()?;
        let Self { target, dir, kind } = *self;
        let created = match kind {
            #[cfg(target_os = "linux")]
            Kind::Nameless(file) => nameless::link(&file, &dir, &target, replace)?,
            Kind::Named(file) => match file.persist_noclobber(&target) {
                Ok(_) => true,
                Err(e) if replace && e.error.kind() == io::ErrorKind::AlreadyExists => {
                    e.file.persist(&target).map_err(|e| e.error)?;
                    false
                }
                Err(e) => return Err(e.error),
            },
        };
        // The name itself must survive a power cut too.
        #[cfg(unix)]
        if let Err(error) = File::open(&dir).and_then(|d| d.sync_all()) {
            if created {
                // What was replaced cannot come back, but what was new can go.
                let _ = std::fs::remove_file(&target);
            }
            return Err(error);
        }
        Ok(created)
    }
}

fn hidden(target: &Path) -> String {
    let name = target.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    format!(".{name}.")
}

fn named(dir: &Path, target: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    let prefix = hidden(target);
    builder.prefix(&prefix).suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666)); // less the umask
    }
    builder.tempfile_in(dir)
}

#[cfg(target_os = "linux")]
mod nameless {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::Path;

    use rustix::fs::{AtFlags, CWD, OFlags, linkat};

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

    pub fn link(file: &File, dir: &Path, target: &Path, replace: bool) -> io::Result<bool> {
        let from = proc_path(file);
        let link = |to: &Path| linkat(CWD, &from, CWD, to, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from);
        match link(target) {
            Ok(()) => return Ok(true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && replace => {}
            Err(e) => return Err(e),
        }
        // A link cannot replace: link under a free hidden name, then rename, which can.
        let part = tempfile::Builder::new().prefix(&super::hidden(target)).suffix(".part").make_in(dir, link)?;
        part.persist(target).map_err(|e| e.error)?;
        Ok(false)
    }
}
