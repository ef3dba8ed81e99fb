//! The main job: [`Recipe`] (what is wanted), [`Plan`] (what will be done), [`Report`] (what was done).

mod control;
mod publish;
mod recipe;
mod report;
mod spool;

pub use control::{CancelToken, Control, Progress, ProgressFn, Stage};
pub use recipe::{CheckSpec, LevelTarget, Output, Overwrite, Quantity, Recipe, Trim, Verify};
pub use report::{CheckResult, OutputReport, Plan, PlannedOutput, Report, Step, Timing};
