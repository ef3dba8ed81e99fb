//! Splits a sound into bands that sum up to it, up to an all-pass.
//!
//! Each crossover is a Linkwitz-Riley of fourth order: a Butterworth section of second order twice, so that both sides are
//! 6 dB down at the crossover and in phase (S. H. Linkwitz, "Active crossover networks for noncoincident drivers", JAES
//! 24(1), 1976). Low plus high is an all-pass of second order with a Q of 0.7071. The band that is split off first passes
//! the all-passes of the crossovers above it, so that all bands turn alike and their sum is flat: the product of the
//! all-passes of all crossovers.

use std::f64::consts::FRAC_1_SQRT_2;

use super::cells::CELL_FRAMES;
use crate::audio::{Buffer, Spec};
use crate::dsp::biquad::{Cascade, Coefficients};
use crate::error::Result;

/// Splits blocks of at most [`CELL_FRAMES`] frames.
#[derive(Debug)]
pub(super) struct BandSplit {
    /// For each crossover: what the band below it passes, and what the rest passes.
    low: Vec<Cascade>,
    high: Vec<Cascade>,
    /// The bands of the last block, the lowest first.
    pub bands: Vec<Buffer>,
}

impl BandSplit {
    /// Bands between `crossovers_hz`, which rise. Allocates.
    ///
    /// # Errors
    /// [`crate::Error::OutOfRange`] for a crossover that does not lie under half the rate.
    pub fn new(spec: Spec, crossovers_hz: &[f64]) -> Result<Self> {
        let (rate_hz, channels) = (f64::from(spec.rate_hz), spec.channels());
        let (mut low, mut high) = (Vec::new(), Vec::new());
        for (index, hz) in crossovers_hz.iter().enumerate() {
            let mut sections = vec![Coefficients::lowpass(rate_hz, *hz, FRAC_1_SQRT_2)?; 2];
            for above_hz in &crossovers_hz[index + 1..] {
                sections.push(Coefficients::allpass(rate_hz, *above_hz, FRAC_1_SQRT_2)?);
            }
            low.push(Cascade::new(sections, channels));
            high.push(Cascade::new(vec![Coefficients::highpass(rate_hz, *hz, FRAC_1_SQRT_2)?; 2], channels));
        }
        Ok(Self { low, high, bands: vec![Buffer::new(spec, CELL_FRAMES); crossovers_hz.len() + 1] })
    }

    /// Splits `count` frames of `from`, at most a cell, into [`BandSplit::bands`]. Channels that `from` lacks are silent.
    /// Real-time safe.
    pub fn split(&mut self, from: &Buffer, start: usize, count: usize) {
        let Some((rest, below)) = self.bands.split_last_mut() else { return };
        rest.set_frames(count);
        for (index, to) in rest.channels_mut().enumerate() {
            if index < from.channel_count() {
                to.copy_from_slice(&from.channel(index)[start..start + count]);
            } else {
                to.fill(0.0);
            }
        }
        for ((band, low), high) in below.iter_mut().zip(&mut self.low).zip(&mut self.high) {
            band.copy_from(rest, 0, count);
            low.process(band);
            high.process(rest);
        }
    }

    /// Forgets the sound.
    pub fn reset(&mut self) {
        self.low.iter_mut().chain(&mut self.high).for_each(Cascade::reset);
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn the_bands_sum_up_to_the_all_passes() {
        for (rate_hz, crossovers) in
            [(48_000u32, vec![200.0]), (44_100, vec![120.0, 2_000.0]), (48_000, vec![80.0, 400.0, 2_500.0, 9_000.0])]
        {
            let spec = Spec::new(rate_hz, ChannelLayout::MONO);
            let mut split = BandSplit::new(spec, &crossovers).unwrap();
            // The response to an impulse, until 120 dB under the lowest all-pass are gone.
            let frames = 48_000;
            let (mut input, mut sum) = (vec![0.0f32; frames], vec![0.0f64; frames]);
            input[0] = 1.0;
            let input = Buffer::from_channels(spec, &[input]);
            for at in (0..frames).step_by(250) {
                split.split(&input, at, 250);
                for band in &split.bands {
                    sum[at..at + 250].iter_mut().zip(band.channel(0)).for_each(|(s, x)| *s += f64::from(*x));
                }
            }
            let rate = f64::from(rate_hz);
            for hz in [20.0, 80.0, 150.0, 400.0, 1_000.0, 2_500.0, 9_000.0, 18_000.0] {
                let (mut re, mut im) = (0.0, 0.0);
                for (n, y) in sum.iter().enumerate() {
                    re += y * (TAU * hz * n as f64 / rate).cos();
                    im -= y * (TAU * hz * n as f64 / rate).sin();
                }
                // f32 rounding of each band: 6e-8 of the samples of the response, of which few are large.
                assert!((re.hypot(im) - 1.0).abs() < 1e-6, "{crossovers:?} {hz}: {}", re.hypot(im));
                let mut want = (1.0, 0.0);
                for crossover in &crossovers {
                    let (a, b) = Coefficients::allpass(rate, *crossover, FRAC_1_SQRT_2).unwrap().response(hz, rate);
                    want = (want.0 * a - want.1 * b, want.0 * b + want.1 * a);
                }
                assert!((re - want.0).hypot(im - want.1) < 2e-6, "{crossovers:?} {hz}");
            }
        }
    }

    #[test]
    fn both_sides_are_6_db_down_at_the_crossover() {
        let c = |f: fn(f64, f64, f64) -> Result<Coefficients>| {
            2.0 * f(48_000.0, 1_000.0, FRAC_1_SQRT_2).unwrap().gain_db(1_000.0, 48_000.0)
        };
        assert!((c(Coefficients::lowpass) + 6.0206).abs() < 1e-4);
        assert!((c(Coefficients::highpass) + 6.0206).abs() < 1e-4);
    }
}
