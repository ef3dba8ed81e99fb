//! Presets from one machine to another: a text that stands alone and cannot change unnoticed.
//!
//! The first line says what it is and has the BLAKE3 of all bytes after it. What follows is the preset with everything it inherits written
//! out, as JSON. The line is a comment in YAML, so the file is a preset file, too.

use serde_json::Value;

use super::resolve::without_parent;
use super::{Preset, PresetStore};
use crate::error::{Error, Result};

const HEAD: &str = "# puresound preset 1 blake3 ";

impl PresetStore {
    /// A preset as a text for [`PresetStore::import`].
    ///
    /// # Errors
    /// As [`PresetStore::get`].
    pub fn export(&self, name: &str) -> Result<String> {
        let internal = |e: serde_json::Error| Error::internal(e.to_string());
        let mut value = without_parent(serde_json::to_value(self.get(name)?).map_err(internal)?);
        // Fields that have their default say nothing.
        let defaults = serde_json::to_value(crate::processing::Recipe::default()).map_err(internal)?;
        if let (Some(Value::Object(recipe)), Value::Object(defaults)) = (value.get_mut("recipe"), defaults) {
            recipe.retain(|key, value| defaults.get(key) != Some(value));
        }
        let body = format!("{}\n", serde_json::to_string_pretty(&value).map_err(internal)?);
        Ok(format!("{HEAD}{}\n{body}", blake3::hash(body.as_bytes()).to_hex()))
    }

    /// Keeps a preset that [`PresetStore::export`] has written, as [`PresetStore::create`] does.
    ///
    /// # Errors
    /// [`Error::Malformed`] when a byte of it has changed, or it is no export; those of [`PresetStore::create`].
    pub fn import(&self, text: &str, replace: bool) -> Result<Preset> {
        self.create(checked(text)?, replace)
    }
}

/// The text when it is as it was written.
fn checked(text: &str) -> Result<&str> {
    let malformed = |offset: u64, detail: &str| Error::malformed("preset export", offset, detail);
    let rest = text.strip_prefix(HEAD).ok_or_else(|| malformed(0, "its first line is not that of an export"))?;
    let (told, body) =
        rest.split_once('\n').ok_or_else(|| malformed(HEAD.len() as u64, "there is nothing after its first line"))?;
    if told != blake3::hash(body.as_bytes()).to_hex().as_str() {
        let after_head = HEAD.len() + told.len() + 1;
        return Err(malformed(after_head as u64, "the checksum is that of other content: something has changed"));
    }
    Ok(text)
}
