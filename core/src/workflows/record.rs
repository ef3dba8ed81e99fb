//! What is kept of a run in the job store: one job for the run, one for each step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::action::StepAction;
use super::definition::{InputType, Workflow, WorkflowStep};
use super::load::invalid;
use super::results::ResultRef;
use crate::error::{Error, Problem, Result, closest};
use crate::jobs::{Backoff, Job, JobId, JobSpec, Unique};
use crate::storage::Place;

/// Kind of the job that stands for a run. Its identifier is that of the run.
pub const WORKFLOW: &str = "workflow";
/// Kind of the jobs that stand for steps.
pub const WORKFLOW_STEP: &str = "workflow_step";

/// Long enough for a result to count for ever: the year 5138.
const EVER_MS: u64 = 100_000_000_000_000;

/// The payload of the job of a run: all that it began with. Nothing of it changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunRecord {
    pub workflow: Workflow,
    /// Of the definition.
    pub digest: String,
    pub inputs: Map<String, Value>,
    /// Where relative paths begin.
    pub base: PathBuf,
}

impl RunRecord {
    /// Reads the record of a run.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is not what a run began with.
    pub fn of(job: &Job) -> Result<Self> {
        let damaged = |detail: String| Error::malformed("run of a workflow", None, detail);
        let record: Self = serde_json::from_value(job.spec.payload.clone()).map_err(|e| damaged(e.to_string()))?;
        let digest = record.workflow.digest()?;
        if digest != record.digest {
            return Err(damaged(format!("the definition has the digest {digest}, and began with {}", record.digest)));
        }
        Ok(record)
    }

    /// The job of a run.
    pub fn job(&self, queue: &str, tenant: Option<&str>, priority: i32) -> Result<JobSpec> {
        let payload = serde_json::to_value(self).map_err(|e| Error::internal(format!("run as JSON: {e}")))?;
        Ok(JobSpec {
            queue: queue.into(),
            tenant: tenant.map(str::to_owned),
            priority,
            // What fails is a step; the run itself goes on whenever the store and a worker are there.
            max_attempts: 1000,
            max_crashes: 1000,
            backoff: Backoff { base_ms: 500, max_ms: 30_000 },
            ..JobSpec::new(WORKFLOW, payload)
        })
    }
}

/// The payload of the job of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepPayload {
    pub run: JobId,
    pub step: String,
    /// Number of its file, in a `fan_out`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// That file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// It takes the effect of the step back.
    #[serde(default)]
    pub undo: bool,
    /// The results that it uses.
    #[serde(default)]
    pub needs: BTreeMap<String, ResultRef>,
}

impl StepPayload {
    /// Reads the payload of a job.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn of(job: &Job) -> Result<Self> {
        let found = serde_json::from_value(job.spec.payload.clone());
        found.map_err(|e| Error::malformed("step of a workflow", None, e.to_string()))
    }

    /// Names what is done, for ever: `RUN/STEP`, `RUN/STEP[3]`, with `~` at the end for its undo.
    pub fn key(&self) -> String {
        let item = self.item.map_or_else(String::new, |item| format!("[{item}]"));
        format!("{}/{}{item}{}", self.run, self.step, if self.undo { "~" } else { "" })
    }

    /// The job, of a run's job.
    pub fn job(&self, step: &WorkflowStep, run: &Job) -> Result<JobSpec> {
        let payload = serde_json::to_value(self).map_err(|e| Error::internal(format!("step as JSON: {e}")))?;
        let retry = step.retry;
        Ok(JobSpec {
            queue: run.spec.queue.clone(),
            tenant: run.spec.tenant.clone(),
            priority: run.spec.priority,
            batch: run.spec.batch,
            unique: Some(Unique { key: self.key(), window_ms: Some(EVER_MS), replace: false }),
            max_attempts: retry.attempts,
            max_crashes: retry.crashes,
            backoff: Backoff { base_ms: retry.base_ms, max_ms: retry.max_ms },
            timeout_run_ms: step.timeout_s.map(|s| (s * 1000.0).ceil() as u64),
            ..JobSpec::new(WORKFLOW_STEP, payload)
        })
    }
}

