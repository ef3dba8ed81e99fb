//! JSON Schemas of all that crosses a language border: one definition for types in every language.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::analysis::Analysis;
use crate::analysis::delivery::DeliveryResult;
use crate::analysis::quality::QualityReport;
use crate::audio::Spec;
use crate::config::Settings;
use crate::dsp::resampler::Quality;
use crate::engine::AnalyseOptions;
use crate::error::ErrorCode;
use crate::events;
use crate::filters::{FilterInfo, FilterSpec};
use crate::formats::encode::Negotiated;
use crate::formats::tags::Metadata;
use crate::formats::{Encoded, FormatSettings, MediaInfo, ReadOptions, StreamInfo};
use crate::meter::Loudness;
use crate::observe::{HealthAnswer, LogRecord};
use crate::presets::Preset;
use crate::processing::{Plan, Progress, Recipe, Report};
use crate::resources::Usage;

/// The schema of `T`, self-contained.
fn schema<T: JsonSchema>() -> Value {
    ordered(&SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>())
}

/// As JSON with the title first, as people read it: that is how a schema is serialized, while `to_value` leaves the order of making.
fn ordered(schema: &Schema) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}

/// All schemas by name. `request` is a [`Recipe`] with the short forms of [`crate::Engine::recipe`]; `event` is an object of the
/// payload schemas by topic.
pub fn all() -> Map<String, Value> {
    let events: Map<String, Value> =
        events::catalogue().into_iter().map(|kind| (kind.topic.to_owned(), kind.schema)).collect();
    let named = [
        ("request", request()),
        ("recipe", schema::<Recipe>()),
        ("plan", schema::<Plan>()),
        ("report", schema::<Report>()),
        ("preset", schema::<Preset>()),
        ("filter", schema::<FilterSpec>()),
        ("filter_info", schema::<FilterInfo>()),
        ("format", schema::<FormatSettings>()),
        ("read_options", schema::<ReadOptions>()),
        ("media_info", schema::<MediaInfo>()),
        ("stream_info", schema::<StreamInfo>()),
        ("metadata", schema::<Metadata>()),
        ("loudness", schema::<Loudness>()),
        ("quality", schema::<QualityReport>()),
        ("delivery", schema::<DeliveryResult>()),
        ("analysis", schema::<Analysis>()),
        ("analyse_options", schema::<AnalyseOptions>()),
        ("spec", schema::<Spec>()),
        ("resample_quality", schema::<Quality>()),
        ("negotiated", schema::<Negotiated>()),
        ("encoded", schema::<Encoded>()),
        ("progress", schema::<Progress>()),
        ("settings", schema::<Settings>()),
        ("error", error()),
        ("event", Value::Object(events)),
        ("health", schema::<HealthAnswer>()),
        ("usage", schema::<Usage>()),
        ("log_record", schema::<LogRecord>()),
    ];
    named.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// What [`crate::Engine::recipe`] reads.
fn request() -> Value {
    let mut generator: SchemaGenerator = SchemaSettings::draft2020_12().into_generator();
    let mut root: Schema = generator.root_schema_for::<Recipe>();
    let output = generator.subschema_for::<crate::processing::Output>().to_value();
    root.insert("title".into(), "Request".into());
    let path_or_output = json!({ "anyOf": [{ "type": "string" }, output] });
    let filter = generator.subschema_for::<FilterSpec>().to_value();
    if let Some(Value::Object(properties)) = root.get_mut("properties") {
        let preset = "Preset whose values hold where this says nothing.";
        properties.insert("preset".into(), json!({ "description": preset, "type": ["string", "null"] }));
        properties.insert(
            "output".into(),
            json!({
                "description": "Short for `outputs`: a path, or a list.",
                "anyOf": [path_or_output, { "type": "array", "items": path_or_output }],
            }),
        );
        for (list, items) in
            [("outputs", path_or_output), ("filters", json!({ "anyOf": [{ "type": "string" }, filter] }))]
        {
            if let Some(Value::Object(list)) = properties.get_mut(list) {
                list.insert("items".into(), items);
            }
        }
    }
    ordered(&root)
}

/// What [`crate::Error::to_json`] writes.
fn error() -> Value {
    let names: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
    let numbers: Vec<u32> = ErrorCode::ALL.iter().map(|code| code.number()).collect();
    let mut kinds: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.kind().name()).collect();
    kinds.dedup();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Error",
        "description": "An error as data.",
        "type": "object",
        "properties": {
            "code": { "description": "Stable number.", "enum": numbers },
            "name": { "description": "Stable name.", "enum": names },
            "kind": { "description": "Coarse class.", "enum": kinds },
            "message": { "description": "The sentence.", "type": "string" },
            "details": { "description": "Data by name, such as `name`, `value`, `min`, `max`, `path`.", "type": "object" },
            "causes": { "description": "What led to it, nearest first.", "type": "array", "items": { "type": "string" } },
        },
        "required": ["code", "name", "kind", "message", "details", "causes"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

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
            ("recipe", include_str!("../../configs/schema/recipe.json")),
            ("request", include_str!("../../configs/schema/request.json")),
            ("preset", include_str!("../../configs/schema/preset.json")),
            ("plan", include_str!("../../configs/schema/plan.json")),
            ("report", include_str!("../../configs/schema/report.json")),
            ("media_info", include_str!("../../configs/schema/probe.json")),
            ("quality", include_str!("../../configs/schema/quality.json")),
            ("delivery", include_str!("../../configs/schema/delivery.json")),
            ("analysis", include_str!("../../configs/schema/analysis.json")),
        ];
        let all = all();
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
