//! `puresound presets`: what the built-in and own presets are; making, moving and comparing them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use pure_sound::Error;
use pure_sound::formats::ReadOptions;
use pure_sound::presets::{Difference, Preset, PresetOrigin, PresetStore, Suggestion};
use pure_sound::processing::{LevelTarget, Recipe};
use pure_sound::services::seams::{FileSystem, SystemFiles};
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::failure::Failure;
use crate::job::ReadArgs;
use crate::progress::Progress;
use crate::{console, stdio};

/// List presets, show one, make and move your own, compare two.
///
/// Your own are kept in the folder 'presets.dir' of the configuration; by default 'presets' beside your configuration file.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Action>,
    /// The list as Markdown, for docs/presets.md.
    #[arg(long, hide = true)]
    markdown: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all presets.
    List {
        /// Only those of this category.
        #[arg(long, value_name = "NAME")]
        category: Option<String>,
    },
    /// Show one preset with everything it inherits, as YAML to copy and change.
    Show {
        /// Its name; NAME@VERSION for an older version of your own.
        name: String,
    },
    Create(CreateArgs),
    /// Write a preset to one file that stands alone, with a checksum.
    Export {
        /// Its name; NAME@VERSION for an older version of your own.
        name: String,
        /// File to write; default: standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Keep a preset that 'export' has written. A file in which a byte has changed is refused.
    Import {
        /// File to read.
        file: PathBuf,
        /// Take the place of an older version.
        #[arg(long)]
        replace: bool,
    },
    /// Tell what differs between two presets, field by field, with everything they inherit.
    Diff {
        /// One; NAME@VERSION for an older version of your own.
        left: String,
        /// The other.
        right: String,
    },
    /// Remove a preset of your own, with its older versions.
    Remove {
        /// Its name.
        name: String,
    },
    /// Tell which presets fit a recording, and why.
    Suggest {
        /// File to read; - is standard input.
        input: PathBuf,
        #[command(flatten)]
        read: ReadArgs,
    },
}

/// Make a preset of your own: from another one with changes, or from a file.
#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Its name: a-z, 0-9 and _.
    #[arg(required_unless_present = "file")]
    name: Option<String>,
    /// A whole preset in YAML or JSON, kept as it is.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "from", "recipe", "set", "category", "description"])]
    file: Option<PathBuf>,
    /// Preset whose values hold where this one says nothing.
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// Recipe in JSON or YAML.
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Value of the recipe, such as level.integrated_lufs=-18 or 'filters=[{type: highpass, cutoff_hz: 120}]'; goes over --recipe.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// What it is for, in a word; default: that of --from, or custom.
    #[arg(long, value_name = "NAME")]
    category: Option<String>,
    /// What it is for, in a sentence; default: that of --from.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Take the place of an older version, which stays as NAME@VERSION.
    #[arg(long)]
    replace: bool,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let engine = context.engine()?;
    let store = engine.presets();
    let category = match &args.command {
        Some(Action::Show { name }) => return show(context, &store.get(name)?),
        Some(Action::Create(args)) => return create(context, store, args),
        Some(Action::Export { name, output }) => return export(context, store, name, output.as_deref()),
        Some(Action::Import { file, replace }) => {
            return kept(context, store, &store.import(&read_text(file)?, *replace)?);
        }
        Some(Action::Diff { left, right }) => return diff(context, store, left, right),
        Some(Action::Remove { name }) => return remove(context, store, name),
        Some(Action::Suggest { input, read }) => return suggest(context, &engine, input, read),
        Some(Action::List { category }) => category.as_deref(),
        None => None,
    };
    if args.markdown {
        return Ok(console::print(&markdown(store))?);
    }
    if let Some(name) = category {
        let known = store.categories();
        if !known.iter().any(|c| c.name == name) {
            return Err(Error::unknown_name("category", name, known.iter().map(|c| c.name.as_str())).into());
        }
    }
    let presets: Vec<Preset> = store.iter().filter(|p| category.is_none_or(|c| p.category == c)).collect();
    if context.is_json() {
        return Ok(console::print_json(&presets, context.args.jsonl)?);
    }
    for problem in store.problems() {
        console::note(context, &format!("left out: {problem}"));
    }
    Ok(console::print(&list(store, &presets)?)?)
}

