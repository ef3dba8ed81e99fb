//! Different filters on chosen channels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::assets::AssetLoader;
use super::branch::{Branch, check_channels, check_filters, delays, gather, indices, scatter};
use super::delay::Delay;
use super::params::{ParamKind, ParamValue, filter_params};
use super::{Filter, FilterSpec, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};

/// One group of [`ChannelsParams`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelGroup {
    /// Numbers of the channels, from 1. They go through the filters together, in this order.
    pub channels: Vec<u32>,
    /// Filters in series.
    pub filters: Vec<FilterSpec>,
}

impl ParamValue for Vec<ChannelGroup> {
    const KIND: ParamKind = ParamKind::List;

    fn is_realtime(&self) -> bool {
        self.iter().all(|g| g.filters.is_realtime())
    }

    fn depth(&self) -> usize {
        self.iter().map(|g| g.filters.depth()).max().unwrap_or(0)
    }

    fn check_parts(&self, name: &str) -> Result<()> {
        Error::check_range(name, self.len() as f64, 0.0, 64.0, "groups")?;
        for (index, group) in self.iter().enumerate() {
            let place = format!("{name}[{index}]");
            let count = group.channels.len() as f64;
            Error::check_range(&format!("{place}.channels"), count, 1.0, 1024.0, "channels")?;
            check_filters(&format!("{place}.filters"), &group.filters)?;
        }
        let all: Vec<u32> = self.iter().flat_map(|g| g.channels.iter().copied()).collect();
        check_channels(name, &all)
    }

    fn load_assets(&mut self, loader: &mut dyn AssetLoader) -> Result<()> {
        self.iter_mut().try_for_each(|group| group.filters.load_assets(loader))
    }
}

filter_params! {
    /// Runs different filters on chosen channels; the others pass, and all stay in time with each other.
    pub struct ChannelsParams for "channels" in Routing, realtime true {
        /// Groups: each with the numbers of its `channels`, from 1, and a list of `filters`. No channel is in two.
        groups: Vec<ChannelGroup> = Vec::new();
    }
}

/// See [`ChannelsParams`]. Latency and tail are those of the group where they are longest.
pub struct Channels {
    params: ChannelsParams,
    /// With the indices of its channels.
    groups: Vec<(Branch, Vec<usize>)>,
    /// Of the channels that pass.
    rest: Vec<(usize, Delay)>,
}

impl Channels {
    /// Groups of `params`.
    pub fn new(params: &ChannelsParams) -> Self {
        Self { params: params.clone(), groups: Vec::new(), rest: Vec::new() }
    }
}

impl Filter for Channels {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.groups.clear();
        let (mut latency_frames, mut tail_frames) = (0, 0);
        for (index, group) in self.params.groups.iter().enumerate() {
            let name = format!("channels.groups[{index}]");
            let places = indices(&format!("{name}.channels"), &group.channels, spec)?;
            let mut branch = Branch::new(&group.filters);
            let layout = ChannelLayout::from_count(places.len());
            branch.prepare(&name, Spec::new(spec.rate_hz, layout), max_frames, 0)?;
            latency_frames = latency_frames.max(branch.latency_frames);
            tail_frames = tail_frames.max(branch.tail_frames);
            self.groups.push((branch, places));
        }
        self.groups.iter_mut().for_each(|(branch, _)| branch.align_to(latency_frames));
        let taken = |c: &usize| !self.groups.iter().any(|(_, places)| places.contains(c));
        self.rest = (0..spec.channels()).filter(taken).zip(delays(spec.channels(), latency_frames)).collect();
        Ok(Prepared { spec, max_frames, latency_frames, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        for (branch, places) in &mut self.groups {
            branch.clear();
            gather(block, places, &mut branch.block);
            branch.process(None);
            scatter(&branch.block, places, block);
        }
        for (channel, delay) in &mut self.rest {
            delay.process(block.channel_mut(*channel));
        }
    }

    fn take_error(&mut self) -> Option<Error> {
        self.groups.iter_mut().find_map(|(branch, _)| branch.take_error())
    }

    fn reset(&mut self) {
        self.groups.iter_mut().for_each(|(branch, _)| branch.reset());
        self.rest.iter_mut().for_each(|(_, delay)| delay.reset());
    }
}

#[cfg(test)]
mod tests {
    use super::super::branch::tests::{noise, run};
    use super::super::{Chain, FilterSpec};
    use super::*;

    #[test]
    fn each_group_has_its_filters_and_the_rest_stays_in_time() {
        let spec = Spec::new(48_000, ChannelLayout::from_count(4));
        let input = noise(spec, 2_000);
        let (out, prepared) = run(
            r#"{"type":"channels","groups":[{"channels":[4,1],"filters":[{"type":"gain","gain_db":-20}]},
                {"channels":[3],"filters":[{"type":"limiter"}]}]}"#,
            &input,
        );
        let latency = prepared.latency_frames;
        assert!(latency > 0);
        for (index, gain) in [0.1f32, 1.0, 1.0, 0.1].into_iter().enumerate() {
            for (y, x) in out.channel(index)[latency..].iter().zip(input.channel(index)) {
                assert_eq!(*y, x * gain, "{index}");
            }
        }
    }

    #[test]
    fn channels_that_are_not_there_or_twice_are_refused() {
        let text = r#"{"type":"channels","groups":[{"channels":[1,2]},{"channels":[2]}]}"#;
        assert!(FilterSpec::parse(text).unwrap_err().to_string().contains("channel 2 is given twice"));
        let text = r#"{"type":"channels","groups":[{"channels":[3]}]}"#;
        let mut chain = Chain::new(&[FilterSpec::parse(text).unwrap()]).unwrap();
        let error = chain.prepare(Spec::new(48_000, ChannelLayout::STEREO), 64).unwrap_err();
        assert_eq!(error.to_string(), "channels.groups[0].channels is 3, allowed is 1 to 2");
        assert!(FilterSpec::parse(r#"{"type":"channels","groups":[{"channels":[0]}]}"#).is_err());
        assert!(FilterSpec::parse(r#"{"type":"channels","groups":[{"filters":[]}]}"#).is_err());
    }
}
