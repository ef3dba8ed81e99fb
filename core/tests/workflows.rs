//! Workflows from the outside: on a real engine, real files, and both kinds of stores.
#![allow(clippy::unwrap_used)] // a failed helper is a failed test

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pure_sound::cancel::CancelToken;
use pure_sound::events::{SubscribeOptions, WorkflowNotice};
use pure_sound::jobs::{JobFilter, JobId, JobSpec, JobState, JobStore, MemoryStore};
use pure_sound::workflows::*;
use pure_sound::{Engine, Error};
use serde_json::{Map, Value, json};

/// Calls of custom actions, in order.
type Calls = Arc<Mutex<Vec<String>>>;

struct Bench {
    folder: tempfile::TempDir,
    engine: Arc<Engine>,
    workflows: Workflows,
    calls: Calls,
    actions: CustomActions,
}

impl Bench {
    fn new() -> Self {
        Self::on(Arc::new(MemoryStore::default()))
    }

    fn on(store: Arc<dyn JobStore>) -> Self {
        let calls = Calls::default();
        let notes = Arc::clone(&calls);
        let note: CustomAction = Arc::new(move |call| {
            notes.lock().unwrap().push(call.with.as_str().unwrap_or(call.step).to_owned());
            Ok(json!({ "said": call.with }))
        });
        let fail: CustomAction = Arc::new(|_| Err(Error::NotAudio { hint: None }));
        // Until it is cancelled: a step without an end.
        let hang: CustomAction = Arc::new(|call| {
            call.cancel.pause(Duration::MAX)?;
            Ok(Value::Null)
        });
        let actions =
            CustomActions::from([("note".to_owned(), note), ("fail".to_owned(), fail), ("hang".to_owned(), hang)]);
        Self {
            folder: tempfile::tempdir().unwrap(),
            engine: Arc::new(Engine::new().unwrap()),
            workflows: Workflows::new(store, Arc::new(MemoryResults::default())),
            calls,
            actions,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Half a second of a tone at this level.
    fn tone(&self, name: &str, amplitude: f32) {
        let wave = (0..24_000_u16).map(|n| amplitude * (f32::from(n) * 0.1).sin()).collect();
        common::write_wav(&self.path(name), 48_000, &[wave]);
    }

    fn pool(&self) -> WorkflowPool {
        // A lease that no test waits for: what acts within it does not come from its beat.
        let options = WorkflowOptions { threads: 4, lease_ms: 600_000, ..WorkflowOptions::default() };
        WorkflowPool::start(Arc::clone(&self.engine), &self.workflows, self.actions.clone(), &options).unwrap()
    }

    fn start(&self, text: &str, inputs: Value) -> JobId {
        let workflow = Workflow::from_text(text).unwrap();
        let names: Vec<&str> = self.actions.keys().map(String::as_str).collect();
        workflow.validate(self.engine.presets(), Some(&names)).unwrap_or_else(|e| panic!("{e}"));
        self.start_valid(workflow, inputs)
    }

    fn start_valid(&self, workflow: Workflow, inputs: Value) -> JobId {
        let inputs = inputs.as_object().cloned().unwrap_or_default();
        let base = Some(self.folder.path().to_path_buf());
        self.workflows.start(&RunRequest { base, ..RunRequest::new(workflow, inputs) }).unwrap()
    }

    fn wait(&self, run: JobId) -> RunInfo {
        self.workflows.wait(run, &CancelToken::new(), |_| {}).unwrap()
    }

    /// Does a run from its beginning to its end.
    fn run(&self, text: &str, inputs: Value) -> RunReport {
        let run = self.start(text, inputs);
        let _pool = self.pool();
        self.wait(run);
        self.workflows.report(run).unwrap()
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn result(&self, report: &RunReport, step: &str) -> Value {
        let found = report.steps.iter().find(|s| s.step == step).unwrap();
        self.workflows.result(found.result.as_ref().unwrap_or_else(|| panic!("{found:?}"))).unwrap()
    }

    /// Waits until a step is in a state.
    fn until(&self, run: JobId, step: &str, state: &str) {
        loop {
            let report = self.workflows.report(run).unwrap();
            if report.steps.iter().any(|s| s.step == step && s.state == state) {
                return;
            }
            assert!(!report.info.state.is_over(), "{report:?}");
            self.workflows.store().wait(0, Duration::from_millis(10)).unwrap();
        }
    }
}

fn states(report: &RunReport) -> BTreeMap<String, &'static str> {
    let name = |s: &StepInfo| s.item.map_or_else(|| s.step.clone(), |item| format!("{}{item}", s.step));
    report.steps.iter().map(|s| (name(s), s.state)).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const LEVELS: &str = "
name: levels
inputs: {file: {type: file}}
steps:
  - {id: measure, type: measure, input: '${inputs.file}'}
  - id: quiet
    type: branch
    cases: [{name: quiet, when: {value: steps.measure.integrated_lufs, less_than: -30}, then: [loud]}]
    otherwise: [plain]
  - {id: loud, type: process, recipe: {input: '${inputs.file}', output: 'made/${inputs.file.stem}.flac', level: {measure: loudness, integrated_lufs: -20, true_peak_dbtp: -1}}}
  - {id: plain, type: encode, input: '${inputs.file}', outputs: ['made/${inputs.file.stem}.flac']}
  - {id: keep, type: store, files: '${steps.loud.path | steps.plain.path}', to: kept, name: 'the ${inputs.file.stem}.flac'}
";

#[test]
fn a_branch_chooses_by_what_was_measured_and_files_land_where_they_should() {
    let bench = Bench::new();
    bench.tone("soft.wav", 0.01);
    bench.tone("hard.wav", 0.5);
    let soft = bench.run(LEVELS, json!({ "file": "soft.wav" }));
    assert_eq!(soft.info.state, RunState::Succeeded, "{soft:?}");
    assert_eq!((states(&soft)["loud"], states(&soft)["plain"]), ("done", "skipped"));
    assert_eq!(bench.result(&soft, "quiet")["case"], "quiet");
    // Within 0.1 LU: what the engine promises for its targets.
    let after = bench.result(&soft, "loud")["loudness"]["integrated_lufs"].as_f64().unwrap();
    assert!((after + 20.0).abs() <= 0.1, "{after}");
    let hard = bench.run(LEVELS, json!({ "file": "hard.wav" }));
    assert_eq!((states(&hard)["loud"], states(&hard)["plain"]), ("skipped", "done"));
    assert_eq!(names(&bench.path("kept")), ["the hard.flac", "the soft.flac"]);
    let kept = bench.result(&hard, "keep");
    assert_eq!(kept["path"], json!(bench.path("kept/the hard.flac")));
    assert_eq!(
        std::fs::read(bench.path("kept/the hard.flac")).unwrap(),
        std::fs::read(bench.path("made/hard.flac")).unwrap()
    );
}

#[test]
fn files_are_done_alone_and_a_bad_one_does_not_stop_the_others() {
    let bench = Bench::new();
    bench.tone("a.wav", 0.1);
    bench.tone("c.wav", 0.1);
    std::fs::write(bench.path("b.wav"), "no audio").unwrap();
    let text = "
name: many
inputs: {files: {type: files}}
steps:
  - id: each
    type: fan_out
    files: ${inputs.files}
    steps:
      - {id: make, type: encode, input: '${item}', outputs: ['out/${item.stem}.flac'], on_failure: continue}
      - {id: look, type: measure, input: '${steps.make.path}'}
      - {id: keep, type: store, files: '${steps.make.path}', to: kept}
  - {id: say, type: custom, action: note, with: '${steps.each.count} files, ${steps.each.failed} failed'}
  - {id: all, type: store, files: '${steps.each.outputs}', to: all}
  - {id: number, type: notify, message: '${steps.each.count}'}
";
    let report = bench.run(text, json!({ "files": "*.wav" }));
    assert_eq!(report.info.state, RunState::Partial);
    assert_eq!(bench.calls(), ["3 files, 1 failed"]);
    let states = states(&report);
    assert_eq!(
        (states["make1"], states["look1"], states["keep1"], states["keep2"]),
        ("failed", "skipped", "skipped", "done")
    );
    let failed = report.steps.iter().find(|s| s.state == "failed").unwrap();
    assert_eq!(failed.error.as_ref().unwrap().name, "NOT_AUDIO");
    assert!(failed.file.as_ref().unwrap().ends_with("b.wav"));
    assert_eq!(bench.result(&report, "number")["message"], "3");
    // The files that were kept, not those on the way to it.
    assert_eq!(bench.result(&report, "all")["paths"].as_array().unwrap().len(), 2);
    assert_eq!(names(&bench.path("all")), ["a.flac", "c.flac"]);
    assert!(matches!(bench.workflows.resume(report.info.run), Err(Error::Conflict { .. })));
}

#[test]
fn too_many_files_and_none_are_errors() {
    let bench = Bench::new();
    (0..4).for_each(|n| std::fs::write(bench.path(&format!("{n}.txt")), "x").unwrap());
    let text = |more: &str| {
        format!(
            "{{name: a, inputs: {{f: {{type: files}}}}, steps: [{{id: f, type: fan_out, files: '${{inputs.f}}', {more} steps: [{{id: n, type: custom, action: note, with: '${{item.name}}'}}]}}]}}"
        )
    };
    let failed = |more: &str, files: &str| {
        let report = bench.run(&text(more), json!({ "f": files }));
        report.steps[0].error.clone().map(|e| e.name)
    };
    assert_eq!(failed("max_items: 3,", "*.txt").as_deref(), Some("LIMIT_EXCEEDED"));
    assert_eq!(failed("", "*.wav").as_deref(), Some("NOT_FOUND"));
    assert_eq!(failed("allow_empty: true,", "*.wav"), None);
    assert!(bench.calls().is_empty());
    assert_eq!(failed("max_items: 4,", "*.txt"), None);
    let mut calls = bench.calls();
    calls.sort();
    assert_eq!(calls, ["0.txt", "1.txt", "2.txt", "3.txt"]);
}

#[test]
fn a_failure_ends_the_run_and_is_named() {
    let bench = Bench::new();
    let report = bench.run(
        "
name: bad
steps:
  - {id: a, type: custom, action: note}
  - {id: b, type: custom, action: fail, after: [a]}
  - {id: c, type: custom, action: note, after: [b]}
  - {id: d, type: custom, action: hang}
",
        json!({}),
    );
    assert_eq!(report.info.state, RunState::Failed);
    let error = report.info.error.unwrap();
    assert!(error.message.starts_with("step 'b' failed: not a recognised audio file"), "{error:?}");
    assert_eq!(error.name, "NOT_AUDIO");
    let states = states_of(&bench, report.info.run);
    assert_eq!([states["a"], states["b"], states["c"], states["d"]], ["done", "failed", "open", "cancelled"]);
}

fn states_of(bench: &Bench, run: JobId) -> BTreeMap<String, &'static str> {
    states(&bench.workflows.report(run).unwrap())
}

#[test]
fn what_was_done_is_undone_the_last_one_first() {
    let bench = Bench::new();
    std::fs::write(bench.path("x"), "content").unwrap();
    let text = "
name: saga
steps:
  - {id: a, type: store, files: x, to: kept, undo: {type: remove, files: '${steps.a.paths}'}}
  - {id: b, type: custom, action: note, with: did b, after: [a], undo: {type: custom, action: note, with: 'undid b after ${steps.b.said}'}}
  - {id: c, type: custom, action: note, with: did c, after: [b], undo: {type: custom, action: note, with: undid c}}
  - {id: d, type: custom, action: fail, after: [c], on_failure: compensate}
";
    let report = bench.run(text, json!({}));
    assert_eq!(report.info.state, RunState::Failed);
    assert_eq!(bench.calls(), ["did b", "did c", "undid c", "undid b after did b"]);
    assert_eq!(names(&bench.path("kept")), [""; 0]);
    assert!(report.info.error.unwrap().message.ends_with("3 steps were undone"));
    assert!(report.steps.iter().all(|s| s.undone == (s.step != "d")));
    let refused = bench.workflows.resume(report.info.run).unwrap_err().to_string();
    assert!(refused.contains("was undone"), "{refused}");
}

#[test]
fn failures_that_may_pass_are_tried_again_and_those_that_cannot_are_not() {
    let mut bench = Bench::new();
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    bench.actions.insert(
        "flaky".into(),
        Arc::new(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err(Error::Unavailable { what: "for a moment".into() }),
            n => Ok(json!(n)),
        }),
    );
    let step = |action: &str, more: &str| {
        format!(
            "{{name: a, steps: [{{id: s, type: custom, action: {action}, retry: {{attempts: 3, base_ms: 1, max_ms: 2}}{more}}}]}}"
        )
    };
    let report = bench.run(&step("flaky", ""), json!({}));
    assert_eq!((report.info.state, report.steps[0].claims), (RunState::Succeeded, 3));
    assert_eq!(bench.result(&report, "s"), json!(2));
    let report = bench.run(&step("fail", ""), json!({}));
    assert_eq!((report.info.state, report.steps[0].claims), (RunState::Failed, 1));
    let report = bench.run(&step("hang", ", timeout_s: 0.05"), json!({}));
    assert_eq!((report.info.state, report.steps[0].claims), (RunState::Failed, 3));
    assert!(report.info.error.unwrap().message.contains("timeout_run_ms"));
}

const CHAIN: &str = "
name: chain
steps:
  - {id: a, type: custom, action: note}
  - {id: b, type: custom, action: note, after: [a]}
  - {id: c, type: custom, action: hang, after: [b]}
  - {id: d, type: custom, action: note, after: [c]}
";

#[test]
fn a_cancelled_run_stops_at_once_and_goes_on_where_it_was() {
    let mut bench = Bench::new();
    let run = bench.start(CHAIN, json!({}));
    let pool = bench.pool();
    bench.until(run, "c", "running");
    // The lease is ten minutes, and its beat three: this does not wait for it.
    bench.workflows.cancel(run, "enough").unwrap();
    assert_eq!(bench.wait(run).state, RunState::Cancelled);
    bench.until_over(run, "c");
    assert_eq!(states_of(&bench, run)["c"], "cancelled");
    drop(pool);
    assert_eq!(bench.calls(), ["a", "b"]);
    let note = Arc::clone(&bench.actions["note"]);
    bench.actions.insert("hang".into(), note);
    bench.workflows.resume(run).unwrap();
    let _pool = bench.pool();
    assert_eq!(bench.wait(run).state, RunState::Succeeded);
    assert_eq!(bench.calls(), ["a", "b", "c", "d"], "what was done is not done again");
    assert!(matches!(bench.workflows.resume(run), Err(Error::Conflict { .. })));
}

impl Bench {
    fn until_over(&self, run: JobId, step: &str) {
        while ["running", "waiting"].contains(&states_of(self, run)[step]) {
            self.workflows.store().wait(0, Duration::from_millis(10)).unwrap();
        }
    }
}

#[test]
fn a_pool_that_ends_hands_its_run_back_and_the_next_one_goes_on() {
    let mut bench = Bench::new();
    let run = bench.start(CHAIN, json!({}));
    let pool = bench.pool();
    bench.until(run, "c", "running");
    assert_eq!(pool.stop(Duration::ZERO), 1);
    assert_eq!(bench.workflows.info(run).unwrap().state, RunState::Waiting);
    let note = Arc::clone(&bench.actions["note"]);
    bench.actions.insert("hang".into(), note);
    let _pool = bench.pool();
    assert_eq!(bench.wait(run).state, RunState::Succeeded);
    assert_eq!(bench.calls(), ["a", "b", "c", "d"]);
    let steps = bench.workflows.report(run).unwrap().steps;
    assert!(steps.iter().all(|s| s.error.is_none()), "nobody is charged: {steps:?}");
}

#[test]
fn a_failed_run_is_resumed_when_what_was_wrong_is_right() {
    let bench = Bench::new();
    let text = "
name: late
steps:
  - {id: a, type: custom, action: note}
  - {id: b, type: measure, input: late.wav, after: [a]}
  - {id: c, type: custom, action: note, with: '${steps.b.file.name}'}
";
    let run = bench.start(text, json!({}));
    let _pool = bench.pool();
    assert_eq!(bench.wait(run).state, RunState::Failed);
    bench.tone("late.wav", 0.1);
    bench.workflows.resume(run).unwrap();
    assert_eq!(bench.wait(run).state, RunState::Succeeded);
    assert_eq!(bench.calls(), ["a", "late.wav"]);
}

#[test]
fn a_run_keeps_the_definition_that_it_began_with() {
    let bench = Bench::new();
    let file = bench.path("w.yaml");
    std::fs::write(&file, CHAIN.replace("hang", "note")).unwrap();
    let workflow = find(file.to_str().unwrap(), &pure_sound::services::seams::SystemFiles).unwrap();
    let digest = workflow.digest().unwrap();
    let run = bench.start_valid(workflow, json!({}));
    std::fs::write(&file, CHAIN.replace("hang", "fail")).unwrap();
    let _pool = bench.pool();
    let info = bench.wait(run);
    assert_eq!((info.state, info.digest), (RunState::Succeeded, digest));
    // A record whose definition is not the one of its digest is refused.
    let store = bench.workflows.store();
    let mut payload = store.get(run).unwrap().spec.payload;
    payload["workflow"]["steps"][0]["with"] = json!("changed");
    let forged = store.enqueue(vec![JobSpec::new(WORKFLOW, payload)]).unwrap()[0].id;
    loop {
        let job = store.get(forged).unwrap();
        if job.status.state == JobState::Dead {
            assert_eq!(job.status.error.unwrap().name, "MALFORMED");
            break;
        }
        store.wait(0, Duration::from_millis(10)).unwrap();
    }
}

#[test]
fn messages_reach_those_who_listen() {
    let bench = Bench::new();
    let poller = bench.engine.events().poll(SubscribeOptions::new("workflow.*")).unwrap();
    let report = bench.run(
        "{name: hi, inputs: {who: {type: text}}, steps: [{id: s, type: notify, message: 'hello ${inputs.who}', data: {n: [1]}}]}",
        json!({ "who": "you" }),
    );
    let mut topics = Vec::new();
    let mut notice = None;
    while let Some(delivery) = poller.try_next() {
        let event = delivery.event().unwrap();
        topics.push(event.topic.to_string());
        notice = notice.or(event.payload::<WorkflowNotice>().cloned());
    }
    let notice = notice.unwrap();
    assert_eq!((notice.message.as_str(), &notice.data), ("hello you", &json!({ "n": [1] })));
    assert_eq!(notice.key, format!("{}/s", report.info.run));
    for topic in ["workflow.state", "workflow.step", "workflow.notify"] {
        assert!(topics.iter().any(|t| t == topic), "{topics:?}");
    }
}

#[test]
fn outputs_that_may_not_be_replaced_are_not() {
    let bench = Bench::new();
    std::fs::write(bench.path("x"), "new").unwrap();
    std::fs::create_dir(bench.path("there")).unwrap();
    std::fs::write(bench.path("there/x"), "old").unwrap();
    let text = |more: &str| format!("{{name: s, steps: [{{id: s, type: store, files: x, to: there{more}}}]}}");
    let report = bench.run(&text(", overwrite: refuse"), json!({}));
    assert_eq!(report.info.error.unwrap().name, "CONFLICT");
    assert_eq!(std::fs::read_to_string(bench.path("there/x")).unwrap(), "old");
    let report = bench.run(&text(", mode: move"), json!({}));
    assert_eq!(report.info.state, RunState::Succeeded);
    assert_eq!(std::fs::read_to_string(bench.path("there/x")).unwrap(), "new");
    assert_eq!(names(bench.folder.path()), ["there"], "moved, and nothing half is left");
    let inside = "{name: s, inputs: {n: {type: text}}, steps: [{id: s, type: store, files: there/x, to: there, name: '${inputs.n}'}]}";
    for name in ["../x", "a/b", "..", ""] {
        let report = bench.run(inside, json!({ "n": name }));
        assert_eq!(report.info.error.unwrap().name, "INVALID_VALUE", "{name}");
    }
}

#[test]
fn many_runs_share_a_pool_and_are_listed() {
    let bench = Bench::new();
    let text =
        "{name: a, inputs: {n: {type: number}}, steps: [{id: s, type: custom, action: note, with: 'n${inputs.n}'}]}";
    let runs: Vec<JobId> = (0..20).map(|n| bench.start(text, json!({ "n": n }))).collect();
    let _pool = bench.pool();
    for run in &runs {
        assert_eq!(bench.wait(*run).state, RunState::Succeeded);
    }
    let mut calls = bench.calls();
    calls.sort();
    calls.dedup();
    assert_eq!(calls.len(), 20);
    let listed: Vec<JobId> = bench.workflows.list(5).unwrap().iter().map(|info| info.run).collect();
    assert_eq!(listed, runs.iter().rev().take(5).copied().collect::<Vec<_>>());
    assert!(matches!(bench.workflows.info(JobId(1)), Err(Error::UnknownName { what: "run", .. })));
}

#[test]
fn a_plan_tells_what_is_known_and_writes_nothing() {
    let bench = Bench::new();
    bench.tone("soft.wav", 0.01);
    let workflow = Workflow::from_text(LEVELS).unwrap();
    let inputs = Map::from_iter([("file".to_owned(), json!("soft.wav"))]);
    let base = Some(bench.folder.path().to_path_buf());
    let plan = plan(&bench.engine, &RunRequest { base, ..RunRequest::new(workflow, inputs) }, None).unwrap();
    let ids: Vec<&str> = plan.steps.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["measure", "quiet", "loud", "plain", "keep"]);
    let loud = &plan.steps[2];
    assert_eq!(loud.when, ["quiet: steps.measure.integrated_lufs < -30"]);
    assert!(!loud.details.is_empty() && loud.problem.is_none(), "{loud:?}");
    assert!(plan.text().contains("soft.flac"), "{}", plan.text());
    assert_eq!(names(bench.folder.path()), ["soft.wav"]);
}

