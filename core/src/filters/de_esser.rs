//! De-esser: turns down the sibilant band while it stands out.
//!
//! `y = x - (1 - g) (x - l)`, with `l` what a Butterworth low-pass of second order leaves below the frequency and `g` the
//! gain of the band above: a shelf that moves. (The complement of a low-pass is nearly in phase with the sound above the
//! frequency, so the band really falls by `g`; a high-pass of second order leads by up to 90 degrees there and would not
//! cancel.) While nothing stands out `g` is 1 and the sound passes bit for bit, without the phase turn of a crossover. The
//! detector has a high-pass of second order. What stands out is told from the level of the voice itself, so the same
//! settings suit loud and quiet recordings.

use std::f64::consts::FRAC_1_SQRT_2;

use fearless_simd::{Simd, dispatch};

use super::cells::{CELL_FRAMES, Cells};
use super::detector::follow;
use super::math::{DB_PER_OCTAVE, exp2, log2, smoothing};
use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::biquad::Coefficients;
use crate::dsp::kernels;
use crate::dsp::tail::tail_frames;
use crate::error::Result;

filter_params! {
    /// Tames sharp S sounds: lowers the high band while it stands out from the voice.
    pub struct DeEsserParams for "de_esser" in Dynamics, realtime true {
        /// Lower end of the band that is lowered.
        frequency_hz: f64 = 5500.0, 1500.0 to 16000.0 "Hz";
        /// Level of the band, relative to the average level of the voice, above which it is lowered.
        threshold_db: f64 = -14.0, -50.0 to 12.0 "dB";
        /// Input over output change of the band above the threshold.
        ratio: f64 = 3.0, 1.0 to 20.0 "";
        /// Most reduction of the band.
        range_db: f64 = 9.0, 0.0 to 30.0 "dB";
        /// Time to cover 63 % of a reduction.
        attack_ms: f64 = 1.0, 0.05 to 50.0 "ms";
        /// Time to cover 63 % of a recovery.
        release_ms: f64 = 40.0, 1.0 to 1000.0 "ms";
    }
}

/// Butterworth low-pass and high-pass of second order of one frequency: they have the same poles, so one recursion serves
/// both. Direct form II, with the state scaled so that a change of the frequency does not change what is low.
#[derive(Debug, Clone, Copy, Default)]
struct Halves {
    a1: f64,
    a2: f64,
    /// Gain of the low-pass, and that of the high-pass over it.
    low: f64,
    high_over_low: f64,
}

impl Halves {
    /// For a frequency under 0.45 of the rate; none otherwise: a narrow-band recording has no such band.
    fn new(rate_hz: f64, frequency_hz: f64) -> Option<Self> {
        if frequency_hz >= 0.45 * rate_hz {
            return None;
        }
        let low = Coefficients::lowpass(rate_hz, frequency_hz, FRAC_1_SQRT_2).ok()?;
        let high = Coefficients::highpass(rate_hz, frequency_hz, FRAC_1_SQRT_2).ok()?;
        Some(Self { a1: low.a1, a2: low.a2, low: low.b0, high_over_low: high.b0 / low.b0 })
    }

    /// Splits a channel; `state` are the last two values of its recursion.
    fn run(self, state: &mut [f64; 2], samples: &[f32], high: &mut [f32], low: &mut [f32]) {
        let [mut w1, mut w2] = *state;
        for ((x, high), low) in samples.iter().zip(high).zip(low) {
            let w = (self.low * f64::from(*x) - self.a2 * w2) - self.a1 * w1;
            let (outer, inner) = (w + w2, w1 + w1);
            *low = (outer + inner) as f32;
            *high = (self.high_over_low * (outer - inner)) as f32;
            (w2, w1) = (w1, w);
        }
        // What is not finite would stay, what has decayed become denormal.
        *state = [w1, w2].map(|w| if w.abs() > 1e-100 && w.is_finite() { w } else { 0.0 });
    }
}

/// The static curve, in octaves (6.02 dB).
#[derive(Debug, Clone, Copy, Default)]
struct Excess {
    threshold: f32,
    slope: f32,
    range: f32,
}

