//! `puresound filters`: what filters there are and what they take.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Subcommand;
use pure_sound::filters::FilterSpec;
use pure_sound::filters::{FilterInfo, ParamInfo, registry};

use crate::context::Context;
use crate::failure::Failure;
use crate::{console, filter_docs, report};

/// List filters, or show the parameters of one.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Action>,
    /// Write the pages about all filters, with pictures, into this folder.
    #[arg(long, value_name = "DIR", hide = true)]
    docs: Option<PathBuf>,
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

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let json = context.is_json();
    let compact = context.args.jsonl;
    match &args.command {
        Some(Action::Show { name }) => {
            let info = registry::find(name)?;
            if json { console::print_json(&info, compact)? } else { console::print(&text(&info))? }
        }
        _ if let Some(docs) = &args.docs => filter_docs::write(docs)?,
        _ if json => console::print_json(&registry::filters(), compact)?,
        _ => {
            let row = |f: FilterInfo| vec![f.name.to_owned(), report::name_of(&f.category), f.summary];
            let rows: Vec<_> = registry::filters().into_iter().map(row).collect();
            console::print(&console::columns(&rows, &[]))?;
        }
    }
    Ok(())
}

/// Name of a filter in recipes.
pub fn name(spec: &FilterSpec) -> String {
    spec.name().to_owned()
}

fn text(info: &FilterInfo) -> String {
    let mut text = format!("{}: {}\n", info.name, info.summary);
    text.push_str(if info.realtime { "Real-time safe.\n" } else { "For files only.\n" });
    let head = ["parameter", "range", "default", "live", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for p in &info.parameters {
        let live = if p.live { "yes" } else { "" };
        rows.push(vec![p.name.into(), range(p), default(p), live.into(), p.summary.clone()]);
    }
    let _ = write!(text, "\n{}\nexample: --filter {}\n", console::columns(&rows, &[]), example(info));
    text
}

/// Such as `1 to 100 Hz` or `soft, hard`.
pub fn range(p: &ParamInfo) -> String {
    match (p.min, p.max) {
        (Some(min), Some(max)) => format!("{min} to {max} {}", p.unit).trim_end().to_owned(),
        _ if !p.choices.is_empty() => p.choices.join(", "),
        _ => report::name_of(&p.kind),
    }
}

pub fn default(p: &ParamInfo) -> String {
    p.default.as_str().map_or_else(|| p.default.to_string(), str::to_owned)
}

/// The filter with its first parameter at its default.
fn example(info: &FilterInfo) -> String {
    match info.parameters.first() {
        Some(p) if p.default.is_number() || p.default.is_string() || p.default.is_boolean() => {
            format!("{}:{}={}", info.name, p.name, default(p))
        }
        _ => info.name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_parses() {
        for info in registry::filters() {
            assert!(FilterSpec::parse(&example(&info)).is_ok(), "{}", example(&info));
        }
    }
}
