//! Classic recursive filters of any band form: Butterworth, Chebyshev I and II, Bessel, orders 1 to 12.
//!
//! Poles and zeros of an analogue low-pass, moved to the wanted band in the s-plane, and then by the bilinear transform
//! with pre-warped edges to the z-plane, where they are paired to second-order sections. Sources: L. R. Rabiner, B. Gold,
//! *Theory and Application of Digital Signal Processing*, chapter 4 (prototypes and band transforms); C. Bond, "Bessel
//! Filter Constants" (2003) for the Bessel polynomials. Everything stays factored: at order 12 the coefficients of the
//! whole polynomial would have lost all their digits.

use std::f64::consts::PI;

use realfft::num_complex::Complex;

use super::biquad::Coefficients;
use crate::error::{Error, Result};

type C = Complex<f64>;

/// Shape of the analogue low-pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Prototype {
    /// Maximally flat; -3.01 dB at the edge.
    Butterworth,
    /// Equal ripples in the pass band: `ripple_db` at the edge.
    Chebyshev1 {
        /// Most loss within the pass band in dB, above 0.
        ripple_db: f64,
    },
    /// Equal ripples in the stop band, which begins at the edge.
    Chebyshev2 {
        /// Least loss within the stop band in dB, above 0.
        attenuation_db: f64,
    },
    /// Maximally flat group delay (of the analogue filter); -3.01 dB at the edge.
    Bessel,
}

/// What passes, with the edges in Hz.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Band {
    /// Below the edge.
    Lowpass(f64),
    /// Above the edge.
    Highpass(f64),
    /// Between the edges.
    Bandpass(f64, f64),
    /// Outside the edges.
    Bandstop(f64, f64),
}

/// Poles or zeros: of each conjugate pair the one above the real axis, and the real ones.
#[derive(Debug, Clone, Default)]
struct Roots {
    pairs: Vec<C>,
    reals: Vec<f64>,
}

impl Roots {
    fn count(&self) -> usize {
        2 * self.pairs.len() + self.reals.len()
    }

    fn push(&mut self, root: C) {
        self.pairs.push(if root.im < 0.0 { root.conj() } else { root });
    }

    /// Each root by a function that keeps real what is real.
    fn map(&self, f: impl Fn(C) -> C) -> Self {
        Self {
            pairs: self.pairs.iter().map(|p| f(*p)).map(|p| if p.im < 0.0 { p.conj() } else { p }).collect(),
            reals: self.reals.iter().map(|r| f(C::new(*r, 0.0)).re).collect(),
        }
    }

    /// Solutions `s` of `s^2 - 2 h s + centre^2 = 0` for each half-sum `h` that `half` makes of a root.
    fn split(&self, centre: f64, half: impl Fn(C) -> C) -> Self {
        let mut out = Self::default();
        for p in &self.pairs {
            let h = half(*p);
            let root = (h * h - centre * centre).sqrt();
            out.push(h + root);
            out.push(h - root);
        }
        for r in &self.reals {
            let h = half(C::new(*r, 0.0)).re;
            let square = h * h - centre * centre;
            if square < 0.0 {
                out.pairs.push(C::new(h, (-square).sqrt()));
            } else {
                // The sum of equal signs first, the other by the product: no cancellation.
                let large = h + square.sqrt().copysign(h);
                out.reals.extend([large, centre * centre / large]);
            }
        }
        out
    }
}

