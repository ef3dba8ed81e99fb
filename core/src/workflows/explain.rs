//! What a run would do, told before it does.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::action::{BranchStep, FileList, StepAction};
use super::board::Board;
use super::condition::Condition;
use super::definition::{OnFailure, Workflow, WorkflowStep};
use super::files::word;
use super::glob;
use super::graph::Graph;
use super::record::{inputs_of, located};
use super::runs::RunRequest;
use super::step::resolved;
use super::template::Scope;
use crate::Engine;
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::processing::{Control, Step};

/// What a run would do. Nothing is written, and nothing is decoded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunPlan {
    /// Name of the workflow.
    pub workflow: String,
    /// Its version.
    pub version: u32,
    /// Its digest.
    pub digest: String,
    /// The inputs, with defaults.
    pub inputs: Map<String, Value>,
    /// The steps, each after those it waits for.
    pub steps: Vec<PlannedStep>,
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedStep {
    /// The step.
    pub id: String,
    /// Its kind, as in `type`.
    pub kind: &'static str,
    /// The `fan_out` that it is in.
    pub inside: Option<String>,
    /// Steps that it waits for.
    pub waits_for: Vec<String>,
    /// What it does, with what is known now filled in.
    pub what: String,
    /// Under which condition, as far as a branch decides.
    pub when: Vec<String>,
    /// What follows when it fails.
    pub on_failure: OnFailure,
    /// The files of a `fan_out`, when they are there already.
    pub files: Option<usize>,
    /// What the recipe would do, when its input is there already.
    pub details: Vec<Step>,
    /// Why it would fail, when that is known now.
    pub problem: Option<String>,
}

/// Tells what a run would do.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) for the workflow and its inputs.
pub fn plan(engine: &Engine, request: &RunRequest, actions: Option<&[&str]>) -> Result<RunPlan> {
    let workflow = &request.workflow;
    workflow.validate(engine.presets(), actions)?;
    let base = request.base()?;
    let inputs = inputs_of(workflow, &request.inputs, &base)?;
    let graph = Graph::new(workflow).0;
    let planner = Planner { engine, graph: &graph, inputs: &inputs, base: &base };
    let mut order: Vec<usize> = Vec::new();
    while order.len() < graph.nodes.len() {
        let before = order.len();
        for index in 0..graph.nodes.len() {
            let node = &graph.nodes[index];
            // What waits for a `fan_out` comes after the steps in it.
            let is_told =
                |other: &usize| order.contains(other) && graph.nodes[*other].children.iter().all(|c| order.contains(c));
            let parent = node.parent.is_none_or(|fan| order.contains(&fan));
            if !order.contains(&index) && parent && node.waits.iter().all(is_told) {
                order.push(index);
            }
        }
        if order.len() == before {
            break; // A circle, which the validation has refused.
        }
    }
    let steps = order.into_iter().map(|index| planner.step(index)).collect();
    Ok(RunPlan {
        workflow: workflow.name.clone(),
        version: workflow.version,
        digest: workflow.digest()?,
        inputs,
        steps,
    })
}

struct Planner<'a> {
    engine: &'a Engine,
    graph: &'a Graph,
    inputs: &'a Map<String, Value>,
    base: &'a Path,
}

