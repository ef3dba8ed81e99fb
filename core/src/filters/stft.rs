//! Overlap-add short-time Fourier transform: the engine of the spectral filters.
//!
//! Square-root Hann windows before the transform and after its inverse. Their product adds up to a constant at a half and at
//! a quarter of the window as hop, so that a spectrum which is left alone gives the input back (D. Griffin, J. Lim, "Signal
//! Estimation from Modified Short-Time Fourier Transform", IEEE TASSP 32(2), 1984).

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use crate::audio::Buffer;

/// Samples beyond 120 dB over full scale are no audio, nor is NaN: both are taken as silence.
const NO_AUDIO: f32 = 1e6;

/// Signal of one channel.
struct Lane {
    /// The last `size` input samples.
    input: Vec<f32>,
    /// Overlap-add of `size` output samples.
    output: Vec<f32>,
    /// Finished samples.
    ready: Vec<f32>,
}

/// A transform of all channels of a stream. Any split into blocks gives the same output; the latency is one window.
pub(super) struct Stft {
    size: usize,
    hop: usize,
    window: Vec<f32>,
    /// The window again, with the scale of overlap and transform.
    synthesis: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    lanes: Vec<Lane>,
    /// Samples of the current hop.
    filled: usize,
    time: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Stft {
    /// An engine for `channels` channels with windows of `size` (even) frames, `overlap` (2 or 4) of which cover each frame.
    /// Allocates.
    pub(super) fn new(channels: usize, size: usize, overlap: usize) -> Self {
        let hop = size / overlap;
        let mut planner = RealFftPlanner::<f32>::new();
        let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let window: Vec<f32> =
            (0..size).map(|n| (std::f64::consts::PI * n as f64 / size as f64).sin() as f32).collect();
        // The squares sum to overlap / 2; the inverse transform is not normalised.
        let scale = 2.0 / (overlap * size) as f32;
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        Self {
            size,
            hop,
            synthesis: window.iter().map(|w| w * scale).collect(),
            window,
            forward,
            inverse,
            lanes: (0..channels)
                .map(|_| Lane { input: vec![0.0; size], output: vec![0.0; size], ready: vec![0.0; hop] })
                .collect(),
            filled: 0,
            time: vec![0.0; size],
            spectrum: vec![Complex::default(); size / 2 + 1],
            scratch: vec![Complex::default(); scratch],
        }
    }

    /// Window length for a rate: the power of two closest to `window_ms` in the logarithm, at least 64.
    pub(super) fn window_frames(rate_hz: f64, window_ms: f64) -> usize {
        1 << (window_ms * rate_hz / 1000.0).log2().round().max(6.0) as u32
    }

    /// Frames of a window, which is the latency.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Frames from one window to the next.
    pub(super) fn hop(&self) -> usize {
        self.hop
    }

    /// Values of a spectrum: half a window and one.
    pub(super) fn bins(&self) -> usize {
        self.size / 2 + 1
    }

    /// Processes one block in place. `work` changes the spectrum of a window of the channel with the given index.
    /// Real-time safe as far as `work` is.
    #[inline]
    pub(super) fn process(&mut self, block: &mut Buffer, mut work: impl FnMut(usize, &mut [Complex<f32>])) {
        let (mut at, frames, hop) = (0, block.frames(), self.hop);
        while at < frames {
            let count = (hop - self.filled).min(frames - at);
            for (lane, samples) in self.lanes.iter_mut().zip(block.channels_mut()) {
                let samples = &mut samples[at..at + count];
                let from = self.size - hop + self.filled;
                for (kept, x) in lane.input[from..from + count].iter_mut().zip(&*samples) {
                    *kept = if x.abs() < NO_AUDIO { *x } else { 0.0 };
                }
                samples.copy_from_slice(&lane.ready[self.filled..self.filled + count]);
            }
            at += count;
            self.filled += count;
            if self.filled == hop {
                self.filled = 0;
                for index in 0..self.lanes.len() {
                    self.window(index, &mut work);
                }
            }
        }
    }

    /// One window of one channel.
    #[inline]
    fn window(&mut self, index: usize, work: &mut impl FnMut(usize, &mut [Complex<f32>])) {
        let (lane, hop) = (&mut self.lanes[index], self.hop);
        for ((y, x), w) in self.time.iter_mut().zip(&lane.input).zip(&self.window) {
            *y = x * w;
        }
        lane.input.copy_within(hop.., 0);
        // The lengths were made for each other in `new`, so this cannot fail; if it did, the window would be silent.
        if self.forward.process_with_scratch(&mut self.time, &mut self.spectrum, &mut self.scratch).is_err() {
            self.spectrum.fill(Complex::default());
        }
        work(index, &mut self.spectrum);
        // The ends of the spectrum are real; the transform checks it.
        self.spectrum[0].im = 0.0;
        self.spectrum[self.size / 2].im = 0.0;
        if self.inverse.process_with_scratch(&mut self.spectrum, &mut self.time, &mut self.scratch).is_err() {
            self.time.fill(0.0);
        }
        for ((y, x), w) in lane.output.iter_mut().zip(&self.time).zip(&self.synthesis) {
            *y += x * w;
        }
        lane.ready.copy_from_slice(&lane.output[..hop]);
        lane.output.copy_within(hop.., 0);
        lane.output[self.size - hop..].fill(0.0);
    }

    /// Forgets the signal.
    pub(super) fn reset(&mut self) {
        self.filled = 0;
        for lane in &mut self.lanes {
            lane.input.fill(0.0);
            lane.output.fill(0.0);
            lane.ready.fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{ChannelLayout, Spec};

    #[test]
    fn an_untouched_spectrum_gives_the_input_back_one_window_later() {
        let x: Vec<f32> =
            (0..5_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0).collect();
        for (size, overlap) in [(256, 2), (256, 4), (1_024, 2)] {
            let spec = Spec::new(8_000, ChannelLayout::MONO);
            let mut stft = Stft::new(1, size, overlap);
            let mut block = Buffer::from_channels(spec, std::slice::from_ref(&x));
            stft.process(&mut block, |_, _| ());
            let y = block.channel(0);
            assert!(y[..size].iter().all(|v| v.abs() < 2e-6));
            // From the second window on; two transforms in f32: about -130 dB.
            let worst = x[size..].iter().zip(&y[2 * size..]).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
            assert!(worst < 2e-6, "{size} {overlap}: {worst}");
        }
    }
}
