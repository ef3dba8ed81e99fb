//! Values in a Redis that several machines share.
//!
//! One thread holds the connection. Who asks waits for it [`BUDGET`] at most, whatever the server or the network do; then it counts as not
//! there, and the breaker opens: nobody asks any more until that thread, which tries now and then, has an answer again. Writing is left to
//! the thread; nobody waits for it, and when it cannot keep up, values are dropped.
//!
//! What the server says is not believed: every value carries its seal (`frame`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use redis::{Client, Connection, RedisResult};

use super::frame::{Kind, Look, OVERHEAD, Seal};
use super::{CacheKey, LayerCounts, RedisOptions};
use crate::error::{Error, Result};
use crate::sync::{Mutex, lock};

/// Longest time that a look into Redis takes, the wait for others in front included.
const BUDGET: Duration = Duration::from_millis(40);
/// Longest time that connecting, and each reading and writing of the connection, may take.
const SOCKET: Duration = Duration::from_millis(40);
/// Pause after the first failure before the next try; doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Requests that wait for the thread.
const QUEUE: usize = 32;
/// Largest value: what travels within the budget on a usual network.
pub(super) const MAX_VALUE_BYTES: usize = 1 << 20;

/// Keeps callers away from a server that does not answer.
#[derive(Default)]
struct Breaker {
    /// When it may be tried again; none while all is well.
    open_until: Option<Instant>,
    failures: u32,
    /// A try is under way.
    trying: bool,
}

/// What a caller may do.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Open,
    Closed,
    /// Closed, and it is time to send somebody who tries.
    Try,
}

impl Breaker {
    fn way(&mut self, now: Instant) -> Way {
        match self.open_until {
            None => Way::Open,
            Some(until) if now < until || self.trying => Way::Closed,
            Some(_) => {
                self.trying = true;
                Way::Try
            }
        }
    }

    fn failed(&mut self, now: Instant) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.trying = false;
        self.open_until = now.checked_add(pause);
    }

    fn answered(&mut self) {
        *self = Self::default();
    }
}

enum Request {
    Get {
        name: String,
        answer: Sender<RedisResult<Vec<u8>>>,
        deadline: Instant,
    },
    Put {
        name: String,
        frame: Vec<u8>,
    },
    /// Find out whether the server is back.
    Try,
}

pub(crate) struct Redis {
    requests: Sender<Request>,
    breaker: Arc<Mutex<Breaker>>,
    seal: Seal,
    counts: Arc<LayerCounts>,
}

impl Redis {
    /// Starts the thread. Nothing is asked of the server yet: it may come later.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for an address that is none; [`Error::Unavailable`] when there can be no thread.
    pub fn start(options: &RedisOptions, seal: Seal, counts: Arc<LayerCounts>) -> Result<Self> {
        let client = Client::open(format!("redis://{}/", options.host)).map_err(|_| Error::InvalidValue {
            name: "cache.redis_host".into(),
            value: options.host.clone(),
            allowed: "HOST:PORT".into(),
        })?;
        let (requests, received) = bounded(QUEUE);
        let breaker = Arc::<Mutex<Breaker>>::default();
        let worker = Worker {
            client,
            connection: None,
            options: options.clone(),
            breaker: Arc::clone(&breaker),
            counts: Arc::clone(&counts),
        };
        std::thread::Builder::new()
            .name("pure-sound-redis".into())
            .spawn(move || worker.run(&received))
            .map_err(|e| Error::Unavailable { what: format!("a thread for Redis: {e}") })?;
        Ok(Self { requests, breaker, seal, counts })
    }

