//! Finds and repairs clicks by an autoregressive model: the engine of `declick` and `decrackle`.
//!
//! Prediction errors of the model are large where something does not belong to the sound (S. Vaseghi, P. Rayner, "Detection
//! and Suppression of Impulsive Noise in Speech Communication Systems", IEE Proceedings I 137(1), 1990; S. Godsill, P. Rayner,
//! *Digital Audio Restoration*, 1998, section 5.3). The error of a prediction from the past rises at the start of a click but
//! rings on after it for as many samples as the model has; that of a prediction from the future does the same the other way
//! round. So a sample counts as damaged when both errors are large, which marks the click itself; and it spares the onsets
//! of speech and drums, which can be told from what follows them.

use std::ops::Range;

use super::ar::Ar;
use super::windows::Windows;
use crate::audio::Buffer;

/// How errors become clicks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Detection {
    /// Least error of a damaged sample, in standard deviations of the errors.
    pub(super) threshold: f64,
    /// Longest click, in samples: what is longer stays.
    pub(super) longest: usize,
    /// Undamaged samples between two damaged ones that are taken as damaged too.
    pub(super) gap: usize,
    /// Samples on each side that are taken as damaged too.
    pub(super) margin: usize,
    /// Times that the window is looked at, each with a model that the clicks found before no longer disturb.
    pub(super) passes: usize,
}

/// Repair of a stream in windows.
pub(super) struct ClickRepair {
    windows: Windows,
    clicks: Clicks,
    before: Vec<f32>,
}

impl ClickRepair {
    /// For `channels` channels. Allocates.
    pub(super) fn new(channels: usize, rate_hz: f64) -> Self {
        let order = ((rate_hz / 1_400.0) as usize).clamp(16, 64);
        let hop = 1 << (0.0116 * rate_hz).log2().round().max(7.0) as u32;
        Self {
            windows: Windows::new(channels, hop, hop, 2 * hop),
            clicks: Clicks::new(order, 4 * hop, hop),
            before: vec![0.0; 4 * hop],
        }
    }

    pub(super) fn latency_frames(&self) -> usize {
        self.windows.latency_frames()
    }

    /// Repairs a block in place; of what was repaired `mix` replaces the input. Real-time safe.
    pub(super) fn process(&mut self, block: &mut Buffer, how: Detection, mix: f32) {
        let (clicks, before, middle) = (&mut self.clicks, &mut self.before, self.windows.middle());
        self.windows.process(block, |_, line| {
            before.copy_from_slice(line);
            clicks.repair(line, middle.clone(), how);
            if mix < 1.0 {
                for (y, x) in line.iter_mut().zip(before.iter()) {
                    *y = x + mix * (*y - x);
                }
            }
        });
    }

    /// Forgets the signal. Real-time safe.
    pub(super) fn reset(&mut self) {
        self.windows.reset();
    }
}

/// Room for one window. Nothing allocates after `new`.
pub(super) struct Clicks {
    ar: Ar,
    x: Vec<f64>,
    forward: Vec<f64>,
    backward: Vec<f64>,
    sorted: Vec<f64>,
    places: Vec<usize>,
    /// Starts and ends of the clicks of a window.
    found: Vec<Range<usize>>,
}

impl Clicks {
    /// For windows of `length` samples, models of `order` and at most `most` samples repaired at once.
    pub(super) fn new(order: usize, length: usize, most: usize) -> Self {
        Self {
            ar: Ar::new(order, length, most),
            x: vec![0.0; length],
            forward: vec![0.0; length],
            backward: vec![0.0; length],
            sorted: Vec::with_capacity(length),
            places: Vec::with_capacity(length),
            found: Vec::with_capacity(length),
        }
    }

    /// Repairs the clicks of `line` that start in `middle`. Samples that are not damaged stay bit for bit.
    pub(super) fn repair(&mut self, line: &mut [f32], middle: Range<usize>, how: Detection) {
        for (x, y) in self.x.iter_mut().zip(&*line) {
            *x = f64::from(*y);
        }
        for _ in 0..how.passes {
            if !self.ar.fit(&self.x) {
                return;
            }
            self.find(&middle, how);
            if self.found.is_empty() {
                return;
            }
            self.replace(line);
        }
    }

    /// Standard deviation of the errors, from what clicks do not disturb.
    fn deviation(&mut self) -> f64 {
        let p = self.ar.order();
        self.sorted.clear();
        self.sorted.extend(self.forward[p..self.forward.len() - p].iter().map(|e| e.abs()));
        let count = self.sorted.len();
        // Of a normal distribution, half lie within 0.6745 deviations and 95 % within 1.96. The second is what voices need,
        // whose errors are a train of pulses with little between them.
        let (low, high, _) = self.sorted.select_nth_unstable_by(count * 95 / 100, f64::total_cmp);
        let high = *high / 1.96;
        let middle = low.len().min(count / 2);
        let (_, median, _) = low.select_nth_unstable_by(middle.min(low.len().saturating_sub(1)), f64::total_cmp);
        high.max(*median / 0.6745)
    }

    /// Fills `found`.
    fn find(&mut self, middle: &Range<usize>, how: Detection) {
        self.found.clear();
        self.ar.errors(&self.x, &mut self.forward, &mut self.backward);
        let limit = how.threshold * self.deviation();
        let p = self.ar.order();
        let end = (middle.end + how.longest).min(self.x.len() - p - 1);
        let start = middle.start.max(p + how.margin);
        let mut at = start;
        while at < middle.end {
            // The errors of neighbours may cancel in one sample, so each side counts the larger of two.
            let bad = |n: usize| {
                let f = self.forward[n].abs().max(self.forward[n - 1].abs());
                let b = self.backward[n].abs().max(self.backward[n + 1].abs());
                f.min(b) > limit
            };
            if !bad(at) {
                at += 1;
                continue;
            }
            let (from, mut to, mut next) = (at, at + 1, at + 1);
            while next < end && next <= to + how.gap {
                if bad(next) {
                    to = next + 1;
                }
                next += 1;
            }
            if to - from <= how.longest {
                self.found.push(from - how.margin..(to + how.margin).min(end));
            }
            at = to + 1;
        }
    }

    /// Replaces what was found. Clicks that lie within the reach of the model of each other are solved together.
    fn replace(&mut self, line: &mut [f32]) {
        let (p, mut first) = (self.ar.order(), 0);
        while first < self.found.len() {
            self.places.clear();
            let (mut last, mut end) = (first, 0);
            while let Some(range) = self.found.get(last) {
                let near = last == first || range.start <= end + p;
                if !near || self.places.len() + range.len() > self.ar.most() {
                    break;
                }
                self.places.extend(range.start.max(end)..range.end);
                end = range.end.max(end);
                last += 1;
            }
            if self.ar.fill(&mut self.x, &self.places) {
                for place in &self.places {
                    line[*place] = self.x[*place] as f32;
                }
            }
            first = last.max(first + 1);
        }
    }
}
