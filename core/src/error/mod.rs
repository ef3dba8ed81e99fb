//! The one error of the library: a stable code, a kind, and data instead of sentences.
//!
//! Codes are part of the public contract: never reused, never renumbered. Every binding maps the same table
//! ([`ErrorCode`]).

mod code;
mod details;

use std::path::{Path, PathBuf};

pub use code::{ErrorCode, ErrorKind};

/// Result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, with the value that did it and what would have been allowed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not audio in any format that is known here.
    #[error("not a recognised audio file{}", fmt_hint(.hint))]
    NotAudio {
        /// What the bytes look like instead, when that can be told.
        hint: Option<String>,
    },
    /// The input holds no audio frame at all.
    #[error("the input holds no audio")]
    Empty,
    /// The file is damaged beyond what can be decoded around.
    #[error("damaged {what}{}: {detail}", fmt_offset(.offset))]
    Malformed {
        /// The structure that is wrong, such as `WAV fmt chunk`.
        what: &'static str,
        /// Byte offset in the input, when known.
        offset: Option<u64>,
        /// What is wrong with it.
        detail: String,
    },
    /// A codec, container or variant of one that this build cannot read or write.
    #[error("unsupported {what}: {value}{}", fmt_hint(.hint))]
    Unsupported {
        /// What kind of thing it is, such as `codec`.
        what: &'static str,
        /// The one that was asked for or found.
        value: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// A number outside its range, or not a number.
    #[error("{name} is {value}{}, allowed is {min} to {max}{}", fmt_unit(.unit), fmt_unit(.unit))]
    OutOfRange {
        /// Parameter name, with its unit suffix, such as `cutoff_hz`.
        name: String,
        /// The refused value.
        value: f64,
        /// Smallest allowed value.
        min: f64,
        /// Largest allowed value.
        max: f64,
        /// Unit for display, may be empty.
        unit: &'static str,
    },
    /// A value that is not one of the allowed ones, or cannot be parsed.
    #[error("{name}: '{value}' is not valid, allowed: {allowed}")]
    InvalidValue {
        /// Parameter name.
        name: String,
        /// The refused value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A preset, filter, format or field name that does not exist.
    #[error("unknown {what} '{name}'{}", fmt_suggestion(.suggestion))]
    UnknownName {
        /// What was looked up: `preset`, `filter`, ...
        what: &'static str,
        /// The name that was given.
        name: String,
        /// The closest existing name.
        suggestion: Option<String>,
    },
    /// A document or a set of parts with mistakes in it, all told at once.
    #[error("{what} has {}{}", fmt_count(.problems.len()), fmt_problems(.problems))]
    Invalid {
        /// What was checked: `configuration`, `service graph`, ...
        what: &'static str,
        /// Every mistake; at least one.
        problems: Vec<Problem>,
    },
    /// A limit of [`crate::formats::Limits`] or of the recipe was reached.
    #[error("limit {limit} of {max} exceeded ({value})")]
    LimitExceeded {
        /// Name of the limit.
        limit: &'static str,
        /// What was needed or found.
        value: f64,
        /// The limit.
        max: f64,
    },
    /// A handle at a language border that was closed, belongs to something else, or never existed.
    #[error("{what} handle {handle:#x} is not valid: closed, of another kind, or never made here")]
    InvalidHandle {
        /// The kind that was expected: `engine`, `decoder`, ...
        what: &'static str,
        /// The handle as given.
        handle: u64,
    },
    /// Cancelled by the caller.
    #[error("cancelled")]
    Cancelled,
    /// The path does not exist.
    #[error("{path}: no such file")]
    NotFound {
        /// The path as given.
        path: String,
    },
    /// Not allowed by the operating system or by a policy.
    #[error("{path}: {reason}")]
    Denied {
        /// The path as given.
        path: String,
        /// Why.
        reason: String,
    },
    /// The request contradicts itself or the state of things: output equals input, output exists, ...
    #[error("{what}")]
    Conflict {
        /// The contradiction, in words.
        what: String,
    },
    /// A wait that could only end after itself, such as a handler that waits for room in its own full queue.
    #[error("would wait for itself: {what}")]
    WouldDeadlock {
        /// What waits for what.
        what: String,
    },
    /// A call from inside a callback that would change what is calling back.
    #[error("not allowed inside a callback: {what}")]
    Reentrant {
        /// The call.
        what: String,
    },
    /// An object that another thread is using at the moment, and that only one may use at a time.
    #[error("{what} is in use by another thread")]
    Busy {
        /// Which.
        what: &'static str,
    },
    /// Reading or writing failed.
    #[error("cannot {op}{}", fmt_path(.path))]
    Io {
        /// What was tried: `read`, `write`, `rename`, ...
        op: &'static str,
        /// The path, when there is one.
        path: Option<PathBuf>,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A service or worker that is gone, such as a pipeline thread.
    #[error("unavailable: {what}")]
    Unavailable {
        /// Which.
        what: String,
    },
    /// A service that asks to be left alone for a while.
    #[error("unavailable: {what}: it asks to be tried again in {} s", .after_ms.div_ceil(1000))]
    RetryLater {
        /// Which, and what it said.
        what: String,
        /// How long, in milliseconds.
        after_ms: u64,
    },
    /// A bounded queue or budget that stayed full for as long as the caller was willing to wait. Trying again later may work.
    #[error("{what} is full ({max})")]
    Full {
        /// Which queue or budget.
        what: String,
        /// Its size.
        max: u64,
    },
    /// A service that was shut down.
    #[error("{what} is closed")]
    Closed {
        /// Which.
        what: &'static str,
    },
    /// A panic that was caught at a border: a bug in this library. Please report it.
    #[error("panic: {what}{}", fmt_hint(.place))]
    Panic {
        /// What it said.
        what: String,
        /// Where, as `FILE:LINE`.
        place: Option<String>,
    },
    /// A bug in this library. Please report it.
    #[error("internal error: {what}")]
    Internal {
        /// What was found.
        what: String,
    },
}

/// One mistake of [`Error::Invalid`].
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Problem {
    /// Where it stands: `FILE:LINE:COLUMN`, the name of a variable, ...; empty when there is no place.
    pub place: String,
    /// The key or part that is wrong, such as `events.lane_events`; empty for the whole.
    pub path: String,
    /// What is wrong with it, and what is allowed.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in [&self.place, &self.path] {
            if !part.is_empty() {
                write!(f, "{part}: ")?;
            }
        }
        f.write_str(&self.message)
    }
}

