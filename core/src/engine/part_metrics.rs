//! What the parts of an engine tell about themselves when somebody reads its metrics or asks for its health.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::observed::Watched;
use crate::cache::{Cache, Layer, LayerStats};
use crate::config::Config;
use crate::error::Result;
use crate::events::EventBus;
use crate::observe::{HealthChecks, Label, Log, MetricKind, Metrics, Probe, check_free_bytes, check_writable};
use crate::resources::{Resource, ResourcePool, ResourceUsage, Usage};
use crate::services::{Health, HealthStatus};

/// Longest time that a job should wait for resources, in seconds, before health warns.
const LONG_WAIT_S: f64 = 300.0;

/// Registers metrics and checks of all parts.
pub(super) fn watch(parts: &Watched<'_>, metrics: &Metrics, health: &HealthChecks, log: &Arc<Log>) -> Result<()> {
    bus_metrics(metrics, parts.bus)?;
    if let Some(config) = parts.config {
        config_metrics(metrics, config)?;
    }
    resource_metrics(metrics, parts.resources)?;
    retry_metrics(metrics, parts.retries)?;
    cache_metrics(metrics, parts.cache)?;
    log_metrics(metrics, log)?;
    health_metrics(metrics, health)?;
    register_checks(health, parts)
}

fn bus_metrics(metrics: &Metrics, bus: &EventBus) -> Result<()> {
    use MetricKind::{Counter, Gauge};
    type Read = fn(&crate::events::BusStats) -> u64;
    let all: [(MetricKind, &str, &str, Read); 9] = [
        (Counter, "pure_sound_events_published", "Events published.", |s| s.published),
        (Counter, "pure_sound_events_unheard", "Events that nobody was subscribed to.", |s| s.dead_events),
        (Counter, "pure_sound_events_refused", "Events that a lossless subscriber had no room for.", |s| s.refused),
        (Counter, "pure_sound_events_lost", "Deliveries dropped because a lossy subscriber was too slow.", |s| s.lost),
        (Counter, "pure_sound_events_dead_letters", "Deliveries that a handler failed at.", |s| s.failed),
        (Gauge, "pure_sound_events_subscribers", "Subscribers now.", |s| s.subscribers),
        (Gauge, "pure_sound_events_suspended_subscribers", "Subscribers suspended now.", |s| s.suspended),
        (Gauge, "pure_sound_events_history", "Events that are kept for those who come late.", |s| s.history_events),
        (Gauge, "pure_sound_events_history_bytes", "Memory of the kept events.", |s| s.history_bytes),
    ];
    for (kind, name, help, read) in all {
        let bus = bus.clone();
        metrics.computed(kind, name, help, [], move |samples| samples.set(&[], read(&bus.stats()) as f64))?;
    }
    Ok(())
}

fn config_metrics(metrics: &Metrics, config: &Config) -> Result<()> {
    type Read = fn(&Config) -> u64;
    let all: [(MetricKind, &str, &str, Read); 4] = [
        (MetricKind::Gauge, "pure_sound_config_generation", "Number of the configuration that holds.", |c| {
            c.current().number
        }),
        (MetricKind::Gauge, "pure_sound_config_pending_restart", "Keys whose new value waits for a restart.", |c| {
            c.current().restart.len() as u64
        }),
        (MetricKind::Counter, "pure_sound_config_rejections", "Configurations that were refused.", Config::rejections),
        (MetricKind::Gauge, "pure_sound_config_rejected", "1 while the files say something that was refused.", |c| {
            u64::from(!c.rejected().is_empty())
        }),
    ];
    for (kind, name, help, read) in all {
        let config = config.clone();
        metrics.computed(kind, name, help, [], move |samples| samples.set(&[], read(&config) as f64))?;
    }
    Ok(())
}

fn resource_metrics(metrics: &Metrics, pool: &ResourcePool) -> Result<()> {
    use MetricKind::{Counter, Gauge};
    type Read = fn(&ResourceUsage) -> Option<u64>;
    let each: [(&str, &str, Read); 4] = [
        ("pure_sound_resource_budget", "All there is; absent without a limit. Memory and temp in bytes.", |u| u.budget),
        ("pure_sound_resource_used", "What jobs hold now.", |u| Some(u.used)),
        ("pure_sound_resource_peak", "The most that jobs ever held at once.", |u| Some(u.peak)),
        ("pure_sound_resource_queue", "Jobs that wait for some of it.", |u| Some(u.waiting.into())),
    ];
    for (name, help, read) in each {
        let pool = pool.clone();
        let label = Label::one_of("resource", Resource::ALL.map(Resource::name));
        metrics.computed(Gauge, name, help, [label], move |samples| {
            for usage in pool.usage().resources {
                if let Some(value) = read(&usage) {
                    samples.set(&[usage.resource.name()], value as f64);
                }
            }
        })?;
    }
    type ReadAll = fn(&Usage) -> f64;
    let all: [(MetricKind, &str, &str, ReadAll); 8] = [
        (Gauge, "pure_sound_jobs_admitted", "Jobs that hold resources now.", |u| u.holders.into()),
        (Gauge, "pure_sound_jobs_waiting", "Jobs that wait for resources now.", |u| u.waiting.into()),
        (Gauge, "pure_sound_jobs_oldest_wait_seconds", "How long the first in line has waited.", |u| {
            u.oldest_wait_ms as f64 / 1e3
        }),
        (Counter, "pure_sound_admissions", "Jobs that were given resources.", |u| u.granted as f64),
        (Counter, "pure_sound_admission_waits", "Jobs that had to wait for them.", |u| u.waited as f64),
        (Counter, "pure_sound_admission_wait_seconds", "How long those waited, together.", |u| {
            u.waited_ms as f64 / 1e3
        }),
        (Counter, "pure_sound_admission_refusals", "Jobs that wanted more than there will ever be.", |u| {
            u.refused as f64
        }),
        (Counter, "pure_sound_admission_timeouts", "Jobs that had waited long enough.", |u| u.timed_out as f64),
    ];
    for (kind, name, help, read) in all {
        let pool = pool.clone();
        metrics.computed(kind, name, help, [], move |samples| samples.set(&[], read(&pool.usage())))?;
    }
    Ok(())
}

