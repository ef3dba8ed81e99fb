//! Reading [`FilterSpec`]: the short form of the command line, and JSON with errors that name suggestions.

use serde_json::{Map, Value};

use super::automation::Automated;
use super::params::{ParamInfo, ParamKind};
use super::registry::{self, FilterInfo};
use super::{Curve, FilterSpec};
use crate::error::{Error, Result};

impl FilterSpec {
    /// Parses the short form of the command line: `highpass`, `highpass:cutoff_hz=80,order=4`, or the JSON object.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for filters and parameters that do not exist, with the closest that does;
    /// [`Error::InvalidValue`] for text that is not a value of the parameter's type; [`Error::OutOfRange`].
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.starts_with('{') {
            let value: Value = serde_json::from_str(text).map_err(|e| Error::InvalidValue {
                name: "filter".into(),
                value: shorten(text),
                allowed: format!("a JSON object ({e})"),
            })?;
            return Self::from_json(value);
        }
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let info = registry::info(name.trim())?;
        let mut object = Map::new();
        object.insert("type".into(), Value::from(info.name));
        for pair in rest.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| Error::InvalidValue {
                name: info.name.into(),
                value: pair.into(),
                allowed: "name=value pairs between commas".into(),
            })?;
            let param = info.parameter(key.trim())?;
            if object.contains_key(param.name) {
                return Err(Error::Conflict { what: format!("{}.{} is given twice", info.name, param.name) });
            }
            object.insert(param.name.into(), parse_value(info, param, value.trim())?);
        }
        Self::from_json(Value::Object(object))
    }

    /// Takes a JSON object with `type`. Parameters that can change while the filter runs may be a [`Curve`].
    ///
    /// # Errors
    /// As [`FilterSpec::parse`].
    pub fn from_json(value: Value) -> Result<Self> {
        if let Value::Object(object) = &value
            && let Some(info) = object.get("type").and_then(Value::as_str).and_then(|t| registry::info(t).ok())
        {
            for (key, value) in object {
                if let Ok(param) = info.parameter(key) {
                    check_number(info, param, value)?;
                }
            }
        }
        let spec = read(value)?;
        spec.validate()?;
        Ok(spec)
    }
}

/// Most levels of a JSON value: those of [`super::spec::MAX_DEPTH`] and of the lists and objects between them.
const MAX_JSON_DEPTH: usize = 64;

fn json_depth(value: &Value, left: usize) -> Result<()> {
    let Some(left) = left.checked_sub(1) else {
        let max = MAX_JSON_DEPTH as f64;
        return Err(Error::LimitExceeded { limit: "levels of a filter in JSON", value: max + 1.0, max });
    };
    match value {
        Value::Array(items) => items.iter().try_for_each(|v| json_depth(v, left)),
        Value::Object(items) => items.values().try_for_each(|v| json_depth(v, left)),
        _ => Ok(()),
    }
}

/// The filter of a JSON object. Serde alone would do it, but names no suggestions. Ranges are not checked.
pub(super) fn read(mut value: Value) -> Result<FilterSpec> {
    let invalid = |value: &Value, allowed: &str| Error::InvalidValue {
        name: "filter".into(),
        value: shorten(&value.to_string()),
        allowed: allowed.into(),
    };
    json_depth(&value, MAX_JSON_DEPTH)?;
    let shown = value.to_string();
    let Value::Object(object) = &mut value else {
        return Err(invalid(&value, "an object with a `type`"));
    };
    let Some(Value::String(name)) = object.get("type") else {
        return Err(invalid(&value, "an object whose `type` is the name of a filter"));
    };
    let info = registry::info(name)?;
    object.shift_remove("type");
    let mut curves = Vec::new();
    for (key, value) in object.iter_mut() {
        let param = info.parameter(key)?;
        // YAML takes an unquoted 5.1 or 2 for a number.
        if matches!(param.kind, ParamKind::Layout | ParamKind::Text) && value.is_number() {
            *value = Value::from(value.to_string());
        }
        if param.kind == ParamKind::Number && (value.is_array() || value.is_object()) {
            let curve: Curve = serde_json::from_value(std::mem::take(value)).map_err(|e| Error::InvalidValue {
                name: format!("{}.{key}", info.name),
                value: shorten(&shown),
                allowed: format!("a list of [time_s, value], or an object with such `points` ({e})"),
            })?;
            curves.push((param.name, curve));
        } else {
            check_type(info, param, value)?;
        }
    }
    for (name, _) in &curves {
        object.shift_remove(*name);
    }
    let spec = FilterSpec::from_params(info.name, std::mem::take(object)).map_err(|e| Error::InvalidValue {
        name: info.name.into(),
        value: shorten(&shown),
        allowed: e.to_string(),
    })?;
    if curves.is_empty() {
        return Ok(spec);
    }
    let mut automated = Automated::new(spec);
    for (name, curve) in curves {
        automated.follow(name, curve)?;
    }
    Ok(FilterSpec::Automated(automated))
}

/// What a parameter accepts, in words.
fn allowed(param: &ParamInfo) -> String {
    let unit = if param.unit.is_empty() { String::new() } else { format!(" {}", param.unit) };
    match (param.kind, param.min, param.max) {
        (ParamKind::Number, Some(min), Some(max)) => format!("a number from {min} to {max}{unit}"),
        (ParamKind::Integer, Some(min), Some(max)) => format!("a whole number from {min} to {max}{unit}"),
        (ParamKind::Boolean, ..) => "true, false".into(),
        (ParamKind::Choice, ..) => param.choices.join(", "),
        (ParamKind::Layout, ..) => "mono, stereo, 2.1, quad, 5.0, 5.1, 7.1, a channel count".into(),
        (ParamKind::Matrix, ..) => "rows of numbers, as in [[0.5, 0.5]]".into(),
        (ParamKind::List, ..) => "a list".into(),
        (ParamKind::Text, ..) => "text".into(),
        _ => "a number".into(),
    }
}

