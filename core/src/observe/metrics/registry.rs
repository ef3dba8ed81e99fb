//! The metrics of one engine: who registers what under which name.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Serialize;

use super::family::{Family, Label, MAX_SERIES, key_of, other_key};
use super::value::{Counter, Distribution, Gauge, Histogram};
use crate::error::{Error, Result};
use crate::sync::{AtomicU64, Mutex, lock};

/// Endings of names that mean something in OpenMetrics and are given by the kind of a metric.
const RESERVED: [&str; 7] = ["_total", "_created", "_count", "_sum", "_bucket", "_info", "_gsum"];
/// Units that are not base units, and what to use instead.
const NOT_BASE: [(&str, &str); 12] = [
    ("ms", "seconds"),
    ("milliseconds", "seconds"),
    ("us", "seconds"),
    ("microseconds", "seconds"),
    ("minutes", "seconds"),
    ("hours", "seconds"),
    ("kib", "bytes"),
    ("mib", "bytes"),
    ("kilobytes", "bytes"),
    ("megabytes", "bytes"),
    ("bits", "bytes"),
    ("percent", "ratio"),
];
/// Units that are told as such.
const UNITS: [&str; 4] = ["seconds", "bytes", "ratio", "hertz"];

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How values are distributed.
    Histogram,
    /// Texts that do not change, as labels.
    Info,
}

impl MetricKind {
    /// Its name in OpenMetrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

/// What is known of a metric without its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MetricInfo {
    /// Name, without the endings that the kind gives (`_total`, `_bucket`, ...).
    pub name: String,
    /// What it is.
    pub kind: MetricKind,
    /// What it tells.
    pub help: String,
    /// Its unit, which ends its name, when it has one.
    pub unit: Option<&'static str>,
    /// Names of its labels.
    pub labels: Vec<String>,
}

/// Value of a series.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricValue {
    /// Of a counter, gauge or info.
    Number(f64),
    /// Of a histogram.
    Distribution(Distribution),
}

/// A series with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Names and values of its labels.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: MetricValue,
}

/// Where a function that computes a metric puts its values.
pub struct Samples<'a> {
    labels: &'a [Label],
    found: BTreeMap<String, f64>,
}

impl Samples<'_> {
    /// Tells the value of the series with these values of the labels. As with [`Family::with`], what is too much is `other`, where
    /// values add up.
    pub fn set(&mut self, values: &[&str], value: f64) {
        let key = key_of(self.labels, values);
        let room = self.found.len() + 1 < MAX_SERIES || self.found.contains_key(&key);
        let (known, other) = (self.labels.is_empty(), other_key(self.labels));
        if (room || known) && key != other {
            self.found.insert(key, value);
        } else if known {
            self.found.insert(String::new(), value);
        } else {
            *self.found.entry(other).or_default() += value;
        }
    }
}

type Compute = Arc<dyn Fn(&mut Samples<'_>) + Send + Sync>;

#[derive(Clone)]
enum Data {
    Counter(Family<Counter>),
    Gauge(Family<Gauge>),
    Histogram(Family<Histogram>),
    Computed(Compute),
    Info(Vec<(String, String)>),
}

#[derive(Clone)]
struct Metric {
    info: MetricInfo,
    labels: Vec<Label>,
    bounds: Vec<f64>,
    data: Data,
}

struct Inner {
    metrics: Mutex<BTreeMap<String, Metric>>,
    /// Functions that panicked instead of computing a metric.
    failures: AtomicU64,
}

/// The metrics of one engine. Clones are the same; two engines know nothing of each other.
///
/// Who has figures registers them here, either as something to count with, or as a function that is asked when somebody reads.
/// Names are made of small letters, digits and `_`, begin with what they belong to (`pure_sound_` for the engine's own), end in
/// the base unit (`_seconds`, `_bytes`), and have no ending that the kind gives.
///
/// ```
/// use pure_sound::observe::{Label, Metrics};
///
/// let metrics = Metrics::default();
/// let requests = metrics.counter("my_app_requests", "Requests that were answered.", [Label::one_of("method", ["get", "put"])])?;
/// requests.with(&["get"]).inc();
/// assert!(metrics.to_openmetrics().contains("my_app_requests_total{method=\"get\"} 1\n"));
/// # Ok::<(), pure_sound::Error>(())
/// ```
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { inner: Arc::new(Inner { metrics: Mutex::new(BTreeMap::new()), failures: AtomicU64::new(0) }) }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(lock(&self.inner.metrics).keys()).finish()
    }
}

