//! `--log`: what the engine says, on standard error.

use std::io::Write;
use std::str::FromStr;
use std::sync::Arc;

use pure_sound::observe::{LogLevel, LogRecord, LogSink};
use serde_json::{Map, Value};

use crate::console;

/// `LEVEL` or `LEVEL:json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogArg {
    pub level: LogLevel,
    pub json: bool,
}

impl FromStr for LogArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (level, json) = match text.split_once(':') {
            None => (text, false),
            Some((level, "json")) => (level, true),
            Some((level, "text")) => (level, false),
            Some((_, form)) => return Err(format!("'{form}' is no form of the log: text or json")),
        };
        Ok(Self { level: level.parse().map_err(|e: pure_sound::Error| e.to_string())?, json })
    }
}

impl LogArg {
    /// What the engine hands its records to.
    pub fn sink(self) -> LogSink {
        Arc::new(move |record| {
            let mut line = match self.json {
                true => serde_json::to_string(record).unwrap_or_default(),
                false => text(record),
            };
            line.push('\n');
            // One write per line, so that lines of several threads do not mix. Standard error may be closed.
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        })
    }
}

fn text(record: &LogRecord) -> String {
    let day_ms = record.time_ms % 86_400_000;
    let (h, m, s, ms) = (day_ms / 3_600_000, day_ms / 60_000 % 60, day_ms / 1000 % 60, day_ms % 1000);
    let spans: Vec<String> =
        record.spans.iter().map(|s| format!("{}{}", s.name, fields(&s.fields, "{", "}"))).collect();
    let message = console::clean(&record.message);
    let fields = fields(&record.fields, " ", "");
    format!(
        "{h:02}:{m:02}:{s:02}.{ms:03}Z {:5} {}: {message}{fields}",
        record.level.name().to_uppercase(),
        if spans.is_empty() { record.target.to_owned() } else { spans.join(":") },
    )
}

fn fields(fields: &Map<String, Value>, before: &str, after: &str) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), console::clean);
    let all: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", word(value))).collect();
    if all.is_empty() { String::new() } else { format!("{before}{}{after}", all.join(" ")) }
}

#[cfg(test)]
mod tests {
    use pure_sound::observe::LogSpan;
    use serde_json::json;

    use super::*;

    #[test]
    fn levels_and_forms_are_read() {
        assert_eq!("debug:json".parse(), Ok(LogArg { level: LogLevel::Debug, json: true }));
        assert_eq!("warn".parse(), Ok(LogArg { level: LogLevel::Warn, json: false }));
        assert!("loud".parse::<LogArg>().unwrap_err().contains("info"));
        assert!("info:xml".parse::<LogArg>().unwrap_err().contains("text or json"));
    }

    #[test]
    fn a_record_is_one_line() {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let record = LogRecord {
            time_ms: 86_400_000 + 3_723_004,
            level: LogLevel::Info,
            target: "x",
            message: "two\nlines".into(),
            fields: object(json!({"a": 1, "b": "\u{1b}[2J"})),
            spans: vec![LogSpan { id: 1, name: "run", fields: object(json!({"id": "q"})) }],
        };
        assert_eq!(text(&record), "01:02:03.004Z INFO  run{id=q}: two?lines a=1 b=?[2J");
    }
}
