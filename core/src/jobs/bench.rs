//! What the tests of job stores share: stores in a world whose time and chance are under control.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::*;
use crate::services::seams::IdGenerator;
use crate::sync::{Mutex, lock};

/// Time that moves when told to.
pub(super) struct TestTime(Mutex<Moment>);

impl StoreTime for TestTime {
    fn now(&self) -> Moment {
        lock(&self.0).clone()
    }
}

/// Names by counting.
pub(super) struct Counter(AtomicU64);

impl IdGenerator for Counter {
    fn next_id(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): a new state by adding, mixed to a number.
pub(super) fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Which store is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Memory,
    #[cfg(feature = "sqlite")]
    Sqlite,
    #[cfg(feature = "postgres")]
    Postgres,
}

impl Kind {
    /// Those that can be tested here.
    pub fn all() -> Vec<Self> {
        vec![
            Self::Memory,
            #[cfg(feature = "sqlite")]
            Self::Sqlite,
            #[cfg(feature = "postgres")]
            Self::Postgres,
        ]
        .into_iter()
        .filter(|kind| kind.is_here())
        .collect()
    }

    fn is_here(self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => database::server("all stores").is_some(),
            _ => true,
        }
    }
}

/// A PostgreSQL server for tests.
#[cfg(feature = "postgres")]
pub(super) mod database {
    use std::sync::atomic::{AtomicU64, Ordering};

    use ::postgres::{Client, NoTls};

    use super::*;

    /// How to reach the server; says so when `test` has to do without.
    pub fn server(test: &str) -> Option<String> {
        let server = std::env::var("PURESOUND_TEST_POSTGRES").ok().filter(|text| !text.is_empty());
        if server.is_none() {
            println!("skipped: {test} without PostgreSQL; set PURESOUND_TEST_POSTGRES, or use tests/with_services");
        }
        server
    }

    /// A schema of its own, gone with this.
    pub struct Schema {
        pub server: String,
        pub name: String,
    }

    impl Schema {
        pub fn new(test: &str) -> Option<Self> {
            static NUMBER: AtomicU64 = AtomicU64::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            Some(Self { server: server(test)?, name: format!("test_{}_{number}", std::process::id()) })
        }

        pub fn client(&self) -> Client {
            Client::connect(&self.server, NoTls).unwrap()
        }

        pub fn options(&self) -> PostgresOptions {
            PostgresOptions { schema: self.name.clone(), connections: 2, ..PostgresOptions::default() }
        }

        pub fn open(&self) -> PostgresStore {
            PostgresStore::open(&self.server, &self.options()).unwrap()
        }
    }

    impl Drop for Schema {
        fn drop(&mut self) {
            // A test that failed may have left a lock; its schema stays.
            let _ = self.client().batch_execute(&format!(
                "set client_min_messages = warning; set lock_timeout = '2s'; drop schema if exists {} cascade",
                self.name
            ));
        }
    }
}

/// A store and its world.
pub(super) struct World {
    pub store: Box<dyn JobStore>,
    pub time: Arc<TestTime>,
    /// Goes after the store.
    _place: Option<Box<dyn Send + Sync>>,
}

impl World {
    pub fn new(kind: Kind) -> Self {
        Self::with(kind, None)
    }

