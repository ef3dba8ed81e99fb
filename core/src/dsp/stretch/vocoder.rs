//! Stretch of music: a phase vocoder that locks the phases of each spectral peak to what was synthesised before.
//!
//! Identity phase locking (J. Laroche, M. Dolson, "Improved phase vocoder time-scale modification of audio", IEEE TSAP
//! 7(3), 1999): all bins between two minima around a peak are turned by one angle. That angle is not made from
//! instantaneous frequencies but is the one that fits best (least squares over the bins of the region and all channels,
//! as in G. Beauregard, X. Zhu, L. Wyse, "An efficient algorithm for real-time spectrogram inversion", DAFx 2005) onto
//! the output so far, where it overlaps the new window. So nothing is unwrapped, errors do not add up, no angle is ever
//! computed, and the image between the channels stays as it is.
//!
//! Before that the window moves by up to [`REACH_MS`] to where the input is most like the output so far, as WSOLA does:
//! the less the phases must be turned, the more the shape of the waveform survives. Near attacks it stays, and regions
//! that are new take the phases of the input (A. Robel, "A new approach to transient processing in the phase vocoder",
//! DAFx 2003).

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::envelope::Envelope;
use super::similar::Search;
use super::source::Source;

/// See the module's documentation.
pub struct Vocoder {
    size: usize,
    hop: usize,
    window: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    scratch: Vec<Complex<f32>>,
    time: Vec<f32>,
    power: Vec<f32>,
    channels: Vec<Channel>,
    /// First bin of each region.
    regions: Vec<usize>,
    search: Search,
    /// Moves the envelope of the spectrum.
    envelope: Option<Envelope>,
}

struct Channel {
    /// Spectrum of the new window; becomes that of what is synthesised.
    now: Vec<Complex<f32>>,
    /// Spectrum of the output so far.
    past: Vec<Complex<f32>>,
    /// Output so far from the start of the new window on: the sum of the windows before.
    sum: Vec<f32>,
}

impl Vocoder {
    /// A vocoder for a signal of `rate_hz`. With `formants`, the envelope of the spectrum at each frequency `f` becomes what
    /// it was at `formants * f`.
    pub fn new(rate_hz: f64, channels: usize, formants: Option<f64>) -> Self {
        let exponent = (WINDOW_S * rate_hz).log2().round().max(7.0);
        let size = 1usize << exponent as u32;
        let hop = size / OVERLAP;
        let mut planner = RealFftPlanner::<f32>::new();
        let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let window = (0..size).map(|n| (std::f64::consts::PI * n as f64 / size as f64).sin().powi(2) as f32).collect();
        let bins = size / 2 + 1;
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        let channel = || Channel {
            now: vec![Complex::default(); bins],
            past: vec![Complex::default(); bins],
            sum: vec![0.0; size],
        };
        Self {
            size,
            hop,
            window,
            forward,
            inverse,
            scratch: vec![Complex::default(); scratch],
            time: vec![0.0; size],
            power: vec![0.0; bins],
            channels: (0..channels).map(|_| channel()).collect(),
            regions: Vec::with_capacity(bins),
            search: Search::new(rate_hz, REACH_MS),
            envelope: formants.map(|ratio| Envelope::new(size, rate_hz, ratio)),
        }
    }

    /// Frames that each step gives.
    pub fn hop(&self) -> usize {
        self.hop
    }

    /// Frames of a window.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Frames on each side of the centre that [`Vocoder::step`] may read.
    pub fn needs(&self) -> usize {
        self.size / 2 + self.search.reach() + self.search.margin()
    }

