//! Paths and URLs behind one seam.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "object-store")]
use super::objects::{ObjectOptions, Objects};
use super::url::{Place, Scheme};
#[cfg(not(feature = "object-store"))]
use crate::error::Error;
use crate::services::seams::{FileHandle, FileInfo, FileSystem, NewFile, OpenedFile, SystemFiles};

/// The files of this machine, and objects where a path is a URL.
///
/// Without the feature `object-store`, URLs of objects are [`Error::Unsupported`](crate::Error::Unsupported), and the error names it.
pub struct Files {
    system: Arc<dyn FileSystem>,
    #[cfg(feature = "object-store")]
    objects: Objects,
}

impl Default for Files {
    fn default() -> Self {
        Self::on(Arc::new(SystemFiles))
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

impl Files {
    /// Paths are those of `system`; objects are reached as the environment says.
    pub fn on(system: Arc<dyn FileSystem>) -> Self {
        Self {
            system,
            #[cfg(feature = "object-store")]
            objects: Objects::default(),
        }
    }

    /// Objects are reached as these say, over what the environment does.
    #[cfg(feature = "object-store")]
    pub fn with_objects(mut self, options: ObjectOptions) -> Self {
        self.objects = Objects::new(options);
        self
    }

    /// Runs `file` or `object`, whichever `path` is.
    #[cfg(feature = "object-store")]
    fn at<T>(
        &self,
        path: &Path,
        file: impl FnOnce(&Path) -> io::Result<T>,
        object: impl FnOnce(&Objects, Scheme, &str, &str) -> io::Result<T>,
    ) -> io::Result<T> {
        match Place::of(path)? {
            Place::File(path) => file(&path),
            Place::Object { scheme, root, key } => object(&self.objects, scheme, &root, &key),
        }
    }

    /// Runs `file`, unless `path` is an object.
    #[cfg(not(feature = "object-store"))]
    fn at<T>(
        &self,
        path: &Path,
        file: impl FnOnce(&Path) -> io::Result<T>,
        _: impl FnOnce(&Absent, Scheme, &str, &str) -> io::Result<T>,
    ) -> io::Result<T> {
        match Place::of(path)? {
            Place::File(path) => file(&path),
            Place::Object { .. } => Err(io::Error::other(Error::Unsupported {
                what: "place of a file",
                value: path.display().to_string(),
                hint: Some("objects need a build with the feature object-store".into()),
            })),
        }
    }
}

/// What stands for objects where there are none: its functions are never called.
#[cfg(not(feature = "object-store"))]
enum Absent {}

#[cfg(not(feature = "object-store"))]
#[rustfmt::skip]
impl Absent {
    fn read(&self, _: Scheme, _: &str, _: &str, _: u64) -> io::Result<Vec<u8>> { match *self {} }
    fn info(&self, _: Scheme, _: &str, _: &str) -> io::Result<FileInfo> { match *self {} }
    fn list(&self, _: Scheme, _: &str, _: &str) -> io::Result<Vec<PathBuf>> { match *self {} }
    fn replace(&self, _: Scheme, _: &str, _: &str, _: &[u8]) -> io::Result<()> { match *self {} }
    fn open(&self, _: Scheme, _: &str, _: &str) -> io::Result<OpenedFile> { match *self {} }
    fn create(&self, _: Scheme, _: &str, _: &str, _: Box<dyn FileHandle>) -> io::Result<Box<dyn NewFile>> { match *self {} }
    fn remove(&self, _: Scheme, _: &str, _: &str) -> io::Result<()> { match *self {} }
}

impl FileSystem for Files {
    fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        self.at(
            path,
            |path| self.system.read(path, max_bytes),
            |o, scheme, root, key| o.read(scheme, root, key, max_bytes),
        )
    }
    fn info(&self, path: &Path) -> io::Result<FileInfo> {
        self.at(path, |path| self.system.info(path), |o, scheme, root, key| o.info(scheme, root, key))
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.at(folder, |path| self.system.list(path), |o, scheme, root, key| o.list(scheme, root, key))
    }
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.at(
            path,
            |path| self.system.replace(path, bytes),
            |o, scheme, root, key| o.replace(scheme, root, key, bytes),
        )
    }
    fn open(&self, path: &Path) -> io::Result<OpenedFile> {
        self.at(path, |path| self.system.open(path), |o, scheme, root, key| o.open(scheme, root, key))
    }
    /// An object is written to a temporary file of this machine first: encoders go back, and what is published has been verified.
    fn create(&self, target: &Path) -> io::Result<Box<dyn NewFile>> {
        self.at(
            target,
            |path| self.system.create(path),
            |o, scheme, root, key| o.create(scheme, root, key, self.system.temporary(None)?),
        )
    }
    fn temporary(&self, folder: Option<&Path>) -> io::Result<Box<dyn FileHandle>> {
        self.system.temporary(folder)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.at(path, |path| self.system.remove(path), |o, scheme, root, key| o.remove(scheme, root, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_urls_are_paths() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b");
        let url = PathBuf::from(format!("file://{}", path.display()));
        Files::default().replace(&url, b"123").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"123");
        assert_eq!(Files::default().info(&url).unwrap().len, 3);
    }

    #[cfg(not(feature = "object-store"))]
    #[test]
    fn without_the_feature_an_object_is_refused_by_its_name() {
        let path = Path::new("s3://bucket/key.wav");
        for refused in [
            Files::default().info(path).map(drop),
            Files::default().open(path).map(drop),
            Files::default().create(path).map(drop),
        ] {
            let error = Error::io("open", Some(path), refused.unwrap_err());
            assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
            assert!(error.to_string().contains("object-store"), "{error}");
        }
    }
}
