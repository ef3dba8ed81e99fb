//! Long impulse responses by partitioned convolution in the frequency domain.
//!
//! Overlap-save with partitions of one block: the response is cut into pieces of a block, each transformed once; every
//! block of input is transformed once, multiplied with all pieces (each with the input of as many blocks ago) and
//! transformed back once: T. G. Stockham, "High-Speed Convolution and Correlation", AFIPS 1966; G. Garcia, "Optimal Filter
//! Partition for Efficient Convolution with Short Input/Output Delay", AES 113, 2002 (uniform partitions).

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use crate::audio::Buffer;

/// Frames of a block: what is decided about at once, and the latency.
pub const BLOCK_FRAMES: usize = 256;
const SIZE: usize = 2 * BLOCK_FRAMES;
const BINS: usize = BLOCK_FRAMES + 1;

/// State of one channel.
struct Lane {
    /// The block before and the one that is filled.
    input: Vec<f32>,
    /// Finished samples.
    ready: Vec<f32>,
    /// Spectra of the last blocks, one for each partition.
    history: Vec<Complex<f32>>,
}

/// The same impulse response on any number of channels. Latency: [`BLOCK_FRAMES`]. NaN, infinity and samples beyond +/-10^6
/// are taken as silence.
pub struct BlockFir {
    /// Spectra of the partitions, one after the other, with the scale of the inverse transform.
    partitions: Vec<Complex<f32>>,
    lanes: Vec<Lane>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    time: Vec<f32>,
    sum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// Frames of the block that is filled.
    filled: usize,
    /// Partition of the history that comes next.
    at: usize,
}

impl BlockFir {
    /// A convolution with `taps` for `channels` channels. Allocates.
    pub fn new(taps: &[f32], channels: usize) -> Self {
        let mut planner = RealFftPlanner::<f32>::new();
        let (forward, inverse) = (planner.plan_fft_forward(SIZE), planner.plan_fft_inverse(SIZE));
        let count = taps.len().div_ceil(BLOCK_FRAMES).max(1);
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        let mut fir = Self {
            partitions: vec![Complex::default(); count * BINS],
            lanes: (0..channels)
                .map(|_| Lane {
                    input: vec![0.0; SIZE],
                    ready: vec![0.0; BLOCK_FRAMES],
                    history: vec![Complex::default(); count * BINS],
                })
                .collect(),
            forward,
            inverse,
            time: vec![0.0; SIZE],
            sum: vec![Complex::default(); BINS],
            scratch: vec![Complex::default(); scratch],
            filled: 0,
            at: 0,
        };
        for (piece, spectrum) in taps.chunks(BLOCK_FRAMES).zip(fir.partitions.chunks_exact_mut(BINS)) {
            fir.time.fill(0.0);
            for (t, h) in fir.time.iter_mut().zip(piece) {
                *t = h * (1.0 / SIZE as f32);
            }
            // The lengths were made for each other, so this cannot fail; if it did, the partition would be silent.
            if fir.forward.process_with_scratch(&mut fir.time, spectrum, &mut fir.scratch).is_err() {
                spectrum.fill(Complex::default());
            }
        }
        fir
    }

    /// Filters a block in place. Real-time safe.
    pub fn process(&mut self, block: &mut Buffer) {
        let (mut from, frames) = (0, block.frames());
        while from < frames {
            let count = (BLOCK_FRAMES - self.filled).min(frames - from);
            for (lane, samples) in self.lanes.iter_mut().zip(block.channels_mut()) {
                let place = BLOCK_FRAMES + self.filled;
                let input = &mut lane.input[place..place + count];
                let ready = &lane.ready[self.filled..self.filled + count];
                for ((x, i), r) in samples[from..from + count].iter_mut().zip(input).zip(ready) {
                    *i = if x.abs() < 1e6 { *x } else { 0.0 };
                    *x = *r;
                }
            }
            from += count;
            self.filled += count;
            if self.filled == BLOCK_FRAMES {
                self.filled = 0;
                self.convolve();
            }
        }
    }