fn invalid_value(info: &FilterInfo, param: &ParamInfo, value: &str) -> Error {
    Error::InvalidValue {
        name: format!("{}.{}", info.name, param.name),
        value: shorten(value),
        allowed: allowed(param),
    }
}

/// Text of the command line to a JSON value of the parameter's type.
fn parse_value(info: &FilterInfo, param: &ParamInfo, text: &str) -> Result<Value> {
    let value = match param.kind {
        ParamKind::Number => text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number),
        ParamKind::Integer => text.parse::<i64>().ok().map(Value::from),
        ParamKind::Boolean => text.parse::<bool>().ok().map(Value::from),
        ParamKind::Choice => param.choices.contains(&text).then(|| Value::from(text)),
        ParamKind::Layout | ParamKind::Text => Some(Value::from(text)),
        ParamKind::Matrix | ParamKind::List => serde_json::from_str(text).ok(),
    };
    value.ok_or_else(|| invalid_value(info, param, text))
}

/// Checks the JSON type of a value.
fn check_type(info: &FilterInfo, param: &ParamInfo, value: &Value) -> Result<()> {
    let fits = match param.kind {
        ParamKind::Number => value.is_number(),
        ParamKind::Integer => value.is_i64() || value.is_u64(),
        ParamKind::Boolean => value.is_boolean(),
        ParamKind::Choice => value.as_str().is_some_and(|s| param.choices.contains(&s)),
        ParamKind::Layout => value.as_str().is_some_and(|s| crate::audio::ChannelLayout::parse(s).is_some()),
        ParamKind::Matrix | ParamKind::List => value.is_array(),
        ParamKind::Text => value.is_string(),
    };
    if !fits {
        return Err(invalid_value(info, param, value.as_str().unwrap_or(&value.to_string())));
    }
    // Serde would only say "invalid u32".
    if param.kind == ParamKind::Integer && value.as_u64().is_none_or(|v| u32::try_from(v).is_err()) {
        return check_number(info, param, value);
    }
    Ok(())
}

/// Checks a number against its range, for an error with its name as soon as it is read.
fn check_number(info: &FilterInfo, param: &ParamInfo, value: &Value) -> Result<()> {
    if let (Some(number), Some(min), Some(max)) = (value.as_f64(), param.min, param.max)
        && !(number >= min && number <= max)
    {
        let name = format!("{}.{}", info.name, param.name);
        return Err(Error::OutOfRange { name, value: number, min, max, unit: param.unit });
    }
    Ok(())
}

/// Keeps error messages short whatever was given.
fn shorten(text: &str) -> String {
    if text.chars().count() <= 60 {
        return text.to_owned();
    }
    text.chars().take(57).chain("...".chars()).collect()
}

impl std::str::FromStr for FilterSpec {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::{gain, highpass};

    #[test]
    fn the_three_forms_say_the_same() {
        let want = FilterSpec::Highpass(highpass::HighpassParams { cutoff_hz: 100.0, order: 4 });
        assert_eq!(FilterSpec::parse("highpass:cutoff_hz=100,order=4").unwrap(), want);
        assert_eq!(FilterSpec::parse(" highpass : order = 4 , cutoff_hz = 1e2 ").unwrap(), want);
        assert_eq!(FilterSpec::parse(r#"{"type":"highpass","cutoff_hz":100,"order":4}"#).unwrap(), want);
        let json = serde_json::to_value(&want).unwrap();
        assert_eq!(json, serde_json::json!({"type": "highpass", "cutoff_hz": 100.0, "order": 4}));
        assert_eq!(serde_json::from_value::<FilterSpec>(json).unwrap(), want);
        assert_eq!(FilterSpec::parse("gain").unwrap(), FilterSpec::Gain(gain::GainParams::default()));
    }

    #[test]
    fn mistakes_are_named_with_what_was_meant() {
        let says = |text: &str| FilterSpec::parse(text).unwrap_err().to_string();
        assert_eq!(says("highpas"), "unknown filter 'highpas', did you mean 'highpass'?");
        assert_eq!(
            says("highpass:cutof_hz=3"),
            "unknown filter parameter 'highpass.cutof_hz', did you mean 'cutoff_hz'?"
        );
        assert_eq!(
            says("highpass:cutoff_hz=x"),
            "highpass.cutoff_hz: 'x' is not valid, allowed: a number from 5 to 90000 Hz"
        );
        assert_eq!(says("highpass:cutoff_hz=1"), "highpass.cutoff_hz is 1 Hz, allowed is 5 to 90000 Hz");
        assert_eq!(
            says("highpass:order=2.5"),
            "highpass.order: '2.5' is not valid, allowed: a whole number from 1 to 12"
        );
        assert_eq!(says("highpass:order=-1"), "highpass.order is -1, allowed is 1 to 12");
        assert_eq!(
            says(r#"{"type":"gain","gain_db":"loud"}"#),
            "gain.gain_db: 'loud' is not valid, allowed: a number from -120 to 60 dB"
        );
        assert_eq!(says("gain:gain_db=1,gain_db=2"), "gain.gain_db is given twice");
        for text in ["", ":", "{", "[]", "{}", "gain:x", "gain:=", "gain:gain_db=nan", "gain:gain_db=inf", "\u{0}"] {
            assert!(FilterSpec::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn serde_refuses_unknown_parameters() {
        assert!(serde_json::from_str::<FilterSpec>(r#"{"type":"gain","gian_db":1}"#).is_err());
    }
}
