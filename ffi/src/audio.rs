//! Whole recordings in memory.

use std::ffi::c_char;

use pure_sound::Result;
use pure_sound::audio::{Buffer, Spec};

use crate::error::{entry, psnd_error};
use crate::handle::{self, Object, Used};
use crate::samples::{Input, Output, layout};
use crate::status::psnd_status;
use crate::text::{self, give, give_text, wanted};

/// Audio in memory: planar 32-bit floats that do not change. May be used by several threads.
#[allow(non_camel_case_types)]
pub type psnd_audio = u64;

/// The object behind a [`psnd_audio`].
pub struct Audio(pub Buffer);

impl Object for Audio {
    const TAG: u8 = 1;
    const NAME: &'static str = "audio";
}

/// A buffer with `frames` frames of `samples`. Allocates.
///
/// # Errors
/// [`pure_sound::Error::LimitExceeded`] when the memory cannot be had.
///
/// # Safety
/// They are there, as was promised when `samples` was made.
pub unsafe fn buffer_from(samples: &Input, spec: Spec, frames: usize) -> Result<Buffer> {
    let wanted = frames.saturating_mul(spec.channels());
    let none = |_| pure_sound::Error::LimitExceeded { limit: "memory for audio", value: wanted as f64, max: 0.0 };
    let mut memory: Vec<f32> = Vec::new();
    memory.try_reserve_exact(wanted).map_err(none)?;
    memory.resize(wanted, 0.0);
    let mut buffer = Buffer::from_planar(spec, memory);
    // SAFETY: the caller's promise.
    unsafe { samples.copy_to(&mut buffer, 0, frames) };
    Ok(buffer)
}

/// Copies `frames` frames from `channels`: `channel_count` arrays of floats, +/-1.0 is full scale. `layout` is a name such as
/// `stereo`, `5.1` or a count such as `6`.
///
/// # Safety
/// `channels` is readable as said; `layout` ends with a NUL; `out_audio` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_audio_from_planar(
    channels: *const *const f32,
    channel_count: usize,
    frames: usize,
    rate_hz: u32,
    layout: *const c_char,
    out_audio: *mut psnd_audio,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_audio", out_audio)?;
        // SAFETY: the caller's promise.
        unsafe {
            let spec = Spec::new(rate_hz, self::layout(text::required("layout", layout)?)?);
            let samples = Input::planar(channels, channel_count, spec, frames)?;
            let audio = handle::insert(Audio(buffer_from(&samples, spec, frames)?))?;
            give("out_audio", out_audio, audio)
        }
    })
}

/// As `psnd_audio_from_planar` for interleaved samples: `frames` times the number of channels of `layout`.
///
/// # Safety
/// `samples` is readable for that many floats; `layout` ends with a NUL; `out_audio` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_audio_from_interleaved(
    samples: *const f32,
    frames: usize,
    rate_hz: u32,
    layout: *const c_char,
    out_audio: *mut psnd_audio,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_audio", out_audio)?;
        // SAFETY: the caller's promise.
        unsafe {
            let spec = Spec::new(rate_hz, self::layout(text::required("layout", layout)?)?);
            let samples = Input::interleaved(samples, spec, frames)?;
            let audio = handle::insert(Audio(buffer_from(&samples, spec, frames)?))?;
            give("out_audio", out_audio, audio)
        }
    })
}

fn audio(handle: psnd_audio) -> Result<Used<Audio>> {
    handle::get(handle)
}

/// Frames per second.
///
/// # Safety
/// `out_rate_hz` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_audio_rate_hz(
    audio: psnd_audio,
    out_rate_hz: *mut u32,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    // SAFETY: the caller's promise.
    entry(out_error, || unsafe { give("out_rate_hz", out_rate_hz, self::audio(audio)?.0.spec().rate_hz) })
}

/// Number of channels.
///
/// # Safety
/// `out_channels` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_audio_channels(
    audio: psnd_audio,
    out_channels: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    // SAFETY: the caller's promise.
    entry(out_error, || unsafe { give("out_channels", out_channels, self::audio(audio)?.0.channel_count()) })
}

/// Number of frames.
///
/// # Safety
/// `out_frames` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_audio_frames(
    audio: psnd_audio,
    out_frames: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    // SAFETY: the caller's promise.
    entry(out_error, || unsafe { give("out_frames", out_frames, self::audio(audio)?.0.frames()) })
}

/// The name of the channel layout, such as `stereo`. Free it by `psnd_string_free`.
///
/// # Safety
/// `out_layout` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_audio_layout(
    audio: psnd_audio,
    out_layout: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    // SAFETY: the caller's promise.
    entry(out_error, || unsafe { give_text("out_layout", out_layout, self::audio(audio)?.0.spec().layout.name()) })
}

/// The samples of one channel, from 0, as many as there are frames. Borrowed: valid until the audio is freed, not to be written.
///
/// # Safety
/// `out_samples` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_audio_channel(
    audio: psnd_audio,
    channel: usize,
    out_samples: *mut *const f32,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let audio = self::audio(audio)?;
        let most = audio.0.channel_count().saturating_sub(1);
        pure_sound::Error::check_range("channel", channel as f64, 0.0, most as f64, "")?;
        // SAFETY: the caller's promise.
        unsafe { give("out_samples", out_samples, audio.0.channel(channel).as_ptr()) }
    })
}

/// Copies the first frames, interleaved, to `samples`: as many as there are, at most `capacity_frames`. `*out_frames` is how many.
///
/// # Safety
/// `samples` is writable for `capacity_frames` times the channels; `out_frames` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_audio_copy_interleaved(
    audio: psnd_audio,
    samples: *mut f32,
    capacity_frames: usize,
    out_frames: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_frames", out_frames)?;
        let audio = self::audio(audio)?;
        let count = capacity_frames.min(audio.0.frames());
        let to = Output::interleaved(samples, audio.0.channel_count(), count)?;
        // SAFETY: the caller's promise.
        unsafe {
            to.copy_from(&audio.0, 0, 0, count);
            give("out_frames", out_frames, count)
        }
    })
}

/// Frees audio. 0 is fine. Pointers to its channels are not valid any more.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_audio_free(audio: psnd_audio) -> psnd_status {
    entry(std::ptr::null_mut(), || handle::free::<Audio>(audio))
}
