//! Band-pass.

use super::params::filter_params;
use super::sections::{Sections, check_below_nyquist};
use crate::dsp::biquad::{Coefficients, SectionList};
use crate::error::Result;

filter_params! {
    /// Keeps a band around a frequency; 0 dB at the centre, 6 dB per octave on each side.
    pub struct BandpassParams for "bandpass" in Tone, realtime true {
        /// Centre.
        frequency_hz: f64 = 1000.0, 10.0 to 90000.0 "Hz";
        /// Quality: centre divided by the width between -3 dB.
        q: f64 = 0.71, 0.05 to 50.0 "";
    }
}

/// Makes the filter; see [`Sections`].
pub fn build(params: &BandpassParams) -> Sections {
    Sections::live(params, design)
}

fn design(p: &BandpassParams, rate_hz: f64) -> Result<SectionList> {
    check_below_nyquist("bandpass.frequency_hz", p.frequency_hz, rate_hz)?;
    Ok(Coefficients::bandpass(rate_hz, p.frequency_hz, p.q)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::sections::tests::measured_gain_db;

    #[test]
    fn passes_the_centre_and_nothing_far_away() {
        let params = BandpassParams { frequency_hz: 3_000.0, q: 1.0 };
        assert!(measured_gain_db(&mut build(&params), 3_000.0, 48_000).abs() < 0.002);
        // 6 dB per octave: 300 Hz is 3.3 octaves down, |H| = 1/sqrt(1 + Q^2 (f/f0 - f0/f)^2) = -20 dB.
        let got_db = measured_gain_db(&mut build(&params), 300.0, 48_000);
        assert!((got_db + 20.0).abs() < 0.3, "{got_db}");
    }
}
