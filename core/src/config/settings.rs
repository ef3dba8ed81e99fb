//! The configuration of an engine. Each key is defined here once: its name, unit, range, default and sentence.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Secret;
use crate::events::EventOptions;
use crate::resources::{Amounts, PoolOptions};

/// What a configuration is made of: sections with keys, no lists of sections.
///
/// Ranges and words are in the JSON Schema; beside those of the standard, keys may carry `x-unit` (text), `x-restart`,
/// `x-secret` (true) and `x-guard` (`raise`, `raise_or_zero`, see [`Guard`](super::Guard)). Implement it for settings of your
/// own to have them layered, checked and reloaded in the same way.
pub trait Model:
    Serialize + DeserializeOwned + JsonSchema + Clone + Default + PartialEq + Send + Sync + 'static
{
    /// What is wrong between keys: path of the one to blame, and why.
    fn check_together(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// All settings of an engine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Threads and folders.
    pub engine: EngineSettings,
    /// Audio of a job between measuring and encoding.
    pub spool: SpoolSettings,
    /// What one input may cost, unless a recipe says otherwise.
    pub limits: LimitSettings,
    /// Sizes of the event bus.
    pub events: EventSettings,
    /// What all jobs of an engine together may take. What does not fit waits.
    pub resources: ResourceSettings,
    /// Another try after a failure that may pass, such as a network folder that is away for a moment.
    pub retry: RetrySettings,
    /// Jobs that outlive the program that asked for them, and their workers.
    pub jobs: JobSettings,
    /// Presets that the user makes.
    pub presets: PresetSettings,
    /// Results that are kept, so that the same work is not done twice. Without a folder, memory or Redis nothing is kept.
    pub cache: CacheSettings,
}

/// Threads and folders.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSettings {
    /// Threads for CPU work; 0 is one per core. Results do not depend on it.
    #[schemars(range(min = 0, max = 1024), extend("x-unit" = "threads", "x-restart" = true))]
    pub threads: u32,
    /// Folder for temporary files; null is the system's.
    #[schemars(extend("x-restart" = true))]
    pub temp_dir: Option<PathBuf>,
    /// Folders with presets in YAML, besides the built-in ones.
    #[schemars(extend("x-restart" = true))]
    pub preset_dirs: Vec<PathBuf>,
}

/// Audio of a job between measuring and encoding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolSettings {
    /// Audio of one job that is kept in memory; more goes to a temporary file.
    #[schemars(range(min = 1, max = 1_048_576), extend("x-unit" = "MiB", "x-restart" = true))]
    pub memory_mib: u32,
}

/// What one input may cost, unless a recipe says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Largest input.
    #[schemars(range(min = 1, max = 1_125_899_906_842_624_u64), extend("x-unit" = "bytes", "x-guard" = "raise"))]
    pub max_bytes: u64,
    /// Longest audio.
    #[schemars(range(min = 1, max = 31_536_000), extend("x-unit" = "seconds", "x-guard" = "raise"))]
    pub max_seconds: f64,
    /// Most channels.
    #[schemars(range(min = 1, max = 255), extend("x-unit" = "channels", "x-guard" = "raise"))]
    pub max_channels: u32,
    /// Highest sample rate.
    #[schemars(range(min = 8000, max = 3_072_000), extend("x-unit" = "Hz", "x-guard" = "raise"))]
    pub max_rate_hz: u32,
    /// Largest single allocation that a header may cause.
    #[schemars(range(min = 1_048_576, max = 4_294_967_296_u64), extend("x-unit" = "bytes", "x-guard" = "raise"))]
    pub max_alloc_bytes: u64,
    /// Longest time for reading one input; 0 is unlimited.
    #[schemars(range(min = 0, max = 31_536_000), extend("x-unit" = "seconds", "x-guard" = "raise_or_zero"))]
    pub max_wall_seconds: f64,
}

/// What all jobs of an engine together may take. What does not fit waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceSettings {
    /// Memory; 0 is no limit. Jobs keep less audio in memory when there is less than they could use.
    #[schemars(range(min = 0, max = 16_777_216), extend("x-unit" = "MiB", "x-restart" = true))]
    pub memory_mib: u32,
    /// Threads that work at once; 0 is no limit. A job takes one to about ten.
    #[schemars(range(min = 0, max = 65_536), extend("x-unit" = "threads", "x-restart" = true))]
    pub worker_threads: u32,
    /// Files that are open at once; 0 is no limit.
    #[schemars(range(min = 0, max = 1_048_576), extend("x-unit" = "files", "x-restart" = true))]
    pub open_files: u32,
    /// Audio in temporary files; 0 is no limit.
    #[schemars(range(min = 0, max = 1_073_741_824), extend("x-unit" = "MiB", "x-restart" = true))]
    pub temp_disk_mib: u32,
    /// Part of each budget that the jobs of one tenant may take.
    #[schemars(range(min = 1, max = 100), extend("x-unit" = "percent", "x-restart" = true))]
    pub tenant_share_percent: u32,
    /// Longest time that a job waits for its share; 0 is as long as it takes.
    #[schemars(range(min = 0, max = 31_536_000), extend("x-unit" = "seconds"))]
    pub max_wait_s: u32,
}

