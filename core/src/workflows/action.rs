//! What steps do: one type for each kind, and the record that it gives.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::condition::Condition;
use super::definition::WorkflowStep;
use crate::processing::Overwrite;

/// What a step does. Texts may hold references, `${inputs.file}`, see `docs/workflows.md`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StepAction {
    /// Looks at a file: loudness, quality, features, deliveries. Gives `file`, and what was asked for by name.
    Analyse(AnalyseStep),
    /// Runs a recipe. Gives `path` and `paths` of the outputs, `met`, `loudness` of the first one, `report`.
    Process(ProcessStep),
    /// Writes a file in other formats, with nothing done to the sound. Gives what `process` does.
    Encode(EncodeStep),
    /// Measures the loudness of a file. Gives its values by name, and `file`.
    Measure(MeasureStep),
    /// Chooses the steps that go on. Gives `case` and `then`.
    Branch(BranchStep),
    /// Does steps for each of many files. Gives `count`, `failed`, `files` and `outputs`, once all are done.
    FanOut(FanOutStep),
    /// Puts files into a folder. Gives `path` and `paths`.
    Store(StoreStep),
    /// Tells the event bus. Gives `message`.
    Notify(NotifyStep),
    /// Calls something of the host. Gives what that returns.
    Custom(CustomStep),
}

/// Looks at a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnalyseStep {
    /// The file.
    pub input: String,
    /// What to find. Default: loudness and quality.
    #[serde(default = "usual_reports")]
    pub reports: Vec<ReportKind>,
    /// Specifications to hold it against, such as `acx`: each gives `delivery.NAME.passed`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delivery: Vec<String>,
}

fn usual_reports() -> Vec<ReportKind> {
    vec![ReportKind::Loudness, ReportKind::Quality]
}

/// What an analysis can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// Loudness, true peak, levels: [`Loudness`](crate::meter::Loudness).
    Loudness,
    /// Verdicts and measurements: [`QualityReport`](crate::analysis::quality::QualityReport).
    Quality,
    /// Features, tempo, key, activity: [`Analysis`](crate::analysis::Analysis).
    Analysis,
}

/// Runs a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessStep {
    /// A recipe as [`Engine::recipe`](crate::Engine::recipe) takes it: `preset`, `input`, `output`, ... (the schema `request`).
    pub recipe: Value,
    /// A target or check that is missed is a failure. Default false: `met` tells.
    #[serde(default)]
    pub strict: bool,
}

/// Writes a file in other formats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncodeStep {
    /// The file to read.
    pub input: String,
    /// The files to write: paths, or outputs of a recipe with `path` and `format`.
    pub outputs: Vec<Value>,
    /// Tags to set (a text) or to remove (null).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set_tags: BTreeMap<String, Option<String>>,
}

/// Measures a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasureStep {
    /// The file.
    pub input: String,
}

/// Chooses the steps that go on: those of the first case whose condition holds. Those that only other cases name are skipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BranchStep {
    /// The cases, in order; at least one.
    pub cases: Vec<BranchCase>,
    /// Steps that go on when no condition holds.
    #[serde(default)]
    pub otherwise: Vec<String>,
}

/// One case of a branch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BranchCase {
    /// Its name, unique in the branch; not `otherwise`.
    pub name: String,
    /// When it is taken.
    pub when: Condition,
    /// Steps that go on then, beside the branch.
    #[serde(default)]
    pub then: Vec<String>,
}

/// Does steps for each of many files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FanOutStep {
    /// The files: a path or pattern (`*` and `?` within a name, `**` over folders), or a list of these. Each is `${item}` in turn.
    pub files: FileList,
    /// What is done for each. They may use results of each other and of steps outside; steps outside use those of the whole.
    pub steps: Vec<WorkflowStep>,
    /// More files than this are an error: 1 to 10,000. Default 1000.
    #[serde(default = "usual_items")]
    pub max_items: u32,
    /// No file at all is no error. Default false.
    #[serde(default)]
    pub allow_empty: bool,
}

fn usual_items() -> u32 {
    1_000
}

/// Paths: one, or many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FileList {
    /// A path, a pattern, or a reference to a list.
    One(String),
    /// Several of these.
    Many(Vec<String>),
}

/// Puts files into a folder, or below the URL of objects, each whole or not at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreStep {
    /// The files.
    pub files: FileList,
    /// The folder, made when it is not there; or a URL such as `s3://bucket/talks`.
    pub to: String,
    /// Name there, for a single file. Default: its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Copy or move. Default: copy.
    #[serde(default)]
    pub mode: StoreMode,
    /// What to do with files that are there. Default: replace.
    #[serde(default)]
    pub overwrite: Overwrite,
}

/// How files are put somewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreMode {
    /// The file stays where it is.
    #[default]
    Copy,
    /// The file is removed when its copy is safe.
    Move,
}

/// Tells the event bus: `workflow.notify`; and somebody elsewhere, with `webhook`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifyStep {
    /// The message.
    pub message: String,
    /// Anything else for those who listen.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
    /// URL that gets the notice as JSON, by HTTP POST. It has to be among those that the host allows. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
}

/// Calls something of the host, which was registered under a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomStep {
    /// The name.
    pub action: String,
    /// What it gets.
    #[serde(default)]
    pub with: Value,
}

/// What takes the effect of a step back. It may use the results of that step and of those before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum UndoAction {
    /// Removes files. One that is not there is no error.
    Remove(RemoveStep),
    /// Tells the event bus.
    Notify(NotifyStep),
    /// Calls something of the host.
    Custom(CustomStep),
}

/// Removes files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveStep {
    /// The files; no patterns.
    pub files: FileList,
}

impl StepAction {
    /// Names of all kinds, as in `type`.
    pub const KINDS: [&str; 9] =
        ["analyse", "process", "encode", "measure", "branch", "fan_out", "store", "notify", "custom"];

    /// Its kind, as in `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Analyse(_) => "analyse",
            Self::Process(_) => "process",
            Self::Encode(_) => "encode",
            Self::Measure(_) => "measure",
            Self::Branch(_) => "branch",
            Self::FanOut(_) => "fan_out",
            Self::Store(_) => "store",
            Self::Notify(_) => "notify",
            Self::Custom(_) => "custom",
        }
    }

    /// Fields of a kind, for suggestions; none for a kind that does not exist.
    pub(super) fn fields(kind: &str) -> Option<&'static [&'static str]> {
        Some(match kind {
            "analyse" => &["input", "reports", "delivery"],
            "process" => &["recipe", "strict"],
            "encode" => &["input", "outputs", "set_tags"],
            "measure" => &["input"],
            "branch" => &["cases", "otherwise"],
            "fan_out" => &["files", "steps", "max_items", "allow_empty"],
            "store" => &["files", "to", "name", "mode", "overwrite"],
            "notify" => &["message", "data", "webhook"],
            "custom" => &["action", "with"],
            _ => return None,
        })
    }

    /// As JSON without what belongs to other steps: where references are looked for.
    pub(super) fn texts(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let (Self::FanOut(_), Some(fields)) = (self, value.as_object_mut()) {
            fields.shift_remove("steps");
        }
        value
    }
}

impl UndoAction {
    /// Fields of a kind, for suggestions; none for a kind that does not exist.
    pub(super) fn fields(kind: &str) -> Option<&'static [&'static str]> {
        match kind {
            "remove" => Some(&["files"]),
            "notify" | "custom" => StepAction::fields(kind),
            _ => None,
        }
    }
}
