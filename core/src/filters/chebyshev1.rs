//! Chebyshev filters with ripples in the pass band; the maths is in [`crate::dsp::iir`].

use super::iir_band::{BandKind, band};
use super::params::filter_params;
use super::sections::Sections;
use crate::dsp::iir::{Prototype, design};

filter_params! {
    /// Low-pass, high-pass, band-pass or band-stop, steeper than Butterworth, with ripples where it passes: Chebyshev I.
    pub struct Chebyshev1Params for "chebyshev1" in Tone, realtime true {
        /// What passes.
        kind: BandKind = BandKind::Lowpass;
        /// Edge of a low-pass or high-pass: the last point within the ripple.
        frequency_hz: f64 = 1000.0, 5.0 to 90000.0 "Hz";
        /// Lower edge of a band.
        low_hz: f64 = 300.0, 5.0 to 90000.0 "Hz";
        /// Upper edge of a band.
        high_hz: f64 = 3400.0, 5.0 to 90000.0 "Hz";
        /// Order of the low-pass it is made from; a band filter has this slope on each side.
        order: u32 = 4, 1 to 12 "";
        /// Most loss where it passes, and the gain at the edges.
        ripple_db: f64 = 0.5, 0.01 to 6.0 "dB";
    }
}

/// Makes the filter; see [`Sections`] and [`crate::dsp::iir`].
pub fn build(params: &Chebyshev1Params) -> Sections {
    let p = params.clone();
    Sections::new(move |rate_hz| {
        let band = band("chebyshev1", p.kind, p.frequency_hz, (p.low_hz, p.high_hz), rate_hz)?;
        design(Prototype::Chebyshev1 { ripple_db: p.ripple_db }, p.order as usize, band, rate_hz)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::sections::tests::measured_gain_db;

    #[test]
    fn stays_within_the_ripple_and_has_it_at_the_edge() {
        // 683 periods of the test tone: 1000.49 Hz.
        let edge_hz = 683.0 * 48_000.0 / 32_768.0;
        let params = Chebyshev1Params { frequency_hz: edge_hz, ripple_db: 2.0, order: 5, ..Default::default() };
        assert!((measured_gain_db(&mut build(&params), edge_hz, 48_000) + 2.0).abs() < 0.002); // f32 rounding
        for k in [20.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 650.0] {
            let got_db = measured_gain_db(&mut build(&params), k * 48_000.0 / 32_768.0, 48_000);
            assert!((-2.002..0.002).contains(&got_db), "{k}: {got_db}");
        }
        // Steeper than Butterworth: at twice the edge T5(2) = 362 says -48.9 dB, the warping adds 0.2 dB.
        let octave_db = measured_gain_db(&mut build(&params), 2.0 * edge_hz, 48_000);
        assert!((-49.6..-48.8).contains(&octave_db), "{octave_db}");
    }
}