/// Second-order sections of a filter, the least resonant first.
///
/// # Errors
/// [`Error::OutOfRange`]: `order` outside 1 to 12, an edge outside 0 to half of `rate_hz`, edges of a band in the wrong
/// order or closer than a thousandth of an octave, ripple or attenuation not above 0.
pub fn design(prototype: Prototype, order: usize, band: Band, rate_hz: f64) -> Result<Vec<Coefficients>> {
    Error::check_range("order", order as f64, 1.0, 12.0, "")?;
    Error::check_range("rate_hz", rate_hz, 1.0, 1e9, "Hz")?;
    let warp = |name: &str, freq_hz: f64| {
        Error::check_range(name, freq_hz, 1e-6 * rate_hz, 0.499_999 * rate_hz, "Hz")?;
        Ok((PI * freq_hz / rate_hz).tan())
    };
    let (zeros, poles, dc_gain) = analogue(prototype, order)?;
    // Zeros of the prototype at infinity.
    let degree = poles.count() - zeros.count();
    // In the z-plane, with the frequency (as a point of the unit circle) where the prototype's 0 Hz comes to lie.
    let (mut zeros, poles, reference) = match band {
        Band::Lowpass(edge_hz) => {
            let edge = warp("frequency_hz", edge_hz)?;
            (zeros.map(|z| z * edge), poles.map(|p| p * edge), C::new(1.0, 0.0))
        }
        Band::Highpass(edge_hz) => {
            let edge = warp("frequency_hz", edge_hz)?;
            let mut zeros = zeros.map(|z| edge / z);
            zeros.reals.extend(vec![0.0; degree]);
            (zeros, poles.map(|p| edge / p), C::new(-1.0, 0.0))
        }
        Band::Bandpass(low_hz, high_hz) | Band::Bandstop(low_hz, high_hz) => {
            // Closer edges lose the digits that separate the poles from the unit circle.
            Error::check_range("high_hz", high_hz, 1.000_693 * low_hz, 0.499_999 * rate_hz, "Hz")?;
            let (low, high) = (warp("low_hz", low_hz)?, warp("high_hz", high_hz)?);
            let (half_width, centre) = ((high - low) / 2.0, (low * high).sqrt());
            if matches!(band, Band::Bandpass(..)) {
                let mut zeros = zeros.split(centre, |z| z * half_width);
                zeros.reals.extend(vec![0.0; degree]);
                let on_circle = (1.0 + C::new(0.0, centre)) / (1.0 - C::new(0.0, centre));
                (zeros, poles.split(centre, |p| p * half_width), on_circle)
            } else {
                let mut zeros = zeros.split(centre, |z| half_width / z);
                zeros.pairs.extend(vec![C::new(0.0, centre); degree]);
                (zeros, poles.split(centre, |p| half_width / p), C::new(1.0, 0.0))
            }
        }
    };
    let bilinear = |s: C| (1.0 + s) / (1.0 - s);
    let poles = poles.map(bilinear);
    zeros = zeros.map(bilinear);
    // What is left at infinity comes to lie at the Nyquist frequency.
    let missing = poles.count() - zeros.count();
    zeros.reals.extend(vec![-1.0; missing]);
    Ok(sections(zeros, &poles, reference, dc_gain))
}

