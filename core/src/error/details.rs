//! Errors as data: what bindings hand to programs beside the sentence.

use serde_json::{Map, Value, json};

use super::Error;

impl Error {
    /// The data of this error by name: `name`, `value`, `min`, `max`, `path`, ... Keys without a value are left out. The same keys
    /// mean the same in every language.
    pub fn details(&self) -> Map<String, Value> {
        let object = match self {
            Self::NotAudio { hint } => json!({ "hint": hint }),
            Self::Empty | Self::Cancelled => json!({}),
            Self::Malformed { what, offset, detail } => json!({ "what": what, "offset": offset, "detail": detail }),
            Self::Unsupported { what, value, hint } => json!({ "what": what, "value": value, "hint": hint }),
            Self::OutOfRange { name, value, min, max, unit } => {
                let unit = Some(unit).filter(|u| !u.is_empty());
                json!({ "name": name, "value": value, "min": min, "max": max, "unit": unit })
            }
            Self::InvalidValue { name, value, allowed } => json!({ "name": name, "value": value, "allowed": allowed }),
            Self::UnknownName { what, name, suggestion } => {
                json!({ "what": what, "name": name, "suggestion": suggestion })
            }
            Self::Invalid { what, problems } => json!({ "what": what, "problems": problems }),
            Self::InvalidHandle { what, handle } => json!({ "what": what, "handle": format!("{handle:#x}") }),
            Self::LimitExceeded { limit, value, max } => json!({ "limit": limit, "value": value, "max": max }),
            Self::NotFound { path } => json!({ "path": path }),
            Self::Denied { path, reason } => json!({ "path": path, "reason": reason }),
            Self::Conflict { what }
            | Self::WouldDeadlock { what }
            | Self::Reentrant { what }
            | Self::Unavailable { what }
            | Self::Internal { what } => json!({ "what": what }),
            Self::Busy { what } | Self::Closed { what } => json!({ "what": what }),
            Self::Io { op, path, source } => {
                let path = path.as_ref().map(|p| p.display().to_string());
                json!({ "op": op, "path": path, "os_error": source.raw_os_error(), "reason": source.to_string() })
            }
            Self::RetryLater { what, after_ms } => json!({ "what": what, "after_ms": after_ms }),
            Self::Full { what, max } => json!({ "what": what, "max": max }),
            Self::Panic { what, place } => json!({ "what": what, "place": place }),
        };
        match object {
            Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            _ => Map::new(),
        }
    }

    /// The error as one record: `code`, `name`, `kind`, `message`, `details`, `causes`.
    pub fn to_json(&self) -> Value {
        let mut causes = Vec::new();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        json!({
            "code": self.code(),
            "name": self.name(),
            "kind": self.kind().name(),
            "message": self.to_string(),
            "details": self.details(),
            "causes": causes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_an_error_is_named_and_complete() {
        let error = Error::check_range("cutoff_hz", 0.5, 1.0, 100.0, "Hz").unwrap_err();
        let expected = json!({ "name": "cutoff_hz", "value": 0.5, "min": 1.0, "max": 100.0, "unit": "Hz" });
        assert_eq!(Value::Object(error.details()), expected);
        assert_eq!(error.to_json()["kind"], "out_of_range");
    }

    #[test]
    fn causes_are_told_and_empty_keys_left_out() {
        let source = std::io::Error::from_raw_os_error(28);
        let record = Error::io("write", None, source).to_json();
        assert_eq!((&record["name"], &record["details"]["os_error"]), (&json!("IO"), &json!(28)));
        assert!(record["details"].get("path").is_none());
        assert_eq!(record["causes"].as_array().map(Vec::len), Some(1));
    }
}
