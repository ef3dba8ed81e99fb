//! Chroma: the power of a spectrum per pitch class, as `librosa.filters.chroma` and `librosa.feature.chroma_stft`.
//!
//! A bin counts for each class by a bell curve of their distance in semitones, one bin or one semitone wide, and by a bell curve
//! of two octaves around C5 (Ellis 2007, *Chroma feature analysis and synthesis*).

use crate::dsp::kernels::dot;

/// Pitch classes: C, C sharp, ... B.
pub const CLASSES: usize = 12;

/// Middle in octaves above A440 / 16, and spread in octaves, of the weight over frequency: `ctroct` and `octwidth`.
const CENTER_OCTAVES: f64 = 5.0;
const WIDTH_OCTAVES: f64 = 2.0;

/// Sums power spectra into pitch classes.
#[derive(Debug)]
pub struct ChromaBank {
    rows: Vec<Vec<f32>>,
}

impl ChromaBank {
    /// For `n_fft / 2 + 1` bins at `rate_hz`, where A4 lies `tuning` semitones (-0.5 to 0.5) above 440 Hz.
    pub fn new(rate_hz: f64, n_fft: usize, tuning: f64) -> Self {
        let n = CLASSES as f64;
        let a440_hz = 440.0 * (tuning / n).exp2();
        let position = |k: usize| n * (k as f64 * rate_hz / n_fft as f64 / (a440_hz / 16.0)).log2();
        // Bin 0 stands one and a half octaves below bin 1.
        let mut positions: Vec<f64> = (1..n_fft).map(position).collect();
        positions.insert(0, positions[0] - 1.5 * n);
        let bins = n_fft / 2 + 1;
        let mut rows = vec![vec![0.0f32; bins]; CLASSES];
        for k in 0..bins {
            let width = positions.get(k + 1).map_or(1.0, |next| (next - positions[k]).max(1.0));
            let mut weights = [0.0; CLASSES];
            for (class, weight) in weights.iter_mut().enumerate() {
                let distance = (positions[k] - class as f64 + n / 2.0 + 10.0 * n).rem_euclid(n) - n / 2.0;
                *weight = (-0.5 * (2.0 * distance / width).powi(2)).exp();
            }
            let norm = weights.iter().map(|w| w * w).sum::<f64>().sqrt();
            let octaves = (positions[k] / n - CENTER_OCTAVES) / WIDTH_OCTAVES;
            let scale = (-0.5 * octaves * octaves).exp() / norm;
            for (class, weight) in weights.iter().enumerate() {
                // Row 0 of the distances is A; chroma begin with C, three semitones above.
                rows[(class + CLASSES - 3) % CLASSES][k] = (weight * scale) as f32;
            }
        }
        Self { rows }
    }

    /// Pitch classes of a power spectrum, the largest 1; all 0 for silence.
    pub fn apply(&self, power: &[f32]) -> [f32; CLASSES] {
        let mut chroma = [0.0f32; CLASSES];
        for (to, row) in chroma.iter_mut().zip(&self.rows) {
            *to = dot(row, power);
        }
        let largest = chroma.iter().fold(0.0f32, |a, b| a.max(*b));
        if largest > f32::MIN_POSITIVE {
            chroma.iter_mut().for_each(|c| *c /= largest);
        }
        chroma
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_lights_its_class_in_every_octave() {
        for (tuning, factor) in [(0.0, 1.0), (0.3, (0.3f64 / 12.0).exp2())] {
            let bank = ChromaBank::new(22_050.0, 4096, tuning);
            for midi in 57..93 {
                let hz = 440.0 * factor * ((f64::from(midi) - 69.0) / 12.0).exp2();
                let mut power = vec![0.0; 2049];
                power[(hz * 4096.0 / 22_050.0).round() as usize] = 1.0;
                let chroma = bank.apply(&power);
                assert_eq!(chroma[midi as usize % 12], 1.0, "{midi}: {chroma:?}");
            }
        }
        assert_eq!(ChromaBank::new(22_050.0, 4096, 0.0).apply(&[0.0; 2049]), [0.0; 12]);
    }
}
