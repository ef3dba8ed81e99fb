//! What an engine tells of itself: its log, its health.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use napi::Status;
use napi::bindgen_prelude::FnArgs;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use pure_sound::observe::{HealthAnswer, HealthChecks, Log, LogLevel};
use pure_sound::{Error, Result};

use crate::promise::json;

/// Records that JavaScript may have waiting, of some 300 bytes each. Beyond they are lost: work does not wait for its log.
const WINDOW: usize = 1024;

/// A record as JSON, and how many were lost before it.
type Line = FnArgs<(String, u32)>;

/// Hears of records. Weak: a log alone does not keep the process alive.
pub type Listener = ThreadsafeFunction<Line, (), Line, Status, false, true, WINDOW>;

/// Hands records of `level` and above to `listener`. Without one it sets the level of the listener that there is; `off` ends it.
///
/// # Errors
/// [`Error::InvalidValue`] for a level that is none.
pub fn log(log: &Log, level: &str, listener: Option<Listener>) -> Result<()> {
    let level = LogLevel::from_str(level)?;
    let Some(listener) = listener else {
        if level == LogLevel::Off {
            log.mute();
        } else {
            log.set_level(level);
        }
        return Ok(());
    };
    let lost = AtomicU32::new(0);
    log.listen(
        level,
        Arc::new(move |record| {
            let Ok(text) = json(record) else { return };
            let before = lost.swap(0, Ordering::Relaxed);
            let line = FnArgs::from((text, before));
            if listener.call(line, ThreadsafeFunctionCallMode::NonBlocking) != Status::Ok {
                lost.fetch_add(before + 1, Ordering::Relaxed);
            }
        }),
    );
    Ok(())
}

/// What a probe answers: `live`, `ready`, `startup`, or without one everything.
///
/// # Errors
/// [`Error::InvalidValue`] for a probe that is none.
pub fn health(health: &HealthChecks, probe: Option<&str>) -> Result<HealthAnswer> {
    match probe {
        None => Ok(health.all()),
        Some("live") => Ok(health.live()),
        Some("ready") => Ok(health.ready()),
        Some("startup") => Ok(health.startup()),
        Some(other) => Err(Error::InvalidValue {
            name: "probe".into(),
            value: other.into(),
            allowed: "live, ready, startup".into(),
        }),
    }
}