/// Another try after a failure that may pass, such as a network folder that is away for a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySettings {
    /// How often an operation is tried, with the first time.
    #[schemars(range(min = 1, max = 20), extend("x-unit" = "attempts"))]
    pub attempts: u32,
    /// Pause before the second try; each further one is twice as long. Half of every pause is random.
    #[schemars(range(min = 1, max = 600_000), extend("x-unit" = "ms"))]
    pub base_ms: u32,
    /// Longest pause.
    #[schemars(range(min = 1, max = 3_600_000), extend("x-unit" = "ms"))]
    pub max_ms: u32,
}

/// Jobs that outlive the program that asked for them, and their workers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JobSettings {
    /// File that keeps the jobs; null is the one that the program has for the user.
    #[schemars(extend("x-restart" = true))]
    pub database: Option<PathBuf>,
    /// PostgreSQL that keeps the jobs of several machines, instead of the file: postgres://USER:PASSWORD@HOST:PORT/DATABASE. Needs the feature
    /// `postgres`.
    #[schemars(extend("x-secret" = true, "x-restart" = true))]
    pub postgres: Option<Secret>,
    /// Folder that keeps the results of workflow steps, which all machines must share; null is one beside the file of jobs.
    #[schemars(extend("x-restart" = true))]
    pub results: Option<PathBuf>,
    /// Do not wait for the disk: faster, and a power cut may take the last moments of what was promised.
    #[schemars(extend("x-restart" = true))]
    pub may_lose_last_ms: bool,
    /// Jobs that one worker process does at the same time; 0 is one per core.
    #[schemars(range(min = 0, max = 1024), extend("x-unit" = "jobs", "x-restart" = true))]
    pub workers: u32,
    /// How long a job stays with a worker that gives no sign of life. A worker gives three in that time.
    #[schemars(range(min = 100, max = 86_400_000), extend("x-unit" = "ms", "x-restart" = true))]
    pub lease_ms: u32,
    /// How long a worker that was told to end may finish what it has in hand; then it is handed back.
    #[schemars(range(min = 0, max = 86_400), extend("x-unit" = "seconds", "x-restart" = true))]
    pub drain_s: u32,
    /// Failures after which a job is given up, unless it says otherwise.
    #[schemars(range(min = 1, max = 1000), extend("x-unit" = "attempts"))]
    pub max_attempts: u32,
    /// Workers that may vanish over a job before it is given up, unless it says otherwise.
    #[schemars(range(min = 1, max = 1000), extend("x-unit" = "workers"))]
    pub max_crashes: u32,
    /// Waiting that is worth one step of priority, so that low priorities come to their turn; 0 is never.
    #[schemars(range(min = 0, max = 86_400_000), extend("x-unit" = "ms", "x-restart" = true))]
    pub ageing_ms: u32,
}

/// Presets that the user makes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PresetSettings {
    /// Folder where they are kept; null is none, and then none can be made. It need not be there.
    #[schemars(extend("x-restart" = true))]
    pub dir: Option<PathBuf>,
}

/// Results that are kept, so that the same work is not done twice. Without a folder, memory or Redis nothing is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// Folder for results, which only its owner may write to; null is none. It need not be there.
    #[schemars(extend("x-restart" = true))]
    pub dir: Option<PathBuf>,
    /// Most that the folder holds; what was used longest ago goes first.
    #[schemars(range(min = 1, max = 1_073_741_824), extend("x-unit" = "MiB", "x-restart" = true))]
    pub max_mib: u32,
    /// Memory for results; 0 is none.
    #[schemars(range(min = 0, max = 16_777_216), extend("x-unit" = "MiB", "x-restart" = true))]
    pub memory_mib: u32,
    /// HOST:PORT of a Redis for results that machines share; null is none. Needs the feature `redis`.
    #[schemars(extend("x-restart" = true))]
    pub redis_host: Option<String>,
    /// Password of that Redis.
    #[schemars(extend("x-restart" = true))]
    pub redis_password: Option<Secret>,
    /// How long Redis keeps a result.
    #[schemars(range(min = 1, max = 31_536_000), extend("x-unit" = "seconds", "x-restart" = true))]
    pub redis_ttl_s: u32,
    /// Seals results in the folder and in Redis: who does not know it cannot put others in their place. Null is a checksum.
    #[schemars(extend("x-restart" = true))]
    pub secret: Option<Secret>,
}

