//! Asking for a share, waiting for it, giving it back.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::account::MemoryAccount;
use super::amounts::{Amounts, Resource};
use super::queue::{Holder, Queue};
use super::usage::{Holding, ResourceUsage, Usage};
use crate::cancel::CancelToken;
use crate::error::{Error, Result};
use crate::services::seams::{Clock, SystemClock};
use crate::sync::{Condvar, Mutex, lock, thread, wait};

/// Size of a pool.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolOptions {
    /// All there is; `u64::MAX` is no limit. Default: no limits.
    pub budgets: Amounts,
    /// Part of each budget that one tenant may hold, above 0 to 1. Default 1.
    pub tenant_share: f64,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { budgets: Amounts::UNLIMITED, tenant_share: 1.0 }
    }
}

/// What work asks for.
#[derive(Debug, Clone)]
pub struct Request {
    label: Cow<'static, str>,
    amounts: Amounts,
    tenant: Option<Arc<str>>,
    max_wait: Option<Duration>,
    cancel: CancelToken,
}

impl Request {
    /// Asks for `amounts`. `label` tells people what it is for.
    pub fn new(label: impl Into<Cow<'static, str>>, amounts: Amounts) -> Self {
        Self { label: label.into(), amounts, tenant: None, max_wait: None, cancel: CancelToken::new() }
    }

    /// On whose behalf. Default: nobody's, so that the share of a tenant does not count.
    pub fn tenant(mut self, tenant: Option<Arc<str>>) -> Self {
        self.tenant = tenant;
        self
    }

    /// How long to wait at most. Default: as long as it takes.
    pub fn max_wait(mut self, wait: Option<Duration>) -> Self {
        self.max_wait = wait;
        self
    }

    /// Stops waiting when this is cancelled.
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.cancel = token.clone();
        self
    }

    /// What it asks for.
    pub fn amounts(&self) -> &Amounts {
        &self.amounts
    }
}

struct Inner {
    queue: Mutex<Queue>,
    clock: Arc<dyn Clock>,
}

/// Budgets that work shares. Clones are the same pool.
#[derive(Clone)]
pub struct ResourcePool {
    inner: Arc<Inner>,
}

impl Default for ResourcePool {
    fn default() -> Self {
        Self::new(PoolOptions::default())
    }
}

impl std::fmt::Debug for ResourcePool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResourcePool").field("used", lock(&self.inner.queue).used()).finish_non_exhaustive()
    }
}

impl ResourcePool {
    /// A pool of which nothing is used.
    pub fn new(options: PoolOptions) -> Self {
        Self::with_clock(options, Arc::new(SystemClock::default()))
    }

    /// As [`ResourcePool::new`], with the clock that tells how long something is held.
    pub fn with_clock(options: PoolOptions, clock: Arc<dyn Clock>) -> Self {
        let queue = Mutex::new(Queue::new(options.budgets, options.tenant_share));
        Self { inner: Arc::new(Inner { queue, clock }) }
    }

    /// The most that one request can ever get.
    pub fn capacity(&self, tenant: Option<&Arc<str>>) -> Amounts {
        lock(&self.inner.queue).capacity(tenant)
    }

    /// Gets all that is asked for, and waits in line until it is there.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] for more than can ever be there; [`Error::WouldDeadlock`] when this thread holds a permit
    /// of this pool already and asks for something limited, because it might wait for itself; [`Error::Full`] after `max_wait`;
    /// [`Error::Cancelled`]; [`Error::Closed`].
    pub fn acquire(&self, request: &Request) -> Result<Permit> {
        let inner = &self.inner;
        request.cancel.check()?;
        let deadline = request.max_wait.and_then(|w| Instant::now().checked_add(w));
        let mut queue = self.lock_for(request)?;
        let bell = Arc::new(Condvar::new());
        let id = queue.enter(self.holder(request), Arc::clone(&bell), inner.clock.monotonic());
        if queue.holds(id) {
            return Ok(self.permit(id, request, &queue));
        }
        drop(queue);
        let (pool, ring) = (Arc::clone(inner), Arc::clone(&bell));
        let _sleeper = request.cancel.sleeper(Arc::new(move || {
            drop(lock(&pool.queue));
            ring.notify_all();
        }));
        let mut queue = lock(&inner.queue);
        loop {
            if queue.holds(id) {
                return Ok(self.permit(id, request, &queue));
            }
            let error = if queue.closed {
                Some(closed())
            } else if request.cancel.is_cancelled() {
                queue.counts.cancelled += 1;
                Some(Error::Cancelled)
            } else if deadline.is_some_and(|at| Instant::now() >= at) {
                queue.counts.timed_out += 1;
                Some(full(&queue, request))
            } else {
                None
            };
            if let Some(error) = error {
                queue.leave(id, inner.clock.monotonic());
                return Err(error);
            }
            queue = wait(&bell, queue, deadline);
        }
    }

