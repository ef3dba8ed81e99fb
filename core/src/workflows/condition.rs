//! Conditions on the results of earlier steps: a small language of typed comparisons, and nothing that is executed.
//!
//! `{"value": "steps.measure.integrated_lufs", "less_than": -30}`, joined by `all`, `any` and `not`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::template::{Reference, Scope};
use crate::error::{Error, Result};

/// Deepest nesting of `all`, `any` and `not`.
pub(super) const MAX_DEPTH: usize = 8;

/// A condition: exactly one of `value`, `all`, `any`, `not`. Comparisons that stand beside one `value` must all hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Condition {
    /// What is looked at: `steps.ID.FIELD`, `inputs.NAME`, or `item`. A level that is null (silence) compares as minus infinity; any
    /// other null compares with nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The number is below this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub less_than: Option<f64>,
    /// The number is this one or below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// The number is above this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_than: Option<f64>,
    /// The number is this one or above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// It is this text, number or truth value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// It is one of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Value>>,
    /// Whether it is null, which is what was not measured or does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_null: Option<bool>,
    /// All of these hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<Vec<Condition>>,
    /// One of these holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any: Option<Vec<Condition>>,
    /// This does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<Condition>>,
}

impl Condition {
    /// Names of the fields, for suggestions.
    pub(super) const FIELDS: [&str; 11] =
        ["value", "less_than", "at_most", "more_than", "at_least", "equals", "one_of", "is_null", "all", "any", "not"];

    /// The four comparisons of numbers.
    fn limits(&self) -> [Option<f64>; 4] {
        [self.less_than, self.at_most, self.more_than, self.at_least]
    }

    /// True when numbers are compared.
    pub(super) fn is_numeric(&self) -> bool {
        self.limits().iter().any(Option::is_some)
    }

    /// Conditions inside of this one.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Condition> {
        self.all.iter().flatten().chain(self.any.iter().flatten()).chain(self.not.as_deref())
    }

    /// Says what is wrong with the shape of it, and of what is inside.
    pub(super) fn check(&self, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("conditions are nested deeper than {MAX_DEPTH}"));
        }
        let forms = [self.value.is_some(), self.all.is_some(), self.any.is_some(), self.not.is_some()];
        if forms.iter().filter(|there| **there).count() != 1 {
            return Err("needs exactly one of value, all, any, not".into());
        }
        let compares = self.is_numeric() || self.equals.is_some() || self.one_of.is_some() || self.is_null.is_some();
        if self.value.is_some() != compares {
            return Err("a value needs a comparison (less_than, at_most, more_than, at_least, equals, one_of, is_null), and a comparison a value".into());
        }
        if self.limits().iter().flatten().any(|limit| !limit.is_finite()) {
            return Err("compares with what is no finite number".into());
        }
        let plain = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
        if !self.equals.iter().chain(self.one_of.iter().flatten()).all(plain) {
            return Err("equals and one_of take texts, numbers and truth values".into());
        }
        for list in [&self.all, &self.any].into_iter().flatten() {
            if list.is_empty() {
                return Err("all and any need at least one condition".into());
            }
        }
        self.parts().try_for_each(|part| part.check(depth + 1))
    }

    /// All references in it.
    pub(super) fn references(&self) -> Result<Vec<Reference>, String> {
        let own = self.value.as_deref().map(Reference::parse).transpose()?;
        let mut all: Vec<Reference> = own.into_iter().collect();
        for part in self.parts() {
            all.extend(part.references()?);
        }
        Ok(all)
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] when what is compared as a number is something else.
    pub(super) fn holds(&self, scope: &Scope) -> Result<bool> {
        if let Some(list) = &self.all {
            return list.iter().try_fold(true, |so_far, part| Ok(so_far && part.holds(scope)?));
        }
        if let Some(list) = &self.any {
            return list.iter().try_fold(false, |so_far, part| Ok(so_far || part.holds(scope)?));
        }
        if let Some(part) = &self.not {
            return Ok(!part.holds(scope)?);
        }
        let path = self.value.as_deref().unwrap_or_default();
        let invalid = |value: &str, allowed: &str| Error::InvalidValue {
            name: path.into(),
            value: value.into(),
            allowed: allowed.into(),
        };
        let reference = Reference::parse(path).map_err(|e| invalid(path, &e))?;
        let value = scope.look_up(&reference).unwrap_or_default();
        if self.is_null.is_some_and(|wanted| wanted != value.is_null()) {
            return Ok(false);
        }
        let same = |wanted: &Value| match (wanted.as_f64(), value.as_f64()) {
            (Some(wanted), Some(value)) => wanted == value,
            _ => *wanted == value,
        };
        if self.equals.as_ref().is_some_and(|wanted| !same(wanted))
            || self.one_of.as_ref().is_some_and(|list| !list.iter().any(same))
        {
            return Ok(false);
        }
        if !self.is_numeric() {
            return Ok(true);
        }
        let number = match &value {
            Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
            Value::Null if is_level(&reference) => f64::NEG_INFINITY,
            Value::Null => return Ok(false),
            other => return Err(invalid(&other.to_string(), "a number, which is what it is compared with")),
        };
        Ok(self.less_than.is_none_or(|limit| number < limit)
            && self.at_most.is_none_or(|limit| number <= limit)
            && self.more_than.is_none_or(|limit| number > limit)
            && self.at_least.is_none_or(|limit| number >= limit))
    }
}

