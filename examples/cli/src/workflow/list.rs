//! Telling which runs there are, and how far they are.

use pure_sound::workflows::{self, RunInfo, RunReport, RunState};

use super::store::{self, run_id};
use crate::console;
use crate::context::Context;
use crate::failure::Failure;
use crate::jobs::StoreArgs;

/// List the newest runs, or the built-in workflows.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The built-in workflows instead.
    #[arg(long)]
    library: bool,
    /// At most so many runs.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    store: StoreArgs,
}

/// Show a run with its steps, or a built-in workflow to copy and change.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The run, or the name of a built-in workflow.
    name: String,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    if args.library {
        return library(context);
    }
    let runs = store::open(context, &args.store)?.list(args.limit)?;
    if context.is_json() {
        return Ok(console::print_json(&runs, context.args.jsonl)?);
    }
    let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
    Ok(console::print(&console::columns(&rows, &[2]))?)
}

fn library(context: &Context) -> Result<(), Failure> {
    let all = workflows::built_in_names().map(workflows::built_in).collect::<Result<Vec<_>, _>>()?;
    if context.is_json() {
        return Ok(console::print_json(&all, context.args.jsonl)?);
    }
    let mut text = String::new();
    for workflow in all {
        text.push_str(&format!("{}\n  {}\n", workflow.name, workflow.description.trim()));
        for (name, input) in &workflow.inputs {
            let default = input.default.as_ref().map_or_else(String::new, |value| format!(" Default: {value}."));
            text.push_str(&format!("  --input {name}=  {}{default}\n", input.description));
        }
    }
    Ok(console::print(&text)?)
}

pub fn show(context: &Context, args: &ShowArgs) -> Result<(), Failure> {
    if let Ok(text) = workflows::built_in_text(&args.name) {
        if context.is_json() {
            return Ok(console::print_json(&workflows::built_in(&args.name)?, context.args.jsonl)?);
        }
        return Ok(console::print(text)?);
    }
    let report = store::open(context, &args.store)?.report(run_id(&args.name)?)?;
    if context.is_json() {
        return Ok(console::print_json(&report, context.args.jsonl)?);
    }
    Ok(console::print(&text(&report))?)
}

/// One run, for people or programs.
pub fn print_info(context: &Context, info: &RunInfo) -> Result<(), Failure> {
    if context.is_json() {
        return Ok(console::print_json(info, context.args.jsonl)?);
    }
    Ok(console::print(&console::columns(&[row(info)], &[2]))?)
}

fn row(info: &RunInfo) -> Vec<String> {
    let why = info.error.as_ref().filter(|_| info.state == RunState::Failed);
    let why = why.map_or_else(String::new, |error| console::clean(&error.message));
    let part = format!("{:.0} %", info.progress * 100.0);
    vec![info.run.to_string(), word(info.state).into(), part, info.workflow.clone(), why]
}

fn word(state: RunState) -> &'static str {
    match state {
        RunState::Waiting => "waiting",
        RunState::Running => "running",
        RunState::Succeeded => "succeeded",
        RunState::Partial => "partial",
        RunState::Failed => "failed",
        RunState::Cancelled => "cancelled",
    }
}

/// A run with its steps.
pub fn text(report: &RunReport) -> String {
    let rows: Vec<Vec<String>> = report
        .steps
        .iter()
        .map(|step| {
            let item = step.item.map_or_else(String::new, |item| format!("[{item}]"));
            let undone = if step.undone { ", undone" } else { "" };
            let error = step.error.as_ref().filter(|_| step.state != "done").map(|e| console::clean(&e.message));
            let note = error.or_else(|| step.file.as_deref().map(console::clean)).unwrap_or_default();
            vec![format!("  {}{undone}", step.state), format!("{}{item}", step.step), step.kind.into(), note]
        })
        .collect();
    let info = &report.info;
    format!("{} {}: {}\n{}", info.workflow, info.run, word(info.state), console::columns(&rows, &[]))
}
