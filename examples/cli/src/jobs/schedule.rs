//! `puresound jobs schedule`: jobs that are made again and again.

use clap::{Subcommand, ValueEnum};
use pure_sound::Error;
use pure_sound::jobs::{MissedTicks, Schedule, ScheduleStatus, format_time};
use serde_json::json;

use super::{StoreArgs, submit, view};
use crate::console;
use crate::context::Context;
use crate::failure::Failure;

/// Make a job again and again, at the times of a cron expression.
///
/// Any worker makes the jobs; there is no other program to run. Times are in UTC.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a schedule, or replace the one of this name.
    Add(Box<AddArgs>),
    /// List all schedules.
    List(ListArgs),
    /// Remove a schedule; jobs that it has made stay.
    Remove(RemoveArgs),
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// Name of the schedule.
    #[arg(value_name = "NAME")]
    name: String,
    /// Minute, hour, day, month and day of the week, such as '30 4 * * 1-5'; with six fields seconds come first; or such as @daily.
    #[arg(long, value_name = "EXPRESSION")]
    cron: String,
    /// What becomes of ticks while no worker runs.
    #[arg(long, value_name = "WHAT", default_value = "once")]
    missed: Missed,
    #[command(flatten)]
    submit: submit::Args,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Missed {
    /// Nothing: a tick makes a job within a minute, or none.
    Skip,
    /// One job for all of them together.
    Once,
    /// A job for each.
    All,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// Name of the schedule.
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Add(args) => add(context, args),
        Command::List(args) => {
            let all = super::open(context, &args.store)?.schedules()?;
            print(context, &all)
        }
        Command::Remove(args) => {
            let store = super::open(context, &args.store)?;
            let names: Vec<String> = store.schedules()?.into_iter().map(|s| s.schedule.name).collect();
            if !store.remove_schedule(&args.name)? {
                return Err(Error::unknown_name("schedule", &args.name, names.iter().map(String::as_str)).into());
            }
            if context.is_json() {
                console::print_json(&json!({ "removed": args.name }), context.args.jsonl)?;
            }
            Ok(())
        }
    }
}

fn add(context: &Context, args: &AddArgs) -> Result<(), Failure> {
    let missed = match args.missed {
        Missed::Skip => MissedTicks::Skip,
        Missed::Once => MissedTicks::Once,
        Missed::All => MissedTicks::All,
    };
    let (spec, store) = args.submit.single(context)?;
    let schedule = Schedule { name: args.name.clone(), cron: args.cron.clone(), spec, missed };
    print(context, &[store.set_schedule(schedule)?])
}

fn print(context: &Context, all: &[ScheduleStatus]) -> Result<(), Failure> {
    if context.args.jsonl {
        return Ok(all.iter().try_for_each(|status| console::print_json(status, true))?);
    }
    if context.args.json {
        return Ok(console::print_json(&json!({ "schedules": all }), false)?);
    }
    if context.args.quiet {
        return Ok(());
    }
    let time = |ms: Option<u64>| ms.map_or_else(|| "never".to_owned(), format_time);
    let mut rows = vec![["schedule", "times", "next", "last", "jobs", "output"].map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|status| {
        let schedule = &status.schedule;
        vec![
            console::clean(&schedule.name),
            schedule.cron.clone(),
            time(status.next_ms),
            time(status.last_ms),
            status.made.to_string(),
            console::clean(&view::subject(&schedule.spec)),
        ]
    }));
    Ok(console::print(&if all.is_empty() { "no schedules\n".to_owned() } else { console::columns(&rows, &[4]) })?)
}
