//! `puresound filters`: what filters there are and what they take.

use clap::Subcommand;
use pure_sound::Error;
use pure_sound::filters::FilterSpec;

use crate::context::Context;
use crate::failure::Failure;

/// List filters, or show the parameters of one.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Action>,
    /// All filters with their parameters as Markdown, for docs/filters.md.
    #[arg(long, hide = true)]
    markdown: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all filters.
    List,
    /// Show one filter with its parameters.
    Show {
        /// Its name.
        name: String,
    },
}

pub fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    Err(Error::unsupported("list", "filters").into())
}

/// Name of a filter in recipes.
pub fn name(spec: &FilterSpec) -> String {
    let value = serde_json::to_value(spec).unwrap_or_default();
    value["type"].as_str().unwrap_or_default().to_owned()
}
