//! `puresound jobs limit`: how many jobs of a scope run at once, and start in a time.

use std::str::FromStr;

use pure_sound::Error;
use pure_sound::jobs::{Gate, Limits, Rate, Scope, ScopeRules, parse_duration_ms};
use serde_json::json;

use super::StoreArgs;
use crate::console;
use crate::context::Context;
use crate::failure::Failure;

/// Limit how many jobs of a scope run at once, and how many start in a time; or list what is limited.
///
/// Limits hold for all workers of the store together, from the next job on; what runs goes on. What is not named stays as it is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// all, queue:NAME, kind:NAME or tenant:NAME. Without: list all limits.
    #[arg(value_name = "SCOPE", value_parser = Scope::from_str)]
    scope: Option<Scope>,
    /// At most so many of its jobs run at once; 'none' for any number. 'puresound jobs pause' lets none start.
    #[arg(long, value_name = "N", value_parser = running, requires = "scope")]
    running: Option<Wish<u32>>,
    /// So many of its jobs start in a time, evenly spread: 100/1h, 5/1s; 'none' for any number.
    #[arg(long, value_name = "N/DURATION", value_parser = rate, requires = "scope")]
    rate: Option<Wish<(u32, u64)>>,
    /// How many of these start at once after a pause.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "rate", value_parser = clap::value_parser!(u32).range(1..))]
    burst: u32,
    #[command(flatten)]
    store: StoreArgs,
}

/// A limit, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish<T> {
    Any,
    Most(T),
}

impl<T> Wish<T> {
    fn limit(self) -> Option<T> {
        match self {
            Self::Any => None,
            Self::Most(limit) => Some(limit),
        }
    }
}

fn invalid(name: &str, value: &str, allowed: &str) -> Error {
    Error::InvalidValue { name: name.into(), value: value.into(), allowed: allowed.into() }
}

fn running(text: &str) -> Result<Wish<u32>, Error> {
    if text == "none" {
        return Ok(Wish::Any);
    }
    let number = text.parse().ok().filter(|n| *n > 0);
    number.map(Wish::Most).ok_or_else(|| invalid("running", text, "a number from 1 on, or none"))
}

fn rate(text: &str) -> Result<Wish<(u32, u64)>, Error> {
    if text == "none" {
        return Ok(Wish::Any);
    }
    let wrong = || invalid("rate", text, "a number of jobs and a time, such as 100/1h or 5/1s, or none");
    let (jobs, time) = text.split_once('/').ok_or_else(wrong)?;
    let jobs = jobs.trim().parse().map_err(|_| wrong())?;
    Ok(Wish::Most((jobs, parse_duration_ms(time).map_err(|_| wrong())?)))
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let store = super::open(context, &args.store)?;
    let Some(scope) = &args.scope else {
        let limited: Vec<_> = store.scopes()?.into_iter().filter(|r| r.limits != Limits::default()).collect();
        if context.is_json() {
            let all: Vec<_> = limited.iter().map(|r| json!({ "scope": r.scope, "limits": r.limits })).collect();
            return Ok(console::print_json(&json!({ "limits": all }), context.args.jsonl)?);
        }
        let text: String = limited.iter().filter_map(line).collect();
        return Ok(console::print(if text.is_empty() { "no limits\n" } else { &text })?);
    };
    let name = scope.to_string();
    let mut limits = store.scopes()?.into_iter().find(|r| r.scope == name).map(|r| r.limits).unwrap_or_default();
    if let Some(wish) = args.running {
        limits.max_running = wish.limit();
    }
    if let Some(wish) = args.rate {
        limits.rate = wish.limit().map(|(jobs, per_ms)| Rate { jobs, per_ms, burst: args.burst });
    }
    if args.running.is_some() || args.rate.is_some() {
        store.set_limits(scope, limits)?;
    }
    if context.is_json() {
        return Ok(console::print_json(&json!({ "scope": name, "limits": limits }), context.args.jsonl)?);
    }
    if context.args.quiet {
        return Ok(());
    }
    let words = words(&limits);
    let words = if words.is_empty() { "no limits".to_owned() } else { words.join("; ") };
    Ok(console::print(&format!("{}: {words}\n", console::clean(&name)))?)
}

/// The rules of a scope as a line; none when everything is allowed.
pub fn line(rules: &ScopeRules) -> Option<String> {
    let gate = match rules.gate {
        Gate::Open => None,
        Gate::Paused => Some("paused".to_owned()),
        Gate::Draining => Some("draining".to_owned()),
    };
    let all: Vec<String> = gate.into_iter().chain(words(&rules.limits)).collect();
    (!all.is_empty()).then(|| format!("{}: {}\n", console::clean(&rules.scope), all.join("; ")))
}

fn words(limits: &Limits) -> Vec<String> {
    let running = limits.max_running.map(|n| format!("{n} run at once"));
    let rate = limits.rate.map(|r| {
        let time =
            if r.per_ms.is_multiple_of(1000) { format!("{} s", r.per_ms / 1000) } else { format!("{} ms", r.per_ms) };
        format!("{} start in {time}, {} of them at once", r.jobs, r.burst)
    });
    [running, rate].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_as_people_write_them() {
        assert_eq!(running("3").unwrap(), Wish::Most(3));
        assert_eq!(running("none").unwrap(), Wish::Any);
        assert_eq!(rate("100/1h").unwrap(), Wish::Most((100, 3_600_000)));
        assert_eq!(rate("5 / 250ms").unwrap(), Wish::Most((5, 250)));
        assert_eq!(rate("none").unwrap(), Wish::Any);
        for bad in ["", "-1", "0", "x", "1.5"] {
            assert!(running(bad).is_err(), "{bad}");
        }
        for bad in ["", "5", "/1s", "5/", "5/x", "-5/1s"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
