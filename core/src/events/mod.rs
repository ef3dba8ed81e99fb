//! Events: what happens in an engine, for those who want to know.
//!
//! Every event has a topic (`job.progress`), a typed payload with the version of its shape, a priority and a number without holes.
//! Subscribers name a pattern of topics and choose where they are called (in the publisher's thread, in one of their own, or not at
//! all: they ask), and what happens when they are slower than the events (see [`Class`]). A handler that fails or panics harms
//! nobody else. The last events are kept, so that who comes late can start from a number; a durable subscription keeps its place
//! between runs.
//!
//! ```
//! use pure_sound::events::{EventBus, HealthStatus, ServiceHealth, SubscribeOptions};
//!
//! let bus = EventBus::default();
//! let poller = bus.poll(SubscribeOptions::new("service.*"))?;
//! bus.publish(ServiceHealth { service: "cache".into(), status: HealthStatus::Pass, note: None })?;
//! let delivery = poller.try_next().unwrap();
//! assert_eq!(delivery.event().unwrap().payload::<ServiceHealth>().unwrap().service, "cache");
//! # Ok::<(), pure_sound::Error>(())
//! ```

mod bus;
mod context;
mod cursor;
mod event;
mod history;
mod inbox;
mod lane;
mod payloads;
mod subscriber;
mod subscription;
#[cfg(test)]
mod tests;
mod topic;

pub use bus::{BusStats, EventBus, EventOptions};
pub use context::NoEvents;
pub use cursor::{Cursor, CursorStore, FileCursors, MemoryCursors};
pub use event::{Delivery, Event, Payload, Priority};
pub use lane::Class;
pub use payloads::*;
pub use subscriber::{DeadLetter, HandlerResult, SubscriberStats};
pub use subscription::{Poller, Start, SubscribeOptions, Subscription};
pub use topic::{Pattern, check_topic};
