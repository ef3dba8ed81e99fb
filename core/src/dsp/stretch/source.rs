//! The input of a stretch: planar, addressed by position.

use crate::audio::Buffer;

/// A window on the input that moves forward. Positions count frames from the first of the input; before it and after the
/// end lies silence.
#[derive(Debug, Clone)]
pub struct Source {
    channels: Vec<Vec<f32>>,
    /// Position of index 0.
    start: i64,
    lead: usize,
}

impl Source {
    /// An empty input of `channels` channels with `lead` frames of silence before it.
    pub fn new(channels: usize, lead: usize) -> Self {
        Self { channels: vec![vec![0.0; lead]; channels], start: -(lead as i64), lead }
    }

    /// Number of channels.
    pub fn channel_count(&self) -> usize {
        self.channels.len()
    }

    /// Position after the last frame that has arrived.
    pub fn end(&self) -> i64 {
        self.start + self.channels.first().map_or(0, Vec::len) as i64
    }

    /// Appends a block. NaN, infinity and numbers beyond 120 dBFS become silence.
    pub fn push(&mut self, block: &Buffer) {
        for (to, from) in self.channels.iter_mut().zip(block.channels()) {
            to.extend(from.iter().map(|x| if x.abs() < 1e6 { *x } else { 0.0 }));
        }
    }

    /// Appends silence.
    pub fn push_silence(&mut self, frames: usize) {
        self.channels.iter_mut().for_each(|c| c.resize(c.len() + frames, 0.0));
    }

    /// `frames` samples of a channel from `position`; shorter where they have not arrived or are forgotten.
    pub fn window(&self, channel: usize, position: i64, frames: usize) -> &[f32] {
        let samples = self.channels.get(channel).map_or(&[][..], Vec::as_slice);
        let from = usize::try_from(position - self.start).unwrap_or(usize::MAX).min(samples.len());
        &samples[from..samples.len().min(from.saturating_add(frames))]
    }

    /// Forgets what lies before `position`, now and then.
    pub fn forget(&mut self, position: i64) {
        let count = usize::try_from(position - self.start).unwrap_or(0);
        // Moving the rest costs as much as what is dropped.
        if count * 2 > self.channels.first().map_or(0, Vec::len) {
            self.channels.iter_mut().for_each(|c| drop(c.drain(..count.min(c.len()))));
            self.start += count as i64;
        }
    }

    /// As new.
    pub fn reset(&mut self) {
        self.start = -(self.lead as i64);
        let lead = self.lead;
        for c in &mut self.channels {
            c.clear();
            c.resize(lead, 0.0);
        }
    }
}