impl Error {
    /// Which error this is: its stable number and name.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::NotAudio { .. } => ErrorCode::NotAudio,
            Self::Empty => ErrorCode::Empty,
            Self::Malformed { .. } => ErrorCode::Malformed,
            Self::Unsupported { .. } => ErrorCode::Unsupported,
            Self::OutOfRange { .. } => ErrorCode::OutOfRange,
            Self::InvalidValue { .. } => ErrorCode::InvalidValue,
            Self::UnknownName { .. } => ErrorCode::UnknownName,
            Self::Invalid { .. } => ErrorCode::Invalid,
            Self::InvalidHandle { .. } => ErrorCode::InvalidHandle,
            Self::LimitExceeded { .. } => ErrorCode::LimitExceeded,
            Self::Cancelled => ErrorCode::Cancelled,
            Self::Io { .. } => ErrorCode::Io,
            Self::NotFound { .. } => ErrorCode::NotFound,
            Self::Denied { .. } => ErrorCode::Denied,
            Self::Conflict { .. } => ErrorCode::Conflict,
            Self::WouldDeadlock { .. } => ErrorCode::WouldDeadlock,
            Self::Reentrant { .. } => ErrorCode::Reentrant,
            Self::Busy { .. } => ErrorCode::Busy,
            Self::Unavailable { .. } | Self::RetryLater { .. } => ErrorCode::Unavailable,
            Self::Full { .. } => ErrorCode::Full,
            Self::Closed { .. } => ErrorCode::Closed,
            Self::Internal { .. } => ErrorCode::Internal,
            Self::Panic { .. } => ErrorCode::Panic,
        }
    }

    /// Stable number of this error, see [`ErrorCode`].
    pub fn code(&self) -> u32 {
        self.error_code().number()
    }

    /// Stable upper-case name of this error, see [`ErrorCode`].
    pub fn name(&self) -> &'static str {
        self.error_code().name()
    }

    /// Coarse class of this error.
    pub fn kind(&self) -> ErrorKind {
        self.error_code().kind()
    }

    /// True when the same operation may well succeed in a moment: an interrupted or timed out call, or a network file
    /// system that was away. Never for what the input, the request or a full disk is to blame for.
    pub fn is_transient(&self) -> bool {
        use std::io::ErrorKind as Kind;
        let Self::Io { source, .. } = self else { return false };
        matches!(
            source.kind(),
            Kind::Interrupted
                | Kind::TimedOut
                | Kind::WouldBlock
                | Kind::StaleNetworkFileHandle
                | Kind::ConnectionReset
                | Kind::ConnectionAborted
                | Kind::NotConnected
                | Kind::HostUnreachable
                | Kind::NetworkUnreachable
                | Kind::NetworkDown
        )
    }

    /// A damaged structure at a byte offset.
    pub fn malformed(what: &'static str, offset: impl Into<Option<u64>>, detail: impl Into<String>) -> Self {
        Self::Malformed { what, offset: offset.into(), detail: detail.into() }
    }

    /// Something that cannot be read or written here.
    pub fn unsupported(what: &'static str, value: impl Into<String>) -> Self {
        Self::Unsupported { what, value: value.into(), hint: None }
    }

    /// A bug that was noticed.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::Internal { what: what.into() }
    }

    /// Wraps an I/O error, sorting out missing files and missing rights. One that carries an error of ours is that.
    pub fn io(op: &'static str, path: Option<&Path>, source: std::io::Error) -> Self {
        let source = match source.downcast::<Self>() {
            Ok(own) => return own,
            Err(source) => source,
        };
        match (source.kind(), path) {
            (std::io::ErrorKind::NotFound, Some(p)) => Self::NotFound { path: p.display().to_string() },
            (std::io::ErrorKind::PermissionDenied, Some(p)) => {
                Self::Denied { path: p.display().to_string(), reason: source.to_string() }
            }
            _ => Self::Io { op, path: path.map(Path::to_path_buf), source },
        }
    }

    /// Checks that `value` lies in `min..=max`; refuses NaN.
    pub fn check_range(name: &str, value: f64, min: f64, max: f64, unit: &'static str) -> Result<()> {
        if value >= min && value <= max {
            return Ok(());
        }
        Err(Self::OutOfRange { name: name.to_owned(), value, min, max, unit })
    }

    /// An unknown name, with the closest of `known` as suggestion.
    pub fn unknown_name<'a>(what: &'static str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        Self::UnknownName { what, name: name.to_owned(), suggestion: closest(name, known) }
    }
}

