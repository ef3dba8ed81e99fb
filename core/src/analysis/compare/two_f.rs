//! The 2f-model: a predicted mean listening score from two figures of the ear model.
//!
//! T. Kastner, J. Herre, *An Efficient Model for Estimating Subjective Quality of Separated Audio Source Signals*, WASPAA 2019. It was fitted
//! to listening tests (MUSHRA) of separated sources: what codecs do at high rates is outside of them.

/// Predicted mean score of a listening test, 0 to 100, by `AvgModDiff1` and `ADB`.
pub fn two_f_score(avg_mod_diff1: f64, adb: f64) -> f64 {
    let modulation = -0.0282 * avg_mod_diff1 - 0.8628;
    (56.1345 / (1.0 + modulation * modulation) - 27.1451 * adb + 86.3515).clamp(0.0, 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_that_of_the_formula() {
        assert_eq!(two_f_score(0.0, 0.0), 100.0);
        assert_eq!(two_f_score(500.0, 5.0), 0.0);
        // 56.1345 / (1 + 2.2728^2) = 9.1046; - 27.1451 * 1.5 = -40.7177; + 86.3515.
        assert!((two_f_score(50.0, 1.5) - 54.7384).abs() < 1e-3, "{}", two_f_score(50.0, 1.5));
    }
}
