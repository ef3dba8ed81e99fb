//! Health of one engine: checks, probes, and their answers.

mod checks;
mod report;
mod storage;
#[cfg(test)]
mod tests;

pub use checks::{CHECK_CACHE, CHECK_TIMEOUT, HealthChecks, Probe};
pub(crate) use report::rfc3339;
pub use report::{CheckAnswer, HEALTH_TYPE, HealthAnswer};
pub use storage::{check_free_bytes, check_writable};
