//! The table of errors: number, name, class.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Coarse class of an [`super::Error`], for programs that react to errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is at fault.
    Input,
    /// Nothing here can do that.
    Unsupported,
    /// A parameter is at fault.
    OutOfRange,
    /// A limit was reached.
    Limit,
    /// The caller cancelled.
    Cancelled,
    /// The operating system failed.
    Io,
    /// Not allowed.
    Denied,
    /// The request contradicts the state of things.
    Conflict,
    /// Something needed is not there.
    Unavailable,
    /// A bug.
    Internal,
}

impl ErrorKind {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Unsupported => "unsupported",
            Self::OutOfRange => "out_of_range",
            Self::Limit => "limit",
            Self::Cancelled => "cancelled",
            Self::Io => "io",
            Self::Denied => "denied",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// Defines the codes: variant, number, name.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $name:literal,)*) => {
        /// Stable code of an error, the same in every language. Closed on purpose: a binding that matches it does not compile
        /// until it knows a new one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i32)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant = $number,)*
        }

        impl ErrorCode {
            /// All codes, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Stable upper-case name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

codes! {
    /// The bytes are not audio in any format that is known here.
    NotAudio = 100 "NOT_AUDIO",
    /// The input holds no audio frame at all.
    Empty = 101 "EMPTY",
    /// The file is damaged beyond what can be decoded around.
    Malformed = 102 "MALFORMED",
    /// Nothing here can read or write that.
    Unsupported = 200 "UNSUPPORTED",
    /// A number outside its range.
    OutOfRange = 300 "OUT_OF_RANGE",
    /// A value that is not one of the allowed ones.
    InvalidValue = 301 "INVALID_VALUE",
    /// A name that does not exist.
    UnknownName = 302 "UNKNOWN_NAME",
    /// A document with mistakes in it.
    Invalid = 303 "INVALID",
    /// A handle that is not one, or not any more.
    InvalidHandle = 304 "INVALID_HANDLE",
    /// A limit was reached.
    LimitExceeded = 400 "LIMIT_EXCEEDED",
    /// The caller cancelled.
    Cancelled = 500 "CANCELLED",
    /// Reading or writing failed.
    Io = 600 "IO",
    /// The path does not exist.
    NotFound = 601 "NOT_FOUND",
    /// Not allowed.
    Denied = 700 "DENIED",
    /// The request contradicts itself or the state of things.
    Conflict = 800 "CONFLICT",
    /// A wait that could only end after itself.
    WouldDeadlock = 801 "WOULD_DEADLOCK",
    /// A call that a callback may not make.
    Reentrant = 803 "REENTRANT",
    /// Used by two threads at once.
    Busy = 804 "BUSY",
    /// Something needed is gone.
    Unavailable = 900 "UNAVAILABLE",
    /// A bounded queue or budget stayed full.
    Full = 901 "FULL",
    /// A service that was shut down.
    Closed = 902 "CLOSED",
    /// A bug in this library.
    Internal = 1000 "INTERNAL",
    /// A panic, caught at a border: a bug in this library.
    Panic = 1001 "PANIC",
}

impl ErrorCode {
    /// Stable number.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// The code with this number, if there is one.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }

    /// Coarse class.
    pub fn kind(self) -> ErrorKind {
        match self.number() {
            100..200 => ErrorKind::Input,
            200..300 => ErrorKind::Unsupported,
            300..400 => ErrorKind::OutOfRange,
            400..500 => ErrorKind::Limit,
            500..600 => ErrorKind::Cancelled,
            600..700 => ErrorKind::Io,
            700..800 => ErrorKind::Denied,
            800..900 => ErrorKind::Conflict,
            900..1000 => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_names_are_unique() {
        assert!(ErrorCode::ALL.windows(2).all(|pair| pair[0].number() < pair[1].number()));
        let mut names: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        assert_eq!(ErrorCode::from_number(500), Some(ErrorCode::Cancelled));
        assert_eq!(ErrorCode::from_number(1), None);
        assert_eq!(serde_json::to_value(ErrorCode::OutOfRange.kind()).unwrap(), ErrorKind::OutOfRange.name());
    }
}
