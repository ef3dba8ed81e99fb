//! Running workflows, planning, resuming and cancelling them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pure_sound::events::{SubscribeOptions, WorkflowNotice, WorkflowStepState};
use pure_sound::jobs::{CancelOutcome, JobId};
use pure_sound::services::seams::SystemFiles;
use pure_sound::workflows::{
    self, CustomActions, RunRequest, RunState, Workflow, WorkflowOptions, WorkflowPool, Workflows,
};
use pure_sound::{Engine, Error};
use serde_json::{Map, Value, json};

use super::list;
use super::store::{self, run_id};
use super::webhook::WebhookArgs;
use crate::console;
use crate::context::Context;
use crate::failure::Failure;
use crate::jobs::StoreArgs;
use crate::progress;

/// Run a workflow to its end.
///
/// Ctrl-C stops it; 'puresound workflow resume' goes on with it. A process that runs one also goes on with other runs of the same file
/// whose process is gone. Exit code 1 when steps failed that may.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    work: WorkArgs,
    /// Ask for the run and leave it to other processes.
    #[arg(long)]
    detach: bool,
    /// Tell what would be done and do nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Tell what a run would do and why; nothing is written.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    #[command(flatten)]
    what: What,
}

/// Go on with a run that was interrupted, failed or was cancelled. What is done is not done again.
#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    /// The run; 'puresound workflow list' shows them.
    run: String,
    #[command(flatten)]
    work: WorkArgs,
}

/// Stop a run, wherever it goes on. What is done stays.
#[derive(Debug, clap::Args)]
pub struct CancelArgs {
    /// The run.
    run: String,
    #[command(flatten)]
    store: StoreArgs,
}

/// A workflow and its inputs.
#[derive(Debug, clap::Args)]
struct What {
    /// A built-in workflow, or a YAML or JSON file.
    workflow: String,
    /// An input of the workflow: file=talk.wav; may be given several times.
    #[arg(long, short, value_name = "NAME=VALUE")]
    input: Vec<String>,
}

/// Who does the steps.
#[derive(Debug, clap::Args)]
struct WorkArgs {
    /// Steps at the same time; 0 is one per core.
    #[arg(long, short, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1024))]
    jobs: u32,
    /// How long a step stays with a process that gives no sign of life, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=86_400_000))]
    lease_ms: u64,
    #[command(flatten)]
    webhooks: WebhookArgs,
    #[command(flatten)]
    store: StoreArgs,
}

impl What {
    fn request(&self, engine: &Engine) -> Result<RunRequest, Failure> {
        let workflow = workflows::find(&self.workflow, &SystemFiles)?;
        // This program has no actions of its own.
        workflow.validate(engine.presets(), Some(&[]))?;
        let inputs = inputs(&workflow, &self.input)?;
        Ok(RunRequest { base: Some(PathBuf::from(".")), ..RunRequest::new(workflow, inputs) })
    }
}

/// Inputs as a command line has them. A list of files is separated by commas, or given one by one.
fn inputs(workflow: &Workflow, given: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut inputs = Map::new();
    for pair in given {
        let invalid =
            |allowed: &str| Error::InvalidValue { name: "input".into(), value: pair.clone(), allowed: allowed.into() };
        let (name, text) = pair.split_once('=').ok_or_else(|| invalid("NAME=VALUE"))?;
        let kind = workflow.inputs.get(name).map(|input| input.kind);
        let value = match kind {
            Some(workflows::InputType::Number) => {
                let number = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
                Value::Number(number.ok_or_else(|| invalid("a number after the '='"))?)
            }
            Some(workflows::InputType::Bool) => {
                Value::Bool(text.parse().map_err(|_| invalid("true or false after the '='"))?)
            }
            Some(workflows::InputType::Files) => match inputs.shift_remove(name) {
                None => Value::from(text),
                Some(Value::Array(mut list)) => {
                    list.push(text.into());
                    Value::Array(list)
                }
                Some(first) => json!([first, text]),
            },
            _ => Value::from(text),
        };
        inputs.insert(name.to_owned(), value);
    }
    Ok(inputs)
}

pub fn plan(context: &Context, args: &PlanArgs) -> Result<(), Failure> {
    show_plan(context, &args.what)
}

fn show_plan(context: &Context, what: &What) -> Result<(), Failure> {
    let engine = context.engine()?;
    let plan = workflows::plan(&engine, &what.request(&engine)?, Some(&[]))?;
    if context.is_json() {
        return Ok(console::print_json(&plan, context.args.jsonl)?);
    }
    Ok(console::print(&plan.text())?)
}

