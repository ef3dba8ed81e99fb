//! Mains hum: 50 or 60 Hz and harmonics that stand still.
//!
//! The channels are taken down to about 2 kHz and looked at in windows of 4 s, whose bins are 0.25 Hz apart: close enough to tell 50 Hz
//! from the note G1 (49.0 Hz). A harmonic is there when a window has a peak within 0.3 Hz of it that stands out of the bins around, and it
//! is hum when that is so in nearly all windows at about the same level (compare M. Brandt, J. Bitzer, "Automatic detection of hum in
//! audio signals", JAES 62(9), 2014, which Essentia's `HumDetector` follows).

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::spectrum::hann;
use super::verdict::{Severity, Verdict, VerdictName};
use crate::meter::level::power_db;

const BASES: [f64; 2] = [50.0, 60.0];
const HARMONICS: usize = 8;
/// Distance of a peak from its harmonic, in Hz.
const NEAR_HZ: f64 = 0.3;
/// Over the median of the bins within 8 Hz.
const PROMINENT_DB: f64 = 10.0;
/// Share of windows with the harmonic.
const STEADY: f64 = 0.7;
/// Between the 20th and the 80th percentile of its level.
const SPREAD_DB: f64 = 6.0;
/// A single harmonic must stand out so far, and be one of the first two.
const ALONE_DB: f64 = 22.0;
/// Hum below is not heard.
const FLOOR_DBFS: f64 = -85.0;
const ERROR_DBFS: f64 = -40.0;
/// Windows kept: 30 minutes at one per 2 s; of longer recordings every second, fourth... window.
const KEPT: usize = 900;

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

/// Per window: prominence and level of each harmonic of each base.
type Window = [[(f32, f32); HARMONICS]; 2];