impl Planner<'_> {
    fn step(&self, index: usize) -> PlannedStep {
        let node = &self.graph.nodes[index];
        let step = &node.step;
        let when = node.branches.iter().map(|branch| self.when(*branch, &step.id));
        let mut planned = PlannedStep {
            id: step.id.clone(),
            kind: step.action.kind(),
            inside: node.parent.map(|fan| self.graph.id(fan).to_owned()),
            waits_for: node.waits.iter().map(|other| self.graph.id(*other).to_owned()).collect(),
            what: String::new(),
            when: when.collect(),
            on_failure: step.on_failure,
            files: None,
            details: Vec::new(),
            problem: None,
        };
        // Results of other steps are not there yet, nor is a file of a `fan_out`: then the texts are told as they stand.
        let scope = Scope(json!({ "inputs": self.inputs, "steps": {}, "run": { "id": "RUN" } }));
        let known = resolved(&step.action, &scope).ok();
        planned.what = describe(known.as_ref().unwrap_or(&step.action));
        match known {
            Some(StepAction::Process(own)) => self.recipe(&own.recipe, &mut planned),
            Some(StepAction::Encode(own)) => {
                self.recipe(
                    &json!({ "input": own.input, "outputs": own.outputs, "set_tags": own.set_tags }),
                    &mut planned,
                );
            }
            Some(StepAction::FanOut(own)) => match self.count(&own.files, own.max_items as usize) {
                Ok(0) if !own.allow_empty => planned.problem = Some("there is no such file".into()),
                Ok(count) if count > own.max_items as usize => {
                    planned.problem = Some(format!("there are more than {} files", own.max_items));
                }
                Ok(count) => planned.files = Some(count),
                Err(error) => planned.problem = Some(error.to_string()),
            },
            _ => {}
        }
        planned
    }

    /// What the engine would do, when the input is there.
    fn recipe(&self, request: &Value, planned: &mut PlannedStep) {
        let plan = self.engine.recipe(request).and_then(|mut recipe| {
            recipe.input = located(&recipe.input, self.base);
            recipe.outputs.iter_mut().for_each(|output| output.path = located(&output.path, self.base));
            self.engine.plan(&recipe)
        });
        match plan {
            Ok(plan) => planned.details = plan.steps,
            Err(error) => planned.problem = Some(error.to_string()),
        }
    }

    fn count(&self, files: &FileList, max: usize) -> Result<usize> {
        let patterns = match files {
            FileList::One(pattern) => std::slice::from_ref(pattern),
            FileList::Many(patterns) => patterns.as_slice(),
        };
        let mut count = 0;
        for pattern in patterns {
            let whole = located(Path::new(pattern), self.base);
            self.engine.may("list", Some(&whole), &[], &Control::default())?;
            let files = &**self.engine.file_system();
            count += glob::find(&whole.to_string_lossy(), max, files, &CancelToken::new())?.len();
        }
        Ok(count)
    }

    fn when(&self, branch: usize, id: &str) -> String {
        let name = self.graph.id(branch);
        let StepAction::Branch(own) = &self.graph.nodes[branch].step.action else { return String::new() };
        let mut cases: Vec<String> = takes(own, id).map(in_words).collect();
        if own.otherwise.iter().any(|other| other == id) {
            cases.push("nothing else holds".into());
        }
        format!("{name}: {}", cases.join(", or "))
    }
}

fn takes<'a>(branch: &'a BranchStep, id: &'a str) -> impl Iterator<Item = &'a Condition> {
    branch.cases.iter().filter(move |case| case.then.iter().any(|then| then == id)).map(|case| &case.when)
}

/// A condition as people say it.
pub(super) fn in_words(condition: &Condition) -> String {
    let join =
        |list: &[Condition], word: &str| format!("({})", list.iter().map(in_words).collect::<Vec<_>>().join(word));
    if let Some(list) = &condition.all {
        return join(list, " and ");
    }
    if let Some(list) = &condition.any {
        return join(list, " or ");
    }
    if let Some(part) = &condition.not {
        return format!("not {}", in_words(part));
    }
    let mut parts = Vec::new();
    for (limit, word) in
        [(condition.less_than, "<"), (condition.at_most, "<="), (condition.more_than, ">"), (condition.at_least, ">=")]
    {
        parts.extend(limit.map(|limit| format!("{word} {limit}")));
    }
    parts.extend(condition.equals.as_ref().map(|value| format!("= {value}")));
    parts.extend(condition.one_of.as_ref().map(|list| format!("in {}", Value::from(list.clone()))));
    parts.extend(condition.is_null.map(|null| if null { "is not there".to_owned() } else { "is there".to_owned() }));
    format!("{} {}", condition.value.as_deref().unwrap_or_default(), parts.join(" and "))
}

