//! Octave-based spectral contrast (Jiang et al., ICME 2002), as `librosa.feature.spectral_contrast`: per octave band, the level of its
//! strongest bins over that of its weakest.

use crate::error::{Error, Result};

/// Share of the bins that are strong or weak: librosa's `quantile`.
const QUANTILE: f64 = 0.02;

#[derive(Debug)]
struct Band {
    first: usize,
    end: usize,
    /// Bins in a quantile.
    count: usize,
}

/// Finds peaks and valleys of octave bands.
#[derive(Debug)]
pub struct ContrastBands {
    bands: Vec<Band>,
    sorted: Vec<f32>,
}

impl ContrastBands {
    /// For `n_fft / 2 + 1` bins at `rate_hz`: the band below `fmin` Hz, and up to `n_bands` octaves above, as many as begin below
    /// half the rate.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when `n_bands` is not in 1..=10, `fmin` not in 20..=1000, or the bins are wider than half the first band.
    pub fn new(rate_hz: f64, n_fft: usize, fmin: f64, n_bands: usize) -> Result<Self> {
        Error::check_range("contrast_fmin", fmin, 20.0, 1000.0, "Hz")?;
        Error::check_range("n_bands", n_bands as f64, 1.0, 10.0, "")?;
        let bin_hz = rate_hz / n_fft as f64;
        Error::check_range("n_fft", n_fft as f64, 2.0 * rate_hz / fmin, 65_536.0, "samples")?;
        let bins = n_fft / 2 + 1;
        let edge = |k: usize| if k == 0 { 0.0 } else { fmin * f64::from(1u32 << (k - 1)) };
        let last = (1..=n_bands).rev().find(|k| edge(*k) < rate_hz / 2.0).unwrap_or(0);
        let bands = (0..=last).map(|k| {
            let (low, high) = (edge(k), edge(k + 1));
            let first = (low / bin_hz).ceil() as usize;
            let end = ((high / bin_hz).floor() as usize + 1).min(bins);
            // Each band reaches one bin down, the last one up to the end; the others leave their last bin to the next.
            let first = if k > 0 { first.saturating_sub(1) } else { first };
            let end = if k == last { bins } else { end };
            let count = (QUANTILE * (end - first) as f64).round_ties_even().max(1.0) as usize;
            Band { first, end: if k == last { end } else { (end - 1).max(first + 1) }, count }
        });
        Ok(Self { bands: bands.collect(), sorted: Vec::with_capacity(bins) })
    }

    /// Number of bands.
    pub fn len(&self) -> usize {
        self.bands.len()
    }

    /// Never: there is a band at least.
    pub fn is_empty(&self) -> bool {
        self.bands.is_empty()
    }

    /// Writes the mean magnitude of the strongest and of the weakest bins of each band.
    pub fn measure(&mut self, magnitude: &[f32], peaks: &mut [f32], valleys: &mut [f32]) {
        for ((band, peak), valley) in self.bands.iter().zip(peaks).zip(valleys) {
            let sorted = &mut self.sorted;
            sorted.clear();
            sorted.extend_from_slice(&magnitude[band.first..band.end]);
            let count = band.count.min(sorted.len());
            let mean = |values: &[f32]| values.iter().sum::<f32>() / count as f32;
            if count < sorted.len() {
                sorted.select_nth_unstable_by(count - 1, f32::total_cmp);
                *valley = mean(&sorted[..count]);
                let above = sorted.len() - count;
                sorted.select_nth_unstable_by(above, f32::total_cmp);
                *peak = mean(&sorted[above..]);
            } else {
                (*peak, *valley) = (mean(sorted), mean(sorted));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_lifts_the_peak_of_its_band_only() {
        let mut bands = ContrastBands::new(22_050.0, 2048, 200.0, 6).unwrap();
        assert_eq!(bands.len(), 7);
        let mut magnitude = vec![0.1; 1025];
        magnitude[100] = 10.0; // 1077 Hz: band 800 to 1600, the fourth
        let (mut peaks, mut valleys) = (vec![0.0; 7], vec![0.0; 7]);
        bands.measure(&magnitude, &mut peaks, &mut valleys);
        assert!(valleys.iter().all(|v| (v - 0.1).abs() < 1e-6));
        let lifted: Vec<usize> = (0..7).filter(|i| peaks[*i] > 0.11).collect();
        assert_eq!(lifted, [3]);
    }

    #[test]
    fn low_rates_have_fewer_octaves() {
        assert_eq!(ContrastBands::new(8000.0, 2048, 200.0, 6).unwrap().len(), 6); // 3200 Hz begins below 4 kHz, 6400 does not
        assert!(ContrastBands::new(48_000.0, 128, 200.0, 6).is_err());
    }
}
