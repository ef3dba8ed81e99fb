//! Writing a recording in blocks.

use std::ffi::c_char;

use pure_sound::audio::{Buffer, Spec};
use pure_sound::formats::FormatSettings;
use pure_sound::formats::tags::Metadata;
use pure_sound::processing::{EncodeTarget, Overwrite, StreamEncoder};
use pure_sound::{Error, Result};

use crate::engine::{engine, psnd_engine};
use crate::error::{entry, psnd_error};
use crate::exclusive::Exclusive;
use crate::handle::{self, Object};
use crate::samples::{Input, layout};
use crate::status::psnd_status;
use crate::text::{self, give, give_bytes, give_json, wanted};

/// Writes a recording in blocks. One thread at a time.
#[allow(non_camel_case_types)]
pub type psnd_encoder = u64;

/// Frames that are encoded at once.
const BLOCK_FRAMES: usize = 4096;

struct LiveEncoder(Exclusive<State>);

struct State {
    /// None when finished.
    encoder: Option<StreamEncoder>,
    to_memory: bool,
    spec: Spec,
    block: Buffer,
}

impl Object for LiveEncoder {
    const TAG: u8 = 8;
    const NAME: &'static str = "encoder";
}

impl State {
    fn encoder(&mut self) -> Result<&mut StreamEncoder> {
        self.encoder.as_mut().ok_or(Error::Closed { what: "encoder" })
    }

    /// # Safety
    /// The frames are there, as was promised when `from` was made.
    unsafe fn write(&mut self, from: &Input, frames: usize) -> Result<()> {
        self.encoder()?;
        let mut at = 0;
        while at < frames {
            let count = BLOCK_FRAMES.min(frames - at);
            // SAFETY: the caller's promise.
            unsafe { from.copy_to(&mut self.block, at, count) };
            let Self { encoder: Some(encoder), block, .. } = self else { break };
            encoder.write(block)?;
            at += count;
        }
        Ok(())
    }
}

/// Makes an encoder for blocks of `rate_hz` and `layout` (`stereo`, `5.1`, a count, ...). To the file `path`, which appears when it is
/// finished, whole; or for NULL to memory. `format_json` is a format with its settings, see the schema `format`; NULL takes that of the
/// extension. What the format cannot take as it is (rate, channels) is resampled and mixed. `metadata_json`: see the schema `metadata`;
/// NULL for none.
///
/// # Safety
/// Text is NULL or ends with a NUL; `out_encoder` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_encoder_new(
    engine: psnd_engine,
    path: *const c_char,
    rate_hz: u32,
    layout: *const c_char,
    format_json: *const c_char,
    metadata_json: *const c_char,
    out_encoder: *mut psnd_encoder,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_encoder", out_encoder)?;
        let engine = self::engine(engine)?;
        // SAFETY: the caller's promise.
        unsafe {
            let path = text::optional("path", path)?;
            let spec = Spec::new(rate_hz, self::layout(text::required("layout", layout)?)?);
            let format: Option<FormatSettings> = text::record("format", format_json)?;
            let metadata: Metadata = text::record("metadata", metadata_json)?.unwrap_or_default();
            let target = match path {
                Some(path) => EncodeTarget::Path(path.as_ref(), Overwrite::Replace),
                None => EncodeTarget::Memory,
            };
            let encoder = engine.0.encoder(target, format.as_ref(), spec, &metadata)?;
            let block = Buffer::new(spec, BLOCK_FRAMES);
            let state = State { encoder: Some(encoder), to_memory: path.is_none(), spec, block };
            let state = Exclusive::new(LiveEncoder::NAME, state);
            give("out_encoder", out_encoder, handle::insert(LiveEncoder(state))?)
        }
    })
}

/// Encodes `frames` frames: `channels` has `channel_count` arrays of `frames` floats, +/-1.0 is full scale.
///
/// # Safety
/// `channels` is readable as said; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_encoder_write(
    encoder: psnd_encoder,
    channels: *const *const f32,
    channel_count: usize,
    frames: usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let encoder = handle::get::<LiveEncoder>(encoder)?;
        let mut state = encoder.0.enter()?;
        // SAFETY: the caller's promise.
        unsafe {
            let from = Input::planar(channels, channel_count, state.spec, frames)?;
            state.write(&from, frames)
        }
    })
}

/// As `psnd_encoder_write` for interleaved samples: `frames` times the number of channels.
///
/// # Safety
/// `samples` is readable for that many floats; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_encoder_write_interleaved(
    encoder: psnd_encoder,
    samples: *const f32,
    frames: usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let encoder = handle::get::<LiveEncoder>(encoder)?;
        let mut state = encoder.0.enter()?;
        let from = Input::interleaved(samples, state.spec, frames)?;
        // SAFETY: the caller's promise.
        unsafe { state.write(&from, frames) }
    })
}

/// Ends the stream: the file appears under its name, or the bytes come to `*out_data` and `*out_size`; free them by `psnd_bytes_free`.
/// With a path those two may be NULL, and give NULL and 0. `*out_json` tells what was written, see the schema `encoded`; NULL when it is
/// not wanted. The encoder can only be freed after.
///
/// # Safety
/// Pointers are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_encoder_finish(
    encoder: psnd_encoder,
    out_json: *mut *mut c_char,
    out_data: *mut *mut u8,
    out_size: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let encoder = handle::get::<LiveEncoder>(encoder)?;
        let mut state = encoder.0.enter()?;
        if state.to_memory {
            wanted("out_data", out_data)?;
            wanted("out_size", out_size)?;
        }
        let ending = state.encoder.take().ok_or(Error::Closed { what: "encoder" })?;
        let (encoded, bytes) = ending.finish()?;
        // SAFETY: the caller's promise.
        unsafe {
            if !out_json.is_null() {
                give_json("out_json", out_json, &encoded)?;
            }
            match bytes {
                Some(bytes) => give_bytes(out_data, out_size, bytes)?,
                None if !out_data.is_null() && !out_size.is_null() => {
                    give("out_data", out_data, std::ptr::null_mut())?;
                    give("out_size", out_size, 0)?;
                }
                None => {}
            }
        }
        Ok(())
    })
}

/// Frees an encoder. One that was not finished leaves nothing behind. 0 is fine.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_encoder_free(encoder: psnd_encoder) -> psnd_status {
    entry(std::ptr::null_mut(), || handle::free::<LiveEncoder>(encoder))
}