impl Excess {
    /// From mean squares of the band, of the last words and of the voice to reductions of the band, in place.
    #[inline(always)]
    fn reductions<S: Simd>(self, _: S, band: &mut [f32], word: &[f32], voice: &[f32]) {
        for ((o, v), w) in band.iter_mut().zip(voice).zip(word) {
            // At the first word the slow average knows nothing yet.
            let v = if *v > *w { *v } else { *w };
            // -70 dBFS: where the voice is silent, hiss must not count as sibilance.
            let v = if v > 1e-7 { v } else { 1e-7 };
            let excess = self.slope * (0.5 * (log2(*o) - log2(v)) - self.threshold);
            let excess = if excess < self.range { excess } else { self.range };
            *o = if excess > 0.0 { excess } else { 0.0 };
        }
    }
}

/// From reductions to the share that is taken out, in place.
#[inline(always)]
fn cuts<S: Simd>(_: S, level: &mut [f32]) {
    for l in level {
        *l = 1.0 - exp2(-*l);
    }
}

/// Adds the squares of a channel. NaN and what is far beyond full scale count as silence.
#[inline(always)]
fn add_squares<S: Simd>(_: S, samples: &[f32], sum: &mut [f32]) {
    for (s, x) in sum.iter_mut().zip(samples) {
        *s += if x.abs() < 1e6 { x * x } else { 0.0 };
    }
}

/// Mean squares: of the band over 3 ms, of the voice over 20 and 500 ms.
#[derive(Debug, Clone, Copy, Default)]
struct Means {
    state: [f64; 3],
    keep: [f64; 3],
}

impl Means {
    /// Averages all three in place; `word` gets its values from `voice`. One loop, so that they wait together.
    fn run(&mut self, band: &mut [f32], word: &mut [f32], voice: &mut [f32]) {
        let ([mut b, mut w, mut v], keep) = (self.state, self.keep);
        let share = keep.map(|k| 1.0 - k);
        for ((band, word), voice) in band.iter_mut().zip(word).zip(voice) {
            // The constant is -250 dBFS: it keeps the decay from reaching denormal numbers.
            b = keep[0] * b + (share[0] * f64::from(*band) + 1e-25);
            w = keep[1] * w + (share[1] * f64::from(*voice) + 1e-25);
            v = keep[2] * v + (share[2] * f64::from(*voice) + 1e-25);
            (*band, *word, *voice) = (b as f32, w as f32, v as f32);
        }
        self.state = [b, w, v];
    }
}

/// See [`DeEsserParams`]. All channels share one gain. No latency.
#[derive(Debug)]
pub struct DeEsser {
    params: DeEsserParams,
    rate_hz: f64,
    cells: Cells,
    halves: Option<Halves>,
    /// States of the channels and of those of the key.
    states: Vec<[f64; 2]>,
    key_states: Vec<[f64; 2]>,
    /// What is left of each channel without the band, for the present piece.
    low: Vec<[f32; CELL_FRAMES]>,
    excess: Excess,
    means: Means,
    attack: f64,
    release: f64,
    reduction: f64,
}

impl DeEsser {
    /// A de-esser of `params`.
    pub fn new(params: &DeEsserParams) -> Self {
        Self {
            params: params.clone(),
            rate_hz: 48_000.0,
            cells: Cells::default(),
            halves: None,
            states: Vec::new(),
            key_states: Vec::new(),
            low: Vec::new(),
            excess: Excess::default(),
            means: Means::default(),
            attack: 0.0,
            release: 0.0,
            reduction: 0.0,
        }
    }

    fn update(&mut self) {
        let (p, rate_hz) = (&self.params, self.rate_hz);
        self.halves = Halves::new(rate_hz, p.frequency_hz);
        self.excess = Excess {
            threshold: p.threshold_db as f32 / DB_PER_OCTAVE,
            slope: (1.0 - 1.0 / p.ratio) as f32,
            range: p.range_db as f32 / DB_PER_OCTAVE,
        };
        self.means.keep = [3.0, 20.0, 500.0].map(|ms| smoothing(ms, rate_hz));
        self.attack = smoothing(p.attack_ms, rate_hz);
        self.release = smoothing(p.release_ms, rate_hz);
    }

