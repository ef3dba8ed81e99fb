//! Butterworth low-pass.

use super::params::filter_params;
use super::sections::{Sections, TOP};
use crate::dsp::biquad::{Coefficients, SectionList};
use crate::error::Result;

filter_params! {
    /// Removes what lies above a frequency: Butterworth, 6 dB per octave and order.
    pub struct LowpassParams for "lowpass" in Tone, realtime true {
        /// Frequency of -3 dB.
        cutoff_hz: f64 = 16000.0, 10.0 to 90000.0 "Hz";
        /// Order; each gives 6 dB per octave.
        order: u32 = 2, 1 to 12 "";
    }
}

/// Makes the filter; see [`Sections`].
pub fn build(params: &LowpassParams) -> Sections {
    Sections::live(params, design)
}

fn design(p: &LowpassParams, rate_hz: f64) -> Result<SectionList> {
    // At or above the Nyquist frequency there is nothing to remove: a 16 kHz low-pass in a chain for any rate.
    if p.cutoff_hz >= TOP * rate_hz {
        let mut list = SectionList::default();
        list.extend(std::iter::repeat_n(Coefficients::IDENTITY, p.order.div_ceil(2) as usize));
        return Ok(list);
    }
    Coefficients::butterworth_lowpass_list(rate_hz, p.cutoff_hz, p.order as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::sections::tests::measured_gain_db;

    #[test]
    fn is_3_db_down_at_its_frequency_and_identity_above_the_band() {
        for order in [1, 2, 5, 12] {
            let got_db = measured_gain_db(&mut build(&LowpassParams { cutoff_hz: 3_000.0, order }), 3_000.0, 48_000);
            assert!((got_db + 3.0103).abs() < 0.002, "{order}: {got_db}"); // 3000 Hz is a whole number of periods
        }
        let got_db = measured_gain_db(&mut build(&LowpassParams { cutoff_hz: 16_000.0, order: 4 }), 3_000.0, 16_000);
        assert!(got_db.abs() < 1e-4, "{got_db}");
    }
}
