//! Prediction: samples from residuals, in place (RFC 9639, 9.2.5 and 9.2.6).

use fearless_simd::{Level, Simd, dispatch, i32x4, prelude::*};

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

/// Taps that are summed sample by sample; the others are summed for four outputs at once.
const NEAR_TAPS: usize = 4;

/// Restores a linear predictor. `coefficients[0]` belongs to the newest sample. `narrow`: the sum of the products fits 32
/// bits, which a frame's header tells.
pub(crate) fn linear(samples: &mut [i32], coefficients: &[i32], shift: u32, narrow: bool) {
    let level = Level::new();
    match coefficients.len() {
        n @ 1..=4 => match n {
            1 => linear_n::<1>(samples, coefficients, shift),
            2 => linear_n::<2>(samples, coefficients, shift),
            3 => linear_n::<3>(samples, coefficients, shift),
            _ => linear_n::<4>(samples, coefficients, shift),
        },
        5..=8 if narrow => dispatch!(level, simd => Chain::<_, 8>::run(simd, samples, coefficients, shift)),
        9..=12 if narrow => dispatch!(level, simd => Chain::<_, 12>::run(simd, samples, coefficients, shift)),
        _ if narrow => dispatch!(level, simd => Chain::<_, 32>::run(simd, samples, coefficients, shift)),
        5 => linear_n::<5>(samples, coefficients, shift),
        6 => linear_n::<6>(samples, coefficients, shift),
        7 => linear_n::<7>(samples, coefficients, shift),
        8 => linear_n::<8>(samples, coefficients, shift),
        10 => linear_n::<10>(samples, coefficients, shift),
        12 => linear_n::<12>(samples, coefficients, shift),
        n => (n..samples.len()).for_each(|at| restore(samples, coefficients, shift, at)),
    }
}

/// The definition: one sample from those before it.
fn restore(samples: &mut [i32], coefficients: &[i32], shift: u32, at: usize) {
    let history = samples[at - coefficients.len()..at].iter().rev();
    let sum: i64 = history.zip(coefficients).map(|(x, c)| i64::from(*x) * i64::from(*c)).sum();
    samples[at] = samples[at].wrapping_add((sum >> shift) as i32);
}

/// Order known to the compiler, 64-bit sums. Only the newest sample is carried in a register: the others are read back
/// one by one, because reading several that were just written stalls.
#[inline(always)]
fn linear_n<const N: usize>(samples: &mut [i32], coefficients: &[i32], shift: u32) {
    let Some(c) = coefficients.first_chunk::<N>() else { return };
    let c = c.map(i64::from);
    let mut newest = samples.get(N - 1).map_or(0, |s| i64::from(*s));
    for at in N..samples.len() {
        let Some((before, [sample, ..])) = samples[at - N..].split_first_chunk_mut::<N>() else { return };
        let mut sum = 0_i64;
        for i in (1..N).rev() {
            sum += i64::from(before[N - 1 - i]) * c[i];
        }
        let value = sample.wrapping_add(((sum + newest * c[0]) >> shift) as i32);
        newest = i64::from(value);
        *sample = value;
    }
}

/// A predictor of at most `H` taps whose sums fit 32 bits.
///
/// Each sample depends on the one before, so the newest [`NEAR_TAPS`] go the shortest way, in scalars. What older samples
/// add to the next four outputs is known earlier and is summed in one vector.
struct Chain<S: Simd, const H: usize> {
    /// `far[m]`: what sample `m + 1` back adds to each of four outputs, unless it is a near tap there.
    far: [i32x4<S>; H],
    near: [i64; NEAR_TAPS],
    /// Newest samples first.
    history: [i64; NEAR_TAPS],
    shift: u32,
}

impl<S: Simd, const H: usize> Chain<S, H> {
    #[inline(always)]
    fn run(simd: S, samples: &mut [i32], coefficients: &[i32], shift: u32) {
        let start = samples.len().min(H);
        for at in coefficients.len()..start {
            restore(samples, coefficients, shift, at);
        }
        let coefficient = |i: usize| coefficients.get(i).copied().unwrap_or(0);
        let mut chain = Self {
            far: std::array::from_fn(|m| {
                let lanes: [i32; 4] = std::array::from_fn(|k| if m + k >= NEAR_TAPS { coefficient(m + k) } else { 0 });
                i32x4::from_slice(simd, &lanes)
            }),
            near: std::array::from_fn(|i| i64::from(coefficient(i))),
            history: std::array::from_fn(|i| start.checked_sub(i + 1).map_or(0, |at| i64::from(samples[at]))),
            shift,
        };
        let mut at = start;
        while at >= H && chain.four(simd, &mut samples[at - H..]) {
            at += 4;
        }
        for at in at..samples.len() {
            restore(samples, coefficients, shift, at);
        }
    }

    /// Restores the four samples after the first `H`. False when there are fewer.
    #[inline(always)]
    fn four(&mut self, simd: S, window: &mut [i32]) -> bool {
        let Some((before, rest)) = window.split_first_chunk_mut::<H>() else { return false };
        let Some(outputs) = rest.first_chunk_mut::<4>() else { return false };
        let mut sums = i32x4::splat(simd, 0);
        for m in (1..H).rev() {
            sums += i32x4::splat(simd, before[H - 1 - m]) * self.far[m];
        }
        let mut far = [0; 4];
        sums.store_slice(&mut far);
        let [mut h0, mut h1, mut h2, mut h3] = self.history;
        let [c0, c1, c2, c3] = self.near;
        for (sample, far) in outputs.iter_mut().zip(far) {
            let known = (i64::from(*sample) << self.shift) + i64::from(far) + h3 * c3 + h2 * c2 + h1 * c1;
            let value = ((known + h0 * c0) >> self.shift) as i32;
            *sample = value;
            (h3, h2, h1, h0) = (h2, h1, h0, i64::from(value));
        }
        self.history = [h0, h1, h2, h3];
        true
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
            for narrow in [false, true] {
                for length in [n, n + 1, n + 3, n + 9, 200] {
                    let mut a = r[..length.min(200)].to_vec();
                    linear(&mut a, &c, 10, narrow);
                    assert_eq!(a, s[..length.min(200)], "{n} {narrow} {length}");
                }
            }
            let mut wide: Vec<i64> = s[..n].iter().map(|x| i64::from(*x)).collect();
            let c64: Vec<i64> = c.iter().map(|x| i64::from(*x)).collect();
            linear_33(&mut wide, &r[n..], &c64, 10);
            assert!(wide.iter().zip(&s).all(|(a, b)| *a == i64::from(*b)));
        }
    }
}
