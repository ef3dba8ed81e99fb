//! Recipes whose outputs stay in memory.

use std::path::PathBuf;

use super::Engine;
use crate::error::{Error, Result};
use crate::formats::Source;
use crate::processing::{Control, Overwrite, Recipe, Report};

impl Engine {
    /// As [`Engine::process_source`], but the outputs come back as bytes, in order. They have no path; their format is stated
    /// (`outputs: [{format: {format: "opus"}}]`). While they are made they are files in the engine's temporary folder.
    ///
    /// # Errors
    /// As [`Engine::process`]; [`Error::InvalidValue`] for an output with a path or without a format.
    pub fn process_to_memory(
        &self,
        source: Source,
        recipe: &Recipe,
        control: &Control,
    ) -> Result<(Report, Vec<Vec<u8>>)> {
        let io = |op| move |e| Error::io(op, None, e);
        let mut folder = tempfile::Builder::new();
        let folder = match &self.temp_dir {
            Some(dir) => folder.prefix("pure-sound-").tempdir_in(dir),
            None => folder.prefix("pure-sound-").tempdir(),
        };
        let folder = folder.map_err(io("create temporary folder"))?;
        let mut staged = recipe.clone();
        staged.overwrite = Overwrite::Replace;
        for (index, output) in staged.outputs.iter_mut().enumerate() {
            let wrong = |field: &str, value: String, allowed: &str| Error::InvalidValue {
                name: format!("outputs[{index}].{field}"),
                value,
                allowed: allowed.into(),
            };
            if !output.path.as_os_str().is_empty() {
                return Err(wrong("path", output.path.display().to_string(), "none: the output stays in memory"));
            }
            let Some(format) = &output.format else {
                return Err(wrong("format", "none".into(), "a format: without a path nothing else tells it"));
            };
            output.path = folder.path().join(format!("{index}.{}", format.extension()));
        }
        let mut report = self.process_source(source, &staged, control)?;
        let mut bytes = Vec::with_capacity(staged.outputs.len());
        for (output, told) in staged.outputs.iter().zip(&mut report.outputs) {
            bytes.push(std::fs::read(&output.path).map_err(io("read temporary file"))?);
            told.path = PathBuf::new();
        }
        Ok((report, bytes))
    }
}
