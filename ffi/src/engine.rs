//! The engine: everything with files.

use std::ffi::c_char;
use std::sync::Arc;

use pure_sound::engine::AnalyseOptions;
use pure_sound::formats::tags::Metadata;
use pure_sound::formats::{FormatSettings, ReadOptions};
use pure_sound::processing::Recipe;
use pure_sound::{Engine, Error, Result, schema};
use serde_json::{Value, json};

use crate::audio::{Audio, psnd_audio};
use crate::call::{Call, psnd_call};
use crate::error::{entry, psnd_error};
use crate::handle::{self, Object, Used};
use crate::input::{psnd_input, source};
use crate::outputs::{Outputs, psnd_outputs};
use crate::status::psnd_status;
use crate::text::{self, give, give_bytes, give_json, null, wanted};

/// An engine. May be used by several threads at once.
#[allow(non_camel_case_types)]
pub type psnd_engine = u64;

/// The object behind a [`psnd_engine`].
pub struct TheEngine(pub Arc<Engine>);

impl Object for TheEngine {
    const TAG: u8 = 3;
    const NAME: &'static str = "engine";
}

/// The engine behind `handle`.
pub fn engine(handle: psnd_engine) -> Result<Used<TheEngine>> {
    handle::get(handle)
}

/// Read options from JSON that may be NULL.
///
/// # Safety
/// `json` is NULL or ends with a NUL.
pub unsafe fn read_options(json: *const c_char) -> Result<ReadOptions> {
    // SAFETY: the caller's promise.
    Ok(unsafe { text::record("options", json)? }.unwrap_or_default())
}

/// The recipe that a request asks for.
///
/// # Safety
/// `json` is NULL or ends with a NUL.
unsafe fn recipe(engine: &Engine, json: *const c_char) -> Result<Recipe> {
    // SAFETY: the caller's promise.
    let request = unsafe { text::json("request", json)? }.ok_or_else(|| null("request"))?;
    engine.recipe(&request)
}

/// Makes an engine. `settings_json` is an object shaped like a configuration file, such as `{"engine": {"threads": 2}}`, see the
/// schema `settings`; NULL for the defaults.
///
/// # Safety
/// `settings_json` is NULL or ends with a NUL; `out_engine` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_new(
    settings_json: *const c_char,
    out_engine: *mut psnd_engine,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_engine", out_engine)?;
        // SAFETY: the caller's promise.
        let engine = match unsafe { text::json("settings", settings_json)? } {
            Some(settings) => Engine::builder().settings_json(&settings)?.build()?,
            None => Engine::new()?,
        };
        // SAFETY: as above.
        unsafe { give("out_engine", out_engine, handle::insert(TheEngine(Arc::new(engine)))?) }
    })
}

/// Frees an engine. Calls that run go on and keep what they need; subscriptions get no more events. 0 is fine.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_engine_free(engine: psnd_engine) -> psnd_status {
    entry(std::ptr::null_mut(), || handle::free::<TheEngine>(engine))
}

/// The settings that hold, as JSON.
///
/// # Safety
/// `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_config(
    engine: psnd_engine,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let engine = self::engine(engine)?;
        // SAFETY: the caller's promise.
        unsafe { give_json("out_json", out_json, &engine.0.settings()) }
    })
}

/// All presets as a JSON list, see the schema `preset`.
///
/// # Safety
/// `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_presets(
    engine: psnd_engine,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let engine = self::engine(engine)?;
        // SAFETY: the caller's promise.
        unsafe { give_json("out_json", out_json, &engine.0.presets().iter().collect::<Vec<_>>()) }
    })
}

/// One preset as JSON, see the schema `preset`.
///
/// # Safety
/// `name` ends with a NUL; `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_preset(
    engine: psnd_engine,
    name: *const c_char,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let engine = self::engine(engine)?;
        // SAFETY: the caller's promise.
        unsafe { give_json("out_json", out_json, &engine.0.presets().get(text::required("name", name)?)?) }
    })
}

/// The recipe that a request asks for, as JSON: presets and short forms written out, everything checked.
///
/// # Safety
/// `request_json` ends with a NUL; `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_recipe(
    engine: psnd_engine,
    request_json: *const c_char,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let engine = self::engine(engine)?;
        // SAFETY: the caller's promise.
        unsafe { give_json("out_json", out_json, &recipe(&engine.0, request_json)?) }
    })
}

/// Tells what `psnd_engine_process` would do and why, as JSON, see the schema `plan`. `input` may be NULL when the request names
/// it.
///
/// # Safety
/// `input` is NULL or valid; `request_json` ends with a NUL; `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_plan(
    engine: psnd_engine,
    input: *const psnd_input,
    request_json: *const c_char,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise. The input first: what belongs to it must be given back whatever else is wrong.
        unsafe {
            let given = if input.is_null() { None } else { Some(source(input)?) };
            let engine = self::engine(engine)?;
            let recipe = recipe(&engine.0, request_json)?;
            let plan = match given {
                Some(source) => engine.0.plan_source(source, &recipe)?,
                None => engine.0.plan(&recipe)?,
            };
            give_json("out_json", out_json, &plan)
        }
    })
}

