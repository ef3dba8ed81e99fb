//! Results that were made before: in memory, in a folder, in a Redis.
//!
//! A result is found by a [`CacheKey`]: the BLAKE3 of the input, the whole operation, the version of the engine and the tenant. What is
//! found was checked: it is what was written, for this key, or it counts as not there. A store that fails makes things slower and never
//! wrong. Of those who want the same at the same time one makes it ([`Cache::get_or_make`]).
//!
//! ```
//! use pure_sound::cache::{Cache, CacheKey, CacheOptions, Found, Kind};
//! use pure_sound::processing::CancelToken;
//!
//! let cache = Cache::open(&CacheOptions { memory_bytes: 1 << 20, ..CacheOptions::default() })?;
//! let key = CacheKey::new(&[7; 32], &serde_json::json!({"what": "double"}), "", None);
//! let make = || Ok(Some(b"twice".to_vec()));
//! assert!(matches!(cache.get_or_make(Kind::Custom, &key, &CancelToken::new(), make)?, Found::Made(_)));
//! assert!(matches!(cache.get_or_make(Kind::Custom, &key, &CancelToken::new(), make)?, Found::Cached(value) if *value == *b"twice"));
//! # Ok::<(), pure_sound::Error>(())
//! ```

mod disk;
mod flight;
mod frame;
mod key;
mod memory;
pub(crate) mod pack;
#[cfg(feature = "redis")]
mod redis;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::cancel::CancelToken;
use crate::config::{CacheSettings, Secret};
use crate::error::Result;
use crate::sync::AtomicU64;
use disk::Disk;
use flight::{Entry, Flights};
pub use frame::Kind;
use frame::{Look, Seal};
pub use key::CacheKey;
use memory::Memory;

/// Largest value that is kept in memory, and that goes to Redis if that takes it. Larger ones are streamed from and to the folder.
const SMALL_BYTES: u64 = 8 << 20;

/// Where results are kept. The default is nowhere.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheOptions {
    /// Memory for values; 0 is none.
    pub memory_bytes: u64,
    /// Folder for values. It is made when it is not there, for its owner only.
    pub dir: Option<PathBuf>,
    /// Most bytes in the folder.
    pub max_bytes: u64,
    /// A Redis; needs the feature `redis`.
    pub redis: Option<RedisOptions>,
    /// With it values in the folder and in Redis are sealed, so that nobody who does not know it can make one. All who share them need the same.
    pub secret: Option<Secret>,
    /// Part of every key. Hosts whose decoders, codecs or filters differ from the built-in ones give theirs a name.
    pub namespace: String,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { memory_bytes: 0, dir: None, max_bytes: 1 << 30, redis: None, secret: None, namespace: String::new() }
    }
}

/// How to reach a Redis.
#[derive(Debug, Clone, PartialEq)]
pub struct RedisOptions {
    /// `HOST:PORT`.
    pub host: String,
    /// Password, when it asks for one.
    pub password: Option<Secret>,
    /// How long it keeps a value that is not written again, in seconds.
    pub ttl_s: u64,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self { host: "127.0.0.1:6379".into(), password: None, ttl_s: 604_800 }
    }
}

impl CacheOptions {
    /// True when there is a place to keep something.
    pub fn is_some(&self) -> bool {
        self.memory_bytes > 0 || self.dir.is_some() || self.redis.is_some()
    }
}

impl From<&CacheSettings> for CacheOptions {
    fn from(settings: &CacheSettings) -> Self {
        let redis = settings.redis_host.clone().map(|host| RedisOptions {
            host,
            password: settings.redis_password.clone(),
            ttl_s: settings.redis_ttl_s.into(),
        });
        Self {
            memory_bytes: u64::from(settings.memory_mib) << 20,
            dir: settings.dir.clone(),
            max_bytes: u64::from(settings.max_mib) << 20,
            redis,
            secret: settings.secret.clone(),
            namespace: String::new(),
        }
    }
}

/// A place where values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Memory of this process.
    Memory,
    /// A folder.
    Disk,
    /// A Redis.
    Redis,
}

impl Layer {
    /// All, the nearest first.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Disk, Self::Redis];

    /// Its name, as in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Redis => "redis",
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct LayerCounts {
    hits: AtomicU64,
    misses: AtomicU64,
    bad: AtomicU64,
    writes: AtomicU64,
    failures: AtomicU64,
    evictions: AtomicU64,
}

/// What a layer has done since the cache was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LayerStats {
    /// Values that were found.
    pub hits: u64,
    /// Values that were not there.
    pub misses: u64,
    /// Values that were not what had been written: they count as not there.
    pub bad: u64,
    /// Values that were written.
    pub writes: u64,
    /// Reads and writes that failed, or took too long.
    pub failures: u64,
    /// Values that were removed to make room; of the folder only.
    pub evictions: u64,
    /// What is kept, in bytes, about; not known of Redis.
    pub bytes: u64,
}

