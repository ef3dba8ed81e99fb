//! What results look like, so that a reference to a field that will not be there is found before anything runs.
//!
//! Results of steps are described by JSON Schema; the records of the engine have theirs in [`crate::schema`].

use serde_json::{Map, Value, json};

use super::action::{AnalyseStep, ReportKind, StepAction};
use super::definition::InputType;
use super::template::FILE_PARTS;
use crate::error::closest;

/// What a value is, as far as ports care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Any,
    Number,
    Text,
    Bool,
    /// The path of a file.
    File,
    List,
    Object,
}

impl Kind {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Bool => "true or false",
            Self::File => "a file",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }

    /// True when it may stand where a file is wanted.
    pub fn is_file(self) -> bool {
        matches!(self, Self::File | Self::Text | Self::Any)
    }

    /// True when it may stand inside of a text.
    pub fn is_scalar(self) -> bool {
        !matches!(self, Self::List | Self::Object)
    }
}

/// The schemas of the engine's records.
pub(super) struct Shapes(Map<String, Value>);

impl Shapes {
    pub fn new() -> Self {
        Self(crate::schema::all())
    }

    /// What a step gives.
    pub fn of_step(&self, action: &StepAction) -> Value {
        let file = || json!({ "type": "string", "x-file": true });
        let files = || json!({ "type": "array", "items": file() });
        let object = |properties: Value| json!({ "type": "object", "properties": properties });
        let record = |name: &str| json!({ "x-record": name });
        match action {
            StepAction::Analyse(step) => of_analysis(step, file(), record),
            StepAction::Process(_) | StepAction::Encode(_) => object(json!({
                "path": file(), "paths": files(), "met": { "type": "boolean" },
                "loudness": record("loudness"), "report": record("report"),
            })),
            StepAction::Measure(_) => {
                let mut properties = self.0.get("loudness").map_or(Value::Null, |s| s["properties"].clone());
                properties["file"] = file();
                object(properties)
            }
            StepAction::Branch(_) => object(json!({
                "case": { "type": "string" }, "then": { "type": "array", "items": { "type": "string" } },
            })),
            StepAction::FanOut(_) => object(json!({
                "count": { "type": "integer" }, "failed": { "type": "integer" }, "files": files(), "outputs": files(),
            })),
            StepAction::Store(_) => object(json!({ "path": file(), "paths": files() })),
            StepAction::Notify(_) => {
                object(json!({ "message": { "type": "string" }, "status": { "type": ["integer", "null"] } }))
            }
            StepAction::Custom(_) => json!({}),
        }
    }

    /// What an input is.
    pub fn of_input(kind: InputType) -> Value {
        match kind {
            InputType::File | InputType::Folder => json!({ "type": "string", "x-file": true }),
            InputType::Files => json!({}),
            InputType::Text => json!({ "type": "string" }),
            InputType::Number => json!({ "type": "number" }),
            InputType::Bool => json!({ "type": "boolean" }),
        }
    }

    /// What lies at the end of `path`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn at(&self, shape: &Value, path: &[String]) -> Result<Kind, String> {
        let (mut root, mut at) = self.settled(shape, shape);
        for (index, segment) in path.iter().enumerate() {
            let here = || path[..=index].join(".");
            match kind_of(at) {
                Kind::Any => return Ok(Kind::Any),
                Kind::Object => {
                    let fields = at.get("properties").and_then(Value::as_object);
                    let field = fields.and_then(|fields| fields.get(segment.as_str()));
                    let free = at.get("additionalProperties").filter(|extra| extra.is_object());
                    let Some(next) = field.or(free) else {
                        let names = || fields.into_iter().flatten().map(|(name, _)| name.as_str());
                        let guess = closest(segment, names());
                        let guess = guess.map_or_else(String::new, |name| format!(", did you mean '{name}'?"));
                        let all = names().collect::<Vec<_>>().join(", ");
                        return Err(format!("there is no '{}'{guess} There is: {all}", here()));
                    };
                    (root, at) = self.settled(root, next);
                }
                Kind::List => {
                    if segment.parse::<usize>().is_err() {
                        return Err(format!("'{}': a list has places 0, 1, ..., not '{segment}'", here()));
                    }
                    let Some(items) = at.get("items") else { return Ok(Kind::Any) };
                    (root, at) = self.settled(root, items);
                }
                Kind::File | Kind::Text if FILE_PARTS.contains(&segment.as_str()) => {
                    return match path.get(index + 1) {
                        None => Ok(Kind::Text),
                        Some(more) => Err(format!("'{}' is a text and has no '{more}'", here())),
                    };
                }
                kind => {
                    let parts =
                        if kind == Kind::File { format!("; it has {}", FILE_PARTS.join(", ")) } else { String::new() };
                    return Err(format!("there is no '{}': what is before is {}{parts}", here(), kind.name()));
                }
            }
        }
        Ok(kind_of(at))
    }

    /// Follows references, and the one choice that is not null.
    fn settled<'a>(&'a self, root: &'a Value, schema: &'a Value) -> (&'a Value, &'a Value) {
        let (mut root, mut at) = (root, schema);
        // Deeper chains than this do not occur; a circle ends here.
        for _ in 0..16 {
            if let Some(record) = at.get("x-record").and_then(Value::as_str) {
                // `check/QualityReport` is a definition inside of a record.
                let (record, part) = record.split_once('/').map_or((record, None), |(r, part)| (r, Some(part)));
                let Some(schema) = self.0.get(record) else { return (root, &Value::Null) };
                (root, at) = (schema, part.map_or(schema, |part| &schema["$defs"][part]));
            } else if let Some(name) = at.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/")) {
                at = &root["$defs"][name];
            } else if let Some(choices) = at.get("anyOf").and_then(Value::as_array) {
                let mut real = choices.iter().filter(|choice| choice.get("type") != Some(&json!("null")));
                match (real.next(), real.next()) {
                    (Some(only), None) => at = only,
                    _ => return (root, &Value::Null),
                }
            } else {
                break;
            }
        }
        (root, at)
    }
}

