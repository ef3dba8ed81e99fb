//! `puresound convert`: another format, the same sound.

use std::path::PathBuf;

use crate::context::Context;
use crate::failure::Failure;
use crate::job::{ReadArgs, WriteArgs};
use crate::process::Job;
use pure_sound::processing::Recipe;

/// Change the format, rate or channels; level and sound stay as they are.
///
/// Lossless to lossless of the same rate and depth is exact. Tags, pictures and chapters are carried over.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to read; - is standard input.
    pub input: PathBuf,
    /// File to write; several make several files from one decode; - is standard output.
    #[arg(long, short, value_name = "OUT", required = true)]
    pub output: Vec<PathBuf>,
    #[command(flatten)]
    pub write: WriteArgs,
    #[command(flatten)]
    pub read: ReadArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let engine = context.engine()?;
    let mut recipe = Recipe::default();
    recipe.read = args.read.options(recipe.read)?;
    let job = Job {
        input: &args.input,
        name: &args.input,
        outputs: &args.output,
        write: &args.write,
        preset: None,
        strict: false,
        verbose: false,
        html: None,
        chosen: None,
    };
    job.run(context, &engine, recipe)
}
