//! `puresound workflow`: steps that depend on each other, done once each.

mod list;
mod run;
pub mod store;
pub mod webhook;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::Failure;

/// Run steps that depend on each other: measure, process, encode, branch, store, for one file or many.
///
/// Runs are kept in a file. One that was interrupted, even by a crash, goes on where it was, and no step is done twice. Built-in workflows
/// are named ('puresound workflow list --library'); one of your own is a YAML or JSON file.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Run(run::RunArgs),
    Plan(run::PlanArgs),
    Resume(run::ResumeArgs),
    List(list::Args),
    Show(list::ShowArgs),
    Cancel(run::CancelArgs),
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    match &args.action {
        Action::Run(args) => run::run(context, args),
        Action::Plan(args) => run::plan(context, args),
        Action::Resume(args) => run::resume(context, args),
        Action::List(args) => list::run(context, args),
        Action::Show(args) => list::show(context, args),
        Action::Cancel(args) => run::cancel(context, args),
    }
}
