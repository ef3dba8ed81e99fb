//! What each kind of step does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::action::{
    AnalyseStep, BranchStep, CustomStep, EncodeStep, FanOutStep, FileList, NotifyStep, ReportKind, StepAction,
    StoreMode, StoreStep, UndoAction,
};
use super::files::copy;
use super::glob;
use super::record::{RunRecord, StepPayload, located};
use super::results::make_folder;
use super::step::{CustomActions, CustomCall, absolute, resolved, resolved_undo, tell};
use super::template::Scope;
use super::webhook::{self, WebhookOptions};
use crate::Engine;
use crate::analysis::delivery;
use crate::engine::AnalyseOptions;
use crate::error::{Error, Result};
use crate::events;
use crate::formats::{ReadOptions, Source};
use crate::jobs::{Job, JobRun, is_as_noted, publishing};
use crate::processing::{Control, Overwrite, Recipe};
use crate::storage::Place;

/// One run of one step.
pub(super) struct Perform<'a> {
    pub engine: &'a Arc<Engine>,
    pub actions: &'a CustomActions,
    pub webhooks: &'a WebhookOptions,
    pub record: &'a RunRecord,
    pub payload: &'a StepPayload,
    pub key: &'a str,
    pub job: &'a Job,
    pub run: &'a JobRun,
    pub scope: &'a Scope,
}

