//! Reverberation by a feedback delay network.
//!
//! Sixteen delay lines, an orthogonal (Hadamard) feedback matrix and a low-pass in each line that sets the decay of low and
//! high frequencies: J.-M. Jot, A. Chaigne, "Digital Delay Networks for Designing Artificial Reverberators", 90th AES
//! Convention, 1991. Two all-pass filters before it raise the echo density from the start: M. R. Schroeder, "Natural
//! Sounding Artificial Reverberation", JAES 10(3), 1962.

use super::delay::Delay;
use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::kernels::{self, NETWORK_LINES, NetworkLowpass};
use crate::error::{Error, Result};

filter_params! {
    /// Adds the reverberation of a room.
    pub struct ReverbParams for "reverb" in Effects, realtime true {
        /// Time in which the reverberation falls by 60 dB (T60), below the damping.
        decay_s: f64 = 1.5, 0.1 to 20.0 "s";
        /// Size of the room: scales the lengths of the lines. 100 is a hall of some 25 m.
        size_percent: f64 = 60.0, 10.0 to 100.0 "%";
        /// Frequency above which the reverberation decays in a third of the time or less.
        damping_hz: f64 = 5000.0, 200.0 to 20000.0 "Hz";
        /// Silence before the reverberation.
        pre_delay_ms: f64 = 10.0, 0.0 to 500.0 "ms";
        /// Difference between the channels of the reverberation: 0 is the same on all, 100 unrelated.
        width_percent: f64 = 100.0, 0.0 to 100.0 "%";
        /// Share of the reverberation; the rest is the input.
        mix_percent: f64 = 25.0, 0.0 to 100.0 "%";
    }
}

/// Lines; a power of two for the Hadamard matrix.
const LINES: usize = NETWORK_LINES;

/// Lengths at a size of 100 % in ms: from 29 to 88, spaced evenly in octaves and shifted apart so that no small multiples
/// coincide. In frames they are made prime.
const LENGTHS_MS: [f64; LINES] =
    [29.3, 31.1, 33.9, 36.7, 39.1, 42.3, 45.7, 48.7, 52.9, 56.3, 60.7, 65.9, 70.3, 75.9, 81.7, 88.1];

/// Lengths of the all-pass filters before the network, in ms, and their gain.
const DIFFUSERS_MS: [f64; 2] = [4.77, 3.59];
const DIFFUSION: f32 = 0.6;

/// Most frames that are handled at once; the shortest line limits it further.
const PIECE_FRAMES: usize = 128;

/// One line.
#[derive(Debug, Clone, Default)]
struct Line {
    delay: Delay,
    frames: usize,
}

/// Schroeder all-pass before the network.
#[derive(Debug, Clone, Default)]
struct Diffuser {
    delay: Delay,
    frames: usize,
}

/// See [`ReverbParams`]. No latency. The tail is the decay to -100 dB. At most 16 channels: each hears the lines with signs
/// of its own, which are orthogonal, so that the channels are unrelated.
#[derive(Debug)]
pub struct Reverb {
    params: ReverbParams,
    lines: Vec<Line>,
    /// `g (1 - b) / (1 - b z^-1)` of each line.
    lowpass: NetworkLowpass,
    /// For each channel.
    diffusers: Vec<[Diffuser; 2]>,
    pre_delays: Vec<Delay>,
    /// Work: what comes out of the lines and, after the matrix, goes into them; one row for each.
    rows: Vec<f32>,
    /// Work: what goes in, one channel after the other.
    inputs: Vec<f32>,
    /// Factor with which noise comes out as loud as it goes in.
    level: f32,
    rate_hz: f64,
    piece_frames: usize,
    channels: usize,
}

impl Reverb {
    /// A reverberation of `params`.
    pub fn new(params: &ReverbParams) -> Self {
        Self {
            params: params.clone(),
            lines: Vec::new(),
            lowpass: NetworkLowpass::default(),
            diffusers: Vec::new(),
            pre_delays: Vec::new(),
            rows: Vec::new(),
            inputs: Vec::new(),
            level: 1.0,
            rate_hz: 48_000.0,
            piece_frames: 1,
            channels: 0,
        }
    }

