//! Numbers that tell the shape of one spectrum.
//!
//! Centroid, bandwidth, roll-off and flatness as `librosa.feature.spectral_*`; flux after Scheirer and Slaney (ICASSP 1997); slope
//! and crest after Peeters, *A large set of audio features* (IRCAM 2004), 6.1; entropy after Misra et al. (ICASSP 2004).

use crate::dsp::kernels::{LANES, dot, scalar::fold};
use crate::filters::math::log2;

/// The shape of one spectrum. All are 0 for silence, flatness is 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shape {
    /// Mean frequency, weighted by magnitude, in Hz.
    pub centroid_hz: f32,
    /// Spread around the centroid: standard deviation weighted by magnitude, in Hz.
    pub bandwidth_hz: f32,
    /// Frequency below which `roll_percent` of the magnitude lies, in Hz.
    pub rolloff_hz: f32,
    /// Geometric by arithmetic mean of the power, 0 (tone) to 1 (white noise).
    pub flatness: f32,
    /// Euclidean distance to the magnitude spectrum of the frame before. 0 for the first.
    pub flux: f32,
    /// Slope of the line through the magnitudes over frequency, by the sum of the magnitudes, in 1/Hz.
    pub slope: f32,
    /// Largest by mean power. 1 for white spectra.
    pub crest: f32,
    /// Shannon entropy of the power over the bins, by that of a white spectrum: 0 to 1.
    pub entropy: f32,
}

/// Power below which flatness does not distinguish: librosa's `amin`.
const AMIN: f32 = 1e-10;

/// Sum over bins in a fixed order of lanes, which becomes vector code.
#[inline(always)]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for i in 0..LANES {
            lanes[i] += term(a[i], b[i]);
        }
    }
    for (i, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        lanes[i] += term(*a, *b);
    }
    fold(lanes)
}

/// Computes [`Shape`] frame by frame.
#[derive(Debug)]
pub struct ShapeMeter {
    frequencies: Vec<f32>,
    ones: Vec<f32>,
    roll_percent: f32,
    mean_hz: f32,
    /// Sum of the squared distances of the frequencies to their mean.
    spread: f32,
    before: Vec<f32>,
    logs: Vec<f32>,
    first: bool,
}

impl ShapeMeter {
    /// For `n_fft / 2 + 1` bins at `rate_hz`. `roll_percent` lies in 0..1.
    pub fn new(rate_hz: f64, n_fft: usize, roll_percent: f32) -> Self {
        let bins = n_fft / 2 + 1;
        let exact: Vec<f64> = (0..bins).map(|k| k as f64 * rate_hz / n_fft as f64).collect();
        let mean = exact.iter().sum::<f64>() / bins as f64;
        Self {
            spread: exact.iter().map(|f| (f - mean).powi(2)).sum::<f64>() as f32,
            mean_hz: mean as f32,
            frequencies: exact.iter().map(|f| *f as f32).collect(),
            ones: vec![1.0; bins],
            roll_percent,
            before: vec![0.0; bins],
            logs: vec![0.0; bins],
            first: true,
        }
    }

    /// The shape of the next frame.
    pub fn measure(&mut self, magnitude: &[f32], power: &[f32]) -> Shape {
        let total = dot(magnitude, &self.ones);
        let flux = if self.first { 0.0 } else { sum(magnitude, &self.before, |a, b| (a - b) * (a - b)).sqrt() };
        self.first = false;
        self.before.copy_from_slice(magnitude);
        let mut shape = Shape { flux, flatness: 1.0, ..Shape::default() };
        if total > 0.0 {
            let centroid = dot(magnitude, &self.frequencies) / total;
            let spread = sum(magnitude, &self.frequencies, |m, f| m * ((f - centroid) * (f - centroid)));
            shape.centroid_hz = centroid;
            shape.bandwidth_hz = (spread / total).sqrt();
            shape.rolloff_hz = self.rolloff(magnitude, total);
            // sum (f - mean) (m - mean m) / sum (f - mean)^2, by the sum of m.
            shape.slope = (centroid - self.mean_hz) / self.spread;
        }
        let energy = dot(power, &self.ones);
        if energy > 0.0 {
            self.noisiness(power, energy, &mut shape);
        }
        shape
    }

