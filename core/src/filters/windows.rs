//! Moving windows in the time domain: the engine of the filters that repair samples.
//!
//! A window is `past`, then one hop that is repaired, then `ahead`. After each hop of input the window moves on by a hop;
//! what lies in the middle then has been seen with its surroundings, and goes out.

use crate::audio::Buffer;

/// Samples beyond 40 dB over full scale are no audio, nor is NaN: both are taken as silence.
const NO_AUDIO: f32 = 100.0;

/// Windows of all channels of a stream. Any split into blocks gives the same output.
pub(super) struct Windows {
    past: usize,
    hop: usize,
    lines: Vec<Vec<f32>>,
    ready: Vec<Vec<f32>>,
    /// Samples of the current hop.
    filled: usize,
}

impl Windows {
    /// Windows for `channels` channels. `ahead` must be a multiple of `hop`. Allocates.
    pub(super) fn new(channels: usize, past: usize, hop: usize, ahead: usize) -> Self {
        debug_assert!(ahead.is_multiple_of(hop));
        Self {
            past,
            hop,
            lines: vec![vec![0.0; past + hop + ahead]; channels],
            ready: vec![vec![0.0; hop]; channels],
            filled: 0,
        }
    }

    /// Frames by which the output is behind.
    pub(super) fn latency_frames(&self) -> usize {
        self.lines.first().map_or(0, Vec::len) - self.past
    }

    /// The part of a window that is to be repaired.
    pub(super) fn middle(&self) -> std::ops::Range<usize> {
        self.past..self.past + self.hop
    }

    /// Processes one block in place. `work` gets the channel's index and its window, and may change all of it.
    pub(super) fn process(&mut self, block: &mut Buffer, mut work: impl FnMut(usize, &mut [f32])) {
        let (mut at, frames, hop) = (0, block.frames(), self.hop);
        while at < frames {
            let count = (hop - self.filled).min(frames - at);
            for ((line, ready), samples) in self.lines.iter_mut().zip(&self.ready).zip(block.channels_mut()) {
                let samples = &mut samples[at..at + count];
                let from = line.len() - hop + self.filled;
                for (kept, x) in line[from..from + count].iter_mut().zip(&*samples) {
                    *kept = if x.abs() < NO_AUDIO { *x } else { 0.0 };
                }
                samples.copy_from_slice(&ready[self.filled..self.filled + count]);
            }
            at += count;
            self.filled += count;
            if self.filled == hop {
                self.filled = 0;
                for (index, (line, ready)) in self.lines.iter_mut().zip(&mut self.ready).enumerate() {
                    work(index, line);
                    ready.copy_from_slice(&line[self.past..self.past + hop]);
                    line.copy_within(hop.., 0);
                }
            }
        }
    }

    /// Forgets the signal.
    pub(super) fn reset(&mut self) {
        self.filled = 0;
        self.lines.iter_mut().chain(&mut self.ready).for_each(|line| line.fill(0.0));
    }
}
