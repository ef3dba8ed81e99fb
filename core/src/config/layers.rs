//! Where values come from, and which of several holds.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::document::{EXTENSIONS, Format, Kind, MAX_BYTES, Node, parse};
use super::keys::{Keys, join};
use super::secret::{REDACTED, Secret};
use crate::error::Problem;
use crate::services::seams::FileSystem;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The library.
    BuiltIn,
    /// A file.
    File {
        /// Which.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// An environment variable.
    Variable {
        /// Its name.
        name: String,
    },
    /// The command line.
    CommandLine,
    /// A call while the engine runs.
    Call {
        /// Who called.
        by: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built-in"),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable { name } => write!(f, "variable {name}"),
            Self::CommandLine => f.write_str("command line"),
            Self::Call { by } => write!(f, "call by {by}"),
        }
    }
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The value; `***` for secrets.
    pub value: Value,
    /// Where it comes from.
    pub origin: Origin,
    pub(super) secret: Option<Secret>,
}

/// Values by path.
pub(super) type Entries = BTreeMap<String, Entry>;

/// Reads layers and gathers what is wrong with them.
pub(super) struct Reader<'a> {
    pub keys: &'a Keys,
    pub files: &'a dyn FileSystem,
    pub variables: &'a [(String, String)],
    pub problems: Vec<Problem>,
    /// Everything that was looked at, for the watcher.
    pub seen: Vec<PathBuf>,
}

