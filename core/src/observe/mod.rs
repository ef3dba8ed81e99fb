//! Observing an engine: metrics, log, health. Nothing here is global: two engines know nothing of each other.
//!
//! [`Metrics`] is the registry of figures with OpenMetrics text. [`Log`] hands what the engine says to a function of the host.
//! [`HealthChecks`] answers the probes of an operator. [`crate::Engine`] has one of each.

pub(crate) mod carry;
mod collector;
mod health;
mod log;
#[cfg(test)]
mod log_tests;
mod metrics;

pub(crate) use carry::Carrier;
pub use health::*;
pub use log::{Log, LogLevel, LogRecord, LogSink, LogSpan};
pub use metrics::*;
