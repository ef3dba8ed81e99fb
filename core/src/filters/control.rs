//! [`ChainControl`]: sends parameters from a control thread to a [`super::Chain`] on the audio thread.
//!
//! A ring of atomic words for one writer and one reader: both ends are wait-free, neither locks nor allocates. The writer
//! publishes an entry by storing `written` after its words (release), the reader frees it by storing `read` after it has
//! taken them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::registry::FilterInfo;
use crate::error::{Error, Result};

/// Values that may wait between two blocks.
pub const CONTROL_CAPACITY: usize = 256;

#[derive(Debug, Default)]
struct Slot {
    /// Filter in the upper half, parameter in the lower.
    target: AtomicU64,
    /// Bits of the f64.
    value: AtomicU64,
}

/// Entries written and read, counted without end; their difference is what waits.
#[derive(Debug)]
struct Ring {
    slots: Vec<Slot>,
    written: AtomicUsize,
    read: AtomicUsize,
    /// The chain that reads is gone, or has another control.
    closed: AtomicBool,
}

/// The end of the audio thread.
#[derive(Debug)]
pub(super) struct Receiver {
    ring: Arc<Ring>,
}

impl Receiver {
    /// The next value: filter, parameter, value. Real-time safe.
    pub fn pop(&mut self) -> Option<(usize, usize, f64)> {
        let read = self.ring.read.load(Ordering::Relaxed);
        if self.ring.written.load(Ordering::Acquire) == read {
            return None;
        }
        let slot = &self.ring.slots[read % CONTROL_CAPACITY];
        let target = slot.target.load(Ordering::Relaxed);
        let value = f64::from_bits(slot.value.load(Ordering::Relaxed));
        self.ring.read.store(read.wrapping_add(1), Ordering::Release);
        Some(((target >> 32) as usize, (target & 0xFFFF_FFFF) as usize, value))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.ring.closed.store(true, Ordering::Release);
    }
}

/// What can be set of one filter of a chain.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub info: &'static FilterInfo,
    /// For each parameter whether it can be set: live, and not on a curve.
    pub free: Vec<bool>,
}

impl Target {
    /// The place of a parameter that can take `value`.
    pub fn check(&self, name: &str, value: f64) -> Result<usize> {
        let index = self.info.parameter_index(name)?;
        let param = &self.info.parameters[index];
        let full = || format!("{}.{name}", self.info.name);
        if !param.live {
            let live: Vec<_> = self.info.parameters.iter().filter(|p| p.live).map(|p| p.name).collect();
            let could = if live.is_empty() { "none".to_owned() } else { live.join(", ") };
            return Err(Error::InvalidValue {
                name: full(),
                value: value.to_string(),
                allowed: format!("no change while the filter runs; of {} can change: {could}", self.info.name),
            });
        }
        if !self.free[index] {
            return Err(Error::Conflict { what: format!("{} follows a curve", full()) });
        }
        let (min, max) = (param.min.unwrap_or(f64::MIN), param.max.unwrap_or(f64::MAX));
        if !(value >= min && value <= max) {
            return Err(Error::OutOfRange { name: full(), value, min, max, unit: param.unit });
        }
        Ok(index)
    }
}

/// The filter at `index` of the specs of a chain.
pub(super) fn target(targets: &[Target], index: usize) -> Result<&Target> {
    targets.get(index).ok_or_else(|| Error::OutOfRange {
        name: "filter".into(),
        value: index as f64,
        min: 0.0,
        max: targets.len().saturating_sub(1) as f64,
        unit: "",
    })
}

/// Sets parameters of a chain from another thread. Made by [`super::Chain::control`]; the newest replaces the one before.
///
/// What is sent takes effect at the start of the next block, in the order of sending, and glides as
/// [`super::Chain::set_glide_ms`] says. Up to [`CONTROL_CAPACITY`] values may wait.
#[derive(Debug)]
pub struct ChainControl {
    ring: Arc<Ring>,
    targets: Arc<[Target]>,
}

impl ChainControl {
    pub(super) fn pair(targets: Arc<[Target]>) -> (Self, Receiver) {
        let slots = std::iter::repeat_with(Slot::default).take(CONTROL_CAPACITY).collect();
        let (written, read, closed) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        let ring = Arc::new(Ring { slots, written, read, closed });
        (Self { ring: Arc::clone(&ring), targets }, Receiver { ring })
    }

    /// Sends `value` for the parameter `name` of the filter at `filter` in the list that the chain was made of.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a filter that is not there or a value outside the range; [`Error::UnknownName`];
    /// [`Error::InvalidValue`] for a parameter that cannot change while the filter runs; [`Error::Conflict`] for one on a
    /// curve; [`Error::Unavailable`] when the chain is gone or [`CONTROL_CAPACITY`] values wait.
    pub fn set_parameter(&mut self, filter: usize, name: &str, value: f64) -> Result<()> {
        let parameter = target(&self.targets, filter)?.check(name, value)?;
        if self.ring.closed.load(Ordering::Acquire) {
            return Err(Error::Unavailable { what: "the chain of this control is gone or has another".into() });
        }
        if !self.push(filter, parameter, value) {
            return Err(Error::Unavailable { what: format!("the control's queue holds {CONTROL_CAPACITY} values") });
        }
        Ok(())
    }

    /// As [`ChainControl::set_parameter`] by the parameter's place in the registry, the value held to its range. False
    /// where that fails. Wait-free, without allocation.
    pub fn set_parameter_at(&mut self, filter: usize, parameter: usize, value: f64) -> bool {
        let free = self.targets.get(filter).and_then(|t| t.free.get(parameter)).copied().unwrap_or(false);
        free && !value.is_nan() && !self.ring.closed.load(Ordering::Acquire) && self.push(filter, parameter, value)
    }

    fn push(&mut self, filter: usize, parameter: usize, value: f64) -> bool {
        let written = self.ring.written.load(Ordering::Relaxed);
        if written.wrapping_sub(self.ring.read.load(Ordering::Acquire)) >= CONTROL_CAPACITY {
            return false;
        }
        let slot = &self.ring.slots[written % CONTROL_CAPACITY];
        slot.target.store((filter as u64) << 32 | parameter as u64, Ordering::Relaxed);
        slot.value.store(value.to_bits(), Ordering::Relaxed);
        self.ring.written.store(written.wrapping_add(1), Ordering::Release);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_refuses_and_an_emptied_one_goes_on_in_order() {
        let (mut control, mut receiver) = ChainControl::pair(Arc::from([]));
        for round in 0..3 {
            for n in 0..CONTROL_CAPACITY {
                assert!(control.push(n, round, n as f64));
            }
            assert!(!control.push(0, 0, 0.0));
            for n in 0..CONTROL_CAPACITY {
                assert_eq!(receiver.pop(), Some((n, round, n as f64)));
            }
            assert_eq!(receiver.pop(), None);
        }
    }

    #[test]
    fn two_threads_lose_and_reorder_nothing() {
        let (mut control, mut receiver) = ChainControl::pair(Arc::from([]));
        const COUNT: usize = 20_000;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for n in 0..COUNT {
                    while !control.push(n, n / 2, n as f64) {
                        std::thread::yield_now();
                    }
                }
            });
            for n in 0..COUNT {
                let got = loop {
                    match receiver.pop() {
                        Some(got) => break got,
                        None => std::thread::yield_now(),
                    }
                };
                assert_eq!(got, (n, n / 2, n as f64));
            }
        });
    }
}