impl Reader<'_> {
    fn problem(&mut self, place: impl fmt::Display, path: &str, message: impl Into<String>) {
        self.problems.push(Problem { place: place.to_string(), path: path.into(), message: message.into() });
    }

    fn unknown(&mut self, place: &str, path: &str) {
        let hint = self.keys.suggest(path).map_or_else(String::new, |s| format!(", did you mean '{s}'?"));
        self.problem(place, path, format!("is not a key{hint}"));
    }

    /// Reads one file into a layer. A missing one is an error only when it is `required`.
    pub fn file(&mut self, path: &Path, required: bool, into: &mut Entries) {
        self.seen.push(path.to_path_buf());
        let bytes = match self.files.read(path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !required => return,
            Err(e) => return self.problem(path.display(), "", format!("cannot be read: {e}")),
        };
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let Some((_, format)) = EXTENSIONS.iter().find(|(e, _)| *e == extension) else {
            return self.problem(path.display(), "", "is none of .yaml, .yml, .toml, .json");
        };
        self.text(path, &bytes, *format, into);
    }

    fn text(&mut self, path: &Path, bytes: &[u8], format: Format, into: &mut Entries) {
        match parse(bytes, format) {
            Ok(Some(node)) => self.node("", &node, path, into),
            Ok(None) => {}
            Err(unreadable) => self.problems.push(unreadable.problem(&path.display().to_string())),
        }
    }

    /// Files of a folder whose name without its end is `stem`: none or one.
    pub fn stem(&mut self, folder: &Path, stem: &str, required: bool, into: &mut Entries) {
        // Only a file that is not there is left out: one that cannot be asked must not pass for a missing one.
        let missing = |p: &PathBuf| self.files.info(p).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
        let all = EXTENSIONS.iter().map(|(e, _)| folder.join(format!("{stem}.{e}")));
        let found: Vec<PathBuf> = all.filter(|p| !missing(p)).collect();
        match &*found {
            [one] => self.file(one, true, into),
            [] if required => self.problem(folder.display(), "", format!("has no {stem}.yaml, .yml, .toml or .json")),
            [] => {}
            [first, more @ ..] => {
                let names: Vec<_> = more.iter().filter_map(|p| p.file_name()).map(|n| n.to_string_lossy()).collect();
                self.problem(
                    first.display(),
                    "",
                    format!("stands beside {}: only one of them can hold", names.join(", ")),
                );
            }
        }
    }

    /// The files of a folder in the order of their names.
    pub fn folder(&mut self, folder: &Path, into: &mut Entries) {
        let paths = match self.files.list(folder) {
            Ok(paths) => paths,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return,
            Err(e) => return self.problem(folder.display(), "", format!("cannot be read: {e}")),
        };
        let known = |p: &PathBuf| p.extension().is_some_and(|e| EXTENSIONS.iter().any(|(known, _)| e == *known));
        for path in paths.iter().filter(|p| known(p)) {
            self.file(path, true, into);
        }
    }

    fn node(&mut self, path: &str, node: &Node, file: &Path, into: &mut Entries) {
        let place = format!("{}:{}:{}", file.display(), node.place.line, node.place.column);
        let Kind::Map(entries) = &node.kind else {
            return self.problem(place, path, "must be a section: keys and values");
        };
        for (name, at, value) in entries {
            let path = join(path, name);
            let origin = Origin::File { path: file.to_path_buf(), line: at.line, column: at.column };
            if self.keys.sections.contains_key(&path) {
                // An empty section says nothing, which is not wrong.
                if value.kind != Kind::Scalar(Value::Null) {
                    self.node(&path, value, file, into);
                }
            } else {
                self.value(&path, value.value(), origin, into);
            }
        }
    }

    /// Checks one value and puts it into a layer.
    pub fn value(&mut self, path: &str, value: Value, origin: Origin, into: &mut Entries) {
        let Some(info) = self.keys.keys.get(path) else { return self.unknown(&origin.to_string(), path) };
        match info.check(value) {
            Ok(value) => self.put(path, value, origin, into),
            Err(message) => self.problem(origin, path, message),
        }
    }

    /// As `value`, from a text.
    pub fn text_value(&mut self, path: &str, text: &str, origin: Origin, into: &mut Entries) {
        let Some(info) = self.keys.keys.get(path) else { return self.unknown(&origin.to_string(), path) };
        match info.read(text) {
            Ok(value) => self.put(path, value, origin, into),
            Err(message) => self.problem(origin, path, message),
        }
    }

    fn put(&mut self, path: &str, value: Value, origin: Origin, into: &mut Entries) {
        let secret = self.keys.keys.get(path).is_some_and(|k| k.secret);
        let entry = match value {
            Value::String(text) if secret => match self.secret(&text, &origin) {
                Ok(secret) => Entry { value: REDACTED.into(), origin, secret: Some(secret) },
                Err(message) => return self.problem(origin, path, message),
            },
            value => Entry { value, origin, secret: None },
        };
        into.insert(path.to_owned(), entry);
    }

    fn secret(&mut self, text: &str, origin: &Origin) -> Result<Secret, String> {
        if let Some(path) = text.strip_prefix("file:") {
            let path = Path::new(path);
            self.seen.push(path.to_path_buf());
            let fail = |e: std::io::Error| format!("{} cannot be read: {e}", path.display());
            let info = self.files.info(path).map_err(fail)?;
            if info.mode.is_some_and(|mode| mode & 0o077 != 0) {
                return Err(format!("{} can be read by others: chmod 600", path.display()));
            }
            let bytes = self.files.read(path, 64 << 10).map_err(fail)?;
            let text = String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", path.display()))?;
            return Ok(Secret::new(text.trim_end_matches(['\r', '\n'])));
        }
        if let Some(name) = text.strip_prefix("env:") {
            let found = self.variables.iter().find(|(n, _)| n == name);
            return found.map(|(_, v)| Secret::new(v)).ok_or_else(|| format!("the variable {name} is not set"));
        }
        match origin {
            Origin::File { .. } | Origin::CommandLine if !text.is_empty() => {
                Err("is a secret and must not stand here: use file:PATH or env:NAME".into())
            }
            _ => Ok(Secret::new(text)),
        }
    }
}

/// Values as one tree, secrets written out: only for reading it into the model at once.
pub(super) fn tree(entries: &Entries, reveal: bool) -> Value {
    let mut root = Map::new();
    for (path, entry) in entries {
        let value = match &entry.secret {
            Some(secret) if reveal => Value::from(secret.expose()),
            _ => entry.value.clone(),
        };
        insert(&mut root, path, value);
    }
    Value::Object(root)
}

fn insert(map: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(map.insert(path.to_owned(), value)),
        Some((section, rest)) => {
            if let Value::Object(inner) = map.entry(section).or_insert_with(|| Value::Object(Map::new())) {
                insert(inner, rest, value);
            }
        }
    }
}
