//! The quality of an input: what is wrong with it, what to do about that, how far it lies off its reference.

use std::ffi::c_char;

use pure_sound::analysis::recommend::RecommendOptions;
use pure_sound::engine::{ClassifyOptions, CompareOptions};

use crate::call::{Call, psnd_call};
use crate::engine::{engine, psnd_engine, read_options};
use crate::error::{entry, psnd_error};
use crate::input::{psnd_input, source};
use crate::status::psnd_status;
use crate::text::{self, give_json, wanted};

/// Looks at a whole input for faults, and holds it against delivery specifications: `specifications_json` is an array of their names,
/// `["acx"]`; `["all"]` is every one, NULL none. The result is JSON, see the schema `check`.
///
/// # Safety
/// `input` and `call` are valid, `call` may be NULL; texts are NULL or end with a NUL; `out_json` is writable; `out_error` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_check(
    engine: psnd_engine,
    input: *const psnd_input,
    specifications_json: *const c_char,
    options_json: *const c_char,
    call: *const psnd_call,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise.
        unsafe {
            let (call, source) = (Call::read(call), source(input));
            let (call, source) = (call?, source?);
            let engine = self::engine(engine)?;
            let names: Vec<String> = text::record("specifications", specifications_json)?.unwrap_or_default();
            let report = engine.0.check(source, &names, &read_options(options_json)?, &call.control)?;
            give_json("out_json", out_json, &report)
        }
    })
}

/// Tells speech, music, speech over music, noise and silence in an input apart, and where somebody speaks. The result is JSON, see the schema
/// `content`. `options_json`: see the schema `classify_options`, NULL for the defaults.
///
/// # Safety
/// As `psnd_engine_measure`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_classify(
    engine: psnd_engine,
    input: *const psnd_input,
    options_json: *const c_char,
    call: *const psnd_call,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise.
        unsafe {
            let (call, source) = (Call::read(call), source(input));
            let (call, source) = (call?, source?);
            wanted("out_json", out_json)?;
            let engine = self::engine(engine)?;
            let options: ClassifyOptions = text::record("options", options_json)?.unwrap_or_default();
            give_json("out_json", out_json, &engine.0.classify(source, &options, &call.control)?)
        }
    })
}

/// Tells what to do with an input: a preset, filters, channels, codec and bit rate, each with its reason and what was measured, and all of
/// it as a recipe without outputs, in the field `recipe`. The whole input is looked at. The result is JSON, see the schema
/// `recommendation`. `options_json`: see the schema `recommend_options`, NULL for the defaults; `{"content": "speech"}` says what it is.
///
/// # Safety
/// As `psnd_engine_measure`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_recommend(
    engine: psnd_engine,
    input: *const psnd_input,
    options_json: *const c_char,
    call: *const psnd_call,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise.
        unsafe {
            let (call, source) = (Call::read(call), source(input));
            let (call, source) = (call?, source?);
            wanted("out_json", out_json)?;
            let engine = self::engine(engine)?;
            let options: RecommendOptions = text::record("options", options_json)?.unwrap_or_default();
            give_json("out_json", out_json, &engine.0.recommend(source, &options, &call.control)?)
        }
    })
}

/// Tells how far a recording lies off its reference: signal to noise ratios, distance of the spectra, and what a listener would notice.
/// The result is JSON, see the schema `comparison`. `options_json`: see the schema `compare_options`, NULL for the defaults;
/// `{"compare": {"match_level": true}}` takes the difference of the levels away. Both inputs may be one, unless a reader gives it.
///
/// # Safety
/// `reference`, `degraded` and `call` are valid, `call` may be NULL; text is NULL or ends with a NUL; `out_json` is writable; `out_error`
/// is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_compare(
    engine: psnd_engine,
    reference: *const psnd_input,
    degraded: *const psnd_input,
    options_json: *const c_char,
    call: *const psnd_call,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise. Both inputs first: what belongs to them must be given back whatever else is wrong.
        unsafe {
            let (call, reference, degraded) = (Call::read(call), source(reference), source(degraded));
            let (call, reference, degraded) = (call?, reference?, degraded?);
            wanted("out_json", out_json)?;
            let engine = self::engine(engine)?;
            let options: CompareOptions = text::record("options", options_json)?.unwrap_or_default();
            give_json("out_json", out_json, &engine.0.compare(reference, degraded, &options, &call.control)?)
        }
    })
}
