//! `puresound jobs submit`: one job for each input.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pure_sound::Error;
use pure_sound::config::JobSettings;
use pure_sound::jobs::{JobSpec, JobStore, PROCESS, Unique, parse_duration_ms, parse_time};
use pure_sound::processing::Recipe;
use pure_sound::services::seams::{Clock, SystemClock};
use serde_json::json;

use super::StoreArgs;
use crate::batch::walk;
use crate::console;
use crate::context::Context;
use crate::failure::Failure;
use crate::job::{ReadArgs, SoundArgs, WriteArgs};
use crate::stdio;

/// Queue recordings to be processed: files, or folders with all that is in them.
///
/// One job for each recording; several make a batch. The recipe is fixed now: a preset that changes later does not change it. Paths
/// are kept as absolute ones.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files and folders to read.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// File to write; or folder, with --format: needed for several recordings. Made when it is not there.
    #[arg(long, short, value_name = "OUT")]
    output: PathBuf,
    /// -100 to 100; more goes first.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// Not before this time, such as 2026-12-24T18:00:00+01:00.
    #[arg(long, value_name = "TIME", conflicts_with = "after")]
    at: Option<String>,
    /// Not before so long from now, such as 90s, 10m, 1.5h or 2d.
    #[arg(long, value_name = "DURATION")]
    after: Option<String>,
    /// Queue to put it in.
    #[arg(long, value_name = "NAME", default_value = "default")]
    queue: String,
    /// At most one job that is not over has this key; asking again answers the one that is there. With several recordings the path of
    /// each output is added to it.
    #[arg(long, value_name = "KEY")]
    unique_key: Option<String>,
    /// Put this request in place of one of the same key that still waits.
    #[arg(long, requires = "unique_key")]
    replace: bool,
    /// On whose behalf.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Longest time that one try may take, such as 10m.
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// Name of the batch, for people.
    #[arg(long, value_name = "NAME")]
    batch: Option<String>,
    /// When two inputs would have the same output (a.wav, a.mp3), name them a.wav.opus and a.mp3.opus instead of refusing.
    #[arg(long)]
    disambiguate: bool,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    sound: SoundArgs,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    read: ReadArgs,
}

/// One recording.
struct Work {
    input: PathBuf,
    output: PathBuf,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let settings = context.config()?.current().settings.jobs.clone();
    let (works, specs) = args.requests(context, &settings)?;
    let store = args.store.open(&settings)?;
    args.enqueue(context, &*store, &works, specs)
}

impl Args {
    /// The request for the one recording that these arguments name, and the store.
    pub fn single(&self, context: &Context) -> Result<(JobSpec, Arc<dyn JobStore>), Failure> {
        if self.batch.is_some() {
            return Err(Failure::conflict("--batch is for jobs that are submitted together"));
        }
        let settings = context.config()?.current().settings.jobs.clone();
        let (_, mut specs) = self.requests(context, &settings)?;
        match (specs.pop(), specs.is_empty()) {
            (Some(spec), true) => Ok((spec, self.store.open(&settings)?)),
            _ => Err(Failure::conflict("a schedule makes one job each time: name one recording")),
        }
    }

    /// What is wanted, with folders for the outputs.
    fn requests(&self, context: &Context, settings: &JobSettings) -> Result<(Vec<Work>, Vec<JobSpec>), Failure> {
        let engine = context.engine()?;
        let mut recipe = self.sound.recipe(&engine)?;
        recipe.read = self.read.options(recipe.read)?;
        recipe.outputs.clear();
        let works = self.works()?;
        let specs = self.specs(&works, &recipe, settings)?;
        for work in &works {
            if let Some(folder) = work.output.parent() {
                std::fs::create_dir_all(folder).map_err(|e| Error::io("create folder", Some(folder), e))?;
            }
        }
        Ok((works, specs))
    }

