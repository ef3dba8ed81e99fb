//! Mains hum: 50 or 60 Hz and harmonics that stand still.
//!
//! Sound is taken down to about 2 kHz and looked at in windows of 1 s. In a stretch of about 8 s the windows are added in phase at the
//! exact frequency of each harmonic, each weighted by the inverse of the power that lies beside the harmonic in it: that is the maximum
//! likelihood estimate of a line in noise of changing level (S. Kay, *Fundamentals of Statistical Signal Processing: Estimation Theory*,
//! section 4.5), so that the soft moments between the notes decide. A note does not stay in phase, nor at its level; what is left of it is
//! refused by comparing the quarters of the stretch (compare M. Brandt, J. Bitzer, "Automatic detection of hum in audio signals", JAES 62(9),
//! 2014). All harmonics share one base, which may be off by 0.15 Hz.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::spectrum::hann;
use super::verdict::{Severity, Verdict, VerdictName};
use crate::audio::Buffer;
use crate::meter::level::power_db;

const BASES: [f64; 2] = [50.0, 60.0];
const HARMONICS: usize = 8;
/// Offsets of the base that windows are correlated at, in Hz, and the finer ones around each by turning their phases.
const OFFSETS_HZ: [f64; 3] = [-0.1, 0.0, 0.1];
const FINE_HZ: [f64; 11] = [-0.05, -0.04, -0.03, -0.02, -0.01, 0.0, 0.01, 0.02, 0.03, 0.04, 0.05];
/// Windows of a stretch, with half a window between them, and the fewest that are judged.
const STRETCH: usize = 16;
const FEWEST: usize = 6;
/// Power of the line over what noise would leave, from which a harmonic counts: 1 is the mean of noise, distributed exponentially.
const LINE: f64 = 16.0;
/// One harmonic alone must be one of the first two and stand out so far.
const ALONE: f64 = 150.0;
/// The same for a quarter of a stretch that confirms the line.
const CONFIRMS: f64 = 4.0;
/// Quarters that must confirm; none may contradict.
const QUARTERS: usize = 2;
/// Distance of a quarter from the whole, as a share of its power, and what noise explains, in variances.
const APART: f64 = 0.25;
const APART_NOISE: f64 = 6.0;
/// Share of the power of a line that is taken as noise, so that no single window, such as one of silence, decides.
const UNSURE: f64 = 0.01;
/// Share of the stretches with hum.
const STEADY: f64 = 0.5;
/// Hum below is not heard.
const FLOOR_DBFS: f64 = -85.0;
const ERROR_DBFS: f64 = -40.0;

/// Low-pass and decimation of one channel.
struct Decimator {
    taps: Arc<[f32]>,
    ring: Vec<f32>,
    at: usize,
    phase: usize,
    factor: usize,
}

impl Decimator {
    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let size = self.taps.len();
        for x in samples {
            // Twice, so that the last `size` samples are always in one piece.
            self.ring[self.at] = *x;
            self.ring[self.at + size] = *x;
            self.at = (self.at + 1) % size;
            self.phase += 1;
            if self.phase == self.factor {
                self.phase = 0;
                out.push(self.ring[self.at..self.at + size].iter().zip(self.taps.iter()).map(|(x, t)| x * t).sum());
            }
        }
    }
}

/// What one window holds at one harmonic: its amplitude for each offset, and the power of the noise beside it.
#[derive(Clone, Copy, Default)]
struct Line {
    amplitudes: [Complex<f64>; OFFSETS_HZ.len()],
    noise: f64,
}

type Window = [[Line; HARMONICS]; BASES.len()];

/// Hum of a stretch.
#[derive(Clone, Copy)]
struct Hit {
    power: f64,
    /// Bit `k` is harmonic `k + 1`.
    harmonics: u8,
}

