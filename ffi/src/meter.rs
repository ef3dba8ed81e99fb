//! Loudness of live audio.

use std::ffi::c_char;

use pure_sound::Result;
use pure_sound::audio::{Buffer, Spec};
use pure_sound::meter::{LoudnessMeter, MeterOptions};

use crate::error::{entry, psnd_error};
use crate::exclusive::Exclusive;
use crate::handle::{self, Object};
use crate::samples::{Input, layout};
use crate::status::psnd_status;
use crate::text::{self, give, give_json, wanted};

/// Measures loudness (ITU-R BS.1770-5, EBU R 128), true peak and levels. One thread at a time.
#[allow(non_camel_case_types)]
pub type psnd_meter = u64;

/// Frames that are copied at once.
const BLOCK_FRAMES: usize = 4096;

struct LiveMeter(Exclusive<State>);

struct State {
    meter: LoudnessMeter,
    block: Buffer,
}

impl Object for LiveMeter {
    const TAG: u8 = 11;
    const NAME: &'static str = "meter";
}

impl State {
    /// # Safety
    /// `frames` frames are there, as was promised when `samples` was made.
    unsafe fn push(&mut self, samples: &Input, frames: usize) {
        let mut at = 0;
        while at < frames {
            let count = BLOCK_FRAMES.min(frames - at);
            // SAFETY: the caller's promise.
            unsafe { samples.copy_to(&mut self.block, at, count) };
            self.meter.push(&self.block);
            at += count;
        }
    }
}

/// Makes a meter. `layout` is a name such as `stereo`, `5.1` or a count: channels weigh by their place. `options_json`: an object
/// with `true_peak` (default true), `range` (default true), `dual_mono` (default false); NULL for the defaults.
///
/// # Safety
/// Text is NULL or ends with a NUL; `out_meter` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_meter_new(
    rate_hz: u32,
    layout: *const c_char,
    options_json: *const c_char,
    out_meter: *mut psnd_meter,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_meter", out_meter)?;
        // SAFETY: the caller's promise.
        let (layout, options) = unsafe { (text::required("layout", layout)?, text::record("options", options_json)?) };
        let spec = Spec::new(rate_hz, self::layout(layout)?);
        let options: MeterOptions = options.unwrap_or_default();
        let meter = LoudnessMeter::new(spec, options)?;
        let state = State { meter, block: Buffer::new(spec, BLOCK_FRAMES) };
        let handle = handle::insert(LiveMeter(Exclusive::new(LiveMeter::NAME, state)))?;
        // SAFETY: as above.
        unsafe { give("out_meter", out_meter, handle) }
    })
}

/// Adds `frames` frames: `channels` has `channel_count` arrays of `frames` floats. Allocates now and then as time goes on.
///
/// # Safety
/// `channels` is readable as said; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_meter_push(
    meter: psnd_meter,
    channels: *const *const f32,
    channel_count: usize,
    frames: usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let meter = handle::get::<LiveMeter>(meter)?;
        let mut state = meter.0.enter()?;
        // SAFETY: the caller's promise.
        unsafe {
            let samples = Input::planar(channels, channel_count, state.meter.spec(), frames)?;
            state.push(&samples, frames);
        }
        Ok(())
    })
}

/// As `psnd_meter_push` for interleaved samples: `frames` times the number of channels.
///
/// # Safety
/// `samples` is readable for that many floats; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_meter_push_interleaved(
    meter: psnd_meter,
    samples: *const f32,
    frames: usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let meter = handle::get::<LiveMeter>(meter)?;
        let mut state = meter.0.enter()?;
        let samples = Input::interleaved(samples, state.meter.spec(), frames)?;
        // SAFETY: the caller's promise.
        unsafe { state.push(&samples, frames) };
        Ok(())
    })
}

/// Hands a value of the meter to `*out`.
///
/// # Safety
/// `out` is NULL or writable.
unsafe fn read<T>(meter: psnd_meter, name: &str, out: *mut T, value: impl FnOnce(&LoudnessMeter) -> T) -> Result<()> {
    let meter = handle::get::<LiveMeter>(meter)?;
    let value = value(&meter.0.enter()?.meter);
    // SAFETY: the caller's promise.
    unsafe { give(name, out, value) }
}

/// Loudness of the last 400 ms in LUFS, not gated; `-INFINITY` for silence.
///
/// # Safety
/// `out_lufs` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_meter_momentary_lufs(
    meter: psnd_meter,
    out_lufs: *mut f64,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    // SAFETY: the caller's promise.
    entry(out_error, || unsafe { read(meter, "out_lufs", out_lufs, LoudnessMeter::momentary_lufs) })
}

/// Loudness of the last 3 s in LUFS, not gated; `-INFINITY` for silence.
///
/// # Safety
/// `out_lufs` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_meter_short_term_lufs(
    meter: psnd_meter,
    out_lufs: *mut f64,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    // SAFETY: the caller's promise.
    entry(out_error, || unsafe { read(meter, "out_lufs", out_lufs, LoudnessMeter::short_term_lufs) })
}

/// Integrated loudness so far in LUFS; `-INFINITY` for silence. Takes time in proportion to what was measured.
///
/// # Safety
/// `out_lufs` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_meter_integrated_lufs(
    meter: psnd_meter,
    out_lufs: *mut f64,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    // SAFETY: the caller's promise.
    entry(out_error, || unsafe { read(meter, "out_lufs", out_lufs, LoudnessMeter::integrated_lufs) })
}

/// Frames measured so far.
///
/// # Safety
/// `out_frames` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_meter_frames(
    meter: psnd_meter,
    out_frames: *mut u64,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    // SAFETY: the caller's promise.
    entry(out_error, || unsafe { read(meter, "out_frames", out_frames, LoudnessMeter::frames) })
}

/// All results so far as JSON, see the schema `loudness`: null for silence and for what was not measured.
///
/// # Safety
/// `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_meter_summary(
    meter: psnd_meter,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let summary = handle::get::<LiveMeter>(meter)?.0.enter()?.meter.summary();
        // SAFETY: the caller's promise.
        unsafe { give_json("out_json", out_json, &summary) }
    })
}

/// Forgets what was measured.
///
/// # Safety
/// `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_meter_reset(meter: psnd_meter, out_error: *mut *mut psnd_error) -> psnd_status {
    entry(out_error, || {
        handle::get::<LiveMeter>(meter)?.0.enter()?.meter.reset();
        Ok(())
    })
}

/// Frees a meter. 0 is fine.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_meter_free(meter: psnd_meter) -> psnd_status {
    entry(std::ptr::null_mut(), || handle::free::<LiveMeter>(meter))
}
