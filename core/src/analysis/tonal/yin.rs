//! Fundamental frequency by YIN (de Cheveigne and Kawahara, JASA 111, 2002), and how probably a frame is voiced by the thresholds of
//! pYIN (Mauch and Dixon, ICASSP 2014).
//!
//! The difference function and its parabolic interpolation are those of `librosa.yin`; the probability is that of `librosa.pyin`
//! (thresholds of a beta(2, 18) distribution, Boltzmann weights over the troughs). Between frames the path of the candidates with the
//! highest probability is taken, with pYIN's costs for jumps and for changes between voiced and unvoiced, decided with a delay of
//! [`LAG`] frames.

use std::collections::VecDeque;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Parameters of the pitch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct YinParams {
    /// Lowest pitch in Hz. Default 65 (C2).
    pub fmin: f64,
    /// Highest pitch in Hz. Default 2000, or a quarter of the sample rate when that is less.
    pub fmax: f64,
    /// How deep a trough counts without looking for the deepest. 0.01 to 1, default 0.1.
    pub trough_threshold: f64,
}

impl Default for YinParams {
    fn default() -> Self {
        Self { fmin: 65.0, fmax: 2000.0, trough_threshold: 0.1 }
    }
}

/// The pitch of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pitch {
    /// YIN's answer in Hz, whether voiced or not.
    pub yin_hz: f32,
    /// Fundamental frequency in Hz by the path through the candidates; 0 when unvoiced.
    pub f0_hz: f32,
    /// Probability that the frame is voiced, 0 to 1.
    pub voiced_probability: f32,
}

/// Frames that a decision waits for.
pub const LAG: usize = 64;
/// Most candidates of a frame; the least probable of more are left out.
const CANDIDATES: usize = 16;
const THRESHOLDS: usize = 100;
const BOLTZMANN: f64 = 2.0;
const NO_TROUGH: f64 = 0.01;
const SWITCH: f64 = 0.01;
/// Largest change of pitch in octaves per second, and pitch bins per octave: 10 per semitone.
const MAX_RATE: f64 = 35.92;
const BINS_PER_OCTAVE: f64 = 120.0;
/// Stands for impossible without making NaN.
const TINY: f64 = 1e-300;

/// A way to hear one frame, and the best path that ends there.
#[derive(Debug, Clone, Copy)]
struct State {
    /// Octaves above `fmin`. For the unvoiced: of the last voiced.
    octaves: f64,
    hz: f32,
    voiced: bool,
    score: f64,
    from: u8,
}

#[derive(Debug)]
struct Column {
    states: Vec<State>,
    pitch: Pitch,
}

/// Follows the pitch frame by frame.
pub struct Yin {
    rate_hz: f64,
    fmin: f64,
    min_period: usize,
    max_period: usize,
    trough_threshold: f64,
    forward: Arc<dyn RealToComplex<f32>>,
    back: Arc<dyn ComplexToReal<f32>>,
    time: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: (Vec<Complex<f32>>, Vec<Complex<f32>>),
    difference: Vec<f64>,
    /// Probability of each threshold, and of all up to it.
    beta: Vec<f64>,
    below: Vec<f64>,
    bins: f64,
    /// Largest step of a path in pitch bins, plus one.
    reach: f64,
    columns: VecDeque<Column>,
}

