//! Noise-to-mask ratio and disturbed frames, after ITU-R BS.1387-2, Annex 2, 4.5 and 4.6 ("Total NMR", "Relative Disturbed Frames").
//!
//! What was changed, against what the reference hides: the mask is the excitation by the reference, 3 dB lower up to 12 Bark and 0.25 dB
//! per Bark from there on.

use super::bands::{BANDS, BARK_PER_BAND, Bands};

/// A frame is disturbed when the noise of a band is so much above the mask.
const DISTURBED_DB: f64 = 1.5;

/// Means over the frames of one channel.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct NoiseToMask {
    ratio: f64,
    disturbed: u64,
    frames: u64,
}

/// What the excitation of each band is multiplied by to get the mask.
pub(super) fn mask_gains() -> Bands {
    std::array::from_fn(|m| {
        let bark = m as f64 * BARK_PER_BAND;
        10f64.powf(-0.1 * if bark <= 12.0 { 3.0 } else { 0.25 * bark })
    })
}

impl NoiseToMask {
    /// Adds a frame: the energy of the noise, and the excitation that hides it.
    pub fn push(&mut self, noise: &Bands, excitation: &Bands, gains: &Bands) {
        let (mut sum, mut worst) = (0.0, 0.0f64);
        for ((noise, excitation), gain) in noise.iter().zip(excitation).zip(gains) {
            let ratio = noise / (excitation * gain);
            sum += ratio;
            worst = worst.max(ratio);
        }
        self.ratio += sum / BANDS as f64;
        self.disturbed += u64::from(worst >= 10f64.powf(0.1 * DISTURBED_DB));
        self.frames += 1;
    }

    /// Mean ratio in dB; minus infinity without noise.
    pub fn total_db(&self) -> f64 {
        10.0 * (self.ratio / self.frames.max(1) as f64).log10()
    }

    /// Share of the frames, 0 to 1.
    pub fn disturbed_ratio(&self) -> f64 {
        self.disturbed as f64 / self.frames.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_at_the_mask_is_0_db() {
        let gains = mask_gains();
        assert!((10.0 * gains[48].log10() + 3.0).abs() < 1e-12 && (10.0 * gains[100].log10() + 6.25).abs() < 1e-12);
        let excitation = [1000.0; BANDS];
        let noise: Bands = std::array::from_fn(|m| 1000.0 * gains[m]);
        let mut at_mask = NoiseToMask::default();
        at_mask.push(&noise, &excitation, &gains);
        assert!(at_mask.total_db().abs() < 1e-9 && at_mask.disturbed_ratio() == 0.0);
        // One frame in two with one band 1.6 dB over the mask.
        let mut over = noise;
        over[20] *= 10f64.powf(0.16);
        at_mask.push(&over, &excitation, &gains);
        assert_eq!(at_mask.disturbed_ratio(), 0.5);
        let expected = 10.0 * (1.0 + 0.5 * (10f64.powf(0.16) - 1.0) / BANDS as f64).log10();
        assert!((at_mask.total_db() - expected).abs() < 1e-9);
    }
}
