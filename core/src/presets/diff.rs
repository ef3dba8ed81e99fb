//! What differs between two presets.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::Preset;
use crate::error::{Error, Result};

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Path of the field, such as `recipe.level.integrated_lufs`. Filters and formats go by their name: `recipe.filters.highpass.cutoff_hz`,
    /// the second of a kind as `highpass#2`.
    pub path: String,
    /// Value in the first preset; none when it has no such field.
    pub left: Option<Value>,
    /// Value in the second.
    pub right: Option<Value>,
}

/// Fields that say what a preset is called and not what it does.
const LABELS: [&str; 4] = ["layout", "name", "inherits", "sources"];

/// All fields whose values differ, by path.
pub(super) fn differences(left: &Preset, right: &Preset) -> Result<Vec<Difference>> {
    let (mut left, mut right) = (fields(left)?, fields(right)?);
    let mut paths: Vec<String> = left.keys().chain(right.keys()).cloned().collect();
    paths.sort();
    paths.dedup();
    let pairs = paths.into_iter().map(|path| {
        let (left, right) = (left.remove(&path), right.remove(&path));
        Difference { path, left, right }
    });
    Ok(pairs.filter(|d| d.left != d.right).collect())
}

/// The leaves of a preset by path.
fn fields(preset: &Preset) -> Result<BTreeMap<String, Value>> {
    let mut value = serde_json::to_value(preset).map_err(|e| Error::internal(e.to_string()))?;
    if let Some(object) = value.as_object_mut() {
        object.retain(|key, _| !LABELS.contains(&key.as_str()));
    }
    let mut found = BTreeMap::new();
    visit("", &value, &mut found);
    Ok(found)
}

fn visit(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(object) if !object.is_empty() => {
            object.iter().for_each(|(key, value)| visit(&below(key), value, into));
        }
        Value::Array(items) => match names(items) {
            Some(names) => {
                // The order counts, too.
                into.insert(format!("{path} (in order)"), names.clone().into());
                names.iter().zip(items).for_each(|(name, item)| visit(&below(name), item, into));
            }
            None => drop(into.insert(path.to_owned(), value.clone())),
        },
        value => drop(into.insert(path.to_owned(), value.clone())),
    }
}

/// What the items of a list of filters or formats are called; none for other lists.
fn names(items: &[Value]) -> Option<Vec<String>> {
    let mut seen = BTreeMap::<&str, u32>::new();
    let tags: Option<Vec<&str>> = items
        .iter()
        .map(|item| ["type", "format", "quantity"].iter().find_map(|tag| item.get(tag)?.as_str()))
        .collect();
    let tags = tags.filter(|tags| !tags.is_empty())?;
    let number = |tag| {
        let count = seen.entry(tag).or_default();
        *count += 1;
        if *count == 1 { tag.to_owned() } else { format!("{tag}#{count}") }
    };
    Some(tags.into_iter().map(number).collect())
}
