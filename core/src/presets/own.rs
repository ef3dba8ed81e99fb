//! The presets that the user makes: a folder with one file each, `name.yaml`, and what they were before in `versions/name@version.yaml`.
//!
//! Files are kept as they were written, with their comments, and appear whole or not at all. Two programs that make the same new name at the
//! same time: one of them gets [`Error::Conflict`].

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::resolve::{read_document, resolve};
use super::{MAX_PRESET_BYTES, Own, Preset, PresetStore, validate};
use crate::error::{Error, Problem, Result};
use crate::services::seams::FileSystem;
use crate::sync::unpoisoned;

/// Folder of the versions that were replaced.
const VERSIONS: &str = "versions";

/// Where the presets of a user are kept.
pub(super) struct OwnFolder {
    dir: PathBuf,
    files: Arc<dyn FileSystem>,
}

impl std::fmt::Debug for OwnFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnFolder").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// The files of presets in a folder, sorted.
pub(super) fn preset_files(dir: &Path, files: &dyn FileSystem) -> io::Result<Vec<PathBuf>> {
    let mut paths = files.list(dir)?;
    paths.retain(|p| p.extension().is_some_and(|e| e == "yaml" || e == "yml"));
    paths.sort();
    Ok(paths)
}

/// The text of a file.
pub(super) fn read_text(path: &Path, files: &dyn FileSystem) -> Result<String> {
    let bytes = files.read(path, MAX_PRESET_BYTES).map_err(|e| Error::io("read", Some(path), e))?;
    String::from_utf8(bytes).map_err(|e| Error::InvalidValue {
        name: path.display().to_string(),
        value: e.utf8_error().to_string(),
        allowed: "text in UTF-8".into(),
    })
}

impl OwnFolder {
    pub fn new(dir: PathBuf, files: Arc<dyn FileSystem>) -> Self {
        Self { dir, files }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.yaml"))
    }

    fn version_file(&self, name: &str, version: u32) -> PathBuf {
        self.dir.join(VERSIONS).join(format!("{name}@{version}.yaml"))
    }

    /// All files with the keys that their names give them. A folder that is not there is empty.
    fn paths(&self) -> Result<Vec<(String, PathBuf)>> {
        let mut all = Vec::new();
        for dir in [self.dir.clone(), self.dir.join(VERSIONS)] {
            match preset_files(&dir, &*self.files) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io("read presets from", Some(&dir), e)),
                Ok(paths) => all.extend(paths.into_iter().filter_map(|path| {
                    let key = path.file_stem()?.to_str()?.to_owned();
                    Some((key, path))
                })),
            }
        }
        Ok(all)
    }

    /// Writes a file whole. Without `replace`, [`Error::Conflict`] when it is there.
    fn write(&self, path: &Path, text: &str, replace: bool) -> Result<()> {
        let dir = path.parent().unwrap_or(&self.dir);
        let fail = |e: io::Error| match e.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::Conflict { what: format!("{} exists: somebody else has just made it", path.display()) }
            }
            _ => Error::io("write", Some(path), e),
        };
        if self.files.info(dir).is_err() {
            std::fs::create_dir_all(dir).map_err(|e| Error::io("create folder", Some(dir), e))?;
        }
        let file = self.files.create(path).map_err(fail)?;
        file.handle().and_then(|mut handle| handle.write_all(text.as_bytes())).map_err(fail)?;
        file.publish(replace).map(drop).map_err(fail)
    }
}

impl PresetStore {
    /// Reads the presets of the user.
    pub(super) fn read_own(&self, folder: &OwnFolder) -> Result<Own> {
        let mut own = Own::default();
        let mut places = BTreeMap::new();
        for (key, path) in folder.paths()? {
            let place = path.display().to_string();
            let read = read_text(&path, &*folder.files).and_then(|text| read_document(&place, &text));
            match read {
                Ok((name, _)) if key.split('@').next() != Some(&name) => {
                    own.problem(&place, format!("is called '{name}', the name of its file must be the same"));
                }
                Ok((name, _)) if self.base.contains_key(&name) => {
                    own.problem(&place, format!("'{name}' is the name of another preset that is not yours"));
                }
                Ok((_, document)) => {
                    places.insert(key.clone(), place);
                    own.documents.insert(key, document);
                }
                Err(error) => own.problem(&place, error.to_string()),
            }
        }
        self.resolve_own(&mut own, &places)?;
        Ok(own)
    }

    /// Fills in what is inherited. What cannot be is a problem at `places`.
    fn resolve_own(&self, own: &mut Own, places: &BTreeMap<String, String>) -> Result<()> {
        let raw = self.all_documents(&own.documents)?;
        own.presets.clear();
        for key in own.documents.keys().cloned().collect::<Vec<_>>() {
            match resolve(&raw, &key) {
                Ok(preset) => drop(own.presets.insert(key, preset)),
                Err(error) => own.problem(places.get(&key).map_or("", String::as_str), error.to_string()),
            }
        }
        Ok(())
    }

    /// Documents of the user beside all others.
    fn all_documents(&self, own: &BTreeMap<String, Value>) -> Result<BTreeMap<String, Value>> {
        let mut raw = self.frozen_base()?;
        raw.extend(own.iter().map(|(key, document)| (key.clone(), document.clone())));
        Ok(raw)
    }

    /// Checks a preset in YAML or JSON as [`PresetStore::create`] does, and keeps nothing. It comes back with all that it inherits.
    ///
    /// # Errors
    /// [`Error::Invalid`] with all that is wrong; those of [`PresetStore::load_dir`]; [`Error::Conflict`] for a name of the library or of the host.
    pub fn validate(&self, text: &str) -> Result<Preset> {
        let own = unpoisoned(self.own.read()).documents.clone();
        Ok(self.checked(text, own)?.1)
    }

