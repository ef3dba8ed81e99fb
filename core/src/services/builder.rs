//! Telling which services there are.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use super::container::{Resolver, Services};
use super::health::Health;
use super::key::{Dependency, Inject, Key, Lifetime};
use super::validate::check;
use crate::error::{Error, Result};

/// A service that can be registered by its type alone: it states what it needs and how it is made.
pub trait Service: Send + Sync + Sized + 'static {
    /// What the constructor asks for, see [`Inject`].
    type Needs: Inject;
    /// How long it lives.
    const LIFETIME: Lifetime = Lifetime::Singleton;

    /// Makes it. May fail, and is then tried again the next time it is asked for.
    ///
    /// # Errors
    /// What keeps it from being made.
    fn build(needs: Self::Needs) -> Result<Self>;

    /// How it is. Called now and then from any thread; must not take long.
    fn health(&self) -> Health {
        Health::pass()
    }

    /// Ends it, before what it depends on is ended.
    ///
    /// # Errors
    /// What went wrong; the others are ended all the same.
    fn stop(&self) -> Result<()> {
        Ok(())
    }
}

type HealthFn = Arc<dyn Fn() -> Health + Send + Sync>;
type StopFn = Arc<dyn Fn() -> Result<()> + Send + Sync>;
type Construct = Arc<dyn Fn(&Resolver) -> Result<Made> + Send + Sync>;

/// A service that was made, whatever its type.
pub struct Made {
    /// An `Arc<T>`, because `T` may be a trait.
    pub(super) value: Arc<dyn Any + Send + Sync>,
    pub(super) health: Option<HealthFn>,
    pub(super) stop: Option<StopFn>,
}

impl Made {
    /// A service without a say in its health and end.
    pub fn new<T: ?Sized + Send + Sync + 'static>(service: Arc<T>) -> Self {
        Self { value: Arc::new(service), health: None, stop: None }
    }

    /// Asks this for its health.
    pub fn with_health(mut self, health: impl Fn() -> Health + Send + Sync + 'static) -> Self {
        self.health = Some(Arc::new(health));
        self
    }

    /// Ends it with this.
    pub fn with_stop(mut self, stop: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        self.stop = Some(Arc::new(stop));
        self
    }
}

/// A service as it is registered, whatever its type: for bindings and what the typed methods of [`ServiceBuilder`] do not cover.
#[derive(Clone)]
pub struct Registration {
    /// Its name.
    pub key: Key,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// What it asks for. The constructor gets nothing else.
    pub dependencies: Vec<Dependency>,
    construct: Construct,
    fallback: bool,
}

impl Registration {
    /// A service made by a function.
    pub fn new(
        key: Key,
        lifetime: Lifetime,
        dependencies: Vec<Dependency>,
        construct: impl Fn(&Resolver) -> Result<Made> + Send + Sync + 'static,
    ) -> Self {
        Self { key, lifetime, dependencies, construct: Arc::new(construct), fallback: false }
    }

    pub(super) fn construct(&self, resolver: &Resolver) -> Result<Made> {
        (self.construct)(resolver)
    }
}

/// Collects services. Nothing is made before somebody asks for it.
#[derive(Clone, Default)]
pub struct ServiceBuilder {
    registrations: Vec<Registration>,
    fallback: bool,
}

impl std::fmt::Debug for ServiceBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.registrations.iter().map(|r| r.key.to_string())).finish()
    }
}

impl ServiceBuilder {
    /// No services.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service whatever its type.
    pub fn register(&mut self, mut registration: Registration) -> &mut Self {
        registration.fallback = self.fallback;
        self.registrations.push(registration);
        self
    }

    /// Adds a service by its type.
    pub fn add<S: Service>(&mut self) -> &mut Self {
        self.add_key::<S>(Key::of::<S>())
    }

    /// Adds one of several services of a type.
    pub fn add_named<S: Service>(&mut self, name: &'static str) -> &mut Self {
        self.add_key::<S>(Key::named::<S>(name))
    }

