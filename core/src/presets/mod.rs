//! Presets: named, versioned recipes without input and output, in YAML, with inheritance and overrides.
//!
//! The built-in ones are the files in `configs/presets`; [`PresetStore::load_dir`] adds those of a host.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::processing::Recipe;
use crate::services::seams::{FileSystem, SystemFiles};

/// Largest file of a preset, in bytes.
const MAX_PRESET_BYTES: u64 = 4 << 20;

/// A preset as it stands in its file, after inheritance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preset {
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

/// All presets that an engine knows.
#[derive(Debug, Clone)]
pub struct PresetStore {
    presets: BTreeMap<String, Preset>,
}

impl PresetStore {
    /// The presets that come with the library.
    ///
    /// # Errors
    /// [`Error::Internal`] when a built-in file is wrong: a test loads them all.
    pub fn built_in() -> Result<Self> {
        let mut raw = BTreeMap::new();
        for (file, text) in BUILT_IN {
            insert_raw(&mut raw, file, text)?;
        }
        Ok(Self { presets: resolve_all(&raw)? })
    }

    /// Adds the `*.yaml` and `*.yml` files of a folder. They may inherit from each other and from presets that are there
    /// already, and replace those of the same name.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::NotFound`]; [`Error::InvalidValue`] naming the file for what cannot be read as a preset;
    /// [`Error::UnknownName`] for an unknown parent; [`Error::Conflict`] for circular inheritance.
    pub fn load_dir(&mut self, dir: &Path) -> Result<()> {
        self.load_dir_on(dir, &SystemFiles)
    }

    /// As [`PresetStore::load_dir`], with these files.
    ///
    /// # Errors
    /// As [`PresetStore::load_dir`].
    pub fn load_dir_on(&mut self, dir: &Path, files: &dyn FileSystem) -> Result<()> {
        let mut paths = files.list(dir).map_err(|e| Error::io("read presets from", Some(dir), e))?;
        paths.retain(|p| p.extension().is_some_and(|e| e == "yaml" || e == "yml"));
        paths.sort();
        let mut raw = BTreeMap::new();
        for preset in self.presets.values() {
            let value = serde_json::to_value(preset).map_err(|e| Error::internal(e.to_string()))?;
            raw.insert(preset.name.clone(), without_parent(value));
        }
        for path in paths {
            let bytes = files.read(&path, MAX_PRESET_BYTES).map_err(|e| Error::io("read", Some(&path), e))?;
            let text = String::from_utf8(bytes).map_err(|e| Error::InvalidValue {
                name: path.display().to_string(),
                value: e.utf8_error().to_string(),
                allowed: "text in UTF-8".into(),
            })?;
            insert_raw(&mut raw, &path.display().to_string(), &text)?;
        }
        self.presets = resolve_all(&raw)?;
        Ok(())
    }

    /// All presets by name.
    pub fn iter(&self) -> impl Iterator<Item = &Preset> {
        self.presets.values()
    }

