//! `puresound config`: what the configuration is, where each value comes from, and whether files are right.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use pure_sound::Error;
use pure_sound::config::{Config, ConfigOptions, Generation, Settings, settings_schema};
use serde_json::{Value, json};

use crate::console;
use crate::context::{Context, own_config};
use crate::failure::Failure;

/// Show, check and compare configurations: files given by --config and PURESOUND_SECTION__KEY variables.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print every key with the value that holds.
    Show {
        /// Also tell where each value comes from.
        #[arg(long)]
        origin: bool,
    },
    /// Check files, each by itself; all mistakes are told at once.
    Check {
        /// Configuration files in YAML, TOML or JSON.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema of configuration files.
    Schema,
    /// Set a key in a file, keeping its comments; nothing is written when the result would be wrong.
    ///
    /// The file is the one of --file, the last one of --config, or the file of the user, which all commands read:
    /// puresound/config.yaml in $XDG_CONFIG_HOME (by default ~/.config), on Windows in %APPDATA%. It is made when it is not there.
    Set {
        /// Path of the key, such as limits.max_channels.
        key: String,
        /// Its new value; lists with commas.
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// File to change, in YAML, TOML or JSON.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Tell which keys have other values in the second file than in the first.
    Diff {
        /// The one before.
        before: PathBuf,
        /// The one after.
        after: PathBuf,
    },
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    match &args.action {
        Action::Show { origin } => show(context, &context.config()?.current(), *origin),
        Action::Check { files } => {
            for file in files {
                alone(file)?;
            }
            if context.is_json() {
                return Ok(console::print_json(&json!({ "checked": files }), context.args.jsonl)?);
            }
            Ok(())
        }
        Action::Schema => Ok(console::print_json(&settings_schema(), context.args.jsonl)?),
        Action::Set { key, value, file } => set(context, key, value, file.as_deref()),
        Action::Diff { before, after } => diff(context, &alone(before)?.current(), &alone(after)?.current()),
    }
}

/// What a file says over the built-in values, without variables.
fn alone(file: &Path) -> Result<Config, Failure> {
    Ok(Config::open(ConfigOptions::new().user_file(file))?)
}

fn set(context: &Context, key: &str, value: &str, file: Option<&Path>) -> Result<(), Failure> {
    let chosen = file.or(context.args.config.last().map(PathBuf::as_path)).map(Path::to_path_buf);
    let Some(named) = chosen.or_else(own_config) else {
        return Err(Failure::conflict("there is no folder for the file of the user: name one with --file"));
    };
    if let Some(folder) = named.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create folder", Some(folder), e))?;
    }
    // A link stays a link, and the permissions stay as they are.
    let file = std::fs::canonicalize(&named).unwrap_or_else(|_| named.clone());
    let before = std::fs::metadata(&file).ok();
    let own = own_config().filter(|path| path.exists());
    let files = own.iter().chain(&context.args.config).filter(|f| **f != named);
    let options = files.fold(ConfigOptions::new().process_variables(), ConfigOptions::user_file);
    let edit = options.user_file(&file).set_in_file::<Settings>(&file, key, value)?;
    if let Some(before) = before {
        std::fs::set_permissions(&file, before.permissions()).map_err(|e| Error::io("write", Some(&file), e))?;
    }
    if context.is_json() {
        let done = json!({
            "file": file,
            "key": key,
            "old": edit.old,
            "new": edit.new,
            "comments_kept": edit.comments_kept,
            "hidden_by": edit.hidden_by.map(|o| o.to_string()),
        });
        return Ok(console::print_json(&done, context.args.jsonl)?);
    }
    if context.args.quiet {
        return Ok(());
    }
    let old = edit.old.map_or_else(|| "not set".into(), |v| v.to_string());
    let mut text = format!("{}: {key}: {old} -> {}\n", console::clean(&file.display().to_string()), edit.new);
    if !edit.comments_kept {
        text += "the file was written anew: its comments are gone\n";
    }
    if let Some(origin) = edit.hidden_by {
        text += &format!("it does not hold: {} says something else\n", console::clean(&origin.to_string()));
    }
    Ok(console::print(&text)?)
}

fn show(context: &Context, now: &Generation, origin: bool) -> Result<(), Failure> {
    if context.is_json() {
        if !origin {
            return Ok(console::print_json(&now.to_json(), context.args.jsonl)?);
        }
        let keys: serde_json::Map<String, Value> = now
            .entries()
            .map(|(path, e)| (path.to_owned(), json!({ "value": e.value, "origin": e.origin.to_string() })))
            .collect();
        return Ok(console::print_json(&keys, context.args.jsonl)?);
    }
    let rows: Vec<Vec<String>> = now
        .entries()
        .map(|(path, entry)| {
            let mut row = vec![path.to_owned(), entry.value.to_string()];
            row.extend(origin.then(|| console::clean(&entry.origin.to_string())));
            row
        })
        .collect();
    Ok(console::print(&console::columns(&rows, &[]))?)
}

fn diff(context: &Context, before: &Generation, after: &Generation) -> Result<(), Failure> {
    let changes = after.diff(before);
    if context.is_json() {
        return Ok(console::print_json(&changes, context.args.jsonl)?);
    }
    let word = |value: &Option<Value>| value.as_ref().map_or_else(String::new, Value::to_string);
    let rows: Vec<Vec<String>> = changes
        .iter()
        .map(|c| vec![c.path.clone(), word(&c.old), "->".into(), word(&c.new), console::clean(&c.origin)])
        .collect();
    Ok(console::print(&console::columns(&rows, &[]))?)
}
