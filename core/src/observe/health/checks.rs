//! Checks: who is asked, how often, and what happens when there is no answer.
//!
//! Each check runs in a thread of its own, so that one which hangs costs its time limit and nothing else; once at a time, however many
//! ask; and what it says holds for a second.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::report::{CheckAnswer, HealthAnswer};
use crate::error::{Error, Result};
use crate::events::{EventBus, ServiceHealth};
use crate::services::seams::{Clock, SystemClock};
use crate::services::{Health, HealthStatus};
use crate::sync::{AtomicBool, Condvar, Mutex, lock, thread, wait};

/// How long a check may take.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an answer holds.
pub const CHECK_CACHE: Duration = Duration::from_secs(1);

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Probe {
    /// Does the engine run at all? If not, only a restart helps. Never depends on anything outside of the process.
    Live,
    /// Can it take work now?
    Ready,
    /// Is it up? Once it was, it stays so.
    Startup,
}

type Ask = Arc<dyn Fn() -> Health + Send + Sync>;

struct Check {
    key: String,
    component_type: String,
    probe: Probe,
    ask: Ask,
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Default)]
struct State {
    /// What was said last, when (monotonic, and for people).
    last: Option<(Health, Duration, u64)>,
    /// Since when it runs.
    running: Option<Instant>,
    /// Runs so far.
    runs: u64,
    /// It was told that it does not pass.
    told: HealthStatus,
}

struct Inner {
    checks: Mutex<BTreeMap<String, Arc<Check>>>,
    bus: Option<EventBus>,
    clock: Arc<dyn Clock>,
    draining: AtomicBool,
    started: AtomicBool,
}

/// The health of one engine. Clones are the same.
///
/// ```
/// use pure_sound::observe::{HealthChecks, Probe};
/// use pure_sound::services::{Health, HealthStatus};
///
/// let health = HealthChecks::default();
/// health.register("cache:connections", "datastore", Probe::Ready, || Health::warn("slow").observed(3.0, "connections"))?;
/// assert_eq!(health.ready().status, HealthStatus::Warn);
/// assert_eq!(health.live().http_status(), 200);
/// # Ok::<(), pure_sound::Error>(())
/// ```
#[derive(Clone)]
pub struct HealthChecks {
    inner: Arc<Inner>,
}

impl Default for HealthChecks {
    fn default() -> Self {
        Self::new(None, Arc::new(SystemClock::default()))
    }
}

impl std::fmt::Debug for HealthChecks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(lock(&self.inner.checks).keys()).finish()
    }
}

impl HealthChecks {
    /// No checks yet. What changes is published to `bus` as `service.health`; `clock` says how old an answer is.
    pub fn new(bus: Option<EventBus>, clock: Arc<dyn Clock>) -> Self {
        let inner = Inner {
            checks: Mutex::new(BTreeMap::new()),
            bus,
            clock,
            draining: AtomicBool::new(false),
            started: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Adds a check, or replaces the one of this key. `key` is `component:measure`, such as `database:response_time`;
    /// `component_type` is `component`, `datastore`, `system` or a word of the host. `ask` may take [`CHECK_TIMEOUT`]; a panic in it is
    /// a failure. A check of [`Probe::Live`] must depend on this process alone.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for a key that is none.
    pub fn register(
        &self,
        key: &str,
        component_type: &str,
        probe: Probe,
        ask: impl Fn() -> Health + Send + Sync + 'static,
    ) -> Result<()> {
        let word = |w: &str| {
            !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b))
        };
        if !key.split_once(':').is_some_and(|(component, measure)| word(component) && word(measure)) {
            return Err(Error::InvalidValue {
                name: "health check".into(),
                value: key.into(),
                allowed: "component:measure in small letters, digits, '_', '-', '.'".into(),
            });
        }
        let check = Check {
            key: key.into(),
            component_type: component_type.into(),
            probe,
            ask: Arc::new(ask),
            state: Mutex::default(),
            done: Condvar::new(),
        };
        lock(&self.inner.checks).insert(key.into(), Arc::new(check));
        Ok(())
    }

    /// Takes a check out. True when it was there.
    pub fn unregister(&self, key: &str) -> bool {
        lock(&self.inner.checks).remove(key).is_some()
    }

    /// Whether the engine takes no more work, so that [`HealthChecks::ready`] fails and new work goes elsewhere while it finishes.
    pub fn set_draining(&self, draining: bool) {
        self.inner.draining.store(draining, std::sync::atomic::Ordering::Relaxed);
    }

    /// Does it run at all? With the time since it was made, and the checks of [`Probe::Live`].
    pub fn live(&self) -> HealthAnswer {
        let up_s = self.inner.clock.monotonic().as_secs_f64();
        let mut checks = self.ask(|probe| probe == Probe::Live);
        let up = Health::pass().observed(up_s, "s");
        checks.insert("engine:uptime".into(), vec![CheckAnswer::new("system", up, self.inner.clock.unix_ms())]);
        HealthAnswer::new("Pure Sound engine, live", checks)
    }

