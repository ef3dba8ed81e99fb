//! Results that an engine has made before, and how it finds them again.
//!
//! The input is read once for its hash before anything else. What a recipe says goes into the key with every default written out, without
//! paths: not of the input, whose content counts; not of outputs, of which only format and extension count. A file that changes while it
//! is read is noticed by its length, time and number, and what was made of it is not kept. Recipes whose filters read other files
//! are not cached.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Engine;
use super::run_events::RunEvents;
use crate::audio::Buffer;
use crate::cache::pack::{pack, unpack};
use crate::cache::{Cache, CacheKey, Found, Kind};
use crate::error::{Error, Result};
use crate::filters::assets::AssetLoader;
use crate::formats::{Limits, ReadOptions, Source};
use crate::processing::{Control, PendingFile, Progress, Recipe, Report, Stage, publish_all, refuse_input_as_output};
use crate::services::seams::{FileHandle, FileInfo, FileSystem, NewFile, OpenedFile};
use crate::sync::{Mutex, lock};

/// Bytes that are hashed between two looks at the cancel token.
const HASH_BLOCK: usize = 1 << 18;

/// What an input holds.
struct Content {
    hash: [u8; 32],
    /// Of a file: what it was when it was hashed.
    file: Option<(PathBuf, FileInfo)>,
}

/// What is kept of a run, beside the outputs.
#[derive(Serialize, Deserialize)]
struct KeptRun {
    report: Report,
    /// BLAKE3 of each output: its name in the cache.
    outputs: Vec<[u8; 32]>,
}

impl Engine {
    /// The result of `make`, or the one that an earlier call has kept. `operation` is all that it depends on beside the input and `read`.
    pub(super) fn remembered<T: Serialize + DeserializeOwned>(
        &self,
        kind: Kind,
        source: Source,
        read: &ReadOptions,
        operation: &impl Serialize,
        control: &Control,
        make: impl FnOnce(Source) -> Result<T>,
    ) -> Result<T> {
        let Some(cache) = &self.cache else { return make(source) };
        let (source, content) = self.content(source, read, control)?;
        let Some(content) = content else { return make(source) };
        let operation = json!({ "kind": format!("{kind:?}"), "read": to_json(read)?, "with": to_json(operation)? });
        let key = CacheKey::new(&content.hash, &operation, cache.namespace(), control.tenant.as_deref());
        let mut work = Some((make, source));
        let mut made = None;
        let found = cache.get_or_make(kind, &key, &control.cancel, || {
            let Some((make, source)) = work.take() else { return Err(Error::internal("made twice")) };
            let result = make(source)?;
            let bytes = if self.is_unchanged(&content) { exact(&result)? } else { None };
            made = Some(result);
            Ok(bytes)
        })?;
        match (found, made, work) {
            (Found::Made(_), Some(result), _) => Ok(result),
            (Found::Cached(bytes), _, Some((make, source))) => match from_bytes(&bytes) {
                Some(result) => {
                    tell_done(control, Stage::Analyse);
                    Ok(result)
                }
                // Written by a build with other types: the version is the same, the shape is not.
                None => make(source),
            },
            _ => Err(Error::internal("neither made nor found")),
        }
    }

    /// As [`Engine::run`], or its outputs and report from the cache.
    pub(super) fn run_remembered(
        &self,
        files: &Arc<dyn FileSystem>,
        source: Source,
        recipe: &Recipe,
        control: &Control,
        events: &RunEvents<'_>,
    ) -> Result<Report> {
        let cache = self.cache.as_ref().filter(|_| !recipe.outputs.is_empty() && !reads_other_files(recipe));
        let Some(cache) = cache else { return self.run(files, source, recipe, control, events) };
        let read = self.read_options(&recipe.read);
        let (source, content) = self.content(source, &read, control)?;
        let Some(content) = content else { return self.run(files, source, recipe, control, events) };
        let key = CacheKey::new(&content.hash, &graph(recipe, &read)?, cache.namespace(), control.tenant.as_deref());
        let mut work = Some(source);
        let mut made = None;
        let found = cache.get_or_make(Kind::Report, &key, &control.cancel, || {
            let Some(source) = work.take() else { return Err(Error::internal("made twice")) };
            let keeping = Arc::new(KeepingFiles {
                files: Arc::clone(files),
                cache: cache.clone(),
                tenant: control.tenant.clone(),
                kept: Arc::default(),
            });
            let through: Arc<dyn FileSystem> = Arc::<KeepingFiles>::clone(&keeping);
            let report = self.run(&through, source, recipe, control, events)?;
            let outputs: Option<Vec<[u8; 32]>> = report.outputs.iter().map(|o| keeping.hash_of(&o.path)).collect();
            let kept = outputs.filter(|_| self.is_unchanged(&content)).map(|outputs| {
                // Told to others as what it will be for them.
                KeptRun { report: Report { from_cache: true, ..report.clone() }, outputs }
            });
            made = Some(report);
            kept.map_or(Ok(None), |run| exact(&run))
        })?;
        match (found, made, work) {
            (Found::Made(_), Some(report), _) => Ok(report),
            (Found::Cached(bytes), _, Some(source)) => {
                let run = from_bytes::<KeptRun>(&bytes).filter(|run| run.outputs.len() == recipe.outputs.len());
                let report =
                    run.map_or(Ok(None), |run| self.publish_kept(files, cache, run, recipe, control, events))?;
                match report {
                    Some(report) => Ok(report),
                    // An output is not kept any more.
                    None => self.run(files, source, recipe, control, events),
                }
            }
            _ => Err(Error::internal("neither made nor found")),
        }
    }