/// What [`Cache::get_or_make`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It was there, or another one has just made it.
    Cached(Arc<[u8]>),
    /// It was made by this call; none: it was made and is not kept.
    Made(Option<Arc<[u8]>>),
}

struct Inner {
    memory: Option<Memory>,
    disk: Option<Disk>,
    #[cfg(feature = "redis")]
    redis: Option<redis::Redis>,
    namespace: String,
    flights: Flights<(Kind, CacheKey), Arc<[u8]>>,
    counts: [Arc<LayerCounts>; 3],
    shared: AtomicU64,
}

/// Results that were made before. Clones are the same cache; several engines may share one.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("namespace", &self.0.namespace).finish_non_exhaustive()
    }
}

impl Cache {
    /// Opens a cache. A Redis that does not answer is no error: it may come later.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::Denied`] for a folder that cannot be made or that others may write to; [`crate::Error::Unsupported`] for Redis
    /// without the feature; [`crate::Error::InvalidValue`] for an address that is none.
    pub fn open(options: &CacheOptions) -> Result<Self> {
        let counts: [Arc<LayerCounts>; 3] = Default::default();
        let seal = Seal::new(options.secret.as_ref().map(Secret::expose));
        let disk = options
            .dir
            .as_ref()
            .map(|dir| Disk::open(dir, options.max_bytes, seal.clone(), Arc::clone(&counts[Layer::Disk as usize])));
        #[cfg(not(feature = "redis"))]
        if options.redis.is_some() {
            return Err(crate::Error::Unsupported {
                what: "cache",
                value: "redis".into(),
                hint: Some("this library was built without the feature 'redis'".into()),
            });
        }
        #[cfg(feature = "redis")]
        let redis = options
            .redis
            .as_ref()
            .map(|options| redis::Redis::start(options, seal.clone(), Arc::clone(&counts[Layer::Redis as usize])));
        Ok(Self(Arc::new(Inner {
            memory: (options.memory_bytes > 0).then(|| Memory::new(options.memory_bytes)),
            disk: disk.transpose()?,
            #[cfg(feature = "redis")]
            redis: redis.transpose()?,
            namespace: options.namespace.clone(),
            flights: Flights::default(),
            counts,
            shared: AtomicU64::new(0),
        })))
    }

    /// The namespace of its keys.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// A value, checked.
    pub fn get(&self, kind: Kind, key: &CacheKey) -> Option<Arc<[u8]>> {
        let mut bytes = Vec::new();
        match self.find(kind, key, &mut bytes) {
            Ok(Place::InMemory(value)) => Some(value),
            Ok(Place::Written) => {
                let value = Arc::from(bytes);
                self.remember(kind, key, &value);
                Some(value)
            }
            // A vector takes whatever is written.
            Ok(Place::Nowhere) | Err(_) => None,
        }
    }

    /// Copies a value, checked, to `to`. False when it is not there; then what was written to `to` means nothing.
    ///
    /// # Errors
    /// Those of writing to `to`.
    pub fn copy_to(&self, kind: Kind, key: &CacheKey, to: &mut dyn Write) -> io::Result<bool> {
        Ok(match self.find(kind, key, to)? {
            Place::InMemory(value) => {
                to.write_all(&value)?;
                true
            }
            Place::Written => true,
            Place::Nowhere => false,
        })
    }

    /// Keeps a value. False when nothing has room for it: that is no error.
    pub fn put(&self, kind: Kind, key: &CacheKey, value: &[u8]) -> bool {
        self.put_from(kind, key, value.len() as u64, &mut &*value)
    }

    /// Keeps a value of `length` bytes from a reader. False when nothing has room for it, or it cannot be read.
    pub fn put_from(&self, kind: Kind, key: &CacheKey, length: u64, from: &mut dyn Read) -> bool {
        let mut kept = false;
        if length <= SMALL_BYTES {
            let mut value = Vec::new();
            let whole = from.take(length).read_to_end(&mut value).is_ok_and(|count| count as u64 == length);
            if !whole {
                return false;
            }
            let value = Arc::from(value);
            kept |= self.remember(kind, key, &value);
            kept |= self.put_on_disk(kind, key, length, &mut &value[..]);
            #[cfg(feature = "redis")]
            if let Some(redis) = &self.0.redis {
                kept |= self.count_write(Layer::Redis, redis.put(kind, key, &value));
            }
        } else {
            kept |= self.put_on_disk(kind, key, length, from);
        }
        kept
    }

