//! `puresound check`: quality verdicts and delivery specifications.

use std::path::PathBuf;

use pure_sound::analysis::delivery::{self, DeliveryResult};
use pure_sound::analysis::quality::{QualityReport, Severity};
use pure_sound::formats::ReadOptions;

use crate::context::Context;
use crate::failure::Failure;
use crate::job::ReadArgs;
use crate::progress::Progress;
use crate::{console, stdio};

/// Look for faults: clipping, hum, noise, clicks, drop-outs, false stereo and others; hold it against delivery specifications.
///
/// Exit code 1 when a specification of --spec fails. Verdicts alone are no failure; '--spec no_faults' makes errors one.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to read; - is standard input.
    pub input: PathBuf,
    /// Specification to hold it against; may be given several times. 'all': every one, for information.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub spec: Vec<String>,
    #[command(flatten)]
    pub read: ReadArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let engine = context.engine()?;
    let options = args.read.options(ReadOptions::default())?;
    let progress = Progress::of_job(context);
    let report = engine.check(stdio::source(&args.input)?, &args.spec, &options, &context.control(&progress))?;
    drop(progress);
    if context.is_json() {
        console::print_json(&report, context.args.jsonl)?;
    } else {
        console::print(&text(&report.quality, &report.delivery))?;
    }
    if report.passed || args.spec.iter().any(|name| name == delivery::ALL) {
        return Ok(());
    }
    let failed: Vec<&str> = report.delivery.iter().filter(|r| !r.passed).map(|r| r.specification.as_str()).collect();
    Err(Failure::Partial(format!("not met: {}", failed.join(", "))))
}

fn text(report: &QualityReport, results: &[DeliveryResult]) -> String {
    let mut rows = Vec::new();
    for verdict in &report.verdicts {
        let severity = match verdict.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let first = verdict.times.first().map_or_else(String::new, |span| console::duration(span.start_s));
        rows.push(vec![severity.into(), first, verdict.explanation.clone()]);
    }
    let mut text = if rows.is_empty() { "no faults found\n".to_owned() } else { console::columns(&rows, &[1]) };
    for result in results {
        let word = if result.passed { "pass" } else { "FAIL" };
        text.push_str(&format!("\n{word}  {}\n", result.title));
        let rows: Vec<Vec<String>> = result
            .rules
            .iter()
            .map(|rule| {
                let word = if rule.passed { "  pass" } else { "  FAIL" };
                let value = rule.value.map_or_else(|| "-inf".into(), |v| format!("{v:.2}"));
                vec![word.into(), rule.quantity.name().into(), value, rule.source.clone()]
            })
            .collect();
        text.push_str(&console::columns(&rows, &[2]));
        if !result.not_measured.is_empty() {
            text.push_str(&format!("  not measured: {}\n", result.not_measured));
        }
    }
    text
}