    /// Gains and poles for the wanted decay: Jot and Chaigne 1991, section 3.
    fn update(&mut self) {
        let p = &self.params;
        let w = std::f64::consts::TAU * p.damping_hz.min(0.45 * self.rate_hz) / self.rate_hz;
        let mut lost = 0.0;
        for (index, line) in self.lines.iter().enumerate() {
            let per_pass = |t60_s: f64| 10f64.powf(-3.0 * line.frames as f64 / (t60_s * self.rate_hz));
            let low = per_pass(p.decay_s);
            // The low-pass has gain 1 at 0 Hz; at the damping frequency it takes as much as a third of the decay asks.
            let ratio = per_pass(p.decay_s / 3.0) / low;
            let (gain, pole) = (low as f32, one_pole(w, ratio) as f32);
            (self.lowpass.from[index], self.lowpass.pole[index]) = (gain * (1.0 - pole), pole);
            lost += (1.0 - low * low) / LINES as f64;
        }
        // An impulse puts an energy of 1 into the lines; each pass brings a sixteenth of what is left to a channel, and
        // `lost` of it is gone: 1 / (16 lost) in all.
        self.level = (LINES as f64 * lost).sqrt() as f32;
    }
}

/// Pole `b` of `(1 - b) / (1 - b z^-1)` whose magnitude at `w` rad per frame is `ratio`, below 1.
///
/// `(1 - b)^2 = ratio^2 (1 - 2 b cos w + b^2)` is a quadratic equation in `b`.
fn one_pole(w: f64, ratio: f64) -> f64 {
    let r = (ratio * ratio).clamp(1e-12, 1.0 - 1e-9);
    let half = (1.0 - r * w.cos()) / (1.0 - r);
    (half - (half * half - 1.0).max(0.0).sqrt()).clamp(0.0, 0.999_9)
}

/// `-1` or `1`: row `channel` of the Hadamard matrix at column `line`.
fn sign(channel: usize, line: usize) -> f32 {
    if (channel & line).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 }
}

/// Row of the matrix whose signs the input of `channel` has: the channel's number times 2 in the field of 16 elements.
///
/// No two channels then differ by the same lines in what they put in and in what they hear, so that a sound that is the
/// same on both sides still comes out different.
fn injection_row(channel: usize) -> usize {
    let doubled = channel << 1;
    (LINES - 1) ^ if doubled >= LINES { doubled ^ 0b10011 } else { doubled }
}

/// The least prime from `n` on.
fn prime_from(n: usize) -> usize {
    let is_prime = |n: usize| n >= 2 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
    (n.max(2)..).find(|n| is_prime(*n)).unwrap_or(n)
}

impl Filter for Reverb {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        if spec.channels() > LINES {
            return Err(Error::OutOfRange {
                name: "channels of the filter reverb".into(),
                value: spec.channels() as f64,
                min: 1.0,
                max: LINES as f64,
                unit: "",
            });
        }
        let p = self.params.clone();
        self.rate_hz = f64::from(spec.rate_hz);
        self.channels = spec.channels();
        let frames = |ms: f64| (ms * self.rate_hz / 1_000.0).round() as usize;
        let mut last = 0;
        self.lines = LENGTHS_MS
            .iter()
            .map(|ms| {
                // Never twice the same prime, even in a small room at a low rate.
                last = prime_from(frames(ms * p.size_percent / 100.0).max(last + 1));
                Line { delay: Delay::new(last), frames: last }
            })
            .collect();
        let diffuser = |ms: &f64| {
            let frames = prime_from(frames(ms * (0.5 + p.size_percent / 200.0)));
            Diffuser { delay: Delay::new(frames), frames }
        };
        self.diffusers = vec![DIFFUSERS_MS.each_ref().map(diffuser); self.channels];
        self.pre_delays = vec![Delay::new(frames(p.pre_delay_ms)); self.channels];
        let shortest = self.lines.iter().map(|l| l.frames).chain(self.diffusers[0].iter().map(|d| d.frames)).min();
        self.piece_frames = shortest.unwrap_or(1).clamp(1, PIECE_FRAMES);
        self.rows = vec![0.0; LINES * self.piece_frames];
        self.inputs = Vec::with_capacity(self.channels * self.piece_frames);
        self.reset();
        // -100 dB, and as long again as the longest way through the lines and the diffusers.
        let tail_s = p.decay_s * 100.0 / 60.0 + p.pre_delay_ms / 1_000.0 + 0.25;
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: (tail_s * self.rate_hz) as usize })
    }

    fn process(&mut self, block: &mut Buffer) {
        if self.channels == 0 || block.channel_count() != self.channels {
            return;
        }
        let mut start = 0;
        while start < block.frames() {
            let count = self.piece_frames.min(block.frames() - start);
            self.process_piece(block, start, count);
            start += count;
        }
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        // Size and pre-delay decide lengths.
        let set = index != 1 && index != 3 && self.params.set_number(index, value);
        if set {
            self.update();
        }
        set
    }

    fn reset(&mut self) {
        self.lines.iter_mut().for_each(|line| line.delay.reset());
        self.lowpass.reset();
        self.diffusers.iter_mut().flatten().for_each(|d| d.delay.reset());
        self.pre_delays.iter_mut().for_each(Delay::reset);
        self.update();
    }
}