/// The recordings that come with the examples.
fn media(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/media").join(name).display().to_string()
}

fn library(bench: &Bench, name: &str, inputs: Value) -> RunReport {
    let workflow = built_in(name).unwrap();
    workflow.validate(bench.engine.presets(), Some(&[])).unwrap();
    let run = bench.start_valid(workflow, inputs);
    let _pool = bench.pool();
    bench.wait(run);
    let report = bench.workflows.report(run).unwrap();
    assert_eq!(report.info.state, RunState::Succeeded, "{name}: {report:?}");
    report
}

#[test]
fn podcast_publish_makes_an_episode() {
    let bench = Bench::new();
    let report = library(&bench, "podcast_publish", json!({ "file": media("speech.flac"), "out": "pub" }));
    assert_eq!(names(&bench.path("pub")), ["speech.mp3", "speech.opus"]);
    assert_eq!((states(&report)["announce"], states(&report)["warn"]), ("done", "skipped"));
    let proof = bench.result(&report, "proof")["integrated_lufs"].as_f64().unwrap();
    // Apple Podcasts for Creators: -16 LKFS +/-1 dB.
    assert!((proof + 16.0).abs() <= 1.0, "{proof}");
    common::write_wav(&bench.path("nothing.wav"), 48_000, &[vec![0.0; 48_000]]);
    let silent = library(&bench, "podcast_publish", json!({ "file": "nothing.wav", "out": "no" }));
    assert_eq!((states(&silent)["refuse"], states(&silent)["master"]), ("done", "skipped"));
    assert!(!bench.path("no").exists());
}

