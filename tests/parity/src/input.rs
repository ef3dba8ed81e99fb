//! The inputs that cases describe.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pure_sound::formats::Source;
use serde_json::Value;

use crate::{Failure, root, signal};

/// The input `description` as the library takes it.
pub fn source(description: &Value) -> Result<Source, Failure> {
    let text = |key: &str| description.get(key).and_then(Value::as_str);
    if let Some(signal) = description.get("signal") {
        return Ok(Source::from_audio(&signal::make(signal)?)?);
    }
    if let Some(path) = text("path") {
        return Ok(Source::from(path));
    }
    if let Some(encoded) = text("base64") {
        let bytes = STANDARD.decode(encoded).map_err(|e| Failure::Case(e.to_string()))?;
        return Ok(Source::from(bytes));
    }
    let Some(file) = text("file") else { return Err(Failure::Case(format!("unknown input {description}"))) };
    let path = root().join(file);
    let (damage, keep) = (description.get("damage"), description.get("keep_bytes"));
    if damage.is_none() && keep.is_none() && description.get("memory") != Some(&Value::Bool(true)) {
        return Ok(Source::from(path));
    }
    let mut bytes = std::fs::read(path)?;
    if let Some(keep) = keep.and_then(Value::as_u64) {
        bytes.truncate(keep as usize);
    }
    for part in damage.and_then(Value::as_array).into_iter().flatten() {
        let number = |key: &str| part.get(key).and_then(Value::as_u64).unwrap_or(0) as usize;
        for byte in bytes.iter_mut().skip(number("at")).take(number("count")) {
            *byte ^= number("xor") as u8;
        }
    }
    Ok(Source::from(bytes))
}