/// The one of `known` that looks most like `name`, if any does.
pub(crate) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|k| (edit_distance(name, k), k))
        .filter(|(d, k)| *d <= 2.max(k.len() / 3))
        .min()
        .map(|(_, k)| k.to_owned())
}

/// Levenshtein distance, for suggestions.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let cost = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn fmt_hint(hint: &Option<String>) -> String {
    hint.as_ref().map_or_else(String::new, |h| format!(" ({h})"))
}
fn fmt_offset(offset: &Option<u64>) -> String {
    offset.map_or_else(String::new, |o| format!(" at byte {o}"))
}
fn fmt_unit(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!(" {unit}") }
}
fn fmt_suggestion(s: &Option<String>) -> String {
    s.as_ref().map_or_else(String::new, |s| format!(", did you mean '{s}'?"))
}
fn fmt_count(problems: usize) -> String {
    if problems == 1 { "a mistake".to_owned() } else { format!("{problems} mistakes") }
}
fn fmt_problems(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("\n  {p}")).collect()
}
fn fmt_path(p: &Option<PathBuf>) -> String {
    p.as_ref().map_or_else(String::new, |p| format!(" {}", p.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_transient() {
        use std::io::ErrorKind as Kind;
        let io = |kind: Kind| Error::io("read", Some(Path::new("a")), kind.into());
        for kind in [Kind::Interrupted, Kind::TimedOut, Kind::WouldBlock, Kind::StaleNetworkFileHandle] {
            assert!(io(kind).is_transient(), "{kind}");
        }
        for kind in [Kind::NotFound, Kind::PermissionDenied, Kind::StorageFull, Kind::UnexpectedEof, Kind::Other] {
            assert!(!io(kind).is_transient(), "{kind}");
        }
        // Numbers of Linux for EAGAIN and ESTALE.
        #[cfg(target_os = "linux")]
        for number in [11, 116] {
            assert!(Error::io("read", None, std::io::Error::from_raw_os_error(number)).is_transient());
        }
        assert!(!Error::Cancelled.is_transient() && !Error::Empty.is_transient());
    }

    #[test]
    fn every_mistake_of_a_document_is_told() {
        let problem =
            |place: &str, path: &str| Problem { place: place.into(), path: path.into(), message: "is wrong".into() };
        let e =
            Error::Invalid { what: "configuration", problems: vec![problem("a.yaml:3:1", "x.y"), problem("", "z")] };
        assert_eq!(e.to_string(), "configuration has 2 mistakes\n  a.yaml:3:1: x.y: is wrong\n  z: is wrong");
        assert_eq!((e.code(), e.name(), e.kind()), (303, "INVALID", ErrorKind::OutOfRange));
    }

    #[test]
    fn range_refuses_nan_and_names_the_value() {
        assert!(Error::check_range("q", f64::NAN, 0.1, 10.0, "").is_err());
        let e = Error::check_range("cutoff_hz", 0.0, 1.0, 100.0, "Hz").unwrap_err();
        assert_eq!(e.to_string(), "cutoff_hz is 0 Hz, allowed is 1 to 100 Hz");
    }

    #[test]
    fn unknown_names_get_a_close_suggestion_or_none() {
        let e = Error::unknown_name("preset", "podcats", ["podcast", "streaming"]);
        assert_eq!(e.to_string(), "unknown preset 'podcats', did you mean 'podcast'?");
        let e = Error::unknown_name("preset", "zzzzzzzzz", ["podcast", "streaming"]);
        assert_eq!(e.to_string(), "unknown preset 'zzzzzzzzz'");
    }
}
