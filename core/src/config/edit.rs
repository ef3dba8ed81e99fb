//! Changing one key in a file, and nothing else in it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::document::{EXTENSIONS, Format, Kind, MAX_BYTES, Node, Place, parse};
use super::keys::{Keys, schema_of};
use super::layers::Origin;
use super::options::ConfigOptions;
use super::settings::Model;
use super::store::Config;
use crate::error::{Error, Result};
use crate::events::EventBus;
use crate::services::seams::{FileInfo, FileSystem};

/// What [`ConfigOptions::set_in_file`] did.
#[derive(Debug, Clone, PartialEq)]
pub struct FileEdit {
    /// What the file said before; none when it did not say anything about the key.
    pub old: Option<Value>,
    /// What it says now.
    pub new: Value,
    /// False when the file had to be written anew, without its comments.
    pub comments_kept: bool,
    /// The layer above that says something else, so that the new value does not hold.
    pub hidden_by: Option<Origin>,
}

impl ConfigOptions {
    /// Sets one key in a file of the user, which is made when it is not there, and replaced whole or not at all. Everything else in
    /// it stays as it stands, comments too, where that can be done. `text` is read as on the command line. Nothing is written when the
    /// configuration of all layers would be wrong with it.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for a key that is none; [`Error::InvalidValue`] for a value that is not allowed; [`Error::Invalid`] with
    /// everything that would be wrong; [`Error::Io`].
    pub fn set_in_file<T: Model>(&self, file: &Path, key: &str, text: &str) -> Result<FileEdit> {
        let defaults = serde_json::to_value(T::default()).map_err(|e| Error::internal(e.to_string()))?;
        let keys = Keys::read(&schema_of::<T>().to_value(), &defaults);
        let info = keys
            .keys
            .get(key)
            .ok_or_else(|| Error::unknown_name("configuration key", key, keys.keys.keys().map(String::as_str)))?;
        let value = info.read(text).map_err(|_| Error::InvalidValue {
            name: key.into(),
            value: if info.secret { super::REDACTED.into() } else { text.into() },
            allowed: info.allowed(),
        })?;
        let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let Some((_, format)) = EXTENSIONS.iter().find(|(e, _)| *e == extension) else {
            let allowed = EXTENSIONS.map(|(e, _)| format!(".{e}")).join(", ");
            return Err(Error::InvalidValue { name: "file".into(), value: file.display().to_string(), allowed });
        };
        let before = match self.files.read(file, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::io("read", Some(file), e)),
        };
        let place = file.display().to_string();
        let invalid = |problem| Error::Invalid { what: "configuration", problems: vec![problem] };
        let tree = parse(&before, *format).map_err(|u| invalid(u.problem(&place)))?;
        let before = String::from_utf8_lossy(&before).into_owned();
        let (after, comments_kept) = set(&before, *format, tree.as_ref(), key, &value);

        let overlay = Overlay { below: Arc::clone(&self.files), path: file.to_path_buf(), bytes: after.into_bytes() };
        let overlay = Arc::new(overlay);
        let mut options = self.clone().files(Arc::clone(&overlay) as Arc<dyn FileSystem>);
        if !options.reads_user_file(file) {
            options = options.user_file(file);
        }
        let config = Config::<T>::load(options, &EventBus::default())?;
        let now = config.current();
        let origin = now.entry(key).map(|e| e.origin.clone());
        let hidden_by = origin.filter(|o| !matches!(o, Origin::File { path, .. } if path == file));
        self.files.replace(file, &overlay.bytes).map_err(|e| Error::io("write", Some(file), e))?;
        let old = tree.and_then(|t| find(&t.value(), key).cloned());
        Ok(FileEdit { old, new: value, comments_kept, hidden_by })
    }
}

/// The files as they will be.
struct Overlay {
    below: Arc<dyn FileSystem>,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl FileSystem for Overlay {
    fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        if path != self.path {
            return self.below.read(path, max_bytes);
        }
        if self.bytes.len() as u64 > max_bytes {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {max_bytes} bytes")));
        }
        Ok(self.bytes.clone())
    }
    fn info(&self, path: &Path) -> io::Result<FileInfo> {
        match self.below.info(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && path == self.path => {
                let len = self.bytes.len() as u64;
                Ok(FileInfo { len, modified_ns: 0, number: 0, mode: None, folder: false })
            }
            other => other,
        }
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.below.list(folder)
    }
    fn replace(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "only to look at"))
    }
}

fn find<'a>(tree: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.').try_fold(tree, |value, name| value.get(name))
}

