//! Slow automatic level for speech: evens out speakers and distances, not syllables.
//!
//! Every 100 ms the K-weighted loudness of the last seconds is taken over the parts that are speech (gated as in ITU-R
//! BS.1770-5: an absolute gate, and one relative to the loudest of them), and the gain moves towards the target at a limited
//! speed. In pauses it stays. The sound is delayed by the look-ahead, so that a new speaker is met with the right gain.

use fearless_simd::{Simd, dispatch};

use super::cells::CELL_FRAMES;
use super::delay::Delay;
use super::detector::apply;
use super::math::{DB_PER_OCTAVE, exp2};
use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Channel, ChannelLayout, Spec};
use crate::dsp::biquad::{Cascade, Coefficients};
use crate::dsp::kernels;
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

/// Places of the parameters that decide sizes and latency.
const WINDOW: usize = 4;
const LOOKAHEAD: usize = 6;

/// Speech within this many dB of the loudest part of the window counts; below are pauses and reverberation.
const RELATIVE_GATE: f64 = 0.0316; // -15 dB

/// See [`LevelerParams`]. All channels share one gain. Latency is the look-ahead.
#[derive(Debug)]
pub struct Leveler {
    params: LevelerParams,
    weighting: Cascade,
    /// The weighted sound of the present piece.
    weighted: Buffer,
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
            weighted: Buffer::new(Spec::new(48_000, ChannelLayout::MONO), 0),
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

/// Gains of a hop: `2^(gain + step (first + n))`.
#[inline(always)]
fn ramp<S: Simd>(_: S, gain: f32, step: f32, first: usize, out: &mut [f32]) {
    for (n, g) in out.iter_mut().enumerate() {
        *g = exp2(gain + step * (first + n) as f32);
    }
}

/// Adds weighted squares of a channel.
#[inline(always)]
fn add_squares<S: Simd>(_: S, weight: f64, samples: &[f32], sum: &mut [f64]) {
    for (s, x) in sum.iter_mut().zip(samples) {
        *s += weight * f64::from(*x) * f64::from(*x);
    }
}

impl Leveler {
    fn run(&mut self, block: &mut Buffer, key: Option<&Buffer>) {
        if self.window.is_empty() {
            return;
        }
        let simd = kernels::level();
        let frames = key.map_or(block.frames(), |k| k.frames().min(block.frames()));
        let mut at = 0;
        let mut gains = [0.0f32; CELL_FRAMES];
        while at < frames {
            let count = CELL_FRAMES.min(frames - at).min(self.hop_frames - self.filled);
            let piece = at..at + count;
            self.weighted.set_frames(count);
            for (index, work) in self.weighted.channels_mut().enumerate() {
                let from = key.unwrap_or(&*block);
                if index < from.channel_count() {
                    work.copy_from_slice(&from.channel(index)[piece.clone()]);
                } else {
                    work.fill(0.0);
                }
            }
            self.weighting.process(&mut self.weighted);
            // Frame by frame, so that the sum does not depend on the split into blocks.
            let mut squares = [0.0f64; CELL_FRAMES];
            for (samples, weight) in self.weighted.channels().zip(&self.weights) {
                dispatch!(simd, simd => add_squares(simd, *weight, samples, &mut squares[..count]));
            }
            self.sum = squares[..count].iter().fold(self.sum, |sum, s| sum + s);
            dispatch!(simd, simd => ramp(simd, self.gain, self.step, self.filled, &mut gains[..count]));
            for (samples, delay) in block.channels_mut().zip(&mut self.delays) {
                apply(&mut samples[piece.clone()], delay, &gains[..count]);
            }
            at += count;
            self.filled += count;
            if self.filled == self.hop_frames {
                self.filled = 0;
                self.decide();
            }
        }
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
        self.weighted = Buffer::new(spec, CELL_FRAMES);
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
        self.run(block, None);
    }

    /// The loudness is that of the key. One with more channels than the block is heard in as many as the block has.
    fn process_keyed(&mut self, block: &mut Buffer, key: &Buffer) {
        self.run(block, Some(key));
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        index != WINDOW && index != LOOKAHEAD && self.params.set_number(index, value)
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

    #[test]
    fn the_key_decides_and_parameters_change_while_running() {
        let names: Vec<_> = LevelerParams::parameters().iter().map(|p| p.name).collect();
        assert_eq!((names[WINDOW], names[LOOKAHEAD]), ("window_ms", "lookahead_ms"));
        let spec = Spec::new(RATE as u32, ChannelLayout::MONO);
        let params = LevelerParams { lookahead_ms: 0.0, ..Default::default() };
        let settled = |key: f32, max_cut_db: f64| {
            let mut f = Leveler::new(&params);
            f.prepare(spec, 1 << 20).unwrap();
            assert!(
                f.set_parameter(2, max_cut_db) && !f.set_parameter(WINDOW, 500.0) && !f.set_parameter(LOOKAHEAD, 1.0)
            );
            let mut block = Buffer::from_channels(spec, &[speech(&[0.01; 8])]);
            f.process_keyed(&mut block, &Buffer::from_channels(spec, &[speech(&[key; 8])]));
            20.0 * (top(block.channel(0), 7) / 0.01).log10()
        };
        // Same input, twice the key: 6.02 dB less gain; the key runs through the same windows.
        assert!((settled(0.1, 12.0) - settled(0.2, 12.0) - 6.02).abs() < 0.01);
        assert!((settled(1.0, 3.0) + 3.0).abs() < 0.01);
    }

    #[test]
    fn noise_between_words_keeps_its_distance_to_them() {
        // Ten seconds of speech with noise at -60 dB of it in the gaps, then eight of the noise alone: a gain that pumps
        // would raise the noise there by up to the boost of 12 dB.
        let noise = |n: usize| 0.000_1 * ((n as u32).wrapping_mul(2_654_435_761) as f32 / 2_147_483_648.0 - 1.0);
        let mut x = speech(&[0.1; 10]);
        x.extend(vec![0.0; 8 * RATE]);
        x.iter_mut().enumerate().for_each(|(n, v)| *v += noise(n));
        let y = run(&LevelerParams { max_boost_db: 12.0, target_lufs: -12.0, ..Default::default() }, x);
        let gain_in_speech_db = 20.0 * (top(&y, 8) / 0.1).log10();
        let gain_in_pause_db = 20.0 * (top(&y, 17) / 0.000_1).log10();
        // The last windows hold a falling share of half-filled hops of speech: 1 dB, as above.
        assert!(gain_in_pause_db < gain_in_speech_db + 1.0, "{gain_in_pause_db} {gain_in_speech_db}");
    }

    #[test]
    fn distortion_of_a_sine() {
        let got_db = crate::filters::detector::tests::thd_n_db(
            &mut Leveler::new(&LevelerParams { lookahead_ms: 0.0, ..Default::default() }),
            -20.0,
        );
        println!("leveler THD+N {got_db:.1} dB");
        // A hop of 100 ms holds 99.7 periods, so that the loudness of hops differs by some 1e-5.
        assert!(got_db < -90.0, "{got_db}");
    }
}
