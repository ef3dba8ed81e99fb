//! Bessel filters of any band form; the maths is in [`crate::dsp::iir`]. The analogue filter has a flat group delay; the bilinear
//! transform keeps the gain exact and the delay flat well below the Nyquist frequency.

use super::iir_band::{BandKind, band};
use super::params::filter_params;
use super::sections::Sections;
use crate::dsp::iir::{Prototype, design};

filter_params! {
    /// Low-pass, high-pass, band-pass or band-stop that keeps wave forms, with gentle slopes: Bessel.
    pub struct BesselParams for "bessel" in Tone, realtime true {
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
pub fn build(params: &BesselParams) -> Sections {
    let p = params.clone();
    Sections::new(move |rate_hz| {
        let band = band("bessel", p.kind, p.frequency_hz, (p.low_hz, p.high_hz), rate_hz)?;
        design(Prototype::Bessel, p.order as usize, band, rate_hz)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Buffer, ChannelLayout, Spec};
    use crate::filters::Filter;
    use crate::filters::sections::tests::measured_gain_db;

    #[test]
    fn is_3_db_down_at_the_edge_and_does_not_overshoot() {
        for order in [1, 2, 4, 8, 12] {
            let edge_hz = 683.0 * 48_000.0 / 32_768.0;
            let params = BesselParams { frequency_hz: edge_hz, order, ..Default::default() };
            let got_db = measured_gain_db(&mut build(&params), edge_hz, 48_000);
            assert!((got_db + 3.0103).abs() < 0.002, "{order}: {got_db}"); // f32 rounding
            let spec = Spec::new(48_000, ChannelLayout::MONO);
            let mut block = Buffer::from_channels(spec, &[vec![1.0; 4_000]]);
            let mut f = build(&params);
            f.prepare(spec, 4_000).unwrap();
            f.process(&mut block);
            // A Butterworth low-pass of order 8 overshoots a step by 16 %, a Bessel filter by less than 1 %.
            let top = block.channel(0).iter().fold(0.0f32, |m, y| m.max(*y));
            assert!(top < 1.01, "{order}: {top}");
        }
    }
}
