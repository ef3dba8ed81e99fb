//! What this library is.

use std::ffi::{CStr, c_char};

use crate::error::{entry, psnd_error};
use crate::status::psnd_status;
use crate::text::{give_json, wanted};

/// Version of the library, with a NUL.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// Number of the binary interface: raised when a program that was built for an older one would not work any more. The name of the
/// shared library has it: `libpuresound.so.0`.
pub const ABI_VERSION: u32 = 0;

/// Version of the library, such as `0.1.0`: that of the header is `PSND_VERSION`. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_version() -> *const c_char {
    CStr::from_bytes_until_nul(VERSION.as_bytes()).unwrap_or(c"").as_ptr()
}

/// Number of the binary interface of the library: that of the header is `PSND_ABI_VERSION`. When they differ, do not go on.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_abi_version() -> u32 {
    ABI_VERSION
}

/// All filters with their parameters (unit, range, default, meaning) as a JSON list, see the schema `filter_info`. Free the text by
/// `psnd_string_free`.
///
/// # Safety
/// `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_filters(out_json: *mut *mut c_char, out_error: *mut *mut psnd_error) -> psnd_status {
    entry(out_error, || {
        wanted("out_json", out_json)?;
        // SAFETY: the caller's promise.
        unsafe { give_json("out_json", out_json, &pure_sound::filters::filters()) }
    })
}
