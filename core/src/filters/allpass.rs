//! All-pass.

use super::params::filter_params;
use super::sections::{Sections, check_below_nyquist};
use crate::dsp::biquad::{Coefficients, SectionList};
use crate::error::Result;

filter_params! {
    /// Turns the phase around a frequency and leaves all gains; makes lopsided speech waveforms symmetric.
    pub struct AllpassParams for "allpass" in Tone, realtime true {
        /// Where the phase is turned by 180 degrees.
        frequency_hz: f64 = 200.0, 10.0 to 90000.0 "Hz";
        /// Quality: how narrow the turn is.
        q: f64 = 0.71, 0.05 to 50.0 "";
        /// Number of equal sections.
        stages: u32 = 2, 1 to 8 "";
    }
}

/// Makes the filter; see [`Sections`].
pub fn build(params: &AllpassParams) -> Sections {
    Sections::live(params, design)
}

fn design(p: &AllpassParams, rate_hz: f64) -> Result<SectionList> {
    check_below_nyquist("allpass.frequency_hz", p.frequency_hz, rate_hz)?;
    let mut list = SectionList::default();
    list.extend(std::iter::repeat_n(Coefficients::allpass(rate_hz, p.frequency_hz, p.q)?, p.stages as usize));
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::sections::tests::measured_gain_db;

    #[test]
    fn gain_is_0_db_everywhere() {
        for freq_hz in [60.0, 187.5, 3_000.0, 20_000.0] {
            let got_db = measured_gain_db(&mut build(&AllpassParams::default()), freq_hz, 48_000);
            assert!(got_db.abs() < 0.002, "{freq_hz}: {got_db}");
        }
    }
}
