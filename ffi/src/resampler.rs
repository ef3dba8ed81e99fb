//! Another sample rate for live audio.

use std::ffi::c_char;

use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::dsp::resampler::{Quality, Resampler};
use pure_sound::{Error, Result};

use crate::error::{entry, psnd_error};
use crate::exclusive::Exclusive;
use crate::handle::{self, Object};
use crate::samples::{Input, Output, check_channel_count};
use crate::status::psnd_status;
use crate::text::{self, give, invalid, wanted};

/// Converts a stream from one sample rate to another. One thread at a time.
#[allow(non_camel_case_types)]
pub type psnd_resampler = u64;

/// Frames that are converted at once.
const BLOCK_FRAMES: usize = 4096;

struct LiveResampler(Exclusive<State>);

struct State {
    resampler: Resampler,
    input: Spec,
    block: Buffer,
    /// What was converted last, and from where it is not fetched yet.
    output: Buffer,
    fetched: usize,
    finishing: bool,
}

impl Object for LiveResampler {
    const TAG: u8 = 12;
    const NAME: &'static str = "resampler";
}

impl State {
    fn new(in_rate_hz: u32, out_rate_hz: u32, channels: usize, quality: Quality) -> Result<Self> {
        check_channel_count(channels)?;
        let resampler = Resampler::new(in_rate_hz, out_rate_hz, channels, quality)?;
        let layout = ChannelLayout::from_count(channels);
        let mut output = Buffer::new(Spec::new(out_rate_hz, layout), 0);
        output.reserve(Spec::new(out_rate_hz, layout), resampler.max_output_frames(BLOCK_FRAMES));
        let input = Spec::new(in_rate_hz, layout);
        Ok(Self { resampler, input, block: Buffer::new(input, BLOCK_FRAMES), output, fetched: 0, finishing: false })
    }

    /// Most frames that `frames` more can give.
    fn most(&self, frames: usize) -> usize {
        self.resampler.max_output_frames(frames)
    }

    /// # Safety
    /// The frames and the room are there, as was promised when `from` and `to` were made.
    unsafe fn process(&mut self, from: &Input, frames: usize, to: &Output, capacity: usize) -> Result<usize> {
        let needed = self.most(frames);
        if capacity < needed {
            return Err(Error::OutOfRange {
                name: "capacity_frames".into(),
                value: capacity as f64,
                min: needed as f64,
                max: f64::MAX,
                unit: "frames",
            });
        }
        let (mut at, mut written) = (0, 0);
        while at < frames {
            let count = BLOCK_FRAMES.min(frames - at);
            // SAFETY: the caller's promise.
            unsafe { from.copy_to(&mut self.block, at, count) };
            self.resampler.process(&self.block, &mut self.output);
            let got = self.output.frames();
            if got > capacity - written {
                return Err(Error::internal("a resampler gave more frames than it said"));
            }
            // SAFETY: as above.
            unsafe { to.copy_from(&self.output, 0, written, got) };
            written += got;
            at += count;
        }
        Ok(written)
    }

    /// # Safety
    /// There is room, as was promised when `to` was made.
    unsafe fn finish(&mut self, to: &Output, capacity: usize) -> usize {
        if !self.finishing || self.fetched == self.output.frames() {
            self.finishing = true;
            self.fetched = 0;
            self.resampler.finish(&mut self.output);
        }
        let count = capacity.min(self.output.frames() - self.fetched);
        // SAFETY: the caller's promise.
        unsafe { to.copy_from(&self.output, self.fetched, 0, count) };
        self.fetched += count;
        count
    }
}

/// Makes a resampler for `channels` channels. `quality` is `fast`, `good` or `best`; NULL is `good`. The stream is not delayed, and
/// in all `round(frames * out_rate_hz / in_rate_hz)` frames come.
///
/// # Safety
/// `quality` is NULL or ends with a NUL; `out_resampler` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_resampler_new(
    in_rate_hz: u32,
    out_rate_hz: u32,
    channels: usize,
    quality: *const c_char,
    out_resampler: *mut psnd_resampler,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_resampler", out_resampler)?;
        // SAFETY: the caller's promise.
        let quality = match unsafe { text::optional("quality", quality)? } {
            None => Quality::default(),
            Some(name) => serde_json::from_value(serde_json::Value::from(name))
                .map_err(|_| invalid("quality", name, "fast, good, best"))?,
        };
        let state = State::new(in_rate_hz, out_rate_hz, channels, quality)?;
        let handle = handle::insert(LiveResampler(Exclusive::new(LiveResampler::NAME, state)))?;
        // SAFETY: as above.
        unsafe { give("out_resampler", out_resampler, handle) }
    })
}

