//! Phaser: first-order all-pass filters whose corner swings.
//!
//! J. O. Smith, *Physical Audio Signal Processing*, "Phasing with First-Order Allpass Filters":
//! `H(z) = (a + z^-1) / (1 + a z^-1)`, `a = (tan(pi f / rate) - 1) / (tan(pi f / rate) + 1)`; a chain of N gives N/2 notches.

use super::cells::{CELL_FRAMES, Cells};
use super::flanger::passes;
use super::lfo::{Lfo, LfoShape};
use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Moves notches through the spectrum, by all-pass filters whose corner swings between two frequencies.
    pub struct PhaserParams for "phaser" in Effects, realtime true {
        /// Swings per second.
        freq_hz: f64 = 0.5, 0.01 to 20.0 "Hz";
        /// All-pass filters in a row; two make a notch.
        stages: u32 = 6, 2 to 12 "";
        /// One end of the swing.
        low_hz: f64 = 200.0, 20.0 to 20000.0 "Hz";
        /// The other end of the swing.
        high_hz: f64 = 2000.0, 20.0 to 20000.0 "Hz";
        /// Share of the filtered sound that goes in again; sharpens the notches.
        feedback_percent: f64 = 30.0, -95.0 to 95.0 "%";
        /// How far the swing of each channel is ahead of the one before it.
        spread_deg: f64 = 0.0, 0.0 to 360.0 "deg";
        /// Share of the filtered sound; the rest is the input. 50 gives the deepest notches.
        mix_percent: f64 = 50.0, 0.0 to 100.0 "%";
    }
}

const MAX_STAGES: usize = 12;

/// The corner is calculated anew at every so many frames and drawn straight between.
const STEP_FRAMES: usize = 32;

/// State of one channel.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    states: [f32; MAX_STAGES],
    last: f32,
}

/// See [`PhaserParams`]. The corner swings evenly in octaves. No latency.
#[derive(Debug)]
pub struct Phaser {
    params: PhaserParams,
    rows: Vec<Row>,
    lfo: Lfo,
    cells: Cells,
    /// Frames into the present cell.
    filled: usize,
    /// Coefficients of each channel at the corners of the present cell: one more than steps.
    corners: Vec<[f32; CELL_FRAMES / STEP_FRAMES + 1]>,
    rate_hz: f64,
}

impl Phaser {
    /// A phaser of `params`.
    pub fn new(params: &PhaserParams) -> Self {
        Self {
            params: params.clone(),
            rows: Vec::new(),
            lfo: Lfo::default(),
            cells: Cells::default(),
            filled: 0,
            corners: Vec::new(),
            rate_hz: 48_000.0,
        }
    }
}

/// Coefficients for a swing of `-1..=1` at the corners of a cell.
fn design(p: &PhaserParams, rate_hz: f64, lfo: &Lfo, channel: usize, corners: &mut [f32]) {
    let mut swing = [0.0f32; 1];
    let (low, high) = (p.low_hz.min(0.45 * rate_hz).log2(), p.high_hz.min(0.45 * rate_hz).log2());
    for (n, a) in corners.iter_mut().enumerate() {
        let ahead = lfo.turns_in((n * STEP_FRAMES) as f64) + p.spread_deg / 360.0 * channel as f64;
        lfo.fill(LfoShape::Sine, ahead, &mut swing);
        let hz = (0.5 * (low + high) + 0.5 * (high - low) * f64::from(swing[0])).exp2();
        let t = (std::f64::consts::PI * hz / rate_hz).tan();
        *a = ((t - 1.0) / (t + 1.0)) as f32;
    }
}

