//! True-peak limiter with look-ahead.
//!
//! The true peak is that of the signal between its samples: a windowed-sinc interpolator looks at 4 points per sample
//! everywhere, and at 16 points where the 4 come near the ceiling (ITU-R BS.1770-5, Annex 2 asks for 4; at 16 the
//! under-reading of a tone at the Nyquist frequency is `1 / cos(pi / 32)`, 0.04 dB). From the attenuation that each
//! sample needs, a sliding maximum, an exponential release and two moving averages make a gain that is smooth and in time.
//! Attenuations are integers in units of 2^-30, so that the averages are exact and below the ceiling the gain is exactly 1:
//! the limiter is then a bit-exact delay.

use super::delay::Delay;
use super::params::filter_params;
use super::sections::peak;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::kernels::{INTERPOLATOR_TAPS, Interpolator, bessel_i0};
use crate::error::Result;

filter_params! {
    /// Keeps the true peak under a ceiling; a bit-exact delay for what is under it.
    pub struct LimiterParams for "limiter" in Dynamics, realtime true {
        /// Highest true peak of the output.
        ceiling_dbtp: f64 = -1.0, -40.0 to 0.0 "dBTP";
        /// How early the gain begins to fall: longer is smoother. Sets the latency.
        lookahead_ms: f64 = 2.0, 0.5 to 20.0 "ms";
        /// Time constant of the recovery.
        release_ms: f64 = 80.0, 5.0 to 2000.0 "ms";
    }
}

/// Taps of one phase of the interpolator.
const TAPS: usize = 48;
/// Samples before and after the interval that is interpolated.
const HALF: usize = TAPS / 2;
/// Points per sample.
const PHASES: usize = 16;
/// Frames that are decided about at once.
const STRIP: usize = 64;
/// Attenuation 1, that is silence.
const ONE: u64 = 1 << 30;
/// Frames around a peak over which the gain stays down, so that it is constant where the interpolation to an
/// inter-sample peak has its weight.
const HOLD: usize = 6;
/// A tone at the Nyquist frequency seen at 4 points per sample reads at least `cos(pi / 8)` of its peak. Below this
/// share of the ceiling there is nothing to look for in between.
const COARSE_SURE: f32 = 0.92;

/// Interpolates 16 points per sample.
struct FineInterpolator {
    /// `PHASES x TAPS`; phase `p` gives the point `p / PHASES` after the sample with index `HALF - 1` of the taps.
    phases: Vec<[f32; TAPS]>,
    /// Largest sum of magnitudes of a phase: no point exceeds it times the largest sample.
    norm: f32,
}

impl FineInterpolator {
    fn new() -> Self {
        let mut norm = 1.0f64;
        let phases = (0..PHASES)
            .map(|phase| {
                let mut taps = [0.0f64; TAPS];
                for (k, tap) in taps.iter_mut().enumerate() {
                    // Distance of the tap's sample from the point.
                    let t = k as f64 - (HALF - 1) as f64 - phase as f64 / PHASES as f64;
                    let sinc =
                        if t == 0.0 { 1.0 } else { (std::f64::consts::PI * t).sin() / (std::f64::consts::PI * t) };
                    *tap = sinc * kaiser(t / HALF as f64);
                }
                // Unity at DC.
                let sum: f64 = taps.iter().sum();
                norm = norm.max(taps.iter().map(|t| (t / sum).abs()).sum());
                taps.map(|t| (t / sum) as f32)
            })
            .collect();
        // f32 rounding of the sums: 48 * 6e-8.
        Self { phases, norm: (norm * 1.00001) as f32 }
    }

    /// The point `phase / PHASES` after the sample `HALF - 1` of `x`.
    fn point(&self, phase: usize, x: &[f32]) -> f32 {
        self.phases[phase].iter().zip(x).fold(0.0, |sum, (tap, x)| sum + tap * x)
    }
}

/// Kaiser window of 62 dB at `t` of -1 to 1.
fn kaiser(t: f64) -> f64 {
    const BETA: f64 = 6.0;
    bessel_i0(BETA * (1.0 - t * t).max(0.0).sqrt()) / bessel_i0(BETA)
}

/// Largest of the last `window` values: a queue of the values that may still become the largest.
#[derive(Debug, Default)]
struct SlidingMax {
    /// (frame, value), values falling, in a ring.
    queue: Vec<(u64, u32)>,
    head: usize,
    length: usize,
    window: u64,
    frame: u64,
}