impl Metrics {
    /// Registers a counter, or gives the one that is registered with the same labels. `_total` is added to its name.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for a name that breaks the rules of [`Metrics`]; [`Error::Conflict`] when something else has the name.
    pub fn counter(&self, name: &str, help: &str, labels: impl IntoIterator<Item = Label>) -> Result<Family<Counter>> {
        let labels: Vec<Label> = labels.into_iter().collect();
        let data = Data::Counter(Family::new(labels.clone(), Counter::default));
        match self.register(name, help, MetricKind::Counter, labels, &[], data)? {
            Data::Counter(family) => Ok(family),
            _ => Err(taken(name)),
        }
    }

    /// Registers a gauge, or gives the one that is registered with the same labels.
    ///
    /// # Errors
    /// As [`Metrics::counter`].
    pub fn gauge(&self, name: &str, help: &str, labels: impl IntoIterator<Item = Label>) -> Result<Family<Gauge>> {
        let labels: Vec<Label> = labels.into_iter().collect();
        let data = Data::Gauge(Family::new(labels.clone(), Gauge::default));
        match self.register(name, help, MetricKind::Gauge, labels, &[], data)? {
            Data::Gauge(family) => Ok(family),
            _ => Err(taken(name)),
        }
    }

    /// Registers a histogram with these upper ends of its buckets, or gives the one that is registered with the same.
    ///
    /// # Errors
    /// As [`Metrics::counter`]; [`Error::InvalidValue`] for ends that are not rising finite numbers.
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        bounds: &[f64],
        labels: impl IntoIterator<Item = Label>,
    ) -> Result<Family<Histogram>> {
        if bounds.iter().any(|b| !b.is_finite()) || bounds.windows(2).any(|w| w[0] >= w[1]) {
            return Err(Error::InvalidValue {
                name: format!("buckets of {name}"),
                value: format!("{bounds:?}"),
                allowed: "rising finite numbers".into(),
            });
        }
        let labels: Vec<Label> = labels.into_iter().collect();
        let own = bounds.to_vec();
        let data = Data::Histogram(Family::new(labels.clone(), move || Histogram::new(&own)));
        match self.register(name, help, MetricKind::Histogram, labels, bounds, data)? {
            Data::Histogram(family) => Ok(family),
            _ => Err(taken(name)),
        }
    }

    /// Registers a counter or gauge whose values `compute` tells whenever somebody reads. It must be quick and must not read metrics
    /// itself. A counter must never tell less than before.
    ///
    /// # Errors
    /// As [`Metrics::counter`]; [`Error::InvalidValue`] for other kinds; [`Error::Conflict`] when the name is taken.
    pub fn computed(
        &self,
        kind: MetricKind,
        name: &str,
        help: &str,
        labels: impl IntoIterator<Item = Label>,
        compute: impl Fn(&mut Samples<'_>) + Send + Sync + 'static,
    ) -> Result<()> {
        if !matches!(kind, MetricKind::Counter | MetricKind::Gauge) {
            return Err(Error::InvalidValue {
                name: format!("kind of {name}"),
                value: kind.name().into(),
                allowed: "counter or gauge".into(),
            });
        }
        if lock(&self.inner.metrics).contains_key(name) {
            return Err(taken(name));
        }
        self.register(name, help, kind, labels.into_iter().collect(), &[], Data::Computed(Arc::new(compute))).map(drop)
    }

    /// Registers texts that do not change, such as a version. `_info` is added to the name.
    ///
    /// # Errors
    /// As [`Metrics::counter`].
    pub fn info(&self, name: &str, help: &str, texts: &[(&str, &str)]) -> Result<()> {
        let labels = texts.iter().map(|(name, value)| Label::one_of(name, [*value])).collect();
        let texts = texts.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        self.register(name, help, MetricKind::Info, labels, &[], Data::Info(texts)).map(drop)
    }

    fn register(
        &self,
        name: &str,
        help: &str,
        kind: MetricKind,
        labels: Vec<Label>,
        bounds: &[f64],
        data: Data,
    ) -> Result<Data> {
        let unit = check_name(name)?;
        for label in &labels {
            check_label(&label.name)?;
        }
        let mut metrics = lock(&self.inner.metrics);
        if let Some(known) = metrics.get(name) {
            let same = known.info.kind == kind && known.labels == labels && known.bounds == bounds;
            return if same { Ok(known.data.clone()) } else { Err(taken(name)) };
        }
        let names = labels.iter().map(|l| l.name.clone()).collect();
        let info = MetricInfo { name: name.into(), kind, help: help.into(), unit, labels: names };
        metrics.insert(name.into(), Metric { info, labels, bounds: bounds.to_vec(), data: data.clone() });
        Ok(data)
    }

    /// Takes a metric out, such as that of a part that ended. True when it was there.
    pub fn remove(&self, name: &str) -> bool {
        lock(&self.inner.metrics).remove(name).is_some()
    }

    /// All metrics without their values, sorted by name.
    pub fn catalogue(&self) -> Vec<MetricInfo> {
        lock(&self.inner.metrics).values().map(|m| m.info.clone()).collect()
    }

    /// All metrics with their values, sorted by name and labels. A metric whose function panics is left out.
    pub fn read(&self) -> Vec<(MetricInfo, Vec<Sample>)> {
        // Functions of others are not called under the lock: they may take a while, and may register something.
        let metrics: Vec<Metric> = lock(&self.inner.metrics).values().cloned().collect();
        metrics.into_iter().filter_map(|metric| Some((metric.info.clone(), self.samples(&metric)?))).collect()
    }

    /// Value of a counter or gauge; none when there is no such series.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let metric = lock(&self.inner.metrics).get(name).cloned()?;
        let wanted = |sample: &Sample| {
            sample.labels.len() == labels.len()
                && labels.iter().all(|(n, v)| sample.labels.iter().any(|(name, value)| name == n && value == v))
        };
        match self.samples(&metric)?.into_iter().find(wanted)?.value {
            MetricValue::Number(value) => Some(value),
            MetricValue::Distribution(_) => None,
        }
    }

    /// Functions that panicked instead of computing a metric.
    pub fn failures(&self) -> u64 {
        self.inner.failures.load(Ordering::Relaxed)
    }

    fn samples(&self, metric: &Metric) -> Option<Vec<Sample>> {
        let sample = |key: &str, value| Sample { labels: super::family::named(&metric.labels, key), value };
        Some(match &metric.data {
            Data::Counter(family) => {
                family.all().iter().map(|(k, c)| sample(k, MetricValue::Number(c.get()))).collect()
            }
            Data::Gauge(family) => family.all().iter().map(|(k, g)| sample(k, MetricValue::Number(g.get()))).collect(),
            Data::Histogram(family) => {
                family.all().iter().map(|(k, h)| sample(k, MetricValue::Distribution(h.get()))).collect()
            }
            Data::Info(texts) => vec![Sample { labels: texts.clone(), value: MetricValue::Number(1.0) }],
            Data::Computed(compute) => {
                let mut samples = Samples { labels: &metric.labels, found: BTreeMap::new() };
                if catch_unwind(AssertUnwindSafe(|| compute(&mut samples))).is_err() {
                    self.inner.failures.fetch_add(1, Ordering::Relaxed);
                    return None;
                }
                samples.found.iter().map(|(k, v)| sample(k, MetricValue::Number(*v))).collect()
            }
        })
    }
}

