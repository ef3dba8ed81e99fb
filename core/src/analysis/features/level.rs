//! Numbers of one frame in time: zero-crossing rate and RMS.

use super::framer::Frame;
use crate::dsp::kernels::sum_of_squares;

/// Values up to this count as zero: `librosa.zero_crossings`' `threshold`.
const ZERO: f32 = 1e-10;

/// Sign changes per sample, as `librosa.feature.zero_crossing_rate`: padding repeats the value at the edge, so it has none.
pub fn zero_crossing_rate(frame: &Frame<'_>) -> f32 {
    let x = &frame.samples[frame.valid.clone()];
    let crossings: u32 = x.iter().zip(x.iter().skip(1)).map(|(a, b)| u32::from((*a < -ZERO) != (*b < -ZERO))).sum();
    crossings as f32 / frame.samples.len() as f32
}

/// Root of the mean square, padding included, as `librosa.feature.rms`.
pub fn rms(frame: &Frame<'_>) -> f32 {
    (sum_of_squares(frame.samples) / frame.samples.len() as f64).sqrt() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_crosses_twice_per_period_and_has_its_rms() {
        let x: Vec<f32> = (0..2048).map(|i| (std::f64::consts::TAU * (i as f64 + 0.5) / 64.0).sin() as f32).collect();
        let frame = Frame { index: 0, samples: &x, valid: 0..2048 };
        // 32 periods; the last crossing lies after the last sample.
        assert_eq!(zero_crossing_rate(&frame), 63.0 / 2048.0);
        assert!((rms(&frame) - 0.5f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn padding_has_no_crossing() {
        let x = [0.0, 0.0, -1.0, -1.0, 1.0, -1.0, 0.0, 0.0];
        assert_eq!(zero_crossing_rate(&Frame { index: 0, samples: &x, valid: 2..6 }), 2.0 / 8.0);
    }
}
