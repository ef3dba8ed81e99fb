//! References in texts: `${inputs.file.stem}`, `${steps.master.path | steps.plain.path}`.
//!
//! A text that is one reference and nothing else becomes the value itself; inside of a longer text the value becomes text. `|` gives
//! alternatives: the first that is there counts. `$${` stands for `${`.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Names that are derived from a path by what they say.
pub(super) const FILE_PARTS: [&str; 4] = ["name", "stem", "extension", "folder"];

/// Where a reference begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Root {
    /// An input of the run.
    Input(String),
    /// The result of a step.
    Step(String),
    /// The file of a `fan_out`.
    Item,
    /// The run itself: `run.id`.
    Run,
}

/// One path to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub root: Root,
    /// From the root on.
    pub path: Vec<String>,
}

impl Reference {
    /// Reads `steps.ID.FIELD`, `inputs.NAME`, `item`, `run.id`, each with more segments.
    pub fn parse(text: &str) -> Result<Self, String> {
        let segments: Vec<&str> = text.split('.').collect();
        let plain = |s: &&str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !segments.iter().all(plain) {
            return Err(format!("'{text}' is no reference: names of letters, digits and '_', with dots between"));
        }
        let (root, used) = match segments.as_slice() {
            ["inputs", name, ..] => (Root::Input((*name).into()), 2),
            ["steps", id, ..] => (Root::Step((*id).into()), 2),
            ["item", ..] => (Root::Item, 1),
            ["run", "id"] => (Root::Run, 1),
            _ => return Err(format!("'{text}' is no reference: begin with inputs.NAME, steps.ID, item or run.id")),
        };
        Ok(Self { root, path: segments[used..].iter().map(|s| (*s).to_owned()).collect() })
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.root {
            Root::Input(name) => write!(f, "inputs.{name}")?,
            Root::Step(id) => write!(f, "steps.{id}")?,
            Root::Item => f.write_str("item")?,
            Root::Run => f.write_str("run")?,
        }
        self.path.iter().try_for_each(|segment| write!(f, ".{segment}"))
    }
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// As it stands.
    Text(String),
    /// The first of these that is there.
    Value(Vec<Reference>),
}

/// Reads a text.
pub(super) fn parse(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            plain.push_str(&rest[..at - 1]);
            plain.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        plain.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end = inner.find('}').ok_or_else(|| format!("'{text}': '${{' without '}}'"))?;
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        let alternatives = inner[..end].split('|').map(|one| Reference::parse(one.trim()));
        parts.push(Part::Value(alternatives.collect::<Result<_, _>>()?));
        rest = &inner[end + 1..];
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// Calls `visit` with each text in `value` and its place.
pub(super) fn each_text(value: &Value, place: &str, visit: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::String(text) => visit(place, text),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| each_text(item, &format!("{place}.{i}"), visit));
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let inner = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                each_text(field, &inner, visit);
            }
        }
        _ => {}
    }
}

/// What references can reach: an object with `inputs`, `steps`, `item`, `run`.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope(pub Value);

impl Scope {
    /// The value of a reference; none when there is none, or null.
    pub fn look_up(&self, reference: &Reference) -> Option<Value> {
        let start = match &reference.root {
            Root::Input(name) => self.0.get("inputs")?.get(name)?,
            Root::Step(id) => self.0.get("steps")?.get(id)?,
            Root::Item => self.0.get("item")?,
            Root::Run => self.0.get("run")?,
        };
        let mut value = start.clone();
        for segment in &reference.path {
            value = match &value {
                Value::Object(fields) => fields.get(segment)?.clone(),
                Value::Array(items) => items.get(segment.parse::<usize>().ok()?)?.clone(),
                Value::String(path) => Value::String(file_part(path, segment)?),
                _ => return None,
            };
        }
        (!value.is_null()).then_some(value)
    }

    /// `value` with all references resolved.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for a reference to what is not there, and for lists and objects inside of a text.
    pub fn resolve(&self, value: &Value) -> Result<Value> {
        Ok(match value {
            Value::String(text) => self.resolve_text(text)?,
            Value::Array(items) => Value::Array(items.iter().map(|v| self.resolve(v)).collect::<Result<_>>()?),
            Value::Object(fields) => {
                let resolved = fields.iter().map(|(name, v)| Ok((name.clone(), self.resolve(v)?)));
                Value::Object(resolved.collect::<Result<Map<_, _>>>()?)
            }
            other => other.clone(),
        })
    }