/// The text with the key set, and whether comments were kept. What was done is read again: if it is not the document that it should
/// be, the document is written anew.
fn set(text: &str, format: Format, tree: Option<&Node>, key: &str, value: &Value) -> (String, bool) {
    let mut wanted = tree.map_or_else(|| Value::Object(Map::new()), Node::value);
    put(&mut wanted, key, value);
    let reads_as_wanted = |text: &String| {
        parse(text.as_bytes(), format)
            .ok()
            .flatten()
            .is_some_and(|node| without_nulls(node.value()) == without_nulls(wanted.clone()))
    };
    if format != Format::Json
        && let Some(edited) = edited(text, format, tree, key, value).filter(reads_as_wanted)
    {
        return (edited, true);
    }
    let comments = format != Format::Json && text.contains('#');
    (written(format, &wanted), !comments)
}

/// A section without keys reads as null, and says nothing.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(k, v)| (k, without_nulls(v)))
                .filter(|(_, v)| !v.is_null() && v.as_object().is_none_or(|o| !o.is_empty()))
                .collect(),
        ),
        other => other,
    }
}

fn put(tree: &mut Value, key: &str, value: &Value) {
    if !tree.is_object() {
        *tree = Value::Object(Map::new());
    }
    let Value::Object(map) = tree else { return };
    match key.split_once('.') {
        None => drop(map.insert(key.into(), value.clone())),
        Some((section, rest)) => put(map.entry(section).or_insert(Value::Null), rest, value),
    }
}

/// The text with a small change where the key stands or should stand.
fn edited(text: &str, format: Format, tree: Option<&Node>, key: &str, value: &Value) -> Option<String> {
    let names: Vec<&str> = key.split('.').collect();
    let mut found: Option<(Place, &Node)> = None;
    let mut depth = 0;
    for name in &names {
        let node = found.map_or(tree, |(_, node)| Some(node));
        let Some(Kind::Map(entries)) = node.map(|n| &n.kind) else { break };
        let Some((_, place, node)) = entries.iter().find(|(k, _, _)| k == name) else { break };
        found = Some((*place, node));
        depth += 1;
    }
    let shown = shown(format, value)?;
    let mut lines: Vec<String> = text.split('\n').map(ToOwned::to_owned).collect();
    let Some((place, node)) = found else {
        return Some(appended(text, format, &names, &shown));
    };
    let line = lines.get_mut(place.line.checked_sub(1)?)?;
    if depth == names.len() {
        if node.place.line != place.line {
            return None;
        }
        let start = byte_of(line, node.place.column)?;
        let end = start + scalar_len(&line[start..]);
        line.replace_range(start..end, &shown);
        return Some(lines.join("\n"));
    }
    if depth + 1 != names.len() {
        return None;
    }
    let separator = if format == Format::Toml { " = " } else { ": " };
    let new = format!("{}{separator}{shown}", names[depth]);
    let (line_number, indent) = match &node.kind {
        // In braces on the line of the section.
        Kind::Map(entries) if entries.first().is_some_and(|(_, at, _)| at.line == place.line) => {
            let start = byte_of(line, entries.first()?.1.column)?;
            line.insert_str(start, &format!("{new}, "));
            return Some(lines.join("\n"));
        }
        Kind::Map(entries) if format == Format::Yaml => {
            (place.line, entries.first().map_or(place.column + 1, |(_, at, _)| at.column - 1))
        }
        Kind::Map(_) => (place.line, 0),
        Kind::Scalar(Value::Null) if format == Format::Yaml => (place.line, place.column + 1),
        _ => return None,
    };
    lines.insert(line_number, format!("{}{new}", " ".repeat(indent)));
    Some(lines.join("\n"))
}

/// The text with a new section at its end.
fn appended(text: &str, format: Format, names: &[&str], shown: &str) -> String {
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let (name, sections) = names.split_last().map_or(("", [].as_slice()), |(name, sections)| (*name, sections));
    if format == Format::Toml {
        if !text.is_empty() && !sections.is_empty() {
            text.push('\n');
        }
        let header = if sections.is_empty() { String::new() } else { format!("[{}]\n", sections.join(".")) };
        return format!("{text}{header}{name} = {shown}\n");
    }
    for (depth, section) in sections.iter().enumerate() {
        text += &format!("{}{section}:\n", "  ".repeat(depth));
    }
    text + &format!("{}{name}: {shown}\n", "  ".repeat(sections.len()))
}

