//! `puresound jobs watch`: a table that moves on a terminal, otherwise a JSON line for every change.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::str::FromStr;
use std::time::Duration;

use pure_sound::Error;
use pure_sound::jobs::{Job, JobFilter, JobId, JobState, JobStore};
use serde_json::json;

use super::list::{FilterArgs, table};
use super::{StoreArgs, view};
use crate::console;
use crate::context::Context;
use crate::failure::Failure;
use crate::progress;

/// Longest pause between two looks: what others see of Ctrl-C.
const LOOK: Duration = Duration::from_millis(250);
/// Rows of the table.
const ROWS: usize = 20;

/// Watch jobs until those that are there now, or are named, are over.
///
/// On a terminal a table of those that run and those that come next. Otherwise, and with --jsonl, one JSON line for each change. Ends
/// with exit code 1 when one of the jobs is dead.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Jobs to watch; default: all that are not over.
    #[arg(value_name = "ID", value_parser = JobId::from_str)]
    ids: Vec<JobId>,
    /// Go on when all are over, and watch new ones, too; ends with Ctrl-C.
    #[arg(long, conflicts_with = "ids")]
    follow: bool,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let store = super::open(context, &args.store)?;
    let people = io::stdout().is_terminal() && !context.is_json();
    let live = (people && io::stderr().is_terminal()).then(progress::of_text);
    let mut watched = Watched { store: &*store, args, jobs: BTreeMap::new() };
    let mut seen = 0;
    loop {
        let changed = watched.look()?;
        if !people {
            for job in changed {
                console::print_json(&line(job), true)?;
            }
        } else if let Some(live) = &live {
            live.set_message(picture(&watched.jobs));
        }
        if !args.follow && watched.jobs.values().all(|job| job.status.state.is_over()) {
            break;
        }
        if context.cancel.is_cancelled() && args.follow {
            break;
        }
        context.cancel.check()?;
        seen = store.wait(seen, LOOK)?;
    }
    if let Some(live) = live {
        live.finish_and_clear();
    }
    if people {
        console::print(&picture(&watched.jobs))?;
    }
    let dead = watched.jobs.values().filter(|job| job.status.state == JobState::Dead).count();
    match dead {
        0 => Ok(()),
        _ => Err(Failure::Partial(format!("{dead} of {} jobs are dead", watched.jobs.len()))),
    }
}

struct Watched<'a> {
    store: &'a dyn JobStore,
    args: &'a Args,
    jobs: BTreeMap<JobId, Job>,
}

impl Watched<'_> {
    /// Looks at the jobs; those that are new or moved.
    fn look(&mut self) -> Result<Vec<&Job>, Failure> {
        let first = self.jobs.is_empty();
        let mut now: BTreeMap<JobId, Job> = BTreeMap::new();
        if self.args.ids.is_empty() {
            if first || self.args.follow {
                now.extend(self.active()?.into_iter().map(|job| (job.id, job)));
            }
        } else if first {
            for id in &self.args.ids {
                now.insert(*id, self.store.get(*id)?);
            }
        }
        for (id, old) in &self.jobs {
            if !old.status.state.is_over() && !now.contains_key(id) {
                match self.store.get(*id) {
                    Ok(job) => drop(now.insert(*id, job)),
                    // Somebody made the store forget it.
                    Err(Error::UnknownName { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if self.args.follow {
            self.jobs.retain(|id, job| !job.status.state.is_over() && now.contains_key(id));
        } else {
            self.jobs.retain(|id, job| job.status.state.is_over() || now.contains_key(id));
        }
        let mut changed = Vec::new();
        for (id, job) in now {
            if self.jobs.get(&id).is_none_or(|old| line(old) != line(&job)) {
                changed.push(id);
            }
            self.jobs.insert(id, job);
        }
        Ok(changed.iter().filter_map(|id| self.jobs.get(id)).collect())
    }

    /// Jobs of the filter that are not over; with states in the filter, those in these.
    fn active(&self) -> Result<Vec<Job>, Failure> {
        let mut filter = JobFilter { limit: 1000, ..self.args.filter.filter() };
        if filter.states.is_empty() {
            filter.states = JobState::ALL.into_iter().filter(|state| !state.is_over()).collect();
        }
        let mut all = Vec::new();
        loop {
            let page = self.store.list(&filter)?;
            filter.after = page.last().map(|job| job.id);
            let more = page.len() == filter.limit;
            all.extend(page);
            if !more {
                return Ok(all);
            }
        }
    }
}

/// What is told of a job that moved.
fn line(job: &Job) -> serde_json::Value {
    let status = &job.status;
    json!({
        "event": "job", "id": job.id, "state": status.state, "progress": status.progress, "claims": status.claims,
        "output": view::subject(&job.spec), "error": status.error,
    })
}

/// What runs, what comes next, and what ended last, with counts.
fn picture(jobs: &BTreeMap<JobId, Job>) -> String {
    let order = |job: &Job| match job.status.state {
        JobState::Running | JobState::Publishing => 0,
        JobState::Available => 1,
        JobState::Scheduled => 2,
        _ => 3,
    };
    let mut shown: Vec<&Job> = jobs.values().collect();
    shown.sort_by_key(|job| (order(job), std::cmp::Reverse(job.status.finished_ms), job.id));
    let shown: Vec<Job> = shown.into_iter().take(ROWS).cloned().collect();
    if shown.is_empty() {
        return "no such jobs\n".to_owned();
    }
    let mut counts = BTreeMap::<JobState, usize>::new();
    for job in jobs.values() {
        *counts.entry(job.status.state).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {}", state.name())).collect();
    format!("{}{}\n", table(&shown), counts.join(", "))
}
