//! Who may do what: asked before an operation begins.

use std::path::Path;

use crate::error::{Error, Result};

/// What is about to be done.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    /// `probe`, `tags`, `open`, `measure`, `compare` (for each of both inputs), `plan`, `process`, `encode`, or `asset` for a recording
    /// that a filter names; for steps of workflows also `list` (files by pattern), `store` (a copy or move), `remove`.
    pub name: &'static str,
    /// On whose behalf, when that is known.
    pub tenant: Option<&'a str>,
    /// The file that is read; none for bytes and streams.
    pub input: Option<&'a Path>,
    /// The files that are written.
    pub outputs: &'a [&'a Path],
}

/// What a policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may be done.
    Allow,
    /// It may not.
    Deny {
        /// Why, for the caller.
        reason: String,
    },
}

/// Decides what may be done. Asked once for each operation, before a file is opened; called from any thread.
pub trait Policy: Send + Sync {
    /// Decides. A policy that cannot decide denies.
    fn decide(&self, operation: &Operation<'_>) -> Decision;
}

/// Allows everything: what a program does on its own machine on its own behalf.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

impl Policy for AllowAll {
    fn decide(&self, _: &Operation<'_>) -> Decision {
        Decision::Allow
    }
}

impl Operation<'_> {
    /// Asks `policy`.
    ///
    /// # Errors
    /// [`Error::Denied`] with the reason, naming the input, or the operation when there is none.
    pub fn check(&self, policy: &dyn Policy) -> Result<()> {
        match policy.decide(self) {
            Decision::Allow => Ok(()),
            Decision::Deny { reason } => {
                let path = self.input.map_or_else(|| self.name.to_owned(), |p| p.display().to_string());
                Err(Error::Denied { path, reason })
            }
        }
    }
}
