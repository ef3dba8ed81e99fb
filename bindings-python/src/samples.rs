//! Samples between numpy and core: arrays of float32, read and written where they lie.

use numpy::{
    BorrowError, Element, PyArray1, PyArray2, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyReadwriteArrayDyn,
};
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pure_sound::Error;
use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::inspect::PyStaticExpr;
use pyo3::prelude::*;
use pyo3::{type_hint_identifier, type_hint_subscript};

use crate::errors::raise;

/// `numpy.typing.NDArray[numpy.float32]`, for the stubs.
const F32_ARRAY: PyStaticExpr =
    type_hint_subscript!(type_hint_identifier!("numpy.typing", "NDArray"), type_hint_identifier!("numpy", "float32"));

/// Most channels of an array: more is surely a transposed one.
const MAX_CHANNELS: usize = 1024;

/// An array to read.
pub struct Samples<'py>(PyReadonlyArrayDyn<'py, f32>);

/// An array to write in place.
pub struct SamplesMut<'py>(PyReadwriteArrayDyn<'py, f32>);

/// A new array of samples.
pub struct NewSamples<'py>(Bound<'py, PyArray2<f32>>);

/// A new array of numbers over time.
pub struct NewArray<'py>(Bound<'py, PyArrayDyn<f32>>);

impl<'py> FromPyObject<'_, 'py> for Samples<'py> {
    type Error = PyErr;
    const INPUT_TYPE: PyStaticExpr = F32_ARRAY;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(float_array(object)?.try_readonly().map_err(PyErr::from)?))
    }
}

impl<'py> FromPyObject<'_, 'py> for SamplesMut<'py> {
    type Error = PyErr;
    const INPUT_TYPE: PyStaticExpr = F32_ARRAY;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let array = float_array(object)?.try_readwrite().map_err(|error| match error {
            // As numpy itself says it.
            BorrowError::NotWriteable => PyValueError::new_err("samples are read-only: give a copy, samples.copy()"),
            other => other.into(),
        })?;
        Ok(Self(array))
    }
}

impl<'py> IntoPyObject<'py> for NewSamples<'py> {
    type Target = PyArray2<f32>;
    type Output = Bound<'py, PyArray2<f32>>;
    type Error = std::convert::Infallible;
    const OUTPUT_TYPE: PyStaticExpr = F32_ARRAY;

    fn into_pyobject(self, _: Python<'py>) -> Result<Self::Output, Self::Error> {
        Ok(self.0)
    }
}

impl<'py> IntoPyObject<'py> for NewArray<'py> {
    type Target = PyArrayDyn<f32>;
    type Output = Bound<'py, PyArrayDyn<f32>>;
    type Error = std::convert::Infallible;
    const OUTPUT_TYPE: PyStaticExpr = F32_ARRAY;

    fn into_pyobject(self, _: Python<'py>) -> Result<Self::Output, Self::Error> {
        Ok(self.0)
    }
}

