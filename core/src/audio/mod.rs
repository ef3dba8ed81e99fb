//! The nouns: [`Buffer`], [`ChannelLayout`], [`Spec`].

mod buffer;
mod layout;

pub use buffer::{Buffer, IntBuffer, Planar};
pub use layout::{Channel, ChannelLayout};

use serde::{Deserialize, Serialize};

/// Sample rate and channel layout of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Spec {
    /// Frames per second, in Hz.
    pub rate_hz: u32,
    /// Number and meaning of the channels.
    pub layout: ChannelLayout,
}

impl Spec {
    /// A spec of `rate_hz` frames per second with `layout`.
    pub fn new(rate_hz: u32, layout: ChannelLayout) -> Self {
        Self { rate_hz, layout }
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.layout.channels()
    }

    /// Duration of `frames` frames in seconds.
    pub fn seconds(&self, frames: u64) -> f64 {
        frames as f64 / f64::from(self.rate_hz)
    }
}
