//! Parametric equaliser: any number of bands in one pass, calculated in f64 from end to end.
//!
//! Sections of R. Bristow-Johnson, *Audio EQ Cookbook* (W3C Note, 2021); see [`crate::dsp::biquad`].

use super::params::{ParamKind, ParamValue, filter_choice, filter_params};
use super::sections::{Sections, check_below_nyquist};
use crate::dsp::biquad::Coefficients;
use crate::error::{Error, Result};

filter_choice! {
    /// Shape of a band.
    pub enum EqBandKind {
        Peak = "peak": "Bell around the frequency.",
        LowShelf = "low_shelf": "Everything below the frequency, which has half of the dB.",
        HighShelf = "high_shelf": "Everything above the frequency, which has half of the dB.",
        Lowpass = "lowpass": "Removes what is above the frequency, 12 dB per octave; no gain.",
        Highpass = "highpass": "Removes what is below the frequency, 12 dB per octave; no gain.",
        Bandpass = "bandpass": "Leaves what is around the frequency; no gain.",
        Notch = "notch": "Removes the frequency; no gain.",
        Allpass = "allpass": "Turns the phase only; no gain.",
    }
}

/// One band of a [`ParametricEqParams`].
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EqBand {
    /// Shape. Default: `peak`.
    #[serde(rename = "type")]
    pub kind: EqBandKind,
    /// Centre or corner. 5 to 90000 Hz, default 1000.
    #[schemars(range(min = 5.0, max = 90_000.0))]
    #[serde(alias = "freq_hz")]
    pub frequency_hz: f64,
    /// Gain of a peak or shelf. -40 to 40 dB, default 0.
    #[schemars(range(min = -40.0, max = 40.0))]
    pub gain_db: f64,
    /// Quality: centre divided by bandwidth; for shelves and passes 0.71 is the steepest without overshoot. 0.05 to 50,
    /// default 0.71.
    #[schemars(range(min = 0.05, max = 50.0))]
    pub q: f64,
}

impl Default for EqBand {
    fn default() -> Self {
        Self { kind: EqBandKind::Peak, frequency_hz: 1000.0, gain_db: 0.0, q: 0.71 }
    }
}

/// Most bands.
const MAX_BANDS: usize = 64;

impl ParamValue for Vec<EqBand> {
    const KIND: ParamKind = ParamKind::List;

    fn check_parts(&self, name: &str) -> Result<()> {
        Error::check_range(name, self.len() as f64, 0.0, MAX_BANDS as f64, "bands")?;
        for (n, band) in self.iter().enumerate() {
            Error::check_range(&format!("{name}[{n}].frequency_hz"), band.frequency_hz, 5.0, 90_000.0, "Hz")?;
            Error::check_range(&format!("{name}[{n}].gain_db"), band.gain_db, -40.0, 40.0, "dB")?;
            Error::check_range(&format!("{name}[{n}].q"), band.q, 0.05, 50.0, "")?;
        }
        Ok(())
    }
}

filter_params! {
    /// Equaliser of up to 64 bands, each a bell, shelf, pass or notch.
    pub struct ParametricEqParams for "parametric_eq" in Tone, realtime true {
        /// The bands: objects with `type`, `frequency_hz`, `gain_db` and `q`. None changes nothing.
        bands: Vec<EqBand> = Vec::new();
    }
}

impl EqBand {
    /// The section of the band.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]: a frequency that does not fit the rate.
    pub fn section(&self, rate_hz: f64) -> Result<Coefficients> {
        let (f, q, gain_db) = (self.frequency_hz, self.q, self.gain_db);
        match self.kind {
            EqBandKind::Peak => Coefficients::peak(rate_hz, f, q, gain_db),
            EqBandKind::LowShelf => Coefficients::low_shelf(rate_hz, f, q, gain_db),
            EqBandKind::HighShelf => Coefficients::high_shelf(rate_hz, f, q, gain_db),
            EqBandKind::Lowpass => Coefficients::lowpass(rate_hz, f, q),
            EqBandKind::Highpass => Coefficients::highpass(rate_hz, f, q),
            EqBandKind::Bandpass => Coefficients::bandpass(rate_hz, f, q),
            EqBandKind::Notch => Coefficients::notch(rate_hz, f, q),
            EqBandKind::Allpass => Coefficients::allpass(rate_hz, f, q),
        }
    }