fn retry_metrics(metrics: &Metrics, retries: &Arc<AtomicU64>) -> Result<()> {
    let retries = Arc::clone(retries);
    metrics.computed(
        MetricKind::Counter,
        "pure_sound_retries",
        "Calls that were tried again after a failure that may pass.",
        [],
        move |samples| samples.set(&[], retries.load(Ordering::Relaxed) as f64),
    )
}

/// Registered without a cache, too: a name that comes and goes is of no use to those who draw it.
fn cache_metrics(metrics: &Metrics, cache: Option<&Cache>) -> Result<()> {
    use MetricKind::{Counter, Gauge};
    type Read = fn(&LayerStats) -> u64;
    let all: [(MetricKind, &str, &str, Read); 7] = [
        (Counter, "pure_sound_cache_hits", "Results that were found.", |s| s.hits),
        (Counter, "pure_sound_cache_misses", "Results that were not there.", |s| s.misses),
        (Counter, "pure_sound_cache_bad", "Kept results that had changed; they count as not there.", |s| s.bad),
        (Counter, "pure_sound_cache_writes", "Results that were kept.", |s| s.writes),
        (Counter, "pure_sound_cache_failures", "Looks and writes that failed or took too long.", |s| s.failures),
        (Counter, "pure_sound_cache_evictions", "Results that made room for others, in the folder.", |s| s.evictions),
        (Gauge, "pure_sound_cache_bytes", "What is kept; not known of Redis.", |s| s.bytes),
    ];
    for (kind, name, help, read) in all {
        let cache = cache.cloned();
        let label = Label::one_of("layer", Layer::ALL.map(Layer::name));
        metrics.computed(kind, name, help, [label], move |samples| {
            for layer in Layer::ALL {
                if let Some(stats) = cache.as_ref().and_then(|cache| cache.stats(layer)) {
                    samples.set(&[layer.name()], read(&stats) as f64);
                }
            }
        })?;
    }
    let cache = cache.cloned();
    metrics.computed(
        Counter,
        "pure_sound_cache_shared",
        "Results that were taken from a call that was making them at that time.",
        [],
        move |samples| samples.set(&[], cache.as_ref().map_or(0, Cache::shared) as f64),
    )
}

fn log_metrics(metrics: &Metrics, log: &Arc<Log>) -> Result<()> {
    use crate::observe::LogLevel;
    let levels = Label::one_of("level", LogLevel::ALL.iter().skip(1).map(|l| l.name()));
    let records = Arc::clone(log);
    metrics.computed(
        MetricKind::Counter,
        "pure_sound_log_records",
        "Log records handed to the host.",
        [levels],
        move |samples| records.records().for_each(|(level, count)| samples.set(&[level.name()], count as f64)),
    )?;
    let failures = Arc::clone(log);
    metrics.computed(
        MetricKind::Counter,
        "pure_sound_log_failures",
        "Log records that the host failed to take.",
        [],
        move |samples| samples.set(&[], failures.failures() as f64),
    )
}

fn health_metrics(metrics: &Metrics, health: &HealthChecks) -> Result<()> {
    let health = health.clone();
    metrics.computed(
        MetricKind::Gauge,
        "pure_sound_health_status",
        "What each health check said last: 0 passes, 1 warns, 2 fails.",
        [Label::any("check")],
        move |samples| {
            for (key, status) in health.last() {
                let number = match status {
                    HealthStatus::Pass => 0.0,
                    HealthStatus::Warn => 1.0,
                    HealthStatus::Fail => 2.0,
                };
                samples.set(&[&key], number);
            }
        },
    )
}

fn register_checks(health: &HealthChecks, parts: &Watched<'_>) -> Result<()> {
    let bus = parts.bus.clone();
    health.register("events:suspended_subscribers", "component", Probe::Ready, move || {
        let suspended = bus.suspended();
        let health = match suspended.as_slice() {
            [] => Health::pass(),
            names => Health::warn(format!("suspended: {}", names.join(", "))),
        };
        health.observed(suspended.len() as f64, "subscribers")
    })?;
    if let Some(config) = parts.config {
        let config = config.clone();
        health.register("config:rejected", "component", Probe::Ready, move || {
            let problems = config.rejected();
            let health = match problems.first() {
                None => Health::pass(),
                Some(first) => Health::warn(format!("the files were refused, the last good ones hold: {first}")),
            };
            health.observed(problems.len() as f64, "problems")
        })?;
    }
    let pool = parts.resources.clone();
    health.register("resources:oldest_wait", "component", Probe::Ready, move || {
        let waited_s = pool.usage().oldest_wait_ms as f64 / 1e3;
        let health = if waited_s > LONG_WAIT_S {
            Health::warn("jobs wait long for resources; see pure_sound_resource_used")
        } else {
            Health::pass()
        };
        health.observed(waited_s, "s")
    })?;
    let temp_dir: PathBuf = parts.temp_dir.map_or_else(std::env::temp_dir, Path::to_path_buf);
    let folder = temp_dir.clone();
    health.register("temp:writable", "datastore", Probe::Ready, move || check_writable(&folder))?;
    health.register("temp:free_bytes", "datastore", Probe::Ready, move || check_free_bytes(&temp_dir))
}
