//! Butterworth high-pass.

use super::params::filter_params;
use super::sections::{Sections, check_below_nyquist};
use crate::dsp::biquad::{Coefficients, SectionList};
use crate::error::Result;

filter_params! {
    /// Removes what lies below a frequency: Butterworth, 6 dB per octave and order.
    pub struct HighpassParams for "highpass" in Tone, realtime true {
        /// Frequency of -3 dB.
        cutoff_hz: f64 = 80.0, 5.0 to 90000.0 "Hz";
        /// Order; each gives 6 dB per octave.
        order: u32 = 2, 1 to 12 "";
    }
}

/// Makes the filter; see [`Sections`].
pub fn build(params: &HighpassParams) -> Sections {
    Sections::live(params, design)
}

fn design(p: &HighpassParams, rate_hz: f64) -> Result<SectionList> {
    check_below_nyquist("highpass.cutoff_hz", p.cutoff_hz, rate_hz)?;
    Coefficients::butterworth_highpass_list(rate_hz, p.cutoff_hz, p.order as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::sections::tests::measured_gain_db;

    #[test]
    fn measured_gain_follows_the_butterworth_formula() {
        for order in [1, 2, 4, 7] {
            for freq_hz in [50.0, 100.0, 200.0, 1_000.0] {
                let mut f = build(&HighpassParams { cutoff_hz: 100.0, order });
                let got_db = measured_gain_db(&mut f, freq_hz, 48_000);
                // The test tone is rounded to whole periods (0.7 Hz): compare at that frequency.
                let hz = (freq_hz * 32_768.0f64 / 48_000.0).round() * 48_000.0 / 32_768.0;
                let w = |f: f64| (std::f64::consts::PI * f / 48_000.0).tan();
                let want_db = -10.0 * (1.0 + (w(100.0) / w(hz)).powi(2 * order as i32)).log10();
                // f32 rounding of a tone at -20 dBFS: under 0.001 dB down to -60 dB of gain.
                assert!((got_db - want_db).abs() < 0.002, "{order} {freq_hz}: {got_db} {want_db}");
            }
        }
    }
}
