//! What a batch did, file by file and in all.

use std::fmt::Write as _;

use pure_sound::Error;
use pure_sound::processing::Report;
use serde::Serialize;
use serde_json::{Value, json};

use super::walk::Item;
use crate::console;
use crate::context::Context;
use crate::failure::{self, Failure};
use crate::report;

/// One file.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub input: String,
    output: String,
    /// `done`, `skipped`, `failed`, `cancelled` or `planned`.
    status: &'static str,
    /// Why it was skipped or what is to be noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Report>,
}

impl Row {
    /// The row of a file that was processed. With `strict`, a missed target is a failure.
    pub fn new(item: &Item, result: Result<Report, Failure>, strict: bool) -> Self {
        let mut row = Self::bare(item, "done");
        match result {
            Ok(report) => {
                if !report.all_met() {
                    row.note = Some("a target or check was missed".into());
                    row.status = if strict { "failed" } else { "done" };
                }
                row.report = Some(report);
            }
            Err(Failure::Engine(error)) => {
                row.status = if matches!(error, Error::Cancelled) { "cancelled" } else { "failed" };
                row.note = Some(error.to_string());
                row.error = Some(failure::to_json(&error));
            }
            Err(Failure::Partial(text)) => {
                row.status = "failed";
                row.note = Some(text);
            }
        }
        row
    }

    fn bare(item: &Item, status: &'static str) -> Self {
        Self {
            input: item.input.display().to_string(),
            output: item.output.display().to_string(),
            status,
            note: None,
            error: None,
            report: None,
        }
    }

    /// Adds something to be known although the file is done.
    pub fn note(&mut self, error: &Error) {
        self.note = Some(format!("done, but not noted for the next run: {error}"));
    }

    /// The row as a JSON line.
    pub fn event(&self) -> Value {
        let mut value = json!(self);
        value["event"] = "file".into();
        value
    }

    fn text(&self) -> Vec<String> {
        let level = |key| {
            let after = self.report.as_ref().and_then(|r| r.outputs.first()).and_then(|o| o.after.as_ref());
            after.map_or_else(String::new, |l| report::quantity(l, key))
        };
        vec![
            self.status.into(),
            level("integrated_lufs"),
            level("true_peak_dbtp"),
            console::clean(&self.output),
            console::clean(self.note.as_deref().unwrap_or("")),
        ]
    }
}

/// All files.
#[derive(Debug, Default)]
pub struct Summary {
    rows: Vec<Row>,
}

impl Summary {
    pub fn skip(&mut self, item: &Item, reason: &str) {
        self.rows.push(Row { note: Some(reason.into()), ..Row::bare(item, "skipped") });
    }

    pub fn plan(&mut self, items: &[Item]) {
        self.rows.extend(items.iter().map(|item| Row::bare(item, "planned")));
    }

    pub fn add(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    fn count(&self, status: &str) -> usize {
        self.rows.iter().filter(|r| r.status == status).count()
    }

    pub fn print(&mut self, context: &Context) -> Result<(), Failure> {
        self.rows.sort_by(|a, b| a.input.cmp(&b.input));
        let names = ["done", "skipped", "failed", "cancelled", "planned"];
        let counts = names.map(|name| (name, self.count(name)));
        if context.is_json() {
            let mut value = json!({ "files": self.rows.len() });
            for (name, count) in counts {
                value[name] = count.into();
            }
            if context.args.jsonl {
                value["event"] = "summary".into();
            } else {
                value["results"] = json!(self.rows);
            }
            return Ok(console::print_json(&value, context.args.jsonl)?);
        }
        if context.args.quiet {
            return Ok(());
        }
        let mut rows = vec![vec!["status".into(), "LUFS".into(), "dBTP".into(), "file".into(), String::new()]];
        rows.extend(self.rows.iter().map(Row::text));
        let mut text = if self.rows.is_empty() { String::new() } else { console::columns(&rows, &[1, 2]) };
        let parts: Vec<String> = counts.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{n} {name}")).collect();
        let _ = writeln!(text, "{}", if parts.is_empty() { "no audio files found".into() } else { parts.join(", ") });
        Ok(console::print(&text)?)
    }

    /// Exit code 1 when a file failed.
    pub fn verdict(&self) -> Result<(), Failure> {
        match self.count("failed") {
            0 => Ok(()),
            failed => Err(Failure::Partial(format!("{failed} of {} files failed", self.rows.len()))),
        }
    }
}
