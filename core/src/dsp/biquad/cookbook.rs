//! Second-order designs of the *Audio EQ Cookbook*.

use std::f64::consts::{LN_2, PI};

use super::Coefficients;
use crate::error::{Error, Result};

/// How wide a section acts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Width {
    /// Quality factor: 0.7071 is a Butterworth section. Above 0.
    Q(f64),
    /// Bandwidth in octaves between the -3 dB points (between the midpoint gains for `peak`). Above 0.
    Octaves(f64),
    /// Slope of a shelf: 1 is the steepest without overshoot. Above 0.
    Slope(f64),
}

impl From<f64> for Width {
    /// A plain number is a Q.
    fn from(q: f64) -> Self {
        Self::Q(q)
    }
}

/// What every cookbook design starts from.
struct Design {
    cos_w0: f64,
    sin_w0: f64,
    alpha: f64,
    /// Square root of the linear gain at the centre or on the shelf.
    amplitude: f64,
}

impl Design {
    fn new(rate_hz: f64, freq_hz: f64, width: Width, gain_db: f64) -> Result<Self> {
        let w0 = angle(rate_hz, freq_hz)?;
        Error::check_range("gain_db", gain_db, -240.0, 240.0, "dB")?;
        let amplitude = 10f64.powf(gain_db / 40.0);
        let (sin_w0, cos_w0) = w0.sin_cos();
        let alpha = match width {
            Width::Q(q) => {
                Error::check_range("q", q, 1e-4, 1e6, "")?;
                sin_w0 / (2.0 * q)
            }
            Width::Octaves(octaves) => {
                Error::check_range("bandwidth_octaves", octaves, 1e-4, 20.0, "octaves")?;
                sin_w0 * (LN_2 / 2.0 * octaves * w0 / sin_w0).sinh()
            }
            Width::Slope(slope) => {
                // Where the root below would be imaginary the shelf does not exist.
                let sum = amplitude + 1.0 / amplitude;
                let max = if sum > 2.0 { sum / (sum - 2.0) } else { f64::MAX };
                Error::check_range("slope", slope, 1e-4, max, "")?;
                sin_w0 / 2.0 * (sum * (1.0 / slope - 1.0) + 2.0).max(0.0).sqrt()
            }
        };
        Ok(Self { cos_w0, sin_w0, alpha, amplitude })
    }
}

/// Angular frequency in rad/sample of a frequency inside the band.
pub(super) fn angle(rate_hz: f64, freq_hz: f64) -> Result<f64> {
    Error::check_range("rate_hz", rate_hz, 1.0, 1e9, "Hz")?;
    // The top is just under the Nyquist frequency, where the bilinear transform has no answer.
    Error::check_range("freq_hz", freq_hz, 1e-6 * rate_hz, 0.499_999 * rate_hz, "Hz")?;
    Ok(2.0 * PI * freq_hz / rate_hz)
}

