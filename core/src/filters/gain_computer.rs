//! From levels to gains: the static curves of the dynamics filters, in octaves (6.02 dB), as vector loops.
//!
//! The soft knee is equation 4 of D. Giannoulis, M. Massberg, J. Reiss, "Digital Dynamic Range Compressor Design", JAES
//! 60(6), 2012. Plain loops, compiled for each instruction set: the same bits on each.

use fearless_simd::{Simd, dispatch};

use super::math::{DB_PER_OCTAVE, exp2, log2};
use crate::dsp::kernels;

/// Ratio, threshold and knee.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Curve {
    /// From the logarithm of the detector's value to octaves of amplitude: 0.5 for squares.
    pub scale: f32,
    /// In octaves.
    pub threshold: f32,
    /// In octaves, above 0.
    pub knee: f32,
    /// dB of gain change per dB beyond the threshold.
    pub slope: f32,
}

impl Curve {
    /// A curve from parameters in dB.
    pub fn new(squares: bool, threshold_dbfs: f64, knee_db: f64, slope: f64) -> Self {
        Self {
            scale: if squares { 0.5 } else { 1.0 },
            threshold: threshold_dbfs as f32 / DB_PER_OCTAVE,
            knee: (knee_db as f32 / DB_PER_OCTAVE).max(1e-4),
            slope: slope as f32,
        }
    }

    /// Slope times what `over` (octaves beyond the threshold) is after the knee.
    #[inline(always)]
    pub fn beyond(self, over: f32) -> f32 {
        let half = 0.5 * self.knee;
        let from_foot = over + half;
        let in_knee = if from_foot > 0.0 { from_foot } else { 0.0 };
        let in_knee = if in_knee < self.knee { in_knee } else { self.knee };
        let above = if over > half { over - half } else { 0.0 };
        self.slope * (in_knee * in_knee * (0.5 / self.knee) + above)
    }

    /// From levels to reductions of what is above the threshold, in place.
    pub fn above(self, level: &mut [f32]) {
        dispatch!(kernels::level(), simd => self.above_loop(simd, level));
    }

    #[inline(always)]
    fn above_loop<S: Simd>(self, _: S, level: &mut [f32]) {
        for l in level {
            *l = self.beyond(self.scale * log2(*l) - self.threshold);
        }
    }

    /// From levels to gain changes of what is under the threshold, at most `range`, in place. Under `floor` (octaves) the
    /// change falls off again, octave by octave.
    pub fn below(self, range: f32, floor: f32, level: &mut [f32]) {
        dispatch!(kernels::level(), simd => self.below_loop(simd, range, floor, level));
    }

    #[inline(always)]
    fn below_loop<S: Simd>(self, _: S, range: f32, floor: f32, level: &mut [f32]) {
        for l in level {
            let octaves = self.scale * log2(*l);
            let change = self.beyond(self.threshold - octaves);
            let change = if change < range { change } else { range };
            let missing = if octaves < floor { floor - octaves } else { 0.0 };
            let change = change - missing;
            *l = if change > 0.0 { change } else { 0.0 };
        }
    }
}

/// From reductions to gains, in place: `1 - wet + wet 2^(makeup - reduction)`.
pub(super) fn gains(level: &mut [f32], makeup: f32, wet: f32) {
    dispatch!(kernels::level(), simd => gains_loop(simd, level, makeup, wet));
}

#[inline(always)]
fn gains_loop<S: Simd>(_: S, level: &mut [f32], makeup: f32, wet: f32) {
    for l in level {
        *l = 1.0 - wet + wet * exp2(makeup - *l);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_knee_is_equation_4_and_continuous() {
        let curve = Curve::new(false, -12.041_2, 12.041_2, 0.5);
        // One octave of knee on each side of -2 octaves: nothing at -3, everything at -1.
        assert_eq!(curve.beyond(-1.0), 0.0);
        assert!((curve.beyond(0.0) - 0.5 * 0.25).abs() < 1e-6);
        assert!((curve.beyond(1.0) - 0.5).abs() < 1e-6);
        let mut x = [0.125f32, 0.25, 0.5, 1.0];
        curve.above(&mut x);
        for (got, want) in x.iter().zip([0.0, 0.125, 0.5, 1.0]) {
            assert!((got - want).abs() < 1e-5, "{got} {want}"); // f32 octaves of a dB value
        }
        let mut x = [0.5f32, 0.25, 0.125, 1.0 / 64.0, 1.0 / 128.0, 1.0 / 512.0];
        curve.below(1.5, -6.5, &mut x);
        for (got, want) in x.iter().zip([0.0, 0.125, 0.5, 1.5, 1.0, 0.0]) {
            assert!((got - want).abs() < 1e-5, "{got} {want}");
        }
        let mut x = [0.0f32, 1.0];
        gains(&mut x, 1.0, 0.5);
        assert_eq!(x, [1.5, 1.0]);
    }
}
