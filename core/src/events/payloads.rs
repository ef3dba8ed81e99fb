//! The events of the engine itself. Each is defined here once; bindings generate their types from the schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::{Payload, Priority};
use crate::error::Problem;
pub use crate::services::HealthStatus;

/// Defines payloads: topic, version, priority, fields.
macro_rules! payloads {
    ($($(#[$doc:meta])* $name:ident: $topic:literal v $version:literal, $priority:ident $(, key $key:ident)? {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $type,)*
            }
            impl Payload for $name {
                const TOPIC: &'static str = $topic;
                const VERSION: u32 = $version;
                const PRIORITY: Priority = Priority::$priority;
                $(fn key(&self) -> Option<&str> {
                    Some(&self.$key)
                })?
            }
        )*

        /// The kinds of events that the engine publishes; [`crate::schema::all`] has the JSON Schema of their payloads.
        pub fn catalogue() -> Vec<EventKind> {
            vec![$(EventKind {
                topic: $topic,
                version: $version,
                priority: Priority::$priority,
            }),*]
        }

        /// JSON Schema of the payloads by topic, made from the types; [`crate::schema::all`] has them as `event`.
        pub(crate) fn payload_schemas() -> Vec<(&'static str, Value)> {
            vec![$(($topic, schemars::schema_for!($name).to_value())),*]
        }
    };
}

/// A kind of event.
#[derive(Debug, Clone, Serialize)]
pub struct EventKind {
    /// Topic.
    pub topic: &'static str,
    /// Version of the shape.
    pub version: u32,
    /// Urgency.
    pub priority: Priority,
}

/// How a run of a recipe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All outputs are there.
    Succeeded,
    /// An error; no output is there.
    Failed,
    /// Cancelled by the caller; no output is there.
    Cancelled,
}

/// A key of the configuration that has another value than before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigChange {
    /// Path of the key, such as `events.lane_events`.
    pub path: String,
    /// Value before; none when there was none. Secrets read `***`.
    pub old: Option<Value>,
    /// Value now.
    pub new: Option<Value>,
    /// Where the new value comes from.
    pub origin: String,
}

