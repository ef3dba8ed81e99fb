//! The short text form of a filter, as the command line takes it.

use std::fmt;

use serde_json::Value;

use super::FilterSpec;

/// `highpass:cutoff_hz=80,order=2`: all parameters, in order. [`FilterSpec::parse`] reads it back. The JSON object where
/// only that can hold it: curves, lists, matrices.
impl fmt::Display for FilterSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(Value::Object(parameters)) = serde_json::to_value(self) else { return Err(fmt::Error) };
        if parameters.values().any(|v| v.is_object() || v.as_array().is_some_and(|a| !a.is_empty())) {
            return write!(f, "{}", Value::Object(parameters));
        }
        f.write_str(self.name())?;
        let mut separator = ':';
        for (name, value) in parameters.iter().filter(|(name, _)| *name != "type") {
            match value {
                Value::String(text) => write!(f, "{separator}{name}={text}")?,
                Value::Array(_) | Value::Object(_) | Value::Null => continue,
                Value::Number(n) => write!(f, "{separator}{name}={}", n.as_f64().unwrap_or(f64::NAN))?,
                Value::Bool(b) => write!(f, "{separator}{name}={b}")?,
            }
            separator = ',';
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_parses_back_for_every_filter() {
        for info in super::super::filters() {
            let spec = FilterSpec::parse(info.name).unwrap();
            assert_eq!(FilterSpec::parse(&spec.to_string()).unwrap(), spec, "{spec}");
        }
    }
}
