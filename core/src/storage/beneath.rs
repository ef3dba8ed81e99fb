//! Files beneath some folders, and nothing else.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::url::Place;
use crate::services::seams::{FileHandle, FileInfo, FileSystem, NewFile, OpenedFile};

/// Refuses every file that does not lie beneath one of some folders, or objects beneath one of some URLs.
///
/// Links are followed before it is decided, and `..` leads nowhere. Between the decision and the opening of a file, somebody who may write
/// in these folders can still put a link in its place: let nobody do so who may not read what the program can.
pub struct Beneath {
    files: Arc<dyn FileSystem>,
    roots: Vec<Place>,
}

impl Beneath {
    /// Lets through to `files` what lies beneath `roots`: folders that exist, or URLs such as `s3://bucket/customer-7`.
    ///
    /// # Errors
    /// Those of the system for a folder.
    pub fn new(files: Arc<dyn FileSystem>, roots: impl IntoIterator<Item = impl AsRef<Path>>) -> io::Result<Self> {
        let root = |path: &Path| match Place::of(path)? {
            Place::File(path) => path.canonicalize().map(Place::File),
            object => Ok(object),
        };
        let roots = roots.into_iter().map(|path| root(path.as_ref())).collect::<io::Result<_>>()?;
        Ok(Self { files, roots })
    }

    fn check(&self, path: &Path) -> io::Result<()> {
        let allowed = match Place::of(path)? {
            Place::File(path) => {
                let real = real(&path)?;
                self.roots.iter().any(|root| matches!(root, Place::File(root) if real.starts_with(root)))
            }
            Place::Object { root: bucket, key, .. } => {
                let plain = !key.split('/').any(|part| part == "." || part == "..");
                let beneath = |root: &Place| {
                    let Place::Object { root, key: prefix, .. } = root else { return false };
                    let rest = key.strip_prefix(prefix.trim_end_matches('/'));
                    *root == bucket
                        && rest.is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
                };
                plain && self.roots.iter().any(beneath)
            }
        };
        let outside =
            || io::Error::new(io::ErrorKind::PermissionDenied, "it lies outside of the folders that are allowed");
        allowed.then_some(()).ok_or_else(outside)
    }
}

/// Where a path leads, when all links are followed; its last part need not be there yet.
fn real(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(e) if e.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() => {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            // None for `..`.
            let name = path.file_name().ok_or(io::ErrorKind::PermissionDenied)?;
            Ok(folder.canonicalize()?.join(name))
        }
        found => found,
    }
}

impl std::fmt::Debug for Beneath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beneath").field("roots", &self.roots).finish_non_exhaustive()
    }
}

impl FileSystem for Beneath {
    fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        self.check(path).and_then(|()| self.files.read(path, max_bytes))
    }
    fn info(&self, path: &Path) -> io::Result<FileInfo> {
        self.check(path).and_then(|()| self.files.info(path))
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.check(folder).and_then(|()| self.files.list(folder))
    }
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.check(path).and_then(|()| self.files.replace(path, bytes))
    }
    fn open(&self, path: &Path) -> io::Result<OpenedFile> {
        self.check(path).and_then(|()| self.files.open(path))
    }
    fn create(&self, target: &Path) -> io::Result<Box<dyn NewFile>> {
        self.check(target).and_then(|()| self.files.create(target))
    }
    /// Has no name, and lies where the program says.
    fn temporary(&self, folder: Option<&Path>) -> io::Result<Box<dyn FileHandle>> {
        self.files.temporary(folder)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check(path).and_then(|()| self.files.remove(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Files;

    #[test]
    fn only_what_lies_beneath_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
        for dir in [&inside, &outside, &inside.join("sub")] {
            std::fs::create_dir(dir).unwrap();
        }
        std::fs::write(outside.join("secret"), "x").unwrap();
        let files = Beneath::new(Arc::new(Files::default()), [&inside]).unwrap();
        for name in ["a", "sub/b", "sub/../c"] {
            files.replace(&inside.join(name), b"1").unwrap();
            assert_eq!(files.read(&inside.join(name), 9).unwrap(), b"1", "{name}");
        }
        assert_eq!(files.list(&inside).unwrap().len(), 3);
        let mut wrong = vec![
            outside.join("secret"),
            outside.join("new"),
            inside.join("../out/secret"),
            inside.join("sub/../../out/new"),
            inside.join(".."),
            "s3://bucket/a".into(),
            format!("file://{}", outside.join("secret").display()).into(),
        ];
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(outside.join("secret"), inside.join("link")).unwrap();
            std::os::unix::fs::symlink(&outside, inside.join("folder")).unwrap();
            std::os::unix::fs::symlink(outside.join("new"), inside.join("dangling")).unwrap();
            wrong.extend([inside.join("link"), inside.join("folder/secret"), inside.join("folder/new")]);
            assert!(files.create(&inside.join("dangling")).is_err(), "where it leads is not there, and not known");
        }
        for path in wrong {
            for refused in [files.read(&path, 9).map(drop), files.create(&path).map(drop), files.remove(&path)] {
                assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied, "{}", path.display());
            }
        }
        assert_eq!(std::fs::read(outside.join("secret")).unwrap(), b"x");
    }

    #[test]
    fn objects_lie_beneath_whole_parts_of_a_key() {
        let files = Beneath::new(Arc::new(Files::default()), ["s3://b/customer/7", "gs://all"]).unwrap();
        for path in ["s3://b/customer/7/a.wav", "s3://b/customer/7", "gs://all/x/y"] {
            assert!(files.check(Path::new(path)).is_ok(), "{path}");
        }
        for path in [
            "s3://b/customer/77/a",
            "s3://c/customer/7/a",
            "s3://b/customer/7/../8/a",
            "gs://b/a",
            "az://all/x",
            "/tmp",
        ] {
            assert_eq!(files.check(Path::new(path)).unwrap_err().kind(), io::ErrorKind::PermissionDenied, "{path}");
        }
    }
}
