//! Sliding windows over a sequence of hops.

/// Sum over the last `size` hops: energy and length.
///
/// No energy is ever subtracted: a running sum would keep the rounding errors of the loud for the quiet that follows.
/// The window is two parts instead: an old one with its sums from each hop to the part's end, and a new one that is
/// summed as it grows. When nothing is left of the old part, the new one takes its place. One to two additions per hop.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// Energy and frames of the last hops, a ring.
    hops: Vec<(f64, u32)>,
    /// Where the next hop goes; the old part reaches from here to the end of the ring.
    at: usize,
    /// Sums of energy from each place of the ring to its end, of the old part.
    old: Vec<f64>,
    /// Sum of energy of the places before `at`.
    new: f64,
    /// Hops pushed, at most `size`.
    filled: usize,
    frames: u64,
}

impl Window {
    /// A window of `size` hops, at least 1. Allocates.
    pub(super) fn new(size: usize) -> Self {
        let size = size.max(1);
        Self { hops: vec![(0.0, 0); size], at: 0, old: vec![0.0; size + 1], new: 0.0, filled: 0, frames: 0 }
    }

    pub(super) fn push(&mut self, energy: f64, frames: u32) {
        self.frames = self.frames + u64::from(frames) - u64::from(self.hops[self.at].1);
        self.hops[self.at] = (energy, frames);
        self.new += energy;
        self.at += 1;
        self.filled = (self.filled + 1).min(self.hops.len());
        if self.at == self.hops.len() {
            let mut sum = 0.0;
            for (old, (energy, _)) in self.old.iter_mut().zip(&self.hops).rev() {
                sum += energy;
                *old = sum;
            }
            (self.at, self.new) = (0, 0.0);
        }
    }

    pub(super) fn clear(&mut self) {
        self.hops.fill((0.0, 0));
        self.old.fill(0.0);
        (self.at, self.new, self.filled, self.frames) = (0, 0.0, 0, 0);
    }

    fn energy(&self) -> f64 {
        self.old[self.at] + self.new
    }

    /// Mean over the window, `None` while it is not full.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.filled == self.hops.len() && self.frames > 0).then(|| self.energy() / self.frames as f64)
    }

    /// As [`Window::mean`]; hops before the beginning count as silence of `hop_frames` frames.
    pub(super) fn mean_padded(&self, hop_frames: f64) -> f64 {
        let missing = self.hops.len() - self.filled;
        self.energy() / (self.frames as f64 + missing as f64 * hop_frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_sum_made_afresh_and_forgets_the_loud() {
        for size in [1, 2, 7, 40] {
            let mut window = Window::new(size);
            let mut all: Vec<(f64, u32)> = Vec::new();
            for n in 0..200_u32 {
                // From 1e12 down to 1e-9: what a running sum would not survive.
                let hop = (if n < 50 { 1e12 } else { 1e-9 * f64::from(n % 7 + 1) }, 480 + n % 2);
                all.push(hop);
                window.push(hop.0, hop.1);
                let last = &all[all.len().saturating_sub(size)..];
                let energy: f64 = last.iter().map(|h| h.0).sum();
                let frames: u64 = last.iter().map(|h| u64::from(h.1)).sum();
                assert_eq!(window.mean().is_some(), all.len() >= size);
                let padded = frames as f64 + (size - last.len()) as f64 * 480.5;
                // 40 roundings of 1.1e-16 each.
                assert!((window.mean_padded(480.5) / (energy / padded) - 1.0).abs() < 1e-14, "{size} {n}");
            }
            window.clear();
            assert_eq!((window.mean(), window.mean_padded(480.0)), (None, 0.0));
        }
    }
}
