//! The nouns: what a job is, what it is asked to do, where it stands.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::failure::JobError;
use crate::error::{Error, Result};
use crate::services::seams::format_uuid;

/// Largest payload or result, as JSON, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// Longest name of a queue, kind, tenant or unique key, in bytes.
pub const MAX_NAME_BYTES: usize = 255;
/// Highest priority; the lowest is its negative.
pub const MAX_PRIORITY: i32 = 100;

/// Names a job or a batch: a UUID of version 7, so that names sort by their making.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u128);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_uuid(self.0))
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for JobId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let hex: String = text.chars().filter(|c| *c != '-').collect();
        let shape =
            text.len() == 36 && text.bytes().enumerate().all(|(i, b)| (b == b'-') == [8, 13, 18, 23].contains(&i));
        match u128::from_str_radix(&hex, 16) {
            Ok(id) if shape && hex.len() == 32 && !hex.contains('+') => Ok(Self(id)),
            _ => Err(Error::InvalidValue {
                name: "job".into(),
                value: text.into(),
                allowed: "a UUID such as 018f6d2e-0000-7000-8000-000000000000".into(),
            }),
        }
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for JobId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "JobId".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "uuid" })
    }
}

/// Where a job stands.
///
/// ```text
/// scheduled -> available -> running -> publishing -> succeeded
///     ^            |           |           |
///     +- retry ----+-----------+-----------+-------> cancelled | dead
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its time.
    Scheduled,
    /// Waits for a worker.
    Available,
    /// A worker has it.
    Running,
    /// A worker has it, and its outputs are getting their names: past the point of return.
    Publishing,
    /// Done.
    Succeeded,
    /// Stopped because somebody wanted it.
    Cancelled,
    /// Given up; the reason is its error. The dead letters are the jobs in this state.
    Dead,
}

impl JobState {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Available,
        Self::Running,
        Self::Publishing,
        Self::Succeeded,
        Self::Cancelled,
        Self::Dead,
    ];

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Available => "available",
            Self::Running => "running",
            Self::Publishing => "publishing",
            Self::Succeeded => "succeeded",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }

    /// Nothing more happens by itself.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Cancelled | Self::Dead)
    }

    /// No worker has it, and it is not over.
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::Scheduled | Self::Available)
    }

    /// A worker has it.
    pub fn is_leased(self) -> bool {
        matches!(self, Self::Running | Self::Publishing)
    }

    /// True when a job may go from this state to `next`.
    pub fn may_become(self, next: Self) -> bool {
        use JobState::{Available, Cancelled, Dead, Publishing, Running, Scheduled, Succeeded};
        match self {
            Scheduled => matches!(next, Scheduled | Available | Cancelled | Dead),
            Available => matches!(next, Scheduled | Available | Running | Cancelled | Dead),
            Running => matches!(next, Scheduled | Available | Publishing | Succeeded | Cancelled | Dead),
            Publishing => matches!(next, Scheduled | Available | Publishing | Succeeded | Cancelled | Dead),
            // By hand.
            Dead | Cancelled => matches!(next, Scheduled | Available),
            Succeeded => false,
        }
    }
}

/// At most one job with this key at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Unique {
    /// The key.
    pub key: String,
    /// A job that succeeded less than so many milliseconds ago counts, too.
    pub window_ms: Option<u64>,
    /// Put the new request in place of one that still waits. Default: the old one stays.
    pub replace: bool,
}

/// Pauses between tries: `base_ms`, then twice as long each time, up to `max_ms`. Half of each pause is random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// First pause in milliseconds.
    pub base_ms: u64,
    /// Longest pause in milliseconds.
    pub max_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base_ms: 2_000, max_ms: 900_000 }
    }
}

