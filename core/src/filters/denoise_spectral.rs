//! Spectral noise reduction: statistical, without a noise profile.
//!
//! Short-time Fourier transform (square-root Hann windows, half overlapping), noise power by speech-presence
//! probability (T. Gerkmann, R. Hendriks, "Unbiased MMSE-Based Noise Power Estimation with Low Complexity and Low
//! Tracking Delay", IEEE TASLP 20(4), 2012), gain by the log-spectral amplitude estimator (Y. Ephraim, D. Malah,
//! IEEE TASSP 33(2), 1985) with decision-directed a-priori SNR, mixed with the floor by the probability of speech
//! (I. Cohen, "Optimal Speech Enhancement Under Signal Presence Uncertainty Using Log-Spectral Amplitude Estimator", IEEE
//! SPL 9(4), 2002). The floor is what keeps the residue from turning into musical noise.
//!
//! Windows that overlap by three quarters cost twice the time; on real speech in real noise
//! (tests/performance/restoration.py) they were better by 0.08 dB only.

use fearless_simd::{Simd, dispatch};
use realfft::num_complex::Complex;

use super::math::{exp2, log2};
use super::params::{FilterParams, filter_params};
use super::stft::Stft;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::kernels;
use crate::error::Result;

filter_params! {
    /// Lowers steady noise (hiss, hum, fans, room tone) and leaves speech and music.
    pub struct DenoiseSpectralParams for "denoise_spectral" in Restoration, realtime true {
        /// Most reduction of noise; 0 changes nothing. Beyond 20 speech loses its breath.
        reduction_db: f64 = 12.0, 0.0 to 60.0 "dB";
        /// Raises or lowers the estimate of the noise before it is used: more takes away more, speech included.
        sensitivity_db: f64 = 0.0, -12.0 to 12.0 "dB";
        /// Time constant by which the estimate of the noise follows its changes.
        adaptation_ms: f64 = 100.0, 20.0 to 5000.0 "ms";
    }
}

/// Power under which a frame is digital silence, relative to a full-scale sine: there is nothing to learn from it.
const SILENCE: f32 = 1e-12;

/// Least a-priori SNR, -25 dB.
const XI_LEAST: f32 = 0.003_162_3;

/// What is known about the noise and the sound of one channel.
pub(super) struct Channel {
    /// Noise power per bin.
    pub(super) noise: Vec<f32>,
    /// Power of the previous frame's result per bin.
    clean: Vec<f32>,
    /// A-priori SNR averaged over time.
    average: Vec<f32>,
    /// Smoothed probability of speech, to notice when the estimate is stuck.
    presence: Vec<f32>,
    started: bool,
}

/// See [`DenoiseSpectralParams`]. Latency is one window of about 43 ms. NaN and infinity are taken as silence.
pub struct DenoiseSpectral {
    params: DenoiseSpectralParams,
    rate_hz: f64,
    stft: Option<Stft>,
    work: Work,
}

/// The estimators and their room. `denoise_profile` uses them too, with noise that it knows.
#[derive(Default)]
pub(super) struct Work {
    pub(super) channels: Vec<Channel>,
    constants: Constants,
    /// Power of a frame under which there is nothing to learn.
    silence: f32,
    pub(super) power: Vec<f32>,
    snr: Vec<f32>,
    /// Scratch of [`prior`].
    sums: Vec<f32>,
    gain: Vec<f32>,
}

/// Constants of the estimators for a rate.
#[derive(Debug, Clone, Copy, Default)]
struct Constants {
    noise_keep: f32,
    presence_keep: f32,
    decision: f32,
    average_keep: f32,
    floor_octaves: f32,
    sensitivity: f32,
}

impl DenoiseSpectral {
    /// A noise reduction of `params`.
    pub fn new(params: &DenoiseSpectralParams) -> Self {
        Self { params: params.clone(), rate_hz: 0.0, stft: None, work: Work::default() }
    }

    fn update(&mut self) {
        if let Some(stft) = &self.stft {
            let p = &self.params;
            self.work.set(stft, self.rate_hz, [p.reduction_db, p.sensitivity_db, p.adaptation_ms]);
        }
    }
}

impl Filter for DenoiseSpectral {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        let size = Stft::window_frames(self.rate_hz, 43.5);
        let stft = Stft::new(spec.channels(), size, 2);
        self.work = Work::new(spec.channels(), &stft);
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
        self.work.reset();
    }
}

