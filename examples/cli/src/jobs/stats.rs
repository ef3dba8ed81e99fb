//! `puresound jobs stats`.

use pure_sound::jobs::{Gate, JobState};
use serde_json::json;

use super::StoreArgs;
use crate::console;
use crate::context::Context;
use crate::failure::Failure;

/// Count jobs by queue and state; list what is paused or limited, and the newest batches.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Batches to list.
    #[arg(long, value_name = "N", default_value_t = 5)]
    batches: usize,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let store = super::open(context, &args.store)?;
    let (stats, scopes, batches) = (store.stats()?, store.scopes()?, store.batches(args.batches)?);
    if context.is_json() {
        let scopes: Vec<_> =
            scopes.iter().map(|s| json!({ "scope": s.scope, "gate": s.gate, "limits": s.limits })).collect();
        let value = json!({
            "states": stats.states, "queues": stats.queues, "oldest_ms": stats.oldest_ms, "scopes": scopes,
            "batches": batches,
        });
        return Ok(console::print_json(&value, context.args.jsonl)?);
    }
    let mut rows = vec![vec!["queue".to_owned()]];
    rows[0].extend(JobState::ALL.iter().map(|state| state.name().to_owned()));
    for (queue, states) in &stats.queues {
        let mut row = vec![console::clean(queue)];
        row.extend(JobState::ALL.iter().map(|state| states.get(state).copied().unwrap_or(0).to_string()));
        rows.push(row);
    }
    let mut text = if stats.queues.is_empty() {
        "no jobs\n".to_owned()
    } else {
        console::columns(&rows, &(1..=JobState::ALL.len()).collect::<Vec<_>>())
    };
    if let Some(ms) = stats.oldest_ms {
        text += &format!("the oldest of those that could start has waited {}\n", console::duration(ms as f64 / 1e3));
    }
    for rules in &scopes {
        let gate = match rules.gate {
            Gate::Open => None,
            Gate::Paused => Some("paused".to_owned()),
            Gate::Draining => Some("draining".to_owned()),
        };
        let running = rules.limits.max_running.map(|n| format!("{n} at once"));
        let rate = rules.limits.rate.map(|r| format!("{} in {} ms, {} at once", r.jobs, r.per_ms, r.burst));
        let all: Vec<String> = [gate, running, rate].into_iter().flatten().collect();
        if !all.is_empty() {
            text += &format!("{}: {}\n", console::clean(&rules.scope), all.join("; "));
        }
    }
    for batch in &batches {
        let name = console::clean(&batch.name);
        text += &format!("batch {} ({name}): {} of {} over\n", batch.id, batch.over(), batch.total());
    }
    Ok(console::print(&text)?)
}
