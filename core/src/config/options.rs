//! Where a configuration is read from, layer by layer.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::layers::{Entries, Entry, Origin, Reader};
use crate::error::Problem;
use crate::services::seams::{Clock, FileSystem, SystemClock, SystemFiles};

/// Where a configuration is read from. Without anything it is the built-in one.
#[derive(Clone)]
pub struct ConfigOptions {
    pub(super) folder: Option<PathBuf>,
    pub(super) environment: Option<String>,
    user_files: Vec<PathBuf>,
    prefix: String,
    pub(super) variables: Vec<(String, String)>,
    command_line: Vec<(String, String)>,
    host: Vec<(String, Value)>,
    pub(super) files: Arc<dyn FileSystem>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Default for ConfigOptions {
    fn default() -> Self {
        Self {
            folder: None,
            environment: None,
            user_files: Vec::new(),
            prefix: "PURESOUND_".into(),
            variables: Vec::new(),
            command_line: Vec::new(),
            host: Vec::new(),
            files: Arc::new(SystemFiles),
            clock: Arc::new(SystemClock::default()),
        }
    }
}

impl ConfigOptions {
    /// The built-in configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// A folder with `default.yaml`, `config.d/*`, `{environment}.yaml`, `local.yaml`, all of which may be missing, or be TOML
    /// or JSON.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Name of the environment, such as `production`. Its file must be there.
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.environment = Some(name.into());
        self
    }

    /// A file of the user, after those of the folder. It must be there.
    pub fn user_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.user_files.push(path.into());
        self
    }

    /// What variables of this configuration begin with. Default `PURESOUND_`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Environment variables. Those with the prefix and a `__` set keys: `PURESOUND_EVENTS__LANE_EVENTS=64`. Others are
    /// for `env:NAME` in secrets.
    pub fn variables(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.variables.extend(variables);
        self
    }

    /// The environment variables of this process. Those that are not Unicode are left out.
    pub fn process_variables(self) -> Self {
        let unicode = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        self.variables(unicode)
    }

    /// A value of the command line, `path` as in `events.lane_events`.
    pub fn command_line(mut self, path: impl Into<String>, value: impl Into<String>) -> Self {
        self.command_line.push((path.into(), value.into()));
        self
    }

    /// Values of the program that embeds the library, by path, above all but those of calls to a running configuration.
    pub fn host_values(mut self, values: impl IntoIterator<Item = (String, Value)>) -> Self {
        self.host.extend(values);
        self
    }

    /// Reads files through this.
    pub fn files(mut self, files: Arc<dyn FileSystem>) -> Self {
        self.files = files;
        self
    }

    /// Takes the time from this.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// All layers below the calls, from low to high.
    pub(super) fn read(&self, reader: &mut Reader) -> Entries {
        let mut entries = Entries::new();
        for (path, key) in &reader.keys.keys {
            let default = key.default.clone();
            entries.insert(path.clone(), Entry { value: default, origin: Origin::BuiltIn, secret: None });
        }
        if let Some(folder) = &self.folder {
            // One that is gone must not pass for one that is empty.
            let message = match self.files.info(folder) {
                Ok(info) if info.folder => None,
                Ok(_) => Some("is no folder".to_owned()),
                Err(e) => Some(format!("cannot be read: {e}")),
            };
            if let Some(message) = message {
                let place = folder.display().to_string();
                reader.problems.push(Problem { place, path: String::new(), message });
            }
            reader.stem(folder, "default", false, &mut entries);
            reader.folder(&folder.join("config.d"), &mut entries);
        }
        if let Some(name) = &self.environment {
            let word = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            match &self.folder {
                Some(folder) if word && name != "default" && name != "local" => {
                    reader.stem(folder, name, true, &mut entries);
                }
                _ => reader.problems.push(Problem {
                    place: String::new(),
                    path: String::new(),
                    message: format!(
                        "environment '{name}': needs a folder and a name of letters, not 'default' or 'local'"
                    ),
                }),
            }
        }
        if let Some(folder) = &self.folder {
            reader.stem(folder, "local", false, &mut entries);
        }
        for path in &self.user_files {
            reader.file(path, true, &mut entries);
        }
        for (name, value) in &self.variables {
            let Some(rest) = name.strip_prefix(&self.prefix) else { continue };
            let path = rest.to_ascii_lowercase();
            let origin = Origin::Variable { name: name.clone() };
            if path.contains("__") {
                reader.text_value(&path.replace("__", "."), value, origin, &mut entries);
            } else if let Some(meant) = reader.keys.keys.keys().find(|k| k.replace('.', "_") == path) {
                let meant = meant.to_ascii_uppercase().replace('.', "__");
                let message = format!("is not a key, did you mean {}{meant}?", self.prefix);
                reader.problems.push(Problem { place: origin.to_string(), path, message });
            }
        }
        for (path, value) in &self.command_line {
            reader.text_value(path, value, Origin::CommandLine, &mut entries);
        }
        for (path, value) in &self.host {
            reader.value(path, value.clone(), Origin::Call { by: "host".into() }, &mut entries);
        }
        entries
    }
}
