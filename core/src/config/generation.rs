//! One accepted state of the configuration, and what differs between two.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::layers::{Entries, Entry, tree};
use super::settings::{Model, Settings};
use crate::events::ConfigChange;

/// Why there is a new generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The engine started.
    Start,
    /// Files changed.
    Reload,
    /// A value was set or unset by a call.
    Call,
    /// An earlier generation was taken back.
    Rollback {
        /// Which.
        to: u64,
    },
}

/// An accepted configuration. It never changes; who holds one sees a consistent whole.
#[derive(Debug)]
pub struct Generation<T = Settings> {
    /// From 1, without holes.
    pub number: u64,
    /// When it was accepted, in milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// Why.
    pub cause: Cause,
    /// The values.
    pub settings: T,
    /// Keys with another value waiting for a restart.
    pub restart: Vec<String>,
    /// What holds, by path.
    pub(super) entries: Entries,
    /// What it was made of: all layers below the calls, and the calls.
    pub(super) base: Arc<Entries>,
    pub(super) calls: Arc<Entries>,
}

impl<T: Model> Generation<T> {
    /// Value and origin of a key.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// All keys with value and origin, sorted by path.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// All values as a tree; secrets are `***`.
    pub fn to_json(&self) -> Value {
        tree(&self.entries, false)
    }

    /// What is different here from `before`, sorted by path. A changed secret shows as `***` on both sides.
    pub fn diff(&self, before: &Self) -> Vec<ConfigChange> {
        changes(&before.entries, &self.entries)
    }
}

pub(super) fn changes(before: &Entries, after: &Entries) -> Vec<ConfigChange> {
    let differs = |path: &&String| match (before.get(*path), after.get(*path)) {
        (Some(a), Some(b)) => a.value != b.value || a.secret != b.secret,
        _ => true,
    };
    let change = |path: &String| ConfigChange {
        path: path.clone(),
        old: before.get(path).map(|e| e.value.clone()),
        new: after.get(path).map(|e| e.value.clone()),
        origin: after.get(path).map_or_else(String::new, |e| e.origin.to_string()),
    };
    after.keys().filter(differs).map(change).collect()
}
