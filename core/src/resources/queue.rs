//! Who holds what and who is next, under one lock. No waiting here.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::amounts::{Amounts, Resource};
use crate::sync::Condvar;
use crate::sync::thread::ThreadId;

/// A request in line.
pub(super) struct Ticket {
    pub id: u64,
    pub holder: Holder,
    /// Wakes the one who waits, and nobody else.
    pub bell: Arc<Condvar>,
}

/// What a permit stands for.
pub(super) struct Holder {
    pub label: Cow<'static, str>,
    pub tenant: Option<Arc<str>>,
    pub amounts: Amounts,
    /// Since when it holds, or waits.
    pub since: Duration,
    /// The thread that must not wait for this pool again; none after it was handed over.
    pub thread: Option<ThreadId>,
}

/// Events since the pool was made.
#[derive(Default)]
pub(super) struct Counts {
    pub granted: u64,
    pub waited: u64,
    pub waited_time: Duration,
    pub refused: u64,
    pub timed_out: u64,
    pub cancelled: u64,
}

/// Budgets, holders, line.
pub(super) struct Queue {
    budgets: Amounts,
    /// Budgets of one tenant.
    shares: Amounts,
    used: Amounts,
    peak: Amounts,
    by_tenant: HashMap<Arc<str>, Amounts>,
    by_thread: HashMap<ThreadId, u32>,
    holders: BTreeMap<u64, Holder>,
    line: VecDeque<Ticket>,
    next_id: u64,
    pub counts: Counts,
    pub closed: bool,
}

impl Queue {
    /// Nobody holds anything. A tenant may hold `share` (0 to 1) of each budget.
    pub fn new(budgets: Amounts, share: f64) -> Self {
        let mut shares = Amounts::UNLIMITED;
        for r in Resource::ALL.into_iter().filter(|r| budgets.get(*r) != u64::MAX && share < 1.0) {
            *shares.get_mut(r) = ((budgets.get(r) as f64 * share) as u64).max(1);
        }
        Self {
            budgets,
            shares,
            used: Amounts::default(),
            peak: Amounts::default(),
            by_tenant: HashMap::new(),
            by_thread: HashMap::new(),
            holders: BTreeMap::new(),
            line: VecDeque::new(),
            next_id: 0,
            counts: Counts::default(),
            closed: false,
        }
    }

    pub fn budgets(&self) -> &Amounts {
        &self.budgets
    }
    pub fn used(&self) -> &Amounts {
        &self.used
    }
    pub fn peak(&self) -> &Amounts {
        &self.peak
    }
    pub fn holders(&self) -> impl ExactSizeIterator<Item = &Holder> {
        self.holders.values()
    }
    pub fn line(&self) -> &VecDeque<Ticket> {
        &self.line
    }
    pub fn amounts(&self, id: u64) -> Amounts {
        self.holders.get(&id).map_or_else(Amounts::default, |h| h.amounts)
    }
    pub fn holds(&self, id: u64) -> bool {
        self.holders.contains_key(&id)
    }

    /// The most that a request of this tenant can ever get.
    pub fn capacity(&self, tenant: Option<&Arc<str>>) -> Amounts {
        let mut capacity = self.budgets;
        if tenant.is_some() {
            for r in Resource::ALL {
                *capacity.get_mut(r) = self.budgets.get(r).min(self.shares.get(r));
            }
        }
        capacity
    }

    /// True when something is wanted that somebody could have to wait for.
    pub fn is_limited(&self, amounts: &Amounts) -> bool {
        Resource::ALL.into_iter().any(|r| self.takes(amounts, r))
    }

    fn takes(&self, amounts: &Amounts, r: Resource) -> bool {
        amounts.get(r) > 0 && self.budgets.get(r) != u64::MAX
    }

    /// True when this thread has a permit that was not handed over.
    pub fn is_nested(&self, thread: ThreadId) -> bool {
        self.by_thread.contains_key(&thread)
    }

    /// What a request has to wait for: what there is too little of, or what others wait for already.
    pub fn waits_for(&self, amounts: &Amounts, tenant: Option<&Arc<str>>) -> Option<Resource> {
        let queued = || Resource::ALL.into_iter().find(|r| self.takes(amounts, *r)).filter(|_| !self.line.is_empty());
        self.short_of(amounts, tenant).or_else(queued)
    }

    /// What keeps `amounts` from being there now.
    fn short_of(&self, amounts: &Amounts, tenant: Option<&Arc<str>>) -> Option<Resource> {
        self.used.beyond(amounts, &self.budgets).or_else(|| self.beyond_share(amounts, tenant))
    }

    fn beyond_share(&self, amounts: &Amounts, tenant: Option<&Arc<str>>) -> Option<Resource> {
        let held = self.by_tenant.get(tenant?).copied().unwrap_or_default();
        held.beyond(amounts, &self.shares)
    }

