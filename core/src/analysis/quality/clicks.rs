//! Clicks and discontinuities: samples that linear prediction cannot expect.
//!
//! The residual of a linear prediction of order 12 is small for speech and music, and large where the waveform is broken (S. Vaseghi, R.
//! Rayner, "Detection and suppression of impulsive noise in speech communication systems", IEE Proc. 137-I(1), 1990; Essentia's
//! `ClickDetector` and `DiscontinuityDetector`). A peak counts when it stands far over the median of the residual around it, over the
//! residual right before and right after it (the onset of a drum goes on, a click does not), and alone (the pulses of a voice come again).
//! After a click the waveform goes on where it was; after a jump it goes on elsewhere.

use super::verdict::{MAX_SPANS, Severity, Span, Verdict, VerdictName};

const ORDER: usize = 12;
/// Over the median of the residual, as a deviation of a normal distribution.
const OVER_MEDIAN: f32 = 12.0;
/// Over the peaks of the residual 0.4 to 5 ms before and after.
const OVER_AROUND: f32 = 5.5;
/// In full scale: what is less is not heard beside sound.
const MIN_RESIDUAL: f32 = 0.02;
/// Other peaks of at least a third within this time, so many, make a pulse train.
const TRAIN_S: f64 = 0.06;
const TRAIN: usize = 2;
/// Candidates kept per channel.
const KEPT: usize = 4_096;

#[derive(Clone, Copy)]
struct Peak {
    at: u64,
    size: f32,
    jump: bool,
}

/// One channel. Works on windows of one hop with a quarter before and a quarter behind.
pub(super) struct Clicks {
    rate_hz: f64,
    hop: usize,
    /// A quarter that was looked at, a quarter that was not, then the hop.
    samples: Vec<f32>,
    residual: Vec<f32>,
    sorted: Vec<f32>,
    window: Vec<f32>,
    frames: u64,
    peaks: Vec<Peak>,
}

impl Clicks {
    /// `hop`: frames of each block.
    pub fn new(rate_hz: f64, hop: usize) -> Self {
        let size = hop + hop / 2;
        let window = |n: usize| 0.5 - 0.5 * (std::f64::consts::TAU * (n as f64 + 0.5) / size as f64).cos();
        Self {
            rate_hz,
            hop,
            samples: vec![0.0; size],
            residual: vec![0.0; size],
            sorted: Vec::with_capacity(size),
            window: (0..size).map(|n| window(n) as f32).collect(),
            frames: 0,
            peaks: Vec::new(),
        }
    }

    /// A block of one hop; the last may be shorter.
    pub fn push(&mut self, block: &[f32]) {
        let kept = self.hop / 2;
        self.samples.copy_within(self.hop.., 0);
        self.samples[kept..kept + block.len()].copy_from_slice(block);
        self.samples[kept + block.len()..].fill(0.0);
        let begin = self.frames as i64 - kept as i64;
        self.frames += block.len() as u64;
        self.examine(begin);
    }

    /// Looks at the middle of the window, which begins at frame `begin`.
    fn examine(&mut self, begin: i64) {
        let peak = self.samples.iter().fold(0.0, |m: f32, x| m.max(x.abs()));
        if peak < MIN_RESIDUAL {
            return;
        }
        let Some(coefficients) = self.predictor() else { return };
        for n in ORDER..self.samples.len() {
            let past = &self.samples[n - ORDER..n];
            let expected: f32 = past.iter().rev().zip(&coefficients).map(|(x, c)| x * c).sum();
            self.residual[n] = (self.samples[n] - expected).abs();
        }
        self.residual[..ORDER].fill(0.0);
        self.sorted.clear();
        self.sorted.extend_from_slice(&self.residual[ORDER..]);
        let middle = self.sorted.len() / 2;
        let median = *self.sorted.select_nth_unstable_by(middle, f32::total_cmp).1;
        let least = (OVER_MEDIAN * median / 0.6745).max(MIN_RESIDUAL);
        let quarter = self.hop / 4;
        let mut n = quarter;
        while n < quarter + self.hop {
            if self.residual[n] >= least
                && let Some(found) = self.peak_at(n, &coefficients)
            {
                let at = begin + found.0 as i64;
                if at >= 32 && self.peaks.len() < KEPT {
                    self.peaks.push(Peak { at: at as u64, size: self.residual[found.0], jump: found.1 });
                }
                n = found.0 + (self.rate_hz * 0.001) as usize;
            }
            n += 1;
        }
    }

