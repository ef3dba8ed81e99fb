//! Branches side by side, summed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::assets::AssetLoader;
use super::branch::{Branch, check_filters, delays};
use super::delay::Delay;
use super::params::{FilterParams, ParamKind, ParamValue, filter_params};
use super::{Filter, FilterSpec, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};

/// One branch of [`ParallelParams`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ParallelBranch {
    /// Filters in series; none passes the input.
    pub filters: Vec<FilterSpec>,
    /// Gain of the branch in dB. -120 to 60, default 0.
    #[schemars(range(min = -120.0, max = 60.0))]
    pub gain_db: f64,
    /// Inverts the polarity of the branch. Default false.
    pub invert: bool,
}

impl ParamValue for Vec<ParallelBranch> {
    const KIND: ParamKind = ParamKind::List;

    fn is_realtime(&self) -> bool {
        self.iter().all(|b| b.filters.is_realtime())
    }

    fn depth(&self) -> usize {
        self.iter().map(|b| b.filters.depth()).max().unwrap_or(0)
    }

    fn check_parts(&self, name: &str) -> Result<()> {
        Error::check_range(name, self.len() as f64, 1.0, 32.0, "branches")?;
        for (index, branch) in self.iter().enumerate() {
            Error::check_range(&format!("{name}[{index}].gain_db"), branch.gain_db, -120.0, 60.0, "dB")?;
            check_filters(&format!("{name}[{index}].filters"), &branch.filters)?;
        }
        Ok(())
    }

    fn load_assets(&mut self, loader: &mut dyn AssetLoader) -> Result<()> {
        self.iter_mut().try_for_each(|branch| branch.filters.load_assets(loader))
    }
}

filter_params! {
    /// Runs branches of filters side by side on the same input and adds them up; the faster ones wait for the slowest.
    pub struct ParallelParams for "parallel" in Routing, realtime true {
        /// The branches, 1 to 32: each a list of `filters`, with `gain_db` and `invert`.
        branches: Vec<ParallelBranch> = vec![ParallelBranch::default()];
        /// Gain of the sum of the branches.
        gain_db: f64 = 0.0, -120.0 to 60.0 "dB";
        /// Share of the sum; the rest is the input, delayed as the branches are.
        mix_percent: f64 = 100.0, 0.0 to 100.0 "%";
    }
}

/// See [`ParallelParams`]. Latency and tail are those of the branch where they are longest.
pub struct Parallel {
    params: ParallelParams,
    branches: Vec<Branch>,
    dry: Vec<Delay>,
    sum: Buffer,
    /// Of the input.
    dry_gain: f32,
    /// Of each branch.
    gains: Vec<f32>,
}

impl Parallel {
    /// Branches of `params`.
    pub fn new(params: &ParallelParams) -> Self {
        let mut parallel = Self {
            params: params.clone(),
            branches: params.branches.iter().map(|b| Branch::new(&b.filters)).collect(),
            dry: Vec::new(),
            sum: Buffer::new(Spec::new(48_000, ChannelLayout::MONO), 0),
            dry_gain: 0.0,
            gains: vec![0.0; params.branches.len()],
        };
        parallel.update();
        parallel
    }

    fn update(&mut self) {
        let wet = self.params.mix_percent / 100.0;
        self.dry_gain = (1.0 - wet) as f32;
        for (gain, branch) in self.gains.iter_mut().zip(&self.params.branches) {
            let factor = wet * 10f64.powf((self.params.gain_db + branch.gain_db) / 20.0);
            *gain = if branch.invert { -factor } else { factor } as f32;
        }
    }
}

impl Filter for Parallel {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        for (index, branch) in self.branches.iter_mut().enumerate() {
            branch.prepare(&format!("parallel.branches[{index}]"), spec, max_frames, 0)?;
        }
        let latency_frames = self.branches.iter().map(|b| b.latency_frames).max().unwrap_or(0);
        let tail_frames = self.branches.iter().map(|b| b.tail_frames).max().unwrap_or(0);
        self.branches.iter_mut().for_each(|b| b.align_to(latency_frames));
        self.dry = delays(spec.channels(), latency_frames);
        self.sum = Buffer::new(spec, max_frames);
        Ok(Prepared { spec, max_frames, latency_frames, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        if self.dry.is_empty() {
            return; // not prepared
        }
        self.sum.set_frames(block.frames());
        for (out, (x, delay)) in self.sum.channels_mut().zip(block.channels().zip(&mut self.dry)) {
            out.copy_from_slice(x);
            delay.process(out);
            out.iter_mut().for_each(|y| *y *= self.dry_gain);
        }
        for (branch, gain) in self.branches.iter_mut().zip(&self.gains) {
            branch.take(block);
            branch.process(None);
            for (out, y) in self.sum.channels_mut().zip(branch.block.channels()) {
                out.iter_mut().zip(y).for_each(|(out, y)| *out += *gain * *y);
            }
        }
        for (out, y) in block.channels_mut().zip(self.sum.channels()) {
            out.copy_from_slice(y);
        }
    }

    fn take_error(&mut self) -> Option<Error> {
        self.branches.iter_mut().find_map(Branch::take_error)
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set {
            self.update();
        }
        set
    }

    fn reset(&mut self) {
        self.branches.iter_mut().for_each(Branch::reset);
        self.dry.iter_mut().for_each(Delay::reset);
    }
}

#[cfg(test)]
mod tests {
    use super::super::branch::tests::{noise, run, stereo};

    #[test]
    fn branches_wait_for_the_slowest_and_add_up() {
        let input = noise(stereo(), 4_000);
        let (out, prepared) = run(
            r#"{"type":"parallel","mix_percent":75,"gain_db":6.020599913279624,"branches":[
                {"filters":[{"type":"limiter"},{"type":"limiter"}]}, {"gain_db":-6.020599913279624,"invert":true}]}"#,
            &input,
        );
        let (alone, one) = run("limiter", &input);
        let latency = prepared.latency_frames;
        assert_eq!(latency, 2 * one.latency_frames);
        assert_eq!(alone.channel(0)[one.latency_frames..][..100], input.channel(0)[..100], "under the ceiling");
        for (y, x) in out.channels().zip(input.channels()) {
            assert!(y[..latency].iter().all(|y| *y == 0.0));
            // 0.25 dry, 0.75 of twice (the delay less half): 0.25 + 0.75 * 2 * 0.5 = 1, with three roundings.
            assert!(y[latency..].iter().zip(x).all(|(y, x)| (y - x).abs() < 2e-7));
        }
    }

    #[test]
    fn a_branch_with_a_curve_follows_it_inside() {
        let input = noise(stereo(), 9_600);
        let (out, _) = run(
            r#"{"type":"parallel","branches":[{"filters":[{"type":"gain",
                "gain_db":{"points":[[0,0],[0.1,-20]],"shape":"hold","smooth_ms":0}}]}]}"#,
            &input,
        );
        let factor = |n: usize| out.channel(1)[n] / input.channel(1)[n];
        assert!((factor(4_799) - 1.0).abs() < 1e-6 && (factor(4_800) - 0.1).abs() < 1e-7);
    }
}
