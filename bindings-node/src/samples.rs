//! Samples between JavaScript's `Float32Array`s and the core's buffers.

use std::ptr;

use napi::bindgen_prelude::{
    Env, Float32ArraySlice, FromNapiValue, Object, Status, ToNapiValue, TypeName, ValidateNapiValue, ValueType,
};
use napi::{JsValue, sys};
use pure_sound::Error as CoreError;
use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::filters::Chain;

/// Frames that cross at once: two channels of input, and what the filters hold of them, fit a processor's first cache.
pub const BLOCK_FRAMES: usize = 1024;

/// Results up to this size are copied into memory of JavaScript's own. Memory of ours that it frees costs more than the copy then.
const COPY_BYTES: usize = 32 << 10;

/// Rate and layout as JavaScript says them.
///
/// # Errors
/// [`CoreError::OutOfRange`], [`CoreError::InvalidValue`].
pub fn spec_of(rate_hz: f64, layout: &str) -> pure_sound::Result<Spec> {
    CoreError::check_range("rate_hz", rate_hz, 1.0, 3_072_000.0, "Hz")?;
    let layout = ChannelLayout::parse(layout).ok_or_else(|| CoreError::InvalidValue {
        name: "layout".into(),
        value: layout.chars().take(64).collect(),
        allowed: "mono, stereo, 2.1, 3.0, quad, 4.0, 5.0, 5.1, 5.1(side), 6.1, 7.1, or a channel count".into(),
    })?;
    Ok(Spec::new(rate_hz as u32, layout))
}

/// One array of samples where JavaScript has it. Valid during the call that it came with.
#[derive(Clone, Copy)]
struct Plane {
    data: *mut f32,
    length: usize,
}

impl Plane {
    /// Reads the place of a `Float32Array`.
    fn of(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        let (mut kind, mut length, mut data, mut buffer, mut offset) = (0, 0, ptr::null_mut(), ptr::null_mut(), 0);
        // SAFETY: both are of the call that runs; the answers are written to our variables.
        let status = unsafe {
            sys::napi_get_typedarray_info(env, value, &mut kind, &mut length, &mut data, &mut buffer, &mut offset)
        };
        if status != sys::Status::napi_ok || kind != sys::TypedarrayType::float32_array {
            return Err(napi::Error::new(Status::InvalidArg, "samples are Float32Arrays"));
        }
        Ok(Self { data: data.cast(), length: if data.is_null() { 0 } else { length } })
    }

    fn overlaps(&self, other: &Self) -> bool {
        let (a, b) = (self.data as usize, other.data as usize);
        a < b + other.length * size_of::<f32>() && b < a + self.length * size_of::<f32>()
    }
}

/// The samples of a call: one array per channel, or a single array.
pub struct Planes {
    planes: Vec<Plane>,
    /// Whether JavaScript gave a single array and no list.
    single: bool,
}

impl TypeName for Planes {
    fn type_name() -> &'static str {
        "Float32Array | Float32Array[]"
    }
    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl ValidateNapiValue for Planes {}

impl FromNapiValue for Planes {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        let mut list = false;
        // SAFETY: both are of the call that runs.
        unsafe { sys::napi_is_array(env, value, &mut list) };
        if !list {
            return Ok(Self { planes: vec![Plane::of(env, value)?], single: true });
        }
        let mut count = 0;
        // SAFETY: as above; the value is an array.
        unsafe { sys::napi_get_array_length(env, value, &mut count) };
        let mut planes = Vec::with_capacity(count.min(256) as usize);
        for index in 0..count {
            let mut element = ptr::null_mut();
            // SAFETY: as above.
            let status = unsafe { sys::napi_get_element(env, value, index, &mut element) };
            if status != sys::Status::napi_ok {
                return Err(napi::Error::new(Status::InvalidArg, "samples are Float32Arrays"));
            }
            planes.push(Plane::of(env, element)?);
        }
        Ok(Self { planes, single: false })
    }
}

fn wrong(value: String, allowed: String) -> CoreError {
    CoreError::InvalidValue { name: "samples".into(), value, allowed }
}

