//! Promises of work on other threads.

use napi::bindgen_prelude::{Env, Object, ToNapiValue};
use pure_sound::{Error as CoreError, guarded};
use serde::Serialize;

use crate::error;
use crate::threads::{self, Lane};

/// Runs `work` on a thread of `lane` and gives a promise of its value. Settles in the JavaScript thread; when that is gone by then
/// (a worker that was terminated), the value is dropped.
///
/// # Errors
/// When no promise can be made.
pub fn promise<'env, T>(
    env: &'env Env,
    lane: Lane,
    work: impl FnOnce() -> pure_sound::Result<T> + Send + 'static,
) -> napi::Result<Object<'env>>
where
    T: ToNapiValue + Send + 'static,
{
    let (deferred, promise) = env.create_deferred()?;
    let started = threads::run(lane, move || {
        let outcome = guarded(work);
        deferred.resolve(move |env: Env| outcome.map_err(|error| error::to_js(&env, &error)));
    });
    // The promise is gone with the work.
    started.map_err(|error| error::to_js(env, &error))?;
    Ok(promise)
}

/// JSON text of a record.
///
/// # Errors
/// [`CoreError::Internal`] for a record that cannot be JSON.
pub fn json<T: Serialize + ?Sized>(record: &T) -> pure_sound::Result<String> {
    serde_json::to_string(record).map_err(|e| CoreError::internal(format!("record to JSON: {e}")))
}

/// Reads options from JSON text.
///
/// # Errors
/// [`CoreError::InvalidValue`] with what serde says.
pub fn options<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> pure_sound::Result<T> {
    serde_json::from_str(text).map_err(|e| CoreError::InvalidValue {
        name: name.into(),
        value: e.to_string(),
        allowed: format!("the fields of {name}, see its schema"),
    })
}