    /// One preset.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the closest name.
    pub fn get(&self, name: &str) -> Result<&Preset> {
        self.presets
            .get(name)
            .ok_or_else(|| Error::unknown_name("preset", name, self.presets.keys().map(String::as_str)))
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
}

fn insert_raw(raw: &mut BTreeMap<String, Value>, file: &str, text: &str) -> Result<()> {
    let invalid = |detail: String| Error::InvalidValue {
        name: file.to_owned(),
        value: detail,
        allowed: "a preset: name, version, category, description, recipe".into(),
    };
    let value: Value = crate::config::yaml_value(text).map_err(invalid)?;
    let name = value.get("name").and_then(Value::as_str).ok_or_else(|| invalid("no name".into()))?.to_owned();
    raw.insert(name, value);
    Ok(())
}

fn resolve_all(raw: &BTreeMap<String, Value>) -> Result<BTreeMap<String, Preset>> {
    let mut presets = BTreeMap::new();
    for name in raw.keys() {
        let value = resolve(raw, name, &mut Vec::new())?;
        let preset: Preset = serde_json::from_value(value).map_err(|e| Error::InvalidValue {
            name: format!("preset {name}"),
            value: e.to_string(),
            allowed: "the fields of the preset schema".into(),
        })?;
        preset.recipe.validate()?;
        presets.insert(name.clone(), preset);
    }
    Ok(presets)
}

/// The preset `name` with everything it inherits filled in.
fn resolve(raw: &BTreeMap<String, Value>, name: &str, path: &mut Vec<String>) -> Result<Value> {
    if path.iter().any(|p| p == name) {
        return Err(Error::Conflict { what: format!("presets inherit in a circle: {} -> {name}", path.join(" -> ")) });
    }
    let Some(own) = raw.get(name) else {
        return Err(Error::unknown_name("preset", name, raw.keys().map(String::as_str)));
    };
    let Some(parent) = own.get("inherits").and_then(Value::as_str) else {
        return Ok(own.clone());
    };
    path.push(name.to_owned());
    let mut value = without_parent(resolve(raw, parent, path)?);
    merge(&mut value, own);
    Ok(value)
}

fn without_parent(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.shift_remove("inherits");
    }
    value
}

/// Objects merge, everything else replaces.
fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            // A tagged value of another kind replaces the old one whole: its fields are not the same.
            let tag_changes = ["measure", "format", "type"]
                .iter()
                .any(|tag| over.get(*tag).is_some_and(|new| base.get(*tag).is_some_and(|old| old != new)));
            if tag_changes {
                base.clear();
            }
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store_with(files: &[(&str, &str)]) -> Result<PresetStore> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let mut store = PresetStore::built_in().unwrap();
        store.load_dir(dir.path()).map(|()| store)
    }

    #[test]
    fn built_in_presets_follow_the_published_schema() {
        let schema = serde_json::to_value(schemars::schema_for!(Preset)).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for preset in PresetStore::built_in().unwrap().iter() {
            let value = serde_json::to_value(preset).unwrap();
            let errors: Vec<_> = validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", preset.name);
        }
    }

    #[test]
    fn children_override_and_the_rest_is_inherited() {
        let text = "{name: mine, version: 1, category: test, description: x, inherits: podcast, recipe: {level: {integrated_lufs: -18}}}";
        let store = store_with(&[("mine.yaml", text)]).unwrap();
        let (mine, podcast) = (&store.get("mine").unwrap().recipe, &store.get("podcast").unwrap().recipe);
        assert_eq!(mine.filters, podcast.filters);
        let level = mine.level.unwrap();
        assert_eq!(level, crate::processing::LevelTarget::Loudness { integrated_lufs: -18.0, true_peak_dbtp: -1.0 });
        let over = serde_json::json!({"level": {"measure": "rms", "rms_dbfs": -20, "true_peak_dbtp": -3}});
        assert!(matches!(
            store.recipe("podcast", &over).unwrap().level,
            Some(crate::processing::LevelTarget::Rms { rms_dbfs, .. }) if rms_dbfs == -20.0
        ));
    }

    #[test]
    fn circles_unknown_parents_and_unknown_fields_are_named() {
        let base = "version: 1, category: test, description: x, recipe: {}";
        let circle = [
            ("a.yaml", format!("{{name: a, inherits: b, {base}}}")),
            ("b.yaml", format!("{{name: b, inherits: a, {base}}}")),
        ];
        let files: Vec<_> = circle.iter().map(|(n, t)| (*n, t.as_str())).collect();
        assert!(matches!(store_with(&files), Err(Error::Conflict { .. })));
        let orphan = format!("{{name: a, inherits: podcats, {base}}}");
        let error = store_with(&[("a.yaml", &orphan)]).unwrap_err();
        assert!(error.to_string().contains("did you mean 'podcast'"), "{error}");
        let typo = "{name: a, version: 1, category: t, description: x, recipe: {levle: {}}}";
        let error = store_with(&[("a.yaml", typo)]).unwrap_err();
        assert!(error.to_string().contains("levle"), "{error}");
    }
}
