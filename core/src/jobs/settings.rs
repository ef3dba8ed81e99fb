//! What a configuration says about jobs, in the words of this module.

use serde_json::Value;

use super::job::JobSpec;
use super::rules::StoreOptions;
#[cfg(feature = "sqlite")]
use super::sqlite::SqliteOptions;
use super::worker::WorkerOptions;
use crate::config::JobSettings;

impl JobSpec {
    /// As [`JobSpec::new`], with the limits of a configuration.
    pub fn with_settings(kind: impl Into<String>, payload: Value, settings: &JobSettings) -> Self {
        let (max_attempts, max_crashes) = (settings.max_attempts, settings.max_crashes);
        Self { max_attempts, max_crashes, ..Self::new(kind, payload) }
    }
}

impl From<&JobSettings> for StoreOptions {
    fn from(settings: &JobSettings) -> Self {
        let ageing_ms = Some(u64::from(settings.ageing_ms)).filter(|ms| *ms > 0);
        Self { ageing_ms, ..Self::default() }
    }
}

#[cfg(feature = "sqlite")]
impl From<&JobSettings> for SqliteOptions {
    fn from(settings: &JobSettings) -> Self {
        Self { store: settings.into(), may_lose_last_ms: settings.may_lose_last_ms, ..Self::default() }
    }
}

impl From<&JobSettings> for WorkerOptions {
    fn from(settings: &JobSettings) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if settings.workers == 0 { cores() } else { settings.workers as usize };
        Self { threads, lease_ms: u64::from(settings.lease_ms), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_a_configuration_are_those_of_jobs() {
        let settings = JobSettings::default();
        let spec = JobSpec::with_settings("k", Value::Null, &settings);
        assert_eq!(spec, JobSpec::new("k", Value::Null));
        assert_eq!(StoreOptions::from(&settings).ageing_ms, StoreOptions::default().ageing_ms);
        let (ours, theirs) = (WorkerOptions::from(&settings), WorkerOptions::default());
        assert_eq!((ours.lease_ms, &ours.queues), (theirs.lease_ms, &theirs.queues));
        assert_eq!(WorkerOptions::from(&JobSettings { workers: 3, ..settings }).threads, 3);
    }
}
