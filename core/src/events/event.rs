//! What is published: a payload with a topic, a number and a time.

use std::any::Any;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// How urgent an event is. Each subscriber takes all that waits for it in this order, the most urgent first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Progress and other things that may come late.
    Low,
    /// Most things.
    #[default]
    Normal,
    /// Results, failures.
    High,
    /// What must be acted on at once, such as a failing service.
    Critical,
}

impl Priority {
    /// How many there are.
    pub(super) const COUNT: usize = 4;

    /// 0 for [`Priority::Low`].
    pub(super) fn index(self) -> usize {
        self as usize
    }
}

/// A kind of event, defined once: its topic, the version of its shape, its fields.
///
/// A new optional field keeps the version; anything else raises it.
pub trait Payload: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// Topic, such as `job.progress`.
    const TOPIC: &'static str;
    /// Version of the shape, from 1.
    const VERSION: u32;
    /// Urgency.
    const PRIORITY: Priority = Priority::Normal;

    /// What the event is about, such as the number of a job: subscribers of the latest only keep one event per key, and
    /// concurrent ones keep the order per key.
    fn key(&self) -> Option<&str> {
        None
    }
}

/// A payload whose type was forgotten.
pub(super) trait AnyPayload: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn json(&self) -> serde_json::Result<Value>;
}

impl<P: Payload> AnyPayload for P {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn json(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }
}

/// A payload that came as JSON, from a host in another language.
pub(super) struct JsonPayload(pub Value);

impl AnyPayload for JsonPayload {
    fn as_any(&self) -> &dyn Any {
        &self.0
    }
    fn json(&self) -> serde_json::Result<Value> {
        Ok(self.0.clone())
    }
}

/// A published event. Shared by all who receive it.
pub struct Event {
    /// Number of the event on its bus, from 1 without holes.
    pub sequence: u64,
    /// When it was published, in milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// Topic.
    pub topic: Arc<str>,
    /// Version of the payload's shape.
    pub version: u32,
    /// Urgency.
    pub priority: Priority,
    /// What it is about, see [`Payload::key`].
    pub key: Option<Arc<str>>,
    /// What it counts against the history, in bytes: its JSON form and a fixed part for the rest.
    pub(super) bytes: usize,
    pub(super) payload: Box<dyn AnyPayload>,
}

/// What an event costs beside its payload, in bytes: the struct, the counters of its `Arc`, places in queues.
pub(super) const OVERHEAD_BYTES: usize = size_of::<Event>() + 64;

impl Event {
    /// The payload, when it was published as a `P`.
    pub fn payload<P: Payload>(&self) -> Option<&P> {
        self.payload.as_any().downcast_ref()
    }

    /// The payload as a `P`, also when it came as JSON.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] when it is not of this shape.
    pub fn decode<P: Payload>(&self) -> Result<P> {
        serde_json::from_value(self.payload_json()?).map_err(|e| Error::InvalidValue {
            name: format!("payload of {}", self.topic),
            value: e.to_string(),
            allowed: format!("the shape of {} version {}", P::TOPIC, P::VERSION),
        })
    }

    /// The payload as JSON.
    ///
    /// # Errors
    /// [`Error::Internal`] when a payload cannot be JSON, such as a map with keys that are not text.
    pub fn payload_json(&self) -> Result<Value> {
        self.payload.json().map_err(|e| Error::internal(format!("payload of {}: {e}", self.topic)))
    }

    /// The whole event as JSON, as bindings hand it on.
    ///
    /// # Errors
    /// As [`Event::payload_json`].
    pub fn to_json(&self) -> Result<Value> {
        Ok(json!({
            "sequence": self.sequence, "time_ms": self.time_ms, "topic": &*self.topic, "version": self.version,
            "priority": self.priority, "key": self.key.as_deref(), "payload": self.payload_json()?,
        }))
    }
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event")
            .field("sequence", &self.sequence)
            .field("topic", &self.topic)
            .field("key", &self.key)
            .field("payload", &self.payload.json().unwrap_or(Value::Null))
            .finish_non_exhaustive()
    }
}

/// What a subscriber receives.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Delivery {
    /// An event.
    Event {
        /// It.
        event: Arc<Event>,
        /// True when it comes from the history and not as it happens.
        replay: bool,
    },
    /// Events were dropped since the last delivery, because this subscriber was too slow or suspended.
    Lagged {
        /// How many.
        lost: u64,
    },
    /// The history does not reach back to where the subscriber wanted to start.
    Gap {
        /// First number that cannot be had.
        from: u64,
        /// Last number that cannot be had; `from - 1` when there is none.
        to: u64,
        /// True when the cursor was made by another run of the engine: what that run published since is not known here.
        restarted: bool,
    },
}

impl Delivery {
    /// The event, when it is one.
    pub fn event(&self) -> Option<&Arc<Event>> {
        match self {
            Self::Event { event, .. } => Some(event),
            _ => None,
        }
    }
}

/// Counts bytes instead of writing them.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Length of a payload as JSON.
pub(super) fn json_bytes<T: Serialize>(payload: &T) -> Result<usize> {
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, payload).map_err(|e| Error::internal(format!("payload: {e}")))?;
    Ok(counter.0)
}
