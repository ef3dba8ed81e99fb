//! `puresound`: the reference command line of Pure Sound.
//!
//! It turns arguments into calls of [`pure_sound::Engine`] and results into text or JSON; there is no signal processing
//! here. One file per subcommand; `context`, `job`, `console` and `failure` hold what they share.

mod analyse;
mod batch;
mod check;
mod classify;
mod compare;
mod completions;
mod config;
mod console;
mod context;
mod convert;
mod decode;
mod failure;
mod filter_docs;
mod filters;
mod health;
mod job;
#[cfg(feature = "jobs")]
mod jobs;
mod log;
mod loudness;
mod metrics;
mod plan;
mod presets;
mod probe;
mod process;
mod progress;
mod recommend;
mod report;
mod resample;
mod schema;
mod signals;
mod spectrogram;
mod stdio;
mod tags;
mod waveform;
#[cfg(feature = "jobs")]
mod workflow;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use context::{Context, GlobalArgs};
use failure::Failure;

/// Clean, level, measure and encode audio, with proof of what was done.
///
/// `-` stands for standard input or output. Reports go to standard output, progress and errors to standard error.
#[derive(Debug, Parser)]
#[command(name = "puresound", version, propagate_version = true, max_term_width = 110, after_long_help = failure::exit_codes_help())]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Process(process::Args),
    Convert(convert::Args),
    Decode(decode::Args),
    Probe(probe::Args),
    Tags(tags::Args),
    Loudness(loudness::Args),
    Check(check::Args),
    Classify(classify::Args),
    #[command(alias = "analyze")]
    Analyse(analyse::Args),
    Compare(compare::Args),
    Recommend(recommend::Args),
    Waveform(waveform::Args),
    Spectrogram(spectrogram::Args),
    Resample(resample::Args),
    Presets(presets::Args),
    Filters(filters::Args),
    Plan(plan::Args),
    Batch(batch::Args),
    #[cfg(feature = "jobs")]
    Jobs(jobs::Args),
    #[cfg(feature = "jobs")]
    Worker(jobs::worker::Args),
    #[cfg(feature = "jobs")]
    Workflow(workflow::Args),
    Schema(schema::Args),
    Config(config::Args),
    Health(health::Args),
    Metrics(metrics::Args),
    Completions(completions::Args),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let context = Context::new(cli.global);
    let result = signals::install(&context.cancel).and_then(|()| run(&context, cli.command));
    // Also of a command that failed: its errors are among the figures.
    let written = context.write_metrics();
    match result.and(written) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&context),
    }
}

fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Process(args) => process::run(context, &args),
        Command::Convert(args) => convert::run(context, &args),
        Command::Decode(args) => decode::run(context, &args),
        Command::Probe(args) => probe::run(context, &args),
        Command::Tags(args) => tags::run(context, &args),
        Command::Loudness(args) => loudness::run(context, &args),
        Command::Check(args) => check::run(context, &args),
        Command::Classify(args) => classify::run(context, &args),
        Command::Analyse(args) => analyse::run(context, &args),
        Command::Compare(args) => compare::run(context, &args),
        Command::Recommend(args) => recommend::run(context, &args),
        Command::Waveform(args) => waveform::run(context, &args),
        Command::Spectrogram(args) => spectrogram::run(context, &args),
        Command::Resample(args) => resample::run(context, &args),
        Command::Presets(args) => presets::run(context, &args),
        Command::Filters(args) => filters::run(context, &args),
        Command::Plan(args) => plan::run(context, &args),
        Command::Batch(args) => batch::run(context, &args),
        #[cfg(feature = "jobs")]
        Command::Jobs(args) => jobs::run(context, &args),
        #[cfg(feature = "jobs")]
        Command::Worker(args) => jobs::worker::run(context, &args),
        #[cfg(feature = "jobs")]
        Command::Workflow(args) => workflow::run(context, &args),
        Command::Schema(args) => schema::run(&args),
        Command::Config(args) => config::run(context, &args),
        Command::Health(args) => health::run(context, &args),
        Command::Metrics(args) => metrics::run(context, &args),
        Command::Completions(args) => completions::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_argument_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_forms_that_other_programs_call_parse() {
        for line in [
            "puresound decode IN OUT.wav",
            "puresound probe IN --json",
            "puresound tags IN --json",
            "puresound tags --json IN",
            "puresound loudness IN --json",
            "puresound classify IN --json --silence -50 --unknown-below 0.6",
            "puresound analyse IN --content",
            "puresound analyse IN --json --series --peaks OUT.dat",
            "puresound compare A B --json --no-align --max nmr_db=-6",
            "puresound recommend IN --json",
            "puresound process IN -o OUT --auto --content speech --html OUT.html",
            "puresound plan IN -o OUT --auto",
            "puresound waveform IN OUT.png --width 800 --db",
            "puresound spectrogram IN OUT.png --scale mel --min-db -90",
            "puresound resample IN OUT.wav --rate 48000",
            "puresound process IN -o OUT -o OUT2 --preset podcast --filter highpass:cutoff_hz=80 --loudness -16 \
             --true-peak -1 --rate 48000 --bitrate 96 --json",
            "puresound batch DIR -o DIR2 --preset podcast --format opus",
        ] {
            let words = line.split_whitespace();
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }
}
