//! Jobs: work that survives the program that asked for it.

use std::ffi::c_char;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pure_sound::jobs::{Gate, Job, JobFilter, JobId, Jobs, Scope, Submission, WorkOptions};
use pure_sound::{Error, Result};

use crate::call::{Call, psnd_call};
use crate::engine::{engine, psnd_engine};
use crate::error::{entry, psnd_error};
use crate::handle::{self, Object};
use crate::status::psnd_status;
use crate::text::{self, give, give_json, null, wanted};

/// Jobs of a program, and threads that do them. May be used by several threads at once.
#[allow(non_camel_case_types)]
pub type psnd_jobs = u64;

struct TheJobs(Jobs);

impl Object for TheJobs {
    const TAG: u8 = 13;
    const NAME: &'static str = "jobs";
}

/// A job or batch by its name.
///
/// # Safety
/// `id` is NULL or ends with a NUL.
unsafe fn id(id: *const c_char) -> Result<JobId> {
    // SAFETY: the caller's promise.
    unsafe { text::required("id", id)? }.parse()
}

/// Seconds as C says them: negative (or not a number) is none.
fn seconds(name: &str, seconds: f64) -> Result<Option<Duration>> {
    if seconds.is_nan() || seconds < 0.0 {
        return Ok(None);
    }
    Duration::try_from_secs_f64(seconds).map(Some).map_err(|_| Error::InvalidValue {
        name: name.into(),
        value: seconds.to_string(),
        allowed: "seconds up to 1e18, or a negative number for none".into(),
    })
}

/// Opens jobs in `database`: a file, which is made when it is not there, or a PostgreSQL database (`postgres://...`) where the library has
/// that; NULL keeps them in memory. They hold the engine, which may be freed before them.
///
/// # Safety
/// `database` is NULL or ends with a NUL; `out_jobs` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_jobs_open(
    engine: psnd_engine,
    database: *const c_char,
    out_jobs: *mut psnd_jobs,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_jobs", out_jobs)?;
        let engine = self::engine(engine)?;
        // SAFETY: the caller's promise.
        let database = unsafe { text::optional("database", database)? }.map(Path::new);
        let jobs = Jobs::open(Arc::clone(&engine.0), database)?;
        // SAFETY: as above.
        unsafe { give("out_jobs", out_jobs, handle::insert(TheJobs(jobs))?) }
    })
}

/// Frees jobs: threads that work are stopped first, what they have in hand is handed back. 0 is fine.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_jobs_free(jobs: psnd_jobs) -> psnd_status {
    entry(std::ptr::null_mut(), || handle::free::<TheJobs>(jobs))
}

/// Queues recordings to be processed, all or none. `submission_json`: see the schema `submission`:
/// `{"requests": [{"input": "a.wav", "output": "a.opus", "preset": "podcast"}]}`. The answer: see the schema `submitted`.
///
/// # Safety
/// Text ends with a NUL; `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_jobs_submit(
    jobs: psnd_jobs,
    submission_json: *const c_char,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let jobs = handle::get::<TheJobs>(jobs)?;
        // Before anything is queued.
        wanted("out_json", out_json)?;
        // SAFETY: the caller's promise.
        unsafe {
            let submission: Submission =
                text::record("submission", submission_json)?.ok_or_else(|| null("submission"))?;
            give_json("out_json", out_json, &jobs.0.submit(&submission)?)
        }
    })
}

/// A job as JSON, see the schema `job`.
///
/// # Safety
/// `id` ends with a NUL; `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_jobs_get(
    jobs: psnd_jobs,
    id: *const c_char,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let jobs = handle::get::<TheJobs>(jobs)?;
        // SAFETY: the caller's promise.
        unsafe { give_json("out_json", out_json, &jobs.0.get(self::id(id)?)?.record()?) }
    })
}

/// The steps of a job's life as a JSON list, see the schema `job_history_entry`.
///
/// # Safety
/// As `psnd_jobs_get`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_jobs_history(
    jobs: psnd_jobs,
    id: *const c_char,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let jobs = handle::get::<TheJobs>(jobs)?;
        // SAFETY: the caller's promise.
        unsafe { give_json("out_json", out_json, &jobs.0.history(self::id(id)?)?) }
    })
}

/// Jobs as a JSON list, a page at a time. `filter_json`: see the schema `job_filter`; NULL for the first 100 of all.
///
/// # Safety
/// Text is NULL or ends with a NUL; `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_jobs_list(
    jobs: psnd_jobs,
    filter_json: *const c_char,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let jobs = handle::get::<TheJobs>(jobs)?;
        // SAFETY: the caller's promise.
        unsafe {
            let filter: JobFilter = text::record("filter", filter_json)?.unwrap_or_default();
            let found = jobs.0.list(&filter)?.iter().map(Job::record).collect::<Result<Vec<_>>>()?;
            give_json("out_json", out_json, &found)
        }
    })
}