/// One mix of the channels.
struct Mix {
    decimator: Decimator,
    mixed: Vec<f32>,
    low: Vec<f32>,
    windows: Vec<Window>,
    stretches: [Vec<Option<Hit>>; BASES.len()],
    /// Frames at the low rate before `low`.
    start: u64,
}

/// The middle of all channels and, where there are two, their side.
pub(super) struct Hum {
    rate_hz: f64,
    size: usize,
    mixes: Vec<Mix>,
    forward: Arc<dyn RealToComplex<f32>>,
    taper: Vec<f32>,
    time: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
}

/// Steady hum.
pub(super) struct Found {
    pub base_hz: f64,
    pub level_dbfs: f64,
    pub harmonics: Vec<u32>,
}

impl Hum {
    pub fn new(rate_hz: f64, channels: usize) -> Self {
        let factor = (rate_hz / 2_000.0).floor().max(1.0) as usize;
        let rate = rate_hz / factor as f64;
        let size = (0.9 * rate) as usize;
        let size = size.next_power_of_two();
        let taps: Arc<[f32]> = low_pass(factor).into();
        let mix = || Mix {
            decimator: Decimator { ring: vec![0.0; 2 * taps.len()], taps: Arc::clone(&taps), at: 0, phase: 0, factor },
            mixed: Vec::new(),
            low: Vec::with_capacity(size),
            windows: Vec::with_capacity(STRETCH),
            stretches: Default::default(),
            start: 0,
        };
        Self {
            rate_hz: rate,
            size,
            mixes: (0..if channels == 2 { 2 } else { 1 }).map(|_| mix()).collect(),
            forward: RealFftPlanner::<f32>::new().plan_fft_forward(size),
            taper: hann(size),
            time: vec![0.0; size],
            spectrum: vec![Complex::default(); size / 2 + 1],
        }
    }

    pub fn push(&mut self, block: &Buffer) {
        let scale = 1.0 / block.channel_count().max(1) as f32;
        for (index, mix) in self.mixes.iter_mut().enumerate() {
            mix.mixed.clear();
            mix.mixed.resize(block.frames(), 0.0);
            for (channel, samples) in block.channels().enumerate() {
                // The second mix is the difference of two channels.
                let gain = if index == 1 && channel == 1 { -scale } else { scale };
                mix.mixed.iter_mut().zip(samples).for_each(|(sum, x)| *sum += gain * x);
            }
            mix.decimator.push(&mix.mixed, &mut mix.low);
        }
        while self.mixes.first().is_some_and(|mix| mix.low.len() >= self.size) {
            for index in 0..self.mixes.len() {
                self.window(index);
            }
        }
    }

    /// Looks at the first window of a mix and takes half of it away.
    fn window(&mut self, index: usize) {
        let mix = &mut self.mixes[index];
        for ((to, from), weight) in self.time.iter_mut().zip(&mix.low).zip(&self.taper) {
            *to = from * weight;
        }
        let mut window = Window::default();
        // A sine of amplitude a sums up to a / 2 times the sum of the taper, which is half its size: its mean square is then the square.
        let scale = 8f64.sqrt() / self.size as f64;
        for (base, lines) in BASES.iter().zip(&mut window) {
            for (k, line) in lines.iter_mut().enumerate() {
                for (offset, amplitude) in OFFSETS_HZ.iter().zip(&mut line.amplitudes) {
                    let hz = (base + offset) * (k + 1) as f64;
                    if hz < self.rate_hz * 0.45 {
                        let turns = hz / self.rate_hz;
                        *amplitude = at_frequency(&self.time, turns) * turned(-turns * mix.start as f64) * scale;
                    }
                }
            }
        }
        // Lengths are fixed, so that it cannot fail.
        let _ = self.forward.process(&mut self.time, &mut self.spectrum);
        let power: Vec<f64> = self.spectrum.iter().map(|bin| f64::from(bin.norm_sqr()) * scale * scale).collect();
        for (base, lines) in BASES.iter().zip(&mut window) {
            for (k, line) in lines.iter_mut().enumerate() {
                line.noise = beside(&power, base * (k + 1) as f64, self.rate_hz / self.size as f64);
            }
        }
        mix.windows.push(window);
        mix.low.drain(..self.size / 2);
        mix.start += self.size as u64 / 2;
        if mix.windows.len() == STRETCH {
            self.end_stretch(index);
        }
    }

