//! Levels against full scale.

/// `20 log10` of an amplitude: 1.0 is 0 dBFS. `-inf` for silence.
pub fn amplitude_db(amplitude: f64) -> f64 {
    20.0 * amplitude.log10()
}

/// `10 log10` of a mean square: a full-scale sine reads -3.01 dBFS. `-inf` for silence.
pub fn power_db(mean_square: f64) -> f64 {
    10.0 * mean_square.log10()
}

/// Amplitude of a level in dB: 0 dBFS is 1.0.
pub fn db_to_amplitude(db: f64) -> f64 {
    10f64.powf(db / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_minus_infinity_and_the_scales_agree() {
        assert_eq!(amplitude_db(0.0), f64::NEG_INFINITY);
        assert_eq!(power_db(0.0), f64::NEG_INFINITY);
        assert!((amplitude_db(0.5) - power_db(0.25)).abs() < 1e-12);
        assert!((db_to_amplitude(amplitude_db(0.3)) - 0.3).abs() < 1e-12);
    }
}
