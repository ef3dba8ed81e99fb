//! Prediction: samples from residuals, in place (RFC 9639, 9.2.5 and 9.2.6).

/// Restores a fixed predictor of `order` 0 to 4; `samples` holds warm-up samples, then residuals.
///
/// There is no shift, so arithmetic modulo 2^32 is exact for every sample that fits.
pub(crate) fn fixed(samples: &mut [i32], order: usize) {
    // The samples and their differences up to `order - 1` at the last warm-up sample.
    let at = |i: usize| samples.get(order.wrapping_sub(i)).copied().unwrap_or(0);
    let (s1, s2, s3, s4) = (at(1), at(2), at(3), at(4));
    let d1 = s1.wrapping_sub(s2);
    let d1_before = s2.wrapping_sub(s3);
    let d2 = d1.wrapping_sub(d1_before);
    let d3 = d2.wrapping_sub(d1_before.wrapping_sub(s3.wrapping_sub(s4)));
    let rest = samples.get_mut(order..).unwrap_or_default();
    let mut state = [s1, d1, d2, d3];
    match order {
        1 => integrate::<1>(rest, &mut state),
        2 => integrate::<2>(rest, &mut state),
        3 => integrate::<3>(rest, &mut state),
        4 => integrate::<4>(rest, &mut state),
        _ => {}
    }
}

#[inline(always)]
fn integrate<const N: usize>(rest: &mut [i32], state: &mut [i32; 4]) {
    for sample in rest {
        let mut value = *sample;
        for level in (0..N).rev() {
            state[level] = state[level].wrapping_add(value);
            value = state[level];
        }
        *sample = value;
    }
}

/// Restores a linear predictor. `coefficients[0]` belongs to the newest sample.
///
/// Sums have 64 bits for every width: a scalar 64-bit product costs what one of 32 bits costs, and the compiler does not
/// vectorise it. Vectors are several times slower here without SSE 4.1, because each sample depends on the one before.
pub(crate) fn linear(samples: &mut [i32], coefficients: &[i32], shift: u32) {
    match coefficients.len() {
        1 => linear_n::<1>(samples, coefficients, shift),
        2 => linear_n::<2>(samples, coefficients, shift),
        3 => linear_n::<3>(samples, coefficients, shift),
        4 => linear_n::<4>(samples, coefficients, shift),
        5 => linear_n::<5>(samples, coefficients, shift),
        6 => linear_n::<6>(samples, coefficients, shift),
        7 => linear_n::<7>(samples, coefficients, shift),
        8 => linear_n::<8>(samples, coefficients, shift),
        9 => linear_n::<9>(samples, coefficients, shift),
        10 => linear_n::<10>(samples, coefficients, shift),
        11 => linear_n::<11>(samples, coefficients, shift),
        12 => linear_n::<12>(samples, coefficients, shift),
        n => {
            for i in n..samples.len() {
                let history = samples[i - n..i].iter().rev();
                let sum: i64 = history.zip(coefficients).map(|(x, c)| i64::from(*x) * i64::from(*c)).sum();
                samples[i] = samples[i].wrapping_add((sum >> shift) as i32);
            }
        }
    }
}

/// Order known to the compiler: the history stays in registers.
#[inline(always)]
fn linear_n<const N: usize>(samples: &mut [i32], coefficients: &[i32], shift: u32) {
    let (Some(c), Some(start)) = (coefficients.first_chunk::<N>(), samples.first_chunk::<N>()) else { return };
    let c = c.map(i64::from);
    // Newest first.
    let mut history = start.map(i64::from);
    history.reverse();
    for sample in &mut samples[N..] {
        // The newest sample last: everything else can be summed before it is known.
        let mut sum = 0_i64;
        for i in (0..N).rev() {
            sum += history[i] * c[i];
        }
        let value = sample.wrapping_add((sum >> shift) as i32);
        history.copy_within(0..N - 1, 1);
        history[0] = i64::from(value);
        *sample = value;
    }
}

/// For samples of 33 bits (the side channel of 32-bit stereo): `samples` holds warm-up samples; residuals follow from
/// `residuals`.
pub(crate) fn linear_33(samples: &mut Vec<i64>, residuals: &[i32], coefficients: &[i64], shift: u32) {
    let n = coefficients.len();
    for residual in residuals {
        let at = samples.len();
        let history = samples[at - n..].iter().rev();
        let sum: i64 = history.zip(coefficients).fold(0, |s, (x, c)| s.wrapping_add(x.wrapping_mul(*c)));
        samples.push(i64::from(*residual).wrapping_add(sum >> shift));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(n: usize) -> Vec<i32> {
        let mut x = 1_u32;
        (0..n)
            .map(|i| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (f64::sin(i as f64 * 0.1) * 8000.0) as i32 + (x >> 24) as i32
            })
            .collect()
    }

    /// RFC 9639, table 24: coefficients of the fixed predictors.
    const FIXED: [&[i32]; 5] = [&[], &[1], &[2, -1], &[3, -3, 1], &[4, -6, 4, -1]];

    fn residuals(s: &[i32], c: &[i32], shift: u32) -> Vec<i32> {
        (0..s.len())
            .map(|i| {
                if i < c.len() {
                    return s[i];
                }
                let sum: i64 = c.iter().enumerate().map(|(j, c)| i64::from(*c) * i64::from(s[i - 1 - j])).sum();
                s[i] - (sum >> shift) as i32
            })
            .collect()
    }

    #[test]
    fn every_fixed_order_restores() {
        let s = signal(100);
        for (order, c) in FIXED.iter().enumerate() {
            let mut r = residuals(&s, c, 0);
            fixed(&mut r, order);
            assert_eq!(r, s, "{order}");
        }
    }

    #[test]
    fn every_linear_order_restores_in_every_width() {
        let s = signal(200);
        for n in 1..=32_usize {
            let c: Vec<i32> = (0..n).map(|i| (1000 / (i as i32 + 1)) * if i % 2 == 0 { 1 } else { -1 }).collect();
            let r = residuals(&s, &c, 10);
            let mut a = r.clone();
            linear(&mut a, &c, 10);
            let mut wide: Vec<i64> = s[..n].iter().map(|x| i64::from(*x)).collect();
            let c64: Vec<i64> = c.iter().map(|x| i64::from(*x)).collect();
            linear_33(&mut wide, &r[n..], &c64, 10);
            assert_eq!(a, s, "{n}");
            assert!(wide.iter().zip(&s).all(|(a, b)| *a == i64::from(*b)));
        }
    }
}
