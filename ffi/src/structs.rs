//! Structs that the host fills in: they begin with their size, so that they can grow.

use pure_sound::{Error, Result};

use crate::text::null;

/// Largest `struct_size` that can be meant.
const MAX_SIZE: usize = 4096;

/// A struct that begins with `struct_size`.
///
/// # Safety
/// `#[repr(C)]`, the first field is the size, and all zeros are a valid value.
pub unsafe trait Versioned {
    /// Name in errors.
    const NAME: &'static str;
    /// Size of its first version.
    const FIRST_SIZE: usize;
}

/// A copy of `*given` with zeros for fields that the host's version has not. None for NULL.
///
/// # Errors
/// [`Error::OutOfRange`] for a size that no version had.
///
/// # Safety
/// `given` is NULL or readable for the size that it begins with.
pub unsafe fn read<T: Versioned>(given: *const T) -> Result<Option<T>> {
    if given.is_null() {
        return Ok(None);
    }
    // SAFETY: readable by the caller's promise; the size comes first.
    let size = unsafe { given.cast::<usize>().read() };
    if size < T::FIRST_SIZE || size > MAX_SIZE {
        return Err(Error::OutOfRange {
            name: format!("{}.struct_size", T::NAME),
            value: size as f64,
            min: T::FIRST_SIZE as f64,
            max: MAX_SIZE as f64,
            unit: "bytes",
        });
    }
    // SAFETY: zeros are a value by the trait's promise.
    let mut copy: T = unsafe { std::mem::zeroed() };
    let count = size.min(size_of::<T>());
    // SAFETY: both are at least that long.
    unsafe { std::ptr::copy_nonoverlapping(given.cast::<u8>(), (&raw mut copy).cast::<u8>(), count) };
    Ok(Some(copy))
}

/// As [`read`], for a struct that must be there.
///
/// # Errors
/// As [`read`]; [`Error::InvalidValue`] for NULL.
///
/// # Safety
/// As [`read`].
pub unsafe fn required<T: Versioned>(given: *const T) -> Result<T> {
    // SAFETY: the caller's promise.
    unsafe { read(given) }?.ok_or_else(|| null(T::NAME))
}
