//! `puresound resample`: another sample rate, nothing else.

use std::path::PathBuf;

use pure_sound::formats::encode::PcmSample;
use pure_sound::formats::{FormatSettings, ReadOptions, SampleFormat};
use pure_sound::processing::{Output, Recipe, Verify};

use crate::context::Context;
use crate::failure::Failure;
use crate::job::ReadArgs;
use crate::process::run_recipe;
use crate::progress::Progress;
use crate::report;
use crate::stdio::{Reopenable, Staging};
use crate::{console, stdio};

/// Change the sample rate. Float and lossy inputs become float WAV, others keep their depth (with dither).
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to read; - is standard input.
    pub input: PathBuf,
    /// File to write; - is WAV on standard output.
    pub output: PathBuf,
    /// Sample rate of the output, in Hz.
    #[arg(long, short, value_name = "HZ")]
    pub rate: u32,
    #[command(flatten)]
    pub read: ReadArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let input = Reopenable::new(context, &args.input)?;
    let mut outputs = [args.output.clone()];
    let staging = Staging::new(context, &mut outputs, stdio::is_dash(&args.output).then_some("wav"))?;
    let [path] = outputs;
    let engine = context.engine()?;
    let read = args.read.options(ReadOptions::default())?;
    let info = engine.probe(input.path().into(), &read)?;
    let mut output = Output::new(path);
    let mut format = output.format(&[])?;
    if let FormatSettings::Wav(s) | FormatSettings::W64(s) | FormatSettings::Aiff(s) | FormatSettings::Caf(s) =
        &mut format
        && !matches!(info.stream.sample_format, SampleFormat::Int(_))
    {
        s.sample = Some(PcmSample::F32);
    }
    output.format = Some(format);
    let recipe = Recipe {
        input: input.path().to_path_buf(),
        read,
        rate_hz: Some(args.rate),
        outputs: vec![output],
        verify: Verify::None,
        ..Recipe::default()
    };
    let progress = Progress::of_job(context);
    let done = run_recipe(context, &engine, &recipe, &progress)?;
    drop(progress);
    staging.deliver()?;
    if context.is_json() {
        console::print_json(&done, context.args.jsonl)?;
    } else if !context.args.quiet && !staging.is_active() {
        console::print(&report::text(&done, false))?;
    }
    Ok(())
}
