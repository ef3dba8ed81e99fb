//! Metrics, health and the log of an engine.

use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};

use pure_sound::error::{Error, Result};
use pure_sound::observe::{HealthAnswer, HealthChecks, Log, LogLevel, LogRecord};
use pyo3::prelude::*;

use crate::errors::detached;
use crate::fork::Home;
use crate::tables::to_json;

thread_local! {
    /// Log callbacks that this thread is in.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
}

/// All gates, for the end of the interpreter.
static GATES: Mutex<Vec<Weak<Gate>>> = Mutex::new(Vec::new());

/// The way of records to a callback: once it is shut and nobody is in it any more, the callback is never called again.
///
/// A thread that waits for the interpreter's lock when the interpreter ends is ended with it, in the middle of its work. So all gates
/// are shut before.
struct Gate {
    /// Open, and the number of calls that are in it.
    state: Mutex<(bool, usize)>,
    left: Condvar,
    home: Home,
}

impl Gate {
    fn new() -> Arc<Self> {
        let gate = Arc::new(Self { state: Mutex::new((true, 0)), left: Condvar::new(), home: Home::here() });
        let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|gate| gate.strong_count() > 0);
        gates.push(Arc::downgrade(&gate));
        gate
    }

    fn enter(&self) -> Option<Passing<'_>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.then(|| {
            state.1 += 1;
            INSIDE.set(INSIDE.get() + 1);
            Passing(self)
        })
    }

    /// Lets nobody in any more, and waits for those that are: not for the caller's own, when it is called from a callback. To be
    /// called without the interpreter's lock.
    fn shut(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = false;
        while state.1 > 0 && INSIDE.get() == 0 {
            state = self.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A call that is in a gate.
struct Passing<'a>(&'a Gate);

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).1 -= 1;
        INSIDE.set(INSIDE.get() - 1);
        self.0.left.notify_all();
    }
}

/// Who listens to the log of an engine.
#[derive(Default)]
pub struct Listener(Mutex<Option<Arc<Gate>>>);

impl Listener {
    /// Hands records of `level` and above to `callback`, as JSON text, instead of the one before. Without a callback: sets how much is
    /// told; with the level `off` nobody listens any more.
    pub fn log(&self, py: Python<'_>, log: &Log, level: &str, callback: Option<Py<PyAny>>) -> PyResult<()> {
        detached(py, || {
            let level: LogLevel = level.parse()?;
            let Some(callback) = callback else {
                if level != LogLevel::Off {
                    log.set_level(level);
                    return Ok(());
                }
                log.mute();
                self.replace(None);
                return Ok(());
            };
            let gate = Gate::new();
            let passed = Arc::clone(&gate);
            log.listen(level, Arc::new(move |record| hand_over(&passed, &callback, record)));
            self.replace(Some(gate));
            Ok(())
        })
    }

    /// Takes `gate` instead of the one before, whose callback is not called any more when this returns.
    fn replace(&self, gate: Option<Arc<Gate>>) {
        let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), gate);
        if let Some(before) = before {
            before.shut();
        }
    }
}

fn hand_over(gate: &Gate, callback: &Py<PyAny>, record: &LogRecord) {
    let Some(_passing) = gate.enter() else { return };
    let Ok(text) = to_json(record) else { return };
    Python::try_attach(|py| {
        if let Err(error) = callback.call1(py, (text,)) {
            error.write_unraisable(py, Some(callback.bind(py)));
        }
    });
}

/// Ends all callbacks of logs: for the end of the interpreter.
#[pyfunction]
pub fn shut_logs(py: Python<'_>) -> PyResult<()> {
    detached(py, || {
        let gates = std::mem::take(&mut *GATES.lock().unwrap_or_else(PoisonError::into_inner));
        for gate in gates.iter().filter_map(Weak::upgrade).filter(|gate| gate.home.is_here()) {
            gate.shut();
        }
        Ok(())
    })
}

/// What a probe answers: `live`, `ready`, `startup`, or everything.
pub fn health(health: &HealthChecks, probe: Option<&str>) -> Result<HealthAnswer> {
    match probe {
        None => Ok(health.all()),
        Some("live") => Ok(health.live()),
        Some("ready") => Ok(health.ready()),
        Some("startup") => Ok(health.startup()),
        Some(other) => Err(Error::InvalidValue {
            name: "probe".into(),
            value: other.into(),
            allowed: "live, ready, startup".into(),
        }),
    }
}