/// True for levels by the unit at the end of their name: JSON has no infinity, so that silence is null there.
fn is_level(reference: &Reference) -> bool {
    let name = reference.path.last().map_or("", String::as_str);
    ["_lufs", "_dbfs", "_dbtp"].iter().any(|unit| name.ends_with(unit))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        Scope(json!({
            "inputs": { "kind": "talk", "level": 3 },
            "steps": { "m": { "integrated_lufs": -31.5, "true_peak_dbtp": null, "snr": null, "list": [1, 2] } },
        }))
    }

    fn condition(value: Value) -> Condition {
        let condition: Condition = serde_json::from_value(value).unwrap();
        condition.check(0).unwrap();
        condition
    }

    #[test]
    fn comparisons_do_what_they_say() {
        let lufs = "steps.m.integrated_lufs";
        let cases = [
            (json!({ "value": lufs, "less_than": -30 }), true),
            (json!({ "value": lufs, "less_than": -31.5 }), false),
            (json!({ "value": lufs, "at_most": -31.5 }), true),
            (json!({ "value": lufs, "more_than": -31.5 }), false),
            (json!({ "value": lufs, "at_least": -31.5 }), true),
            (json!({ "value": lufs, "at_least": -40, "less_than": -31 }), true),
            (json!({ "value": lufs, "at_least": -40, "less_than": -35 }), false),
            (json!({ "value": "inputs.kind", "equals": "talk" }), true),
            (json!({ "value": "inputs.level", "equals": 3.0 }), true),
            (json!({ "value": "inputs.kind", "one_of": ["a", "b"] }), false),
            (json!({ "value": "steps.m.list.1", "equals": 2 }), true),
            (json!({ "value": "steps.m.nothing", "is_null": true }), true),
            (json!({ "value": lufs, "is_null": true }), false),
            (json!({ "not": { "value": lufs, "less_than": -30 } }), false),
            (json!({ "any": [{ "value": lufs, "less_than": -99 }, { "value": "inputs.level", "at_least": 3 }] }), true),
            (
                json!({ "all": [{ "value": lufs, "less_than": -99 }, { "value": "inputs.level", "at_least": 3 }] }),
                false,
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(condition(text.clone()).holds(&scope()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn silence_is_below_every_level_and_what_was_not_measured_is_nowhere() {
        let of = |value: &str, limit: &str| condition(json!({ "value": value, limit: -60 })).holds(&scope()).unwrap();
        assert!(of("steps.m.true_peak_dbtp", "less_than") && !of("steps.m.true_peak_dbtp", "more_than"));
        assert!(!of("steps.m.snr", "less_than") && !of("steps.m.snr", "more_than"));
        assert!(condition(json!({ "value": "inputs.kind", "less_than": 1 })).holds(&scope()).is_err());
    }

    #[test]
    fn shapes_that_mean_nothing_are_refused() {
        let deep = (0..20).fold(json!({ "value": "a.b", "equals": 1 }), |inner, _| json!({ "not": inner }));
        for bad in [
            json!({}),
            json!({ "value": "a.b" }),
            json!({ "less_than": 3 }),
            json!({ "all": [] }),
            json!({ "value": "a.b", "equals": 1, "all": [{ "value": "a.b", "equals": 1 }] }),
            json!({ "value": "a.b", "equals": [1] }),
            deep,
        ] {
            let condition: Condition = serde_json::from_value(bad.clone()).unwrap();
            assert!(condition.check(0).is_err(), "{bad}");
        }
    }
}
