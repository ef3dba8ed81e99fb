//! What presets are for, in groups.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Preset;

/// The categories that the library knows, in the order of lists.
const KNOWN: [(&str, &str); 7] = [
    ("podcast", "Spoken word for podcast platforms."),
    ("audiobook", "Spoken books, by the rules of those who sell them."),
    ("speech", "Speech of any other kind: courses, messages, interviews."),
    ("broadcast", "Programmes for radio and television, by their standards."),
    ("music", "Music: masters, streaming, archives."),
    ("game", "Sounds of games."),
    ("custom", "Everything else."),
];

/// Presets for the same purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Category {
    /// Its name, snake_case.
    pub name: String,
    /// What belongs to it; empty for a category that only presets of the host or user have.
    pub description: String,
    /// Names of its presets, sorted.
    pub presets: Vec<String>,
}

/// The categories of these presets: known ones first, then the others by name. Those without a preset are left out.
pub(super) fn of(presets: impl Iterator<Item = Preset>) -> Vec<Category> {
    let mut by_category = BTreeMap::<String, Vec<String>>::new();
    for preset in presets {
        by_category.entry(preset.category).or_default().push(preset.name);
    }
    let mut all = Vec::new();
    for (name, description) in KNOWN {
        if let Some(presets) = by_category.remove(name) {
            all.push(Category { name: name.into(), description: description.into(), presets });
        }
    }
    let others = by_category.into_iter();
    all.extend(others.map(|(name, presets)| Category { name, description: String::new(), presets }));
    all
}
