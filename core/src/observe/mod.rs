//! Observing an engine: metrics, log, health.
pub mod metrics;
pub use metrics::*;