    fn run(&mut self, block: &mut Buffer, key: Option<&Buffer>) {
        let Some(halves) = self.halves else { return };
        let (states, key_states, low) = (&mut self.states, &mut self.key_states, &mut self.low);
        let (excess, means, reduction) = (self.excess, &mut self.means, &mut self.reduction);
        let (attack, release) = (self.attack, self.release);
        let (mut over, mut voice) = ([0.0f32; CELL_FRAMES], [0.0f32; CELL_FRAMES]);
        let (mut word, mut high, mut unused) = (over, over, over);
        let simd = kernels::level();
        let frames = key.map_or(block.frames(), |k| k.frames().min(block.frames()));
        self.cells.for_each(frames, |piece, _| {
            let count = piece.len();
            let (over, voice, word) = (&mut over[..count], &mut voice[..count], &mut word[..count]);
            let high = &mut high[..count];
            over.fill(0.0);
            voice.fill(0.0);
            for ((samples, state), low) in block.channels().zip(states.iter_mut()).zip(low.iter_mut()) {
                let samples = &samples[piece.clone()];
                halves.run(state, samples, high, &mut low[..count]);
                if key.is_none() {
                    dispatch!(simd, simd => add_squares(simd, high, over));
                    dispatch!(simd, simd => add_squares(simd, samples, voice));
                }
            }
            for (samples, state) in key.iter().flat_map(|key| key.channels()).zip(key_states.iter_mut()) {
                let samples = &samples[piece.clone()];
                halves.run(state, samples, high, &mut unused[..count]);
                dispatch!(simd, simd => add_squares(simd, high, over));
                dispatch!(simd, simd => add_squares(simd, samples, voice));
            }
            means.run(over, word, voice);
            dispatch!(simd, simd => excess.reductions(simd, over, word, voice));
            follow(over, reduction, attack, release);
            dispatch!(simd, simd => cuts(simd, over));
            for (samples, low) in block.channels_mut().zip(low.iter()) {
                for ((x, cut), l) in samples[piece.clone()].iter_mut().zip(over.iter()).zip(low) {
                    *x -= *cut * (*x - *l);
                }
            }
        });
    }
}

