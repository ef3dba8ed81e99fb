//! Errors of core as exceptions of the package.

use pure_sound::{Error, guarded};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The exception for `error`. The classes are in Python, because only there can one have two bases.
pub fn raise(py: Python<'_>, error: &Error) -> PyErr {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let make = MAKE
        .get_or_try_init(py, || -> PyResult<_> { Ok(py.import("pure_sound.errors")?.getattr("from_json")?.unbind()) });
    match make.and_then(|make| make.bind(py).call1((error.to_json().to_string(),))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(failure) => failure,
    }
}

/// Runs `work` with the lock held, for what takes no longer than a few microseconds. Panics become errors.
pub fn quick<T>(py: Python<'_>, work: impl FnOnce() -> pure_sound::error::Result<T>) -> PyResult<T> {
    guarded(work).map_err(|error| raise(py, &error))
}

/// Runs `work` without the lock. Panics become errors.
pub fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> pure_sound::error::Result<T> + Send) -> PyResult<T> {
    py.detach(|| guarded(work)).map_err(|error| raise(py, &error))
}
