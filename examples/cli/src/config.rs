//! `puresound config`: what the configuration is, where each value comes from, and whether files are right.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use pure_sound::config::{Config, ConfigOptions, Generation, settings_schema};
use serde_json::{Value, json};

use crate::console;
use crate::context::Context;
use crate::failure::Failure;

/// Show, check and compare configurations: files given by --config and PURESOUND_SECTION__KEY variables.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print every key with the value that holds.
    Show {
        /// Also tell where each value comes from.
        #[arg(long)]
        origin: bool,
    },
    /// Check files, each by itself; all mistakes are told at once.
    Check {
        /// Configuration files in YAML, TOML or JSON.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema of configuration files.
    Schema,
    /// Tell which keys have other values in the second file than in the first.
    Diff {
        /// The one before.
        before: PathBuf,
        /// The one after.
        after: PathBuf,
    },
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    match &args.action {
        Action::Show { origin } => show(context, &context.config()?.current(), *origin),
        Action::Check { files } => {
            for file in files {
                alone(file)?;
            }
            if context.is_json() {
                return Ok(console::print_json(&json!({ "checked": files }), context.args.jsonl)?);
            }
            Ok(())
        }
        Action::Schema => Ok(console::print_json(&settings_schema(), context.args.jsonl)?),
        Action::Diff { before, after } => diff(context, &alone(before)?.current(), &alone(after)?.current()),
    }
}

/// What a file says over the built-in values, without variables.
fn alone(file: &Path) -> Result<Config, Failure> {
    Ok(Config::open(ConfigOptions::new().user_file(file))?)
}

fn show(context: &Context, now: &Generation, origin: bool) -> Result<(), Failure> {
    if context.is_json() {
        if !origin {
            return Ok(console::print_json(&now.to_json(), context.args.jsonl)?);
        }
        let keys: serde_json::Map<String, Value> = now
            .entries()
            .map(|(path, e)| (path.to_owned(), json!({ "value": e.value, "origin": e.origin.to_string() })))
            .collect();
        return Ok(console::print_json(&keys, context.args.jsonl)?);
    }
    let rows: Vec<Vec<String>> = now
        .entries()
        .map(|(path, entry)| {
            let mut row = vec![path.to_owned(), entry.value.to_string()];
            row.extend(origin.then(|| console::clean(&entry.origin.to_string())));
            row
        })
        .collect();
    Ok(console::print(&console::columns(&rows, &[]))?)
}

fn diff(context: &Context, before: &Generation, after: &Generation) -> Result<(), Failure> {
    let changes = after.diff(before);
    if context.is_json() {
        return Ok(console::print_json(&changes, context.args.jsonl)?);
    }
    let word = |value: &Option<Value>| value.as_ref().map_or_else(String::new, Value::to_string);
    let rows: Vec<Vec<String>> = changes
        .iter()
        .map(|c| vec![c.path.clone(), word(&c.old), "->".into(), word(&c.new), console::clean(&c.origin)])
        .collect();
    Ok(console::print(&console::columns(&rows, &[]))?)
}
