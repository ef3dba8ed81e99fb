//! Recipes whose outputs stay in memory.

use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Engine;
use crate::error::{Error, Result};
use crate::formats::Source;
use crate::processing::{Control, Recipe, Report};
use crate::services::seams::{FileHandle, FileInfo, FileSystem, NewFile, OpenedFile};
use crate::sync::{Mutex, lock};

impl Engine {
    /// As [`Engine::process_source`], but the outputs come back as bytes, in order. They have no path; their format is stated
    /// (`outputs: [{format: {format: "opus"}}]`). While they are made they are temporary files without a name.
    ///
    /// # Errors
    /// As [`Engine::process`]; [`Error::InvalidValue`] for an output with a path or without a format.
    pub fn process_to_memory(
        &self,
        source: Source,
        recipe: &Recipe,
        control: &Control,
    ) -> Result<(Report, Vec<Vec<u8>>)> {
        let mut named = recipe.clone();
        for (index, output) in named.outputs.iter_mut().enumerate() {
            let wrong = |field: &str, value: String, allowed: &str| Error::InvalidValue {
                name: format!("outputs[{index}].{field}"),
                value,
                allowed: allowed.into(),
            };
            if !output.path.as_os_str().is_empty() {
                return Err(wrong("path", output.path.display().to_string(), "none: the output stays in memory"));
            }
            let Some(format) = &output.format else {
                return Err(wrong("format", "none".into(), "a format: without a path nothing else tells it"));
            };
            // Only for messages, and to tell them apart.
            output.path = format!("output {index} in memory.{}", format.extension()).into();
        }
        let kept = Arc::new(KeptFiles {
            files: Arc::clone(&self.files),
            temp_dir: self.temp_dir.clone(),
            published: Arc::default(),
        });
        let files: Arc<dyn FileSystem> = Arc::<KeptFiles>::clone(&kept);
        let mut report = self.process_on(&files, source, &named, &[], control)?;
        let mut published = std::mem::take(&mut *lock(&kept.published));
        let mut bytes = Vec::with_capacity(named.outputs.len());
        for told in &mut report.outputs {
            let index = published.iter().position(|(name, _)| *name == told.path);
            let index = index.ok_or_else(|| Error::internal("an output in memory is missing"))?;
            let (_, mut file) = published.swap_remove(index);
            let mut content = Vec::new();
            file.rewind()
                .and_then(|()| file.read_to_end(&mut content))
                .map_err(|e| Error::io("read temporary file", None, e))?;
            bytes.push(content);
            told.path = PathBuf::new();
        }
        Ok((report, bytes))
    }
}

/// Handles of files that were published, by their names.
type Published = Arc<Mutex<Vec<(PathBuf, Box<dyn FileHandle>)>>>;

/// The files of an engine, but new ones are temporary and kept open instead of getting their names.
struct KeptFiles {
    files: Arc<dyn FileSystem>,
    temp_dir: Option<PathBuf>,
    published: Published,
}

struct KeptFile {
    name: PathBuf,
    file: Box<dyn FileHandle>,
    published: Published,
}

impl NewFile for KeptFile {
    fn handle(&self) -> io::Result<Box<dyn FileHandle>> {
        self.file.duplicate()
    }

    fn publish(self: Box<Self>, _replace: bool) -> io::Result<bool> {
        lock(&self.published).push((self.name, self.file));
        Ok(true)
    }
}

impl FileSystem for KeptFiles {
    fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        self.files.read(path, max_bytes)
    }

    /// Asked for outputs only, of which none is there.
    fn info(&self, _path: &Path) -> io::Result<FileInfo> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.files.list(folder)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.files.replace(path, bytes)
    }

    fn open(&self, path: &Path) -> io::Result<OpenedFile> {
        self.files.open(path)
    }

    fn create(&self, target: &Path) -> io::Result<Box<dyn NewFile>> {
        let file = self.files.temporary(self.temp_dir.as_deref())?;
        Ok(Box::new(KeptFile { name: target.to_path_buf(), file, published: Arc::clone(&self.published) }))
    }

    fn temporary(&self, folder: Option<&Path>) -> io::Result<Box<dyn FileHandle>> {
        self.files.temporary(folder)
    }

    /// Of what was published before another output failed.
    fn remove(&self, path: &Path) -> io::Result<()> {
        lock(&self.published).retain(|(name, _)| name != path);
        Ok(())
    }
}
