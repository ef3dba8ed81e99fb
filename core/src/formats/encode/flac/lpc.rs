//! Linear prediction: window, autocorrelation, Levinson-Durbin, quantised coefficients, residual.
//!
//! Sources: RFC 9639 section 9.2.6 (linear predictor subframe); J. Makhoul, "Linear Prediction: A Tutorial Review", 1975
//! (autocorrelation method); the choice of precision by block size follows the reference encoder's published defaults.

use fearless_simd::{Level, Simd, dispatch};

/// Largest predictor order that is searched (the format allows 32; the subset 12 up to 48 kHz).
pub(crate) const MAX_ORDER: usize = 12;
/// Sums for lags 0 to [`MAX_ORDER`].
pub(crate) type Autocorrelation = [f64; MAX_ORDER + 1];
/// Lags computed at once: a whole number of vectors.
const LAGS: usize = 16;

/// Tukey window: flat with cosine flanks that take the fraction `p` of the length.
pub(crate) fn tukey(length: usize, p: f64) -> Vec<f32> {
    let flank = ((p / 2.0 * length as f64) as usize).saturating_sub(1);
    let mut w = vec![1.0_f32; length];
    for i in 0..flank.min(length / 2) {
        let v = (0.5 - 0.5 * (std::f64::consts::PI * i as f64 / flank as f64).cos()) as f32;
        w[i] = v;
        w[length - 1 - i] = v;
    }
    w
}

/// `sum x[i] x[i - lag]` for lags 0 to [`MAX_ORDER`].
///
/// `padded` holds [`LAGS`] zeros before the signal. The sums run over f64 in an order that does not depend on the vector
/// width, so that every processor finds the same coefficients.
pub(crate) fn autocorrelation(padded: &[f32], orders: usize) -> Autocorrelation {
    let level = Level::new();
    let sums = if orders < 8 {
        dispatch!(level, simd => autocorrelation_kernel::<_, 8>(simd, padded))
    } else if orders < 12 {
        dispatch!(level, simd => autocorrelation_kernel::<_, 12>(simd, padded))
    } else {
        dispatch!(level, simd => autocorrelation_kernel::<_, 16>(simd, padded))
    };
    let mut r = [0.0; MAX_ORDER + 1];
    r.copy_from_slice(&sums[..=MAX_ORDER]);
    r
}

#[inline(always)]
fn autocorrelation_kernel<S: Simd, const N: usize>(_: S, padded: &[f32]) -> [f64; LAGS] {
    // Four independent sets of sums hide the latency of the additions; index `j` belongs to lag `N - 1 - j`.
    let mut acc = [[0.0_f64; N]; 2];
    let signal = padded.len() - LAGS;
    let mut i = 0;
    while i + 2 <= signal {
        for (u, acc) in acc.iter_mut().enumerate() {
            let at = LAGS + i + u;
            let x = f64::from(padded[at]);
            let past = &padded[at + 1 - N..=at];
            for j in 0..N {
                acc[j] += f64::from(past[j]) * x;
            }
        }
        i += 2;
    }
    if i < signal {
        let at = LAGS + i;
        let x = f64::from(padded[at]);
        let past = &padded[at + 1 - N..=at];
        for j in 0..N {
            acc[0][j] += f64::from(past[j]) * x;
        }
    }
    let mut sums = [0.0; LAGS];
    for j in 0..N {
        sums[N - 1 - j] = acc[0][j] + acc[1][j];
    }
    sums
}

/// Samples times window into `padded`, behind [`LAGS`] zeros.
pub(crate) fn apply_window(samples: &[i32], window: &[f32], padded: &mut Vec<f32>) {
    padded.clear();
    padded.resize(LAGS, 0.0);
    padded.extend(samples.iter().zip(window).map(|(s, w)| *s as f32 * w));
}

/// Predictors of every order up to `max_order` and the energy of each one's error.
#[derive(Debug, Clone)]
pub(crate) struct Predictors {
    /// `coefs[n - 1][..n]` predicts from the last `n` samples, newest first.
    pub coefs: [[f64; MAX_ORDER]; MAX_ORDER],
    /// Error energy of order `n` at `n - 1`.
    pub error: [f64; MAX_ORDER],
    /// Highest order that is valid.
    pub orders: usize,
}