    pub fn with(kind: Kind, ageing_ms: Option<u64>) -> Self {
        // 2026-01-01, and a machine that has run for a while.
        let moment = Moment { unix_ms: 1_767_225_600_000, boot: "first".into(), up_ms: 5_000_000 };
        let time = Arc::new(TestTime(Mutex::new(moment)));
        let draws = AtomicU64::new(0);
        let options = StoreOptions {
            time: Arc::clone(&time) as _,
            ids: Arc::new(Counter(AtomicU64::new(0))),
            random: Arc::new(move || mix(draws.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed))),
            ageing_ms,
        };
        match kind {
            Kind::Memory => Self { store: Box::new(MemoryStore::new(options)), time, _place: None },
            #[cfg(feature = "sqlite")]
            Kind::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                // The rules are tested here, not the disk.
                let options = SqliteOptions { store: options, may_lose_last_ms: true, ..SqliteOptions::default() };
                let store = SqliteStore::open(folder.path().join("jobs.db"), &options).unwrap();
                Self { store: Box::new(store), time, _place: Some(Box::new(folder)) }
            }
            #[cfg(feature = "postgres")]
            Kind::Postgres => {
                let schema = database::Schema::new("a case").unwrap();
                let options = PostgresOptions { store: options, own_time: true, ..schema.options() };
                let store = PostgresStore::open(&schema.server, &options).unwrap();
                Self { store: Box::new(store), time, _place: Some(Box::new(schema)) }
            }
        }
    }

    /// Lets time pass.
    pub fn pass(&self, ms: u64) {
        let mut now = lock(&self.time.0);
        now.unix_ms += ms;
        now.up_ms += ms;
    }

    /// Moves the calendar, not the time.
    pub fn step_calendar(&self, ms: i64) {
        let mut now = lock(&self.time.0);
        now.unix_ms = now.unix_ms.saturating_add_signed(ms);
    }

    /// Starts the machine anew.
    pub fn reboot(&self) {
        let mut now = lock(&self.time.0);
        now.boot = format!("{}+", now.boot).into();
        now.up_ms = 0;
    }

    pub fn now_ms(&self) -> u64 {
        self.time.now().unix_ms
    }

    pub fn add(&self, spec: JobSpec) -> JobId {
        let made = self.store.enqueue(vec![spec]).unwrap();
        assert!(!made[0].duplicate);
        made[0].id
    }

    pub fn claim(&self) -> Option<Claimed> {
        self.store.claim(&ClaimRequest::new("w")).unwrap()
    }

    pub fn take(&self) -> Claimed {
        self.claim().expect("a job to take")
    }

    pub fn job(&self, id: JobId) -> Job {
        self.store.get(id).unwrap()
    }

    pub fn state(&self, id: JobId) -> JobState {
        self.job(id).status.state
    }
}

pub(super) fn spec() -> JobSpec {
    JobSpec::new("k", json!({ "n": 1 }))
}

pub(super) fn unique(key: &str) -> JobSpec {
    JobSpec { unique: Some(Unique { key: key.into(), ..Unique::default() }), ..spec() }
}

pub(super) fn error(class: FailureClass) -> JobError {
    JobError { class, code: 600, name: "IO".into(), message: "disk away".into() }
}

pub(super) fn file(path: &str) -> Published {
    Published { path: path.into(), bytes: 3, blake3: "00".into() }
}

/// Several stores on the same rows, each with threads of its own: each job is done once, and no call fails.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn do_each_job_once<S: JobStore>(stores: &[S]) {
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for store in stores {
            scope.spawn(|| {
                store.enqueue((0..20).map(|n| JobSpec::new("k", json!(n))).collect()).unwrap();
                while let Some(claimed) = store.claim(&ClaimRequest::new("w")).unwrap() {
                    assert_eq!(store.complete(&claimed.lease, None).unwrap(), Some(()));
                    lock(&done).push(claimed.job.id);
                }
            });
        }
    });
    let mut done = std::mem::take(&mut *lock(&done));
    let total = done.len();
    done.sort_unstable();
    done.dedup();
    assert_eq!((done.len(), total), (20 * stores.len(), 20 * stores.len()));
}

/// What one store does is seen by the other, who waits; a lease holds in both.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn wake_each_other<S: JobStore>(a: &S, b: &S) {
    let seen = b.wait(u64::MAX, std::time::Duration::ZERO).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| b.wait(seen, std::time::Duration::from_secs(600)).unwrap());
        a.enqueue(vec![spec()]).unwrap();
        assert_ne!(waiting.join().unwrap(), seen);
    });
    let lease = b.claim(&ClaimRequest::new("b")).unwrap().unwrap().lease;
    assert_eq!(a.claim(&ClaimRequest::new("a")).unwrap(), None);
    assert_eq!(a.complete(&lease, None).unwrap(), Some(()), "a lease holds in every process");
}
