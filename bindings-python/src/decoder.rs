//! `Decoder`: one input, block by block.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use pure_sound::Error;
use pure_sound::audio::{Buffer, Spec};
use pure_sound::formats::{Decoder as Inner, ReadOptions};
use pyo3::prelude::*;

use crate::errors::{quick, raise};
use crate::fork::Home;
use crate::run::Caller;
use crate::samples::{NewSamples, SamplesMut};
use crate::sources::{Faults, Input};
use crate::tables::to_json;

/// Locks what one thread at a time may use: the other one is told so, and does not wait.
pub fn exclusive<'a, T>(py: Python<'_>, mutex: &'a Mutex<T>, what: &'static str) -> PyResult<MutexGuard<'a, T>> {
    match mutex.try_lock() {
        Ok(guard) => Ok(guard),
        Err(TryLockError::Poisoned(poisoned)) => Ok(PoisonError::into_inner(poisoned)),
        Err(TryLockError::WouldBlock) => Err(raise(py, &Error::Busy { what })),
    }
}

/// What was closed says so.
pub fn open<'a, T>(py: Python<'_>, slot: &'a mut Option<T>, what: &'static str) -> PyResult<&'a mut T> {
    slot.as_mut().ok_or_else(|| raise(py, &Error::Closed { what }))
}

struct State {
    decoder: Box<dyn Inner>,
    block: Buffer,
}

/// Reads one input in blocks.
#[pyclass(frozen, module = "pure_sound._native")]
pub struct Decoder {
    state: Mutex<Option<State>>,
    spec: Spec,
    faults: Faults,
    home: Home,
}

impl Decoder {
    pub fn open(
        py: Python<'_>,
        engine: &Arc<pure_sound::Engine>,
        input: Input,
        options: &ReadOptions,
        home: Home,
    ) -> PyResult<Self> {
        let Input { source, faults } = input;
        let caller = Caller { faults: faults.clone(), ..Caller::default() };
        let decoder = caller.run(py, |_| engine.open(source, options))?;
        let spec = decoder.info().spec;
        let state = State { decoder, block: Buffer::new(spec, 0) };
        Ok(Self { state: Mutex::new(Some(state)), spec, faults, home })
    }

    fn next(&self, py: Python<'_>, max_frames: usize) -> PyResult<Buffer> {
        self.work(py, |state| {
            // The array takes the block's memory over, so each has one of its own.
            let mut block = Buffer::new(self.spec, 0);
            state.decoder.read(&mut block, max_frames)?;
            Ok(block)
        })
    }

    fn work<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut State) -> pure_sound::error::Result<T> + Send,
    ) -> PyResult<T> {
        self.home.check(py, "decoder")?;
        let mut guard = exclusive(py, &self.state, "decoder")?;
        let state = open(py, &mut guard, "decoder")?;
        let result = py.detach(|| pure_sound::guarded(|| work(state)));
        match (result, self.faults.take()) {
            (_, Some(fault)) => Err(fault),
            (result, None) => result.map_err(|error| raise(py, &error)),
        }
    }
}

#[pymethods]
impl Decoder {
    /// What is being decoded. The duration may become more exact while reading.
    fn info(&self, py: Python<'_>) -> PyResult<String> {
        let mut guard = exclusive(py, &self.state, "decoder")?;
        let state = open(py, &mut guard, "decoder")?;
        quick(py, || to_json(state.decoder.info()))
    }

    #[getter]
    fn rate_hz(&self) -> u32 {
        self.spec.rate_hz
    }

    #[getter]
    fn channels(&self) -> usize {
        self.spec.channels()
    }

    #[getter]
    fn layout(&self) -> String {
        self.spec.layout.name()
    }

    /// The next frames, at most `max_frames`; none at the end. A new array of (channels, frames).
    fn read<'py>(&self, py: Python<'py>, max_frames: usize) -> PyResult<NewSamples<'py>> {
        NewSamples::from_buffer(py, self.next(py, max_frames)?)
    }

    /// As `read`, (frames, channels).
    fn read_interleaved<'py>(&self, py: Python<'py>, max_frames: usize) -> PyResult<NewSamples<'py>> {
        NewSamples::interleaved(py, &self.next(py, max_frames)?)
    }

    /// Fills `out`, (channels, frames), with the next frames; gives their number, which is less than its length at the end only.
    fn read_into(&self, py: Python<'_>, mut out: SamplesMut<'_>) -> PyResult<usize> {
        let place = out.place(false)?;
        place.check_channels(py, self.spec.channels())?;
        self.work(py, move |state| {
            let mut done = 0;
            while done < place.frames() {
                let count = state.decoder.read(&mut state.block, place.frames() - done)?;
                if count == 0 {
                    break;
                }
                // SAFETY: `out` keeps the array borrowed; `done + count` is at most its frames.
                unsafe { place.write(&state.block, done) };
                done += count;
            }
            Ok(done)
        })
    }

    /// Continues at exactly this frame.
    fn seek(&self, py: Python<'_>, frame: u64) -> PyResult<()> {
        self.work(py, |state| state.decoder.seek(frame))
    }

    /// Damage met so far.
    fn damage(&self, py: Python<'_>) -> PyResult<String> {
        let mut guard = exclusive(py, &self.state, "decoder")?;
        let state = open(py, &mut guard, "decoder")?;
        quick(py, || to_json(state.decoder.damage()))
    }

    /// Lets go of the input. What follows fails with CLOSED; closing again does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let state = exclusive(py, &self.state, "decoder")?.take();
        py.detach(|| drop(state));
        Ok(())
    }

    #[getter]
    fn closed(&self) -> bool {
        self.state.try_lock().is_ok_and(|state| state.is_none())
    }
}