/// Pairs poles and zeros, the poles closest to the unit circle first, each with the nearest zeros that are left.
fn sections(mut zeros: Roots, poles: &Roots, reference: C, dc_gain: f64) -> Vec<Coefficients> {
    let mut order: Vec<C> = poles.pairs.clone();
    order.sort_by(|a, b| b.norm_sqr().total_cmp(&a.norm_sqr()).then(b.re.total_cmp(&a.re)));
    // Denominators `1 + a1 z^-1 + a2 z^-2`, with a pole to find the nearest zeros.
    let mut rows: Vec<(C, f64, f64)> = order.iter().map(|p| (*p, -2.0 * p.re, p.norm_sqr())).collect();
    for two in poles.reals.chunks(2) {
        let (p, q) = (two[0], two.get(1).copied());
        rows.push((C::new(p, 0.0), -(p + q.unwrap_or(0.0)), p * q.unwrap_or(0.0)));
    }
    let single = poles.reals.len() % 2 == 1;
    let last = rows.len().saturating_sub(1);
    let mut out = Vec::with_capacity(rows.len());
    for (index, (pole, a1, a2)) in rows.into_iter().enumerate() {
        let one = single && index == last;
        let nearest = (0..zeros.pairs.len())
            .filter(|_| !one)
            .min_by(|a, b| (zeros.pairs[*a] - pole).norm_sqr().total_cmp(&(zeros.pairs[*b] - pole).norm_sqr()));
        let (b1, b2) = if let Some(nearest) = nearest {
            let zero = zeros.pairs.swap_remove(nearest);
            // Zeros of these filters lie on the circle.
            (-2.0 * zero.re, zero.norm_sqr())
        } else {
            // A band-pass takes one zero from each end.
            let first = zeros.reals.pop().unwrap_or(0.0);
            let other = zeros.reals.iter().position(|z| z * first < 0.0).or(zeros.reals.len().checked_sub(1));
            match other.filter(|_| !one) {
                Some(other) => {
                    let second = zeros.reals.remove(other);
                    (-(first + second), first * second)
                }
                None => (-first, 0.0),
            }
        };
        let inverse = 1.0 / reference;
        let value = |c1: f64, c2: f64| (1.0 + (c1 + c2 * inverse) * inverse).norm();
        let gain = value(a1, a2) / value(b1, b2);
        out.push(Coefficients { b0: gain, b1: gain * b1, b2: gain * b2, a1, a2 });
    }
    out.reverse();
    if let Some(first) = out.first_mut() {
        (first.b0, first.b1, first.b2) = (first.b0 * dc_gain, first.b1 * dc_gain, first.b2 * dc_gain);
    }
    out
}

/// Zeros, poles and gain at 0 Hz of a low-pass with its edge at 1 rad/s.
fn analogue(prototype: Prototype, order: usize) -> Result<(Roots, Roots, f64)> {
    let (mut zeros, mut poles, mut dc_gain) = (Roots::default(), Roots::default(), 1.0);
    // Angles from the negative real axis: 0 for the real pole of an odd order.
    let angles = (0..order.div_ceil(2)).map(|k| PI * (order - 1 - 2 * k) as f64 / (2 * order) as f64);
    let is_real = |angle: f64| angle < 1e-9;
    match prototype {
        Prototype::Butterworth => {
            for angle in angles {
                if is_real(angle) {
                    poles.reals.push(-1.0);
                } else {
                    poles.pairs.push(C::new(-angle.cos(), angle.sin()));
                }
            }
        }
        Prototype::Chebyshev1 { ripple_db } => {
            Error::check_range("ripple_db", ripple_db, 1e-6, 60.0, "dB")?;
            let epsilon = ripple(ripple_db);
            let mu = (1.0 / epsilon).asinh() / order as f64;
            for angle in angles {
                if is_real(angle) {
                    poles.reals.push(-mu.sinh());
                } else {
                    poles.pairs.push(C::new(-mu.sinh() * angle.cos(), mu.cosh() * angle.sin()));
                }
            }
            if order.is_multiple_of(2) {
                dc_gain = 10f64.powf(-ripple_db / 20.0);
            }
        }
        Prototype::Chebyshev2 { attenuation_db } => {
            Error::check_range("attenuation_db", attenuation_db, 0.1, 240.0, "dB")?;
            let mu = ripple(attenuation_db).asinh() / order as f64;
            for angle in angles {
                if is_real(angle) {
                    poles.reals.push(-1.0 / mu.sinh());
                } else {
                    poles.push(1.0 / C::new(-mu.sinh() * angle.cos(), mu.cosh() * angle.sin()));
                    zeros.pairs.push(C::new(0.0, 1.0 / angle.sin()));
                }
            }
        }
        Prototype::Bessel => poles = bessel(order),
    }
    Ok((zeros, poles, dc_gain))
}

/// `sqrt(10^(db / 10) - 1)`.
fn ripple(db: f64) -> f64 {
    (db / 10.0 * std::f64::consts::LN_10).exp_m1().sqrt()
}

/// Reverse Bessel polynomials of `order` and `order - 1` at `s`: `q_n = (2n - 1) q_(n-1) + s^2 q_(n-2)`.
fn bessel_polynomial(order: usize, s: C) -> (C, C) {
    let (mut before, mut now) = (C::new(1.0, 0.0), s + 1.0);
    for n in 2..=order {
        (before, now) = (now, now * (2 * n - 1) as f64 + s * s * before);
    }
    (now, before)
}

