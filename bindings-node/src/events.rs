//! Events of the engine's bus, to JavaScript and from it.

use std::str::FromStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use napi::Status;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use pure_sound::events::{
    Class, Cursor, Delivery, EventBus, HandlerResult, Priority, Start, SubscribeOptions,
    Subscription as CoreSubscription,
};
use pure_sound::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::promise::options;

/// Deliveries that JavaScript may have waiting. Beyond, the bus keeps them, by the rules of the subscription.
const WINDOW: u32 = 64;

/// Gets deliveries as JSON. Weak: a subscription alone does not keep the process alive.
pub type Handler = ThreadsafeFunction<String, (), String, Status, false, true>;

/// What happens when JavaScript is slower than its events. None that makes the publisher wait: that may be JavaScript itself.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Slow {
    #[default]
    Lossy,
    Latest,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum From {
    #[default]
    Live,
    Oldest,
    Sequence(u64),
    After(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    class: Slow,
    start: From,
    name: Option<String>,
    lane_events: Option<usize>,
}

impl Wanted {
    fn options(self, pattern: &str) -> Result<SubscribeOptions> {
        let class = match self.class {
            Slow::Lossy => Class::Lossy,
            Slow::Latest => Class::Latest,
        };
        let start = match self.start {
            From::Live => Start::Live,
            From::Oldest => Start::Oldest,
            From::Sequence(number) => Start::Sequence(number),
            From::After(cursor) => Start::After(Cursor::from_str(&cursor)?),
        };
        let mut options = SubscribeOptions::new(pattern).class(class).start(start);
        if let Some(name) = self.name {
            options = options.name(name);
        }
        if let Some(events) = self.lane_events {
            options = options.lane_events(events);
        }
        Ok(options)
    }
}

#[derive(Default)]
struct Gate {
    /// (deliveries that JavaScript has not taken yet, closed)
    state: Mutex<(u32, bool)>,
    wake: Condvar,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, (u32, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room. False when closed.
    fn enter(&self) -> bool {
        let mut state = self.lock();
        while state.0 >= WINDOW && !state.1 {
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.0 += 1;
        !state.1
    }

    fn leave(&self) {
        let mut state = self.lock();
        state.0 = state.0.saturating_sub(1);
        self.wake.notify_one();
    }

    fn close(&self) {
        self.lock().1 = true;
        self.wake.notify_all();
    }
}

/// A subscription of JavaScript.
#[napi]
pub struct Subscription {
    subscription: Option<CoreSubscription>,
    gate: Arc<Gate>,
}

impl Subscription {
    /// Subscribes `handler`.
    ///
    /// # Errors
    /// As [`EventBus::subscribe`]; [`Error::InvalidValue`] for options that are none.
    pub fn new(bus: &EventBus, pattern: &str, wanted: &str, handler: Handler) -> Result<Self> {
        let wanted: Wanted = options("options", wanted)?;
        let gate = Arc::new(Gate::default());
        let inner = Arc::clone(&gate);
        // For cursors, which the handler cannot ask the bus for: it must not keep it alive.
        let stream = bus.cursor(0).stream;
        let subscription = bus.subscribe(wanted.options(pattern)?, move |delivery| -> HandlerResult {
            let text = to_json(delivery, stream)?.to_string();
            if inner.enter() && handler.call(text, ThreadsafeFunctionCallMode::NonBlocking) != Status::Ok {
                inner.close();
            }
            Ok(())
        })?;
        Ok(Self { subscription: Some(subscription), gate })
    }
}

#[napi]
impl Subscription {
    /// JavaScript has taken a delivery.
    #[napi]
    pub fn taken(&self) {
        self.gate.leave();
    }

    /// What it did so far, as JSON; null when it was ended.
    #[napi]
    pub fn stats(&self) -> Option<String> {
        self.subscription.as_ref().and_then(|s| serde_json::to_string(&s.stats()).ok())
    }

    /// Ends it. Nothing is delivered after.
    #[napi]
    pub fn unsubscribe(&mut self) {
        self.gate.close();
        self.subscription = None;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // Before the subscription is dropped, which waits for its handler.
        self.gate.close();
    }
}

/// A delivery as a record: `type` is `event`, `lagged` or `gap`.
fn to_json(delivery: &Delivery, stream: u64) -> Result<Value> {
    match delivery {
        Delivery::Event { event, replay } => {
            let mut record = event.to_json()?;
            record["type"] = "event".into();
            record["replay"] = (*replay).into();
            record["cursor"] = Cursor { stream, sequence: event.sequence }.to_string().into();
            Ok(record)
        }
        Delivery::Lagged { lost } => Ok(json!({ "type": "lagged", "lost": lost })),
        Delivery::Gap { from, to, restarted } => {
            Ok(json!({ "type": "gap", "from": from, "to": to, "restarted": restarted }))
        }
        other => Err(Error::internal(format!("unknown delivery {other:?}"))),
    }
}

/// Publishes a payload (JSON) under a topic; gives the number of the event.
///
/// # Errors
/// As [`EventBus::publish_json`].
pub fn publish(bus: &EventBus, topic: &str, payload: &str) -> Result<f64> {
    let payload: Value = options("payload", payload)?;
    Ok(bus.publish_json(topic, 1, Priority::Normal, None, payload)? as f64)
}
