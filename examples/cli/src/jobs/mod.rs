//! `puresound jobs` and `puresound worker`: work that survives the program that asked for it.

mod act;
mod limit;
mod list;
mod purge;
mod schedule;
mod stats;
mod submit;
mod view;
mod watch;
pub mod worker;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;
use pure_sound::Error;
use pure_sound::config::JobSettings;
use pure_sound::jobs::{JobStore, open_store, postgres_url};

use crate::context::Context;
use crate::failure::Failure;

/// Queue work for later, for other programs, or for many of them: submit, look, cancel, try again.
///
/// 'puresound worker' does what is queued. Jobs are kept in a file; they survive crashes of whoever asked for them and of whoever does
/// them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Submit(Box<submit::Args>),
    List(list::ListArgs),
    Show(list::ShowArgs),
    Watch(watch::Args),
    Cancel(act::CancelArgs),
    Retry(act::RetryArgs),
    Pause(act::PauseArgs),
    Resume(act::ResumeArgs),
    Limit(limit::Args),
    Purge(purge::Args),
    Stats(stats::Args),
    Schedule(schedule::Args),
}

/// Where the jobs are.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct StoreArgs {
    /// File that keeps the jobs; made when it is not there. Or postgres://USER:PASSWORD@HOST/DATABASE, for several machines. Default:
    /// jobs.postgres (with a password, better there) or jobs.database of the configuration, else puresound/jobs.db in the user's
    /// folder for such files.
    #[arg(long, value_name = "PATH")]
    pub db: Option<PathBuf>,
}

impl StoreArgs {
    /// The store of these arguments and this configuration.
    pub fn open(&self, settings: &JobSettings) -> Result<Arc<dyn JobStore>, Failure> {
        Ok(open_store(&self.database(settings)?, settings)?)
    }

    /// The folder for results of workflows: beside the file of jobs, in a folder of the same name that ends in .results.
    pub fn results(&self, settings: &JobSettings) -> Result<PathBuf, Failure> {
        if let Some(folder) = &settings.results {
            return Ok(folder.clone());
        }
        let database = self.database(settings)?;
        let file = if postgres_url(&database).is_some() { own_folder()?.join("jobs") } else { database };
        Ok(file.with_extension("results"))
    }

    /// A file, or the URL of a server.
    fn database(&self, settings: &JobSettings) -> Result<PathBuf, Failure> {
        let server = || settings.postgres.as_ref().map(|secret| PathBuf::from(secret.expose()));
        match self.db.clone().or_else(server).or_else(|| settings.database.clone()) {
            Some(path) => Ok(path),
            None => Ok(own_folder()?.join("jobs.db")),
        }
    }
}

/// The folder of the user for such files, which is made when it is not there.
fn own_folder() -> Result<PathBuf, Failure> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = if cfg!(windows) {
        set("LOCALAPPDATA")
    } else {
        // XDG Base Directory Specification: relative paths are ignored.
        let state = set("XDG_STATE_HOME").filter(|p| p.is_absolute());
        state.or_else(|| Some(set("HOME")?.join(".local").join("state")))
    };
    let folder = folder.ok_or_else(|| Error::InvalidValue {
        name: "db".into(),
        value: String::new(),
        allowed: "--db PATH: this system has no folder of the user".into(),
    })?;
    let folder = folder.join("puresound");
    std::fs::create_dir_all(&folder).map_err(|e| Error::io("create folder", Some(&folder), e))?;
    Ok(folder)
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Submit(args) => submit::run(context, args),
        Command::List(args) => list::list(context, args),
        Command::Show(args) => list::show(context, args),
        Command::Watch(args) => watch::run(context, args),
        Command::Cancel(args) => act::cancel(context, args),
        Command::Retry(args) => act::retry(context, args),
        Command::Pause(args) => act::pause(context, args),
        Command::Resume(args) => act::resume(context, args),
        Command::Limit(args) => limit::run(context, args),
        Command::Purge(args) => purge::run(context, args),
        Command::Stats(args) => stats::run(context, args),
        Command::Schedule(args) => schedule::run(context, args),
    }
}

/// The store, by the configuration of this call.
fn open(context: &Context, args: &StoreArgs) -> Result<Arc<dyn JobStore>, Failure> {
    args.open(&context.config()?.current().settings.jobs)
}
