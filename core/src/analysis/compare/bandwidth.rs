//! Bandwidths, after ITU-R BS.1387-2, Annex 2, 4.4 ("BandwidthRef", "BandwidthTest").
//!
//! The loudest bin of the degraded signal above 21.6 kHz is the floor. The reference reaches as high as it is 10 dB over that; the degraded
//! signal, below there, as high as it is 5 dB over it.

use super::bands::{BINS, FRAME, RATE_HZ};

/// Bins from here on tell the floor: 21,586 Hz.
const FLOOR: usize = 921;
/// Frames whose reference reaches no higher do not count: 8109 Hz.
const LEAST: usize = 346;

/// Means over the frames of one channel.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Bandwidth {
    reference: f64,
    degraded: f64,
    frames: u64,
}

impl Bandwidth {
    /// Adds a frame: energies of the bins.
    pub fn push(&mut self, reference: &[f32], degraded: &[f32]) {
        let floor = degraded[FLOOR..BINS - 1].iter().copied().fold(0.0, f32::max);
        let reaches = |power: &[f32], from: usize, to: usize, over: f32| {
            (to..from).rev().find(|bin| power[*bin] >= over * floor && power[*bin] > 0.0).map_or(0, |bin| bin + 1)
        };
        let top = reaches(reference, FLOOR, LEAST, 10.0);
        if top > LEAST {
            self.reference += top as f64;
            self.degraded += reaches(degraded, top, 0, 10f32.sqrt()) as f64;
            self.frames += 1;
        }
    }

    /// Frames that count.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Mean bandwidths of both in Hz.
    pub fn mean_hz(&self) -> (f64, f64) {
        let scale = RATE_HZ / FRAME as f64 / self.frames.max(1) as f64;
        (scale * self.reference, scale * self.degraded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_found_over_the_floor() {
        let shape = |top: usize| (0..BINS).map(|bin| if bin < top { 1.0 } else { 1e-3 }).collect::<Vec<f32>>();
        let mut band = Bandwidth::default();
        band.push(&shape(850), &shape(680));
        let (reference_hz, degraded_hz) = band.mean_hz();
        let bin_hz = 48_000.0 / 2048.0;
        assert!((reference_hz - 850.0 * bin_hz).abs() < 1e-9 && (degraded_hz - 680.0 * bin_hz).abs() < 1e-9);
        // A reference of a telephone, or silence, says nothing.
        band.push(&shape(200), &shape(200));
        band.push(&[0.0; BINS], &[0.0; BINS]);
        assert_eq!(band.frames(), 1);
    }
}
