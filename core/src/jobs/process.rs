//! Jobs of the kind `process`: a recipe, run on an engine.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::failure::JobError;
use super::job::{Job, Published};
use super::worker::{JobHandler, JobRun};
use crate::Engine;
use crate::error::{Error, Result};
use crate::formats::Source;
use crate::processing::{Control, Recipe};
use crate::services::seams::{FileHandle, FileInfo, FileSystem, NewFile, OpenedFile};

/// The kind of jobs that [`ProcessHandler`] does.
pub const PROCESS: &str = "process";

/// Runs recipes. The payload is what [`Engine::recipe`] takes.
///
/// Before an output gets its name, its digest is noted with the job; only the worker that has the job may do so. So one that comes
/// back too late publishes nothing, and one that takes over where another one vanished finds outputs that are there already, and
/// leaves them alone.
pub struct ProcessHandler {
    engine: Arc<Engine>,
}

impl ProcessHandler {
    /// Runs on this engine.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    fn process(&self, job: &Job, run: &JobRun) -> Result<Value> {
        let recipe = self.engine.recipe(&job.spec.payload)?;
        let outputs: Vec<&Path> = recipe.outputs.iter().map(|o| o.path.as_path()).collect();
        if outputs.is_empty() {
            return Err(Error::InvalidValue {
                name: "outputs".into(),
                value: "none".into(),
                allowed: "at least one: the job would leave nothing behind".into(),
            });
        }
        let files = self.engine.file_system();
        if self.is_published(&recipe, job, &**files, run)? {
            return Ok(json!({ "skipped": true, "outputs": job.status.published }));
        }
        let gate = Arc::new(Gate { files: Arc::clone(files), run: run.clone(), noted: Vec::new() });
        let listener = run.clone();
        let control = Control {
            cancel: run.cancel().clone(),
            progress: Some(Arc::new(move |p| listener.progress(p.fraction))),
            tenant: job.spec.tenant.as_deref().map(Arc::from),
        };
        let gate: Arc<dyn FileSystem> = gate;
        let source = Source::from(recipe.input.as_path());
        let report = self.engine.process_on(&gate, source, &recipe, &outputs, &control)?;
        Ok(json!({
            "skipped": false,
            "met": report.all_met(),
            "preset": report.preset,
            "outputs": outputs.iter().map(|path| json!({ "path": path })).collect::<Vec<_>>(),
        }))
    }

    /// True when an earlier try noted every output, and every one is there as it was noted.
    fn is_published(&self, recipe: &Recipe, job: &Job, files: &dyn FileSystem, run: &JobRun) -> Result<bool> {
        for output in &recipe.outputs {
            let path = name(&output.path)?;
            let Some(noted) = job.status.published.iter().find(|p| p.path == path) else { return Ok(false) };
            let there = files.info(&output.path).is_ok_and(|info| !info.folder && info.len == noted.bytes);
            if !there {
                return Ok(false);
            }
            let opened = files.open(&output.path).map_err(|e| Error::io("read", Some(&output.path), e))?;
            let (bytes, blake3) = digest(opened.file, run).map_err(|e| Error::io("read", Some(&output.path), e))?;
            if (bytes, &blake3) != (noted.bytes, &noted.blake3) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl JobHandler for ProcessHandler {
    fn run(&self, job: &Job, run: &JobRun) -> Result<Value, JobError> {
        Ok(self.process(job, run)?)
    }
}

impl std::fmt::Debug for ProcessHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessHandler").finish_non_exhaustive()
    }
}

/// A path as it is noted.
fn name(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| Error::InvalidValue {
        name: "output".into(),
        value: path.display().to_string(),
        allowed: "a path in UTF-8".into(),
    })
}

/// Length and BLAKE3 of a file from where it stands.
fn digest(mut file: Box<dyn FileHandle>, run: &JobRun) -> io::Result<(u64, String)> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        run.cancel().check().map_err(io::Error::other)?;
        match file.read(&mut buffer)? {
            0 => return Ok((bytes, hasher.finalize().to_hex().to_string())),
            n => {
                hasher.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
}

/// `files` with a gate before the names of outputs: each is noted with the job before it gets its name, which only the worker that has the
/// job may do. What an earlier try noted, and what is there as noted, is left alone when it is made again.
pub(crate) fn publishing(files: &Arc<dyn FileSystem>, run: &JobRun, noted: &[Published]) -> Arc<dyn FileSystem> {
    Arc::new(Gate { files: Arc::clone(files), run: run.clone(), noted: noted.to_vec() })
}

/// True when an earlier try noted this file, and it is there as noted.
pub(crate) fn is_as_noted(path: &Path, noted: &[Published], files: &dyn FileSystem, run: &JobRun) -> io::Result<bool> {
    let own = name(path).map_err(io::Error::other)?;
    let Some(noted) = noted.iter().find(|file| file.path == own) else { return Ok(false) };
    if !files.info(path).is_ok_and(|info| !info.folder && info.len == noted.bytes) {
        return Ok(false);
    }
    Ok(digest(files.open(path)?.file, run)? == (noted.bytes, noted.blake3.clone()))
}

/// The files of the engine, with a gate before the names of outputs.
struct Gate {
    files: Arc<dyn FileSystem>,
    run: JobRun,
    /// Files that an earlier try noted, and that are left alone when they are there.
    noted: Vec<Published>,
}

impl FileSystem for Gate {
    fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        self.files.read(path, max_bytes)
    }
    fn info(&self, path: &Path) -> io::Result<FileInfo> {
        self.files.info(path)
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
        let file = self.files.create(target)?;
        let (run, noted, files) = (self.run.clone(), self.noted.clone(), Arc::clone(&self.files));
        Ok(Box::new(Gated { file, target: target.to_path_buf(), run, noted, files }))
    }
    fn temporary(&self, folder: Option<&Path>) -> io::Result<Box<dyn FileHandle>> {
        self.files.temporary(folder)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }
}

/// An output that asks before it takes its name.
struct Gated {
    file: Box<dyn NewFile>,
    target: PathBuf,
    run: JobRun,
    noted: Vec<Published>,
    files: Arc<dyn FileSystem>,
}

impl NewFile for Gated {
    fn handle(&self) -> io::Result<Box<dyn FileHandle>> {
        self.file.handle()
    }

    fn publish(self: Box<Self>, replace: bool) -> io::Result<bool> {
        // So early, because the next job is asked for at the store while this file goes to the disk.
        self.run.leave_slot();
        let mut handle = self.file.handle()?;
        // What is noted has to be on disk before the note is.
        handle.sync()?;
        handle.seek(SeekFrom::Start(0))?;
        let (bytes, blake3) = digest(handle, &self.run)?;
        let path = name(&self.target).map_err(io::Error::other)?;
        if self.noted.iter().any(|file| (&file.path, file.bytes, &file.blake3) == (&path, bytes, &blake3))
            && is_as_noted(&self.target, &self.noted, &*self.files, &self.run)?
        {
            return Ok(false);
        }
        self.run.publish(&Published { path, bytes, blake3 }).map_err(io::Error::other)?;
        self.file.publish(replace)
    }
}
