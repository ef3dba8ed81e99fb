//! Phaser: first-order all-pass filters whose corner swings.
//!
//! J. O. Smith, *Physical Audio Signal Processing*, "Phasing with First-Order Allpass Filters":
//! `H(z) = (a + z^-1) / (1 + a z^-1)`, `a = (tan(pi f / rate) - 1) / (tan(pi f / rate) + 1)`; a chain of N gives N/2 notches.

use super::cells::{CELL_FRAMES, Cells};
use super::flanger::passes;
use super::lfo::Lfo;
use super::math::exp2;
use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::kernels::{AllpassCourse, AllpassRow, sine_of_part};
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

/// The corner is calculated anew at every so many frames and drawn straight between.
const STEP_FRAMES: usize = 32;
/// Corners of one cell: one more than steps.
const CORNERS: usize = CELL_FRAMES / STEP_FRAMES + 1;
/// Channels that are worked on together.
const LANES: usize = 4;

/// Four channels.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    row: AllpassRow,
    /// Coefficients at the corners of the present cell.
    corners: [[f32; LANES]; CORNERS],
}

/// See [`PhaserParams`]. The corner swings evenly in octaves. No latency.
#[derive(Debug)]
pub struct Phaser {
    params: PhaserParams,
    groups: Vec<Group>,
    lfo: Lfo,
    cells: Cells,
    /// Frames into the present cell.
    filled: usize,
    rate_hz: f64,
}

impl Phaser {
    /// A phaser of `params`.
    pub fn new(params: &PhaserParams) -> Self {
        Self {
            params: params.clone(),
            groups: Vec::new(),
            lfo: Lfo::default(),
            cells: Cells::default(),
            filled: 0,
            rate_hz: 48_000.0,
        }
    }
}

/// Coefficients of one channel at the corners of a cell.
fn design(p: &PhaserParams, rate_hz: f64, lfo: &Lfo, channel: usize) -> [f32; CORNERS] {
    let mut corners = [0.0f32; CORNERS];
    lfo.fill_every(STEP_FRAMES, p.spread_deg / 360.0 * channel as f64, &mut corners);
    // Octaves of half a turn per frame: `x` below is half of pi f / rate, in turns.
    let octaves = |hz: f64| (0.5 * hz.min(0.45 * rate_hz) / rate_hz).log2();
    let (low, high) = (octaves(p.low_hz), octaves(p.high_hz));
    let (middle, half) = ((0.5 * (low + high)) as f32, (0.5 * (high - low)) as f32);
    for a in &mut corners {
        let x = exp2(middle + half * *a);
        // (tan - 1) / (tan + 1)
        let (sine, cosine) = (sine_of_part(x), sine_of_part(0.25 - x));
        *a = (sine - cosine) / (sine + cosine);
    }
    corners
}

impl Filter for Phaser {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let p = &self.params;
        self.rate_hz = f64::from(spec.rate_hz);
        self.groups = vec![Group::default(); spec.channels().div_ceil(LANES)];
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
        let (rate_hz, channels) = (self.rate_hz, block.channel_count());
        let (groups, lfo, filled) = (&mut self.groups, &mut self.lfo, &mut self.filled);
        let mut frames = [[0.0f32; LANES]; STEP_FRAMES];
        self.cells.for_each(block.frames(), |piece, end| {
            if *filled == 0 {
                let first = design(p, rate_hz, lfo, 0);
                for channel in 0..channels.min(groups.len() * LANES) {
                    let own = if p.spread_deg == 0.0 { first } else { design(p, rate_hz, lfo, channel) };
                    for (corner, a) in groups[channel / LANES].corners.iter_mut().zip(own) {
                        corner[channel % LANES] = a;
                    }
                }
            }
            let mut at = piece.start;
            while at < piece.end {
                let place = *filled + (at - piece.start);
                let (step, first) = (place / STEP_FRAMES, place % STEP_FRAMES);
                let count = (STEP_FRAMES - first).min(piece.end - at);
                let frames = &mut frames[..count];
                for (number, group) in groups.iter_mut().enumerate() {
                    let lanes = (channels - number * LANES).min(LANES);
                    for lane in 0..lanes {
                        let samples = &block.channel(number * LANES + lane)[at..at + count];
                        for (frame, x) in frames.iter_mut().zip(samples) {
                            frame[lane] = if x.abs() < 1e6 { *x } else { 0.0 };
                        }
                    }
                    let (from, to) = (group.corners[step], group.corners[step + 1]);
                    let slope = std::array::from_fn(|lane| (to[lane] - from[lane]) / STEP_FRAMES as f32);
                    group.row.run(stages, &AllpassCourse { from, slope, first }, feedback, frames);
                    for lane in 0..lanes {
                        let samples = &mut block.channel_mut(number * LANES + lane)[at..at + count];
                        for (x, frame) in samples.iter_mut().zip(frames.iter()) {
                            *x = dry * *x + wet * frame[lane];
                        }
                    }
                }
                at += count;
            }
            // Long silence must not leave denormal numbers.
            if end {
                groups.iter_mut().for_each(|group| group.row.settle());
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
        self.groups.fill(Group::default());
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
