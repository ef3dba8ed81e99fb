//! Delay line that is read between its samples, for modulated delays.

use crate::dsp::kernels::{CUBIC_GUARD, add_delayed, cubic_between};

/// Delay line of one channel with cubic interpolation.
///
/// Third-order Lagrange interpolation over four samples: T. Laakso et al., "Splitting the Unit Delay", IEEE Signal
/// Processing Magazine 13(1), 1996. Flat within 0.1 dB up to a quarter of the rate.
#[derive(Debug, Clone, Default)]
pub struct FractionalDelay {
    /// A power of two, so that positions wrap by a mask; behind it the first samples once more.
    line: Vec<f32>,
    mask: usize,
    /// Where the next sample goes.
    at: usize,
}

/// Least delay that can be read, in frames: interpolation takes a sample on each side and one more.
pub const MIN_DELAY_FRAMES: f32 = 1.0;

impl FractionalDelay {
    /// A line for delays of up to `max_frames`. Allocates.
    pub fn new(max_frames: usize) -> Self {
        let length = (max_frames + 4).next_power_of_two().max(CUBIC_GUARD.next_power_of_two());
        Self { line: vec![0.0; length + CUBIC_GUARD], mask: length - 1, at: 0 }
    }

    /// Appends samples. What is not finite or beyond 120 dB becomes 0, so that feedback does not keep it for ever; so does
    /// what is below -400 dB, before it becomes denormal and slow.
    pub fn push_all(&mut self, mut samples: &[f32]) {
        while !samples.is_empty() {
            let at = self.at & self.mask;
            let (now, later) = samples.split_at(samples.len().min(self.mask + 1 - at));
            for (to, x) in self.line[at..at + now.len()].iter_mut().zip(now) {
                *to = sane(*x);
            }
            if at < CUBIC_GUARD {
                self.line.copy_within(..CUBIC_GUARD, self.mask + 1);
            }
            self.at = self.at.wrapping_add(now.len());
            samples = later;
        }
    }

    /// Appends one sample, as [`FractionalDelay::push_all`] does.
    #[inline(always)]
    pub fn push(&mut self, x: f32) {
        let (at, x) = (self.at & self.mask, sane(x));
        self.line[at] = x;
        if at < CUBIC_GUARD {
            self.line[self.mask + 1 + at] = x;
        }
        self.at = self.at.wrapping_add(1);
    }

    /// The signal `delay_frames` before the sample that was pushed last, [`MIN_DELAY_FRAMES`] to the maximum.
    #[inline(always)]
    pub fn read(&self, delay_frames: f32) -> f32 {
        self.read_before(0, delay_frames)
    }

    /// As [`FractionalDelay::read`], as if the last `later` samples had not been pushed yet.
    #[inline(always)]
    fn read_before(&self, later: usize, delay_frames: f32) -> f32 {
        let whole = delay_frames as usize;
        let oldest = self.at.wrapping_sub(later + whole).wrapping_sub(3) & self.mask;
        let taps = &self.line[oldest..oldest + 4];
        cubic_between([taps[3], taps[2], taps[1], taps[0]], delay_frames - whole as f32)
    }

    /// Adds to `sum` what [`FractionalDelay::read`] would have given after each of the last samples, as many as there are
    /// delays: the same bits, several at once.
    pub fn add_last(&self, delays: &[f32], sum: &mut [f32]) {
        add_delayed(&self.line, self.at.wrapping_sub(delays.len()), delays, sum);
    }

    /// Adds to `sum` the signal so much before each of the next samples, as many as there are delays; `delays[n]` is at least
    /// `n + 2`, as samples that have not been pushed cannot be read.
    pub fn add_next(&self, delays: &[f32], sum: &mut [f32]) {
        add_delayed(&self.line, self.at, delays, sum);
    }

    /// Fills with silence.
    pub fn reset(&mut self) {
        self.line.fill(0.0);
        self.at = 0;
    }
}

/// See [`FractionalDelay::push_all`].
#[inline(always)]
fn sane(x: f32) -> f32 {
    let a = x.abs();
    if a < 1e6 && a > 1e-20 { x } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_at_once_are_what_they_are_one_by_one() {
        let mut line = FractionalDelay::new(120);
        for k in 0..200u32 {
            line.push((k.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0);
            for count in [0, 1, 5, 40] {
                let delays: Vec<f32> = (0..count).map(|n| 1.0 + 0.37 * (n as f32) + 0.01 * k as f32).collect();
                let mut sum = vec![0.25; count];
                line.add_last(&delays, &mut sum);
                for (n, (y, d)) in sum.iter().zip(&delays).enumerate() {
                    assert_eq!(y.to_bits(), (0.25 + line.read_before(count - 1 - n, *d)).to_bits(), "{k} {count} {n}");
                }
                // Of samples that are still to come: all that is read is there already.
                let delays: Vec<f32> = delays.iter().map(|d| d + 41.0).collect();
                let (mut next, mut later) = (vec![0.0; count], line.clone());
                line.add_next(&delays, &mut next);
                for (y, d) in next.iter().zip(&delays) {
                    assert_eq!(y.to_bits(), later.read(d - 1.0).to_bits());
                    later.push(0.5);
                }
                let mut at_once = line.clone();
                at_once.push_all(&vec![0.5; count]);
                assert_eq!((at_once.line, at_once.at), (later.line, later.at));
            }
        }
    }

    #[test]
    fn cubics_are_reproduced_exactly_and_whole_delays_bit_for_bit() {
        let mut line = FractionalDelay::new(50);
        let f = |n: f64| 0.5 + 0.01 * n - 0.000_1 * n * n + 1e-6 * n * n * n;
        for n in 0..100 {
            line.push(f(f64::from(n)) as f32);
        }
        for delay in [1.0f32, 1.25, 2.0, 3.5, 17.9, 50.0] {
            let want = f(99.0 - f64::from(delay));
            // Four products of f32 values below 1.
            assert!((f64::from(line.read(delay)) - want).abs() < 4e-7, "{delay}");
        }
        assert_eq!(line.read(7.0), f(92.0) as f32);
    }

    #[test]
    fn poison_does_not_enter() {
        let mut line = FractionalDelay::new(8);
        for x in [f32::NAN, f32::INFINITY, f32::MAX, 1e-40] {
            line.push(x);
        }
        assert_eq!(line.read(1.5), 0.0);
    }
}
