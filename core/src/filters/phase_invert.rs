//! Inverted polarity.

use super::channel_list::ChannelList;
use super::params::filter_params;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Inverts the polarity of chosen channels, as for a microphone that was wired the wrong way round.
    pub struct PhaseInvertParams for "phase_invert" in Space, realtime true {
        /// Numbers of the channels, from 1; none means all.
        channels: ChannelList = ChannelList::default();
    }
}

/// See [`PhaseInvertParams`]. Exact. No latency.
#[derive(Debug)]
pub struct PhaseInvert {
    params: PhaseInvertParams,
    /// 1 or -1 for each channel.
    signs: Vec<f32>,
}

impl PhaseInvert {
    /// An inversion of `params`.
    pub fn new(params: &PhaseInvertParams) -> Self {
        Self { params: params.clone(), signs: Vec::new() }
    }
}

impl Filter for PhaseInvert {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let chosen = self.params.channels.indices("phase_invert.channels", spec)?;
        self.signs =
            (0..spec.channels()).map(|n| if chosen.is_empty() || chosen.contains(&n) { -1.0 } else { 1.0 }).collect();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        for (samples, sign) in block.channels_mut().zip(&self.signs) {
            for x in samples {
                *x *= sign;
            }
        }
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn inverts_the_chosen_channels_only() {
        let spec = Spec::new(48_000, ChannelLayout::from_count(3));
        let run = |channels: Vec<u32>| {
            let mut block = Buffer::from_channels(spec, &[vec![0.5], vec![0.25], vec![-0.125]]);
            let mut f = PhaseInvert::new(&PhaseInvertParams { channels: ChannelList(channels) });
            f.prepare(spec, 1).map(|_| {
                f.process(&mut block);
                [block.channel(0)[0], block.channel(1)[0], block.channel(2)[0]]
            })
        };
        assert_eq!(run(vec![]).unwrap(), [-0.5, -0.25, 0.125]);
        assert_eq!(run(vec![2]).unwrap(), [0.5, -0.25, -0.125]);
        assert_eq!(run(vec![4]).unwrap_err().to_string(), "phase_invert.channels is 4, allowed is 1 to 3");
    }
}
