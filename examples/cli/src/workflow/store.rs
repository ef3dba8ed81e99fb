//! Where runs and their results are.

use std::sync::Arc;

use pure_sound::Error;
use pure_sound::config::JobSettings;
use pure_sound::jobs::JobId;
use pure_sound::workflows::{FolderResults, Workflows};

use crate::context::Context;
use crate::failure::Failure;
use crate::jobs::StoreArgs;

/// The runs in the file of jobs, by the configuration of this call.
pub fn open(context: &Context, args: &StoreArgs) -> Result<Workflows, Failure> {
    at(args, &context.config()?.current().settings.jobs)
}

/// The runs in the store of jobs, and the folder of their results.
pub fn at(args: &StoreArgs, settings: &JobSettings) -> Result<Workflows, Failure> {
    let results = FolderResults::new(args.results(settings)?)?;
    Ok(Workflows::new(args.open(settings)?, Arc::new(results)))
}

/// A run by its name.
pub fn run_id(text: &str) -> Result<JobId, Error> {
    text.parse().map_err(|_| Error::InvalidValue {
        name: "run".into(),
        value: text.into(),
        allowed: "the name of a run, as 'puresound workflow list' shows it".into(),
    })
}
