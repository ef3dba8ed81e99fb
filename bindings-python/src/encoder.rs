//! `Encoder`: blocks in, one file out.

use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Mutex;

use pure_sound::Error;
use pure_sound::audio::Buffer;
use pure_sound::processing::{EncodeTarget, Overwrite, StreamEncoder};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::decoder::{exclusive, open};
use crate::errors::{quick, raise};
use crate::fork::Home;
use crate::samples::Samples;
use crate::sources::{Faults, PyFile, path};
use crate::tables::to_json;

/// Bytes that are written to a file object at once.
const FILE_BUFFER_BYTES: usize = 1 << 18;

/// Frames that are handed on at once.
const BLOCK_FRAMES: usize = 16_384;

struct State {
    encoder: StreamEncoder,
    block: Buffer,
}

/// Encodes blocks of samples.
#[pyclass(frozen, module = "pure_sound._native")]
pub struct Encoder {
    state: Mutex<Option<State>>,
    channels: usize,
    faults: Faults,
    home: Home,
}

enum Target {
    Path(PathBuf),
    File(PyFile),
    Memory,
}

impl Encoder {
    pub fn create(
        py: Python<'_>,
        target: Option<Bound<'_, PyAny>>,
        overwrite: Overwrite,
        home: Home,
        make: impl FnOnce(EncodeTarget<'_>) -> pure_sound::error::Result<StreamEncoder> + Send,
    ) -> PyResult<Self> {
        let faults = Faults::default();
        let target = match target {
            None => Target::Memory,
            Some(object) if object.hasattr("write")? => {
                let file = PyFile::open(&object, faults.clone())?;
                if !file.is_seekable() {
                    return Err(PyTypeError::new_err(
                        "the file object cannot be sought in, and encoders go back to complete their headers: encode to memory and write the bytes",
                    ));
                }
                Target::File(file)
            }
            Some(object) => Target::Path(path(&object)?),
        };
        let made = py.detach(|| {
            pure_sound::guarded(|| match target {
                Target::Memory => make(EncodeTarget::Memory),
                Target::Path(path) => make(EncodeTarget::Path(&path, overwrite)),
                Target::File(file) => {
                    make(EncodeTarget::Sink(Box::new(BufWriter::with_capacity(FILE_BUFFER_BYTES, file))))
                }
            })
        });
        let encoder = made.map_err(|error| faults.raise(py, &error))?;
        let spec = encoder.spec();
        let state = State { encoder, block: Buffer::new(spec, BLOCK_FRAMES) };
        Ok(Self { state: Mutex::new(Some(state)), channels: spec.channels(), faults, home })
    }

    fn add(&self, py: Python<'_>, samples: &Samples<'_>, interleaved: bool) -> PyResult<()> {
        self.home.check(py, "encoder")?;
        let place = samples.place(interleaved)?;
        place.check_channels(py, self.channels)?;
        let mut guard = exclusive(py, &self.state, "encoder")?;
        let state = open(py, &mut guard, "encoder")?;
        let written = py.detach(|| {
            pure_sound::guarded(|| {
                for start in (0..place.frames()).step_by(BLOCK_FRAMES) {
                    let count = BLOCK_FRAMES.min(place.frames() - start);
                    // SAFETY: `samples` keeps the array borrowed; the frames are within it.
                    unsafe { place.read(&mut state.block, start, count) };
                    state.encoder.write(&state.block)?;
                }
                Ok(())
            })
        });
        written.map_err(|error| self.faults.raise(py, &error))
    }
}

#[pymethods]
impl Encoder {
    /// What is written: rate, layout, settings with every default filled in, and why they differ from the samples.
    fn negotiated(&self, py: Python<'_>) -> PyResult<String> {
        let mut guard = exclusive(py, &self.state, "encoder")?;
        let state = open(py, &mut guard, "encoder")?;
        quick(py, || to_json(state.encoder.negotiated()))
    }

    /// Encodes the frames of an array of (channels, frames).
    fn write(&self, py: Python<'_>, samples: Samples<'_>) -> PyResult<()> {
        self.add(py, &samples, false)
    }

    /// Encodes the frames of an array of (frames, channels).
    fn write_interleaved(&self, py: Python<'_>, samples: Samples<'_>) -> PyResult<()> {
        self.add(py, &samples, true)
    }

    /// Frames written so far.
    #[getter]
    fn frames(&self, py: Python<'_>) -> PyResult<u64> {
        let mut guard = exclusive(py, &self.state, "encoder")?;
        Ok(open(py, &mut guard, "encoder")?.encoder.frames())
    }

    /// Ends the stream: (record, bytes when the target is memory).
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<(String, Option<Bound<'py, PyBytes>>)> {
        self.home.check(py, "encoder")?;
        let Some(state) = exclusive(py, &self.state, "encoder")?.take() else {
            return Err(raise(py, &Error::Closed { what: "encoder" }));
        };
        let finished = py.detach(|| {
            pure_sound::guarded(|| {
                let (encoded, bytes) = state.encoder.finish()?;
                Ok((to_json(&encoded)?, bytes))
            })
        });
        let (encoded, bytes) = finished.map_err(|error| self.faults.raise(py, &error))?;
        Ok((encoded, bytes.map(|bytes| PyBytes::new(py, &bytes))))
    }

    /// Gives up: no file is left. Does nothing after `finish` and the second time.
    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        let state = exclusive(py, &self.state, "encoder")?.take();
        if self.home.is_here() {
            py.detach(|| drop(state));
        } else {
            std::mem::forget(state);
        }
        Ok(())
    }

    #[getter]
    fn closed(&self) -> bool {
        self.state.try_lock().is_ok_and(|state| state.is_none())
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let state = self.state.get_mut().map(Option::take).unwrap_or_default();
        if !self.home.is_here() {
            std::mem::forget(state);
        }
    }
}
