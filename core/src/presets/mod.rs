//! Presets: named, versioned recipes without input and output, in YAML, with inheritance and overrides.
//!
//! The built-in ones are the files in `configs/presets`; [`PresetStore::load_dir`] adds those of a host, and
//! [`PresetStore::keep_in`] names the folder of those that a user makes while the program runs ([`PresetStore::create`]).

mod category;
mod diff;
mod exchange;
mod layout;
mod own;
mod resolve;
mod suggest;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Problem, Result};
use crate::processing::Recipe;
use crate::services::seams::{FileSystem, SystemFiles};
use crate::sync::{RwLock, unpoisoned};
pub use category::Category;
pub use diff::Difference;
pub use layout::LAYOUT;
use own::OwnFolder;
use resolve::{merge, read_document, resolve_all, without_parent};
pub use suggest::{Fact, Facts, Reason, Suggestion, suggest};

/// Largest file of a preset, in bytes.
const MAX_PRESET_BYTES: u64 = 4 << 20;

/// A preset as it stands in its file, after inheritance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Layout of the file: 1, or 0 (the default in a file) for one that may lack `version`, `category` and `description`. Older layouts are
    /// brought up to date when they are read.
    #[serde(default)]
    pub layout: u32,
    /// Name, snake_case, unique.
    pub name: String,
    /// Raised when the sound or the numbers change.
    pub version: u32,
    /// `speech`, `music`, `broadcast`, ...
    pub category: String,
    /// What it is for, in a sentence or two.
    pub description: String,
    /// Preset whose values hold where this one says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherits: Option<String>,
    /// Where each number comes from: path of the value, then the source.
    #[serde(default)]
    pub sources: BTreeMap<String, String>,
    /// The recipe.
    pub recipe: Recipe,
}

/// Where a preset comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PresetOrigin {
    /// The library.
    BuiltIn,
    /// A folder of the host.
    Folder,
    /// Made by the user.
    Own,
}

/// The files of `configs/presets`, in the library so that an embedded engine needs no files.
const BUILT_IN: &[(&str, &str)] = &[
    ("audiobook_acx.yaml", include_str!("../../../configs/presets/audiobook_acx.yaml")),
    ("broadcast_atsc_a85.yaml", include_str!("../../../configs/presets/broadcast_atsc_a85.yaml")),
    ("broadcast_ebu_r128.yaml", include_str!("../../../configs/presets/broadcast_ebu_r128.yaml")),
    ("elearning.yaml", include_str!("../../../configs/presets/elearning.yaml")),
    ("game_voice.yaml", include_str!("../../../configs/presets/game_voice.yaml")),
    ("music_archive.yaml", include_str!("../../../configs/presets/music_archive.yaml")),
    ("music_master.yaml", include_str!("../../../configs/presets/music_master.yaml")),
    ("podcast.yaml", include_str!("../../../configs/presets/podcast.yaml")),
    ("podcast_mono.yaml", include_str!("../../../configs/presets/podcast_mono.yaml")),
    ("speech_clean.yaml", include_str!("../../../configs/presets/speech_clean.yaml")),
    ("streaming.yaml", include_str!("../../../configs/presets/streaming.yaml")),
    ("voice_note.yaml", include_str!("../../../configs/presets/voice_note.yaml")),
];

/// All presets that an engine knows, and the folder of those that its user makes.
///
/// What is made or removed holds at once, for every thread that shares the store.
#[derive(Debug)]
pub struct PresetStore {
    /// Those of the library and of folders. They stay as they are: a folder that replaces one does not change those that inherit from it.
    base: BTreeMap<String, Preset>,
    /// Names in `base` that came from a folder.
    from_folders: BTreeSet<String>,
    folder: Option<OwnFolder>,
    own: RwLock<Own>,
}

/// What the user made.
#[derive(Debug, Clone, Default)]
struct Own {
    /// As they stand in their files, with the inheritance; older versions under `name@version`.
    documents: BTreeMap<String, Value>,
    /// Those that could be resolved, by the same keys.
    presets: BTreeMap<String, Preset>,
    /// What is wrong with the others.
    problems: Vec<Problem>,
}

impl PresetStore {
    /// The presets that come with the library.
    ///
    /// # Errors
    /// [`Error::Internal`] when a built-in file is wrong: a test loads them all.
    pub fn built_in() -> Result<Self> {
        let mut raw = BTreeMap::new();
        for (file, text) in BUILT_IN {
            let (name, value) = read_document(file, text)?;
            raw.insert(name, value);
        }
        Ok(Self { base: resolve_all(&raw)?, from_folders: BTreeSet::new(), folder: None, own: RwLock::default() })
    }

    /// Adds the `*.yaml` and `*.yml` files of a folder. They may inherit from each other and from presets that are there
    /// already, and replace those of the same name.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::NotFound`]; [`Error::InvalidValue`] naming the file for what cannot be read as a preset;
    /// [`Error::UnknownName`] for an unknown parent; [`Error::Conflict`] for circular inheritance; [`Error::Unsupported`] for a layout of a
    /// newer library.
    pub fn load_dir(&mut self, dir: &Path) -> Result<()> {
        self.load_dir_on(dir, &SystemFiles)
    }

