//! The gain of a limiter over time, from the attenuation that each frame needs.
//!
//! A sliding maximum, an exponential release and two moving averages. Attenuations are integers in units of 2^-30: the
//! averages are exact, any split into strips gives the same bits, and where nothing is needed the gain is exactly 1.

use super::STRIP;

/// Attenuation 1, that is silence.
const ONE: u64 = 1 << 30;
/// Frames around a peak over which the gain stays down, so that it is constant where the interpolation to an
/// inter-sample peak has its weight.
const HOLD: usize = 6;
/// Under 2^-16 (0.0001 dB) the recovery is complete.
const RECOVERED: u64 = ONE >> 16;

/// Attenuation that brings `peak` to `ceiling`.
pub(super) fn attenuation(peak: f32, ceiling: f32) -> u32 {
    if peak > ceiling {
        // Rounded up; below 2^30 as the ceiling is above 0.
        ((1.0 - f64::from(ceiling) / f64::from(peak)) * ONE as f64).ceil() as u32
    } else {
        0
    }
}

/// Largest of the last `window` values: a queue of the values that may still become the largest.
#[derive(Debug, Default)]
struct SlidingMax {
    /// (frame, value), values falling, in a ring.
    queue: Vec<(u64, u32)>,
    head: usize,
    length: usize,
    window: u64,
    frame: u64,
}

impl SlidingMax {
    fn new(window: usize) -> Self {
        Self { queue: vec![(0, 0); window + 1], head: 0, length: 0, window: window as u64, frame: 0 }
    }

    fn push(&mut self, value: u32) -> u32 {
        let size = self.queue.len();
        let slot = |i: usize| if i >= size { i - size } else { i };
        if self.length > 0 && self.queue[self.head].0 + self.window <= self.frame {
            self.head = slot(self.head + 1);
            self.length -= 1;
        }
        // Zeros are not kept: an empty queue says 0.
        while self.length > 0 && self.queue[slot(self.head + self.length - 1)].1 <= value {
            self.length -= 1;
        }
        if value > 0 {
            self.queue[slot(self.head + self.length)] = (self.frame, value);
            self.length += 1;
        }
        self.frame += 1;
        if self.length > 0 { self.queue[self.head].1 } else { 0 }
    }

    fn reset(&mut self) {
        (self.head, self.length, self.frame) = (0, 0, 0);
    }
}

/// Sum of the last values, exact.
#[derive(Debug, Default)]
struct BoxSum {
    /// The last `length` values, then room for a strip.
    line: Vec<u64>,
    length: usize,
    sum: u64,
}

impl BoxSum {
    fn new(length: usize) -> Self {
        let length = length.max(1);
        Self { line: vec![0; length + STRIP], length, sum: 0 }
    }

    /// Replaces each value by the sum that ends with it. At most [`STRIP`] values.
    fn run(&mut self, values: &mut [u64]) {
        let count = values.len();
        self.line[self.length..self.length + count].copy_from_slice(values);
        let mut sum = self.sum;
        for (value, old) in values.iter_mut().zip(&self.line) {
            sum = sum + *value - old;
            *value = sum;
        }
        self.sum = sum;
        self.line.copy_within(count..count + self.length, 0);
    }

    fn reset(&mut self) {
        self.line.fill(0);
        self.sum = 0;
    }
}

/// Makes the gain from the attenuation that each frame needs.
#[derive(Debug, Default)]
pub(super) struct GainShape {
    sliding: SlidingMax,
    first: BoxSum,
    second: BoxSum,
    /// Attenuation that is recovering, in 2^-30.
    recovering: u64,
    /// Share kept per frame, in 2^-30.
    release: u64,
    /// 1 / (length of first * length of second * 2^30).
    scale: f64,
    /// Frames until every state is known to be zero.
    idle_in: usize,
    /// Frames that an attenuation stays in the states.
    span: usize,
}

impl GainShape {
    /// A gain that begins to fall `smooth_frames` before it is needed.
    pub fn new(smooth_frames: usize, release_ms: f64, rate_hz: f64) -> Self {
        let first = smooth_frames / 2 + 1;
        let second = smooth_frames - first + 1;
        let window = smooth_frames + 2 * HOLD;
        let mut shape = Self {
            sliding: SlidingMax::new(window),
            first: BoxSum::new(first),
            second: BoxSum::new(second),
            recovering: 0,
            release: 0,
            scale: 1.0 / (first as f64 * second as f64 * ONE as f64),
            idle_in: 0,
            span: window + first + second,
        };
        shape.set_release(release_ms, rate_hz);
        shape
    }

    /// Frames from an attenuation to the frame where the gain has it.
    pub fn latency_frames(smooth_frames: usize) -> usize {
        smooth_frames - 1 + HOLD
    }

