//! What the configuration promises, mostly over files in memory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::{Error, Problem};
use crate::events::{Delivery, EventBus, SubscribeOptions};
use crate::services::seams::{FileInfo, FileSystem};

/// Files in memory: content and mode.
#[derive(Default)]
struct Files(Mutex<BTreeMap<PathBuf, (Vec<u8>, u32)>>);

impl Files {
    fn put(&self, path: &str, text: &str) {
        self.mode(path, text, 0o644);
    }
    fn mode(&self, path: &str, text: &str, mode: u32) {
        self.0.lock().unwrap().insert(path.into(), (text.into(), mode));
    }
    fn remove(&self, path: &str) {
        self.0.lock().unwrap().remove(Path::new(path));
    }
    fn get(&self, path: &Path) -> io::Result<(Vec<u8>, u32)> {
        self.0.lock().unwrap().get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl FileSystem for Files {
    fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        let bytes = self.get(path)?.0;
        if bytes.len() as u64 > max_bytes { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }
    fn info(&self, path: &Path) -> io::Result<FileInfo> {
        if self.0.lock().unwrap().keys().any(|p| p != path && p.starts_with(path)) {
            return Ok(FileInfo { len: 0, modified_ns: 0, number: 0, mode: Some(0o755), folder: true });
        }
        let (bytes, mode) = self.get(path)?;
        Ok(FileInfo { len: bytes.len() as u64, modified_ns: 0, number: 0, mode: Some(mode), folder: false })
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.0.lock().unwrap().keys().filter(|p| p.parent() == Some(folder)).cloned().collect())
    }
    fn replace(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Fails one operation, the `at`-th.
struct Failing {
    inner: Arc<Files>,
    at: AtomicU64,
    kind: io::ErrorKind,
}

impl Failing {
    fn step(&self) -> io::Result<()> {
        if self.at.fetch_sub(1, Ordering::SeqCst) == 1 { Err(self.kind.into()) } else { Ok(()) }
    }
}

impl FileSystem for Failing {
    fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        self.step()?;
        self.inner.read(path, max_bytes)
    }
    fn info(&self, path: &Path) -> io::Result<FileInfo> {
        self.step()?;
        self.inner.info(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.step()?;
        self.inner.list(folder)
    }
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.inner.replace(path, bytes)
    }
}

fn files(all: &[(&str, &str)]) -> Arc<Files> {
    let files = Arc::new(Files::default());
    all.iter().for_each(|(path, text)| files.put(path, text));
    files
}

fn options(files: &Arc<Files>) -> ConfigOptions {
    ConfigOptions::new().folder("c").files(Arc::clone(files) as _)
}

fn load(options: ConfigOptions) -> Config {
    Config::load(options, &EventBus::default()).unwrap()
}

fn problems<T>(result: Result<T, Error>) -> Vec<String> {
    match result {
        Err(Error::Invalid { problems, .. }) => problems.iter().map(Problem::to_string).collect(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("was accepted"),
    }
}

fn set(config: &Config, path: &str, value: Value) -> Result<Arc<Generation>, Error> {
    config.set("test", [(path.to_owned(), value)])
}

#[test]
fn later_layers_win_and_every_value_knows_where_it_comes_from() {
    let files = files(&[
        ("c/default.yaml", "limits:\n  max_rate_hz: 96000\nspool: {memory_mib: 2}\n"),
        ("c/config.d/10.toml", "[events]\nlane_events = 3\nmax_event_bytes = 3000\n"),
        ("c/config.d/20.json", "{\"events\": {\"lane_events\": 4}}"),
        ("c/config.d/README", "not read"),
        ("c/production.yml", "events:\n  suspend_after: 5\n  dead_letters: 5\n"),
        ("c/local.yaml", "events: {dead_letters: 6, history_events: 6}\n"),
        ("u.yaml", "limits: {max_seconds: 7.5}\nengine: {threads: 7, preset_dirs: [a, b]}\n"),
    ]);
    let variables =
        [("PURESOUND_ENGINE__THREADS", "8"), ("PURESOUND_EVENTS__MAX_DEPTH", "8"), ("PURESOUND_CORPUS", "x")];
    let options = options(&files)
        .environment("production")
        .user_file("u.yaml")
        .variables(variables.map(|(k, v)| (k.to_owned(), v.to_owned())))
        .command_line("events.max_depth", "9");
    let config = load(options);
    set(&config, "limits.max_channels", json!(10)).unwrap();
    let now = config.current();
    for (path, value, origin) in [
        ("limits.max_wall_seconds", json!(0.0), "built-in"),
        ("limits.max_rate_hz", json!(96_000), "c/default.yaml:2:3"),
        ("spool.memory_mib", json!(2), "c/default.yaml:3:9"),
        ("events.max_event_bytes", json!(3000), "c/config.d/10.toml:3:1"),
        ("events.lane_events", json!(4), "c/config.d/20.json:1:13"),
        ("events.suspend_after", json!(5), "c/production.yml:2:3"),
        ("events.history_events", json!(6), "c/local.yaml:1:27"),
        ("events.dead_letters", json!(6), "c/local.yaml:1:10"),
        ("limits.max_seconds", json!(7.5), "u.yaml:1:10"),
        ("engine.preset_dirs", json!(["a", "b"]), "u.yaml:2:22"),
        ("engine.threads", json!(8), "variable PURESOUND_ENGINE__THREADS"),
        ("events.max_depth", json!(9), "command line"),
        ("limits.max_channels", json!(10), "call by test"),
    ] {
        let entry = now.entry(path).unwrap();
        assert_eq!((&entry.value, entry.origin.to_string().as_str()), (&value, origin), "{path}");
    }
    assert_eq!((now.settings.engine.threads, now.settings.limits.max_channels), (8, 10));
    assert_eq!(now.to_json(), serde_json::to_value(&now.settings).unwrap());
}

proptest! {
    /// Any values in any layers: what holds is the last one said, and its origin is that layer.
    #[test]
    fn layers_equal_the_model(said in prop::collection::vec((0..6_usize, 0..4_usize, 1..64_u32), 0..20)) {
        const PATHS: [&str; 4] = ["spool.memory_mib", "events.max_depth", "limits.max_channels", "events.dead_letters"];
        const FILES: [&str; 4] = ["c/default.json", "c/config.d/x.json", "c/staging.json", "c/local.json"];
        let mut layers: [BTreeMap<&str, u32>; 6] = Default::default();
        for (layer, path, value) in said { layers[layer].insert(PATHS[path], value); }
        let files = Arc::new(Files::default());
        for (file, layer) in FILES.iter().zip(&layers) {
            let mut root = json!({});
            for (path, value) in layer {
                let (section, name) = path.split_once('.').unwrap();
                root[section][name] = json!(value);
            }
            files.put(file, &root.to_string());
        }
        let name = |path: &str| format!("PURESOUND_{}", path.to_uppercase().replace('.', "__"));
        let variables: Vec<_> = layers[4].iter().map(|(p, v)| (name(p), v.to_string())).collect();
        let mut options = options(&files).environment("staging").variables(variables);
        for (path, value) in &layers[5] { options = options.command_line(*path, value.to_string()); }
        let now = load(options).current();
        for path in PATHS {
            let last = layers.iter().enumerate().rev().find_map(|(i, l)| Some((i, l.get(path)?)));
            let entry = now.entry(path).unwrap();
            let Some((layer, value)) = last else {
                prop_assert_eq!(&entry.origin, &Origin::BuiltIn);
                continue;
            };
            prop_assert_eq!(&entry.value, &json!(value));
            let origin = entry.origin.to_string();
            let want = match layer { 4 => format!("variable {}", name(path)), 5 => "command line".into(), i => FILES[i].into() };
            prop_assert!(origin.starts_with(&want), "{} {}", origin, want);
        }
    }

    /// No bytes in any file lead to a panic.
    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[a-z:\\[\\]{}&*!|>'\"#%@\\-?, \n\t0-9.=]{0,200}", end in 0..3_usize) {
        for content in [String::from_utf8_lossy(&bytes).into_owned(), text] {
            let path = ["c/default.yaml", "c/default.toml", "c/default.json"][end];
            let loaded = Config::<Settings>::load(options(&files(&[(path, &content)])), &EventBus::default());
            if let Err(e) = loaded { prop_assert_eq!(e.name(), "INVALID"); }
        }
    }
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let files = files(&[
        ("c/default.yaml", "limits:\n  max_chanels: 2\n  max_bytes: soon\nlane_events: 4\nevents: 3\n"),
        ("c/config.d/a.toml", "[engine]\nthreads = 2000\ntemp_dir = 7\npreset_dirs = ['a', 3]\n"),
        ("c/config.d/b.json", "{\"spool\": {\"memory_mib\": 1},\n"),
        ("c/local.yaml", "spool: {memory_mib: 4.5}\nlimits:\n  max_rate_hz: 1.0e4\n"),
        ("c/local.toml", ""),
    ]);
    let variables = [("PURESOUND_ENGINE__THREADS", "many"), ("PURESOUND_ENGINE__NUMBER", "1")];
    let options = options(&files)
        .variables(variables.map(|(k, v)| (k.to_owned(), v.to_owned())))
        .command_line("spool.memory_mib", "0")
        .environment("nowhere");
    let got = problems(Config::<Settings>::load(options, &EventBus::default()));
    let want = [
        "c: has no nowhere.yaml, .yml, .toml or .json",
        "c/config.d/a.toml:2:1: engine.threads: is 2000, allowed is 0 to 1024 threads",
        "c/config.d/a.toml:3:1: engine.temp_dir: is 7, allowed is null or a text",
        "c/config.d/a.toml:4:1: engine.preset_dirs: item 1 is 3, allowed is a text",
        "c/config.d/b.json:2:0: EOF while parsing a value",
        "c/default.yaml:2:3: limits.max_chanels: is not a key, did you mean 'limits.max_channels'?",
        "c/default.yaml:3:3: limits.max_bytes: is \"soon\", allowed is 1 to 1125899906842624 bytes",
        "c/default.yaml:4:1: lane_events: is not a key, did you mean 'events.lane_events'?",
        "c/default.yaml:5:9: events: must be a section: keys and values",
        "c/local.yaml: stands beside local.toml: only one of them can hold",
        "command line: spool.memory_mib: is 0, allowed is 1 to 1048576 MiB",
        "variable PURESOUND_ENGINE__NUMBER: engine.number: is not a key",
        "variable PURESOUND_ENGINE__THREADS: engine.threads: is \"many\", allowed is 0 to 1024 threads",
    ];
    assert_eq!(got, want);
}

#[test]
fn keys_that_contradict_each_other_are_told_with_the_place_of_one() {
    let files = files(&[
        ("c/local.yaml", "events:\n  max_event_bytes: 9000\n"),
        ("c/default.yaml", "events:\n  history_bytes: 8000"),
    ]);
    let got = problems(Config::<Settings>::load(options(&files), &EventBus::default()));
    assert_eq!(
        got,
        ["c/default.yaml:2:3: events.history_bytes: is 8000 bytes, less than the 9000 bytes of events.max_event_bytes"]
    );
}

#[test]
fn a_bad_reload_keeps_what_holds_and_says_so() {
    let files = files(&[("c/local.yaml", "limits: {max_channels: 4}")]);
    let bus = EventBus::default();
    let told = bus.poll(SubscribeOptions::new("config.*")).unwrap();
    let config: Config = Config::load(options(&files), &bus).unwrap();
    let first = config.current();
    assert!(Arc::ptr_eq(&config.reload().unwrap(), &first), "nothing changed");
    files.put("c/local.yaml", "limits: {max_channels: 400}");
    assert_eq!(
        problems(config.reload()),
        ["c/local.yaml:1:10: limits.max_channels: is 400, allowed is 1 to 255 channels"]
    );
    assert!(Arc::ptr_eq(&config.current(), &first));
    files.put("c/local.yaml", "limits: {max_channels: 5}");
    assert_eq!(config.reload().unwrap().number, 2);
    let rejected = told.try_next().unwrap();
    let rejected: &crate::events::ConfigRejected = rejected.event().unwrap().payload().unwrap();
    assert_eq!((rejected.generation, rejected.problems.len()), (1, 1));
    let changed = told.try_next().unwrap();
    let changed: &crate::events::ConfigChanged = changed.event().unwrap().payload().unwrap();
    assert_eq!(changed.changes.len(), 1);
    let change = &changed.changes[0];
    assert_eq!(
        (change.path.as_str(), &change.old, &change.new),
        ("limits.max_channels", &Some(json!(4)), &Some(json!(5)))
    );
    assert_eq!(change.origin, "c/local.yaml:1:10");
    assert_eq!((first.settings.limits.max_channels, config.current().diff(&first)), (4, changed.changes.clone()));
}

/// G8: whatever single operation fails, the reload is refused as a whole or reads everything right; never a part.
#[test]
fn one_failing_file_operation_never_leaves_half_a_configuration() {
    let store = files(&[
        ("c/default.yaml", "limits: {max_channels: 2}"),
        ("c/config.d/a.toml", "[events]\nmax_depth = 3"),
        ("c/production.json", "{\"events\": {\"dead_letters\": 4}}"),
        ("c/local.yaml", "limits: {max_channels: 5}"),
    ]);
    let mut refused = 0;
    for kind in
        [io::ErrorKind::Other, io::ErrorKind::PermissionDenied, io::ErrorKind::Interrupted, io::ErrorKind::StorageFull]
    {
        for at in 1_u64.. {
            let failing = Arc::new(Failing { inner: Arc::clone(&store), at: AtomicU64::new(0), kind });
            let options = ConfigOptions::new().folder("c").environment("production").files(Arc::clone(&failing) as _);
            let config = load(options);
            let first = config.current();
            failing.at.store(at, Ordering::SeqCst);
            let outcome = config.reload();
            assert!(Arc::ptr_eq(&config.current(), &first), "{kind:?} at {at}");
            // More operations were allowed than there are: all were tried.
            if failing.at.load(Ordering::SeqCst) > 0 && failing.at.load(Ordering::SeqCst) <= at {
                assert!(outcome.is_ok() && config.rejected().is_empty());
                break;
            }
            if outcome.is_err() {
                assert_eq!(config.rejected().len(), problems(outcome).len(), "{kind:?} at {at}");
                refused += 1;
            }
            assert!(config.reload().is_ok() && config.rejected().is_empty(), "{kind:?} at {at}");
        }
    }
    // Folder, four names of three stems, the folder of fragments, four files. That a file is there is seen again when it is read.
    assert_eq!(refused, 4 * (1 + 12 - 3 + 1 + 4));
}

#[test]
fn a_folder_that_is_gone_does_not_pass_for_an_empty_one() {
    let store = files(&[("c/local.yaml", "limits: {max_channels: 4}")]);
    let config = load(options(&store));
    store.remove("c/local.yaml");
    assert_eq!(problems(config.reload()), ["c: cannot be read: entity not found"]);
    assert_eq!(config.current().settings.limits.max_channels, 4);
    let variables =
        [("PURESOUND_LIMITS_MAX_CHANNELS".to_owned(), "1".to_owned()), ("PURESOUND_CORPUS".to_owned(), "x".to_owned())];
    let one = Config::<Settings>::load(ConfigOptions::new().variables(variables), &EventBus::default());
    let want = "variable PURESOUND_LIMITS_MAX_CHANNELS: limits_max_channels: is not a key, did you mean PURESOUND_LIMITS__MAX_CHANNELS?";
    assert_eq!(problems(one), [want]);
}

#[test]
fn keys_that_need_a_restart_are_reported_and_wait() {
    let config = load(ConfigOptions::new());
    let next =
        config.set("test", [("engine.threads".into(), json!(3)), ("limits.max_channels".into(), json!(7))]).unwrap();
    assert_eq!(next.restart, ["engine.threads"]);
    assert_eq!((next.settings.engine.threads, next.settings.limits.max_channels), (0, 7));
    let next = set(&config, "limits.max_channels", json!(8)).unwrap();
    assert_eq!(next.restart, ["engine.threads"], "it still waits");
    let next = config.unset(Some("engine.threads")).unwrap();
    assert!(next.restart.is_empty());
    assert_eq!(
        config.unset(Some("limits.max_chanels")).unwrap_err().to_string(),
        "unknown set value 'limits.max_chanels', did you mean 'limits.max_channels'?"
    );
    assert_eq!(config.unset(None).unwrap().settings, Settings::default());
}

#[test]
fn generations_are_numbered_kept_and_taken_back() {
    let files = files(&[("c/local.yaml", "limits: {max_channels: 4}")]);
    let config = load(options(&files));
    for n in 2..=30 {
        assert_eq!(set(&config, "events.history_events", json!(n)).unwrap().number, n);
    }
    let kept: Vec<u64> = config.generations().iter().map(|g| g.number).collect();
    assert_eq!(kept, (11..=30).collect::<Vec<_>>());
    let error = config.rollback(10).unwrap_err();
    assert_eq!(error.to_string(), "generation is 10, allowed is 11 to 30");
    let back = config.rollback(12).unwrap();
    assert_eq!((back.number, back.settings.events.history_events, &back.cause), (31, 12, &Cause::Rollback { to: 12 }));
    // Files that did not change do not undo it; files that did are read.
    files.put("c/local.yaml", "limits: {max_channels: 5}");
    let by_file = config.reload().unwrap();
    assert_eq!((by_file.settings.limits.max_channels, by_file.settings.events.history_events), (5, 12));
    let back = config.rollback(31).unwrap();
    assert_eq!(back.settings.limits.max_channels, 4);
    assert_eq!(config.reload().unwrap().number, back.number);
}

#[test]
fn subscribers_hear_of_their_keys_and_may_change_others() {
    let config = load(ConfigOptions::new());
    let (told, tell) = channel();
    let inner = config.clone();
    let _s = config.on_change("limits", move |changed| {
        set(&inner, "events.max_depth", json!(changed.generation))?;
        Ok(told.send(changed.changes[0].path.clone())?)
    });
    set(&config, "events.history_events", json!(5)).unwrap();
    set(&config, "limits.max_channels", json!(5)).unwrap();
    assert_eq!(tell.try_iter().collect::<Vec<_>>(), ["limits.max_channels"]);
    assert_eq!(config.current().number, 4);
    assert_eq!(config.current().restart, ["events.max_depth"]);
}

#[test]
fn files_that_others_may_write_cannot_lower_security_while_running() {
    let files = Arc::new(Files::default());
    files.mode("c/local.yaml", "limits: {max_channels: 8, max_wall_seconds: 60}", 0o666);
    let config = load(options(&files));
    let refused = |text: &str| {
        files.mode("c/local.yaml", text, 0o666);
        problems(config.reload())
    };
    let got = refused("limits: {max_channels: 9, max_wall_seconds: 0}");
    assert_eq!(got.len(), 2, "{got:?}");
    assert!(got[0].contains("limits.max_channels: would go from 8 to 9, which lowers security"), "{got:?}");
    assert_eq!(refused("limits: {max_channels: 8, max_wall_seconds: 61}").len(), 1);
    files.mode("c/local.yaml", "limits: {max_channels: 7, max_wall_seconds: 59}", 0o666);
    assert_eq!(config.reload().unwrap().settings.limits.max_channels, 7, "raising security is fine");
    files.mode("c/local.yaml", "limits: {max_channels: 9}", 0o644);
    assert_eq!(config.reload().unwrap().settings.limits.max_channels, 9, "and so is a file of the owner");
}

/// Settings of a host.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Host {
    db: Db,
}
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Db {
    /// Password.
    password: Secret,
    /// Another.
    #[schemars(range(min = 1))]
    size: u32,
    /// How much is kept.
    keep: Keep,
}
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Keep {
    /// Nothing.
    #[default]
    Nothing,
    /// All.
    All,
}
impl Model for Host {}

#[test]
fn words_are_checked_and_written_without_quotation_marks() {
    let load =
        |word: &str| Config::<Host>::load(ConfigOptions::new().command_line("db.keep", word), &EventBus::default());
    assert_eq!(load("all").unwrap().current().settings.db.keep, Keep::All);
    assert_eq!(problems(load("some")), ["command line: db.keep: is \"some\", allowed is nothing, all"]);
    assert!(default_yaml::<Host>().contains("# How much is kept. Allowed: nothing, all.\n  keep: nothing\n"));
}

#[test]
fn secrets_come_from_guarded_places_and_are_never_shown() {
    const CANARY: &str = "s3cr3t-canary";
    let files = files(&[("c/local.yaml", "db: {password: 'file:pw'}")]);
    files.mode("pw", &format!("{CANARY}\n"), 0o600);
    let bus = EventBus::default();
    let events = bus.poll(SubscribeOptions::new("**")).unwrap();
    let load = |options: ConfigOptions| Config::<Host>::load(options.prefix("H_"), &bus);
    let config = load(options(&files)).unwrap();
    let first = config.current();
    assert_eq!(first.settings.db.password.expose(), CANARY);
    files.mode("pw", "other", 0o600);
    let second = config.reload().unwrap();
    assert_eq!(second.settings.db.password.expose(), "other");
    config.set("test", [("db.password".to_owned(), json!(format!("{CANARY}2")))]).unwrap();
    let now = config.current();
    let mut shown =
        format!("{config:?} {first:?} {} {:?} {:?}", now.to_json(), second.diff(&first), now.entry("db.password"));
    while let Some(delivery) = events.try_next() {
        shown += &delivery.event().unwrap().to_json().unwrap().to_string();
    }
    let variable =
        |value: &str| [("H_DB__PASSWORD".to_owned(), value.to_owned()), ("PW".to_owned(), CANARY.to_owned())];
    assert_eq!(
        load(ConfigOptions::new().variables(variable("env:PW"))).unwrap().current().settings.db.password.expose(),
        CANARY
    );
    assert_eq!(
        load(ConfigOptions::new().variables(variable("plain"))).unwrap().current().settings.db.password.expose(),
        "plain"
    );
    files.put("c/local.yaml", &format!("db: {{password: {CANARY}}}"));
    let in_file = problems(config.reload());
    files.put("c/local.yaml", "db: {password: 'file:pw'}");
    files.mode("pw", CANARY, 0o640);
    let readable = problems(config.reload());
    let wrong_type = problems(config.set("test", [("db.password".to_owned(), json!({"a": CANARY}))]));
    files.remove("pw");
    let gone = problems(config.reload());
    let unset = problems(load(ConfigOptions::new().command_line("db.password", "env:NOPE")));
    assert!(in_file[0].ends_with("is a secret and must not stand here: use file:PATH or env:NAME"), "{in_file:?}");
    assert!(readable[0].contains("pw can be read by others: chmod 600"), "{readable:?}");
    assert!(unset[0].contains("the variable NOPE is not set"), "{unset:?}");
    shown += &format!("{in_file:?}{readable:?}{wrong_type:?}{gone:?}");
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("***"));
}

#[test]
fn the_default_file_says_what_is_built_in() {
    let yaml = default_yaml::<Settings>();
    let now = load(options(&files(&[("c/default.yaml", &yaml)]))).current();
    assert_eq!(now.settings, Settings::default());
    assert!(now.entries().all(|(_, e)| e.origin != Origin::BuiltIn), "every key is in it");
    let fresh = include_str!("../../../configs/default.yaml");
    assert_eq!(yaml, fresh, "configs/default.yaml is not fresh: run tests/update-generated");
    let schema: Value = serde_json::from_str(include_str!("../../../configs/schema.json")).unwrap();
    assert_eq!(schema, settings_schema(), "configs/schema.json is not fresh: run tests/update-generated");
}

#[test]
fn the_shipped_environments_can_be_loaded() {
    for name in ["development", "production"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
        let folder =
            if folder.exists() { folder } else { Path::new(file!()).ancestors().nth(4).unwrap().join("configs") };
        let now = load(ConfigOptions::new().folder(folder).environment(name)).current();
        assert_ne!(now.settings, Settings::default(), "{name} says something");
    }
}

/// Real files, real time: only that it happens is tested, within a minute.
#[cfg(unix)]
#[test]
fn the_watcher_sees_writes_renames_and_swapped_links() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    // As Kubernetes mounts it: local.yaml -> data/local.yaml, data -> data-1.
    for n in ["data-1", "data-2"] {
        std::fs::create_dir(path(n)).unwrap();
    }
    std::fs::write(path("data-1/local.yaml"), "limits: {max_channels: 11}").unwrap();
    std::fs::write(path("data-2/local.yaml"), "limits: {max_channels: 12}").unwrap();
    std::os::unix::fs::symlink("data-1", path("data")).unwrap();
    std::os::unix::fs::symlink("data/local.yaml", path("local.yaml")).unwrap();
    let bus = EventBus::default();
    let events = bus.poll(SubscribeOptions::new("config.*")).unwrap();
    let config: Config = Config::load(ConfigOptions::new().folder(dir.path()), &bus).unwrap();
    let watcher = config.watch(Duration::from_millis(10)).unwrap();
    let seen = Arc::new(AtomicU64::new(0));
    let wait = |attempts: u32| {
        let end = Instant::now() + Duration::from_secs(60);
        while config.current().settings.limits.max_channels != attempts {
            assert!(Instant::now() < end, "change to {attempts} was not seen");
            std::thread::sleep(Duration::from_millis(5));
        }
        seen.fetch_add(1, Ordering::Relaxed);
    };
    wait(11);
    std::os::unix::fs::symlink("data-2", path("new")).unwrap();
    std::fs::rename(path("new"), path("data")).unwrap();
    wait(12);
    std::fs::write(path("data-2/local.yaml"), "limits: {max_channels: 13}").unwrap();
    wait(13);
    // A new file, then broken, then gone.
    std::fs::create_dir(path("config.d")).unwrap();
    std::fs::write(path("config.d/a.yaml"), "events: {history_events: 77}").unwrap();
    while config.current().settings.events.history_events != 77 {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::fs::write(path("config.d/a.yaml"), "events: {history_events: [").unwrap();
    loop {
        match events.next(Duration::from_secs(60)) {
            Some(Delivery::Event { event, .. }) if &*event.topic == "config.rejected" => break,
            Some(_) => {}
            None => panic!("the broken file was not seen"),
        }
    }
    assert_eq!(config.current().settings.events.history_events, 77);
    std::fs::remove_file(path("config.d/a.yaml")).unwrap();
    while config.current().settings.events.history_events == 77 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(seen.load(Ordering::Relaxed), 3);
    drop(watcher);
}
