//! Lowers plosives: the bursts of wind that p and b blow into a microphone.
//!
//! A burst is low sound that is much stronger than both what is usual there and what is above it. Where that is so, the low
//! bins of the short-time spectrum come down to what is allowed, with a slope above the cut-off. Voices have their
//! fundamental there too, but their harmonics with it.

use realfft::num_complex::Complex;

use super::params::{FilterParams, filter_params};
use super::stft::Stft;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Lowers plosives, the low bursts of p and b close to a microphone.
    pub struct DeplosiveParams for "deplosive" in Restoration, realtime true {
        /// Where the low band ends.
        cutoff_hz: f64 = 120.0, 60.0 to 300.0 "Hz";
        /// How far the low band may stand out, over its usual level and over the band above.
        threshold_db: f64 = 6.0, 0.0 to 30.0 "dB";
        /// Most reduction; 0 changes nothing.
        reduction_db: f64 = 24.0, 0.0 to 60.0 "dB";
    }
}

/// Power of a band under which nothing is done, relative to a full-scale sine: -70 dB.
const QUIET: f32 = 1e-7;

/// See [`DeplosiveParams`]. Latency is one window of about 43 ms. NaN and infinity are taken as silence.
pub struct Deplosive {
    params: DeplosiveParams,
    rate_hz: f64,
    stft: Option<Stft>,
    work: Work,
}

#[derive(Default)]
struct Work {
    /// Usual power of the low band of each channel.
    usual: Vec<f32>,
    /// First bin above the low band, and above the band it is compared with.
    low_end: usize,
    high_end: usize,
    /// Share of the gain's logarithm that each bin gets: 1 in the low band, then falling to 0 within an octave.
    slope: Vec<f32>,
    threshold: f32,
    least: f32,
    keep: f32,
    quiet: f32,
}

impl Deplosive {
    /// A reduction of `params`.
    pub fn new(params: &DeplosiveParams) -> Self {
        Self { params: params.clone(), rate_hz: 0.0, stft: None, work: Work::default() }
    }

    fn update(&mut self) {
        let Some(stft) = &self.stft else { return };
        let bin_hz = self.rate_hz / stft.size() as f64;
        let cut = self.params.cutoff_hz / bin_hz;
        self.work.low_end = (cut.ceil() as usize).clamp(2, stft.bins());
        self.work.high_end = ((3_000.0 / bin_hz) as usize).clamp(self.work.low_end, stft.bins());
        for (k, share) in self.work.slope.iter_mut().enumerate() {
            *share = (2.0 - k as f64 / cut).clamp(0.0, 1.0) as f32;
        }
        self.work.threshold = 10f64.powf(self.params.threshold_db / 10.0) as f32;
        self.work.least = 10f64.powf(-self.params.reduction_db / 20.0) as f32;
    }
}

impl Filter for Deplosive {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        let size = Stft::window_frames(self.rate_hz, 43.5);
        let stft = Stft::new(spec.channels(), size, 4);
        self.work = Work {
            usual: vec![0.0; spec.channels()],
            slope: vec![0.0; stft.bins()],
            // The usual level has a time constant of 1 s.
            keep: (-(stft.hop() as f64) / self.rate_hz).exp() as f32,
            quiet: QUIET * (size * size) as f32 / 16.0,
            ..Work::default()
        };
        self.stft = Some(stft);
        self.update();
        Ok(Prepared { spec, max_frames, latency_frames: size, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let (Some(stft), work) = (&mut self.stft, &mut self.work) else { return };
        stft.process(block, |index, spectrum| work.frame(index, spectrum));
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set {
            self.update();
        }
        set
    }

    fn reset(&mut self) {
        if let Some(stft) = &mut self.stft {
            stft.reset();
        }
        self.work.usual.fill(0.0);
    }
}

impl Work {
    fn frame(&mut self, index: usize, spectrum: &mut [Complex<f32>]) {
        let power = |part: &[Complex<f32>]| part.iter().map(|z| z.re * z.re + z.im * z.im).sum::<f32>();
        let low = power(&spectrum[..self.low_end]);
        let above = power(&spectrum[self.low_end..self.high_end]);
        let usual = self.usual[index];
        let allowed = self.threshold * if above > usual { above } else { usual };
        let gain = if low > allowed && low > self.quiet { (allowed / low).sqrt().max(self.least) } else { 1.0 };
        // What was taken away does not count as usual.
        let kept = low * gain * gain;
        let next = kept + self.keep * (usual - kept);
        self.usual[index] = if next > 1e-20 { next } else { 0.0 };
        if gain < 1.0 {
            for (z, share) in spectrum.iter_mut().zip(&self.slope) {
                // A straight line of gain over frequency.
                *z = z.scale(1.0 + share * (gain - 1.0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::filters::declick::tests::{RATE, music, ratio_db, run};

    #[test]
    fn bursts_go_down_and_the_rest_stays() {
        let clean = music();
        let mut x = clean.clone();
        for at in (20_000..clean.len() - 4_000).step_by(30_000) {
            // 60 ms of wind at 40 Hz.
            for n in 0..2_646 {
                let t = n as f32 / RATE as f32;
                x[at + n] += 0.6 * (std::f32::consts::PI * t / 0.06).sin() * (std::f32::consts::TAU * 40.0 * t).sin();
            }
        }
        let (before, after) = (ratio_db(&clean, &x), ratio_db(&clean, &run("deplosive", &x)));
        // Stated bound: 5 dB.
        assert!(after > before + 5.0, "{before:.1} {after:.1}");
        // Chords from 220 Hz on: nothing stands out.
        let rest = ratio_db(&clean, &run("deplosive", &clean));
        assert!(rest > 60.0, "{rest:.1}");
        // Two transforms in f32: about -130 dB.
        assert!(x.iter().zip(&run("deplosive:reduction_db=0", &x)).all(|(a, b)| (a - b).abs() < 2e-6));
    }
}