payloads! {
    /// A queued job came further.
    JobProgress: "job.progress" v 1, Low, key job {
        /// Identifier of the job.
        job: String,
        /// Part done, 0 to 1; never goes back.
        fraction: f64,
        /// Expected time to the end, in seconds; none while unknown.
        remaining_s: Option<f64>,
    }
    /// A job went to another state.
    JobState: "job.state" v 1, High, key job {
        /// Identifier of the job.
        job: String,
        /// `scheduled`, `available`, `running`, `publishing`, `succeeded`, `cancelled`, `dead`.
        state: String,
        /// Which attempt, from 1; 0 before the first.
        attempt: u32,
        /// Why, for `dead` and for another attempt.
        reason: Option<String>,
    }
    /// A run of a workflow went to another state.
    WorkflowState: "workflow.state" v 1, High, key run {
        /// Identifier of the run.
        run: String,
        /// Name of the workflow.
        workflow: String,
        /// `running`, `stopping`, `undoing`, `succeeded`, `partial`, `failed`, `cancelled`.
        state: String,
        /// Why, for `stopping`, `failed` and `cancelled`.
        reason: Option<String>,
    }
    /// A step of a workflow went to another state.
    WorkflowStepState: "workflow.step" v 1, Normal, key run {
        /// Identifier of the run.
        run: String,
        /// The step.
        step: String,
        /// Number of its file in a `fan_out`, from 0.
        item: Option<u32>,
        /// `running`, `succeeded`, `dead`, `cancelled`, `skipped`.
        state: String,
        /// Which attempt, from 1; 0 before the first.
        attempt: u32,
        /// The error in words.
        error: Option<String>,
    }
    /// What a step `notify` of a workflow says. After a crash it may be said again, with the same key.
    WorkflowNotice: "workflow.notify" v 1, High, key run {
        /// Identifier of the run.
        run: String,
        /// Name of the workflow.
        workflow: String,
        /// The step.
        step: String,
        /// Number of its file in a `fan_out`, from 0.
        item: Option<u32>,
        /// Names this message for ever.
        key: String,
        /// The message.
        message: String,
        /// Anything else.
        data: Value,
    }
    /// A run of a recipe began.
    ProcessStarted: "process.started" v 1, Normal, key run {
        /// Identifier of the run.
        run: String,
        /// Length of the input in seconds, when known.
        duration_s: Option<f64>,
        /// Number of outputs.
        outputs: u32,
    }
    /// A run of a recipe entered a stage or came further in it.
    ProcessStage: "process.stage" v 1, Low, key run {
        /// Identifier of the run.
        run: String,
        /// `analyse`, `encode`, `verify`, ...
        stage: String,
        /// Part of the whole run that is done, 0 to 1.
        fraction: f64,
    }
    /// A run of a recipe ended.
    ProcessFinished: "process.finished" v 1, High, key run {
        /// Identifier of the run.
        run: String,
        /// How.
        outcome: Outcome,
        /// Code of the error, see [`crate::ErrorCode`].
        error_code: Option<u32>,
        /// The error in words.
        error: Option<String>,
        /// Seconds of audio that were processed.
        audio_s: f64,
        /// Seconds that it took.
        wall_s: f64,
    }
    /// Something that failed is tried again.
    RetryScheduled: "process.retry" v 1, Normal, key run {
        /// Identifier of the run.
        run: String,
        /// The attempt that comes, from 2.
        attempt: u32,
        /// Pause before it, in milliseconds.
        delay_ms: u64,
        /// Code of the error that made it necessary.
        error_code: u32,
    }
    /// Another configuration holds.
    ConfigChanged: "config.changed" v 1, High {
        /// Number of the generation that holds now.
        generation: u64,
        /// What differs from the one before.
        changes: Vec<ConfigChange>,
        /// Keys whose new value holds after a restart only.
        restart: Vec<String>,
    }
    /// A configuration was refused; the one before still holds.
    ConfigRejected: "config.rejected" v 1, High {
        /// Number of the generation that still holds.
        generation: u64,
        /// All that is wrong.
        problems: Vec<Problem>,
    }
    /// The health of a service changed.
    ServiceHealth: "service.health" v 1, Critical, key service {
        /// The service.
        service: String,
        /// How it is.
        status: HealthStatus,
        /// Why.
        note: Option<String>,
    }
    /// Work waits because a budget is used up.
    ResourceWaiting: "resource.waiting" v 1, Normal, key pool {
        /// The budget: `memory`, `threads`, `files`, `temp_disk`.
        pool: String,
        /// What is asked for, in the unit of the budget.
        wanted: u64,
        /// What is free.
        available: u64,
        /// How many wait, with this one.
        queue: u32,
    }
    /// Work got its share of a budget after it waited.
    ResourceGranted: "resource.granted" v 1, Low, key pool {
        /// The budget.
        pool: String,
        /// What it got.
        amount: u64,
        /// How long it waited, in milliseconds.
        waited_ms: u64,
    }
    /// A share of a budget was not given back.
    ResourceLeak: "resource.leak" v 1, High, key pool {
        /// The budget.
        pool: String,
        /// What is missing.
        amount: u64,
        /// Who had it, by label.
        holders: BTreeMap<String, u64>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_valid_unique_and_have_a_schema() {
        let kinds = catalogue();
        let mut topics: Vec<_> = kinds.iter().map(|k| k.topic).collect();
        topics.sort_unstable();
        topics.dedup();
        assert_eq!(topics.len(), kinds.len());
        for (kind, (topic, schema)) in kinds.iter().zip(payload_schemas()) {
            assert_eq!(kind.topic, topic);
            super::super::topic::check_topic(kind.topic).unwrap();
            assert!(kind.version >= 1);
            let fields = schema["properties"].as_object().unwrap();
            assert!(fields.values().all(|f| f["description"].is_string()), "{}", kind.topic);
        }
    }
}
