//! What an engine tells: by callback or on request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pure_sound::events::{Delivery, EventBus, Poller as Queue, Start, SubscribeOptions, Subscription as Inner};
use pyo3::prelude::*;
use serde_json::json;

use crate::errors::{detached, quick, raise};
use crate::fork::Home;
use crate::tables::to_json;

/// How long a wait for events goes on without a look for signals.
const WAIT_SLICE: Duration = Duration::from_millis(50);

/// A delivery as JSON: an event with `replay`, or a notice of what was lost.
fn text(delivery: &Delivery) -> pure_sound::error::Result<String> {
    let value = match delivery {
        Delivery::Event { event, replay } => {
            let mut value = event.to_json()?;
            value["replay"] = json!(replay);
            value
        }
        Delivery::Lagged { lost } => json!({ "topic": "lagged", "lost": lost }),
        Delivery::Gap { from, to, restarted } => {
            json!({ "topic": "gap", "from": from, "to": to, "restarted": restarted })
        }
        _ => json!({ "topic": "unknown" }),
    };
    Ok(value.to_string())
}

fn options(pattern: &str, lane_events: Option<usize>) -> SubscribeOptions {
    let options = SubscribeOptions::new(pattern);
    match lane_events {
        Some(events) => options.lane_events(events),
        None => options,
    }
}

/// Calls a function with events until it is closed.
#[pyclass(frozen, module = "pure_sound._native")]
pub struct Subscription {
    inner: Mutex<Option<Inner>>,
    home: Home,
}

impl Subscription {
    pub fn start(
        py: Python<'_>,
        bus: &EventBus,
        pattern: &str,
        callback: Py<PyAny>,
        lane_events: Option<usize>,
        home: Home,
    ) -> PyResult<Self> {
        let options = options(pattern, lane_events);
        let inner = detached(py, || {
            bus.subscribe(options, move |delivery| {
                let text = text(delivery)?;
                // None when the interpreter is about to end: nobody is there to hear.
                Python::try_attach(|py| {
                    if let Err(error) = callback.call1(py, (text,)) {
                        error.write_unraisable(py, Some(callback.bind(py)));
                    }
                });
                Ok(())
            })
        })?;
        Ok(Self { inner: Mutex::new(Some(inner)), home })
    }

    fn take(&self) -> Option<Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(inner) = self.take() else { return };
        if self.home.is_here() {
            Python::attach(|py| py.detach(|| drop(inner)));
        } else {
            std::mem::forget(inner);
        }
    }
}

#[pymethods]
impl Subscription {
    /// What it did so far.
    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        let guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match &*guard {
            Some(inner) => quick(py, || to_json(&inner.stats())),
            None => Err(raise(py, &pure_sound::Error::Closed { what: "subscription" })),
        }
    }

    /// Ends it. When this returns, no callback of it runs or will run. May be called from within the callback.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.home.check(py, "subscription")?;
        // Taken out under the lock and dropped outside of it, without the interpreter's: dropping waits for the callback.
        if let Some(inner) = self.take() {
            detached(py, || {
                drop(inner);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Keeps events until they are asked for.
#[pyclass(frozen, module = "pure_sound._native")]
pub struct Poller {
    inner: Mutex<Option<Arc<Queue>>>,
    home: Home,
}

impl Poller {
    pub fn start(
        py: Python<'_>,
        bus: &EventBus,
        pattern: &str,
        lane_events: Option<usize>,
        from_oldest: bool,
        home: Home,
    ) -> PyResult<Self> {
        let mut options = options(pattern, lane_events);
        if from_oldest {
            options = options.start(Start::Oldest);
        }
        let inner = quick(py, || bus.poll(options))?;
        Ok(Self { inner: Mutex::new(Some(Arc::new(inner))), home })
    }

    fn poller(&self) -> Option<Arc<Queue>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[pymethods]
impl Poller {
    /// The next delivery as JSON text; waits for it at most `timeout_s`, without it for ever. None after that time, or when nothing
    /// will come any more.
    #[pyo3(signature = (timeout_s=None))]
    fn next(&self, py: Python<'_>, timeout_s: Option<f64>) -> PyResult<Option<String>> {
        self.home.check(py, "poller")?;
        let limit = timeout_s.map(|s| Duration::try_from_secs_f64(s.max(0.0)).unwrap_or(Duration::MAX));
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            let Some(poller) = self.poller() else { return Ok(None) };
            let left = match (deadline, limit) {
                (Some(at), _) => at.saturating_duration_since(Instant::now()),
                (None, _) => WAIT_SLICE,
            };
            let delivery = detached(py, || match poller.next(left.min(WAIT_SLICE)) {
                Some(delivery) => text(&delivery).map(Some),
                None => Ok(None),
            })?;
            if delivery.is_some() || left.is_zero() || poller.is_closed() {
                return Ok(delivery);
            }
            py.check_signals()?;
        }
    }

    /// Ends it; a `next` that waits gives None.
    fn close(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
