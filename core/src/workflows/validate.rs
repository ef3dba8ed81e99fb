//! What can be known to be wrong before anything runs.

use serde_json::Value;

use super::action::{AnalyseStep, BranchStep, FileList, StepAction, UndoAction};
use super::condition::Condition;
use super::definition::{InputType, MAX_ITEMS, MAX_STEPS, MAX_TIMEOUT_S, Workflow, WorkflowInput, WorkflowStep};
use super::graph::{Graph, references_in};
use super::load::{invalid, problem};
use super::shape::{Kind, Shapes};
use super::template::{self, Part, Reference, Root};
use crate::analysis::delivery;
use crate::error::{Error, Problem, Result, closest};
use crate::presets::PresetStore;
use crate::processing::recipe_of;

impl Workflow {
    /// Checks everything that can be checked without an input: names, the graph and that it has no circle, the types at both ends of each
    /// reference, conditions, recipes (with these presets), ranges, sizes. `actions` are the names that custom steps may call; none when
    /// they are not known here.
    ///
    /// # Errors
    /// [`Error::Invalid`] with all that is wrong.
    pub fn validate(&self, presets: &PresetStore, actions: Option<&[&str]>) -> Result<()> {
        let (graph, mut problems) = Graph::new(self);
        let shapes = Shapes::new();
        let mut check =
            Check { workflow: self, graph: &graph, shapes: &shapes, presets, actions, problems: Vec::new() };
        check.all();
        problems.append(&mut check.problems);
        if let Some(cycle) = graph.cycle() {
            problems.push(problem("steps", format!("wait for each other in a circle: {}", cycle.join(" -> "))));
        }
        problems.dedup();
        if problems.is_empty() { Ok(()) } else { Err(invalid(problems)) }
    }
}

/// True for names of workflows, inputs and steps.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

const NAMES: &str = "allowed: 1 to 64 lower-case letters, digits and '_', beginning with a letter";

