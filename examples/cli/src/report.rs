//! Reports as people read them: short, aligned, before and after.

use std::fmt::Write as _;

use pure_sound::audio::Spec;
use pure_sound::formats::encode::{BitRate, Dither, Negotiated, PcmSample};
use pure_sound::formats::{Damage, FormatSettings, SampleFormat, StreamInfo};
use pure_sound::meter::Loudness;
use pure_sound::processing::{LevelTarget, OutputReport, Report};
use serde::Serialize;
use serde_json::Value;

use crate::console;

/// Field of [`Loudness`], label, unit.
pub const QUANTITIES: [(&str, &str, &str); 7] = [
    ("integrated_lufs", "integrated loudness", "LUFS"),
    ("range_lu", "loudness range", "LU"),
    ("true_peak_dbtp", "true peak", "dBTP"),
    ("max_momentary_lufs", "highest momentary loudness", "LUFS"),
    ("max_short_term_lufs", "highest short-term loudness", "LUFS"),
    ("sample_peak_dbfs", "sample peak", "dBFS"),
    ("rms_dbfs", "RMS", "dBFS"),
];

/// The serialised name of an enum value.
pub fn name_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        Ok(Value::Object(object)) => object.keys().next().cloned().unwrap_or_default(),
        _ => String::new(),
    }
}

/// One measured value with one decimal; `-` when it could not be measured (silence, too short).
pub fn quantity(loudness: &Loudness, key: &str) -> String {
    let value = serde_json::to_value(loudness).ok().and_then(|v| v.get(key).and_then(Value::as_f64));
    number(value)
}

fn number(value: Option<f64>) -> String {
    value.filter(|v| v.is_finite()).map_or_else(|| "-".into(), |v| format!("{v:.1}"))
}

/// Such as `44100 Hz stereo`.
pub fn spec_text(spec: Spec) -> String {
    format!("{} Hz {}", spec.rate_hz, spec.layout.name())
}

/// Such as `16-bit integers`.
pub fn sample_text(format: SampleFormat) -> String {
    match format {
        SampleFormat::Int(bits) => format!("{bits}-bit integers"),
        SampleFormat::Float(bits) => format!("{bits}-bit floats"),
        SampleFormat::Lossy => "lossy".into(),
    }
}

/// Such as `flac in flac, 44100 Hz stereo, 16-bit integers, 1:02.3`.
pub fn stream_text(stream: &StreamInfo) -> String {
    let mut text = format!(
        "{} in {}, {}, {}",
        name_of(&stream.codec),
        name_of(&stream.container),
        spec_text(stream.spec),
        sample_text(stream.sample_format)
    );
    if let Some(d) = stream.duration {
        let about = if d.exact { "" } else { "about " };
        let _ = write!(text, ", {about}{}", console::duration(stream.spec.seconds(d.frames)));
    }
    text
}

/// Such as `opus, 48000 Hz mono, 64 kbit/s`.
pub fn encoder_text(encoder: &Negotiated) -> String {
    let settings = match &encoder.settings {
        FormatSettings::Wav(s) | FormatSettings::W64(s) | FormatSettings::Aiff(s) | FormatSettings::Caf(s) => {
            match s.sample {
                Some(PcmSample::F32) => ", 32-bit floats".to_owned(),
                _ => format!(", {}", sample_text(encoder.sample_format)),
            }
        }
        FormatSettings::Flac(_) | FormatSettings::Alac(_) => format!(", {}", sample_text(encoder.sample_format)),
        FormatSettings::Mp3(s)
        | FormatSettings::M4a(s)
        | FormatSettings::Adts(s)
        | FormatSettings::Opus(s)
        | FormatSettings::Vorbis(s) => match s.bit_rate {
            Some(BitRate::Kbps(kbps)) => format!(", {kbps} kbit/s"),
            Some(BitRate::Quality(q)) => format!(", quality {q}"),
            None => String::new(),
        },
    };
    let mut name = serde_json::to_value(&encoder.settings).unwrap_or_default();
    let name = name["format"].take();
    format!("{}, {}{settings}", name.as_str().unwrap_or("?"), spec_text(encoder.spec))
}

/// The whole report; `verbose` lists every step.
pub fn text(report: &Report, verbose: bool) -> String {
    let mut text = format!("input   {}\n", stream_text(&report.input));
    if verbose {
        let rows: Vec<_> = report.steps.iter().map(|s| vec![format!("  {}", s.what), s.why.clone()]).collect();
        text.push_str(&console::columns(&rows, &[]));
    }
    text.push_str(&damage_text(&report.damage));
    for output in &report.outputs {
        text.push_str(&output_text(report, output));
    }
    let timing = &report.timing;
    let _ = if report.from_cache {
        writeln!(text, "from the cache; it took {:.2} s when it was made", timing.total_s)
    } else {
        writeln!(text, "done in {:.2} s, {:.0} times real time", timing.total_s, timing.realtime_factor)
    };
    text
}

