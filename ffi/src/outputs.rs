//! Files that a recipe made in memory.

use pure_sound::Error;

use crate::error::{entry, psnd_error};
use crate::handle::{self, Object};
use crate::status::psnd_status;
use crate::text::{give, wanted};

/// The files that `psnd_engine_process_to_memory` made.
#[allow(non_camel_case_types)]
pub type psnd_outputs = u64;

/// The object behind a [`psnd_outputs`].
pub struct Outputs(pub Vec<Vec<u8>>);

impl Object for Outputs {
    const TAG: u8 = 4;
    const NAME: &'static str = "outputs";
}

/// How many there are.
///
/// # Safety
/// `out_count` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_outputs_count(
    outputs: psnd_outputs,
    out_count: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let count = handle::get::<Outputs>(outputs)?.0.len();
        // SAFETY: the caller's promise.
        unsafe { give("out_count", out_count, count) }
    })
}

/// The bytes of one, from 0, in the order of the request. Borrowed: valid until the outputs are freed, not to be written.
///
/// # Safety
/// `out_data` and `out_size` are writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_outputs_bytes(
    outputs: psnd_outputs,
    index: usize,
    out_data: *mut *const u8,
    out_size: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_data", out_data)?;
        wanted("out_size", out_size)?;
        let outputs = handle::get::<Outputs>(outputs)?;
        let bytes = outputs.0.get(index).ok_or_else(|| Error::OutOfRange {
            name: "index".into(),
            value: index as f64,
            min: 0.0,
            max: outputs.0.len().saturating_sub(1) as f64,
            unit: "",
        })?;
        // SAFETY: the caller's promise.
        unsafe {
            give("out_size", out_size, bytes.len())?;
            give("out_data", out_data, bytes.as_ptr())
        }
    })
}

/// Frees them. 0 is fine. Pointers to their bytes are not valid any more.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_outputs_free(outputs: psnd_outputs) -> psnd_status {
    entry(std::ptr::null_mut(), || handle::free::<Outputs>(outputs))
}
