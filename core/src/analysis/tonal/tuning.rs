//! Spectral peaks, and what they tell of tuning and pitch classes.
//!
//! Peaks as `librosa.piptrack` finds them (local maxima above a tenth of the largest bin, 150 Hz to 4 kHz, parabolic interpolation: J. O.
//! Smith, *PARSHL*); tuning as `librosa.pitch_tuning`: the most frequent distance to the nearest semitone, of the peaks that are stronger
//! than the median peak.

use std::collections::BTreeMap;

const FMIN_HZ: f64 = 150.0;
const FMAX_HZ: f64 = 4000.0;
const THRESHOLD: f32 = 0.1;
/// Steps of a semitone.
const STEPS: usize = 100;
/// Bits of the magnitude that count for the median: 16 steps per doubling.
const MAGNITUDE_SHIFT: u32 = 19;

/// Collects spectral peaks over a whole recording. Memory does not grow with its length.
#[derive(Debug)]
pub struct PeakHistogram {
    bin_hz: f64,
    first: usize,
    end: usize,
    /// Number of peaks by strength, then by distance to the nearest semitone in hundredths, from -50.
    counts: BTreeMap<u32, Box<[u32; STEPS]>>,
    /// Strength of the peaks, that of the strongest of a frame being 1, by hundredths of a semitone above C.
    classes: Vec<f64>,
}

impl PeakHistogram {
    /// For `n_fft / 2 + 1` bins at `rate_hz`.
    pub fn new(rate_hz: f64, n_fft: usize) -> Self {
        let bin_hz = rate_hz / n_fft as f64;
        let bin = |hz: f64| (hz / bin_hz).ceil() as usize;
        let end = bin(FMAX_HZ.min(rate_hz / 2.0)).min(n_fft / 2);
        Self { bin_hz, first: bin(FMIN_HZ).max(1), end, counts: BTreeMap::new(), classes: vec![0.0; 12 * STEPS] }
    }

    /// Adds the peaks of a magnitude spectrum.
    pub fn push(&mut self, magnitude: &[f32]) {
        let largest = magnitude.iter().fold(0.0f32, |a, b| a.max(*b));
        if largest < f32::MIN_POSITIVE {
            return;
        }
        let threshold = THRESHOLD * largest;
        for k in self.first..self.end {
            let (before, here, after) = (magnitude[k - 1], magnitude[k], magnitude[k + 1]);
            let cut = |m: f32| if m > threshold { m } else { 0.0 };
            if here <= threshold || here <= cut(before) || here < cut(after) {
                continue;
            }
            let (slope, curve) = (0.5 * (after - before), after + before - 2.0 * here);
            let shift = if slope.abs() < curve.abs() { -slope / curve } else { 0.0 };
            let strength = here + 0.5 * slope * shift;
            self.add((k as f64 + f64::from(shift)) * self.bin_hz, strength, largest);
        }
    }

    fn add(&mut self, hz: f64, strength: f32, largest: f32) {
        // Semitones above C: A is 9. C0 lies 57 semitones below A4.
        let semitones = 12.0 * (hz / 440.0).log2() + 57.0;
        let residual = (semitones + 0.5).rem_euclid(1.0);
        let row = self.counts.entry(strength.to_bits() >> MAGNITUDE_SHIFT).or_insert_with(|| Box::new([0; STEPS]));
        row[((residual * STEPS as f64) as usize).min(STEPS - 1)] += 1;
        let class = (semitones.rem_euclid(12.0) * STEPS as f64) as usize;
        self.classes[class.min(12 * STEPS - 1)] += f64::from(strength / largest);
    }

    /// How far the recording is tuned from A4 = 440 Hz, in semitones: -0.5 to 0.49, in steps of 0.01. 0 without peaks.
    pub fn tuning(&self) -> f64 {
        let total: u64 = self.counts.values().flat_map(|row| row.iter()).map(|n| u64::from(*n)).sum();
        let mut sums = [0u64; STEPS];
        let mut above = 0;
        for row in self.counts.values().rev() {
            row.iter().zip(&mut sums).for_each(|(n, sum)| *sum += u64::from(*n));
            above += row.iter().map(|n| u64::from(*n)).sum::<u64>();
            if 2 * above >= total {
                break;
            }
        }
        let largest = sums.iter().copied().max().unwrap_or(0);
        let best = sums.iter().position(|n| *n == largest && largest > 0).unwrap_or(STEPS / 2);
        (best as f64 - (STEPS / 2) as f64) / STEPS as f64
    }

    /// Strength of the pitch classes from C on under a tuning; each peak counts for its class by its distance, none at half a
    /// semitone (`cos^2`, Gomez 2006).
    pub fn pitch_classes(&self, tuning: f64) -> [f64; 12] {
        let mut classes = [0.0; 12];
        for (i, strength) in self.classes.iter().enumerate() {
            let semitones = (i as f64 + 0.5) / STEPS as f64 - tuning;
            let nearest = semitones.round();
            let weight = (std::f64::consts::PI * (semitones - nearest)).cos().powi(2);
            classes[nearest.rem_euclid(12.0) as usize % 12] += weight * strength;
        }
        classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A spectrum with the main lobe of a Hann window at `hz`.
    fn tone(hz: f64, rate_hz: f64, n_fft: usize) -> Vec<f32> {
        let x: Vec<f32> = (0..n_fft).map(|i| (std::f64::consts::TAU * hz * i as f64 / rate_hz).sin() as f32).collect();
        super::super::super::features::Stft::new(n_fft, n_fft).unwrap().transform(&x).0.to_vec()
    }

    #[test]
    fn finds_the_tuning_and_the_classes_of_tones() {
        for tuning in [-0.4, -0.2, 0.0, 0.15, 0.35] {
            let mut peaks = PeakHistogram::new(22_050.0, 2048);
            for midi in [60, 64, 67, 72, 76, 79, 84] {
                peaks.push(&tone(440.0 * ((f64::from(midi) - 69.0 + tuning) / 12.0).exp2(), 22_050.0, 2048));
            }
            // Parabolic interpolation of a Hann lobe errs by up to 0.05 bins of 10.8 Hz: 0.04 semitones at 262 Hz, less above.
            assert!((peaks.tuning() - tuning).abs() <= 0.05, "{tuning}: {}", peaks.tuning());
            let classes = peaks.pitch_classes(peaks.tuning());
            let strong: Vec<usize> = (0..12).filter(|c| classes[*c] > 1.0).collect();
            assert_eq!(strong, [0, 4, 7], "{classes:?}");
        }
    }

    #[test]
    fn silence_is_in_tune() {
        let mut peaks = PeakHistogram::new(22_050.0, 2048);
        peaks.push(&[0.0; 1025]);
        assert_eq!(peaks.tuning(), 0.0);
    }
}
