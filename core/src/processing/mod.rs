//! The main job: [`Recipe`] (what is wanted), [`Plan`] (what will be done), [`Report`] (what was done).
//!
//! ```text
//! decode -> filters -> meter -> spool -> gain, limiter -> encode 1..n -> verify -> publish
//! ```
//!
//! `job` decides, `analyse` is the first pass, `solve` finds the gain, `lane` makes one output, `verify` proves
//! it, `run` ties them together.

mod analyse;
mod assets;
mod control;
mod cost;
mod follow;
mod job;
mod lane;
mod pipe;
pub(crate) mod progress;
mod publish;
mod recipe;
mod report;
mod request;
mod run;
mod solve;
mod spool;
mod stream;
mod verify;

pub(crate) use assets::FileAssets;
pub use control::{CancelToken, Control, Progress, ProgressFn, Stage};
pub(crate) use cost::Cost;
pub(crate) use publish::{PendingFile, publish_all};
pub use recipe::{CheckSpec, LevelTarget, Output, Overwrite, Quantity, Recipe, Trim, Verify};
pub use report::{CheckResult, OutputReport, Plan, PlannedOutput, Report, Step, Timing};
pub(crate) use request::recipe_of;
pub(crate) use run::{Resources, refuse_input_as_output, run};
pub use stream::{EncodeTarget, StreamEncoder};

use crate::analysis::{Analysis, AnalysisParams};
use crate::audio::Buffer;
use crate::error::Result;
use crate::formats::{Decoder, StreamInfo};
use crate::meter::Loudness;
use crate::resources::MemoryAccount;

/// What a run of `recipe` on an input of `stream` would do.
pub(crate) fn plan(recipe: &Recipe, stream: &StreamInfo, spool_memory_bytes: u64) -> Result<Plan> {
    Ok(job::Job::decide(recipe, stream)?.plan(recipe, stream, spool_memory_bytes))
}

/// What a run of `recipe` on an input of `stream` would take of an engine with so many threads.
pub(crate) fn cost(recipe: &Recipe, stream: &StreamInfo, threads: usize) -> Result<Cost> {
    Ok(Cost::of(&job::Job::decide(recipe, stream)?, stream, threads))
}

/// Decodes and analyses all of an input.
pub(crate) fn analyse_features(
    decoder: &mut dyn Decoder,
    params: &AnalysisParams,
    control: &Control,
    memory: &MemoryAccount,
) -> Result<Analysis> {
    let (rate_hz, frames) = (decoder.info().spec.rate_hz, decoder.info().duration.map(|d| d.frames));
    let tracker = progress::Tracker::for_reading(control, rate_hz, frames).with_memory(memory);
    let analysis = analyse::analyse_all(decoder, params, &tracker)?;
    tracker.done();
    Ok(analysis)
}

/// Decodes all of an input, and hands every block to `each`.
pub(crate) fn read_blocks(
    decoder: &mut dyn Decoder,
    control: &Control,
    memory: &MemoryAccount,
    each: &mut dyn FnMut(&mut Buffer) -> Result<()>,
) -> Result<()> {
    let (rate_hz, frames) = (decoder.info().spec.rate_hz, decoder.info().duration.map(|d| d.frames));
    let tracker = progress::Tracker::for_reading(control, rate_hz, frames).with_memory(memory);
    analyse::each_block(decoder, &tracker, each)?;
    tracker.done();
    Ok(())
}

/// Decodes and measures all of an input.
pub(crate) fn measure(decoder: &mut dyn Decoder, control: &Control, memory: &MemoryAccount) -> Result<Loudness> {
    let (rate_hz, frames) = (decoder.info().spec.rate_hz, decoder.info().duration.map(|d| d.frames));
    let tracker = progress::Tracker::for_reading(control, rate_hz, frames).with_memory(memory);
    let (loudness, _) = analyse::measure_all(decoder, Stage::Analyse, &tracker)?;
    tracker.done();
    Ok(loudness)
}