/// A batch and how far it is, as JSON, see the schema `job_batch`.
///
/// # Safety
/// As `psnd_jobs_get`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_jobs_batch(
    jobs: psnd_jobs,
    id: *const c_char,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let jobs = handle::get::<TheJobs>(jobs)?;
        // SAFETY: the caller's promise.
        unsafe { give_json("out_json", out_json, &jobs.0.batch(self::id(id)?)?) }
    })
}

/// Stops a job: at once when it waits; a running one is asked to. `why` is kept with it; NULL is fine. The answer is a JSON text:
/// `cancelled`, `asked` or `over`.
///
/// # Safety
/// `id` ends with a NUL, `why` too unless it is NULL; `out_json` is NULL or writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_jobs_cancel(
    jobs: psnd_jobs,
    id: *const c_char,
    why: *const c_char,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let jobs = handle::get::<TheJobs>(jobs)?;
        // SAFETY: the caller's promise.
        unsafe {
            let why = text::optional("why", why)?.unwrap_or("cancelled by the program");
            let outcome = jobs.0.cancel(self::id(id)?, why)?;
            if out_json.is_null() { Ok(()) } else { give_json("out_json", out_json, &outcome) }
        }
    })
}

/// Makes a dead or cancelled job wait again, with counters at 0.
///
/// # Safety
/// `id` ends with a NUL; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_jobs_retry(
    jobs: psnd_jobs,
    id: *const c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let jobs = handle::get::<TheJobs>(jobs)?;
        // SAFETY: the caller's promise.
        jobs.0.retry(unsafe { self::id(id)? })
    })
}

/// Opens, pauses or drains a scope. `scope`: `all`, `queue:NAME`, `kind:NAME` or `tenant:NAME`. `gate`: `open`; `paused`: nothing of it starts;
/// `draining`: it takes no new jobs.
///
/// # Safety
/// Texts end with a NUL; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_jobs_set_gate(
    jobs: psnd_jobs,
    scope: *const c_char,
    gate: *const c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let jobs = handle::get::<TheJobs>(jobs)?;
        // SAFETY: the caller's promise.
        let (scope, gate) = unsafe { (text::required("scope", scope)?, text::required("gate", gate)?) };
        jobs.0.set_gate(&scope.parse::<Scope>()?, gate.parse::<Gate>()?)
    })
}

/// How many jobs there are, where, as JSON, see the schema `job_stats`.
///
/// # Safety
/// `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_jobs_stats(
    jobs: psnd_jobs,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let jobs = handle::get::<TheJobs>(jobs)?;
        // SAFETY: the caller's promise.
        unsafe { give_json("out_json", out_json, &jobs.0.stats()?) }
    })
}

/// Starts threads that do jobs, until `psnd_jobs_stop` or `psnd_jobs_free`. `options_json`: see the schema `work_options`; NULL for the
/// defaults. States and progress come as events of the engine.
///
/// # Safety
/// Text is NULL or ends with a NUL; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_jobs_start(
    jobs: psnd_jobs,
    options_json: *const c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let jobs = handle::get::<TheJobs>(jobs)?;
        // SAFETY: the caller's promise.
        let options: WorkOptions = unsafe { text::record("options", options_json)? }.unwrap_or_default();
        jobs.0.start(&options)
    })
}

/// Takes no more jobs, and waits up to `patience_s` seconds (negative: as configured) for those that run; what is not done by then is handed
/// back. `out_handed_back`: how many; may be NULL. Nothing happens when nobody works.
///
/// # Safety
/// `out_handed_back` and `out_error` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_jobs_stop(
    jobs: psnd_jobs,
    patience_s: f64,
    out_handed_back: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let jobs = handle::get::<TheJobs>(jobs)?;
        let handed_back = jobs.0.stop(seconds("patience_s", patience_s)?);
        if out_handed_back.is_null() {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { give("out_handed_back", out_handed_back, handed_back) }
    })
}

/// Waits until the jobs named by the JSON list `ids_json` are over, whoever does them; NULL: until the threads of this have nothing left to do.
/// At most for `timeout_s` seconds (negative: without end). `out_over`: whether it came to that before the time was over.
///
/// # Safety
/// Text is NULL or ends with a NUL; `call` is NULL or valid; `out_over` and `out_error` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_jobs_wait(
    jobs: psnd_jobs,
    ids_json: *const c_char,
    timeout_s: f64,
    call: *const psnd_call,
    out_over: *mut bool,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise. The call first: what belongs to it must be given back whatever else is wrong.
        unsafe {
            let call = Call::read(call)?;
            let jobs = handle::get::<TheJobs>(jobs)?;
            let ids: Vec<JobId> = text::record("ids", ids_json)?.unwrap_or_default();
            let over = jobs.0.wait(&ids, seconds("timeout_s", timeout_s)?, &call.control.cancel)?;
            if out_over.is_null() { Ok(()) } else { give("out_over", out_over, over) }
        }
    })
}
