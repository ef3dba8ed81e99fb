//! The ear model: what a frame of one channel excites, after ITU-R BS.1387-2, Annex 2, 2.1 (basic version, FFT based).
//!
//! Hann window, spectrum, outer ear, bands, noise of the ear, spreading over frequency with slopes that depend on the level, spreading over
//! time. Full scale stands for 92 dB SPL. Formulae from P. Kabal, *An Examination and Interpretation of ITU-R BS.1387*, 2002, which gives
//! the spreading as recursions.

use std::f64::consts::{LN_10, PI};
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::bands::{BANDS, BARK_PER_BAND, BINS, BandTable, Bands, FRAME, RATE_HZ, outer_ear};

/// Level of a full-scale sine, in dB SPL.
const FULL_SCALE_DB: f64 = 92.0;
/// Frequency of the sine that this level is set with.
const CALIBRATION_HZ: f64 = 1019.5;
/// What the energies of neighbours are raised to when they add up.
const ADDITION: f64 = 0.4;
/// Largest ratio of one band to the next above it. It would reach 1 at 120 dB SPL, 28 dB over full scale, where spreading has no end.
const STEEPEST: f64 = 0.999;

/// Fixed tables, and room to work in.
pub(super) struct Ear {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    outer: Vec<f32>,
    pub table: BandTable,
    /// `ln` of the upper slope of each band at 0 dB SPL.
    upper: Bands,
    /// Sum of the lower slope of each band.
    lower_sum: Bands,
    /// What spreading gives for energies of 1.
    flat: Bands,
    time: Bands,
    windowed: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    difference: Vec<f32>,
}

/// What a frame gives, and what the next one has to know of it. One for each channel of each signal.
pub(super) struct Sensation {
    /// Energy of each bin; 92 dB for a full-scale sine.
    pub power: Vec<f32>,
    /// Amplitude of each bin behind the outer ear.
    heard: Vec<f32>,
    /// Excitation of the bands, before it lasts.
    pub excitation: Bands,
    /// Excitation, with what is left of the frames before.
    pub lasting: Bands,
    smoothed: Bands,
}

impl Sensation {
    pub fn new() -> Self {
        Self {
            power: vec![0.0; BINS],
            heard: vec![0.0; BINS],
            excitation: [0.0; BANDS],
            lasting: [0.0; BANDS],
            smoothed: [0.0; BANDS],
        }
    }
}

/// Gain of the window, for samples of +/-1.
fn window_gain() -> f64 {
    let window = (FRAME - 1) as f64;
    // The sine lies between two bins: what the Hann window leaves of its peak in the nearer one.
    let bins = CALIBRATION_HZ / RATE_HZ * FRAME as f64;
    let off = (bins - bins.floor()).min(bins.ceil() - bins) / FRAME as f64 * window;
    let peak = (PI * off).sin() / (PI * off * (1.0 - off * off));
    // Full scale is 32767 there, of samples that are scaled by 32768.
    10f64.powf(FULL_SCALE_DB / 20.0) / (0.25 * peak * window) * (32_768.0 / 32_767.0)
}

impl Ear {
    pub fn new() -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(FRAME);
        let gain = window_gain();
        let window = (0..FRAME)
            .map(|i| (gain * 0.5 * (1.0 - (2.0 * PI * i as f64 / (FRAME - 1) as f64).cos())) as f32)
            .collect();
        let table = BandTable::new();
        let lower = lower_slope();
        let mut ear = Self {
            windowed: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
            window,
            outer: outer_ear(),
            upper: table.centre_hz.map(|hz| LN_10 * BARK_PER_BAND * (-2.4 - 23.0 / hz)),
            lower_sum: std::array::from_fn(|m| (1.0 - lower.powi(m as i32 + 1)) / (1.0 - lower)),
            flat: [1.0; BANDS],
            time: table.smoothing(0.008, 0.030),
            table,
            difference: vec![0.0; BINS],
        };
        ear.flat = ear.spread(&[1.0; BANDS]);
        ear
    }

    /// Energy of the bins of a frame.
    pub fn transform(&mut self, frame: &[f32], to: &mut Sensation) {
        for ((to, x), w) in self.windowed.iter_mut().zip(frame).zip(&self.window) {
            *to = x * w;
        }
        let done = self.fft.process_with_scratch(&mut self.windowed, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok(), "the buffers are those of the plan");
        for (p, x) in to.power.iter_mut().zip(&self.spectrum) {
            *p = x.re * x.re + x.im * x.im;
        }
    }

    /// Excitation by the spectrum of [`Ear::transform`].
    pub fn excite(&self, to: &mut Sensation) {
        for ((heard, power), outer) in to.heard.iter_mut().zip(&to.power).zip(&self.outer) {
            *heard = power * outer;
        }
        let mut energy = self.table.group(&to.heard);
        to.heard.iter_mut().for_each(|x| *x = x.sqrt());
        energy.iter_mut().zip(&self.table.internal_noise).for_each(|(e, noise)| *e += noise);
        to.excitation = self.spread(&energy);
        for m in 0..BANDS {
            to.smoothed[m] = self.time[m] * to.smoothed[m] + (1.0 - self.time[m]) * to.excitation[m];
            to.lasting[m] = to.smoothed[m].max(to.excitation[m]);
        }
    }

    /// Energy, in the bands, of the difference of two spectra that were [excited](Ear::excite): that of their amplitudes.
    pub fn noise(&mut self, reference: &Sensation, degraded: &Sensation) -> Bands {
        for ((to, a), b) in self.difference.iter_mut().zip(&reference.heard).zip(&degraded.heard) {
            *to = (a - b) * (a - b);
        }
        self.table.group(&self.difference)
    }

    /// Spreads energy to the bands around: down by 27 dB per Bark, up by a slope that is less steep for low bands and high levels.
    fn spread(&self, energy: &Bands) -> Bands {
        let lower = lower_slope().powf(ADDITION);
        let (mut own, mut slope) = ([0.0; BANDS], [0.0; BANDS]);
        for (m, energy) in energy.iter().enumerate() {
            let upper = (self.upper[m] + 0.2 * BARK_PER_BAND * energy.ln()).min(STEEPEST.ln());
            let up = upper.exp();
            let upper_sum = (1.0 - (upper * (BANDS - m) as f64).exp()) / (1.0 - up);
            // So much stays, that the sum over all bands is the energy.
            own[m] = (energy / (self.lower_sum[m] + upper_sum - 1.0)).powf(ADDITION);
            slope[m] = (ADDITION * upper).exp();
        }
        let mut sum = own;
        for m in (0..BANDS - 1).rev() {
            sum[m] += lower * sum[m + 1];
        }
        // All bands at once, one band further up each time.
        for distance in 1..BANDS {
            let (reached, own) = (&mut sum[distance..], &mut own[..BANDS - distance]);
            for ((to, from), slope) in reached.iter_mut().zip(own).zip(&slope) {
                *from *= slope;
                *to += *from;
            }
        }
        // 1 / ADDITION is 2.5.
        std::array::from_fn(|m| sum[m] * sum[m] * sum[m].sqrt() / self.flat[m])
    }
}