/// Poles of the Bessel low-pass, -3.01 dB at 1 rad/s: roots of the reverse Bessel polynomial, found all at once (O. Aberth,
/// "Iteration methods for finding all zeros of a polynomial simultaneously", 1973), with `q_n' = q_n - s q_(n-1)`.
fn bessel(order: usize) -> Roots {
    let n = order as f64;
    // The roots lie left of the imaginary axis at distances of about 0.7 n to 0.9 n.
    let mut roots: Vec<C> =
        (0..order).map(|k| C::from_polar(0.8 * n, PI * (0.55 + 0.9 * (k as f64 + 0.37) / n))).collect();
    for _ in 0..100 {
        let mut largest = 0.0f64;
        for k in 0..order {
            let (q, before) = bessel_polynomial(order, roots[k]);
            let newton = q / (q - roots[k] * before);
            let others: C = (0..order).filter(|j| *j != k).map(|j| 1.0 / (roots[k] - roots[j])).sum();
            let step = newton / (1.0 - newton * others);
            roots[k] -= step;
            largest = largest.max(step.norm());
        }
        if largest < 1e-15 * n {
            break;
        }
    }
    // Gain falls steadily, so halving finds -3.01 dB.
    let at_zero = bessel_polynomial(order, C::default()).0.norm_sqr();
    let (mut low, mut high) = (0.0, 4.0 * n);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if bessel_polynomial(order, C::new(0.0, middle)).0.norm_sqr() < 2.0 * at_zero {
            low = middle;
        } else {
            high = middle;
        }
    }
    let mut out = Roots::default();
    for root in roots.iter().map(|r| r / low) {
        if root.im.abs() < 1e-6 {
            out.reals.push(root.re);
        } else if root.im > 0.0 {
            out.pairs.push(root);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::biquad::cascade_gain_db;

    const RATE_HZ: f64 = 48_000.0;

    /// Frequency of the analogue low-pass that a frequency of the filter stands for.
    fn analogue_frequency(band: Band, freq_hz: f64) -> f64 {
        let warp = |f: f64| (PI * f / RATE_HZ).tan();
        let w = warp(freq_hz);
        let of_band = |low: f64, high: f64| {
            let (low, high) = (warp(low), warp(high));
            (w * w - low * high) / (w * (high - low))
        };
        match band {
            Band::Lowpass(edge) => w / warp(edge),
            Band::Highpass(edge) => warp(edge) / w,
            Band::Bandpass(low, high) => of_band(low, high),
            Band::Bandstop(low, high) => 1.0 / of_band(low, high),
        }
    }

    fn chebyshev(order: usize, x: f64) -> f64 {
        let x = x.abs();
        if x <= 1.0 { (order as f64 * x.acos()).cos() } else { (order as f64 * x.acosh()).cosh() }
    }

    /// Squared gain by the closed formula of each family.
    fn formula(prototype: Prototype, order: usize, w: f64) -> f64 {
        match prototype {
            Prototype::Butterworth => 1.0 / (1.0 + w.powi(2 * order as i32)),
            Prototype::Chebyshev1 { ripple_db } => {
                1.0 / (1.0 + (10f64.powf(ripple_db / 10.0) - 1.0) * chebyshev(order, w).powi(2))
            }
            Prototype::Chebyshev2 { attenuation_db } => {
                let t = (10f64.powf(attenuation_db / 10.0) - 1.0) / chebyshev(order, 1.0 / w).powi(2);
                1.0 / (1.0 + t)
            }
            Prototype::Bessel => {
                // The edge by its definition; the polynomial by its sum.
                let q = |w: f64| {
                    let fact = |n: usize| (1..=n).map(|k| k as f64).product::<f64>();
                    let s = C::new(0.0, w);
                    let term =
                        |k: usize| fact(2 * order - k) / (2f64.powi((order - k) as i32) * fact(k) * fact(order - k));
                    (0..=order).map(|k| s.powu(k as u32) * term(k)).sum::<C>().norm_sqr()
                };
                let (mut low, mut high) = (0.0, 60.0);
                for _ in 0..100 {
                    let m = 0.5 * (low + high);
                    if q(m) < 2.0 * q(0.0) { low = m } else { high = m }
                }
                q(0.0) / q(w * low)
            }
        }
    }

    #[test]
    fn every_family_order_and_band_follows_its_formula() {
        let prototypes = [
            Prototype::Butterworth,
            Prototype::Chebyshev1 { ripple_db: 0.5 },
            Prototype::Chebyshev1 { ripple_db: 3.0 },
            Prototype::Chebyshev2 { attenuation_db: 40.0 },
            Prototype::Chebyshev2 { attenuation_db: 90.0 },
            Prototype::Bessel,
        ];
        let bands = [
            Band::Lowpass(1_000.0),
            Band::Lowpass(15_000.0),
            Band::Highpass(120.0),
            Band::Bandpass(300.0, 3_400.0),
            Band::Bandpass(20.0, 20_000.0),
            Band::Bandstop(900.0, 1_100.0),
            Band::Bandstop(100.0, 12_000.0),
        ];
        for prototype in prototypes {
            for band in bands {
                for order in 1..=12 {
                    let sections = design(prototype, order, band, RATE_HZ).unwrap();
                    assert!(sections.iter().all(Coefficients::is_stable), "{prototype:?} {order} {band:?}");
                    let wide = matches!(band, Band::Bandpass(..) | Band::Bandstop(..));
                    assert_eq!(sections.len(), if wide { order } else { order.div_ceil(2) });
                    for freq_hz in [25.0, 90.0, 333.0, 905.0, 1_050.0, 2_500.0, 7_000.0, 14_000.0, 22_000.0] {
                        let gain: f64 = 10f64.powf(cascade_gain_db(&sections, freq_hz, RATE_HZ) / 20.0);
                        let want = formula(prototype, order, analogue_frequency(band, freq_hz)).sqrt();
                        // f64 rounding near z = 1, amplified by poles close to the circle.
                        assert!((gain - want).abs() < 1e-9, "{prototype:?} {order} {band:?} {freq_hz}: {gain} {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn bessel_poles_are_the_published_ones() {
        // C. Bond 2003, order 3 and 4, normalised to -3 dB.
        let three = bessel(3);
        assert!((three.reals[0] + 1.322_675_799_9).abs() < 1e-9);
        assert!((three.pairs[0] - C::new(-1.047_409_161_0, 0.999_264_436_3)).norm() < 1e-9);
        let mut four = bessel(4).pairs;
        four.sort_by(|a, b| a.im.total_cmp(&b.im));
        assert!((four[0] - C::new(-1.370_067_830_6, 0.410_249_717_5)).norm() < 1e-9);
        assert!((four[1] - C::new(-0.995_208_764_4, 1.257_105_739_5)).norm() < 1e-9);
    }

    #[test]
    fn what_cannot_be_designed_is_refused_by_name() {
        let name = |order, prototype, band| match design(prototype, order, band, RATE_HZ) {
            Err(Error::OutOfRange { name, .. }) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(name(13, Prototype::Butterworth, Band::Lowpass(100.0)), "order");
        assert_eq!(name(2, Prototype::Butterworth, Band::Lowpass(24_000.0)), "frequency_hz");
        assert_eq!(name(2, Prototype::Bessel, Band::Bandpass(200.0, 100.0)), "high_hz");
        assert_eq!(name(2, Prototype::Chebyshev1 { ripple_db: 0.0 }, Band::Lowpass(100.0)), "ripple_db");
        assert_eq!(name(2, Prototype::Chebyshev2 { attenuation_db: f64::NAN }, Band::Lowpass(100.0)), "attenuation_db");
    }
}