    /// Synthesises the window around the input's `center` and appends the hop that is complete then to `output`: that
    /// which begins `size / 2` before the centre's place in the output. Near an `attack` the centre is exact and what is
    /// new keeps its phases.
    pub fn step(&mut self, source: &Source, center: i64, attack: bool, output: &mut [Vec<f32>]) {
        let half = self.size as i64 / 2;
        let mut start = center - half;
        if !attack {
            // The middle of what overlaps; its ends are faded.
            let part = self.size / 8..self.size - self.hop;
            let (channels, first) = (&self.channels, part.start as i64);
            start = self.search.find(source, start + first, |c| &channels[c].sum[part.clone()]) - first;
        }
        self.power.fill(0.0);
        for (index, channel) in self.channels.iter_mut().enumerate() {
            let mut transform = |samples: &[f32], spectrum: &mut [Complex<f32>]| {
                self.time.fill(0.0);
                for ((t, x), w) in self.time.iter_mut().zip(samples).zip(&self.window) {
                    *t = x * w;
                }
                // The lengths were made for each other, so this cannot fail; if it did, the window would be silent.
                if self.forward.process_with_scratch(&mut self.time, spectrum, &mut self.scratch).is_err() {
                    spectrum.fill(Complex::default());
                }
            };
            transform(&channel.sum, &mut channel.past);
            transform(source.window(index, start, self.size), &mut channel.now);
            for (p, z) in self.power.iter_mut().zip(&channel.now) {
                *p += z.norm_sqr();
            }
        }
        self.find_regions();
        let gains = self.envelope.as_mut().map(|envelope| envelope.gains(&self.power));
        if let Some(gains) = gains {
            // What was synthesised has the gains, the new window not yet. A slope of them over a peak would turn it, as
            // the two windows do not have the same middle.
            for c in &mut self.channels {
                c.past.iter_mut().zip(gains).for_each(|(z, g)| *z /= *g);
            }
        }
        turn(&mut self.channels, &self.regions, attack);
        if let Some(gains) = gains {
            for c in &mut self.channels {
                c.now.iter_mut().zip(gains).for_each(|(z, g)| *z *= *g);
            }
        }
        self.synthesise(output);
    }

    /// Borders at the minima of the power between its peaks; a peak exceeds two bins on each side.
    fn find_regions(&mut self) {
        let p = &self.power;
        self.regions.clear();
        self.regions.push(0);
        let mut last: Option<usize> = None;
        let mut k = 2;
        while k + 2 < p.len() {
            let top = p[k];
            if top > p[k - 1] && top > p[k - 2] && top >= p[k + 1] && top >= p[k + 2] {
                if let Some(last) = last {
                    let mut border = last + 1;
                    for j in last + 2..k {
                        if p[j] < p[border] {
                            border = j;
                        }
                    }
                    self.regions.push(border);
                }
                last = Some(k);
                k += 2;
            }
            k += 1;
        }
    }

    fn synthesise(&mut self, output: &mut [Vec<f32>]) {
        // Squared Hann windows at a quarter hop sum to 0.375 times their number; the inverse transform is not normalised.
        let scale = 1.0 / (0.375 * OVERLAP as f32 * self.size as f32);
        for (channel, out) in self.channels.iter_mut().zip(output) {
            // The ends of the spectrum are real; the transform checks it.
            let end = channel.now.len() - 1;
            channel.now[0].im = 0.0;
            channel.now[end].im = 0.0;
            if self.inverse.process_with_scratch(&mut channel.now, &mut self.time, &mut self.scratch).is_err() {
                self.time.fill(0.0);
            }
            for ((y, x), w) in channel.sum.iter_mut().zip(&self.time).zip(&self.window) {
                *y += x * w * scale;
            }
            out.extend_from_slice(&channel.sum[..self.hop]);
            channel.sum.copy_within(self.hop.., 0);
            channel.sum[self.size - self.hop..].fill(0.0);
        }
    }
}

/// Turns each region onto the output so far.
fn turn(channels: &mut [Channel], regions: &[usize], attack: bool) {
    let bins = channels.first().map_or(0, |c| c.now.len());
    for (index, &start) in regions.iter().enumerate() {
        let end = regions.get(index + 1).copied().unwrap_or(bins);
        let mut turn = Complex::new(0.0f32, 0.0);
        let (mut new, mut old) = (0.0f32, 0.0f32);
        for c in channels.iter() {
            for (past, now) in c.past[start..end].iter().zip(&c.now[start..end]) {
                turn += past * now.conj();
                new += now.norm_sqr();
                old += past.norm_sqr();
            }
        }
        let length = turn.norm();
        // Silence fits any angle, and what is new at an attack has none yet.
        if length < 1e-30 || (attack && new > RISE * old) {
            continue;
        }
        let turn = turn / length;
        for c in channels.iter_mut() {
            c.now[start..end].iter_mut().for_each(|z| *z *= turn);
        }
    }
}

/// Length of the window, rounded to a power of two in frames. This and what follows were chosen by the spectral
/// convergence of music and speech that is stretched and stretched back (tests/performance/stretch.py).
const WINDOW_S: f64 = 0.0465;
/// Windows that overlap at any time. Eight cost twice as much and convey no more.
const OVERLAP: usize = 4;
/// How far a window may lie from where the tempo would have it.
pub const REACH_MS: f64 = 4.0;
/// Power by which a region must exceed the output so far to count as new at an attack.
const RISE: f32 = 2.0;
