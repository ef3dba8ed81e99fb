//! The gain of a limiter over time, from the attenuation that each frame needs.
//!
//! A sliding maximum, an exponential release and two moving averages. Attenuations are integers in units of 2^-30: the
//! averages are exact, any split into strips gives the same bits, and where nothing is needed the gain is exactly 1.

use fearless_simd::{Simd, dispatch};

use super::STRIP;
use crate::dsp::kernels;

/// Attenuation 1, that is silence.
const ONE: u64 = 1 << 30;
/// Frames around a peak over which the gain stays down, so that it is constant where the interpolation to an
/// inter-sample peak has its weight.
const HOLD: usize = 6;
/// Under 2^-16 (0.0001 dB) the recovery is complete.
const RECOVERED: u64 = ONE >> 16;

/// Attenuations that bring `peaks` to `ceiling`, 0 for those that are below it. Returns false, and leaves them alone, when
/// there are none.
pub(super) fn attenuations(peaks: &[f32], ceiling: f32, needed: &mut [u32]) -> bool {
    if kernels::peak(peaks) <= ceiling {
        return false;
    }
    dispatch!(kernels::level(), simd => attenuations_loop(simd, peaks, ceiling, needed));
    true
}

#[inline(always)]
fn attenuations_loop<S: Simd>(_simd: S, peaks: &[f32], ceiling: f32, needed: &mut [u32]) {
    // Added to less than 2^51 this leaves the nearest integer in the low bits: a conversion that vectorises everywhere.
    const TO_INTEGER: f64 = (1u64 << 52) as f64;
    for (needed, peak) in needed.iter_mut().zip(peaks) {
        let share = (1.0 - f64::from(ceiling) / f64::from(*peak)) * ONE as f64;
        // Rounded up, and at most 2^30 as the ceiling is above 0.
        let units = (share + TO_INTEGER).to_bits() as u32 + 1;
        *needed = if *peak > ceiling { units } else { 0 };
    }
}

/// Largest of the last `window` values.
///
/// After M. van Herk, "A fast algorithm for local minimum and maximum filters on rectangular and octagonal kernels" (1992):
/// the maximum since the start of a block of `window` values, and that of the rest of the block before.
#[derive(Debug, Default)]
struct SlidingMax {
    /// Values of this block, and behind them for each place of the last block the maximum from there to its end; then a 0.
    line: Vec<u32>,
    window: usize,
    /// Place in the block.
    at: usize,
    /// Maximum since the start of the block.
    top: u32,
    /// Values until all that is remembered is 0.
    clear_in: usize,
}

impl SlidingMax {
    fn new(window: usize) -> Self {
        Self { line: vec![0; window + 1], window, at: 0, top: 0, clear_in: 0 }
    }

    /// Nothing but zeros is remembered.
    fn is_clear(&self) -> bool {
        self.clear_in == 0
    }

    /// Replaces each value by the largest of it and the `window - 1` before.
    fn run(&mut self, mut values: &mut [u32]) {
        let count = values.len();
        let mut any = 0;
        while !values.is_empty() {
            let (now, later) = values.split_at_mut(values.len().min(self.window - self.at));
            let line = &mut self.line[self.at..=self.at + now.len()];
            let mut top = self.top;
            for (i, value) in now.iter_mut().enumerate() {
                line[i] = *value;
                any |= *value;
                top = top.max(*value);
                *value = top.max(line[i + 1]);
            }
            self.top = top;
            self.at += now.len();
            if self.at == self.window {
                let mut top = 0;
                for value in self.line.iter_mut().rev() {
                    top = top.max(*value);
                    *value = top;
                }
                (self.at, self.top) = (0, 0);
            }
            values = later;
        }
        self.clear_in = if any > 0 { self.window } else { self.clear_in.saturating_sub(count) };
        if self.is_clear() {
            self.reset();
        }
    }

    fn reset(&mut self) {
        self.line.fill(0);
        (self.at, self.top, self.clear_in) = (0, 0, 0);
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

    /// Keeps the last `length` values of the strip that was written behind them.
    fn keep(&mut self, count: usize) {
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
        let mut held = [0u32; STRIP];
        let held = &mut held[..count];
        if let Some(needed) = needed {
            held.copy_from_slice(needed);
        }
        if needed.is_some() || !self.sliding.is_clear() {
            self.sliding.run(held);
        }
        let (first, second) = (&mut self.first, &mut self.second);
        let new = &mut first.line[first.length..first.length + count];
        let (mut recovering, mut any) = (self.recovering, 0);
        for (value, held) in new.iter_mut().zip(held.iter()) {
            let held = u64::from(*held);
            recovering = held.max((recovering * self.release) >> 30);
            // What is complete counts as 0, here and for what follows: less than that never grows back.
            *value = if recovering < RECOVERED { held } else { recovering };
            any |= *value;
        }
        self.recovering = if recovering < RECOVERED { 0 } else { recovering };
        self.idle_in = if any > 0 { self.span } else { self.idle_in.saturating_sub(count) };
        // Each sum goes on with the newest value less the oldest: the difference first, so that there is one addition to
        // wait for. It may wrap, the sum does not.
        let mut sum = first.sum;
        let new = first.line[first.length..].iter().zip(&first.line);
        for (to, (new, old)) in second.line[second.length..][..count].iter_mut().zip(new) {
            sum = sum.wrapping_add(new.wrapping_sub(*old));
            *to = sum;
        }
        first.sum = sum;
        let mut sum = second.sum;
        let new = second.line[second.length..].iter().zip(&second.line);
        for (gain, (new, old)) in gains.iter_mut().zip(new) {
            sum = sum.wrapping_add(new.wrapping_sub(*old));
            // Below 2^53: exact, and signed integers convert faster.
            *gain = (1.0 - sum as i64 as f64 * self.scale) as f32;
        }
        second.sum = sum;
        first.keep(count);
        second.keep(count);
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
            for strip in [1, 5, STRIP] {
                let mut sliding = SlidingMax::new(window);
                let mut got = values.clone();
                got.chunks_mut(strip).for_each(|s| sliding.run(s));
                for n in 0..values.len() {
                    let want = values[n.saturating_sub(window - 1)..=n].iter().max().copied().unwrap();
                    assert_eq!(got[n], want, "{window} {strip} {n}");
                }
            }
        }
    }

    #[test]
    fn attenuations_bring_peaks_to_the_ceiling_and_not_far_below() {
        for ceiling in [0.01f32, 0.5, 0.891_250_9, 1.0] {
            let peaks: Vec<f32> = (0..400).map(|n| ceiling * (0.9 + n as f32 * n as f32 * 1e-3)).collect();
            let mut needed = vec![9; peaks.len()];
            assert!(attenuations(&peaks, ceiling, &mut needed));
            for (peak, needed) in peaks.iter().zip(&needed) {
                let over = f64::from(*peak) * (1.0 - f64::from(*needed) / ONE as f64) - f64::from(ceiling);
                if *peak <= ceiling {
                    assert_eq!(*needed, 0);
                } else {
                    // Up to one and a half units of 2^-30 too much.
                    assert!(over <= 0.0 && over > -1.5 * f64::from(*peak) / ONE as f64, "{peak} {ceiling}: {over}");
                }
            }
            assert!(!attenuations(&[0.0, ceiling], ceiling, &mut needed));
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
