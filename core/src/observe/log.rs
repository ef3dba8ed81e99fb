//! The log of an engine: records handed to a function of the host.
//!
//! The library speaks through `tracing` and never installs a subscriber for the process. A host that uses `tracing` sees its spans and
//! events there. Any other host gives an engine a function; then what the engine does, on all of its threads, goes to that function
//! instead, and nowhere else. Without one nothing is made and nothing is spent.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, callsite, dispatcher};

use super::collector::{Collector, Companion};
use crate::error::{Error, Result};
use crate::sync::{RwLock, unpoisoned};

/// How much is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What went wrong.
    Error,
    /// And what somebody should look at.
    Warn,
    /// And what is done.
    #[default]
    Info,
    /// And how.
    Debug,
    /// And every detail.
    Trace,
}

impl LogLevel {
    /// All, from quiet to loud.
    pub const ALL: [Self; 6] = [Self::Off, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }

    pub(super) fn of(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::INFO => Self::Info,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::TRACE => Self::Trace,
        }
    }
}

impl std::fmt::Display for LogLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LogLevel {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|l| l.name() == text).ok_or_else(|| Error::InvalidValue {
            name: "log level".into(),
            value: text.into(),
            allowed: Self::ALL.map(Self::name).join(", "),
        })
    }
}

/// A span that a record belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LogSpan {
    /// Number of the span in this engine.
    pub id: u64,
    /// `run`, `process`, `encode`, ...
    pub name: &'static str,
    /// What is known of it. Secrets are `***`.
    pub fields: Map<String, Value>,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LogRecord {
    /// Milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// How important it is.
    pub level: LogLevel,
    /// The part of the program that speaks, such as `pure_sound::processing::run`.
    pub target: &'static str,
    /// What it says.
    pub message: String,
    /// Values that belong to it. Secrets are `***`.
    pub fields: Map<String, Value>,
    /// The spans that it happened in, outermost first.
    pub spans: Vec<LogSpan>,
}

/// Gets the records of an engine, from any of its threads, several at a time. What it logs itself goes nowhere. A panic in it is
/// counted and costs the record only.
pub type LogSink = Arc<dyn Fn(&LogRecord) + Send + Sync>;

thread_local! {
    /// This thread is in a sink. `tracing` is in the middle of handing a record over then: what is said now it drops by itself, and
    /// another receiver cannot be set before it is done.
    static IN_SINK: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is in a sink.
pub(super) fn in_sink() -> bool {
    IN_SINK.get()
}

/// A stay in a sink. Sinks are not called from sinks.
struct Inside;

impl Inside {
    fn enter() -> Self {
        IN_SINK.set(true);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        IN_SINK.set(false);
    }
}

/// What the collector and the log share.
pub(super) struct Shared {
    level: AtomicU8,
    sink: LogSink,
    counts: Arc<Counts>,
}

/// What a log did so far.
#[derive(Default)]
struct Counts {
    records: [AtomicU64; LogLevel::ALL.len()],
    failures: AtomicU64,
}

impl Shared {
    pub fn level(&self) -> LogLevel {
        LogLevel::ALL.get(usize::from(self.level.load(Ordering::Relaxed))).copied().unwrap_or(LogLevel::Off)
    }

    pub fn filter(&self) -> LevelFilter {
        self.level().filter()
    }

    /// Hands a record to the host.
    pub fn emit(&self, record: &LogRecord) {
        self.counts.records[record.level as usize].fetch_add(1, Ordering::Relaxed);
        let _inside = Inside::enter();
        if catch_unwind(AssertUnwindSafe(|| (self.sink)(record))).is_err() {
            self.counts.failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}

pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// A listener: the sink, and the same as `tracing` sees it.
struct Listener {
    shared: Arc<Shared>,
    dispatch: Dispatch,
    _companion: Dispatch,
}

/// The log of one engine. Off until somebody listens.
#[derive(Default)]
pub struct Log {
    listener: RwLock<Option<Listener>>,
    counts: Arc<Counts>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("level", &self.level()).finish()
    }
}

impl Log {
    /// Hands records of `level` and above to `sink` from now on, instead of the one before. Runs that are on their way keep theirs.
    pub fn listen(&self, level: LogLevel, sink: LogSink) {
        let shared = Arc::new(Shared { level: AtomicU8::new(level as u8), sink, counts: Arc::clone(&self.counts) });
        let dispatch = Dispatch::new(Collector::new(Arc::clone(&shared)));
        let listener = Listener { shared, dispatch, _companion: Dispatch::new(Companion) };
        let before = unpoisoned(self.listener.write()).replace(listener);
        drop(before);
        // `tracing` keeps the loudest level of all who listen; it is found anew when one came or went.
        callsite::rebuild_interest_cache();
    }

    /// Hands records to nobody from now on.
    pub fn mute(&self) {
        let before = unpoisoned(self.listener.write()).take();
        drop(before);
        callsite::rebuild_interest_cache();
    }

    /// Sets how much is told, also of runs on their way. Without a sink it does nothing.
    pub fn set_level(&self, level: LogLevel) {
        if let Some(listener) = &*unpoisoned(self.listener.read()) {
            listener.shared.level.store(level as u8, Ordering::Relaxed);
        }
        callsite::rebuild_interest_cache();
    }

    /// How much is told; `Off` when nobody listens.
    pub fn level(&self) -> LogLevel {
        unpoisoned(self.listener.read()).as_ref().map_or(LogLevel::Off, |l| l.shared.level())
    }

    /// Records handed over so far, by level.
    pub fn records(&self) -> impl Iterator<Item = (LogLevel, u64)> {
        let counts = LogLevel::ALL.iter().zip(&self.counts.records);
        counts.skip(1).map(|(level, count)| (*level, count.load(Ordering::Relaxed)))
    }

    /// How often the sink panicked.
    pub fn failures(&self) -> u64 {
        self.counts.failures.load(Ordering::Relaxed)
    }

    /// Runs `work` with its records going to the sink, if there is one. In a sink they go nowhere.
    pub(crate) fn scope<T>(&self, work: impl FnOnce() -> T) -> T {
        if in_sink() {
            return work();
        }
        let dispatch = unpoisoned(self.listener.read()).as_ref().map(|l| l.dispatch.clone());
        match dispatch {
            None => work(),
            Some(dispatch) => dispatcher::with_default(&dispatch, work),
        }
    }
}