struct Check<'a> {
    workflow: &'a Workflow,
    graph: &'a Graph,
    shapes: &'a Shapes,
    presets: &'a PresetStore,
    actions: Option<&'a [&'a str]>,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn tell(&mut self, place: &str, message: impl Into<String>) {
        self.problems.push(problem(place, message.into()));
    }

    fn range(&mut self, place: &str, value: f64, min: f64, max: f64) {
        if let Err(error) = Error::check_range("value", value, min, max, "") {
            self.tell(place, error.to_string());
        }
    }

    fn all(&mut self) {
        let workflow = self.workflow;
        if !is_name(&workflow.name) {
            self.tell("name", format!("'{}' is no name, {NAMES}", workflow.name));
        }
        let count = workflow.all_steps().count();
        if count == 0 || count > MAX_STEPS {
            self.tell("steps", format!("there are {count}, allowed are 1 to {MAX_STEPS}"));
        }
        for (name, input) in &workflow.inputs {
            let place = format!("inputs.{name}");
            if !is_name(name) {
                self.tell(&place, format!("is no name, {NAMES}"));
            }
            if let Some(Err(message)) = input.default.as_ref().map(|value| input.check(value)) {
                self.tell(&format!("{place}.default"), message);
            }
        }
        for (step, parent) in workflow.all_steps() {
            self.step(step, parent.is_some());
        }
    }

    fn step(&mut self, step: &WorkflowStep, inside: bool) {
        let place = format!("steps.{}", step.id);
        if !is_name(&step.id) {
            self.tell(&place, format!("'{}' is no name, {NAMES}", step.id));
        }
        self.range(&format!("{place}.retry.attempts"), f64::from(step.retry.attempts), 1.0, 1000.0);
        self.range(&format!("{place}.retry.crashes"), f64::from(step.retry.crashes), 1.0, 1000.0);
        self.range(&format!("{place}.retry.base_ms"), step.retry.base_ms as f64, 0.0, 3_600_000.0);
        self.range(&format!("{place}.retry.max_ms"), step.retry.max_ms as f64, 0.0, 86_400_000.0);
        if let Some(timeout) = step.timeout_s {
            self.range(&format!("{place}.timeout_s"), timeout, 0.001, MAX_TIMEOUT_S);
        }
        self.texts(&step.action.texts(), &place, inside, |at| expected(&step.action, at));
        match &step.action {
            StepAction::Analyse(own) => self.analysis(own, &place),
            StepAction::Process(own) => self.recipe(&own.recipe, &place, true),
            StepAction::Encode(own) => {
                if own.outputs.is_empty() {
                    self.tell(&format!("{place}.outputs"), "is empty; name at least one file");
                }
                let request =
                    serde_json::json!({ "input": own.input, "outputs": own.outputs, "set_tags": own.set_tags });
                self.recipe(&request, &place, false);
            }
            StepAction::Branch(own) => self.branch(own, &place, inside),
            StepAction::FanOut(own) => {
                self.range(&format!("{place}.max_items"), f64::from(own.max_items), 1.0, f64::from(MAX_ITEMS));
                if own.steps.is_empty() {
                    self.tell(&format!("{place}.steps"), "is empty; say what is done for each file");
                }
            }
            StepAction::Store(own) => {
                let many = matches!(&own.files, FileList::Many(list) if list.len() != 1);
                if own.name.is_some() && many {
                    self.tell(&format!("{place}.name"), "is for a single file");
                }
            }
            StepAction::Custom(own) => self.custom(&own.action, &place),
            StepAction::Measure(_) | StepAction::Notify(_) => {}
        }
        if let Some(undo) = &step.undo {
            let place = format!("{place}.undo");
            let value = serde_json::to_value(undo).unwrap_or_default();
            self.texts(&value, &place, inside, |at| match at {
                "message" => Some(Port::Text),
                at => at.starts_with("files").then_some(Port::Files),
            });
            for (at, references) in references_in(&value) {
                for id in references.iter().filter_map(|r| if let Root::Step(id) = &r.root { Some(id) } else { None }) {
                    self.undo_uses(step, id, &format!("{place}.{at}"));
                }
            }
            if let UndoAction::Custom(own) = undo {
                self.custom(&own.action, &place);
            }
        }
    }

    /// An undo may use what is there for sure when it runs: its own step, and what that waited for.
    fn undo_uses(&mut self, step: &WorkflowStep, id: &str, place: &str) {
        let graph = self.graph;
        let (Some(own), Some(other)) = (graph.find(&step.id), graph.find(id)) else {
            return self.tell(place, format!("there is no step '{id}'"));
        };
        if other != own && !graph.nodes[own].waits.contains(&other) {
            self.tell(
                place,
                format!("may use the results of '{}' and of steps that it waits for, not of '{id}'", step.id),
            );
        }
    }

    fn custom(&mut self, action: &str, place: &str) {
        if let Some(known) = self.actions
            && !known.contains(&action)
        {
            let guess =
                closest(action, known.iter().copied()).map_or_else(String::new, |c| format!(", did you mean '{c}'?"));
            self.tell(&format!("{place}.action"), format!("nothing is registered as '{action}'{guess}"));
        }
    }

    fn analysis(&mut self, step: &AnalyseStep, place: &str) {
        for name in &step.delivery {
            if let Err(error) = delivery::specification(name) {
                self.tell(&format!("{place}.delivery"), error.to_string());
            }
        }
        if step.reports.is_empty() && step.delivery.is_empty() {
            self.tell(&format!("{place}.reports"), "is empty, and so is delivery: nothing would be found");
        }
    }

    /// The parts of a recipe that hold no references are checked as recipes are.
    fn recipe(&mut self, request: &Value, place: &str, whole: bool) {
        let here = if whole { format!("{place}.recipe") } else { place.to_owned() };
        let Some(fields) = request.as_object() else {
            return self.tell(&here, "is no object; it has the fields of a recipe");
        };
        if whole {
            if !fields.get("input").is_some_and(Value::is_string) {
                self.tell(&format!("{here}.input"), "is missing; name the file to read");
            }
            if !fields.contains_key("output") && !fields.contains_key("outputs") {
                self.tell(&format!("{here}.output"), "is missing; name the file to write");
            }
        }
        let mut plain = without_references(request);
        for list in ["output", "outputs"] {
            // A list that a reference stands for is known when it runs.
            if plain.get(list).is_some_and(|v| v.is_null() || v.as_array().is_some_and(Vec::is_empty))
                && let Some(fields) = plain.as_object_mut()
            {
                fields.shift_remove(list);
            }
        }
        if let Err(error) = recipe_of(self.presets, &plain).and_then(|recipe| recipe.validate()) {
            self.tell(&here, error.to_string());
        }
    }

    fn branch(&mut self, step: &BranchStep, place: &str, inside: bool) {
        if step.cases.is_empty() {
            self.tell(&format!("{place}.cases"), "is empty; name at least one case");
        }
        for (index, case) in step.cases.iter().enumerate() {
            let here = format!("{place}.cases.{index}");
            if case.name == "otherwise" || step.cases[..index].iter().any(|other| other.name == case.name) {
                self.tell(&format!("{here}.name"), format!("'{}' is taken", case.name));
            }
            let here = format!("{here}.when");
            match case.when.check(0) {
                Ok(()) => self.condition(&case.when, &here, inside),
                Err(message) => self.tell(&here, message),
            }
        }
    }

    fn condition(&mut self, condition: &Condition, place: &str, inside: bool) {
        if let Some(text) = &condition.value {
            match Reference::parse(text) {
                Err(message) => self.tell(place, message),
                Ok(reference) => match self.kind(&reference, inside) {
                    Err(message) => self.tell(place, message),
                    Ok(kind) if condition.is_numeric() && !matches!(kind, Kind::Number | Kind::Any) => {
                        self.tell(place, format!("{reference} is {}, and is compared with a number", kind.name()));
                    }
                    Ok(_) => {}
                },
            }
        }
        for part in condition.parts() {
            self.condition(part, place, inside);
        }
    }

    /// Looks at all texts of a step.
    fn texts(&mut self, value: &Value, place: &str, inside: bool, port: impl Fn(&str) -> Option<Port>) {
        let mut texts = Vec::new();
        template::each_text(value, "", &mut |at, text| texts.push((at.to_owned(), text.to_owned())));
        for (at, text) in texts {
            let here = format!("{place}.{at}");
            match template::parse(&text) {
                Err(message) => self.tell(&here, message),
                Ok(parts) => self.parts(&parts, &here, inside, port(&at)),
            }
        }
    }

    fn parts(&mut self, parts: &[Part], place: &str, inside: bool, port: Option<Port>) {
        let single = matches!(parts, [Part::Value(_)]);
        for part in parts {
            let Part::Value(references) = part else { continue };
            for reference in references {
                let kind = match self.kind(reference, inside) {
                    Ok(kind) => kind,
                    Err(message) => {
                        self.tell(place, message);
                        continue;
                    }
                };
                let (fits, wanted) = match (single, port) {
                    (true, Some(Port::File)) => (kind.is_file(), "a file"),
                    (true, Some(Port::Files)) => (kind.is_file() || kind == Kind::List, "a file or a list of files"),
                    (true, None) => (true, ""),
                    (true, Some(Port::Text)) => (kind.is_scalar(), "a text, number or truth value"),
                    (false, _) => (kind.is_scalar(), "a text, number or truth value"),
                };
                if !fits {
                    self.tell(place, format!("{reference} is {}, and {wanted} is needed", kind.name()));
                }
            }
        }
    }

    /// What a reference gives.
    fn kind(&self, reference: &Reference, inside: bool) -> Result<Kind, String> {
        let shape = match &reference.root {
            Root::Input(name) => {
                let inputs = &self.workflow.inputs;
                let Some(input) = inputs.get(name) else {
                    let guess = closest(name, inputs.keys().map(String::as_str));
                    let guess = guess.map_or_else(String::new, |name| format!(", did you mean '{name}'?"));
                    return Err(format!("there is no input '{name}'{guess}"));
                };
                Shapes::of_input(input.kind)
            }
            Root::Step(id) => match self.graph.find(id) {
                Some(found) => self.shapes.of_step(&self.graph.nodes[found].step.action),
                // Told by the graph, with a suggestion.
                None => return Ok(Kind::Any),
            },
            Root::Item if !inside => return Err("'item' is there inside of a fan_out only".into()),
            Root::Item => Shapes::of_input(InputType::File),
            Root::Run => Shapes::of_input(InputType::Text),
        };
        self.shapes.at(&shape, &reference.path).map_err(|message| format!("{reference}: {message}"))
    }
}

