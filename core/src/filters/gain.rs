//! Fixed gain.

use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Multiplies the signal by a fixed factor.
    pub struct GainParams for "gain" in Level, realtime true {
        /// Gain; 0 leaves the samples bit for bit.
        gain_db: f64 = 0.0, -120.0 to 60.0 "dB";
        /// Inverts the polarity.
        invert: bool = false;
    }
}

/// Fixed gain. No latency.
#[derive(Debug)]
pub struct Gain {
    params: GainParams,
    factor: f32,
    /// While a value is on its way: factor at the frame `done` of the ramp is `start + done * step`.
    ramp: Ramp,
}

#[derive(Debug, Clone, Copy, Default)]
struct Ramp {
    start: f32,
    step: f32,
    done: u32,
    frames: u32,
}

impl Gain {
    /// A gain of `params`.
    pub fn new(params: &GainParams) -> Self {
        let mut gain = Self { params: params.clone(), factor: 1.0, ramp: Ramp::default() };
        gain.update();
        gain
    }

    fn update(&mut self) {
        let factor = 10f64.powf(self.params.gain_db / 20.0) as f32;
        self.factor = if self.params.invert { -factor } else { factor };
    }
}

impl Filter for Gain {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let ramp = self.ramp;
        let count = (ramp.frames - ramp.done).min(block.frames() as u32);
        self.ramp.done += count;
        for channel in block.channels_mut() {
            let (moving, steady) = channel.split_at_mut(count as usize);
            for (n, sample) in (ramp.done..).zip(moving) {
                *sample *= ramp.start + n as f32 * ramp.step;
            }
            for sample in steady {
                *sample *= self.factor;
            }
        }
    }

    fn factor(&self) -> Option<f32> {
        (self.ramp.done == self.ramp.frames).then_some(self.factor)
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set {
            self.update();
            self.ramp = Ramp::default();
        }
        set
    }

    fn ramp_parameter(&mut self, index: usize, from: f64, to: f64, frames: usize) -> bool {
        let frames = u32::try_from(frames).unwrap_or(0).min(1 << 16); // a step beyond what f32 counts exactly
        if !self.set_parameter(index, from) {
            return false;
        }
        let start = self.factor;
        self.set_parameter(index, to);
        if frames > 0 {
            self.ramp = Ramp { start, step: (self.factor - start) / frames as f32, done: 0, frames };
        }
        true
    }

    fn reset(&mut self) {
        self.ramp = Ramp::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn minus_20_db_is_a_tenth_and_0_db_is_exact() {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let mut block = Buffer::from_channels(spec, &[vec![0.5, -0.25], vec![1.0, 0.1]]);
        Gain::new(&GainParams { gain_db: 0.0, invert: false }).process(&mut block);
        assert_eq!(block.channel(1), &[1.0, 0.1]);
        Gain::new(&GainParams { gain_db: -20.0, invert: true }).process(&mut block);
        // One rounding of the factor and one of the product: 2 half units in the last place, relative 1.2e-7.
        assert!((block.channel(0)[0] + 0.05).abs() < 0.05 * 1.2e-7);
    }
}
