//! `puresound classify`: speech, music, noise, silence.

use std::path::PathBuf;

use pure_sound::analysis::{Content, ContentClass, ContentParams};
use pure_sound::engine::ClassifyOptions;
use pure_sound::formats::ReadOptions;

use crate::context::Context;
use crate::failure::Failure;
use crate::job::ReadArgs;
use crate::progress::Progress;
use crate::{console, stdio};

/// Tell what a recording is made of: speech, music, speech over music, noise, silence, and when.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to read; - is standard input.
    pub input: PathBuf,
    /// RMS of a second below which noise counts as silence, in dBFS: -80 to 0.
    #[arg(long, value_name = "DBFS", allow_negative_numbers = true, default_value_t = ContentParams::default().silence_dbfs)]
    pub silence: f64,
    /// Confidence below which the answer is 'unknown': 0 to 1.
    #[arg(long, value_name = "CONFIDENCE", default_value_t = ContentParams::default().unknown_below)]
    pub unknown_below: f64,
    /// Estimate what listeners would say of the speech; some seconds of work more.
    #[arg(long)]
    pub speech_quality: bool,
    #[command(flatten)]
    pub read: ReadArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let engine = context.engine()?;
    let options = ClassifyOptions {
        read: args.read.options(ReadOptions::default())?,
        content: ContentParams {
            silence_dbfs: args.silence,
            unknown_below: args.unknown_below,
            speech_quality: args.speech_quality,
        },
    };
    let progress = Progress::of_job(context);
    let content = engine.classify(stdio::source(&args.input)?, &options, &context.control(&progress))?;
    drop(progress);
    if context.is_json() {
        return Ok(console::print_json(&content, context.args.jsonl)?);
    }
    Ok(console::print(&text(&content))?)
}

/// The whole in one line, then a line for each segment.
fn text(content: &Content) -> String {
    let rows: Vec<Vec<String>> = content
        .segments
        .iter()
        .map(|s| {
            let confidence = format!("{:.2}", s.confidence);
            vec![console::duration(s.start_s), console::duration(s.end_s), name(s.class).into(), confidence]
        })
        .collect();
    let quality = content.speech_quality.as_ref().map_or_else(String::new, |q| {
        format!(
            "speech {:.1}, background {:.1}, overall {:.1} of 5 (estimated by DNSMOS P.835, {} windows)\n",
            q.signal_mos, q.background_mos, q.overall_mos, q.windows
        )
    });
    format!("{}\n{quality}{}", summary(content), console::columns(&rows, &[0, 1, 3]))
}

/// Such as `speech (confidence 0.97; speech 98 %, music 12 %, noise 0 %, silence 2 %)`.
pub fn summary(content: &Content) -> String {
    let percent = |ratio: f64| format!("{:.0} %", 100.0 * ratio);
    format!(
        "{} (confidence {:.2}; speech {}, music {}, noise {}, silence {})",
        name(content.class),
        content.confidence,
        percent(content.speech_ratio),
        percent(content.music_ratio),
        percent(content.noise_ratio),
        percent(content.silence_ratio)
    )
}

fn name(class: ContentClass) -> &'static str {
    match class {
        ContentClass::Speech => "speech",
        ContentClass::Music => "music",
        ContentClass::SpeechOverMusic => "speech over music",
        ContentClass::Noise => "noise",
        ContentClass::Silence => "silence",
        ContentClass::Unknown => "unknown",
    }
}
