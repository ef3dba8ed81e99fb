//! Slow automatic level for speech: evens out speakers and distances, not syllables.
//!
//! Every 100 ms the K-weighted loudness of the last seconds is taken over the parts that are speech (gated as in ITU-R
//! BS.1770-5: an absolute gate, and one relative to the loudest of them), and the gain moves towards the target at a limited
//! speed. In pauses it stays. The sound is delayed by the look-ahead, so that a new speaker is met with the right gain.

use super::cells::CELL_FRAMES;
use super::delay::Delay;
use super::math::{DB_PER_OCTAVE, exp2};
use super::params::filter_params;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Channel, Spec};
use crate::dsp::biquad::{Cascade, Coefficients};
use crate::error::Result;

filter_params! {
    /// Brings quiet and loud speakers to the same loudness with a slow, gated gain.
    pub struct LevelerParams for "leveler" in Dynamics, realtime true {
        /// Short-term loudness that speech is brought to.
        target_lufs: f64 = -18.0, -40.0 to -6.0 "LUFS";
        /// Most gain.
        max_boost_db: f64 = 12.0, 0.0 to 30.0 "dB";
        /// Most reduction.
        max_cut_db: f64 = 12.0, 0.0 to 30.0 "dB";
        /// Speed of a rising gain; it falls twice as fast.
        speed_db_per_s: f64 = 5.0, 0.1 to 60.0 "dB/s";
        /// How much sound the loudness is taken over.
        window_ms: f64 = 2500.0, 300.0 to 10000.0 "ms";
        /// Loudness under which the gain stays as it is.
        gate_lufs: f64 = -50.0, -70.0 to -20.0 "LUFS";
        /// How much earlier the loudness is known than the sound is heard; adds as much latency.
        lookahead_ms: f64 = 1000.0, 0.0 to 3000.0 "ms";
    }
}

/// Speech within this many dB of the loudest part of the window counts; below are pauses and reverberation.
const RELATIVE_GATE: f64 = 0.0316; // -15 dB

/// See [`LevelerParams`]. All channels share one gain. Latency is the look-ahead.
#[derive(Debug)]
pub struct Leveler {
    params: LevelerParams,
    weighting: Cascade,
    /// Weight of each channel in the loudness (BS.1770: 1.41 for surrounds, 0 for the LFE).
    weights: Vec<f64>,
    delays: Vec<Delay>,
    hop_frames: usize,
    /// Frames of the present hop, and their sum of weighted squares.
    filled: usize,
    sum: f64,
    /// Mean squares of the last hops, a ring.
    window: Vec<f64>,
    at: usize,
    /// Gain in octaves (6.02 dB) at the start of the hop, and its change per frame.
    gain: f32,
    step: f32,
    started: bool,
}

impl Leveler {
    /// A leveler of `params`.
    pub fn new(params: &LevelerParams) -> Self {
        Self {
            params: params.clone(),
            weighting: Cascade::new(Vec::new(), 0),
            weights: Vec::new(),
            delays: Vec::new(),
            hop_frames: 1,
            filled: 0,
            sum: 0.0,
            window: Vec::new(),
            at: 0,
            gain: 0.0,
            step: 0.0,
            started: false,
        }
    }

    /// At the end of a hop: the gain for its successor.
    fn decide(&mut self) {
        let mean = self.sum / self.hop_frames as f64;
        self.sum = 0.0;
        // NaN or infinity went in: forget it.
        if !mean.is_finite() {
            self.weighting.reset();
        } else if mean < 1e-20 {
            // Silence: end the filters' decay before it becomes denormal.
            self.weighting.reset();
        }
        self.window[self.at] = if mean.is_finite() { mean } else { 0.0 };
        self.at = (self.at + 1) % self.window.len();
        self.gain += self.step * self.hop_frames as f32;
        let top = self.window.iter().fold(0.0, |a: f64, b| a.max(*b));
        let gate = (RELATIVE_GATE * top).max(10f64.powf((self.params.gate_lufs + 0.691) / 10.0));
        let (sum, count) = self.window.iter().filter(|m| **m >= gate).fold((0.0, 0), |(s, n), m| (s + m, n + 1));
        if count == 0 {
            self.step = 0.0;
            return;
        }
        // BS.1770-5, equation 2.
        let loudness = -0.691 + 10.0 * (sum / f64::from(count)).log10();
        let wanted_db = (self.params.target_lufs - loudness).clamp(-self.params.max_cut_db, self.params.max_boost_db);
        let change_db = wanted_db - f64::from(self.gain * DB_PER_OCTAVE);
        let hop_s = 0.1;
        let most_db = self.params.speed_db_per_s * hop_s;
        // The first speech sets the gain at once.
        let change_db = if self.started { change_db.clamp(-2.0 * most_db, most_db) } else { change_db };
        self.started = true;
        self.step = (change_db / f64::from(DB_PER_OCTAVE) / self.hop_frames as f64) as f32;
    }
}