impl Planes {
    /// One array for each of `channels` channels, of equal length; gives the number of frames. A single array stands for channel
    /// after channel.
    ///
    /// # Errors
    /// [`CoreError::InvalidValue`] for anything else.
    fn split(&mut self, channels: usize) -> pure_sound::Result<usize> {
        if self.single && channels != 1 {
            let whole = self.planes[0];
            if !whole.length.is_multiple_of(channels) {
                return Err(wrong(format!("{} samples", whole.length), format!("a multiple of {channels} channels")));
            }
            let frames = whole.length / channels;
            // SAFETY: within the array, as `channels * frames` is its length.
            let plane = |c| Plane { data: unsafe { whole.data.add(c * frames) }, length: frames };
            self.planes = (0..channels).map(plane).collect();
            self.single = false;
        }
        let frames = self.planes.first().map_or(0, |p| p.length);
        if self.planes.len() != channels {
            return Err(wrong(format!("{} channels", self.planes.len()), format!("{channels} channels")));
        }
        if let Some(other) = self.planes.iter().find(|p| p.length != frames) {
            return Err(wrong(
                format!("channels of {frames} and {} frames", other.length),
                "equally long channels".into(),
            ));
        }
        Ok(frames)
    }

    /// The single array of interleaved samples; gives the number of frames.
    fn interleaved(&self, channels: usize) -> pure_sound::Result<(Plane, usize)> {
        match self.planes.first() {
            Some(plane) if self.single && plane.length.is_multiple_of(channels) => {
                Ok((*plane, plane.length / channels))
            }
            Some(plane) if self.single => {
                Err(wrong(format!("{} samples", plane.length), format!("a multiple of {channels} channels")))
            }
            _ => Err(wrong("a list of arrays".into(), "one Float32Array of interleaved samples".into())),
        }
    }

    /// All samples in a buffer of the core.
    ///
    /// # Errors
    /// [`CoreError::InvalidValue`] when they do not fit `spec`.
    pub fn into_buffer(mut self, spec: Spec, interleaved: bool) -> pure_sound::Result<Buffer> {
        let (whole, frames) = self.shape(spec.channels(), interleaved)?;
        let mut buffer = Buffer::new(spec, frames);
        self.fill(whole, &mut buffer, spec, 0, frames);
        Ok(buffer)
    }

    /// Calls `each` with all samples in blocks.
    ///
    /// # Errors
    /// As [`Planes::into_buffer`]; those of `each`.
    pub fn read(
        mut self,
        block: &mut Buffer,
        interleaved: bool,
        mut each: impl FnMut(&mut Buffer) -> pure_sound::Result<()>,
    ) -> pure_sound::Result<()> {
        let spec = block.spec();
        let (whole, frames) = self.shape(spec.channels(), interleaved)?;
        for start in (0..frames).step_by(BLOCK_FRAMES) {
            self.fill(whole, block, spec, start, BLOCK_FRAMES.min(frames - start));
            each(block)?;
        }
        Ok(())
    }

    /// Sends all samples through `chain`, in blocks of at most `max_frames`, and writes them back to where they came from. Samples that
    /// are only multiplied stay where they are.
    ///
    /// # Errors
    /// As [`Planes::read`]; [`CoreError::InvalidValue`] when channels share memory; [`CoreError::Conflict`] when the chain leaves another
    /// number of frames or another spec.
    pub fn change(
        mut self,
        block: &mut Buffer,
        max_frames: usize,
        interleaved: bool,
        chain: &mut Chain,
    ) -> pure_sound::Result<()> {
        let spec = block.spec();
        let (whole, frames) = self.shape(spec.channels(), interleaved)?;
        let shared = |i: usize| self.planes[..i].iter().any(|p| p.overlaps(&self.planes[i]));
        if whole.is_none() && (1..self.planes.len()).any(shared) {
            return Err(wrong("channels that share memory".into(), "channels apart from each other".into()));
        }
        if frames > 0
            && let Some(mut scaling) = chain.scaling(frames)
        {
            for plane in whole.as_slice().iter().chain(self.planes.iter().filter(|_| whole.is_none())) {
                // SAFETY: the arrays do not share memory, and JavaScript does not run meanwhile.
                scaling.apply(unsafe { std::slice::from_raw_parts_mut(plane.data, plane.length) });
            }
            return Ok(());
        }
        for start in (0..frames).step_by(max_frames) {
            let count = max_frames.min(frames - start);
            self.fill(whole, block, spec, start, count);
            chain.process(block);
            if block.frames() != count || block.spec() != spec {
                return Err(CoreError::Conflict {
                    what: "these filters change the length, rate or channels: use ChainStream, not samples in place"
                        .into(),
                });
            }
            match whole {
                Some(plane) => weave_out(block, plane, start),
                None => self.copy_out(block, start),
            }
        }
        Ok(())
    }

