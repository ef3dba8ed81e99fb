//! Inputs and outputs as Python people have them: paths, bytes, file objects, arrays.

use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pure_sound::formats::Source;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::inspect::PyStaticExpr;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyTuple};
use pyo3::{type_hint_identifier, type_hint_subscript, type_hint_union};

use crate::errors::raise;
use crate::samples::{Samples, spec};

/// Bytes asked from a file object at once: each call takes the interpreter's lock.
const FILE_BUFFER_BYTES: usize = 1 << 18;

/// What file objects raised, for the end of the call. The first counts.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Option<PyErr>>>);

impl Faults {
    /// Keeps `error` and gives the I/O error that stands for it on the way through core.
    fn keep(&self, error: PyErr) -> io::Error {
        let told = io::Error::other(error.to_string());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        told
    }

    /// What was raised since the last call of this.
    pub fn take(&self) -> Option<PyErr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What was raised, else the exception for `error`.
    pub fn raise(&self, py: Python<'_>, error: &pure_sound::Error) -> PyErr {
        self.take().unwrap_or_else(|| raise(py, error))
    }
}

/// An input: a path, bytes, a binary file object, or the tuple (samples, rate_hz, layout).
pub struct Input {
    pub source: Source,
    pub faults: Faults,
}

impl FromPyObject<'_, '_> for Input {
    type Error = PyErr;
    const INPUT_TYPE: PyStaticExpr = type_hint_union!(
        type_hint_identifier!("builtins", "str"),
        type_hint_subscript!(type_hint_identifier!("os", "PathLike"), type_hint_identifier!("builtins", "str")),
        type_hint_identifier!("builtins", "bytes"),
        type_hint_identifier!("builtins", "bytearray"),
        type_hint_identifier!("builtins", "memoryview"),
        type_hint_subscript!(type_hint_identifier!("typing", "IO"), type_hint_identifier!("builtins", "bytes")),
        type_hint_subscript!(
            type_hint_identifier!("builtins", "tuple"),
            type_hint_identifier!("typing", "Any"),
            type_hint_identifier!("builtins", "int"),
            type_hint_union!(
                type_hint_identifier!("builtins", "str"),
                PyStaticExpr::Constant { value: pyo3::inspect::PyStaticConstant::None }
            )
        )
    );

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let faults = Faults::default();
        let source = source(&object, &faults)?;
        Ok(Self { source, faults })
    }
}

fn source(object: &Bound<'_, PyAny>, faults: &Faults) -> PyResult<Source> {
    let py = object.py();
    if object.is_instance_of::<PyBytes>() || object.is_instance_of::<PyByteArray>() {
        // A bytearray may change while it is read: `PyBackedBytes` takes a copy of it, and none of `bytes`.
        return Ok(Source::Seekable(Box::new(Cursor::new(object.extract::<PyBackedBytes>()?))));
    }
    if let Ok(view) = object.cast::<pyo3::types::PyMemoryView>() {
        let bytes = view.call_method0("tobytes")?.extract::<PyBackedBytes>()?;
        return Ok(Source::Seekable(Box::new(Cursor::new(bytes))));
    }
    if let Ok(audio) = object.cast::<PyTuple>() {
        let (samples, rate_hz, layout): (Samples<'_>, u32, Option<String>) = audio.extract()?;
        let place = samples.place(false)?;
        let spec = spec(py, rate_hz, place.channels(), layout.as_deref())?;
        // SAFETY: `samples` keeps the array borrowed.
        let buffer = unsafe { place.to_buffer(spec) };
        return Source::from_audio(&buffer).map_err(|error| raise(py, &error));
    }
    if object.hasattr("read")? {
        let file = PyFile::open(object, faults.clone())?;
        return Ok(if file.seekable {
            Source::Seekable(Box::new(BufReader::with_capacity(FILE_BUFFER_BYTES, file)))
        } else {
            Source::Stream(Box::new(BufReader::with_capacity(FILE_BUFFER_BYTES, file)))
        });
    }
    Ok(Source::Path(path(object).map_err(|_| {
        let kind = object.get_type().name().map_or_else(|_| "that".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!(
            "an input is a path (str or os.PathLike), bytes, a binary file object or a pure_sound.Audio, not {kind}"
        ))
    })?))
}

/// A path: `str` or `os.PathLike`.
pub fn path(object: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    object.extract()
}

/// A Python file object that was opened for bytes.
pub struct PyFile {
    object: Py<PyAny>,
    faults: Faults,
    seekable: bool,
    /// Where it stood when it was given: that is its start.
    start: u64,
}

impl PyFile {
    /// Takes the object as it stands.
    pub fn open(object: &Bound<'_, PyAny>, faults: Faults) -> PyResult<Self> {
        let seekable = object.hasattr("seek")?
            && match object.getattr_opt("seekable")? {
                Some(seekable) => seekable.call0()?.is_truthy()?,
                None => true,
            };
        let start = if seekable { object.call_method0("tell")?.extract()? } else { 0 };
        Ok(Self { object: object.clone().unbind(), faults, seekable, start })
    }

    /// True when it can be sought in.
    pub fn is_seekable(&self) -> bool {
        self.seekable
    }

    fn call<T>(&self, work: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> io::Result<T> {
        Python::attach(|py| work(self.object.bind(py))).map_err(|error| self.faults.keep(error))
    }
}

impl Read for PyFile {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.call(|file| {
            let read = file.call_method1("read", (to.len(),))?;
            if read.is_none() {
                return Err(PyValueError::new_err("the file object is non-blocking: read() returned None"));
            }
            let bytes = read.extract::<PyBackedBytes>().map_err(|_| {
                PyTypeError::new_err(
                    "the file object is not binary: its read() returns no bytes; open it with mode 'rb'",
                )
            })?;
            let count = bytes.len();
            let Some(to) = to.get_mut(..count) else {
                return Err(PyValueError::new_err(format!("read({}) returned {count} bytes", to.len())));
            };
            to.copy_from_slice(&bytes);
            Ok(count)
        })
    }
}

impl Write for PyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.call(|file| {
            let written = file.call_method1("write", (PyBytes::new(file.py(), bytes),))?;
            // Objects that are only like files often return nothing.
            if written.is_none() { Ok(bytes.len()) } else { written.extract() }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.call(|file| match file.getattr_opt("flush")? {
            Some(flush) => flush.call0().map(drop),
            None => Ok(()),
        })
    }
}

impl Seek for PyFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (offset, whence) = match to {
            SeekFrom::Start(n) => (i64::try_from(self.start.saturating_add(n)).unwrap_or(i64::MAX), 0),
            SeekFrom::Current(n) => (n, 1),
            SeekFrom::End(n) => (n, 2),
        };
        let at: u64 = self.call(|file| {
            file.call_method1("seek", (offset, whence))?;
            file.call_method0("tell")?.extract()
        })?;
        at.checked_sub(self.start).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "sought before the start"))
    }
}