/// Byte of a column, which counts characters from 1.
fn byte_of(line: &str, column: usize) -> Option<usize> {
    let mut chars = line.char_indices().map(|(at, _)| at).chain([line.len()]);
    chars.nth(column.checked_sub(1)?)
}

/// Length of the value that a text begins with, in bytes: up to the closing quotation mark or bracket, a comment, or what ends it
/// within braces.
fn scalar_len(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut escaped = false;
    let mut before = ' ';
    let mut end = 0;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some('"'), '\\') if !escaped => escaped = true,
            (Some(q), _) if c == q && !escaped => quote = None,
            (Some(_), _) => escaped = false,
            (None, '"' | '\'') if at == 0 || depth > 0 => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') if depth > 0 => depth -= 1,
            (None, ',' | ']' | '}') if depth == 0 => break,
            (None, '#') if before.is_whitespace() => break,
            _ => {}
        }
        before = c;
        if !c.is_whitespace() {
            end = at + c.len_utf8();
        }
    }
    end
}

/// A value as it stands in a file; none for what a format cannot say.
fn shown(format: Format, value: &Value) -> Option<String> {
    match value {
        Value::Null if format == Format::Toml => None,
        // JSON is YAML, and its texts, numbers and lists are TOML. Words need no quotation marks in YAML.
        Value::String(word)
            if format == Format::Yaml
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-/.".contains(&b))
                && word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
                && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
                    .contains(&word.to_ascii_lowercase().as_str()) =>
        {
            Some(word.clone())
        }
        other => Some(other.to_string()),
    }
}

/// A whole document.
fn written(format: Format, tree: &Value) -> String {
    match format {
        Format::Json => serde_json::to_string_pretty(tree).unwrap_or_default() + "\n",
        Format::Yaml => {
            let mut text = String::new();
            yaml(&mut text, tree, 0);
            text
        }
        Format::Toml => {
            let mut text = String::new();
            toml(&mut text, tree, "");
            text
        }
    }
}

fn yaml(text: &mut String, tree: &Value, depth: usize) {
    for (name, value) in tree.as_object().into_iter().flatten() {
        let indent = "  ".repeat(depth);
        match value {
            Value::Object(map) if !map.is_empty() => {
                *text += &format!("{indent}{name}:\n");
                yaml(text, value, depth + 1);
            }
            other => *text += &format!("{indent}{name}: {}\n", shown(Format::Yaml, other).unwrap_or_default()),
        }
    }
}

