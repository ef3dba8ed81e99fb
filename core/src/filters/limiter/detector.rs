//! Peaks of the waveform between the samples, strip by strip.

use fearless_simd::{Simd, dispatch};

use super::STRIP;
use super::guard::NyquistGuard;
use crate::audio::Buffer;
use crate::dsp::kernels::{self, FINE_TAPS, FinePeak, INTERPOLATOR_TAPS, Interpolator};

/// By how much the 4 points per sample can read too low, as a share of the largest second difference near by. A tone at the
/// Nyquist frequency has second differences of 4 times its amplitude; there a point can be `pi / 8` away from the peak,
/// which costs 0.08 of the amplitude, and the short interpolator of the 4 points loses up to 0.35. A tone of low frequency
/// is bent, and lost, far less: 1/128 of its second differences.
const COARSE_LOSS: f32 = 0.11;
/// Positions that are skipped or interpolated together.
const GROUP: usize = 16;
/// Second differences that decide about one position: those under the interpolator.
const AROUND: usize = INTERPOLATOR_TAPS;
/// Blocks of 16 samples that the interpolators of one strip touch.
const BLOCKS: usize = STRIP / GROUP + 2;
/// Sums of 32 products in f32, as a share of the largest sample under the interpolator.
const ROUNDING: f32 = 1e-4;

/// Watches all channels for peaks.
pub(super) struct Detector {
    coarse: Interpolator,
    fine: Option<FinePeak>,
    /// Samples under the longer interpolator.
    taps: usize,
    /// Per channel the last `taps` samples, then room for one strip and for one group to be read behind it.
    history: Vec<Vec<f32>>,
    guards: Vec<NyquistGuard>,
}

impl Detector {
    /// At 4 points per sample, or with `fine` at 16 where the 4 come near the ceiling.
    pub fn new(fine: bool) -> Self {
        Self {
            coarse: Interpolator::new(),
            fine: fine.then(FinePeak::new),
            taps: if fine { FINE_TAPS } else { INTERPOLATOR_TAPS },
            history: Vec::new(),
            guards: Vec::new(),
        }
    }

    /// Allocates for `channels`.
    pub fn prepare(&mut self, channels: usize) {
        self.history = vec![vec![0.0; self.taps + STRIP + 2 * GROUP]; channels];
        self.guards = vec![NyquistGuard::new(); if self.fine.is_some() { channels } else { 0 }];
    }

    /// Frames by which the peaks are behind the input.
    pub fn latency_frames(&self) -> usize {
        self.taps / 2
    }

    /// Takes `count` frames of `block` from `at` on, at most [`STRIP`]. Returns false when no peak of them, and of the
    /// intervals before them that become known, can be above `ceiling`. Otherwise fills `peaks` with the largest value
    /// of any channel in each interval; what is surely below `ceiling` may read as 0.
    pub fn strip(&mut self, block: &Buffer, at: usize, count: usize, ceiling: f32, peaks: &mut [f32; STRIP]) -> bool {
        let mut found = false;
        for (channel, samples) in block.channels().enumerate().take(self.history.len()) {
            let history = &mut self.history[channel];
            let new = &mut history[self.taps..][..count];
            // NaN would make its neighbours look like silence, infinity like NaN.
            kernels::copy_within_limit(new, &samples[at..at + count], 1e9);
            let mut guards = [0.0f32; STRIP];
            let mut largest = 0.0;
            if let Some(guard) = self.guards.get_mut(channel) {
                largest = guard.run(&history[..self.taps + count], ceiling, &mut guards[..count]);
            }
            found |= self.look(channel, count, ceiling, (&guards, largest), peaks, found);
            let history = &mut self.history[channel];
            history.copy_within(count..count + self.taps, 0);
        }
        found
    }

    /// Looks at one channel. `peaks` holds those of other channels when `found`.
    fn look(
        &self,
        channel: usize,
        count: usize,
        ceiling: f32,
        (guards, largest_guard): (&[f32; STRIP], f32),
        peaks: &mut [f32; STRIP],
        mut found: bool,
    ) -> bool {
        let history = &self.history[channel];
        // Of the samples from one before the interpolator of the first interval.
        let (mut tops, mut bends) = ([0.0f32; BLOCKS], [0.0f32; BLOCKS]);
        let blocks = count.div_ceil(GROUP) + 2;
        let before = (self.taps - INTERPOLATOR_TAPS) / 2;
        kernels::peaks_and_bends(&history[before..][..GROUP * blocks + 2], &mut tops[..blocks], &mut bends[..blocks]);
        let loss = if self.fine.is_some() { COARSE_LOSS } else { 0.0 };
        for group in 0..blocks - 2 {
            let start = group * GROUP;
            let bend = bends[group..group + 3].iter().fold(0.0, larger);
            let top = tops[group..group + 3].iter().fold(0.0, larger);
            // The group's own samples: all of the middle block, and the first of the next.
            let here = larger(tops[group + 1], &history[before + start + 2 * GROUP].abs());
            // No place of the group is looked at more closely, or is above the ceiling, unless this is.
            if here + (self.coarse.bend_bound() + loss) * bend + ROUNDING * top + largest_guard <= ceiling {
                continue;
            }
            if !found {
                peaks.fill(0.0);
                found = true;
            }
            let mut values = [0.0f32; GROUP];
            self.coarse.raise(&history[before + 1 + start..][..GROUP + INTERPOLATOR_TAPS - 1], &mut values);
            if let Some(fine) = &self.fine {
                let guards = &guards[start..start + GROUP];
                let near = near(&history[before + start..], guards, ceiling);
                fine.raise_near(&history[1 + start..][..GROUP + FINE_TAPS - 1], &near, &mut values);
                for ((value, near), guard) in values.iter_mut().zip(&near).zip(guards) {
                    *value += if *value >= *near { *guard } else { 0.0 };
                }
            }
            for (peak, value) in peaks[start..start + GROUP].iter_mut().zip(&values) {
                *peak = larger(*peak, value);
            }
        }
        found
    }

    pub fn reset(&mut self) {
        self.history.iter_mut().for_each(|h| h.fill(0.0));
        self.guards.iter_mut().for_each(NyquistGuard::reset);
    }
}

#[inline(always)]
fn larger(a: f32, b: &f32) -> f32 {
    if *b > a { *b } else { a }
}

/// Values from which on the places of a group are looked at more closely. They depend on the samples around each place
/// alone, so that any split into strips gives the same.
fn near(history: &[f32], guards: &[f32], ceiling: f32) -> [f32; GROUP] {
    dispatch!(kernels::level(), simd => near_loop(simd, history, guards, ceiling))
}

// No closures: their bodies would be compiled without the instruction set of the caller.
#[inline(always)]
fn near_loop<S: Simd>(_simd: S, history: &[f32], guards: &[f32], ceiling: f32) -> [f32; GROUP] {
    let mut bends = [0.0f32; GROUP + AROUND - 1];
    for (bend, x) in bends.iter_mut().zip(history.windows(3)) {
        *bend = ((x[0] + x[2]) - 2.0 * x[1]).abs();
    }
    // Their maximum over the samples around each place, in steps that double.
    let mut step = 1;
    while step < AROUND {
        for i in 0..GROUP + AROUND - 2 * step {
            bends[i] = larger(bends[i], &bends[i + step]);
        }
        step *= 2;
    }
    let mut near = [0.0f32; GROUP];
    for ((near, guard), bend) in near.iter_mut().zip(guards).zip(&bends) {
        *near = ceiling - guard - COARSE_LOSS * bend;
    }
    near
}
