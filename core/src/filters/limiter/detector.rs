//! Peaks of the waveform between the samples, strip by strip.

use super::STRIP;
use crate::audio::Buffer;
use crate::dsp::kernels::{self, FINE_TAPS, FinePeak, INTERPOLATOR_TAPS, Interpolator};

/// A tone at the Nyquist frequency seen at 4 points per sample reads at least `cos(pi / 8)` of its peak. Below this
/// share of the ceiling there is nothing to look for in between...
const COARSE_SURE: f32 = 0.92;
/// ...except near the Nyquist frequency, where the short interpolator of the 4 points reads too low: by less than this
/// share of what lies there.
const COARSE_LOSS: f32 = 0.35;
/// Samples around a place whose second differences tell what lies near the Nyquist frequency.
const AROUND: usize = 32;
/// Positions that are skipped or interpolated together.
const GROUP: usize = 16;

/// Watches all channels for peaks.
pub(super) struct Detector {
    coarse: Interpolator,
    fine: Option<FinePeak>,
    /// Samples under the longer interpolator.
    taps: usize,
    /// Per channel the last `taps - 1` samples, then room for one strip.
    history: Vec<Vec<f32>>,
}

impl Detector {
    /// At 4 points per sample, or with `fine` at 16 where the 4 come near the ceiling.
    pub fn new(fine: bool) -> Self {
        Self {
            coarse: Interpolator::new(),
            fine: fine.then(FinePeak::new),
            taps: if fine { FINE_TAPS } else { INTERPOLATOR_TAPS },
            history: Vec::new(),
        }
    }

    /// Allocates for `channels`.
    pub fn prepare(&mut self, channels: usize) {
        self.history = vec![vec![0.0; self.taps - 1 + STRIP]; channels];
    }

    /// Frames by which the peaks are behind the input.
    pub fn latency_frames(&self) -> usize {
        self.taps / 2
    }

    /// Takes `count` frames of `block` from `at` on, at most [`STRIP`]. Returns false when no peak of them, and of the
    /// intervals before them that become known, can be above `ceiling`. Otherwise fills `peaks` with the largest value
    /// of any channel in each interval; what is surely below `ceiling` may read as 0.
    pub fn strip(&mut self, block: &Buffer, at: usize, count: usize, ceiling: f32, peaks: &mut [f32; STRIP]) -> bool {
        let found = self.look(block, at, count, ceiling, peaks);
        for history in &mut self.history {
            history.copy_within(count..count + self.taps - 1, 0);
        }
        found
    }

    fn look(&mut self, block: &Buffer, at: usize, count: usize, ceiling: f32, peaks: &mut [f32; STRIP]) -> bool {
        let kept = self.taps - 1;
        let mut top = 0.0f32;
        for (history, samples) in self.history.iter_mut().zip(block.channels()) {
            let new = &mut history[kept..kept + count];
            new.copy_from_slice(&samples[at..at + count]);
            // NaN would make its neighbours look like silence, infinity like NaN.
            for x in new {
                *x = if x.is_nan() { 0.0 } else { x.clamp(-1e9, 1e9) };
            }
            top = top.max(kernels::peak(&history[..kept + count]));
        }
        let bound = self.fine.as_ref().map_or(1.0, FinePeak::gain_bound).max(self.coarse.gain_bound());
        if top * bound <= ceiling {
            return false;
        }
        let peaks = &mut peaks[..count];
        peaks.fill(0.0);
        for history in &self.history {
            let mut found = [0.0f32; STRIP];
            let found = &mut found[..count];
            match &self.fine {
                None => self.coarse_peaks(history, ceiling, found),
                Some(fine) => self.fine_peaks(fine, &history[..kept + count], ceiling, found),
            }
            for (peak, found) in peaks.iter_mut().zip(found.iter()) {
                *peak = peak.max(*found);
            }
        }
        true
    }

    /// Peaks at 4 points per sample, of the intervals whose values may be above `near`.
    fn coarse_peaks(&self, history: &[f32], near: f32, peaks: &mut [f32]) {
        for (group, peaks) in peaks.chunks_mut(GROUP).enumerate() {
            let window = &history[group * GROUP..][..peaks.len() + INTERPOLATOR_TAPS - 1];
            if kernels::peak(window) * self.coarse.gain_bound() > near {
                self.coarse.raise(window, peaks);
            }
        }
    }

    /// Peaks at 16 points per sample, where those at 4 say that they may be above `ceiling`. Whether a place is looked at
    /// depends on the samples around it alone, so that any split into strips gives the same.
    fn fine_peaks(&self, fine: &FinePeak, history: &[f32], ceiling: f32, peaks: &mut [f32]) {
        let from = (self.taps - INTERPOLATOR_TAPS) / 2;
        let count = peaks.len();
        // Second differences: 4 times the amplitude of a tone at the Nyquist frequency, next to nothing for low ones.
        let mut near = [0.0f32; STRIP + AROUND];
        let bends = history[from - 1..].windows(3).take(count + AROUND - 1);
        for (near, x) in near.iter_mut().zip(bends) {
            *near = ((x[0] + x[2]) - 2.0 * x[1]).abs();
        }
        // Their maximum over the samples around each place, in steps that double.
        let mut step = 1;
        while step < AROUND {
            for i in 0..count + AROUND - 2 * step {
                near[i] = if near[i + step] > near[i] { near[i + step] } else { near[i] };
            }
            step *= 2;
        }
        for near in &mut near[..count] {
            *near = COARSE_SURE * ceiling - COARSE_LOSS / 4.0 * *near;
        }
        for (group, peaks) in peaks.chunks_mut(GROUP).enumerate() {
            let start = group * GROUP;
            let near = &near[start..start + peaks.len()];
            let lowest = near.iter().fold(ceiling, |low, n| if *n < low { *n } else { low });
            let window = &history[from + start..][..peaks.len() + INTERPOLATOR_TAPS - 1];
            if kernels::peak(window) * self.coarse.gain_bound() > lowest {
                self.coarse.raise(window, peaks);
                fine.raise_near(&history[start..start + peaks.len() + FINE_TAPS - 1], near, peaks);
            }
        }
    }

    pub fn reset(&mut self) {
        self.history.iter_mut().for_each(|h| h.fill(0.0));
    }
}
