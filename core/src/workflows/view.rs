//! A run as its jobs tell it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::action::StepAction;
use super::board::{At, Board, Cell};
use super::definition::{MAX_RUN_STEPS, OnFailure};
use super::graph::{Graph, references_in, references_of};
use super::record::{RunRecord, StepPayload, WORKFLOW_STEP, steps_of};
use super::results::{ResultRef, ResultStore};
use super::template::Root;
use crate::error::{Error, Result};
use crate::jobs::{Job, JobFilter, JobState, JobStore};

/// Jobs that are read at a time.
const PAGE: usize = 500;

/// The state of a run.
pub(super) struct RunView {
    pub job: Job,
    pub record: RunRecord,
    pub graph: Arc<Graph>,
    pub board: Board,
    /// The jobs of steps, as they were last seen.
    pub jobs: HashMap<At, Job>,
    /// The jobs that take effects back.
    pub undoes: HashMap<At, Job>,
    /// The files of each `fan_out`.
    items: HashMap<usize, Vec<String>>,
    results: Arc<dyn ResultStore>,
}

impl RunView {
    /// Reads all jobs of a run.
    ///
    /// # Errors
    /// Those of the stores; [`Error::Malformed`].
    pub fn load(job: &Job, store: &dyn JobStore, results: &Arc<dyn ResultStore>) -> Result<Self> {
        let record = RunRecord::of(job)?;
        let graph = Arc::new(Graph::new(&record.workflow).0);
        let board = Board::new(Arc::clone(&graph));
        let mut view = Self {
            job: job.clone(),
            record,
            graph,
            board,
            jobs: HashMap::new(),
            undoes: HashMap::new(),
            items: HashMap::new(),
            results: Arc::clone(results),
        };
        let mut all = Vec::new();
        let mut filter = JobFilter {
            kind: Some(WORKFLOW_STEP.into()),
            batch: Some(job.spec.batch.unwrap_or(job.id)),
            limit: PAGE,
            ..JobFilter::default()
        };
        loop {
            let page = store.list(&filter)?;
            let last = page.last().map(|job| job.id);
            let more = page.len() == PAGE;
            all.extend(page);
            match last {
                Some(last) if more => filter.after = Some(last),
                _ => break,
            }
        }
        // Those of a `fan_out` have no place before it is known which files there are.
        let (outer, inner): (Vec<Job>, Vec<Job>) =
            all.into_iter().partition(|job| job.spec.payload.get("item").is_none_or(Value::is_null));
        for job in outer.into_iter().chain(inner) {
            view.take(job)?;
        }
        Ok(view)
    }

    /// Takes notice of a job. Where it belongs.
    ///
    /// # Errors
    /// Those of the results; [`Error::Malformed`].
    pub fn take(&mut self, job: Job) -> Result<At> {
        let payload = StepPayload::of(&job)?;
        let unknown = || Error::malformed("step of a workflow", None, format!("there is no step '{}'", payload.step));
        let node = self.graph.find(&payload.step).ok_or_else(unknown)?;
        let at = (node, payload.item.unwrap_or(0) as usize);
        if payload.undo {
            self.undoes.insert(at, job);
            return Ok(at);
        }
        // Of two jobs for a step, which there are when it was tried again by hand, what succeeded counts.
        let before = self.jobs.get(&at).filter(|old| old.id != job.id).map(|old| old.status.state);
        if before == Some(JobState::Succeeded) {
            return Ok(at);
        }
        let cell = match job.status.state {
            JobState::Succeeded => {
                self.learn(at, &job)?;
                Cell::Done
            }
            JobState::Dead => Cell::Failed,
            JobState::Cancelled => Cell::Cancelled,
            _ => Cell::Going,
        };
        self.board.set(at, cell);
        self.jobs.insert(at, job);
        Ok(at)
    }

    /// What the result of a step says about other steps.
    fn learn(&mut self, at: At, job: &Job) -> Result<()> {
        match &self.graph.nodes[at.0].step.action {
            StepAction::Branch(_) => {
                let result = self.results.get(&result_of(job)?)?;
                self.board.take(at, texts(&result["then"]));
            }
            StepAction::FanOut(_) => {
                let files = texts(&self.results.get(&result_of(job)?)?["files"]);
                let steps: usize = self.items.iter().map(|(fan, files)| self.weight(*fan, files.len())).sum();
                let (value, max) = ((steps + self.weight(at.0, files.len())) as f64, MAX_RUN_STEPS as f64);
                if value > max {
                    return Err(Error::LimitExceeded { limit: "steps of a run", value, max });
                }
                self.board.list(at.0, files.len());
                self.items.insert(at.0, files);
            }
            _ => {}
        }
        Ok(())
    }