    /// Sets the time constant of the recovery. Real-time safe.
    pub fn set_release(&mut self, release_ms: f64, rate_hz: f64) {
        self.release = ((-1000.0 / (release_ms * rate_hz)).exp() * ONE as f64) as u64;
    }

    /// True when the gain is 1 until something is needed: the strips until then may be left out.
    pub fn is_idle(&self) -> bool {
        self.idle_in == 0
    }

    /// Gains of at most [`STRIP`] frames. `needed` is what they need, nothing when `None`.
    pub fn run(&mut self, needed: Option<&[u32]>, gains: &mut [f32]) {
        let count = gains.len();
        let mut strip = [0u64; STRIP];
        let strip = &mut strip[..count];
        let mut recovering = self.recovering;
        let mut held = needed.is_some() || self.sliding.length > 0;
        if held {
            held = false;
            for (i, value) in strip.iter_mut().enumerate() {
                let top = u64::from(self.sliding.push(needed.map_or(0, |n| n[i])));
                held |= top > 0;
                let decayed = (recovering * self.release) >> 30;
                recovering = top.max(if decayed < RECOVERED { 0 } else { decayed });
                *value = recovering;
            }
        } else {
            self.sliding.frame += count as u64;
            for value in strip.iter_mut() {
                let decayed = (recovering * self.release) >> 30;
                recovering = if decayed < RECOVERED { 0 } else { decayed };
                *value = recovering;
            }
        }
        self.idle_in =
            if held || strip[0] > 0 || recovering > 0 { self.span } else { self.idle_in.saturating_sub(count) };
        self.recovering = recovering;
        self.first.run(strip);
        self.second.run(strip);
        for (gain, sum) in gains.iter_mut().zip(strip.iter()) {
            // Below 2^53: exact, and signed integers convert faster.
            *gain = (1.0 - *sum as i64 as f64 * self.scale) as f32;
        }
    }

    pub fn reset(&mut self) {
        self.sliding.reset();
        self.first.reset();
        self.second.reset();
        (self.recovering, self.idle_in) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: u32) -> Vec<u32> {
        (0..count).map(|n| (n.wrapping_mul(2_654_435_761) >> 22).saturating_sub(1_010) << 20).collect()
    }

    #[test]
    fn sliding_maximum_is_that_of_the_plain_way() {
        let values = values(500);
        for window in [1, 2, 7, 100] {
            let mut sliding = SlidingMax::new(window);
            for n in 0..values.len() {
                let want = values[n.saturating_sub(window - 1)..=n].iter().max().copied().unwrap();
                assert_eq!(sliding.push(values[n]), want, "{window} {n}");
            }
        }
    }

    #[test]
    fn strips_of_any_length_give_the_plain_definition() {
        let mut needed = values(3_000);
        needed[1_200..2_600].fill(0);
        let (smooth, release_ms, rate_hz) = (20, 1.0, 48_000.0);
        // The definition, frame by frame.
        let window = smooth + 2 * HOLD;
        let release = ((-1000.0f64 / (release_ms * rate_hz)).exp() * ONE as f64) as u64;
        let mut recovering = vec![0u64; needed.len()];
        for n in 0..needed.len() {
            let held = needed[n.saturating_sub(window - 1)..=n].iter().max().copied().unwrap();
            let last = if n > 0 { (recovering[n - 1] * release) >> 30 } else { 0 };
            recovering[n] = u64::from(held).max(if last < RECOVERED { 0 } else { last });
        }
        let sums = |x: &[u64], length: usize| -> Vec<u64> {
            (0..x.len()).map(|n| x[(n + 1).saturating_sub(length)..=n].iter().sum()).collect()
        };
        let (first, second) = (smooth / 2 + 1, smooth - smooth / 2);
        let scale = 1.0 / (first as f64 * second as f64 * ONE as f64);
        let want: Vec<f32> =
            sums(&sums(&recovering, first), second).iter().map(|s| (1.0 - *s as f64 * scale) as f32).collect();
        assert!(want[2_000..2_600].iter().all(|g| *g == 1.0) && want[1_000] < 1.0);
        for strip in [1, 7, STRIP] {
            let mut shape = GainShape::new(smooth, release_ms, rate_hz);
            let mut got = vec![1.0f32; needed.len()];
            for (needed, gains) in needed.chunks(strip).zip(got.chunks_mut(strip)) {
                let some = needed.iter().any(|n| *n > 0);
                if some || !shape.is_idle() {
                    shape.run(some.then_some(needed), gains);
                }
            }
            assert_eq!(got, want, "{strip}");
        }
    }
}