    /// The value of a key, within [`BUDGET`].
    pub fn get(&self, kind: Kind, key: &CacheKey) -> (Look, Option<Arc<[u8]>>) {
        if !self.may_ask() {
            return (Look::Miss, None);
        }
        let deadline = Instant::now() + BUDGET;
        let (answer, answered) = bounded(1);
        let request = Request::Get { name: name_of(key), answer, deadline };
        let frame = match self.requests.send_deadline(request, deadline) {
            Err(_) => None,
            Ok(()) => answered.recv_deadline(deadline).ok().and_then(RedisResult::ok),
        };
        let Some(frame) = frame else {
            self.counts.failures.fetch_add(1, Ordering::Relaxed);
            lock(&self.breaker).failed(Instant::now());
            return (Look::Miss, None);
        };
        if frame.is_empty() {
            return (Look::Miss, None);
        }
        match self.seal.open(kind, key, &frame) {
            Some(value) => (Look::Hit, Some(value.into())),
            None => (Look::Bad, None),
        }
    }

    /// Leaves a value to be kept. False when it is too large, or nobody can take it now.
    pub fn put(&self, kind: Kind, key: &CacheKey, value: &[u8]) -> bool {
        value.len() <= MAX_VALUE_BYTES
            && self.may_ask()
            && self
                .requests
                .try_send(Request::Put { name: name_of(key), frame: self.seal.frame(kind, key, value) })
                .is_ok()
    }

    /// False while the breaker is open. When it is time, sends somebody to try; nobody waits for that.
    fn may_ask(&self) -> bool {
        let mut breaker = lock(&self.breaker);
        match breaker.way(Instant::now()) {
            Way::Open => true,
            Way::Closed => false,
            Way::Try => {
                if self.requests.try_send(Request::Try).is_err() {
                    breaker.failed(Instant::now());
                }
                false
            }
        }
    }
}

fn name_of(key: &CacheKey) -> String {
    format!("pure_sound:cache:1:{}", key.to_hex())
}

/// The thread with the connection. It ends when the last cache is gone.
struct Worker {
    client: Client,
    connection: Option<Connection>,
    options: RedisOptions,
    breaker: Arc<Mutex<Breaker>>,
    counts: Arc<LayerCounts>,
}

impl Worker {
    fn run(mut self, requests: &Receiver<Request>) {
        for request in requests {
            match request {
                // Whoever asked has gone on.
                Request::Get { deadline, .. } if Instant::now() >= deadline => {}
                Request::Get { name, answer, .. } => {
                    let last = OVERHEAD + MAX_VALUE_BYTES;
                    // Not GET: what others have put there may be of any size.
                    let found = self.ask(|c| redis::cmd("GETRANGE").arg(&name).arg(0).arg(last).query(c));
                    // Nobody may be there any more.
                    let _ = answer.send(found);
                }
                Request::Put { name, frame } => {
                    let seconds = self.options.ttl_s.max(1);
                    let kept: RedisResult<()> =
                        self.ask(|c| redis::cmd("SET").arg(&name).arg(&frame).arg("EX").arg(seconds).query(c));
                    if kept.is_err() {
                        self.counts.failures.fetch_add(1, Ordering::Relaxed);
                        lock(&self.breaker).failed(Instant::now());
                    }
                }
                Request::Try => {
                    let answer: RedisResult<String> = self.ask(|c| redis::cmd("PING").query(c));
                    let mut breaker = lock(&self.breaker);
                    match answer {
                        Ok(_) => breaker.answered(),
                        Err(_) => breaker.failed(Instant::now()),
                    }
                }
            }
        }
    }

