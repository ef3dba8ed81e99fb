//! The main job: [`Recipe`] (what is wanted), [`Plan`] (what will be done), [`Report`] (what was done).
//!
//! ```text
//! decode -> filters -> meter -> spool -> gain, limiter -> encode 1..n -> verify -> publish
//! ```
//!
//! `job` decides, `analyse` is the first pass, `solve` finds the gain, `lane` makes one output, `run` ties them together.

mod analyse;
mod assets;
mod control;
mod job;
mod lane;
mod pipe;
mod progress;
mod publish;
mod recipe;
mod report;
mod request;
mod run;
mod solve;
mod spool;
mod stream;

pub(crate) use assets::FileAssets;
pub use control::{CancelToken, Control, Progress, ProgressFn, Stage};
pub use recipe::{CheckSpec, LevelTarget, Output, Overwrite, Quantity, Recipe, Trim, Verify};
pub use report::{CheckResult, OutputReport, Plan, PlannedOutput, Report, Step, Timing};
pub(crate) use request::recipe_of;
pub(crate) use run::{Resources, run};
pub use stream::{EncodeTarget, StreamEncoder};

use crate::error::Result;
use crate::formats::{Decoder, StreamInfo};
use crate::meter::Loudness;

/// What a run of `recipe` on an input of `stream` would do.
pub(crate) fn plan(recipe: &Recipe, stream: &StreamInfo, spool_memory_bytes: u64) -> Result<Plan> {
    Ok(job::Job::decide(recipe, stream)?.plan(recipe, stream, spool_memory_bytes))
}

/// Decodes and measures all of an input.
pub(crate) fn measure(decoder: &mut dyn Decoder, control: &Control) -> Result<Loudness> {
    let (rate_hz, frames) = (decoder.info().spec.rate_hz, decoder.info().duration.map(|d| d.frames));
    let tracker = progress::Tracker::new(control, rate_hz, frames);
    let (loudness, _) = analyse::measure_all(decoder, Stage::Analyse, &tracker)?;
    tracker.done();
    Ok(loudness)
}
