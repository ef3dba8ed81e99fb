//! Sliding windows over a sequence of hops.

use std::collections::VecDeque;

/// The last hops of a signal: energy and length of each, for windows of up to `capacity` hops.
#[derive(Debug, Clone)]
pub(super) struct History {
    hops: VecDeque<(f64, u32)>,
    capacity: usize,
}

impl History {
    pub(super) fn new(capacity: usize) -> Self {
        Self { hops: VecDeque::with_capacity(capacity + 1), capacity }
    }

    pub(super) fn push(&mut self, energy: f64, frames: u32) {
        if self.hops.len() == self.capacity {
            self.hops.pop_front();
        }
        self.hops.push_back((energy, frames));
    }

    pub(super) fn clear(&mut self) {
        self.hops.clear();
    }

    /// Mean of the last `count` hops, each time summed afresh: a running sum would keep the rounding errors of the
    /// loud for the quiet that follows. `None` when there are fewer.
    pub(super) fn mean(&self, count: usize) -> Option<f64> {
        let first = self.hops.len().checked_sub(count)?;
        let (energy, frames) = self.sum(first);
        (frames > 0).then(|| energy / frames as f64)
    }

    /// As [`History::mean`]; hops before the beginning count as silence of `hop_frames` frames.
    pub(super) fn mean_padded(&self, count: usize, hop_frames: f64) -> f64 {
        let missing = count.saturating_sub(self.hops.len());
        let (energy, frames) = self.sum(self.hops.len().saturating_sub(count));
        energy / (frames as f64 + missing as f64 * hop_frames)
    }

    fn sum(&self, first: usize) -> (f64, u64) {
        let (front, back) = self.hops.as_slices();
        let start = first.min(front.len());
        let parts = [&front[start..], &back[first - start..]];
        let (mut energy, mut frames) = (0.0, 0);
        for (e, f) in parts.into_iter().flatten() {
            energy += e;
            frames += u64::from(*f);
        }
        (energy, frames)
    }
}
