//! `Resampler`: a stream of samples at another rate.

use std::sync::Mutex;

use pure_sound::Error;
use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::dsp::resampler::{Quality, Resampler as Inner};
use pyo3::prelude::*;

use crate::decoder::exclusive;
use crate::errors::{detached, raise};
use crate::samples::{NewSamples, Samples};

/// Frames converted at once.
const BLOCK_FRAMES: usize = 4096;

struct State {
    resampler: Inner,
    block: Buffer,
    output: Buffer,
    finished: bool,
}

/// Converts the rate of a stream of samples.
#[pyclass(frozen, subclass, module = "pure_sound._native")]
pub struct Resampler {
    state: Mutex<State>,
    output: Spec,
}

impl Resampler {
    fn convert(&self, py: Python<'_>, samples: &Samples<'_>, interleaved: bool) -> PyResult<Buffer> {
        let place = samples.place(interleaved)?;
        place.check_channels(py, self.output.channels())?;
        let mut guard = exclusive(py, &self.state, "resampler")?;
        let state = &mut *guard;
        if state.finished {
            return Err(raise(py, &Error::Conflict { what: "the resampler is finished: reset it first".into() }));
        }
        detached(py, || {
            let mut out = Buffer::new(self.output, state.resampler.max_output_frames(place.frames()));
            for start in (0..place.frames()).step_by(BLOCK_FRAMES) {
                // SAFETY: `samples` keeps the array borrowed; the frames are within it.
                unsafe { place.read(&mut state.block, start, BLOCK_FRAMES.min(place.frames() - start)) };
                state.resampler.process(&state.block, &mut state.output);
                out.append(&state.output, 0, state.output.frames());
            }
            Ok(out)
        })
    }

    fn rest(&self, py: Python<'_>) -> PyResult<Buffer> {
        let mut guard = exclusive(py, &self.state, "resampler")?;
        let state = &mut *guard;
        detached(py, || {
            let mut out = Buffer::new(self.output, 0);
            state.finished = true;
            loop {
                state.resampler.finish(&mut state.output);
                if state.output.frames() == 0 {
                    return Ok(out);
                }
                out.append(&state.output, 0, state.output.frames());
            }
        })
    }
}

#[pymethods]
impl Resampler {
    /// A resampler of quality `fast`, `good` or `best`.
    #[new]
    #[pyo3(signature = (in_rate_hz, out_rate_hz, channels, quality="good"))]
    fn new(py: Python<'_>, in_rate_hz: u32, out_rate_hz: u32, channels: usize, quality: &str) -> PyResult<Self> {
        let quality: Quality = serde_json::from_value(quality.into()).map_err(|_| {
            raise(
                py,
                &Error::InvalidValue {
                    name: "quality".into(),
                    value: quality.into(),
                    allowed: "fast, good, best".into(),
                },
            )
        })?;
        detached(py, || {
            let resampler = Inner::new(in_rate_hz, out_rate_hz, channels, quality)?;
            let layout = ChannelLayout::from_count(channels);
            let output = Spec::new(out_rate_hz, layout);
            let room = resampler.max_output_frames(BLOCK_FRAMES);
            let state = State {
                resampler,
                block: Buffer::new(Spec::new(in_rate_hz, layout), BLOCK_FRAMES),
                output: Buffer::new(output, room),
                finished: false,
            };
            Ok(Self { state: Mutex::new(state), output })
        })
    }

    /// Converts the frames of an array of (channels, frames); gives what is ready, at first nothing.
    fn process<'py>(&self, py: Python<'py>, samples: Samples<'py>) -> PyResult<NewSamples<'py>> {
        NewSamples::from_buffer(py, self.convert(py, &samples, false)?)
    }

    /// As `process`, from and to (frames, channels).
    fn process_interleaved<'py>(&self, py: Python<'py>, samples: Samples<'py>) -> PyResult<NewSamples<'py>> {
        NewSamples::interleaved(py, &self.convert(py, &samples, true)?)
    }

    /// The last frames, (channels, frames).
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<NewSamples<'py>> {
        NewSamples::from_buffer(py, self.rest(py)?)
    }

    /// The last frames, (frames, channels).
    fn finish_interleaved<'py>(&self, py: Python<'py>) -> PyResult<NewSamples<'py>> {
        NewSamples::interleaved(py, &self.rest(py)?)
    }

    /// Most frames that one `process` of so many frames, or `finish`, can give.
    fn max_output_frames(&self, py: Python<'_>, frames: usize) -> PyResult<usize> {
        Ok(exclusive(py, &self.state, "resampler")?.resampler.max_output_frames(frames))
    }

    /// Forgets the signal.
    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        let mut state = exclusive(py, &self.state, "resampler")?;
        state.resampler.reset();
        state.finished = false;
        Ok(())
    }
}