#[test]
fn course_batch_makes_every_lesson() {
    let bench = Bench::new();
    std::fs::copy(media("speech.flac"), bench.path("one.flac")).unwrap();
    bench.tone("two.wav", 0.1);
    let report = library(&bench, "course_batch", json!({ "files": ["one.flac", "two.wav"], "out": "course" }));
    assert_eq!(names(&bench.path("course")), ["one.m4a", "two.m4a"]);
    let lesson = bench.result(&report, "proof")["integrated_lufs"].as_f64().unwrap();
    // AES TD1008 asks for -18 LUFS; the preset meets it within 0.5 LU on the encoded file.
    assert!((lesson + 18.0).abs() <= 0.5, "{lesson}");
    assert_eq!(bench.result(&report, "done")["message"], "2 lessons, 0 failed");
}

#[test]
fn audiobook_acx_sorts_chapters_by_the_requirements() {
    let bench = Bench::new();
    let report = library(&bench, "audiobook_acx", json!({ "files": media("speech.flac"), "out": "book" }));
    let check = &bench.result(&report, "check")["delivery"]["acx"];
    let accepted = check["passed"] == json!(true);
    let folder = if accepted { "book/accepted" } else { "book/rejected" };
    assert_eq!(names(&bench.path(folder)), ["speech.mp3"], "{check}");
    assert_eq!(names(&bench.path("book/checking")), [""; 0]);
    // The level is what the preset makes it, whatever else the requirements say of this recording.
    let rules = check["rules"].as_array().unwrap();
    let rms = rules.iter().find(|rule| rule["quantity"] == "rms_dbfs").unwrap();
    assert_eq!(rms["passed"], true, "{rms}");
}