impl Coefficients {
    /// 12 dB per octave low-pass.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]: `freq_hz` not between 0 and half of `rate_hz`, `width` not positive. The same for all
    /// designs below.
    pub fn lowpass(rate_hz: f64, freq_hz: f64, width: impl Into<Width>) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), 0.0)?;
        let k = 1.0 - d.cos_w0;
        Ok(Self::normalised([k / 2.0, k, k / 2.0], [1.0 + d.alpha, -2.0 * d.cos_w0, 1.0 - d.alpha]))
    }

    /// 12 dB per octave high-pass.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn highpass(rate_hz: f64, freq_hz: f64, width: impl Into<Width>) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), 0.0)?;
        let k = 1.0 + d.cos_w0;
        Ok(Self::normalised([k / 2.0, -k, k / 2.0], [1.0 + d.alpha, -2.0 * d.cos_w0, 1.0 - d.alpha]))
    }

    /// Band-pass with 0 dB at the centre.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn bandpass(rate_hz: f64, freq_hz: f64, width: impl Into<Width>) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), 0.0)?;
        Ok(Self::normalised([d.alpha, 0.0, -d.alpha], [1.0 + d.alpha, -2.0 * d.cos_w0, 1.0 - d.alpha]))
    }

    /// Band-pass with constant skirt gain: the gain at the centre is Q.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn bandpass_skirt(rate_hz: f64, freq_hz: f64, width: impl Into<Width>) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), 0.0)?;
        let k = d.sin_w0 / 2.0;
        Ok(Self::normalised([k, 0.0, -k], [1.0 + d.alpha, -2.0 * d.cos_w0, 1.0 - d.alpha]))
    }

    /// Notch: no gain at the centre.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn notch(rate_hz: f64, freq_hz: f64, width: impl Into<Width>) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), 0.0)?;
        let k = -2.0 * d.cos_w0;
        Ok(Self::normalised([1.0, k, 1.0], [1.0 + d.alpha, k, 1.0 - d.alpha]))
    }

    /// All-pass: turns the phase by 180 degrees at `freq_hz`, 360 in all.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn allpass(rate_hz: f64, freq_hz: f64, width: impl Into<Width>) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), 0.0)?;
        let k = -2.0 * d.cos_w0;
        Ok(Self::normalised([1.0 - d.alpha, k, 1.0 + d.alpha], [1.0 + d.alpha, k, 1.0 - d.alpha]))
    }

    /// Bell of `gain_db` at `freq_hz`.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`], and `gain_db` beyond +/-240.
    pub fn peak(rate_hz: f64, freq_hz: f64, width: impl Into<Width>, gain_db: f64) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), gain_db)?;
        let (up, down, k) = (d.alpha * d.amplitude, d.alpha / d.amplitude, -2.0 * d.cos_w0);
        Ok(Self::normalised([1.0 + up, k, 1.0 - up], [1.0 + down, k, 1.0 - down]))
    }

    /// Shelf of `gain_db` below `freq_hz` (half of the dB at `freq_hz`).
    ///
    /// # Errors
    /// As [`Coefficients::peak`], and a slope that is too steep for the gain.
    pub fn low_shelf(rate_hz: f64, freq_hz: f64, width: impl Into<Width>, gain_db: f64) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), gain_db)?;
        let (a, c) = (d.amplitude, d.cos_w0);
        let s = 2.0 * a.sqrt() * d.alpha;
        Ok(Self::normalised(
            [a * (a + 1.0 - (a - 1.0) * c + s), 2.0 * a * (a - 1.0 - (a + 1.0) * c), a * (a + 1.0 - (a - 1.0) * c - s)],
            [a + 1.0 + (a - 1.0) * c + s, -2.0 * (a - 1.0 + (a + 1.0) * c), a + 1.0 + (a - 1.0) * c - s],
        ))
    }

    /// Shelf of `gain_db` above `freq_hz` (half of the dB at `freq_hz`).
    ///
    /// # Errors
    /// As [`Coefficients::low_shelf`].
    pub fn high_shelf(rate_hz: f64, freq_hz: f64, width: impl Into<Width>, gain_db: f64) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), gain_db)?;
        let (a, c) = (d.amplitude, d.cos_w0);
        let s = 2.0 * a.sqrt() * d.alpha;
        Ok(Self::normalised(
            [
                a * (a + 1.0 + (a - 1.0) * c + s),
                -2.0 * a * (a - 1.0 + (a + 1.0) * c),
                a * (a + 1.0 + (a - 1.0) * c - s),
            ],
            [a + 1.0 - (a - 1.0) * c + s, 2.0 * (a - 1.0 - (a + 1.0) * c), a + 1.0 - (a - 1.0) * c - s],
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shelves_and_bells_have_the_stated_gains() {
        let rate_hz = 48_000.0;
        for gain_db in [-12.0, 3.0, 9.0] {
            let low = Coefficients::low_shelf(rate_hz, 200.0, Width::Slope(0.9), gain_db).unwrap();
            let high = Coefficients::high_shelf(rate_hz, 5_000.0, 0.707, gain_db).unwrap();
            let bell = Coefficients::peak(rate_hz, 1_000.0, Width::Octaves(1.0), gain_db).unwrap();
            let low1 = Coefficients::low_shelf1(rate_hz, 200.0, gain_db).unwrap();
            let high1 = Coefficients::high_shelf1(rate_hz, 5_000.0, gain_db).unwrap();
            for (c, freq_hz, want_db) in [
                (low, 0.0, gain_db),
                (low, 200.0, gain_db / 2.0),
                (low, 24_000.0, 0.0),
                (high, 0.0, 0.0),
                (high, 5_000.0, gain_db / 2.0),
                (high, 24_000.0, gain_db),
                (bell, 1_000.0, gain_db),
                (bell, 0.0, 0.0),
                (low1, 0.0, gain_db),
                (low1, 200.0, gain_db / 2.0),
                (low1, 24_000.0, 0.0),
                (high1, 0.0, 0.0),
                (high1, 5_000.0, gain_db / 2.0),
                (high1, 24_000.0, gain_db),
            ] {
                let got_db = c.gain_db(freq_hz, rate_hz);
                assert!((got_db - want_db).abs() < 1e-6, "{freq_hz} Hz: {got_db}, not {want_db}");
            }
        }
    }

    #[test]
    fn all_passes_pass_all() {
        for c in [
            Coefficients::allpass(48_000.0, 700.0, 2.0).unwrap(),
            Coefficients::allpass1(48_000.0, 700.0).unwrap(),
            Coefficients::IDENTITY,
        ] {
            for freq_hz in [1.0, 700.0, 9_000.0, 23_000.0] {
                assert!(c.gain_db(freq_hz, 48_000.0).abs() < 1e-9);
            }
        }
        let (re, im) = Coefficients::allpass1(48_000.0, 700.0).unwrap().response(700.0, 48_000.0);
        assert!(re.abs() < 1e-12 && (im + 1.0).abs() < 1e-12, "minus 90 degrees: {re} {im}");
    }

    #[test]
    fn what_cannot_be_designed_is_refused_by_name() {
        let name = |r: Result<Coefficients>| match r {
            Err(Error::OutOfRange { name, .. }) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(name(Coefficients::lowpass(48_000.0, 24_000.0, 0.7)), "freq_hz");
        assert_eq!(name(Coefficients::lowpass(48_000.0, f64::NAN, 0.7)), "freq_hz");
        assert_eq!(name(Coefficients::lowpass(f64::INFINITY, 100.0, 0.7)), "rate_hz");
        assert_eq!(name(Coefficients::lowpass(48_000.0, 100.0, 0.0)), "q");
        assert_eq!(name(Coefficients::peak(48_000.0, 100.0, Width::Octaves(-1.0), 3.0)), "bandwidth_octaves");
        assert_eq!(name(Coefficients::low_shelf(48_000.0, 100.0, Width::Slope(9.0), 12.0)), "slope");
        assert_eq!(name(Coefficients::peak(48_000.0, 100.0, 1.0, f64::NAN)), "gain_db");
        assert!(Coefficients::butterworth_lowpass(48_000.0, 100.0, 13).is_err());
    }
}
