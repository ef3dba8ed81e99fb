//! First-order designs: bilinear transforms of one real pole, with the frequency pre-warped.

use super::Coefficients;
use super::cookbook::angle;
use crate::error::{Error, Result};

impl Coefficients {
    /// First-order (6 dB per octave) low-pass, -3 dB at `freq_hz`.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn lowpass1(rate_hz: f64, freq_hz: f64) -> Result<Self> {
        let k = (angle(rate_hz, freq_hz)? / 2.0).tan();
        Ok(Self::normalised([k, k, 0.0], [1.0 + k, k - 1.0, 0.0]))
    }

    /// First-order high-pass, -3 dB at `freq_hz`.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn highpass1(rate_hz: f64, freq_hz: f64) -> Result<Self> {
        let k = (angle(rate_hz, freq_hz)? / 2.0).tan();
        Ok(Self::normalised([1.0, -1.0, 0.0], [1.0 + k, k - 1.0, 0.0]))
    }

    /// First-order all-pass: turns the phase by 90 degrees at `freq_hz`.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn allpass1(rate_hz: f64, freq_hz: f64) -> Result<Self> {
        let k = (angle(rate_hz, freq_hz)? / 2.0).tan();
        Ok(Self::normalised([k - 1.0, k + 1.0, 0.0], [1.0 + k, k - 1.0, 0.0]))
    }

    /// First-order shelf of `gain_db` below `freq_hz`, where it has half of the dB.
    ///
    /// # Errors
    /// As [`Coefficients::peak`].
    pub fn low_shelf1(rate_hz: f64, freq_hz: f64, gain_db: f64) -> Result<Self> {
        let k = (angle(rate_hz, freq_hz)? / 2.0).tan();
        Error::check_range("gain_db", gain_db, -240.0, 240.0, "dB")?;
        let r = 10f64.powf(gain_db / 40.0); // H(s) = (s + r) / (s + 1/r)
        Ok(Self::normalised([1.0 + k * r, k * r - 1.0, 0.0], [1.0 + k / r, k / r - 1.0, 0.0]))
    }

    /// First-order shelf of `gain_db` above `freq_hz`, where it has half of the dB.
    ///
    /// # Errors
    /// As [`Coefficients::peak`].
    pub fn high_shelf1(rate_hz: f64, freq_hz: f64, gain_db: f64) -> Result<Self> {
        let k = (angle(rate_hz, freq_hz)? / 2.0).tan();
        Error::check_range("gain_db", gain_db, -240.0, 240.0, "dB")?;
        let r = 10f64.powf(gain_db / 40.0); // H(s) = (r s + 1) / (s / r + 1)
        Ok(Self::normalised([r + k, k - r, 0.0], [1.0 / r + k, k - 1.0 / r, 0.0]))
    }
}
