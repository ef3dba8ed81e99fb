//! `puresound batch`: a folder in, a folder out.
//!
//! Files run in parallel; a broken one does not stop the others. Finished files are noted in the output folder, so that
//! the next run does only what is new or changed, also after a crash.

mod glob;
mod state;
mod summary;
pub mod walk;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pure_sound::processing::{Control, Recipe};
use pure_sound::{Engine, Error};

use crate::context::Context;
use crate::failure::Failure;
use crate::job::{ReadArgs, SoundArgs, WriteArgs};
use crate::progress;
use state::{Entry, Outcome, State};
use summary::{Row, Summary};
use walk::Item;

/// Process every audio file of a folder into another folder, keeping the tree.
///
/// Files that were done before and have not changed are skipped; notes about them are in .puresound-batch.jsonl in the
/// output folder. Exit code 1 when some files failed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder to read.
    pub input: PathBuf,
    /// Folder to write; made when it is not there.
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
    /// Only files whose name (or path below the folder, when the pattern has a '/') matches: *, ?, ** for any folders.
    #[arg(long, value_name = "GLOB")]
    pub pattern: Option<String>,
    /// Files at the same time; 0 is one per core.
    #[arg(long, short, value_name = "N", default_value_t = 0)]
    pub jobs: usize,
    /// Do not go into folders below.
    #[arg(long)]
    pub no_recursive: bool,
    /// Do every file again, changed or not.
    #[arg(long, conflicts_with = "resume")]
    pub force: bool,
    /// Continue an interrupted run: do not try files again that failed before and have not changed.
    #[arg(long)]
    pub resume: bool,
    /// When two inputs would have the same output (a.wav, a.mp3), name them a.wav.opus and a.mp3.opus instead of
    /// refusing.
    #[arg(long)]
    pub disambiguate: bool,
    /// Tell what would be done and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// A missed target or check counts as a failure.
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub sound: SoundArgs,
    #[command(flatten)]
    pub write: WriteArgs,
    #[command(flatten)]
    pub read: ReadArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let extension = &args.write.extension()?;
    let engine = context.engine()?;
    let mut recipe = args.sound.recipe(&engine)?;
    recipe.read = args.read.options(recipe.read)?;
    recipe.outputs.clear();
    let items = walk::find(&args.input, &args.output, args.pattern.as_deref(), !args.no_recursive)?;
    let items = walk::name_outputs(items, extension, args.disambiguate)?;
    // One file as a sample: wrong options are refused before anything is written.
    let mut sample = recipe.clone();
    args.write.apply(&mut sample, &[args.output.join(format!("x.{extension}"))])?;
    sample.validate()?;
    let key = state::recipe_key(&sample, env!("CARGO_PKG_VERSION"))?;

    let state = State::open(&args.output, args.dry_run)?;
    let mut summary = Summary::default();
    let mut todo = Vec::new();
    for item in items {
        match state.reason_to_skip(&item, &key, &args.output, args.resume).filter(|_| !args.force) {
            Some(reason) => summary.skip(&item, reason),
            None => todo.push(item),
        }
    }
    if args.dry_run {
        summary.plan(&todo);
    } else {
        let run = Run { context, engine: &engine, args, recipe: &recipe, key: &key, state: Mutex::new(state) };
        run.all(todo, &mut summary);
    }
    summary.print(context)?;
    context.cancel.check()?;
    summary.verdict()
}

/// One run over the files that are left to do.
struct Run<'a> {
    context: &'a Context,
    engine: &'a Engine,
    args: &'a Args,
    recipe: &'a Recipe,
    key: &'a str,
    state: Mutex<State>,
}

impl Run<'_> {
    fn all(&self, todo: Vec<Item>, summary: &mut Summary) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let jobs = if self.args.jobs == 0 { cores } else { self.args.jobs }.min(todo.len()).max(1);
        let bar = progress::of_files(self.context, todo.len());
        let next = AtomicUsize::new(0);
        let rows = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    while let Some(item) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if self.context.cancel.is_cancelled() {
                            break;
                        }
                        let row = self.one(item);
                        if self.context.args.jsonl {
                            let _ = crate::console::print_json(&row.event(), true);
                        }
                        if let Some(bar) = &bar {
                            bar.inc(1);
                            bar.set_message(row.input.clone());
                        }
                        if let Ok(mut rows) = rows.lock() {
                            rows.push(row);
                        }
                    }
                });
            }
        });
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        summary.add(rows.into_inner().unwrap_or_default());
    }

    /// Does one file and notes it. Cancelled files are not noted: the next run does them.
    fn one(&self, item: &Item) -> Row {
        let result = self.process(item);
        let outcome = match &result {
            Ok(report) if self.args.strict && !report.all_met() => Outcome::Failed,
            Ok(_) => Outcome::Done,
            Err(Failure::Engine(Error::Cancelled)) => return Row::new(item, result, self.args.strict),
            Err(_) => Outcome::Failed,
        };
        let mut row = Row::new(item, result, self.args.strict);
        let entry = Entry::new(item, self.key, outcome, &self.args.output);
        let noted = self.state.lock().map_or(Ok(()), |mut state| state.append(&entry));
        if let Err(error) = noted {
            row.note(&error);
        }
        row
    }

    fn process(&self, item: &Item) -> Result<pure_sound::processing::Report, Failure> {
        let mut recipe = self.recipe.clone();
        let output = self.args.output.join(&item.output);
        if let Some(folder) = output.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::io("create folder", Some(folder), e))?;
        }
        self.args.write.apply(&mut recipe, std::slice::from_ref(&output))?;
        recipe.input = self.args.input.join(&item.input);
        let control = Control { cancel: self.context.cancel.clone(), ..Control::default() };
        let mut report = self.engine.process(&recipe, &control)?;
        report.preset = report.preset.or_else(|| self.args.sound.preset.clone());
        Ok(report)
    }
}
