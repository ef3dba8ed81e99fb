//! The keys that a configuration may have, read from its JSON Schema: one definition for checks, documents and editors.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::error::closest;

/// What a number means for security: changes in one direction are not taken from files that others may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Raising it lowers security.
    Raise,
    /// Raising it lowers security, and 0 stands for no limit.
    RaiseOrZero,
}

/// One key.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyInfo {
    /// What it does.
    pub description: String,
    /// Allowed JSON types: `integer`, `number`, `boolean`, `string`, `array`, `null`.
    pub types: Vec<String>,
    /// Smallest number.
    pub min: Option<f64>,
    /// Largest number.
    pub max: Option<f64>,
    /// Allowed words.
    pub choices: Vec<String>,
    /// Unit for display; empty when there is none.
    pub unit: String,
    /// Value when nobody says anything.
    pub default: Value,
    /// A new value holds after a restart only.
    pub restart: bool,
    /// It is never shown, see [`Secret`](super::Secret).
    pub secret: bool,
    /// It guards against hostile input.
    pub guard: Option<Guard>,
    /// For lists: what the items are.
    pub items: Option<Box<KeyInfo>>,
}

/// JSON Schema of a configuration, without references.
pub fn schema_of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true).into_generator().into_root_schema_for::<T>()
}

/// All keys by path, and the sections they stand in.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub keys: BTreeMap<String, KeyInfo>,
    /// Path and description.
    pub sections: BTreeMap<String, String>,
}

impl Keys {
    /// `defaults` is the configuration that holds when nobody says anything.
    pub fn read(schema: &Value, defaults: &Value) -> Self {
        let mut found = Self { keys: BTreeMap::new(), sections: BTreeMap::new() };
        found.section("", schema, defaults);
        found
    }

    fn section(&mut self, path: &str, schema: &Value, defaults: &Value) {
        let Some(properties) = schema["properties"].as_object() else { return };
        for (name, schema) in properties {
            let path = join(path, name);
            let default = defaults.get(name).cloned().unwrap_or_default();
            if schema["properties"].is_object() {
                self.sections.insert(path.clone(), text(&schema["description"]));
                self.section(&path, schema, &default);
            } else {
                self.keys.insert(path, key(schema, default));
            }
        }
    }

    /// Names that stand directly in a section.
    fn children<'a>(&'a self, section: &'a str) -> impl Iterator<Item = &'a str> {
        let all = self.keys.keys().chain(self.sections.keys());
        all.filter_map(move |p| match (section.is_empty(), p.strip_prefix(section)) {
            (true, _) => Some(p.as_str()),
            (false, rest) => rest?.strip_prefix('.'),
        })
        .filter(|rest| !rest.contains('.'))
    }

    /// What an unknown path may have been meant to be.
    pub fn suggest(&self, path: &str) -> Option<String> {
        let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
        let near = closest(name, self.children(section)).map(|found| join(section, &found));
        // A right name in a wrong place, or a path that is wrong as a whole.
        near.or_else(|| self.keys.keys().find(|k| k.rsplit('.').next() == Some(name)).cloned())
            .or_else(|| closest(path, self.keys.keys().map(String::as_str)))
    }
}

pub(super) fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn key(schema: &Value, default: Value) -> KeyInfo {
    let mut info = KeyInfo {
        description: text(&schema["description"]),
        types: Vec::new(),
        min: schema["minimum"].as_f64(),
        max: schema["maximum"].as_f64(),
        choices: Vec::new(),
        unit: text(&schema["x-unit"]),
        default,
        restart: schema["x-restart"] == true,
        secret: schema["x-secret"] == true,
        guard: match schema["x-guard"].as_str() {
            Some("raise") => Some(Guard::Raise),
            Some("raise_or_zero") => Some(Guard::RaiseOrZero),
            _ => None,
        },
        items: schema.get("items").map(|items| Box::new(key(items, Value::Null))),
    };
    collect(schema, &mut info);
    info.types.sort();
    info.types.dedup();
    info
}

/// Types and words, also of alternatives.
fn collect(schema: &Value, info: &mut KeyInfo) {
    match &schema["type"] {
        Value::String(one) => info.types.push(one.clone()),
        Value::Array(several) => info.types.extend(several.iter().map(text)),
        _ => {}
    }
    if let Some(words) = schema["enum"].as_array() {
        info.choices.extend(words.iter().filter_map(Value::as_str).map(ToOwned::to_owned));
    }
    info.choices.extend(schema["const"].as_str().map(ToOwned::to_owned));
    info.secret |= schema["x-secret"] == true;
    for part in ["oneOf", "anyOf"].iter().filter_map(|k| schema[*k].as_array()).flatten() {
        collect(part, info);
    }
}