impl Filter for Phaser {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let p = &self.params;
        self.rate_hz = f64::from(spec.rate_hz);
        self.rows = vec![Row::default(); spec.channels()];
        self.corners = vec![[0.0; CELL_FRAMES / STEP_FRAMES + 1]; spec.channels()];
        // An all-pass at the low corner rings for `rate / (pi f)` frames to 1/e, a dozen of them for -100 dB, per stage and pass.
        let ring = 12.0 * self.rate_hz / (std::f64::consts::PI * p.low_hz.min(p.high_hz)) * f64::from(p.stages);
        let tail_frames = (ring * passes(p.feedback_percent / 100.0)).ceil() as usize;
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        let p = &self.params;
        let stages = p.stages as usize;
        let wet = (p.mix_percent / 100.0) as f32;
        let (dry, feedback) = (1.0 - wet, (p.feedback_percent / 100.0) as f32);
        let rate_hz = self.rate_hz;
        let (rows, corners, lfo, filled) = (&mut self.rows, &mut self.corners, &mut self.lfo, &mut self.filled);
        self.cells.for_each(block.frames(), |piece, end| {
            if *filled == 0 {
                corners.iter_mut().enumerate().for_each(|(c, a)| design(p, rate_hz, lfo, c, a));
            }
            for ((samples, row), corners) in block.channels_mut().zip(rows.iter_mut()).zip(corners.iter()) {
                for (n, x) in samples[piece.clone()].iter_mut().enumerate() {
                    let at = *filled + n;
                    let part = (at % STEP_FRAMES) as f32 / STEP_FRAMES as f32;
                    let (from, to) = (corners[at / STEP_FRAMES], corners[at / STEP_FRAMES + 1]);
                    let a = from + part * (to - from);
                    let mut y = *x + feedback * row.last;
                    y = if y.abs() < 1e6 { y } else { 0.0 };
                    for state in &mut row.states[..stages] {
                        // Transposed form: one state for each all-pass.
                        let out = a * y + *state;
                        *state = y - a * out;
                        y = out;
                    }
                    row.last = y;
                    *x = dry * *x + wet * y;
                }
                // Long silence must not leave denormal numbers.
                if end {
                    for s in row.states.iter_mut().chain([&mut row.last]) {
                        *s = if s.abs() > 1e-20 { *s } else { 0.0 };
                    }
                }
            }
            lfo.advance(piece.len());
            *filled = if end { 0 } else { *filled + piece.len() };
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
        self.rows.fill(Row::default());
        self.lfo.reset();
        self.cells.reset();
        self.filled = 0;
        self.lfo.set_frequency(self.params.freq_hz, self.rate_hz);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn a_still_phaser_has_its_notches_where_the_formula_says() {
        let (rate_hz, corner_hz, frames) = (48_000u32, 1_000.0, 1 << 14);
        let spec = Spec::new(rate_hz, ChannelLayout::MONO);
        let params = PhaserParams {
            stages: 4,
            low_hz: corner_hz,
            high_hz: corner_hz,
            feedback_percent: 0.0,
            ..PhaserParams::default()
        };
        let mut f = Phaser::new(&params);
        f.prepare(spec, frames).unwrap();
        let mut block = Buffer::from_channels(spec, &[vec![0.0; frames]]);
        block.channel_mut(0)[0] = 1.0;
        f.process(&mut block);
        let t = (std::f64::consts::PI * corner_hz / f64::from(rate_hz)).tan();
        let a = (t - 1.0) / (t + 1.0);
        for hz in [100.0, 414.0, 1_000.0, 2_300.0, 8_000.0] {
            let w = std::f64::consts::TAU * hz / f64::from(rate_hz);
            let (mut re, mut im) = (0.0, 0.0);
            for (n, y) in block.channel(0).iter().enumerate() {
                re += f64::from(*y) * (w * n as f64).cos();
                im -= f64::from(*y) * (w * n as f64).sin();
            }
            // The all-pass turns by -2 atan2(sin w, a + cos w) + w, of which four add up.
            let turn = 4.0 * (w - 2.0 * (w.sin() / (a + w.cos())).atan());
            let turn = if a + w.cos() < 0.0 { turn - 4.0 * std::f64::consts::TAU } else { turn };
            let (want_re, want_im) = (0.5 + 0.5 * turn.cos(), 0.5 * turn.sin());
            assert!((re - want_re).hypot(im.abs() - want_im.abs()) < 1e-5, "{hz}: {re} {im} {want_re} {want_im}");
        }
    }
}
