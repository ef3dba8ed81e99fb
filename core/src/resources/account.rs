//! Memory that is counted against what was granted, and refused beyond it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::pool::Grant;
use crate::error::{Error, Result};
use crate::sync::AtomicU64;

/// Counts the memory that one piece of work holds. Clones are the same account.
#[derive(Clone)]
pub struct MemoryAccount(Arc<Account>);

struct Account {
    limit_bytes: u64,
    used_bytes: AtomicU64,
    peak_bytes: AtomicU64,
    /// Keeps what was granted until the last counted buffer is gone.
    _grant: Option<Arc<Grant>>,
}

impl std::fmt::Debug for MemoryAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryAccount({} of {} bytes)", self.used_bytes(), self.0.limit_bytes)
    }
}

impl MemoryAccount {
    /// An account of its own, of a limit that no pool knows of.
    pub fn new(limit_bytes: u64) -> Self {
        Self::granted(limit_bytes, None)
    }

    /// An account that counts and refuses nothing.
    pub fn unlimited() -> Self {
        Self::new(u64::MAX)
    }

    pub(super) fn granted(limit_bytes: u64, grant: Option<Arc<Grant>>) -> Self {
        let (used_bytes, peak_bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Account { limit_bytes, used_bytes, peak_bytes, _grant: grant }))
    }

    /// What may be counted at most, in bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.0.limit_bytes
    }

    /// What is counted now, in bytes.
    pub fn used_bytes(&self) -> u64 {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// The most that was ever counted, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        self.0.peak_bytes.load(Ordering::Relaxed)
    }

    /// Counts `bytes`, before they are allocated.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] when there would be more than was granted; nothing is counted then.
    pub fn take(&self, bytes: u64) -> Result<Lease> {
        let mut lease = Lease { account: self.clone(), bytes: 0 };
        lease.grow(bytes)?;
        Ok(lease)
    }
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
#[must_use = "the memory is not counted any more when this is dropped"]
pub struct Lease {
    account: MemoryAccount,
    bytes: u64,
}

impl Lease {
    /// What it counts.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts more.
    ///
    /// # Errors
    /// As [`MemoryAccount::take`].
    pub fn grow(&mut self, bytes: u64) -> Result<()> {
        let account = &self.account.0;
        let within = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= account.limit_bytes);
        match account.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within) {
            Ok(before) => {
                self.bytes += bytes;
                account.peak_bytes.fetch_max(before + bytes, Ordering::Relaxed);
                Ok(())
            }
            Err(used) => Err(Error::LimitExceeded {
                limit: "memory_bytes",
                value: used.saturating_add(bytes) as f64,
                max: account.limit_bytes as f64,
            }),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.account.0.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A vector whose memory is counted before it is allocated. It grows by no other way than [`BudgetedVec::extend_from_slice`] and
/// [`BudgetedVec::resize`].
#[derive(Debug)]
pub struct BudgetedVec<T> {
    items: Vec<T>,
    lease: Lease,
}

impl<T: Copy> BudgetedVec<T> {
    /// An empty one, which takes no memory.
    ///
    /// # Errors
    /// None; it is a `Result` because the account is asked.
    pub fn new(account: &MemoryAccount) -> Result<Self> {
        Ok(Self { items: Vec::new(), lease: account.take(0)? })
    }

    /// Appends `items`.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] when the account refuses; nothing is appended then.
    pub fn extend_from_slice(&mut self, items: &[T]) -> Result<()> {
        self.reserve(items.len())?;
        self.items.extend_from_slice(items);
        Ok(())
    }

    /// Makes it `len` long; new items are `value`.
    ///
    /// # Errors
    /// As [`BudgetedVec::extend_from_slice`].
    pub fn resize(&mut self, len: usize, value: T) -> Result<()> {
        self.reserve(len.saturating_sub(self.items.len()))?;
        self.items.resize(len, value);
        Ok(())
    }

    /// Removes all items; the memory stays, and stays counted.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    fn reserve(&mut self, more: usize) -> Result<()> {
        let needed = self.items.len().saturating_add(more);
        let capacity = self.items.capacity();
        if needed <= capacity {
            return Ok(());
        }
        let bytes = |items: usize| (items as u64).saturating_mul(size_of::<T>() as u64);
        // Twice as much, so that appending is cheap; where that is refused, just enough.
        let mut goal = needed.max(capacity.saturating_mul(2));
        if self.lease.grow(bytes(goal - capacity)).is_err() {
            goal = needed;
            self.lease.grow(bytes(goal - capacity))?;
        }
        self.items.reserve_exact(goal - self.items.len());
        Ok(())
    }
}

impl<T> Deref for BudgetedVec<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> DerefMut for BudgetedVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items
    }
}