    /// Can it take work now?
    pub fn ready(&self) -> HealthAnswer {
        let mut checks = self.ask(|probe| probe == Probe::Ready);
        if self.inner.draining.load(std::sync::atomic::Ordering::Relaxed) {
            let draining = CheckAnswer::new("system", Health::fail("takes no more work"), self.inner.clock.unix_ms());
            checks.insert("engine:draining".into(), vec![draining]);
        }
        HealthAnswer::new("Pure Sound engine, ready", checks)
    }

    /// Is it up? Asks the checks of [`Probe::Startup`] until none fails, and then never again.
    pub fn startup(&self) -> HealthAnswer {
        use std::sync::atomic::Ordering::Relaxed;
        if self.inner.started.load(Relaxed) {
            return HealthAnswer::new("Pure Sound engine, startup", BTreeMap::new());
        }
        let answer = HealthAnswer::new("Pure Sound engine, startup", self.ask(|probe| probe == Probe::Startup));
        self.inner.started.store(answer.status != HealthStatus::Fail, Relaxed);
        answer
    }

    /// Everything: what [`HealthChecks::live`], [`HealthChecks::ready`] and the checks of [`Probe::Startup`] say.
    pub fn all(&self) -> HealthAnswer {
        let mut checks = self.ready().checks;
        checks.extend(self.live().checks);
        checks.extend(self.ask(|probe| probe == Probe::Startup));
        HealthAnswer::new("Pure Sound engine", checks)
    }

    /// Status that each check had when it was asked last, by key. Asks nobody.
    pub fn last(&self) -> Vec<(String, HealthStatus)> {
        let checks: Vec<_> = lock(&self.inner.checks).values().cloned().collect();
        let last = checks.iter().filter_map(|c| Some((c.key.clone(), lock(&c.state).last.as_ref()?.0.status)));
        last.collect()
    }

    /// How often the check of this key ran; none when there is no such check.
    pub fn runs(&self, key: &str) -> Option<u64> {
        let check = lock(&self.inner.checks).get(key).cloned()?;
        let runs = lock(&check.state).runs;
        Some(runs)
    }

    fn ask(&self, wanted: impl Fn(Probe) -> bool) -> BTreeMap<String, Vec<CheckAnswer>> {
        let checks: Vec<_> = lock(&self.inner.checks).values().filter(|c| wanted(c.probe)).cloned().collect();
        // All start before the first is waited for: together they take as long as the slowest.
        for check in &checks {
            self.start(check);
        }
        let answers = checks.iter().map(|check| {
            let (health, time_ms) = self.answer(check);
            (check.key.clone(), vec![CheckAnswer::new(&check.component_type, health, time_ms)])
        });
        answers.collect()
    }

    fn is_fresh(&self, state: &State) -> bool {
        let now = self.inner.clock.monotonic();
        state.last.as_ref().is_some_and(|(_, at, _)| now.saturating_sub(*at) < CHECK_CACHE)
    }

    /// Runs a check in a thread of its own, unless it runs or its last answer still holds.
    fn start(&self, check: &Arc<Check>) {
        let mut state = lock(&check.state);
        if state.running.is_some() || self.is_fresh(&state) {
            return;
        }
        state.running = Some(Instant::now());
        state.runs += 1;
        drop(state);
        let (health, running) = (self.clone(), Arc::clone(check));
        let run = move || {
            let said = catch_unwind(AssertUnwindSafe(|| (running.ask)())).unwrap_or_else(|_| Health::fail("panic"));
            health.finish(&running, said);
        };
        if let Err(error) = thread::Builder::new().name("health".into()).spawn(run) {
            self.finish(check, Health::fail(format!("no thread to ask in: {error}")));
        }
    }

    fn finish(&self, check: &Check, health: Health) {
        let mut state = lock(&check.state);
        let changed = state.told != health.status;
        state.told = health.status;
        let news = changed.then(|| ServiceHealth {
            service: check.key.clone(),
            status: health.status,
            note: health.note.clone(),
        });
        state.last = Some((health, self.inner.clock.monotonic(), self.inner.clock.unix_ms()));
        state.running = None;
        drop(state);
        check.done.notify_all();
        if let (Some(bus), Some(news)) = (&self.inner.bus, news)
            && let Err(error) = bus.publish(news)
        {
            tracing::debug!(check = check.key, %error, "not everybody could be told of a change of health");
        }
    }

    /// What a check says, and when it did. Waits for it until its time is over.
    fn answer(&self, check: &Check) -> (Health, u64) {
        let mut state = lock(&check.state);
        while let Some(since) = state.running {
            if since.elapsed() >= CHECK_TIMEOUT {
                let limit_s = CHECK_TIMEOUT.as_secs_f64();
                let late = Health::fail(format!("no answer within {limit_s} s"));
                return (late.observed(since.elapsed().as_secs_f64(), "s"), self.inner.clock.unix_ms());
            }
            state = wait(&check.done, state, Some(since + CHECK_TIMEOUT));
        }
        match &state.last {
            Some((health, _, time_ms)) => (health.clone(), *time_ms),
            None => (Health::fail("was not asked"), self.inner.clock.unix_ms()),
        }
    }
}
