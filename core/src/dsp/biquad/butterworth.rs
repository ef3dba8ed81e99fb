//! Butterworth cascades: sections of the cookbook with the Q of each pole pair.

use std::f64::consts::PI;

use super::{Coefficients, SectionList};
use crate::error::{Error, Result};

impl Coefficients {
    /// Sections of a Butterworth low-pass of `order` 1 to 12, -3 dB at `freq_hz`, the lowest Q first.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`], and `order` outside 1 to 12.
    pub fn butterworth_lowpass(rate_hz: f64, freq_hz: f64, order: usize) -> Result<Vec<Self>> {
        Ok(Self::butterworth_lowpass_list(rate_hz, freq_hz, order)?.to_vec())
    }

    /// As [`Coefficients::butterworth_lowpass`], without allocation.
    ///
    /// # Errors
    /// As [`Coefficients::butterworth_lowpass`].
    pub fn butterworth_lowpass_list(rate_hz: f64, freq_hz: f64, order: usize) -> Result<SectionList> {
        butterworth(order, || Self::lowpass1(rate_hz, freq_hz), |q| Self::lowpass(rate_hz, freq_hz, q))
    }

    /// Sections of a Butterworth high-pass of `order` 1 to 12, -3 dB at `freq_hz`, the lowest Q first.
    ///
    /// # Errors
    /// As [`Coefficients::butterworth_lowpass`].
    pub fn butterworth_highpass(rate_hz: f64, freq_hz: f64, order: usize) -> Result<Vec<Self>> {
        Ok(Self::butterworth_highpass_list(rate_hz, freq_hz, order)?.to_vec())
    }

    /// As [`Coefficients::butterworth_highpass`], without allocation.
    ///
    /// # Errors
    /// As [`Coefficients::butterworth_lowpass`].
    pub fn butterworth_highpass_list(rate_hz: f64, freq_hz: f64, order: usize) -> Result<SectionList> {
        butterworth(order, || Self::highpass1(rate_hz, freq_hz), |q| Self::highpass(rate_hz, freq_hz, q))
    }
}

fn butterworth(
    order: usize,
    first: impl Fn() -> Result<Coefficients>,
    second: impl Fn(f64) -> Result<Coefficients>,
) -> Result<SectionList> {
    Error::check_range("order", order as f64, 1.0, 12.0, "")?;
    let mut sections = SectionList::default();
    if order % 2 == 1 {
        sections.push(first()?);
    }
    // Pole pairs lie at the angles pi (2k + 1) / (2 order) from the imaginary axis; the last is the least resonant.
    for k in (0..order / 2).rev() {
        let angle = PI * (2 * k + 1) as f64 / (2 * order) as f64;
        sections.push(second(1.0 / (2.0 * angle.sin()))?);
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::biquad::cascade_gain_db;

    #[test]
    fn butterworth_is_3_db_down_at_its_frequency_for_every_order_and_rate() {
        for order in 1..=12 {
            for rate_hz in [8_000.0, 44_100.0, 48_000.0, 192_000.0] {
                for freq_hz in [20.0, 1_000.0, 0.45 * rate_hz] {
                    let low = Coefficients::butterworth_lowpass(rate_hz, freq_hz, order).unwrap();
                    let high = Coefficients::butterworth_highpass(rate_hz, freq_hz, order).unwrap();
                    for sections in [low, high] {
                        assert!(sections.iter().all(Coefficients::is_stable));
                        // |H| = 1/sqrt(2) exactly; f64 rounding near z = 1 (20 Hz at 192 kHz) costs 1e-6 dB.
                        let got_db = cascade_gain_db(&sections, freq_hz, rate_hz);
                        assert!((got_db + 3.010_299_957).abs() < 1e-4, "{order} {rate_hz} {freq_hz}: {got_db}");
                    }
                }
            }
        }
    }

    #[test]
    fn butterworth_magnitude_is_maximally_flat() {
        // |H|^2 = 1 / (1 + (tan(w/2) / tan(wc/2))^(2n)) after the bilinear transform.
        let (rate_hz, cut_hz) = (48_000.0, 1_000.0);
        for order in 1..=12usize {
            let sections = Coefficients::butterworth_lowpass(rate_hz, cut_hz, order).unwrap();
            for freq_hz in [10.0, 300.0, 900.0, 1_100.0, 2_000.0] {
                let ratio = (PI * freq_hz / rate_hz).tan() / (PI * cut_hz / rate_hz).tan();
                let want_db = -10.0 * (1.0 + ratio.powi(2 * order as i32)).log10();
                let got_db = cascade_gain_db(&sections, freq_hz, rate_hz);
                assert!((got_db - want_db).abs() < 1e-6, "{order} {freq_hz}: {got_db} {want_db}");
            }
        }
    }
}
