//! Notch.

use super::params::filter_params;
use super::sections::{Sections, TOP, check_below_nyquist};
use crate::dsp::biquad::{Coefficients, SectionList};
use crate::error::Result;

filter_params! {
    /// Removes a narrow band, such as mains hum. Recipes may also call it `bandreject`.
    pub struct NotchParams for "notch" in Tone, realtime true {
        /// Centre, where nothing passes.
        frequency_hz: f64 = 50.0, 10.0 to 90000.0 "Hz";
        /// Quality: centre divided by the width between -3 dB.
        q: f64 = 30.0, 0.1 to 200.0 "";
        /// Number of notches: 1 for the frequency alone, 4 with its harmonics 2 to 4.
        harmonics: u32 = 1, 1 to 16 "";
    }
}

/// Makes the filter; see [`Sections`].
pub fn build(params: &NotchParams) -> Sections {
    Sections::live(params, design)
}

fn design(p: &NotchParams, rate_hz: f64) -> Result<SectionList> {
    check_below_nyquist("notch.frequency_hz", p.frequency_hz, rate_hz)?;
    let mut list = SectionList::default();
    for n in 1..=p.harmonics {
        let freq_hz = f64::from(n) * p.frequency_hz;
        list.push(if freq_hz <= TOP * rate_hz {
            // The same width in Hz for each.
            Coefficients::notch(rate_hz, freq_hz, p.q * f64::from(n))?
        } else {
            Coefficients::IDENTITY
        });
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::sections::tests::measured_gain_db;

    #[test]
    fn removes_the_centre_and_its_harmonics_only() {
        let params = NotchParams { frequency_hz: 750.0, q: 5.0, harmonics: 2 };
        // 750 Hz is 512 periods. What is left is f32 rounding and the end of the transient.
        assert!(measured_gain_db(&mut build(&params), 750.0, 48_000) < -100.0);
        assert!(measured_gain_db(&mut build(&params), 1_500.0, 48_000) < -100.0);
        assert!(measured_gain_db(&mut build(&params), 2_250.0, 48_000) > -0.5);
        // Half the width above and below the centre: -3 dB (and 0.1 dB of the other notch).
        let low = measured_gain_db(&mut build(&NotchParams { harmonics: 1, ..params }), 750.0 + 75.0, 48_000);
        assert!((low + 3.0).abs() < 0.4, "{low}");
    }
}
