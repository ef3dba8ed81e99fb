//! Puts an engine together from its services: what a host registers comes instead of the built-in parts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::run_events::tell;
use crate::error::Error;
use crate::events::{EventBus, EventOptions, ResourceLeak};
use crate::formats::{BuiltInCodecs, CodecSet, DecoderFactory};
use crate::presets::PresetStore;
use crate::resources::{PoolOptions, Resource, ResourcePool};
use crate::services::seams::{AllowAll, Clock, FileSystem, IdGenerator, Policy, SystemClock, UuidV7};
use crate::services::{Dependency, Key, Lifetime, Made, Registration, ServiceBuilder, Services};
use crate::storage::Files;

/// How long each service may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What the built-in parts are made from.
pub(super) struct Parts {
    pub threads: usize,
    pub preset_dirs: Vec<PathBuf>,
    /// Where the presets of the user are kept.
    pub own_presets: Option<PathBuf>,
    pub decoders: Vec<Arc<dyn DecoderFactory>>,
    pub budgets: PoolOptions,
    /// The bus of the host; none for one of its own of these sizes.
    pub events: Option<EventBus>,
    pub event_sizes: EventOptions,
}

/// Adds the built-in parts wherever the host has not registered its own.
pub(super) fn add_defaults(services: &mut ServiceBuilder, parts: Parts) {
    let Parts { threads, preset_dirs, own_presets, decoders, budgets, events, event_sizes } = parts;
    services.fallback(|builder| {
        builder
            .instance::<dyn Clock>(Arc::new(SystemClock::default()))
            .instance::<dyn FileSystem>(Arc::new(Files::default()))
            .instance::<dyn Policy>(Arc::new(AllowAll))
            .instance::<dyn CodecSet>(Arc::new(BuiltInCodecs { decoders }))
            .factory::<dyn IdGenerator, _>(Lifetime::Singleton, |clock: Arc<dyn Clock>| {
                Ok(Arc::new(UuidV7::new(clock)))
            })
            .factory(Lifetime::Singleton, move |(): ()| {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .thread_name(|i| format!("pure-sound-{i}"))
                    .build()
                    .map_err(|e| Error::Unavailable { what: format!("worker threads: {e}") })?;
                Ok(Arc::new(pool))
            })
            .factory(Lifetime::Singleton, move |files: Arc<dyn FileSystem>| {
                let mut presets = PresetStore::built_in()?;
                preset_dirs.iter().try_for_each(|dir| presets.load_dir_on(dir, &*files))?;
                if let Some(dir) = &own_presets {
                    presets.keep_in(dir.clone(), files)?;
                    for problem in presets.problems() {
                        tracing::warn!(%problem, "a preset of the user is left out");
                    }
                }
                Ok(Arc::new(presets))
            })
            .register(resource_pool(budgets));
        match events {
            Some(bus) => builder.instance(Arc::new(bus)),
            None => {
                builder.factory(Lifetime::Singleton, move |(clock, ids): (Arc<dyn Clock>, Arc<dyn IdGenerator>)| {
                    Ok(Arc::new(EventBus::with_seams(event_sizes.clone(), clock, &*ids)))
                })
            }
        };
    });
}

/// The budgets; what is still held at the end is told.
fn resource_pool(options: PoolOptions) -> Registration {
    let needs = [Key::of::<dyn Clock>(), Key::of::<EventBus>()];
    let needs = needs.map(|key| Dependency { key, optional: false }).to_vec();
    Registration::new(Key::of::<ResourcePool>(), Lifetime::Singleton, needs, move |resolver| {
        let clock = resolver.get::<dyn Clock>(&Key::of::<dyn Clock>())?;
        let events = resolver.get::<EventBus>(&Key::of::<EventBus>())?;
        let pool = ResourcePool::with_clock(options, clock);
        let stopping = pool.clone();
        Ok(Made::new(Arc::new(pool)).with_stop(move || {
            end(&stopping, &events);
            Ok(())
        }))
    })
}

/// Closes a pool whose users are gone, and tells who did not give back.
fn end(pool: &ResourcePool, events: &EventBus) {
    let left = pool.close();
    for resource in Resource::ALL {
        let mut holders = BTreeMap::<String, u64>::new();
        for held in left.iter().filter(|h| h.amounts.get(resource) > 0) {
            *holders.entry(held.label.clone()).or_default() += held.amounts.get(resource);
        }
        if !holders.is_empty() {
            let amount = holders.values().sum();
            tracing::warn!(pool = resource.name(), amount, ?holders, "not given back");
            tell(events, ResourceLeak { pool: resource.name().into(), amount, holders });
        }
    }
}

/// The services of an engine. Ended with it, in reverse order of their making.
pub(super) struct Composition(pub Services);

impl Drop for Composition {
    fn drop(&mut self) {
        for ended in self.0.shutdown(STOP_TIMEOUT) {
            if ended.outcome != crate::services::StopOutcome::Stopped {
                tracing::warn!(service = ended.service, outcome = ?ended.outcome, "a service did not end well");
            }
        }
    }
}
