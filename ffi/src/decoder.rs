//! Reading a recording in blocks.

use std::ffi::c_char;

use pure_sound::Result;
use pure_sound::audio::Buffer;
use pure_sound::formats::Decoder;

use crate::engine::{engine, psnd_engine, read_options};
use crate::error::{entry, psnd_error};
use crate::exclusive::Exclusive;
use crate::handle::{self, Object};
use crate::input::{psnd_input, source};
use crate::samples::Output;
use crate::status::psnd_status;
use crate::text::{give, give_json, wanted};

/// Reads a recording in blocks. One thread at a time.
#[allow(non_camel_case_types)]
pub type psnd_decoder = u64;

/// Frames that are decoded at once.
const BLOCK_FRAMES: usize = 4096;

struct LiveDecoder(Exclusive<State>);

struct State {
    decoder: Box<dyn Decoder>,
    block: Buffer,
}

impl Object for LiveDecoder {
    const TAG: u8 = 7;
    const NAME: &'static str = "decoder";
}

impl State {
    /// Reads until `frames` frames are there, or the end.
    ///
    /// # Safety
    /// There is room, as was promised when `to` was made.
    unsafe fn read(&mut self, to: &Output, frames: usize) -> Result<usize> {
        let mut done = 0;
        while done < frames {
            let count = self.decoder.read(&mut self.block, BLOCK_FRAMES.min(frames - done))?;
            if count == 0 {
                break;
            }
            // SAFETY: the caller's promise; a decoder gives no more frames than it was asked for.
            unsafe { to.copy_from(&self.block, 0, done, count.min(frames - done)) };
            done += count.min(frames - done);
        }
        Ok(done)
    }
}

/// Opens an input. `options_json`: read options, NULL for the defaults. What `input` points to as `data` or `reader` is used until the
/// decoder is freed.
///
/// # Safety
/// `input` is valid; text is NULL or ends with a NUL; `out_decoder` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_decoder_open(
    engine: psnd_engine,
    input: *const psnd_input,
    options_json: *const c_char,
    out_decoder: *mut psnd_decoder,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise.
        unsafe {
            let source = source(input)?;
            wanted("out_decoder", out_decoder)?;
            let engine = self::engine(engine)?;
            let decoder = engine.0.open(source, &read_options(options_json)?)?;
            let block = Buffer::new(decoder.info().spec, BLOCK_FRAMES);
            let state = Exclusive::new(LiveDecoder::NAME, State { decoder, block });
            give("out_decoder", out_decoder, handle::insert(LiveDecoder(state))?)
        }
    })
}

/// What is being decoded, as JSON, see the schema `stream_info`. The duration may become more exact while reading.
///
/// # Safety
/// `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_decoder_info(
    decoder: psnd_decoder,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let decoder = handle::get::<LiveDecoder>(decoder)?;
        // SAFETY: the caller's promise.
        unsafe { give_json("out_json", out_json, decoder.0.enter()?.decoder.info()) }
    })
}

/// Reads the next frames to `channels`: `channel_count` arrays of at least `max_frames` floats, +/-1.0 is full scale. `*out_frames` is
/// how many came: fewer than asked for only at the end, 0 after it.
///
/// # Safety
/// `channels` is writable as said; `out_frames` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_decoder_read(
    decoder: psnd_decoder,
    channels: *const *mut f32,
    channel_count: usize,
    max_frames: usize,
    out_frames: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_frames", out_frames)?;
        let decoder = handle::get::<LiveDecoder>(decoder)?;
        let mut state = decoder.0.enter()?;
        let wide = state.decoder.info().spec.channels();
        // SAFETY: the caller's promise.
        unsafe {
            let to = Output::planar(channels, channel_count, wide, max_frames)?;
            give("out_frames", out_frames, state.read(&to, max_frames)?)
        }
    })
}

/// As `psnd_decoder_read`, interleaved: `samples` has room for `max_frames` times the channels.
///
/// # Safety
/// `samples` is writable as said; `out_frames` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_decoder_read_interleaved(
    decoder: psnd_decoder,
    samples: *mut f32,
    max_frames: usize,
    out_frames: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_frames", out_frames)?;
        let decoder = handle::get::<LiveDecoder>(decoder)?;
        let mut state = decoder.0.enter()?;
        let to = Output::interleaved(samples, state.decoder.info().spec.channels(), max_frames)?;
        // SAFETY: the caller's promise.
        unsafe { give("out_frames", out_frames, state.read(&to, max_frames)?) }
    })
}

/// Continues at exactly `frame`. Beyond the end: the next read gives 0 frames.
///
/// # Safety
/// `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_decoder_seek(
    decoder: psnd_decoder,
    frame: u64,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || handle::get::<LiveDecoder>(decoder)?.0.enter()?.decoder.seek(frame))
}

/// Damage that was met so far and decoded around, as JSON, as `damage` of the schema `report`.
///
/// # Safety
/// `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_decoder_damage(
    decoder: psnd_decoder,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let decoder = handle::get::<LiveDecoder>(decoder)?;
        // SAFETY: the caller's promise.
        unsafe { give_json("out_json", out_json, decoder.0.enter()?.decoder.damage()) }
    })
}

/// Frees a decoder. 0 is fine.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_decoder_free(decoder: psnd_decoder) -> psnd_status {
    entry(std::ptr::null_mut(), || handle::free::<LiveDecoder>(decoder))
}