impl Work {
    /// For the spectra of `stft`. Allocates.
    pub(super) fn new(channels: usize, stft: &Stft) -> Self {
        let (bins, size) = (stft.bins(), stft.size());
        let channel = || Channel {
            noise: vec![0.0; bins],
            clean: vec![0.0; bins],
            average: vec![0.0; bins],
            presence: vec![0.0; bins],
            started: false,
        };
        Self {
            channels: (0..channels).map(|_| channel()).collect(),
            constants: Constants::default(),
            silence: SILENCE * (size * size) as f32 / 16.0,
            power: vec![0.0; bins],
            snr: vec![0.0; bins],
            sums: vec![0.0; bins + 2 * WIDE],
            gain: vec![0.0; bins],
        }
    }

    /// Sets reduction in dB, sensitivity in dB and adaptation in ms. Real-time safe.
    pub(super) fn set(&mut self, stft: &Stft, rate_hz: f64, settings: [f64; 3]) {
        let [reduction_db, sensitivity_db, adaptation_ms] = settings;
        let hop_ms = stft.hop() as f64 * 1_000.0 / rate_hz;
        let keep = |time_ms: f64| (-hop_ms / time_ms).exp() as f32;
        self.constants = Constants {
            noise_keep: keep(adaptation_ms),
            presence_keep: keep(150.0),
            // 0.98 per 8 ms (Ephraim and Malah) would be 396 ms; half of it follows speech better, at no cost in noise that
            // is not steady.
            decision: keep(200.0),
            // 0.7 per 8 ms (Cohen 2002).
            average_keep: keep(22.4),
            floor_octaves: (-reduction_db / 20.0 * 10f64.log2()) as f32,
            sensitivity: 10f64.powf(sensitivity_db / 10.0) as f32,
        };
    }

    /// Forgets the signal and the noise.
    pub(super) fn reset(&mut self) {
        for c in &mut self.channels {
            for v in [&mut c.noise, &mut c.clean, &mut c.average, &mut c.presence] {
                v.fill(0.0);
            }
            c.started = false;
        }
    }

    /// Least noise of a bin, so that nothing is divided by 0.
    pub(super) fn least(&self) -> f32 {
        self.silence * 1e-3
    }

    /// Powers of a spectrum into `power`; false when it is digital silence.
    pub(super) fn measure(&mut self, spectrum: &[Complex<f32>]) -> bool {
        for (p, z) in self.power.iter_mut().zip(spectrum) {
            *p = z.re * z.re + z.im * z.im;
        }
        self.power.iter().fold(0.0f32, |m, p| if *p > m { *p } else { m }) > self.silence
    }

    /// One window of one channel.
    fn frame(&mut self, index: usize, spectrum: &mut [Complex<f32>]) {
        if !self.measure(spectrum) {
            return;
        }
        let (least, c) = (self.least(), self.constants);
        let channel = &mut self.channels[index];
        if !channel.started {
            channel.started = true;
            channel.noise.copy_from_slice(&self.power);
        }
        dispatch!(kernels::level(), simd => track_noise(simd, &self.power, channel, least, c));
        self.reduce(index, spectrum);
    }

    /// Lowers the noise of a spectrum that was measured, by what is known about the noise of its channel.
    pub(super) fn reduce(&mut self, index: usize, spectrum: &mut [Complex<f32>]) {
        let (channel, c) = (&mut self.channels[index], self.constants);
        dispatch!(kernels::level(), simd => a_priori(simd, &self.power, channel, c, &mut self.snr));
        dispatch!(kernels::level(), simd => prior(simd, &channel.average, &mut self.sums, &mut self.gain));
        dispatch!(kernels::level(), simd => gains(simd, &self.power, &self.snr, channel, c, &mut self.gain));
        for (z, g) in spectrum.iter_mut().zip(&self.gain) {
            *z = z.scale(*g);
        }
    }
}

/// Noise power by the probability of speech presence (Gerkmann and Hendriks 2012, equations 18 to 25).
/// Plain loops, compiled for each instruction set, as those below: the same bits on each.
#[inline(always)]
fn track_noise<S: Simd>(_: S, power: &[f32], channel: &mut Channel, least: f32, c: Constants) {
    // A-priori SNR of speech when present: 15 dB.
    const XI: f32 = 31.622_776;
    const EXPONENT: f32 = XI / (1.0 + XI) * std::f32::consts::LOG2_E;
    for ((p, noise), presence) in power.iter().zip(&mut channel.noise).zip(&mut channel.presence) {
        let gamma = (p / *noise).min(200.0);
        let probability = 1.0 / (1.0 + (1.0 + XI) * exp2(-EXPONENT * gamma));
        *presence = probability + c.presence_keep * (*presence - probability);
        let probability = if *presence > 0.99 { probability.min(0.99) } else { probability };
        let expected = probability * *noise + (1.0 - probability) * p;
        let next = expected + c.noise_keep * (*noise - expected);
        *noise = if next > least { next } else { least };
    }
}