    fn end_stretch(&mut self, index: usize) {
        let step_s = self.size as f64 / 2.0 / self.rate_hz;
        let mix = &mut self.mixes[index];
        for (base, stretches) in mix.stretches.iter_mut().enumerate() {
            stretches.push(judge(&mix.windows, base, step_s));
        }
        mix.windows.clear();
    }

    pub fn finish(mut self) -> Option<Found> {
        for index in 0..self.mixes.len() {
            if self.mixes[index].windows.len() >= FEWEST {
                self.end_stretch(index);
            }
        }
        let mut best: Option<(f64, Found)> = None;
        for mix in &self.mixes {
            for (base_hz, stretches) in BASES.iter().zip(&mix.stretches) {
                let mut hits: Vec<Hit> = stretches.iter().flatten().copied().collect();
                if hits.is_empty() || (hits.len() as f64) < STEADY * stretches.len() as f64 {
                    continue;
                }
                hits.sort_by(|a, b| a.power.total_cmp(&b.power));
                let power = hits[hits.len() / 2].power;
                let score = power * hits.len() as f64;
                let often = |k: &u32| hits.iter().filter(|h| h.harmonics >> (k - 1) & 1 == 1).count() * 2 >= hits.len();
                if best.as_ref().is_none_or(|(most, _)| score > *most) {
                    let harmonics = (1..=HARMONICS as u32).filter(often).collect();
                    best = Some((score, Found { base_hz: *base_hz, level_dbfs: power_db(power), harmonics }));
                }
            }
        }
        best.map(|(_, found)| found)
    }
}

/// `exp(2 pi i turns)`.
fn turned(turns: f64) -> Complex<f64> {
    let (sin, cos) = (std::f64::consts::TAU * turns.fract()).sin_cos();
    Complex::new(cos, sin)
}

/// The Fourier transform at a frequency in turns per sample, by Horner's rule.
fn at_frequency(samples: &[f32], turns: f64) -> Complex<f64> {
    let step = turned(-turns);
    samples.iter().rev().fold(Complex::default(), |sum, x| sum * step + f64::from(*x))
}

/// Power of the noise beside a line: the median of the bins 2.5 to 8 Hz away.
fn beside(power: &[f64], hz: f64, step_hz: f64) -> f64 {
    let mut around: Vec<f64> = power
        .iter()
        .enumerate()
        .filter(|(n, _)| (2.5..8.0).contains(&(*n as f64 * step_hz - hz).abs()))
        .map(|(_, p)| *p)
        .collect();
    if around.is_empty() {
        return f64::INFINITY;
    }
    let half = around.len() / 2;
    let median = *around.select_nth_unstable_by(half, f64::total_cmp).1;
    // Power of noise is distributed exponentially: its median is ln 2 times its mean.
    (median / std::f64::consts::LN_2).max(1e-16)
}

/// Weighted mean of the amplitudes of windows from the number `first` on at one frequency, and the sum of the weights: the inverse of its
/// variance. `turns`: of the finer offset from one window to the next.
fn amplitude(
    windows: &[Window],
    first: usize,
    (base, k): (usize, usize),
    offset: usize,
    turns: f64,
) -> (Complex<f64>, f64) {
    let (mut sum, mut weights) = (Complex::default(), 0.0);
    for (n, window) in windows.iter().enumerate() {
        let line = &window[base][k];
        let weight = 1.0 / (line.noise + UNSURE * line.amplitudes[offset].norm_sqr());
        sum += line.amplitudes[offset] * turned(-turns * (first + n) as f64) * weight;
        weights += weight;
    }
    if weights > 0.0 { (sum / weights, weights) } else { (sum, 0.0) }
}

