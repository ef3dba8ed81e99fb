//! Mel-frequency cepstral coefficients and their deltas.
//!
//! MFCC: the orthonormal DCT-II of the mel bands in dB (`librosa.feature.mfcc`). Deltas: the slope of the line, or the second
//! derivative of the parabola, through 9 frames (Savitzky and Golay 1964), at the ends that of the outermost 9 frames
//! (`librosa.feature.delta`, mode "interp").

use crate::dsp::kernels::dot;

/// Orthonormal DCT-II: the first `rows` coefficients.
#[derive(Debug)]
pub struct Dct {
    length: usize,
    table: Vec<f32>,
}

impl Dct {
    /// For `rows` coefficients of `length` values.
    pub fn new(rows: usize, length: usize) -> Self {
        let n = length as f64;
        let table = (0..rows).flat_map(|k| {
            let scale = if k == 0 { (1.0 / n).sqrt() } else { (2.0 / n).sqrt() };
            (0..length).map(move |i| {
                let phase = std::f64::consts::PI * k as f64 * (2 * i + 1) as f64 / (2.0 * n);
                (scale * phase.cos()) as f32
            })
        });
        Self { length, table: table.collect() }
    }

    /// Writes the coefficients of `values` into `out`.
    pub fn apply(&self, values: &[f32], out: &mut [f32]) {
        for (to, row) in out.iter_mut().zip(self.table.chunks(self.length)) {
            *to = dot(row, values);
        }
    }
}

/// Frames that a delta is made of.
pub const DELTA_WIDTH: usize = 9;

/// First (`order` 1) or second (`order` 2) derivative over frames of one coefficient, per frame. Series shorter than
/// [`DELTA_WIDTH`] have no derivative: 0.
pub fn delta(series: &[f32], order: usize) -> Vec<f32> {
    if series.len() < DELTA_WIDTH {
        return vec![0.0; series.len()];
    }
    let half = (DELTA_WIDTH / 2) as f64;
    let weights: Vec<f64> = (0..DELTA_WIDTH)
        .map(|i| {
            let k = i as f64 - half;
            // Least squares over k = -4..4: sum k^2 = 60; k^2 minus its mean 60 / 9 has the sum of squares 308.
            if order == 1 { k / 60.0 } else { 2.0 * (k * k - 60.0 / 9.0) / 308.0 }
        })
        .collect();
    let at = |window: &[f32]| window.iter().zip(&weights).map(|(x, w)| f64::from(*x) * w).sum::<f64>() as f32;
    let inner: Vec<f32> = series.windows(DELTA_WIDTH).map(at).collect();
    let last = inner.len() - 1;
    (0..series.len()).map(|i| inner[i.saturating_sub(DELTA_WIDTH / 2).min(last)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dct_keeps_energy_and_has_its_first_coefficient() {
        let values: Vec<f32> = (0..32).map(|i| (i as f32 * 0.7).sin() + 0.3).collect();
        let mut out = vec![0.0; 32];
        Dct::new(32, 32).apply(&values, &mut out);
        let energy = |x: &[f32]| x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        // Orthonormal: Parseval. f32 tables of 32 values.
        assert!((energy(&values) / energy(&out) - 1.0).abs() < 1e-5);
        let sum: f32 = values.iter().sum();
        assert!((out[0] - sum / 32f32.sqrt()).abs() < 1e-5);
    }

    #[test]
    fn deltas_of_a_parabola_are_its_derivatives() {
        let series: Vec<f32> = (0..40).map(|i| 3.0 + 0.5 * i as f32 + 0.25 * (i * i) as f32).collect();
        let (first, second) = (delta(&series, 1), delta(&series, 2));
        for (i, slope) in first.iter().enumerate().take(36).skip(4) {
            assert!((slope - (0.5 + 0.5 * i as f32)).abs() < 1e-4); // f32 of values up to 400
        }
        assert!(first[..4].iter().all(|d| *d == first[4]) && first[36..].iter().all(|d| *d == first[35]));
        assert!(second.iter().all(|d| (d - 0.5).abs() < 1e-4));
        assert_eq!(delta(&series[..8], 1), [0.0; 8]);
    }
}
