//! Pictures of an input, and pages with everything that is known of it.

use std::ffi::c_char;

use pure_sound::analysis::Analysis;
use pure_sound::analysis::delivery::CheckReport;
use pure_sound::analysis::page::{AnalysisPage, PageOptions};
use pure_sound::analysis::picture::{SpectrogramOptions, WaveformOptions};
use pure_sound::engine::PeakOptions;
use pure_sound::processing::Report;
use serde::Serialize;

use crate::call::{Call, psnd_call};
use crate::engine::{engine, psnd_engine};
use crate::error::{entry, psnd_error};
use crate::input::{psnd_input, source};
use crate::status::psnd_status;
use crate::text::{self, give_bytes, give_json, give_text, wanted};

/// What stands on a page, as data.
#[derive(Serialize)]
struct OnPage {
    analysis: Analysis,
    check: CheckReport,
}

/// The smallest and largest sample of each stretch of a whole input, for hosts that draw it themselves; as JSON, see the schema `peaks`.
/// `options_json`: see the schema `peak_options`, NULL for the defaults; `{"peaks": {"max_pixels": 2000}}` keeps long inputs short.
///
/// # Safety
/// As `psnd_engine_measure`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_waveform_peaks(
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
            let options: PeakOptions = text::record("options", options_json)?.unwrap_or_default();
            give_json("out_json", out_json, &engine.0.waveform_peaks(source, &options, &call.control)?)
        }
    })
}

/// Draws the waveform of a whole input, as PNG. `options_json`: see the schema `waveform_options`, NULL for the defaults;
/// `{"width": 800, "height": 200}`. Free the bytes by `psnd_bytes_free`.
///
/// # Safety
/// `input` and `call` are valid, `call` may be NULL; text is NULL or ends with a NUL; `out_data` and `out_size` are writable; `out_error`
/// is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_waveform_png(
    engine: psnd_engine,
    input: *const psnd_input,
    options_json: *const c_char,
    call: *const psnd_call,
    out_data: *mut *mut u8,
    out_size: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise.
        unsafe {
            let (call, source) = (Call::read(call), source(input));
            let (call, source) = (call?, source?);
            wanted("out_data", out_data)?;
            wanted("out_size", out_size)?;
            let engine = self::engine(engine)?;
            let options: WaveformOptions = text::record("options", options_json)?.unwrap_or_default();
            give_bytes(out_data, out_size, engine.0.waveform_png(source, &options, &call.control)?)
        }
    })
}

/// Draws a spectrogram of a whole input, as PNG. `options_json`: see the schema `spectrogram_options`, NULL for the defaults;
/// `{"scale": "mel"}`. Free the bytes by `psnd_bytes_free`.
///
/// # Safety
/// As `psnd_engine_waveform_png`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_spectrogram_png(
    engine: psnd_engine,
    input: *const psnd_input,
    options_json: *const c_char,
    call: *const psnd_call,
    out_data: *mut *mut u8,
    out_size: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise.
        unsafe {
            let (call, source) = (Call::read(call), source(input));
            let (call, source) = (call?, source?);
            wanted("out_data", out_data)?;
            wanted("out_size", out_size)?;
            let engine = self::engine(engine)?;
            let options: SpectrogramOptions = text::record("options", options_json)?.unwrap_or_default();
            give_bytes(out_data, out_size, engine.0.spectrogram_png(source, &options, &call.control)?)
        }
    })
}

/// Makes a page for people, one HTML file that needs nothing else: waveform, loudness over time, spectrogram, faults, delivery
/// specifications, facts, tags. `options_json`: see the schema `page_options`, NULL for the defaults; `{"specifications": ["acx"]}`.
/// `*out_json` is what stands on it as JSON, `analysis` and `check`, see the schema `analysis_page`; NULL when it is not wanted.
///
/// # Safety
/// `input` and `call` are valid, `call` may be NULL; text is NULL or ends with a NUL; `out_html` is writable; `out_json` and `out_error`
/// are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_analysis_page(
    engine: psnd_engine,
    input: *const psnd_input,
    options_json: *const c_char,
    call: *const psnd_call,
    out_html: *mut *mut c_char,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise.
        unsafe {
            let (call, source) = (Call::read(call), source(input));
            let (call, source) = (call?, source?);
            wanted("out_html", out_html)?;
            let engine = self::engine(engine)?;
            let options: PageOptions = text::record("options", options_json)?.unwrap_or_default();
            let AnalysisPage { html, analysis, check } = engine.0.analysis_page(source, &options, &call.control)?;
            // The JSON first: giving it may fail, giving the page cannot any more.
            if !out_json.is_null() {
                give_json("out_json", out_json, &OnPage { analysis, check })?;
            }
            give_text("out_html", out_html, html)
        }
    })
}

/// Makes a page as `psnd_engine_analysis_page` of a recording before and after it was processed, with what is gone and what is new.
/// `report_json` is the report of the run, which gives its steps and its target; NULL for none. Both inputs may be one, unless a reader
/// gives it.
///
/// # Safety
/// `before`, `after` and `call` are valid, `call` may be NULL; texts are NULL or end with a NUL; `out_html` is writable; `out_error` is
/// NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_comparison_page(
    engine: psnd_engine,
    before: *const psnd_input,
    after: *const psnd_input,
    report_json: *const c_char,
    options_json: *const c_char,
    call: *const psnd_call,
    out_html: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise. Both inputs first: what belongs to them must be given back whatever else is wrong.
        unsafe {
            let (call, before, after) = (Call::read(call), source(before), source(after));
            let (call, before, after) = (call?, before?, after?);
            wanted("out_html", out_html)?;
            let engine = self::engine(engine)?;
            let report: Option<Report> = text::record("report", report_json)?;
            let options: PageOptions = text::record("options", options_json)?.unwrap_or_default();
            let html = engine.0.comparison_page(before, after, report.as_ref(), &options, &call.control)?;
            give_text("out_html", out_html, html)
        }
    })
}
