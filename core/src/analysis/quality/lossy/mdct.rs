//! The transform of AAC and Vorbis, and their windows.

use std::sync::Arc;

use realfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

/// Frames of one transform to the next.
pub(super) const HOP: usize = 1_024;

/// MDCT of 2,048 frames to 1,024 lines.
pub(super) struct Mdct {
    fft: Arc<dyn Fft<f32>>,
    twiddles: Vec<Complex<f32>>,
    folded: Vec<f32>,
    bins: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Mdct {
    /// Scaled so that white noise has the same power in each line as in each sample, with a window of power 1/2.
    pub fn new() -> Self {
        let fft = FftPlanner::<f32>::new().plan_fft_forward(HOP / 2);
        let scale = (2.0 / HOP as f64).powf(0.25);
        let twiddle = |k: usize| {
            let angle = -std::f64::consts::PI * (8 * k + 1) as f64 / (8 * HOP) as f64;
            Complex::new((scale * angle.cos()) as f32, (scale * angle.sin()) as f32)
        };
        Self {
            twiddles: (0..HOP / 2).map(twiddle).collect(),
            folded: vec![0.0; HOP],
            bins: vec![Complex::default(); HOP / 2],
            scratch: vec![Complex::default(); fft.get_inplace_scratch_len()],
            fft,
        }
    }

    /// Folds to a DCT-IV, which is a complex transform of half the length between two turns of its bins.
    pub fn process(&mut self, samples: &[f32], window: &[f32], lines: &mut [f32]) {
        const H: usize = HOP / 2;
        let (x, w) = (&samples[..2 * HOP], &window[..2 * HOP]);
        let (low, high) = self.folded.split_at_mut(H);
        for n in 0..H {
            low[n] = -x[3 * H - 1 - n] * w[3 * H - 1 - n] - x[3 * H + n] * w[3 * H + n];
            high[n] = x[n] * w[n] - x[2 * H - 1 - n] * w[2 * H - 1 - n];
        }
        for (n, (bin, twiddle)) in self.bins.iter_mut().zip(&self.twiddles).enumerate() {
            *bin = Complex::new(self.folded[2 * n], self.folded[HOP - 1 - 2 * n]) * twiddle;
        }
        self.fft.process_with_scratch(&mut self.bins, &mut self.scratch);
        let lines = &mut lines[..HOP];
        for (k, (bin, twiddle)) in self.bins.iter().zip(&self.twiddles).enumerate() {
            let bin = bin * twiddle;
            lines[2 * k] = bin.re;
            lines[HOP - 1 - 2 * k] = -bin.im;
        }
    }
}

/// Window from its first half, as a function of 0 to 1/2.
pub(super) fn window(rise: impl Fn(f64) -> f64) -> Vec<f32> {
    (0..2 * HOP).map(|n| rise((n.min(2 * HOP - 1 - n) as f64 + 0.5) / (2 * HOP) as f64) as f32).collect()
}

/// Kaiser-Bessel derived window of AAC: ISO/IEC 14496-3, 4.6.11.3.2, alpha 4.
pub(super) fn kaiser_bessel() -> Vec<f32> {
    let bessel = |x: f64| {
        let terms = (1..60).scan(1.0, |term, k| {
            *term *= (x / 2.0 / f64::from(k)).powi(2);
            Some(*term)
        });
        1.0 + terms.sum::<f64>()
    };
    let kaiser =
        |n: usize| bessel(4.0 * std::f64::consts::PI * (1.0 - (2.0 * n as f64 / HOP as f64 - 1.0).powi(2)).sqrt());
    let sums: Vec<f64> =
        (0..=HOP).scan(0.0, |sum, n| Some(std::mem::replace(sum, *sum + kaiser(n)) + kaiser(n))).collect();
    window(|t| (sums[(t * (2 * HOP) as f64) as usize] / sums[HOP]).sqrt())
}