impl Filter for DeEsser {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        self.states = vec![[0.0; 2]; spec.channels()];
        self.key_states = self.states.clone();
        self.low = vec![[0.0; CELL_FRAMES]; spec.channels()];
        self.update();
        self.reset();
        // The low-pass of the lowest frequency that a live value may bring rings longest.
        let low = Coefficients::lowpass(self.rate_hz, 1_500.0, FRAC_1_SQRT_2).ok();
        let tail_frames = low.map_or(0, |low| tail_frames(&[low]));
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        self.run(block, None);
    }

    /// A key with more channels than the block is heard in as many as the block has.
    fn process_keyed(&mut self, block: &mut Buffer, key: &Buffer) {
        self.run(block, Some(key));
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set {
            self.update();
        }
        set
    }

    fn reset(&mut self) {
        self.states.fill([0.0; 2]);
        self.key_states.fill([0.0; 2]);
        self.cells.reset();
        (self.means.state, self.reduction) = ([0.0; 3], 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    fn run(x: Vec<f32>) -> Vec<f32> {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut f = DeEsser::new(&DeEsserParams::default());
        let mut block = Buffer::from_channels(spec, &[x]);
        f.prepare(spec, block.frames()).unwrap();
        f.process(&mut block);
        block.channel(0).to_vec()
    }

    /// A vowel-like tone of 200 Hz, and from one second on an S-like tone of 8 kHz.
    fn speech(gain: f32) -> Vec<f32> {
        (0..96_000)
            .map(|n| {
                let t = n as f32 / 48_000.0;
                let vowel = 0.3 * (1256.637 * t).sin();
                let s = if n >= 48_000 { 0.3 * (50_265.48 * t).sin() } else { 0.0 };
                gain * (vowel + s)
            })
            .collect()
    }

    fn rms(x: &[f32]) -> f64 {
        (x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / x.len() as f64).sqrt()
    }

    #[test]
    fn lowers_the_s_at_any_level_and_leaves_the_vowel_bit_for_bit() {
        for gain in [1.0, 0.05] {
            let x = speech(gain);
            let y = run(x.clone());
            // The click of the sudden start is high-band sound too; after 17 release times nothing of it is left.
            assert!(x[40_000..48_000] == y[40_000..48_000]);
            // The S, by correlation over whole periods of both tones.
            let s = |v: &[f32]| {
                let (mut re, mut im) = (0.0f64, 0.0f64);
                for (n, x) in v.iter().enumerate().skip(72_000).take(2_400) {
                    let t = std::f64::consts::TAU * n as f64 / 6.0;
                    re += f64::from(*x) * t.cos();
                    im += f64::from(*x) * t.sin();
                }
                re.hypot(im)
            };
            let down_db = 20.0 * (s(&x) / s(&y)).log10();
            // S and vowel are alike loud: the S is 3.01 dB under the whole, less 0.72 dB of the detector's high-pass at
            // 8 kHz, thus 10.27 dB over the threshold: g = -6.85 dB at 3:1. There 1 - l is 1.252 at an angle of 15.4
            // degrees: |1 - (1 - g) (1 - l)| = -8.25 dB. The averages ripple by 0.1 dB.
            assert!((down_db - 8.25).abs() < 0.1, "{gain}: {down_db}");
        }
    }

    #[test]
    fn the_key_decides_and_parameters_change_while_running() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let x: Vec<f32> = (0..96_000).map(|n| 0.1 * (50_265.48 * n as f32 / 48_000.0).sin()).collect();
        let settled = |key: Vec<f32>, range_db: Option<f64>| {
            let mut f = DeEsser::new(&DeEsserParams::default());
            f.prepare(spec, 96_000).unwrap();
            if let Some(range_db) = range_db {
                assert!(f.set_parameter(3, range_db));
            }
            let mut block = Buffer::from_channels(spec, std::slice::from_ref(&x));
            f.process_keyed(&mut block, &Buffer::from_channels(spec, &[key]));
            20.0 * (rms(&block.channel(0)[60_000..]) / rms(&x[60_000..])).log10()
        };
        let vowel: Vec<f32> = (0..96_000).map(|n| 0.3 * (1256.637 * n as f32 / 48_000.0).sin()).collect();
        assert_eq!(settled(vowel, None), 0.0);
        // As above, by the S in the key.
        let s = settled(speech(1.0), None);
        assert!((s + 8.25).abs() < 0.1, "{s}");
        assert!(settled(speech(1.0), Some(3.0)) > s + 2.0);
        assert_eq!(settled(speech(1.0), Some(0.0)), 0.0);
    }

    #[test]
    fn distortion_of_a_sine_under_reduction() {
        let got_db = crate::filters::detector::tests::thd_n_db(
            &mut DeEsser::new(&DeEsserParams { frequency_hz: 1_500.0, threshold_db: -50.0, ..Default::default() }),
            -6.0,
        );
        println!("de_esser THD+N {got_db:.1} dB");
        // Fully reduced, held to the range: the gain is constant.
        assert!(got_db < -120.0, "{got_db}");
    }

    #[test]
    fn the_halves_are_the_cookbooks() {
        use crate::dsp::biquad::Biquad;
        let (rate_hz, hz) = (48_000.0, 5_500.0);
        let x: Vec<f32> =
            (0..2_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0).collect();
        let (mut high, mut low) = (x.clone(), x.clone());
        Halves::new(rate_hz, hz).unwrap().run(&mut [0.0; 2], &x, &mut high, &mut low);
        let mut want_high = Biquad::new(Coefficients::highpass(rate_hz, hz, FRAC_1_SQRT_2).unwrap());
        let mut want_low = Biquad::new(Coefficients::lowpass(rate_hz, hz, FRAC_1_SQRT_2).unwrap());
        for ((x, high), low) in x.iter().zip(&high).zip(&low) {
            // One rounding to f32 of values below 2; the recursions are f64.
            assert!((want_high.step(f64::from(*x)) - f64::from(*high)).abs() < 1.2e-7);
            assert!((want_low.step(f64::from(*x)) - f64::from(*low)).abs() < 1.2e-7);
        }
        assert!(Halves::new(8_000.0, hz).is_none());
    }
}
