//! Butterworth filters of any band form; the maths is in [`crate::dsp::iir`].

use super::iir_band::{BandKind, band};
use super::params::filter_params;
use super::sections::Sections;
use crate::dsp::iir::{Prototype, design};

filter_params! {
    /// Low-pass, high-pass, band-pass or band-stop without ripples: Butterworth.
    pub struct ButterworthParams for "butterworth" in Tone, realtime true {
        /// What passes.
        kind: BandKind = BandKind::Lowpass;
        /// Edge of a low-pass or high-pass: -3 dB.
        frequency_hz: f64 = 1000.0, 5.0 to 90000.0 "Hz";
        /// Lower edge of a band.
        low_hz: f64 = 300.0, 5.0 to 90000.0 "Hz";
        /// Upper edge of a band.
        high_hz: f64 = 3400.0, 5.0 to 90000.0 "Hz";
        /// Order of the low-pass it is made from; a band filter has this slope on each side.
        order: u32 = 4, 1 to 12 "";
    }
}

/// Makes the filter; see [`Sections`] and [`crate::dsp::iir`].
pub fn build(params: &ButterworthParams) -> Sections {
    let p = params.clone();
    Sections::new(move |rate_hz| {
        let band = band("butterworth", p.kind, p.frequency_hz, (p.low_hz, p.high_hz), rate_hz)?;
        design(Prototype::Butterworth, p.order as usize, band, rate_hz)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::sections::tests::measured_gain_db;

    #[test]
    fn measured_gain_follows_the_formula_for_every_kind() {
        let warp = |f: f64| (std::f64::consts::PI * f / 48_000.0).tan();
        // Whole periods of the test tone: multiples of 48000 / 32768 Hz.
        let tone = |k: f64| k * 48_000.0 / 32_768.0;
        let (low_hz, high_hz) = (tone(200.0), tone(3_000.0));
        for kind in [BandKind::Lowpass, BandKind::Highpass, BandKind::Bandpass, BandKind::Bandstop] {
            for order in [1, 3, 4] {
                for k in [100.0, 300.0, 1_000.0, 2_500.0, 6_000.0] {
                    let params = ButterworthParams { kind, frequency_hz: 1_000.0, low_hz, high_hz, order };
                    let w = warp(tone(k));
                    let of_band = (w * w - warp(low_hz) * warp(high_hz)) / (w * (warp(high_hz) - warp(low_hz)));
                    let ratio = match kind {
                        BandKind::Lowpass => w / warp(1_000.0),
                        BandKind::Highpass => warp(1_000.0) / w,
                        BandKind::Bandpass => of_band,
                        BandKind::Bandstop => 1.0 / of_band,
                    };
                    let want_db = -10.0 * (1.0 + ratio.powi(2 * order as i32)).log10();
                    let got_db = measured_gain_db(&mut build(&params), tone(k), 48_000);
                    // f32 rounding of a tone at -20 dBFS.
                    let tolerance_db = if want_db < -60.0 { 0.02 } else { 0.002 };
                    assert!((got_db - want_db).abs() < tolerance_db, "{kind:?} {order} {k}: {got_db} {want_db}");
                }
            }
        }
    }
}
