//! A definition as a graph: which step waits for which, and why.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::action::StepAction;
use super::definition::{Workflow, WorkflowStep};
use super::load::problem;
use super::template::{self, Part, Reference, Root};
use crate::error::{Problem, closest};

/// A step and what it waits for. Numbers are places in [`Graph::nodes`].
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub step: WorkflowStep,
    /// The `fan_out` that it is in.
    pub parent: Option<usize>,
    /// The steps inside of it, when it is a `fan_out`.
    pub children: Vec<usize>,
    /// Steps that `after` names.
    pub after: Vec<usize>,
    /// Results that it uses: of each group, one has to be there.
    pub groups: Vec<Vec<usize>>,
    /// Branches that name it: one of them has to take it.
    pub branches: Vec<usize>,
    /// All that it waits for.
    pub waits: BTreeSet<usize>,
}

/// All steps.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    by_id: HashMap<String, usize>,
}

impl Graph {
    /// Reads the graph of a definition; also what is wrong with its names. Those who build a graph of a definition that was checked may
    /// ignore the problems: there are none.
    pub fn new(workflow: &Workflow) -> (Self, Vec<Problem>) {
        let mut graph = Self { nodes: Vec::new(), by_id: HashMap::new() };
        let mut problems = Vec::new();
        for (step, parent) in workflow.all_steps() {
            let index = graph.nodes.len();
            if graph.by_id.insert(step.id.clone(), index).is_some() {
                problems.push(problem(
                    &format!("steps.{}", step.id),
                    "stands twice; every id is unique in the workflow".into(),
                ));
            }
            let parent = parent.and_then(|fan| graph.by_id.get(&fan.id).copied());
            if let Some(parent) = parent {
                graph.nodes[parent].children.push(index);
            }
            graph.nodes.push(Node {
                step: step.clone(),
                parent,
                children: Vec::new(),
                after: Vec::new(),
                groups: Vec::new(),
                branches: Vec::new(),
                waits: BTreeSet::new(),
            });
        }
        for index in 0..graph.nodes.len() {
            graph.connect(index, &mut problems);
        }
        graph.lift();
        (graph, problems)
    }

    /// The place of a step.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// Step `index`, which there is.
    pub fn id(&self, index: usize) -> &str {
        &self.nodes[index].step.id
    }

    fn connect(&mut self, index: usize, problems: &mut Vec<Problem>) {
        let step = self.nodes[index].step.clone();
        let place = format!("steps.{}", step.id);
        for id in &step.after {
            if let Some(other) = self.visible(index, id, &format!("{place}.after"), problems) {
                self.nodes[index].after.push(other);
                self.nodes[index].waits.insert(other);
            }
        }
        for (place, references) in references_of(&step.action) {
            let steps = references.iter().filter_map(|r| if let Root::Step(id) = &r.root { Some(id) } else { None });
            let steps: Vec<&String> = steps.collect();
            let found: Vec<usize> = steps
                .iter()
                .filter_map(|id| self.visible(index, id, &format!("steps.{}.{place}", step.id), problems))
                .collect();
            self.nodes[index].waits.extend(&found);
            // An input among the alternatives is always there.
            if !found.is_empty() && steps.len() == references.len() {
                self.nodes[index].groups.push(found);
            }
        }
        if let StepAction::Branch(branch) = &step.action {
            let targets = branch.cases.iter().flat_map(|case| &case.then).chain(&branch.otherwise);
            for id in targets {
                let Some(target) = self.visible(index, id, &format!("{place}.then"), problems) else { continue };
                if self.nodes[target].parent != self.nodes[index].parent {
                    let message = format!(
                        "'{id}' is not beside the branch: one inside of a fan_out chooses among the steps there"
                    );
                    problems.push(problem(&format!("{place}.then"), message));
                    continue;
                }
                if !self.nodes[target].branches.contains(&index) {
                    self.nodes[target].branches.push(index);
                }
                self.nodes[target].waits.insert(index);
            }
        }
    }

    /// A step that `from` may name: one beside it, or outside of its `fan_out`.
    fn visible(&self, from: usize, id: &str, place: &str, problems: &mut Vec<Problem>) -> Option<usize> {
        let Some(found) = self.find(id) else {
            let names = self.nodes.iter().map(|node| node.step.id.as_str());
            let guess = closest(id, names).map_or_else(String::new, |name| format!(", did you mean '{name}'?"));
            problems.push(problem(place, format!("there is no step '{id}'{guess}")));
            return None;
        };
        let (parent, own) = (self.nodes[found].parent, self.nodes[from].parent);
        match parent {
            Some(fan) if own != parent => {
                let message = format!("step '{id}' is inside of '{0}': use the result of '{0}'", self.id(fan));
                problems.push(problem(place, message));
                None
            }
            _ if own == Some(found) => {
                let message =
                    format!("step '{id}' is the fan_out that this step is in; its result is there after its steps");
                problems.push(problem(place, message));
                None
            }
            _ => Some(found),
        }
    }

    /// What a step inside of a `fan_out` needs from outside, the `fan_out` waits for.
    fn lift(&mut self) {
        for index in 0..self.nodes.len() {
            let Some(fan) = self.nodes[index].parent else { continue };
            let outside: Vec<usize> =
                self.nodes[index].waits.iter().copied().filter(|w| self.nodes[*w].parent != Some(fan)).collect();
            self.nodes[fan].waits.extend(outside);
        }
    }

    /// A circle, as the ids along it, when there is one.
    pub fn cycle(&self) -> Option<Vec<String>> {
        // 0: not seen; 1: on the path; 2: done.
        let mut marks = vec![0_u8; self.nodes.len()];
        for start in 0..self.nodes.len() {
            let mut path: Vec<(usize, Vec<usize>)> = Vec::new();
            let enter = |index: usize, marks: &mut Vec<u8>| {
                marks[index] = 1;
                (index, self.nodes[index].waits.iter().copied().collect::<Vec<_>>())
            };
            if marks[start] == 0 {
                path.push(enter(start, &mut marks));
            }
            while let Some((index, left)) = path.last_mut() {
                match left.pop() {
                    None => {
                        marks[*index] = 2;
                        path.pop();
                    }
                    Some(next) if marks[next] == 1 => {
                        let from = path.iter().position(|(index, _)| *index == next).unwrap_or(0);
                        let mut ids: Vec<String> = path[from..].iter().map(|(i, _)| self.id(*i).to_owned()).collect();
                        ids.push(self.id(next).to_owned());
                        return Some(ids);
                    }
                    Some(next) if marks[next] == 0 => path.push(enter(next, &mut marks)),
                    Some(_) => {}
                }
            }
        }
        None
    }
}

/// The groups of references in a step's own texts, with their places. Texts that cannot be read are left to the validation.
pub(super) fn references_of(action: &StepAction) -> Vec<(String, Vec<Reference>)> {
    let mut all = references_in(&action.texts());
    if let StepAction::Branch(branch) = action {
        for (index, case) in branch.cases.iter().enumerate() {
            // Each is a group of its own: a branch that compares what is not there is skipped.
            let found = case.when.references().unwrap_or_default();
            all.extend(found.into_iter().map(|r| (format!("cases.{index}.when"), vec![r])));
        }
    }
    all
}

/// The groups of references in texts.
pub(super) fn references_in(value: &Value) -> Vec<(String, Vec<Reference>)> {
    let mut all = Vec::new();
    template::each_text(value, "", &mut |place, text| {
        for part in template::parse(text).unwrap_or_default() {
            if let Part::Value(references) = part {
                all.push((place.to_owned(), references));
            }
        }
    });
    all
}
