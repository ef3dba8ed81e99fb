//! From errors to exit codes, to text that says what to do, and to JSON.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use pure_sound::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::console;
use crate::context::Context;

/// All exit codes. Stable; docs/user_guide.md has the same table and a test compares.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done"),
    (
        1,
        "done, but some files of many failed, with --strict a target or check was missed, a specification of check or a limit of compare was not met, or health fails",
    ),
    (2, "wrong usage"),
    (3, "the input is not audio, damaged beyond use, or empty"),
    (4, "not supported"),
    (5, "a value out of range, or an unknown name"),
    (6, "a limit was reached"),
    (7, "reading or writing failed, not found, not allowed, disk full"),
    (8, "conflict: output = input, output exists, options that contradict each other"),
    (9, "internal error or a missing resource"),
    (130, "cancelled"),
];

/// The table as text for --help.
pub fn exit_codes_help() -> String {
    let rows: Vec<_> = EXIT_CODES.iter().map(|(code, text)| vec![format!("  {code}"), (*text).to_owned()]).collect();
    format!("Exit codes:\n{}", console::columns(&rows, &[]))
}

/// Some of many files failed, or a target was missed and `--strict` was given.
pub const EXIT_PARTIAL: u8 = 1;
/// Arguments that make no sense.
pub const EXIT_USAGE: u8 = 2;
/// Ctrl-C or SIGTERM.
pub const EXIT_CANCELLED: u8 = 130;

/// Why the program does not end with 0.
#[derive(Debug)]
pub enum Failure {
    /// The library refused.
    Engine(Error),
    /// The result is there and was printed, but not all is well: exit code 1. The text goes to standard error.
    Partial(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl Failure {
    /// A request that contradicts itself.
    pub fn conflict(what: impl Into<String>) -> Self {
        Self::Engine(Error::Conflict { what: what.into() })
    }

    /// Prints the failure and gives the exit code.
    pub fn report(&self, context: &Context) -> ExitCode {
        match self {
            Self::Engine(error) => {
                eprint_text(&text(error));
                if context.is_json() {
                    let mut object = json!({ "error": to_json(error) });
                    if context.args.jsonl {
                        object = json!({ "event": "error", "error": object["error"] });
                    }
                    let _ = console::print_json(&object, context.args.jsonl);
                }
                ExitCode::from(exit_code(error))
            }
            Self::Partial(text) => {
                eprint_text(&format!("error: {text}\n"));
                ExitCode::from(EXIT_PARTIAL)
            }
        }
    }
}

/// Exit code of an error. Documented in the user guide; stable.
pub fn exit_code(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Input => 3,
        ErrorKind::Unsupported => 4,
        ErrorKind::OutOfRange => 5,
        ErrorKind::Limit => 6,
        ErrorKind::Io | ErrorKind::Denied => 7,
        ErrorKind::Conflict => 8,
        ErrorKind::Cancelled => EXIT_CANCELLED,
        _ => 9,
    }
}

/// The error as programs read it.
pub fn to_json(error: &Error) -> Value {
    let mut record = error.to_json();
    record["hint"] = json!(hint(error));
    record["exit_code"] = json!(exit_code(error));
    record
}

/// The error as people read it: what, why, what to do.
pub fn text(error: &Error) -> String {
    let mut text = format!("error: {error}\n");
    for cause in causes(error) {
        let _ = writeln!(text, "  because: {cause}");
    }
    if let Some(hint) = hint(error) {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

fn causes(error: &Error) -> Vec<String> {
    let mut list = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        list.push(cause.to_string());
        next = cause.source();
    }
    list
}

/// What the user can do about it.
fn hint(error: &Error) -> Option<String> {
    Some(match error {
        Error::NotAudio { .. } => "the content counts, not the name; 'file NAME' may tell what it really is".into(),
        Error::Empty => "the file has no audio in it; was it copied or recorded completely?".into(),
        Error::Malformed { .. } => "the file is damaged; fetch it again from its source if you can".into(),
        Error::Unsupported { hint: None, .. } => {
            "convert it with another tool to WAV or FLAC first, or choose another output format".into()
        }
        Error::UnknownName { what: "preset", .. } => "'puresound presets' lists all presets".into(),
        Error::UnknownName { what: "filter", .. } => "'puresound filters' lists all filters".into(),
        Error::UnknownName { what: "filter parameter", name, .. } => {
            format!("'puresound filters show {}' lists its parameters", name.split('.').next().unwrap_or(name))
        }
        Error::UnknownName { what: "output format", .. } => format!(
            "end the name with a known extension, or choose with --format: {}",
            pure_sound::formats::FormatSettings::NAMES.join(", ")
        ),
        Error::LimitExceeded { limit, .. } => {
            format!("if you trust the file, raise the limit with --limit {limit}=VALUE")
        }
        Error::NotFound { .. } => "check the path; relative paths start at the current folder".into(),
        Error::Denied { .. } => "check the permissions of the file and its folder".into(),
        Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
            "make room on the disk, or write elsewhere; nothing was left behind".into()
        }
        Error::Conflict { what } if what.contains("exists") => {
            "choose another name, or leave out --no-overwrite".into()
        }
        Error::Internal { .. } => {
            "this is a bug: please report it with the command line and, if possible, the file".into()
        }
        _ => return None,
    })
}

/// What clap refuses, and its help and version.
pub fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Help and version: a closed pipe is no error.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let _ = error.print();
    let jsonl = std::env::args().any(|a| a == "--jsonl");
    if jsonl || std::env::args().any(|a| a == "--json") {
        let message = error.to_string();
        let first = message.lines().next().unwrap_or("").trim_start_matches("error: ");
        let body = json!({ "code": 0, "name": "USAGE", "kind": "usage", "message": first, "exit_code": EXIT_USAGE });
        let object = if jsonl { json!({ "event": "error", "error": body }) } else { json!({ "error": body }) };
        let _ = console::print_json(&object, jsonl);
    }
    ExitCode::from(EXIT_USAGE)
}

