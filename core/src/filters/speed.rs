//! Plays faster or slower; the pitch moves along, as with tape.

use super::params::{FilterParams, filter_params};
use super::resample::ResampleQuality;
use super::{Filter, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::dsp::resampler::Resampler;
use crate::error::Result;

filter_params! {
    /// Plays faster or slower, and higher or lower with it, as a tape does. For files.
    pub struct SpeedParams for "speed" in Time, realtime false {
        /// 2 is twice as fast and an octave higher.
        factor: f64 = 1.0, 0.05 to 20.0 "";
        /// How steep and clean the conversion is.
        quality: ResampleQuality = ResampleQuality::Good;
    }
}

/// Closest fraction to `x` of whole numbers below 2^31, by continued fractions; ends early when it is exact to 1e-13, so
/// that 1.1 becomes 11/10.
pub(super) fn fraction(x: f64) -> (u32, u32) {
    const MOST: f64 = 2_147_483_648.0;
    let (mut before, mut now) = ((0.0f64, 1.0f64), (1.0f64, 0.0f64));
    let mut rest = x;
    for _ in 0..40 {
        let whole = rest.floor();
        let next = (whole * now.0 + before.0, whole * now.1 + before.1);
        if next.0 >= MOST || next.1 >= MOST {
            break;
        }
        (before, now) = (now, next);
        if (now.0 / now.1 - x).abs() <= x * 1e-13 || rest == whole {
            break;
        }
        rest = 1.0 / (rest - whole);
    }
    (now.0 as u32, now.1 as u32)
}

/// See [`SpeedParams`]. The file of `n` frames becomes one of `round(n / factor)`. No latency: it compensates itself. NaN
/// and infinity are taken as silence.
pub struct Speed {
    params: SpeedParams,
    spec: Option<Spec>,
    resampler: Option<Resampler>,
    input: Buffer,
    output: Buffer,
    /// Part of `output` that `finish` has given.
    given: usize,
    max_frames: usize,
}

impl Speed {
    /// A change of speed by `params`.
    pub fn new(params: &SpeedParams) -> Self {
        let unset = Buffer::new(Spec::new(48_000, ChannelLayout::MONO), 0);
        Self {
            params: params.clone(),
            spec: None,
            resampler: None,
            input: unset.clone(),
            output: unset,
            given: 0,
            max_frames: 0,
        }
    }

    /// Puts `count` frames of what the resampler gave, from `start`, into `block`. Its rate is a fiction.
    fn put(&self, block: &mut Buffer, start: usize, count: usize) {
        let Some(spec) = self.spec else { return };
        block.set_spec(spec);
        block.set_frames(count);
        for (to, from) in block.channels_mut().zip(self.output.channels()) {
            to.copy_from_slice(&from[start..start + count]);
        }
    }
}

impl Filter for Speed {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.params.check_ranges()?;
        let (from, to) = fraction(self.params.factor);
        let resampler = Resampler::new(from, to, spec.channels(), self.params.quality.into())?;
        self.max_frames = resampler.max_output_frames(max_frames);
        self.output = Buffer::new(spec, self.max_frames);
        self.input = Buffer::new(spec, max_frames);
        (self.spec, self.resampler) = (Some(spec), Some(resampler));
        self.reset();
        Ok(Prepared { spec, max_frames: self.max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let Some(resampler) = &mut self.resampler else { return };
        self.input.set_frames(block.frames());
        for (to, from) in self.input.channels_mut().zip(block.channels()) {
            to.iter_mut().zip(from).for_each(|(y, x)| *y = if x.abs() < 1e6 { *x } else { 0.0 });
        }
        resampler.process(&self.input, &mut self.output);
        self.put(block, 0, self.output.frames());
    }

    fn finish(&mut self, block: &mut Buffer) {
        let Some(resampler) = &mut self.resampler else { return block.set_frames(0) };
        if self.given == 0 {
            resampler.finish(&mut self.output);
        }
        let count = (self.output.frames() - self.given).min(self.max_frames);
        self.put(block, self.given, count);
        self.given += count;
    }

    fn reset(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
        self.output.set_frames(0);
        self.given = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::file_testing::{sine, through};
    use super::*;

    #[test]
    fn fractions_are_simple_where_they_can_be_and_close_elsewhere() {
        for (x, want) in [(1.0, (1, 1)), (1.1, (11, 10)), (0.05, (1, 20)), (4.0 / 3.0, (4, 3)), (20.0, (20, 1))] {
            assert_eq!(fraction(x), want);
        }
        for n in 0..1_000 {
            let x = 0.05 * 400f64.powf(f64::from(n) / 999.0);
            let (p, q) = fraction(x);
            assert!((f64::from(p) / f64::from(q) - x).abs() <= x * 1e-13, "{x}"); // as documented
        }
    }

    #[test]
    fn a_tone_moves_by_the_factor_and_keeps_its_level_and_place() {
        for factor in [0.5f64, 0.8, 1.0, 1.059_463_094, 1.25, 3.0] {
            let x = sine(500.0, 44_100, 44_100);
            let y = through(&format!("speed:factor={factor}"), 44_100, &[x], 1_000).remove(0);
            assert_eq!(y.len(), (44_100.0 / factor).round() as usize);
            let want = sine(500.0 * factor, 44_100, y.len());
            // Away from the ends, where the tone is cut off: -100 dB of full scale, the resampler's alias limit is lower.
            let end = y.len() - 2_000;
            assert!(y.iter().zip(&want).take(end).skip(2_000).all(|(a, b)| (a - b).abs() < 1e-5), "{factor}");
        }
    }

    #[test]
    fn length_is_exact() {
        for factor in [0.05f64, 0.1, 0.37, 1.7, 20.0] {
            for frames in [0usize, 1, 2, 999, 10_000] {
                let y = through(&format!("speed:factor={factor}"), 8_000, &[vec![0.1; frames]], 64);
                assert_eq!(y[0].len(), (frames as f64 / factor).round() as usize, "{factor} {frames}");
            }
        }
    }
}
