//! Workflows: steps that depend on each other, done once each, whatever happens to the programs that do them.
//!
//! A [`Workflow`] is a definition in YAML or JSON, checked when it is loaded. A run of it is a job in a [`JobStore`](crate::jobs::JobStore),
//! and so is each of its steps, with the key `RUN/STEP`; results are kept once under the digest of their content. So a run goes on
//! wherever it was left: a step whose result is stored is not done again. The definition is kept with the run, and changes of a file do
//! not reach it. [`Workflows`] starts runs and tells how they are, [`WorkflowPool`] does them, [`plan`] tells before what would happen.
//!
//! ```
//! use std::sync::Arc;
//! use pure_sound::{Engine, jobs::MemoryStore, workflows::*};
//! use serde_json::{Map, json};
//!
//! let engine = Arc::new(Engine::new()?);
//! let workflow = Workflow::from_text("
//! name: greet
//! inputs: {who: {type: text}}
//! steps:
//!   - {id: say, type: notify, message: 'hello ${inputs.who}'}
//! ")?;
//! workflow.validate(engine.presets(), None)?;
//! let workflows = Workflows::new(Arc::new(MemoryStore::default()), Arc::new(MemoryResults::default()));
//! let pool = WorkflowPool::start(Arc::clone(&engine), &workflows, CustomActions::new(), &WorkflowOptions::default())?;
//! let inputs = Map::from_iter([("who".to_owned(), json!("world"))]);
//! let run = workflows.start(&RunRequest::new(workflow, inputs))?;
//! let end = workflows.wait(run, &Default::default(), |_| {})?;
//! assert_eq!(end.state, RunState::Succeeded);
//! # drop(pool);
//! # Ok::<(), pure_sound::Error>(())
//! ```

mod action;
mod board;
mod condition;
mod coordinator;
mod definition;
mod explain;
mod files;
mod glob;
mod graph;
mod library;
mod load;
mod perform;
mod pool;
mod record;
mod results;
mod runs;
mod shape;
mod step;
mod template;
mod validate;
mod view;
mod watch;
mod webhook;

pub use action::{
    AnalyseStep, BranchCase, BranchStep, CustomStep, EncodeStep, FanOutStep, FileList, MeasureStep, NotifyStep,
    ProcessStep, RemoveStep, ReportKind, StepAction, StoreMode, StoreStep, UndoAction,
};
pub use condition::Condition;
pub use definition::{
    InputType, MAX_DEFINITION_BYTES, MAX_ITEMS, MAX_RUN_STEPS, MAX_STEPS, MAX_TIMEOUT_S, OnFailure, StepRetry,
    Workflow, WorkflowInput, WorkflowStep,
};
pub use explain::{PlannedStep, RunPlan, plan};
pub use library::{built_in, built_in_names, built_in_text, find};
pub use pool::{WorkflowOptions, WorkflowPool};
pub use record::{WORKFLOW, WORKFLOW_STEP};
pub use results::{FolderResults, MAX_RESULT_BYTES, MemoryResults, ResultRef, ResultStore};
pub use runs::{RunInfo, RunReport, RunRequest, RunState, StepInfo, Workflows};
pub use step::{CustomAction, CustomActions, CustomCall};
pub use webhook::WebhookOptions;
