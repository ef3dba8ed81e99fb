//! The configuration of a running engine: load, reload, set, take back.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::generation::{Cause, Generation, changes};
use super::keys::{KeyInfo, Keys, schema_of};
use super::layers::{Entries, Origin, Reader, tree};
use super::options::ConfigOptions;
use super::settings::{Model, Settings};
use crate::error::{Error, Problem, Result};
use crate::events::{
    Class, ConfigChanged, ConfigRejected, EventBus, EventOptions, Payload, SubscribeOptions, Subscription,
};
use crate::sync::{Mutex, RwLock, lock, unpoisoned};

/// Generations that can be taken back.
const KEPT: usize = 20;

struct State<T> {
    /// The layers below the calls as they were last read.
    read: Arc<Entries>,
    generations: VecDeque<Arc<Generation<T>>>,
    /// Files that were looked at.
    seen: Vec<PathBuf>,
    /// What was wrong the last time that files were read; empty when nothing was.
    rejected: Vec<Problem>,
    rejections: u64,
}

struct Inner<T> {
    options: ConfigOptions,
    keys: Keys,
    schema: Value,
    bus: EventBus,
    /// The generation that holds. Swapped as a whole; readers take a reference out and go.
    live: RwLock<Arc<Generation<T>>>,
    /// One change at a time.
    state: Mutex<State<T>>,
}

/// The configuration of a running engine. Clones are the same one.
pub struct Config<T = Settings> {
    inner: Arc<Inner<T>>,
}

impl<T> Clone for Config<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<T: Model> std::fmt::Debug for Config<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("generation", &self.current().number).finish_non_exhaustive()
    }
}

/// What a change led to.
enum Change<T> {
    Same(Arc<Generation<T>>),
    New(Arc<Generation<T>>, ConfigChanged),
}

impl Config {
    /// As [`Config::load`], with a new bus whose sizes are those of the section `events`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn open(options: ConfigOptions) -> Result<Self> {
        Self::load_with(options, |settings| EventBus::new(EventOptions::from(&settings.events)))
    }
}

impl<T: Model> Config<T> {
    /// Reads all layers. Changes are told to `bus`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with everything that is wrong.
    pub fn load(options: ConfigOptions, bus: &EventBus) -> Result<Self> {
        Self::load_with(options, |_| bus.clone())
    }

