//! The numbers of errors in C. One table with every language: `pure_sound::error::ErrorCode`.

use std::ffi::{CStr, c_char};

use pure_sound::error::{ErrorCode, ErrorKind};

/// What a function came to. The numbers are stable: never reused, never renumbered. New ones may be added: treat those that you
/// do not know by their kind (`psnd_status_kind`).
#[allow(non_camel_case_types)]
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum psnd_status {
    /// Done.
    PSND_STATUS_OK = 0,
    /// The bytes are not audio in any known format.
    PSND_STATUS_NOT_AUDIO = 100,
    /// The input holds no audio.
    PSND_STATUS_EMPTY = 101,
    /// The file is damaged beyond what can be decoded around.
    PSND_STATUS_MALFORMED = 102,
    /// Nothing here can read or write that.
    PSND_STATUS_UNSUPPORTED = 200,
    /// A number outside its range.
    PSND_STATUS_OUT_OF_RANGE = 300,
    /// A value that is not one of the allowed ones, NULL where something is needed, text that is not UTF-8 or not JSON.
    PSND_STATUS_INVALID_VALUE = 301,
    /// A name that does not exist.
    PSND_STATUS_UNKNOWN_NAME = 302,
    /// A document with mistakes in it; the details list all of them.
    PSND_STATUS_INVALID = 303,
    /// A handle that is not one, of another type, or freed.
    PSND_STATUS_INVALID_HANDLE = 304,
    /// A limit was reached.
    PSND_STATUS_LIMIT_EXCEEDED = 400,
    /// The caller cancelled.
    PSND_STATUS_CANCELLED = 500,
    /// Reading or writing failed.
    PSND_STATUS_IO = 600,
    /// The path does not exist.
    PSND_STATUS_NOT_FOUND = 601,
    /// Not allowed.
    PSND_STATUS_DENIED = 700,
    /// The request contradicts itself or the state of things.
    PSND_STATUS_CONFLICT = 800,
    /// A wait that could only end after itself.
    PSND_STATUS_WOULD_DEADLOCK = 801,
    /// A callback used the object that calls it.
    PSND_STATUS_REENTRANT = 803,
    /// Another thread uses the object.
    PSND_STATUS_BUSY = 804,
    /// Something needed is gone.
    PSND_STATUS_UNAVAILABLE = 900,
    /// A bounded queue or budget stayed full.
    PSND_STATUS_FULL = 901,
    /// The object was finished or shut down.
    PSND_STATUS_CLOSED = 902,
    /// A bug in this library.
    PSND_STATUS_INTERNAL = 1000,
    /// A bug in this library that was caught at its border. The object that was used can only be freed.
    PSND_STATUS_PANIC = 1001,
}

use psnd_status::*;

/// Number, name and class. A code that is new in the table of errors does not compile until it is here.
fn row(code: ErrorCode) -> (psnd_status, &'static CStr) {
    match code {
        ErrorCode::NotAudio => (PSND_STATUS_NOT_AUDIO, c"NOT_AUDIO"),
        ErrorCode::Empty => (PSND_STATUS_EMPTY, c"EMPTY"),
        ErrorCode::Malformed => (PSND_STATUS_MALFORMED, c"MALFORMED"),
        ErrorCode::Unsupported => (PSND_STATUS_UNSUPPORTED, c"UNSUPPORTED"),
        ErrorCode::OutOfRange => (PSND_STATUS_OUT_OF_RANGE, c"OUT_OF_RANGE"),
        ErrorCode::InvalidValue => (PSND_STATUS_INVALID_VALUE, c"INVALID_VALUE"),
        ErrorCode::UnknownName => (PSND_STATUS_UNKNOWN_NAME, c"UNKNOWN_NAME"),
        ErrorCode::Invalid => (PSND_STATUS_INVALID, c"INVALID"),
        ErrorCode::InvalidHandle => (PSND_STATUS_INVALID_HANDLE, c"INVALID_HANDLE"),
        ErrorCode::LimitExceeded => (PSND_STATUS_LIMIT_EXCEEDED, c"LIMIT_EXCEEDED"),
        ErrorCode::Cancelled => (PSND_STATUS_CANCELLED, c"CANCELLED"),
        ErrorCode::Io => (PSND_STATUS_IO, c"IO"),
        ErrorCode::NotFound => (PSND_STATUS_NOT_FOUND, c"NOT_FOUND"),
        ErrorCode::Denied => (PSND_STATUS_DENIED, c"DENIED"),
        ErrorCode::Conflict => (PSND_STATUS_CONFLICT, c"CONFLICT"),
        ErrorCode::WouldDeadlock => (PSND_STATUS_WOULD_DEADLOCK, c"WOULD_DEADLOCK"),
        ErrorCode::Reentrant => (PSND_STATUS_REENTRANT, c"REENTRANT"),
        ErrorCode::Busy => (PSND_STATUS_BUSY, c"BUSY"),
        ErrorCode::Unavailable => (PSND_STATUS_UNAVAILABLE, c"UNAVAILABLE"),
        ErrorCode::Full => (PSND_STATUS_FULL, c"FULL"),
        ErrorCode::Closed => (PSND_STATUS_CLOSED, c"CLOSED"),
        ErrorCode::Internal => (PSND_STATUS_INTERNAL, c"INTERNAL"),
        ErrorCode::Panic => (PSND_STATUS_PANIC, c"PANIC"),
    }
}

/// The status of `code`.
pub fn status_of(code: ErrorCode) -> psnd_status {
    row(code).0
}

/// The name of `code`.
pub fn name_of(code: ErrorCode) -> &'static CStr {
    row(code).1
}

/// The name of a class of errors.
pub fn kind_name(kind: ErrorKind) -> &'static CStr {
    match kind {
        ErrorKind::Input => c"input",
        ErrorKind::Unsupported => c"unsupported",
        ErrorKind::OutOfRange => c"out_of_range",
        ErrorKind::Limit => c"limit",
        ErrorKind::Cancelled => c"cancelled",
        ErrorKind::Io => c"io",
        ErrorKind::Denied => c"denied",
        ErrorKind::Conflict => c"conflict",
        ErrorKind::Unavailable => c"unavailable",
        // Also those to come.
        _ => c"internal",
    }
}

fn code_of(status: i32) -> Option<ErrorCode> {
    u32::try_from(status).ok().and_then(ErrorCode::from_number)
}

/// The name of a status, such as `OUT_OF_RANGE`; `OK` for 0 and NULL for a number that is none. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_status_name(status: i32) -> *const c_char {
    match (status, code_of(status)) {
        (0, _) => c"OK".as_ptr(),
        (_, Some(code)) => name_of(code).as_ptr(),
        (_, None) => std::ptr::null(),
    }
}

/// The class of a status: `input`, `unsupported`, `out_of_range`, `limit`, `cancelled`, `io`, `denied`, `conflict`,
/// `unavailable`, `internal`; `ok` for 0 and NULL for a number that is none. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_status_kind(status: i32) -> *const c_char {
    match (status, code_of(status)) {
        (0, _) => c"ok".as_ptr(),
        (_, Some(code)) => kind_name(code.kind()).as_ptr(),
        (_, None) => std::ptr::null(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_those_of_the_table() {
        for code in ErrorCode::ALL {
            let (status, name) = row(*code);
            assert_eq!((status as i32, name.to_str()), (code.number() as i32, Ok(code.name())));
            assert_eq!(kind_name(code.kind()).to_str(), Ok(code.kind().name()));
        }
        assert!(psnd_status_name(-1).is_null() && psnd_status_kind(12_345).is_null());
    }
}