/// A step in a sentence.
fn describe(action: &StepAction) -> String {
    let list = |files: &FileList| match files {
        FileList::One(path) => path.clone(),
        FileList::Many(paths) => paths.join(", "),
    };
    match action {
        StepAction::Analyse(step) => {
            let mut reports: Vec<String> =
                step.reports.iter().map(|report| format!("{report:?}").to_lowercase()).collect();
            reports.extend(step.delivery.iter().map(|name| format!("delivery {name}")));
            format!("look at {}: {}", step.input, reports.join(", "))
        }
        StepAction::Measure(step) => format!("measure {}", step.input),
        StepAction::Process(step) => {
            let field = |name: &str| step.recipe.get(name).map(plain);
            let preset = field("preset").map_or_else(String::new, |name| format!(" with {name}"));
            let output = field("output").or_else(|| field("outputs")).unwrap_or_default();
            format!("process {}{preset} to {output}", field("input").unwrap_or_default())
        }
        StepAction::Encode(step) => {
            format!("encode {} to {}", step.input, plain(&Value::from(step.outputs.clone())))
        }
        StepAction::Branch(step) => {
            let cases = step.cases.iter().map(|case| format!("{}: {}", case.name, in_words(&case.when)));
            format!("choose {}", cases.chain(["otherwise".to_owned()]).collect::<Vec<_>>().join("; "))
        }
        StepAction::FanOut(step) => format!("for each of {}: {}", list(&step.files), ids(&step.steps)),
        StepAction::Store(step) => {
            let name = step.name.as_ref().map_or_else(String::new, |name| format!(" as {name}"));
            format!("{} {} to {}{name}", word(step.mode), list(&step.files), step.to)
        }
        StepAction::Notify(step) => {
            let url = step.webhook.as_ref().map_or_else(String::new, |url| format!(" and {url}"));
            format!("tell{url}: {}", step.message)
        }
        StepAction::Custom(step) => format!("call {}", step.action),
    }
}

fn ids(steps: &[WorkflowStep]) -> String {
    steps.iter().map(|step| step.id.as_str()).collect::<Vec<_>>().join(", ")
}

/// Paths of outputs, however they are given.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields.get("path").map(plain).unwrap_or_default(),
        other => other.to_string(),
    }
}

impl RunPlan {
    /// The plan as text, a step a line.
    pub fn text(&self) -> String {
        let mut text = format!("{} version {}, {} steps\n", self.workflow, self.version, self.steps.len());
        for (name, value) in &self.inputs {
            let _ = writeln!(text, "  {name} = {}", plain(value));
        }
        for (number, step) in self.steps.iter().enumerate() {
            let indent = if step.inside.is_some() { "    " } else { "" };
            let _ = writeln!(text, "{indent}{}. {} ({}): {}", number + 1, step.id, step.kind, step.what);
            let mut note = |line: String| {
                let _ = writeln!(text, "{indent}     {line}");
            };
            if !step.waits_for.is_empty() {
                note(format!("after {}", step.waits_for.join(", ")));
            }
            step.when.iter().for_each(|when| note(format!("when {when}")));
            if let Some(files) = step.files {
                note(format!("{files} files"));
            }
            match step.on_failure {
                OnFailure::Fail => {}
                OnFailure::Continue => note("when it fails, the rest goes on".into()),
                OnFailure::Compensate => note("when it fails, what was done is undone".into()),
            }
            step.details.iter().for_each(|detail| note(format!("{}: {}", detail.what, detail.why)));
            if let Some(problem) = &step.problem {
                note(format!("would fail: {problem}"));
            }
        }
        text
    }
}

impl Workflow {
    /// Steps that could begin at once.
    pub fn first_steps(&self) -> Vec<String> {
        let graph = std::sync::Arc::new(Graph::new(self).0);
        let (ready, _) = Board::new(std::sync::Arc::clone(&graph)).settle();
        ready.into_iter().map(|(node, _)| graph.id(node).to_owned()).collect()
    }
}
