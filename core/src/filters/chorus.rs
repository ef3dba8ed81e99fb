//! Chorus: several copies whose delays swing.
//!
//! J. Dattorro, "Effect Design, Part 2: Delay-Line Modulation and Chorus", JAES 45(10), 1997.

use super::lfo::LfoShape;
use super::modulated_delay::{ModulatedDelay, Modulation};
use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Makes one voice sound as several, by copies whose delays swing.
    pub struct ChorusParams for "chorus" in Effects, realtime true {
        /// Swings per second.
        freq_hz: f64 = 0.8, 0.01 to 20.0 "Hz";
        /// Swing of the delay to each side; never more than the delay itself.
        depth_ms: f64 = 2.0, 0.0 to 20.0 "ms";
        /// Mean delay of the copies.
        delay_ms: f64 = 12.0, 1.0 to 50.0 "ms";
        /// Copies.
        voices: u32 = 2, 1 to 8 "";
        /// How far the swing of each channel is ahead of the one before it.
        spread_deg: f64 = 90.0, 0.0 to 360.0 "deg";
        /// Share of the copies; the rest is the input.
        mix_percent: f64 = 50.0, 0.0 to 100.0 "%";
    }
}

/// See [`ChorusParams`]. The copies are added with a factor of one over the square root of their number, as unrelated
/// sounds add by power. The input is not delayed: no latency; the tail is the longest delay.
#[derive(Debug)]
pub struct Chorus {
    params: ChorusParams,
    lines: ModulatedDelay,
}

impl Chorus {
    /// A chorus of `params`.
    pub fn new(params: &ChorusParams) -> Self {
        Self { params: params.clone(), lines: ModulatedDelay::default() }
    }
}

/// Longest delay that live parameters may reach.
const MAX_DELAY_MS: f64 = 100.0;

impl Filter for Chorus {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.lines.prepare(spec, MAX_DELAY_MS);
        self.reset();
        let tail_frames =
            ((self.params.delay_ms + self.params.depth_ms) * f64::from(spec.rate_hz) / 1_000.0) as usize + 2;
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        let p = &self.params;
        let wet = p.mix_percent / 100.0;
        let modulation = Modulation {
            freq_hz: p.freq_hz,
            delay_ms: p.delay_ms,
            depth_ms: p.depth_ms,
            voices: p.voices as usize,
            spread_turns: p.spread_deg / 360.0,
            shape: LfoShape::Sine,
            feedback: 0.0,
            dry: (1.0 - wet) as f32,
            wet: (wet / f64::from(p.voices).sqrt()) as f32,
        };
        self.lines.process(block, &modulation);
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set {
            self.lines.set_frequency(self.params.freq_hz);
        }
        set
    }

    fn reset(&mut self) {
        self.lines.reset(self.params.freq_hz);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn still_copies_are_where_the_delay_says() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        for voices in [1, 3] {
            let params =
                ChorusParams { depth_ms: 0.0, delay_ms: 10.0, voices, mix_percent: 50.0, ..ChorusParams::default() };
            let mut f = Chorus::new(&params);
            f.prepare(spec, 1_000).unwrap();
            let mut block = Buffer::from_channels(spec, &[vec![0.0; 1_000]]);
            block.channel_mut(0)[5] = 1.0;
            f.process(&mut block);
            let wet = 0.5 * f64::from(voices).sqrt();
            for (n, y) in block.channel(0).iter().enumerate() {
                let want = if n == 5 {
                    0.5
                } else if n == 485 {
                    wet
                } else {
                    0.0
                };
                assert!((f64::from(*y) - want).abs() < 1e-6, "{voices} {n}: {y}");
            }
        }
    }
}
