//! What is used, by whom, since when: for metrics, health and people.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::amounts::{Amounts, Resource};

/// State of one budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceUsage {
    /// Which.
    pub resource: Resource,
    /// All there is; none without a limit.
    pub budget: Option<u64>,
    /// What is held now.
    pub used: u64,
    /// The most that was ever held.
    pub peak: u64,
    /// How many wait for some of it.
    pub waiting: u32,
}

/// State of a pool at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// One for each of [`Resource::ALL`], in that order.
    pub resources: Vec<ResourceUsage>,
    /// Permits that are held.
    pub holders: u32,
    /// Requests that wait.
    pub waiting: u32,
    /// How long the oldest of them has waited, in milliseconds.
    pub oldest_wait_ms: u64,
    /// Permits ever granted.
    pub granted: u64,
    /// Of these, how many had to wait.
    pub waited: u64,
    /// Time that they waited, all together, in milliseconds.
    pub waited_ms: u64,
    /// Requests that were larger than their budget.
    pub refused: u64,
    /// Requests that had waited long enough.
    pub timed_out: u64,
    /// Requests that were cancelled while they waited.
    pub cancelled: u64,
}

/// One permit that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// What it is for.
    pub label: String,
    /// On whose behalf.
    pub tenant: Option<String>,
    /// What it holds.
    pub amounts: Amounts,
    /// For how long.
    pub held: Duration,
}
