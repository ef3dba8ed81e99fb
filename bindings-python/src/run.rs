//! Long calls: without the interpreter's lock, with progress, cancelling and Ctrl-C.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pure_sound::error::Result;
use pure_sound::guarded;
use pure_sound::processing::{self, Control, Progress};
use pyo3::prelude::*;

use crate::errors::raise;
use crate::sources::Faults;

/// How often a waiting main thread looks for signals: a tenth of what a person notices as a delay.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(20);

/// Cancels calls from any thread. One token may serve several calls.
#[pyclass(frozen, module = "pure_sound")]
#[derive(Default)]
pub struct CancelToken(pub processing::CancelToken);

#[pymethods]
impl CancelToken {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Asks the calls that were given this token to stop. They do so within one block.
    fn cancel(&self) {
        self.0.cancel();
    }

    /// True after `cancel`.
    #[getter]
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    fn __repr__(&self) -> &'static str {
        if self.0.is_cancelled() { "<CancelToken cancelled>" } else { "<CancelToken>" }
    }
}

/// What the caller of a long call wants to hear and say meanwhile.
#[derive(Default)]
pub struct Caller {
    /// Called with (stage, fraction, speed, eta_s) in the caller's thread; false cancels.
    pub progress: Option<Py<PyAny>>,
    pub cancel: Option<Py<CancelToken>>,
    /// On whose behalf the call is made.
    pub tenant: Option<Arc<str>>,
    /// Where file objects leave what they raised.
    pub faults: Faults,
}

#[derive(Default)]
struct State {
    progress: Option<Progress>,
    done: bool,
}

#[derive(Default)]
struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

fn lock(mutex: &Mutex<State>) -> MutexGuard<'_, State> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the line that the work has ended, also when it ends by a panic.
struct Done<'a>(&'a Line);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).done = true;
        self.0.changed.notify_one();
    }
}

impl Caller {
    /// Runs `work` without the lock and waits for it.
    ///
    /// When there is a callback, or this is the main thread, where Python handles signals, the work has a thread of its own, and
    /// this one calls back and looks for signals. What they raise cancels the work, and is raised here once it has stopped.
    pub fn run<T: Send>(self, py: Python<'_>, work: impl FnOnce(&Control) -> Result<T> + Send) -> PyResult<T> {
        let mut control = Control { tenant: self.tenant.clone(), ..Control::default() };
        if let Some(token) = &self.cancel {
            control.cancel = token.get().0.clone();
        }
        let main = is_main_thread(py)?;
        let result = if self.progress.is_none() && !main {
            py.detach(|| guarded(|| work(&control)))
        } else {
            // Ctrl-C must not cancel a token that the caller may share with other calls: so the work has one of its own.
            self.watched(py, control, main, work)?
        };
        if let Some(fault) = self.faults.take() {
            return Err(fault);
        }
        result.map_err(|error| raise(py, &error))
    }

    fn watched<T: Send>(
        &self,
        py: Python<'_>,
        mut control: Control,
        main: bool,
        work: impl FnOnce(&Control) -> Result<T> + Send,
    ) -> PyResult<Result<T>> {
        let line = Arc::new(Line::default());
        let given = std::mem::take(&mut control.cancel);
        if given.is_cancelled() {
            // Now: the work may be over before the first look at it.
            control.cancel.cancel();
        }
        if self.progress.is_some() {
            let line = Arc::clone(&line);
            control.progress = Some(Arc::new(move |progress: &Progress| {
                lock(&line.state).progress = Some(progress.clone());
                line.changed.notify_one();
            }));
        }
        let (control, line) = (&control, &*line);
        py.detach(|| {
            std::thread::scope(|scope| {
                let worker =
                    std::thread::Builder::new().name("pure-sound-call".into()).spawn_scoped(scope, move || {
                        let _done = Done(line);
                        guarded(|| work(control))
                    })?;
                let mut raised = None;
                loop {
                    let (progress, done) = line.wait();
                    if given.is_cancelled() {
                        control.cancel.cancel();
                    }
                    if raised.is_none() && (main || progress.is_some()) {
                        raised = Python::attach(|py| self.tell(py, progress, main)).err();
                        if raised.is_some() {
                            control.cancel.cancel();
                        }
                    }
                    if done {
                        break;
                    }
                }
                let result = worker.join().unwrap_or_else(|_| Err(pure_sound::Error::internal("a call panicked")));
                raised.map_or(Ok(result), Err)
            })
        })
    }

    /// Calls back and looks for signals.
    fn tell(&self, py: Python<'_>, progress: Option<Progress>, main: bool) -> PyResult<()> {
        if main {
            py.check_signals()?;
        }
        if let (Some(callback), Some(p)) = (&self.progress, progress) {
            let answer = callback.call1(py, (p.stage.name(), p.fraction, p.speed, p.eta_s))?;
            if answer.bind(py).is(&*pyo3::types::PyBool::new(py, false)) {
                return Err(raise(py, &pure_sound::Error::Cancelled));
            }
        }
        Ok(())
    }
}

impl Line {
    /// Waits until there is something to tell, the work is done, or it is time to look for signals.
    fn wait(&self) -> (Option<Progress>, bool) {
        let idle = |state: &mut State| state.progress.is_none() && !state.done;
        let waited = self.changed.wait_timeout_while(lock(&self.state), SIGNAL_INTERVAL, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (state.progress.take(), state.done)
    }
}

/// True in the thread where Python handles signals.
fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    main.eq(threading.call_method0("get_ident")?)
}
