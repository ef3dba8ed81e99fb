//! Services: who is there, who needs whom, how they live and end.
//!
//! The engine is put together here, so that a host can replace any part of it by a registration of its own. A service states what it
//! needs by the types its constructor asks for; the graph is checked as a whole before anything is made, and is frozen then.
//! Inside the engine, plain constructors are used; the registry is for its edge.
//!
//! ```
//! use std::sync::Arc;
//! use pure_sound::services::{Service, ServiceBuilder, seams::{Clock, SystemClock}};
//!
//! struct Greeter(Arc<dyn Clock>);
//! impl Service for Greeter {
//!     type Needs = Arc<dyn Clock>;
//!     fn build(clock: Arc<dyn Clock>) -> pure_sound::Result<Self> {
//!         Ok(Self(clock))
//!     }
//! }
//!
//! let mut builder = ServiceBuilder::new();
//! builder.instance::<dyn Clock>(Arc::new(SystemClock::default())).add::<Greeter>();
//! let services = builder.build()?;
//! assert!(services.get::<Greeter>()?.0.unix_ms() > 0);
//! # Ok::<(), pure_sound::Error>(())
//! ```

mod builder;
mod container;
mod files;
mod health;
mod key;
mod policy;
pub mod seams;
mod slot;
#[cfg(test)]
mod tests;
mod validate;

pub use builder::{Made, Registration, Service, ServiceBuilder};
pub use container::{Disposal, HealthReport, Resolver, Scope, Services, StopOutcome};
pub use health::{Health, HealthStatus};
pub use key::{Dependency, Inject, Key, Lifetime, Name, Named};