fn taken(name: &str) -> Error {
    Error::Conflict { what: format!("the metric '{name}' is registered as something else") }
}

/// The unit that a right name ends in.
fn check_name(name: &str) -> Result<Option<&'static str>> {
    let refused = |allowed: String| Err(Error::InvalidValue { name: "metric".into(), value: name.into(), allowed });
    if !is_word(name) || name.len() > 200 {
        return refused("small letters, digits and single '_', beginning with a letter".into());
    }
    if let Some(ending) = RESERVED.iter().find(|r| name.ends_with(**r)) {
        return refused(format!("a name without '{ending}', which its kind gives"));
    }
    let last = name.rsplit('_').next().unwrap_or_default();
    if let Some((_, base)) = NOT_BASE.iter().find(|(unit, _)| *unit == last) {
        return refused(format!("base units: '_{base}' instead of '_{last}'"));
    }
    Ok(UNITS.iter().find(|u| **u == last && name.len() > last.len()).copied())
}

fn check_label(name: &str) -> Result<()> {
    if is_word(name) && !matches!(name, "le" | "quantile") {
        return Ok(());
    }
    Err(Error::InvalidValue {
        name: "label of a metric".into(),
        value: name.into(),
        allowed: "small letters, digits and single '_', beginning with a letter; not 'le' or 'quantile'".into(),
    })
}

fn is_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !name.ends_with('_')
        && !name.contains("__")
}
