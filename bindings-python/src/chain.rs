//! `Chain`: filters on blocks of samples, where they lie.

use std::sync::Mutex;

use pure_sound::audio::{Buffer, Spec};
use pure_sound::error::{Error, Result};
use pure_sound::filters::{Chain as Inner, FilterSpec, Prepared};
use pure_sound::formats::ReadOptions;
use pyo3::prelude::*;

use crate::decoder::exclusive;
use crate::engine::Engine;
use crate::errors::{detached, quick, raise};
use crate::samples::{NewSamples, Place, Samples, SamplesMut, spec};

/// Up to this number of samples the interpreter's lock is kept: letting go of it costs as much as they do.
const SMALL_SAMPLES: usize = 1024;

struct State {
    chain: Inner,
    block: Buffer,
}

impl State {
    /// Filters what is at `place` there.
    ///
    /// # Safety
    /// The array is borrowed for writing.
    unsafe fn in_place(&mut self, spec: Spec, place: &Place, max_frames: usize) -> Result<()> {
        // SAFETY: this function's contract.
        if let Some(stretches) = unsafe { place.stretches() }
            && let Some(mut scaling) = self.chain.scaling(place.frames())
        {
            stretches.for_each(|samples| scaling.apply(samples));
            return Ok(());
        }
        for start in (0..place.frames()).step_by(max_frames) {
            let count = max_frames.min(place.frames() - start);
            self.block.set_spec(spec);
            // SAFETY: this function's contract; the frames are within the array.
            unsafe { place.read(&mut self.block, start, count) };
            self.chain.process(&mut self.block);
            if self.block.frames() != count {
                return Err(Error::internal(format!("a chain made {} of {count} frames", self.block.frames())));
            }
            // SAFETY: as above; the block has as many frames as were read.
            unsafe { place.write(&self.block, start) };
        }
        Ok(())
    }
}

/// Filters in series on a stream of samples.
#[pyclass(frozen, subclass, module = "pure_sound._native")]
pub struct Chain {
    state: Mutex<State>,
    input: Spec,
    prepared: Prepared,
    max_frames: usize,
}

impl Chain {
    fn keeps_frames(&self) -> bool {
        self.prepared.spec == self.input && self.prepared.max_frames == self.max_frames
    }

    fn in_place(&self, py: Python<'_>, mut samples: SamplesMut<'_>, interleaved: bool) -> PyResult<()> {
        let place = samples.place(interleaved)?;
        place.check_channels(py, self.input.channels())?;
        if !self.keeps_frames() {
            let what =
                "a filter of this chain changes rate, channels or number of frames: use apply, which gives a new array"
                    .into();
            return Err(raise(py, &Error::Conflict { what }));
        }
        let mut guard = exclusive(py, &self.state, "chain")?;
        let state = &mut *guard;
        let work = || {
            // SAFETY: `samples` keeps the array borrowed for writing until this call returns.
            unsafe { state.in_place(self.input, &place, self.max_frames) }
        };
        if place.channels() * place.frames() <= SMALL_SAMPLES { quick(py, work) } else { detached(py, work) }
    }
}

/// Filters from a JSON list of objects and texts in the short form.
fn parse_filters(text: &str) -> Result<Vec<FilterSpec>> {
    let list: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|e| Error::InvalidValue {
        name: "filters".into(),
        value: text.into(),
        allowed: format!("a list of filters ({e})"),
    })?;
    let parse = |filter: serde_json::Value| match filter.as_str() {
        Some(short) => FilterSpec::parse(short),
        None => FilterSpec::from_json(filter),
    };
    list.into_iter().map(parse).collect()
}

#[pymethods]
impl Chain {
    /// A chain of filters (JSON list of objects and short forms), which works in blocks of at most `max_frames` frames. The engine
    /// loads the recordings that filters name.
    #[new]
    #[pyo3(signature = (filters, rate_hz, channels, layout=None, max_frames=2048, engine=None))]
    fn new(
        py: Python<'_>,
        filters: &str,
        rate_hz: u32,
        channels: usize,
        layout: Option<&str>,
        max_frames: usize,
        engine: Option<&Engine>,
    ) -> PyResult<Self> {
        let input = spec(py, rate_hz, channels, layout)?;
        let engine = engine.map(|engine| engine.get(py)).transpose()?;
        detached(py, || {
            let mut specs = parse_filters(filters)?;
            if let Some(engine) = engine {
                engine.load_assets(&mut specs, &ReadOptions::default())?;
            }
            let mut chain = Inner::new(&specs)?;
            let prepared = chain.prepare(input, max_frames)?;
            let block = chain.new_block()?;
            Ok(Self { state: Mutex::new(State { chain, block }), input, prepared, max_frames })
        })
    }

