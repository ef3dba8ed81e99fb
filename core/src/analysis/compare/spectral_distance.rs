//! Log-spectral distance: how far the short-time spectra lie apart, in dB.
//!
//! Per frame the root of the mean square, over the bins from 0 Hz to 24 kHz, of the difference of both levels; then the mean over the frames
//! (A. Gray, J. Markel, *Distance measures for speech processing*, 1976). Levels are those of the ear model's frames, Hann window of 2048 at
//! 48 kHz; below -100 dB against a full-scale sine everything is alike, so that the rounding of files does not count.

use super::bands::BINS;
use crate::filters::math::log2;

/// Energy of the floor. A full-scale sine in the middle of a bin has 93.42 dB in the ear model, whose 92 dB are those between two bins.
const FLOOR: f32 = 0.22;

/// Sum over the frames.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct SpectralDistance {
    sum_db: f64,
    frames: u64,
}

impl SpectralDistance {
    /// Adds a frame of a channel: energies of the bins.
    pub fn push(&mut self, reference: &[f32], degraded: &[f32]) {
        const DB_PER_OCTAVE: f64 = 3.010_299_956_639_812;
        let mut sum = 0.0f32;
        for (r, d) in reference.iter().zip(degraded) {
            let octaves = log2(r.max(FLOOR) / d.max(FLOOR));
            sum += octaves * octaves;
        }
        self.sum_db += DB_PER_OCTAVE * (f64::from(sum) / BINS as f64).sqrt();
        self.frames += 1;
    }

    /// Mean in dB; none without frames.
    pub fn mean_db(&self) -> Option<f64> {
        (self.frames > 0).then(|| self.sum_db / self.frames as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_that_differ_by_6_db_lie_6_db_apart() {
        let spectrum: Vec<f32> = (0..BINS).map(|bin| 1e3 * (bin as f32 + 1.0)).collect();
        let mut distance = SpectralDistance::default();
        assert_eq!(distance.mean_db(), None);
        distance.push(&spectrum, &spectrum);
        assert_eq!(distance.mean_db(), Some(0.0));
        distance.push(&spectrum, &spectrum.iter().map(|p| 4.0 * p).collect::<Vec<f32>>());
        // The mean of 0 and 6.02 dB.
        assert!((distance.mean_db().unwrap() - 3.0103).abs() < 1e-4, "{:?}", distance.mean_db());
    }

    #[test]
    fn what_lies_below_the_floor_is_alike() {
        let mut distance = SpectralDistance::default();
        distance.push(&[0.1; BINS], &[0.0; BINS]);
        assert_eq!(distance.mean_db(), Some(0.0));
        // Half of the bins vanish from 10 dB over the floor: 10 dB / sqrt(2).
        let half: Vec<f32> = (0..BINS).map(|bin| if bin % 2 == 0 { FLOOR * 10.0 } else { 0.0 }).collect();
        let mut lost = SpectralDistance::default();
        lost.push(&half, &[0.0; BINS]);
        assert!((lost.mean_db().unwrap() - 10.0 * (513f64 / 1025.0).sqrt()).abs() < 1e-4);
    }
}