impl Yin {
    /// For frames of `frame_length` samples every `hop_length` at `rate_hz`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for ranges that do not fit the rate and the frame.
    pub fn new(params: &YinParams, rate_hz: f64, frame_length: usize, hop_length: usize) -> Result<Self> {
        let fmax = params.fmax.min(rate_hz / 4.0);
        Error::check_range("fmin", params.fmin, 2.0 * rate_hz / frame_length as f64, fmax / 2.0, "Hz")?;
        Error::check_range("fmax", params.fmax, 2.0 * params.fmin, rate_hz, "Hz")?;
        Error::check_range("trough_threshold", params.trough_threshold, 0.01, 1.0, "")?;
        let min_period = (rate_hz / fmax).floor() as usize;
        let max_period = ((rate_hz / params.fmin).ceil() as usize).min(frame_length - 1);
        let least = frame_length + max_period + 1;
        let power = least.next_power_of_two();
        let size = if 3 * power / 4 >= least { 3 * power / 4 } else { power };
        let mut planner = RealFftPlanner::new();
        let (forward, back) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        // Distribution function of beta(2, 18) by parts.
        let cdf = |x: f64| 1.0 - (1.0 - x).powi(18) * (1.0 + 18.0 * x);
        let step = |i: usize| i as f64 / THRESHOLDS as f64;
        let beta: Vec<f64> = (0..THRESHOLDS).map(|i| cdf(step(i + 1)) - cdf(step(i))).collect();
        let mut below = vec![0.0];
        beta.iter().for_each(|b| below.push(below[below.len() - 1] + b));
        let per_frame = (MAX_RATE * 12.0 * hop_length as f64 / rate_hz).round_ties_even();
        Ok(Self {
            rate_hz,
            fmin: params.fmin,
            min_period,
            max_period,
            trough_threshold: params.trough_threshold,
            time: forward.make_input_vec(),
            spectrum: forward.make_output_vec(),
            scratch: (forward.make_scratch_vec(), back.make_scratch_vec()),
            forward,
            back,
            difference: vec![0.0; max_period + 1],
            beta,
            below,
            bins: ((fmax / params.fmin).log2() * BINS_PER_OCTAVE).floor() + 1.0,
            reach: (per_frame * BINS_PER_OCTAVE / 12.0 / 2.0).floor() + 1.0,
            columns: VecDeque::with_capacity(LAG + 1),
        })
    }

    /// Takes the next frame and gives the pitch of that [`LAG`] frames before, if there is one.
    pub fn push(&mut self, frame: &[f32]) -> Option<Pitch> {
        self.normalised_difference(frame);
        let (pitch, candidates) = self.candidates();
        self.extend(pitch, &candidates);
        if self.columns.len() > LAG { self.decide(1).into_iter().next() } else { None }
    }

    /// The pitches of the last [`LAG`] frames.
    pub fn finish(mut self) -> Vec<Pitch> {
        self.decide(self.columns.len())
    }

    /// Cumulative mean normalised difference: equation 8.
    fn normalised_difference(&mut self, frame: &[f32]) {
        self.time.fill(0.0);
        self.time[..frame.len()].copy_from_slice(frame);
        let done = self.forward.process_with_scratch(&mut self.time, &mut self.spectrum, &mut self.scratch.0);
        debug_assert!(done.is_ok(), "the buffers are those of the plan");
        for x in &mut self.spectrum {
            *x = Complex::new(x.norm_sqr(), 0.0);
        }
        let done = self.back.process_with_scratch(&mut self.spectrum, &mut self.time, &mut self.scratch.1);
        debug_assert!(done.is_ok(), "the buffers are those of the plan");
        let scale = 1.0 / self.time.len() as f64;
        let energy = f64::from(self.time[0]) * scale;
        let (mut lost, mut sum) = (0.0, 0.0);
        self.difference[0] = 1.0;
        for lag in 1..=self.max_period {
            lost += f64::from(frame[lag - 1]).powi(2);
            let d = 2.0 * (energy - f64::from(self.time[lag]) * scale) - lost;
            sum += d;
            self.difference[lag] = d / (sum / lag as f64 + f64::from(f32::MIN_POSITIVE));
        }
    }

    /// Where the parabola through three lags has its end, from the middle one.
    fn shift(&self, lag: usize) -> f64 {
        if lag == self.min_period || lag == self.max_period {
            return 0.0;
        }
        let d = &self.difference;
        let (slope, curve) = (0.5 * (d[lag + 1] - d[lag - 1]), d[lag + 1] + d[lag - 1] - 2.0 * d[lag]);
        if slope.abs() < curve.abs() { -slope / curve } else { 0.0 }
    }

