//! A chain of filters on live audio.

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

use pure_sound::audio::{Buffer, Spec};
use pure_sound::filters::{Chain, ChainControl, FilterSpec};
use pure_sound::{Error, Result};
use serde_json::Value;

use crate::error::{entry, psnd_error};
use crate::exclusive::Exclusive;
use crate::handle::{self, Object};
use crate::samples::{Output, layout};
use crate::status::psnd_status;
use crate::text::{self, give, invalid, wanted};

/// Filters in series for live audio. One thread processes; others may set parameters meanwhile.
#[allow(non_camel_case_types)]
pub type psnd_chain = u64;

/// Frames that go through the filters at once: enough to be quick, few enough to stay in the nearest cache with their copies.
const BLOCK_FRAMES: usize = 1024;

struct LiveChain {
    audio: Exclusive<Audio>,
    /// Never touched by `process`: setting a parameter does not hold up the audio.
    control: Mutex<ChainControl>,
    latency_frames: usize,
    tail_frames: usize,
}

struct Audio {
    chain: Chain,
    spec: Spec,
    /// Most frames at once.
    capacity: usize,
    block: Buffer,
    /// What `finish` gave and is not fetched yet: the frames of `block` from here.
    fetched: usize,
    finishing: bool,
}

impl Object for LiveChain {
    const TAG: u8 = 10;
    const NAME: &'static str = "chain";
}

/// Filters from a JSON list of objects or of text in the short form.
fn filter_specs(json: Option<Value>) -> Result<Vec<FilterSpec>> {
    let items = match json {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(invalid("filters", other.to_string(), "a list of filters")),
    };
    let read = |item| match item {
        Value::String(text) => FilterSpec::parse(&text),
        other => FilterSpec::from_json(other),
    };
    items.into_iter().map(read).collect()
}

impl LiveChain {
    fn new(specs: &[FilterSpec], spec: Spec, max_frames: usize) -> Result<Self> {
        let mut chain = Chain::new(specs)?;
        if !chain.is_realtime() {
            let offline = specs.iter().find(|s| !s.is_realtime()).map_or("", FilterSpec::name);
            return Err(Error::Unsupported {
                what: "filter in a live chain",
                value: offline.into(),
                hint: Some("it is for files: use it in a recipe".into()),
            });
        }
        Error::check_range("max_frames", max_frames as f64, 1.0, 16_777_216.0, "frames")?;
        let capacity = max_frames.min(BLOCK_FRAMES);
        let prepared = chain.prepare(spec, capacity)?;
        if prepared.spec != spec {
            return Err(Error::Unsupported {
                what: "chain in place",
                value: format!(
                    "{} Hz {} to {} Hz {}",
                    spec.rate_hz,
                    spec.layout.name(),
                    prepared.spec.rate_hz,
                    prepared.spec.layout.name()
                ),
                hint: Some("live chains keep rate and channels: use a recipe".into()),
            });
        }
        let control = Mutex::new(chain.control());
        let block = chain.new_block()?;
        let audio = Audio { chain, spec, capacity, block, fetched: 0, finishing: false };
        Ok(Self {
            audio: Exclusive::new(Self::NAME, audio),
            control,
            latency_frames: prepared.latency_frames,
            tail_frames: prepared.tail_frames,
        })
    }
}

impl Audio {
    /// Sends `frames` frames through the filters, in place.
    ///
    /// # Safety
    /// They are there, as was promised when `samples` was made.
    unsafe fn process(&mut self, samples: &Output, frames: usize) -> Result<()> {
        // SAFETY: the caller's promise.
        if let Some(arrays) = unsafe { samples.arrays(self.spec.channels(), frames) }
            && let Some(mut scaling) = self.chain.scaling(frames)
        {
            arrays.for_each(|array| scaling.apply(array));
            return Ok(());
        }
        let input = samples.as_input();
        let mut at = 0;
        while at < frames {
            let count = self.capacity.min(frames - at);
            self.block.set_spec(self.spec);
            // SAFETY: the caller's promise.
            unsafe { input.copy_to(&mut self.block, at, count) };
            self.chain.process(&mut self.block);
            if self.block.frames() != count {
                return Err(Error::internal("a live filter changed the number of frames"));
            }
            // SAFETY: as above.
            unsafe { samples.copy_from(&self.block, 0, at, count) };
            at += count;
        }
        Ok(())
    }

    /// Gives frames that the filters held back, at most `capacity`; 0 at the end.
    ///
    /// # Safety
    /// There is room, as was promised when `samples` was made.
    unsafe fn finish(&mut self, samples: &Output, capacity: usize) -> usize {
        if !self.finishing || self.fetched == self.block.frames() {
            self.finishing = true;
            self.fetched = 0;
            self.block.set_spec(self.spec);
            self.chain.finish(&mut self.block);
        }
        let count = capacity.min(self.block.frames() - self.fetched);
        // SAFETY: the caller's promise.
        unsafe { samples.copy_from(&self.block, self.fetched, 0, count) };
        self.fetched += count;
        count
    }
}

