//! Autoregressive model of a stretch of sound, and the samples that fit it best.
//!
//! Sources: S. Godsill, P. Rayner, *Digital Audio Restoration* (1998), sections 4.3 and 5.2 (least-squares AR interpolation);
//! A. Janssen, R. Veldhuis, L. Vries, "Adaptive Interpolation of Discrete-Time Signals That Can Be Modeled as Autoregressive
//! Processes", IEEE TASSP 34(2), 1986.

/// Model, its errors and room for the solution. Nothing allocates after `new`.
pub(super) struct Ar {
    order: usize,
    /// `1, a1, ..., ap`: the error is `x[n] + a1 x[n-1] + ...`.
    pub(super) coefficients: Vec<f64>,
    /// Autocorrelation of the coefficients.
    products: Vec<f64>,
    window: Vec<f64>,
    weighted: Vec<f64>,
    spare: Vec<f64>,
    /// Lower band of the Cholesky factor, `order + 1` values per unknown.
    band: Vec<f64>,
    right: Vec<f64>,
    /// What was at the places before.
    before: Vec<f64>,
    most: usize,
}

impl Ar {
    /// A model of `order` coefficients for stretches of `length` samples, in which up to `most` are to be replaced at once.
    pub(super) fn new(order: usize, length: usize, most: usize) -> Self {
        let step = std::f64::consts::TAU / length as f64;
        Self {
            order,
            coefficients: vec![0.0; order + 1],
            products: vec![0.0; order + 1],
            window: (0..length).map(|n| 0.5 - 0.5 * ((n as f64 + 0.5) * step).cos()).collect(),
            weighted: vec![0.0; length],
            spare: vec![0.0; order + 1],
            band: vec![0.0; most * (order + 1)],
            right: vec![0.0; most],
            before: vec![0.0; most],
            most,
        }
    }

    /// Coefficients of the model.
    pub(super) fn order(&self) -> usize {
        self.order
    }

    /// Most samples that [`Ar::fill`] replaces.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Fits the model by the autocorrelation method with a Hann window and Levinson's recursion; false for silence.
    pub(super) fn fit(&mut self, x: &[f64]) -> bool {
        for ((y, x), w) in self.weighted.iter_mut().zip(x).zip(&self.window) {
            *y = x * w;
        }
        for lag in 0..=self.order {
            self.products[lag] = dot(&self.weighted[lag..], &self.weighted);
        }
        // -90 dB of white noise keeps the recursion stable for pure tones.
        let mut error = self.products[0] * (1.0 + 1e-9);
        if error <= 1e-14 * x.len() as f64 {
            return false;
        }
        let (a, r) = (&mut self.coefficients, &self.products);
        a.fill(0.0);
        a[0] = 1.0;
        for m in 1..=self.order {
            let sum: f64 = (0..m).map(|k| a[k] * r[m - k]).sum();
            let reflection = -sum / error;
            for k in 0..=m {
                self.spare[k] = a[k] + reflection * a[m - k];
            }
            a[..=m].copy_from_slice(&self.spare[..=m]);
            error *= 1.0 - reflection * reflection;
            if error <= 0.0 {
                return false;
            }
        }
        for lag in 0..=self.order {
            self.products[lag] = dot(&self.coefficients[lag..], &self.coefficients);
        }
        true
    }

    /// Prediction errors forwards (from the past) and backwards (from the future) of `x[order .. len - order]`, into the same
    /// places of `forward` and `backward`; the ends become 0.
    pub(super) fn errors(&self, x: &[f64], forward: &mut [f64], backward: &mut [f64]) {
        let (p, end) = (self.order, x.len() - self.order);
        forward.fill(0.0);
        backward.fill(0.0);
        for (k, a) in self.coefficients.iter().enumerate() {
            axpy(*a, &x[p - k..end - k], &mut forward[p..end]);
            axpy(*a, &x[p + k..end + k], &mut backward[p..end]);
        }
    }

    /// Replaces the samples of `x` at `places` (ascending, none of them within `order` of the ends, at most `most`) by those
    /// of the least total prediction error. False when there is no unique solution; `x` is unchanged then.
    pub(super) fn fill(&mut self, x: &mut [f64], places: &[usize]) -> bool {
        let (p, count) = (self.order, places.len());
        let inside = places.first().is_none_or(|n| *n >= p) && places.last().is_none_or(|n| *n + p < x.len());
        if count == 0 || count > self.most || !inside {
            return false;
        }
        for (place, before) in places.iter().zip(&mut self.before) {
            *before = std::mem::replace(&mut x[*place], 0.0);
        }
        let solved = self.solve(x, places);
        for (i, place) in places.iter().enumerate() {
            x[*place] = if solved { self.right[i] } else { self.before[i] };
        }
        solved
    }

