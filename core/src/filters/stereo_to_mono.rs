//! Stereo to mono that survives opposite phase.
//!
//! The average of left and right cancels what the two sides carry in opposite phase: a cable soldered the wrong way round
//! leaves nothing. Here the correlation of the sides is followed (sums of `L R`, `L^2`, `R^2` over 10 ms, smoothed); where
//! it falls below minus the threshold the right side is inverted, and turned back where it rises above the threshold. The
//! decision looks ahead by the latency, so the first word is not lost, and the right side glides through zero in 20 ms
//! instead of jumping. With `bands` "four" each of four bands (split by [`super::crossover`]) decides on its own: for
//! stereo effects that turn the phase of some frequencies only.

use super::channel_list::check_stereo;
use super::crossover::{CrossoverOrder, Splitter};
use super::delay::Delay;
use super::params::{FilterParams, filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::Result;

filter_choice! {
    /// How many decisions about the phase there are.
    pub enum MonoBands {
        Full = "full": "One for the whole sound: the plain average, bit for bit, while the sides are in phase.",
        Four = "four": "One for each of four bands, split at 200, 1000 and 4000 Hz; turns the phase as a crossover does.",
    }
}

filter_params! {
    /// Mixes stereo to mono and inverts one side where the two would cancel each other.
    pub struct StereoToMonoParams for "stereo_to_mono" in Space, realtime true {
        /// How many decisions about the phase there are.
        bands: MonoBands = MonoBands::Full;
        /// The right side is inverted when the correlation falls below minus this, and turned back above it.
        threshold: f64 = 0.3, 0.05 to 0.95 "";
        /// Time constant of the correlation.
        window_ms: f64 = 200.0, 20.0 to 2000.0 "ms";
        /// How much earlier the correlation is known than the sound is heard; adds as much latency.
        lookahead_ms: f64 = 100.0, 0.0 to 500.0 "ms";
    }
}

/// Where the four bands meet, in Hz.
const SPLITS_HZ: [f64; 3] = [200.0, 1000.0, 4000.0];
/// Length of one sum, in ms.
const HOP_MS: f64 = 10.0;
/// Time in which the right side turns, in ms.
const TURN_MS: f64 = 20.0;
/// Mean square of both sides under which nothing is decided: -80 dBFS.
const SILENCE: f64 = 1e-8;

/// Correlation and polarity of one band.
#[derive(Debug, Clone, Default)]
struct Band {
    /// Sums of the present hop: `L^2`, `R^2`, `L R`.
    sums: [f64; 3],
    /// The same, smoothed.
    smooth: [f64; 3],
    /// Something has been heard.
    heard: bool,
    /// 1 or -1: where the polarity goes.
    wanted: f32,
    /// Present factor of the right side.
    polarity: f32,
    delays: [Delay; 2],
}

/// See [`StereoToMonoParams`]. Takes stereo, gives mono. Latency is the look-ahead. NaN and infinity count as silence for the
/// decision.
pub struct StereoToMono {
    params: StereoToMonoParams,
    output: Spec,
    splitter: Option<Splitter>,
    parts: Vec<Buffer>,
    bands: Vec<Band>,
    hop_frames: usize,
    /// Frames of the present hop.
    filled: usize,
    keep: f64,
    /// Change of the polarity for each frame.
    step: f32,
    latency_frames: usize,
}

impl StereoToMono {
    /// A mix of `params`.
    pub fn new(params: &StereoToMonoParams) -> Self {
        Self {
            params: params.clone(),
            output: Spec::new(48_000, ChannelLayout::MONO),
            splitter: None,
            parts: Vec::new(),
            bands: Vec::new(),
            hop_frames: 1,
            filled: 0,
            keep: 0.0,
            step: 0.0,
            latency_frames: 0,
        }
    }

    fn update(&mut self) {
        self.keep = (-HOP_MS / self.params.window_ms).exp();
    }
}

impl Band {
    /// Adds frames that lie within one hop.
    fn listen(&mut self, left: &[f32], right: &[f32]) {
        let [mut ll, mut rr, mut lr] = self.sums;
        for (l, r) in left.iter().zip(right) {
            // NaN fails the comparison.
            let good = l.abs() < 1e6 && r.abs() < 1e6;
            let (l, r) = if good { (f64::from(*l), f64::from(*r)) } else { (0.0, 0.0) };
            ll += l * l;
            rr += r * r;
            lr += l * r;
        }
        self.sums = [ll, rr, lr];
    }

    /// Decides at the end of a hop.
    fn decide(&mut self, hop_frames: usize, keep: f64, threshold: f64) {
        for (smooth, sum) in self.smooth.iter_mut().zip(&mut self.sums) {
            let mean = std::mem::take(sum) / hop_frames as f64;
            *smooth = mean + keep * (*smooth - mean);
            // Ends the decay before denormal numbers.
            if smooth.abs() < 1e-30 {
                *smooth = 0.0;
            }
        }
        let [ll, rr, lr] = self.smooth;
        if ll + rr < SILENCE {
            return;
        }
        let correlation = lr / (ll * rr).sqrt().max(1e-30);
        if correlation < -threshold {
            self.wanted = -1.0;
        } else if correlation > threshold {
            self.wanted = 1.0;
        }
        // Before the first sound there is nothing to glide from.
        if !std::mem::replace(&mut self.heard, true) {
            self.polarity = self.wanted;
        }
    }

    /// Delays both sides and adds their mix to `out`.
    fn mix(&mut self, left: &mut [f32], right: &mut [f32], step: f32, out: &mut [f32]) {
        let [first, second] = &mut self.delays;
        first.process(left);
        second.process(right);
        for ((y, l), r) in out.iter_mut().zip(left.iter()).zip(right.iter()) {
            let way = self.wanted - self.polarity;
            self.polarity += way.clamp(-step, step);
            *y += 0.5 * (*l + self.polarity * *r);
        }
    }

    fn reset(&mut self) {
        (self.sums, self.smooth, self.heard) = ([0.0; 3], [0.0; 3], false);
        (self.wanted, self.polarity) = (1.0, 1.0);
        self.delays.iter_mut().for_each(Delay::reset);
    }
}

impl Filter for StereoToMono {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        check_stereo("layout for the filter stereo_to_mono", spec)?;
        let rate_hz = f64::from(spec.rate_hz);
        let frames = |ms: f64| (ms * rate_hz / 1000.0).round() as usize;
        let splits = SPLITS_HZ.map(|f| f.min(0.45 * rate_hz));
        self.splitter = match self.params.bands {
            MonoBands::Full => None,
            MonoBands::Four => Some(Splitter::new(spec, &splits, CrossoverOrder::Lr4)?),
        };
        let bands = self.splitter.as_ref().map_or(1, Splitter::bands);
        self.latency_frames = frames(self.params.lookahead_ms);
        self.parts = vec![Buffer::new(spec, max_frames); bands];
        let delay = Delay::new(self.latency_frames);
        self.bands = vec![Band { delays: [delay.clone(), delay], ..Default::default() }; bands];
        self.hop_frames = frames(HOP_MS).max(1);
        self.step = (2.0 / (TURN_MS * rate_hz / 1000.0)) as f32;
        self.output = Spec::new(spec.rate_hz, ChannelLayout::MONO);
        self.update();
        self.reset();
        let tail_frames = self.splitter.as_ref().map_or(0, Splitter::tail_frames);
        Ok(Prepared { spec: self.output, max_frames, latency_frames: self.latency_frames, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        if self.bands.is_empty() {
            return;
        }
        let frames = block.frames();
        match &mut self.splitter {
            Some(splitter) => splitter.split(block, &mut self.parts),
            None => self.parts[0].copy_from(block, 0, frames),
        }
        block.set_spec(self.output);
        block.set_frames(frames);
        let out = block.channel_mut(0);
        out.fill(0.0);
        let mut at = 0;
        while at < frames {
            let count = (self.hop_frames - self.filled).min(frames - at);
            self.filled += count;
            let end = self.filled == self.hop_frames;
            for (band, part) in self.bands.iter_mut().zip(&mut self.parts) {
                let Some((left, right)) = part.stereo_mut() else { continue };
                let (left, right) = (&mut left[at..at + count], &mut right[at..at + count]);
                band.listen(left, right);
                band.mix(left, right, self.step, &mut out[at..at + count]);
                if end {
                    band.decide(self.hop_frames, self.keep, self.params.threshold);
                }
            }
            if end {
                self.filled = 0;
            }
            at += count;
        }
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        // The look-ahead decides the latency.
        let set = index != 3 && self.params.set_number(index, value);
        if set {
            self.update();
        }
        set
    }

    fn reset(&mut self) {
        self.filled = 0;
        self.bands.iter_mut().for_each(Band::reset);
        if let Some(splitter) = &mut self.splitter {
            splitter.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(params: &StereoToMonoParams, left: &[f32], right: &[f32]) -> (Vec<f32>, usize) {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let mut block = Buffer::from_channels(spec, &[left.to_vec(), right.to_vec()]);
        let mut f = StereoToMono::new(params);
        let latency = f.prepare(spec, left.len()).unwrap().latency_frames;
        f.process(&mut block);
        assert_eq!(block.channel_count(), 1);
        (block.channel(0)[latency..].to_vec(), latency)
    }

    fn noise(count: u32, seed: u32) -> Vec<f32> {
        (0..count).map(|n| ((n ^ seed).wrapping_mul(2_654_435_761) >> 9) as f32 / 8_388_608.0 - 0.5).collect()
    }

    fn tone(freq_hz: f64, count: u32) -> Vec<f32> {
        (0..count).map(|n| (0.5 * (freq_hz * std::f64::consts::TAU * f64::from(n) / 48_000.0).sin()) as f32).collect()
    }

    fn rms(x: &[f32]) -> f64 {
        (x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / x.len() as f64).sqrt()
    }

    fn negative(x: &[f32]) -> Vec<f32> {
        x.iter().map(|v| -v).collect()
    }

    #[test]
    fn in_phase_or_unrelated_sides_give_the_plain_average() {
        let (l, r) = (noise(30_000, 1), noise(30_000, 0x5555));
        for right in [&l, &r] {
            let (y, latency) = run(&StereoToMonoParams::default(), &l, right);
            assert_eq!(latency, 4_800);
            for (n, y) in y.iter().enumerate() {
                assert_eq!(*y, 0.5 * (l[n] + right[n]));
            }
        }
    }

    #[test]
    fn opposite_phase_survives_from_the_first_sample() {
        let mut l = vec![0.0; 5_000];
        l.extend(noise(30_000, 7));
        let (y, _) = run(&StereoToMonoParams::default(), &l, &negative(&l));
        // The whole of the left side: the decision fell before the sound came out.
        assert!(y.iter().zip(&l).all(|(y, x)| y == x));
        // The plain average would be silence.
        assert!(rms(&y[5_000..]) > 0.2);
    }

    #[test]
    fn a_change_of_phase_within_the_sound_is_followed_without_a_click() {
        let x = tone(300.0, 96_000);
        let right: Vec<f32> = x.iter().enumerate().map(|(n, v)| if n < 48_000 { *v } else { -*v }).collect();
        let (y, _) = run(&StereoToMonoParams::default(), &x, &right);
        assert!((rms(&y[4_000..40_000]) - rms(&x[4_000..40_000])).abs() < 1e-6);
        assert!((rms(&y[70_000..90_000]) - rms(&x[70_000..90_000])).abs() < 1e-6);
        // The right side itself jumps at the change; apart from that no step exceeds that of the tone by more than the glide.
        let step = y.windows(2).enumerate().filter(|(n, _)| !(47_990..48_010).contains(n));
        let largest = step.map(|(_, w)| (w[1] - w[0]).abs()).fold(0.0f32, f32::max);
        assert!(largest < 0.025, "{largest}"); // the tone has 0.0196
    }

    #[test]
    fn four_bands_decide_on_their_own() {
        let (low, high) = (tone(80.0, 96_000), tone(8_000.0, 96_000));
        // Bass in opposite phase, highs in phase.
        let left: Vec<f32> = low.iter().zip(&high).map(|(a, b)| a + b).collect();
        let right: Vec<f32> = low.iter().zip(&high).map(|(a, b)| b - a).collect();
        let level = |bands| {
            let (y, _) = run(&StereoToMonoParams { bands, ..Default::default() }, &left, &right);
            rms(&y[48_000..]) / rms(&left[48_000..])
        };
        // The average loses the bass, thus half of the power; four bands keep all (LR4 leaks -32 dB at 80 Hz).
        assert!((level(MonoBands::Full) - 0.5f64.sqrt()).abs() < 0.01, "{}", level(MonoBands::Full));
        assert!((level(MonoBands::Four) - 1.0).abs() < 0.02, "{}", level(MonoBands::Four));
    }
}
