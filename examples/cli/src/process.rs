//! `puresound process`: the main job.

use std::path::{Path, PathBuf};

use pure_sound::Engine;
use pure_sound::processing::{Recipe, Report};
use serde_json::json;

use crate::console;
use crate::context::Context;
use crate::failure::Failure;
use crate::job::{ReadArgs, SoundArgs, WriteArgs};
use crate::progress::Progress;
use crate::stdio::{self, Staging};
use crate::{plan, report};

/// Clean, level and encode a recording; the report proves the result.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to read; - is standard input.
    pub input: PathBuf,
    /// File to write; several make several files from one decode; - is standard output.
    #[arg(long, short, value_name = "OUT", required_unless_present = "recipe")]
    pub output: Vec<PathBuf>,
    /// Tell what would be done and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// End with exit code 1 when a target or check is missed.
    #[arg(long)]
    pub strict: bool,
    /// List every step in the report.
    #[arg(long, short)]
    pub verbose: bool,
    #[command(flatten)]
    pub sound: SoundArgs,
    #[command(flatten)]
    pub write: WriteArgs,
    #[command(flatten)]
    pub read: ReadArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let engine = context.engine()?;
    let mut recipe = args.sound.recipe(&engine)?;
    recipe.read = args.read.options(recipe.read)?;
    if args.dry_run {
        recipe.input.clone_from(&args.input);
        args.write.apply(&mut recipe, &args.output)?;
        return plan::show(context, &engine, &recipe);
    }
    let job = Job {
        input: &args.input,
        outputs: &args.output,
        write: &args.write,
        preset: args.sound.preset.as_deref(),
        strict: args.strict,
        verbose: args.verbose,
    };
    job.run(context, &engine, recipe)
}

/// Everything that `process` and `convert` do after the sound is decided.
pub struct Job<'a> {
    pub input: &'a Path,
    pub outputs: &'a [PathBuf],
    pub write: &'a WriteArgs,
    pub preset: Option<&'a str>,
    pub strict: bool,
    pub verbose: bool,
}

impl Job<'_> {
    pub fn run(&self, context: &Context, engine: &Engine, mut recipe: Recipe) -> Result<(), Failure> {
        let mut outputs = self.outputs.to_vec();
        let named = self.write.named_format()?;
        let staging = Staging::new(context, &mut outputs, named.as_ref().map(|f| f.extension()))?;
        self.write.apply(&mut recipe, &outputs)?;
        recipe.input = self.input.to_path_buf();

        let progress = Progress::of_job(context);
        let mut done = run_recipe(context, engine, &recipe, &progress)?;
        drop(progress);
        done.preset = done.preset.or_else(|| self.preset.map(str::to_owned));

        staging.deliver()?;
        if context.args.jsonl {
            console::print_json(&json!({ "event": "report", "report": done }), true)?;
        } else if context.args.json {
            console::print_json(&done, false)?;
        } else if !context.args.quiet && !staging.is_active() {
            console::print(&report::text(&done, self.verbose))?;
        }
        if self.strict && !done.all_met() {
            return Err(Failure::Partial("a target or check was missed (see the report)".into()));
        }
        Ok(())
    }
}

/// Runs a recipe whose input may be `-`.
pub fn run_recipe(context: &Context, engine: &Engine, recipe: &Recipe, progress: &Progress) -> Result<Report, Failure> {
    let control = context.control(progress);
    if stdio::is_dash(&recipe.input) {
        let mut anonymous = recipe.clone();
        anonymous.input = PathBuf::new();
        return Ok(engine.process_source(stdio::source(&recipe.input)?, &anonymous, &control)?);
    }
    Ok(engine.process(recipe, &control)?)
}
