//! Files by pattern: `*` and `?` within a name, `**` over any folders. Hidden names are left out unless the pattern names them.

use std::path::{Path, PathBuf};

use crate::cancel::CancelToken;
use crate::error::{Error, Result};
use crate::services::seams::FileSystem;

/// Deepest folder below where the pattern begins: links that go in circles end there.
const MAX_DEPTH: usize = 32;

/// The files that `pattern` names, sorted; at most one more than `max`, so that too many can be told from enough. A path that exists is
/// itself, whatever characters it has.
///
/// # Errors
/// [`Error::Io`], [`Error::Denied`]; [`Error::NotFound`] for a path without a pattern that is not there, or for the folder in which one
/// begins; [`Error::Cancelled`].
pub(super) fn find(pattern: &str, max: usize, files: &dyn FileSystem, cancel: &CancelToken) -> Result<Vec<PathBuf>> {
    let whole = Path::new(pattern);
    match files.info(whole) {
        Ok(info) if !info.folder => return Ok(vec![whole.to_path_buf()]),
        Err(e) if !pattern.contains(['*', '?']) => return Err(Error::io("read", Some(whole), e)),
        Ok(_) if !pattern.contains(['*', '?']) => {
            let allowed = format!("a file, or a pattern such as {pattern}/*.wav: this is a folder");
            return Err(Error::InvalidValue { name: "files".into(), value: pattern.into(), allowed });
        }
        _ => {}
    }
    let segments: Vec<&str> = pattern.split('/').collect();
    let plain = segments.iter().take_while(|segment| !segment.contains(['*', '?'])).count();
    let start = segments[..plain].join("/");
    let start =
        if plain == 0 { PathBuf::from(".") } else { PathBuf::from(if start.is_empty() { "/".into() } else { start }) };
    let mut walk = Walk { files, cancel, max, found: Vec::new() };
    walk.folder(&start, &segments[plain..], 0)?;
    walk.found.sort();
    walk.found.dedup();
    Ok(walk.found)
}

struct Walk<'a> {
    files: &'a dyn FileSystem,
    cancel: &'a CancelToken,
    max: usize,
    found: Vec<PathBuf>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, segments: &[&str], depth: usize) -> Result<()> {
        self.cancel.check()?;
        let Some((first, rest)) = segments.split_first() else { return Ok(()) };
        if self.found.len() > self.max || depth > MAX_DEPTH {
            return Ok(());
        }
        if *first == "**" && !rest.is_empty() {
            self.folder(folder, rest, depth + 1)?;
        }
        let entries = self.files.list(folder).map_err(|e| Error::io("read", Some(folder), e))?;
        for path in entries {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if name.starts_with('.') && !first.starts_with('.') {
                continue;
            }
            let any = *first == "**";
            if !any && !matches(first, name) {
                continue;
            }
            // What vanished in the meantime, and links to nothing, are not there.
            let Ok(info) = self.files.info(&path) else { continue };
            if info.folder {
                self.folder(&path, if any { segments } else { rest }, depth + 1)?;
            } else if rest.is_empty() && self.found.len() <= self.max {
                self.found.push(path);
            }
        }
        Ok(())
    }
}

/// True when a name matches a pattern of `*` and `?`.
fn matches(pattern: &str, name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    // reached[i]: the pattern so far matches the first i characters. One row per character keeps it linear in both.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for c in pattern.chars() {
        let mut next = vec![false; name.len() + 1];
        if c == '*' {
            let mut open = false;
            for i in 0..=name.len() {
                open |= reached[i];
                next[i] = open;
            }
        } else {
            for i in 0..name.len() {
                next[i + 1] = reached[i] && (c == '?' || c == name[i]);
            }
        }
        reached = next;
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::seams::SystemFiles;

    #[test]
    fn patterns_find_what_they_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.wav", "b.wav", "c.mp3", ".hidden.wav", "sub/d.wav", "sub/deep/e.wav", "odd[1]?.wav"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let found = |pattern: &str| -> Result<Vec<String>> {
            let all = find(&format!("{}/{pattern}", dir.path().display()), 100, &SystemFiles, &CancelToken::new())?;
            Ok(all.iter().map(|p| p.strip_prefix(dir.path()).unwrap().display().to_string()).collect())
        };
        assert_eq!(found("?.wav").unwrap(), ["a.wav", "b.wav"]);
        assert_eq!(found("*.mp3").unwrap(), ["c.mp3"]);
        assert_eq!(found("**/*.wav").unwrap(), ["a.wav", "b.wav", "odd[1]?.wav", "sub/d.wav", "sub/deep/e.wav"]);
        assert_eq!(found("*/d.wav").unwrap(), ["sub/d.wav"]);
        assert_eq!(found("sub/**").unwrap(), ["sub/d.wav", "sub/deep/e.wav"]);
        assert_eq!(found(".h*").unwrap(), [".hidden.wav"]);
        assert_eq!(found("odd[1]?.wav").unwrap(), ["odd[1]?.wav"]);
        assert_eq!(found("*.flac").unwrap(), [""; 0]);
        assert!(matches!(found("no.wav"), Err(Error::NotFound { .. })));
        assert!(matches!(found("no/*.wav"), Err(Error::NotFound { .. })));
        assert!(matches!(found("sub"), Err(Error::InvalidValue { .. })));
        let few = find(&format!("{}/**/*", dir.path().display()), 2, &SystemFiles, &CancelToken::new()).unwrap();
        assert_eq!(few.len(), 3, "one more than asked for");
    }
}