    /// YIN's answer, the probability of a voice, and the pitches that are possible with their probabilities.
    fn candidates(&self) -> (Pitch, Vec<(f64, f64)>) {
        let d = &self.difference;
        let (low, high) = (self.min_period, self.max_period);
        let hz = |lag: usize| self.rate_hz / (lag as f64 + self.shift(lag));
        let trough = |lag: &usize| {
            let lag = *lag;
            if lag == low { d[lag] < d[lag + 1] } else { d[lag] < d[lag - 1] && (lag == high || d[lag] <= d[lag + 1]) }
        };
        let troughs: Vec<usize> = (low..=high).filter(trough).collect();
        let deepest = (low..=high).fold(low, |best, lag| if d[lag] < d[best] { lag } else { best });
        let yin = troughs.iter().copied().find(|lag| d[*lag] < self.trough_threshold).unwrap_or(deepest);
        let mut pitch = Pitch { yin_hz: hz(yin) as f32, ..Pitch::default() };
        let mut probabilities = vec![0.0; troughs.len()];
        let lowest = (0..troughs.len()).reduce(|best, i| if d[troughs[i]] < d[troughs[best]] { i } else { best });
        let mut passing = Vec::with_capacity(troughs.len());
        for (i, beta) in self.beta.iter().enumerate() {
            let threshold = (i + 1) as f64 / THRESHOLDS as f64;
            passing.clear();
            passing.extend((0..troughs.len()).filter(|t| d[troughs[*t]] < threshold));
            let Some(total) = Some(passing.len()).filter(|n| *n > 0) else { continue };
            let norm = (1.0 - (-BOLTZMANN).exp()) / (1.0 - (-BOLTZMANN * total as f64).exp());
            for (position, trough) in passing.iter().enumerate().take(20) {
                probabilities[*trough] += beta * norm * (-BOLTZMANN * position as f64).exp();
            }
        }
        if let Some(lowest) = lowest {
            let short = (0..THRESHOLDS).filter(|i| d[troughs[lowest]] >= (i + 1) as f64 / THRESHOLDS as f64).count();
            probabilities[lowest] += NO_TROUGH * self.below[short];
        }
        pitch.voiced_probability = probabilities.iter().sum::<f64>().clamp(0.0, 1.0) as f32;
        // The deepest trough of noise has no more than this, and frames that overlap share it: it would look like a steady voice.
        let mut all: Vec<(f64, f64)> = troughs
            .iter()
            .zip(&probabilities)
            .filter(|(_, p)| **p > NO_TROUGH)
            .map(|(lag, p)| (hz(*lag), *p))
            .collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.truncate(CANDIDATES);
        (pitch, all)
    }

    /// Adds a column to the lattice of paths.
    fn extend(&mut self, pitch: Pitch, candidates: &[(f64, f64)]) {
        let unvoiced = ((1.0 - f64::from(pitch.voiced_probability)) / self.bins).max(TINY).ln();
        let mut states: Vec<State> = candidates
            .iter()
            .map(|(hz, probability)| State {
                octaves: (hz / self.fmin).log2(),
                hz: *hz as f32,
                voiced: true,
                score: probability.ln(),
                from: 0,
            })
            .collect();
        let before = self.columns.back().map(|c| c.states.as_slice());
        // An unvoiced state for each pitch that a voice may come back at, as pYIN has it.
        let mut remembered: Vec<f64> = states.iter().map(|s| s.octaves).collect();
        for state in before.iter().flat_map(|b| b.iter()) {
            if remembered.len() < 2 * CANDIDATES
                && !remembered.iter().any(|o| (o - state.octaves).abs() < 0.5 / BINS_PER_OCTAVE)
            {
                remembered.push(state.octaves);
            }
        }
        if remembered.is_empty() {
            remembered.push(0.0);
        }
        states.extend(remembered.into_iter().map(|octaves| State {
            octaves,
            hz: 0.0,
            voiced: false,
            score: unvoiced,
            from: 0,
        }));
        if let Some(before) = before {
            for state in &mut states {
                let (mut best, mut from) = (f64::NEG_INFINITY, 0);
                for (i, old) in before.iter().enumerate() {
                    let bins = ((state.octaves - old.octaves) * BINS_PER_OCTAVE).abs();
                    // A triangle that adds up to 1.
                    let jump = ((1.0 - bins / self.reach) / self.reach).max(TINY);
                    let change = if state.voiced == old.voiced { 1.0 - SWITCH } else { SWITCH };
                    let score = old.score + (jump * change).ln();
                    if score > best {
                        (best, from) = (score, i);
                    }
                }
                state.score += best;
                state.from = from as u8;
            }
            // Scores relative to the best, so that they stay small however long the stream.
            let top = states.iter().map(|s| s.score).fold(f64::NEG_INFINITY, f64::max);
            states.iter_mut().for_each(|s| s.score -= top);
        }
        self.columns.push_back(Column { states, pitch });
    }