/// Most frames that `psnd_resampler_process` of `frames` frames can give: the room that it wants.
///
/// # Safety
/// `out_frames` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_resampler_max_output_frames(
    resampler: psnd_resampler,
    frames: usize,
    out_frames: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let most = handle::get::<LiveResampler>(resampler)?.0.enter()?.most(frames);
        // SAFETY: the caller's promise.
        unsafe { give("out_frames", out_frames, most) }
    })
}

/// Converts `frames` frames: `channels` has `channel_count` arrays of `frames` floats, `out_channels` as many of `capacity_frames`,
/// at least what `psnd_resampler_max_output_frames` says. `*out_frames` is how many came, at first none; they come in bursts.
///
/// # Safety
/// The arrays are readable and writable as said and do not overlap; `out_frames` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_resampler_process(
    resampler: psnd_resampler,
    channels: *const *const f32,
    channel_count: usize,
    frames: usize,
    out_channels: *const *mut f32,
    capacity_frames: usize,
    out_frames: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_frames", out_frames)?;
        let resampler = handle::get::<LiveResampler>(resampler)?;
        let mut state = resampler.0.enter()?;
        // SAFETY: the caller's promise.
        unsafe {
            let from = Input::planar(channels, channel_count, state.input, frames)?;
            let to = Output::planar(out_channels, channel_count, state.input.channels(), capacity_frames)?;
            give("out_frames", out_frames, state.process(&from, frames, &to, capacity_frames)?)
        }
    })
}

/// As `psnd_resampler_process` for interleaved samples.
///
/// # Safety
/// The arrays are readable and writable as said and do not overlap; `out_frames` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_resampler_process_interleaved(
    resampler: psnd_resampler,
    samples: *const f32,
    frames: usize,
    out_samples: *mut f32,
    capacity_frames: usize,
    out_frames: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_frames", out_frames)?;
        let resampler = handle::get::<LiveResampler>(resampler)?;
        let mut state = resampler.0.enter()?;
        let from = Input::interleaved(samples, state.input, frames)?;
        let to = Output::interleaved(out_samples, state.input.channels(), capacity_frames)?;
        // SAFETY: the caller's promise.
        unsafe { give("out_frames", out_frames, state.process(&from, frames, &to, capacity_frames)?) }
    })
}

/// After the last block: gives the frames that are left, at most `capacity_frames` at once; 0 when there are no more. After it only
/// `psnd_resampler_reset` makes sense.
///
/// # Safety
/// `out_channels` has `channel_count` arrays of `capacity_frames` floats, writable; `out_frames` is writable; `out_error` is NULL
/// or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_resampler_finish(
    resampler: psnd_resampler,
    out_channels: *const *mut f32,
    channel_count: usize,
    capacity_frames: usize,
    out_frames: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_frames", out_frames)?;
        let resampler = handle::get::<LiveResampler>(resampler)?;
        let mut state = resampler.0.enter()?;
        // SAFETY: the caller's promise.
        unsafe {
            let to = Output::planar(out_channels, channel_count, state.input.channels(), capacity_frames)?;
            give("out_frames", out_frames, state.finish(&to, capacity_frames))
        }
    })
}

/// As `psnd_resampler_finish` for interleaved samples.
///
/// # Safety
/// `out_samples` is writable for `capacity_frames` frames; `out_frames` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_resampler_finish_interleaved(
    resampler: psnd_resampler,
    out_samples: *mut f32,
    capacity_frames: usize,
    out_frames: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_frames", out_frames)?;
        let resampler = handle::get::<LiveResampler>(resampler)?;
        let mut state = resampler.0.enter()?;
        let to = Output::interleaved(out_samples, state.input.channels(), capacity_frames)?;
        // SAFETY: the caller's promise.
        unsafe { give("out_frames", out_frames, state.finish(&to, capacity_frames)) }
    })
}

/// Forgets the signal: for another stream.
///
/// # Safety
/// `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_resampler_reset(
    resampler: psnd_resampler,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let resampler = handle::get::<LiveResampler>(resampler)?;
        let mut state = resampler.0.enter()?;
        state.finishing = false;
        state.resampler.reset();
        Ok(())
    })
}

/// Frees a resampler. 0 is fine.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_resampler_free(resampler: psnd_resampler) -> psnd_status {
    entry(std::ptr::null_mut(), || handle::free::<LiveResampler>(resampler))
}
