//! `puresound plan`: what `process` would do, and why.

use std::path::PathBuf;

use pure_sound::Engine;
use pure_sound::analysis::recommend::Recommendation;
use pure_sound::processing::{Plan, Recipe};

use crate::console;
use crate::context::Context;
use crate::failure::Failure;
use crate::job::{ReadArgs, SoundArgs, WriteArgs};
use crate::process::WithRecommendation;
use crate::recommend::{self, AutoArgs};
use crate::report;
use crate::stdio::{self, Reopenable};

/// Tell what 'process' would do and why, from the headers of the input; nothing is written.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to read; - is standard input.
    pub input: PathBuf,
    /// File that would be written; several are allowed.
    #[arg(long, short, value_name = "OUT")]
    pub output: Vec<PathBuf>,
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
    // To recommend takes the whole input, which is then looked at again.
    let copy = args.auto.auto.then(|| Reopenable::new(context, &args.input)).transpose()?;
    let input = copy.as_ref().map_or(args.input.as_path(), Reopenable::path);
    let chosen = args.auto.recommendation(context, &engine, input, &args.sound, &args.read)?;
    let mut recipe = match &chosen {
        Some(chosen) => chosen.recipe.clone(),
        None => args.sound.recipe(&engine)?,
    };
    recipe.read = args.read.options(recipe.read)?;
    recipe.input = input.to_path_buf();
    args.write.apply(&mut recipe, &args.output)?;
    show(context, &engine, &recipe, chosen.as_ref())
}

/// Plans and prints, with what was recommended before.
pub fn show(
    context: &Context,
    engine: &Engine,
    recipe: &Recipe,
    chosen: Option<&Recommendation>,
) -> Result<(), Failure> {
    let source = stdio::source(&recipe.input)?;
    let mut recipe = recipe.clone();
    if stdio::is_dash(&recipe.input) {
        recipe.input = PathBuf::new();
    }
    let plan = engine.plan_source(source, &recipe)?;
    if context.is_json() {
        let plan = WithRecommendation { result: &plan, recommendation: chosen };
        console::print_json(&plan, context.args.jsonl)?;
    } else {
        let before = chosen.map_or_else(String::new, |chosen| recommend::text(chosen) + "\n");
        console::print(&(before + &text(&recipe, &plan)))?;
    }
    Ok(())
}

fn text(recipe: &Recipe, plan: &Plan) -> String {
    let mut text =
        format!("{}: {}\n\n", console::clean(&recipe.input.display().to_string()), report::stream_text(&plan.input));
    let rows: Vec<Vec<String>> = plan
        .steps
        .iter()
        .enumerate()
        .map(|(i, step)| vec![format!("{:>3}.", i + 1), step.what.clone(), step.why.clone()])
        .collect();
    text.push_str(&console::columns(&rows, &[]));
    text.push('\n');
    let mut rows = vec![
        vec!["working format".into(), report::spec_text(plan.working)],
        vec!["filter delay".into(), format!("{:.1} ms, compensated", plan.latency_s * 1e3)],
        vec!["samples".into(), if plan.bit_exact { "copied untouched" } else { "processed" }.into()],
        vec![
            "spool".into(),
            match plan.spool_bytes {
                Some(0) => "none".into(),
                Some(bytes) => format!(
                    "{}, of which at most {} in memory",
                    console::size(bytes),
                    console::size(plan.spool_memory_bytes)
                ),
                None => format!("unknown length; at most {} in memory", console::size(plan.spool_memory_bytes)),
            },
        ],
    ];
    for output in &plan.outputs {
        rows.push(vec!["output".into(), console::clean(&output.path.display().to_string())]);
        rows.push(vec![String::new(), report::encoder_text(&output.encoder)]);
        rows.extend(output.encoder.notes.iter().map(|note| vec![String::new(), format!("note: {note}")]));
    }
    text + &console::columns(&rows, &[])
}
