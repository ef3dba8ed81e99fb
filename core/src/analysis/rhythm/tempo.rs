//! Tempo from the autocorrelation of the onset strength, as `librosa.feature.tempo` (Ellis, *Beat Tracking by Dynamic Programming*, JNMR 36,
//! 2007): windows of 8 s, each correlated with itself and scaled to 1 at no lag, averaged, and weighted by how usual a tempo is.

use realfft::RealFftPlanner;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Parameters of the tempo. Defaults as librosa's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TempoParams {
    /// The most usual tempo in beats per minute. 30 to 300, default 120.
    pub start_bpm: f64,
    /// Spread of usual tempos in octaves. 0.1 to 10, default 1.
    pub std_bpm: f64,
    /// Length of a window in seconds. 2 to 30, default 8.
    pub ac_size_s: f64,
    /// Largest tempo in beats per minute. 60 to 600, default 320.
    pub max_tempo_bpm: f64,
}

impl Default for TempoParams {
    fn default() -> Self {
        Self { start_bpm: 120.0, std_bpm: 1.0, ac_size_s: 8.0, max_tempo_bpm: 320.0 }
    }
}

impl TempoParams {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn validate(&self) -> Result<()> {
        Error::check_range("start_bpm", self.start_bpm, 30.0, 300.0, "bpm")?;
        Error::check_range("std_bpm", self.std_bpm, 0.1, 10.0, "octaves")?;
        Error::check_range("ac_size_s", self.ac_size_s, 2.0, 30.0, "s")?;
        Error::check_range("max_tempo_bpm", self.max_tempo_bpm, 60.0, 600.0, "bpm")
    }
}

/// A tempo and how strong it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TempoCandidate {
    /// Beats per minute.
    pub bpm: f64,
    /// Autocorrelation at its lag, weighted by how usual the tempo is, that of the best being 1.
    pub weight: f64,
}

/// The tempo of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tempo {
    /// Beats per minute, refined between frames by a parabola.
    pub bpm: f64,
    /// 0 to 1: how far the autocorrelation at the beat lies above its mean over all lags.
    pub confidence: f64,
    /// Other tempos that the onsets allow, strongest first; half and double are among them when they are in range.
    pub rivals: Vec<TempoCandidate>,
}

/// Windows are taken every so many frames; librosa takes all, which gives the same mean to three digits.
const STRIDE: usize = 8;
const RIVALS: usize = 4;
/// Weaker peaks are no rivals.
const LEAST_WEIGHT: f64 = 0.05;

/// Mean of the scaled autocorrelations, one value per lag.
fn tempogram(strength: &[f32], window: usize) -> Result<Vec<f64>> {
    let pad = window / 2;
    let (Some(first), Some(last)) = (strength.first(), strength.last()) else { return Ok(Vec::new()) };
    // The ends run out linearly.
    let ramp = |to: f32| (0..pad).map(move |i| to * i as f32 / pad as f32);
    let mut padded: Vec<f32> = ramp(*first).collect();
    padded.extend_from_slice(strength);
    let mut tail: Vec<f32> = ramp(*last).collect();
    tail.reverse();
    padded.extend(tail);
    let hann = crate::analysis::features::stft::hann(window, window);
    let size = (2 * window).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, back) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let (mut time, mut spectrum) = (forward.make_input_vec(), forward.make_output_vec());
    let (mut one, mut two) = (forward.make_scratch_vec(), back.make_scratch_vec());
    let mut sums = vec![0.0f64; window];
    let mut count = 0u64;
    for frame in padded.windows(window).take(strength.len()).step_by(STRIDE) {
        time.fill(0.0);
        time.iter_mut().zip(frame).zip(&hann).for_each(|((t, x), w)| *t = x * w);
        let wrong = |e: realfft::FftError| Error::internal(format!("tempogram: {e}"));
        forward.process_with_scratch(&mut time, &mut spectrum, &mut one).map_err(wrong)?;
        for x in &mut spectrum {
            *x = realfft::num_complex::Complex::new(x.norm_sqr(), 0.0);
        }
        back.process_with_scratch(&mut spectrum, &mut time, &mut two).map_err(wrong)?;
        count += 1;
        if time[0] > f32::MIN_POSITIVE {
            let scale = 1.0 / f64::from(time[0]);
            sums.iter_mut().zip(&time).for_each(|(s, t)| *s += f64::from(*t) * scale);
        }
    }
    sums.iter_mut().for_each(|s| *s /= count.max(1) as f64);
    Ok(sums)
}