fn output_text(report: &Report, output: &OutputReport) -> String {
    let mut text = format!(
        "output  {}\n        {}, {}, {}\n",
        console::clean(&output.path.display().to_string()),
        encoder_text(&output.encoder),
        console::duration(output.encoder.spec.seconds(output.encoded.frames)),
        console::size(output.encoded.bytes),
    );
    if report.before.is_some() || output.after.is_some() {
        text.push_str(&level_table(report, output));
    }
    let mut lines = Vec::new();
    if output.target.is_some() {
        let mut how = format!("gain {:+.1} dB", output.gain_db);
        if let Some(ceiling) = output.limiter_ceiling_dbtp {
            let _ = write!(how, ", limited to {ceiling:.1} dBTP");
        }
        if output.attempts > 1 {
            let _ = write!(how, ", encoded {} times until it fitted", output.attempts);
        }
        lines.push(how);
    }
    lines.push(match (output.target_met, &output.target_reason, output.target) {
        (Some(true), _, _) => "target met".into(),
        (Some(false), reason, _) => format!("target MISSED: {}", reason.as_deref().unwrap_or("no reason given")),
        (None, _, Some(_)) => "target not verified".into(),
        (None, _, None) => String::new(),
    });
    lines.push(match output.bit_exact {
        Some(true) => "bit-exact: holds exactly the samples of the input".into(),
        Some(false) => "NOT bit-exact".into(),
        None => String::new(),
    });
    for check in &output.checks {
        let verdict = if check.passed { "passed" } else { "FAILED" };
        let limit = |v: Option<f64>, word| v.map_or_else(String::new, |v| format!(" {word} {v}"));
        lines.push(
            format!(
                "check {}: {} ({}{} ) {verdict}",
                name_of(&check.check.quantity),
                number(check.value),
                limit(check.check.min, "min").trim_start(),
                limit(check.check.max, "max"),
            )
            .replace(" )", ")"),
        );
    }
    lines.extend(output.encoder.notes.iter().map(|note| format!("note: {note}")));
    if output.encoded.dither != Dither::None {
        lines.push(format!("dither: {}", name_of(&output.encoded.dither)));
    }
    if output.encoded.clipped_samples > 0 {
        lines.push(format!("{} samples were beyond full scale and were clipped", output.encoded.clipped_samples));
    }
    lines.extend(output.losses.iter().map(|l| console::clean(&format!("not kept: {} ({})", l.field, l.reason))));
    for line in lines.iter().filter(|l| !l.is_empty()) {
        let _ = writeln!(text, "        {line}");
    }
    text
}

/// Before, after and target in columns.
fn level_table(report: &Report, output: &OutputReport) -> String {
    let (integrated, rms, peak) = match output.target {
        Some(LevelTarget::Loudness { integrated_lufs, true_peak_dbtp }) => {
            (Some(integrated_lufs), None, Some(true_peak_dbtp))
        }
        Some(LevelTarget::Rms { rms_dbfs, true_peak_dbtp }) => (None, Some(rms_dbfs), Some(true_peak_dbtp)),
        None => (None, None, None),
    };
    let of =
        |loudness: &Option<Loudness>, key: &str| loudness.as_ref().map_or_else(|| "-".into(), |l| quantity(l, key));
    let mut rows = vec![vec![String::new(), "before".into(), "after".into(), "target".into(), String::new()]];
    let mut row = |key: &str, label: &str, unit: &str, target: String| {
        let label = format!("        {label}");
        rows.push(vec![label, of(&report.before, key), of(&output.after, key), target, unit.into()]);
    };
    let target = |value: Option<f64>, prefix| value.map_or_else(String::new, |v| format!("{prefix}{v:.1}"));
    row("integrated_lufs", "loudness", "LUFS", target(integrated, ""));
    row("range_lu", "loudness range", "LU", String::new());
    row("true_peak_dbtp", "true peak", "dBTP", target(peak, "<= "));
    row("rms_dbfs", "RMS", "dBFS", target(rms, ""));
    console::columns(&rows, &[1, 2, 3])
}

/// What was wrong with the input; empty when nothing was.
pub fn damage_text(damage: &Damage) -> String {
    if damage.is_none() {
        return String::new();
    }
    let mut parts = Vec::new();
    if damage.bytes_skipped > 0 {
        parts.push(format!("{} bytes skipped", damage.bytes_skipped));
    }
    if damage.frames_concealed > 0 {
        parts.push(format!("{} frames concealed", damage.frames_concealed));
    }
    if damage.samples_repaired > 0 {
        parts.push(format!("{} samples that were no numbers set to 0", damage.samples_repaired));
    }
    if damage.truncated {
        parts.push("the file ends early".into());
    }
    let mut text = format!("damage  {}\n", if parts.is_empty() { "noted".into() } else { parts.join(", ") });
    for event in damage.events.iter().take(5) {
        let place = match (event.frame, event.byte) {
            (Some(frame), _) => format!("frame {frame}: "),
            (None, Some(byte)) => format!("byte {byte}: "),
            (None, None) => String::new(),
        };
        let _ = writeln!(text, "        {place}{}", console::clean(&event.what));
    }
    if damage.event_count > 5 {
        let _ = writeln!(text, "        ... {} events in all; --json lists more", damage.event_count);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use pure_sound::formats::Codec;

    #[test]
    fn names_are_those_of_the_json() {
        assert_eq!(name_of(&Codec::AacLc), "aac_lc");
        assert_eq!(name_of(&Dither::Tpdf), "tpdf");
    }

    #[test]
    fn damage_is_told_and_a_sound_file_says_nothing() {
        assert_eq!(damage_text(&Damage::default()), "");
        let mut damage = Damage { bytes_skipped: 12, truncated: true, ..Damage::default() };
        damage.note(None, Some(7), "bad\x1b frame");
        let text = damage_text(&damage);
        assert!(
            text.contains("12 bytes skipped, the file ends early") && text.contains("byte 7: bad? frame"),
            "{text}"
        );
    }

    #[test]
    fn values_that_are_no_numbers_show_as_a_dash() {
        assert_eq!(number(Some(f64::NEG_INFINITY)), "-");
        assert_eq!(number(Some(-16.04)), "-16.0");
    }
}
