//! Budgets for what there is only so much of: memory, threads, open files, temporary disk.
//!
//! Work asks for all that it needs before it starts, and waits in line until there is as much. It gets all of it or nothing, so two
//! can never wait for each other. Who came first is served first; who would be above the share of its tenant lets others pass. A
//! permit gives everything back when it is dropped, also by a panic. Memory is counted while it is used, too: beyond
//! what was granted it is refused.
//!
//! ```
//! use pure_sound::resources::{Amounts, PoolOptions, Request, Resource, ResourcePool};
//!
//! let budgets = Amounts { memory_bytes: 1000, ..Amounts::UNLIMITED };
//! let pool = ResourcePool::new(PoolOptions { budgets, ..PoolOptions::default() });
//! let permit = pool.acquire(&Request::new("decode", Amounts::of(Resource::Memory, 800)))?;
//! let buffer = permit.memory().take(600)?;
//! assert!(permit.memory().take(300).is_err());
//! assert_eq!(pool.usage().resources[0].used, 800);
//! drop((permit, buffer));
//! assert_eq!(pool.usage().resources[0].used, 0);
//! # Ok::<(), pure_sound::Error>(())
//! ```

mod account;
mod amounts;
mod pool;
mod queue;
#[cfg(test)]
mod tests;
mod usage;

pub use account::{BudgetedVec, Lease, MemoryAccount};
pub use amounts::{Amounts, Resource};
pub use pool::{Permit, PoolOptions, Request, ResourcePool};
pub use usage::{Holding, ResourceUsage, Usage};