/// Makes a chain. `filters_json` is a list of filters as in recipes: `[{"type": "highpass", "cutoff_hz": 80}, "limiter"]`; NULL or
/// an empty list passes everything through. `layout` is a name such as `stereo`, `5.1` or a count such as `6`. Blocks of up to
/// `max_frames` frames, 1 to 16777216, are best; larger ones are cut.
///
/// Filters that work on whole files, or change rate or channels, are refused: recipes are for those. Allocates; not for an audio
/// thread.
///
/// # Safety
/// Text is NULL or ends with a NUL; `out_chain` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_chain_new(
    filters_json: *const c_char,
    rate_hz: u32,
    layout: *const c_char,
    max_frames: usize,
    out_chain: *mut psnd_chain,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_chain", out_chain)?;
        // SAFETY: the caller's promise.
        let (filters, layout) = unsafe { (text::json("filters", filters_json)?, text::required("layout", layout)?) };
        let spec = Spec::new(rate_hz, self::layout(layout)?);
        let chain = handle::insert(LiveChain::new(&filter_specs(filters)?, spec, max_frames)?)?;
        // SAFETY: as above.
        unsafe { give("out_chain", out_chain, chain) }
    })
}

/// Sends `frames` frames through the filters, in place: `channels` has `channel_count` arrays of `frames` floats, +/-1.0 is full
/// scale. Any number of frames gives the same samples as any other division into blocks. Samples that are not finite become 0.
///
/// Real-time safe: does not allocate, lock, log or call the system, unless it fails.
///
/// # Safety
/// `channels` has `channel_count` arrays of `frames` floats, writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_chain_process(
    chain: psnd_chain,
    channels: *const *mut f32,
    channel_count: usize,
    frames: usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let chain = handle::get::<LiveChain>(chain)?;
        let mut audio = chain.audio.enter()?;
        // SAFETY: the caller's promise.
        unsafe {
            let samples = Output::planar(channels, channel_count, audio.spec.channels(), frames)?;
            audio.process(&samples, frames)
        }
    })
}

/// As `psnd_chain_process` for interleaved samples: `frames` times the number of channels.
///
/// Real-time safe, as `psnd_chain_process`.
///
/// # Safety
/// `samples` is writable for that many floats; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_chain_process_interleaved(
    chain: psnd_chain,
    samples: *mut f32,
    frames: usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let chain = handle::get::<LiveChain>(chain)?;
        let mut audio = chain.audio.enter()?;
        let samples = Output::interleaved(samples, audio.spec.channels(), frames)?;
        // SAFETY: the caller's promise.
        unsafe { audio.process(&samples, frames) }
    })
}

/// Sets a parameter of the filter at `filter` in the list, from 0, from the start of the next block that is processed. It glides
/// to `value` within 20 ms, or what `psnd_chain_set_glide_ms` said; before the first frame it is there at once. From any thread,
/// also while another processes, which is not held up. Up to 256 values may wait.
///
/// # Safety
/// `parameter` ends with a NUL; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_chain_set_parameter(
    chain: psnd_chain,
    filter: usize,
    parameter: *const c_char,
    value: f64,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let chain = handle::get::<LiveChain>(chain)?;
        // SAFETY: the caller's promise.
        let parameter = unsafe { text::required("parameter", parameter)? };
        chain.control.lock().unwrap_or_else(PoisonError::into_inner).set_parameter(filter, parameter, value)
    })
}

/// Sets the time over which parameters come to their values, 0 to 1000 ms, for changes from now on. Not while another thread
/// processes.
///
/// # Safety
/// `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_chain_set_glide_ms(
    chain: psnd_chain,
    glide_ms: f64,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || handle::get::<LiveChain>(chain)?.audio.enter()?.chain.set_glide_ms(glide_ms))
}

/// Forgets all signal: the chain is as new, with the parameters of now. Real-time safe. Not while another thread processes.
///
/// # Safety
/// `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_chain_reset(chain: psnd_chain, out_error: *mut *mut psnd_error) -> psnd_status {
    entry(out_error, || {
        let chain = handle::get::<LiveChain>(chain)?;
        let mut audio = chain.audio.enter()?;
        audio.finishing = false;
        audio.chain.reset();
        Ok(())
    })
}

/// Frames by which the output is behind the input.
///
/// # Safety
/// `out_frames` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_chain_latency_frames(
    chain: psnd_chain,
    out_frames: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let frames = handle::get::<LiveChain>(chain)?.latency_frames;
        // SAFETY: the caller's promise.
        unsafe { give("out_frames", out_frames, frames) }
    })
}

/// Frames of sound that may follow the end of the input.
///
/// # Safety
/// `out_frames` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_chain_tail_frames(
    chain: psnd_chain,
    out_frames: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let frames = handle::get::<LiveChain>(chain)?.tail_frames;
        // SAFETY: the caller's promise.
        unsafe { give("out_frames", out_frames, frames) }
    })
}

/// After the last block: gives frames that filters held back, at most `capacity_frames` at once; 0 when there are no more. What is
/// still on its way through the latency is had by processing as many frames of silence before.
///
/// # Safety
/// `channels` has `channel_count` arrays of `capacity_frames` floats, writable; `out_frames` is writable; `out_error` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_chain_finish(
    chain: psnd_chain,
    channels: *const *mut f32,
    channel_count: usize,
    capacity_frames: usize,
    out_frames: *mut usize,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_frames", out_frames)?;
        let chain = handle::get::<LiveChain>(chain)?;
        let mut audio = chain.audio.enter()?;
        // SAFETY: the caller's promise.
        unsafe {
            let samples = Output::planar(channels, channel_count, audio.spec.channels(), capacity_frames)?;
            give("out_frames", out_frames, audio.finish(&samples, capacity_frames))
        }
    })
}

/// Frees a chain. 0 is fine.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_chain_free(chain: psnd_chain) -> psnd_status {
    entry(std::ptr::null_mut(), || handle::free::<LiveChain>(chain))
}