impl Perform<'_> {
    /// Does a step. What it gives.
    pub fn action(&self, action: &StepAction) -> Result<Value> {
        match &resolved(action, self.scope)? {
            StepAction::Analyse(step) => self.analyse(step),
            StepAction::Measure(step) => {
                let file = self.path(&step.input);
                let loudness =
                    self.engine.measure(Source::from(file.as_path()), &ReadOptions::default(), &self.control())?;
                let mut result = as_value(&loudness)?;
                result["file"] = text(&file)?;
                Ok(result)
            }
            StepAction::Process(step) => self.process(&step.recipe, step.strict),
            StepAction::Encode(step) => self.encode(step),
            StepAction::Branch(step) => self.branch(step),
            StepAction::FanOut(step) => self.list(step),
            StepAction::Store(step) => self.store(step),
            StepAction::Notify(step) => self.notify(step),
            StepAction::Custom(step) => self.custom(step),
        }
    }

    /// Takes the effect of a step back.
    pub fn undo(&self, undo: &UndoAction) -> Result<Value> {
        match &resolved_undo(undo, self.scope)? {
            UndoAction::Remove(step) => {
                let mut removed = Vec::new();
                for path in self.plain(&step.files) {
                    self.engine.may("remove", None, &[&path], &self.control())?;
                    match self.engine.file_system().remove(&path) {
                        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                            return Err(Error::io("remove", Some(&path), e));
                        }
                        _ => removed.push(text(&path)?),
                    }
                }
                Ok(json!({ "paths": removed }))
            }
            UndoAction::Notify(step) => self.notify(step),
            UndoAction::Custom(step) => self.custom(step),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        absolute(self.record, path)
    }

    fn plain(&self, files: &FileList) -> Vec<PathBuf> {
        match files {
            FileList::One(path) => vec![self.path(path)],
            FileList::Many(paths) => paths.iter().map(|path| self.path(path)).collect(),
        }
    }

    fn control(&self) -> Control {
        let listener = self.run.clone();
        Control {
            cancel: self.run.cancel().clone(),
            progress: Some(Arc::new(move |p| listener.progress(p.fraction))),
            tenant: self.job.spec.tenant.as_deref().map(Arc::from),
        }
    }

    fn analyse(&self, step: &AnalyseStep) -> Result<Value> {
        let file = self.path(&step.input);
        let source = || Source::from(file.as_path());
        let (read, control) = (ReadOptions::default(), self.control());
        let wants = |kind: ReportKind| step.reports.contains(&kind);
        let mut result = Map::from_iter([("file".to_owned(), text(&file)?)]);
        if wants(ReportKind::Quality) || !step.delivery.is_empty() {
            let report = self.engine.quality_and_content(source(), &read, &control)?;
            if wants(ReportKind::Loudness) {
                result.insert("loudness".into(), as_value(&report.loudness)?);
            }
            if wants(ReportKind::Quality) {
                result.insert("quality".into(), as_value(&report)?);
            }
            let mut deliveries = Map::new();
            for name in &step.delivery {
                let specification = delivery::specification(name)?;
                deliveries.insert(name.clone(), as_value(&delivery::check(&report, specification))?);
            }
            result.insert("delivery".into(), Value::Object(deliveries));
        } else if wants(ReportKind::Loudness) {
            result.insert("loudness".into(), as_value(&self.engine.measure(source(), &read, &control)?)?);
        }
        if wants(ReportKind::Analysis) {
            let analysis = self.engine.analyse(source(), &AnalyseOptions::default(), &control)?;
            result.insert("analysis".into(), as_value(&analysis)?);
        }
        Ok(Value::Object(result))
    }

    fn process(&self, request: &Value, strict: bool) -> Result<Value> {
        let recipe = self.engine.recipe(request)?;
        let result = self.recipe(recipe)?;
        if strict && result["met"] != json!(true) {
            return Err(Error::Conflict { what: format!("a target or check was missed in {}", result["path"]) });
        }
        Ok(result)
    }

    fn encode(&self, step: &EncodeStep) -> Result<Value> {
        let request = json!({ "input": step.input, "outputs": step.outputs, "set_tags": step.set_tags });
        self.recipe(self.engine.recipe(&request)?)
    }

    /// Runs a recipe. Its outputs get their names once, whoever does it again.
    fn recipe(&self, mut recipe: Recipe) -> Result<Value> {
        recipe.input = located(&recipe.input, &self.record.base);
        for output in &mut recipe.outputs {
            output.path = located(&output.path, &self.record.base);
        }
        if recipe.outputs.is_empty() {
            let allowed = "at least one file to write".to_owned();
            return Err(Error::InvalidValue { name: "outputs".into(), value: "none".into(), allowed });
        }
        recipe.validate()?;
        let outputs: Vec<&Path> = recipe.outputs.iter().map(|o| o.path.as_path()).collect();
        self.engine.may("process", Some(&recipe.input), &outputs, &self.control())?;
        for folder in outputs.iter().filter_map(|path| path.parent()) {
            make_place(folder)?;
        }
        let overwrite = self.overwrite(&recipe)?;
        let files = publishing(self.engine.file_system(), self.run, &self.job.status.published);
        let source = Source::from(recipe.input.as_path());
        let recipe = &Recipe { overwrite, ..recipe.clone() };
        let report = self.engine.process_on(&files, source, recipe, &outputs, &self.control())?;
        let paths = outputs.iter().map(|path| text(path)).collect::<Result<Vec<_>>>()?;
        let first = report.outputs.first().and_then(|output| output.after.as_ref());
        Ok(json!({
            "path": paths.first(), "paths": paths, "met": report.all_met(),
            "loudness": first.map(as_value).transpose()?, "report": as_value(&report)?,
        }))
    }

    /// What to do with outputs that exist. Those that an earlier try of this very step put there are no obstacle.
    fn overwrite(&self, recipe: &Recipe) -> Result<Overwrite> {
        let noted = &self.job.status.published;
        if recipe.overwrite == Overwrite::Replace || noted.is_empty() {
            return Ok(recipe.overwrite);
        }
        let files = &**self.engine.file_system();
        for output in &recipe.outputs {
            let ours = is_as_noted(&output.path, noted, files, self.run);
            if files.info(&output.path).is_ok() && !ours.map_err(|e| Error::io("read", Some(&output.path), e))? {
                let what = format!("output {} exists and may not be replaced", output.path.display());
                return Err(Error::Conflict { what });
            }
        }
        Ok(Overwrite::Replace)
    }

    fn branch(&self, step: &BranchStep) -> Result<Value> {
        for case in &step.cases {
            if case.when.holds(self.scope)? {
                return Ok(json!({ "case": case.name, "then": case.then }));
            }
        }
        Ok(json!({ "case": "otherwise", "then": step.otherwise }))
    }

    fn list(&self, step: &FanOutStep) -> Result<Value> {
        let found = self.find(&step.files, step.max_items as usize)?;
        let (value, max) = (found.len() as f64, f64::from(step.max_items));
        if value > max {
            return Err(Error::LimitExceeded { limit: "max_items", value, max });
        }
        if found.is_empty() && !step.allow_empty {
            return Err(Error::NotFound { path: serde_json::to_string(&step.files).unwrap_or_default() });
        }
        Ok(json!({ "files": found.iter().map(|path| text(path)).collect::<Result<Vec<_>>>()? }))
    }

    /// Files by paths and patterns, each once.
    fn find(&self, files: &FileList, max: usize) -> Result<Vec<PathBuf>> {
        let mut found: Vec<PathBuf> = Vec::new();
        for pattern in self.plain(files) {
            let pattern = text(&pattern)?;
            let pattern = pattern.as_str().unwrap_or_default();
            self.engine.may("list", Some(Path::new(pattern)), &[], &self.control())?;
            let some = glob::find(pattern, max, &**self.engine.file_system(), self.run.cancel())?;
            // Those of a pattern are sorted; the order of a list is that of who made it.
            let new: Vec<PathBuf> = some.into_iter().filter(|path| !found.contains(path)).collect();
            found.extend(new);
            if found.len() > max {
                break;
            }
        }
        Ok(found)
    }

    fn store(&self, step: &StoreStep) -> Result<Value> {
        let sources = self.plain(&step.files);
        let folder = self.path(&step.to);
        let mut targets: Vec<PathBuf> = Vec::new();
        for source in &sources {
            let own = source.file_name().and_then(|name| name.to_str());
            let name = match (&step.name, sources.len()) {
                (Some(name), 1) => name.as_str(),
                (Some(_), _) => {
                    return Err(Error::Conflict { what: "a name is for a single file, and there are several".into() });
                }
                (None, _) => own.unwrap_or_default(),
            };
            if name.is_empty() || name.contains(['/', '\\', '\0']) || matches!(name, "." | "..") {
                let allowed = "the name of a file, without folders".to_owned();
                return Err(Error::InvalidValue { name: "name".into(), value: name.into(), allowed });
            }
            let target = folder.join(name);
            if targets.contains(&target) {
                return Err(Error::Conflict { what: format!("two files would become {}", target.display()) });
            }
            targets.push(target);
        }
        make_place(&folder)?;
        let files = publishing(self.engine.file_system(), self.run, &self.job.status.published);
        for (done, (source, target)) in sources.iter().zip(&targets).enumerate() {
            self.engine.may("store", Some(source), &[target], &self.control())?;
            copy(source, target, step, &self.job.status.published, &files, self.run)?;
            if step.mode == StoreMode::Move && source != target {
                match files.remove(source) {
                    Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Error::io("remove", Some(source), e));
                    }
                    _ => {}
                }
            }
            self.run.progress((done + 1) as f64 / sources.len() as f64);
        }
        let paths = targets.iter().map(|path| text(path)).collect::<Result<Vec<_>>>()?;
        Ok(json!({ "path": paths.first(), "paths": paths }))
    }

    fn notify(&self, step: &NotifyStep) -> Result<Value> {
        let notice = events::WorkflowNotice {
            run: self.payload.run.to_string(),
            workflow: self.record.workflow.name.clone(),
            step: self.payload.step.clone(),
            item: self.payload.item,
            key: self.key.to_owned(),
            message: step.message.clone(),
            data: step.data.clone(),
        };
        let status = step.webhook.as_ref().map(|url| {
            let body = as_value(&notice)?.to_string();
            webhook::send(self.webhooks, &webhook::Call { url, id: self.key, body, cancel: self.run.cancel() })
        });
        // Not before the other side has it: a step that is tried again tells once.
        let status = status.transpose()?;
        tell(self.engine.events(), notice);
        Ok(json!({ "message": step.message, "status": status }))
    }

    fn custom(&self, step: &CustomStep) -> Result<Value> {
        let known = || self.actions.keys().map(String::as_str);
        let action =
            self.actions.get(&step.action).ok_or_else(|| Error::unknown_name("action", &step.action, known()))?;
        let call = CustomCall {
            run: self.payload.run,
            step: &self.payload.step,
            key: self.key,
            with: &step.with,
            base: &self.record.base,
            cancel: self.run.cancel(),
        };
        action(&call)
    }
}

fn as_value(record: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(record).map_err(|e| Error::internal(format!("result as JSON: {e}")))
}

/// Makes a folder of this machine. Places of objects need no making.
fn make_place(folder: &Path) -> Result<()> {
    match Place::of(folder) {
        Ok(Place::File(folder)) => make_folder(&folder),
        _ => Ok(()),
    }
}

/// A path as results keep it.
fn text(path: &Path) -> Result<Value> {
    path.to_str().map(Value::from).ok_or_else(|| Error::InvalidValue {
        name: "path".into(),
        value: path.display().to_string(),
        allowed: "a path in UTF-8".into(),
    })
}
