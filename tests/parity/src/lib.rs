//! Runs `cases.json` through the Rust library. What the cases mean stands in the README beside it.

mod compare;
mod input;
mod jobs;
mod live;
mod operations;
mod pictures;
mod signal;

use std::path::{Path, PathBuf};

use pure_sound::Error;
use serde_json::{Map, Value, json};

pub use compare::{difference, refreshed};

/// Errors of the runner itself and of the library: the second kind is what cases may expect.
pub enum Failure {
    /// The library said no.
    Library(Error),
    /// The case cannot be run: a mistake in it, or an operation that is not known here.
    Case(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Case(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Case(error.to_string())
    }
}

/// What an operation gives.
type Outcome = Result<Value, Failure>;

/// What came of a case.
pub struct Ran {
    /// The result, or the error as a record.
    pub outcome: Result<Value, Value>,
    /// Names of the files in its folder.
    pub files: Vec<String>,
}

/// Root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where the cases stand.
pub fn cases_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases.json")
}

/// All cases.
///
/// # Errors
/// A file that cannot be read as cases.
pub fn load() -> Result<Vec<Map<String, Value>>, String> {
    let text = std::fs::read_to_string(cases_path()).map_err(|e| e.to_string())?;
    let mut file: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    if file["version"] != json!(1) {
        return Err("cases of another version".into());
    }
    let Some(Value::Array(cases)) = file.get_mut("cases").map(Value::take) else { return Err("no cases".into()) };
    cases
        .into_iter()
        .map(|case| match case {
            Value::Object(case) => Ok(case),
            other => Err(format!("not a case: {other}")),
        })
        .collect()
}

/// Runs one case.
///
/// # Errors
/// A case that cannot be run.
pub fn run(case: &Map<String, Value>) -> Result<Ran, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let dir = folder.path().to_str().ok_or("a temporary folder whose name is not UTF-8")?;
    let args = case.get("args").cloned().unwrap_or_else(|| json!({}));
    let args = with_dir(args, dir);
    let op = case.get("op").and_then(Value::as_str).unwrap_or("");
    let outcome = match operations::run(op, &args) {
        Ok(value) => Ok(value),
        Err(Failure::Library(error)) => Err(error.to_json()),
        Err(Failure::Case(why)) => return Err(why),
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder.path()).map_err(|e| e.to_string())? {
        files.push(entry.map_err(|e| e.to_string())?.file_name().to_string_lossy().into_owned());
    }
    files.sort();
    Ok(Ran { outcome, files })
}

/// `args` with `{dir}` replaced in every text.
fn with_dir(value: Value, dir: &str) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("{dir}", dir)),
        Value::Array(items) => items.into_iter().map(|v| with_dir(v, dir)).collect(),
        Value::Object(fields) => fields.into_iter().map(|(k, v)| (k, with_dir(v, dir))).collect(),
        other => other,
    }
}
