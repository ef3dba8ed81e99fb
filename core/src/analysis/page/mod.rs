//! A page for people: one HTML file with everything that is known of a recording, or of a recording before and after it was processed.
//!
//! The page needs nothing else: pictures are inside, there are no scripts, nothing is loaded. It is light or dark as its reader's system is.
//! Names of files and tags may hold anything; they are text and nothing but text.

mod charts;
mod curve;
mod html;
mod portrait;
mod tables;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::delivery::{CheckReport, Measured, Specification};
use super::picture::FrequencyScale;
use super::{Analysis, AnalysisParams};
use crate::formats::ReadOptions;
use crate::processing::{LevelTarget, Report};
pub(crate) use portrait::{Painter, Portrait};

/// What is on a page.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PageOptions {
    /// How to read the input.
    pub read: ReadOptions,
    /// Title; default: the name of the file.
    pub title: Option<String>,
    /// What the analysis is to find; of no meaning for a page of two recordings.
    pub analysis: AnalysisParams,
    /// Specifications to hold it against, by name; `all` stands for every one.
    pub specifications: Vec<String>,
    /// Loudness in LUFS to draw a line at; default: those of `specifications`, and of the level target of a run. -70 to 0.
    pub target_lufs: Option<f64>,
    /// Vertical axis of the spectrogram. Default `linear`.
    pub scale: FrequencyScale,
}

/// A page, and what stands on it as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnalysisPage {
    /// The page.
    pub html: String,
    /// What the recording is like.
    pub analysis: Analysis,
    /// Faults, and how the specifications came out.
    pub check: CheckReport,
}

/// Loudness that specifications ask for: from, to, name.
type Target = (f64, f64, String);

fn targets(options: &PageOptions, specifications: &[&'static Specification], report: Option<&Report>) -> Vec<Target> {
    let line = |lufs: f64, name: &str| (lufs, lufs, name.to_owned());
    let mut all: Vec<Target> = options.target_lufs.map(|lufs| line(lufs, "target")).into_iter().collect();
    for output in report.iter().flat_map(|report| &report.outputs) {
        if let Some(LevelTarget::Loudness { integrated_lufs, .. }) = output.target {
            all.push(line(integrated_lufs, "target of the run"));
        }
    }
    for specification in specifications {
        let rule = specification.rules.iter().find(|rule| rule.quantity == Measured::IntegratedLufs);
        all.extend(
            rule.filter(|r| r.min.is_finite() && r.max.is_finite()).map(|r| (r.min, r.max, specification.title.into())),
        );
    }
    all.dedup_by(|a, b| (a.0, a.1) == (b.0, b.1));
    all
}

fn key(entries: &[(&str, &str)]) -> String {
    let entry =
        |(colour, text): &(&str, &str)| format!("<span><i style=\"background:var(--{colour})\"></i>{text}</span>");
    format!("<div class=\"key\">{}</div>\n", entries.iter().map(entry).collect::<String>())
}

/// The page of one recording.
pub(crate) fn analysis_page(
    portrait: &Portrait,
    options: &PageOptions,
    specifications: &[&'static Specification],
) -> String {
    let end_s = portrait.duration_s();
    let check = portrait.check(specifications);
    let targets = targets(options, specifications, None);
    let title = options.title.as_deref().unwrap_or(&portrait.name);
    let mut body = format!("<h1><bdi>{}</bdi></h1>\n", html::escape(title));
    body.push_str(&tables::cards(portrait));
    body.push_str(&html::section("Waveform", &charts::waveform(&[portrait], end_s)));
    let mut entries = vec![("momentary", "momentary (400 ms)"), ("short", "short-term (3 s)")];
    entries.extend((!targets.is_empty()).then_some(("target", "target")));
    let loudness = charts::loudness(None, &portrait.curve, &targets, end_s) + &key(&entries);
    body.push_str(&html::section("Loudness in LUFS", &loudness));
    body.push_str(&html::section("Spectrogram in Hz", &charts::spectrogram(portrait, portrait.ends_hz, end_s)));
    let quality = charts::verdicts(&portrait.quality, end_s) + &tables::verdicts(&portrait.quality, None);
    body.push_str(&html::section("Quality", &quality));
    body.push_str(&html::section("Delivery", &tables::delivery(&check.delivery)));
    body.push_str(&html::section("Facts", &tables::facts(&[portrait])));
    body.push_str(&html::section("Tags", &tables::tags(portrait)));
    html::page(title, &body)
}

/// The page of a recording before and after it was processed.
pub(crate) fn comparison_page(
    before: &Portrait,
    after: &Portrait,
    report: Option<&Report>,
    options: &PageOptions,
    specifications: &[&'static Specification],
) -> String {
    let end_s = before.duration_s().max(after.duration_s());
    let targets = targets(options, specifications, report);
    let title = options.title.clone().unwrap_or_else(|| format!("{} \u{2192} {}", before.name, after.name));
    let mut body = format!("<h1><bdi>{}</bdi></h1>\n", html::escape(&title));
    if let Some(preset) = report.and_then(|report| report.preset.as_deref()) {
        body.push_str(&format!("<p class=\"soft\">Preset {}</p>\n", html::escape(preset)));
    }
    body.push_str("<h2>Before</h2>\n");
    body.push_str(&tables::cards(before));
    body.push_str("<h2>After</h2>\n");
    body.push_str(&tables::cards(after));
    let wave = charts::waveform(&[before, after], end_s) + &key(&[("other", "before"), ("wave", "after")]);
    body.push_str(&html::section("Waveform", &wave));
    let mut entries = vec![("other", "before, short-term"), ("short", "after, short-term (3 s)")];
    entries.extend((!targets.is_empty()).then_some(("target", "target")));
    let loudness = charts::loudness(Some(&before.curve), &after.curve, &targets, end_s) + &key(&entries);
    body.push_str(&html::section("Loudness in LUFS", &loudness));
    body.push_str(&html::section("Spectrogram before, in Hz", &charts::spectrogram(before, before.ends_hz, end_s)));
    body.push_str(&html::section("Spectrogram after, in Hz", &charts::spectrogram(after, before.ends_hz, end_s)));
    let quality = charts::verdicts(&before.quality, end_s) + &tables::verdicts(&before.quality, None);
    body.push_str(&html::section("Quality before", &quality));
    let quality = charts::verdicts(&after.quality, end_s) + &tables::verdicts(&after.quality, Some(&before.quality));
    body.push_str(&html::section("Quality after", &quality));
    body.push_str(&html::section("Delivery", &tables::delivery(&after.check(specifications).delivery)));
    body.push_str(&html::section("Facts", &tables::facts(&[before, after])));
    if let Some(report) = report {
        body.push_str(&html::section("What was done", &tables::steps(report)));
    }
    body.push_str(&html::section("Tags", &tables::tags(after)));
    html::page(&title, &body)
}