    /// Adds a service and lets it be asked for as `I` too: `builder.add_as::<dyn Notify, Mailer>(|m| m)`.
    pub fn add_as<I: ?Sized + Send + Sync + 'static, S: Service>(&mut self, cast: fn(Arc<S>) -> Arc<I>) -> &mut Self {
        self.add::<S>();
        self.factory(S::LIFETIME, move |service: Arc<S>| Ok(cast(service)))
    }

    fn add_key<S: Service>(&mut self, key: Key) -> &mut Self {
        let mut dependencies = Vec::new();
        S::Needs::dependencies(&mut dependencies);
        self.register(Registration::new(key, S::LIFETIME, dependencies, |resolver| {
            let service = Arc::new(S::build(S::Needs::inject(resolver)?)?);
            let (health, stop) = (Arc::clone(&service), Arc::clone(&service));
            Ok(Made::new(service).with_health(move || health.health()).with_stop(move || stop.stop()))
        }))
    }

    /// Adds a service made by a function of what it needs: `|(clock, cache): (Arc<dyn Clock>, Option<Arc<Cache>>)| ...`.
    pub fn factory<T: ?Sized + Send + Sync + 'static, N: Inject>(
        &mut self,
        lifetime: Lifetime,
        make: impl Fn(N) -> Result<Arc<T>> + Send + Sync + 'static,
    ) -> &mut Self {
        let mut dependencies = Vec::new();
        N::dependencies(&mut dependencies);
        self.register(Registration::new(Key::of::<T>(), lifetime, dependencies, move |resolver| {
            Ok(Made::new(make(N::inject(resolver)?)?))
        }))
    }

    /// Adds a service that is there already.
    pub fn instance<T: ?Sized + Send + Sync + 'static>(&mut self, service: Arc<T>) -> &mut Self {
        self.instance_key(Key::of::<T>(), service)
    }

    /// Adds one of several services of a type that is there already.
    pub fn instance_named<T: ?Sized + Send + Sync + 'static>(
        &mut self,
        name: &'static str,
        service: Arc<T>,
    ) -> &mut Self {
        self.instance_key(Key::named::<T>(name), service)
    }

    fn instance_key<T: ?Sized + Send + Sync + 'static>(&mut self, key: Key, service: Arc<T>) -> &mut Self {
        let make = move |_: &Resolver| Ok(Made::new(Arc::clone(&service)));
        self.register(Registration::new(key, Lifetime::Singleton, Vec::new(), make))
    }

    /// Adds services that hold only where nobody else registers one of the same key: defaults that a host may replace.
    pub fn fallback(&mut self, add: impl FnOnce(&mut Self)) -> &mut Self {
        let before = std::mem::replace(&mut self.fallback, true);
        add(self);
        self.fallback = before;
        self
    }

    /// The registrations that hold, and those that are in each other's way.
    fn effective(&self) -> (HashMap<Key, Registration>, Vec<Key>) {
        let mut chosen: HashMap<Key, Registration> = HashMap::new();
        let mut ambiguous = Vec::new();
        for registration in &self.registrations {
            match chosen.get(&registration.key) {
                Some(other) if registration.fallback && !other.fallback => continue,
                Some(other) if registration.fallback == other.fallback => ambiguous.push(registration.key.clone()),
                _ => ambiguous.retain(|k| k != &registration.key),
            }
            chosen.insert(registration.key.clone(), registration.clone());
        }
        (chosen, ambiguous)
    }

    /// Checks the graph without making anything.
    ///
    /// # Errors
    /// [`Error::Invalid`] with everything that is missing, circular (with the circle), ambiguous, or captive: a singleton that
    /// would hold on to something that lives in a scope.
    pub fn validate(&self) -> Result<()> {
        let (chosen, ambiguous) = self.effective();
        let problems = check(&chosen, &ambiguous);
        if problems.is_empty() { Ok(()) } else { Err(Error::Invalid { what: "service graph", problems }) }
    }

    /// Checks and freezes.
    ///
    /// # Errors
    /// As [`ServiceBuilder::validate`].
    pub fn build(self) -> Result<Services> {
        self.validate()?;
        Ok(Services::new(self.effective().0))
    }

    pub(super) fn overriding(registrations: impl Iterator<Item = Registration>) -> Self {
        let registrations = registrations.map(|r| Registration { fallback: true, ..r }).collect();
        Self { registrations, fallback: false }
    }
}