impl SlidingMax {
    fn new(window: usize) -> Self {
        Self { queue: vec![(0, 0); window + 1], head: 0, length: 0, window: window as u64, frame: 0 }
    }

    fn push(&mut self, value: u32) -> u32 {
        let size = self.queue.len();
        let slot = |i: usize| if i >= size { i - size } else { i };
        if self.length > 0 && self.queue[self.head].0 + self.window <= self.frame {
            self.head = slot(self.head + 1);
            self.length -= 1;
        }
        // Zeros are not kept: an empty queue says 0.
        while self.length > 0 && self.queue[slot(self.head + self.length - 1)].1 <= value {
            self.length -= 1;
        }
        if value > 0 {
            self.queue[slot(self.head + self.length)] = (self.frame, value);
            self.length += 1;
        }
        self.frame += 1;
        if self.length > 0 { self.queue[self.head].1 } else { 0 }
    }

    fn reset(&mut self) {
        (self.head, self.length, self.frame) = (0, 0, 0);
    }
}

/// Sum of the last values, exact.
#[derive(Debug, Default)]
struct BoxSum {
    line: Vec<u64>,
    at: usize,
    sum: u64,
}

impl BoxSum {
    fn new(length: usize) -> Self {
        Self { line: vec![0; length.max(1)], at: 0, sum: 0 }
    }

    fn push(&mut self, value: u64) -> u64 {
        let old = std::mem::replace(&mut self.line[self.at], value);
        self.at = if self.at + 1 == self.line.len() { 0 } else { self.at + 1 };
        self.sum = self.sum + value - old;
        self.sum
    }

    fn reset(&mut self) {
        self.line.fill(0);
        (self.at, self.sum) = (0, 0);
    }
}

/// Makes the gain from the attenuation that each frame needs.
#[derive(Debug, Default)]
struct GainShape {
    sliding: SlidingMax,
    first: BoxSum,
    second: BoxSum,
    /// Attenuation that is recovering, in 2^-30.
    recovering: u64,
    /// Share kept per frame, in 2^-30.
    release: u64,
    /// 1 / (length of first * length of second * 2^30).
    scale: f64,
    /// Frames until every state is known to be zero.
    idle_in: usize,
    span: usize,
}

impl GainShape {
    fn new(smooth_frames: usize, release_ms: f64, rate_hz: f64) -> Self {
        let first = smooth_frames / 2 + 1;
        let second = smooth_frames - first + 1;
        let window = smooth_frames + 2 * HOLD;
        Self {
            sliding: SlidingMax::new(window),
            first: BoxSum::new(first),
            second: BoxSum::new(second),
            recovering: 0,
            release: ((-1000.0 / (release_ms * rate_hz)).exp() * ONE as f64) as u64,
            scale: 1.0 / (first as f64 * second as f64 * ONE as f64),
            idle_in: 0,
            span: window + first + second,
        }
    }

    fn is_idle(&self) -> bool {
        self.idle_in == 0
    }

    fn push(&mut self, needed: u32) -> f32 {
        let held = u64::from(self.sliding.push(needed));
        let mut recovering = (self.recovering * self.release) >> 30;
        // Under 2^-16 (0.0001 dB) the recovery is complete.
        if recovering < ONE >> 16 {
            recovering = 0;
        }
        self.recovering = held.max(recovering);
        let sum = self.second.push(self.first.push(self.recovering));
        self.idle_in = if self.recovering > 0 || needed > 0 { self.span } else { self.idle_in.saturating_sub(1) };
        (1.0 - sum as f64 * self.scale) as f32
    }

    fn reset(&mut self) {
        self.sliding.reset();
        self.first.reset();
        self.second.reset();
        (self.recovering, self.idle_in) = (0, 0);
    }
}

/// See [`LimiterParams`]. All channels get the same gain. NaN is passed on and does not touch the gain.
pub struct Limiter {
    params: LimiterParams,
    fine: FineInterpolator,
    coarse: Interpolator,
    ceiling: f32,
    /// Per channel the last `TAPS` samples, then room for one strip.
    history: Vec<Vec<f32>>,
    shape: GainShape,
    delays: Vec<Delay>,
}

impl Limiter {
    /// A limiter of `params`.
    pub fn new(params: &LimiterParams) -> Self {
        Self {
            params: params.clone(),
            fine: FineInterpolator::new(),
            coarse: Interpolator::new(),
            ceiling: 1.0,
            history: Vec::new(),
            shape: GainShape::default(),
            delays: Vec::new(),
        }
    }

