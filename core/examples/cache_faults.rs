//! G29: what a cache does when what it keeps is damaged, when everybody wants the same, and when Redis dies.
//!
//! `cargo run --release -p pure-sound --features redis --example cache_faults [-- FLIPS [LOOKS]]`, by default 10,000 changed bytes in a
//! folder and as many in Redis, and 2,000 looks before and after each end of the server. Needs `redis-server` on the path.

use std::error::Error;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pure_sound::cache::{Cache, CacheKey, CacheOptions, Found, Kind, Layer, RedisOptions};
use pure_sound::processing::CancelToken;
use serde_json::json;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Values that are damaged in turn.
const VALUES: u64 = 50;

/// A server of our own, gone when this is dropped.
struct Server {
    child: Child,
    host: String,
}

impl Server {
    fn start(dir: &Path) -> Outcome<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(dir)
            .stdout(Stdio::null())
            .spawn()?;
        let server = Self { child, host: format!("127.0.0.1:{port}") };
        for _ in 0..200 {
            if server.connect().is_ok() {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("redis-server did not answer within 10 s".into())
    }

    fn connect(&self) -> redis::RedisResult<redis::Connection> {
        let mut connection = redis::Client::open(format!("redis://{}/", self.host))?.get_connection()?;
        redis::cmd("PING").query::<String>(&mut connection)?;
        Ok(connection)
    }

    fn cache(&self, dir: Option<PathBuf>) -> pure_sound::Result<Cache> {
        let redis = RedisOptions { host: self.host.clone(), ..RedisOptions::default() };
        Cache::open(&CacheOptions { dir, redis: Some(redis), ..CacheOptions::default() })
    }

    fn signal(&self, name: &str) -> Outcome<()> {
        let done = Command::new("kill").args([name, &self.child.id().to_string()]).status()?;
        if done.success() { Ok(()) } else { Err(format!("kill {name} failed").into()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Numbers that look random and are the same each time: SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

fn key(n: u64) -> CacheKey {
    CacheKey::new(&[29; 32], &json!(n), "g29", None)
}

fn value(n: u64) -> Vec<u8> {
    (0..n * 97 % 4000 + 1).map(|i| (i * 31 + n) as u8).collect()
}

/// What came of changing bytes: looks that gave nothing, the right value, another value.
#[derive(Default)]
struct Tally {
    misses: u64,
    right: u64,
    wrong: u64,
}

impl Tally {
    fn look(&mut self, cache: &Cache, n: u64) {
        match cache.get(Kind::Output, &key(n)) {
            None => self.misses += 1,
            Some(got) if *got == value(n)[..] => self.right += 1,
            Some(_) => self.wrong += 1,
        }
    }

    fn good(&self, flips: u64) -> bool {
        self.misses == flips && self.right == 0 && self.wrong == 0
    }
}

fn flips_on_disk(dir: &Path, flips: u64) -> Outcome<Tally> {
    let cache = Cache::open(&CacheOptions { dir: Some(dir.to_path_buf()), ..CacheOptions::default() })?;
    let (mut tally, mut numbers) = (Tally::default(), Numbers(1));
    for flip in 0..flips {
        let n = flip % VALUES;
        if !cache.put(Kind::Output, &key(n), &value(n)) {
            return Err("a value was not kept".into());
        }
        let hex = key(n).to_hex();
        let path = dir.join("v1").join(&hex[..2]).join(&hex[2..]);
        let mut bytes = std::fs::read(&path)?;
        let at = numbers.below(bytes.len());
        bytes[at] ^= 1 << numbers.below(8);
        std::fs::write(&path, bytes)?;
        tally.look(&cache, n);
    }
    Ok(tally)
}

fn flips_in_redis(server: &Server, flips: u64) -> Outcome<Tally> {
    let cache = server.cache(None)?;
    let mut connection = server.connect()?;
    let mut frames = Vec::new();
    for n in 0..VALUES {
        cache.put(Kind::Output, &key(n), &value(n));
        let name = format!("pure_sound:cache:1:{}", key(n).to_hex());
        let until = Instant::now() + Duration::from_secs(10);
        // The cache leaves the writing to a thread of its own.
        let frame = loop {
            let frame: Vec<u8> = redis::cmd("GETRANGE").arg(&name).arg(0).arg(-1).query(&mut connection)?;
            if !frame.is_empty() {
                break frame;
            }
            if Instant::now() > until {
                return Err("a value did not reach Redis".into());
            }
        };
        frames.push((name, frame));
    }
    let (mut tally, mut numbers) = (Tally::default(), Numbers(2));
    for flip in 0..flips {
        let n = flip % VALUES;
        let (name, frame) = &frames[n as usize];
        let mut bytes = frame.clone();
        let at = numbers.below(bytes.len());
        bytes[at] ^= 1 << numbers.below(8);
        redis::cmd("SET").arg(name).arg(bytes).query::<()>(&mut connection)?;
        tally.look(&cache, n);
        redis::cmd("SET").arg(name).arg(frame).query::<()>(&mut connection)?;
    }
    // A look that only took too long is a miss as well: those must not pass for good ones.
    let stats = cache.stats(Layer::Redis).ok_or("no Redis")?;
    if stats.bad != flips {
        return Err(
            format!("{} of {flips} changed values were looked at, {} looks failed", stats.bad, stats.failures).into()
        );
    }
    for n in 0..VALUES {
        if cache.get(Kind::Output, &key(n)).is_none_or(|got| *got != value(n)[..]) {
            return Err("what was put back is not found".into());
        }
    }
    Ok(tally)
}

/// How often one value is made for 64 threads.
fn computes(cache: &Cache) -> Outcome<u32> {
    let (made, gate, wrong) = (AtomicU32::new(0), Barrier::new(64), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                gate.wait();
                let found = cache.get_or_make(Kind::Output, &key(1_000), &CancelToken::new(), || {
                    made.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(50));
                    Ok(Some(value(1_000)))
                });
                let right = match found {
                    Ok(Found::Cached(got) | Found::Made(Some(got))) => *got == value(1_000)[..],
                    _ => false,
                };
                wrong.fetch_add(u32::from(!right), Ordering::SeqCst);
            });
        }
    });
    if wrong.load(Ordering::SeqCst) > 0 {
        Err("a thread got another value".into())
    } else {
        Ok(made.load(Ordering::SeqCst))
    }
}