/// Tells what an input is, as JSON, see the schema `media_info`. `options_json`: read options, NULL for the defaults.
///
/// # Safety
/// `input` is valid; text is NULL or ends with a NUL; `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_probe(
    engine: psnd_engine,
    input: *const psnd_input,
    options_json: *const c_char,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise.
        unsafe {
            let source = source(input)?;
            let engine = self::engine(engine)?;
            give_json("out_json", out_json, &engine.0.probe(source, &read_options(options_json)?)?)
        }
    })
}

/// Reads tags, pictures and chapters, as JSON, see the schema `metadata`.
///
/// # Safety
/// `input` is valid; text is NULL or ends with a NUL; `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_tags(
    engine: psnd_engine,
    input: *const psnd_input,
    options_json: *const c_char,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise.
        unsafe {
            let source = source(input)?;
            let engine = self::engine(engine)?;
            give_json("out_json", out_json, &engine.0.tags(source, &read_options(options_json)?)?)
        }
    })
}

/// Measures loudness, true peak and levels of a whole input, as JSON, see the schema `loudness`.
///
/// # Safety
/// `input` and `call` are valid, `call` may be NULL; text is NULL or ends with a NUL; `out_json` is writable; `out_error` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_measure(
    engine: psnd_engine,
    input: *const psnd_input,
    options_json: *const c_char,
    call: *const psnd_call,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise.
        unsafe {
            let (call, source) = (Call::read(call), source(input));
            let (call, source) = (call?, source?);
            let engine = self::engine(engine)?;
            let loudness = engine.0.measure(source, &read_options(options_json)?, &call.control)?;
            give_json("out_json", out_json, &loudness)
        }
    })
}

/// Tells what a whole input is like: loudness, features, tempo, key, pitch, sound and silence; as JSON, see the schema `analysis`.
/// `options_json`: see the schema `analyse_options`, NULL for the defaults; `{"analysis": {"series": true}}` gives the features over time as
/// well.
///
/// # Safety
/// As `psnd_engine_measure`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_analyse(
    engine: psnd_engine,
    input: *const psnd_input,
    options_json: *const c_char,
    call: *const psnd_call,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise.
        unsafe {
            let (call, source) = (Call::read(call), source(input));
            let (call, source) = (call?, source?);
            let engine = self::engine(engine)?;
            let options: AnalyseOptions = text::record("options", options_json)?.unwrap_or_default();
            give_json("out_json", out_json, &engine.0.analyse(source, &options, &call.control)?)
        }
    })
}

/// Runs a recipe: reads, filters, levels, encodes, verifies. Outputs appear whole or not at all. `request_json` is a recipe, see the
/// schema `request`: `{"preset": "podcast", "output": "talk.opus"}`. `input` may be NULL when the request names it. `*out_report` is
/// what was done, as JSON, see the schema `report`; NULL when it is not wanted.
///
/// # Safety
/// `input` and `call` are NULL or valid; `request_json` ends with a NUL; `out_report` and `out_error` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_process(
    engine: psnd_engine,
    input: *const psnd_input,
    request_json: *const c_char,
    call: *const psnd_call,
    out_report: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise.
        unsafe {
            let call = Call::read(call);
            let given = if input.is_null() { None } else { Some(source(input)) };
            let (call, given) = (call?, given.transpose()?);
            let engine = self::engine(engine)?;
            let recipe = recipe(&engine.0, request_json)?;
            let report = match given {
                Some(source) => engine.0.process_source(source, &recipe, &call.control)?,
                None => engine.0.process(&recipe, &call.control)?,
            };
            if out_report.is_null() { Ok(()) } else { give_json("out_report", out_report, &report) }
        }
    })
}

/// As `psnd_engine_process`, but the outputs come back in memory: they have a format and no path,
/// `{"outputs": [{"format": {"format": "opus"}}]}`.
///
/// # Safety
/// As `psnd_engine_process`; `out_outputs` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_process_to_memory(
    engine: psnd_engine,
    input: *const psnd_input,
    request_json: *const c_char,
    call: *const psnd_call,
    out_report: *mut *mut c_char,
    out_outputs: *mut psnd_outputs,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise.
        unsafe {
            let call = Call::read(call);
            let given = if input.is_null() { None } else { Some(source(input)) };
            let (call, given) = (call?, given.transpose()?);
            wanted("out_outputs", out_outputs)?;
            let engine = self::engine(engine)?;
            let recipe = recipe(&engine.0, request_json)?;
            let source = given.unwrap_or_else(|| recipe.input.as_path().into());
            let (report, outputs) = engine.0.process_to_memory(source, &recipe, &call.control)?;
            let outputs = handle::insert(Outputs(outputs))?;
            if !out_report.is_null()
                && let Err(error) = give_json("out_report", out_report, &report)
            {
                handle::free::<Outputs>(outputs)?;
                return Err(error);
            }
            give("out_outputs", out_outputs, outputs)
        }
    })
}

