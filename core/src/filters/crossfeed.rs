//! Crossfeed for headphones.
//!
//! Each ear hears the other side too, darker, as from loudspeakers: B. Bauer, "Stereophonic Earphones and Binaural
//! Loudspeakers", JAES 9(2), 1961, in the form of the library bs2b (B. Mikhaylov, "Bauer stereophonic-to-binaural DSP"):
//! the other side through a first-order low-pass, the own side through a first-order high boost, with the gains scaled so
//! that mono keeps its level at low frequencies.

use super::channel_list::check_stereo;
use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::biquad::Coefficients;
use crate::dsp::kernels::CrossState;
use crate::dsp::tail::tail_frames;
use crate::error::Result;

filter_params! {
    /// Lets each ear hear some of the other side, so that stereo on headphones sounds as from loudspeakers.
    pub struct CrossfeedParams for "crossfeed" in Space, realtime true {
        /// Corner of the low-pass for the other side.
        cutoff_hz: f64 = 700.0, 300.0 to 2000.0 "Hz";
        /// Difference between own and other side at low frequencies: 4.5 is a virtual pair of loudspeakers at 30 degrees and
        /// 3 m, 6 is gentler (Moy), 9.5 gentler still (Meier, with 650 Hz).
        feed_db: f64 = 4.5, 1.0 to 15.0 "dB";
    }
}

/// The two sections.
#[derive(Debug, Clone, Copy)]
struct Paths {
    own: Coefficients,
    other: Coefficients,
}

/// As `bs2b.c` has it: levels of both paths at low frequencies from the feed, the corner of the high boost from both.
fn design(params: &CrossfeedParams, rate_hz: f64) -> Paths {
    let amplitude = |db: f64| 10f64.powf(db / 20.0);
    let low_db = -5.0 / 6.0 * params.feed_db - 3.0;
    let (low, high) = (amplitude(low_db), 1.0 - amplitude(params.feed_db / 6.0 - 3.0));
    let boost_hz = params.cutoff_hz * 2f64.powf((low_db - 20.0 * high.log10()) / 12.0);
    let pole = |freq_hz: f64| (-2.0 * std::f64::consts::PI * freq_hz / rate_hz).exp();
    let (x_low, x_high) = (pole(params.cutoff_hz), pole(boost_hz));
    let scale = 1.0 / (1.0 - high + low);
    Paths {
        own: Coefficients {
            b0: scale * (1.0 - high * (1.0 - x_high)),
            b1: -scale * x_high,
            b2: 0.0,
            a1: -x_high,
            a2: 0.0,
        },
        other: Coefficients { b0: scale * low * (1.0 - x_low), b1: 0.0, b2: 0.0, a1: -x_low, a2: 0.0 },
    }
}

/// See [`CrossfeedParams`]. Needs two channels. No latency.
#[derive(Debug)]
pub struct Crossfeed {
    params: CrossfeedParams,
    rate_hz: f64,
    paths: Option<Paths>,
    state: CrossState,
}

impl Crossfeed {
    /// A crossfeed of `params`.
    pub fn new(params: &CrossfeedParams) -> Self {
        Self { params: params.clone(), rate_hz: 0.0, paths: None, state: CrossState::default() }
    }
}

impl Filter for Crossfeed {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        check_stereo("layout for the filter crossfeed", spec)?;
        self.rate_hz = f64::from(spec.rate_hz);
        let paths = design(&self.params, self.rate_hz);
        self.paths = Some(paths);
        self.reset();
        let tail_frames = tail_frames(&[paths.own]).max(tail_frames(&[paths.other]));
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        let (Some(paths), Some((left, right))) = (self.paths, block.stereo_mut()) else { return };
        self.state.run(&paths.own, &paths.other, left, right);
        self.state.settle();
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set && self.paths.is_some() {
            self.paths = Some(design(&self.params, self.rate_hz));
        }
        set
    }

    fn reset(&mut self) {
        self.state = CrossState::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn both_paths_have_the_levels_of_the_source() {
        for (cutoff_hz, feed_db) in [(700.0, 4.5), (700.0, 6.0), (650.0, 9.5)] {
            let paths = design(&CrossfeedParams { cutoff_hz, feed_db }, 48_000.0);
            let (own, other) = (paths.own.gain_db(0.01, 48_000.0), paths.other.gain_db(0.01, 48_000.0));
            // The feed is defined as this difference; f64 near z = 1.
            assert!((own - other - feed_db).abs() < 1e-4, "{feed_db}: {own} {other}");
            // Mono keeps its level at DC.
            let sum = 10f64.powf(own / 20.0) + 10f64.powf(other / 20.0);
            assert!((sum - 1.0).abs() < 1e-6);
            // The other side is 3 dB down at the corner (impulse invariance errs by 0.01 dB here).
            let corner = paths.other.gain_db(cutoff_hz, 48_000.0) - other;
            assert!((corner + 3.01).abs() < 0.03, "{corner}");
        }
    }

    const REFERENCE: [(f64, f64); 4] = [
        (0.789_381_846_184, 0.032_685_150_913),
        (-0.019_861_707_571, 0.029_823_333_442),
        (-0.017_436_819_914, 0.027_212_088_448),
        (-0.015_307_983_346, 0.024_829_476_529),
    ];

    #[test]
    fn the_other_ear_hears_the_low_pass() {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let mut f = Crossfeed::new(&CrossfeedParams::default());
        f.prepare(spec, 8).unwrap();
        let mut block = Buffer::from_channels(spec, &[vec![1.0, 0.0, 0.0, 0.0], vec![0.0; 4]]);
        f.process(&mut block);
        // Impulse of libbs2b (through FFmpeg) at 48 kHz with its default level; the same from its formulas in Python.
        for (n, (own, other)) in REFERENCE.iter().enumerate() {
            assert!((f64::from(block.channel(0)[n]) - own).abs() < 1e-7, "{n}"); // f32
            assert!((f64::from(block.channel(1)[n]) - other).abs() < 1e-7, "{n}");
        }
    }
}