    /// As [`ResourcePool::acquire`], without waiting.
    ///
    /// # Errors
    /// [`Error::Full`] when it is not there now or others wait for it; else as [`ResourcePool::acquire`].
    pub fn try_acquire(&self, request: &Request) -> Result<Permit> {
        request.cancel.check()?;
        let mut queue = self.lock_for(request)?;
        let now = self.inner.clock.monotonic();
        let id = queue.enter(self.holder(request), Arc::new(Condvar::new()), now);
        if queue.holds(id) {
            return Ok(self.permit(id, request, &queue));
        }
        let error = full(&queue, request);
        queue.leave(id, now);
        Err(error)
    }

    /// What a request would have to wait for now: a resource, how much of it is free, and how many wait already.
    pub fn short_of(&self, request: &Request) -> Option<(Resource, u64, u32)> {
        let queue = lock(&self.inner.queue);
        let waiting = queue.line().len();
        let short = queue.waits_for(&request.amounts, request.tenant.as_ref())?;
        let free = queue.budgets().get(short).saturating_sub(queue.used().get(short));
        Some((short, free, u32::try_from(waiting).unwrap_or(u32::MAX)))
    }

    /// What is used and who waits. Cheap; for metrics and health.
    pub fn usage(&self) -> Usage {
        let now = self.inner.clock.monotonic();
        let queue = lock(&self.inner.queue);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let resources = Resource::ALL.map(|resource| ResourceUsage {
            resource,
            budget: Some(queue.budgets().get(resource)).filter(|b| *b != u64::MAX),
            used: queue.used().get(resource),
            peak: queue.peak().get(resource),
            waiting: number(queue.line().iter().filter(|t| t.holder.amounts.get(resource) > 0).count()),
        });
        let oldest = queue.line().front().map_or(Duration::ZERO, |t| now.saturating_sub(t.holder.since));
        let counts = &queue.counts;
        Usage {
            resources: resources.to_vec(),
            holders: number(queue.holders().len()),
            waiting: number(queue.line().len()),
            oldest_wait_ms: millis(oldest),
            granted: counts.granted,
            waited: counts.waited,
            waited_ms: millis(counts.waited_time),
            refused: counts.refused,
            timed_out: counts.timed_out,
            cancelled: counts.cancelled,
        }
    }

    /// Permits that have been held for longer than this, the oldest first: who holds what, since when.
    pub fn held_longer_than(&self, age: Duration) -> Vec<Holding> {
        let now = self.inner.clock.monotonic();
        let queue = lock(&self.inner.queue);
        let holding = |h: &Holder| Holding {
            label: h.label.to_string(),
            tenant: h.tenant.as_deref().map(str::to_owned),
            amounts: h.amounts,
            held: now.saturating_sub(h.since),
        };
        let mut found: Vec<_> = queue.holders().map(holding).filter(|h| h.held > age || age.is_zero()).collect();
        found.sort_by_key(|h| std::cmp::Reverse(h.held));
        found
    }

    /// Grants nothing any more; who waits gets [`Error::Closed`]. Tells what is still held: after all work is done, a leak.
    pub fn close(&self) -> Vec<Holding> {
        {
            let mut queue = lock(&self.inner.queue);
            queue.closed = true;
            queue.line().iter().for_each(|t| t.bell.notify_all());
        }
        self.held_longer_than(Duration::ZERO)
    }