    /// Decides about the first `count` columns by the best path to the last one, and removes them.
    fn decide(&mut self, count: usize) -> Vec<Pitch> {
        let mut best = 0;
        if let Some(last) = self.columns.back() {
            for (i, state) in last.states.iter().enumerate() {
                if state.score > last.states[best].score {
                    best = i;
                }
            }
        }
        for column in self.columns.iter_mut().rev() {
            let state = column.states[best];
            column.pitch.f0_hz = if state.voiced { state.hz } else { 0.0 };
            best = usize::from(state.from);
        }
        self.columns.drain(..count).map(|c| c.pitch).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(signal: &[f32], rate_hz: f64) -> Vec<Pitch> {
        let mut yin = Yin::new(&YinParams::default(), rate_hz, 2048, 512).unwrap();
        let mut all: Vec<Pitch> = signal.windows(2048).step_by(512).filter_map(|f| yin.push(f)).collect();
        all.extend(yin.finish());
        all
    }

    #[test]
    fn tones_with_harmonics_have_their_fundamental() {
        for (rate_hz, f0) in [(16_000.0, 100.0), (22_050.0, 220.0), (44_100.0, 437.3), (48_000.0, 1000.0)] {
            let tone = |i: usize| {
                let phase = std::f64::consts::TAU * f0 * i as f64 / rate_hz;
                (0.3 * phase.sin() + 0.3 * (2.0 * phase).sin() + 0.2 * (3.0 * phase).sin()) as f32
            };
            let signal: Vec<f32> = (0..rate_hz as usize * 2).map(tone).collect();
            let all = follow(&signal, rate_hz);
            assert_eq!(all.len(), (signal.len() - 2048) / 512 + 1);
            for pitch in &all {
                // Parabolic interpolation of the lag: within 0.5 % from 1 kHz (48 samples) down.
                assert!((f64::from(pitch.yin_hz) / f0 - 1.0).abs() < 0.005, "{f0}: {pitch:?}");
                assert!((f64::from(pitch.f0_hz) / f0 - 1.0).abs() < 0.005, "{f0}: {pitch:?}");
                // librosa's difference keeps the energy of the last lag: 160 / 4096 = 0.04 at 100 Hz, where 80 % of the thresholds lie above.
                assert!(pitch.voiced_probability > 0.7, "{f0}: {pitch:?}");
            }
        }
    }

    #[test]
    fn noise_and_silence_are_unvoiced() {
        let mut seed = 7u32;
        let noise: Vec<f32> = (0..44_100)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect();
        let voiced = |all: &[Pitch]| all.iter().filter(|p| p.f0_hz > 0.0).count() as f64 / all.len() as f64;
        assert!(voiced(&follow(&noise, 22_050.0)) < 0.05);
        assert_eq!(voiced(&follow(&[0.0; 44_100], 22_050.0)), 0.0);
    }
}
