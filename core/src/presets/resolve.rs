//! From documents to presets: reading, inheritance, merging.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Preset, layout};
use crate::error::{Error, Result};

/// Reads a document and brings it to the present layout. `file` is for messages.
pub(super) fn read_document(file: &str, text: &str) -> Result<(String, Value)> {
    let invalid = |detail: String| Error::InvalidValue {
        name: file.to_owned(),
        value: detail,
        allowed: "a preset: name, version, category, description, recipe".into(),
    };
    let mut value: Value = crate::config::yaml_value(text).map_err(invalid)?;
    layout::migrate(&mut value)?;
    let name = value.get("name").and_then(Value::as_str).ok_or_else(|| invalid("no name".into()))?.to_owned();
    Ok((name, value))
}

/// The presets of all documents.
pub(super) fn resolve_all(raw: &BTreeMap<String, Value>) -> Result<BTreeMap<String, Preset>> {
    raw.keys().map(|key| Ok((key.clone(), resolve(raw, key)?))).collect()
}

/// The preset of the document `key`, with everything it inherits filled in.
pub(super) fn resolve(raw: &BTreeMap<String, Value>, key: &str) -> Result<Preset> {
    let value = inherit(raw, key, &mut Vec::new())?;
    let preset: Preset = serde_json::from_value(value).map_err(|e| Error::InvalidValue {
        name: format!("preset {key}"),
        value: e.to_string(),
        allowed: "the fields of the preset schema".into(),
    })?;
    preset.recipe.validate()?;
    Ok(preset)
}

/// The document `name` over those that it inherits from.
fn inherit(raw: &BTreeMap<String, Value>, name: &str, path: &mut Vec<String>) -> Result<Value> {
    if path.iter().any(|p| p == name) {
        return Err(Error::Conflict { what: format!("presets inherit in a circle: {} -> {name}", path.join(" -> ")) });
    }
    let Some(own) = find(raw, name) else {
        return Err(Error::unknown_name("preset", name, raw.keys().map(String::as_str)));
    };
    let Some(parent) = own.get("inherits").and_then(Value::as_str) else {
        return Ok(own.clone());
    };
    path.push(name.to_owned());
    let mut value = without_parent(inherit(raw, parent, path)?);
    merge(&mut value, own);
    Ok(value)
}

/// A document by its name, or by `name@version` when that is the present version.
fn find<'a>(raw: &'a BTreeMap<String, Value>, name: &str) -> Option<&'a Value> {
    raw.get(name).or_else(|| {
        let (name, version) = name.split_once('@')?;
        raw.get(name).filter(|document| {
            let written = document["version"].to_string();
            written == version
        })
    })
}

pub(super) fn without_parent(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.shift_remove("inherits");
    }
    value
}

/// Objects merge, everything else replaces.
pub(super) fn merge(base: &mut Value, over: &Value) {
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