/// All channels.
pub(super) struct Hum {
    rate_hz: f64,
    size: usize,
    decimators: Vec<Decimator>,
    low: Vec<Vec<f32>>,
    forward: Arc<dyn RealToComplex<f32>>,
    taper: Vec<f32>,
    windows: Vec<Window>,
    /// Every so many windows one is kept; those seen.
    stride: usize,
    seen: usize,
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
        // At least 4 s, and a power of two.
        let size = ((4.0 * rate) as usize).next_power_of_two();
        let taps: Arc<[f32]> = low_pass(factor).into();
        let decimator =
            || Decimator { ring: vec![0.0; 2 * taps.len()], taps: Arc::clone(&taps), at: 0, phase: 0, factor };
        Self {
            rate_hz: rate,
            size,
            decimators: (0..channels).map(|_| decimator()).collect(),
            low: vec![Vec::with_capacity(size); channels],
            forward: RealFftPlanner::<f32>::new().plan_fft_forward(size),
            taper: hann(size),
            windows: Vec::new(),
            stride: 1,
            seen: 0,
        }
    }

    pub fn push<'a>(&mut self, channels: impl Iterator<Item = &'a [f32]>) {
        for ((decimator, low), samples) in self.decimators.iter_mut().zip(&mut self.low).zip(channels) {
            decimator.push(samples, low);
        }
        while self.low.first().is_some_and(|low| low.len() >= self.size) {
            if self.seen.is_multiple_of(self.stride) {
                self.window();
            }
            self.seen += 1;
            for low in &mut self.low {
                low.drain(..self.size / 4);
            }
            if self.windows.len() == KEPT {
                let mut index = 0;
                self.windows.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
                self.stride *= 2;
            }
        }
    }

    fn window(&mut self) {
        let bins = self.size / 2 + 1;
        let mut power = vec![0.0f32; bins];
        let mut spectrum = vec![Complex::default(); bins];
        for low in &self.low {
            let mut time: Vec<f32> = self.taper.iter().zip(low).map(|(w, x)| w * x).collect();
            // Lengths are fixed, so that it cannot fail.
            let _ = self.forward.process(&mut time, &mut spectrum);
            for (power, bin) in power.iter_mut().zip(&spectrum) {
                *power += bin.norm_sqr();
            }
        }
        let step_hz = self.rate_hz / self.size as f64;
        // Mean square of a sine with its energy in one bin of a Hann window, per channel.
        let scale = 8.0 / (self.size as f64).powi(2) / self.low.len() as f64;
        let mut window: Window = Default::default();
        for (base, harmonics) in BASES.iter().zip(&mut window) {
            for (k, harmonic) in harmonics.iter_mut().enumerate() {
                let hz = base * (k + 1) as f64;
                if hz + 10.0 < self.rate_hz / 2.0 {
                    *harmonic = prominence(&power, hz / step_hz, step_hz, scale);
                }
            }
        }
        self.windows.push(window);
    }

    pub fn finish(mut self) -> Option<Found> {
        // Half a window is enough to look once, with silence behind.
        if self.windows.is_empty() && self.low.first().is_some_and(|low| low.len() >= self.size / 2) {
            self.low.iter_mut().for_each(|low| low.resize(self.size, 0.0));
            self.window();
        }
        let found = BASES.iter().enumerate().filter_map(|(index, base)| self.judge(index, *base));
        found.max_by(|a, b| a.0.total_cmp(&b.0)).map(|f| f.1)
    }

    /// Score and hum of one base.
    fn judge(&self, base: usize, base_hz: f64) -> Option<(f64, Found)> {
        if self.windows.is_empty() {
            return None;
        }
        let mut found = Found { base_hz, level_dbfs: 0.0, harmonics: Vec::new() };
        let (mut power, mut score, mut alone) = (0.0, 0.0, false);
        for k in 0..HARMONICS {
            let mut there: Vec<(f32, f32)> = self.windows.iter().map(|w| w[base][k]).collect();
            let count = there.iter().filter(|h| f64::from(h.0) >= PROMINENT_DB).count();
            if (count as f64) < STEADY * there.len() as f64 {
                continue;
            }
            there.retain(|h| f64::from(h.0) >= PROMINENT_DB);
            there.sort_by(|a, b| a.1.total_cmp(&b.1));
            let at = |share: f64| f64::from(there[((there.len() - 1) as f64 * share) as usize].1);
            if at(0.8) - at(0.2) > SPREAD_DB || at(0.5) < FLOOR_DBFS {
                continue;
            }
            let prominence = f64::from(there.iter().map(|h| h.0).sum::<f32>() / there.len() as f32);
            found.harmonics.push(k as u32 + 1);
            power += 10f64.powf(at(0.5) / 10.0);
            score += prominence;
            alone |= k < 2 && prominence >= ALONE_DB;
        }
        found.level_dbfs = power_db(power);
        let whole = found.harmonics.len() >= 2 && found.harmonics[0] <= 3;
        // Harmonics of one base alone may be common ones: 300 Hz is of both.
        (whole || alone).then_some((score, found))
    }
}

/// How far the peak near `bin` stands out of the bins around, in dB, and its level in dBFS RMS; 0 when the peak is elsewhere.
fn prominence(power: &[f32], bin: f64, step_hz: f64, scale: f64) -> (f32, f32) {
    let bins = |hz: f64| (hz / step_hz).round() as usize;
    let centre = bin.round() as usize;
    let (near, beside, around) = (bins(NEAR_HZ).max(1), bins(1.5), bins(8.0));
    let Some(part) = power.get(centre.saturating_sub(around)..=centre + around) else { return (0.0, -200.0) };
    let middle = centre - centre.saturating_sub(around);
    let top =
        (middle - beside.min(middle)..=middle + beside).max_by(|a, b| part[*a].total_cmp(&part[*b])).unwrap_or(middle);
    if top.abs_diff(middle) > near {
        return (0.0, -200.0);
    }
    let mut others: Vec<f32> =
        part.iter().enumerate().filter(|(n, _)| n.abs_diff(middle) > beside).map(|(_, p)| *p).collect();
    let half = others.len() / 2;
    let median = *others.select_nth_unstable_by(half, f32::total_cmp).1;
    let prominence = power_db(f64::from(part[top]) / f64::from(median.max(1e-20)));
    // The main lobe of a Hann window is four bins wide; its energy is 1.5 times that of the middle one.
    let lobe: f32 = part[top.saturating_sub(2)..(top + 3).min(part.len())].iter().sum();
    (prominence as f32, power_db(f64::from(lobe) * scale / 1.5) as f32)
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
