//! Bell equaliser.

use super::params::filter_params;
use super::sections::{Sections, check_below_nyquist};
use crate::dsp::biquad::{Coefficients, SectionList};
use crate::error::Result;

filter_params! {
    /// Raises or lowers a band around a frequency.
    pub struct PeakEqParams for "peak_eq" in Tone, realtime true {
        /// Centre.
        frequency_hz: f64 = 1000.0, 10.0 to 90000.0 "Hz";
        /// Gain at the centre.
        gain_db: f64 = 0.0, -40.0 to 40.0 "dB";
        /// Quality: centre divided by bandwidth.
        q: f64 = 1.0, 0.05 to 50.0 "";
    }
}

/// Makes the filter; see [`Sections`].
pub fn build(params: &PeakEqParams) -> Sections {
    Sections::live(params, design)
}

fn design(p: &PeakEqParams, rate_hz: f64) -> Result<SectionList> {
    check_below_nyquist("peak_eq.frequency_hz", p.frequency_hz, rate_hz)?;
    Ok(Coefficients::peak(rate_hz, p.frequency_hz, p.q, p.gain_db)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::sections::tests::measured_gain_db;

    #[test]
    fn gain_is_whole_at_the_centre_and_none_far_away() {
        for (freq_hz, want_db) in [(3_000.0, 9.0), (15.0, 0.0)] {
            let mut f = build(&PeakEqParams { frequency_hz: 3_000.0, gain_db: 9.0, q: 2.0 });
            let got_db = measured_gain_db(&mut f, freq_hz, 48_000);
            assert!((got_db - want_db).abs() < 0.002, "{freq_hz}: {got_db}");
        }
    }
}
