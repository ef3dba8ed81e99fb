//! Makes the schemas from the types.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::analysis::compare::Comparison;
use crate::analysis::delivery::CheckReport;
use crate::analysis::page::{AnalysisPage, PageOptions};
use crate::analysis::picture::{SpectrogramOptions, WaveformOptions};
use crate::analysis::recommend::{RecommendOptions, Recommendation};
use crate::analysis::{Analysis, Content, PeakParams, Peaks};
use crate::audio::Spec;
use crate::config::Settings;
use crate::dsp::resampler::Quality;
use crate::engine::{AnalyseOptions, ClassifyOptions, CompareOptions, PeakOptions};
use crate::error::ErrorCode;
use crate::events;
use crate::filters::{FilterInfo, FilterSpec};
use crate::formats::encode::Negotiated;
use crate::formats::tags::Metadata;
use crate::formats::{Encoded, FormatSettings, MediaInfo, ReadOptions, StreamInfo};
use crate::jobs::{Batch, HistoryEntry, Job, JobFilter, Stats, Submission, Submitted, WorkOptions};
use crate::meter::Loudness;
use crate::observe::{HealthAnswer, LogRecord};
use crate::presets::Preset;
use crate::processing::{Plan, Progress, Recipe, Report};
use crate::resources::Usage;
use crate::workflows::Workflow;

/// The schema of `T`, self-contained.
fn schema<T: JsonSchema>() -> Value {
    ordered(&SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>())
}

/// As JSON with the title first, as people read it: that is how a schema is serialized, while `to_value` leaves the order of making.
fn ordered(schema: &Schema) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}

/// All schemas by name; see [`super::all`].
pub(super) fn schemas() -> Map<String, Value> {
    let events: Map<String, Value> =
        events::payload_schemas().into_iter().map(|(topic, schema)| (topic.to_owned(), schema)).collect();
    let named = [
        ("request", request()),
        ("recipe", schema::<Recipe>()),
        ("plan", schema::<Plan>()),
        ("report", schema::<Report>()),
        ("preset", schema::<Preset>()),
        ("workflow", schema::<Workflow>()),
        ("submission", schema::<Submission>()),
        ("submitted", schema::<Submitted>()),
        ("job", schema::<Job>()),
        ("job_filter", schema::<JobFilter>()),
        ("job_history_entry", schema::<HistoryEntry>()),
        ("job_batch", schema::<Batch>()),
        ("job_stats", schema::<Stats>()),
        ("work_options", schema::<WorkOptions>()),
        ("filter", schema::<FilterSpec>()),
        ("filter_info", schema::<FilterInfo>()),
        ("format", schema::<FormatSettings>()),
        ("read_options", schema::<ReadOptions>()),
        ("media_info", schema::<MediaInfo>()),
        ("stream_info", schema::<StreamInfo>()),
        ("metadata", schema::<Metadata>()),
        ("loudness", schema::<Loudness>()),
        ("check", schema::<CheckReport>()),
        ("analysis", schema::<Analysis>()),
        ("analyse_options", schema::<AnalyseOptions>()),
        ("classify_options", schema::<ClassifyOptions>()),
        ("content", schema::<Content>()),
        ("comparison", schema::<Comparison>()),
        ("compare_options", schema::<CompareOptions>()),
        ("waveform_options", schema::<WaveformOptions>()),
        ("spectrogram_options", schema::<SpectrogramOptions>()),
        ("page_options", schema::<PageOptions>()),
        ("analysis_page", schema::<AnalysisPage>()),
        ("recommend_options", schema::<RecommendOptions>()),
        ("recommendation", schema::<Recommendation>()),
        ("peak_options", schema::<PeakOptions>()),
        ("peak_params", schema::<PeakParams>()),
        ("peaks", schema::<Peaks>()),
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

/// Puts the definitions that schemas share into `shared`, and null in their place.
pub(super) fn share_definitions(schema: &mut Value, shared: &mut Map<String, Value>) {
    for (name, definition) in schema.get_mut("$defs").and_then(Value::as_object_mut).into_iter().flatten() {
        // Where two schemas mean different things by a name, the later keeps its own.
        if shared.entry(name.as_str()).or_insert_with(|| definition.clone()) == definition {
            *definition = Value::Null;
        }
    }
}
