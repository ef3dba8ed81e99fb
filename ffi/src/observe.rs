//! What an engine tells of itself: figures, health, log, what its jobs hold.

use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;

use pure_sound::observe::{LogLevel, LogRecord};

use crate::engine::{engine, psnd_engine};
use crate::error::{entry, psnd_error};
use crate::status::psnd_status;
use crate::text::{self, c_string, give_json, give_text, invalid, wanted};
use crate::user::{UserData, psnd_destroy_fn};

/// Hears a record of the log: `level` is `error`, `warn`, `info`, `debug` or `trace`; `record_json` is the whole record, see the schema
/// `log_record`. The texts are valid during the callback. Called from any thread of the engine, also several at a time. May call any
/// function of this library; what is logged because of that is dropped.
#[allow(non_camel_case_types)]
pub type psnd_log_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        level: *const c_char,
        message: *const c_char,
        record_json: *const c_char,
    ),
>;

/// The figures of an engine as OpenMetrics text, for Prometheus and its like: what ran how often and for how long, what failed, what
/// waits. Docs: `docs/metrics.md`.
///
/// # Safety
/// `out_text` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_metrics(
    engine: psnd_engine,
    out_text: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_text", out_text)?;
        let engine = self::engine(engine)?;
        // SAFETY: the caller's promise.
        unsafe { give_text("out_text", out_text, engine.0.metrics().to_openmetrics()) }
    })
}

/// The health of an engine as JSON (`application/health+json`), see the schema `health`: `status` is `pass`, `warn` or `fail`.
/// `probe` asks one question: `live` (does it run at all?), `ready` (can it take work?), `startup` (is it up?); NULL asks everything.
/// Takes a second at most, whatever is asked.
///
/// # Safety
/// `probe` is NULL or ends with a NUL; `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_health(
    engine: psnd_engine,
    probe: *const c_char,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_json", out_json)?;
        let engine = self::engine(engine)?;
        let health = engine.0.health();
        // SAFETY: the caller's promise.
        let answer = match unsafe { text::optional("probe", probe)? } {
            None => health.all(),
            Some("live") => health.live(),
            Some("ready") => health.ready(),
            Some("startup") => health.startup(),
            Some(other) => return Err(invalid("probe", other, "live, ready, startup")),
        };
        // SAFETY: as above.
        unsafe { give_json("out_json", out_json, &answer) }
    })
}

/// What the jobs of an engine hold of its budgets, and who waits, as JSON, see the schema `usage`.
///
/// # Safety
/// `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_usage(
    engine: psnd_engine,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let engine = self::engine(engine)?;
        // SAFETY: the caller's promise.
        unsafe { give_json("out_json", out_json, &engine.0.resources().usage()) }
    })
}

/// Hands the log of an engine to `callback` from now on, instead of to the one before: records of `level` (`error`, `warn`, `info`,
/// `debug`, `trace`) and those that are more important. Until this is called nothing is logged.
///
/// With NULL for `callback` the one that listens stays and only the level changes, at once, also for what runs; with `off` and NULL
/// nobody listens any more. (`user_data` and `destroy` are not used then; `destroy` is called all the same.) What runs keeps the
/// callback that it began with, and `destroy` is called when the last such run is over.
///
/// # Safety
/// `level` ends with a NUL; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_log(
    engine: psnd_engine,
    level: *const c_char,
    callback: psnd_log_fn,
    user_data: *mut c_void,
    destroy: psnd_destroy_fn,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    let user = UserData::new(user_data, destroy);
    entry(out_error, || {
        let user = user;
        let engine = self::engine(engine)?;
        // SAFETY: the caller's promise.
        let level: LogLevel = unsafe { text::required("level", level)? }.parse()?;
        let log = engine.0.log();
        match callback {
            Some(callback) => log.listen(
                level,
                Arc::new(move |record: &LogRecord| {
                    let level: CString = c_string(record.level.name());
                    let message = c_string(record.message.as_str());
                    let json = c_string(serde_json::to_string(record).unwrap_or_default());
                    // SAFETY: the host's function with its pointer, which `user` keeps; the texts live until it returns.
                    unsafe { callback(user.pointer(), level.as_ptr(), message.as_ptr(), json.as_ptr()) };
                }),
            ),
            None if level == LogLevel::Off => log.mute(),
            None => log.set_level(level),
        }
        Ok(())
    })
}