    /// True for a bell or shelf of 0 dB.
    fn does_nothing(&self) -> bool {
        self.gain_db == 0.0 && matches!(self.kind, EqBandKind::Peak | EqBandKind::LowShelf | EqBandKind::HighShelf)
    }
}

/// Makes the filter; see [`Sections`].
pub fn build(params: &ParametricEqParams) -> Sections {
    let p = params.clone();
    Sections::new(move |rate_hz| {
        for (n, band) in p.bands.iter().enumerate() {
            check_below_nyquist(&format!("parametric_eq.bands[{n}].frequency_hz"), band.frequency_hz, rate_hz)?;
        }
        p.bands.iter().filter(|b| !b.does_nothing()).map(|b| b.section(rate_hz)).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::FilterSpec;
    use crate::filters::sections::tests::measured_gain_db;

    #[test]
    fn the_gain_is_the_sum_of_all_bands_in_db() {
        let tone = |k: f64| k * 48_000.0 / 32_768.0; // whole periods
        let bands = vec![
            EqBand { kind: EqBandKind::Highpass, frequency_hz: 70.0, ..Default::default() },
            EqBand { kind: EqBandKind::LowShelf, frequency_hz: 200.0, gain_db: -3.0, ..Default::default() },
            EqBand { frequency_hz: 1_500.0, gain_db: 6.0, q: 2.0, ..Default::default() },
            EqBand { kind: EqBandKind::Notch, frequency_hz: 4_000.0, q: 5.0, ..Default::default() },
            EqBand { kind: EqBandKind::Allpass, frequency_hz: 900.0, ..Default::default() },
            EqBand { kind: EqBandKind::HighShelf, frequency_hz: 8_000.0, gain_db: 4.0, ..Default::default() },
            EqBand { kind: EqBandKind::Lowpass, frequency_hz: 16_000.0, ..Default::default() },
            EqBand { frequency_hz: 333.0, gain_db: 0.0, ..Default::default() },
        ];
        let sections: Vec<_> = bands.iter().map(|b| b.section(48_000.0).unwrap()).collect();
        for k in [40.0, 137.0, 700.0, 1_100.0, 2_500.0, 6_000.0, 12_000.0] {
            let want_db = crate::dsp::biquad::cascade_gain_db(&sections, tone(k), 48_000.0);
            let mut f = build(&ParametricEqParams { bands: bands.clone() });
            // f32 rounding of a tone at -20 dBFS; at 59 Hz the start of the high-pass still rings by 0.001 dB.
            let got_db = measured_gain_db(&mut f, tone(k), 48_000);
            assert!((got_db - want_db).abs() < 0.003, "{k}: {got_db} {want_db}");
        }
    }

    #[test]
    fn bands_are_read_from_json_and_mistakes_are_named() {
        let parse = |text: &str| FilterSpec::parse(text);
        let good = r#"{"type":"parametric_eq","bands":[{"type":"low_shelf","freq_hz":90,"gain_db":-2}]}"#;
        let FilterSpec::ParametricEq(p) = parse(good).unwrap() else { panic!() };
        assert_eq!((p.bands[0].kind, p.bands[0].frequency_hz, p.bands[0].q), (EqBandKind::LowShelf, 90.0, 0.71));
        let e = parse(r#"{"type":"parametric_eq","bands":[{},{"gain_db":60}]}"#).unwrap_err();
        assert_eq!(e.to_string(), "parametric_eq.bands[1].gain_db is 60 dB, allowed is -40 to 40 dB");
        assert!(parse(r#"{"type":"parametric_eq","bands":[{"gain":3}]}"#).is_err());
    }
}