    /// The largest residual within 0.4 ms from `n`, when it stands alone; and whether the waveform jumps there.
    fn peak_at(&self, n: usize, coefficients: &[f32; ORDER]) -> Option<(usize, bool)> {
        let ms = |ms: f64| ((self.rate_hz * ms / 1000.0) as usize).max(3);
        let end = (n + ms(0.4)).min(self.residual.len());
        let top = (n..end).max_by(|a, b| self.residual[*a].total_cmp(&self.residual[*b]).then(b.cmp(a)))?;
        // The prediction is wrong for as long as it looks back.
        let (clear, far) = (ms(0.4).max(ORDER + 2), ms(5.0));
        let before = &self.residual[top.saturating_sub(far)..n.saturating_sub(2)];
        let after = self.residual.get(top + clear..(top + clear + far).min(self.residual.len()))?;
        let peak = |part: &[f32]| part.iter().copied().fold(0.0, f32::max);
        if after.len() < 8 || before.len() < 8 || peak(before).max(peak(after)) * OVER_AROUND > self.residual[top] {
            return None;
        }
        // Next to digital silence it is an edge, which others look at.
        let quiet = |part: &[f32]| part.iter().all(|x| x.abs() <= 1.5e-5);
        let x = &self.samples;
        if quiet(&x[top.saturating_sub(8)..top.saturating_sub(1)]) || quiet(x.get(top + 2..top + 9)?) {
            return None;
        }
        // The prediction goes on by itself from before the event: after a click the waveform comes back to it, after a jump it does not.
        let mut past: [f32; ORDER] = std::array::from_fn(|k| x[n - 1 - k]);
        let mut away = [0.0f32; 9];
        for (k, away) in away.iter_mut().enumerate() {
            let expected: f32 = past.iter().zip(coefficients).map(|(x, c)| x * c).sum();
            *away = (x.get(n + k)? - expected).abs();
            past.rotate_right(1);
            past[0] = expected;
        }
        let event = away[..4].iter().copied().fold(0.0, f32::max);
        Some((top, away[4..].iter().sum::<f32>() / 5.0 > 0.5 * event))
    }

    /// Coefficients by autocorrelation and Levinson's recursion.
    fn predictor(&self) -> Option<[f32; ORDER]> {
        let x: Vec<f32> = self.samples.iter().zip(&self.window).map(|(x, w)| x * w).collect();
        let mut r = [0.0f64; ORDER + 1];
        for (lag, r) in r.iter_mut().enumerate() {
            *r = x[lag..].iter().zip(&x).map(|(a, b)| f64::from(a * b)).sum();
        }
        // White noise 90 dB below, so that the recursion is stable for pure tones.
        r[0] *= 1.0 + 1e-9;
        let mut a = [0.0f64; ORDER];
        let mut error = r[0];
        for order in 0..ORDER {
            if error <= 0.0 || !error.is_finite() {
                return None;
            }
            let mut k = r[order + 1];
            for j in 0..order {
                k -= a[j] * r[order - j];
            }
            k /= error;
            let old = a;
            a[order] = k;
            for j in 0..order {
                a[j] = old[j] - k * old[order - 1 - j];
            }
            error *= 1.0 - k * k;
        }
        Some(a.map(|c| c as f32))
    }

    /// Events that are not part of a train: clicks, jumps.
    fn finish(&mut self) -> [Vec<Peak>; 2] {
        // What is behind the last hop was not looked at.
        self.push(&[]);
        let near = (TRAIN_S * self.rate_hz) as u64;
        let end = self.frames.saturating_sub(32);
        let mut kinds = [Vec::new(), Vec::new()];
        for (index, peak) in self.peaks.iter().enumerate() {
            let beside = |other: &&Peak| other.at.abs_diff(peak.at) <= near && other.size * 3.0 >= peak.size;
            let earlier = self.peaks[..index].iter().rev().take_while(|p| p.at.abs_diff(peak.at) <= near);
            let later = self.peaks[index + 1..].iter().take_while(|p| p.at.abs_diff(peak.at) <= near);
            if peak.at < end && earlier.chain(later).filter(beside).count() < TRAIN {
                kinds[usize::from(peak.jump)].push(*peak);
            }
        }
        kinds
    }
}

/// `skip` tells channels that are not judged: the waveform of a clipped one is broken everywhere.
pub(super) fn verdicts(channels: &mut [Clicks], skip: impl Fn(usize) -> bool) -> Vec<Verdict> {
    let mut found = [Vec::new(), Vec::new()];
    let mut count = [0u64; 2];
    let mut largest = [0.0f32; 2];
    for (index, channel) in channels.iter_mut().enumerate().filter(|(index, _)| !skip(*index)) {
        let rate = channel.rate_hz;
        for (kind, peaks) in channel.finish().into_iter().enumerate() {
            count[kind] += peaks.len() as u64;
            for peak in peaks.iter().take(MAX_SPANS) {
                let start_s = peak.at as f64 / rate;
                found[kind].push(Span { start_s, end_s: start_s + 0.0005, channel: Some(index as u32) });
            }
            largest[kind] = peaks.iter().map(|p| p.size).fold(largest[kind], f32::max);
        }
    }
    let mut verdicts = Vec::new();
    let names = [
        (VerdictName::Clicks, "Clicks: short impulses that nothing around them explains"),
        (VerdictName::Discontinuities, "Jumps of the waveform: bad edits, or lost samples"),
    ];
    for (kind, (name, what)) in names.into_iter().enumerate() {
        if count[kind] == 0 {
            continue;
        }
        let text = format!("{what} ({} times).", count[kind]);
        let value = (f64::from(largest[kind]), f64::from(MIN_RESIDUAL), "of full scale");
        let spans = std::mem::take(&mut found[kind]);
        verdicts.push(Verdict::new(name, Severity::Warning, value, text).at(spans, count[kind]));
    }
    verdicts
}