    /// Writes the outputs of a kept run to where `recipe` wants them. None when one of them is not there any more; then nothing is left.
    fn publish_kept(
        &self,
        files: &Arc<dyn FileSystem>,
        cache: &Cache,
        run: KeptRun,
        recipe: &Recipe,
        control: &Control,
        events: &RunEvents<'_>,
    ) -> Result<Option<Report>> {
        let KeptRun { mut report, outputs } = run;
        let mut pending = Vec::new();
        for (output, hash) in recipe.outputs.iter().zip(&outputs) {
            control.cancel.check()?;
            refuse_input_as_output(&recipe.input, &output.path)?;
            let file = PendingFile::create(&**files, &output.path, recipe.overwrite)?;
            let mut handle = file.handle()?;
            let key = output_key(hash, cache, control.tenant.as_deref());
            let copied = cache.copy_to(Kind::Output, &key, &mut handle);
            if !copied.map_err(|e| Error::io("write", Some(&output.path), e))? {
                return Ok(None);
            }
            pending.push(file);
        }
        let duration = report.input.duration.map(|d| report.input.spec.seconds(d.frames));
        events.started(duration);
        control.cancel.check()?;
        events.stage(Stage::Publish, 1.0);
        publish_all(&**files, pending, recipe.overwrite)?;
        for (told, output) in report.outputs.iter_mut().zip(&recipe.outputs) {
            let before = std::mem::replace(&mut told.path, output.path.clone());
            let step = |path: &Path| format!("encode {} to {}", told.encoder.settings.name(), path.display());
            let (old, new) = (step(&before), step(&output.path));
            report.steps.iter_mut().filter(|s| s.what == old).for_each(|s| s.what.clone_from(&new));
        }
        report.preset.clone_from(&recipe.preset);
        tell_done(control, Stage::Publish);
        Ok(Some(report))
    }

    /// Hashes an input. What cannot be read twice comes back in a form that can. Without a hash when the input had better be opened in the
    /// usual way, which then tells what is wrong with it.
    fn content(&self, source: Source, read: &ReadOptions, control: &Control) -> Result<(Source, Option<Content>)> {
        let mut media = match source {
            Source::Path(path) => {
                let file = self.hash_file(&path, &read.limits, control)?;
                let content = file.map(|(hash, info)| Content { hash, file: Some((path.clone(), info)) });
                return Ok((Source::Path(path), content));
            }
            Source::Bytes(bytes) => {
                let hash = *blake3::hash(&bytes).as_bytes();
                return Ok((Source::Bytes(bytes), Some(Content { hash, file: None })));
            }
            Source::Seekable(media) => media,
            stream @ Source::Stream(_) => stream.open_on(&read.limits, &*self.files, self.temp_dir.as_deref())?.media,
        };
        let fail = |e| Error::io("read input", None, e);
        media.seek(SeekFrom::Start(0)).map_err(fail)?;
        let hash = hash_all(&mut media, control)?.map_err(fail)?;
        media.seek(SeekFrom::Start(0)).map_err(fail)?;
        Ok((Source::Seekable(media), Some(Content { hash, file: None })))
    }

    fn hash_file(&self, path: &Path, limits: &Limits, control: &Control) -> Result<Option<([u8; 32], FileInfo)>> {
        let Ok(info) = self.files.info(path) else { return Ok(None) };
        if info.folder || info.len == 0 || info.len > limits.max_bytes() {
            return Ok(None);
        }
        let Some(mut opened) = self.files.open(path).ok().filter(|opened| opened.seekable) else { return Ok(None) };
        Ok(hash_all(&mut opened.file, control)?.ok().map(|hash| (hash, info)))
    }

    /// Whether a file still is what it was when it was hashed.
    fn is_unchanged(&self, content: &Content) -> bool {
        content.file.as_ref().is_none_or(|(path, info)| self.files.info(path).is_ok_and(|now| now == *info))
    }
}

/// The BLAKE3 of everything that a reader gives. The outer error is that of cancelling.
fn hash_all(reader: &mut dyn Read, control: &Control) -> Result<io::Result<[u8; 32]>> {
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; HASH_BLOCK];
    loop {
        control.cancel.check()?;
        match reader.read(&mut block) {
            Ok(0) => return Ok(Ok(hasher.finalize().into())),
            Ok(count) => drop(hasher.update(&block[..count])),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Ok(Err(e)),
        }
    }
}

