//! True peak: the level of the waveform between the samples, ITU-R BS.1770-5 Annex 2.
//!
//! Four times oversampling below 96 kHz, two times below 192 kHz, none above, as the Annex allows; at those rates
//! the points lie 192 kHz apart or closer. The interpolator is [`Interpolator`].

use crate::dsp::kernels::{self, INTERPOLATOR_TAPS, Interpolator};

const TAPS: usize = INTERPOLATOR_TAPS;
/// Samples kept from one block to the next.
const KEPT: usize = TAPS - 1;
/// Frames worked on at a time: window and results stay in the first-level cache.
const CHUNK: usize = 1024;
/// Positions that are skipped or interpolated together.
const SPAN: usize = 64;

/// True peak of one channel. Real-time safe.
#[derive(Debug, Clone)]
pub struct TruePeak {
    interpolator: Interpolator,
    oversampling: u32,
    window: Box<[f32; CHUNK + KEPT]>,
    /// Largest sample.
    sample_peak: f32,
    /// Largest interpolated value.
    between: f32,
}

impl TruePeak {
    /// A meter for one channel at `rate_hz`. Allocates 4 kB.
    pub fn new(rate_hz: u32) -> Self {
        let oversampling = match rate_hz {
            0..96_000 => 4,
            96_000..192_000 => 2,
            _ => 1,
        };
        Self {
            interpolator: Interpolator::new(),
            oversampling,
            window: Box::new([0.0; CHUNK + KEPT]),
            sample_peak: 0.0,
            between: 0.0,
        }
    }

    /// Adds samples. Blocks that cannot raise the peak are not interpolated; that never changes the result.
    pub fn push(&mut self, samples: &[f32]) {
        for chunk in samples.chunks(CHUNK) {
            let peak = kernels::peak(chunk);
            if peak > self.sample_peak {
                self.sample_peak = peak;
            }
            if self.oversampling == 1 {
                continue;
            }
            let filled = KEPT + chunk.len();
            let under = peak.max(kernels::peak(&self.window[..KEPT]));
            self.window[KEPT..filled].copy_from_slice(chunk);
            if under * self.interpolator.gain_bound() > self.current() {
                self.between = scan(&self.interpolator, self.oversampling, &self.window[..filled], self.current());
            }
            self.window.copy_within(chunk.len()..filled, 0);
        }
    }

    /// The largest sample so far, linear.
    pub fn sample_peak(&self) -> f32 {
        self.sample_peak
    }

    /// The true peak of all that was pushed, linear, with silence after it.
    pub fn peak(&self) -> f32 {
        if self.oversampling == 1 {
            return self.sample_peak;
        }
        let mut tail = [0.0; 2 * KEPT];
        tail[..KEPT].copy_from_slice(&self.window[..KEPT]);
        scan(&self.interpolator, self.oversampling, &tail, self.current())
    }

    /// Forgets the signal.
    pub fn reset(&mut self) {
        self.window.fill(0.0);
        self.sample_peak = 0.0;
        self.between = 0.0;
    }

    fn current(&self) -> f32 {
        self.sample_peak.max(self.between)
    }
}

/// The larger of `floor` and the interpolated values over `window`.
fn scan(interpolator: &Interpolator, oversampling: u32, window: &[f32], floor: f32) -> f32 {
    let mut peak = floor;
    let positions = window.len() - KEPT;
    for start in (0..positions).step_by(SPAN) {
        let part = &window[start..(start + SPAN).min(positions) + KEPT];
        if kernels::peak(part) * interpolator.gain_bound() > peak {
            peak = peak.max(interpolator.peak(part, oversampling == 4));
        }
    }
    peak
}

/// Peak of the waveform around each frame, for limiters: 4 times oversampled, with a known delay.
///
/// ```
/// use pure_sound::meter::TruePeakScanner;
/// let mut scanner = TruePeakScanner::new(1);
/// let mut peaks = [0.0; 64];
/// scanner.scan(0, &[0.5; 64], &mut peaks);
/// // peaks[n] belongs to the frame n - TruePeakScanner::DELAY_FRAMES of the input.
/// assert!((peaks[63] - 0.5).abs() < 1e-3);
/// ```
#[derive(Debug, Clone)]
pub struct TruePeakScanner {
    interpolator: Interpolator,
    windows: Vec<[f32; CHUNK + KEPT]>,
}

impl TruePeakScanner {
    /// Frames by which the peaks are behind the input.
    pub const DELAY_FRAMES: usize = TAPS / 2;

