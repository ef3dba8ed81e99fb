//! Mono below a frequency, stereo above.
//!
//! The side signal `(L - R) / 2` runs through the high half of a Linkwitz-Riley crossover of order 4, the mid signal
//! `(L + R) / 2` through the all-pass that the two halves add up to: so both keep the same phase, and what was in the
//! centre stays there. See [`super::crossover`].

use super::channel_list::check_stereo;
use super::params::{FilterParams, filter_params};
use super::sections::check_below_nyquist;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::biquad::{Cascade, Coefficients};
use crate::dsp::tail::tail_frames;
use crate::error::Result;

filter_params! {
    /// Makes the bass mono: below a frequency both sides carry the same sound, as vinyl and subwoofers need it.
    pub struct MonoMakerParams for "mono_maker" in Space, realtime true {
        /// Below this the sound is mono; 24 dB per octave.
        frequency_hz: f64 = 120.0, 20.0 to 2000.0 "Hz";
    }
}

/// See [`MonoMakerParams`]. Needs two channels. No latency.
#[derive(Debug)]
pub struct MonoMaker {
    params: MonoMakerParams,
    rate_hz: f64,
    mid: Cascade,
    side: Cascade,
}

impl MonoMaker {
    /// A mono maker of `params`.
    pub fn new(params: &MonoMakerParams) -> Self {
        let none = Cascade::new(Vec::new(), 0);
        Self { params: params.clone(), rate_hz: 0.0, mid: none.clone(), side: none }
    }

    /// All-pass for the mid signal and high-pass (twice) for the side.
    fn design(&self) -> Result<(Coefficients, Coefficients)> {
        let (rate_hz, q) = (self.rate_hz, std::f64::consts::FRAC_1_SQRT_2);
        let f = self.params.frequency_hz.min(0.49 * rate_hz);
        Ok((Coefficients::allpass(rate_hz, f, q)?, Coefficients::highpass(rate_hz, f, q)?))
    }
}

impl Filter for MonoMaker {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        check_stereo("layout for the filter mono_maker", spec)?;
        self.rate_hz = f64::from(spec.rate_hz);
        check_below_nyquist("mono_maker.frequency_hz", self.params.frequency_hz, self.rate_hz)?;
        let (all, high) = self.design()?;
        self.mid = Cascade::new(vec![all], 1);
        self.side = Cascade::new(vec![high; 2], 1);
        let tail_frames = tail_frames(self.mid.sections()).max(tail_frames(self.side.sections()));
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        let Some((left, right)) = block.stereo_mut() else { return };
        for (l, r) in left.iter_mut().zip(right.iter_mut()) {
            (*l, *r) = (0.5 * (*l + *r), 0.5 * (*l - *r));
        }
        self.mid.process_channel(0, left);
        self.side.process_channel(0, right);
        for (m, s) in left.iter_mut().zip(right) {
            (*m, *s) = (*m + *s, *m - *s);
        }
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if let (true, true, Ok((all, high))) = (set, self.rate_hz > 0.0, self.design()) {
            self.mid.sections_mut().fill(all);
            self.side.sections_mut().fill(high);
        }
        set
    }

    fn reset(&mut self) {
        self.mid.reset();
        self.side.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    /// Levels in dB of mid and side of the settled output, for a tone on the left alone.
    fn mid_and_side_db(freq_hz: f64) -> [f64; 2] {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let step = 2.0 * std::f64::consts::PI * freq_hz / 48_000.0;
        let x: Vec<f32> = (0..96_000).map(|n| (step * f64::from(n)).sin() as f32).collect();
        let mut block = Buffer::from_channels(spec, &[x, vec![0.0; 96_000]]);
        let mut f = MonoMaker::new(&MonoMakerParams::default());
        f.prepare(spec, 96_000).unwrap();
        f.process(&mut block);
        let (l, r) = (block.channel(0), block.channel(1));
        [1.0f64, -1.0].map(|sign| {
            let power: f64 =
                (48_000..96_000).map(|n| (f64::from(l[n]) + sign * f64::from(r[n])).powi(2) / 4.0).sum::<f64>()
                    / 48_000.0;
            // The tone alone has (1/2)^2 / 2 in mid and side.
            10.0 * (8.0 * power).log10()
        })
    }

    #[test]
    fn the_side_is_high_passed_and_the_mid_keeps_its_level() {
        for (freq_hz, side_db) in [(30.0, -48.2), (60.0, -24.6), (120.0, -6.02), (2_000.0, 0.0)] {
            let [mid, side] = mid_and_side_db(freq_hz);
            // Whole periods of a second; LR4: -20 log10(1 + (fc/f)^4).
            assert!(mid.abs() < 0.001, "{freq_hz}: {mid}");
            assert!((side - side_db).abs() < 0.05, "{freq_hz}: {side}");
        }
    }
}