/// All of a recipe that decides what its outputs hold.
fn graph(recipe: &Recipe, read: &ReadOptions) -> Result<Value> {
    let mut graph = to_json(recipe)?;
    let mut outputs = Vec::new();
    for output in &recipe.outputs {
        let extension = output.path.extension().map(|e| e.to_string_lossy().to_lowercase());
        outputs.push(json!({ "format": to_json(&output.format(&recipe.format_defaults)?)?, "extension": extension }));
    }
    if let Some(fields) = graph.as_object_mut() {
        for place in ["input", "format_defaults", "overwrite"] {
            fields.shift_remove(place);
        }
        fields.insert("outputs".into(), outputs.into());
        fields.insert("read".into(), to_json(read)?);
        fields.insert("kind".into(), "process".into());
    }
    Ok(graph)
}

/// Whether filters name recordings of their own: the key knows nothing of what is in those.
fn reads_other_files(recipe: &Recipe) -> bool {
    struct Asked(bool);
    impl AssetLoader for Asked {
        fn load(&mut self, _: &str) -> Result<Buffer> {
            self.0 = true;
            Err(Error::Cancelled)
        }
    }
    let mut asked = Asked(false);
    // It stops at the first one, which is enough to know.
    let done = recipe.filters.clone().iter_mut().try_for_each(|filter| filter.load_assets(&mut asked));
    asked.0 || done.is_err()
}

/// The key of an output: its content, so that equal outputs are kept once.
fn output_key(hash: &[u8; 32], cache: &Cache, tenant: Option<&str>) -> CacheKey {
    CacheKey::new(hash, &json!("output"), cache.namespace(), tenant)
}

fn to_json(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::internal(e.to_string()))
}

/// A result as bytes that give it back; none when they would not.
fn exact<T: Serialize + DeserializeOwned>(result: &T) -> Result<Option<Vec<u8>>> {
    let value = to_json(result)?;
    let bytes = pack(&value);
    let again = from_bytes::<T>(&bytes).map(|again| to_json(&again)).transpose()?;
    Ok((again == Some(value)).then_some(bytes))
}

fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_value(unpack(bytes)?).ok()
}

/// A job that took no time is done, too.
fn tell_done(control: &Control, stage: Stage) {
    if let Some(progress) = &control.progress {
        progress(&Progress { stage, fraction: 1.0, speed: 0.0, eta_s: Some(0.0) });
    }
}

/// Files that keep what is published, just before it is.
struct KeepingFiles {
    files: Arc<dyn FileSystem>,
    cache: Cache,
    tenant: Option<Arc<str>>,
    kept: Kept,
}

/// Path and BLAKE3 of what was kept.
type Kept = Arc<Mutex<Vec<(PathBuf, [u8; 32])>>>;

impl KeepingFiles {
    fn hash_of(&self, path: &Path) -> Option<[u8; 32]> {
        lock(&self.kept).iter().find(|(kept, _)| kept == path).map(|(_, hash)| *hash)
    }
}

struct KeepingFile {
    path: PathBuf,
    file: Box<dyn NewFile>,
    cache: Cache,
    tenant: Option<Arc<str>>,
    kept: Kept,
}

impl KeepingFile {
    /// The hash under which it is kept; none when it is not.
    fn keep(&self) -> io::Result<Option<[u8; 32]>> {
        let mut file = self.file.handle()?;
        let length = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        let Ok(hash) = hash_all(&mut file, &Control::default()) else { return Ok(None) };
        let hash = hash?;
        file.rewind()?;
        let key = output_key(&hash, &self.cache, self.tenant.as_deref());
        Ok(self.cache.put_from(Kind::Output, &key, length, &mut file).then_some(hash))
    }
}

impl NewFile for KeepingFile {
    fn handle(&self) -> io::Result<Box<dyn FileHandle>> {
        self.file.handle()
    }

    fn publish(self: Box<Self>, replace: bool) -> io::Result<bool> {
        match self.keep() {
            Ok(Some(hash)) => lock(&self.kept).push((self.path.clone(), hash)),
            Ok(None) => {}
            // The output itself may still be well.
            Err(error) => tracing::warn!(%error, "an output could not be kept"),
        }
        self.file.publish(replace)
    }
}

impl FileSystem for KeepingFiles {
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
        Ok(Box::new(KeepingFile {
            path: target.to_path_buf(),
            file: self.files.create(target)?,
            cache: self.cache.clone(),
            tenant: self.tenant.clone(),
            kept: Arc::clone(&self.kept),
        }))
    }

    fn temporary(&self, folder: Option<&Path>) -> io::Result<Box<dyn FileHandle>> {
        self.files.temporary(folder)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }
}
