//! How much later one signal is than another: the highest point of their cross-correlation.
//!
//! First by FFT, of what lies below 6 kHz, and of the differences from sample to sample, so that deep notes do not make the peak broad; then
//! around the highest peaks with all there is, where the highest correlation is the least difference. What lies between two samples is told by a
//! parabola.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::dsp::kernels::dot;
use crate::dsp::resampler::{Quality, Resampler};
use crate::error::{Error, Result};

/// The rate of the search is this much lower.
const COARSER: usize = 4;
/// Samples to both sides of what the coarse search has found.
const AROUND: i64 = 3;
/// Longest stretch that the fine search looks at, in samples: 2 s at 48 kHz.
const FINE: usize = 96_000;
/// Peaks that the fine search looks at, and how high they have to be against the highest.
const PEAKS: usize = 12;
const PEAK_HEIGHT: f64 = 0.7;
/// Correlation that two unrelated signals do not reach.
const LEAST_CORRELATION: f64 = 0.1;

/// Where one signal lies against another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offset {
    /// Whole samples by which the degraded signal is later; negative: earlier.
    pub frames: i64,
    /// The same to a fraction of a sample.
    pub exact_frames: f64,
    /// Correlation of the two there, -1 to 1.
    pub correlation: f64,
}

/// Finds the offset of `degraded` against `reference`, both of `rate_hz`, of at most `max_offset_frames` to either side. None: they are
/// silent or unlike (correlation below 0.1). Memory: about 20 bytes per sample.
///
/// # Errors
/// [`Error::OutOfRange`] for a rate that is no multiple of 4.
pub fn find_offset(
    reference: &[f32],
    degraded: &[f32],
    rate_hz: u32,
    max_offset_frames: usize,
) -> Result<Option<Offset>> {
    if rate_hz == 0 || !rate_hz.is_multiple_of(COARSER as u32) {
        return Err(Error::InvalidValue {
            name: "rate_hz".into(),
            value: rate_hz.to_string(),
            allowed: "a multiple of 4".into(),
        });
    }
    let max = max_offset_frames.min(reference.len().max(degraded.len()));
    let (low_reference, low_degraded) = (coarse(reference, rate_hz)?, coarse(degraded, rate_hz)?);
    let mut best: Option<Offset> = None;
    for lag in search(&low_reference, &low_degraded, max) {
        let found = refine(reference, degraded, lag);
        // More than rounding makes of equal ones: the least lag wins.
        let better = |found: &Offset| best.is_none_or(|best| found.correlation.abs() > best.correlation.abs() + 1e-6);
        best = found.filter(better).or(best);
    }
    Ok(best)
}

/// At the lower rate, differences from sample to sample.
fn coarse(samples: &[f32], rate_hz: u32) -> Result<Vec<f32>> {
    let spec = Spec::new(rate_hz, ChannelLayout::MONO);
    let input = Buffer::from_planar(spec, samples.to_vec());
    let mut resampler = Resampler::new(rate_hz, rate_hz / COARSER as u32, 1, Quality::Fast)?;
    let mut output = Buffer::new(spec, 0);
    let mut low = Vec::with_capacity(samples.len() / COARSER + 1);
    resampler.process(&input, &mut output);
    low.extend_from_slice(output.channel(0));
    resampler.finish(&mut output);
    low.extend_from_slice(output.channel(0));
    let mut before = 0.0;
    for x in &mut low {
        (before, *x) = (*x, *x - before);
    }
    Ok(low)
}

/// Energies of the first `n` samples, for all `n`.
fn energies(samples: &[f32]) -> Vec<f64> {
    let mut sum = 0.0;
    let add = |x: &f32| {
        sum += f64::from(*x) * f64::from(*x);
        sum
    };
    std::iter::once(0.0).chain(samples.iter().map(add)).collect()
}

