//! `default.yaml`, written from the definitions.

use serde_json::Value;

use super::keys::{KeyInfo, Keys, schema_of};
use super::settings::{Model, Settings};

/// A YAML file with every key, its default, and a comment that says what it does and what is allowed. `configs/default.yaml` is
/// this for [`Settings`]; a test compares.
pub fn default_yaml<T: Model>() -> String {
    let defaults = serde_json::to_value(T::default()).unwrap_or_default();
    let keys = Keys::read(&schema_of::<T>().to_value(), &defaults);
    let mut text = String::from(
        "# The configuration with every key and its default. Made from the code by tests/update-generated: change values in\n\
         # local.yaml, {environment}.yaml or variables such as PURESOUND_ENGINE__THREADS.\n",
    );
    let mut sections: Vec<(&str, &str)> = vec![("", "")];
    sections.extend(keys.sections.iter().map(|(path, about)| (path.as_str(), about.as_str())));
    for (section, about) in sections {
        let depth = if section.is_empty() { 0 } else { section.matches('.').count() + 1 };
        let indent = "  ".repeat(depth);
        if let Some(name) = section.rsplit('.').next().filter(|n| !n.is_empty()) {
            let outer = "  ".repeat(depth - 1);
            text += &format!("\n{outer}# {about}\n{outer}{name}:\n");
        }
        for (path, key) in &keys.keys {
            let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
            if parent == section {
                text += &format!("{indent}# {}\n{indent}{name}: {}\n", comment(key), value(&key.default));
            }
        }
    }
    text
}

/// JSON Schema of [`Settings`], as in `configs/schema.json`.
pub fn settings_schema() -> Value {
    schema_of::<Settings>().to_value()
}

fn comment(key: &KeyInfo) -> String {
    let restart = if key.restart { " After a restart." } else { "" };
    let about = key.description.replace('\n', " ");
    format!("{about} Allowed: {}.{restart}", key.allowed())
}

fn value(value: &Value) -> String {
    // JSON is YAML; words need no quotation marks when they are what the schema calls a choice.
    match value {
        Value::String(word) if !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') => {
            word.clone()
        }
        other => other.to_string(),
    }
}