    fn weight(&self, fan: usize, items: usize) -> usize {
        steps_of(&self.graph.nodes[fan].step.action, items)
    }

    /// The file of a step in a `fan_out`.
    pub fn file_of(&self, (node, item): At) -> Option<&str> {
        let fan = self.graph.nodes[node].parent?;
        self.items.get(&fan)?.get(item).map(String::as_str)
    }

    /// `STEP`, or `STEP[3]` in a `fan_out`.
    pub fn name_of(&self, (node, item): At) -> String {
        let id = self.graph.id(node);
        if self.graph.nodes[node].parent.is_some() { format!("{id}[{item}]") } else { id.to_owned() }
    }

    /// Steps that failed and may not.
    pub fn failures(&self) -> impl Iterator<Item = (At, OnFailure)> {
        let all = self.board.all().filter(|(_, cell)| *cell == Cell::Failed);
        all.map(|(at, _)| (at, self.graph.nodes[at.0].step.on_failure))
            .filter(|(_, policy)| *policy != OnFailure::Continue)
    }

    /// The request for a step.
    ///
    /// # Errors
    /// Those of the results.
    pub fn payload(&self, at: At, undo: bool) -> Result<StepPayload> {
        let node = &self.graph.nodes[at.0];
        let references = if undo {
            references_in(&serde_json::to_value(&node.step.undo).unwrap_or_default())
        } else {
            references_of(&node.step.action)
        };
        let mut needs = BTreeMap::new();
        for reference in references.into_iter().flat_map(|(_, group)| group) {
            let Root::Step(id) = reference.root else { continue };
            let Some(other) = self.graph.find(&id) else { continue };
            if !needs.contains_key(&id)
                && let Some(result) = self.result(other, at)?
            {
                needs.insert(id, result);
            }
        }
        let inside = node.parent.is_some();
        Ok(StepPayload {
            run: self.job.id,
            step: node.step.id.clone(),
            item: inside.then(|| u32::try_from(at.1).unwrap_or(u32::MAX)),
            path: self.file_of(at).map(str::to_owned),
            undo,
            needs,
        })
    }

    /// The result of `node` as `viewer` sees it; none when there is none.
    fn result(&self, node: usize, viewer: At) -> Result<Option<ResultRef>> {
        let inside = self.graph.nodes[node].parent.is_some();
        let at = (node, if inside { viewer.1 } else { 0 });
        if self.board.get(at) != Cell::Done {
            return Ok(None);
        }
        if self.items.contains_key(&node) {
            return self.whole(node).map(Some);
        }
        self.jobs.get(&at).map(result_of).transpose()
    }

    /// What a `fan_out` gives, once all its steps are over.
    fn whole(&self, fan: usize) -> Result<ResultRef> {
        let files = self.items.get(&fan).map_or(&[][..], Vec::as_slice);
        let children = &self.graph.nodes[fan].children;
        let writes = |child: &&usize| {
            let action = &self.graph.nodes[**child].step.action;
            matches!(action, StepAction::Process(_) | StepAction::Encode(_) | StepAction::Store(_))
        };
        // What another step writes on from is on the way, and no output of the whole.
        let used =
            |child: &usize| children.iter().filter(writes).any(|other| self.graph.nodes[*other].waits.contains(child));
        let last: Vec<usize> = children.iter().filter(writes).filter(|child| !used(child)).copied().collect();
        let (mut outputs, mut failed) = (Vec::new(), 0);
        for item in 0..files.len() {
            let bad = |child: &usize| matches!(self.board.get((*child, item)), Cell::Failed | Cell::Cancelled);
            failed += usize::from(children.iter().any(bad));
            for child in &last {
                let job = self.jobs.get(&(*child, item)).filter(|job| job.status.state == JobState::Succeeded);
                if let Some(job) = job {
                    outputs.extend(texts(&self.results.get(&result_of(job)?)?["paths"]));
                }
            }
        }
        self.results.put(&json!({ "count": files.len(), "failed": failed, "files": files, "outputs": outputs }))
    }
}

/// Where the result of a finished step is.
///
/// # Errors
/// [`Error::Malformed`].
pub(super) fn result_of(job: &Job) -> Result<ResultRef> {
    let found = job.status.result.clone().unwrap_or_default();
    serde_json::from_value(found).map_err(|e| Error::malformed("result of a step", None, e.to_string()))
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
