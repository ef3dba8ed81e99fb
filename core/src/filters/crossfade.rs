//! Cross-fade from one recording to the next: for joins, loops and mixes.

use super::params::filter_choice;

filter_choice! {
    /// Gains of a cross-fade; `t` runs from 0 to 1.
    pub enum CrossfadeCurve {
        EqualPower = "equal_power": "Quarter sines: keeps the power of unrelated sound.",
        EqualGain = "equal_gain": "Straight lines: keeps the amplitude of like sound.",
        Smooth = "smooth": "Raised cosines: keeps the amplitude, without corners.",
    }
}

impl CrossfadeCurve {
    /// Gains of what ends and of what begins, at `t` of 0 to 1.
    pub fn gains(self, t: f64) -> (f32, f32) {
        let t = t.clamp(0.0, 1.0);
        let rise = |t: f64| match self {
            Self::EqualPower => (std::f64::consts::FRAC_PI_2 * t).sin(),
            Self::EqualGain => t,
            Self::Smooth => 0.5 - 0.5 * (std::f64::consts::PI * t).cos(),
        };
        (rise(1.0 - t) as f32, rise(t) as f32)
    }

    /// Gains at frame `n` of a cross-fade of `frames` frames. The first frame is not yet silent, the last not yet full, so
    /// that none is wasted.
    pub fn gains_at(self, n: usize, frames: usize) -> (f32, f32) {
        self.gains((n as f64 + 0.5) / frames.max(1) as f64)
    }
}

/// Fades `from`, the end of one stretch, into `to`, the beginning of the next: the result is in `to`. Frame `first` of a
/// cross-fade of `frames` frames is at index 0, so that it can be done in blocks. Real-time safe.
pub fn crossfade(curve: CrossfadeCurve, from: &[f32], to: &mut [f32], first: usize, frames: usize) {
    for (n, (y, x)) in to.iter_mut().zip(from).enumerate() {
        let (fall, rise) = curve.gains_at(first + n, frames);
        *y = x * fall + *y * rise;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_power_or_amplitude_and_runs_from_one_to_the_other() {
        for curve in [CrossfadeCurve::EqualPower, CrossfadeCurve::EqualGain, CrossfadeCurve::Smooth] {
            assert_eq!(curve.gains(0.0), (1.0, 0.0));
            assert_eq!(curve.gains(1.0), (1.0 - 1.0, 1.0));
            for n in 0..=100 {
                let (fall, rise) = curve.gains(f64::from(n) / 100.0);
                let sum = match curve {
                    CrossfadeCurve::EqualPower => fall * fall + rise * rise,
                    _ => fall + rise,
                };
                assert!((sum - 1.0).abs() < 1e-6, "{curve:?} {n}"); // rounding of two f32
            }
        }
    }

    #[test]
    fn in_blocks_as_in_one() {
        let from: Vec<f32> = (0..100).map(|n| n as f32).collect();
        let to: Vec<f32> = (0..100).map(|n| -(n as f32)).collect();
        let mut whole = to.clone();
        crossfade(CrossfadeCurve::Smooth, &from, &mut whole, 0, 100);
        for block in [1, 7, 64] {
            let mut got = to.clone();
            for (index, (y, x)) in got.chunks_mut(block).zip(from.chunks(block)).enumerate() {
                crossfade(CrossfadeCurve::Smooth, x, y, index * block, 100);
            }
            assert_eq!(got, whole);
        }
        assert!(whole[1] > 0.0 && whole[98] < 0.0);
    }
}