impl Filter for Leveler {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let rate_hz = f64::from(spec.rate_hz);
        // K weighting, ITU-R BS.1770-5 Annex 1, as a shelf and a high-pass that fit any rate: within 0.1 dB of the
        // tables at 48 kHz, which is enough to steer a gain. Below 4 kHz of rate the shelf is out of the band.
        let mut sections = vec![Coefficients::highpass(rate_hz, 38.135_47, 0.500_327)?];
        if rate_hz > 4_000.0 {
            sections.push(Coefficients::high_shelf(rate_hz, 1_500.0, 0.707, 4.0)?);
        }
        self.weighting = Cascade::new(sections, spec.channels());
        self.weights = vec![1.0; spec.channels()];
        for (weight, channel) in self.weights.iter_mut().zip(spec.layout.positions()) {
            *weight = match channel {
                Channel::Lfe => 0.0,
                Channel::BackLeft | Channel::BackRight | Channel::SideLeft | Channel::SideRight => 1.41,
                _ => 1.0,
            };
        }
        let lookahead_frames = (self.params.lookahead_ms * rate_hz / 1000.0).round() as usize;
        self.delays = vec![Delay::new(lookahead_frames); spec.channels()];
        self.hop_frames = (rate_hz / 10.0).round() as usize;
        self.window = vec![0.0; (self.params.window_ms / 100.0).round() as usize];
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: lookahead_frames, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        if self.window.is_empty() {
            return;
        }
        let frames = block.frames();
        let mut at = 0;
        let mut work = [0.0f32; CELL_FRAMES];
        while at < frames {
            let count = CELL_FRAMES.min(frames - at).min(self.hop_frames - self.filled);
            let piece = at..at + count;
            // Frame by frame, so that the sum does not depend on the split into blocks.
            let mut squares = [0.0f64; CELL_FRAMES];
            for (index, (samples, weight)) in block.channels().zip(&self.weights).enumerate() {
                let work = &mut work[..count];
                work.copy_from_slice(&samples[piece.clone()]);
                self.weighting.process_channel(index, work);
                for (s, x) in squares.iter_mut().zip(work.iter()) {
                    *s += weight * f64::from(*x) * f64::from(*x);
                }
            }
            self.sum = squares[..count].iter().fold(self.sum, |sum, s| sum + s);
            let (gain, step, filled) = (self.gain, self.step, self.filled);
            for (n, g) in work[..count].iter_mut().enumerate() {
                *g = exp2(gain + step * (filled + n) as f32);
            }
            for (samples, delay) in block.channels_mut().zip(&mut self.delays) {
                let samples = &mut samples[piece.clone()];
                delay.process(samples);
                for (x, g) in samples.iter_mut().zip(&work) {
                    *x *= g;
                }
            }
            at += count;
            self.filled += count;
            if self.filled == self.hop_frames {
                self.filled = 0;
                self.decide();
            }
        }
    }

    fn reset(&mut self) {
        self.weighting.reset();
        self.delays.iter_mut().for_each(Delay::reset);
        self.window.fill(0.0);
        (self.filled, self.at, self.sum) = (0, 0, 0.0);
        (self.gain, self.step, self.started) = (0.0, 0.0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    const RATE: usize = 16_000;

    /// Tone bursts of 250 ms with pauses as long, of an amplitude per second.
    fn speech(amplitudes: &[f32]) -> Vec<f32> {
        (0..amplitudes.len() * RATE)
            .map(|n| {
                let t = n as f32 / RATE as f32;
                let on = if (t * 2.0).fract() < 0.5 { 1.0 } else { 0.001 };
                amplitudes[n / RATE] * on * (2.0 * std::f32::consts::PI * 500.0 * t).sin()
            })
            .collect()
    }

    fn run(params: &LevelerParams, x: Vec<f32>) -> Vec<f32> {
        let spec = Spec::new(RATE as u32, ChannelLayout::MONO);
        let mut f = Leveler::new(params);
        let mut block = Buffer::from_channels(spec, &[x]);
        let latency = f.prepare(spec, 1 << 20).unwrap().latency_frames;
        block.append_silence(latency);
        f.process(&mut block);
        block.channel(0)[latency..].to_vec()
    }

    fn top(x: &[f32], second: usize) -> f32 {
        x[second * RATE..(second + 1) * RATE].iter().fold(0.0, |m, v| m.max(v.abs()))
    }

    #[test]
    fn two_speakers_come_to_the_same_level() {
        // 20 dB apart, eight seconds each.
        let mut amplitudes = vec![0.2; 8];
        amplitudes.extend([0.02; 8]);
        let params = LevelerParams { max_boost_db: 20.0, ..Default::default() };
        let y = run(&params, speech(&amplitudes));
        let (first, second) = (top(&y, 6), top(&y, 15));
        let apart_db = 20.0 * (first / second).log10();
        // The window holds 25 hops, of which the bursts fill a changing share: 0.5 dB.
        assert!(apart_db.abs() < 0.5, "{apart_db}");
        // A 500 Hz sine of amplitude a has -3.01 - 0.69 + 20 log10(a) LUFS (K weighting is 0 dB near 500 Hz to 0.3 dB);
        // hops are 100 ms and a burst fills 5 of them, of which the edges count less than whole: 1 dB.
        let want = 10f32.powf((-18.0 + 3.7) / 20.0);
        assert!((20.0 * (first / want).log10()).abs() < 1.0, "{first} {want}");
    }

    #[test]
    fn pauses_are_not_raised() {
        let mut amplitudes = vec![0.1; 4];
        amplitudes.extend([0.0005; 6]); // -66 dBFS: under the gate
        let y = run(&LevelerParams::default(), speech(&amplitudes));
        let gain = |second: usize, a: f32| top(&y, second) / a;
        let change_db = 20.0 * (gain(9, 0.0005) / gain(3, 0.1)).log10();
        // The share of whole and half-filled hops in the window changes as the speech leaves it: 1 dB. Without a gate
        // it would be 12 dB.
        assert!(change_db.abs() < 1.0, "{change_db}");
    }

    #[test]
    fn gain_stays_within_its_limits_and_speed() {
        let params = LevelerParams { max_boost_db: 6.0, ..Default::default() };
        let y = run(&params, speech(&[0.001 * 10.0; 6]));
        let gain_db = 20.0 * (top(&y, 5) / 0.01).log10();
        assert!((gain_db - 6.0).abs() < 0.01, "{gain_db}");
    }
}
