//! Metrics as OpenMetrics text, version 1.0.0 (<https://github.com/OpenObservability/OpenMetrics>, "OpenMetrics 1.0").

use std::borrow::Cow;
use std::fmt::Write as _;

use super::registry::{MetricInfo, MetricKind, MetricValue, Metrics, Sample};
use super::value::{Distribution, Exemplar};

/// Media type of [`Metrics::to_openmetrics`].
pub const OPENMETRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Metrics {
    /// All metrics as OpenMetrics text; serve it as [`OPENMETRICS_TYPE`].
    pub fn to_openmetrics(&self) -> String {
        let mut text = String::with_capacity(1 << 14);
        for (info, samples) in self.read() {
            metric(&mut text, &info, &samples);
        }
        text.push_str("# EOF\n");
        text
    }
}

impl Metrics {
    /// All metrics in the older text format of Prometheus (0.0.4), which some collectors of files read: no units, no examples.
    pub fn to_prometheus(&self) -> String {
        let mut text = String::with_capacity(1 << 14);
        for (info, samples) in self.read() {
            let (ending, kind) = match info.kind {
                MetricKind::Counter => ("_total", "counter"),
                MetricKind::Info => ("_info", "gauge"),
                other => ("", other.name()),
            };
            let name = format!("{}{ending}", info.name);
            let help = info.help.replace('\\', "\\\\").replace('\n', "\\n");
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for sample in samples {
                let labels = labels(&sample.labels);
                match sample.value {
                    MetricValue::Number(value) => {
                        let _ = writeln!(text, "{name}{} {}", braces(&labels), number(value));
                    }
                    MetricValue::Distribution(mut distribution) => {
                        distribution.buckets.iter_mut().for_each(|bucket| bucket.2 = None);
                        histogram(&mut text, &name, &labels, &distribution);
                    }
                }
            }
        }
        text
    }
}

// Writing into a `String` cannot fail; so the results of `write!` say nothing here.
fn metric(text: &mut String, info: &MetricInfo, samples: &[Sample]) {
    let name = &info.name;
    let _ = writeln!(text, "# TYPE {name} {}", info.kind.name());
    if let Some(unit) = info.unit {
        let _ = writeln!(text, "# UNIT {name} {unit}");
    }
    let _ = writeln!(text, "# HELP {name} {}", escaped(&info.help));
    let ending = match info.kind {
        MetricKind::Counter => "_total",
        MetricKind::Info => "_info",
        MetricKind::Gauge | MetricKind::Histogram => "",
    };
    for sample in samples {
        let labels = labels(&sample.labels);
        match &sample.value {
            MetricValue::Number(value) => {
                let _ = writeln!(text, "{name}{ending}{} {}", braces(&labels), number(*value));
            }
            MetricValue::Distribution(distribution) => histogram(text, name, &labels, distribution),
        }
    }
}

fn histogram(text: &mut String, name: &str, labels: &str, distribution: &Distribution) {
    let comma = if labels.is_empty() { "" } else { "," };
    for (end, count, exemplar) in &distribution.buckets {
        let example = exemplar.as_ref().map_or_else(String::new, example);
        let _ = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{}\"}} {count}{example}", canonical(*end));
    }
    let _ = writeln!(text, "{name}_count{} {}", braces(labels), distribution.count());
    let _ = writeln!(text, "{name}_sum{} {}", braces(labels), number(distribution.sum));
}

/// The standard allows an exemplar 128 characters of names and values. Only those of identifiers are told: readers are less careful with
/// exemplars than with labels.
fn example(exemplar: &Exemplar) -> String {
    let tame = |c: char| if c.is_ascii_alphanumeric() || "-_.:".contains(c) { c } else { '?' };
    let run: String = exemplar.run.chars().take(120).map(tame).collect();
    format!(" # {{trace_id=\"{run}\"}} {}", number(exemplar.value))
}

fn labels(labels: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{name}=\"{}\"", escaped(value));
    }
    text
}

fn braces(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

fn escaped(value: &str) -> Cow<'_, str> {
    if !value.contains(['\\', '"', '\n']) {
        return value.into();
    }
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").into()
}

fn number(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { canonical(value) }
}

/// Ends of buckets are written as floats: `1.0`.
fn canonical(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".into() } else { "-Inf".into() }
    } else {
        format!("{value:?}")
    }
}