    /// The value of a key; made by `make` when it is not there, by one of those who ask at the same time. What `make` gives is kept for
    /// the others; none means that it is not to be kept, and then each of them makes it for itself. When `make` fails or panics,
    /// another one tries.
    ///
    /// # Errors
    /// Those of `make`; [`crate::Error::Cancelled`] while waiting for another one.
    pub fn get_or_make(
        &self,
        kind: Kind,
        key: &CacheKey,
        cancel: &CancelToken,
        make: impl FnOnce() -> Result<Option<Vec<u8>>>,
    ) -> Result<Found> {
        if let Some(value) = self.get(kind, key) {
            return Ok(Found::Cached(value));
        }
        let lead = match self.0.flights.enter(&(kind, *key), cancel)? {
            Entry::Take(value) => {
                self.0.shared.fetch_add(1, Ordering::Relaxed);
                return Ok(Found::Cached(value));
            }
            Entry::Alone => return Ok(Found::Made(make()?.map(Arc::from))),
            Entry::Lead(lead) => lead,
        };
        // Between the look and the lead another one may have made it.
        if let Some(value) = self.get(kind, key) {
            lead.made(Arc::clone(&value));
            return Ok(Found::Cached(value));
        }
        let made: Option<Arc<[u8]>> = make()?.map(Arc::from);
        match &made {
            Some(value) => {
                self.put(kind, key, value);
                lead.made(Arc::clone(value));
            }
            None => lead.alone(),
        }
        Ok(Found::Made(made))
    }

    /// What a layer has done; none for a layer that there is not.
    pub fn stats(&self, layer: Layer) -> Option<LayerStats> {
        let bytes = match layer {
            Layer::Memory => self.0.memory.as_ref()?.bytes(),
            Layer::Disk => self.0.disk.as_ref()?.bytes(),
            #[cfg(feature = "redis")]
            Layer::Redis => self.0.redis.as_ref().map(|_| 0)?,
            #[cfg(not(feature = "redis"))]
            Layer::Redis => return None,
        };
        let counts = &self.0.counts[layer as usize];
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Some(LayerStats {
            hits: read(&counts.hits),
            misses: read(&counts.misses),
            bad: read(&counts.bad),
            writes: read(&counts.writes),
            failures: read(&counts.failures),
            evictions: read(&counts.evictions),
            bytes,
        })
    }

    /// How often a value was taken from somebody who was making it at that time.
    pub fn shared(&self) -> u64 {
        self.0.shared.load(Ordering::Relaxed)
    }

    /// Looks into the layers, the nearest first.
    fn find(&self, kind: Kind, key: &CacheKey, to: &mut dyn Write) -> io::Result<Place> {
        if let Some(memory) = &self.0.memory {
            let value = memory.get(kind, key);
            self.count_look(Layer::Memory, if value.is_some() { Look::Hit } else { Look::Miss });
            if let Some(value) = value {
                return Ok(Place::InMemory(value));
            }
        }
        if let Some(disk) = &self.0.disk {
            let mut counted = Counting { to, bytes: 0 };
            let look = disk.read(kind, key, &mut counted)?;
            let written = counted.bytes;
            self.count_look(Layer::Disk, look);
            match look {
                Look::Hit => return Ok(Place::Written),
                // What it has written cannot be taken back, so nothing else may follow.
                Look::Bad if written > 0 => return Ok(Place::Nowhere),
                _ => {}
            }
        }
        #[cfg(feature = "redis")]
        if let Some(redis) = &self.0.redis {
            let (look, value) = redis.get(kind, key);
            self.count_look(Layer::Redis, look);
            if let Some(value) = value {
                // So that the next one need not go so far.
                self.remember(kind, key, &value);
                self.put_on_disk(kind, key, value.len() as u64, &mut &value[..]);
                return Ok(Place::InMemory(value));
            }
        }
        Ok(Place::Nowhere)
    }

    fn remember(&self, kind: Kind, key: &CacheKey, value: &Arc<[u8]>) -> bool {
        let Some(memory) = self.0.memory.as_ref().filter(|_| value.len() as u64 <= SMALL_BYTES) else { return false };
        self.count_write(Layer::Memory, memory.put(kind, key, value))
    }

    fn put_on_disk(&self, kind: Kind, key: &CacheKey, length: u64, from: &mut dyn Read) -> bool {
        let Some(disk) = &self.0.disk else { return false };
        let kept = disk.write(kind, key, length, from).unwrap_or_else(|error| {
            self.0.counts[Layer::Disk as usize].failures.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, "a result could not be kept");
            false
        });
        self.count_write(Layer::Disk, kept)
    }

    fn count_look(&self, layer: Layer, look: Look) {
        let counts = &self.0.counts[layer as usize];
        let count = match look {
            Look::Hit => &counts.hits,
            Look::Miss => &counts.misses,
            Look::Bad => {
                tracing::warn!(layer = layer.name(), "a kept result was not what had been written, and is made again");
                &counts.bad
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn count_write(&self, layer: Layer, kept: bool) -> bool {
        if kept {
            self.0.counts[layer as usize].writes.fetch_add(1, Ordering::Relaxed);
        }
        kept
    }
}

/// Where a value was found.
enum Place {
    InMemory(Arc<[u8]>),
    /// It was written to where it was wanted.
    Written,
    Nowhere,
}

/// Knows whether anything was written.
struct Counting<'a> {
    to: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