#[test]
fn archive_ingest_keeps_the_original_an_exact_copy_and_one_to_listen_to() {
    let bench = Bench::new();
    let report = library(&bench, "archive_ingest", json!({ "file": media("speech.flac"), "out": "a" }));
    let original = std::fs::read(bench.path("a/originals/speech.flac")).unwrap();
    assert_eq!(original, std::fs::read(media("speech.flac")).unwrap());
    assert_eq!(bench.result(&report, "master")["report"]["outputs"][0]["bit_exact"], true);
    assert_eq!(
        (names(&bench.path("a/masters")), names(&bench.path("a/access"))),
        (vec!["speech.flac".to_owned()], vec!["speech.opus".to_owned()])
    );
    // What is in the archive is not replaced: the second time fails, and takes nothing away.
    let workflow = built_in("archive_ingest").unwrap();
    let run = bench.start_valid(workflow, json!({ "file": media("speech.flac"), "out": "a" }));
    let _pool = bench.pool();
    assert_eq!(bench.wait(run).error.unwrap().name, "CONFLICT");
    assert_eq!(std::fs::read(bench.path("a/originals/speech.flac")).unwrap(), original);
}

#[test]
fn a_broken_recording_leaves_nothing_in_the_archive() {
    let bench = Bench::new();
    // Good to look at, and impossible to keep whole: a FLAC cannot be made in a place that is a folder.
    std::fs::create_dir_all(bench.path("a/masters/speech.flac")).unwrap();
    let run =
        bench.start_valid(built_in("archive_ingest").unwrap(), json!({ "file": media("speech.flac"), "out": "a" }));
    let _pool = bench.pool();
    assert_eq!(bench.wait(run).state, RunState::Failed);
    assert_eq!(names(&bench.path("a/originals")), [""; 0], "taken back");
}

