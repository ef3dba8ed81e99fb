//! Getting services, and ending them.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::builder::{Made, Registration, ServiceBuilder};
use super::health::Health;
use super::key::{Key, Lifetime};
use super::slot::Slot;
use crate::error::{Error, Result};
use crate::sync::{Condvar, Mutex, lock, thread, wait};

type Graph = HashMap<Key, Registration>;

/// The services of one lifetime: of the container, or of a scope.
struct Level {
    slots: HashMap<Key, Slot<Arc<Made>>>,
    /// In the order in which they were done, so after what they depend on.
    order: Mutex<Vec<Key>>,
}

impl Level {
    fn new(graph: &Graph, lifetime: Lifetime) -> Self {
        let keys = graph.values().filter(|r| r.lifetime == lifetime).map(|r| r.key.clone());
        Self { slots: keys.map(|k| (k, Slot::new())).collect(), order: Mutex::new(Vec::new()) }
    }

    fn get(&self, resolver: &Resolver, registration: &Registration) -> Result<Arc<Made>> {
        let key = &registration.key;
        let slot = self.slots.get(key).ok_or_else(|| Error::internal(format!("no slot for {key}")))?;
        slot.get_or_make(&key.to_string(), || {
            let made = Arc::new(registration.construct(resolver)?);
            lock(&self.order).push(key.clone());
            Ok(made)
        })
    }

    /// Ends everything in reverse order.
    fn end(&self, timeout: Duration) -> Vec<Disposal> {
        // First nothing new is made; then the order is complete.
        let mut made: HashMap<&Key, Arc<Made>> =
            self.slots.iter().filter_map(|(key, slot)| Some((key, slot.close()?))).collect();
        let order = std::mem::take(&mut *lock(&self.order));
        let services = order.iter().rev().filter_map(|key| Some((key, made.remove(key)?)));
        services.map(|(key, made)| Disposal { service: key.to_string(), outcome: stop(made, timeout) }).collect()
    }
}

/// How a service ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopOutcome {
    /// As it should, or it had nothing to do.
    Stopped,
    /// With an error or a panic.
    Failed(String),
    /// Not in time; it was left to itself.
    TimedOut,
}

/// What became of a service when its container or scope ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposal {
    /// Which.
    pub service: String,
    /// How it ended.
    pub outcome: StopOutcome,
}

/// Ends one service in a thread of its own, so that one which hangs does not hold up the rest.
fn stop(made: Arc<Made>, timeout: Duration) -> StopOutcome {
    let Some(stop) = made.stop.clone() else { return StopOutcome::Stopped };
    let done = Arc::new((Mutex::new(None), Condvar::new()));
    let tell = Arc::clone(&done);
    let run = move || {
        let outcome = match catch_unwind(AssertUnwindSafe(|| stop())) {
            Ok(Ok(())) => StopOutcome::Stopped,
            Ok(Err(error)) => StopOutcome::Failed(error.to_string()),
            Err(_) => StopOutcome::Failed("panic".into()),
        };
        *lock(&tell.0) = Some(outcome);
        tell.1.notify_all();
    };
    if let Err(error) = thread::Builder::new().name("service stop".into()).spawn(run) {
        return StopOutcome::Failed(format!("no thread: {error}"));
    }
    let deadline = Instant::now() + timeout;
    let mut outcome = lock(&done.0);
    loop {
        if let Some(outcome) = outcome.take() {
            return outcome;
        }
        if Instant::now() >= deadline {
            return StopOutcome::TimedOut;
        }
        outcome = wait(&done.1, outcome, Some(deadline));
    }
}

/// Health of a service that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthReport {
    /// Which.
    pub service: String,
    /// What it says; failing when asking it panicked.
    pub health: Health,
}

struct Frozen {
    graph: Graph,
    singletons: Level,
}

/// All services, frozen. Clones are the same container.
#[derive(Clone)]
pub struct Services {
    frozen: Arc<Frozen>,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.frozen.graph.keys().map(ToString::to_string)).finish()
    }
}

impl Services {
    pub(super) fn new(graph: Graph) -> Self {
        let singletons = Level::new(&graph, Lifetime::Singleton);
        Self { frozen: Arc::new(Frozen { graph, singletons }) }
    }