    /// The single array, when interleaved, and the number of frames.
    fn shape(&mut self, channels: usize, interleaved: bool) -> pure_sound::Result<(Option<Plane>, usize)> {
        if interleaved {
            let (plane, frames) = self.interleaved(channels)?;
            return Ok((Some(plane), frames));
        }
        Ok((None, self.split(channels)?))
    }

    fn fill(&self, whole: Option<Plane>, block: &mut Buffer, spec: Spec, start: usize, count: usize) {
        block.set_spec(spec);
        block.set_frames(count);
        match whole {
            Some(plane) => weave_in(plane, block, start),
            None => self.copy_in(block, start, count),
        }
    }

    fn copy_in(&self, block: &mut Buffer, start: usize, count: usize) {
        block.set_frames(count);
        for (to, from) in block.channels_mut().zip(&self.planes) {
            // SAFETY: `start + count` is at most the length of every plane, see `split`; `to` has `count` samples and is ours.
            unsafe { ptr::copy_nonoverlapping(from.data.add(start), to.as_mut_ptr(), count) };
        }
    }

    fn copy_out(&self, block: &Buffer, start: usize) {
        for (from, to) in block.channels().zip(&self.planes) {
            // SAFETY: as in `copy_in`.
            unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to.data.add(start), from.len()) };
        }
    }
}

fn weave_in(whole: Plane, block: &mut Buffer, start: usize) {
    let channels = block.channel_count();
    for (index, to) in block.channels_mut().enumerate() {
        for (frame, sample) in to.iter_mut().enumerate() {
            // SAFETY: `(start + frames) * channels` is at most the length, see `interleaved`.
            *sample = unsafe { whole.data.add((start + frame) * channels + index).read() };
        }
    }
}

fn weave_out(block: &Buffer, whole: Plane, start: usize) {
    let channels = block.channel_count();
    for (index, from) in block.channels().enumerate() {
        for (frame, sample) in from.iter().enumerate() {
            // SAFETY: as in `weave_in`.
            unsafe { whole.data.add((start + frame) * channels + index).write(*sample) };
        }
    }
}

/// A `Float32Array` of `samples`.
///
/// # Errors
/// When JavaScript cannot make one.
pub fn float_array(env: &Env, samples: Vec<f32>) -> napi::Result<Float32ArraySlice<'_>> {
    if size_of_val(&*samples) <= COPY_BYTES {
        Float32ArraySlice::copy_from(env, samples)
    } else {
        Float32ArraySlice::from_data(env, samples)
    }
}

/// Audio on its way to JavaScript: `{ rate_hz, layout, frames, samples }`, the samples channel after channel.
pub struct Audio(pub Buffer);

impl ToNapiValue for Audio {
    unsafe fn to_napi_value(raw: sys::napi_env, Self(buffer): Self) -> napi::Result<sys::napi_value> {
        let env = Env::from_raw(raw);
        let (spec, frames) = (buffer.spec(), buffer.frames());
        let mut object = Object::new(&env)?;
        object.set("rate_hz", spec.rate_hz)?;
        object.set("layout", spec.layout.name())?;
        object.set("frames", frames as f64)?;
        object.set("samples", float_array(&env, buffer.into_planar())?)?;
        Ok(object.raw())
    }
}