/// The inputs of a run: what was given, checked, with the defaults, and with paths that hold wherever the run goes on.
///
/// # Errors
/// [`Error::Invalid`] with everything that is missing, unknown or of the wrong kind.
pub(super) fn inputs_of(workflow: &Workflow, given: &Map<String, Value>, base: &Path) -> Result<Map<String, Value>> {
    let mut problems = Vec::new();
    let mut tell = |name: &str, message: String| {
        problems.push(Problem { place: String::new(), path: format!("inputs.{name}"), message });
    };
    for name in given.keys().filter(|name| !workflow.inputs.contains_key(name.as_str())) {
        let guess = closest(name, workflow.inputs.keys().map(String::as_str));
        let guess = guess.map_or_else(String::new, |name| format!(", did you mean '{name}'?"));
        tell(name, format!("unknown input{guess}"));
    }
    let mut inputs = Map::new();
    for (name, input) in &workflow.inputs {
        let Some(value) = given.get(name).or(input.default.as_ref()) else {
            tell(name, format!("is missing: {}", input.description));
            continue;
        };
        match input.check(value) {
            Ok(()) => drop(inputs.insert(name.clone(), absolute_value(input.kind, value, base))),
            Err(message) => tell(name, message),
        }
    }
    if problems.is_empty() { Ok(inputs) } else { Err(invalid(problems)) }
}

fn absolute_value(kind: InputType, value: &Value, base: &Path) -> Value {
    match (kind, value) {
        (InputType::File | InputType::Folder | InputType::Files, Value::String(path)) => {
            Value::String(absolute_text(path, base))
        }
        (InputType::Files, Value::Array(paths)) => {
            Value::Array(paths.iter().map(|path| absolute_value(kind, path, base)).collect())
        }
        _ => value.clone(),
    }
}

/// A path from `base` on; a URL as it is.
pub(super) fn located(path: &Path, base: &Path) -> PathBuf {
    match Place::of(path) {
        Ok(Place::File(file)) if file == path => base.join(path),
        // What is wrong with a URL is told when it is opened.
        _ => path.to_path_buf(),
    }
}

/// As [`located`], for texts.
pub(super) fn absolute_text(path: &str, base: &Path) -> String {
    // Both parts are UTF-8: one is, and the base was checked when the run began.
    located(Path::new(path), base).to_string_lossy().into_owned()
}

/// The most steps that a run of a `fan_out` over `items` files takes.
pub(super) fn steps_of(action: &StepAction, items: usize) -> usize {
    if let StepAction::FanOut(fan) = action { fan.steps.len().saturating_mul(items) } else { 1 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn inputs_are_completed_checked_and_made_absolute() {
        let workflow = Workflow::from_text(
            "{name: a, inputs: {file: {type: file}, out: {type: folder, default: ready}, n: {type: number, default: 1}, many: {type: files, default: [a, /b]}}, steps: []}",
        )
        .unwrap();
        let given = json!({ "file": "x.wav", "n": 2 });
        let inputs = inputs_of(&workflow, given.as_object().unwrap(), Path::new("/base")).unwrap();
        let expected = json!({ "file": "/base/x.wav", "many": ["/base/a", "/b"], "n": 2, "out": "/base/ready" });
        assert_eq!(Value::Object(inputs), expected);
        let wrong = json!({ "fil": "x", "n": "three" });
        let told = inputs_of(&workflow, wrong.as_object().unwrap(), Path::new("/")).unwrap_err().to_string();
        for words in [
            "inputs.fil: unknown input, did you mean 'file'?",
            "inputs.file: is missing",
            "inputs.n: '\"three\"' is not valid, allowed: a number",
        ] {
            assert!(told.contains(words), "{words}\n{told}");
        }
    }

    #[test]
    fn urls_stay_what_they_are() {
        let cases = [
            ("a/b", "/base/a/b"),
            ("/a", "/a"),
            ("s3://bucket/a", "s3://bucket/a"),
            ("file:///a", "file:///a"),
            ("what://a", "/base/what://a"),
        ];
        for (given, expected) in cases {
            assert_eq!(absolute_text(given, Path::new("/base")), expected);
        }
    }

    #[test]
    fn keys_tell_steps_files_and_undoes_apart() {
        let run = JobId(7);
        let payload =
            |item, undo| StepPayload { run, step: "a".into(), item, path: None, undo, needs: BTreeMap::new() };
        let keys = [payload(None, false), payload(Some(3), false), payload(Some(3), true)].map(|p| p.key());
        assert_eq!(keys, [format!("{run}/a"), format!("{run}/a[3]"), format!("{run}/a[3]~")]);
    }
}