impl Backoff {
    /// Pause after the `failed`-th failure, from 1, with equal jitter from `random`.
    pub(super) fn pause_ms(&self, failed: u32, random: u64) -> u64 {
        let doubled = u128::from(self.base_ms) << failed.saturating_sub(1).min(40);
        let full = u64::try_from(doubled).unwrap_or(u64::MAX).min(self.max_ms);
        let half = full / 2;
        half + random % (full - half + 1)
    }
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JobSpec {
    /// Which handler does it, such as `process`.
    pub kind: String,
    /// What the handler gets. At most 1 MiB as JSON.
    pub payload: Value,
    /// Queue. Default: `default`.
    pub queue: String,
    /// On whose behalf.
    pub tenant: Option<String>,
    /// -100 to 100; more goes first. Default 0.
    pub priority: i32,
    /// Not before this time, in milliseconds since 1970-01-01 UTC. Default: at once.
    pub run_at_ms: Option<u64>,
    /// At most one of these.
    pub unique: Option<Unique>,
    /// The batch that it belongs to. Set by the store.
    pub batch: Option<JobId>,
    /// Failures that make it dead, 1 to 1000. Default 5.
    pub max_attempts: u32,
    /// Workers that may vanish over it before it is dead, 1 to 1000. Default 3.
    pub max_crashes: u32,
    /// Pauses between tries.
    pub backoff: Backoff,
    /// Longest wait for a worker, in milliseconds since it could have started; then it is dead.
    pub timeout_queue_ms: Option<u64>,
    /// Longest run of one try, in milliseconds; more is a failure.
    pub timeout_run_ms: Option<u64>,
    /// Longest time from being enqueued to its end, in milliseconds; then it is dead.
    pub timeout_total_ms: Option<u64>,
}

impl Default for JobSpec {
    fn default() -> Self {
        Self {
            kind: String::new(),
            payload: Value::Null,
            queue: "default".into(),
            tenant: None,
            priority: 0,
            run_at_ms: None,
            unique: None,
            batch: None,
            max_attempts: 5,
            max_crashes: 3,
            backoff: Backoff::default(),
            timeout_queue_ms: None,
            timeout_run_ms: None,
            timeout_total_ms: None,
        }
    }
}

impl JobSpec {
    /// A job of `kind` with this payload, and defaults for the rest.
    pub fn new(kind: impl Into<String>, payload: Value) -> Self {
        Self { kind: kind.into(), payload, ..Self::default() }
    }

    /// # Errors
    /// [`Error::InvalidValue`] for names; [`Error::OutOfRange`]; [`Error::LimitExceeded`] for the payload.
    pub fn validate(&self) -> Result<()> {
        check_name("kind", &self.kind)?;
        check_name("queue", &self.queue)?;
        if let Some(tenant) = &self.tenant {
            check_name("tenant", tenant)?;
        }
        if let Some(unique) = &self.unique {
            check_name("unique.key", &unique.key)?;
        }
        let max = f64::from(MAX_PRIORITY);
        Error::check_range("priority", f64::from(self.priority), -max, max, "")?;
        Error::check_range("max_attempts", f64::from(self.max_attempts), 1.0, 1000.0, "")?;
        Error::check_range("max_crashes", f64::from(self.max_crashes), 1.0, 1000.0, "")?;
        let times = [
            ("run_at_ms", self.run_at_ms),
            ("timeout_queue_ms", self.timeout_queue_ms),
            ("timeout_run_ms", self.timeout_run_ms),
            ("timeout_total_ms", self.timeout_total_ms),
            ("backoff.base_ms", Some(self.backoff.base_ms)),
            ("backoff.max_ms", Some(self.backoff.max_ms)),
        ];
        for (name, value) in times {
            Error::check_range(name, value.unwrap_or(0) as f64, 0.0, MAX_TIME_MS as f64, "ms")?;
        }
        check_document(&self.payload)
    }
}

/// Latest time that is accepted: the year 5138. Sums of a few of these fit everywhere.
const MAX_TIME_MS: u64 = 100_000_000_000_000;

/// Refuses documents that are too large.
pub(super) fn check_document(value: &Value) -> Result<()> {
    let bytes = value.to_string().len();
    if bytes > MAX_DOCUMENT_BYTES {
        let (value, max) = (bytes as f64, MAX_DOCUMENT_BYTES as f64);
        return Err(Error::LimitExceeded { limit: "job document bytes", value, max });
    }
    Ok(())
}

/// Refuses names that are empty, too long or hold control characters.
pub(super) fn check_name(what: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        return Err(Error::InvalidValue {
            name: what.into(),
            value: name.chars().take(80).collect(),
            allowed: format!("1 to {MAX_NAME_BYTES} bytes without control characters"),
        });
    }
    Ok(())
}

/// Who has a job, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    /// Name of the worker.
    pub worker: String,
    /// When it got it, in milliseconds since 1970-01-01 UTC.
    pub since_ms: u64,
    /// Fences the writes of whoever held it before.
    #[schemars(skip)]
    pub(super) token: u64,
    /// Start of the machine that `until_ms` counts from.
    #[schemars(skip)]
    pub(super) boot: String,
    /// End of the lease, in milliseconds since the start of the machine.
    #[schemars(skip)]
    pub(super) until_ms: u64,
}

