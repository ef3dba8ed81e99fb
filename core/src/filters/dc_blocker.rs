//! First-order high-pass that removes DC offset.
//!
//! `H(z) = (1 - z^-1) / (1 - R z^-1)`, `R = exp(-2 pi cutoff_hz / rate_hz)`: no gain at DC, -3 dB at `cutoff_hz`.
//! Source: J. O. Smith, *Introduction to Digital Filters*, "DC Blocker".

use super::params::filter_params;
use super::sections::Sections;
use crate::dsp::biquad::{Coefficients, SectionList};
use crate::error::Result;

filter_params! {
    /// Removes a constant offset from each channel.
    pub struct DcBlockerParams for "dc_blocker" in Tone, realtime true {
        /// Frequency of -3 dB.
        cutoff_hz: f64 = 10.0, 1.0 to 100.0 "Hz";
    }
}

/// Makes the filter; see [`Sections`].
pub fn build(params: &DcBlockerParams) -> Sections {
    Sections::live(params, design)
}

fn design(p: &DcBlockerParams, rate_hz: f64) -> Result<SectionList> {
    let pole = (-2.0 * std::f64::consts::PI * p.cutoff_hz / rate_hz).exp();
    Ok(Coefficients { b0: 1.0, b1: -1.0, b2: 0.0, a1: -pole, a2: 0.0 }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Buffer, ChannelLayout, Spec};
    use crate::filters::Filter;

    #[test]
    fn gain_is_minus_3_db_at_cutoff_for_every_supported_rate() {
        for rate_hz in [8_000, 44_100, 48_000, 96_000, 192_000] {
            let mut f = build(&DcBlockerParams { cutoff_hz: 20.0 });
            f.prepare(Spec::new(rate_hz, ChannelLayout::MONO), 1).unwrap();
            let got_db = f.sections()[0].gain_db(20.0, f64::from(rate_hz));
            // R = exp(-w) errs by 4.34 * w dB (w in rad/sample): 0.012 dB at 44.1 kHz, 0.07 dB at 8 kHz.
            let tolerance_db = 0.005 + 4.34 * 2.0 * std::f64::consts::PI * 20.0 / f64::from(rate_hz);
            assert!((got_db + 3.01).abs() < tolerance_db, "{rate_hz} Hz: {got_db:.4} dB");
        }
    }

    #[test]
    fn an_offset_is_gone_after_a_second() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut f = build(&DcBlockerParams::default());
        f.prepare(spec, 48_000).unwrap();
        let mut block = Buffer::from_channels(spec, &[vec![0.5; 48_000]]);
        f.process(&mut block);
        // exp(-2 pi 10 t) is -545 dB after one second; what is left is f64 rounding of 0.5 over 1 - R.
        assert!(block.channel(0)[47_999].abs() < 1e-12);
    }
}
