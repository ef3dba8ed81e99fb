//! `puresound worker`: does what is queued, recordings and workflows alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pure_sound::events::{JobState, SubscribeOptions, WorkflowNotice};
use pure_sound::jobs::{JobHandlers, PROCESS, ProcessHandler, WorkerOptions};
use pure_sound::workflows::{CustomActions, WorkflowOptions, WorkflowPool};
use serde_json::json;

use super::StoreArgs;
use crate::console;
use crate::context::Context;
use crate::failure::Failure;
use crate::workflow;
use crate::workflow::webhook::WebhookArgs;

/// Longest pause before it is seen that the worker should end.
const LOOK: Duration = Duration::from_millis(100);

/// Do queued jobs, and workflows with their steps, until told to stop.
///
/// Ctrl-C or SIGTERM: no more jobs are taken; those in hand are finished within --drain-seconds, or handed back as if they had not been
/// taken. A second one ends the program at once; its jobs are given to other workers when their lease is over.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Jobs and steps at the same time; 0 is one per core. Default: jobs.workers of the configuration.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1024))]
    workers: Option<u32>,
    /// End when nothing is left to do: jobs that wait for their time, or for another try, stay. Exit code 1 when some died here.
    #[arg(long)]
    until_idle: bool,
    /// How long to finish what is in hand when told to stop. Default: jobs.drain_s of the configuration.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    drain_seconds: Option<u32>,
    /// Queues to serve; default: all.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    queue: Vec<String>,
    /// Name to be known by. Default: worker- and the number of the process.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    webhooks: WebhookArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// How jobs ended here.
#[derive(Debug, Default)]
struct Counts {
    done: AtomicU64,
    dead: AtomicU64,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let mut settings = context.config()?.current().settings.jobs.clone();
    settings.workers = args.workers.unwrap_or(settings.workers);
    settings.drain_s = args.drain_seconds.unwrap_or(settings.drain_s);
    let workflows = workflow::store::at(&args.store, &settings)?;
    let engine = Arc::new(context.engine()?);
    let events = engine.events().clone();

    let counts = Arc::<Counts>::default();
    let counter = Arc::clone(&counts);
    let (jsonl, talk) = (context.args.jsonl, !context.is_json() && !context.args.quiet);
    let options = SubscribeOptions::new("job.state").synchronous();
    let _told = events.subscribe_to::<JobState>(options, move |now, _| {
        match now.state.as_str() {
            "succeeded" => drop(counter.done.fetch_add(1, Ordering::Relaxed)),
            "dead" => drop(counter.dead.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
        let why = now.reason.as_deref().unwrap_or_default();
        if jsonl {
            let event = json!({ "event": "job", "id": now.job, "state": now.state, "claim": now.attempt, "why": why });
            console::print_json(&event, true)?;
        } else if talk {
            let line = console::clean(&format!("{} {} {why}", now.job, now.state));
            console::print(&(line.trim_end().to_owned() + "\n"))?;
        }
        Ok(())
    })?;

    let options = SubscribeOptions::new("workflow.notify").synchronous();
    let _notices = events.subscribe_to::<WorkflowNotice>(options, move |notice, _| {
        if jsonl {
            console::print_json(&json!({ "event": "notice", "notice": notice }), true)?;
        } else if talk {
            console::print(&format!("{}\n", console::clean(&notice.message)))?;
        }
        Ok(())
    })?;

    let own = WorkerOptions::from(&settings);
    let options = WorkflowOptions {
        name: args.name.clone().unwrap_or(own.name),
        threads: own.threads,
        queues: args.queue.clone(),
        lease_ms: own.lease_ms,
        webhooks: args.webhooks.options()?,
        ..WorkflowOptions::default()
    };
    let handlers = JobHandlers::from([(PROCESS.to_owned(), Arc::new(ProcessHandler::new(Arc::clone(&engine))) as _)]);
    // This program has no actions of its own.
    let pool = WorkflowPool::start_with(engine, &workflows, CustomActions::new(), handlers, &options)?;
    let store = workflows.store();
    let mut seen = 0;
    while !context.cancel.is_cancelled() {
        if args.until_idle && pool.is_idle()? {
            break;
        }
        // The pause holds back a store that moves all the time; both are short, so that the wish to stop is seen.
        seen = store.wait(seen, LOOK)?;
        if context.cancel.pause(LOOK / 4).is_err() {
            break;
        }
    }
    let handed_back = pool.stop(Duration::from_secs(u64::from(settings.drain_s)));
    let (done, dead) = (counts.done.load(Ordering::Relaxed), counts.dead.load(Ordering::Relaxed));
    if context.is_json() {
        let mut value = json!({ "done": done, "dead": dead, "handed_back": handed_back });
        if jsonl {
            value["event"] = "summary".into();
        }
        console::print_json(&value, jsonl)?;
    } else if talk {
        console::print(&format!("{done} done, {dead} dead, {handed_back} handed back\n"))?;
    }
    if args.until_idle && dead > 0 {
        return Err(Failure::Partial(format!("{dead} jobs are dead")));
    }
    Ok(())
}
