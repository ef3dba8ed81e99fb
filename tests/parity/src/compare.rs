//! Expected values beside what came: a subset of the keys, numbers within a tolerance.

use serde_json::{Map, Value};

use crate::Ran;

/// The first difference between a case and what came of it, in words; none when it holds.
pub fn difference(case: &Map<String, Value>, ran: &Ran) -> Option<String> {
    let tolerance = case.get("tolerance").and_then(Value::as_f64).unwrap_or(0.0);
    let compared = match (case.get("expect"), case.get("error"), &ran.outcome) {
        (Some(expected), None, Ok(got)) => subset("result", expected, got, tolerance),
        (None, Some(expected), Err(got)) => subset("error", expected, got, tolerance),
        (Some(_), None, Err(error)) => Some(format!("failed: {error}")),
        (None, Some(expected), Ok(got)) => Some(format!("gave {got} instead of the error {expected}")),
        _ => Some("a case expects either a result or an error".into()),
    };
    compared.or_else(|| {
        let expected: Vec<&str> = case.get("files")?.as_array()?.iter().filter_map(Value::as_str).collect();
        (expected != ran.files).then(|| format!("files: {:?} instead of {expected:?}", ran.files))
    })
}

fn subset(place: &str, expected: &Value, got: &Value, tolerance: f64) -> Option<String> {
    let differ = || Some(format!("{place}: {got} instead of {expected}"));
    match (expected, got) {
        (Value::Object(fields), Value::Object(values)) => fields.iter().find_map(|(key, field)| {
            let place = format!("{place}.{key}");
            match values.get(key) {
                Some(value) => subset(&place, field, value, tolerance),
                None => Some(format!("{place}: missing instead of {field}")),
            }
        }),
        (Value::Array(items), Value::Array(values)) if items.len() == values.len() => items
            .iter()
            .zip(values)
            .enumerate()
            .find_map(|(index, (item, value))| subset(&format!("{place}[{index}]"), item, value, tolerance)),
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) if a == b || (a - b).abs() <= tolerance => None,
            _ => differ(),
        },
        (a, b) if a == b => None,
        _ => differ(),
    }
}

/// `case` with the values that came in place of those that stand there.
pub fn refreshed(case: &Map<String, Value>, ran: &Ran) -> Result<Map<String, Value>, String> {
    let mut case = case.clone();
    let (key, got) = match &ran.outcome {
        Ok(value) => ("expect", value),
        Err(record) => ("error", record),
    };
    match case.get_mut(key) {
        Some(expected) if *expected != serde_json::json!({}) => update(expected, got)?,
        _ => return Err(format!("came to another end than the case says: {key} {got}")),
    }
    if let Some(files) = case.get_mut("files") {
        *files = serde_json::json!(ran.files);
    }
    Ok(case)
}

fn update(expected: &mut Value, got: &Value) -> Result<(), String> {
    match (&mut *expected, got) {
        (Value::Object(fields), Value::Object(values)) => {
            for (key, field) in fields {
                update(field, values.get(key).ok_or_else(|| format!("there is no key {key}"))?)?;
            }
        }
        (Value::Array(items), Value::Array(values)) if items.len() == values.len() => {
            for (item, value) in items.iter_mut().zip(values) {
                update(item, value)?;
            }
        }
        _ => *expected = got.clone(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn differs(expected: Value, got: Value) -> bool {
        subset("", &expected, &got, 1e-3).is_some()
    }

    #[test]
    fn what_is_expected_must_be_there_and_more_may_be() {
        assert!(!differs(
            json!({"a": 1, "b": [1.0, {"c": null}]}),
            json!({"a": 1.0, "b": [1, {"c": null, "d": 2}], "e": 3})
        ));
        for (expected, got) in [
            (json!({"a": 1}), json!({})),
            (json!({"a": null}), json!({})),
            (json!([1]), json!([1, 2])),
            (json!(1.0), json!(1.002)),
            (json!(1), json!("1")),
            (json!(true), json!(1)),
            (json!({}), json!([])),
        ] {
            assert!(differs(expected.clone(), got.clone()), "{expected} {got}");
        }
    }

    #[test]
    fn a_refresh_keeps_the_keys() {
        let mut expected = json!({"a": null, "b": [{"c": 1}], "d": [1]});
        update(&mut expected, &json!({"a": {"x": 1}, "b": [{"c": 2, "e": 3}], "d": [1, 2], "f": 4})).unwrap();
        assert_eq!(expected, json!({"a": {"x": 1}, "b": [{"c": 2}], "d": [1, 2]}));
        assert!(update(&mut json!({"z": 1}), &json!({})).is_err());
    }
}