/// A-priori SNR per bin, decision-directed (Ephraim and Malah 1985), and its average over time.
#[inline(always)]
fn a_priori<S: Simd>(_: S, power: &[f32], channel: &mut Channel, c: Constants, snr: &mut [f32]) {
    let bins = power.iter().zip(&channel.noise).zip(&channel.clean).zip(&mut channel.average);
    for ((((p, noise), clean), average), xi) in bins.zip(snr) {
        let per_noise = 1.0 / (noise * c.sensitivity);
        let gamma = p * per_noise;
        let instant = if gamma > 1.0 { gamma - 1.0 } else { 0.0 };
        let x = instant + c.decision * (clean * per_noise - instant);
        let x = if x > XI_LEAST { x } else { XI_LEAST };
        *xi = if x < 1e4 { x } else { 1e4 };
        *average = *xi + c.average_keep * (*average - *xi);
    }
}

/// How far an averaged a-priori SNR speaks for speech: 0 under -7 dB, 1 above -2 dB (Cohen 2002, equation 27, with a
/// straight course instead of a logarithm; 3 dB higher, as noise that is not steady reaches his -10 dB).
#[inline(always)]
fn vote(average: f32) -> f32 {
    let v = (average - 0.2) * (1.0 / 0.4);
    let v = if v > 0.0 { v } else { 0.0 };
    if v < 1.0 { v } else { 1.0 }
}

/// Bins on each side of the wide neighbourhood.
const WIDE: usize = 15;

/// Probability of speech before the bin itself is looked at: its neighbourhood of 3 bins and of 31 must both speak for it.
///
/// `sums` is scratch of `average.len() + 2 * WIDE` values. The sum over 31 bins is built from sums over 1, 2, 4, 8 and 16,
/// because a running sum is one long chain of additions.
#[inline(always)]
fn prior<S: Simd>(_: S, average: &[f32], sums: &mut [f32], prior: &mut [f32]) {
    let bins = average.len();
    sums[..WIDE].fill(0.0);
    sums[WIDE..WIDE + bins].copy_from_slice(average);
    sums[WIDE + bins..].fill(0.0);
    prior.fill(0.0);
    let mut offset = 0;
    for size in [1, 2, 4, 8, 16] {
        for (p, s) in prior.iter_mut().zip(&sums[offset..]) {
            *p += s;
        }
        offset += size;
        // In place: each value needs later ones only, which are still those of the last round.
        for k in 0..sums.len() - size {
            sums[k] += sums[k + size];
        }
    }
    let edge = |k: usize| (k + WIDE).min(bins - 1) - k.saturating_sub(WIDE) + 1;
    for k in (0..WIDE.min(bins)).chain(bins.saturating_sub(WIDE).max(WIDE)..bins) {
        prior[k] *= (2 * WIDE + 1) as f32 / edge(k) as f32;
    }
    for p in prior.iter_mut() {
        *p = vote(*p * (1.0 / (2 * WIDE + 1) as f32));
    }
    let inner = average.iter().zip(&average[1..]).zip(&average[2..]);
    for (((left, here), right), p) in inner.zip(&mut prior[1..]) {
        *p *= vote((left + here + right) * (1.0 / 3.0));
    }
    prior[0] *= vote(average[0]);
    prior[bins - 1] *= vote(average[bins - 1]);
}