impl Reverb {
    /// At most as many frames as the shortest line is long: what comes out of the lines is known from the start.
    fn process_piece(&mut self, block: &mut Buffer, start: usize, count: usize) {
        let wet = (self.params.mix_percent / 100.0) as f32;
        let (dry, width) = (1.0 - wet, (self.params.width_percent / 100.0) as f32);
        let level = wet * self.level;
        let stride = self.piece_frames;
        for (line, row) in self.lines.iter().zip(self.rows.chunks_exact_mut(stride)) {
            line.delay.peek(&mut row[..count]);
        }
        self.lowpass.run(&mut self.rows, stride, count);
        kernels::hadamard(&mut self.rows, stride, count);
        // Heard is what comes out of the matrix, before anything goes in.
        self.inputs.clear();
        for channel in 0..self.channels {
            let samples = &mut block.channel_mut(channel)[start..start + count];
            let at = self.inputs.len();
            self.inputs.extend(samples.iter().map(|x| if x.abs() < 1e6 { *x } else { 0.0 }));
            // The rows of the matrix are orthogonal: row c is what channel c hears, row 0 what all hear in common.
            let (common, own) = (&self.rows[..count], &self.rows[channel * stride..][..count]);
            for ((x, a), b) in samples.iter_mut().zip(common).zip(own) {
                *x = dry * *x + level * (a + width * (b - a));
            }
            let input = &mut self.inputs[at..];
            self.pre_delays[channel].process(input);
            for diffuser in &mut self.diffusers[channel] {
                diffuser.process(input);
            }
        }
        for (channel, input) in self.inputs.chunks_exact(count).enumerate() {
            let gains = std::array::from_fn(|line| 0.25 * sign(injection_row(channel), line));
            kernels::inject(&mut self.rows, stride, &gains, input);
        }
        for (line, row) in self.lines.iter_mut().zip(self.rows.chunks_exact(stride)) {
            line.delay.feed(&row[..count]);
        }
    }
}

