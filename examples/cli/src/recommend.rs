//! `puresound recommend`, and `--auto` of `process` and `plan`: what to do with a recording, and why.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use pure_sound::Engine;
use pure_sound::analysis::recommend::{ContentHint, Evidence, RecommendOptions, Recommendation};
use pure_sound::formats::encode::{BitRate, LossySettings};
use pure_sound::formats::{FormatSettings, ReadOptions, Source};

use crate::console;
use crate::context::Context;
use crate::failure::Failure;
use crate::job::{ReadArgs, SoundArgs};
use crate::progress::Progress;
use crate::{report, stdio};

/// Tell what to do with a recording: preset, filters, channels, codec and bit rate, each with its reason and what was measured.
///
/// 'process --auto' does it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to read; - is standard input.
    pub input: PathBuf,
    /// What it is, when that is known; else it is guessed from what was measured.
    #[arg(long, value_name = "KIND")]
    pub content: Option<Content>,
    #[command(flatten)]
    pub read: ReadArgs,
}

/// Kinds of content.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Content {
    Speech,
    Music,
}

impl From<Content> for ContentHint {
    fn from(content: Content) -> Self {
        match content {
            Content::Speech => Self::Speech,
            Content::Music => Self::Music,
        }
    }
}

/// Lets the measurements decide.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Sound")]
pub struct AutoArgs {
    /// Do what 'puresound recommend' says: preset, repairs, channels, bit rate. Options given here go over it.
    #[arg(long, conflicts_with_all = ["preset", "recipe"])]
    pub auto: bool,
    /// With --auto: what it is, when that is known.
    #[arg(long, value_name = "KIND", requires = "auto")]
    pub content: Option<Content>,
}

impl AutoArgs {
    /// What is recommended for an input, when that is asked for. `sound` goes over its recipe.
    pub fn recommendation(
        &self,
        context: &Context,
        engine: &Engine,
        input: &Path,
        sound: &SoundArgs,
        read: &ReadArgs,
    ) -> Result<Option<Recommendation>, Failure> {
        if !self.auto {
            return Ok(None);
        }
        let mut found = look(context, engine, Source::from(input), self.content, read)?;
        sound.over(&mut found.recipe)?;
        Ok(Some(found))
    }
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let engine = context.engine()?;
    let found = look(context, &engine, stdio::source(&args.input)?, args.content, &args.read)?;
    if context.is_json() {
        return Ok(console::print_json(&found, context.args.jsonl)?);
    }
    Ok(console::print(&text(&found))?)
}

fn look(
    context: &Context,
    engine: &Engine,
    source: Source,
    content: Option<Content>,
    read: &ReadArgs,
) -> Result<Recommendation, Failure> {
    let options =
        RecommendOptions { read: read.options(ReadOptions::default())?, content: content.map(ContentHint::from) };
    let progress = Progress::of_job(context);
    let found = engine.recommend(source, &options, &context.control(&progress))?;
    drop(progress);
    Ok(found)
}

fn measured(evidence: &Evidence) -> String {
    let Evidence { name, value, threshold, unit, .. } = evidence;
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    format!("{} {}{unit}, from {}{unit} on", name.replace('_', " "), short(*value), short(*threshold))
}

/// Up to three decimals, or as many as it takes to see something.
fn short(value: f64) -> String {
    let text = if value != 0.0 && value.abs() < 0.001 { format!("{value:.1e}") } else { format!("{value:.3}") };
    if text.contains('.') && !text.contains('e') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// Such as `opus 48 kbit/s`.
fn format_text(format: &FormatSettings) -> String {
    let rate = match format {
        FormatSettings::Mp3(s)
        | FormatSettings::M4a(s)
        | FormatSettings::Adts(s)
        | FormatSettings::Opus(s)
        | FormatSettings::Vorbis(s) => match s {
            LossySettings { bit_rate: Some(BitRate::Kbps(kbps)) } => format!(" {kbps} kbit/s"),
            LossySettings { bit_rate: Some(BitRate::Quality(quality)) } => format!(" quality {quality}"),
            LossySettings { bit_rate: None } => String::new(),
        },
        _ => String::new(),
    };
    format!("{}{rate}", format.name())
}

/// What was chosen and why, for people.
pub fn text(found: &Recommendation) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |what: &str, chosen: String, why: String| rows.push(vec![what.into(), chosen, why]);
    let reasons = &found.preset.reasons;
    row(
        "preset",
        found.preset.preset.clone(),
        if reasons.is_empty() { "nothing speaks for another one".into() } else { String::new() },
    );
    for reason in reasons {
        let fact = format!("{} {}", report::name_of(&reason.fact).replace('_', " "), short(reason.value));
        row("", String::new(), format!("{}: {fact}", reason.because));
    }
    if let Some(level) = &found.level {
        let step = level.threshold - level.value;
        row(
            "level",
            format!("{} {}", short(level.threshold), level.unit),
            format!("{step:+.1} dB: it is at {:.1} {}", level.value, level.unit),
        );
    }
    for filter in &found.filters {
        let chosen = if filter.in_preset { format!("({})", filter.text) } else { filter.text.clone() };
        let also = if filter.in_preset { ", which the preset does" } else { "" };
        row("filter", chosen, format!("{}{also}: {}", filter.because, measured(&filter.evidence)));
    }
    if let Some(layout) = &found.layout {
        row("channels", layout.layout.name(), format!("{}: {}", layout.because, measured(&layout.evidence)));
    }
    let output = &found.output;
    let band = output.bandwidth_hz.map_or_else(String::new, |hz| format!(": bandwidth {hz:.0} Hz"));
    row("output", format_text(&output.format), format!("{}{band}", output.because));
    let others: Vec<String> = output.formats.iter().filter(|f| **f != output.format).map(format_text).collect();
    if !others.is_empty() {
        row("", others.join(", "), "when one of these is written".into());
    }
    for advice in &found.advice {
        row("by hand", report::name_of(&advice.evidence.name).replace('_', " "), advice.what_to_do.clone());
    }
    console::columns(&rows, &[])
}
