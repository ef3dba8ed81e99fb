//! Noise gate with hysteresis, hold and a limited range.

use super::cells::{CELL_FRAMES, Cells};
use super::compressor::detect;
use super::delay::Delay;
use super::math::{DB_PER_OCTAVE, exp2, smoothing};
use super::params::filter_params;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Turns the sound down while it stays under a threshold.
    pub struct GateParams for "gate" in Dynamics, realtime true {
        /// Peak level that opens the gate.
        threshold_dbfs: f64 = -50.0, -100.0 to 0.0 "dBFS";
        /// How far under the threshold the level must fall before the gate closes.
        hysteresis_db: f64 = 4.0, 0.0 to 24.0 "dB";
        /// Reduction of the closed gate.
        range_db: f64 = 40.0, 0.0 to 120.0 "dB";
        /// Time to cover 63 % of the opening.
        attack_ms: f64 = 1.0, 0.05 to 500.0 "ms";
        /// How long the gate stays open after the last sound above the lower threshold.
        hold_ms: f64 = 80.0, 1.0 to 5000.0 "ms";
        /// Time to cover 63 % of the closing.
        release_ms: f64 = 150.0, 1.0 to 5000.0 "ms";
        /// How much earlier the gate opens than the sound comes; adds as much latency.
        lookahead_ms: f64 = 2.0, 0.0 to 50.0 "ms";
    }
}

/// See [`GateParams`]. All channels share one gain. Latency is the look-ahead.
#[derive(Debug)]
pub struct Gate {
    params: GateParams,
    delays: Vec<Delay>,
    cells: Cells,
    attack: f64,
    release: f64,
    hold_frames: u32,
    /// Frames until the gate closes; 0 when it is closed.
    open_for: u32,
    /// Reduction in octaves (6.02 dB).
    reduction: f64,
}

impl Gate {
    /// A gate of `params`, closed.
    pub fn new(params: &GateParams) -> Self {
        let reduction = params.range_db / f64::from(DB_PER_OCTAVE);
        let params = params.clone();
        let (delays, cells) = (Vec::new(), Cells::default());
        Self { params, delays, cells, attack: 0.0, release: 0.0, hold_frames: 1, open_for: 0, reduction }
    }
}

impl Filter for Gate {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let (rate_hz, p) = (f64::from(spec.rate_hz), &self.params);
        let lookahead_frames = (p.lookahead_ms * rate_hz / 1000.0).round() as usize;
        self.attack = smoothing(p.attack_ms, rate_hz);
        self.release = smoothing(p.release_ms, rate_hz);
        // The look-ahead is part of the hold: the sound that kept the gate open is still to come.
        self.hold_frames = (p.hold_ms * rate_hz / 1000.0).round() as u32 + lookahead_frames as u32 + 1;
        self.delays = vec![Delay::new(lookahead_frames); spec.channels()];
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: lookahead_frames, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let open = 10f32.powf(self.params.threshold_dbfs as f32 / 20.0);
        let close = 10f32.powf((self.params.threshold_dbfs - self.params.hysteresis_db) as f32 / 20.0);
        let closed = self.params.range_db / f64::from(DB_PER_OCTAVE);
        let (attack, release, hold_frames) = (self.attack, self.release, self.hold_frames);
        let (mut open_for, mut y) = (self.open_for, self.reduction);
        let mut level = [0.0f32; CELL_FRAMES];
        let delays = &mut self.delays;
        self.cells.for_each(block.frames(), |piece, _| {
            let level = &mut level[..piece.len()];
            detect(block.channels().map(|s| &s[piece.clone()]), false, level);
            for l in level.iter_mut() {
                let bar = if open_for > 0 { close } else { open };
                open_for = if *l >= bar { hold_frames } else { open_for.saturating_sub(1) };
                let (target, c) = if open_for > 0 { (0.0, attack) } else { (closed, release) };
                y = target + c * (y - target);
                // Open is exactly open; this also ends the decay before denormal numbers.
                y = if y > 1e-6 { y } else { 0.0 };
                *l = y as f32;
            }
            for l in level.iter_mut() {
                *l = exp2(-*l);
            }
            for (samples, delay) in block.channels_mut().zip(delays.iter_mut()) {
                let samples = &mut samples[piece.clone()];
                delay.process(samples);
                for (x, gain) in samples.iter_mut().zip(level.iter()) {
                    *x *= *gain;
                }
            }
        });
        (self.open_for, self.reduction) = (open_for, y);
    }

    fn reset(&mut self) {
        self.open_for = 0;
        self.reduction = self.params.range_db / f64::from(DB_PER_OCTAVE);
        self.delays.iter_mut().for_each(Delay::reset);
        self.cells.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    fn run(params: &GateParams, x: Vec<f32>) -> (Vec<f32>, usize) {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut f = Gate::new(params);
        let mut block = Buffer::from_channels(spec, &[x]);
        let latency = f.prepare(spec, block.frames()).unwrap().latency_frames;
        f.process(&mut block);
        (block.channel(0).to_vec(), latency)
    }

    fn level(db: f64) -> f32 {
        10f64.powf(db / 20.0) as f32
    }

    #[test]
    fn passes_above_and_reduces_by_the_range_below() {
        let params = GateParams { threshold_dbfs: -40.0, range_db: 30.0, ..Default::default() };
        let (y, latency) = run(&params, vec![level(-30.0); 48_000]);
        assert_eq!(latency, 96);
        assert_eq!(y[20_000], level(-30.0), "open is bit-exact");
        let (y, _) = run(&params, vec![level(-41.0); 48_000]);
        assert!((20.0 * y[40_000].log10() + 71.0).abs() < 0.01);
    }

    #[test]
    fn hysteresis_and_hold_keep_it_open() {
        let params = GateParams { threshold_dbfs: -40.0, hysteresis_db: 6.0, hold_ms: 100.0, ..Default::default() };
        let mut x = vec![level(-30.0); 4_800];
        x.extend(vec![level(-45.0); 48_000]); // between the thresholds
        let (y, _) = run(&params, x.clone());
        assert_eq!(y[50_000], level(-45.0));
        x.extend(vec![level(-50.0); 48_000]); // under both
        let (y, latency) = run(&params, x);
        assert_eq!(y[52_800 + 4_800 + latency - 1], level(-50.0), "held for 100 ms");
        assert!(y[52_800 + 4_800 + latency + 480] < level(-50.2), "then closes");
        assert!(20.0 * y[100_000].log10() < -89.0, "by 40 dB");
    }

    #[test]
    fn lookahead_opens_before_the_onset() {
        let params = GateParams { attack_ms: 0.2, lookahead_ms: 2.0, ..Default::default() };
        let mut x = vec![0.0; 48_000];
        x.extend(vec![0.5; 1_000]);
        let (y, latency) = run(&params, x);
        // 2 ms are ten time constants of 0.2 ms: 40 dB times e^-10 is 0.002 dB.
        assert!((y[48_000 + latency] / 0.5 - 1.0).abs() < 0.001);
    }
}
