//! `puresound process`: the main job.

use std::path::{Path, PathBuf};

use pure_sound::Engine;
use pure_sound::analysis::page::PageOptions;
use pure_sound::analysis::recommend::Recommendation;
use pure_sound::formats::Source;
use pure_sound::processing::{Control, Recipe, Report};
use serde::Serialize;
use serde_json::json;

use crate::console;
use crate::context::{Context, write_whole};
use crate::failure::Failure;
use crate::job::{ReadArgs, SoundArgs, WriteArgs};
use crate::progress::Progress;
use crate::recommend::{self, AutoArgs};
use crate::stdio::{self, Reopenable, Staging};
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
    /// Write a page that shows the recording before and after (the first output): waveforms, loudness, spectrograms, faults, what was done.
    #[arg(long, value_name = "OUT.html", conflicts_with = "dry_run")]
    pub html: Option<PathBuf>,
    /// List every step in the report.
    #[arg(long, short)]
    pub verbose: bool,
    #[command(flatten)]
    pub auto: AutoArgs,
    #[command(flatten)]
    pub sound: SoundArgs,
    #[command(flatten)]
    pub write: WriteArgs,
    #[command(flatten)]
    pub read: ReadArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let engine = context.engine()?;
    // To recommend, and to draw a page, takes the input once more than to process it.
    let copy = (args.auto.auto || args.html.is_some()).then(|| Reopenable::new(context, &args.input)).transpose()?;
    let input = copy.as_ref().map_or(args.input.as_path(), Reopenable::path);
    let chosen = args.auto.recommendation(context, &engine, input, &args.sound, &args.read)?;
    let mut recipe = match &chosen {
        Some(chosen) => chosen.recipe.clone(),
        None => args.sound.recipe(&engine)?,
    };
    recipe.read = args.read.options(recipe.read)?;
    if args.dry_run {
        recipe.input = input.to_path_buf();
        args.write.apply(&mut recipe, &args.output)?;
        return plan::show(context, &engine, &recipe, chosen.as_ref());
    }
    let job = Job {
        input,
        name: &args.input,
        outputs: &args.output,
        write: &args.write,
        preset: args.sound.preset.as_deref(),
        strict: args.strict,
        verbose: args.verbose,
        html: args.html.as_deref(),
        chosen: chosen.as_ref(),
    };
    job.run(context, &engine, recipe)
}

/// A result with what was recommended before, as one object.
#[derive(Serialize)]
pub struct WithRecommendation<'a, T> {
    #[serde(flatten)]
    pub result: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommendation: Option<&'a Recommendation>,
}

/// Everything that `process` and `convert` do after the sound is decided.
pub struct Job<'a> {
    pub input: &'a Path,
    /// The input as the user named it.
    pub name: &'a Path,
    pub outputs: &'a [PathBuf],
    pub write: &'a WriteArgs,
    pub preset: Option<&'a str>,
    pub strict: bool,
    pub verbose: bool,
    /// Where a page of before and after goes.
    pub html: Option<&'a Path>,
    /// What was recommended, when the recipe came from that.
    pub chosen: Option<&'a Recommendation>,
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

        if let Some(html) = self.html {
            let name = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            let output = done.outputs.first().ok_or_else(|| Failure::conflict("--html needs an output"))?;
            let options = PageOptions {
                read: recipe.read.clone(),
                title: Some(format!(
                    "{} \u{2192} {}",
                    name(self.name),
                    name(self.outputs.first().unwrap_or(&output.path))
                )),
                ..PageOptions::default()
            };
            // The bar of the run is full.
            let control = Control { cancel: context.cancel.clone(), ..Control::default() };
            let (before, after) = (Source::from(recipe.input.as_path()), Source::from(output.path.as_path()));
            let page = engine.comparison_page(before, after, Some(&done), &options, &control)?;
            write_whole(html, page.as_bytes())?;
        }
        staging.deliver()?;
        if context.args.jsonl {
            if let Some(chosen) = self.chosen {
                console::print_json(&json!({ "event": "recommendation", "recommendation": chosen }), true)?;
            }
            console::print_json(&json!({ "event": "report", "report": done }), true)?;
        } else if context.args.json {
            console::print_json(&WithRecommendation { result: &done, recommendation: self.chosen }, false)?;
        } else if !context.args.quiet && !staging.is_active() {
            if let Some(chosen) = self.chosen {
                console::print(&(recommend::text(chosen) + "\n"))?;
            }
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