impl KeyInfo {
    fn has(&self, kind: &str) -> bool {
        self.types.iter().any(|t| t == kind)
    }

    /// What is allowed, in words.
    pub fn allowed(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for kind in &self.types {
            words.push(match kind.as_str() {
                "integer" | "number" => {
                    let noun = if kind == "integer" { "a whole number" } else { "a number" };
                    let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
                    match (self.min, self.max) {
                        (Some(min), Some(max)) => format!("{min} to {max}{unit}"),
                        (Some(min), None) => format!("{noun} from {min}{unit}"),
                        _ => format!("{noun}{unit}"),
                    }
                }
                "boolean" => "true or false".into(),
                "string" if !self.choices.is_empty() => self.choices.join(", "),
                "string" if self.secret => "file:PATH or env:NAME".into(),
                "string" => "a text".into(),
                "array" => match &self.items {
                    Some(items) => format!("a list, each {}", items.allowed()),
                    None => "a list".into(),
                },
                "null" => "null".into(),
                other => other.into(),
            });
        }
        words.join(" or ")
    }

    /// The value as this key has it, or what is wrong with it.
    pub fn check(&self, value: Value) -> Result<Value, String> {
        let shown = if self.secret { super::REDACTED.to_owned() } else { value.to_string() };
        let refused = || format!("is {shown}, allowed is {}", self.allowed());
        match &value {
            Value::Null if self.has("null") => Ok(value),
            Value::Bool(_) if self.has("boolean") => Ok(value),
            Value::String(word) if self.has("string") => {
                if self.choices.is_empty() || self.choices.contains(word) {
                    Ok(value)
                } else {
                    Err(refused())
                }
            }
            Value::Number(number) if self.has("integer") || self.has("number") => {
                let real = number.as_f64().unwrap_or(f64::NAN);
                if self.min.is_some_and(|m| real < m) || self.max.is_some_and(|m| real > m) || real.is_nan() {
                    return Err(refused());
                }
                if self.has("number") || number.is_i64() || number.is_u64() {
                    return Ok(value);
                }
                // 4.0 is the whole number 4, as JSON Schema has it; above 2^53 a float says too little.
                if real.fract() == 0.0 && real.abs() < 9_007_199_254_740_992.0 {
                    Ok(Value::from(real as i64))
                } else {
                    Err(refused())
                }
            }
            Value::Array(_) if self.has("array") => {
                let (Value::Array(items), Some(info)) = (value, &self.items) else { return Err(refused()) };
                let items = items.into_iter().enumerate();
                items
                    .map(|(i, v)| info.check(v).map_err(|e| format!("item {i} {e}")))
                    .collect::<Result<_, _>>()
                    .map(Value::Array)
            }
            _ => Err(refused()),
        }
    }

    /// Reads the text of a variable or of the command line.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        let value = match text.trim() {
            "" if self.has("null") => Value::Null,
            "null" if self.has("null") => Value::Null,
            word if self.has("boolean") && matches!(word, "true" | "1") => Value::Bool(true),
            word if self.has("boolean") && matches!(word, "false" | "0") => Value::Bool(false),
            list if self.has("array") && list.starts_with('[') => {
                serde_json::from_str(list).unwrap_or_else(|_| Value::from(list))
            }
            list if self.has("array") => {
                let read = |item: &str| match &self.items {
                    Some(info) => info.read(item.trim()),
                    None => Ok(Value::from(item)),
                };
                Value::Array(list.split(',').filter(|i| !i.trim().is_empty()).map(read).collect::<Result<_, _>>()?)
            }
            number if self.has("integer") || self.has("number") => {
                serde_json::from_str(number).ok().filter(Value::is_number).unwrap_or_else(|| Value::from(number))
            }
            _ => Value::from(text),
        };
        self.check(value)
    }

    /// True when going from one value to the other lowers security.
    pub fn lowers_security(&self, old: &Value, new: &Value) -> bool {
        let (Some(old), Some(new)) = (old.as_f64(), new.as_f64()) else { return false };
        match self.guard {
            Some(Guard::Raise) => new > old,
            Some(Guard::RaiseOrZero) => old != 0.0 && (new > old || new == 0.0),
            None => false,
        }
    }
}