/// Whether a stretch holds hum of a base. `step_s`: between windows.
fn judge(windows: &[Window], base: usize, step_s: f64) -> Option<Hit> {
    let turns = |k: usize, fine_hz: f64| fine_hz * (k + 1) as f64 * step_s;
    let score = |(offset, fine_hz): (usize, f64)| -> f64 {
        let line = |k: usize| {
            let (a, weights) = amplitude(windows, 0, (base, k), offset, turns(k, fine_hz));
            // Logarithms, so that no single harmonic, which may be a note, decides.
            (a.norm_sqr() * weights).ln_1p()
        };
        (0..HARMONICS).map(line).sum()
    };
    let places = (0..OFFSETS_HZ.len()).flat_map(|offset| FINE_HZ.map(|fine_hz| (offset, fine_hz)));
    let best = places.map(|place| (score(place), place)).max_by(|a, b| a.0.total_cmp(&b.0));
    let (offset, fine_hz) = best?.1;
    let mut hit = Hit { power: 0.0, harmonics: 0 };
    let mut alone = false;
    for k in 0..HARMONICS {
        let (all, weights) = amplitude(windows, 0, (base, k), offset, turns(k, fine_hz));
        let power = all.norm_sqr();
        if power * weights < LINE || power_db(power) < FLOOR_DBFS {
            continue;
        }
        let (mut confirmed, mut refused) = (0, 0);
        let quarter = windows.len().div_ceil(4);
        for (index, part) in windows.chunks(quarter).enumerate() {
            let (a, weights) = amplitude(part, index * quarter, (base, k), offset, turns(k, fine_hz));
            let near = (a - all).norm_sqr() <= APART * power + APART_NOISE / weights;
            refused += usize::from(!near);
            confirmed += usize::from(near && power * weights >= CONFIRMS);
        }
        if refused == 0 && confirmed >= QUARTERS {
            hit.power += power;
            hit.harmonics |= 1 << k;
            alone |= k < 2 && power * weights >= ALONE;
        }
    }
    let whole = hit.harmonics.count_ones() >= 2 && hit.harmonics & 0b111 != 0;
    (whole || alone).then_some(hit)
}

/// Windowed sinc with its edge at 0.4 of the new rate.
fn low_pass(factor: usize) -> Vec<f32> {
    if factor == 1 {
        return vec![1.0];
    }
    let size = 8 * factor;
    let cutoff = 0.4 / factor as f64;
    let tap = |n: usize| {
        let t = n as f64 - (size - 1) as f64 / 2.0;
        let x = std::f64::consts::TAU * cutoff * t;
        let sinc = if x.abs() < 1e-12 { 1.0 } else { x.sin() / x };
        sinc * (0.5 - 0.5 * (std::f64::consts::TAU * (n as f64 + 0.5) / size as f64).cos())
    };
    let taps: Vec<f64> = (0..size).map(tap).collect();
    let sum: f64 = taps.iter().sum();
    taps.iter().map(|t| (t / sum) as f32).collect()
}

pub(super) fn verdict(found: Option<&Found>) -> Option<Verdict> {
    let found = found?;
    let severity = if found.level_dbfs > ERROR_DBFS { Severity::Error } else { Severity::Warning };
    let list: Vec<String> = found.harmonics.iter().map(u32::to_string).collect();
    let text = format!(
        "mains hum of {} Hz at {:.1} dBFS (harmonics {}): a ground loop or a bad supply; the filter `dehum` removes it.",
        found.base_hz,
        found.level_dbfs,
        list.join(", ")
    );
    Some(Verdict::new(VerdictName::Hum, severity, (found.level_dbfs, FLOOR_DBFS, "dBFS"), text))
}