    /// Inputs with their outputs, as absolute paths.
    fn works(&self) -> Result<Vec<Work>, Failure> {
        let mut items = Vec::new();
        let mut single = true;
        for input in &self.inputs {
            if stdio::is_dash(input) || stdio::is_dash(&self.output) {
                return Err(Failure::conflict("a job reads and writes files: - would be gone when its turn comes"));
            }
            let input = absolute(input)?;
            let info = std::fs::metadata(&input).map_err(|e| Error::io("open", Some(&input), e))?;
            if info.is_dir() {
                single = false;
                let found = walk::find(&input, &self.output, None, true)?;
                items.extend(found.into_iter().map(|item| (input.join(&item.input), item)));
            } else {
                let name = input.file_name().map(PathBuf::from).unwrap_or_default();
                let bytes = info.len();
                items.push((input, walk::Item { input: name, output: PathBuf::new(), bytes, modified_ns: 0 }));
            }
        }
        let output = absolute(&self.output)?;
        // A path that ends in a separator is meant to be a folder.
        let text = self.output.to_string_lossy();
        let folder = output.is_dir() || text.ends_with(std::path::MAIN_SEPARATOR) || text.ends_with('/');
        if single && items.len() == 1 && !folder {
            let input = items.remove(0).0;
            return Ok(vec![Work { input, output }]);
        }
        let extension = self.write.extension()?;
        let (inputs, items): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        let items = walk::name_outputs(items, &extension, self.disambiguate)?;
        let works = inputs.into_iter().zip(items).map(|(input, item)| Work { input, output: output.join(item.output) });
        Ok(works.collect())
    }

    fn specs(&self, works: &[Work], recipe: &Recipe, settings: &JobSettings) -> Result<Vec<JobSpec>, Failure> {
        let run_at_ms = match (&self.at, &self.after) {
            (Some(time), _) => Some(parse_time(time)?),
            (None, Some(pause)) => Some(SystemClock::default().unix_ms().saturating_add(parse_duration_ms(pause)?)),
            (None, None) => None,
        };
        let timeout_run_ms = self.timeout.as_deref().map(parse_duration_ms).transpose()?;
        let mut outputs = BTreeSet::new();
        let mut specs = Vec::with_capacity(works.len());
        for work in works {
            if work.input == work.output || !outputs.insert(&work.output) {
                let what = format!("{} would be written over", work.output.display());
                return Err(Failure::conflict(what));
            }
            let mut recipe = recipe.clone();
            self.write.apply(&mut recipe, std::slice::from_ref(&work.output))?;
            recipe.input.clone_from(&work.input);
            recipe.validate()?;
            let payload = serde_json::to_value(&recipe).map_err(|e| Error::internal(e.to_string()))?;
            let key = self.unique_key.as_ref().map(|key| match works.len() {
                1 => key.clone(),
                _ => format!("{key}:{}", work.output.display()),
            });
            let unique = key.map(|key| Unique { key, window_ms: None, replace: self.replace });
            let spec = JobSpec {
                queue: self.queue.clone(),
                tenant: self.tenant.clone(),
                priority: self.priority,
                run_at_ms,
                unique,
                timeout_run_ms,
                ..JobSpec::with_settings(PROCESS, payload, settings)
            };
            spec.validate()?;
            specs.push(spec);
        }
        Ok(specs)
    }

    fn enqueue(
        &self,
        context: &Context,
        store: &dyn JobStore,
        works: &[Work],
        specs: Vec<JobSpec>,
    ) -> Result<(), Failure> {
        let name = self.batch.clone().unwrap_or_else(|| "puresound jobs submit".into());
        let (batch, made) = if specs.len() > 1 || self.batch.is_some() {
            let (id, made) = store.enqueue_batch(&name, json!(null), specs)?;
            (Some(id), made)
        } else {
            (None, store.enqueue(specs)?)
        };
        let rows = made.iter().zip(works);
        if context.is_json() {
            let jobs: Vec<_> = rows
                .map(|(made, work)| {
                    json!({
                        "id": made.id, "duplicate": made.duplicate, "replaced": made.replaced,
                        "input": work.input, "output": work.output,
                    })
                })
                .collect();
            if !context.args.jsonl {
                return Ok(console::print_json(&json!({ "batch": batch, "jobs": jobs }), false)?);
            }
            for mut job in jobs {
                job["event"] = "submitted".into();
                job["batch"] = json!(batch);
                console::print_json(&job, true)?;
            }
            return Ok(());
        }
        if context.args.quiet {
            return Ok(());
        }
        let mut text = console::columns(
            &rows
                .map(|(made, work)| {
                    let note = match (made.duplicate, made.replaced) {
                        (_, true) => "replaced",
                        (true, _) => "was there",
                        _ => "queued",
                    };
                    vec![made.id.to_string(), note.into(), console::clean(&work.output.display().to_string())]
                })
                .collect::<Vec<_>>(),
            &[],
        );
        if let Some(batch) = batch {
            text += &format!("batch {batch}: {} jobs\n", made.len());
        } else if made.is_empty() {
            text += "no audio files found\n";
        }
        Ok(console::print(&text)?)
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    Ok(std::path::absolute(path).map_err(|e| Error::io("open", Some(path), e))?)
}
