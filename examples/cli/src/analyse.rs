//! `puresound analyse`: what a recording is like.

use std::path::PathBuf;

use pure_sound::analysis::features::CqtParams;
use pure_sound::analysis::page::PageOptions;
use pure_sound::analysis::{Analysis, ContentParams, FingerprintParams, PeakParams};
use pure_sound::engine::AnalyseOptions;
use pure_sound::formats::ReadOptions;

use crate::context::{Context, write_whole};
use crate::failure::Failure;
use crate::job::ReadArgs;
use crate::progress::Progress;
use crate::waveform::{PeakFormat, peak_bytes};
use crate::{classify, console, report, stdio};

/// Tell what a recording is like: loudness, features, tempo, key, pitch, sound and silence.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to read; - is standard input.
    pub input: PathBuf,
    /// With --json: features over time as well.
    #[arg(long)]
    pub series: bool,
    /// Do not follow the pitch, which takes half of the time.
    #[arg(long)]
    pub no_pitch: bool,
    /// With --json: the constant-Q transform, and chroma made from it, as well.
    #[arg(long)]
    pub cqt: bool,
    /// Tell what rings from what strikes.
    #[arg(long)]
    pub hpss: bool,
    /// Tell speech, music, noise and silence apart; see 'classify'.
    #[arg(long)]
    pub content: bool,
    /// Make the acoustic fingerprint by which AcoustID finds a recording, as fpcalc does.
    #[arg(long)]
    pub fingerprint: bool,
    /// Write waveform peaks in the format of audiowaveform: OUT.json or OUT.dat.
    #[arg(long, value_name = "OUT")]
    pub peaks: Option<PathBuf>,
    /// Frames per pixel of the peaks.
    #[arg(long, value_name = "FRAMES", default_value_t = 256, requires = "peaks")]
    pub samples_per_pixel: u32,
    /// Bits of the peaks: 8 or 16.
    #[arg(long, value_name = "BITS", default_value_t = 16, requires = "peaks")]
    pub peak_bits: u8,
    /// Write a page with everything that is known: waveform, loudness over time, spectrogram, faults, facts. It is one file that needs
    /// nothing else.
    #[arg(long, value_name = "OUT.html")]
    pub html: Option<PathBuf>,
    /// With --html: specification to hold it against, as with 'check'; may be given several times.
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "html")]
    pub spec: Vec<String>,
    /// With --html: loudness to draw a line at, in LUFS.
    #[arg(long, value_name = "LUFS", allow_negative_numbers = true, requires = "html")]
    pub target: Option<f64>,
    #[command(flatten)]
    pub read: ReadArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    if let Some(path) = &args.peaks {
        PeakFormat::of("peaks", path, "a name that ends with .json or .dat")?; // before the work
    }
    let engine = context.engine()?;
    let mut options = AnalyseOptions { read: args.read.options(ReadOptions::default())?, ..AnalyseOptions::default() };
    options.analysis.series = args.series;
    options.analysis.features.pitch = !args.no_pitch;
    options.analysis.features.cqt = args.cqt.then(CqtParams::default);
    options.analysis.features.chroma_cqt = args.cqt;
    options.analysis.features.hpss = args.hpss;
    options.analysis.content = args.content.then(ContentParams::default);
    options.analysis.fingerprint = args.fingerprint.then(FingerprintParams::default);
    options.analysis.peaks =
        args.peaks.as_ref().map(|_| PeakParams { samples_per_pixel: args.samples_per_pixel, ..PeakParams::default() });
    let progress = Progress::of_job(context);
    let source = stdio::source(&args.input)?;
    let mut analysis = match &args.html {
        None => engine.analyse(source, &options, &context.control(&progress))?,
        Some(path) => {
            let page = PageOptions {
                read: options.read,
                title: stdio::is_dash(&args.input).then(|| "standard input".into()),
                analysis: options.analysis,
                specifications: args.spec.clone(),
                target_lufs: args.target,
                ..PageOptions::default()
            };
            let page = engine.analysis_page(source, &page, &context.control(&progress))?;
            write_whole(path, page.html.as_bytes())?;
            page.analysis
        }
    };
    drop(progress);
    if let (Some(path), Some(peaks)) = (&args.peaks, analysis.waveform.take()) {
        write_whole(path, &peak_bytes(path, &peaks, args.peak_bits)?)?;
    }
    if context.is_json() {
        console::print_json(&analysis, context.args.jsonl)?;
    } else {
        console::print(&text(&analysis))?;
    }
    Ok(())
}

