//! Charts as SVG. All have the same width and the same axis of time, so that what is above each other happened together.

use std::fmt::Write as _;

use base64::Engine as _;

use super::curve::Curve;
use super::html::escape;
use super::portrait::{PLOT_HEIGHT, PLOT_WIDTH, Portrait};
use crate::analysis::Peaks;
use crate::analysis::picture::axis::{hz_text, short, ticks, time_text, time_ticks};
use crate::analysis::quality::{QualityReport, Severity};

/// Width of a chart, and where its plot lies.
const WIDTH: f64 = 1000.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = LEFT + PLOT_WIDTH as f64;

/// An SVG with a plot of `height` below `top`, and the times below that.
struct Chart {
    body: String,
    top: f64,
    height: f64,
    end_s: f64,
}

impl Chart {
    fn new(height: f64, end_s: f64) -> Self {
        Self { body: String::new(), top: 8.0, height, end_s: end_s.max(1e-6) }
    }

    fn x(&self, time_s: f64) -> f64 {
        LEFT + (time_s / self.end_s).clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// A name at the left of a height.
    fn name(&mut self, y: f64, text: &str, grid: bool) {
        if grid {
            let _ =
                write!(self.body, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        }
        let _ = write!(
            self.body,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            escape(text)
        );
    }

    /// The SVG with its axis of time; `label` is for those who do not see it.
    fn finish(mut self, label: &str) -> String {
        let bottom = self.bottom();
        let _ =
            write!(self.body, "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{bottom}\" y2=\"{bottom}\"/>");
        for time_s in time_ticks(self.end_s, 10) {
            let x = self.x(time_s);
            let _ = write!(
                self.body,
                "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom}\" y2=\"{}\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                bottom + 5.0,
                bottom + 18.0,
                time_text(time_s, self.end_s)
            );
        }
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">{}</svg>\n",
            bottom + 24.0,
            escape(label),
            self.body
        )
    }
}

/// The waveform: a lane for each channel of each portrait, all over the length of the longest.
pub(super) fn waveform(portraits: &[&Portrait], end_s: f64) -> String {
    let lanes: usize = portraits.iter().map(|p| usize::from(p.peaks.channels)).sum();
    let height = if lanes > 2 { 62.0 } else { 90.0 };
    let mut chart = Chart::new(lanes as f64 * height, end_s);
    let mut top = chart.top;
    for (index, portrait) in portraits.iter().enumerate() {
        let class = if portraits.len() > 1 && index == 0 { "was" } else { "wave" };
        for channel in 0..usize::from(portrait.peaks.channels) {
            let middle = top + height / 2.0;
            for value in [0.5, 0.0, -0.5] {
                chart.name(middle - value * (height - 4.0) / 2.0, &short(value), true);
            }
            let length = (portrait.duration_s() / chart.end_s * (RIGHT - LEFT)).min(RIGHT - LEFT);
            let (wave, clips) = lane(&portrait.peaks, channel, portrait.frames, length, middle, height - 4.0);
            let _ = write!(chart.body, "<path class=\"{class}\" d=\"{wave}\"/><path class=\"clip\" d=\"{clips}\"/>");
            top += height;
        }
    }
    chart.finish("Waveform")
}

/// The outline of a channel, and marks where it is at full scale.
fn lane(peaks: &Peaks, channel: usize, frames: u64, length: f64, middle: f64, height: f64) -> (String, String) {
    let (stride, count) = (2 * usize::from(peaks.channels), peaks.pixels());
    let columns = (length.ceil() as usize).max(1);
    let per_column = frames as f64 / f64::from(peaks.samples_per_pixel) / columns as f64;
    let (mut upper, mut lower, mut clips) = (String::new(), Vec::new(), String::new());
    if count == 0 {
        return (upper, clips);
    }
    for column in 0..columns {
        let from = ((column as f64 * per_column) as usize).min(count - 1);
        let to = (((column + 1) as f64 * per_column).ceil() as usize).clamp(from + 1, count);
        let of = |at: usize| (peaks.data[at * stride + 2 * channel], peaks.data[at * stride + 2 * channel + 1]);
        let (low, high) = (from..to).map(of).fold((i16::MAX, i16::MIN), |(l, h), (a, b)| (l.min(a), h.max(b)));
        let x = LEFT + column as f64;
        let y = |value: i16| middle - f64::from(value) / 32768.0 * height / 2.0;
        // A line of at least a pixel, so that silence is seen.
        let (above, below) = (y(high) - 0.4, y(low) + 0.4);
        let _ = write!(upper, "{}{x:.0} {above:.1}", if column == 0 { "M" } else { "L" });
        lower.push((x, below));
        if high == i16::MAX || low == i16::MIN {
            let edge = if high == i16::MAX { middle - height / 2.0 } else { middle + height / 2.0 - 4.0 };
            let _ = write!(clips, "M{x:.0} {edge:.1}h1.5v4h-1.5z");
        }
    }
    for (x, y) in lower.iter().rev() {
        let _ = write!(upper, "L{x:.0} {y:.1}");
    }
    (upper + "Z", clips)
}

/// Lowest and highest loudness of the chart, in LUFS.
const LOUDNESS_ENDS: (f64, f64) = (-60.0, 0.0);

/// Loudness over time, with targets: a line, or the band between two.
pub(super) fn loudness(before: Option<&Curve>, curve: &Curve, targets: &[(f64, f64, String)], end_s: f64) -> String {
    let mut chart = Chart::new(200.0, end_s);
    let (low, high) = LOUDNESS_ENDS;
    let (top, height) = (chart.top, chart.height);
    let y = |lufs: f64| top + (high - lufs.clamp(low, high)) / (high - low) * height;
    for lufs in ticks(low, high, 6) {
        chart.name(y(lufs), &short(lufs), true);
    }
    for (least, most, name) in targets {
        let (upper, lower, middle) = (y(*most), y(*least), y((least + most) / 2.0));
        let _ = write!(
            chart.body,
            "<rect class=\"band\" x=\"{LEFT}\" width=\"{}\" y=\"{upper:.1}\" height=\"{:.1}\"/>\
             <line class=\"target\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"><title>{}</title></line>",
            RIGHT - LEFT,
            lower - upper,
            escape(name)
        );
    }
    let points = |chart: &Chart, values: &[f32], step_s: f64| {
        let mut line = String::new();
        for (index, lufs) in values.iter().enumerate() {
            let x = chart.x((index + 1) as f64 * step_s);
            let _ = write!(line, "{x:.1},{:.1} ", y(f64::from(*lufs)));
        }
        line
    };
    let mut lines = String::new();
    if let Some(before) = before {
        let line = points(&chart, &before.short_term_lufs, before.step_s);
        let _ = write!(lines, "<polyline class=\"before\" points=\"{line}\"/>");
    } else {
        let line = points(&chart, &curve.momentary_lufs, curve.step_s);
        let _ = write!(lines, "<polyline class=\"momentary\" points=\"{line}\"/>");
    }
    let line = points(&chart, &curve.short_term_lufs, curve.step_s);
    let _ = write!(lines, "<polyline class=\"short\" points=\"{line}\"/>");
    chart.body.push_str(&lines);
    chart.finish("Loudness over time in LUFS")
}

/// The spectrogram on an axis of these ends, over the length of the longest recording. The ends are those of the portrait, or beyond.
pub(super) fn spectrogram(portrait: &Portrait, ends_hz: (f64, f64), end_s: f64) -> String {
    let mut chart = Chart::new(f64::from(PLOT_HEIGHT) * 0.8, end_s);
    let data = base64::engine::general_purpose::STANDARD.encode(&portrait.spectrogram_png);
    let width = (portrait.duration_s() / chart.end_s).min(1.0) * (RIGHT - LEFT);
    // What a lower sample rate has no room for stays empty.
    let height = portrait.scale.place(portrait.ends_hz.1, ends_hz).min(1.0) * chart.height;
    let _ = write!(
        chart.body,
        "<rect class=\"lane\" x=\"{LEFT}\" y=\"{}\" width=\"{}\" height=\"{}\"/><image x=\"{LEFT}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" preserveAspectRatio=\"none\" href=\"data:image/png;base64,{data}\"/>",
        chart.top,
        RIGHT - LEFT,
        chart.height,
        chart.bottom() - height
    );
    for hz in portrait.scale.ticks(ends_hz, 9) {
        let y = chart.top + (1.0 - portrait.scale.place(hz, ends_hz)) * chart.height;
        chart.name(y, &hz_text(hz), false);
    }
    chart.finish("Spectrogram: frequency in Hz over time")
}

/// Verdicts along the time: a lane for each, with its places. Those without places are everywhere.
pub(super) fn verdicts(report: &QualityReport, end_s: f64) -> String {
    const LANE: f64 = 34.0;
    const NAME: f64 = 16.0;
    if report.verdicts.is_empty() {
        return String::new();
    }
    let mut chart = Chart::new(report.verdicts.len() as f64 * LANE, end_s);
    let least = (RIGHT - LEFT) / 400.0;
    for (index, verdict) in report.verdicts.iter().enumerate() {
        let top = chart.top + index as f64 * LANE;
        let class = severity(verdict.severity);
        let _ = write!(
            chart.body,
            "<rect class=\"lane\" x=\"{LEFT}\" width=\"{}\" y=\"{}\" height=\"{}\"/>",
            RIGHT - LEFT,
            top + 1.0,
            LANE - 2.0
        );
        let mut marks = String::new();
        for span in &verdict.times {
            let (from, to) = (chart.x(span.start_s), chart.x(span.end_s));
            let width = (to - from).max(least);
            let _ = write!(
                marks,
                "M{:.1} {:.1}h{width:.1}v{}h-{width:.1}z",
                from.min(RIGHT - width),
                top + NAME + 2.0,
                LANE - NAME - 6.0
            );
        }
        if verdict.times.is_empty() {
            let (from, width) = (LEFT, chart.x(report.measurements.duration_s) - LEFT);
            let _ = write!(marks, "M{from:.1} {:.1}h{width:.1}v4h-{width:.1}z", top + NAME + 6.0);
        }
        let tip = escape(&verdict.explanation);
        let _ = write!(chart.body, "<path class=\"{class}\" d=\"{marks}\"><title>{tip}</title></path>");
        let name = escape(&name(verdict.name).replace('_', " "));
        let _ =
            write!(chart.body, "<text class=\"name\" x=\"{}\" y=\"{}\">{name}</text>", LEFT + 6.0, top + NAME - 2.0);
    }
    chart.finish("Verdicts along the time")
}

/// The class of a severity, which is its name.
pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// A name as in JSON.
pub(super) fn name(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
