//! What a budget is about, and how much of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A thing that there is only so much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Bytes of memory.
    Memory,
    /// Threads that work at once.
    Threads,
    /// Files that are open at once.
    Files,
    /// Bytes of temporary files.
    TempDisk,
}

impl Resource {
    /// All, in the order in which they are counted.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Threads, Self::Files, Self::TempDisk];

    /// Its name, as in JSON and in events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Threads => "threads",
            Self::Files => "files",
            Self::TempDisk => "temp_disk",
        }
    }

    /// Name of the limit in [`Error::LimitExceeded`](crate::Error::LimitExceeded).
    pub(super) fn limit(self) -> &'static str {
        match self {
            Self::Memory => "memory_bytes",
            Self::Threads => "threads",
            Self::Files => "files",
            Self::TempDisk => "temp_disk_bytes",
        }
    }
}

/// So much of each resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Amounts {
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Threads that work at once.
    pub threads: u64,
    /// Files that are open at once.
    pub files: u64,
    /// Bytes of temporary files.
    pub temp_disk_bytes: u64,
}

impl Amounts {
    /// A budget without limits: what is used is only counted.
    pub const UNLIMITED: Self =
        Self { memory_bytes: u64::MAX, threads: u64::MAX, files: u64::MAX, temp_disk_bytes: u64::MAX };

    /// That of one resource.
    pub fn get(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Memory => self.memory_bytes,
            Resource::Threads => self.threads,
            Resource::Files => self.files,
            Resource::TempDisk => self.temp_disk_bytes,
        }
    }

    /// That of one resource, to change it.
    pub fn get_mut(&mut self, resource: Resource) -> &mut u64 {
        match resource {
            Resource::Memory => &mut self.memory_bytes,
            Resource::Threads => &mut self.threads,
            Resource::Files => &mut self.files,
            Resource::TempDisk => &mut self.temp_disk_bytes,
        }
    }

    /// So much of one resource, nothing of the others.
    pub fn of(resource: Resource, amount: u64) -> Self {
        let mut amounts = Self::default();
        *amounts.get_mut(resource) = amount;
        amounts
    }

    pub(super) fn add(&mut self, other: &Self) {
        for r in Resource::ALL {
            *self.get_mut(r) = self.get(r).saturating_add(other.get(r));
        }
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        for r in Resource::ALL {
            debug_assert!(self.get(r) >= other.get(r), "{} given back twice", r.name());
            *self.get_mut(r) = self.get(r).saturating_sub(other.get(r));
        }
    }

    /// The first resource of which `self` and `more` together are above `budget`.
    pub(super) fn beyond(&self, more: &Self, budget: &Self) -> Option<Resource> {
        Resource::ALL
            .into_iter()
            .find(|r| more.get(*r) > 0 && self.get(*r).checked_add(more.get(*r)).is_none_or(|sum| sum > budget.get(*r)))
    }
}
