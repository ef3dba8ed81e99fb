//! Vibrato.

use super::cells::{CELL_FRAMES, Cells};
use super::fractional_delay::{FractionalDelay, MIN_DELAY_FRAMES};
use super::lfo::{Lfo, LfoShape};
use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Makes the pitch swing, by a delay that swings.
    pub struct VibratoParams for "vibrato" in Effects, realtime true {
        /// Swings per second.
        freq_hz: f64 = 5.5, 0.1 to 20.0 "Hz";
        /// How far the pitch swings to each side at most, in hundredths of a semitone.
        depth_cents: f64 = 30.0, 0.0 to 200.0 "cents";
        /// Course of the delay; the pitch follows its slope.
        shape: LfoShape = LfoShape::Sine;
    }
}

/// Longest swing of the delay to each side, and thus the latency: enough for 200 cents from 1.7 Hz on.
const MAX_SWING_MS: f64 = 12.0;

/// See [`VibratoParams`]. A delay `d(t)` shifts the pitch by the factor `1 - d'(t)`: for a sine of amplitude `a` the most
/// is `2 pi f a` (J. Dattorro, "Effect Design, Part 2", JAES 45(10), 1997). The swing is at most 12 ms, so that slow ones reach
/// less depth. Latency is the mean delay of 12 ms, whatever the depth, so that all parameters can change while it runs.
#[derive(Debug)]
pub struct Vibrato {
    params: VibratoParams,
    lines: Vec<FractionalDelay>,
    lfo: Lfo,
    cells: Cells,
    rate_hz: f64,
    centre_frames: usize,
    swing_frames: f32,
}

impl Vibrato {
    /// A vibrato of `params`.
    pub fn new(params: &VibratoParams) -> Self {
        Self {
            params: params.clone(),
            lines: Vec::new(),
            lfo: Lfo::default(),
            cells: Cells::default(),
            rate_hz: 48_000.0,
            centre_frames: 0,
            swing_frames: 0.0,
        }
    }

    /// Amplitude of the delay in frames for the wanted pitch.
    fn swing(&self) -> f64 {
        let factor = (self.params.depth_cents / 1_200.0).exp2() - 1.0;
        // Most slope of the shape for amplitude 1 and one turn per second.
        let slope = match self.params.shape {
            LfoShape::Sine => std::f64::consts::TAU,
            LfoShape::Triangle => 4.0,
        };
        let seconds = (factor / (slope * self.params.freq_hz)).min(MAX_SWING_MS / 1_000.0);
        seconds * self.rate_hz
    }

    fn update(&mut self) {
        self.swing_frames = self.swing() as f32;
        self.lfo.set_frequency(self.params.freq_hz, self.rate_hz);
    }
}

impl Filter for Vibrato {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        self.centre_frames = (MAX_SWING_MS * self.rate_hz / 1_000.0).ceil() as usize + MIN_DELAY_FRAMES as usize;
        // A whole cell is pushed before it is read.
        self.lines = vec![FractionalDelay::new(2 * self.centre_frames + 1 + CELL_FRAMES); spec.channels()];
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: self.centre_frames, tail_frames: self.centre_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        let mut delays = [0.0f32; CELL_FRAMES];
        let (centre, swing) = (self.centre_frames as f32, self.swing_frames);
        let (lfo, lines, shape) = (&mut self.lfo, &mut self.lines, self.params.shape);
        self.cells.for_each(block.frames(), |piece, _| {
            let delays = &mut delays[..piece.len()];
            lfo.fill(shape, 0.0, delays);
            lfo.advance(piece.len());
            delays.iter_mut().for_each(|d| *d = centre + swing * *d);
            for (samples, line) in block.channels_mut().zip(lines.iter_mut()) {
                let samples = &mut samples[piece.clone()];
                line.push_all(samples);
                samples.fill(0.0);
                line.add_last(delays, samples);
            }
        });
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set {
            self.update();
        }
        set
    }

    fn reset(&mut self) {
        self.lines.iter_mut().for_each(FractionalDelay::reset);
        self.lfo.reset();
        self.cells.reset();
        self.update();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn the_pitch_swings_as_far_as_it_should() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut f = Vibrato::new(&VibratoParams { freq_hz: 5.0, depth_cents: 50.0, ..VibratoParams::default() });
        f.prepare(spec, 48_000).unwrap();
        let x = (0..48_000).map(|n| (std::f64::consts::TAU * 1_000.0 * n as f64 / 48_000.0).sin() as f32).collect();
        let mut block = Buffer::from_channels(spec, &[x]);
        f.process(&mut block);
        // Periods between rising zero crossings, interpolated.
        let y = block.channel(0);
        let crossings: Vec<f64> = (4_800..47_999)
            .filter(|n| y[*n] < 0.0 && y[n + 1] >= 0.0)
            .map(|n| n as f64 + f64::from(y[n] / (y[n] - y[n + 1])))
            .collect();
        let pitches: Vec<f64> = crossings.windows(2).map(|w| 48.0 / (w[1] - w[0])).collect();
        let (low, high) = pitches.iter().fold((f64::MAX, 0.0f64), |(l, h), p| (l.min(*p), h.max(*p)));
        let cents = |p: f64| 1_200.0 * p.log2();
        // Linear interpolation of the crossings errs by about 1e-4 of a period: 0.2 cents; downwards 1 - x is 1 cent more.
        assert!((cents(high) - 50.0).abs() < 1.0, "{}", cents(high));
        assert!((cents(low) + 51.0).abs() < 1.5, "{}", cents(low));
    }
}