fn create(context: &Context, store: &PresetStore, args: &CreateArgs) -> Result<(), Failure> {
    if let Some(file) = &args.file {
        return kept(context, store, &store.create(&read_text(file)?, args.replace)?);
    }
    let name = args.name.as_deref().unwrap_or_default();
    let before = store.get(name).ok().filter(|_| matches!(store.origin(name), Ok(PresetOrigin::Own)));
    let mut recipe = match &args.recipe {
        Some(path) => yaml(&format!("recipe {}", path.display()), &read_text(path)?)?,
        None => Value::Object(Map::new()),
    };
    for pair in &args.set {
        let (path, text) = pair.split_once('=').ok_or_else(|| invalid("set", pair, "PATH=VALUE"))?;
        set(&mut recipe, path, yaml(path, text)?)?;
    }
    let mut document = json!({
        "layout": pure_sound::presets::LAYOUT,
        "name": name,
        "version": before.map_or(1, |preset| preset.version.saturating_add(1)),
    });
    let parent = args.from.as_deref().map(|from| store.get(from)).transpose()?;
    let inherited = |value: fn(&Preset) -> &String, other: &str| parent.as_ref().map_or(other, |p| value(p)).to_owned();
    document["category"] = args.category.clone().unwrap_or_else(|| inherited(|p| &p.category, "custom")).into();
    document["description"] =
        args.description.clone().unwrap_or_else(|| inherited(|p| &p.description, "No description.")).into();
    if let Some(from) = &args.from {
        document["inherits"] = from.as_str().into();
    }
    document["recipe"] = recipe;
    kept(context, store, &store.create(&to_yaml(&document)?, args.replace)?)
}

/// Puts a value into nested objects, which are made as needed.
fn set(at: &mut Value, path: &str, value: Value) -> Result<(), Failure> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let Some(fields) = at.as_object_mut() else {
        return Err(invalid("set", path, "a path of fields; lists are given whole").into());
    };
    let place = fields.entry(name).or_insert_with(|| Value::Object(Map::new()));
    match rest {
        Some(rest) => set(place, rest, value),
        None => {
            *place = value;
            Ok(())
        }
    }
}

/// Tells what was made.
fn kept(context: &Context, store: &PresetStore, preset: &Preset) -> Result<(), Failure> {
    if context.is_json() {
        return Ok(console::print_json(preset, context.args.jsonl)?);
    }
    let folder = store.own_dir().unwrap_or(Path::new("")).display();
    console::note(context, &format!("preset {} version {} is in {folder}", preset.name, preset.version));
    Ok(())
}

fn export(context: &Context, store: &PresetStore, name: &str, output: Option<&Path>) -> Result<(), Failure> {
    let text = store.export(name)?;
    match output {
        Some(path) => {
            SystemFiles.replace(path, text.as_bytes()).map_err(|e| Error::io("write", Some(path), e))?;
            console::note(context, &format!("wrote {}", path.display()));
            Ok(())
        }
        None => Ok(console::print(&text)?),
    }
}

fn remove(context: &Context, store: &PresetStore, name: &str) -> Result<(), Failure> {
    store.remove(name)?;
    console::note(context, &format!("removed preset {name}"));
    Ok(())
}

fn diff(context: &Context, store: &PresetStore, left: &str, right: &str) -> Result<(), Failure> {
    let found = store.diff(left, right)?;
    if context.is_json() {
        return Ok(console::print_json(&found, context.args.jsonl)?);
    }
    let mut rows = vec![vec!["field".to_owned(), left.to_owned(), right.to_owned()]];
    let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "-".to_owned(), Value::to_string);
    rows.extend(found.iter().map(|Difference { path, left, right }| vec![path.clone(), value(left), value(right)]));
    Ok(console::print(&if found.is_empty() { "no difference\n".into() } else { console::columns(&rows, &[]) })?)
}

