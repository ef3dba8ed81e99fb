//! Reading a definition: YAML or JSON, within limits, with every unknown field named and a suggestion.

use std::path::Path;

use serde_json::{Map, Value};

use super::action::{StepAction, UndoAction};
use super::condition::Condition;
use super::definition::{MAX_DEFINITION_BYTES, Workflow, WorkflowStep};
use crate::error::{Error, Problem, Result, closest};
use crate::services::seams::FileSystem;

const WORKFLOW: [&str; 5] = ["name", "version", "description", "inputs", "steps"];
const INPUT: [&str; 3] = ["type", "description", "default"];
const STEP: [&str; 7] = ["id", "type", "after", "retry", "timeout_s", "on_failure", "undo"];
const RETRY: [&str; 4] = ["attempts", "crashes", "base_ms", "max_ms"];
const CASE: [&str; 3] = ["name", "when", "then"];

impl Workflow {
    /// Reads YAML, of which JSON is a part. What the steps mean is looked at by [`Workflow::validate`].
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] above 256 KiB; [`Error::Invalid`] with everything that is wrong.
    pub fn from_text(text: &str) -> Result<Self> {
        if text.len() > MAX_DEFINITION_BYTES {
            let (value, max) = (text.len() as f64, MAX_DEFINITION_BYTES as f64);
            return Err(Error::LimitExceeded { limit: "workflow definition bytes", value, max });
        }
        let value = crate::config::yaml_value(text).map_err(|detail| invalid(vec![problem("", detail)]))?;
        Self::from_value(&value)
    }

    /// Reads a definition from what was JSON.
    ///
    /// # Errors
    /// As [`Workflow::from_text`].
    pub fn from_value(value: &Value) -> Result<Self> {
        let mut problems = Vec::new();
        let Some(fields) = value.as_object() else {
            return Err(invalid(vec![problem(
                "",
                "is no object; a workflow has name, description, inputs, steps".into(),
            )]));
        };
        known(fields, "", &WORKFLOW, &mut problems);
        for (name, input) in fields.get("inputs").and_then(Value::as_object).into_iter().flatten() {
            let place = format!("inputs.{name}");
            match input.as_object() {
                Some(fields) => known(fields, &place, &INPUT, &mut problems),
                None => problems.push(problem(&place, "is no object; an input has type, description, default".into())),
            }
        }
        match fields.get("steps").and_then(Value::as_array) {
            Some(steps) => check_steps(steps, "", true, &mut problems),
            None => problems.push(problem("steps", "is missing; it is a list of steps".into())),
        }
        if !problems.is_empty() {
            return Err(invalid(problems));
        }
        serde_json::from_value(value.clone()).map_err(|e| invalid(vec![problem("", e.to_string())]))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`Workflow::from_text`], naming the file; [`Error::Io`], [`Error::NotFound`].
    pub fn from_file(path: &Path, files: &dyn FileSystem) -> Result<Self> {
        let bytes = files.read(path, MAX_DEFINITION_BYTES as u64).map_err(|e| Error::io("read", Some(path), e))?;
        let place = path.display().to_string();
        let text = String::from_utf8(bytes).map_err(|_| {
            invalid(vec![Problem { place: place.clone(), path: String::new(), message: "is not UTF-8".into() }])
        })?;
        Self::from_text(&text).map_err(|error| match error {
            Error::Invalid { what, mut problems } => {
                problems.iter_mut().for_each(|problem| problem.place.clone_from(&place));
                Error::Invalid { what, problems }
            }
            other => other,
        })
    }
}

/// Mistakes of a definition as an error.
pub(super) fn invalid(problems: Vec<Problem>) -> Error {
    Error::Invalid { what: "workflow", problems }
}

/// A mistake at a place inside of a definition.
pub(super) fn problem(path: &str, message: String) -> Problem {
    Problem { place: String::new(), path: path.to_owned(), message }
}

/// Says which of `fields` do not exist.
fn known(fields: &Map<String, Value>, place: &str, allowed: &[&str], problems: &mut Vec<Problem>) {
    for name in fields.keys().filter(|name| !allowed.contains(&name.as_str())) {
        let path = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
        let guess =
            closest(name, allowed.iter().copied()).map_or_else(String::new, |c| format!(", did you mean '{c}'?"));
        problems.push(problem(&path, format!("unknown field{guess} Allowed: {}", allowed.join(", "))));
    }
}