/// Decodes a whole input into memory.
///
/// # Safety
/// `input` and `call` are valid, `call` may be NULL; text is NULL or ends with a NUL; `out_audio` is writable; `out_error` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_decode(
    engine: psnd_engine,
    input: *const psnd_input,
    options_json: *const c_char,
    call: *const psnd_call,
    out_audio: *mut psnd_audio,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        // SAFETY: the caller's promise.
        unsafe {
            let (call, source) = (Call::read(call), source(input));
            let (call, source) = (call?, source?);
            wanted("out_audio", out_audio)?;
            let engine = self::engine(engine)?;
            let audio = engine.0.decode(source, &read_options(options_json)?, &call.control)?;
            give("out_audio", out_audio, handle::insert(Audio(audio))?)
        }
    })
}

/// Encodes audio to a file, which appears whole or not at all. `format_json` is a format with its settings, see the schema `format`;
/// NULL takes that of the extension. `metadata_json`: see the schema `metadata`; NULL for none. `*out_json` tells what was written,
/// see the schema `encoded`; NULL when it is not wanted.
///
/// # Safety
/// Text is NULL or ends with a NUL; `out_json` and `out_error` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_encode(
    engine: psnd_engine,
    audio: psnd_audio,
    path: *const c_char,
    format_json: *const c_char,
    metadata_json: *const c_char,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let (engine, audio) = (self::engine(engine)?, handle::get::<Audio>(audio)?);
        // SAFETY: the caller's promise.
        unsafe {
            let path = text::required("path", path)?;
            let format: Option<FormatSettings> = text::record("format", format_json)?;
            let metadata: Metadata = text::record("metadata", metadata_json)?.unwrap_or_default();
            let encoded = engine.0.encode(&audio.0, path.as_ref(), format.as_ref(), &metadata)?;
            if out_json.is_null() { Ok(()) } else { give_json("out_json", out_json, &encoded) }
        }
    })
}

/// As `psnd_engine_encode`, to memory: the format must be said. Free the bytes by `psnd_bytes_free`.
///
/// # Safety
/// Text is NULL or ends with a NUL; `out_data` and `out_size` are writable; `out_json` and `out_error` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_encode_to_memory(
    engine: psnd_engine,
    audio: psnd_audio,
    format_json: *const c_char,
    metadata_json: *const c_char,
    out_data: *mut *mut u8,
    out_size: *mut usize,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_data", out_data)?;
        wanted("out_size", out_size)?;
        let (engine, audio) = (self::engine(engine)?, handle::get::<Audio>(audio)?);
        // SAFETY: the caller's promise.
        unsafe {
            let format: FormatSettings = text::record("format", format_json)?.ok_or_else(|| null("format"))?;
            let metadata: Metadata = text::record("metadata", metadata_json)?.unwrap_or_default();
            let (encoded, bytes) = engine.0.encode_to_memory(&audio.0, &format, &metadata)?;
            if !out_json.is_null() {
                give_json("out_json", out_json, &encoded)?;
            }
            give_bytes(out_data, out_size, bytes)
        }
    })
}

/// The JSON Schema called `name` (`request`, `recipe`, `report`, `plan`, `format`, `settings`, ...), or for NULL an object with all of
/// them by name.
///
/// # Safety
/// `name` is NULL or ends with a NUL; `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_schema(
    name: *const c_char,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_json", out_json)?;
        let all = schema::all();
        // SAFETY: the caller's promise.
        match unsafe { text::optional("name", name)? } {
            // SAFETY: as above.
            None => unsafe { give_json("out_json", out_json, &all) },
            Some(name) => {
                let names = || all.keys().map(String::as_str);
                let schema = all.get(name).ok_or_else(|| Error::unknown_name("schema", name, names()))?;
                // SAFETY: as above.
                unsafe { give_json("out_json", out_json, schema) }
            }
        }
    })
}

/// An event or a notice of the bus as JSON: `type` is `event` (with the fields of the event, and `replay`), `lagged` or `gap`.
pub fn delivery_json(delivery: &pure_sound::events::Delivery) -> Result<Value> {
    use pure_sound::events::Delivery;
    Ok(match delivery {
        Delivery::Event { event, replay } => {
            let mut object = json!({ "type": "event", "replay": replay });
            if let (Value::Object(to), Value::Object(from)) = (&mut object, event.to_json()?) {
                to.extend(from);
            }
            object
        }
        Delivery::Lagged { lost } => json!({ "type": "lagged", "lost": lost }),
        Delivery::Gap { from, to, restarted } => {
            json!({ "type": "gap", "from": from, "to": to, "restarted": restarted })
        }
        other => return Err(Error::internal(format!("a delivery that is not known here: {other:?}"))),
    })
}
