//! Attacks, and a course of time that leaves them alone.
//!
//! An attack must not be stretched. Around each, input and output run at the same pace, and the tempo is made up for
//! before and after it (F. Nagel, A. Walther, "A novel transient handling scheme for time stretching algorithms", AES 127,
//! 2009). The attack itself stays exactly where the tempo wants it.
//!
//! Attacks are the peaks of the spectral flux: the sum of what rises from one window to the next, in square roots of
//! magnitudes, relative to the sum of all (S. Dixon, "Onset detection revisited", DAFx 2006, with a relative threshold).

use std::collections::VecDeque;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::source::Source;

/// Windows on each side that a peak must exceed.
const NEIGHBOURS: usize = 4;
/// Windows whose mean a peak must exceed by [`OVER_MEAN`].
const MEAN_OF: usize = 12;

/// Least flux of an attack, and how many times the mean it must be.
const LEAST: f32 = 0.3;
const OVER_MEAN: f32 = 2.0;

/// Finds attacks in a stream.
pub struct Onsets {
    size: usize,
    window: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    scratch: Vec<Complex<f32>>,
    time: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    last: Vec<f32>,
    /// Flux of the last windows.
    flux: VecDeque<f32>,
    /// Windows so far.
    count: u64,
    /// Positions of attacks in the input, in order.
    found: VecDeque<i64>,
}

impl Onsets {
    /// A search in windows of `size` frames, a power of two.
    pub fn new(size: usize) -> Self {
        let forward = RealFftPlanner::<f32>::new().plan_fft_forward(size);
        let window = (0..size).map(|n| (std::f64::consts::PI * n as f64 / size as f64).sin().powi(2) as f32).collect();
        Self {
            size,
            window,
            scratch: vec![Complex::default(); forward.get_scratch_len()],
            forward,
            time: vec![0.0; size],
            spectrum: vec![Complex::default(); size / 2 + 1],
            last: vec![0.0; size / 2 + 1],
            flux: VecDeque::new(),
            count: 0,
            found: VecDeque::new(),
        }
    }

    /// Looks at all input that is there. Afterwards all attacks before the position returned are known.
    pub fn search(&mut self, source: &Source) -> i64 {
        let hop = self.size / 2;
        loop {
            let start = (self.count * hop as u64) as i64 - hop as i64;
            if start + self.size as i64 > source.end() {
                return start - (MEAN_OF * hop) as i64;
            }
            self.window_at(source, start);
            self.count += 1;
            let wanted = 2 * MEAN_OF + 1;
            if self.flux.len() > wanted {
                self.flux.pop_front();
            }
            if self.flux.len() >= wanted {
                let at = self.flux.len() - 1 - MEAN_OF;
                let value = self.flux[at];
                let mean = self.flux.iter().sum::<f32>() / self.flux.len() as f32;
                let peak = (at - NEIGHBOURS..=at + NEIGHBOURS).all(|n| n == at || self.flux[n] < value);
                if peak && value > LEAST && value > OVER_MEAN * mean {
                    self.found.push_back(start - (MEAN_OF * hop) as i64 + hop as i64);
                }
            }
        }
    }

    fn window_at(&mut self, source: &Source, start: i64) {
        self.time.fill(0.0);
        for channel in 0..source.channel_count() {
            for (t, x) in self.time.iter_mut().zip(source.window(channel, start, self.size)) {
                *t += x;
            }
        }
        self.time.iter_mut().zip(&self.window).for_each(|(t, w)| *t *= w);
        // The lengths were made for each other; a window that fails counts as silence.
        if self.forward.process_with_scratch(&mut self.time, &mut self.spectrum, &mut self.scratch).is_err() {
            self.spectrum.fill(Complex::default());
        }
        let (mut rise, mut sum) = (0.0f32, 1e-3 * self.size as f32);
        for (z, last) in self.spectrum.iter().zip(&mut self.last) {
            let root = z.norm_sqr().sqrt().sqrt();
            let more = root - *last;
            rise += if more > 0.0 { more } else { 0.0 };
            sum += root;
            *last = root;
        }
        self.flux.push_back(rise / sum);
    }

    /// Attacks found and not yet forgotten, in order.
    pub fn found(&self) -> &VecDeque<i64> {
        &self.found
    }

    /// Forgets all attacks before `position`, but one.
    pub fn forget(&mut self, position: i64) {
        while self.found.get(1).is_some_and(|o| *o < position) {
            self.found.pop_front();
        }
    }
}

/// The course of time for one output position, see the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// Position in the input.
    pub input: f64,
    /// Near an attack, where both run at the same pace.
    pub attack: bool,
}