/// What a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    File,
    Files,
    Text,
}

fn expected(action: &StepAction, at: &str) -> Option<Port> {
    match (action, at) {
        (StepAction::Process(_), "recipe.input") | (StepAction::Store(_), "to") => Some(Port::File),
        (StepAction::Analyse(_) | StepAction::Measure(_) | StepAction::Encode(_), "input") => Some(Port::File),
        (StepAction::Store(_) | StepAction::FanOut(_), at) if at.starts_with("files") => Some(Port::Files),
        (StepAction::Notify(_), "message" | "webhook") | (StepAction::Store(_), "name") => Some(Port::Text),
        _ => None,
    }
}

/// `value` without what references stand for: what is left says something about recipes.
fn without_references(value: &Value) -> Value {
    let refers = |value: &Value| value.as_str().is_some_and(|text| text.contains("${"));
    match value {
        Value::Array(items) => {
            Value::Array(items.iter().filter(|item| !refers(item)).map(without_references).collect())
        }
        Value::Object(fields) => {
            let plain = fields.iter().map(|(name, field)| match name.as_str() {
                // A path ends as its text does, and the end names the format.
                "path" | "output" if refers(field) => (name.clone(), stand_in(field)),
                _ => (name.clone(), without_references(field)),
            });
            Value::Object(plain.filter(|(_, field)| !refers(field)).collect())
        }
        other => other.clone(),
    }
}

