//! Mel filterbank, as `librosa.filters.mel`.
//!
//! Triangles between neighbouring points that are equally spaced in mel. Two scales: Slaney's (*Auditory Toolbox*, 1998: linear
//! below 1 kHz, logarithmic above) and HTK's (`2595 log10(1 + f / 700)`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dsp::kernels::dot;
use crate::error::{Error, Result};

/// Parameters of the mel bands. Defaults as librosa's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MelParams {
    /// Number of bands. 1 to 512, default 128.
    pub n_mels: usize,
    /// Lower end of the lowest band in Hz. Default 0.
    pub fmin: f64,
    /// Upper end of the highest band in Hz. Default: half the sample rate.
    pub fmax: Option<f64>,
    /// HTK's scale instead of Slaney's. Default false.
    pub htk: bool,
    /// Whether each triangle has the area 1 (`norm="slaney"`) instead of the height 1 (`norm=None`). Default true.
    pub norm: bool,
}

impl Default for MelParams {
    fn default() -> Self {
        Self { n_mels: 128, fmin: 0.0, fmax: None, htk: false, norm: true }
    }
}

/// Where Slaney's scale turns logarithmic, in Hz and mel, and its step there: 6.4 in 27 steps.
const BREAK_HZ: f64 = 1000.0;
const BREAK_MEL: f64 = 15.0;
const HZ_PER_MEL: f64 = 200.0 / 3.0;

fn log_step() -> f64 {
    6.4f64.ln() / 27.0
}

/// Mel of a frequency.
pub fn hz_to_mel(hz: f64, htk: bool) -> f64 {
    if htk {
        2595.0 * (1.0 + hz / 700.0).log10()
    } else if hz >= BREAK_HZ {
        BREAK_MEL + (hz / BREAK_HZ).ln() / log_step()
    } else {
        hz / HZ_PER_MEL
    }
}

/// Frequency of a mel.
pub fn mel_to_hz(mel: f64, htk: bool) -> f64 {
    if htk {
        700.0 * (10f64.powf(mel / 2595.0) - 1.0)
    } else if mel >= BREAK_MEL {
        BREAK_HZ * (log_step() * (mel - BREAK_MEL)).exp()
    } else {
        mel * HZ_PER_MEL
    }
}

/// A row of weights: the bins that are not 0.
#[derive(Debug)]
struct Band {
    first: usize,
    weights: Vec<f32>,
}

/// Sums power spectra into mel bands.
#[derive(Debug)]
pub struct MelBank {
    bands: Vec<Band>,
}

impl MelBank {
    /// For spectra of `n_fft / 2 + 1` bins at `rate_hz`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for what `params` does not allow, or an `fmax` above half the rate.
    pub fn new(params: &MelParams, rate_hz: f64, n_fft: usize) -> Result<Self> {
        let nyquist_hz = rate_hz / 2.0;
        Error::check_range("n_mels", params.n_mels as f64, 1.0, 512.0, "")?;
        let fmax = params.fmax.unwrap_or(nyquist_hz);
        Error::check_range("fmax", fmax, 1.0, nyquist_hz, "Hz")?;
        Error::check_range("fmin", params.fmin, 0.0, fmax - 1.0, "Hz")?;
        let (low, high) = (hz_to_mel(params.fmin, params.htk), hz_to_mel(fmax, params.htk));
        let step = (high - low) / (params.n_mels + 1) as f64;
        let points: Vec<f64> = (0..params.n_mels + 2).map(|i| mel_to_hz(low + step * i as f64, params.htk)).collect();
        let bin_hz = rate_hz / n_fft as f64;
        let bands = points.windows(3).map(|p| {
            let height = if params.norm { 2.0 / (p[2] - p[0]) } else { 1.0 };
            let weight = |k: usize| {
                let f = k as f64 * bin_hz;
                let triangle = ((f - p[0]) / (p[1] - p[0])).min((p[2] - f) / (p[2] - p[1]));
                (triangle.max(0.0) * height) as f32
            };
            let all: Vec<f32> = (0..=n_fft / 2).map(weight).collect();
            let first = all.iter().position(|w| *w > 0.0).unwrap_or(0);
            let end = all.iter().rposition(|w| *w > 0.0).map_or(first, |last| last + 1);
            Band { first, weights: all[first..end].to_vec() }
        });
        Ok(Self { bands: bands.collect() })
    }

    /// Number of bands.
    pub fn len(&self) -> usize {
        self.bands.len()
    }

    /// Never: there is a band at least.
    pub fn is_empty(&self) -> bool {
        self.bands.is_empty()
    }

    /// Writes the bands of a power spectrum into `out`, which has one value per band.
    pub fn apply(&self, power: &[f32], out: &mut [f32]) {
        for (to, band) in out.iter_mut().zip(&self.bands) {
            *to = dot(&band.weights, &power[band.first..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_their_known_points_and_invert() {
        // HTK Book, 5.4.6: 1000 Hz is close to 1000 mel. Slaney: 1 kHz is 15, 6.4 kHz is 42.
        assert!((hz_to_mel(1000.0, true) - 999.99).abs() < 0.01);
        assert!((hz_to_mel(1000.0, false) - 15.0).abs() < 1e-12);
        assert!((hz_to_mel(6400.0, false) - 42.0).abs() < 1e-12);
        for hz in [0.0, 60.0, 999.0, 1001.0, 20_000.0] {
            for htk in [false, true] {
                assert!((mel_to_hz(hz_to_mel(hz, htk), htk) - hz).abs() < 1e-8);
            }
        }
    }

    #[test]
    fn triangles_without_norm_add_up_to_one_between_the_outer_middles() {
        let params = MelParams { n_mels: 40, norm: false, ..MelParams::default() };
        let bank = MelBank::new(&params, 16_000.0, 8192).unwrap();
        let mut sums = vec![0.0; 4097];
        for band in &bank.bands {
            band.weights.iter().enumerate().for_each(|(i, w)| sums[band.first + i] += w);
        }
        // Lowest and highest band have a neighbour on one side only: 100 Hz to 7 kHz lies between their middles.
        for (k, sum) in
            sums.iter().enumerate().filter(|(k, _)| (100.0..7000.0).contains(&(*k as f64 * 16_000.0 / 8192.0)))
        {
            assert!((sum - 1.0f32).abs() < 1e-6, "bin {k}: {sum}"); // two roundings to f32
        }
    }

    #[test]
    fn wrong_ranges_are_named() {
        let wrong = MelParams { fmax: Some(9000.0), ..MelParams::default() };
        let error = MelBank::new(&wrong, 16_000.0, 512).unwrap_err();
        assert!(matches!(error, Error::OutOfRange { ref name, .. } if name == "fmax"), "{error}");
    }
}
