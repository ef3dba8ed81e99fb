//! The definitions: every other version must give the same bits.

use super::LANES;

/// Folds 16 lanes to one, halves onto each other.
pub fn fold(mut lanes: [f32; LANES]) -> f32 {
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    lanes[0]
}

/// Sum of `a[i] * b[i]` over the shorter length, in 16 lanes.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        lanes[i % LANES] += x * y;
    }
    fold(lanes)
}

/// Largest absolute value; 0 for nothing. NaN is skipped.
pub fn peak(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |peak, v| if v.abs() > peak { v.abs() } else { peak })
}

/// Sum of squares in f64, in 8 lanes.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    let mut lanes = [0.0f64; 8];
    for (i, v) in x.iter().enumerate() {
        lanes[i % 8] += f64::from(*v) * f64::from(*v);
    }
    for width in [4, 2, 1] {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    lanes[0]
}