/// Share of the tempo by which time may slow down to make up for an attack: it never stands still.
const SLOW: f64 = 0.75;

/// Frames of output over which an attack is made up for.
fn ramp(tempo: f64, around: f64) -> f64 {
    around * ((1.0 - tempo) / (SLOW * tempo)).max(2.0)
}

/// Frames of output beyond the present one up to which [`moment`] must know the attacks.
pub fn reach(tempo: f64, around: f64) -> f64 {
    2.0 * (around + ramp(tempo, around))
}

/// Where in the input `output` lies. `around` is half of what is left alone; attacks must be known up to
/// `(output + reach) * tempo`.
pub fn moment(output: f64, tempo: f64, around: f64, onsets: &VecDeque<i64>) -> Moment {
    // Output positions of the attack before and after.
    let place = |o: i64| o as f64 / tempo;
    let next = onsets.iter().position(|o| place(*o) > output).unwrap_or(onsets.len());
    let before = next.checked_sub(1).map(|n| place(onsets[n]));
    let after = onsets.get(next).map(|o| place(*o));
    let half = match (before, after) {
        // Two thirds of the way between two attacks make up for the rest, more when it is slow.
        (Some(a), Some(b)) => {
            let slow = SLOW * tempo / (2.0 * (1.0 - tempo).max(0.0) + 2.0 * SLOW * tempo);
            around.min((b - a) * slow.min(1.0 / 6.0))
        }
        _ => around,
    };
    let end = before.map(|a| a + half);
    let start = after.map(|b| b - half);
    let slope = 1.0 - tempo;
    let ramp = ramp(tempo, around);
    let deviation = match (before, end, start) {
        (Some(a), Some(end), _) if output <= end => {
            return Moment { input: output * tempo + (output - a) * slope, attack: true };
        }
        (_, _, Some(start)) if output >= start => {
            return Moment { input: output * tempo + (output - start - half) * slope, attack: true };
        }
        (_, Some(end), Some(start)) if start - end < 2.0 * ramp => {
            half * slope * (1.0 - 2.0 * (output - end) / (start - end))
        }
        (_, Some(end), _) if output < end + ramp => half * slope * (1.0 - (output - end) / ramp),
        (_, _, Some(start)) if output > start - ramp => -half * slope * (1.0 - (start - output) / ramp),
        _ => 0.0,
    };
    Moment { input: output * tempo + deviation, attack: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Buffer, ChannelLayout, Spec};

    #[test]
    fn time_runs_forward_and_meets_every_attack() {
        let onsets: VecDeque<i64> = [1_000, 9_000, 9_900, 10_300, 40_000].into();
        for tempo in [0.1, 0.5, 0.9, 1.1, 2.0, 8.0] {
            let mut last = f64::NEG_INFINITY;
            for n in 0..(60_000.0 / tempo) as usize {
                let now = moment(n as f64, tempo, 512.0, &onsets).input;
                assert!(now >= last, "{tempo} {n}: {now} after {last}");
                last = now;
            }
            for onset in &onsets {
                let now = moment(*onset as f64 / tempo, tempo, 512.0, &onsets);
                assert!((now.input - *onset as f64).abs() < 1e-6 && now.attack, "{tempo} {onset}"); // f64 rounding
                // Four frames on, both have gone four frames.
                let later = moment(*onset as f64 / tempo + 4.0, tempo, 512.0, &onsets);
                assert!((later.input - *onset as f64 - 4.0).abs() < 1e-6, "{tempo} {onset}");
            }
            assert_eq!(moment(59_000.0 / tempo, tempo, 512.0, &VecDeque::new()).input, 59_000.0 / tempo * tempo);
        }
    }

    #[test]
    fn finds_bursts_over_a_tone_and_nothing_else() {
        let starts = [10_000i64, 25_000, 47_000];
        let mut x: Vec<f32> = (0..80_000).map(|n| 0.1 * (0.05 * n as f32).sin()).collect();
        for start in starts {
            for n in 0..600 {
                x[start as usize + n] += if n * n % 7 < 3 { 0.5 } else { -0.4 };
            }
        }
        let mut source = Source::new(1, 4_096);
        source.push(&Buffer::from_channels(Spec::new(44_100, ChannelLayout::MONO), &[x]));
        let mut onsets = Onsets::new(512);
        assert!(onsets.search(&source) > 70_000);
        assert_eq!(onsets.found().len(), starts.len(), "{:?}", onsets.found());
        // Within a window.
        assert!(onsets.found().iter().zip(starts).all(|(got, want)| (got - want).abs() <= 512), "{:?}", onsets.found());
    }
}
