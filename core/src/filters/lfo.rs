//! Low-frequency oscillator of the modulation effects.

use super::cells::CELL_FRAMES;
use super::params::filter_choice;

filter_choice! {
    /// Course of a modulation.
    pub enum LfoShape {
        Sine = "sine": "Sine.",
        Triangle = "triangle": "Straight up and straight down.",
    }
}

/// Sine of `turns` full turns, absolute error below 4e-7 for -1e4 to 1e4 turns whose fraction is exact in f32.
///
/// Folded to a quarter turn, then the Taylor polynomial of degree 11, whose remainder is below 6e-8; the rest is rounding.
/// Multiplications and additions in a fixed order: the same bits on every machine.
#[inline(always)]
pub fn sine_of_turns(turns: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to a whole number
    let x = turns - ((turns + ROUND) - ROUND);
    let folded = 0.5 - x.abs();
    let magnitude = if x.abs() < 0.25 { x.abs() } else { folded };
    let w = std::f32::consts::TAU * magnitude;
    let s = w * w;
    let p = 1.0 / 362_880.0 - s * (1.0 / 39_916_800.0);
    let p = w * (1.0 - s * (1.0 / 6.0 - s * (1.0 / 120.0 - s * (1.0 / 5_040.0 - s * p))));
    if x < 0.0 { -p } else { p }
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
        for (n, y) in out.iter_mut().enumerate() {
            let turns = start + self.step * (self.filled + n) as f64;
            // Rounds down for the small positive numbers that occur.
            *y = (turns - (turns as i64) as f64) as f32;
        }
        match shape {
            LfoShape::Sine => out.iter_mut().for_each(|y| *y = sine_of_turns(*y)),
            // 0 at 0, 1 at a quarter, -1 at three quarters, as the sine.
            LfoShape::Triangle => out.iter_mut().for_each(|y| {
                let t = *y + 0.25;
                let t = if t >= 1.0 { t - 1.0 } else { t };
                *y = 1.0 - 4.0 * (t - 0.5).abs();
            }),
        }
    }

    /// Turns made in so many frames.
    pub fn turns_in(&self, frames: f64) -> f64 {
        self.step * frames
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
    fn sine_is_within_its_stated_error() {
        for n in -40_000i32..40_000 {
            let turns = n as f32 / 8_192.0;
            let want = (f64::from(turns) * std::f64::consts::TAU).sin();
            assert!((f64::from(sine_of_turns(turns)) - want).abs() < 4e-7, "{turns}");
        }
        assert_eq!(sine_of_turns(0.25), sine_of_turns(1.25));
    }

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
