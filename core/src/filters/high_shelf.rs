//! High shelf.

use super::params::filter_params;
use super::sections::{Sections, check_below_nyquist};
use crate::dsp::biquad::{Coefficients, SectionList};
use crate::error::Result;

filter_params! {
    /// Raises or lowers what lies above a frequency.
    pub struct HighShelfParams for "high_shelf" in Tone, realtime true {
        /// Frequency of half the gain in dB.
        frequency_hz: f64 = 8000.0, 10.0 to 90000.0 "Hz";
        /// Gain of the shelf.
        gain_db: f64 = 0.0, -40.0 to 40.0 "dB";
        /// Quality; 0.71 is the steepest without overshoot.
        q: f64 = 0.71, 0.1 to 2.0 "";
    }
}

/// Makes the filter; see [`Sections`].
pub fn build(params: &HighShelfParams) -> Sections {
    Sections::live(params, design)
}

fn design(p: &HighShelfParams, rate_hz: f64) -> Result<SectionList> {
    check_below_nyquist("high_shelf.frequency_hz", p.frequency_hz, rate_hz)?;
    Ok(Coefficients::high_shelf(rate_hz, p.frequency_hz, p.q, p.gain_db)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::sections::tests::measured_gain_db;

    #[test]
    fn gain_is_whole_above_half_at_and_none_below() {
        for (freq_hz, want_db) in [(20.0, 0.0), (3_000.0, -3.0), (23_500.0, -6.0)] {
            let mut f = build(&HighShelfParams { frequency_hz: 3_000.0, gain_db: -6.0, q: 0.71 });
            let got_db = measured_gain_db(&mut f, freq_hz, 48_000);
            assert!((got_db - want_db).abs() < 0.005, "{freq_hz}: {got_db}");
        }
    }
}
