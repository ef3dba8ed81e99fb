//! Values in memory, bounded by their bytes.

use std::sync::Arc;

use moka::sync::Cache;

use super::CacheKey;
use super::frame::Kind;

/// What an entry costs beside its bytes, about.
const ENTRY_BYTES: usize = 200;

pub(crate) struct Memory {
    values: Cache<(Kind, CacheKey), Arc<[u8]>>,
    max_bytes: u64,
}

impl Memory {
    pub fn new(max_bytes: u64) -> Self {
        let weigh = |_: &(Kind, CacheKey), value: &Arc<[u8]>| {
            u32::try_from(value.len().saturating_add(ENTRY_BYTES)).unwrap_or(u32::MAX)
        };
        Self { values: Cache::builder().weigher(weigh).max_capacity(max_bytes).build(), max_bytes }
    }

    pub fn get(&self, kind: Kind, key: &CacheKey) -> Option<Arc<[u8]>> {
        self.values.get(&(kind, *key))
    }

    /// Keeps a value, unless it would push out half of the others. May drop it again at once: the less used go first, and what is new
    /// must prove itself (TinyLFU).
    pub fn put(&self, kind: Kind, key: &CacheKey, value: &Arc<[u8]>) -> bool {
        let fits = value.len() as u64 <= self.max_bytes / 2;
        if fits {
            self.values.insert((kind, *key), Arc::clone(value));
        }
        fits
    }

    /// Memory of the values, about.
    pub fn bytes(&self) -> u64 {
        self.values.weighted_size()
    }

    /// Does what is put off to later.
    #[cfg(test)]
    pub fn settle(&self) {
        self.values.run_pending_tasks();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_bound_holds() {
        let memory = Memory::new(100_000);
        let key = |n: u32| CacheKey::new(&[0; 32], &json!(n), "", None);
        for n in 0..1000 {
            let value: Arc<[u8]> = vec![n as u8; 1000].into();
            assert!(memory.put(Kind::Output, &key(n), &value));
        }
        memory.settle();
        assert!(memory.bytes() <= 100_000 && memory.bytes() > 0, "{}", memory.bytes());
        for n in 0..1000 {
            assert!(memory.get(Kind::Report, &key(n)).is_none(), "of another kind");
            if let Some(value) = memory.get(Kind::Output, &key(n)) {
                assert!(value.iter().all(|byte| *byte == n as u8));
            }
        }
        assert!(!memory.put(Kind::Output, &key(0), &vec![0; 60_000].into()));
    }
}