    fn resolve_text(&self, text: &str) -> Result<Value> {
        let invalid =
            |detail: String| Error::InvalidValue { name: "reference".into(), value: text.into(), allowed: detail };
        let parts = parse(text).map_err(invalid)?;
        let first = |references: &[Reference]| {
            let names = || references.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
            let found = references.iter().find_map(|reference| self.look_up(reference));
            found.ok_or_else(|| invalid(format!("what is there; {} is not", names())))
        };
        if let [Part::Value(references)] = parts.as_slice() {
            return first(references);
        }
        let mut joined = String::new();
        for part in &parts {
            match part {
                Part::Text(plain) => joined.push_str(plain),
                Part::Value(references) => match first(references)? {
                    Value::String(value) => joined.push_str(&value),
                    value @ (Value::Number(_) | Value::Bool(_)) => joined.push_str(&value.to_string()),
                    _ => return Err(invalid("texts, numbers and truth values inside of a text".into())),
                },
            }
        }
        Ok(Value::String(joined))
    }
}

/// A part of a path, by its name.
fn file_part(path: &str, part: &str) -> Option<String> {
    let path = std::path::Path::new(path);
    let found = match part {
        "name" => path.file_name()?,
        "stem" => path.file_stem()?,
        "extension" => path.extension().unwrap_or_default(),
        "folder" => path.parent()?.as_os_str(),
        _ => return None,
    };
    found.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        Scope(json!({
            "inputs": { "file": "/a/talk one.wav", "n": 3, "list": ["x", "y"] },
            "steps": { "m": { "path": "/b/m.opus", "gone": null } },
            "item": "/c/d.flac",
            "run": { "id": "7" },
        }))
    }

    #[test]
    fn texts_are_filled_in_and_single_references_keep_their_type() {
        let cases = [
            ("plain", json!("plain")),
            ("${inputs.n}", json!(3)),
            ("${inputs.list}", json!(["x", "y"])),
            ("${inputs.list.1}", json!("y")),
            ("out/${inputs.file.stem}-${inputs.n}.opus", json!("out/talk one-3.opus")),
            ("${inputs.file.name}|${inputs.file.extension}|${inputs.file.folder}", json!("talk one.wav|wav|/a")),
            ("${item.stem}/${run.id}", json!("d/7")),
            ("${steps.none.path | steps.m.gone | steps.m.path}", json!("/b/m.opus")),
            ("$${inputs.n} costs 5$", json!("${inputs.n} costs 5$")),
        ];
        for (text, expected) in cases {
            assert_eq!(scope().resolve(&json!(text)).unwrap(), expected, "{text}");
        }
        let nested = json!({ "a": ["${inputs.n}", { "b": "${item}" }], "c": 1 });
        assert_eq!(scope().resolve(&nested).unwrap(), json!({ "a": [3, { "b": "/c/d.flac" }], "c": 1 }));
    }

    #[test]
    fn what_is_not_there_and_what_is_no_reference_is_named() {
        for (text, words) in [
            ("${steps.m.gone}", "steps.m.gone is not"),
            ("${inputs.nope} x", "inputs.nope is not"),
            ("${inputs.list} x", "inside of a text"),
            ("${inputs.n", "without '}'"),
            ("${env.HOME}", "begin with inputs.NAME"),
            ("${inputs.a-b}", "is no reference"),
            ("${}", "is no reference"),
        ] {
            let message = scope().resolve(&json!(text)).unwrap_err().to_string();
            assert!(message.contains(words), "{text}: {message}");
        }
    }

    #[test]
    fn resolved_texts_are_not_resolved_again() {
        let scope = Scope(json!({ "inputs": { "a": "${inputs.b}", "b": "secret" } }));
        assert_eq!(scope.resolve(&json!("${inputs.a}")).unwrap(), json!("${inputs.b}"));
        assert_eq!(scope.resolve(&json!("x${inputs.a}")).unwrap(), json!("x${inputs.b}"));
    }
}