pub fn run(context: &Context, args: &RunArgs) -> Result<(), Failure> {
    if args.dry_run {
        return show_plan(context, &args.what);
    }
    let engine = Arc::new(context.engine()?);
    let request = args.what.request(&engine)?;
    let workflows = store::open(context, &args.work.store)?;
    let run = workflows.start(&request)?;
    if args.detach {
        return list::print_info(context, &workflows.info(run)?);
    }
    follow(context, &engine, &workflows, run, &args.work)
}

pub fn resume(context: &Context, args: &ResumeArgs) -> Result<(), Failure> {
    let engine = Arc::new(context.engine()?);
    let workflows = store::open(context, &args.work.store)?;
    let run = run_id(&args.run)?;
    workflows.resume(run)?;
    follow(context, &engine, &workflows, run, &args.work)
}

pub fn cancel(context: &Context, args: &CancelArgs) -> Result<(), Failure> {
    let workflows = store::open(context, &args.store)?;
    let run = run_id(&args.run)?;
    let outcome = workflows.cancel(run, "cancelled by hand")?;
    if context.is_json() {
        return Ok(console::print_json(&json!({ "run": run, "outcome": outcome }), context.args.jsonl)?);
    }
    if outcome == CancelOutcome::Over {
        return Err(Failure::conflict(format!("run {run} is over already")));
    }
    if !context.args.quiet {
        console::print(&format!("{run} is cancelled\n"))?;
    }
    Ok(())
}

/// Works until `run` is over, telling how far it is.
fn follow(
    context: &Context,
    engine: &Arc<Engine>,
    workflows: &Workflows,
    run: JobId,
    args: &WorkArgs,
) -> Result<(), Failure> {
    let jsonl = context.args.jsonl;
    if jsonl {
        console::print_json(&json!({ "event": "run", "run": run }), true)?;
    }
    let quiet = context.is_json() || context.args.quiet;
    let events = engine.events();
    let options = SubscribeOptions::new("workflow.notify").synchronous();
    let _notices = events.subscribe_to::<WorkflowNotice>(options, move |notice, _| {
        if jsonl {
            console::print_json(&json!({ "event": "notice", "notice": notice }), true)?;
        } else if !quiet {
            console::print(&format!("{}\n", console::clean(&notice.message)))?;
        }
        Ok(())
    })?;
    let options = SubscribeOptions::new("workflow.step").synchronous();
    let _steps = events.subscribe_to::<WorkflowStepState>(options, move |step, _| {
        if jsonl {
            console::print_json(&json!({ "event": "step", "step": step }), true)?;
        }
        Ok(())
    })?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if args.jobs == 0 { cores } else { args.jobs as usize };
    let webhooks = args.webhooks.options()?;
    let options = WorkflowOptions { threads, lease_ms: args.lease_ms, webhooks, ..WorkflowOptions::default() };
    let pool = WorkflowPool::start(Arc::clone(engine), workflows, CustomActions::new(), &options)?;
    let bar = progress::of_run(context);
    let waited = workflows.wait(run, &context.cancel, |info| {
        if let Some(bar) = &bar {
            progress::set_part(bar, info.progress);
        }
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    // What is in hand is stopped within a block of audio, and handed back.
    pool.stop(Duration::ZERO);
    let info = match waited {
        Err(Error::Cancelled) => {
            if !context.args.quiet {
                eprintln!("go on with: puresound workflow resume {run}");
            }
            return Err(Error::Cancelled.into());
        }
        other => other?,
    };
    let report = workflows.report(run)?;
    if jsonl {
        console::print_json(&json!({ "event": "report", "report": report }), true)?;
    } else if context.args.json {
        console::print_json(&report, false)?;
    } else if !context.args.quiet {
        console::print(&list::text(&report))?;
    }
    match info.state {
        RunState::Succeeded => Ok(()),
        RunState::Cancelled => Err(Error::Cancelled.into()),
        RunState::Failed => {
            let why = info.error.map_or_else(String::new, |error| error.message);
            Err(Failure::Partial(format!("run {run} failed: {why}")))
        }
        _ => Err(Failure::Partial(format!("run {run} is done, but for steps that failed"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_have_the_types_that_the_workflow_wants() {
        let workflow = Workflow::from_text(
            "{name: a, inputs: {n: {type: number}, b: {type: bool}, f: {type: files}, t: {type: text}}, steps: []}",
        )
        .unwrap();
        let of = |given: &[&str]| inputs(&workflow, &given.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        let all = of(&["n=3", "b=true", "f=*.wav", "f=b.wav", "f=c.wav", "t=a=b", "other=x"]).unwrap();
        let expected = json!({ "n": 3.0, "b": true, "f": ["*.wav", "b.wav", "c.wav"], "t": "a=b", "other": "x" });
        assert_eq!(Value::Object(all), expected);
        for bad in ["n", "n=x", "b=yes"] {
            assert!(of(&[bad]).is_err(), "{bad}");
        }
    }
}