    /// Asks the server; after a failure the connection is made anew next time, for nobody knows what would still come on the old one.
    fn ask<T>(&mut self, question: impl FnOnce(&mut Connection) -> RedisResult<T>) -> RedisResult<T> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let answer = question(&mut connection);
        if answer.is_ok() {
            self.connection = Some(connection);
        }
        answer
    }

    fn connect(&self) -> RedisResult<Connection> {
        let mut connection = self.client.get_connection_with_timeout(SOCKET)?;
        connection.set_read_timeout(Some(SOCKET))?;
        connection.set_write_timeout(Some(SOCKET))?;
        if let Some(password) = &self.options.password {
            redis::cmd("AUTH").arg(password.expose()).query::<()>(&mut connection)?;
        }
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use serde_json::json;

    use super::*;

    fn key(n: u64) -> CacheKey {
        CacheKey::new(&blake3::hash(&super::super::tests::unique().to_le_bytes()).into(), &json!(n), "", None)
    }

    fn redis(host: &str, secret: Option<&str>) -> Redis {
        let options = RedisOptions { host: host.into(), ..RedisOptions::default() };
        Redis::start(&options, Seal::new(secret), Arc::default()).unwrap()
    }

    /// Waits until the thread has written what it was left.
    fn settle(redis: &Redis) {
        let (answer, answered) = bounded(1);
        let deadline = Instant::now() + Duration::from_secs(10);
        redis.requests.send(Request::Get { name: "none".into(), answer, deadline }).unwrap();
        answered.recv().unwrap().unwrap();
    }

    /// `HOST:PORT` of the server that the tests may use, which `PURESOUND_TEST_REDIS` names so or as `redis://HOST:PORT/`.
    fn server() -> Option<String> {
        let Ok(place) = std::env::var("PURESOUND_TEST_REDIS") else {
            eprintln!("skipped: PURESOUND_TEST_REDIS does not name a Redis");
            return None;
        };
        let host = place.strip_prefix("redis://").unwrap_or(&place);
        Some(host.split('/').next().unwrap_or(host).to_owned())
    }

    #[test]
    fn values_come_back_and_strange_ones_are_bad() {
        let Some(host) = server() else { return };
        let cache = redis(&host, Some("s"));
        let key = key(1);
        assert_eq!(cache.get(Kind::Report, &key).0, Look::Miss);
        assert!(cache.put(Kind::Report, &key, b"value"));
        settle(&cache);
        assert_eq!(cache.get(Kind::Report, &key), (Look::Hit, Some(b"value"[..].into())));
        assert_eq!(cache.get(Kind::Output, &key).0, Look::Bad);
        // Somebody who can write to the server and does not know the secret.
        let forger = redis(&host, None);
        assert!(forger.put(Kind::Report, &key, b"forged"));
        settle(&forger);
        assert_eq!(cache.get(Kind::Report, &key), (Look::Bad, None));
        assert!(!cache.put(Kind::Report, &key, &vec![0; MAX_VALUE_BYTES + 1]));
        let large = vec![5; MAX_VALUE_BYTES];
        assert!(cache.put(Kind::Report, &key, &large));
        settle(&cache);
        assert!(cache.get(Kind::Report, &key).1.is_some_and(|value| *value == large[..]));
    }

    #[test]
    fn a_server_that_is_not_there_is_asked_once() {
        // A port that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let cache = redis(&free.to_string(), None);
        assert_eq!(cache.get(Kind::Report, &key(1)), (Look::Miss, None));
        for _ in 0..100 {
            assert_eq!(cache.get(Kind::Report, &key(1)), (Look::Miss, None));
            assert!(!cache.put(Kind::Report, &key(1), b"x"));
        }
        assert_eq!(cache.counts.failures.load(Ordering::Relaxed), 1, "the breaker is open");
    }

    #[test]
    fn a_server_that_says_nothing_is_given_up() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let cache = redis(&silent.local_addr().unwrap().to_string(), None);
        assert_eq!(cache.get(Kind::Report, &key(1)), (Look::Miss, None));
        assert_eq!(cache.counts.failures.load(Ordering::Relaxed), 1);
        assert_ne!(lock(&cache.breaker).open_until, None);
    }

    #[test]
    fn the_breaker_waits_longer_each_time_and_one_tries() {
        let mut breaker = Breaker::default();
        let start = Instant::now();
        let mut now = start;
        assert_eq!(breaker.way(now), Way::Open);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            breaker.failed(now);
            assert_eq!(breaker.way(now), Way::Closed);
            let until = breaker.open_until.unwrap();
            pauses.push(until.duration_since(now).as_millis());
            now = until;
            assert_eq!(breaker.way(now), Way::Try);
            assert_eq!(breaker.way(now), Way::Closed, "one is enough");
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        breaker.answered();
        assert_eq!(breaker.way(now), Way::Open);
    }
}
