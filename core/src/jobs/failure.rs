//! Why a job did not succeed, and whether another try may.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// May succeed later: tried again with growing pauses.
    Transient,
    /// Will not succeed however often it is tried: dead at once.
    Permanent,
    /// May succeed after so many milliseconds, not before.
    RetryAfter(u64),
    /// Stopped because somebody wanted it.
    Cancelled,
}

/// A failure as it is kept with its job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobError {
    /// What follows from it.
    pub class: FailureClass,
    /// Number of the error, see [`crate::ErrorCode`].
    pub code: u32,
    /// Name of the error.
    pub name: String,
    /// The error and its causes, in words.
    pub message: String,
}

impl JobError {
    /// This error, in another class than its own.
    pub fn of(error: &Error, class: FailureClass) -> Self {
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(next) = cause {
            message.push_str(&format!(": {next}"));
            cause = next.source();
        }
        Self { class, code: error.code(), name: error.name().to_owned(), message }
    }
}

impl From<&Error> for JobError {
    /// What the system or a busy service is to blame for is transient, also a full disk: there may be room later. What the input
    /// or the request is to blame for is permanent, and so is a bug: the same bytes would find it again.
    fn from(error: &Error) -> Self {
        let class = match error {
            Error::NotFound { .. } => FailureClass::Permanent,
            Error::Busy { .. } => FailureClass::Transient,
            Error::RetryLater { after_ms, .. } => FailureClass::RetryAfter(*after_ms),
            _ => match error.kind() {
                ErrorKind::Io | ErrorKind::Unavailable => FailureClass::Transient,
                ErrorKind::Cancelled => FailureClass::Cancelled,
                _ => FailureClass::Permanent,
            },
        };
        Self::of(error, class)
    }
}

impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_from_who_is_to_blame() {
        let io = |kind: std::io::ErrorKind| Error::Io { op: "write", path: None, source: kind.into() };
        let cases = [
            (io(std::io::ErrorKind::StorageFull), FailureClass::Transient),
            (io(std::io::ErrorKind::TimedOut), FailureClass::Transient),
            (Error::RetryLater { what: "hooks".into(), after_ms: 90_000 }, FailureClass::RetryAfter(90_000)),
            (Error::Full { what: "memory".into(), max: 1 }, FailureClass::Transient),
            (Error::NotFound { path: "a".into() }, FailureClass::Permanent),
            (Error::NotAudio { hint: None }, FailureClass::Permanent),
            (Error::Panic { what: "x".into(), place: None }, FailureClass::Permanent),
            (Error::Cancelled, FailureClass::Cancelled),
        ];
        for (error, class) in cases {
            assert_eq!(JobError::from(&error).class, class, "{error}");
        }
        let full = JobError::from(&io(std::io::ErrorKind::StorageFull));
        assert_eq!((full.code, full.name.as_str()), (600, "IO"));
        assert!(full.message.starts_with("cannot write: "), "the cause is told: {}", full.message);
    }
}
