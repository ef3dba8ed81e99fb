//! Tables of a page: facts, verdicts, specifications, what was done.

use super::charts::{name, severity};
use super::html::{escape, table};
use super::portrait::Portrait;
use crate::analysis::delivery::DeliveryResult;
use crate::analysis::picture::axis::{hz_text, time_text};
use crate::analysis::quality::QualityReport;
use crate::formats::SampleFormat;
use crate::processing::Report;

/// Longest text of a tag that is shown, in characters.
const LONGEST_TAG: usize = 300;

/// A label and what stands for it, of one recording.
type Fact = (&'static str, String);

fn number(value: f64, decimals: usize, unit: &str) -> String {
    if value.is_finite() { format!("{value:.decimals$} {unit}").trim_end().to_owned() } else { "-".into() }
}

fn perhaps(value: Option<f64>, decimals: usize, unit: &str) -> String {
    value.map_or_else(|| "-".into(), |value| number(value, decimals, unit))
}

/// A length as text.
pub(super) fn length(seconds: f64) -> String {
    if seconds <= 2.0 { format!("{seconds:.3} s") } else { time_text(seconds, seconds) }
}

/// The figures at the top.
pub(super) fn cards(portrait: &Portrait) -> String {
    let l = &portrait.quality.loudness;
    let all = [
        (number(l.integrated_lufs, 1, "LUFS"), "integrated loudness"),
        (number(l.true_peak_dbtp, 1, "dBTP"), "true peak"),
        (number(l.range_lu, 1, "LU"), "loudness range"),
        (perhaps(portrait.quality.measurements.noise_floor_dbfs, 0, "dBFS"), "noise floor"),
        (length(portrait.duration_s()), "length"),
    ];
    let card = |(value, label): &(String, &str)| {
        format!("<div class=\"card\"><b>{}</b><span>{label}</span></div>", escape(value))
    };
    format!("<div class=\"cards\">{}</div>\n", all.iter().map(card).collect::<String>())
}

fn facts_of(portrait: &Portrait) -> Vec<Fact> {
    let (l, m, stream) = (&portrait.quality.loudness, &portrait.quality.measurements, &portrait.media.stream);
    let samples = match stream.sample_format {
        SampleFormat::Int(bits) => format!("{bits}-bit integers"),
        SampleFormat::Float(bits) => format!("{bits}-bit floats"),
        SampleFormat::Lossy => "lossy".into(),
    };
    let dc: Vec<String> = m.dc_offset.iter().map(|dc| format!("{:.2} %", 100.0 * dc)).collect();
    let mut facts = vec![
        ("Format", format!("{} in {}, {samples}", name(stream.codec), name(stream.container))),
        ("Sample rate", format!("{} Hz", stream.spec.rate_hz)),
        ("Channels", stream.spec.layout.name()),
        ("Length", length(portrait.duration_s())),
        ("Bit rate", perhaps(stream.bit_rate_kbps, 0, "kbit/s")),
        ("Integrated loudness", number(l.integrated_lufs, 1, "LUFS")),
        ("Loudness range", number(l.range_lu, 1, "LU")),
        ("Highest momentary loudness", number(l.max_momentary_lufs, 1, "LUFS")),
        ("Highest short-term loudness", number(l.max_short_term_lufs, 1, "LUFS")),
        ("True peak", number(l.true_peak_dbtp, 1, "dBTP")),
        ("Sample peak", number(l.sample_peak_dbfs, 1, "dBFS")),
        ("RMS", number(l.rms_dbfs, 1, "dBFS")),
        ("Dynamic range (DR)", perhaps(m.dr_db, 0, "dB")),
        ("Noise floor", perhaps(m.noise_floor_dbfs, 1, "dBFS")),
        ("Signal to noise", perhaps(m.snr_db, 0, "dB")),
        ("Reverberation", perhaps(m.reverberation_s, 1, "s")),
        ("Bandwidth", m.bandwidth_hz.map_or_else(|| "-".into(), |hz| format!("{}Hz", spaced(&hz_text(hz.round()))))),
        ("Offset (DC)", dc.join(", ")),
        ("Correlation of the channels", perhaps(m.correlation, 2, "")),
        (
            "Mains hum",
            m.hum_hz.map_or_else(|| "none".into(), |hz| format!("{hz} Hz, {}", perhaps(m.hum_dbfs, 0, "dBFS"))),
        ),
        ("Silence at start, end", format!("{:.2} s, {:.2} s", m.silence_at_start_s, m.silence_at_end_s)),
    ];
    if let Some(analysis) = &portrait.analysis {
        let tempo = analysis.rhythm.tempo.as_ref();
        let tempo =
            tempo.map_or_else(|| "none".into(), |t| format!("{:.1} bpm, confidence {:.2}", t.bpm, t.confidence));
        let key = analysis.tonal.key.as_ref();
        let key = key.map_or_else(
            || "none".into(),
            |k| format!("{} {}, confidence {:.2}", k.best.tonic, name(k.best.mode), k.confidence),
        );
        facts.extend([("Tempo", tempo), ("Key", key)]);
        if let Some(pitch) = analysis.tonal.pitch.as_ref().filter(|pitch| pitch.voiced_ratio > 0.0) {
            facts.push((
                "Pitch",
                format!("{:.0} Hz, in {:.0} % of the time", pitch.f0_hz.p50, 100.0 * pitch.voiced_ratio),
            ));
        }
        facts.push(("Sound", format!("{:.0} % of the time", 100.0 * analysis.activity.active_ratio)));
        if let Some(content) = &analysis.content {
            let (kind, percent) =
                (name(content.class).replace('_', " "), |ratio: f64| format!("{:.0} %", 100.0 * ratio));
            let (speech, music) = (percent(content.speech_ratio), percent(content.music_ratio));
            facts.push((
                "Content",
                format!("{kind}, confidence {:.2}; speech {speech}, music {music}", content.confidence),
            ));
        }
    }
    facts
}

/// `22.05k` before a unit.
fn spaced(text: &str) -> String {
    text.strip_suffix('k').map_or_else(|| format!("{text} "), |number| format!("{number} k"))
}

/// The facts of one recording, or those of two beside each other.
pub(super) fn facts(portraits: &[&Portrait]) -> String {
    let all: Vec<Vec<Fact>> = portraits.iter().map(|p| facts_of(p)).collect();
    let Some((first, others)) = all.split_first() else { return String::new() };
    let rows: Vec<Vec<String>> = first
        .iter()
        .map(|(label, value)| {
            let other =
                |facts: &Vec<Fact>| facts.iter().find(|(l, _)| l == label).map_or_else(String::new, |(_, v)| v.clone());
            let mut row = vec![(*label).to_owned(), value.clone()];
            row.extend(others.iter().map(other));
            row
        })
        .collect();
    if others.is_empty() { table("facts", &[], &rows) } else { table("compare", &["", "before", "after"], &rows) }
}

/// Tags as they stand in the file.
pub(super) fn tags(portrait: &Portrait) -> String {
    let cut = |text: &str| {
        let mut short: String = text.chars().take(LONGEST_TAG).collect();
        if short.len() < text.len() {
            short.push('\u{2026}');
        }
        short
    };
    let fields = &portrait.media.metadata.fields;
    let rows: Vec<Vec<String>> = fields.iter().map(|f| vec![cut(&f.key), cut(&f.values.join("; "))]).collect();
    if rows.is_empty() { String::new() } else { table("facts", &[], &rows) }
}

fn mark(class: &str, word: &str) -> String {
    format!("<span class=\"mark {class}\">{}</span>", escape(word))
}

/// Verdicts with their evidence. `was` are those of the recording before, when there is one.
pub(super) fn verdicts(report: &QualityReport, was: Option<&QualityReport>) -> String {
    let mut rows = String::new();
    for verdict in &report.verdicts {
        let class = severity(verdict.severity);
        let fresh = was.is_some_and(|was| was.verdict(verdict.name).is_none());
        let places = match verdict.times.first() {
            Some(span) if verdict.occurrences > 1 => {
                format!("{} places, the first at {}", verdict.occurrences, at(span.start_s))
            }
            Some(span) => at(span.start_s),
            None => "everywhere".into(),
        };
        let evidence = format!(
            "{} {} (from {})",
            crate::analysis::picture::axis::short(verdict.value),
            verdict.unit,
            crate::analysis::picture::axis::short(verdict.threshold)
        );
        rows.push_str(&format!(
            "<tr><td>{}</td><td>{}{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            mark(class, class),
            escape(&name(verdict.name).replace('_', " ")),
            if fresh { " (new)" } else { "" },
            escape(&verdict.explanation),
            escape(&evidence),
            escape(&places),
        ));
    }
    let mut out = if rows.is_empty() {
        "<p>No faults found.</p>\n".to_owned()
    } else {
        let head = "<tr><th></th><th>what</th><th>explanation</th><th>measured</th><th>where</th></tr>";
        format!(
            "<div class=\"scroll\"><table class=\"verdicts\"><thead>{head}</thead><tbody>{rows}</tbody></table></div>\n"
        )
    };
    let gone = was.map(|was| {
        let gone = was.verdicts.iter().filter(|v| report.verdict(v.name).is_none());
        gone.map(|v| name(v.name).replace('_', " ")).collect::<Vec<_>>().join(", ")
    });
    if let Some(gone) = gone.filter(|gone| !gone.is_empty()) {
        out.push_str(&format!("<p>{} {}</p>\n", mark("pass", "gone:"), escape(&gone)));
    }
    out
}

fn at(seconds: f64) -> String {
    time_text(seconds, seconds.max(3.0))
}

/// How specifications came out.
pub(super) fn delivery(results: &[DeliveryResult]) -> String {
    let mut out = String::new();
    for result in results {
        let (class, word) = if result.passed { ("pass", "pass") } else { ("fail", "FAIL") };
        out.push_str(&format!(
            "<p>{} {}</p>\n<div class=\"scroll\"><table class=\"rules\"><tbody>",
            mark(class, word),
            escape(&result.title)
        ));
        for rule in &result.rules {
            let (class, word) = if rule.passed { ("pass", "pass") } else { ("fail", "FAIL") };
            let limit = match (rule.min, rule.max) {
                (Some(min), Some(max)) if min == max => format!("{min}"),
                (Some(min), Some(max)) => format!("{min} to {max}"),
                (Some(min), None) => format!("at least {min}"),
                (None, Some(max)) => format!("at most {max}"),
                (None, None) => String::new(),
            };
            out.push_str(&format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                mark(class, word),
                escape(rule.quantity.name()),
                escape(&perhaps(rule.value, 2, "")),
                escape(&limit),
                escape(&rule.source)
            ));
        }
        out.push_str("</tbody></table></div>\n");
        if !result.not_measured.is_empty() {
            out.push_str(&format!("<p class=\"soft\">Not measured: {}</p>\n", escape(&result.not_measured)));
        }
    }
    out
}

/// What a run did.
pub(super) fn steps(report: &Report) -> String {
    let rows: Vec<Vec<String>> = report
        .steps
        .iter()
        .enumerate()
        .map(|(i, s)| vec![format!("{}", i + 1), s.what.clone(), s.why.clone()])
        .collect();
    table("steps", &["", "what", "why"], &rows)
}
