//! Reloading when files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::options::ConfigOptions;
use super::settings::Model;
use super::store::Config;
use crate::error::{Error, Result};
use crate::services::seams::{FileInfo, FileSystem};
use crate::sync::{Condvar, Mutex, lock, thread, wait};

/// A change this young may be followed by another that leaves no trace in the file's time: file systems count in steps of up to
/// two seconds (FAT). Such files are compared by content.
const YOUNG_NS: u128 = 2_000_000_000;

/// Pause before files that were refused are read again although they look the same.
const RETRY: Duration = Duration::from_secs(5);

/// What can be seen of a file from outside.
#[derive(Debug, PartialEq)]
struct Print {
    path: PathBuf,
    info: Option<FileInfo>,
    content: Option<blake3::Hash>,
}

fn print(files: &dyn FileSystem, path: &Path, now_ns: u128) -> Print {
    let info = files.info(path).ok();
    let young = info.is_some_and(|i| !i.folder && i.modified_ns.saturating_add(YOUNG_NS) > now_ns);
    // Reading is the same bounded reading that loading does; what cannot be read there is no difference here.
    let content =
        if young { files.read(path, super::document::MAX_BYTES).ok().map(|b| blake3::hash(&b)) } else { None };
    Print { path: path.to_path_buf(), info, content }
}

/// Everything that decides the configuration: the folders, what is in them, and the files that were read.
fn prints(options: &ConfigOptions, seen: &[PathBuf], now_ns: u128) -> Vec<Print> {
    let mut paths: Vec<PathBuf> = seen.to_vec();
    for folder in options.folder.iter().flat_map(|f| [f.clone(), f.join("config.d")]) {
        paths.extend(options.files.list(&folder).unwrap_or_default());
        paths.push(folder);
    }
    paths.sort();
    paths.dedup();
    paths.iter().map(|p| print(&*options.files, p, now_ns)).collect()
}

/// Watches the files of a configuration until it is dropped.
#[must_use = "dropping a watcher ends it"]
#[derive(Debug)]
pub struct Watcher {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<thread::JoinHandle<()>>,
}

impl<T: Model> Config<T> {
    /// Reloads when a file changes and then stays the same for one `interval`; 100 ms is usual, and a change is seen after two to
    /// three of them. Files are asked for their state, a dozen system calls each time; so replaced files and folders, swapped
    /// links and network folders are all seen. What is refused is told as `config.rejected` and leaves all as it was.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for an interval outside of 10 ms to 1 h; [`Error::Unavailable`] when no thread can be started.
    pub fn watch(&self, interval: Duration) -> Result<Watcher> {
        Error::check_range("interval_ms", interval.as_secs_f64() * 1000.0, 10.0, 3_600_000.0, "ms")?;
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let (config, told) = (self.clone(), Arc::clone(&stop));
        // Before the thread starts, so that no change after this call is missed.
        let mut held = config.prints();
        let run = move || {
            let mut before: Option<Vec<Print>> = None;
            let mut again: Option<Instant> = None;
            while !stopped(&told, interval) {
                let now = config.prints();
                let due = again.is_some_and(|at| Instant::now() >= at);
                if now == held && !due {
                    before = None;
                } else if due || before.as_ref() == Some(&now) {
                    // What cannot be read now may be readable later without a trace in its state.
                    again = config.reload().is_err().then(|| Instant::now() + RETRY);
                    // What was read may have been newer than `now`; then the next look differs and reads again.
                    held = now;
                    before = None;
                } else {
                    before = Some(now);
                }
            }
        };
        let thread = thread::Builder::new().name("config watch".into()).spawn(run);
        let thread =
            thread.map_err(|e| Error::Unavailable { what: format!("thread to watch the configuration: {e}") })?;
        Ok(Watcher { stop, thread: Some(thread) })
    }

    fn prints(&self) -> Vec<Print> {
        let (options, seen) = self.watched();
        let now_ns = u128::from(options.clock.unix_ms()) * 1_000_000;
        prints(&options, &seen, now_ns)
    }
}

/// Sleeps for an interval; true when it is over for good.
fn stopped(stop: &(Mutex<bool>, Condvar), interval: Duration) -> bool {
    let deadline = Instant::now() + interval;
    let mut over = lock(&stop.0);
    while !*over && Instant::now() < deadline {
        over = wait(&stop.1, over, Some(deadline));
    }
    *over
}

impl Drop for Watcher {
    fn drop(&mut self) {
        *lock(&self.stop.0) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A handler that ends the watcher runs on its very thread, which then ends by itself.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}