/// Gain per bin from the SNR and the prior probability of speech, which lies in `gain` at first.
#[inline(always)]
fn gains<S: Simd>(_: S, power: &[f32], snr: &[f32], channel: &mut Channel, c: Constants, gain: &mut [f32]) {
    let bins = power.iter().zip(snr).zip(&channel.noise).zip(&mut channel.clean);
    for ((((p, xi), noise), clean), g) in bins.zip(gain) {
        let gamma = p / (noise * c.sensitivity);
        let gamma = if gamma > 1e-3 { gamma } else { 1e-3 };
        let gamma = if gamma < 1e4 { gamma } else { 1e4 };
        let wiener = xi / (1.0 + xi);
        let v = wiener * gamma;
        // v exp(E1(v)) within 0.08 % (a rational function fitted over v of 1e-4 to 100; 0.003 dB of gain).
        let h = (2.680_945_4 + v * (4.022_697 + v * (2.337_783 + v))) / (4.778_743_4 + v * (2.290_143_2 + v));
        // (wiener * exp(E1(v) / 2))^2
        let squared = wiener * h / gamma;
        *clean = squared * p;
        // Never quite sure of noise, so that a first sound gets through.
        let speech = if *g > 0.05 { *g } else { 0.05 };
        let odds = (1.0 - speech) / speech * (1.0 + xi) * exp2(-v * std::f32::consts::LOG2_E);
        let probability = 1.0 / (1.0 + odds);
        let octaves = c.floor_octaves + probability * (0.5 * log2(squared) - c.floor_octaves);
        let octaves = if octaves > c.floor_octaves { octaves } else { c.floor_octaves };
        *g = exp2(if octaves < 0.0 { octaves } else { 0.0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    const RATE: u32 = 16_000;

    fn noise(count: usize, level: f32) -> Vec<f32> {
        let mut seed = 5u32;
        (0..count)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                level * ((seed >> 8) as f32 / 8_388_608.0 - 1.0)
            })
            .collect()
    }

    /// Syllables of a buzzing voice, 150 ms each with pauses as long.
    fn voice(count: usize) -> Vec<f32> {
        (0..count)
            .map(|n| {
                let t = n as f32 / RATE as f32;
                let on = (std::f32::consts::TAU * t / 0.3).sin().max(0.0);
                let pitch = 130.0 + 25.0 * (t * 5.0).sin();
                (1..25).map(|k| (std::f32::consts::TAU * pitch * k as f32 * t).sin() / k as f32).sum::<f32>() * 0.1 * on
            })
            .collect()
    }

    fn run(params: &DenoiseSpectralParams, x: &[f32]) -> Vec<f32> {
        let spec = Spec::new(RATE, ChannelLayout::MONO);
        let mut f = DenoiseSpectral::new(params);
        let mut block = Buffer::from_channels(spec, &[x.to_vec()]);
        let latency = f.prepare(spec, x.len() + 4_096).unwrap().latency_frames;
        block.append_silence(latency);
        f.process(&mut block);
        block.channel(0)[latency..].to_vec()
    }

    fn power_db(x: &[f32]) -> f64 {
        10.0 * (x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / x.len() as f64).log10()
    }

    #[test]
    fn steady_noise_falls_by_about_the_reduction() {
        let x = noise(8 * RATE as usize, 0.05);
        for reduction_db in [6.0, 12.0, 18.0] {
            let y = run(&DenoiseSpectralParams { reduction_db, ..Default::default() }, &x);
            let late = 4 * RATE as usize..7 * RATE as usize;
            let fell_db = power_db(&x[late.clone()]) - power_db(&y[late]);
            // Never more than the floor; single bins that look like speech are let through.
            assert!(fell_db < reduction_db + 0.1 && fell_db > 0.6 * reduction_db, "{reduction_db}: {fell_db:.2}");
        }
    }

    #[test]
    fn speech_in_noise_gets_cleaner() {
        let clean = voice(8 * RATE as usize);
        let x: Vec<f32> = clean.iter().zip(noise(clean.len(), 0.06)).map(|(c, n)| c + n).collect();
        let y = run(&DenoiseSpectralParams::default(), &x);
        let error = |v: &[f32]| -> Vec<f32> {
            v.iter().zip(&clean).map(|(a, b)| a - b).collect::<Vec<_>>()[RATE as usize..].to_vec()
        };
        let better_db = power_db(&error(&x)) - power_db(&error(&y));
        assert!(better_db > 4.0, "{better_db:.2} dB");
    }

    #[test]
    fn no_reduction_gives_the_input_back() {
        let x = noise(RATE as usize, 0.5);
        let y = run(&DenoiseSpectralParams { reduction_db: 0.0, ..Default::default() }, &x);
        // Two transforms in f32: about -130 dB.
        assert!(x.iter().zip(&y).all(|(a, b)| (a - b).abs() < 2e-6));
    }

    #[test]
    fn the_gain_function_is_that_of_ephraim_and_malah() {
        // exp(E1(v) / 2) by numeric integration of E1 against the rational function of `gains`.
        for v in [0.001f64, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0] {
            // E1(v) = integral of exp(-v e^s) ds over s > 0, by the trapezoidal rule.
            let step = 1e-3;
            let e1: f64 = (0..20_000)
                .map(|n| (if n == 0 { 0.5 } else { 1.0 }) * (-v * (f64::from(n) * step).exp()).exp() * step)
                .sum();
            let want = v * e1.exp();
            let got = (2.680_945_4 + v * (4.022_697 + v * (2.337_783 + v))) / (4.778_743_4 + v * (2.290_143_2 + v));
            assert!((got / want - 1.0).abs() < 1e-3, "{v}: {got} {want}");
        }
    }
}
