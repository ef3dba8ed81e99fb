//! Errors as C sees them: a status, and details for those who ask.

use std::ffi::{CStr, CString, c_char};

use pure_sound::{Error, Result, guarded};

use crate::status::{kind_name, name_of, psnd_status, status_of};
use crate::text::{c_string, give_text};

/// What went wrong, with all data. Belongs to the caller, who frees it once by `psnd_error_free`.
#[allow(non_camel_case_types)]
pub struct psnd_error {
    status: psnd_status,
    name: &'static CStr,
    kind: &'static CStr,
    message: CString,
    json: CString,
}

impl psnd_error {
    fn new(error: &Error) -> Self {
        let code = error.error_code();
        Self {
            status: status_of(code),
            name: name_of(code),
            kind: kind_name(code.kind()),
            message: c_string(error.to_string()),
            json: c_string(error.to_json().to_string()),
        }
    }
}

/// Runs `work` as the body of a function of the interface: nothing unwinds into C, and an error becomes a status and, when the
/// caller gave a place for it, an object. Does not allocate when all goes well.
#[allow(clippy::not_unsafe_ptr_arg_deref)] // only the functions of the interface call it, with their callers' promise
pub fn entry(out_error: *mut *mut psnd_error, work: impl FnOnce() -> Result<()>) -> psnd_status {
    if !out_error.is_null() {
        // SAFETY: by the contract of every function, `out_error` is NULL or writable.
        unsafe { *out_error = std::ptr::null_mut() };
    }
    let Err(error) = guarded(work) else { return psnd_status::PSND_STATUS_OK };
    let status = status_of(error.error_code());
    if !out_error.is_null() {
        let object = Box::into_raw(Box::new(psnd_error::new(&error)));
        // SAFETY: as above.
        unsafe { *out_error = object };
    }
    status
}

/// Reads a field of an error that may be NULL.
///
/// # Safety
/// `error` is NULL or from this library and not freed.
unsafe fn field<'a>(error: *const psnd_error, read: impl FnOnce(&'a psnd_error) -> &'a CStr) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { error.as_ref() }.map_or(std::ptr::null(), |error| read(error).as_ptr())
}

/// The status that the function returned; `PSND_STATUS_OK` for NULL.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_error_status(error: *const psnd_error) -> psnd_status {
    // SAFETY: the caller's promise.
    unsafe { error.as_ref() }.map_or(psnd_status::PSND_STATUS_OK, |error| error.status)
}

/// The name of the status, such as `OUT_OF_RANGE`. Valid until the error is freed; NULL for NULL.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_error_name(error: *const psnd_error) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { field(error, |e| e.name) }
}

/// The class of the status, such as `out_of_range`. Valid until the error is freed; NULL for NULL.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_error_kind(error: *const psnd_error) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { field(error, |e| e.kind) }
}

/// The error in a sentence, for people. Valid until the error is freed; NULL for NULL.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_error_message(error: *const psnd_error) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { field(error, |e| &e.message) }
}

/// The error as JSON: `code`, `name`, `kind`, `message`, `details` (the data: `name`, `value`, `min`, `max`, `path`, `suggestion`,
/// `problems`, ...), `causes`. Valid until the error is freed; NULL for NULL.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_error_json(error: *const psnd_error) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { field(error, |e| &e.json) }
}

/// Frees an error. NULL is fine.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_error_free(error: *mut psnd_error) {
    if !error.is_null() {
        // SAFETY: from `Box::into_raw` in `entry`, freed once by the caller's promise.
        drop(unsafe { Box::from_raw(error) });
    }
}

/// The table of all errors as JSON: a list of `code`, `name`, `kind`. Free the text by `psnd_string_free`.
///
/// # Safety
/// `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_error_table(out_json: *mut *mut c_char, out_error: *mut *mut psnd_error) -> psnd_status {
    entry(out_error, || {
        let rows = pure_sound::error::ErrorCode::ALL
            .iter()
            .map(|c| serde_json::json!({ "code": c.number(), "name": c.name(), "kind": c.kind().name() }));
        // SAFETY: the caller's promise.
        unsafe { give_text("out_json", out_json, serde_json::Value::Array(rows.collect()).to_string()) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status_with_its_place_and_the_next_call_works() {
        let mut error = std::ptr::null_mut();
        let status = entry(&raw mut error, || panic!("inside"));
        assert_eq!(status, psnd_status::PSND_STATUS_PANIC);
        // SAFETY: an error that `entry` made; freed once.
        unsafe {
            let json = CStr::from_ptr(psnd_error_json(error)).to_str().unwrap();
            assert!(json.contains("inside") && json.contains("error.rs:"), "{json}");
            psnd_error_free(error);
        }
        assert_eq!(entry(&raw mut error, || Ok(())), psnd_status::PSND_STATUS_OK);
        assert!(error.is_null());
        // Nobody wants to know why.
        assert_eq!(entry(std::ptr::null_mut(), || panic!("inside")), psnd_status::PSND_STATUS_PANIC);
    }
}