    /// A document, the preset that it makes, and the documents of the user with it.
    fn checked(
        &self,
        text: &str,
        mut own: BTreeMap<String, Value>,
    ) -> Result<(Value, Preset, BTreeMap<String, Value>)> {
        if text.len() as u64 > MAX_PRESET_BYTES {
            return Err(Error::LimitExceeded {
                limit: "preset_bytes",
                value: text.len() as f64,
                max: MAX_PRESET_BYTES as f64,
            });
        }
        let (name, document) = read_document("preset", text)?;
        if self.base.contains_key(&name) {
            return Err(Error::Conflict {
                what: format!("'{name}' is the name of a preset that is not yours to change"),
            });
        }
        own.insert(name.clone(), document.clone());
        let preset = resolve(&self.all_documents(&own)?, &name)?;
        validate::check(&preset, &document)?;
        Ok((document, preset, own))
    }

    /// Makes a preset from YAML or JSON and keeps it in the folder of the user ([`PresetStore::keep_in`]); it can be used at once. With
    /// `replace` it may take the place of an older one, whose version must be lower; that stays as `name@version`. The same content again
    /// changes nothing.
    ///
    /// # Errors
    /// As [`PresetStore::validate`]; [`Error::Conflict`] when the name is taken and `replace` is false, or the version not higher;
    /// [`Error::InvalidValue`] without a folder; [`Error::Io`].
    pub fn create(&self, text: &str, replace: bool) -> Result<Preset> {
        let folder = self.folder()?;
        let mut own = unpoisoned(self.own.write());
        let (document, preset, documents) = self.checked(text, own.documents.clone())?;
        let (name, path) = (&preset.name, folder.file(&preset.name));
        let before = own.documents.get(name);
        if before == Some(&document) {
            return Ok(preset);
        }
        let mut next = Own { documents, ..Own::default() };
        if before.is_some() {
            let version = own.presets.get(name).map_or(0, |p| p.version);
            if !replace {
                return Err(Error::Conflict { what: format!("preset '{name}' exists in version {version}") });
            }
            if preset.version <= version {
                let what =
                    format!("preset '{name}' is version {version} already, what replaces it must have a higher one");
                return Err(Error::Conflict { what });
            }
            let old = read_text(&path, &*folder.files)?;
            folder.write(&folder.version_file(name, version), &old, true)?;
            next.documents.extend(before.map(|document| (format!("{name}@{version}"), document.clone())));
        }
        self.resolve_own(&mut next, &BTreeMap::new())?;
        // A child of the old one may not fit the new one.
        if let Some(problem) = next.problems.iter().find(|p| !own.problems.contains(p)) {
            return Err(Error::Conflict {
                what: format!("another preset inherits from '{name}': {}", problem.message),
            });
        }
        folder.write(&path, text, before.is_some())?;
        next.problems = own.problems.clone();
        *own = next;
        Ok(preset)
    }

    /// Removes a preset that the user made, with its older versions.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; [`Error::Conflict`] for one that is not the user's, and for one that others inherit from; [`Error::Io`].
    pub fn remove(&self, name: &str) -> Result<()> {
        let folder = self.folder()?;
        let mut own = unpoisoned(self.own.write());
        if self.base.contains_key(name) {
            return Err(Error::Conflict { what: format!("preset '{name}' is not yours to remove") });
        }
        if !own.documents.contains_key(name) || name.contains('@') {
            let known = own.documents.keys().filter(|key| !key.contains('@'));
            return Err(Error::unknown_name("preset", name, known.map(String::as_str)));
        }
        let is_it = |key: &str| key.split('@').next() == Some(name);
        let child = own
            .documents
            .iter()
            .find(|(key, document)| !is_it(key) && document["inherits"].as_str().is_some_and(is_it));
        if let Some((child, _)) = child {
            return Err(Error::Conflict { what: format!("preset '{child}' inherits from '{name}'") });
        }
        for (key, path) in folder.paths()?.into_iter().filter(|(key, _)| is_it(key)) {
            match folder.files.remove(&path) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io("remove", Some(&path), e)),
            }
            own.documents.remove(&key);
            own.presets.remove(&key);
        }
        Ok(())
    }

    /// The versions of a preset that there are, the present one last. Use them as `name@version`.
    ///
    /// # Errors
    /// As [`PresetStore::get`].
    pub fn versions(&self, name: &str) -> Result<Vec<u32>> {
        let present = self.get(name)?;
        let own = unpoisoned(self.own.read());
        let is_it = |key: &str| key.split_once('@').is_some_and(|(name, _)| name == present.name);
        let mut all: Vec<u32> = own.presets.iter().filter(|(key, _)| is_it(key)).map(|(_, p)| p.version).collect();
        all.push(self.get_present(&present.name, &own).unwrap_or(present.version));
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    fn get_present(&self, name: &str, own: &Own) -> Option<u32> {
        own.presets.get(name).or_else(|| self.base.get(name)).map(|preset| preset.version)
    }

    fn folder(&self) -> Result<&OwnFolder> {
        self.folder.as_ref().ok_or_else(|| Error::InvalidValue {
            name: "presets.dir".into(),
            value: "none".into(),
            allowed: "a folder: without one no presets can be made".into(),
        })
    }
}

impl Own {
    fn problem(&mut self, place: &str, message: String) {
        self.problems.push(Problem { place: place.to_owned(), path: String::new(), message });
    }
}
