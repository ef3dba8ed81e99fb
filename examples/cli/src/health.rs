//! `puresound health`: can this machine take work, as configured?

use clap::ValueEnum;
use pure_sound::services::HealthStatus;

use crate::console;
use crate::context::Context;
use crate::failure::Failure;

/// Check what the engine needs: room for temporary files, a configuration that holds.
///
/// With --json in the form of application/health+json. Exit code 1 when a check fails; a warning is no failure.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to ask.
    #[arg(long, value_name = "PROBE", default_value = "all")]
    probe: Probe,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Probe {
    /// Everything.
    All,
    /// Does the engine run at all?
    Live,
    /// Can it take work now?
    Ready,
    /// Is it up?
    Startup,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let engine = context.engine()?;
    let health = engine.health();
    let answer = match args.probe {
        Probe::All => health.all(),
        Probe::Live => health.live(),
        Probe::Ready => health.ready(),
        Probe::Startup => health.startup(),
    };
    if context.is_json() {
        console::print_json(&answer, context.args.jsonl)?;
    } else if !context.args.quiet {
        let checks = answer.checks.iter().flat_map(|(key, answers)| answers.iter().map(move |a| (key, a)));
        let rows: Vec<Vec<String>> = checks
            .map(|(key, check)| {
                let observed =
                    check.observed_value.map_or_else(String::new, |value| match check.observed_unit.as_deref() {
                        Some("bytes") => console::size(value as u64),
                        unit => format!("{value:.1} {}", unit.unwrap_or_default()).replace(".0 ", " "),
                    });
                let why = console::clean(check.output.as_deref().unwrap_or_default());
                vec![word(check.status).into(), key.clone(), observed, why]
            })
            .collect();
        console::print(&format!("{}\n{}", word(answer.status), console::columns(&rows, &[])))?;
    }
    if answer.status != HealthStatus::Fail {
        return Ok(());
    }
    let failing = |key: &&String| answer.checks[*key].iter().any(|a| a.status == HealthStatus::Fail);
    let names: Vec<&str> = answer.checks.keys().filter(failing).map(String::as_str).collect();
    Err(Failure::Partial(format!("the engine cannot take work: {}", names.join(", "))))
}

fn word(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Pass => "pass",
        HealthStatus::Warn => "warn",
        HealthStatus::Fail => "fail",
    }
}