    /// As [`PresetStore::load_dir`], with these files.
    ///
    /// # Errors
    /// As [`PresetStore::load_dir`].
    pub fn load_dir_on(&mut self, dir: &Path, files: &dyn FileSystem) -> Result<()> {
        let mut raw = self.frozen_base()?;
        let mut added = BTreeSet::new();
        for path in own::preset_files(dir, files).map_err(|e| Error::io("read presets from", Some(dir), e))? {
            let (name, value) = read_document(&path.display().to_string(), &own::read_text(&path, files)?)?;
            added.insert(name.clone());
            raw.insert(name, value);
        }
        self.base = resolve_all(&raw)?;
        self.from_folders.append(&mut added);
        Ok(())
    }

    /// Keeps the presets that the user makes in `dir`, and reads those that are there. The folder is made when it is first needed. A file
    /// that is wrong is left out and told by [`PresetStore::problems`], so that it does not stop everything else.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Denied`] when the folder is there and cannot be read.
    pub fn keep_in(&mut self, dir: PathBuf, files: Arc<dyn FileSystem>) -> Result<()> {
        let folder = OwnFolder::new(dir, files);
        let own = self.read_own(&folder)?;
        self.folder = Some(folder);
        self.own = RwLock::new(own);
        Ok(())
    }

    /// The folder of the presets that the user makes, when there is one.
    pub fn own_dir(&self) -> Option<&Path> {
        self.folder.as_ref().map(OwnFolder::dir)
    }

    /// What is wrong with files in the folder of the user.
    pub fn problems(&self) -> Vec<Problem> {
        unpoisoned(self.own.read()).problems.clone()
    }

    /// All presets by name, without older versions.
    pub fn iter(&self) -> impl Iterator<Item = Preset> {
        let mut all = self.base.clone();
        let own = unpoisoned(self.own.read());
        let current = own.presets.iter().filter(|(name, _)| !name.contains('@'));
        all.extend(current.map(|(name, preset)| (name.clone(), preset.clone())));
        drop(own);
        all.into_values()
    }

    /// One preset. `name@version` is the one of that version: the present one, or an older one that the user has replaced.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the closest name.
    pub fn get(&self, name: &str) -> Result<Preset> {
        let own = unpoisoned(self.own.read());
        let current = |name: &str| own.presets.get(name).or_else(|| self.base.get(name));
        let versioned = || {
            let (name, version) = name.split_once('@')?;
            current(name).filter(|preset| preset.version.to_string() == version)
        };
        current(name).or_else(versioned).cloned().ok_or_else(|| {
            let known = self.base.keys().chain(own.presets.keys());
            Error::unknown_name("preset", name, known.map(String::as_str))
        })
    }

    /// Where a preset comes from.
    ///
    /// # Errors
    /// As [`PresetStore::get`].
    pub fn origin(&self, name: &str) -> Result<PresetOrigin> {
        let name = self.get(name)?.name;
        Ok(match (self.base.contains_key(&name), self.from_folders.contains(&name)) {
            (true, false) => PresetOrigin::BuiltIn,
            (true, true) => PresetOrigin::Folder,
            (false, _) => PresetOrigin::Own,
        })
    }

    /// The recipe of a preset with `overrides` (an object shaped like a recipe) merged over it: objects merge, everything
    /// else replaces.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; [`Error::InvalidValue`] when the overrides do not make a recipe.
    pub fn recipe(&self, name: &str, overrides: &Value) -> Result<Recipe> {
        let mut value = serde_json::to_value(&self.get(name)?.recipe).map_err(|e| Error::internal(e.to_string()))?;
        merge(&mut value, overrides);
        let recipe: Recipe = serde_json::from_value(value).map_err(|e| Error::InvalidValue {
            name: "recipe".into(),
            value: e.to_string(),
            allowed: "fields of a recipe".into(),
        })?;
        Ok(Recipe { preset: Some(name.to_owned()), ..recipe })
    }

    /// What differs between two presets, field by field, with everything that they inherit. Either may be `name@version`.
    ///
    /// # Errors
    /// As [`PresetStore::get`].
    pub fn diff(&self, left: &str, right: &str) -> Result<Vec<Difference>> {
        diff::differences(&self.get(left)?, &self.get(right)?)
    }

    /// The categories that there are presets of, with those that the library knows first.
    pub fn categories(&self) -> Vec<Category> {
        category::of(self.iter())
    }

    /// The presets of the library and of folders, as documents without parents.
    fn frozen_base(&self) -> Result<BTreeMap<String, Value>> {
        let frozen = |preset: &Preset| {
            let value = serde_json::to_value(preset).map_err(|e| Error::internal(e.to_string()))?;
            Ok((preset.name.clone(), without_parent(value)))
        };
        self.base.values().map(frozen).collect()
    }
}
