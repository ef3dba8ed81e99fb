//! Recommendations, comparisons, pictures and pages.

use std::sync::Arc;

use pure_sound::formats::Source;
use pure_sound::processing::{Control, Report};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::de::DeserializeOwned;

use crate::engine::Engine;
use crate::run::{Caller, CancelToken};
use crate::sources::Input;
use crate::tables::{from_json, to_json};

/// What the caller of a long call handed over beside its inputs.
struct Beside<'a> {
    options: Option<&'a str>,
    progress: Option<Py<PyAny>>,
    cancel: Option<Py<CancelToken>>,
    tenant: Option<&'a str>,
}

impl Beside<'_> {
    /// Does `work` with an input and its options.
    fn one<O: DeserializeOwned + Default + Send, T: Send>(
        self,
        py: Python<'_>,
        engine: &Engine,
        source: Input,
        work: impl FnOnce(&pure_sound::Engine, Source, &O, &Control) -> pure_sound::Result<T> + Send,
    ) -> PyResult<T> {
        let (engine, options) = (engine.get(py)?, from_json::<O>(py, "options", self.options)?);
        let Input { source, faults } = source;
        let tenant = self.tenant.map(Arc::from);
        let caller = Caller { progress: self.progress, cancel: self.cancel, tenant, faults };
        caller.run(py, move |control| work(&engine, source, &options, control))
    }

    /// As [`Beside::one`] with two inputs. What the file object of the second one raised is raised here.
    fn two<O: DeserializeOwned + Default + Send, T: Send>(
        self,
        py: Python<'_>,
        engine: &Engine,
        first: Input,
        second: Input,
        work: impl FnOnce(&pure_sound::Engine, Source, Source, &O, &Control) -> pure_sound::Result<T> + Send,
    ) -> PyResult<T> {
        let Input { source, faults } = second;
        let done = self.one(py, engine, first, move |engine, first, options, control| {
            work(engine, first, source, options, control)
        });
        match faults.take() {
            Some(fault) => Err(fault),
            None => done,
        }
    }
}

/// What an input is made of.
#[pyfunction]
#[pyo3(signature = (engine, source, options=None, progress=None, cancel=None, tenant=None))]
pub fn classify(
    py: Python<'_>,
    engine: &Engine,
    source: Input,
    options: Option<&str>,
    progress: Option<Py<PyAny>>,
    cancel: Option<Py<CancelToken>>,
    tenant: Option<&str>,
) -> PyResult<String> {
    let beside = Beside { options, progress, cancel, tenant };
    beside.one(py, engine, source, |engine, source, options, control| {
        to_json(&engine.classify(source, options, control)?)
    })
}

/// What to do with an input.
#[pyfunction]
#[pyo3(signature = (engine, source, options=None, progress=None, cancel=None, tenant=None))]
pub fn recommend(
    py: Python<'_>,
    engine: &Engine,
    source: Input,
    options: Option<&str>,
    progress: Option<Py<PyAny>>,
    cancel: Option<Py<CancelToken>>,
    tenant: Option<&str>,
) -> PyResult<String> {
    let beside = Beside { options, progress, cancel, tenant };
    beside.one(py, engine, source, |engine, source, options, control| {
        to_json(&engine.recommend(source, options, control)?)
    })
}

/// How far an input lies off its reference.
#[pyfunction]
#[pyo3(signature = (engine, reference, degraded, options=None, progress=None, cancel=None, tenant=None))]
#[expect(clippy::too_many_arguments, reason = "keywords in Python")]
pub fn compare(
    py: Python<'_>,
    engine: &Engine,
    reference: Input,
    degraded: Input,
    options: Option<&str>,
    progress: Option<Py<PyAny>>,
    cancel: Option<Py<CancelToken>>,
    tenant: Option<&str>,
) -> PyResult<String> {
    let beside = Beside { options, progress, cancel, tenant };
    beside.two(py, engine, reference, degraded, |engine, reference, degraded, options, control| {
        to_json(&engine.compare(reference, degraded, options, control)?)
    })
}

/// Waveform peaks.
#[pyfunction]
#[pyo3(signature = (engine, source, options=None, progress=None, cancel=None, tenant=None))]
pub fn waveform_peaks(
    py: Python<'_>,
    engine: &Engine,
    source: Input,
    options: Option<&str>,
    progress: Option<Py<PyAny>>,
    cancel: Option<Py<CancelToken>>,
    tenant: Option<&str>,
) -> PyResult<String> {
    let beside = Beside { options, progress, cancel, tenant };
    beside.one(py, engine, source, |engine, source, options, control| {
        to_json(&engine.waveform_peaks(source, options, control)?)
    })
}

/// The waveform as PNG.
#[pyfunction]
#[pyo3(signature = (engine, source, options=None, progress=None, cancel=None, tenant=None))]
pub fn waveform_png<'py>(
    py: Python<'py>,
    engine: &Engine,
    source: Input,
    options: Option<&str>,
    progress: Option<Py<PyAny>>,
    cancel: Option<Py<CancelToken>>,
    tenant: Option<&str>,
) -> PyResult<Bound<'py, PyBytes>> {
    let beside = Beside { options, progress, cancel, tenant };
    let png = beside
        .one(py, engine, source, |engine, source, options, control| engine.waveform_png(source, options, control))?;
    Ok(PyBytes::new(py, &png))
}

/// A spectrogram as PNG.
#[pyfunction]
#[pyo3(signature = (engine, source, options=None, progress=None, cancel=None, tenant=None))]
pub fn spectrogram_png<'py>(
    py: Python<'py>,
    engine: &Engine,
    source: Input,
    options: Option<&str>,
    progress: Option<Py<PyAny>>,
    cancel: Option<Py<CancelToken>>,
    tenant: Option<&str>,
) -> PyResult<Bound<'py, PyBytes>> {
    let beside = Beside { options, progress, cancel, tenant };
    let png = beside
        .one(py, engine, source, |engine, source, options, control| engine.spectrogram_png(source, options, control))?;
    Ok(PyBytes::new(py, &png))
}

/// A page of an input, with what stands on it.
#[pyfunction]
#[pyo3(signature = (engine, source, options=None, progress=None, cancel=None, tenant=None))]
pub fn analysis_page(
    py: Python<'_>,
    engine: &Engine,
    source: Input,
    options: Option<&str>,
    progress: Option<Py<PyAny>>,
    cancel: Option<Py<CancelToken>>,
    tenant: Option<&str>,
) -> PyResult<String> {
    let beside = Beside { options, progress, cancel, tenant };
    beside.one(py, engine, source, |engine, source, options, control| {
        to_json(&engine.analysis_page(source, options, control)?)
    })
}

/// A page of a recording before and after it was processed.
#[pyfunction]
#[pyo3(signature = (engine, before, after, report=None, options=None, progress=None, cancel=None, tenant=None))]
#[expect(clippy::too_many_arguments, reason = "keywords in Python")]
pub fn comparison_page(
    py: Python<'_>,
    engine: &Engine,
    before: Input,
    after: Input,
    report: Option<&str>,
    options: Option<&str>,
    progress: Option<Py<PyAny>>,
    cancel: Option<Py<CancelToken>>,
    tenant: Option<&str>,
) -> PyResult<String> {
    let report: Option<Report> = from_json(py, "report", report)?;
    let beside = Beside { options, progress, cancel, tenant };
    beside.two(py, engine, before, after, move |engine, before, after, options, control| {
        engine.comparison_page(before, after, report.as_ref(), options, control)
    })
}