/// Times of looks in ms, sorted. Every tenth value is there.
fn looks(cache: &Cache, count: u64) -> Vec<f64> {
    let mut times: Vec<f64> = (0..count)
        .map(|n| {
            let start = Instant::now();
            let _ = cache.get(Kind::Output, &key(if n % 10 == 0 { 0 } else { 10_000 + n }));
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

fn p99(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}

fn run(flips: u64, count: u64) -> Outcome<bool> {
    let dir = tempfile::tempdir()?;
    let disk = flips_on_disk(&dir.path().join("disk"), flips)?;
    println!("disk: {} misses, {} right, {} wrong of {flips} changed bytes", disk.misses, disk.right, disk.wrong);

    let mut server = Server::start(dir.path())?;
    let redis = flips_in_redis(&server, flips)?;
    println!("Redis: {} misses, {} right, {} wrong of {flips} changed bytes", redis.misses, redis.right, redis.wrong);

    let cache = server.cache(Some(dir.path().join("both")))?;
    let made = computes(&cache)?;
    println!("64 threads, one key: made {made} times");

    let before = looks(&cache, count);
    server.child.kill()?;
    server.child.wait()?;
    let killed = looks(&cache, count);
    drop(cache);

    // A server that neither answers nor goes away is worse than one that is dead.
    let server = Server::start(dir.path())?;
    let cache = server.cache(Some(dir.path().join("frozen")))?;
    looks(&cache, count.min(100));
    server.signal("-STOP")?;
    let frozen = looks(&cache, count);
    let added = |after: &[f64]| p99(after) - p99(&before);
    let last = |times: &[f64]| times.last().copied().unwrap_or(f64::NAN);
    let (killed_ms, frozen_ms) = (added(&killed), added(&frozen));
    println!(
        "looks, p99 and longest: {:.2} and {:.2} ms with Redis, {:.2} and {:.2} ms when it was killed, {:.2} and {:.2} ms when it hung",
        p99(&before),
        last(&before),
        p99(&killed),
        last(&killed),
        p99(&frozen),
        last(&frozen)
    );
    let good = disk.good(flips) && redis.good(flips) && made == 1 && killed_ms <= 50.0 && frozen_ms <= 50.0;
    println!(
        "G29 {} wrong of {} flips, {made} compute, Redis killed adds {killed_ms:.2} ms p99 (hung: {frozen_ms:.2}); goal 0, 1, <= 50 ms {}",
        disk.wrong + redis.wrong + disk.right + redis.right,
        2 * flips,
        if good { "PASS" } else { "FAIL" }
    );
    Ok(good)
}

fn main() {
    let number = |n: usize, default| std::env::args().nth(n).map_or(Ok(default), |text| text.parse::<u64>());
    let (Ok(flips), Ok(count)) = (number(1, 10_000), number(2, 2_000)) else {
        eprintln!("usage: cache_faults [FLIPS [LOOKS]]");
        std::process::exit(2);
    };
    match run(flips, count) {
        Ok(good) => std::process::exit(i32::from(!good)),
        Err(error) => {
            println!("G29 did not come to an end: {error}; goal 0, 1, <= 50 ms FAIL");
            std::process::exit(1);
        }
    }
}