#[cfg(feature = "sqlite")]
#[test]
fn on_sqlite_each_step_is_one_job_with_one_success() {
    use pure_sound::jobs::{SqliteOptions, SqliteStore};
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("jobs.db"), &SqliteOptions::default()).unwrap();
    let bench = Bench::on(Arc::new(store));
    let steps: String =
        (1..40).map(|n| format!("  - {{id: s{n}, type: custom, action: note, after: [s{}]}}\n", n / 2)).collect();
    let report =
        bench.run(&format!("name: tree\nsteps:\n  - {{id: s0, type: custom, action: note}}\n{steps}"), json!({}));
    assert_eq!(report.info.state, RunState::Succeeded);
    let calls = bench.calls();
    assert_eq!(calls.len(), 40);
    let place = |id: &str| calls.iter().position(|c| c == id).unwrap();
    assert!((1..40).all(|n| place(&format!("s{}", n / 2)) < place(&format!("s{n}"))), "{calls:?}");
    let filter = JobFilter { kind: Some(WORKFLOW_STEP.into()), limit: 1000, ..JobFilter::default() };
    let jobs = bench.workflows.store().list(&filter).unwrap();
    assert_eq!(jobs.len(), 40);
    for job in jobs {
        let history = bench.workflows.store().history(job.id).unwrap();
        assert_eq!(history.iter().filter(|entry| entry.to == JobState::Succeeded).count(), 1);
    }
}