fn eprint_text(text: &str) {
    // Standard error may be closed: `eprint!` would panic.
    let _ = io::Write::write_all(&mut io::stderr().lock(), text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use pure_sound::ErrorCode;

    #[test]
    fn every_kind_of_error_has_its_documented_exit_code() {
        let io = |kind: io::ErrorKind| Error::Io { op: "write", path: None, source: kind.into() };
        let cases = [
            (Error::NotAudio { hint: None }, 3),
            (Error::Empty, 3),
            (Error::malformed("x", None, "y"), 3),
            (Error::unsupported("codec", "x"), 4),
            (Error::UnknownName { what: "preset", name: "x".into(), suggestion: None }, 5),
            (Error::LimitExceeded { limit: "max_bytes", value: 2.0, max: 1.0 }, 6),
            (io(io::ErrorKind::StorageFull), 7),
            (Error::NotFound { path: "x".into() }, 7),
            (Error::Denied { path: "x".into(), reason: "y".into() }, 7),
            (Error::Conflict { what: "x".into() }, 8),
            (Error::Unavailable { what: "x".into() }, 9),
            (Error::internal("x"), 9),
            (Error::Cancelled, 130),
        ];
        for (error, code) in cases {
            assert_eq!(exit_code(&error), code, "{error}");
        }
    }

    #[test]
    fn the_documented_exit_codes_are_these() {
        let guide = include_str!("../../../docs/user_guide.md");
        for (code, text) in EXIT_CODES {
            assert!(guide.contains(&format!("\n| {code} | {text} |\n")), "{code} in docs/user_guide.md");
        }
        let rows = guide.lines().skip_while(|l| *l != "### Exit codes").skip(4).take_while(|l| l.starts_with('|'));
        assert_eq!(rows.count(), EXIT_CODES.len());
    }

    #[test]
    fn the_documented_error_codes_are_those_of_the_library() {
        let api = include_str!("../../../docs/api.md");
        let documented: Vec<(String, String)> = api
            .lines()
            .filter_map(|line| {
                let cells: Vec<&str> = line.split('|').map(str::trim).collect();
                let codes = cells.get(1)?.split(", ").map(str::to_owned);
                Some(codes.zip(cells.get(2)?.split(", ").map(str::to_owned)).collect::<Vec<_>>())
            })
            .flatten()
            .collect();
        for code in ErrorCode::ALL {
            let row = (code.number().to_string(), code.name().to_owned());
            assert!(documented.contains(&row), "{} {} in docs/api.md", row.0, row.1);
        }
    }

    #[test]
    fn the_whole_chain_of_causes_is_told() {
        let source = io::Error::from(io::ErrorKind::StorageFull);
        let error = Error::Io { op: "write", path: Some("a.wav".into()), source };
        let text = text(&error);
        assert!(
            text.contains("cannot write a.wav") && text.contains("because:") && text.contains("make room"),
            "{text}"
        );
        assert_eq!(to_json(&error)["code"], 600);
    }
}