/// Levinson-Durbin recursion. `None` for silence.
pub(crate) fn levinson(r: &Autocorrelation, max_order: usize) -> Option<Predictors> {
    if r[0] <= 0.0 {
        return None;
    }
    let mut p = Predictors { coefs: [[0.0; MAX_ORDER]; MAX_ORDER], error: [0.0; MAX_ORDER], orders: 0 };
    let mut a = [0.0_f64; MAX_ORDER];
    let mut error = r[0];
    for i in 0..max_order {
        let acc = r[i + 1] - (0..i).map(|j| a[j] * r[i - j]).sum::<f64>();
        let k = acc / error;
        let old = a;
        a[i] = k;
        for j in 0..i {
            a[j] = old[j] - k * old[i - 1 - j];
        }
        error *= 1.0 - k * k;
        p.coefs[i] = a;
        p.error[i] = error.max(0.0);
        p.orders = i + 1;
        if error <= 0.0 {
            break;
        }
    }
    Some(p)
}

/// Expected bits of one residual sample for a predictor whose error energy over `n` samples is `error`: the entropy of a
/// Laplacian of that variance, coded by Rice.
pub(crate) fn expected_bits(error: f64, n: usize) -> f64 {
    if error <= 0.0 {
        return 0.0;
    }
    (0.5 * (0.5 / n as f64 * error).log2()).max(0.0)
}

/// Quantised predictor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quantised {
    pub coefs: Vec<i32>,
    pub precision: u32,
    pub shift: u32,
}

/// Quantises `coefs` to `precision` bits with error feedback. `None` when nothing sensible is left.
pub(crate) fn quantise(coefs: &[f64], precision: u32) -> Option<Quantised> {
    let max = coefs.iter().fold(0.0_f64, |m, c| m.max(c.abs()));
    if max <= 0.0 || !max.is_finite() {
        return None;
    }
    // Largest shift with which the greatest coefficient still fits precision - 1 bits and a sign.
    let exponent = max.log2().floor() as i32 + 1;
    let shift = (precision as i32 - 1 - exponent).min(15);
    if shift < 0 {
        return None;
    }
    let limit = 1_i64 << (precision - 1);
    let mut error = 0.0;
    let coefs = coefs
        .iter()
        .map(|c| {
            let wanted = c * f64::from(1_i32 << shift) + error;
            let q = (wanted.round() as i64).clamp(-limit, limit - 1);
            error = wanted - q as f64;
            q as i32
        })
        .collect();
    Some(Quantised { coefs, precision, shift: shift as u32 })
}

/// Residual of `samples[order..]`; false when one does not fit the format's 32 bits.
pub(crate) fn residual(samples: &[i32], q: &Quantised, bits: u32, out: &mut Vec<i32>) -> bool {
    let order = q.coefs.len();
    let n = samples.len() - order;
    out.clear();
    out.resize(n, 0);
    // Oldest first, so that coefficients and samples run in the same direction.
    let mut c = [0_i32; MAX_ORDER];
    for (to, from) in c.iter_mut().zip(q.coefs.iter().rev()) {
        *to = *from;
    }
    let level = Level::new();
    // Sum of `order` products: bits + precision - 1 + log2(order) bits.
    let narrow = bits + q.precision - 1 + usize::BITS - (order - 1).leading_zeros() <= 32;
    if narrow {
        macro_rules! by_order {
            ($($o:literal)*) => { match order {
                $($o => dispatch!(level, simd => narrow_kernel::<_, $o>(simd, samples, &c, q.shift, out)),)*
                _ => {}
            } };
        }
        by_order!(1 2 3 4 5 6 7 8 9 10 11 12);
        return true;
    }
    macro_rules! by_order {
        ($($o:literal)*) => { match order {
            $($o => dispatch!(level, simd => wide_kernel::<_, $o>(simd, samples, &c, q.shift, out)),)*
            _ => false,
        } };
    }
    by_order!(1 2 3 4 5 6 7 8 9 10 11 12)
}

#[inline(always)]
fn narrow_kernel<S: Simd, const O: usize>(_: S, samples: &[i32], c: &[i32; MAX_ORDER], shift: u32, out: &mut [i32]) {
    let n = out.len();
    // One slice per tap, all of the same length: no bounds check is left in the loop.
    let taps: [&[i32]; O] = std::array::from_fn(|j| &samples[j..j + n]);
    let now = &samples[O..O + n];
    for i in 0..n {
        let mut sum = 0_i32;
        for j in 0..O {
            sum = sum.wrapping_add(c[j].wrapping_mul(taps[j][i]));
        }
        out[i] = now[i].wrapping_sub(sum >> shift);
    }
}

