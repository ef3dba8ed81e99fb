//! Bit crusher: coarse steps in level and time.

use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Makes the sound coarse as early digital devices did: fewer bits, a lower rate without a filter against aliases.
    pub struct BitcrushParams for "bitcrush" in Effects, realtime true {
        /// Bits; fractions are allowed. Full scale is 2 to the power of bits - 1 steps to each side.
        depth_bits: f64 = 8.0, 1.0 to 24.0 "bits";
        /// Rate at which the signal is sampled and held; at or above the rate of the stream it is left alone.
        hold_hz: f64 = 192000.0, 100.0 to 192000.0 "Hz";
        /// Share of the crushed sound; the rest is the input.
        mix_percent: f64 = 100.0, 0.0 to 100.0 "%";
    }
}

/// See [`BitcrushParams`]. Rounds to the nearest step without dither, so that silence stays silent: the distortion is the
/// purpose. No latency.
#[derive(Debug)]
pub struct Bitcrush {
    params: BitcrushParams,
    held: Vec<f32>,
    /// Turns of the holding clock before the next frame; a new value is taken when it passes 1.
    clock: f64,
    rate_hz: f64,
}

impl Bitcrush {
    /// A bit crusher of `params`.
    pub fn new(params: &BitcrushParams) -> Self {
        Self { params: params.clone(), held: Vec::new(), clock: 1.0, rate_hz: 48_000.0 }
    }
}

impl Filter for Bitcrush {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        self.held = vec![0.0; spec.channels()];
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let steps = (self.params.depth_bits - 1.0).exp2() as f32;
        let step = 1.0 / steps;
        let wet = (self.params.mix_percent / 100.0) as f32;
        let dry = 1.0 - wet;
        // Adding 1.5 * 2^23 rounds to the nearest whole number; beyond 2^22 steps there is nothing to round.
        const ROUND: f32 = 12_582_912.0;
        let crush = |x: f32| {
            let y = x * steps;
            if y.abs() < 4_194_304.0 { ((y + ROUND) - ROUND) * step } else { x }
        };
        let per_frame = self.params.hold_hz / self.rate_hz;
        if per_frame >= 1.0 {
            for samples in block.channels_mut() {
                for x in samples {
                    *x = dry * *x + wet * crush(*x);
                }
            }
            return;
        }
        let start = self.clock;
        for (samples, held) in block.channels_mut().zip(&mut self.held) {
            self.clock = start;
            for x in samples {
                if self.clock >= 1.0 {
                    self.clock -= 1.0;
                    let y = crush(*x);
                    *held = if y.is_finite() { y } else { 0.0 };
                }
                self.clock += per_frame;
                *x = dry * *x + wet * *held;
            }
        }
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        self.params.set_number(index, value)
    }

    fn reset(&mut self) {
        self.held.fill(0.0);
        self.clock = 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    fn run(params: BitcrushParams, x: Vec<f32>) -> Vec<f32> {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut f = Bitcrush::new(&params);
        f.prepare(spec, x.len()).unwrap();
        let mut block = Buffer::from_channels(spec, &[x]);
        f.process(&mut block);
        block.channel(0).to_vec()
    }

    #[test]
    fn three_bits_have_steps_of_a_quarter() {
        let params = BitcrushParams { depth_bits: 3.0, ..BitcrushParams::default() };
        assert_eq!(run(params, vec![0.1, 0.13, -0.3, 0.9, 1.0, 0.0]), [0.0, 0.25, -0.25, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn a_third_of_the_rate_holds_three_frames() {
        let params = BitcrushParams { depth_bits: 24.0, hold_hz: 16_000.0, ..BitcrushParams::default() };
        let x: Vec<f32> = (0..9).map(|n| n as f32 / 16.0).collect();
        let y = run(params, x.clone());
        for n in 0..9 {
            assert_eq!(y[n], x[n / 3 * 3], "{n}");
        }
    }
}
