//! Metrics of one engine, and their text for scrapers.

mod family;
mod openmetrics;
mod registry;
#[cfg(test)]
mod tests;
mod value;

pub use family::{Family, Label, MAX_SERIES, OTHER};
pub use openmetrics::OPENMETRICS_TYPE;
pub use registry::{MetricInfo, MetricKind, MetricValue, Metrics, Sample, Samples};
pub use value::{Counter, Distribution, Exemplar, Gauge, Histogram};
