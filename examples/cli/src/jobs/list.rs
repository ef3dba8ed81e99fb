//! `puresound jobs list` and `puresound jobs show`.

use std::str::FromStr;

use pure_sound::Error;
use pure_sound::jobs::{Batch, Job, JobFilter, JobId, JobState, JobStore, format_time};
use serde_json::json;

use super::{StoreArgs, view};
use crate::console;
use crate::context::Context;
use crate::failure::Failure;

/// Which jobs.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct FilterArgs {
    /// Only in these states: scheduled, available, running, publishing, succeeded, cancelled, dead.
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state)]
    state: Vec<JobState>,
    /// Only of this queue.
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Only of this kind, such as process.
    #[arg(long, value_name = "NAME")]
    kind: Option<String>,
    /// Only of this tenant.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only of this batch.
    #[arg(long, value_name = "ID", value_parser = JobId::from_str)]
    batch: Option<JobId>,
    /// Only with this unique key.
    #[arg(long, value_name = "KEY")]
    unique_key: Option<String>,
}

fn state(name: &str) -> Result<JobState, Error> {
    let names = JobState::ALL.map(JobState::name);
    let found = JobState::ALL.into_iter().find(|state| state.name() == name);
    found.ok_or_else(|| Error::unknown_name("state of a job", name, names))
}

impl FilterArgs {
    /// For the store.
    pub fn filter(&self) -> JobFilter {
        JobFilter {
            states: self.state.clone(),
            queue: self.queue.clone(),
            kind: self.kind.clone(),
            tenant: self.tenant.clone(),
            batch: self.batch,
            unique_key: self.unique_key.clone(),
            ..JobFilter::default()
        }
    }
}

/// List jobs in the order of their making.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Those after this one: the last of the page before.
    #[arg(long, value_name = "ID", value_parser = JobId::from_str)]
    after: Option<JobId>,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn list(context: &Context, args: &ListArgs) -> Result<(), Failure> {
    let store = super::open(context, &args.store)?;
    let filter = JobFilter { limit: args.limit as usize, after: args.after, ..args.filter.filter() };
    let jobs = store.list(&filter)?;
    if context.args.jsonl {
        for job in &jobs {
            console::print_json(&json!({ "event": "job", "job": job.record()? }), true)?;
        }
        return Ok(());
    }
    if context.args.json {
        let jobs: Vec<_> = jobs.iter().map(Job::record).collect::<Result<_, _>>()?;
        return Ok(console::print_json(&json!({ "jobs": jobs }), false)?);
    }
    let mut text = if jobs.is_empty() { "no such jobs\n".to_owned() } else { table(&jobs) };
    if let Some(last) = jobs.last().filter(|_| jobs.len() == filter.limit) {
        text += &format!("there may be more: --after {}\n", last.id);
    }
    Ok(console::print(&text)?)
}

/// Jobs as a table.
pub fn table(jobs: &[Job]) -> String {
    let mut rows = vec![view::heads()];
    rows.extend(jobs.iter().map(view::row));
    console::columns(&rows, view::NUMBERS)
}

/// Show a job with its life so far, or a batch.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The job or batch.
    #[arg(value_name = "ID", value_parser = JobId::from_str)]
    id: JobId,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn show(context: &Context, args: &ShowArgs) -> Result<(), Failure> {
    let store = super::open(context, &args.store)?;
    match store.get(args.id) {
        Ok(job) => show_job(context, &*store, &job),
        Err(unknown @ Error::UnknownName { .. }) => match store.batch(args.id) {
            Ok(batch) => show_batch(context, &batch),
            Err(Error::UnknownName { .. }) => Err(unknown.into()),
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

fn show_batch(context: &Context, batch: &Batch) -> Result<(), Failure> {
    if context.is_json() {
        return Ok(console::print_json(&json!({ "batch": batch }), context.args.jsonl)?);
    }
    let mut rows = vec![
        vec!["batch".into(), console::clean(&batch.name)],
        vec!["made".into(), format_time(batch.created_ms)],
        vec!["over".into(), format!("{} of {}", batch.over(), batch.total())],
    ];
    rows.extend(batch.states.iter().map(|(state, count)| vec![state.name().into(), count.to_string()]));
    Ok(console::print(&console::columns(&rows, &[]))?)
}

fn show_job(context: &Context, store: &dyn JobStore, job: &Job) -> Result<(), Failure> {
    let history = store.history(job.id)?;
    if context.is_json() {
        let mut value = job.record()?;
        value["history"] = json!(history);
        return Ok(console::print_json(&value, context.args.jsonl)?);
    }
    let (spec, status) = (&job.spec, &job.status);
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut add = |name: &str, value: String| rows.push(vec![name.into(), console::clean(&value)]);
    add("job", job.id.to_string());
    add("state", status.state.name().into());
    add("kind", spec.kind.clone());
    add("queue", spec.queue.clone());
    add("priority", spec.priority.to_string());
    let optional = [
        ("tenant", spec.tenant.clone()),
        ("batch", spec.batch.map(|id| id.to_string())),
        ("unique key", spec.unique.as_ref().map(|u| u.key.clone())),
        ("input", spec.payload["input"].as_str().map(str::to_owned)),
        ("not before", (status.state == JobState::Scheduled).then(|| format_time(status.run_at_ms))),
        ("worker", status.holder.as_ref().map(|h| format!("{} since {}", h.worker, format_time(h.since_ms)))),
        ("to be stopped", status.cancel.clone()),
        ("error", status.error.as_ref().map(|e| format!("{} ({})", e.message, e.name))),
    ];
    add("output", view::subject(spec));
    for (name, value) in optional {
        if let Some(value) = value {
            add(name, value);
        }
    }
    add("done", format!("{:.0} %", status.progress * 100.0));
    add("failures", format!("{} of {}", status.attempts, spec.max_attempts));
    add("crashes", format!("{} of {}", status.crashes, spec.max_crashes));
    let mut text = console::columns(&rows, &[]);
    text.push('\n');
    let steps = history.iter().map(|step| {
        let why = console::clean(step.why.as_deref().unwrap_or_default());
        vec![format_time(step.time_ms), step.to.name().into(), why]
    });
    text += &console::columns(&steps.collect::<Vec<_>>(), &[]);
    Ok(console::print(&text)?)
}
