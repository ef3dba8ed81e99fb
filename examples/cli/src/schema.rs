//! `puresound schema`: JSON Schemas of what is read and written, for editors and other programs.

use clap::ValueEnum;
use pure_sound::formats::MediaInfo;
use pure_sound::presets::Preset;
use pure_sound::processing::{Plan, Recipe, Report};
use schemars::schema_for;

use crate::console;
use crate::failure::Failure;

/// Print the JSON Schema of a record.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which record.
    name: Name,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Name {
    /// What `process --recipe` reads.
    Recipe,
    /// What a preset file holds.
    Preset,
    /// What `plan --json` prints.
    Plan,
    /// What `process --json` prints.
    Report,
    /// What `probe --json` prints.
    Probe,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let schema = match args.name {
        Name::Recipe => schema_for!(Recipe),
        Name::Preset => schema_for!(Preset),
        Name::Plan => schema_for!(Plan),
        Name::Report => schema_for!(Report),
        Name::Probe => schema_for!(MediaInfo),
    };
    Ok(console::print_json(&schema, false)?)
}