    /// Solution of the normal equations into `right`, with the unknown samples of `x` at 0.
    fn solve(&mut self, x: &[f64], places: &[usize]) -> bool {
        let (p, count) = (self.order, places.len());
        let width = p + 1;
        for (i, place) in places.iter().enumerate() {
            // Right side: what the known samples say.
            let mut sum = self.products[0] * x[*place];
            for lag in 1..=p {
                sum += self.products[lag] * (x[place - lag] + x[place + lag]);
            }
            self.right[i] = -sum;
            // Cholesky factor of the band matrix, row by row: `band[i * width + d]` is L[i][i - d].
            for d in (0..=p.min(i)).rev() {
                let j = i - d;
                let lag = place - places[j];
                let mut sum = if lag <= p { self.products[lag] } else { 0.0 };
                for e in 1..=(p - d).min(j) {
                    sum -= self.band[i * width + d + e] * self.band[j * width + e];
                }
                if d > 0 {
                    self.band[i * width + d] = sum / self.band[j * width];
                } else if sum > 1e-12 * self.products[0] {
                    self.band[i * width] = sum.sqrt();
                } else {
                    return false;
                }
            }
        }
        for i in 0..count {
            let mut sum = self.right[i];
            for d in 1..=p.min(i) {
                sum -= self.band[i * width + d] * self.right[i - d];
            }
            self.right[i] = sum / self.band[i * width];
        }
        for i in (0..count).rev() {
            let mut sum = self.right[i];
            for d in 1..=p.min(count - 1 - i) {
                sum -= self.band[(i + d) * width + d] * self.right[i + d];
            }
            self.right[i] = sum / self.band[i * width];
        }
        true
    }
}

/// Sum of products over the shorter length, in eight columns so that it vectorises; the order is fixed.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    let mut sums = [0.0f64; 8];
    let (mut left, mut right) = (a.chunks_exact(8), b.chunks_exact(8));
    for (x, y) in (&mut left).zip(&mut right) {
        for k in 0..8 {
            sums[k] += x[k] * y[k];
        }
    }
    let rest: f64 = left.remainder().iter().zip(right.remainder()).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}

/// `y += a x`.
fn axpy(a: f64, x: &[f64], y: &mut [f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Poles of radius 0.9 at 0.5 and 0.8 at 1.5 radians.
    const WANT: [f64; 5] = [1.000000, -1.692828, 1.628784, -1.102651, 0.518400];

    /// Noise through two resonances: a process of order 4.
    fn process(count: usize) -> Vec<f64> {
        let mut seed = 9u32;
        let mut x = vec![0.0f64; count];
        for n in 4..count {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let e = f64::from(seed >> 8) / 8_388_608.0 - 1.0;
            x[n] = -WANT[1] * x[n - 1] - WANT[2] * x[n - 2] - WANT[3] * x[n - 3] - WANT[4] * x[n - 4] + 0.01 * e;
        }
        x
    }

    #[test]
    fn finds_the_coefficients_of_a_process() {
        let x = process(8_192);
        let mut ar = Ar::new(4, x.len(), 16);
        assert!(ar.fit(&x));
        // The standard error of a coefficient is about sqrt(1 / length) = 0.011, and a Hann window keeps half the data.
        for (got, want) in ar.coefficients.iter().zip(WANT) {
            assert!((got - want).abs() < 0.05, "{got} {want}");
        }
        assert!(!ar.fit(&vec![0.0; 8_192]));
    }

    #[test]
    fn a_gap_in_tones_is_filled_exactly_and_the_solution_is_the_least_error() {
        // Two sines obey a recursion of order 4 without error.
        let clean: Vec<f64> =
            (0..2_048).map(|n| (f64::from(n) * 0.07).sin() + 0.5 * (f64::from(n) * 0.31).sin()).collect();
        let mut ar = Ar::new(8, clean.len(), 64);
        assert!(ar.fit(&clean));
        let places: Vec<usize> = (1_000..1_030).chain([1_033, 1_034]).collect();
        let mut x = clean.clone();
        assert!(ar.fill(&mut x, &places));
        let worst = places.iter().map(|n| (x[*n] - clean[*n]).abs()).fold(0.0, f64::max);
        // The Hann window widens the lines, so that the model is near but not on the unit circle.
        assert!(worst < 0.02, "{worst}");
        // Any step away from the solution has a larger error.
        let total = |ar: &Ar, x: &[f64]| -> f64 {
            let (mut f, mut b) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            ar.errors(x, &mut f, &mut b);
            f.iter().map(|e| e * e).sum()
        };
        let least = total(&ar, &x);
        for place in [1_000, 1_015, 1_034] {
            let mut other = x.clone();
            other[place] += 1e-3;
            assert!(total(&ar, &other) > least);
        }
        let before = x.clone();
        assert!(!ar.fill(&mut x, &[3]) && x == before, "too near to the end");
    }
}
