//! Two channels exchanged.

use super::channel_list::index;
use super::params::filter_params;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Exchanges two channels.
    pub struct SwapParams for "swap" in Space, realtime true {
        /// Number of one channel, from 1.
        first: u32 = 1, 1 to 64 "";
        /// Number of the other.
        second: u32 = 2, 1 to 64 "";
    }
}

/// See [`SwapParams`]. Exact. No latency.
#[derive(Debug)]
pub struct Swap {
    params: SwapParams,
    /// Lower and higher index; equal when there is nothing to do.
    indices: (usize, usize),
}

impl Swap {
    /// An exchange of `params`.
    pub fn new(params: &SwapParams) -> Self {
        Self { params: params.clone(), indices: (0, 0) }
    }
}

impl Filter for Swap {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let (a, b) = (index("swap.first", self.params.first, spec)?, index("swap.second", self.params.second, spec)?);
        self.indices = (a.min(b), a.max(b));
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let (low, high) = self.indices;
        if low == high {
            return;
        }
        let mut channels = block.channels_mut();
        // `nth` of what follows the lower one.
        if let (Some(a), Some(b)) = (channels.nth(low), channels.nth(high - low - 1)) {
            a.swap_with_slice(b);
        }
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn exchanges_any_two_in_any_order() {
        let spec = Spec::new(48_000, ChannelLayout::from_count(4));
        let run = |first, second| {
            let mut block = Buffer::from_channels(spec, &[vec![1.0], vec![2.0], vec![3.0], vec![4.0]]);
            let mut f = Swap::new(&SwapParams { first, second });
            f.prepare(spec, 1).unwrap();
            f.process(&mut block);
            block.channels().map(|c| c[0]).collect::<Vec<_>>()
        };
        assert_eq!(run(1, 2), [2.0, 1.0, 3.0, 4.0]);
        assert_eq!(run(4, 2), [1.0, 4.0, 3.0, 2.0]);
        assert_eq!(run(3, 3), [1.0, 2.0, 3.0, 4.0]);
        let e = Swap::new(&SwapParams::default()).prepare(Spec::new(48_000, ChannelLayout::MONO), 1).unwrap_err();
        assert_eq!(e.to_string(), "swap.second is 2, allowed is 1 to 1");
    }
}