    /// Attenuation in 2^-30 that a peak needs.
    fn needed(&self, peak: f32) -> u32 {
        if peak > self.ceiling {
            // Rounded up; below 2^30 as the ceiling is above 0.
            ((1.0 - f64::from(self.ceiling) / f64::from(peak)) * ONE as f64).ceil() as u32
        } else {
            0
        }
    }

    /// True peaks of the intervals after the samples `HALF - 1 + i` of a channel's history, folded into `peaks`.
    fn true_peaks(&self, x: &[f32], peaks: &mut [f32]) {
        let mut coarse = [0.0f32; STRIP];
        let coarse = &mut coarse[..peaks.len()];
        let from = HALF - INTERPOLATOR_TAPS / 2;
        self.coarse.raise(&x[from..from + peaks.len() + INTERPOLATOR_TAPS - 1], coarse);
        let near = COARSE_SURE * self.ceiling;
        for (i, (peak, here)) in peaks.iter_mut().zip(coarse).enumerate() {
            let seen = here.max(x[HALF + i].abs());
            if seen < near {
                continue;
            }
            *peak = peak.max(seen);
            for phase in 1..PHASES {
                *peak = peak.max(self.fine.point(phase, &x[i..i + TAPS]).abs());
            }
        }
    }
}

impl Filter for Limiter {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let rate_hz = f64::from(spec.rate_hz);
        let smooth_frames = ((self.params.lookahead_ms * rate_hz / 1000.0).round() as usize).max(2);
        self.ceiling = 10f64.powf(self.params.ceiling_dbtp / 20.0) as f32;
        self.shape = GainShape::new(smooth_frames, self.params.release_ms, rate_hz);
        let latency_frames = HALF + smooth_frames - 1 + HOLD;
        self.history = vec![vec![0.0; TAPS + STRIP]; spec.channels()];
        self.delays = vec![Delay::new(latency_frames); spec.channels()];
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let mut at = 0;
        while at < block.frames() {
            let count = STRIP.min(block.frames() - at);
            // Behind `TAPS - 1` old samples come the new ones. The interval that ends `HALF` samples before the newest is
            // the first that can be interpolated.
            let mut top = 0.0f32;
            for (history, samples) in self.history.iter_mut().zip(block.channels()) {
                let new = &samples[at..at + count];
                history[TAPS - 1..TAPS - 1 + count].copy_from_slice(new);
                // NaN would make its neighbours look like silence, infinity like NaN.
                for x in &mut history[TAPS - 1..TAPS - 1 + count] {
                    *x = if x.is_nan() { 0.0 } else { x.clamp(-1e9, 1e9) };
                }
                top = top.max(peak(&history[..TAPS - 1 + count]));
            }
            let mut peaks = [0.0f32; STRIP];
            let may_exceed = top * self.fine.norm.max(self.coarse.gain_bound()) > self.ceiling;
            if may_exceed {
                for history in &self.history {
                    self.true_peaks(history, &mut peaks[..count]);
                }
            }
            for (samples, delay) in block.channels_mut().zip(&mut self.delays) {
                delay.process(&mut samples[at..at + count]);
            }
            if may_exceed || !self.shape.is_idle() {
                let mut gains = [1.0f32; STRIP];
                for (gain, peak) in gains.iter_mut().zip(peaks).take(count) {
                    let needed = self.needed(peak);
                    *gain = self.shape.push(needed);
                }
                for samples in block.channels_mut() {
                    for (x, gain) in samples[at..at + count].iter_mut().zip(&gains) {
                        *x *= gain;
                    }
                }
            }
            for history in &mut self.history {
                history.copy_within(count..count + TAPS - 1, 0);
            }
            at += count;
        }
    }

    fn reset(&mut self) {
        self.history.iter_mut().for_each(|h| h.fill(0.0));
        self.delays.iter_mut().for_each(Delay::reset);
        self.shape.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    const RATE_HZ: u32 = 48_000;

    fn limit(params: &LimiterParams, planes: &[Vec<f32>]) -> (Vec<Vec<f32>>, usize) {
        let spec = Spec::new(RATE_HZ, ChannelLayout::from_count(planes.len()));
        let mut block = Buffer::from_channels(spec, planes);
        // Silence after the end, so that the output ends as the input does.
        block.append_silence(2_000);
        let mut f = Limiter::new(params);
        let prepared = f.prepare(spec, block.frames()).unwrap();
        f.process(&mut block);
        (block.channels().map(<[f32]>::to_vec).collect(), prepared.latency_frames)
    }

    /// Largest value of the band-limited signal between the samples, at 16 points per sample: an independent
    /// interpolator, 256 taps under a Blackman window, f64.
    fn true_peak(x: &[f32]) -> f64 {
        let half = 128i64;
        let mut top = 0.0f64;
        let kernels: Vec<Vec<f64>> = (0..16)
            .map(|p| {
                (-half + 1..=half)
                    .map(|k| {
                        let t = k as f64 - p as f64 / 16.0;
                        let w = std::f64::consts::PI * t / half as f64;
                        let sinc =
                            if t == 0.0 { 1.0 } else { (std::f64::consts::PI * t).sin() / (std::f64::consts::PI * t) };
                        sinc * (0.42 + 0.5 * w.cos() + 0.08 * (2.0 * w).cos())
                    })
                    .collect()
            })
            .collect();
        let at = |n: i64| usize::try_from(n).ok().and_then(|n| x.get(n)).map_or(0.0, |v| f64::from(*v));
        for n in -half..x.len() as i64 + half {
            for kernel in &kernels {
                let y: f64 = kernel.iter().zip(n - half + 1..).map(|(h, m)| h * at(m)).sum();
                top = top.max(y.abs());
            }
        }
        top
    }

    fn noise(count: usize, mut seed: u32) -> Vec<f32> {
        (0..count)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) as f32 / 8_388_608.0 - 1.0
            })
            .collect()
    }

    #[test]
    fn is_a_bit_exact_delay_below_the_ceiling() {
        // The loudest inter-sample peak of noise of +/-0.25 is under 0.25 times the norm of the interpolator.
        let x: Vec<f32> = noise(5_000, 1).iter().map(|v| v * 0.25).collect();
        let params = LimiterParams { ceiling_dbtp: -1.0, ..Default::default() };
        assert!(0.25 * FineInterpolator::new().norm < 0.89);
        let (y, latency) = limit(&params, std::slice::from_ref(&x));
        assert_eq!(&y[0][latency..5_000], &x[..5_000 - latency]);
        assert!(y[0][..latency].iter().all(|v| *v == 0.0));
    }

    #[test]
    fn becomes_bit_exact_again_after_a_peak() {
        let mut x: Vec<f32> = noise(96_000, 2).iter().map(|v| v * 0.2).collect();
        x[10_000] = 3.0;
        let (y, latency) = limit(&LimiterParams { release_ms: 20.0, ..Default::default() }, std::slice::from_ref(&x));
        let top = y[0].iter().fold(0.0f32, |m, v| m.max(v.abs()));
        assert!(top <= 0.891_251 && top > 0.85, "{top}");
        // 0.7 decays to 2^-16 in 11 time constants.
        let from = 10_000 + 48 * 20 * 12;
        assert_eq!(&y[0][from + latency..96_000], &x[from..96_000 - latency]);
        assert_eq!(&y[0][latency..latency + 9_000], &x[..9_000]);
    }

    /// Signals whose true peak is hard to see or hard to keep.
    fn hard_cases() -> Vec<(String, Vec<f32>, f64)> {
        let tone = |freq: f64, phase: f64, gain: f64, count: usize| -> Vec<f32> {
            (0..count).map(|n| (gain * (2.0 * std::f64::consts::PI * (freq * n as f64 + phase)).sin()) as f32).collect()
        };
        let mut cases = vec![("fs/4 at 45 degrees".to_owned(), tone(0.25, 0.125, 1.41, 3_000), 0.05)];
        for freq in [0.1667, 0.2, 0.3334, 0.4, 0.42, 0.437] {
            for phase in [0.0, 0.1, 0.25] {
                let mut x = tone(freq, phase, 1.8, 2_000);
                // Starting within one sample a tone has content up to the Nyquist frequency, where the slopes of the two
                // interpolators differ: 0.19 dB measured at 0.437 fs.
                cases.push((format!("{freq} fs, phase {phase}, sudden"), x.clone(), 0.2));
                for n in 0..100 {
                    let ramp = (std::f32::consts::PI * n as f32 / 200.0).sin().powi(2);
                    x[n] *= ramp;
                    x[1_999 - n] *= ramp;
                }
                cases.push((format!("{freq} fs, phase {phase}"), x, 0.05));
            }
        }
        // The classic worst case for sample-peak meters: alternating signs that turn once.
        let mut turn: Vec<f32> = (0..400).map(|n| if n % 2 == 0 { 0.8 } else { -0.8 }).collect();
        turn.iter_mut().skip(200).for_each(|x| *x = -*x);
        // Low-passed to 0.44 fs, where the two interpolators agree.
        let low = |x: &[f32]| -> Vec<f32> {
            let c = crate::dsp::biquad::Coefficients::butterworth_lowpass(48_000.0, 16_000.0, 8).unwrap();
            let mut y = x.to_vec();
            crate::dsp::biquad::Cascade::new(c, 1).process_channel(0, &mut y);
            y
        };
        cases.push(("turning Nyquist tone".to_owned(), low(&turn), 0.05));
        for seed in 1..6 {
            let gain = [0.9f32, 1.5, 3.0, 6.0, 12.0][seed as usize - 1];
            let x: Vec<f32> = low(&noise(4_000, seed).iter().map(|v| v * gain).collect::<Vec<_>>());
            cases.push((format!("noise times {gain}"), x, 0.05));
        }
        // Bursts out of silence, and hard-clipped squares.
        let mut burst = vec![0.0f32; 1_000];
        burst.extend(tone(0.24, 0.1, 2.5, 300));
        burst.extend(vec![0.0f32; 500]);
        cases.push(("burst".to_owned(), low(&burst), 0.05));
        let square: Vec<f32> =
            (0..3_000).map(|n| 1.4 * if (n as f64 * 0.0113).fract() < 0.5 { 1.0 } else { -1.0 }).collect();
        cases.push(("square".to_owned(), low(&square), 0.05));
        cases
    }

    #[test]
    fn true_peak_stays_under_the_ceiling() {
        for (ceiling_dbtp, lookahead_ms, release_ms) in [(-1.0, 2.0, 80.0), (-6.0, 0.5, 5.0), (-0.1, 5.0, 300.0)] {
            let params = LimiterParams { ceiling_dbtp, lookahead_ms, release_ms };
            let mut worst_db = f64::MIN;
            for (name, x, limit_db) in hard_cases() {
                let (y, _) = limit(&params, &[x]);
                let over_db = 20.0 * true_peak(&y[0]).log10() - ceiling_dbtp;
                worst_db = worst_db.max(over_db);
                assert!(over_db < limit_db, "{name}: {over_db:.3} dB over {ceiling_dbtp} dBTP, {lookahead_ms} ms");
            }
            println!("{params:?}: worst {worst_db:+.3} dB");
        }
    }

    #[test]
    fn a_steady_tone_is_lowered_to_the_ceiling_and_not_further() {
        // Raised and lowered slowly, so that its ends are not peaks of their own.
        let x: Vec<f32> = (0..8_000)
            .map(|n| 2.0 * (n as f32 * 0.13).sin() * (std::f32::consts::PI * n as f32 / 8_000.0).sin().min(0.6) / 0.6)
            .collect();
        let (y, _) = limit(&LimiterParams::default(), &[x]);
        let top_db = 20.0 * true_peak(&y[0]).log10();
        // The gain is that of the highest of 16 points per sample; the tone's period holds 770 of them.
        assert!((top_db + 1.0).abs() < 0.02, "{top_db}");
    }

    #[test]
    fn channels_share_the_gain() {
        let loud: Vec<f32> = (0..4_000).map(|n| 2.0 * (n as f32 * 0.13).sin()).collect();
        let soft: Vec<f32> = loud.iter().map(|x| x * 0.25).collect();
        let (y, _) = limit(&LimiterParams::default(), &[soft, loud]);
        assert!(y[0].iter().zip(&y[1]).all(|(a, b)| (4.0 * a - b).abs() < 1e-6));
    }

    #[test]
    fn sliding_maximum_is_that_of_the_plain_way() {
        let values: Vec<u32> = noise(500, 9).iter().map(|v| if *v > 0.3 { (v * 1000.0) as u32 } else { 0 }).collect();
        for window in [1, 2, 7, 100] {
            let mut sliding = SlidingMax::new(window);
            for n in 0..values.len() {
                let want = values[n.saturating_sub(window - 1)..=n].iter().max().copied().unwrap();
                assert_eq!(sliding.push(values[n]), want, "{window} {n}");
            }
        }
    }
}