/// A file that a job gave its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Published {
    /// Where it is.
    pub path: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// BLAKE3 of its content, in hexadecimal.
    pub blake3: String,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobStatus {
    /// Where it stands.
    pub state: JobState,
    /// When it was enqueued; all times are in milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
    /// Not before this time.
    pub run_at_ms: u64,
    /// Dead when no worker took it until then.
    pub start_by_ms: Option<u64>,
    /// Dead when it is not over by then.
    pub deadline_ms: Option<u64>,
    /// When it came to its end.
    pub finished_ms: Option<u64>,
    /// How often a worker took it; the number of the current try.
    pub claims: u32,
    /// Tries that ended with an error.
    pub attempts: u32,
    /// Tries whose worker vanished.
    pub crashes: u32,
    /// Part of the current try that is done, 0 to 1; never falls within a try.
    pub progress: f64,
    /// Who has it.
    pub holder: Option<Holder>,
    /// Why it should stop, when somebody asked for that while it ran.
    pub cancel: Option<String>,
    /// The last failure.
    pub error: Option<JobError>,
    /// Files that it gave, or was about to give, their names.
    pub published: Vec<Published>,
    /// What its handler returned.
    pub result: Option<Value>,
    /// Place in the order of those that wait; smaller goes first.
    #[schemars(skip)]
    pub(super) rank: i64,
}

/// A request together with how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// What is wanted.
    pub spec: JobSpec,
    /// How far it is.
    #[serde(flatten)]
    pub status: JobStatus,
}

/// One step of a job's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// Where it was; none when it was made.
    pub from: Option<JobState>,
    /// Where it went.
    pub to: JobState,
    /// Which try, from 1; 0 before the first.
    pub claim: u32,
    /// Why.
    pub why: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_jobs_read_as_they_are_written() {
        let id = JobId(0x018f_6d2e_0001_7000_8000_0000_0000_00ff);
        assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
        assert_eq!(serde_json::from_value::<JobId>(serde_json::to_value(id).unwrap()).unwrap(), id);
        for bad in [
            "",
            "x",
            "018f6d2e00017000800000000000000ff",
            "+18f6d2e-0001-7000-8000-0000000000ff",
            "018f6d2e-0001-7000-80000000000000ff0",
        ] {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn pauses_grow_to_the_longest_and_half_of_each_is_random() {
        let backoff = Backoff { base_ms: 100, max_ms: 1000 };
        for (failed, full) in [(1, 100), (2, 200), (4, 800), (5, 1000), (4_000_000_000, 1000)] {
            let all: Vec<_> = (0..5000).map(|random| backoff.pause_ms(failed, random)).collect();
            assert_eq!((all.iter().min(), all.iter().max()), (Some(&(full / 2)), Some(&full)), "{failed}");
        }
        assert_eq!(Backoff { base_ms: 0, max_ms: 0 }.pause_ms(3, 17), 0);
    }

    #[test]
    fn what_is_over_stays_over_but_by_hand() {
        for from in JobState::ALL {
            for to in JobState::ALL {
                let by_hand = matches!(from, JobState::Dead | JobState::Cancelled) && to.is_waiting();
                assert!(!from.is_over() || from.may_become(to) == by_hand, "{from:?} -> {to:?}");
                assert!(
                    !from.is_waiting()
                        || !matches!(to, JobState::Succeeded | JobState::Publishing)
                        || !from.may_become(to)
                );
            }
            assert_eq!(serde_json::to_value(from).unwrap(), from.name());
        }
    }

    #[test]
    fn requests_are_checked() {
        let good = JobSpec::new("process", Value::Null);
        good.validate().unwrap();
        type Spoil = fn(&mut JobSpec);
        let bad: [(&str, Spoil); 9] = [
            ("kind", |s| s.kind.clear()),
            ("queue", |s| s.queue = "x".repeat(MAX_NAME_BYTES + 1)),
            ("tenant", |s| s.tenant = Some("a\0b".into())),
            ("unique.key", |s| s.unique = Some(Unique::default())),
            ("priority", |s| s.priority = MAX_PRIORITY + 1),
            ("max_attempts", |s| s.max_attempts = 0),
            ("max_crashes", |s| s.max_crashes = 1001),
            ("timeout_run_ms", |s| s.timeout_run_ms = Some(u64::MAX)),
            ("job document bytes", |s| s.payload = Value::String("x".repeat(MAX_DOCUMENT_BYTES))),
        ];
        for (name, spoil) in bad {
            let mut spec = good.clone();
            spoil(&mut spec);
            let message = spec.validate().unwrap_err().to_string();
            assert!(message.contains(name), "{name}: {message}");
        }
    }
}