/// The lags with the highest correlations, in samples of the full rate, either polarity, the least first; `max` is the largest.
///
/// The plain correlation favours small lags, where more overlaps: repeated notes would win against the true lag of a copy that was cut. That of
/// the overlap alone favours chance in a short one. What decides lies between: the latter times the fourth root of the share that overlaps.
fn search(reference: &[f32], degraded: &[f32], max: usize) -> Vec<i64> {
    // Room for the lags, so that the ends do not meet.
    let length = (reference.len().max(degraded.len()) + max / COARSER + 2).next_power_of_two();
    let correlation = correlate(reference, degraded, length).unwrap_or_default();
    let length = length * COARSER;
    let (of_reference, of_degraded) = (energies(reference), energies(degraded));
    let both = of_reference[reference.len()] * of_degraded[degraded.len()];
    let max = max.min(length / 2 - 1) as i64;
    let height = |lag: i64| -> f64 {
        let (skip_reference, skip_degraded) = ((-lag).max(0) as usize / COARSER, lag.max(0) as usize / COARSER);
        let left = |samples: &[f32], skip: usize| samples.len().saturating_sub(skip);
        let rest = left(reference, skip_reference).min(left(degraded, skip_degraded));
        if rest == 0 {
            return 0.0;
        }
        let r = of_reference[skip_reference + rest] - of_reference[skip_reference];
        let d = of_degraded[skip_degraded + rest] - of_degraded[skip_degraded];
        let share = r * d / both;
        // Next to nothing may correlate with anything.
        if share.is_nan() || share < 1e-3 {
            return 0.0;
        }
        let at = lag.rem_euclid(length as i64) as usize;
        correlation.get(at).map_or(0.0, |c| f64::from(c.abs())) / (r * d).sqrt() * share.powf(0.125)
    };
    let heights: Vec<f64> = (-max - 1..=max + 1).map(|lag| if lag.abs() > max { 0.0 } else { height(lag) }).collect();
    let highest = heights.iter().copied().fold(0.0, f64::max);
    let mut peaks: Vec<(i64, f64)> = heights
        .windows(3)
        .zip(-max..)
        .filter(|(w, _)| w[1] > 0.0 && w[1] >= w[0] && w[1] >= w[2] && w[1] >= PEAK_HEIGHT * highest)
        .map(|(w, lag)| (lag, w[1]))
        .collect();
    peaks.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.abs().cmp(&b.0.abs())));
    peaks.truncate(PEAKS);
    let mut lags: Vec<i64> = peaks.into_iter().map(|(lag, _)| lag).collect();
    lags.sort_by_key(|lag| lag.abs());
    lags
}

/// Cross-correlation at all lags, negative ones from the end, at the full rate: at the lower one treble may miss its peak by half of a sample,
/// and lags that are off by some of its periods look better. Zeros above the spectrum are samples between the samples.
fn correlate(reference: &[f32], degraded: &[f32], length: usize) -> Option<Vec<f32>> {
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, backward) = (planner.plan_fft_forward(length), planner.plan_fft_inverse(COARSER * length));
    // The inverse transform is not scaled.
    let scale = 1.0 / length as f32;
    let spectrum = |samples: &[f32]| {
        let mut padded = vec![0.0; length];
        padded[..samples.len()].copy_from_slice(samples);
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut padded, &mut spectrum).ok().map(|()| spectrum)
    };
    let (mut product, other) = (spectrum(reference)?, spectrum(degraded)?);
    for (x, y) in product.iter_mut().zip(&other) {
        *x = x.conj() * y * scale;
    }
    // The first value of the spectrum of real samples is real but for rounding.
    product[0].im = 0.0;
    product.resize(COARSER * length / 2 + 1, Complex::default());
    let mut correlation = vec![0.0f32; COARSER * length];
    backward.process(&mut product, &mut correlation).ok()?;
    Some(correlation)
}

/// The stretches of both that overlap at a lag.
fn overlap<'a>(reference: &'a [f32], degraded: &'a [f32], lag: i64) -> (&'a [f32], &'a [f32]) {
    let skip = lag.unsigned_abs() as usize;
    let (skip_reference, skip_degraded) = if lag < 0 { (skip, 0) } else { (0, skip) };
    let reference = reference.get(skip_reference..).unwrap_or_default();
    let degraded = degraded.get(skip_degraded..).unwrap_or_default();
    let length = reference.len().min(degraded.len());
    (&reference[..length], &degraded[..length])
}

/// Sum of products, in pieces, so that 32 bits suffice.
fn product(a: &[f32], b: &[f32]) -> f64 {
    a.chunks(1024).zip(b.chunks(1024)).map(|(a, b)| f64::from(dot(a, b))).sum()
}

