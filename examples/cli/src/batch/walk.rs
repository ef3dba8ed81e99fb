//! Which files a batch reads and what it calls their outputs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pure_sound::Error;

use super::glob;

/// Extensions of files that are taken without a pattern. What they really are is decided by content.
const EXTENSIONS: &[&str] = &[
    "aac", "adts", "aif", "aifc", "aiff", "au", "bwf", "caf", "flac", "loas", "latm", "m4a", "m4b", "mka", "mkv",
    "mov", "mp1", "mp2", "mp3", "mp4", "oga", "ogg", "opus", "rf64", "snd", "w64", "wav", "wave", "weba", "webm", "wv",
];

/// One file of a batch; both paths are relative to their folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub input: PathBuf,
    pub output: PathBuf,
    pub bytes: u64,
    pub modified_ns: u128,
}

/// The files below `root`, sorted. Hidden files and folders and the output folder are left out.
pub fn find(root: &Path, output: &Path, pattern: Option<&str>, recursive: bool) -> Result<Vec<Item>, Error> {
    let real_root = fs::canonicalize(root).map_err(|e| Error::io("open folder", Some(root), e))?;
    let real_output = fs::canonicalize(output).ok();
    if real_output.as_ref() == Some(&real_root) {
        let what = "the output folder is the input folder: the next run would read its own outputs".into();
        return Err(Error::Conflict { what });
    }
    let mut items = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = real_root.join(&folder);
        let entries = fs::read_dir(&path).map_err(|e| Error::io("read folder", Some(&path), e))?;
        for entry in entries {
            let entry = entry.map_err(|e| Error::io("read folder", Some(&path), e))?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let relative = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(|e| Error::io("read", Some(&entry.path()), e))?;
            if kind.is_dir() {
                // Links to folders are not followed: they may lead in a circle.
                if recursive && fs::canonicalize(entry.path()).ok() != real_output {
                    folders.push(relative);
                }
            } else if wanted(&relative, pattern)
                && let Ok(meta) = fs::metadata(entry.path())
                && meta.is_file()
            {
                items.push(Item {
                    input: relative,
                    output: PathBuf::new(),
                    bytes: meta.len(),
                    modified_ns: modified_ns(&meta),
                });
            }
        }
    }
    items.sort_by(|a, b| a.input.cmp(&b.input));
    Ok(items)
}

/// Time of the last change, in ns since 1970; 0 where the system does not tell.
pub fn modified_ns(meta: &fs::Metadata) -> u128 {
    let since = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or(0, |d| d.as_nanos())
}

fn wanted(relative: &Path, pattern: Option<&str>) -> bool {
    match pattern {
        None => relative.extension().is_some_and(|e| EXTENSIONS.contains(&e.to_string_lossy().to_lowercase().as_str())),
        Some(p) if p.contains('/') => glob::matches(p, &relative.to_string_lossy().replace('\\', "/")),
        Some(p) => relative.file_name().is_some_and(|n| glob::matches(p, &n.to_string_lossy())),
    }
}

/// Names the outputs: the input's path with `extension`.
///
/// # Errors
/// [`Error::Conflict`] when two inputs would have one output, unless `disambiguate`: then those keep their own extension
/// before the new one. Names that differ only in case count as the same, because some file systems cannot tell.
pub fn name_outputs(mut items: Vec<Item>, extension: &str, disambiguate: bool) -> Result<Vec<Item>, Error> {
    for item in &mut items {
        item.output = item.input.with_extension(extension);
    }
    if disambiguate {
        let count = count_outputs(&items);
        for item in items.iter_mut().filter(|i| count[&key(&i.output)].len() > 1) {
            let mut name = item.input.as_os_str().to_owned();
            name.push(".");
            name.push(extension);
            item.output = name.into();
        }
    }
    if let Some((_, inputs)) = count_outputs(&items).into_iter().find(|(_, inputs)| inputs.len() > 1) {
        let list: Vec<String> = inputs.iter().map(|p| p.display().to_string()).collect();
        let output = inputs[0].with_extension(extension);
        let what = format!(
            "{} would all become {}; --disambiguate keeps their extensions in the names",
            list.join(" and "),
            output.display()
        );
        return Err(Error::Conflict { what });
    }
    Ok(items)
}

fn count_outputs(items: &[Item]) -> BTreeMap<String, Vec<PathBuf>> {
    let mut count: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for item in items {
        count.entry(key(&item.output)).or_default().push(item.input.clone());
    }
    count
}

fn key(path: &Path) -> String {
    path.to_string_lossy().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(names: &[&str]) -> Vec<Item> {
        let item = |n: &&str| Item { input: n.into(), output: PathBuf::new(), bytes: 1, modified_ns: 0 };
        names.iter().map(item).collect()
    }

    #[test]
    fn outputs_mirror_the_tree() {
        let named = name_outputs(items(&["a.wav", "x/a.wav", "x/b.c.mp3"]), "opus", false).unwrap();
        let outputs: Vec<_> = named.iter().map(|i| i.output.to_str().unwrap()).collect();
        assert_eq!(outputs, ["a.opus", "x/a.opus", "x/b.c.opus"]);
    }

    #[test]
    fn two_inputs_for_one_output_are_refused_or_told_apart() {
        let error = name_outputs(items(&["a.mp3", "a.wav"]), "opus", false).unwrap_err();
        assert!(matches!(error, Error::Conflict { ref what } if what.contains("a.mp3 and a.wav")), "{error}");
        let named = name_outputs(items(&["a.mp3", "a.wav", "b.wav"]), "opus", true).unwrap();
        let outputs: Vec<_> = named.iter().map(|i| i.output.to_str().unwrap()).collect();
        assert_eq!(outputs, ["a.mp3.opus", "a.wav.opus", "b.opus"]);
        assert!(name_outputs(items(&["A.wav", "a.mp3"]), "opus", false).is_err());
    }

    #[test]
    fn finds_audio_in_folders_but_not_hidden_files_nor_the_output() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["a.wav", "notes.txt", ".hidden.wav", "x/b.MP3", "out/c.opus", "x/d.bin"] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), b"x").unwrap();
        }
        let names = |pattern, recursive| -> Vec<String> {
            let found = find(root, &root.join("out"), pattern, recursive).unwrap();
            found.iter().map(|i| i.input.to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(None, true), ["a.wav", "x/b.MP3"]);
        assert_eq!(names(None, false), ["a.wav"]);
        assert_eq!(names(Some("*.bin"), true), ["x/d.bin"]);
        assert_eq!(names(Some("x/*"), true), ["x/b.MP3", "x/d.bin"]);
        assert!(matches!(find(root, root, None, true), Err(Error::Conflict { .. })));
        assert!(matches!(find(&root.join("no"), root, None, true), Err(Error::NotFound { .. })));
    }
}
