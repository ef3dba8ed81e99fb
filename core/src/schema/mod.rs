//! JSON Schemas of all that crosses a language border: one definition for types in every language.
//!
//! They are made from the types when the project is developed, and stored: programs carry the text and not what makes it, which is
//! larger. Tests hold the two together.

mod generate;

use serde_json::{Map, Value};

/// What [`generate()`] wrote: `schemas` by name, and `defs` by name, which stand for null in their `$defs`.
const STORED: &str = include_str!("all.json");

/// All schemas by name. `request` is a [`crate::processing::Recipe`] with the short forms of [`crate::Engine::recipe`]; `event` is an
/// object of the payload schemas by topic.
pub fn all() -> Map<String, Value> {
    let stored: Map<String, Value> = serde_json::from_str(STORED).unwrap_or_default();
    let Some(Value::Object(mut schemas)) = stored.get("schemas").cloned() else { return Map::new() };
    let restore = |schema: &mut Value| {
        for (name, definition) in schema.get_mut("$defs").and_then(Value::as_object_mut).into_iter().flatten() {
            if definition.is_null() {
                *definition = stored["defs"][name.as_str()].clone();
            }
        }
    };
    for (name, schema) in &mut schemas {
        match schema {
            Value::Object(topics) if name == "event" => topics.values_mut().for_each(restore),
            schema => restore(schema),
        }
    }
    schemas
}

/// The text of `core/src/schema/all.json`, made from the types; `tests/update-generated` writes it.
pub fn generate() -> String {
    let mut defs = Map::new();
    let mut schemas = generate::schemas();
    for (name, schema) in &mut schemas {
        match schema {
            Value::Object(topics) if name == "event" => {
                topics.values_mut().for_each(|schema| generate::share_definitions(schema, &mut defs));
            }
            schema => generate::share_definitions(schema, &mut defs),
        }
    }
    // One line each, so that a change shows where it is.
    let lines = |map: Map<String, Value>| {
        let line = |(name, value)| format!("{}:{value}", Value::String(name));
        map.into_iter().map(line).collect::<Vec<_>>().join(",\n")
    };
    format!("{{\"defs\":{{\n{}\n}},\"schemas\":{{\n{}\n}}}}\n", lines(defs), lines(schemas))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use serde_json::json;

    #[test]
    fn every_schema_is_one() {
        for (name, schema) in all() {
            let each = if name == "event" { schema.as_object().cloned().unwrap() } else { Map::new() };
            let each: Vec<&Value> = if each.is_empty() { vec![&schema] } else { each.values().collect() };
            for schema in each {
                jsonschema::validator_for(schema).unwrap_or_else(|e| panic!("{name}: {e}"));
            }
        }
    }

    #[test]
    fn the_files_are_fresh() {
        let files = [
            ("recipe", include_str!("../../../configs/schema/recipe.json")),
            ("request", include_str!("../../../configs/schema/request.json")),
            ("preset", include_str!("../../../configs/schema/preset.json")),
            ("plan", include_str!("../../../configs/schema/plan.json")),
            ("report", include_str!("../../../configs/schema/report.json")),
            ("media_info", include_str!("../../../configs/schema/probe.json")),
            ("check", include_str!("../../../configs/schema/check.json")),
            ("analysis", include_str!("../../../configs/schema/analysis.json")),
            ("comparison", include_str!("../../../configs/schema/comparison.json")),
            ("workflow", include_str!("../../../configs/schema/workflow.json")),
        ];
        assert!(generate() == STORED, "core/src/schema/all.json is not fresh: run tests/update-generated");
        let all = all();
        assert!(all == generate::schemas(), "what is stored is what was made");
        for (name, text) in files {
            let file: Value = serde_json::from_str(text).unwrap();
            assert!(file == all[name], "configs/schema of {name} is not fresh: run tests/update-generated");
        }
    }

    #[test]
    fn requests_and_errors_fit_their_schemas() {
        let all = all();
        let request = jsonschema::validator_for(&all["request"]).unwrap();
        let good = json!({ "preset": "podcast", "output": "a.opus", "filters": ["highpass:cutoff_hz=80", { "type": "gain" }] });
        assert!(request.is_valid(&good), "{:?}", request.validate(&good).map_err(|e| e.to_string()));
        assert!(!request.is_valid(&json!({ "outputz": [] })));
        let error = jsonschema::validator_for(&all["error"]).unwrap();
        assert!(error.is_valid(&Error::Cancelled.to_json()));
        assert!(error.is_valid(&Error::unknown_name("preset", "x", ["y"]).to_json()));
    }
}
