//! `Meter`: loudness, true peak and levels of a stream.

use std::sync::Mutex;

use pure_sound::audio::{Buffer, Spec};
use pure_sound::meter::{LoudnessMeter, MeterOptions};
use pyo3::prelude::*;

use crate::decoder::exclusive;
use crate::errors::{detached, quick};
use crate::samples::{Samples, spec};
use crate::tables::{from_json, to_json};

/// Frames measured at once.
const BLOCK_FRAMES: usize = 4096;

struct State {
    meter: LoudnessMeter,
    block: Buffer,
}

/// Measures a stream of samples.
#[pyclass(frozen, subclass, module = "pure_sound._native")]
pub struct Meter {
    state: Mutex<State>,
    spec: Spec,
}

impl Meter {
    fn add(&self, py: Python<'_>, samples: &Samples<'_>, interleaved: bool) -> PyResult<()> {
        let place = samples.place(interleaved)?;
        place.check_channels(py, self.spec.channels())?;
        let mut guard = exclusive(py, &self.state, "meter")?;
        let state = &mut *guard;
        detached(py, || {
            for start in (0..place.frames()).step_by(BLOCK_FRAMES) {
                // SAFETY: `samples` keeps the array borrowed; the frames are within it.
                unsafe { place.read(&mut state.block, start, BLOCK_FRAMES.min(place.frames() - start)) };
                state.meter.push(&state.block);
            }
            Ok(())
        })
    }
}

#[pymethods]
impl Meter {
    /// A meter, with options as JSON text.
    #[new]
    #[pyo3(signature = (rate_hz, channels, layout=None, options=None))]
    fn new(
        py: Python<'_>,
        rate_hz: u32,
        channels: usize,
        layout: Option<&str>,
        options: Option<&str>,
    ) -> PyResult<Self> {
        let spec = spec(py, rate_hz, channels, layout)?;
        let options: MeterOptions = from_json(py, "options", options)?;
        quick(py, || {
            let meter = LoudnessMeter::new(spec, options)?;
            Ok(Self { state: Mutex::new(State { meter, block: Buffer::new(spec, BLOCK_FRAMES) }), spec })
        })
    }

    /// Adds the frames of an array of (channels, frames).
    fn push(&self, py: Python<'_>, samples: Samples<'_>) -> PyResult<()> {
        self.add(py, &samples, false)
    }

    /// Adds the frames of an array of (frames, channels).
    fn push_interleaved(&self, py: Python<'_>, samples: Samples<'_>) -> PyResult<()> {
        self.add(py, &samples, true)
    }

    /// Loudness of the last 400 ms in LUFS; -inf for silence.
    #[getter]
    fn momentary_lufs(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(exclusive(py, &self.state, "meter")?.meter.momentary_lufs())
    }

    /// Loudness of the last 3 s in LUFS; -inf for silence.
    #[getter]
    fn short_term_lufs(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(exclusive(py, &self.state, "meter")?.meter.short_term_lufs())
    }

    /// Integrated loudness so far in LUFS; -inf for silence.
    #[getter]
    fn integrated_lufs(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(exclusive(py, &self.state, "meter")?.meter.integrated_lufs())
    }

    /// Frames measured so far.
    #[getter]
    fn frames(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(exclusive(py, &self.state, "meter")?.meter.frames())
    }

    /// All results so far.
    fn summary(&self, py: Python<'_>) -> PyResult<String> {
        let state = exclusive(py, &self.state, "meter")?;
        quick(py, || to_json(&state.meter.summary()))
    }

    /// Forgets the signal.
    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        exclusive(py, &self.state, "meter")?.meter.reset();
        Ok(())
    }
}
