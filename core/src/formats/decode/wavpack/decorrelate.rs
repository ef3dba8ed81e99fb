//! The adaptive filters that turn residuals back into samples, one pass per term.

/// Longest delay of the plain terms.
const MAX_DELAY: usize = 8;

/// One filter: which samples it predicts from, how fast it adapts, and its state.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pass {
    /// 1 to 8: delay; 17, 18: extrapolation; -1 to -3: across the channels.
    pub term: i32,
    pub delta: i32,
    pub weights: [i32; 2],
    /// Newest first for the extrapolations, oldest first for the delays.
    pub history: [[i32; MAX_DELAY]; 2],
}

fn apply(weight: i32, sample: i32) -> i32 {
    ((i64::from(weight) * i64::from(sample) + 512) >> 10) as i32
}

fn adapt(weight: &mut i32, delta: i32, source: i32, residual: i32) {
    if source != 0 && residual != 0 {
        // Same sign: up. A weight of 32 bits cannot be left within a block, but hostile starts can be anything.
        *weight = weight.wrapping_add(if source ^ residual < 0 { -delta } else { delta });
    }
}

fn adapt_clipped(weight: &mut i32, delta: i32, source: i32, residual: i32) {
    adapt(weight, delta, source, residual);
    *weight = (*weight).clamp(-1024, 1024);
}

impl Pass {
    /// True for the terms that the format allows.
    pub fn is_valid(&self, stereo: bool) -> bool {
        matches!(self.term, 1..=8 | 17 | 18) || (stereo && matches!(self.term, -3..=-1))
    }

    /// Undoes this pass in place. `right` is empty for mono.
    pub fn undo(&mut self, left: &mut [i32], right: &mut [i32]) {
        match self.term {
            -3..=-1 => self.undo_cross(left, right),
            term => {
                for (channel, samples) in [left, right].into_iter().enumerate() {
                    let (delta, weight) = (self.delta, &mut self.weights[channel]);
                    let history = &mut self.history[channel];
                    match term {
                        17 => extrapolate(samples, delta, weight, history, |a, b| a.wrapping_mul(2).wrapping_sub(b)),
                        18 => {
                            extrapolate(samples, delta, weight, history, |a, b| a.wrapping_add(a.wrapping_sub(b) >> 1))
                        }
                        1 => delayed::<1>(samples, delta, weight, history),
                        2 => delayed::<2>(samples, delta, weight, history),
                        3 => delayed::<3>(samples, delta, weight, history),
                        4 => delayed::<4>(samples, delta, weight, history),
                        5 => delayed::<5>(samples, delta, weight, history),
                        6 => delayed::<6>(samples, delta, weight, history),
                        7 => delayed::<7>(samples, delta, weight, history),
                        _ => delayed::<8>(samples, delta, weight, history),
                    }
                }
            }
        }
    }

    /// Predicts one channel from the other. Term -1: the right from the new left; -2: the left from the new right; -3:
    /// both from the previous sample of the other.
    fn undo_cross(&mut self, left: &mut [i32], right: &mut [i32]) {
        let delta = self.delta;
        let [weight_a, weight_b] = &mut self.weights;
        let (mut before_a, mut before_b) = (self.history[0][0], self.history[1][0]);
        for (l, r) in left.iter_mut().zip(right) {
            let (residual_l, residual_r) = (*l, *r);
            match self.term {
                -1 => {
                    *l = residual_l.wrapping_add(apply(*weight_a, before_a));
                    adapt_clipped(weight_a, delta, before_a, residual_l);
                    *r = residual_r.wrapping_add(apply(*weight_b, *l));
                    adapt_clipped(weight_b, delta, *l, residual_r);
                    before_a = *r;
                }
                -2 => {
                    *r = residual_r.wrapping_add(apply(*weight_b, before_b));
                    adapt_clipped(weight_b, delta, before_b, residual_r);
                    *l = residual_l.wrapping_add(apply(*weight_a, *r));
                    adapt_clipped(weight_a, delta, *r, residual_l);
                    before_b = *l;
                }
                _ => {
                    *l = residual_l.wrapping_add(apply(*weight_a, before_a));
                    adapt_clipped(weight_a, delta, before_a, residual_l);
                    *r = residual_r.wrapping_add(apply(*weight_b, before_b));
                    adapt_clipped(weight_b, delta, before_b, residual_r);
                    (before_a, before_b) = (*r, *l);
                }
            }
        }
    }
}