#[inline(always)]
fn wide_kernel<S: Simd, const O: usize>(
    _: S,
    samples: &[i32],
    c: &[i32; MAX_ORDER],
    shift: u32,
    out: &mut [i32],
) -> bool {
    let n = out.len();
    let taps: [&[i32]; O] = std::array::from_fn(|j| &samples[j..j + n]);
    let now = &samples[O..O + n];
    let mut beyond = 0_i64;
    for i in 0..n {
        let mut sum = 0_i64;
        for j in 0..O {
            sum += i64::from(c[j]) * i64::from(taps[j][i]);
        }
        let r = i64::from(now[i]) - (sum >> shift);
        out[i] = r as i32;
        // Nonzero where the value needs more than 32 bits, or is the one value that RFC 9639 section 9.2.7.3 forbids.
        beyond |= (r ^ i64::from(r as i32)) | i64::from(r == i64::from(i32::MIN));
    }
    beyond == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn autocorrelation_equals_the_definition_for_every_length() {
        for n in [1_usize, 2, 3, 15, 16, 17, 100, 4096] {
            let x: Vec<i32> = (0..n as i32).map(|i| (i * 37 % 101) - 50).collect();
            let mut padded = Vec::new();
            apply_window(&x, &vec![1.0; n], &mut padded);
            for orders in [4, 8, 12] {
                let got = autocorrelation(&padded, orders);
                for lag in 0..=orders {
                    let want: i64 = (lag..n).map(|i| i64::from(x[i]) * i64::from(x[i - lag])).sum();
                    // Integers below 2^53: the sums are exact.
                    assert_eq!(got[lag], want as f64, "n {n}, lag {lag}, orders {orders}");
                }
            }
        }
    }

    #[test]
    fn levinson_finds_the_filter_that_made_the_signal() {
        // AR(2) with poles at 0.9 exp(+-j): r from the recursion r[k] = a1 r[k-1] + a2 r[k-2].
        let (a1, a2) = (2.0 * 0.9 * 1.0_f64.cos(), -0.81);
        let mut r = [0.0; MAX_ORDER + 1];
        r[0] = 1.0;
        r[1] = a1 / (1.0 - a2);
        for k in 2..=MAX_ORDER {
            r[k] = a1 * r[k - 1] + a2 * r[k - 2];
        }
        let p = levinson(&r, 4).unwrap();
        assert!((p.coefs[1][0] - a1).abs() < 1e-12 && (p.coefs[1][1] - a2).abs() < 1e-12);
        assert!(p.coefs[3][2].abs() < 1e-12 && p.coefs[3][3].abs() < 1e-12);
        assert!(p.error[3] <= p.error[0]);
    }

    #[test]
    fn narrow_and_wide_residuals_agree_with_the_definition() {
        let x: Vec<i32> = (0..300).map(|i| ((f64::from(i) * 0.1).sin() * 30_000.0) as i32).collect();
        for order in 1..=MAX_ORDER {
            let coefs: Vec<i32> = (0..order as i32).map(|i| 900 - 300 * i).collect();
            let q = Quantised { coefs: coefs.clone(), precision: 12, shift: 9 };
            let want: Vec<i32> = (order..x.len())
                .map(|i| {
                    x[i] - ((0..order).map(|j| i64::from(coefs[j]) * i64::from(x[i - 1 - j])).sum::<i64>() >> 9) as i32
                })
                .collect();
            let (mut narrow, mut wide) = (Vec::new(), Vec::new());
            assert!(residual(&x, &q, 16, &mut narrow));
            assert!(residual(&x, &q, 24, &mut wide));
            assert_eq!(narrow, want, "order {order}");
            assert_eq!(wide, want, "order {order}");
        }
    }

    #[test]
    fn a_residual_beyond_32_bits_is_refused() {
        let x = vec![i32::MAX, i32::MIN, i32::MAX, i32::MIN];
        let q = Quantised { coefs: vec![16_383], precision: 15, shift: 14 };
        assert!(!residual(&x, &q, 32, &mut Vec::new()));
    }
}
