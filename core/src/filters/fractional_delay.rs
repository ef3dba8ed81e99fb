//! Delay line that is read between its samples, for modulated delays.

/// Delay line of one channel with cubic interpolation.
///
/// Third-order Lagrange interpolation over four samples: T. Laakso et al., "Splitting the Unit Delay", IEEE Signal
/// Processing Magazine 13(1), 1996. Flat within 0.1 dB up to a quarter of the rate.
#[derive(Debug, Clone, Default)]
pub struct FractionalDelay {
    /// A power of two, so that positions wrap by a mask.
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
        let length = (max_frames + 4).next_power_of_two();
        Self { line: vec![0.0; length], mask: length - 1, at: 0 }
    }

    /// Appends a sample. What is not finite or beyond 120 dB becomes 0, so that feedback does not keep it for ever; so does
    /// what is below -400 dB, before it becomes denormal and slow.
    #[inline(always)]
    pub fn push(&mut self, x: f32) {
        let a = x.abs();
        self.line[self.at & self.mask] = if a < 1e6 && a > 1e-20 { x } else { 0.0 };
        self.at = self.at.wrapping_add(1);
    }

    /// The signal `delay_frames` before the sample that was pushed last, [`MIN_DELAY_FRAMES`] to the maximum.
    #[inline(always)]
    pub fn read(&self, delay_frames: f32) -> f32 {
        self.read_before(0, delay_frames)
    }

    /// As [`FractionalDelay::read`], as if the last `later` samples had not been pushed yet.
    #[inline(always)]
    pub fn read_before(&self, later: usize, delay_frames: f32) -> f32 {
        let whole = delay_frames as usize;
        let d = delay_frames - whole as f32;
        let newest = self.at.wrapping_sub(1 + later).wrapping_sub(whole);
        let tap = |back: usize| self.line[newest.wrapping_sub(back) & self.mask];
        // One sample newer than `whole`, the one at it, and two older.
        let (y0, y1, y2, y3) = (self.line[newest.wrapping_add(1) & self.mask], tap(0), tap(1), tap(2));
        between([y0, y1, y2, y3], d)
    }

    /// Adds to `sum` what [`FractionalDelay::read`] would have given after each of the last samples, as many as there are
    /// delays: the same bits, several at once, as delays that move slowly share their whole frames for a while.
    #[inline(always)]
    pub fn add_last(&self, delays: &[f32], sum: &mut [f32]) {
        let count = delays.len();
        let mut n = 0;
        while n < count {
            let whole = delays[n] as usize;
            let same = delays[n..].iter().take_while(|d| **d as usize == whole).count();
            let (delays, sum) = (&delays[n..n + same], &mut sum[n..n + same]);
            let oldest = self.at.wrapping_sub(count - n).wrapping_sub(whole).wrapping_sub(2) & self.mask;
            if let Some(part) = self.line.get(oldest..oldest + same + 3) {
                let taps = part.iter().zip(&part[1..]).zip(part[2..].iter().zip(&part[3..]));
                for ((y, delay), ((y3, y2), (y1, y0))) in sum.iter_mut().zip(delays).zip(taps) {
                    *y += between([*y0, *y1, *y2, *y3], delay - whole as f32);
                }
            } else {
                // Over the end of the line.
                for (k, (y, delay)) in sum.iter_mut().zip(delays).enumerate() {
                    *y += self.read_before(count - 1 - n - k, *delay);
                }
            }
            n += same;
        }
    }

    /// Fills with silence.
    pub fn reset(&mut self) {
        self.line.fill(0.0);
        self.at = 0;
    }
}

/// The cubic through four samples, newest first, at `d` from the second towards the third.
#[inline(always)]
fn between([y0, y1, y2, y3]: [f32; 4], d: f32) -> f32 {
    let (dm1, d1, d2) = (d + 1.0, d - 1.0, d - 2.0);
    let (a, b) = (d * d1, dm1 * d2);
    y0 * (a * d2 * (-1.0 / 6.0)) + y1 * (b * d1 * 0.5) + y2 * (b * d * -0.5) + y3 * (a * dm1 * (1.0 / 6.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_at_once_are_what_they_are_one_by_one() {
        let mut line = FractionalDelay::new(60);
        for k in 0..200u32 {
            line.push((k.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0);
            for count in [0, 1, 5, 40] {
                let delays: Vec<f32> = (0..count).map(|n| 1.0 + 0.37 * (n as f32) + 0.01 * k as f32).collect();
                let mut sum = vec![0.25; count];
                line.add_last(&delays, &mut sum);
                for (n, (y, d)) in sum.iter().zip(&delays).enumerate() {
                    assert_eq!(y.to_bits(), (0.25 + line.read_before(count - 1 - n, *d)).to_bits(), "{k} {count} {n}");
                }
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
