//! A process made by fork has the memory of its parent but not its threads: what needs threads says so there.

use pure_sound::Error;
use pyo3::prelude::*;

use crate::errors::raise;

/// The process that something was made in.
#[derive(Clone, Copy)]
pub struct Home(u32);

impl Home {
    pub fn here() -> Self {
        Self(std::process::id())
    }

    /// True in the process where it was made.
    pub fn is_here(self) -> bool {
        self.0 == std::process::id()
    }

    /// Fails in any other process.
    pub fn check(self, py: Python<'_>, what: &str) -> PyResult<()> {
        if self.is_here() {
            return Ok(());
        }
        let error = Error::Conflict {
            what: format!(
                "this {what} was made before a fork, and its threads stayed in the parent process; start workers by 'spawn' \
                 or 'forkserver' (multiprocessing.get_context), or make a new one here"
            ),
        };
        Err(raise(py, &error))
    }
}
