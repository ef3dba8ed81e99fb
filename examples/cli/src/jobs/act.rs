//! `puresound jobs cancel`, `retry`, `pause` and `resume`.

use std::str::FromStr;

use pure_sound::Error;
use pure_sound::jobs::{CancelOutcome, Gate, JobFilter, JobId, JobState, JobStore, Scope};
use serde_json::{Value, json};

use super::StoreArgs;
use crate::console;
use crate::context::Context;
use crate::failure::{self, Failure};

/// Jobs by name or by batch.
#[derive(Debug, Clone, clap::Args)]
struct Chosen {
    /// The jobs.
    #[arg(value_name = "ID", value_parser = JobId::from_str, required_unless_present = "batch")]
    ids: Vec<JobId>,
    /// All of a batch.
    #[arg(long, value_name = "ID", value_parser = JobId::from_str)]
    batch: Option<JobId>,
    #[command(flatten)]
    store: StoreArgs,
}

impl Chosen {
    /// The jobs by name, and those of the batch in these states.
    fn all(&self, store: &dyn JobStore, states: &[JobState]) -> Result<Vec<JobId>, Failure> {
        let mut ids = self.ids.clone();
        let Some(batch) = self.batch else { return Ok(ids) };
        store.batch(batch)?;
        let mut filter = JobFilter { batch: Some(batch), states: states.into(), limit: 500, ..JobFilter::default() };
        loop {
            let page = store.list(&filter)?;
            ids.extend(page.iter().map(|job| job.id));
            match page.last() {
                Some(last) if page.len() == filter.limit => filter.after = Some(last.id),
                _ => return Ok(ids),
            }
        }
    }
}

/// Stop jobs: at once when they wait, within moments when they run.
#[derive(Debug, clap::Args)]
pub struct CancelArgs {
    #[command(flatten)]
    chosen: Chosen,
    /// Why; kept with the job.
    #[arg(long, value_name = "TEXT", default_value = "cancelled by hand")]
    why: String,
}

pub fn cancel(context: &Context, args: &CancelArgs) -> Result<(), Failure> {
    let store = super::open(context, &args.chosen.store)?;
    let states = JobState::ALL.into_iter().filter(|state| !state.is_over()).collect::<Vec<_>>();
    let ids = args.chosen.all(&*store, &states)?;
    each(context, &ids, |id| {
        Ok(match store.cancel(id, &args.why)? {
            CancelOutcome::Cancelled => "cancelled",
            CancelOutcome::Asked => "asked to stop",
            CancelOutcome::Over => "was over",
        })
    })
}

/// Let dead and cancelled jobs wait again, with their counters at 0.
#[derive(Debug, clap::Args)]
pub struct RetryArgs {
    #[command(flatten)]
    chosen: Chosen,
}

pub fn retry(context: &Context, args: &RetryArgs) -> Result<(), Failure> {
    let store = super::open(context, &args.chosen.store)?;
    let ids = args.chosen.all(&*store, &[JobState::Dead, JobState::Cancelled])?;
    each(context, &ids, |id| store.retry(id).map(|()| "waits again"))
}

/// Does the same with each job, and tells what became of it. One that cannot be done does not stop the others.
fn each(context: &Context, ids: &[JobId], act: impl Fn(JobId) -> Result<&'static str, Error>) -> Result<(), Failure> {
    let results: Vec<(JobId, Result<&str, Error>)> = ids.iter().map(|id| (*id, act(*id))).collect();
    let failed = results.iter().filter(|(_, result)| result.is_err()).count();
    if results.len() == 1 && failed == 1 {
        return results.into_iter().try_for_each(|(_, result)| Ok(result.map(drop)?));
    }
    let object = |(id, result): &(JobId, Result<&str, Error>)| -> Value {
        match result {
            Ok(outcome) => json!({ "id": id, "outcome": outcome }),
            Err(error) => json!({ "id": id, "error": failure::to_json(error) }),
        }
    };
    if context.args.jsonl {
        results.iter().map(object).try_for_each(|line| console::print_json(&line, true))?;
    } else if context.args.json {
        console::print_json(&json!({ "results": results.iter().map(object).collect::<Vec<_>>() }), false)?;
    } else if !context.args.quiet {
        let row = |(id, result): &(JobId, Result<&str, Error>)| {
            let outcome = result.as_ref().map_or_else(|e| console::clean(&e.to_string()), |s| (*s).to_owned());
            vec![id.to_string(), outcome]
        };
        console::print(&console::columns(&results.iter().map(row).collect::<Vec<_>>(), &[]))?;
    }
    if failed > 0 {
        return Err(Failure::Partial(format!("{failed} of {} jobs: not done", results.len())));
    }
    Ok(())
}

/// Start no more jobs of a scope; what runs goes on, and new ones may come.
#[derive(Debug, clap::Args)]
pub struct PauseArgs {
    /// all, queue:NAME, kind:NAME or tenant:NAME.
    #[arg(value_name = "SCOPE", default_value = "all", value_parser = Scope::from_str)]
    scope: Scope,
    /// Take no new jobs instead, and do those that are there.
    #[arg(long)]
    drain: bool,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn pause(context: &Context, args: &PauseArgs) -> Result<(), Failure> {
    let gate = if args.drain { Gate::Draining } else { Gate::Paused };
    set_gate(context, &args.store, &args.scope, gate)
}

/// Undo 'pause'.
#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    /// all, queue:NAME, kind:NAME or tenant:NAME.
    #[arg(value_name = "SCOPE", default_value = "all", value_parser = Scope::from_str)]
    scope: Scope,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn resume(context: &Context, args: &ResumeArgs) -> Result<(), Failure> {
    set_gate(context, &args.store, &args.scope, Gate::Open)
}

fn set_gate(context: &Context, store: &StoreArgs, scope: &Scope, gate: Gate) -> Result<(), Failure> {
    super::open(context, store)?.set_gate(scope, gate)?;
    if context.is_json() {
        return Ok(console::print_json(&json!({ "scope": scope.to_string(), "gate": gate }), context.args.jsonl)?);
    }
    let word = match gate {
        Gate::Open => "open",
        Gate::Paused => "paused: nothing of it starts",
        Gate::Draining => "draining: takes no new jobs",
    };
    if context.args.quiet {
        Ok(())
    } else {
        Ok(console::print(&format!("{}: {word}\n", console::clean(&scope.to_string())))?)
    }
}
