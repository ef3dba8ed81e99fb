//! Balance and width of stereo.

use super::params::filter_params;
use super::{Filter, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};

filter_params! {
    /// Balance between left and right, and width of the stereo image.
    pub struct StereoParams for "stereo" in Space, realtime true {
        /// -100 is left only, 100 right only; the other side is lowered, none is raised.
        balance_percent: f64 = 0.0, -100.0 to 100.0 "%";
        /// Gain of the difference of left and right: 0 is mono, 100 unchanged.
        width_percent: f64 = 100.0, 0.0 to 200.0 "%";
    }
}

/// See [`StereoParams`]. Needs two channels. No latency.
#[derive(Debug)]
pub struct Stereo {
    params: StereoParams,
}

impl Stereo {
    /// A stereo control of `params`.
    pub fn new(params: &StereoParams) -> Self {
        Self { params: params.clone() }
    }
}

impl Filter for Stereo {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        if spec.channels() != ChannelLayout::STEREO.channels() {
            return Err(Error::Unsupported {
                what: "layout for the filter stereo",
                value: spec.layout.name(),
                hint: Some("put channel_mix:to=stereo before it".into()),
            });
        }
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let balance = (self.params.balance_percent / 100.0) as f32;
        let width = (self.params.width_percent / 100.0) as f32;
        let (left_gain, right_gain) = (1.0 - balance.max(0.0), 1.0 + balance.min(0.0));
        let Some((left, right)) = block.stereo_mut() else { return };
        for (l, r) in left.iter_mut().zip(right) {
            // Written so that a width of 100 % leaves the samples bit for bit.
            let change = 0.5 * (width - 1.0) * (*l - *r);
            (*l, *r) = (left_gain * (*l + change), right_gain * (*r - change));
        }
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(balance_percent: f64, width_percent: f64) -> [f32; 2] {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let mut block = Buffer::from_channels(spec, &[vec![0.5], vec![0.1]]);
        let mut f = Stereo::new(&StereoParams { balance_percent, width_percent });
        f.prepare(spec, 1).unwrap();
        f.process(&mut block);
        [block.channel(0)[0], block.channel(1)[0]]
    }

    #[test]
    fn balance_lowers_one_side_and_width_scales_the_difference() {
        assert_eq!(run(0.0, 100.0), [0.5, 0.1]);
        assert_eq!(run(50.0, 100.0), [0.25, 0.1]);
        assert_eq!(run(-100.0, 100.0), [0.5, 0.0]);
        let mono = run(0.0, 0.0);
        assert!((mono[0] - 0.3).abs() < 1e-7 && (mono[1] - 0.3).abs() < 1e-7);
        let wide = run(0.0, 200.0);
        assert!((wide[0] - 0.7).abs() < 1e-7 && (wide[1] + 0.1).abs() < 1e-7);
    }

    #[test]
    fn other_layouts_are_refused_with_a_hint() {
        let e = Stereo::new(&StereoParams::default()).prepare(Spec::new(48_000, ChannelLayout::MONO), 1).unwrap_err();
        assert!(e.to_string().contains("channel_mix"), "{e}");
    }
}