    fn rolloff(&self, magnitude: &[f32], total: f32) -> f32 {
        let wanted = self.roll_percent * total;
        let mut below = 0.0;
        // 32 bins at once first: the lane sums vectorise, a running sum does not.
        let mut at = 0;
        for chunk in magnitude.chunks(32) {
            let part = dot(chunk, &self.ones[..chunk.len()]);
            if below + part >= wanted {
                break;
            }
            below += part;
            at += chunk.len();
        }
        for (k, m) in magnitude.iter().enumerate().skip(at) {
            below += m;
            if below >= wanted {
                return self.frequencies[k];
            }
        }
        self.frequencies[magnitude.len() - 1]
    }

    /// Flatness, crest and entropy: they share the logarithms.
    fn noisiness(&mut self, power: &[f32], energy: f32, shape: &mut Shape) {
        let bins = power.len() as f32;
        for (l, p) in self.logs.iter_mut().zip(power) {
            *l = log2(p.max(AMIN));
        }
        // What is below AMIN is lifted to it in the mean as well.
        let lifted = sum(power, power, |p, _| p.max(AMIN)) / bins;
        shape.flatness = (dot(&self.logs, &self.ones) / bins).exp2() / lifted;
        let largest = sum_max(power);
        shape.crest = largest * bins / energy;
        let weighted = dot(power, &self.logs) / energy;
        shape.entropy = ((energy.log2() - weighted) / bins.log2()).clamp(0.0, 1.0);
    }
}

fn sum_max(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |a, b| if *b > a { *b } else { a })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(power: &[f32]) -> Shape {
        let magnitude: Vec<f32> = power.iter().map(|p| p.sqrt()).collect();
        ShapeMeter::new(2000.0, 200, 0.85).measure(&magnitude, power)
    }

    #[test]
    fn one_bin_has_its_frequency_and_no_width() {
        let mut power = vec![0.0; 101];
        power[30] = 4.0;
        let shape = measure(&power);
        assert_eq!((shape.centroid_hz, shape.bandwidth_hz, shape.rolloff_hz), (300.0, 0.0, 300.0));
        assert!((shape.crest - 101.0).abs() < 1e-3 && shape.entropy == 0.0 && shape.flatness < 1e-6);
    }

    #[test]
    fn a_white_spectrum_is_flat() {
        let shape = measure(&[9.0; 101]);
        // Bins 0, 10, ..., 1000 Hz: mean 500, variance (101^2 - 1) / 12 steps of 10 Hz.
        assert!((shape.centroid_hz - 500.0).abs() < 1e-3);
        assert!((shape.bandwidth_hz - (850.0f32).sqrt() * 10.0).abs() < 1e-2);
        // 85 % of 101 bins is reached in the 86th.
        assert_eq!(shape.rolloff_hz, 850.0);
        assert!(
            (shape.flatness - 1.0).abs() < 1e-5
                && (shape.entropy - 1.0).abs() < 1e-6
                && (shape.crest - 1.0).abs() < 1e-5
        );
        assert!(shape.slope.abs() < 1e-9);
    }

    #[test]
    fn slope_is_that_of_the_line_and_flux_the_distance() {
        let magnitude: Vec<f32> = (0..101).map(|k| 1.0 + 0.02 * k as f32).collect();
        let power: Vec<f32> = magnitude.iter().map(|m| m * m).collect();
        let mut meter = ShapeMeter::new(2000.0, 200, 0.85);
        let shape = meter.measure(&magnitude, &power);
        // The line rises by 0.002 per Hz; the sum of the magnitudes is 101 * 2.
        assert!((shape.slope / (0.002 / 202.0) - 1.0).abs() < 1e-3);
        let louder: Vec<f32> = magnitude.iter().map(|m| m + 1.0).collect();
        assert!((meter.measure(&louder, &power).flux - 101f32.sqrt()).abs() < 1e-4);
    }

    #[test]
    fn silence_has_no_shape() {
        assert_eq!(measure(&[0.0; 101]), Shape { flatness: 1.0, ..Shape::default() });
    }
}
