//! Where a recording comes from: a path, bytes, audio in memory, functions of the host.

use std::ffi::{c_char, c_void};
use std::io::{self, Read, Seek, SeekFrom};

use pure_sound::formats::Source;
use pure_sound::{Error, Result};

use crate::audio::{Audio, psnd_audio};
use crate::handle;
use crate::structs::{self, Versioned};
use crate::text::{invalid, null, optional};
use crate::user::{UserData, psnd_destroy_fn};

/// Reads the next bytes of an input of the host: at most `size` to `buffer`, their number to `*out_read`, 0 at the end. Gives 0, or
/// an error number of the system (`errno`) when it fails. Called by one thread at a time, not always the same.
#[allow(non_camel_case_types)]
pub type psnd_read_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, buffer: *mut u8, size: usize, out_read: *mut usize) -> i32>;

/// Goes to the byte `position` of an input of the host, counted from its start. Gives 0, or an error number of the system.
#[allow(non_camel_case_types)]
pub type psnd_seek_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, position: u64) -> i32>;

/// An input that the host reads itself. Fill it in from `PSND_READER_INIT`.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct psnd_reader {
    /// `sizeof(psnd_reader)`.
    pub struct_size: usize,
    /// Reads.
    pub read: psnd_read_fn,
    /// Seeks. NULL for what cannot, such as a pipe: it is copied to memory or a temporary file first.
    pub seek: psnd_seek_fn,
    /// Number of bytes, when it can be sought.
    pub size: u64,
    /// Given to the functions.
    pub user_data: *mut c_void,
    /// Called when the library is done with `user_data`.
    pub destroy: psnd_destroy_fn,
}

// SAFETY: `repr(C)`, the size comes first, zeros are NULL and 0.
unsafe impl Versioned for psnd_reader {
    const NAME: &'static str = "reader";
    const FIRST_SIZE: usize = size_of::<Self>();
}

/// What to read: one of `path`, `data`, `audio`, `reader`. Fill it in from `PSND_INPUT_INIT`.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct psnd_input {
    /// `sizeof(psnd_input)`.
    pub struct_size: usize,
    /// A file.
    pub path: *const c_char,
    /// The bytes of a file. Borrowed: during the call, or by a decoder until it is freed.
    pub data: *const c_void,
    /// How many.
    pub size: usize,
    /// Audio.
    pub audio: psnd_audio,
    /// The host's own input.
    pub reader: *const psnd_reader,
}

// SAFETY: `repr(C)`, the size comes first, zeros are NULL and 0.
unsafe impl Versioned for psnd_input {
    const NAME: &'static str = "input";
    const FIRST_SIZE: usize = size_of::<Self>();
}

/// Bytes of the host.
struct Borrowed {
    data: *const u8,
    size: usize,
    position: u64,
}

// SAFETY: the host keeps them readable and unchanged as long as the library has them; they are only read.
unsafe impl Send for Borrowed {}
// SAFETY: as above.
unsafe impl Sync for Borrowed {}

impl Read for Borrowed {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(self.position).unwrap_or(usize::MAX).min(self.size);
        let count = to.len().min(self.size - from);
        // SAFETY: within the host's bytes.
        to[..count].copy_from_slice(unsafe { std::slice::from_raw_parts(self.data.add(from), count) });
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Borrowed {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = target(to, self.position, self.size as u64)?;
        Ok(self.position)
    }
}

/// Where a seek goes.
fn target(to: SeekFrom, position: u64, size: u64) -> io::Result<u64> {
    let found = match to {
        SeekFrom::Start(at) => Some(at),
        SeekFrom::Current(by) => position.checked_add_signed(by),
        SeekFrom::End(by) => size.checked_add_signed(by),
    };
    found.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Functions of the host.
struct HostReader {
    read: unsafe extern "C" fn(*mut c_void, *mut u8, usize, *mut usize) -> i32,
    seek: psnd_seek_fn,
    size: u64,
    position: u64,
    user: UserData,
}

impl Read for HostReader {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        // SAFETY: the host's function, with room for that many bytes.
        let failed = unsafe { (self.read)(self.user.pointer(), to.as_mut_ptr(), to.len(), &raw mut count) };
        if failed != 0 {
            return Err(io::Error::from_raw_os_error(failed));
        }
        if count > to.len() {
            return Err(io::Error::other("a reader told more bytes than there was room for"));
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for HostReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = target(to, self.position, self.size)?;
        let Some(seek) = self.seek else { return Err(io::ErrorKind::Unsupported.into()) };
        if position != self.position {
            // SAFETY: the host's function.
            let failed = unsafe { seek(self.user.pointer(), position) };
            if failed != 0 {
                return Err(io::Error::from_raw_os_error(failed));
            }
            self.position = position;
        }
        Ok(position)
    }
}

/// The input that `given` describes. A reader's `user_data` is taken over as soon as its struct could be read.
///
/// # Errors
/// [`Error::InvalidValue`] unless exactly one kind is given; [`Error::OutOfRange`] for a wrong `struct_size`;
/// [`Error::InvalidHandle`]; those of [`Source::from_audio`].
///
/// # Safety
/// `given` is NULL or a valid input whose parts stay valid as long as the source is used.
pub unsafe fn source(given: *const psnd_input) -> Result<Source> {
    // SAFETY: the caller's promise.
    let input = unsafe { structs::required(given)? };
    // SAFETY: as above. First of all, so that `destroy` is called whatever else is wrong.
    let reader = unsafe { structs::read(input.reader)? };
    let user = reader.map(|r| UserData::new(r.user_data, r.destroy));
    let kinds = [!input.path.is_null(), !input.data.is_null(), input.audio != 0, reader.is_some()];
    if kinds.iter().filter(|given| **given).count() != 1 {
        let count = kinds.iter().filter(|given| **given).count();
        return Err(invalid("input", format!("{count} kinds"), "one of path, data, audio, reader"));
    }
    // SAFETY: the caller's promise.
    if let Some(path) = unsafe { optional("input.path", input.path)? } {
        return Ok(Source::from(path));
    }
    if !input.data.is_null() {
        if isize::try_from(input.size).is_err() {
            return Err(invalid("input.size", input.size.to_string(), "less than half of the address space"));
        }
        let data = input.data.cast();
        return Ok(Source::Seekable(Box::new(Borrowed { data, size: input.size, position: 0 })));
    }
    if input.audio != 0 {
        return Source::from_audio(&handle::get::<Audio>(input.audio)?.0);
    }
    let (Some(reader), Some(user)) = (reader, user) else { return Err(Error::internal("an input of no kind")) };
    let read = reader.read.ok_or_else(|| null("reader.read"))?;
    let host = HostReader { read, seek: reader.seek, size: reader.size, position: 0, user };
    if host.seek.is_some() { Ok(Source::Seekable(Box::new(host))) } else { Ok(Source::Stream(Box::new(host))) }
}
