//! The workflows that come with the library, and where others are found.

use std::path::Path;

use super::definition::Workflow;
use crate::error::{Error, Result};
use crate::services::seams::FileSystem;

/// The files of `configs/workflows`, in the library so that an embedded engine needs no files.
const BUILT_IN: &[(&str, &str)] = &[
    ("archive_ingest", include_str!("../../../configs/workflows/archive_ingest.yaml")),
    ("audiobook_acx", include_str!("../../../configs/workflows/audiobook_acx.yaml")),
    ("course_batch", include_str!("../../../configs/workflows/course_batch.yaml")),
    ("podcast_publish", include_str!("../../../configs/workflows/podcast_publish.yaml")),
];

/// Names of the built-in workflows.
pub fn built_in_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// A built-in workflow.
///
/// # Errors
/// [`Error::UnknownName`] with the closest name.
pub fn built_in(name: &str) -> Result<Workflow> {
    let found = BUILT_IN.iter().find(|(own, _)| *own == name);
    let (_, text) = found.ok_or_else(|| Error::unknown_name("workflow", name, built_in_names()))?;
    Workflow::from_text(text)
}

/// The text of a built-in workflow, to copy and change.
///
/// # Errors
/// As [`built_in`].
pub fn built_in_text(name: &str) -> Result<&'static str> {
    let found = BUILT_IN.iter().find(|(own, _)| *own == name);
    found.map(|(_, text)| *text).ok_or_else(|| Error::unknown_name("workflow", name, built_in_names()))
}

/// The workflow that `name` names: a file when it has a folder or an extension, else a built-in one.
///
/// # Errors
/// As [`built_in`] and [`Workflow::from_file`].
pub fn find(name: &str, files: &dyn FileSystem) -> Result<Workflow> {
    let path = Path::new(name);
    if path.components().count() > 1 || path.extension().is_some() {
        return Workflow::from_file(path, files);
    }
    built_in(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::PresetStore;

    #[test]
    fn every_file_is_sound_named_as_it_is_and_listed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/workflows");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        assert_eq!(files, built_in_names().collect::<Vec<_>>());
        let presets = PresetStore::built_in().unwrap();
        for name in built_in_names() {
            let workflow = built_in(name).unwrap();
            workflow.validate(&presets, Some(&[])).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(workflow.name, name);
            assert!(!workflow.description.is_empty() && !workflow.first_steps().is_empty());
            assert!(workflow.inputs.values().all(|input| !input.description.is_empty()), "{name}");
        }
    }

    #[test]
    fn unknown_names_get_a_suggestion() {
        let told = find("podcast_publsh", &crate::services::seams::SystemFiles).unwrap_err().to_string();
        assert!(told.contains("did you mean 'podcast_publish'?"), "{told}");
    }
}
