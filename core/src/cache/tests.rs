use std::path::Path;
use std::sync::atomic::AtomicU32;

use serde_json::json;

use super::*;
use crate::error::Error;

/// A number that no other test and no earlier run has used, for a Redis that keeps what it was given.
#[cfg(feature = "redis")]
pub(super) fn unique() -> u64 {
    crate::services::seams::random_u64()
}

fn key(n: u64) -> CacheKey {
    CacheKey::new(&[0; 32], &json!(n), "", None)
}

fn open(memory_bytes: u64, dir: Option<&Path>) -> Cache {
    Cache::open(&CacheOptions { memory_bytes, dir: dir.map(Path::to_path_buf), ..CacheOptions::default() }).unwrap()
}

fn stats(cache: &Cache, layer: Layer) -> LayerStats {
    cache.stats(layer).unwrap()
}

#[test]
fn a_value_is_found_nearer_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("cache");
    assert!(open(0, Some(&folder)).put(Kind::Custom, &key(1), b"value"));
    let cache = open(1 << 20, Some(&folder));
    for _ in 0..2 {
        assert_eq!(cache.get(Kind::Custom, &key(1)).as_deref(), Some(&b"value"[..]));
    }
    assert_eq!((stats(&cache, Layer::Disk).hits, stats(&cache, Layer::Memory).hits), (1, 1));
    let mut copied = Vec::new();
    assert!(cache.copy_to(Kind::Custom, &key(1), &mut copied).unwrap());
    assert_eq!(copied, b"value");
    assert!(!cache.copy_to(Kind::Custom, &key(2), &mut copied).unwrap());
    assert!(cache.stats(Layer::Redis).is_none());
}

#[test]
fn what_is_large_goes_to_the_folder_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(1 << 30, Some(&dir.path().join("cache")));
    let large = vec![3; SMALL_BYTES as usize + 1];
    assert!(cache.put(Kind::Output, &key(1), &large));
    let mut copied = Vec::new();
    assert!(cache.copy_to(Kind::Output, &key(1), &mut copied).unwrap() && copied == large);
    assert_eq!((stats(&cache, Layer::Memory).writes, stats(&cache, Layer::Disk).hits), (0, 1));
    assert!(!open(1 << 30, None).put(Kind::Output, &key(1), &large));
    // A reader that ends early, or fails.
    assert!(!cache.put_from(Kind::Output, &key(2), 100, &mut &b"short"[..]));
    assert!(!cache.put_from(Kind::Output, &key(2), SMALL_BYTES + 1, &mut &b"short"[..]));
    assert!(cache.get(Kind::Output, &key(2)).is_none());
}

#[test]
fn a_changed_file_is_a_miss_that_is_counted_and_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("cache");
    let cache = open(0, Some(&folder));
    let make = |value: &'static [u8]| move || Ok(Some(value.to_vec()));
    let token = CancelToken::new();
    cache.get_or_make(Kind::Custom, &key(1), &token, make(b"first")).unwrap();
    let hex = key(1).to_hex();
    let path = folder.join("v1").join(&hex[..2]).join(&hex[2..]);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let found = cache.get_or_make(Kind::Custom, &key(1), &token, make(b"second")).unwrap();
    assert_eq!(found, Found::Made(Some(b"second"[..].into())));
    assert_eq!((stats(&cache, Layer::Disk).bad, stats(&cache, Layer::Disk).hits), (1, 0));
    assert_eq!(cache.get(Kind::Custom, &key(1)).as_deref(), Some(&b"second"[..]));
}

#[test]
fn sixty_four_threads_make_a_value_once() {
    let cache = open(1 << 20, None);
    let (made, gate) = (AtomicU32::new(0), std::sync::Barrier::new(64));
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                gate.wait();
                let make = || {
                    made.fetch_add(1, Ordering::SeqCst);
                    Ok(Some(b"once".to_vec()))
                };
                let (Found::Cached(value) | Found::Made(Some(value))) =
                    cache.get_or_make(Kind::Custom, &key(1), &CancelToken::new(), make).unwrap()
                else {
                    panic!("no value")
                };
                assert_eq!(*value, *b"once");
            });
        }
    });
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[test]
fn failures_are_told_to_the_one_and_tried_by_the_next() {
    let cache = open(1 << 20, None);
    let token = CancelToken::new();
    let failed = cache.get_or_make(Kind::Custom, &key(1), &token, || Err(Error::Empty));
    assert!(matches!(failed, Err(Error::Empty)));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = cache.get_or_make(Kind::Custom, &key(1), &token, || panic!("on purpose"));
    }));
    assert!(panicked.is_err());
    assert_eq!(cache.get_or_make(Kind::Custom, &key(1), &token, || Ok(None)).unwrap(), Found::Made(None));
    let made = cache.get_or_make(Kind::Custom, &key(1), &token, || Ok(Some(vec![1]))).unwrap();
    assert_eq!(made, Found::Made(Some([1][..].into())));
    token.cancel();
    let there = cache.get_or_make(Kind::Custom, &key(1), &token, || Ok(None)).unwrap();
    assert_eq!(there, Found::Cached([1][..].into()), "what is there takes no waiting");
}

#[cfg(not(feature = "redis"))]
#[test]
fn redis_without_the_feature_is_refused() {
    let options = CacheOptions { redis: Some(RedisOptions::default()), ..CacheOptions::default() };
    assert!(matches!(Cache::open(&options), Err(Error::Unsupported { .. })));
}

#[test]
fn settings_say_where() {
    let mut settings = CacheSettings::default();
    assert!(!CacheOptions::from(&settings).is_some());
    settings.memory_mib = 2;
    settings.redis_host = Some("cache:1".into());
    let options = CacheOptions::from(&settings);
    assert!(options.is_some());
    assert_eq!((options.memory_bytes, options.max_bytes), (2 << 20, 1 << 30));
    assert_eq!(options.redis, Some(RedisOptions { host: "cache:1".into(), ..RedisOptions::default() }));
}
