//! The handler of steps: it resolves references, does what the step says, and keeps the result.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::action::{StepAction, UndoAction};
use super::perform::Perform;
use super::record::{RunRecord, StepPayload, located};
use super::results::ResultStore;
use super::template::Scope;
use super::watch::Running;
use super::webhook::WebhookOptions;
use crate::Engine;
use crate::cancel::CancelToken;
use crate::error::{Error, Result};
use crate::events::{self, Payload};
use crate::jobs::{Job, JobError, JobHandler, JobId, JobRun, JobState, JobStore};
use crate::sync::{Mutex, lock};

/// Something of the host that custom steps call.
///
/// After a crash it may be called again for the same step: `key` is the same then, and what is done twice must be as if it was done once.
/// It looks at `cancel` at least every 100 ms.
pub type CustomAction = Arc<dyn Fn(&CustomCall<'_>) -> Result<Value> + Send + Sync>;
/// What custom steps may call, by name.
pub type CustomActions = BTreeMap<String, CustomAction>;

/// What a custom action gets.
#[derive(Debug)]
pub struct CustomCall<'a> {
    /// The run.
    pub run: JobId,
    /// The step.
    pub step: &'a str,
    /// Names this call for ever, whoever makes it: `RUN/STEP`, `RUN/STEP[3]` for the fourth file, with `~` at the end for an undo.
    pub key: &'a str,
    /// `with` of the step, with its references resolved.
    pub with: &'a Value,
    /// Where relative paths of the run begin.
    pub base: &'a Path,
    /// Cancelled when it should end.
    pub cancel: &'a CancelToken,
}

/// Runs that are kept at hand.
const KEPT_RUNS: usize = 64;

/// Does steps.
pub(super) struct StepHandler {
    pub engine: Arc<Engine>,
    pub store: Arc<dyn JobStore>,
    pub results: Arc<dyn ResultStore>,
    pub actions: CustomActions,
    pub webhooks: WebhookOptions,
    pub running: Arc<Running>,
    pub runs: Mutex<HashMap<JobId, Arc<RunRecord>>>,
}

impl JobHandler for StepHandler {
    fn run(&self, job: &Job, run: &JobRun) -> Result<Value, JobError> {
        let _watched = self.running.watch(job.id, run.cancel());
        let payload = StepPayload::of(job)?;
        self.tell(&payload, JobState::Running, job.status.claims);
        let result = self.step(&payload, job, run)?;
        let kept = self.results.put(&result)?;
        // A step that was asked to stop and did not notice is done all the same: its effect is there.
        Ok(serde_json::to_value(kept).map_err(|e| Error::internal(e.to_string()))?)
    }
}

impl StepHandler {
    fn step(&self, payload: &StepPayload, job: &Job, run: &JobRun) -> Result<Value> {
        let record = self.record(payload.run)?;
        let unknown = || Error::malformed("step of a workflow", None, format!("there is no step '{}'", payload.step));
        let step = record.workflow.all_steps().map(|(step, _)| step).find(|step| step.id == payload.step);
        let step = step.ok_or_else(unknown)?;
        let scope = self.scope(payload, &record)?;
        let key = payload.key();
        let perform = Perform {
            engine: &self.engine,
            actions: &self.actions,
            webhooks: &self.webhooks,
            record: &record,
            payload,
            key: &key,
            job,
            run,
            scope: &scope,
        };
        if !payload.undo {
            return perform.action(&step.action);
        }
        match &step.undo {
            Some(undo) => perform.undo(undo),
            None => Err(Error::malformed("step of a workflow", None, format!("'{}' has no undo", step.id))),
        }
    }

    /// What the references of a step reach.
    fn scope(&self, payload: &StepPayload, record: &RunRecord) -> Result<Scope> {
        let mut steps = Map::new();
        for (id, result) in &payload.needs {
            steps.insert(id.clone(), self.results.get(result)?);
        }
        Ok(Scope(json!({
            "inputs": record.inputs, "steps": steps, "item": payload.path, "run": { "id": payload.run },
        })))
    }

    /// The record of a run, which does not change.
    fn record(&self, run: JobId) -> Result<Arc<RunRecord>> {
        if let Some(record) = lock(&self.runs).get(&run) {
            return Ok(Arc::clone(record));
        }
        let record = Arc::new(RunRecord::of(&self.store.get(run)?)?);
        let mut runs = lock(&self.runs);
        if runs.len() >= KEPT_RUNS {
            runs.clear();
        }
        runs.insert(run, Arc::clone(&record));
        Ok(record)
    }

    fn tell(&self, payload: &StepPayload, state: JobState, attempt: u32) {
        tell(
            self.engine.events(),
            events::WorkflowStepState {
                run: payload.run.to_string(),
                step: payload.step.clone(),
                item: payload.item,
                state: state.name().into(),
                attempt,
                error: None,
            },
        );
    }
}

/// A run does not fail because somebody could not be told of it.
pub(super) fn tell<P: Payload>(bus: &events::EventBus, payload: P) {
    if let Err(error) = bus.publish(payload)
        && !matches!(error, Error::Closed { .. })
    {
        tracing::warn!(topic = P::TOPIC, %error, "not everybody could be told");
    }
}

/// `action` with its references resolved. What is inside of a `fan_out` and conditions stay as they are.
pub(super) fn resolved(action: &StepAction, scope: &Scope) -> Result<StepAction> {
    let invalid = |e: serde_json::Error| Error::InvalidValue {
        name: format!("{} step", action.kind()),
        value: e.to_string(),
        allowed: "values of the right type behind its references".into(),
    };
    match action {
        StepAction::Branch(_) => Ok(action.clone()),
        StepAction::FanOut(fan) => {
            let files = serde_json::to_value(&fan.files).map_err(invalid)?;
            let files = serde_json::from_value(scope.resolve(&files)?).map_err(invalid)?;
            Ok(StepAction::FanOut(super::action::FanOutStep { files, ..fan.clone() }))
        }
        _ => serde_json::from_value(worded(scope.resolve(&action.texts())?)).map_err(invalid),
    }
}

/// `undo` with its references resolved.
pub(super) fn resolved_undo(undo: &UndoAction, scope: &Scope) -> Result<UndoAction> {
    let value = serde_json::to_value(undo).map_err(|e| Error::internal(e.to_string()))?;
    serde_json::from_value(worded(scope.resolve(&value)?)).map_err(|e| Error::InvalidValue {
        name: "undo".into(),
        value: e.to_string(),
        allowed: "values of the right type behind its references".into(),
    })
}

/// Numbers and truth values as text where only text can stand.
fn worded(mut action: Value) -> Value {
    for name in ["message", "name"] {
        if let Some(value) = action.get_mut(name).filter(|value| value.is_number() || value.is_boolean()) {
            *value = Value::String(value.to_string());
        }
    }
    action
}

/// A path of a run.
pub(super) fn absolute(record: &RunRecord, path: &str) -> PathBuf {
    located(Path::new(path), &record.base)
}
