//! Low-frequency oscillator of the modulation effects.

use super::cells::CELL_FRAMES;
use super::params::filter_choice;
use crate::dsp::kernels;

filter_choice! {
    /// Course of a modulation.
    pub enum LfoShape {
        Sine = "sine": "Sine.",
        Triangle = "triangle": "Straight up and straight down.",
    }
}

/// Oscillator whose phase depends on the stream position alone, so that block sizes change nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lfo {
    /// Turns at the start of the present cell, 0 to 1.
    phase: f64,
    /// Turns per frame.
    step: f64,
    /// Frames since the start of the cell.
    filled: usize,
}

impl Lfo {
    /// Sets the frequency; the phase goes on from where it is. Real-time safe.
    pub fn set_frequency(&mut self, freq_hz: f64, rate_hz: f64) {
        self.phase += self.step * self.filled as f64;
        self.step = if rate_hz > 0.0 { freq_hz / rate_hz } else { 0.0 };
        self.phase -= self.step * self.filled as f64;
    }

    /// Writes the values of the next frames, -1 to 1, at `offset` turns ahead. Does not advance. At most the rest of the
    /// cell: see [`super::cells::Cells`].
    pub fn fill(&self, shape: LfoShape, offset: f64, out: &mut [f32]) {
        debug_assert!(self.filled + out.len() <= CELL_FRAMES);
        let start = self.phase + offset;
        match shape {
            LfoShape::Sine => kernels::sine_swing(start, self.step, self.filled, out),
            // 0 at 0, 1 at a quarter, -1 at three quarters, as the sine.
            LfoShape::Triangle => kernels::triangle_swing(start, self.step, self.filled, out),
        }
    }

    /// Writes values of the sine that lie `frames` apart, the first at the present frame, at `offset` turns ahead. Does not
    /// advance.
    pub fn fill_every(&self, frames: usize, offset: f64, out: &mut [f32]) {
        let start = self.phase + offset + self.step * self.filled as f64;
        kernels::sine_swing(start, self.step * frames as f64, 0, out);
    }

    /// Moves on by `frames`, at most to the end of the cell.
    pub fn advance(&mut self, frames: usize) {
        self.filled += frames;
        if self.filled >= CELL_FRAMES {
            self.phase = (self.phase + self.step * self.filled as f64).fract();
            if self.phase < 0.0 {
                self.phase += 1.0;
            }
            self.filled = 0;
        }
    }

    /// Back to phase 0 and frequency 0.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oscillates_at_its_frequency_for_any_split() {
        let whole: Vec<f32> = run(256);
        for split in [1, 7, 64, 100] {
            assert_eq!(whole, run(split));
        }
        for (n, y) in whole.iter().enumerate() {
            let want = (std::f64::consts::TAU * 3.3 * n as f64 / 8_000.0).sin();
            // The phase is rounded to f32 before the sine: 6e-8 turns, thus 4e-7.
            assert!((f64::from(*y) - want).abs() < 1e-6, "{n}");
        }
    }

    fn run(split: usize) -> Vec<f32> {
        let mut lfo = Lfo::default();
        lfo.set_frequency(3.3, 8_000.0);
        let mut cells = super::super::cells::Cells::default();
        let mut out = vec![0.0; 9_000];
        for block in out.chunks_mut(split) {
            cells.for_each(block.len(), |piece, _| {
                let count = piece.len();
                lfo.fill(LfoShape::Sine, 0.0, &mut block[piece]);
                lfo.advance(count);
            });
        }
        out
    }

    #[test]
    fn the_triangle_has_its_corners_where_the_sine_has_its_peaks() {
        let mut lfo = Lfo::default();
        lfo.set_frequency(1.0, 256.0);
        let mut y = [0.0; 256];
        lfo.fill(LfoShape::Triangle, 0.0, &mut y);
        assert_eq!((y[0], y[64], y[128], y[192]), (0.0, 1.0, 0.0, -1.0));
    }
}