fn float_array<'a, 'py>(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Borrowed<'a, 'py, PyArrayDyn<f32>>> {
    object.cast::<PyArrayDyn<f32>>().map_err(|_| match object.cast::<PyUntypedArray>() {
        Ok(array) => PyTypeError::new_err(format!(
            "samples must be float32, not {}; convert them with samples.astype(numpy.float32), integers divided by full scale",
            array.dtype()
        )),
        Err(_) => PyTypeError::new_err(format!(
            "samples must be a numpy.ndarray of float32, not {}",
            object.get_type().name().map_or_else(|_| "that".into(), |name| name.to_string())
        )),
    })
}

/// Where the samples of an array are. Strides count samples.
#[derive(Clone, Copy)]
pub struct Place {
    first: *mut f32,
    channels: usize,
    frames: usize,
    channel_stride: isize,
    frame_stride: isize,
}

// SAFETY: a pointer and numbers. Who makes a `Place` keeps the array borrowed for as long as it is used.
unsafe impl Send for Place {}
// SAFETY: as above; reading through a shared `Place` only reads the array.
unsafe impl Sync for Place {}

impl Place {
    fn of<T: Element>(array: &Bound<'_, PyArrayDyn<T>>, first: *mut f32, interleaved: bool) -> PyResult<Self> {
        let item = size_of::<f32>() as isize;
        let (shape, strides) = (array.shape(), array.strides());
        let (channels, frames, channel_stride, frame_stride) = match (shape, strides) {
            ([frames], [stride]) => (1, *frames, 0, stride / item),
            ([a, b], [s, t]) if interleaved => (*b, *a, t / item, s / item),
            ([a, b], [s, t]) => (*a, *b, s / item, t / item),
            _ => {
                return Err(raise(
                    array.py(),
                    &Error::InvalidValue {
                        name: "samples.ndim".into(),
                        value: shape.len().to_string(),
                        allowed: "1 (mono) or 2, with shape (channels, frames)".into(),
                    },
                ));
            }
        };
        if channels == 0 || channels > MAX_CHANNELS || strides.iter().any(|s| s % item != 0) {
            let wanted = if interleaved { "(frames, channels)" } else { "(channels, frames)" };
            return Err(raise(
                array.py(),
                &Error::InvalidValue {
                    name: "samples.shape".into(),
                    value: format!("{shape:?}"),
                    allowed: format!(
                        "{wanted} with 1 to {MAX_CHANNELS} channels; for arrays of (frames, channels) there are functions called *_interleaved"
                    ),
                },
            ));
        }
        Ok(Self { first, channels, frames, channel_stride, frame_stride })
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Fails unless the array has `channels` channels.
    pub fn check_channels(&self, py: Python<'_>, channels: usize) -> PyResult<()> {
        if self.channels == channels {
            return Ok(());
        }
        Err(raise(
            py,
            &Error::InvalidValue {
                name: "samples.shape".into(),
                value: format!("{} channels of {} frames", self.channels, self.frames),
                allowed: format!(
                    "{channels} channels; for arrays of (frames, channels) there are functions called *_interleaved"
                ),
            },
        ))
    }

    /// Replaces the content of `block`, which has room for it, by `count` frames from `start`.
    ///
    /// # Safety
    /// The array is still borrowed, and `start + count` lies within its frames.
    pub unsafe fn read(&self, block: &mut Buffer, start: usize, count: usize) {
        block.set_frames(count);
        for (index, to) in block.channels_mut().take(self.channels).enumerate() {
            // SAFETY: channel and frame are within the array's shape, so the places computed by its strides are within its memory.
            unsafe {
                let from = self.first.offset(index as isize * self.channel_stride + start as isize * self.frame_stride);
                if self.frame_stride == 1 {
                    to.copy_from_slice(std::slice::from_raw_parts(from, count));
                } else {
                    for (frame, sample) in to.iter_mut().enumerate() {
                        *sample = *from.offset(frame as isize * self.frame_stride);
                    }
                }
            }
        }
    }

    /// Writes the content of `block` to the frames from `start`.
    ///
    /// # Safety
    /// As [`Place::read`]; the array is borrowed for writing.
    pub unsafe fn write(&self, block: &Buffer, start: usize) {
        for (index, from) in block.channels().take(self.channels).enumerate() {
            // SAFETY: as in `read`; nobody else reads or writes the array through its borrow flag.
            unsafe {
                let to = self.first.offset(index as isize * self.channel_stride + start as isize * self.frame_stride);
                if self.frame_stride == 1 {
                    std::slice::from_raw_parts_mut(to, from.len()).copy_from_slice(from);
                } else {
                    for (frame, sample) in from.iter().enumerate() {
                        *to.offset(frame as isize * self.frame_stride) = *sample;
                    }
                }
            }
        }
    }

    /// The samples where they lie, one stretch of memory after the other; `None` when they do not lie side by side.
    ///
    /// # Safety
    /// As [`Place::write`].
    pub unsafe fn stretches(&self) -> Option<impl Iterator<Item = &mut [f32]>> {
        let (channels, frames) = (self.channels as isize, self.frames as isize);
        let (count, stride, length) = match (self.channel_stride, self.frame_stride) {
            _ if frames == 0 => (0, 0, 0),
            // Channels in any order, so long as they do not share memory.
            (stride, 1) if channels == 1 || stride.abs() >= frames => (channels, stride, frames),
            (1, stride) if stride == channels => (1, 0, channels * frames),
            _ => return None,
        };
        // SAFETY: this function's contract; each stretch is within the array's shape and apart from the others.
        Some(
            (0..count).map(move |n| unsafe {
                std::slice::from_raw_parts_mut(self.first.offset(n * stride), length as usize)
            }),
        )
    }

    /// All of it as a buffer: one copy, for what keeps its input.
    ///
    /// # Safety
    /// As [`Place::read`].
    pub unsafe fn to_buffer(self, spec: Spec) -> Buffer {
        let mut buffer = Buffer::new(spec, self.frames);
        // SAFETY: this function's contract; all frames.
        unsafe { self.read(&mut buffer, 0, self.frames) };
        buffer
    }
}

impl Samples<'_> {
    /// Where they are. Valid for as long as `self` lives.
    pub fn place(&self, interleaved: bool) -> PyResult<Place> {
        Place::of(&self.0, self.0.data(), interleaved)
    }
}

impl SamplesMut<'_> {
    /// Where they are. Valid for as long as `self` lives.
    pub fn place(&mut self, interleaved: bool) -> PyResult<Place> {
        Place::of(&self.0, self.0.data(), interleaved)
    }
}

impl<'py> NewSamples<'py> {
    /// An array of `(channels, frames)` that takes over the memory of `buffer`.
    pub fn from_buffer(py: Python<'py>, buffer: Buffer) -> PyResult<Self> {
        let shape = [buffer.channel_count(), buffer.frames()];
        Ok(Self(PyArray1::from_vec(py, buffer.into_planar()).reshape(shape)?))
    }

    /// A new array of `(frames, channels)`.
    pub fn interleaved(py: Python<'py>, buffer: &Buffer) -> PyResult<Self> {
        let mut samples = Vec::new();
        buffer.interleave_into(&mut samples);
        Ok(Self(PyArray1::from_vec(py, samples).reshape([buffer.frames(), buffer.channel_count()])?))
    }
}

impl<'py> NewArray<'py> {
    /// An array of `(bands, frames)`, or of `(frames,)` without bands, that takes over the memory of `data`.
    pub fn from_vec(py: Python<'py>, data: Vec<f32>, bands: Option<usize>, frames: usize) -> PyResult<Self> {
        let shape: Vec<usize> = bands.into_iter().chain([frames]).collect();
        Ok(Self(PyArray1::from_vec(py, data).reshape(shape)?))
    }
}

/// Layout and rate of a stream: a name such as `stereo` or `5.1`, or the usual layout of so many channels.
pub fn spec(py: Python<'_>, rate_hz: u32, channels: usize, layout: Option<&str>) -> PyResult<Spec> {
    let layout = match layout {
        None => ChannelLayout::from_count(channels),
        Some(name) => ChannelLayout::parse(name).filter(|layout| layout.channels() == channels).ok_or_else(|| {
            raise(
                py,
                &Error::InvalidValue {
                    name: "layout".into(),
                    value: name.into(),
                    allowed: format!("a layout of {channels} channels (mono, stereo, 5.1, 7.1, a count, ...)"),
                },
            )
        })?,
    };
    Ok(Spec::new(rate_hz, layout))
}