    fn load_with(options: ConfigOptions, bus: impl FnOnce(&T) -> EventBus) -> Result<Self> {
        let schema = schema_of::<T>().to_value();
        let defaults = serde_json::to_value(T::default()).map_err(|e| Error::internal(e.to_string()))?;
        let keys = Keys::read(&schema, &defaults);
        let (read, seen, problems) = read_all(&options, &keys);
        let generation = if problems.is_empty() {
            assemble(&options, &keys, &Arc::new(read), &Arc::default(), None, Cause::Start)
        } else {
            Err(problems)
        };
        let generation = Arc::new(generation.map_err(invalid)?);
        let state = State {
            read: Arc::clone(&generation.base),
            generations: [Arc::clone(&generation)].into(),
            seen,
            rejected: Vec::new(),
            rejections: 0,
        };
        let inner = Inner {
            options,
            keys,
            schema,
            bus: bus(&generation.settings),
            live: RwLock::new(generation),
            state: Mutex::new(state),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The bus that changes are told to.
    pub fn events(&self) -> &EventBus {
        &self.inner.bus
    }

    /// The generation that holds. Keep it for as long as one consistent view is needed, such as a job.
    pub fn current(&self) -> Arc<Generation<T>> {
        let live = unpoisoned(self.inner.live.read());
        Arc::clone(&live)
    }

    /// Reads all files again. Nothing changes when one of them is wrong, or none differs from the last time. What is wrong is told
    /// once as `config.rejected`, until it changes.
    ///
    /// # Errors
    /// [`Error::Invalid`] with everything that is wrong; the generation that held still holds.
    pub fn reload(&self) -> Result<Arc<Generation<T>>> {
        let mut news = None;
        let outcome = self.change(|config, state| {
            let change = config.read_again(state);
            let rejected = match &change {
                Err(Error::Invalid { problems, .. }) => problems.clone(),
                _ => Vec::new(),
            };
            if !rejected.is_empty() && rejected != state.rejected {
                state.rejections += 1;
                news = Some(ConfigRejected { generation: config.current().number, problems: rejected.clone() });
            }
            state.rejected = rejected;
            change
        });
        if let Some(Err(error)) = news.map(|rejected| self.inner.bus.publish(rejected)) {
            tracing::warn!(%error, "not everybody could be told of a refused configuration");
        }
        outcome
    }

    fn read_again(&self, state: &mut State<T>) -> Result<Change<T>> {
        let (read, seen, problems) = read_all(&self.inner.options, &self.inner.keys);
        state.seen = seen;
        if !problems.is_empty() {
            return Err(invalid(problems));
        }
        let current = self.current();
        if read == *state.read {
            return Ok(Change::Same(current));
        }
        self.guard(&current.base, &read)?;
        let read = Arc::new(read);
        let change = self.accept(state, &read, &current.calls, Cause::Reload)?;
        state.read = read;
        Ok(change)
    }

    /// How often files were refused since the start. What is wrong in the same way again and again counts once.
    pub fn rejections(&self) -> u64 {
        lock(&self.inner.state).rejections
    }

    /// What was wrong with the files the last time that they were read; empty when what holds is what they say.
    pub fn rejected(&self) -> Vec<Problem> {
        lock(&self.inner.state).rejected.clone()
    }

    /// Sets keys until the end of the process, above all other layers. All or none. `by` names who does it.
    ///
    /// # Errors
    /// [`Error::Invalid`] with everything that is wrong.
    pub fn set(&self, by: &str, values: impl IntoIterator<Item = (String, Value)>) -> Result<Arc<Generation<T>>> {
        self.change(|config, state| {
            let current = config.current();
            let mut calls = Entries::clone(&current.calls);
            let mut reader = config.reader();
            for (path, value) in values {
                reader.value(&path, value, Origin::Call { by: by.to_owned() }, &mut calls);
            }
            if !reader.problems.is_empty() {
                return Err(invalid(reader.problems));
            }
            config.accept(state, &current.base, &Arc::new(calls), Cause::Call)
        })
    }

    /// Takes back what calls have set; all of it without a path.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for a path that no call has set; [`Error::Invalid`] when what is left does not fit together.
    pub fn unset(&self, path: Option<&str>) -> Result<Arc<Generation<T>>> {
        self.change(|config, state| {
            let current = config.current();
            let mut calls = Entries::clone(&current.calls);
            match path {
                None => calls.clear(),
                Some(path) => {
                    calls.remove(path).ok_or_else(|| {
                        Error::unknown_name("set value", path, current.calls.keys().map(String::as_str))
                    })?;
                }
            }
            config.accept(state, &current.base, &Arc::new(calls), Cause::Call)
        })
    }

    /// Lets an earlier generation hold again, as a new one. Files that did not change since do not undo this.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a number that is not kept any more or does not exist.
    pub fn rollback(&self, number: u64) -> Result<Arc<Generation<T>>> {
        self.change(|config, state| {
            let kept = |g: Option<&Arc<Generation<T>>>| g.map_or(0.0, |g| g.number as f64);
            let (oldest, newest) = (kept(state.generations.front()), kept(state.generations.back()));
            Error::check_range("generation", number as f64, oldest, newest, "")?;
            let found = state.generations.iter().find(|g| g.number == number).map(Arc::clone);
            let old = found.ok_or_else(|| Error::internal("generations have a hole"))?;
            config.accept(state, &old.base, &old.calls, Cause::Rollback { to: number })
        })
    }

    /// The generations that can be taken back, oldest first.
    pub fn generations(&self) -> Vec<Arc<Generation<T>>> {
        lock(&self.inner.state).generations.iter().map(Arc::clone).collect()
    }

    /// All keys with what is known of them, sorted by path.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &KeyInfo)> {
        self.inner.keys.keys.iter().map(|(path, key)| (path.as_str(), key))
    }

    /// JSON Schema of the files.
    pub fn schema(&self) -> &Value {
        &self.inner.schema
    }

    /// Calls `handler` after each change of a key in `section` (`events`, `limits.max_channels`, or empty for any), in the thread that
    /// makes the change.
    ///
    /// # Errors
    /// As [`EventBus::subscribe`].
    pub fn on_change(
        &self,
        section: &str,
        handler: impl Fn(&ConfigChanged) -> crate::events::HandlerResult + Send + Sync + 'static,
    ) -> Result<Subscription> {
        let section = section.to_owned();
        let inside = move |path: &str| {
            section.is_empty() || path.strip_prefix(&section).is_some_and(|r| r.is_empty() || r.starts_with('.'))
        };
        let options = SubscribeOptions::new(ConfigChanged::TOPIC).name("config").synchronous();
        // Every change counts: none may be dropped for a newer one.
        let options = options.class(Class::Lossless { wait: Duration::from_secs(10) });
        self.inner.bus.subscribe_to(options, move |changed: &ConfigChanged, _| {
            if changed.changes.iter().any(|c| inside(&c.path)) { handler(changed) } else { Ok(()) }
        })
    }

    /// Files and folders that decide the configuration.
    pub(super) fn watched(&self) -> (ConfigOptions, Vec<PathBuf>) {
        (self.inner.options.clone(), lock(&self.inner.state).seen.clone())
    }

    fn reader(&self) -> Reader<'_> {
        let options = &self.inner.options;
        Reader {
            keys: &self.inner.keys,
            files: &*options.files,
            variables: &options.variables,
            problems: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Does one change at a time, and tells of it when the lock is gone: handlers may change the configuration themselves.
    fn change(&self, make: impl FnOnce(&Self, &mut State<T>) -> Result<Change<T>>) -> Result<Arc<Generation<T>>> {
        let made = make(self, &mut lock(&self.inner.state));
        let (generation, changed) = match made? {
            Change::Same(generation) => return Ok(generation),
            Change::New(generation, changed) => (generation, changed),
        };
        // The change holds even if a subscriber had no room for the news.
        if let Err(error) = self.inner.bus.publish(changed) {
            tracing::warn!(%error, "not everybody could be told of a new configuration");
        }
        Ok(generation)
    }

    /// Refuses to lower security by files that others may write.
    fn guard(&self, before: &Entries, after: &Entries) -> Result<()> {
        let mut problems = Vec::new();
        for (path, key) in self.inner.keys.keys.iter().filter(|(_, k)| k.guard.is_some()) {
            let (Some(old), Some(new)) = (before.get(path), after.get(path)) else { continue };
            let Origin::File { path: file, .. } = &new.origin else { continue };
            if !key.lowers_security(&old.value, &new.value) {
                continue;
            }
            // A file that cannot be asked any more is not trusted; systems without such bits are.
            let others = self.inner.options.files.info(file).map_or(true, |i| i.mode.is_some_and(|m| m & 0o022 != 0));
            if others {
                let message = format!(
                    "would go from {} to {}, which lowers security, and the file can be written by others: restart to take it",
                    old.value, new.value
                );
                problems.push(Problem { place: new.origin.to_string(), path: path.clone(), message });
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(invalid(problems)) }
    }

    /// Makes the next generation and lets it hold.
    fn accept(
        &self,
        state: &mut State<T>,
        base: &Arc<Entries>,
        calls: &Arc<Entries>,
        cause: Cause,
    ) -> Result<Change<T>> {
        let current = self.current();
        let options = &self.inner.options;
        let next = assemble(options, &self.inner.keys, base, calls, Some(&current), cause).map_err(invalid)?;
        let changed = ConfigChanged {
            generation: next.number,
            changes: changes(&current.entries, &next.entries),
            restart: next.restart.clone(),
        };
        let next = Arc::new(next);
        state.generations.push_back(Arc::clone(&next));
        while state.generations.len() > KEPT {
            state.generations.pop_front();
        }
        *unpoisoned(self.inner.live.write()) = Arc::clone(&next);
        Ok(Change::New(next, changed))
    }
}

fn invalid(mut problems: Vec<Problem>) -> Error {
    problems.sort();
    problems.dedup();
    Error::Invalid { what: "configuration", problems }
}

fn read_all(options: &ConfigOptions, keys: &Keys) -> (Entries, Vec<PathBuf>, Vec<Problem>) {
    let mut reader =
        Reader { keys, files: &*options.files, variables: &options.variables, problems: Vec::new(), seen: Vec::new() };
    let entries = options.read(&mut reader);
    (entries, reader.seen, reader.problems)
}

/// Puts layers together. Keys that need a restart keep the value of `current`.
fn assemble<T: Model>(
    options: &ConfigOptions,
    keys: &Keys,
    base: &Arc<Entries>,
    calls: &Arc<Entries>,
    current: Option<&Generation<T>>,
    cause: Cause,
) -> Result<Generation<T>, Vec<Problem>> {
    let mut wanted = Entries::clone(base);
    wanted.extend(calls.iter().map(|(path, entry)| (path.clone(), entry.clone())));
    // What is wanted must be right as a whole, too: it is what holds after a restart.
    let mut settings = settled::<T>(&wanted)?;
    let mut entries = wanted;
    let mut restart = Vec::new();
    if let Some(current) = current {
        for path in keys.keys.iter().filter(|(_, k)| k.restart).map(|(p, _)| p) {
            let (Some(running), Some(entry)) = (current.entries.get(path), entries.get_mut(path)) else { continue };
            if running.value != entry.value || running.secret != entry.secret {
                *entry = running.clone();
                restart.push(path.clone());
            }
        }
        if !restart.is_empty() {
            settings = settled::<T>(&entries)?;
        }
    }
    Ok(Generation {
        number: current.map_or(1, |c| c.number + 1),
        time_ms: options.clock.unix_ms(),
        cause,
        settings,
        restart,
        entries,
        base: Arc::clone(base),
        calls: Arc::clone(calls),
    })
}

/// Reads the model out of the values, and checks what no single key can tell.
fn settled<T: Model>(entries: &Entries) -> Result<T, Vec<Problem>> {
    let settings: T = serde_json::from_value(tree(entries, true)).map_err(|e| {
        vec![Problem { place: String::new(), path: String::new(), message: format!("does not fit the schema: {e}") }]
    })?;
    let problem = |(path, message): (&'static str, String)| Problem {
        place: entries.get(path).map_or_else(String::new, |e| e.origin.to_string()),
        path: path.into(),
        message,
    };
    let problems: Vec<_> = settings.check_together().into_iter().map(problem).collect();
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}
