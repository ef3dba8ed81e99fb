//! Chebyshev filters with ripples in the stop band; the maths is in [`crate::dsp::iir`].

use super::iir_band::{BandKind, band};
use super::params::filter_params;
use super::sections::Sections;
use crate::dsp::iir::{Prototype, design};

filter_params! {
    /// Low-pass, high-pass, band-pass or band-stop, flat where it passes, with ripples where it stops: Chebyshev II.
    pub struct Chebyshev2Params for "chebyshev2" in Tone, realtime true {
        /// What passes.
        kind: BandKind = BandKind::Lowpass;
        /// Edge of a low-pass or high-pass: where it begins to stop.
        frequency_hz: f64 = 1000.0, 5.0 to 90000.0 "Hz";
        /// Lower edge of a band.
        low_hz: f64 = 300.0, 5.0 to 90000.0 "Hz";
        /// Upper edge of a band.
        high_hz: f64 = 3400.0, 5.0 to 90000.0 "Hz";
        /// Order of the low-pass it is made from; a band filter has this slope on each side.
        order: u32 = 4, 1 to 12 "";
        /// Least loss where it stops, and the loss at the edges.
        attenuation_db: f64 = 60.0, 10.0 to 120.0 "dB";
    }
}

/// Makes the filter; see [`Sections`] and [`crate::dsp::iir`].
pub fn build(params: &Chebyshev2Params) -> Sections {
    let p = params.clone();
    Sections::new(move |rate_hz| {
        let band = band("chebyshev2", p.kind, p.frequency_hz, (p.low_hz, p.high_hz), rate_hz)?;
        design(Prototype::Chebyshev2 { attenuation_db: p.attenuation_db }, p.order as usize, band, rate_hz)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::sections::tests::measured_gain_db;

    #[test]
    fn the_stop_band_begins_at_the_edge_and_keeps_the_attenuation() {
        let edge_hz = 683.0 * 48_000.0 / 32_768.0;
        let params = Chebyshev2Params { frequency_hz: edge_hz, attenuation_db: 40.0, order: 5, ..Default::default() };
        assert!((measured_gain_db(&mut build(&params), edge_hz, 48_000) + 40.0).abs() < 0.005); // f32 rounding
        for k in [700.0, 800.0, 1_000.0, 2_000.0, 5_000.0, 12_000.0] {
            assert!(measured_gain_db(&mut build(&params), k * 48_000.0 / 32_768.0, 48_000) < -39.99, "{k}");
        }
        assert!(measured_gain_db(&mut build(&params), 100.0, 48_000) > -0.01);
    }
}