    /// A service; made when it is the first time, or each time when it is transient.
    ///
    /// # Errors
    /// [`Error::UnknownName`] when it is not registered; [`Error::Conflict`] for one that lives in a scope; [`Error::Closed`];
    /// what its constructor and those of what it needs say. A failed constructor is tried again the next time.
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        self.get_key(&Key::of::<T>())
    }

    /// One of several services of a type.
    ///
    /// # Errors
    /// As [`Services::get`].
    pub fn get_named<T: ?Sized + Send + Sync + 'static>(&self, name: &str) -> Result<Arc<T>> {
        self.get_key(&Key::named::<T>(name.to_owned()))
    }

    /// The service of this key as a `T`, which is the type of the key.
    ///
    /// # Errors
    /// As [`Services::get`].
    pub fn get_key<T: ?Sized + Send + Sync + 'static>(&self, key: &Key) -> Result<Arc<T>> {
        cast(key, &*resolve(&self.frozen, None, key)?)
    }

    /// Makes all singletons now, so that what cannot be made is known at the start.
    ///
    /// # Errors
    /// The first that a constructor says.
    pub fn make_all(&self) -> Result<()> {
        let mut keys: Vec<&Key> = self.frozen.singletons.slots.keys().collect();
        keys.sort_by_cached_key(|k| k.to_string());
        keys.into_iter().try_for_each(|key| resolve(&self.frozen, None, key).map(drop))
    }

    /// Opens a scope, such as one for a job or a request.
    pub fn scope(&self) -> Scope {
        let level = Level::new(&self.frozen.graph, Lifetime::Scoped);
        Scope { frozen: Arc::clone(&self.frozen), level, timeout: Duration::from_secs(5) }
    }

    /// A builder with the same services, each of which may be replaced: for tests and for hosts that change a part. What it
    /// builds shares nothing with this one.
    pub fn child(&self) -> ServiceBuilder {
        ServiceBuilder::overriding(self.frozen.graph.values().cloned())
    }

    /// Asks every singleton that was made how it is.
    pub fn health(&self) -> Vec<HealthReport> {
        let order = lock(&self.frozen.singletons.order).clone();
        let made = order.iter().filter_map(|key| Some((key, self.frozen.singletons.slots.get(key)?.get()?)));
        made.filter_map(|(key, made)| {
            let ask = made.health.clone()?;
            let health = catch_unwind(AssertUnwindSafe(|| ask())).unwrap_or_else(|_| Health::fail("panic"));
            Some(HealthReport { service: key.to_string(), health })
        })
        .collect()
    }

    /// Ends all singletons, what was made last first, each within `timeout`. One that fails or hangs does not stop the rest.
    /// After this nothing can be got.
    pub fn shutdown(&self, timeout: Duration) -> Vec<Disposal> {
        self.frozen.singletons.end(timeout)
    }
}

/// A span of time with services of its own. Ends them when it is dropped.
pub struct Scope {
    frozen: Arc<Frozen>,
    level: Level,
    timeout: Duration,
}

impl Scope {
    /// A service, as [`Services::get`]; those that live in a scope are those of this one.
    ///
    /// # Errors
    /// As [`Services::get`].
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        self.get_key(&Key::of::<T>())
    }

    /// The service of this key as a `T`.
    ///
    /// # Errors
    /// As [`Services::get`].
    pub fn get_key<T: ?Sized + Send + Sync + 'static>(&self, key: &Key) -> Result<Arc<T>> {
        cast(key, &*resolve(&self.frozen, Some(&self.level), key)?)
    }

    /// Ends it and tells what became of its services.
    pub fn end(self, timeout: Duration) -> Vec<Disposal> {
        self.level.end(timeout)
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.level.end(self.timeout);
    }
}

fn cast<T: ?Sized + Send + Sync + 'static>(key: &Key, made: &Made) -> Result<Arc<T>> {
    let value: &(dyn Any + Send + Sync) = &*made.value;
    let service = value.downcast_ref::<Arc<T>>().cloned();
    service.ok_or_else(|| Error::internal(format!("the constructor of {key} made something else")))
}

fn resolve(frozen: &Frozen, scope: Option<&Level>, key: &Key) -> Result<Arc<Made>> {
    let Some(registration) = frozen.graph.get(key) else {
        let known: Vec<String> = frozen.graph.keys().map(ToString::to_string).collect();
        return Err(Error::unknown_name("service", &key.to_string(), known.iter().map(String::as_str)));
    };
    match (registration.lifetime, scope) {
        // A singleton outlives every scope, so it is made without one.
        (Lifetime::Singleton, _) => {
            frozen.singletons.get(&Resolver { frozen, scope: None, of: registration }, registration)
        }
        (Lifetime::Scoped, Some(level)) => level.get(&Resolver { frozen, scope, of: registration }, registration),
        (Lifetime::Scoped, None) => Err(Error::Conflict { what: format!("{key} lives in a scope: get it from one") }),
        (Lifetime::Transient, _) => {
            Ok(Arc::new(registration.construct(&Resolver { frozen, scope, of: registration })?))
        }
    }
}

/// What a constructor gets its needs from: those that were stated, nothing else.
pub struct Resolver<'a> {
    frozen: &'a Frozen,
    scope: Option<&'a Level>,
    of: &'a Registration,
}

impl Resolver<'_> {
    /// A service that was stated as needed.
    ///
    /// # Errors
    /// As [`Services::get`]; [`Error::Internal`] for one that was not stated, because the checks did not see it.
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self, key: &Key) -> Result<Arc<T>> {
        if !self.of.dependencies.iter().any(|d| d.key == *key) {
            return Err(Error::internal(format!("{} asks for {key} without stating it", self.of.key)));
        }
        cast(key, &*resolve(self.frozen, self.scope, key)?)
    }

    /// A service that was stated as optional; none when it is not registered.
    ///
    /// # Errors
    /// As [`Resolver::get`].
    pub fn get_optional<T: ?Sized + Send + Sync + 'static>(&self, key: &Key) -> Result<Option<Arc<T>>> {
        if self.frozen.graph.contains_key(key) { self.get(key).map(Some) } else { Ok(None) }
    }
}
