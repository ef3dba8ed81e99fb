//! The operation `jobs`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pure_sound::Error;
use pure_sound::formats::tags::Metadata;
use pure_sound::jobs::{Gate, Job, JobFilter, JobId, Jobs, Scope, Submission, WorkOptions};
use pure_sound::processing::CancelToken;
use serde_json::{Value, json};

use crate::operations::{argument, engine, text};
use crate::{Outcome, signal};

/// Submits, does what the case wants with the jobs, and tells what became of them.
pub fn jobs(args: &Value) -> Outcome {
    let engine = Arc::new(engine(args)?);
    if args.get("signal").is_some() {
        let audio = signal::make(&args["signal"])?;
        engine.encode(&audio, Path::new(text(args, "path")), None, &Metadata::default())?;
    }
    let jobs = Jobs::open(engine, args.get("database").and_then(Value::as_str).map(Path::new))?;
    if let Some(gate) = args.get("gate") {
        jobs.set_gate(&text(gate, "scope").parse::<Scope>()?, text(gate, "gate").parse::<Gate>()?)?;
    }
    if args.get("get").is_some() {
        return Ok(jobs.get(text(args, "get").parse()?)?.record()?);
    }
    let submission: Submission = argument(args, "submission")?;
    let made = jobs.submit(&submission)?;
    let ids: Vec<JobId> = made.jobs.iter().map(|job| job.id).collect();
    let chosen = |key: &str| -> Vec<JobId> {
        let indices = args.get(key).and_then(Value::as_array).into_iter().flatten();
        indices.filter_map(|index| ids.get(index.as_u64()? as usize).copied()).collect()
    };
    let cancelled =
        chosen("cancel").into_iter().map(|id| jobs.cancel(id, "by the case")).collect::<Result<Vec<_>, _>>()?;
    chosen("retry").into_iter().try_for_each(|id| jobs.retry(id))?;
    let listed = jobs.list(&argument::<_, JobFilter>(args, "filter")?)?.len();
    let (mut over, mut handed_back) = (false, 0);
    if args.get("start").is_some() {
        jobs.start(&argument::<_, WorkOptions>(args, "start")?)?;
        over = jobs.wait(&ids, Some(Duration::from_secs(60)), &CancelToken::new())?;
        handed_back = jobs.stop(None);
    }
    let records = ids.iter().map(|id| jobs.get(*id)).collect::<Result<Vec<Job>, Error>>()?;
    let steps = ids.iter().map(|id| jobs.history(*id)).collect::<Result<Vec<_>, Error>>()?;
    let batch = made.batch.map(|id| jobs.batch(id)).transpose()?;
    Ok(json!({
        "duplicates": made.jobs.iter().map(|job| job.duplicate).collect::<Vec<_>>(),
        "cancelled": cancelled,
        "listed": listed,
        "over": over,
        "handed_back": handed_back,
        "states": records.iter().map(|job| job.status.state).collect::<Vec<_>>(),
        "errors": records.iter().map(|job| job.status.error.as_ref().map(|e| e.name.clone())).collect::<Vec<_>>(),
        "priorities": records.iter().map(|job| job.spec.priority).collect::<Vec<_>>(),
        "steps": steps.iter().map(|life| life.iter().map(|step| step.to).collect::<Vec<_>>()).collect::<Vec<_>>(),
        "batch": batch.map(|batch| json!({ "name": batch.name, "states": batch.states })),
        "stats": jobs.stats()?.states,
    }))
}
