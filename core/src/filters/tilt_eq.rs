//! Tilt equaliser.

use super::params::filter_params;
use super::sections::{Sections, check_below_nyquist};
use crate::dsp::biquad::{Coefficients, SectionList};
use crate::error::Result;

filter_params! {
    /// Tilts the spectrum around a frequency: highs up and lows down by the same dB, or the reverse.
    pub struct TiltEqParams for "tilt_eq" in Tone, realtime true {
        /// Frequency that keeps its level.
        pivot_hz: f64 = 700.0, 50.0 to 20000.0 "Hz";
        /// Gain far above the pivot; far below it is the negative.
        gain_db: f64 = 0.0, -12.0 to 12.0 "dB";
    }
}

/// Makes the filter; see [`Sections`].
pub fn build(params: &TiltEqParams) -> Sections {
    Sections::live(params, design)
}

fn design(p: &TiltEqParams, rate_hz: f64) -> Result<SectionList> {
    check_below_nyquist("tilt_eq.pivot_hz", p.pivot_hz, rate_hz)?;
    // A first-order high shelf of twice the gain, lowered by the gain.
    let mut c = Coefficients::high_shelf1(rate_hz, p.pivot_hz, 2.0 * p.gain_db)?;
    let factor = 10f64.powf(-p.gain_db / 20.0);
    (c.b0, c.b1, c.b2) = (c.b0 * factor, c.b1 * factor, c.b2 * factor);
    Ok(c.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::sections::tests::measured_gain_db;

    #[test]
    fn ends_are_opposite_and_the_pivot_stays() {
        // At 1.5 Hz and 23.5 kHz a first-order shelf around 750 Hz is within 0.01 dB of its ends.
        for (freq_hz, want_db) in [(1.5, -4.0), (750.0, 0.0), (23_500.0, 4.0)] {
            let got_db = measured_gain_db(&mut build(&TiltEqParams { pivot_hz: 750.0, gain_db: 4.0 }), freq_hz, 48_000);
            assert!((got_db - want_db).abs() < 0.02, "{freq_hz}: {got_db}");
        }
    }
}