fn of_analysis(step: &AnalyseStep, file: Value, record: impl Fn(&str) -> Value) -> Value {
    let mut properties = Map::from_iter([("file".to_owned(), file)]);
    for report in &step.reports {
        let name = match report {
            ReportKind::Loudness => "loudness",
            ReportKind::Quality => "quality",
            ReportKind::Analysis => "analysis",
        };
        let schema = if *report == ReportKind::Quality { "check/QualityReport" } else { name };
        properties.insert(name.into(), record(schema));
    }
    let delivery: Map<String, Value> =
        step.delivery.iter().map(|name| (name.clone(), record("check/DeliveryResult"))).collect();
    properties.insert("delivery".into(), json!({ "type": "object", "properties": delivery }));
    json!({ "type": "object", "properties": properties })
}

fn kind_of(schema: &Value) -> Kind {
    let of = |name: &str| match name {
        "string" if schema.get("x-file").is_some() => Kind::File,
        "string" => Kind::Text,
        "number" | "integer" => Kind::Number,
        "boolean" => Kind::Bool,
        "array" => Kind::List,
        "object" if schema.get("oneOf").is_none() => Kind::Object,
        _ => Kind::Any,
    };
    match schema.get("type") {
        Some(Value::String(name)) => of(name),
        // `["number", "null"]`: what was not measured is null.
        Some(Value::Array(names)) => {
            let mut real = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            match (real.next(), real.next()) {
                (Some(only), None) => of(only),
                _ => Kind::Any,
            }
        }
        _ if schema.get("enum").is_some() => Kind::Text,
        _ => Kind::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(action: Value, path: &str) -> Result<Kind, String> {
        let action: StepAction = serde_json::from_value(action).unwrap();
        let shapes = Shapes::new();
        let path: Vec<String> = path.split('.').filter(|s| !s.is_empty()).map(str::to_owned).collect();
        shapes.at(&shapes.of_step(&action), &path)
    }

    #[test]
    fn fields_of_results_are_known_down_to_the_records_of_the_engine() {
        let measure = json!({ "type": "measure", "input": "a" });
        let analyse =
            json!({ "type": "analyse", "input": "a", "reports": ["quality", "analysis"], "delivery": ["acx"] });
        let process = json!({ "type": "process", "recipe": {} });
        for (action, path, kind) in [
            (&measure, "integrated_lufs", Kind::Number),
            (&measure, "file.stem", Kind::Text),
            (&analyse, "delivery.acx.passed", Kind::Bool),
            (&analyse, "delivery.acx.rules.0.value", Kind::Number),
            (&analyse, "quality.measurements.snr_db", Kind::Number),
            (&analyse, "quality.loudness.integrated_lufs", Kind::Number),
            (&analyse, "analysis.rhythm.tempo.bpm", Kind::Number),
            (&process, "path", Kind::File),
            (&process, "paths.1.name", Kind::Text),
            (&process, "met", Kind::Bool),
            (&process, "report.outputs.0.after.true_peak_dbtp", Kind::Number),
            (&process, "loudness.integrated_lufs", Kind::Number),
        ] {
            assert_eq!(at(action.clone(), path), Ok(kind), "{path}");
        }
    }

    #[test]
    fn what_will_not_be_there_is_named_with_a_suggestion() {
        let measure = json!({ "type": "measure", "input": "a" });
        let analyse = json!({ "type": "analyse", "input": "a", "reports": ["loudness"] });
        for (action, path, words) in [
            (&measure, "integrated_luffs", "did you mean 'integrated_lufs'?"),
            (&measure, "integrated_lufs.x", "what is before is a number"),
            (&measure, "file.name.x", "is a text and has no 'x'"),
            (&analyse, "quality", "There is: file, loudness, delivery"),
            (&analyse, "delivery.acx", "there is no 'delivery.acx'"),
        ] {
            let told = at(action.clone(), path).unwrap_err();
            assert!(told.contains(words), "{path}: {told}");
        }
        let process = json!({ "type": "process", "recipe": {} });
        assert!(at(process, "paths.first").unwrap_err().contains("a list has places"));
    }
}
