//! A worker process whose jobs do nothing but write down that they were run.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use pure_sound::Error;
use pure_sound::jobs::*;
use serde_json::Value;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The kind of these jobs.
pub const KIND: &str = "noop";

/// Nanoseconds since 1970; the same clock in all processes.
pub fn now_ns() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// Appends `payload time` to a file: one write each, so that lines of threads and processes do not mix.
struct Log(File);

impl JobHandler for Log {
    fn run(&self, job: &Job, _: &JobRun) -> Result<Value, JobError> {
        let line = format!("{} {}\n", job.spec.payload, now_ns());
        if let Some(ms) = job.spec.payload["ms"].as_u64() {
            std::thread::sleep(Duration::from_millis(ms));
        }
        (&self.0)
            .write_all(line.as_bytes())
            .map_err(|source| JobError::from(Error::Io { op: "write", path: None, source }))?;
        Ok(Value::Null)
    }
}

/// Handlers that write to this file.
pub fn handlers(log: &Path) -> Result<JobHandlers, Error> {
    let file = OpenOptions::new().append(true).create(true).open(log);
    let file = file.map_err(|source| Error::Io { op: "open", path: Some(log.into()), source })?;
    Ok(JobHandlers::from([(KIND.to_owned(), Arc::new(Log(file)) as Arc<dyn JobHandler>)]))
}

/// Counts warnings: a worker warns of every error of its store.
struct Warnings(Arc<AtomicU64>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        eprintln!("{event:?}");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The store at a place: a file, or `postgres:SCHEMA` of the server that the environment names.
pub fn open(place: &str) -> Result<Arc<dyn JobStore>, Error> {
    let Some(schema) = place.strip_prefix("postgres:") else {
        return Ok(Arc::new(SqliteStore::open(place, &SqliteOptions::default())?));
    };
    let options = PostgresOptions { schema: schema.into(), connections: 8, ..PostgresOptions::default() };
    Ok(Arc::new(PostgresStore::open(&std::env::var(SERVER).unwrap_or_default(), &options)?))
}

/// The variable that says how to reach PostgreSQL.
pub const SERVER: &str = "PURESOUND_TEST_POSTGRES";

/// `--child STORE LOG THREADS LEASE_MS`: works until standard input ends, then prints how many warnings there were.
pub fn work(args: &[String]) {
    let warnings = Arc::<AtomicU64>::default();
    // Nobody else sets one in this process.
    let _ = tracing::subscriber::set_global_default(Warnings(Arc::clone(&warnings)));
    let done = (|| {
        let [place, log, threads, lease] = args else { return Err(Error::Conflict { what: "four arguments".into() }) };
        let (threads, lease_ms) = (threads.parse().unwrap_or(1), lease.parse().unwrap_or(30_000));
        let options = WorkerOptions { threads, lease_ms, ..WorkerOptions::default() };
        let pool = WorkerPool::start(open(place)?, handlers(Path::new(log))?, None, options)?;
        println!("ready");
        let mut nothing = Vec::new();
        // It ends when the parent does, too.
        let _ = std::io::stdin().read_to_end(&mut nothing);
        pool.stop(Duration::from_secs(10));
        Ok(())
    })();
    match done {
        Ok(()) => println!("{}", warnings.load(Ordering::Relaxed)),
        Err(error) => {
            eprintln!("child: {error}");
            std::process::exit(1);
        }
    }
}

/// Starts such a process and waits until it is ready.
pub fn start(place: &str, log: &Path, threads: usize, lease_ms: u64) -> Result<Child, Error> {
    let told = |source| Error::Io { op: "start a worker", path: None, source };
    let program = std::env::current_exe().map_err(told)?;
    let mut child = Command::new(program)
        .args(["--child", place])
        .arg(log)
        .args([threads.to_string(), lease_ms.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(told)?;
    let mut ready = [0; 6];
    child.stdout.as_mut().map_or(Ok(()), |out| out.read_exact(&mut ready)).map_err(told)?;
    Ok(child)
}

/// Ends a process; how many warnings it counted.
pub fn end(mut child: Child) -> Result<u64, Error> {
    let told = |source| Error::Io { op: "end a worker", path: None, source };
    drop(child.stdin.take());
    let out = child.wait_with_output().map_err(told)?;
    let text = String::from_utf8_lossy(&out.stdout);
    text.trim().parse().map_err(|_| Error::Unavailable { what: format!("worker process: it ended with '{text}'") })
}