/// A path with the same extension, or one that every recipe takes when that is not known yet.
fn stand_in(path: &Value) -> Value {
    let text = path.as_str().unwrap_or_default();
    let tail = text.rsplit('}').next().unwrap_or_default();
    Value::String(if tail.contains('.') { format!("x{tail}") } else { "x.wav".into() })
}

impl WorkflowInput {
    /// Says what is wrong with a value for this input.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let (fits, wanted) = match self.kind {
            InputType::File | InputType::Folder => (value.as_str().is_some_and(|s| !s.is_empty()), "a path"),
            InputType::Text => (value.is_string(), "a text"),
            InputType::Number => (value.is_number(), "a number"),
            InputType::Bool => (value.is_boolean(), "true or false"),
            InputType::Files => {
                let list = value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
                (list || value.as_str().is_some_and(|s| !s.is_empty()), "a pattern or a list of paths")
            }
        };
        if fits { Ok(()) } else { Err(format!("'{value}' is not valid, allowed: {wanted}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validate(text: &str) -> Result<()> {
        Workflow::from_text(text)?.validate(&PresetStore::built_in()?, Some(&["upload"]))
    }

    fn told(steps: &str) -> String {
        let text =
            format!("name: a\ninputs: {{file: {{type: file}}, n: {{type: number, default: 3}}}}\nsteps:\n{steps}");
        validate(&text).unwrap_err().to_string()
    }

    #[test]
    fn a_sound_workflow_passes() {
        validate(
            "
name: good
inputs: {file: {type: file}, out: {type: folder, default: ready}}
steps:
  - {id: m, type: measure, input: '${inputs.file}'}
  - id: b
    type: branch
    cases: [{name: quiet, when: {value: steps.m.integrated_lufs, less_than: -30}, then: [p]}]
    otherwise: [q]
  - {id: p, type: process, recipe: {preset: podcast, input: '${inputs.file}', output: '${inputs.out}/a.opus'}}
  - {id: q, type: encode, input: '${inputs.file}', outputs: ['${inputs.out}/b.opus']}
  - {id: s, type: store, files: '${steps.p.path | steps.q.path}', to: x, undo: {type: remove, files: '${steps.s.paths}'}}
  - {id: u, type: custom, action: upload, with: {file: '${steps.s.path}'}}
",
        )
        .unwrap();
    }

    #[test]
    fn circles_are_told_with_their_path() {
        let cycle = told(
            "  - {id: x, type: notify, message: m, after: [z]}\n  - {id: y, type: notify, message: m, after: [x]}\n  - {id: z, type: notify, message: m, after: [y]}",
        );
        assert!(cycle.contains("wait for each other in a circle: x -> z -> y -> x"), "{cycle}");
        let own = told("  - {id: x, type: notify, message: '${steps.x.message}'}");
        assert!(own.contains("circle: x -> x"), "{own}");
        let through_fan = told(
            "  - {id: f, type: fan_out, files: a, steps: [{id: g, type: measure, input: '${steps.s.path}'}]}\n  - {id: s, type: store, files: '${steps.f.outputs}', to: x}",
        );
        assert!(through_fan.contains("circle: f -> s -> f"), "{through_fan}");
    }

    #[test]
    fn what_is_missing_doubled_or_of_the_wrong_type_is_named() {
        for (steps, words) in [
            ("  - {id: x, type: notify, message: m, after: [why]}", "steps.x.after: there is no step 'why'"),
            ("  - {id: x, type: notify, message: m}\n  - {id: x, type: notify, message: m}", "steps.x: stands twice"),
            ("  - {id: X, type: notify, message: m}", "'X' is no name"),
            ("  - {id: x, type: notify, message: '${inputs.fil}'}", "there is no input 'fil', did you mean 'file'?"),
            ("  - {id: x, type: notify, message: '${item}'}", "'item' is there inside of a fan_out only"),
            ("  - {id: x, type: measure, input: '${inputs.n}'}", "inputs.n is a number, and a file is needed"),
            (
                "  - {id: m, type: measure, input: a}\n  - {id: x, type: notify, message: '${steps.m.integrated_luf}'}",
                "did you mean 'integrated_lufs'?",
            ),
            (
                "  - {id: m, type: store, files: a, to: b}\n  - {id: x, type: notify, message: 'p ${steps.m.paths}'}",
                "steps.m.paths is a list, and a text, number or truth value is needed",
            ),
            (
                "  - {id: b, type: branch, cases: [{name: c, when: {value: inputs.file, less_than: 3}, then: []}]}",
                "inputs.file is a file, and is compared with a number",
            ),
            (
                "  - {id: m, type: store, files: a, to: b}\n  - {id: x, type: notify, message: '${steps.m.paths}'}",
                "steps.m.paths is a list, and a text, number or truth value is needed",
            ),
            ("  - {id: b, type: branch, cases: []}", "steps.b.cases: is empty"),
            (
                "  - {id: a, type: analyse, input: x, delivery: [acs]}",
                "unknown specification 'acs', did you mean 'acx'?",
            ),
            ("  - {id: p, type: process, recipe: {input: a, output: b.wav, levle: {}}}", "unknown field `levle`"),
            (
                "  - {id: p, type: process, recipe: {preset: podcats, input: a, output: b.wav}}",
                "did you mean 'podcast'?",
            ),
            (
                "  - {id: p, type: process, recipe: {input: a, output: '${inputs.file.stem}.wax'}}",
                "unknown output format 'wax'",
            ),
            ("  - {id: p, type: process, recipe: {preset: podcast}}", "steps.p.recipe.input: is missing"),
            ("  - {id: u, type: custom, action: uplod}", "nothing is registered as 'uplod', did you mean 'upload'?"),
            ("  - {id: x, type: notify, message: m, timeout_s: 0}", "steps.x.timeout_s"),
            ("  - {id: x, type: notify, message: m, retry: {attempts: 0}}", "steps.x.retry.attempts"),
            ("  - {id: x, type: notify, message: '${inputs.file'}", "without '}'"),
            (
                "  - {id: f, type: fan_out, files: a, steps: [{id: g, type: notify, message: m}]}\n  - {id: x, type: notify, message: '${steps.g.message}'}",
                "step 'g' is inside of 'f': use the result of 'f'",
            ),
            (
                "  - {id: s, type: store, files: a, to: b, undo: {type: remove, files: '${steps.m.file}'}}\n  - {id: m, type: measure, input: a}",
                "may use the results of 's'",
            ),
        ] {
            let told = told(steps);
            assert!(told.contains(words), "{words}\n{told}");
        }
    }

    #[test]
    fn too_many_steps_are_refused() {
        let steps: String = (0..=MAX_STEPS).map(|n| format!("  - {{id: s{n}, type: notify, message: m}}\n")).collect();
        assert!(told(&steps).contains("there are 1001, allowed are 1 to 1000"));
        // A chain as long as allowed needs no stack.
        let chain: String = (1..MAX_STEPS)
            .map(|n| format!("  - {{id: s{n}, type: notify, message: m, after: [s{}]}}\n", n - 1))
            .collect();
        let text = format!("name: a\nsteps:\n  - {{id: s0, type: notify, message: m}}\n{chain}");
        validate(&text).unwrap();
    }
}
