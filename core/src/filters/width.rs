//! Width of stereo.

use super::channel_list::check_stereo;
use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Width of the stereo image: scales the difference of left and right.
    pub struct WidthParams for "width" in Space, realtime true {
        /// Gain of the difference: 0 is mono, 100 unchanged, 200 twice as wide.
        width_percent: f64 = 100.0, 0.0 to 300.0 "%";
        /// Lowers a wider image so that the power of unrelated sides stays the same, and raises a narrower one.
        keep_power: bool = false;
    }
}

/// See [`WidthParams`]. `M = (L + R) / 2`, `S = (L - R) / 2`; `L = g (M + w S)`, `R = g (M - w S)`, with
/// `g = sqrt(2 / (1 + w^2))` to keep the power (A. Blumlein's sum and difference, British patent 394325). Needs two channels.
/// No latency; a width of 100 % leaves the samples bit for bit.
#[derive(Debug)]
pub struct Width {
    params: WidthParams,
    /// `0.5 (w - 1)`: what is added of the difference.
    change: f32,
    gain: f32,
}

impl Width {
    /// A width of `params`.
    pub fn new(params: &WidthParams) -> Self {
        let mut width = Self { params: params.clone(), change: 0.0, gain: 1.0 };
        width.update();
        width
    }

    fn update(&mut self) {
        let w = self.params.width_percent / 100.0;
        self.change = (0.5 * (w - 1.0)) as f32;
        self.gain = if self.params.keep_power { (2.0 / (1.0 + w * w)).sqrt() as f32 } else { 1.0 };
    }
}

impl Filter for Width {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        check_stereo("layout for the filter width", spec)?;
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let (change, gain) = (self.change, self.gain);
        let Some((left, right)) = block.stereo_mut() else { return };
        for (l, r) in left.iter_mut().zip(right) {
            let side = change * (*l - *r);
            (*l, *r) = (gain * (*l + side), gain * (*r - side));
        }
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        self.update();
        set
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    fn run(width_percent: f64, keep_power: bool, l: f32, r: f32) -> [f64; 2] {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let mut block = Buffer::from_channels(spec, &[vec![l], vec![r]]);
        let mut f = Width::new(&WidthParams { width_percent: 77.0, keep_power });
        f.prepare(spec, 1).unwrap();
        assert!(f.set_parameter(0, width_percent));
        f.process(&mut block);
        [f64::from(block.channel(0)[0]), f64::from(block.channel(1)[0])]
    }

    #[test]
    fn scales_the_difference_and_keeps_the_power_on_request() {
        assert_eq!(run(100.0, false, 0.3, 0.7), [f64::from(0.3f32), f64::from(0.7f32)]);
        let mono = run(0.0, false, 0.5, 0.1);
        assert!((mono[0] - 0.3).abs() < 1e-7 && (mono[1] - 0.3).abs() < 1e-7); // f32
        let wide = run(200.0, false, 0.5, 0.1);
        assert!((wide[0] - 0.7).abs() < 1e-7 && (wide[1] + 0.1).abs() < 1e-7);
        for width_percent in [0.0, 50.0, 300.0] {
            // Unrelated sides: powers of (1, 0) and (0, 1) add up.
            let power: f64 = [run(width_percent, true, 1.0, 0.0), run(width_percent, true, 0.0, 1.0)]
                .iter()
                .flatten()
                .map(|y| y * y)
                .sum();
            assert!((power - 2.0).abs() < 1e-6, "{width_percent}: {power}");
        }
    }
}