fn toml(text: &mut String, tree: &Value, path: &str) {
    let entries = || tree.as_object().into_iter().flatten();
    for (name, value) in entries().filter(|(_, v)| !v.is_object()) {
        // What is null is not said.
        if let Some(shown) = shown(Format::Toml, value) {
            *text += &format!("{name} = {shown}\n");
        }
    }
    for (name, value) in entries().filter(|(_, v)| v.is_object()) {
        let path = super::keys::join(path, name);
        *text += &format!("\n[{path}]\n");
        toml(text, value, &path);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Settings;

    fn edit(text: &str, format: Format, key: &str, value: Value) -> (String, bool) {
        let tree = parse(text.as_bytes(), format).unwrap();
        set(text, format, tree.as_ref(), key, &value)
    }

    #[test]
    fn comments_and_order_stay_in_yaml() {
        let text = "# top\nlimits: # these\n  # how many\n  max_channels: 2   # two\n  max_bytes: \"x\" # b\nspool: {memory_mib: 4, x: [1, 2]}\nevents:\n";
        for (key, value, from, to) in [
            ("limits.max_channels", json!(8), "max_channels: 2 ", "max_channels: 8 "),
            ("limits.max_bytes", json!(9), "max_bytes: \"x\"", "max_bytes: 9"),
            ("spool.memory_mib", json!(5), "memory_mib: 4", "memory_mib: 5"),
            ("spool.x", json!([]), "x: [1, 2]", "x: []"),
            ("spool.new", json!("a b"), "{memory", "{new: \"a b\", memory"),
            ("limits.max_rate_hz", json!(1), "these\n", "these\n  max_rate_hz: 1\n"),
            ("events.lane_events", json!(1), "events:\n", "events:\n  lane_events: 1\n"),
        ] {
            assert_eq!(edit(text, Format::Yaml, key, value), (text.replacen(from, to, 1), true), "{key}");
        }
        let added = format!("{text}engine:\n  temp_dir: /tmp/a\n");
        assert_eq!(edit(text, Format::Yaml, "engine.temp_dir", json!("/tmp/a")), (added, true));
        assert_eq!(edit("", Format::Yaml, "a.b", json!(true)), ("a:\n  b: true\n".into(), true));
    }

    #[test]
    fn comments_and_order_stay_in_toml() {
        let text = "# top\n[limits] # these\nmax_channels = 2 # two\n\n[spool]\nmemory_mib = 4";
        assert_eq!(edit(text, Format::Toml, "limits.max_channels", json!(8)), (text.replace("= 2", "= 8"), true));
        let inserted = text.replace("these\n", "these\nmax_rate_hz = 1\n");
        assert_eq!(edit(text, Format::Toml, "limits.max_rate_hz", json!(1)), (inserted, true));
        let added = format!("{text}\n\n[engine]\npreset_dirs = [\"a\",\"b\"]\n");
        assert_eq!(edit(text, Format::Toml, "engine.preset_dirs", json!(["a", "b"])), (added, true));
    }

    #[test]
    fn what_cannot_be_changed_in_place_is_written_anew() {
        let list = "engine:\n  # these\n  preset_dirs:\n    - a\n    - b\nlimits: {max_channels: 3}\n";
        let expected = "engine:\n  preset_dirs: [\"c\"]\nlimits:\n  max_channels: 3\n";
        assert_eq!(edit(list, Format::Yaml, "engine.preset_dirs", json!(["c"])), (expected.into(), false));
        let null = "[engine]\ntemp_dir = \"x\"\nthreads = 2\n";
        let (text, kept) = edit(null, Format::Toml, "engine.temp_dir", Value::Null);
        assert_eq!((text.as_str(), kept), ("\n[engine]\nthreads = 2\n", true));
        let (text, _) = edit("{\"a\": {\"b\": 1}, \"c\": 2}", Format::Json, "a.b", json!(5));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({"a": {"b": 5}, "c": 2}));
    }

    #[test]
    fn a_key_is_set_in_a_file_and_only_if_all_is_right() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        let variable = [("PURESOUND_ENGINE__THREADS".to_owned(), "2".to_owned())];
        let options = ConfigOptions::new().variables(variable);
        let set = |key: &str, text: &str| options.set_in_file::<Settings>(&file, key, text);
        let made = set("limits.max_channels", "8").unwrap();
        assert_eq!((made.old, made.new, made.hidden_by), (None, json!(8), None));
        std::fs::write(&file, "# mine\nlimits:\n  max_channels: 8 # eight\n").unwrap();
        assert_eq!(set("limits.max_channels", "4").unwrap().old, Some(json!(8)));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "# mine\nlimits:\n  max_channels: 4 # eight\n");
        let hidden = set("engine.threads", "3").unwrap().hidden_by;
        assert_eq!(hidden, Some(Origin::Variable { name: "PURESOUND_ENGINE__THREADS".into() }));

        let before = std::fs::read(&file).unwrap();
        assert!(matches!(set("limits.max_chanels", "4"), Err(Error::UnknownName { suggestion: Some(_), .. })));
        assert!(matches!(set("limits.max_channels", "0"), Err(Error::InvalidValue { .. })));
        // Right by itself, wrong beside another key.
        assert!(matches!(set("events.history_bytes", "10"), Err(Error::Invalid { .. })));
        assert!(matches!(
            options.set_in_file::<Settings>(&dir.path().join("a.txt"), "engine.threads", "3"),
            Err(Error::InvalidValue { .. })
        ));
        assert_eq!(std::fs::read(&file).unwrap(), before);
        std::fs::write(&file, "limits: [").unwrap();
        assert!(matches!(set("limits.max_channels", "4"), Err(Error::Invalid { .. })));
        assert_eq!(std::fs::read(&file).unwrap(), b"limits: [");
    }

    #[test]
    fn every_edit_of_every_key_reads_back() {
        let text = super::super::print::default_yaml::<Settings>();
        let defaults = serde_json::to_value(Settings::default()).unwrap();
        let keys = Keys::read(&schema_of::<Settings>().to_value(), &defaults);
        for key in keys.keys.keys() {
            for value in
                [json!("a: b # c"), json!("it's \"x\""), json!(-1.5), json!([1, "]"]), Value::Null, json!("on")]
            {
                let (text, kept) = edit(&text, Format::Yaml, key, value.clone());
                assert!(kept, "{key} {value}");
                let tree = parse(text.as_bytes(), Format::Yaml).unwrap().unwrap().value();
                assert_eq!(find(&tree, key), Some(&value), "{key}");
            }
        }
    }
}