fn check_steps(steps: &[Value], place: &str, outer: bool, problems: &mut Vec<Problem>) {
    for (index, step) in steps.iter().enumerate() {
        let id = step.get("id").and_then(Value::as_str);
        let here = format!("{place}steps.{}", id.map_or_else(|| index.to_string(), str::to_owned));
        let Some(fields) = step.as_object() else {
            problems.push(problem(&here, "is no object; a step has id, type, and what its type needs".into()));
            continue;
        };
        if id.is_none() {
            problems.push(problem(&here, "has no id".into()));
        }
        let before = problems.len();
        if let Some(own) = kind_fields(fields, &here, &StepAction::KINDS, StepAction::fields, problems) {
            known(fields, &here, &[STEP.as_slice(), own].concat(), problems);
        }
        check_parts(fields, &here, outer, problems);
        if problems.len() == before
            && id.is_some()
            && let Err(error) = serde_json::from_value::<WorkflowStep>(step.clone())
        {
            problems.push(problem(&here, error.to_string()));
        }
    }
}

/// The fields that the `type` of an object brings.
fn kind_fields<'a>(
    fields: &Map<String, Value>,
    place: &str,
    kinds: &[&str],
    find: impl Fn(&str) -> Option<&'a [&'a str]>,
    problems: &mut Vec<Problem>,
) -> Option<&'a [&'a str]> {
    let Some(kind) = fields.get("type").and_then(Value::as_str) else {
        problems.push(problem(&format!("{place}.type"), format!("is missing, allowed: {}", kinds.join(", "))));
        return None;
    };
    let own = find(kind);
    if own.is_none() {
        let guess = closest(kind, kinds.iter().copied()).map_or_else(String::new, |c| format!(", did you mean '{c}'?"));
        let message = format!("unknown type '{kind}'{guess} Allowed: {}", kinds.join(", "));
        problems.push(problem(&format!("{place}.type"), message));
    }
    own
}

/// The objects inside of a step.
fn check_parts(fields: &Map<String, Value>, place: &str, outer: bool, problems: &mut Vec<Problem>) {
    if let Some(retry) = fields.get("retry").and_then(Value::as_object) {
        known(retry, &format!("{place}.retry"), &RETRY, problems);
    }
    if let Some(undo) = fields.get("undo").and_then(Value::as_object) {
        let here = format!("{place}.undo");
        if let Some(own) = kind_fields(undo, &here, &["remove", "notify", "custom"], UndoAction::fields, problems) {
            known(undo, &here, &[&["type"], own].concat(), problems);
        }
    }
    for (index, case) in fields.get("cases").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let here = format!("{place}.cases.{index}");
        if let Some(case) = case.as_object() {
            known(case, &here, &CASE, problems);
            if let Some(when) = case.get("when") {
                check_condition(when, &format!("{here}.when"), 0, problems);
            }
        }
    }
    let inner = fields.get("steps").and_then(Value::as_array);
    if let Some(steps) = inner.filter(|_| fields.get("type").and_then(Value::as_str) == Some("fan_out")) {
        if outer {
            check_steps(steps, &format!("{place}."), false, problems);
        } else {
            problems.push(problem(place, "is a fan_out inside of a fan_out, which is not allowed".into()));
        }
    }
}

