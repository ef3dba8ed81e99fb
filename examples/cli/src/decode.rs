//! `puresound decode`: to WAV, as exactly as a WAV can be.

use std::path::PathBuf;

use pure_sound::formats::encode::{Dither, PcmSample, PcmSettings};
use pure_sound::formats::{FormatSettings, ReadOptions, SampleFormat};
use pure_sound::processing::{Output, Recipe, Verify};
use serde_json::json;

use crate::console;
use crate::context::Context;
use crate::failure::Failure;
use crate::job::ReadArgs;
use crate::process::run_recipe;
use crate::progress::Progress;
use crate::stdio::{Reopenable, Staging};

/// Decode to WAV: the native depth of lossless inputs, 32-bit floats of lossy and float ones.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to read; - is standard input.
    pub input: PathBuf,
    /// WAV file to write; - is standard output.
    pub output: PathBuf,
    #[command(flatten)]
    pub read: ReadArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let input = Reopenable::new(context, &args.input)?;
    let mut outputs = [args.output.clone()];
    let staging = Staging::new(context, &mut outputs, Some("wav"))?;
    let [path] = outputs;
    if let Some(other) = path.extension().and_then(|e| e.to_str()).and_then(FormatSettings::from_name)
        && !matches!(other, FormatSettings::Wav(_))
    {
        return Err(Failure::conflict(format!("decode writes WAV, not {}: use convert", other.extension())));
    }
    let engine = context.engine()?;
    let read = args.read.options(ReadOptions::default())?;
    let info = engine.probe(input.path().into(), &read)?;
    // Nothing is measured or dithered: the samples are those of the decoder.
    let settings = PcmSettings { sample: Some(native(info.stream.sample_format)), dither: Dither::None };
    let recipe = Recipe {
        input: input.path().to_path_buf(),
        read,
        outputs: vec![Output { path, format: Some(FormatSettings::Wav(settings)) }],
        verify: Verify::None,
        ..Recipe::default()
    };
    let progress = Progress::of_job(context);
    let report = run_recipe(context, &engine, &recipe, &progress)?;
    drop(progress);
    staging.deliver()?;
    if context.args.jsonl {
        console::print_json(&json!({ "event": "report", "report": report }), true)?;
    } else if context.args.json {
        console::print_json(&report, false)?;
    }
    Ok(())
}

/// The WAV sample format that holds every sample exactly.
fn native(format: SampleFormat) -> PcmSample {
    match format {
        SampleFormat::Int(0..=16) => PcmSample::S16,
        SampleFormat::Int(17..=24) => PcmSample::S24,
        SampleFormat::Int(_) => PcmSample::S32,
        SampleFormat::Float(_) | SampleFormat::Lossy => PcmSample::F32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_native_depth_holds_every_sample() {
        for bits in 1..=32 {
            let holds = match native(SampleFormat::Int(bits)) {
                PcmSample::S16 => 16,
                PcmSample::S24 => 24,
                PcmSample::S32 => 32,
                PcmSample::F32 => 0,
            };
            assert!(holds >= bits && holds < bits + 16, "{bits}");
        }
        assert_eq!(native(SampleFormat::Lossy), PcmSample::F32);
    }
}
