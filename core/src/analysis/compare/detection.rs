//! Probability that a difference is heard, after ITU-R BS.1387-2, Annex 2, 4.7 and 4.8 ("Average Distorted Block", "Maximum Filtered
//! Probability of Detection").
//!
//! In each band the levels of excitation are compared in steps that are just heard; of the channels the one where it is heard best counts.

use super::bands::{BANDS, Bands};

/// `s = c0 + c1 L + ... + c4 L^4 + D1 (D2 / L)^GAMMA`: the step that is just heard, in dB, at level `L` in dB.
const STEP: [f64; 5] = [-0.198_719, 0.055_019_7, -0.001_024_38, 5.056_22e-6, 9.010_33e-11];
const D1: f64 = 5.950_72;
const D2: f64 = 6.394_68;
const GAMMA: f64 = 1.713_32;
/// Where there is nothing to hear.
const NEVER: f64 = 1e30;
/// What the filter of the probability keeps from one frame to the next.
const KEPT: f64 = 0.9;

/// Probabilities and steps of the bands of a frame, of the channel that is heard best.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    probability: Bands,
    steps: Bands,
}

impl Default for Heard {
    fn default() -> Self {
        Self { probability: [0.0; BANDS], steps: [0.0; BANDS] }
    }
}

/// The step that is just heard at a level.
fn step_db(level_db: f64) -> f64 {
    if level_db <= 0.0 {
        return NEVER;
    }
    let [c0, c1, c2, c3, c4] = STEP;
    let l = level_db;
    D1 * (GAMMA * (D2 / l).ln()).exp() + c0 + l * (c1 + l * (c2 + l * (c3 + l * c4)))
}

impl Heard {
    /// Adds a channel: excitations of both signals.
    pub fn push(&mut self, reference: &Bands, degraded: &Bands) {
        for (m, (reference, degraded)) in reference.iter().zip(degraded).enumerate() {
            let (reference_db, degraded_db) = (10.0 * reference.log10(), 10.0 * degraded.log10());
            let difference_db = reference_db - degraded_db;
            // What is missing is heard less than what is added.
            let missing = difference_db > 0.0;
            let level_db = if missing { 0.3 * reference_db + 0.7 * degraded_db } else { degraded_db };
            let step = step_db(level_db);
            let power = (difference_db / step).powi(if missing { 4 } else { 6 });
            self.probability[m] = self.probability[m].max(1.0 - (-power).exp2());
            self.steps[m] = self.steps[m].max(difference_db.trunc().abs() / step);
        }
    }

    /// Probability that any band is heard, and the steps of all.
    pub fn total(&self) -> (f64, f64) {
        let unheard: f64 = self.probability.iter().map(|p| 1.0 - p).product();
        (1.0 - unheard, self.steps.iter().sum())
    }
}

/// The two figures over all frames.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Detection {
    steps: f64,
    distorted: u64,
    filtered: f64,
    most: f64,
}

impl Detection {
    /// Adds a frame.
    pub fn push(&mut self, heard: &Heard) {
        let (probability, steps) = heard.total();
        if probability > 0.5 {
            self.distorted += 1;
            self.steps += steps;
        }
        self.filtered = KEPT * self.filtered + (1.0 - KEPT) * probability;
        self.most = self.most.max(self.filtered);
    }

    /// Common logarithm of the mean number of steps in the frames that are probably heard; -0.5 when they have none, 0 without such frames.
    pub fn average_distorted_block(&self) -> f64 {
        if self.distorted == 0 {
            0.0
        } else if self.steps > 0.0 {
            (self.steps / self.distorted as f64).log10()
        } else {
            -0.5
        }
    }

    /// Highest probability, smoothed over the frames.
    pub fn maximum_probability(&self) -> f64 {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_of_one_step_is_heard_half_of_the_time() {
        for level_db in [20.0, 50.0, 80.0] {
            let step = step_db(level_db);
            let degraded = 10f64.powf(0.1 * level_db);
            let reference = degraded * 10f64.powf(-0.1 * step);
            let mut heard = Heard::default();
            heard.push(&[reference; BANDS], &[degraded; BANDS]);
            assert!(heard.probability.iter().all(|p| (p - 0.5).abs() < 1e-9));
            let (all, _) = heard.total();
            assert!((1.0 - all - 0.5f64.powi(BANDS as i32)).abs() < 1e-12);
        }
    }

    #[test]
    fn steps_count_from_a_whole_decibel_on() {
        let loud = [10f64.powf(6.0); BANDS];
        let (mut small, mut large) = (Heard::default(), Heard::default());
        small.push(&loud, &loud.map(|e| e * 10f64.powf(0.09)));
        assert_eq!(small.total().1, 0.0);
        large.push(&loud, &loud.map(|e| e * 10f64.powf(0.35)));
        assert!((large.total().1 - BANDS as f64 * 3.0 / step_db(63.5)).abs() < 1e-6);
        let mut detection = Detection::default();
        detection.push(&large);
        assert!((detection.average_distorted_block() - large.total().1.log10()).abs() < 1e-12);
        assert!((detection.maximum_probability() - 0.1).abs() < 1e-6);
        // Frames that are not heard do not count.
        detection.push(&Heard::default());
        assert!((detection.average_distorted_block() - large.total().1.log10()).abs() < 1e-12);
    }

    #[test]
    fn the_channel_that_is_heard_best_counts() {
        let (quiet, loud) = ([1e5; BANDS], [1e5 * 1.6; BANDS]);
        let (mut one, mut both) = (Heard::default(), Heard::default());
        one.push(&quiet, &loud);
        both.push(&quiet, &quiet);
        both.push(&quiet, &loud);
        assert_eq!(one.total(), both.total());
    }
}