    /// A scanner for `channels` channels. Allocates 4 kB for each.
    pub fn new(channels: usize) -> Self {
        Self { interpolator: Interpolator::new(), windows: vec![[0.0; CHUNK + KEPT]; channels] }
    }

    /// Feeds `samples` of one channel and raises `peaks[i]` (same length) to the largest absolute value of the
    /// waveform at frame `i - DELAY_FRAMES` and at the three quarters between it and the next frame. Clear `peaks`
    /// first; scan all channels into it for their common peak. Real-time safe.
    pub fn scan(&mut self, channel: usize, samples: &[f32], peaks: &mut [f32]) {
        let Some(window) = self.windows.get_mut(channel) else { return };
        for (samples, peaks) in samples.chunks(CHUNK).zip(peaks.chunks_mut(CHUNK)) {
            let count = samples.len().min(peaks.len());
            window[KEPT..][..count].copy_from_slice(&samples[..count]);
            self.interpolator.raise(&window[..KEPT + count], &mut peaks[..count]);
            window.copy_within(count..count + KEPT, 0);
        }
    }

    /// Forgets the signal. Real-time safe.
    pub fn reset(&mut self) {
        for window in &mut self.windows {
            window.fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    fn noise(len: u32) -> Vec<f32> {
        (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 9) as f32 / 4_194_304.0 - 1.0).collect()
    }

    #[test]
    fn between_the_samples_the_sine_is_found() {
        // fs/4 at 45 degrees: samples at 0.7071, the wave at 1.0.
        let sine: Vec<f32> = (0..4000).map(|n| (PI / 2.0 * n as f64 + PI / 4.0).sin() as f32).collect();
        let mut meter = TruePeak::new(48_000);
        meter.push(&sine[..2000]);
        meter.push(&sine[2000..]);
        assert!((meter.sample_peak() - 0.5f32.sqrt()).abs() < 1e-6);
        // The abrupt start overshoots by up to 0.4 dB; after a fade in the value is exact to the filter's 0.01 dB.
        assert!((0.999..1.06).contains(&meter.peak()), "{}", meter.peak());
        let faded: Vec<f32> =
            sine.iter().enumerate().map(|(n, x)| x * (n.min(3999 - n) as f32 / 500.0).min(1.0)).collect();
        meter.reset();
        meter.push(&faded);
        assert!((meter.peak() - 1.0).abs() < 1.2e-3, "{}", meter.peak());
    }

    #[test]
    fn skipping_and_splitting_change_nothing() {
        let mut signal = noise(20_000);
        for (n, x) in signal.iter_mut().enumerate() {
            *x *= ((n as f32 / 3000.0).sin()).powi(4); // loud and quiet stretches, so that some are skipped
        }
        for rate_hz in [44_100, 96_000, 192_000] {
            let mut whole = TruePeak::new(rate_hz);
            whole.push(&signal);
            let plain = {
                let mut padded = vec![0.0; KEPT];
                padded.extend_from_slice(&signal);
                padded.extend([0.0; KEPT]);
                let between = Interpolator::new().peak(&padded, whole.oversampling == 4);
                if whole.oversampling == 1 { whole.sample_peak() } else { between.max(whole.sample_peak()) }
            };
            assert_eq!(whole.peak().to_bits(), plain.to_bits());
            for block in [1, 31, 5000] {
                let mut parts = TruePeak::new(rate_hz);
                signal.chunks(block).for_each(|p| parts.push(p));
                assert_eq!(parts.peak().to_bits(), whole.peak().to_bits(), "{rate_hz} {block}");
            }
        }
    }

    #[test]
    fn scanner_tells_each_frame_with_its_delay() {
        let mut signal = vec![0.0f32; 3000];
        signal[1500] = 1.0;
        let mut scanner = TruePeakScanner::new(2);
        let mut peaks = vec![0.0; 3000];
        for start in (0..3000).step_by(700) {
            let end = (start + 700).min(3000);
            scanner.scan(0, &[0.0; 700][..end - start], &mut peaks[start..end]);
            scanner.scan(1, &signal[start..end], &mut peaks[start..end]);
        }
        let at = peaks.iter().position(|p| *p == 1.0).unwrap();
        assert_eq!(at, 1500 + TruePeakScanner::DELAY_FRAMES);
        // A quarter before the impulse: in the previous frame.
        assert!((peaks[at - 1] - 0.9).abs() < 0.01, "{}", peaks[at - 1]);
    }
}