/// Predicts from a straight line through the two last samples.
#[inline(always)]
fn extrapolate(
    samples: &mut [i32],
    delta: i32,
    weight: &mut i32,
    history: &mut [i32; MAX_DELAY],
    line: impl Fn(i32, i32) -> i32,
) {
    let (mut newer, mut older, mut w) = (history[0], history[1], *weight);
    for sample in samples {
        let source = line(newer, older);
        let value = apply(w, source).wrapping_add(*sample);
        adapt(&mut w, delta, source, *sample);
        (older, newer) = (newer, value);
        *sample = value;
    }
    (history[0], history[1], *weight) = (newer, older, w);
}

/// Predicts from the sample `N` before.
#[inline(always)]
fn delayed<const N: usize>(samples: &mut [i32], delta: i32, weight: &mut i32, history: &mut [i32; MAX_DELAY]) {
    let mut w = *weight;
    let start = samples.len().min(N);
    for (i, source) in history.iter().enumerate().take(start) {
        let residual = samples[i];
        samples[i] = apply(w, *source).wrapping_add(residual);
        adapt(&mut w, delta, *source, residual);
    }
    for i in N..samples.len() {
        let (source, residual) = (samples[i - N], samples[i]);
        samples[i] = apply(w, source).wrapping_add(residual);
        adapt(&mut w, delta, source, residual);
    }
    *weight = w;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The forward direction, as an encoder does it: the same state machine with samples known.
    fn forward(pass: &mut Pass, left: &mut [i32], right: &mut [i32]) {
        let (n, samples) = (left.len(), [left.to_vec(), right.to_vec()]);
        let before = |h: &[[i32; 8]; 2], c: usize, i: usize, d: usize| {
            if i >= d { samples[c][i - d] } else { h[c][if pass.term > 8 { d - 1 - i } else { i }] }
        };
        let h = pass.history;
        for i in 0..n {
            for c in 0..2 {
                let source = match pass.term {
                    17 => 2 * before(&h, c, i, 1) - before(&h, c, i, 2),
                    18 => (3 * before(&h, c, i, 1) - before(&h, c, i, 2)) >> 1,
                    _ => before(&h, c, i, pass.term as usize),
                };
                let residual = samples[c][i] - apply(pass.weights[c], source);
                adapt(&mut pass.weights[c], pass.delta, source, residual);
                [&mut *left, &mut *right][c][i] = residual;
            }
        }
    }

    #[test]
    fn every_term_inverts_the_encoder() {
        let signal = |f: f64| -> Vec<i32> { (0..100).map(|i| ((i as f64 * f).sin() * 9000.0) as i32).collect() };
        for term in [1, 2, 3, 4, 5, 6, 7, 8, 17, 18] {
            let start = Pass { term, delta: 2, weights: [500, -300], history: [[3; 8], [-7; 8]] };
            assert!(start.is_valid(false));
            let (left, right) = (signal(0.1), signal(0.33));
            let (mut l, mut r) = (left.clone(), right.clone());
            forward(&mut start.clone(), &mut l, &mut r);
            assert_ne!(l, left);
            start.clone().undo(&mut l, &mut r);
            assert_eq!((l, r), (left, right), "{term}");
        }
        assert!(!Pass { term: -1, ..Pass::default() }.is_valid(false));
        assert!(!Pass { term: 9, ..Pass::default() }.is_valid(true));
    }
}
