//! Flanger: the sound with a copy of it, a few milliseconds late, whose delay swings.
//!
//! J. Dattorro, "Effect Design, Part 2: Delay-Line Modulation and Chorus", JAES 45(10), 1997.

use super::lfo::LfoShape;
use super::modulated_delay::{ModulatedDelay, Modulation};
use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Moves a comb of notches through the spectrum, by a copy whose short delay swings.
    pub struct FlangerParams for "flanger" in Effects, realtime true {
        /// Swings per second.
        freq_hz: f64 = 0.3, 0.01 to 20.0 "Hz";
        /// Mean delay; the notches are at odd multiples of half its reciprocal.
        delay_ms: f64 = 2.5, 0.1 to 20.0 "ms";
        /// Swing of the delay to each side; never more than the delay itself.
        depth_ms: f64 = 2.0, 0.0 to 20.0 "ms";
        /// Share of the copy that is delayed again; negative numbers make the notches the peaks of the other sign.
        feedback_percent: f64 = 30.0, -95.0 to 95.0 "%";
        /// How far the swing of each channel is ahead of the one before it.
        spread_deg: f64 = 0.0, 0.0 to 360.0 "deg";
        /// Course of the swing.
        shape: LfoShape = LfoShape::Sine;
        /// Share of the copy; the rest is the input. 50 gives the deepest notches.
        mix_percent: f64 = 50.0, 0.0 to 100.0 "%";
    }
}

/// See [`FlangerParams`]. No latency; the tail is that of the feedback, down to -100 dB.
#[derive(Debug)]
pub struct Flanger {
    params: FlangerParams,
    lines: ModulatedDelay,
}

impl Flanger {
    /// A flanger of `params`.
    pub fn new(params: &FlangerParams) -> Self {
        Self { params: params.clone(), lines: ModulatedDelay::default() }
    }
}

/// Longest delay that live parameters may reach.
const MAX_DELAY_MS: f64 = 40.0;

/// Times that a sound passes a loop of gain `feedback` until it is below -100 dB.
pub(super) fn passes(feedback: f64) -> f64 {
    let feedback = feedback.abs();
    if feedback < 1e-5 { 1.0 } else { 1.0 + (1e-5f64).ln() / feedback.ln() }
}

impl Filter for Flanger {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let p = &self.params;
        self.lines.prepare(spec, MAX_DELAY_MS);
        let longest_ms = p.delay_ms + p.depth_ms.min(p.delay_ms);
        let tail_s = longest_ms / 1_000.0 * passes(p.feedback_percent / 100.0);
        self.reset();
        let tail_frames = (tail_s * f64::from(spec.rate_hz)).ceil() as usize + 2;
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        let p = &self.params;
        let wet = (p.mix_percent / 100.0) as f32;
        let modulation = Modulation {
            freq_hz: p.freq_hz,
            delay_ms: p.delay_ms,
            depth_ms: p.depth_ms,
            voices: 1,
            spread_turns: p.spread_deg / 360.0,
            shape: p.shape,
            feedback: (p.feedback_percent / 100.0) as f32,
            dry: 1.0 - wet,
            wet,
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
    fn a_still_flanger_is_a_comb_with_feedback() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let params = FlangerParams {
            depth_ms: 0.0,
            delay_ms: 1.0,
            feedback_percent: -50.0,
            mix_percent: 40.0,
            ..FlangerParams::default()
        };
        let mut f = Flanger::new(&params);
        f.prepare(spec, 300).unwrap();
        let mut block = Buffer::from_channels(spec, &[vec![0.0; 300]]);
        block.channel_mut(0)[0] = 1.0;
        f.process(&mut block);
        for (n, y) in block.channel(0).iter().enumerate() {
            let want = match n {
                0 => 0.6,
                n if n % 48 == 0 => 0.4 * (-0.5f64).powi(n as i32 / 48 - 1),
                _ => 0.0,
            };
            assert!((f64::from(*y) - want).abs() < 1e-6, "{n}: {y} {want}");
        }
    }
}
