//! Logarithm and power of two for the audio path.
//!
//! The platform's `logf` and `expf` differ between systems in the last bit, and cost a call per sample. These are a few
//! multiplications and additions in a fixed order (no fused multiply-add), so every machine gives the same bits, and
//! loops over them become vector code. The polynomials were fitted for the smallest maximal error (iteratively
//! reweighted least squares); the errors stated are those measured by the tests.

/// Coefficients of `log2(1 + t) / t` for `sqrt(1/2) <= 1 + t <= sqrt(2)`.
const LOG2: [f32; 8] =
    [1.442_694_8, -0.721_357_15, 0.480_939_44, -0.360_087_2, 0.286_707_55, -0.250_069_3, 0.236_889_78, -0.145_742_96];

/// Coefficients of `(2^f - 1) / f` for `|f| <= 1/2`.
const EXP2: [f32; 6] =
    [std::f32::consts::LN_2, 0.240_226_48, 0.055_503_324, 0.009_618_437, 0.001_339_887_5, 0.000_153_533_6];

/// Base-2 logarithm of a positive normal number, absolute error below 3e-7 near 1 and 1 unit in the last place of the
/// result elsewhere.
///
/// 0, denormal and negative numbers give about -127, so that levels have a floor of -764 dB; NaN and infinity give
/// about 128.
#[inline(always)]
pub fn log2(x: f32) -> f32 {
    let x = if x > f32::MIN_POSITIVE { x } else { f32::MIN_POSITIVE };
    let bits = x.to_bits() as i32;
    // 0x3F3504F3 is sqrt(1/2): the mantissa comes to lie in sqrt(1/2)..sqrt(2).
    let exponent = (bits - 0x3F35_04F3) >> 23;
    let t = f32::from_bits((bits - (exponent << 23)) as u32) - 1.0;
    let c = LOG2;
    let p = c[4] + t * (c[5] + t * (c[6] + t * c[7]));
    let p = c[0] + t * (c[1] + t * (c[2] + t * (c[3] + t * p)));
    exponent as f32 + t * p
}

/// 2 to the power of `x`, relative error below 2e-7. Clamped to `2^-126 .. 2^127`; NaN gives `2^-126`.
#[inline(always)]
pub fn exp2(x: f32) -> f32 {
    // In this form NaN takes the lower bound.
    let x = if x > -126.0 { x } else { -126.0 };
    let x = if x < 127.0 { x } else { 127.0 };
    // Adding 1.5 * 2^23 rounds to the nearest whole number, which then sits in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x + ROUND;
    let f = x - (shifted - ROUND);
    let whole = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    let c = EXP2;
    let p = 1.0 + f * (c[0] + f * (c[1] + f * (c[2] + f * (c[3] + f * (c[4] + f * c[5])))));
    p * f32::from_bits(whole.wrapping_add(127) << 23)
}

/// `20 log10(2)`: dB of a factor of two in amplitude.
pub const DB_PER_OCTAVE: f32 = 6.020_6;

/// dB of an amplitude; see [`log2`] for the error (times 6) and special values.
#[inline(always)]
pub fn to_db(amplitude: f32) -> f32 {
    DB_PER_OCTAVE * log2(amplitude)
}

/// Amplitude of dB; see [`exp2`]. 0 dB is 1 exactly.
#[inline(always)]
pub fn from_db(db: f32) -> f32 {
    exp2(db * (1.0 / DB_PER_OCTAVE))
}

/// Coefficient of a one-pole smoother `y = x + c (y - x)` that covers 1 - 1/e of a step in `time_ms`; 0 for no time.
/// For `prepare`, not for the audio path. The state must be f64 as well: at 192 kHz a second is a step of 5e-6, where f32
/// would get stuck before its goal.
pub fn smoothing(time_ms: f64, rate_hz: f64) -> f64 {
    if time_ms <= 0.0 { 0.0 } else { (-1000.0 / (time_ms * rate_hz)).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log2_is_within_its_stated_error() {
        let (mut x, mut worst) = (1.2e-38f32, 0.0f64);
        while x < 3e38 {
            let want = f64::from(x).log2();
            let err = (f64::from(log2(x)) - want).abs() / want.abs().max(2.0);
            worst = worst.max(err);
            x *= 1.000_37;
        }
        assert!(worst < 1.5e-7, "{worst:e}");
        assert_eq!(log2(1.0), 0.0);
        assert_eq!(log2(0.5), -1.0);
        assert!(log2(0.0) < -125.9 && log2(-1.0) < -125.9 && log2(f32::NAN) < -125.9);
    }

    #[test]
    fn exp2_is_within_its_stated_error() {
        let (mut x, mut worst) = (-125.9f32, 0.0f64);
        while x < 126.9 {
            let want = f64::from(x).exp2();
            worst = worst.max((f64::from(exp2(x)) - want).abs() / want);
            x += 0.000_93;
        }
        assert!(worst < 2e-7, "{worst:e}");
        assert_eq!((exp2(0.0), exp2(1.0), exp2(-3.0)), (1.0, 2.0, 0.125));
        assert!(exp2(f32::NAN) > 0.0 && exp2(1e9).is_finite() && exp2(-1e9) > 0.0);
    }
}