impl Diffuser {
    /// `y = -g x + (1 - g^2) w z^-D`, `w = x + g w z^-D`, in place. At most as many frames as its delay.
    fn process(&mut self, samples: &mut [f32]) {
        let mut old = [0.0f32; PIECE_FRAMES];
        let old = &mut old[..samples.len()];
        self.delay.peek(old);
        for (x, d) in samples.iter_mut().zip(old.iter_mut()) {
            let w = *x + DIFFUSION * *d;
            *x = *d - DIFFUSION * w;
            *d = if w.abs() > 1e-20 { w } else { 0.0 };
        }
        self.delay.feed(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    fn impulse_response(params: &ReverbParams, seconds: f64) -> (Vec<f32>, Vec<f32>) {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let frames = (seconds * 48_000.0) as usize;
        let mut f = Reverb::new(params);
        f.prepare(spec, frames).unwrap();
        let mut block = Buffer::from_channels(spec, &[vec![0.0; frames], vec![0.0; frames]]);
        block.channel_mut(0)[0] = 1.0;
        f.process(&mut block);
        (block.channel(0).to_vec(), block.channel(1).to_vec())
    }

    /// T60 by a line through the backward integral of the squares from -5 to -35 dB: ISO 3382-1:2009, 5.3.3 (T30).
    fn t60_s(h: &[f32]) -> f64 {
        let mut sum = 0.0;
        let mut decay: Vec<f64> = h
            .iter()
            .rev()
            .map(|y| {
                sum += f64::from(*y) * f64::from(*y);
                sum
            })
            .collect();
        decay.reverse();
        let at = |db: f64| decay.iter().position(|e| 10.0 * (e / decay[0]).log10() <= db).unwrap() as f64;
        2.0 * (at(-35.0) - at(-5.0)) / 48_000.0
    }

    #[test]
    fn the_reverberation_takes_the_time_it_should() {
        for decay_s in [0.5, 1.5, 4.0] {
            let params = ReverbParams { decay_s, damping_hz: 20_000.0, mix_percent: 100.0, ..ReverbParams::default() };
            let (left, _) = impulse_response(&params, 2.0 * decay_s);
            // Low frequencies, below the damping: a running mean over 12 frames has its first zero at 4 kHz.
            let low: Vec<f32> = left.windows(12).map(|w| w.iter().sum::<f32>() / 12.0).collect();
            let got = t60_s(&low);
            // A network of 16 lines has a ragged decay: 5 % is what ISO 3382-1 calls a just noticeable difference.
            assert!((got / decay_s - 1.0).abs() < 0.05, "{decay_s}: {got}");
        }
    }

    #[test]
    fn high_frequencies_decay_faster() {
        let params = ReverbParams { decay_s: 3.0, damping_hz: 3_000.0, mix_percent: 100.0, ..ReverbParams::default() };
        let (left, _) = impulse_response(&params, 5.0);
        let high: Vec<f32> = left.windows(3).map(|w| w[0] - 2.0 * w[1] + w[2]).collect();
        assert!(t60_s(&high) < 1.5, "{}", t60_s(&high));
    }

    #[test]
    fn noise_comes_out_about_as_loud_as_it_went_in_and_the_sides_differ() {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        for decay_s in [0.5, 5.0] {
            let params = ReverbParams { decay_s, damping_hz: 20_000.0, mix_percent: 100.0, ..ReverbParams::default() };
            let mut f = Reverb::new(&params);
            let frames = 480_000;
            f.prepare(spec, frames).unwrap();
            let mut seed = 1u32;
            let noise = |_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) as f32 / 8_388_608.0 - 1.0
            };
            let x: Vec<f32> = (0..frames).map(noise).collect();
            let mut block = Buffer::from_channels(spec, &[x.clone(), x]);
            f.process(&mut block);
            let late = |c: usize| &block.channel(c)[240_000..];
            let power = |y: &[f32]| y.iter().map(|y| f64::from(*y).powi(2)).sum::<f64>() / y.len() as f64;
            // Noise has a power of 1/3. Both channels have the same: up to 3 dB more. The damping makes high frequencies decay in
            // a third of the time, which takes up to 4.8 dB; 2 dB for the scatter of few lines.
            let db = 10.0 * (power(late(0)) * 3.0).log10();
            assert!((-6.8..5.0).contains(&db), "{decay_s}: {db}");
            let cross: f64 =
                late(0).iter().zip(late(1)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() / 240_000.0;
            assert!((cross / power(late(0))).abs() < 0.3, "{decay_s}: {cross}");
        }
    }

    #[test]
    fn the_pole_has_the_wanted_magnitude() {
        for (w, ratio) in [(0.1, 0.9), (1.0, 0.5), (2.5, 0.3)] {
            let b = one_pole(w, ratio);
            let magnitude = (1.0 - b) / (1.0 - 2.0 * b * f64::cos(w) + b * b).sqrt();
            assert!((magnitude - ratio).abs() < 1e-12 || b == 0.999_9, "{w} {ratio} {b} {magnitude}");
        }
    }
}
