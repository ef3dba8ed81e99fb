//! Errors of the core as JavaScript errors, and the guard that every entry goes through.

use napi::bindgen_prelude::{Env, FunctionRef, Unknown};
use pure_sound::Error as CoreError;

/// What belongs to one JavaScript environment: the main thread, or a worker.
struct Instance {
    /// Makes an error of the record of [`CoreError::to_json`].
    make: FunctionRef<String, Unknown<'static>>,
}

/// Keeps the function that makes errors.
///
/// # Errors
/// Those of Node-API.
pub fn install(env: &Env, make: FunctionRef<String, Unknown<'static>>) -> napi::Result<()> {
    env.set_instance_data(Instance { make }, (), |_| ())
}

/// The JavaScript error for `error`. For the JavaScript thread.
pub fn to_js(env: &Env, error: &CoreError) -> napi::Error {
    let made = || -> napi::Result<napi::Error> {
        let Some(instance) = env.get_instance_data::<Instance>()? else {
            return Err(napi::Error::from_reason("the addon was not set up"));
        };
        let value = instance.make.borrow_back(env)?.call(error.to_json().to_string())?;
        Ok(napi::Error::from(value))
    };
    made().unwrap_or_else(|_| napi::Error::from_reason(error.to_string()))
}

/// Runs `work` behind the guard; its error becomes a JavaScript error.
pub fn sync<T>(env: &Env, work: impl FnOnce() -> pure_sound::Result<T>) -> napi::Result<T> {
    pure_sound::guarded(work).map_err(|error| to_js(env, &error))
}
