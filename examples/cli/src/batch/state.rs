//! What earlier runs of a batch did: one JSON line per finished file in the output folder.
//!
//! A line is written after its file is in place, so a crash costs at most a repeated file. The last line of an input
//! counts; a torn last line is ignored.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use pure_sound::Error;
use pure_sound::processing::Recipe;
use serde::{Deserialize, Serialize};

use super::walk::{self, Item};

/// Name of the file in the output folder.
pub const FILE_NAME: &str = ".puresound-batch.jsonl";

/// How a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    Failed,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    input: PathBuf,
    bytes: u64,
    modified_ns: u128,
    recipe: String,
    outcome: Outcome,
    output: PathBuf,
    output_bytes: u64,
    output_modified_ns: u128,
}

impl Entry {
    /// The entry of a file that ended now.
    pub fn new(item: &Item, recipe: &str, outcome: Outcome, output_root: &Path) -> Self {
        let meta = fs::metadata(output_root.join(&item.output)).ok();
        Self {
            input: item.input.clone(),
            bytes: item.bytes,
            modified_ns: item.modified_ns,
            recipe: recipe.into(),
            outcome,
            output: item.output.clone(),
            output_bytes: meta.as_ref().map_or(0, fs::Metadata::len),
            output_modified_ns: meta.as_ref().map_or(0, walk::modified_ns),
        }
    }
}

/// All lines, and the file open for more.
#[derive(Debug)]
pub struct State {
    entries: BTreeMap<PathBuf, Entry>,
    path: PathBuf,
    file: Option<File>,
}

impl State {
    /// Reads what is there; makes the folder unless `read_only`.
    pub fn open(output_root: &Path, read_only: bool) -> Result<Self, Error> {
        let path = output_root.join(FILE_NAME);
        let mut entries = BTreeMap::new();
        let mut torn = false;
        match fs::read(&path) {
            Ok(bytes) => {
                torn = bytes.last().is_some_and(|b| *b != b'\n');
                for line in String::from_utf8_lossy(&bytes).lines() {
                    if let Ok(entry) = serde_json::from_str::<Entry>(line) {
                        entries.insert(entry.input.clone(), entry);
                    }
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("read", Some(&path), e)),
        }
        let mut file = None;
        if !read_only {
            fs::create_dir_all(output_root).map_err(|e| Error::io("create folder", Some(output_root), e))?;
            let io = |e| Error::io("write", Some(&path), e);
            let mut opened = OpenOptions::new().create(true).append(true).open(&path).map_err(io)?;
            if torn {
                opened.write_all(b"\n").map_err(io)?;
            }
            file = Some(opened);
        }
        Ok(Self { entries, path, file })
    }

    /// Why `item` need not be done, if so.
    pub fn reason_to_skip(&self, item: &Item, recipe: &str, output_root: &Path, resume: bool) -> Option<&'static str> {
        let entry = self.entries.get(&item.input)?;
        let same = entry.bytes == item.bytes
            && entry.modified_ns == item.modified_ns
            && entry.recipe == recipe
            && entry.output == item.output;
        if !same {
            return None;
        }
        match entry.outcome {
            Outcome::Failed => resume.then_some("failed before"),
            Outcome::Done => {
                let meta = fs::metadata(output_root.join(&item.output)).ok()?;
                let untouched =
                    meta.len() == entry.output_bytes && walk::modified_ns(&meta) == entry.output_modified_ns;
                untouched.then_some("unchanged")
            }
        }
    }

    /// Notes that a file ended. Durable when it returns.
    pub fn append(&mut self, entry: &Entry) -> Result<(), Error> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let mut line = serde_json::to_string(entry).map_err(|e| Error::internal(e.to_string()))?;
        line.push('\n');
        // One write per line: lines of two runs at the same time do not mix.
        file.write_all(line.as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(|e| Error::io("write", Some(&self.path), e))
    }
}

/// Stands for everything that decides the output besides the input: the recipe and the program's version.
pub fn recipe_key(recipe: &Recipe, version: &str) -> Result<String, Error> {
    let mut json = serde_json::to_value(recipe).map_err(|e| Error::internal(e.to_string()))?;
    // Where the sample output lies does not matter.
    if let Some(outputs) = json["outputs"].as_array_mut() {
        outputs.iter_mut().for_each(|o| o["path"] = "".into());
    }
    Ok(blake3::hash(format!("{version}\n{json}").as_bytes()).to_hex()[..32].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_what_is_done_and_unchanged_and_survives_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let item = Item { input: "a.wav".into(), output: "a.opus".into(), bytes: 10, modified_ns: 5 };
        let other = Item { input: "b.wav".into(), output: "b.opus".into(), ..item.clone() };
        fs::write(root.join("a.opus"), b"out").unwrap();
        let mut state = State::open(root, false).unwrap();
        state.append(&Entry::new(&item, "r1", Outcome::Done, root)).unwrap();
        state.append(&Entry::new(&other, "r1", Outcome::Failed, root)).unwrap();
        let mut file = OpenOptions::new().append(true).open(root.join(FILE_NAME)).unwrap();
        file.write_all(b"{\"input\":\"c").unwrap();

        let state = State::open(root, false).unwrap();
        assert_eq!(state.reason_to_skip(&item, "r1", root, false), Some("unchanged"));
        assert_eq!(state.reason_to_skip(&item, "r2", root, false), None);
        assert_eq!(state.reason_to_skip(&Item { modified_ns: 6, ..item.clone() }, "r1", root, false), None);
        assert_eq!(state.reason_to_skip(&other, "r1", root, false), None);
        assert_eq!(state.reason_to_skip(&other, "r1", root, true), Some("failed before"));
        fs::write(root.join("a.opus"), b"changed").unwrap();
        assert_eq!(state.reason_to_skip(&item, "r1", root, false), None);
        assert!(fs::read(root.join(FILE_NAME)).unwrap().ends_with(b"\n"));
    }

    #[test]
    fn the_key_follows_the_recipe_but_not_the_output_path() {
        let recipe = |path: &str, rate| Recipe {
            rate_hz: rate,
            outputs: vec![pure_sound::processing::Output::new(path)],
            ..Recipe::default()
        };
        let key = |r: &Recipe| recipe_key(r, "1").unwrap();
        assert_eq!(key(&recipe("a/x.wav", None)), key(&recipe("b/x.wav", None)));
        assert_ne!(key(&recipe("a/x.wav", None)), key(&recipe("a/x.wav", Some(48_000))));
    }
}
