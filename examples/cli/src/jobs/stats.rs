//! `puresound jobs stats`.

use pure_sound::jobs::JobState;
use serde_json::json;

use super::{StoreArgs, limit};
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
    text.extend(scopes.iter().filter_map(limit::line));
    for batch in &batches {
        let name = console::clean(&batch.name);
        text += &format!("batch {} ({name}): {} of {} over\n", batch.id, batch.over(), batch.total());
    }
    Ok(console::print(&text)?)
}