/// Ratio of one band to the next below it.
fn lower_slope() -> f64 {
    10f64.powf(-2.7 * BARK_PER_BAND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f64, amplitude: f64) -> Vec<f32> {
        (0..FRAME).map(|i| (amplitude * (2.0 * PI * hz * i as f64 / RATE_HZ).sin()) as f32).collect()
    }

    #[test]
    fn a_full_scale_sine_has_92_db() {
        let (mut ear, mut s) = (Ear::new(), Sensation::new());
        ear.transform(&sine(CALIBRATION_HZ, 1.0), &mut s);
        let peak = s.power.iter().copied().fold(0.0, f32::max);
        // 16 bits have 32767 for 32768; the other side of the spectrum adds a little.
        assert!((10.0 * f64::from(peak).log10() - 92.0).abs() < 0.01, "{}", 10.0 * peak.log10());
    }

    /// The spreading as the standard writes it: a sum over all pairs of bands.
    fn spread_plainly(ear: &Ear, energy: &Bands) -> Bands {
        let sum = |energy: &Bands| -> Bands {
            std::array::from_fn(|k| {
                let mut total = 0.0;
                for (j, e) in energy.iter().enumerate() {
                    let level_db = 10.0 * e.log10();
                    let slope = |to: usize| {
                        let barks = BARK_PER_BAND * (to as f64 - j as f64);
                        let upper_db = -24.0 - 230.0 / ear.table.centre_hz[j] + 0.2 * level_db;
                        10f64.powf(0.1 * if to < j { 27.0 * barks } else { upper_db * barks })
                    };
                    let all: f64 = (0..BANDS).map(slope).sum();
                    total += (e * slope(k) / all).powf(0.4);
                }
                total.powf(2.5)
            })
        };
        let (flat, spread) = (sum(&[1.0; BANDS]), sum(energy));
        std::array::from_fn(|k| spread[k] / flat[k])
    }

    #[test]
    fn spreading_is_the_sum_over_all_pairs() {
        let ear = Ear::new();
        let energy: Bands = std::array::from_fn(|m| 10f64.powf(4.0 + 4.0 * (m as f64 * 1.7).sin()));
        for (m, (got, want)) in ear.spread(&energy).iter().zip(spread_plainly(&ear, &energy)).enumerate() {
            assert!((got / want - 1.0).abs() < 1e-9, "band {m}: {got} for {want}");
        }
        assert!(ear.spread(&[1.0; BANDS]).iter().all(|e| (e - 1.0).abs() < 1e-12));
    }

    #[test]
    fn any_level_gives_numbers() {
        let mut ear = Ear::new();
        for amplitude in [0.0, 1e-20, 1.0, 8.0, 25.118_864, 1e6] {
            let mut s = Sensation::new();
            ear.transform(&sine(440.0, amplitude), &mut s);
            ear.excite(&mut s);
            assert!(s.lasting.iter().all(|e| e.is_finite() && *e > 0.0), "{amplitude}");
        }
    }

    #[test]
    fn excitation_lasts_and_fades() {
        let (mut ear, mut s) = (Ear::new(), Sensation::new());
        let mut course = Vec::new();
        for frame in 0..6 {
            ear.transform(&sine(300.0, if frame < 3 { 0.1 } else { 0.0 }), &mut s);
            ear.excite(&mut s);
            course.push(s.lasting[9]);
        }
        let coefficient = (-1.0 / (46.875 * (0.008 + 100.0 / ear.table.centre_hz[9] * 0.022))).exp();
        assert!((course[5] / course[4] / coefficient - 1.0).abs() < 0.01, "{course:?}");
    }
}