/// Sizes of the event bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventSettings {
    /// Events that are kept for those who come late.
    #[schemars(range(min = 0, max = 10_000_000), extend("x-unit" = "events"))]
    pub history_events: u32,
    /// Memory for them.
    #[schemars(range(min = 0, max = 1_073_741_824), extend("x-unit" = "bytes"))]
    pub history_bytes: u32,
    /// Room of a subscriber for each priority, unless it says otherwise.
    #[schemars(range(min = 1, max = 1_048_576), extend("x-unit" = "events", "x-restart" = true))]
    pub lane_events: u32,
    /// Largest payload, as JSON.
    #[schemars(range(min = 1024, max = 16_777_216), extend("x-unit" = "bytes", "x-restart" = true))]
    pub max_event_bytes: u32,
    /// How many publications from within handlers may follow from each other.
    #[schemars(range(min = 1, max = 1000), extend("x-restart" = true))]
    pub max_depth: u32,
    /// Events that a subscriber failed at and that are kept for it.
    #[schemars(range(min = 0, max = 100_000), extend("x-unit" = "events", "x-restart" = true))]
    pub dead_letters: u32,
    /// Failures in a row that suspend a subscriber.
    #[schemars(range(min = 1, max = 1_000_000), extend("x-restart" = true))]
    pub suspend_after: u32,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self { memory_mib: 32 }
    }
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            dir: None,
            max_mib: 1024,
            memory_mib: 0,
            redis_host: None,
            redis_password: None,
            redis_ttl_s: 604_800,
            secret: None,
        }
    }
}

impl Default for ResourceSettings {
    fn default() -> Self {
        Self {
            memory_mib: 0,
            worker_threads: 0,
            open_files: 0,
            temp_disk_mib: 0,
            tenant_share_percent: 100,
            max_wait_s: 0,
        }
    }
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            database: None,
            postgres: None,
            results: None,
            may_lose_last_ms: false,
            workers: 0,
            lease_ms: 30_000,
            drain_s: 8,
            max_attempts: 5,
            max_crashes: 3,
            ageing_ms: 0,
        }
    }
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self { attempts: 3, base_ms: 200, max_ms: 10_000 }
    }
}

impl From<&ResourceSettings> for PoolOptions {
    fn from(settings: &ResourceSettings) -> Self {
        let budget = |n: u32, unit: u64| if n == 0 { u64::MAX } else { u64::from(n) * unit };
        let budgets = Amounts {
            memory_bytes: budget(settings.memory_mib, 1 << 20),
            threads: budget(settings.worker_threads, 1),
            files: budget(settings.open_files, 1),
            temp_disk_bytes: budget(settings.temp_disk_mib, 1 << 20),
        };
        Self { budgets, tenant_share: f64::from(settings.tenant_share_percent) / 100.0 }
    }
}

/// Those of [`crate::formats::Limits`]; a test compares.
impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 30,
            max_seconds: 360_000.0,
            max_channels: 64,
            max_rate_hz: 768_000,
            max_alloc_bytes: 128 << 20,
            max_wall_seconds: 0.0,
        }
    }
}

impl Default for EventSettings {
    fn default() -> Self {
        let options = EventOptions::default();
        Self {
            history_events: options.history_events as u32,
            history_bytes: options.history_bytes as u32,
            lane_events: options.lane_events as u32,
            max_event_bytes: options.max_event_bytes as u32,
            max_depth: options.max_depth,
            dead_letters: options.dead_letters as u32,
            suspend_after: options.suspend_after,
        }
    }
}

impl From<&EventSettings> for EventOptions {
    fn from(settings: &EventSettings) -> Self {
        Self {
            history_events: settings.history_events as usize,
            history_bytes: settings.history_bytes as usize,
            lane_events: settings.lane_events as usize,
            max_event_bytes: settings.max_event_bytes as usize,
            max_depth: settings.max_depth,
            dead_letters: settings.dead_letters as usize,
            suspend_after: settings.suspend_after,
        }
    }
}

impl Model for Settings {
    fn check_together(&self) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        let RetrySettings { base_ms, max_ms, .. } = self.retry;
        if max_ms < base_ms {
            wrong.push(("retry.max_ms", format!("is {max_ms} ms, less than the {base_ms} ms of retry.base_ms")));
        }
        let EventSettings { history_events, history_bytes, max_event_bytes, .. } = self.events;
        // One event would push all others out of the history, and itself too.
        if history_events > 0 && history_bytes > 0 && history_bytes < max_event_bytes {
            let why =
                format!("is {history_bytes} bytes, less than the {max_event_bytes} bytes of events.max_event_bytes");
            wrong.push(("events.history_bytes", why));
        }
        wrong
    }
}
