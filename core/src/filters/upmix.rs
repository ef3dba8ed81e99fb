//! Stereo to 5.1 by a passive matrix.
//!
//! What both sides share goes to the centre, what differs to the surrounds, delayed and without highs, as in passive
//! surround decoders (R. Dressler, "Dolby Surround Pro Logic Decoder Principles of Operation", Dolby Laboratories, 1993),
//! and the bass to the low-frequency channel. What the centre gets is taken from left and right, in the amount that makes
//! the downmix of ITU-R BS.775-4 (Annex 4: centre and surrounds at -3 dB) give back the input, apart from the surrounds.

use super::channel_list::check_stereo;
use super::delay::Delay;
use super::params::{FilterParams, filter_params};
use super::sections::check_below_nyquist;
use super::{Filter, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::dsp::biquad::{Cascade, Coefficients};
use crate::dsp::tail::tail_frames;
use crate::error::Result;

filter_params! {
    /// Makes 5.1 from stereo: the middle to the centre, the difference to the surrounds, the bass to the LFE.
    pub struct UpmixParams for "upmix" in Space, realtime true {
        /// Share of the middle that moves from left and right to the centre.
        centre_percent: f64 = 50.0, 0.0 to 100.0 "%";
        /// Level of the surrounds; at 0 dB each has the difference signal (L - R) / 2 twice in power, as a passive decoder.
        surround_db: f64 = -3.0, -60.0 to 6.0 "dB";
        /// How much later the surrounds sound, so that the front stays in front.
        surround_delay_ms: f64 = 12.0, 0.0 to 50.0 "ms";
        /// Highs of the surrounds are removed above this; above half of the rate they are kept.
        surround_cutoff_hz: f64 = 7000.0, 1000.0 to 30000.0 "Hz";
        /// Level of the LFE against the sum of both sides; players raise it by 10 dB.
        lfe_db: f64 = -10.0, -60.0 to 6.0 "dB";
        /// The LFE has what lies below this: 24 dB per octave.
        lfe_cutoff_hz: f64 = 120.0, 40.0 to 250.0 "Hz";
    }
}

/// See [`UpmixParams`]. Takes stereo, gives 5.1. The surrounds are in opposite phase to each other, as the matrix has it. No
/// latency.
#[derive(Debug)]
pub struct Upmix {
    params: UpmixParams,
    output: Spec,
    /// Channel 0.
    surround: Cascade,
    lfe: Cascade,
    delay: Delay,
    delay_frames: usize,
}

/// Least level of surrounds and LFE: below it there is nothing.
const OFF_DB: f64 = -60.0;

impl Upmix {
    /// An upmix of `params`.
    pub fn new(params: &UpmixParams) -> Self {
        let none = Cascade::new(Vec::new(), 0);
        Self {
            params: params.clone(),
            output: Spec::new(48_000, ChannelLayout::STEREO),
            surround: none.clone(),
            lfe: none,
            delay: Delay::default(),
            delay_frames: 0,
        }
    }

    /// Linear factor, none at the least level.
    fn factor(db: f64) -> f32 {
        if db <= OFF_DB { 0.0 } else { 10f64.powf(db / 20.0) as f32 }
    }
}

impl Filter for Upmix {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        check_stereo("layout for the filter upmix", spec)?;
        let (rate_hz, p) = (f64::from(spec.rate_hz), &self.params);
        check_below_nyquist("upmix.lfe_cutoff_hz", p.lfe_cutoff_hz, rate_hz)?;
        // A recording without such highs has none to remove.
        let surround = if p.surround_cutoff_hz < 0.49 * rate_hz {
            vec![Coefficients::lowpass(rate_hz, p.surround_cutoff_hz, std::f64::consts::FRAC_1_SQRT_2)?]
        } else {
            Vec::new()
        };
        self.surround = Cascade::new(surround, 1);
        self.lfe = Cascade::new(Coefficients::butterworth_lowpass(rate_hz, p.lfe_cutoff_hz, 4)?, 1);
        self.delay_frames = (p.surround_delay_ms * rate_hz / 1000.0).round() as usize;
        self.delay = Delay::new(self.delay_frames);
        self.output = Spec::new(spec.rate_hz, ChannelLayout::SURROUND_5_1);
        let surround_frames = self.delay_frames + tail_frames(self.surround.sections());
        let tail_frames = surround_frames.max(tail_frames(self.lfe.sections()));
        Ok(Prepared { spec: self.output, max_frames, latency_frames: 0, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        if self.output.channels() != 6 {
            return;
        }
        let frames = block.frames();
        // The first two channels stay where they are in the storage.
        block.set_spec(self.output);
        block.set_frames(frames);
        let moved = (self.params.centre_percent / 100.0) as f32;
        // Half of the root of 2 of the sum, so that -3 dB of it replace what left and right lose.
        let centre_gain = moved * std::f32::consts::FRAC_1_SQRT_2;
        let surround_gain = Self::factor(self.params.surround_db) * std::f32::consts::FRAC_1_SQRT_2;
        let lfe_gain = 0.5 * Self::factor(self.params.lfe_db);
        let mut channels = block.channels_mut();
        let (Some(left), Some(right), Some(centre), Some(lfe), Some(back_left), Some(back_right)) =
            (channels.next(), channels.next(), channels.next(), channels.next(), channels.next(), channels.next())
        else {
            return;
        };
        for (n, (l, r)) in left.iter_mut().zip(right).enumerate() {
            let (sum, difference) = (*l + *r, *l - *r);
            centre[n] = centre_gain * sum;
            lfe[n] = lfe_gain * sum;
            back_left[n] = surround_gain * difference;
            let lost = 0.5 * moved * sum;
            (*l, *r) = (*l - lost, *r - lost);
        }
        self.lfe.process_channel(0, lfe);
        self.surround.process_channel(0, back_left);
        self.delay.process(back_left);
        for (r, l) in back_right.iter_mut().zip(back_left) {
            *r = -*l;
        }
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        // Levels only: delay and cut-offs are fixed by `prepare`.
        matches!(index, 0 | 1 | 4) && self.params.set_number(index, value)
    }

    fn reset(&mut self) {
        self.surround.reset();
        self.lfe.reset();
        self.delay.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(params: &UpmixParams, x: &[Vec<f32>; 2]) -> Buffer {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let frames = x[0].len();
        let mut block = Buffer::new(Spec::new(48_000, ChannelLayout::SURROUND_5_1), frames);
        block.copy_from(&Buffer::from_channels(spec, x), 0, frames);
        let mut f = Upmix::new(params);
        f.prepare(spec, frames).unwrap();
        f.process(&mut block);
        block
    }

    fn noise(seed: u32) -> Vec<f32> {
        (0..2_000u32).map(|n| ((n ^ seed).wrapping_mul(2_654_435_761) >> 9) as f32 / 8_388_608.0 - 0.5).collect()
    }

    #[test]
    fn the_standard_downmix_gives_back_the_input() {
        let x = [noise(1), noise(99)];
        for centre_percent in [0.0, 35.0, 100.0] {
            let y = run(&UpmixParams { centre_percent, surround_db: -60.0, ..Default::default() }, &x);
            for (side, x) in x.iter().enumerate() {
                for (n, want) in x.iter().enumerate() {
                    // BS.775: Lo = L + 0.7071 C + 0.7071 Ls; no LFE.
                    let m = std::f32::consts::FRAC_1_SQRT_2;
                    let mixed = y.channel(side)[n] + m * y.channel(2)[n] + m * y.channel(4 + side)[n];
                    assert!((mixed - want).abs() < 3e-7, "{n}"); // a few f32 roundings of values below 1
                }
            }
        }
    }

    #[test]
    fn the_middle_has_no_surround_and_the_difference_no_centre() {
        let same = run(&UpmixParams::default(), &[noise(3), noise(3)]);
        assert!(same.channel(4).iter().chain(same.channel(5)).all(|y| *y == 0.0));
        let x = noise(3);
        let opposite =
            run(&UpmixParams { surround_db: 0.0, ..Default::default() }, &[x.clone(), x.iter().map(|v| -v).collect()]);
        assert!(opposite.channel(2).iter().chain(opposite.channel(3)).all(|y| *y == 0.0));
        // 12 ms late, and in opposite phase.
        assert!(opposite.channel(4)[..576].iter().all(|y| *y == 0.0) && opposite.channel(4)[576] != 0.0);
        assert!(opposite.channel(4).iter().zip(opposite.channel(5)).all(|(a, b)| *a == -*b));
        assert_eq!(opposite.channel(0), x.as_slice());
    }

    #[test]
    fn the_lfe_has_the_bass_only() {
        let rms = |freq_hz: f64| {
            let x: Vec<f32> = (0..48_000)
                .map(|n| (2.0 * std::f64::consts::PI * freq_hz * f64::from(n) / 48_000.0).sin() as f32)
                .collect();
            let y = run(&UpmixParams { lfe_db: 0.0, ..Default::default() }, &[x.clone(), x]);
            let late = &y.channel(3)[24_000..];
            10.0 * (late.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / late.len() as f64 * 2.0).log10()
        };
        // Butterworth of order 4: -10 log10(1 + (f / fc)^8).
        assert!(rms(30.0).abs() < 0.01 && (rms(120.0) + 3.01).abs() < 0.01 && (rms(480.0) + 48.2).abs() < 0.1);
    }
}
