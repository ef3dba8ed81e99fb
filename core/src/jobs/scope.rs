//! What rules of a queue can be about, and the rules: open or paused, how many at once, how many in a time.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::job::{JobSpec, check_name};
use super::time::Moment;
use crate::error::{Error, Result};

/// Some of the jobs of a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All jobs.
    All,
    /// Those of a queue.
    Queue(String),
    /// Those of a kind.
    Kind(String),
    /// Those of a tenant.
    Tenant(String),
}

impl Scope {
    /// The scopes that a job lies in.
    pub fn of(spec: &JobSpec) -> Vec<Self> {
        let mut all = vec![Self::All, Self::Queue(spec.queue.clone()), Self::Kind(spec.kind.clone())];
        all.extend(spec.tenant.clone().map(Self::Tenant));
        all
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Queue(name) => write!(f, "queue:{name}"),
            Self::Kind(name) => write!(f, "kind:{name}"),
            Self::Tenant(name) => write!(f, "tenant:{name}"),
        }
    }
}

impl FromStr for Scope {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let scope = match text.split_once(':') {
            None if text == "all" => return Ok(Self::All),
            Some(("queue", name)) => (Self::Queue(name.to_owned()), name),
            Some(("kind", name)) => (Self::Kind(name.to_owned()), name),
            Some(("tenant", name)) => (Self::Tenant(name.to_owned()), name),
            _ => {
                return Err(Error::InvalidValue {
                    name: "scope".into(),
                    value: text.into(),
                    allowed: "all, queue:NAME, kind:NAME, tenant:NAME".into(),
                });
            }
        };
        check_name("scope", scope.1)?;
        Ok(scope.0)
    }
}

/// Whether jobs come in and go out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Both.
    #[default]
    Open,
    /// Jobs come in and wait; what runs goes on.
    Paused,
    /// Nothing new comes in; what is there is done.
    Draining,
}

impl FromStr for Gate {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "open" => Ok(Self::Open),
            "paused" => Ok(Self::Paused),
            "draining" => Ok(Self::Draining),
            _ => Err(Error::InvalidValue {
                name: "gate".into(),
                value: text.into(),
                allowed: "open, paused, draining".into(),
            }),
        }
    }
}

/// How many jobs may start in a time (GCRA, the "virtual scheduling" form of ITU-T I.371): evenly spread, with `burst` at once after
/// a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    /// How many, at least 1.
    pub jobs: u32,
    /// In so many milliseconds, at least 1.
    pub per_ms: u64,
    /// How many at once, at least 1.
    pub burst: u32,
}

/// The rules of a scope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Limits {
    /// How many of its jobs run at once. Default: any number.
    pub max_running: Option<u32>,
    /// How many of them start in a time. Default: any number.
    pub rate: Option<Rate>,
}

impl Limits {
    /// # Errors
    /// [`Error::OutOfRange`] for a rate with a 0 in it.
    pub fn validate(&self) -> Result<()> {
        let Some(rate) = &self.rate else { return Ok(()) };
        Error::check_range("rate.jobs", f64::from(rate.jobs), 1.0, 1e9, "")?;
        Error::check_range("rate.per_ms", rate.per_ms as f64, 1.0, 1e12, "ms")?;
        Error::check_range("rate.burst", f64::from(rate.burst), 1.0, 1e9, "")
    }
}

/// A scope with its rules, as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeRules {
    /// Which jobs, see [`Scope`]'s text form.
    pub scope: String,
    /// Whether jobs come in and go out.
    pub gate: Gate,
    /// How many.
    pub limits: Limits,
    /// Theoretical arrival time of the next job: the start of the machine, and microseconds since it.
    pub(super) arrival: Option<(String, u64)>,
}

impl ScopeRules {
    /// Rules that allow everything.
    pub(super) fn open(scope: &Scope) -> Self {
        Self { scope: scope.to_string(), gate: Gate::Open, limits: Limits::default(), arrival: None }
    }

    /// When one more job may start, as microseconds since the start of the machine; none for "not now". Leases and rates go by the same
    /// clock, so that a step of the calendar opens no window. A restart of the machine forgives at most one burst.
    pub(super) fn admit(&self, now: &Moment) -> Option<Option<(String, u64)>> {
        let Some(rate) = &self.limits.rate else { return Some(None) };
        let now_us = now.up_ms.saturating_mul(1000);
        let interval_us = (rate.per_ms.saturating_mul(1000) / u64::from(rate.jobs)).max(1);
        let arrival = match &self.arrival {
            Some((boot, at)) if **boot == *now.boot => (*at).max(now_us),
            _ => now_us,
        };
        if arrival - now_us > interval_us.saturating_mul(u64::from(rate.burst) - 1) {
            return None;
        }
        Some(Some((now.boot.to_string(), arrival.saturating_add(interval_us))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_as_they_are_written() {
        for text in ["all", "queue:a", "kind:process", "tenant:x:y"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        for text in ["", "queue", "queue:", "what:x", "tenant:a\nb"] {
            assert!(text.parse::<Scope>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_rate_admits_its_burst_and_then_its_rate() {
        let mut rules = ScopeRules::open(&Scope::All);
        rules.limits.rate = Some(Rate { jobs: 10, per_ms: 1000, burst: 5 });
        let mut admitted = Vec::new();
        for up_ms in 0..10_000 {
            let now = Moment { unix_ms: 7, boot: "a".into(), up_ms };
            while let Some(arrival) = rules.admit(&now) {
                rules.arrival = arrival;
                admitted.push(up_ms);
            }
        }
        // 10 in each of 10 s, and the burst of which one is the first interval's own.
        assert_eq!(admitted.len(), 100 + 4);
        assert_eq!(admitted[..5], [0; 5]);
        assert_eq!(admitted[5..8], [100, 200, 300]);
        let later = Moment { unix_ms: 0, boot: "b".into(), up_ms: 3 };
        assert!(rules.admit(&later).is_some(), "another start of the machine begins anew");
    }

    #[test]
    fn rates_of_nothing_are_refused() {
        for rate in [(0, 1, 1), (1, 0, 1), (1, 1, 0)] {
            let rate = Some(Rate { jobs: rate.0, per_ms: rate.1, burst: rate.2 });
            assert!(matches!(Limits { rate, max_running: None }.validate(), Err(Error::OutOfRange { .. })));
        }
    }
}
