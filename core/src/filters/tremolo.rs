//! Tremolo and auto-pan.

use super::cells::{CELL_FRAMES, Cells};
use super::lfo::{Lfo, LfoShape};
use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Makes the level swing. With a phase between the channels it swings between them (auto-pan).
    pub struct TremoloParams for "tremolo" in Effects, realtime true {
        /// Swings per second.
        freq_hz: f64 = 5.0, 0.01 to 40.0 "Hz";
        /// How far the level falls at its lowest: 100 is down to silence. The highest is the input's level.
        depth_percent: f64 = 50.0, 0.0 to 100.0 "%";
        /// Course of the swing.
        shape: LfoShape = LfoShape::Sine;
        /// How far each channel is ahead of the one before it; 180 swings between left and right.
        spread_deg: f64 = 0.0, 0.0 to 360.0 "deg";
    }
}

/// See [`TremoloParams`]: `y = x (1 - depth (1 + lfo) / 2)`. No latency.
#[derive(Debug)]
pub struct Tremolo {
    params: TremoloParams,
    lfo: Lfo,
    cells: Cells,
    rate_hz: f64,
}

impl Tremolo {
    /// A tremolo of `params`.
    pub fn new(params: &TremoloParams) -> Self {
        Self { params: params.clone(), lfo: Lfo::default(), cells: Cells::default(), rate_hz: 48_000.0 }
    }
}

impl Filter for Tremolo {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let half_depth = (self.params.depth_percent / 200.0) as f32;
        let spread = self.params.spread_deg / 360.0;
        let mut swing = [0.0f32; CELL_FRAMES];
        let (lfo, shape) = (&mut self.lfo, self.params.shape);
        self.cells.for_each(block.frames(), |piece, _| {
            let swing = &mut swing[..piece.len()];
            for (index, samples) in block.channels_mut().enumerate() {
                if index == 0 || spread != 0.0 {
                    lfo.fill(shape, spread * index as f64, swing);
                }
                for (x, s) in samples[piece.clone()].iter_mut().zip(swing.iter()) {
                    *x *= 1.0 - half_depth * (1.0 + s);
                }
            }
            lfo.advance(piece.len());
        });
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set {
            self.lfo.set_frequency(self.params.freq_hz, self.rate_hz);
        }
        set
    }

    fn reset(&mut self) {
        self.lfo.reset();
        self.cells.reset();
        self.lfo.set_frequency(self.params.freq_hz, self.rate_hz);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn the_level_follows_the_formula_and_the_channels_swing_apart() {
        let spec = Spec::new(8_000, ChannelLayout::STEREO);
        let params = TremoloParams { freq_hz: 4.0, depth_percent: 80.0, spread_deg: 180.0, ..TremoloParams::default() };
        let mut f = Tremolo::new(&params);
        f.prepare(spec, 8_000).unwrap();
        let mut block = Buffer::from_channels(spec, &[vec![1.0; 8_000], vec![1.0; 8_000]]);
        f.process(&mut block);
        for n in 0..8_000 {
            let lfo = (std::f64::consts::TAU * 4.0 * n as f64 / 8_000.0).sin();
            // 1e-6: the oscillator's error and two roundings.
            assert!((f64::from(block.channel(0)[n]) - (1.0 - 0.4 * (1.0 + lfo))).abs() < 1e-6);
            assert!((f64::from(block.channel(1)[n]) - (1.0 - 0.4 * (1.0 - lfo))).abs() < 1e-6);
        }
    }
}