fn check_condition(value: &Value, place: &str, depth: usize, problems: &mut Vec<Problem>) {
    let Some(fields) = value.as_object().filter(|_| depth <= super::condition::MAX_DEPTH) else { return };
    known(fields, place, &Condition::FIELDS, problems);
    for name in ["all", "any"] {
        for (index, part) in fields.get(name).and_then(Value::as_array).into_iter().flatten().enumerate() {
            check_condition(part, &format!("{place}.{name}.{index}"), depth + 1, problems);
        }
    }
    if let Some(part) = fields.get("not") {
        check_condition(part, &format!("{place}.not"), depth + 1, problems);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> String {
        Workflow::from_text(text).unwrap_err().to_string()
    }

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = "
name: a
inputs: {file: {type: file}}
steps:
  - id: m
    type: measure
    input: ${inputs.file}
    retry: {attempts: 2}
";
        let json = r#"{"name": "a", "inputs": {"file": {"type": "file"}},
            "steps": [{"id": "m", "type": "measure", "input": "${inputs.file}", "retry": {"attempts": 2}}]}"#;
        let workflow = Workflow::from_text(yaml).unwrap();
        assert_eq!(workflow, Workflow::from_text(json).unwrap());
        assert_eq!(workflow.steps[0].retry.attempts, 2);
        // What is written reads as the same, with the same digest.
        let again = Workflow::from_value(&serde_json::to_value(&workflow).unwrap()).unwrap();
        assert_eq!(again, workflow);
        assert_eq!(again.digest().unwrap(), workflow.digest().unwrap());
    }

    #[test]
    fn every_mistake_is_told_with_its_place_and_a_suggestion() {
        let text = "
name: a
stepz: []
inputs: {file: {typ: file}}
steps:
  - {id: m, type: measure, inptu: x, retry: {atempts: 1}}
  - {id: n, type: mesure}
  - {id: o, type: store, files: a, to: b, undo: {type: remov}}
  - {id: p, type: branch, cases: [{name: x, when: {value: steps.m.a, les_than: 1}}]}
  - {type: notify, message: x}
";
        let told = mistakes(text);
        for words in [
            "stepz: unknown field, did you mean 'steps'?",
            "inputs.file.typ: unknown field, did you mean 'type'?",
            "steps.m.inptu: unknown field, did you mean 'input'?",
            "steps.m.retry.atempts: unknown field, did you mean 'attempts'?",
            "steps.n.type: unknown type 'mesure', did you mean 'measure'?",
            "steps.o.undo.type: unknown type 'remov', did you mean 'remove'?",
            "steps.p.cases.0.when.les_than: unknown field, did you mean 'less_than'?",
            "steps.4: has no id",
        ] {
            assert!(told.contains(words), "{words}\n{told}");
        }
    }

    #[test]
    fn values_of_the_wrong_kind_name_their_step() {
        let text =
            "{name: a, steps: [{id: m, type: measure, input: 3}, {id: n, type: store, files: a, to: b, mode: cut}]}";
        let told = mistakes(text);
        assert!(told.contains("steps.m: invalid type: integer `3`, expected a string"), "{told}");
        assert!(told.contains("steps.n: unknown variant `cut`, expected `copy` or `move`"), "{told}");
        let inner = "{name: a, steps: [{id: f, type: fan_out, files: x, steps: [{id: g, type: fan_out, files: y, steps: []}]}]}";
        assert!(mistakes(inner).contains("fan_out inside of a fan_out"));
    }

    #[test]
    fn sizes_are_limited() {
        let long = format!("name: {}", "x".repeat(MAX_DEFINITION_BYTES));
        assert!(matches!(Workflow::from_text(&long), Err(Error::LimitExceeded { .. })));
        let deep = format!("name: {}{}", "[".repeat(40), "]".repeat(40));
        assert!(matches!(Workflow::from_text(&deep), Err(Error::Invalid { .. })));
        assert!(mistakes("name: a").contains("steps: is missing"));
        assert!(mistakes("- 1").contains("is no object"));
    }

    #[test]
    fn the_lists_of_fields_are_those_of_the_types() {
        // A step with every field of its kind set must read; `known` would refuse it if its list were short.
        let full = "
name: a
version: 2
description: d
inputs: {x: {type: text, description: d, default: e}}
steps:
  - {id: a, type: analyse, input: x, reports: [loudness], delivery: [acx], after: [b], retry: {attempts: 1, crashes: 1, base_ms: 1, max_ms: 1}, timeout_s: 1, on_failure: continue, undo: {type: custom, action: x, with: {}}}
  - {id: b, type: process, recipe: {}, strict: true}
  - {id: c, type: encode, input: x, outputs: [y], set_tags: {title: null}}
  - {id: d, type: measure, input: x}
  - {id: e, type: branch, cases: [{name: x, when: {not: {value: inputs.x, equals: 1}}, then: [a]}], otherwise: [b]}
  - {id: f, type: fan_out, files: [x], max_items: 3, allow_empty: true, steps: [{id: g, type: notify, message: m, data: 1}]}
  - {id: h, type: store, files: x, to: y, name: z, mode: move, overwrite: refuse, undo: {type: remove, files: x}}
  - {id: i, type: custom, action: x, with: 3, undo: {type: notify, message: x, data: y}}
";
        Workflow::from_text(full).unwrap();
    }
}
