//! What the filters of the classic families (Butterworth, Chebyshev, Bessel) share: which band passes.

use super::params::filter_choice;
use super::sections::check_below_nyquist;
use crate::dsp::iir::Band;
use crate::error::{Error, Result};

filter_choice! {
    /// What passes.
    pub enum BandKind {
        Lowpass = "lowpass": "What lies below `frequency_hz`.",
        Highpass = "highpass": "What lies above `frequency_hz`.",
        Bandpass = "bandpass": "What lies between `low_hz` and `high_hz`.",
        Bandstop = "bandstop": "What lies outside `low_hz` and `high_hz`.",
    }
}

/// The band of a kind; checks those frequencies that it uses against the rate and each other.
pub(super) fn band(
    filter: &str,
    kind: BandKind,
    frequency_hz: f64,
    (low_hz, high_hz): (f64, f64),
    rate_hz: f64,
) -> Result<Band> {
    match kind {
        BandKind::Lowpass | BandKind::Highpass => {
            check_below_nyquist(&format!("{filter}.frequency_hz"), frequency_hz, rate_hz)?;
            Ok(if kind == BandKind::Lowpass { Band::Lowpass(frequency_hz) } else { Band::Highpass(frequency_hz) })
        }
        BandKind::Bandpass | BandKind::Bandstop => {
            check_below_nyquist(&format!("{filter}.high_hz"), high_hz, rate_hz)?;
            // A hundredth of an octave: what is narrower is a notch or a tone.
            Error::check_range(&format!("{filter}.low_hz"), low_hz, 1.0, high_hz * 0.993_092, "Hz")?;
            Ok(if kind == BandKind::Bandpass {
                Band::Bandpass(low_hz, high_hz)
            } else {
                Band::Bandstop(low_hz, high_hz)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_frequencies_in_use_are_checked() {
        assert!(band("x", BandKind::Lowpass, 100.0, (9.0, 3.0), 8_000.0).is_ok());
        assert!(band("x", BandKind::Bandstop, 1e6, (100.0, 300.0), 8_000.0).is_ok());
        let e = band("x", BandKind::Bandpass, 100.0, (300.0, 200.0), 8_000.0).unwrap_err();
        assert!(e.to_string().starts_with("x.low_hz is 300 Hz"), "{e}");
        let e = band("x", BandKind::Highpass, 5_000.0, (1.0, 2.0), 8_000.0).unwrap_err();
        assert!(e.to_string().starts_with("x.frequency_hz is 5000 Hz"), "{e}");
    }
}
