//! What a preset must be before it is kept. Files that are only read are held to less: what the recipe says must be right.

use serde_json::Value;

use super::Preset;
use crate::error::{Error, Problem, Result};

/// Longest name or category, in characters.
const MAX_NAME: usize = 64;
/// Longest description, in bytes.
const MAX_DESCRIPTION: usize = 4000;

/// Tells all that is wrong with `preset`; `document` is what it was made from.
pub(super) fn check(preset: &Preset, document: &Value) -> Result<()> {
    let mut problems = Vec::new();
    let mut wrong = |path: &str, message: String| {
        problems.push(Problem { place: String::new(), path: path.to_owned(), message });
    };
    let word = "a word of a-z, 0-9 and _ that begins with a letter, at most 64 long";
    if !is_word(&preset.name) {
        wrong("name", format!("is '{}', allowed is {word}", preset.name));
    }
    if !is_word(&preset.category) {
        wrong("category", format!("is '{}', allowed is {word}", preset.category));
    }
    if preset.version == 0 {
        wrong("version", "is 0, allowed is 1 and more".into());
    }
    if preset.description.trim().is_empty() || preset.description.len() > MAX_DESCRIPTION {
        wrong("description", format!("has {} bytes, allowed is 1 to {MAX_DESCRIPTION}", preset.description.len()));
    }
    if !preset.recipe.input.as_os_str().is_empty() {
        wrong("recipe.input", "is set; a preset is for any input".into());
    }
    if !preset.recipe.outputs.is_empty() {
        wrong("recipe.outputs", "is set; a preset says with 'format_defaults' how files are written, not which".into());
    }
    let resolved = serde_json::to_value(preset).map_err(|e| Error::internal(e.to_string()))?;
    // Only its own: those of a parent may speak of filters that it replaces.
    for path in document["sources"].as_object().into_iter().flat_map(|sources| sources.keys()) {
        if !names_something(&resolved, path) {
            wrong("sources", format!("'{path}' is no value of this preset"));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid { what: "preset", problems }) }
}

fn is_word(text: &str) -> bool {
    let letters = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    letters && text.len() <= MAX_NAME && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
}

/// True when `path` leads to something in `value`. Items of lists go by their number, or by what they are.
fn names_something(value: &Value, path: &str) -> bool {
    let mut at = value;
    path.split('.').all(|part| {
        let next = match at {
            Value::Object(fields) => fields.get(part),
            Value::Array(items) => items
                .iter()
                .find(|item| ["type", "format", "quantity"].iter().any(|tag| item[*tag] == part))
                .or_else(|| items.get(part.parse::<usize>().ok()?)),
            _ => None,
        };
        next.map(|value| at = value).is_some()
    })
}
