//! `puresound jobs purge`: forgets what ended long ago.

use pure_sound::Error;
use pure_sound::jobs::{JobFilter, JobState, parse_duration_ms};
use pure_sound::services::seams::{Clock, SystemClock};
use serde_json::json;

use super::StoreArgs;
use super::list::FilterArgs;
use crate::console;
use crate::context::Context;
use crate::failure::Failure;

/// Jobs that are removed in a transaction: workers need not wait long.
const PAGE: usize = 500;

/// Forget jobs that ended long ago, with their history. Files are left alone.
///
/// Jobs of a batch, and steps of a workflow, stay until all of it is over. A run of a workflow whose steps are forgotten cannot be resumed
/// where it was.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only those that ended so long ago or longer, such as 30d; 0 for all that are over.
    #[arg(long, value_name = "DURATION")]
    older_than: String,
    #[command(flatten)]
    filter: FilterArgs,
    /// Count them, and forget nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let age_ms = parse_duration_ms(&args.older_than)?;
    let filter = JobFilter { limit: PAGE, ..args.filter.filter() };
    if let Some(state) = filter.states.iter().find(|state| !state.is_over()) {
        let over: Vec<_> = JobState::ALL.into_iter().filter(|state| state.is_over()).map(JobState::name).collect();
        let (name, value) = ("state".to_owned(), state.name().to_owned());
        return Err(Error::InvalidValue { name, value, allowed: over.join(", ") }.into());
    }
    let store = super::open(context, &args.store)?;
    // The moment itself counts, so that 0 means all.
    let before_ms = SystemClock::default().unix_ms().saturating_sub(age_ms).saturating_add(1);
    let mut count = 0;
    if args.dry_run {
        count = store.purgeable(before_ms, &filter)?;
    } else {
        loop {
            let some = store.purge(before_ms, &filter)?;
            count += some as u64;
            if some < PAGE {
                break;
            }
            context.cancel.check()?;
        }
    }
    if context.is_json() {
        let value = json!({ "jobs": count, "dry_run": args.dry_run });
        return Ok(console::print_json(&value, context.args.jsonl)?);
    }
    if context.args.quiet {
        return Ok(());
    }
    let words = if args.dry_run { "would be forgotten" } else { "forgotten" };
    Ok(console::print(&format!("{count} jobs {words}\n"))?)
}