    /// Puts somebody at the end of the line, then serves it: who can have something has it at once.
    pub fn enter(&mut self, holder: Holder, bell: Arc<Condvar>, now: Duration) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        if self.line.is_empty() && self.short_of(&holder.amounts, holder.tenant.as_ref()).is_none() {
            self.grant(id, holder);
        } else {
            self.line.push_back(Ticket { id, holder, bell });
            let waited = self.counts.waited;
            self.serve(now);
            // Past those who wait for something else: served at once.
            self.counts.waited = waited;
        }
        id
    }

    /// Takes somebody out of the line who does not want to wait any longer; who stood behind may be served by it.
    pub fn leave(&mut self, id: u64, now: Duration) {
        self.line.retain(|t| t.id != id);
        self.serve(now);
    }

    /// Takes back what a permit held.
    pub fn release(&mut self, id: u64, now: Duration) {
        let Some(holder) = self.holders.remove(&id) else { return };
        self.used.subtract(&holder.amounts);
        if let Some(tenant) = &holder.tenant
            && let Some(held) = self.by_tenant.get_mut(tenant)
        {
            held.subtract(&holder.amounts);
            // Names of tenants come from outside: those that hold nothing are forgotten.
            if *held == Amounts::default() {
                self.by_tenant.remove(tenant);
            }
        }
        self.forget_thread(holder.thread);
        self.serve(now);
    }

    /// From now on another thread takes care of the permit.
    pub fn hand_over(&mut self, id: u64) {
        let thread = self.holders.get_mut(&id).and_then(|h| h.thread.take());
        self.forget_thread(thread);
    }

    fn forget_thread(&mut self, thread: Option<ThreadId>) {
        if let Some(thread) = thread
            && let Some(count) = self.by_thread.get_mut(&thread)
        {
            *count -= 1;
            if *count == 0 {
                self.by_thread.remove(&thread);
            }
        }
    }

    /// Gives a holder more, when it is there now. In front of the line: a holder that cannot go on would hold up everybody.
    pub fn extend(&mut self, id: u64, more: &Amounts) -> Result<(), Resource> {
        let Some(holder) = self.holders.get(&id) else { return Ok(()) };
        let tenant = holder.tenant.clone();
        if let Some(short) = self.short_of(more, tenant.as_ref()) {
            return Err(short);
        }
        if let Some(holder) = self.holders.get_mut(&id) {
            holder.amounts.add(more);
        }
        self.count(more, tenant);
        Ok(())
    }

    fn count(&mut self, more: &Amounts, tenant: Option<Arc<str>>) {
        self.used.add(more);
        for r in Resource::ALL {
            let used = self.used.get(r);
            debug_assert!(used <= self.budgets.get(r), "budget of {} exceeded", r.name());
            let peak = self.peak.get_mut(r);
            *peak = used.max(*peak);
        }
        if let Some(tenant) = tenant
            && *more != Amounts::default()
        {
            self.by_tenant.entry(tenant).or_default().add(more);
        }
    }

    fn grant(&mut self, id: u64, holder: Holder) {
        self.count(&holder.amounts, holder.tenant.clone());
        if let Some(thread) = holder.thread {
            *self.by_thread.entry(thread).or_default() += 1;
        }
        self.counts.granted += 1;
        self.holders.insert(id, holder);
    }

    /// Serves the line from its front. Who cannot be served keeps those behind from what it waits for, so nobody starves; but who
    /// only waits for its own tenant's share keeps back its tenant alone.
    fn serve(&mut self, now: Duration) {
        let (mut kept, mut tenants) = ([false; 4], Vec::<Arc<str>>::new());
        let mut at = 0;
        while at < self.line.len() && kept != [true; 4] {
            let holder = &self.line[at].holder;
            let tenant = holder.tenant.as_ref();
            let own =
                tenant.is_some_and(|t| tenants.contains(t)) || self.beyond_share(&holder.amounts, tenant).is_some();
            let others = Resource::ALL.into_iter().zip(kept).any(|(r, kept)| kept && self.takes(&holder.amounts, r))
                || self.used.beyond(&holder.amounts, &self.budgets).is_some();
            if !own && !others {
                if let Some(mut ticket) = self.line.remove(at) {
                    self.counts.waited += 1;
                    self.counts.waited_time += now.saturating_sub(ticket.holder.since);
                    ticket.holder.since = now;
                    self.grant(ticket.id, ticket.holder);
                    ticket.bell.notify_all();
                }
                continue;
            }
            tenants.extend(tenant.cloned());
            if !own {
                for (r, kept) in Resource::ALL.into_iter().zip(&mut kept) {
                    *kept |= self.takes(&self.line[at].holder.amounts, r);
                }
            }
            at += 1;
        }
    }
}
