//! What a workflow is: inputs, steps, and what follows from a failure.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action::{StepAction, UndoAction};
use crate::error::{Error, Result};
use crate::jobs::Backoff;

/// Largest definition, in bytes.
pub const MAX_DEFINITION_BYTES: usize = 256 << 10;
/// Most steps of a definition, those inside of `fan_out` with them.
pub const MAX_STEPS: usize = 1_000;
/// Most files of one `fan_out`.
pub const MAX_ITEMS: u32 = 10_000;
/// Most steps of one run, each file of a `fan_out` with its own.
pub const MAX_RUN_STEPS: usize = 50_000;
/// Longest time of a step, in seconds: 30 days.
pub const MAX_TIMEOUT_S: f64 = 2_592_000.0;

/// Steps that depend on each other, without a circle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// Name: lower-case letters, digits and `_`, beginning with a letter.
    pub name: String,
    /// Raised when the steps change. Default 1.
    #[serde(default = "one")]
    pub version: u32,
    /// What it is for, in a sentence or two.
    #[serde(default)]
    pub description: String,
    /// What a run is given, by name: `${inputs.NAME}`.
    #[serde(default)]
    pub inputs: BTreeMap<String, WorkflowInput>,
    /// The steps. Their order says nothing: a step waits for those whose results it uses, and for those that `after` names.
    pub steps: Vec<WorkflowStep>,
}

fn one() -> u32 {
    1
}

/// Something that a run is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkflowInput {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: InputType,
    /// What it is for, in a sentence.
    #[serde(default)]
    pub description: String,
    /// What it is when it is not given. Without: it must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

/// What an input can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputType {
    /// The path of a file.
    File,
    /// Paths of files: a list, or a pattern with `*`, `?` and `**`.
    Files,
    /// The path of a folder.
    Folder,
    /// Any text.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowStep {
    /// Name: lower-case letters, digits and `_`, beginning with a letter; unique in the workflow. Others use its result as
    /// `${steps.ID.FIELD}`.
    pub id: String,
    /// What is done.
    #[serde(flatten)]
    pub action: StepAction,
    /// Steps that have to be over first, beside those whose results are used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// How often it is tried.
    #[serde(default)]
    pub retry: StepRetry,
    /// Longest time of one try in seconds, 0.001 to 2,592,000. Default: as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<f64>,
    /// What follows when it fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What takes its effect back, when a step with `on_failure: compensate` fails later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<UndoAction>,
}

/// How often a step is tried. Failures that cannot pass, such as an input that is no audio, are not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StepRetry {
    /// Tries, with the first one: 1 to 1000. Default 3.
    pub attempts: u32,
    /// Workers that may vanish over it before it has failed: 1 to 1000. Default 3.
    pub crashes: u32,
    /// Pause before the second try in milliseconds; each further one is twice as long. Half of each is random. Default 2000.
    pub base_ms: u64,
    /// Longest pause in milliseconds. Default 900,000.
    pub max_ms: u64,
}

impl Default for StepRetry {
    fn default() -> Self {
        let Backoff { base_ms, max_ms } = Backoff::default();
        Self { attempts: 3, crashes: 3, base_ms, max_ms }
    }
}

/// What follows from the failure of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The run fails: what else runs is stopped, nothing new begins.
    #[default]
    Fail,
    /// The run goes on without its result. Steps that use it are skipped.
    Continue,
    /// The run fails, and what was done is taken back: the `undo` of each finished step, the last one first.
    Compensate,
}

impl Workflow {
    /// BLAKE3 of the definition, in hexadecimal. A run keeps the definition that it began with, and its digest.
    ///
    /// # Errors
    /// [`Error::Internal`] for what cannot be JSON.
    pub fn digest(&self) -> Result<String> {
        let text = serde_json::to_vec(self).map_err(|e| Error::internal(format!("workflow as JSON: {e}")))?;
        Ok(blake3::hash(&text).to_hex().to_string())
    }

    /// All steps, those inside of `fan_out` after theirs, each with the `fan_out` that it is in.
    pub fn all_steps(&self) -> impl Iterator<Item = (&WorkflowStep, Option<&WorkflowStep>)> {
        self.steps.iter().flat_map(|step| {
            let inner = if let StepAction::FanOut(fan) = &step.action { fan.steps.as_slice() } else { &[] };
            std::iter::once((step, None)).chain(inner.iter().map(move |own| (own, Some(step))))
        })
    }
}