/// The tempo of an onset strength of `frame_rate_hz` frames per second; none without onsets.
///
/// # Errors
/// [`Error::OutOfRange`] for the parameters.
pub fn tempo(strength: &[f32], frame_rate_hz: f64, params: &TempoParams) -> Result<Option<Tempo>> {
    params.validate()?;
    let window = (params.ac_size_s * frame_rate_hz) as usize;
    if window < 8 {
        return Ok(None); // frames are longer than beats
    }
    let lags = tempogram(strength, window)?;
    if lags.first().is_none_or(|zero| *zero <= 0.0) {
        return Ok(None);
    }
    let bpm_of = |lag: f64| 60.0 * frame_rate_hz / lag;
    let shortest = (1..lags.len()).find(|lag| bpm_of(*lag as f64) < params.max_tempo_bpm).unwrap_or(lags.len());
    let score = |lag: usize| {
        let octaves = (bpm_of(lag as f64).log2() - params.start_bpm.log2()) / params.std_bpm;
        (1e6 * lags[lag]).max(0.0).ln_1p() - 0.5 * octaves * octaves
    };
    let scores: Vec<f64> =
        (0..lags.len()).map(|lag| if lag < shortest { f64::NEG_INFINITY } else { score(lag) }).collect();
    let mut best = 0;
    for (lag, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = lag;
        }
    }
    if scores[best] <= 0.0 || !scores[best].is_finite() {
        return Ok(None);
    }
    let refined = |lag: usize| {
        let (Some(before), Some(after)) = (lags.get(lag.wrapping_sub(1)), lags.get(lag + 1)) else {
            return bpm_of(lag as f64);
        };
        let (slope, curve) = (0.5 * (after - before), after + before - 2.0 * lags[lag]);
        // Where the autocorrelation itself has no maximum (the weight of the tempo made it one) there is nothing to refine.
        let shift = if curve < 0.0 { -slope / curve } else { 0.0 };
        bpm_of(lag as f64 + if shift.abs() <= 0.5 { shift } else { 0.0 })
    };
    let weight = |lag: usize| (scores[lag] - scores[best]).exp();
    let mut peaks: Vec<usize> = (shortest.max(1)..lags.len().saturating_sub(1))
        .filter(|lag| *lag != best && scores[*lag] > scores[lag - 1] && scores[*lag] >= scores[lag + 1])
        .collect();
    peaks.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    // Half and double are what listeners disagree about, so they are told even when other peaks are higher.
    let octave = |factor: f64| {
        let wanted = best as f64 * factor;
        let near = |lag: &usize| (*lag as f64 / wanted - 1.0).abs();
        let of_peaks = peaks.iter().copied().filter(|lag| near(lag) < 0.06).min_by(|a, b| near(a).total_cmp(&near(b)));
        of_peaks.or_else(|| Some(wanted.round() as usize)).filter(|lag| *lag >= shortest && *lag < lags.len())
    };
    let mut chosen: Vec<usize> = [octave(0.5), octave(2.0)].into_iter().flatten().collect();
    for lag in &peaks {
        if chosen.len() < RIVALS && !chosen.contains(lag) && weight(*lag) >= LEAST_WEIGHT {
            chosen.push(*lag);
        }
    }
    chosen.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mean = lags[1..].iter().sum::<f64>() / (lags.len() - 1) as f64;
    Ok(Some(Tempo {
        bpm: refined(best),
        confidence: ((lags[best] - mean) / (lags[0] - mean)).clamp(0.0, 1.0),
        rivals: chosen.iter().map(|lag| TempoCandidate { bpm: refined(*lag), weight: weight(*lag) }).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 30 s of pulses at a tempo.
    fn pulses(bpm: f64, rate_hz: f64) -> Vec<f32> {
        let mut strength = vec![0.0; (30.0 * rate_hz) as usize];
        let mut at = 0.3 * rate_hz;
        while (at as usize) + 1 < strength.len() {
            let part = at.fract() as f32;
            strength[at as usize] += 1.0 - part;
            strength[at as usize + 1] += part;
            at += 60.0 / bpm * rate_hz;
        }
        strength
    }

    #[test]
    fn pulses_have_their_tempo_and_its_octaves_as_rivals() {
        for bpm in [75.0, 93.0, 120.0, 141.0, 168.0] {
            let tempo = tempo(&pulses(bpm, 86.13), 86.13, &TempoParams::default()).unwrap().unwrap();
            // 4 %: what tempo evaluations allow (MIREX); a frame is 1.4 % of a beat at 75 and 3 % at 168.
            assert!((tempo.bpm / bpm - 1.0).abs() < 0.02, "{bpm}: {tempo:?}");
            assert!(tempo.confidence > 0.3, "{tempo:?}");
            let has = |factor: f64| tempo.rivals.iter().any(|r| (r.bpm / bpm / factor - 1.0).abs() < 0.04);
            assert!(has(0.5) && (has(2.0) || 2.0 * bpm > 320.0), "{tempo:?}");
            assert!(tempo.rivals.iter().all(|r| r.weight <= 1.0));
        }
    }

    #[test]
    fn silence_has_no_tempo_and_ranges_are_checked() {
        assert_eq!(tempo(&[0.0; 900], 86.13, &TempoParams::default()).unwrap(), None);
        assert_eq!(tempo(&[], 86.13, &TempoParams::default()).unwrap(), None);
        assert!(tempo(&[], 86.13, &TempoParams { start_bpm: f64::NAN, ..TempoParams::default() }).is_err());
    }
}