    /// Filters an array of (channels, frames) where it lies. For chains that keep rate, channels and number of frames.
    fn process(&self, py: Python<'_>, samples: SamplesMut<'_>) -> PyResult<()> {
        self.in_place(py, samples, false)
    }

    /// As `process`, for an array of (frames, channels).
    fn process_interleaved(&self, py: Python<'_>, samples: SamplesMut<'_>) -> PyResult<()> {
        self.in_place(py, samples, true)
    }

    /// Filters an array of (channels, frames) into a new one, which has as many frames as the filters gave.
    fn apply<'py>(&self, py: Python<'py>, samples: Samples<'py>) -> PyResult<NewSamples<'py>> {
        let place = samples.place(false)?;
        place.check_channels(py, self.input.channels())?;
        let mut guard = exclusive(py, &self.state, "chain")?;
        let state = &mut *guard;
        let out = detached(py, || {
            let mut out = Buffer::new(self.prepared.spec, 0);
            let ratio = f64::from(self.prepared.spec.rate_hz) / f64::from(self.input.rate_hz);
            out.reserve(self.prepared.spec, (place.frames() as f64 * ratio) as usize);
            for start in (0..place.frames()).step_by(self.max_frames) {
                state.block.set_spec(self.input);
                // SAFETY: `samples` keeps the array borrowed; the frames are within it.
                unsafe { place.read(&mut state.block, start, self.max_frames.min(place.frames() - start)) };
                state.chain.process(&mut state.block);
                out.append(&state.block, 0, state.block.frames());
            }
            Ok(out)
        })?;
        NewSamples::from_buffer(py, out)
    }

    /// After the last block: the frames that filters held back.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<NewSamples<'py>> {
        let mut guard = exclusive(py, &self.state, "chain")?;
        let state = &mut *guard;
        let out = detached(py, || {
            let mut out = Buffer::new(self.prepared.spec, 0);
            loop {
                state.block.set_spec(self.prepared.spec);
                state.chain.finish(&mut state.block);
                if state.block.frames() == 0 {
                    return Ok(out);
                }
                out.append(&state.block, 0, state.block.frames());
            }
        })?;
        NewSamples::from_buffer(py, out)
    }

    /// Sets a parameter of the filter at place `filter` in the list; it glides there.
    fn set_parameter(&self, py: Python<'_>, filter: usize, name: &str, value: f64) -> PyResult<()> {
        let mut state = exclusive(py, &self.state, "chain")?;
        quick(py, || state.chain.set_parameter(filter, name, value))
    }

    /// The value that a parameter has or is on its way to.
    fn parameter(&self, py: Python<'_>, filter: usize, name: &str) -> PyResult<f64> {
        let state = exclusive(py, &self.state, "chain")?;
        quick(py, || state.chain.parameter(filter, name))
    }

    /// Time over which parameters come to their values, in ms, 0 to 1000.
    fn set_glide_ms(&self, py: Python<'_>, glide_ms: f64) -> PyResult<()> {
        let mut state = exclusive(py, &self.state, "chain")?;
        quick(py, || state.chain.set_glide_ms(glide_ms))
    }

    /// Forgets the signal.
    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        let mut state = exclusive(py, &self.state, "chain")?;
        quick(py, || {
            state.chain.reset();
            Ok(())
        })
    }

    /// Frames by which the output is behind the input.
    #[getter]
    fn latency_frames(&self) -> usize {
        self.prepared.latency_frames
    }

    /// Frames of sound that may follow the end of the input.
    #[getter]
    fn tail_frames(&self) -> usize {
        self.prepared.tail_frames
    }

    /// Sample rate of the output in Hz.
    #[getter]
    fn rate_hz(&self) -> u32 {
        self.prepared.spec.rate_hz
    }

    /// Channels of the output.
    #[getter]
    fn channels(&self) -> usize {
        self.prepared.spec.channels()
    }

    /// Layout of the output.
    #[getter]
    fn layout(&self) -> String {
        self.prepared.spec.layout.name()
    }

    /// Samples that were NaN or infinite and became silence, so far.
    #[getter]
    fn non_finite_samples(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(exclusive(py, &self.state, "chain")?.chain.non_finite_samples())
    }

    /// True when no filter is for files only.
    #[getter]
    fn is_realtime(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(exclusive(py, &self.state, "chain")?.chain.is_realtime())
    }
}
