//! What lies so near the Nyquist frequency that no interpolator of bearable length shows its peaks.

use crate::dsp::kernels::{self, FINE_TAPS};

/// Frames between two looks.
const STRIDE: u64 = 64;
/// Looks that are remembered: 1024 frames.
const LOOKS: usize = 16;
/// Allowance for the level (RMS) found.
const ALLOWANCE: f32 = 3.5;
/// Largest allowance, as a share of the ceiling (0.9 dB). White noise needs 0.07; a steady tone has more in this band, but
/// shows its peaks in time.
const LARGEST: f32 = 0.1;
/// Share of full scale below which there is no allowance: 0.01 dB of a full-scale peak.
const FLOOR: f32 = 0.001;

/// Level of one channel within 1/128 of the rate of the Nyquist frequency, and the allowance that it needs.
///
/// The band is seen through 256 samples under a Hann window, turned to frequency 0 by alternating signs, every
/// [`STRIDE`] frames of the stream: the allowance does not depend on the blocks. Its level is an average, as the peaks of
/// such a narrow band come and go slower than the window is long.
#[derive(Debug, Clone)]
pub(super) struct NyquistGuard {
    weights: Vec<f32>,
    powers: [f32; LOOKS],
    at: usize,
    position: u64,
    allowance: f32,
}

impl NyquistGuard {
    /// At rest. Allocates.
    pub fn new() -> Self {
        let taps = FINE_TAPS as f64;
        let weights = (0..FINE_TAPS).map(|k| {
            let hann = 1.0 - (2.0 * std::f64::consts::PI * (k as f64 + 0.5) / taps).cos();
            (hann / taps * if k % 2 == 0 { 1.0 } else { -1.0 }) as f32
        });
        Self { weights: weights.collect(), powers: [0.0; LOOKS], at: 0, position: 0, allowance: 0.0 }
    }

    /// Allowances of the frames at the end of `history`, which holds [`FINE_TAPS`] samples more. Returns the largest.
    /// Real-time safe.
    pub fn run(&mut self, history: &[f32], ceiling: f32, allowances: &mut [f32]) -> f32 {
        let (mut done, mut largest) = (0, self.allowance);
        while done < allowances.len() {
            let to_look = STRIDE - self.position % STRIDE;
            let end = allowances.len().min(done + to_look as usize);
            // The frame that completes a stride is the first to know.
            let known = if end - done == to_look as usize { end - 1 } else { end };
            allowances[done..known].fill(self.allowance);
            if known < end {
                let value = kernels::dot(&history[end..end + FINE_TAPS], &self.weights);
                self.powers[self.at] = value * value;
                self.at = (self.at + 1) % LOOKS;
                let power: f32 = self.powers.iter().sum();
                let wanted = ALLOWANCE * (power / LOOKS as f32).sqrt() - FLOOR;
                self.allowance = wanted.clamp(0.0, LARGEST * ceiling);
                allowances[known] = self.allowance;
                largest = largest.max(self.allowance);
            }
            self.position += (end - done) as u64;
            done = end;
        }
        largest
    }

    /// Back to rest.
    pub fn reset(&mut self) {
        (self.powers, self.at, self.position, self.allowance) = ([0.0; LOOKS], 0, 0, 0.0);
    }
}