    /// One whole block of all channels.
    fn convolve(&mut self) {
        let count = self.partitions.len() / BINS;
        for lane in &mut self.lanes {
            self.time.copy_from_slice(&lane.input);
            let newest = &mut lane.history[self.at * BINS..(self.at + 1) * BINS];
            if self.forward.process_with_scratch(&mut self.time, newest, &mut self.scratch).is_err() {
                newest.fill(Complex::default());
            }
            self.sum.fill(Complex::default());
            // Partition k belongs to the input of k blocks ago, which lies k places before in the ring.
            let (old, recent) = lane.history.split_at(self.at * BINS);
            let (now, older) = recent.split_at(BINS);
            let blocks =
                now.chunks_exact(BINS).chain(old.chunks_exact(BINS).rev()).chain(older.chunks_exact(BINS).rev());
            for (h, x) in self.partitions.chunks_exact(BINS).zip(blocks) {
                multiply_add(&mut self.sum, h, x);
            }
            // The ends of the spectrum are real; the transform checks it.
            for end in [0, BINS - 1] {
                self.sum[end].im = 0.0;
            }
            if self.inverse.process_with_scratch(&mut self.sum, &mut self.time, &mut self.scratch).is_err() {
                self.time.fill(0.0);
            }
            lane.ready.copy_from_slice(&self.time[BLOCK_FRAMES..]);
            lane.input.copy_within(BLOCK_FRAMES.., 0);
        }
        self.at = (self.at + 1) % count;
    }

    /// Forgets the signal. Real-time safe.
    pub fn reset(&mut self) {
        for lane in &mut self.lanes {
            lane.input.fill(0.0);
            lane.ready.fill(0.0);
            lane.history.fill(Complex::default());
        }
        (self.filled, self.at) = (0, 0);
    }
}

/// `sum += a * b`.
fn multiply_add(sum: &mut [Complex<f32>], a: &[Complex<f32>], b: &[Complex<f32>]) {
    for ((s, a), b) in sum.iter_mut().zip(a).zip(b) {
        s.re += a.re * b.re - a.im * b.im;
        s.im += a.re * b.im + a.im * b.re;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{ChannelLayout, Spec};

    fn noise(count: usize, seed: u32) -> Vec<f32> {
        (0..count as u32).map(|n| ((n ^ seed).wrapping_mul(2_654_435_761) >> 9) as f32 / 4_194_304.0 - 1.0).collect()
    }

    #[test]
    fn equals_the_sum_of_products_for_any_length_and_block() {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let frames = 3_000;
        let x = [noise(frames, 5), noise(frames, 77)];
        for length in [1usize, 2, 255, 256, 257, 700, 1_500] {
            // Decaying, so that the sum stays around 1.
            let taps: Vec<f32> =
                noise(length, 9).iter().enumerate().map(|(n, h)| h * 0.99f32.powi(n as i32) * 0.05).collect();
            let mut fir = BlockFir::new(&taps, 2);
            for split in [1usize, 100, 256, 3_000] {
                fir.reset();
                let mut got: Vec<Vec<f32>> = vec![Vec::new(); 2];
                let mut at = 0;
                while at < frames {
                    let end = (at + split).min(frames);
                    let mut block = Buffer::from_channels(spec, &[x[0][at..end].to_vec(), x[1][at..end].to_vec()]);
                    fir.process(&mut block);
                    got.iter_mut().zip(block.channels()).for_each(|(g, c)| g.extend_from_slice(c));
                    at = end;
                }
                for (x, y) in x.iter().zip(&got) {
                    assert!(y[..BLOCK_FRAMES].iter().all(|v| *v == 0.0));
                    for n in 0..frames - BLOCK_FRAMES {
                        let want: f64 =
                            taps.iter().enumerate().take(n + 1).map(|(k, h)| f64::from(*h) * f64::from(x[n - k])).sum();
                        // Transforms of 512 points in f32: a few 1e-7 of the largest value, which is below 1.
                        let error = (f64::from(y[n + BLOCK_FRAMES]) - want).abs();
                        assert!(error < 1e-6, "{length} {split} {n}: {error}");
                    }
                }
                if split == 1 && length > 256 {
                    break; // once is enough for the slowest
                }
            }
        }
    }
}
