//! Tables of core: errors, filters, schemas.

use pure_sound::filters::registry;
use pure_sound::{Error, ErrorCode, schema as schemas};
use pyo3::prelude::*;

use crate::errors::{quick, raise};

/// Version of the library.
#[pyfunction]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// (number, name, kind) of every error.
#[pyfunction]
pub fn error_table() -> Vec<(u32, &'static str, &'static str)> {
    ErrorCode::ALL.iter().map(|code| (code.number(), code.name(), code.kind().name())).collect()
}

/// All filters as a JSON list.
#[pyfunction]
pub fn filters(py: Python<'_>) -> PyResult<String> {
    quick(py, || to_json(&registry::filters()))
}

/// The JSON Schema called `name`, or an object of all by name.
#[pyfunction]
#[pyo3(signature = (name=None))]
pub fn schema(py: Python<'_>, name: Option<&str>) -> PyResult<String> {
    quick(py, || {
        let all = schemas::all();
        match name {
            None => to_json(&all),
            Some(name) => match all.get(name) {
                Some(one) => to_json(one),
                None => Err(Error::unknown_name("schema", name, all.keys().map(String::as_str))),
            },
        }
    })
}

/// Panics, for the test that a panic becomes an exception.
#[pyfunction]
pub fn panic_for_tests(py: Python<'_>) -> PyResult<()> {
    quick(py, || panic!("for the test"))
}

/// A record as JSON text.
pub fn to_json<T: serde::Serialize>(value: &T) -> pure_sound::error::Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal(format!("JSON of a record: {e}")))
}

/// An argument that came as JSON text; nothing is the default.
pub fn from_json<T: serde::de::DeserializeOwned + Default>(
    py: Python<'_>,
    name: &str,
    text: Option<&str>,
) -> PyResult<T> {
    let Some(text) = text else { return Ok(T::default()) };
    serde_json::from_str(text).map_err(|e| {
        let error = Error::InvalidValue { name: name.into(), value: text.into(), allowed: e.to_string() };
        raise(py, &error)
    })
}