fn text(a: &Analysis) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |label: &str, value: String| rows.push(vec![label.into(), value]);
    row("duration", console::duration(a.duration_s));
    for (key, label, unit) in report::QUANTITIES {
        row(label, format!("{} {unit}", report::quantity(&a.loudness, key)));
    }
    let activity = &a.activity;
    row("sound", format!("{:.1} % in {} segments", 100.0 * activity.active_ratio, activity.segments.len()));
    row("silence at ends", format!("{:.2} s, {:.2} s", activity.leading_silence_s, activity.trailing_silence_s));
    match &a.rhythm.tempo {
        Some(tempo) => {
            let rivals: Vec<String> = tempo.rivals.iter().map(|r| format!("{:.1}", r.bpm)).collect();
            let rest = format!("confidence {:.2}, or {}", tempo.confidence, rivals.join(", "));
            row("tempo", format!("{:.1} bpm ({rest})", tempo.bpm));
        }
        None => row("tempo", "none".into()),
    }
    row("beats, onsets", format!("{}, {}", a.rhythm.beats_s.len(), a.rhythm.onsets_s.len()));
    match &a.tonal.key {
        Some(key) => {
            let name =
                |k: &pure_sound::analysis::tonal::KeyCandidate| format!("{} {:?}", k.tonic, k.mode).to_lowercase();
            let capital = |text: String| text[..1].to_uppercase() + &text[1..];
            let rivals: Vec<String> = key.rivals.iter().map(|k| capital(name(k))).collect();
            let rest = format!("confidence {:.2}, or {}", key.confidence, rivals.join(", "));
            row("key", format!("{} ({rest})", capital(name(&key.best))));
        }
        None => row("key", "none".into()),
    }
    row("tuning", format!("{:+.2} semitones", a.tonal.tuning_semitones));
    if let Some(pitch) = &a.tonal.pitch {
        let median = format!("{:.1} Hz ({:.1} to {:.1})", pitch.f0_hz.p50, pitch.f0_hz.p05, pitch.f0_hz.p95);
        let voiced = format!("in {:.0} % of the frames", 100.0 * pitch.voiced_ratio);
        row("pitch", if pitch.voiced_ratio > 0.0 { format!("{median} {voiced}") } else { "none".into() });
    }
    let s = &a.features.scalars;
    for (label, summary, unit) in [
        ("spectral centroid", &s.centroid_hz, "Hz"),
        ("spectral bandwidth", &s.bandwidth_hz, "Hz"),
        ("spectral roll-off", &s.rolloff_hz, "Hz"),
    ] {
        row(label, format!("{:.0} {unit} (deviation {:.0})", summary.mean, summary.std));
    }
    row("spectral flatness", format!("{:.4} (deviation {:.4})", s.flatness.mean, s.flatness.std));
    let zcr = &s.zero_crossing_rate;
    row("zero-crossing rate", format!("{:.4} (deviation {:.4})", zcr.mean, zcr.std));
    if let Some(ratio) = &a.features.harmonic_ratio {
        row("harmonic part", format!("{:.1} % (deviation {:.1})", 100.0 * ratio.mean, 100.0 * ratio.std));
    }
    if let Some(content) = &a.content {
        row("content", classify::summary(content));
    }
    if let Some(fingerprint) = &a.fingerprint {
        row("fingerprint", fingerprint.text.clone());
    }
    console::columns(&rows, &[])
}