fn suggest(context: &Context, engine: &pure_sound::Engine, input: &Path, read: &ReadArgs) -> Result<(), Failure> {
    let options = read.options(ReadOptions::default())?;
    let progress = Progress::of_job(context);
    let found = engine.suggest_presets(stdio::source(input)?, &options, &context.control(&progress))?;
    drop(progress);
    if context.is_json() {
        return Ok(console::print_json(&found, context.args.jsonl)?);
    }
    let mut rows = Vec::new();
    for Suggestion { preset, points, reasons } in &found {
        rows.push(vec![preset.clone(), points.to_string(), String::new(), String::new()]);
        for reason in reasons {
            let fact = crate::report::name_of(&reason.fact);
            rows.push(vec![
                String::new(),
                reason.points.to_string(),
                format!("{fact} {:.1}", reason.value),
                reason.because.clone(),
            ]);
        }
    }
    Ok(console::print(&if rows.is_empty() {
        "nothing speaks for a preset\n".into()
    } else {
        console::columns(&rows, &[1])
    })?)
}

fn read_text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|e| Error::io("read", Some(path), e))
}

fn yaml(name: &str, text: &str) -> Result<Value, Error> {
    serde_saphyr::from_str(text).map_err(|e| invalid(name, &e.to_string(), "JSON or YAML"))
}

fn to_yaml(value: &Value) -> Result<String, Error> {
    serde_saphyr::to_string(value).map_err(|e| Error::internal(format!("preset as YAML: {e}")))
}

fn invalid(name: &str, value: &str, allowed: &str) -> Error {
    Error::InvalidValue { name: name.into(), value: value.into(), allowed: allowed.into() }
}

fn show(context: &Context, preset: &Preset) -> Result<(), Failure> {
    if context.is_json() {
        return Ok(console::print_json(preset, context.args.jsonl)?);
    }
    Ok(console::print(&to_yaml(&lean(preset)?)?)?)
}

/// The preset without the recipe fields that have their default.
fn lean(preset: &Preset) -> Result<Value, Error> {
    let internal = |e: serde_json::Error| Error::internal(e.to_string());
    let mut value = serde_json::to_value(preset).map_err(internal)?;
    let defaults = serde_json::to_value(Recipe::default()).map_err(internal)?;
    if let (Some(recipe), Some(defaults)) = (value["recipe"].as_object_mut(), defaults.as_object()) {
        recipe.retain(|key, value| defaults.get(key) != Some(value));
    }
    Ok(value)
}

fn list(store: &PresetStore, presets: &[Preset]) -> Result<String, Error> {
    let mut rows = vec![vec!["name".into(), "category".into(), "level".into(), "description".into()]];
    for p in presets {
        let mark = if store.origin(&p.name)? == PresetOrigin::Own { "own: " } else { "" };
        let description = format!("{mark}{}", first_sentence(&p.description));
        rows.push(vec![p.name.clone(), p.category.clone(), level(&p.recipe), description]);
    }
    Ok(console::columns(&rows, &[]))
}

/// Level and peak of a recipe, such as `-16 LUFS, -1 dBTP`.
fn level(recipe: &Recipe) -> String {
    match recipe.level {
        Some(LevelTarget::Loudness { integrated_lufs, true_peak_dbtp }) => {
            format!("{integrated_lufs} LUFS, {true_peak_dbtp} dBTP")
        }
        Some(LevelTarget::Rms { rms_dbfs, true_peak_dbtp }) => format!("{rms_dbfs} dBFS RMS, {true_peak_dbtp} dBTP"),
        None if recipe.bit_exact => "bit-exact".into(),
        None => "as it is".into(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a list has room for; `show` has the rest.
fn first_sentence(text: &str) -> String {
    let line = one_line(text);
    line.split_once(". ").map_or(line.clone(), |(first, _)| format!("{first}."))
}

fn markdown(store: &PresetStore) -> String {
    let mut text = String::from(
        "# Presets\n\n<!-- Generated by `puresound presets --markdown`; a test compares. -->\n\n\
         | name | version | category | level | filters | what it is for |\n|---|---|---|---|---|---|\n",
    );
    for p in store.iter() {
        let filters: Vec<String> = p.recipe.filters.iter().map(crate::filters::name).collect();
        let filters = if filters.is_empty() { "none".to_owned() } else { filters.join(", ") };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {filters} | {} |",
            p.name,
            p.version,
            p.category,
            level(&p.recipe),
            one_line(&p.description)
        );
    }
    text.push_str("\n## Where the numbers come from\n");
    for p in store.iter().filter(|p| !p.sources.is_empty()) {
        let _ = writeln!(text, "\n### {}\n", p.name);
        for (value, source) in &p.sources {
            let _ = writeln!(text, "- `{value}`: {}", one_line(source));
        }
    }
    text
}