    fn lock_for(&self, request: &Request) -> Result<crate::sync::MutexGuard<'_, Queue>> {
        let mut queue = lock(&self.inner.queue);
        if queue.closed {
            return Err(closed());
        }
        let capacity = queue.capacity(request.tenant.as_ref());
        if let Some(r) = Amounts::default().beyond(&request.amounts, &capacity) {
            queue.counts.refused += 1;
            let (value, max) = (request.amounts.get(r) as f64, capacity.get(r) as f64);
            return Err(Error::LimitExceeded { limit: r.limit(), value, max });
        }
        if queue.is_limited(&request.amounts) && queue.is_nested(thread::current().id()) {
            let what = format!("{}: its thread holds resources of the same pool already", request.label);
            return Err(Error::WouldDeadlock { what });
        }
        Ok(queue)
    }

    fn holder(&self, request: &Request) -> Holder {
        Holder {
            label: request.label.clone(),
            tenant: request.tenant.clone(),
            amounts: request.amounts,
            since: self.inner.clock.monotonic(),
            thread: Some(thread::current().id()),
        }
    }

    fn permit(&self, id: u64, request: &Request, queue: &Queue) -> Permit {
        let limited = queue.budgets().memory_bytes != u64::MAX;
        let grant = Arc::new(Grant { inner: Arc::clone(&self.inner), id });
        // Without a budget memory is counted and not refused.
        let limit_bytes = if limited { request.amounts.memory_bytes } else { u64::MAX };
        let memory = MemoryAccount::granted(limit_bytes, Some(Arc::clone(&grant)));
        Permit { memory, grant }
    }
}

fn closed() -> Error {
    Error::Closed { what: "resource pool" }
}

fn full(queue: &Queue, request: &Request) -> Error {
    let short = queue.waits_for(&request.amounts, request.tenant.as_ref()).unwrap_or(Resource::Memory);
    Error::Full { what: format!("the budget for {}", short.name()), max: queue.budgets().get(short) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Gives everything back when the permit and the last buffer that is counted against it are gone.
pub(super) struct Grant {
    inner: Arc<Inner>,
    id: u64,
}

impl Drop for Grant {
    fn drop(&mut self) {
        lock(&self.inner.queue).release(self.id, self.inner.clock.monotonic());
    }
}

/// A share that was granted. Dropping it gives everything back, once the memory that is counted against it is gone, too.
#[must_use = "dropping a permit gives everything back"]
pub struct Permit {
    memory: MemoryAccount,
    grant: Arc<Grant>,
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permit").field("amounts", &self.amounts()).field("memory", &self.memory).finish()
    }
}

impl Permit {
    /// What it holds.
    pub fn amounts(&self) -> Amounts {
        lock(&self.grant.inner.queue).amounts(self.grant.id)
    }

    /// The account that memory of this work is counted in.
    pub fn memory(&self) -> &MemoryAccount {
        &self.memory
    }

    /// Takes more than was asked for, when it is free right now: never waits, because who holds and waits can deadlock. Not
    /// for memory, whose account is fixed when it is granted.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] when it is not there; what is held stays as it is.
    pub fn extend(&self, resource: Resource, amount: u64) -> Result<()> {
        let mut queue = lock(&self.grant.inner.queue);
        let held = queue.amounts(self.grant.id).get(resource);
        let refused = |max: u64| {
            let value = held.saturating_add(amount) as f64;
            Err(Error::LimitExceeded { limit: resource.limit(), value, max: max as f64 })
        };
        if resource == Resource::Memory {
            return refused(held);
        }
        if queue.extend(self.grant.id, &Amounts::of(resource, amount)).is_err() {
            let free = queue.budgets().get(resource).saturating_sub(queue.used().get(resource));
            return refused(held.saturating_add(free));
        }
        Ok(())
    }

    /// Another thread takes care of it from now on: the one that asked may ask again without being told that it nests.
    pub fn hand_over(self) -> Self {
        lock(&self.grant.inner.queue).hand_over(self.grant.id);
        self
    }
}
