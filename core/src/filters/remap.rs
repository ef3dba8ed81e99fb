//! Channels in another order, left out or doubled.

use super::channel_list::ChannelList;
use super::params::filter_params;
use super::{Filter, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};

filter_params! {
    /// Picks channels by number: reorders, leaves out, doubles.
    pub struct RemapParams for "remap" in Space, realtime true {
        /// For each channel of the output the number of its source, from 1. As many as there are inputs keep the layout;
        /// another number gets the usual layout of that many channels.
        channels: ChannelList = ChannelList(vec![1, 2]);
    }
}

/// See [`RemapParams`]. Exact. No latency.
#[derive(Debug)]
pub struct Remap {
    params: RemapParams,
    sources: Vec<usize>,
    input: Buffer,
    output: Spec,
}

impl Remap {
    /// A choice of `params`.
    pub fn new(params: &RemapParams) -> Self {
        let unset = Spec::new(48_000, ChannelLayout::MONO);
        Self { params: params.clone(), sources: Vec::new(), input: Buffer::new(unset, 0), output: unset }
    }
}

impl Filter for Remap {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let count = self.params.channels.0.len();
        Error::check_range("remap.channels", count as f64, 1.0, 64.0, "channels")?;
        self.sources = self.params.channels.indices("remap.channels", spec)?;
        let layout = if count == spec.channels() { spec.layout } else { ChannelLayout::from_count(count) };
        self.output = Spec::new(spec.rate_hz, layout);
        self.input = Buffer::new(spec, max_frames);
        Ok(Prepared { spec: self.output, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        if self.sources.is_empty() {
            return;
        }
        let frames = block.frames();
        self.input.copy_from(block, 0, frames);
        block.set_spec(self.output);
        block.set_frames(frames);
        for (to, source) in block.channels_mut().zip(&self.sources) {
            to.copy_from_slice(self.input.channel(*source));
        }
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(channels: &[u32], inputs: usize) -> Result<(Vec<f32>, ChannelLayout)> {
        let spec = Spec::new(48_000, ChannelLayout::from_count(inputs));
        let mut block = Buffer::new(Spec::new(48_000, ChannelLayout::discrete(8)), 1);
        block.set_spec(spec);
        block.set_frames(1);
        block.channels_mut().enumerate().for_each(|(n, c)| c[0] = (n + 1) as f32);
        let mut f = Remap::new(&RemapParams { channels: ChannelList(channels.to_vec()) });
        f.prepare(spec, 1)?;
        f.process(&mut block);
        Ok((block.channels().map(|c| c[0]).collect(), block.spec().layout))
    }

    #[test]
    fn outputs_are_the_listed_inputs() {
        assert_eq!(run(&[2, 1], 2).unwrap(), (vec![2.0, 1.0], ChannelLayout::STEREO));
        assert_eq!(run(&[3], 6).unwrap(), (vec![3.0], ChannelLayout::MONO));
        assert_eq!(run(&[1, 1, 1, 1, 1, 1], 1).unwrap(), (vec![1.0; 6], ChannelLayout::SURROUND_5_1));
        // The order of MPEG (C L R Ls Rs LFE) to that of WAVE.
        let wave = run(&[2, 3, 1, 6, 4, 5], 6).unwrap();
        assert_eq!(wave, (vec![2.0, 3.0, 1.0, 6.0, 4.0, 5.0], ChannelLayout::SURROUND_5_1));
    }

    #[test]
    fn sources_that_are_not_there_are_refused() {
        assert_eq!(run(&[1, 3], 2).unwrap_err().to_string(), "remap.channels is 3, allowed is 1 to 2");
        assert!(run(&[], 2).is_err());
        assert!(crate::filters::FilterSpec::parse("remap:channels=[0]").is_err());
    }
}