/// The best lag near `near`.
fn refine(reference: &[f32], degraded: &[f32], near: i64) -> Option<Offset> {
    // One stretch of the reference, the loudest of those that the overlap holds, against the degraded signal at each lag.
    let (whole, _) = overlap(reference, degraded, near);
    let length = whole.len().min(FINE);
    let starts = (0..=whole.len() - length).step_by(FINE / 2);
    let start = starts.map(|at| (at, product(&whole[at..at + length], &whole[at..at + length])));
    let start = start.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at);
    // From that of the overlap to that of the reference.
    let start = start as i64 + if near < 0 { -near } else { 0 };
    let at_lag = |lag: i64| -> f64 {
        let (from, to) = (start.max(-lag), (start + length as i64).min(degraded.len() as i64 - lag));
        if from >= to {
            return 0.0;
        }
        let (r, d) = (&reference[from as usize..to as usize], &degraded[(from + lag) as usize..(to + lag) as usize]);
        let both = (product(r, r) * product(d, d)).sqrt();
        if both > 0.0 { product(r, d) / both } else { 0.0 }
    };
    let lags = near - AROUND..=near + AROUND;
    let best = lags.map(|lag| (lag, at_lag(lag))).max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
    let (frames, correlation) = best;
    if correlation.abs() < LEAST_CORRELATION {
        return None;
    }
    let (before, after) = (at_lag(frames - 1) / correlation, at_lag(frames + 1) / correlation);
    let bend = before - 2.0 + after;
    let between = if bend < 0.0 { (0.5 * (before - after) / bend).clamp(-0.5, 0.5) } else { 0.0 };
    Some(Offset { frames, exact_frames: frames as f64 + between, correlation })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: u32 = 48_000;

    /// Noise with little above 4 kHz, whose level changes.
    fn sound(frames: usize) -> Vec<f32> {
        let (mut state, mut smooth) = (7u32, 0.0f32);
        (0..frames)
            .map(|i| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let x = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
                smooth += 0.4 * (x - smooth);
                0.3 * smooth * (1.0 + (i as f32 * 0.0004).sin())
            })
            .collect()
    }

    #[test]
    fn a_delay_is_found_to_the_sample_either_way() {
        let signal = sound(300_000);
        for delay in [0usize, 1, 2, 3, 312, 1105, 2112, 47_999, 96_003] {
            let later: Vec<f32> = [vec![0.0; delay], signal.clone()].concat();
            let found = find_offset(&signal, &later, RATE_HZ, 120_000).unwrap().unwrap();
            assert_eq!(found.frames, delay as i64);
            assert!(found.correlation > 0.9999 && (found.exact_frames - delay as f64).abs() < 0.01, "{found:?}");
            let back = find_offset(&later, &signal, RATE_HZ, 120_000).unwrap().unwrap();
            assert_eq!(back.frames, -(delay as i64));
            // Cut off instead of filled up.
            let cut = find_offset(&signal, &signal[delay..], RATE_HZ, 120_000).unwrap().unwrap();
            assert_eq!(cut.frames, -(delay as i64));
        }
    }

    #[test]
    fn fractions_noise_level_and_polarity_do_not_hide_it() {
        let signal = sound(200_000);
        let half: Vec<f32> =
            (0..signal.len()).map(|i| if i == 0 { 0.0 } else { 0.5 * (signal[i] + signal[i - 1]) }).collect();
        let found = find_offset(&signal, &half, RATE_HZ, 48_000).unwrap().unwrap();
        assert!((found.exact_frames - 0.5).abs() < 0.05, "{found:?}");
        let mut state = 99u32;
        let noisy: Vec<f32> = signal[1000..]
            .iter()
            .map(|x| {
                state = state.wrapping_mul(22_695_477).wrapping_add(1);
                -0.2 * x + 0.05 * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
            })
            .collect();
        let found = find_offset(&signal, &noisy, RATE_HZ, 48_000).unwrap().unwrap();
        assert_eq!(found.frames, -1000);
        assert!(found.correlation < -0.5, "{found:?}");
    }

    #[test]
    fn a_steady_tone_is_not_moved_by_its_periods() {
        let tone: Vec<f32> =
            (0..144_000).map(|i| (std::f32::consts::TAU * (i % 48) as f32 / 48.0).sin() * 0.5).collect();
        assert_eq!(find_offset(&tone, &tone, RATE_HZ, 48_000).unwrap().unwrap().frames, 0);
    }

    #[test]
    fn silence_and_strangers_have_no_offset() {
        let (signal, silence) = (sound(100_000), vec![0.0; 100_000]);
        for (a, b) in [(&signal, &silence), (&silence, &signal), (&silence, &silence)] {
            assert_eq!(find_offset(a, b, RATE_HZ, 48_000).unwrap(), None);
        }
        let backwards: Vec<f32> = signal.iter().rev().copied().collect();
        assert_eq!(find_offset(&signal, &backwards, RATE_HZ, 48_000).unwrap(), None);
        assert_eq!(find_offset(&[], &[], RATE_HZ, 48_000).unwrap(), None);
        assert!(find_offset(&signal[..1], &signal[..1], RATE_HZ, 48_000).unwrap().is_none_or(|o| o.frames == 0));
        assert!(find_offset(&signal, &signal, 11_025, 100).is_err());
    }
}
