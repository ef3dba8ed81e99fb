//! Text, JSON and memory across the border. Text is UTF-8 and ends with a NUL.

use std::ffi::{CStr, CString, c_char};

use pure_sound::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is wrong with an argument.
pub fn invalid(name: &str, value: impl Into<String>, allowed: &str) -> Error {
    Error::InvalidValue { name: name.into(), value: value.into(), allowed: allowed.into() }
}

/// NULL where something is needed.
pub fn null(name: &str) -> Error {
    invalid(name, "NULL", "a pointer")
}

/// `text` for C. Text of this library has no NUL in it; if it had, it would end there.
pub fn c_string(text: impl Into<Vec<u8>>) -> CString {
    CString::new(text).unwrap_or_else(|e| {
        let end = e.nul_position();
        let mut bytes = e.into_vec();
        bytes.truncate(end);
        CString::new(bytes).unwrap_or_default()
    })
}

/// Text that may be NULL.
///
/// # Errors
/// [`Error::InvalidValue`] for text that is not UTF-8.
///
/// # Safety
/// `text` is NULL or readable up to its NUL, and stays so as long as the result is used.
pub unsafe fn optional<'a>(name: &str, text: *const c_char) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(Some).map_err(|_| invalid(name, text.to_string_lossy(), "UTF-8"))
}

/// Text that must be there.
///
/// # Errors
/// [`Error::InvalidValue`] for NULL and for text that is not UTF-8.
///
/// # Safety
/// As [`optional`].
pub unsafe fn required<'a>(name: &str, text: *const c_char) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    unsafe { optional(name, text) }?.ok_or_else(|| null(name))
}

/// JSON that may be NULL, as a value.
///
/// # Errors
/// [`Error::InvalidValue`] for what is not JSON.
///
/// # Safety
/// As [`optional`].
pub unsafe fn json(name: &str, text: *const c_char) -> Result<Option<Value>> {
    // SAFETY: the caller's promise.
    let Some(text) = (unsafe { optional(name, text) })? else { return Ok(None) };
    serde_json::from_str(text).map(Some).map_err(|e| invalid(name, e.to_string(), "JSON"))
}

/// JSON that may be NULL, as what it is to be.
///
/// # Errors
/// [`Error::InvalidValue`] for what is not JSON, or not a `T`.
///
/// # Safety
/// As [`optional`].
pub unsafe fn record<T: DeserializeOwned>(name: &str, text: *const c_char) -> Result<Option<T>> {
    // SAFETY: the caller's promise.
    let Some(value) = (unsafe { json(name, text) })? else { return Ok(None) };
    serde_json::from_value(value).map(Some).map_err(|e| invalid(name, e.to_string(), "its schema, see psnd_schema"))
}

/// Writes `value` to `*out`.
///
/// # Errors
/// [`Error::InvalidValue`] for NULL.
///
/// # Safety
/// `out` is NULL or writable.
pub unsafe fn give<T>(name: &str, out: *mut T, value: T) -> Result<()> {
    if out.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller's promise; what was there is plain data.
    unsafe { out.write(value) };
    Ok(())
}

/// Fails when `out` is NULL: before work that would be for nothing.
///
/// # Errors
/// [`Error::InvalidValue`].
pub fn wanted<T>(name: &str, out: *mut T) -> Result<()> {
    if out.is_null() { Err(null(name)) } else { Ok(()) }
}

/// Hands `text` to the caller.
///
/// # Errors
/// [`Error::InvalidValue`] for NULL.
///
/// # Safety
/// `out` is NULL or writable.
pub unsafe fn give_text(name: &str, out: *mut *mut c_char, text: String) -> Result<()> {
    wanted(name, out)?;
    // SAFETY: the caller's promise.
    unsafe { give(name, out, c_string(text).into_raw()) }
}

/// Hands `value` to the caller as JSON.
///
/// # Errors
/// [`Error::InvalidValue`] for NULL; [`Error::Internal`] for what cannot be JSON.
///
/// # Safety
/// `out` is NULL or writable.
pub unsafe fn give_json<T: Serialize + ?Sized>(name: &str, out: *mut *mut c_char, value: &T) -> Result<()> {
    let text = serde_json::to_string(value).map_err(|e| Error::internal(e.to_string()))?;
    // SAFETY: the caller's promise.
    unsafe { give_text(name, out, text) }
}

/// Hands `bytes` to the caller.
///
/// # Errors
/// [`Error::InvalidValue`] for NULL.
///
/// # Safety
/// `out_data` and `out_size` are NULL or writable.
pub unsafe fn give_bytes(out_data: *mut *mut u8, out_size: *mut usize, bytes: Vec<u8>) -> Result<()> {
    wanted("out_data", out_data)?;
    wanted("out_size", out_size)?;
    let bytes = bytes.into_boxed_slice();
    let size = bytes.len();
    // SAFETY: the caller's promise.
    unsafe {
        give("out_size", out_size, size)?;
        give("out_data", out_data, Box::into_raw(bytes).cast::<u8>())
    }
}

/// Frees a text that a function of this library gave. NULL is fine.
///
/// # Safety
/// `text` is NULL or such a text, not freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: from `CString::into_raw`, freed once by the caller's promise.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// Frees bytes that a function of this library gave, with the size that it told. NULL is fine.
///
/// # Safety
/// `data` and `size` are NULL and anything, or from one call, not freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_bytes_free(data: *mut u8, size: usize) {
    if !data.is_null() {
        // SAFETY: from `Box::into_raw` of a slice of that size, freed once by the caller's promise.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(data, size)) });
    }
}
