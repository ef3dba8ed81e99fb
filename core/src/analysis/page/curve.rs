//! Loudness over time, for charts.

use crate::audio::{Buffer, Spec};
use crate::error::Result;
use crate::meter::{LoudnessMeter, MeterOptions};

/// Points of a curve before two become one; between half of these and all of them are left.
const MOST_POINTS: usize = 2000;

/// Loudness in LUFS at equal steps; `-inf` is silence.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Curve {
    /// Time from one point to the next, in seconds. The first one is a step after the beginning.
    pub step_s: f64,
    /// Largest loudness of 400 ms within each step.
    pub momentary_lufs: Vec<f32>,
    /// Loudness of 3 s at the end of each step.
    pub short_term_lufs: Vec<f32>,
}

/// Follows the loudness of a stream in bounded memory. Any split into blocks gives the same curve.
pub(super) struct CurveMeter {
    meter: LoudnessMeter,
    part: Buffer,
    /// Frames of a tenth of a second, and of those that the present one has.
    tenth: usize,
    filled: usize,
    /// Tenths of a point, and of those that the present one has.
    per_point: u32,
    tenths: u32,
    highest: f32,
    curve: Curve,
}

impl CurveMeter {
    pub fn new(spec: Spec) -> Result<Self> {
        let options = MeterOptions { true_peak: false, range: false, dual_mono: false };
        let tenth = (spec.rate_hz as usize / 10).max(1);
        Ok(Self {
            meter: LoudnessMeter::new(spec, options)?,
            part: Buffer::new(spec, tenth),
            tenth,
            filled: 0,
            per_point: 1,
            tenths: 0,
            highest: f32::NEG_INFINITY,
            curve: Curve { step_s: spec.seconds(tenth as u64), ..Curve::default() },
        })
    }

    pub fn push(&mut self, block: &Buffer) {
        let mut start = 0;
        while start < block.frames() {
            let count = (self.tenth - self.filled).min(block.frames() - start);
            self.part.copy_from(block, start, count);
            self.meter.push(&self.part);
            start += count;
            self.filled += count;
            if self.filled == self.tenth {
                self.filled = 0;
                self.tenths += 1;
                self.highest = self.highest.max(self.meter.momentary_lufs() as f32);
                if self.tenths == self.per_point {
                    self.point();
                }
            }
        }
    }

    fn point(&mut self) {
        self.curve.momentary_lufs.push(self.highest);
        self.curve.short_term_lufs.push(self.meter.short_term_lufs() as f32);
        (self.tenths, self.highest) = (0, f32::NEG_INFINITY);
        if self.curve.momentary_lufs.len() == MOST_POINTS {
            let louder = |pair: &[f32]| pair[0].max(pair[1]);
            self.curve.momentary_lufs = self.curve.momentary_lufs.chunks_exact(2).map(louder).collect();
            self.curve.short_term_lufs = self.curve.short_term_lufs.chunks_exact(2).map(|pair| pair[1]).collect();
            self.per_point *= 2;
            self.curve.step_s *= 2.0;
        }
    }

    pub fn finish(self) -> Curve {
        self.curve
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn a_tone_has_its_loudness_for_any_block_and_length() {
        let spec = Spec::new(8000, ChannelLayout::STEREO);
        // EBU Tech 3341 case 1: a stereo sine of 1 kHz at -23 dBFS is -23 LUFS.
        let tone: Vec<f32> =
            (0..8000).map(|i| (0.0708 * (f64::from(i) * std::f64::consts::TAU / 8.0).sin()) as f32).collect();
        let second = Buffer::from_channels(spec, &[tone.clone(), tone]);
        for (seconds, step_s) in [(10, 0.1), (450, 0.4)] {
            let mut meter = CurveMeter::new(spec).unwrap();
            (0..seconds).for_each(|_| meter.push(&second));
            let mut other = CurveMeter::new(spec).unwrap();
            let mut part = Buffer::new(spec, 777);
            for _ in 0..seconds {
                for start in (0..8000).step_by(777) {
                    part.copy_from(&second, start, 777.min(8000 - start));
                    other.push(&part);
                }
            }
            let curve = meter.finish();
            assert_eq!(curve, other.finish());
            assert!((curve.step_s - step_s).abs() < 1e-9, "{}", curve.step_s);
            let points = (f64::from(seconds) / step_s).floor() as usize;
            assert_eq!((curve.momentary_lufs.len(), curve.short_term_lufs.len()), (points, points));
            assert!(
                curve.momentary_lufs[6..].iter().all(|l| (l + 23.0).abs() < 0.1),
                "{:?}",
                &curve.momentary_lufs[..8]
            );
            assert!(curve.short_term_lufs[31..].iter().all(|l| (l + 23.0).abs() < 0.1));
        }
    }
}
