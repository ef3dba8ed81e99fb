//! De-esser: turns down the sibilant band while it stands out.
//!
//! `y = x - (1 - g) h`, with `h` the band above the frequency and `g` its gain: a shelf that moves. While nothing stands
//! out `g` is 1 and the sound passes bit for bit, without the phase turn of a crossover. What stands out is told from the
//! level of the voice itself, so the same settings suit loud and quiet recordings.

use super::cells::{CELL_FRAMES, Cells};
use super::compressor::{average, follow};
use super::math::{DB_PER_OCTAVE, exp2, log2, smoothing};
use super::params::filter_params;
use super::sections::check_below_nyquist;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::biquad::{Cascade, Coefficients};
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

/// See [`DeEsserParams`]. All channels share one gain. No latency.
#[derive(Debug)]
pub struct DeEsser {
    params: DeEsserParams,
    cells: Cells,
    band: Cascade,
    /// The band of the present piece, per channel.
    high: Vec<[f32; CELL_FRAMES]>,
    averaging: f64,
    near: f64,
    slow: f64,
    attack: f64,
    release: f64,
    high_square: f64,
    near_square: f64,
    voice_square: f64,
    reduction: f64,
    poisoned: bool,
}

impl DeEsser {
    /// A de-esser of `params`.
    pub fn new(params: &DeEsserParams) -> Self {
        Self {
            params: params.clone(),
            cells: Cells::default(),
            band: Cascade::new(Vec::new(), 0),
            high: Vec::new(),
            averaging: 0.0,
            near: 0.0,
            slow: 0.0,
            attack: 0.0,
            release: 0.0,
            high_square: 0.0,
            near_square: 0.0,
            voice_square: 0.0,
            reduction: 0.0,
            poisoned: false,
        }
    }
}

impl Filter for DeEsser {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let (rate_hz, p) = (f64::from(spec.rate_hz), &self.params);
        // A narrow-band recording has no such band: nothing to do.
        let sections = if p.frequency_hz < 0.45 * rate_hz {
            check_below_nyquist("de_esser.frequency_hz", p.frequency_hz, rate_hz)?;
            vec![Coefficients::highpass(rate_hz, p.frequency_hz, 0.71)?]
        } else {
            // The zero of this section is everywhere.
            vec![Coefficients { b0: 0.0, b1: 0.0, b2: 0.0, a1: 0.0, a2: 0.0 }]
        };
        let tail_frames = sections.iter().map(Coefficients::decay_frames).sum();
        self.band = Cascade::new(sections, spec.channels());
        self.high = vec![[0.0; CELL_FRAMES]; spec.channels()];
        self.averaging = smoothing(3.0, rate_hz);
        self.near = smoothing(20.0, rate_hz);
        self.slow = smoothing(500.0, rate_hz);
        self.attack = smoothing(p.attack_ms, rate_hz);
        self.release = smoothing(p.release_ms, rate_hz);
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        let p = &self.params;
        let threshold = p.threshold_db as f32 / DB_PER_OCTAVE;
        let slope = (1.0 - 1.0 / p.ratio) as f32;
        let range = p.range_db as f32 / DB_PER_OCTAVE;
        let Self { cells, band, high, poisoned, .. } = self;
        let (averaging, near, slow, attack, release) =
            (self.averaging, self.near, self.slow, self.attack, self.release);
        let (high_square, near_square) = (&mut self.high_square, &mut self.near_square);
        let (voice_square, y) = (&mut self.voice_square, &mut self.reduction);
        let mut over = [0.0f32; CELL_FRAMES];
        let (mut voice, mut word) = (over, over);
        cells.for_each(block.frames(), |piece, end| {
            let (over, voice) = (&mut over[..piece.len()], &mut voice[..piece.len()]);
            over.fill(0.0);
            voice.fill(0.0);
            for (index, (samples, high)) in block.channels().zip(high.iter_mut()).enumerate() {
                let high = &mut high[..piece.len()];
                high.copy_from_slice(&samples[piece.clone()]);
                band.process_channel(index, high);
                for (((o, v), h), x) in
                    over.iter_mut().zip(voice.iter_mut()).zip(high.iter()).zip(&samples[piece.clone()])
                {
                    // NaN fails the comparison.
                    let good = h.abs() < 1e6 && x.abs() < 1e6;
                    *poisoned |= !h.is_finite();
                    *o += if good { h * h } else { 0.0 };
                    *v += if good { x * x } else { 0.0 };
                }
            }
            average(over, high_square, averaging);
            let word = &mut word[..piece.len()];
            word.copy_from_slice(voice);
            average(word, near_square, near);
            average(voice, voice_square, slow);
            for ((o, v), w) in over.iter_mut().zip(voice.iter()).zip(word.iter()) {
                // At the first word the slow average knows nothing yet.
                let v = if *v > *w { v } else { w };
                // -70 dBFS: where the voice is silent, hiss must not count as sibilance.
                let v = if *v > 1e-7 { *v } else { 1e-7 };
                let excess = 0.5 * (log2(*o) - log2(v)) - threshold;
                *o = (slope * excess).clamp(0.0, range);
            }
            follow(over, y, attack, release);
            for o in over.iter_mut() {
                *o = 1.0 - exp2(-*o);
            }
            for (samples, high) in block.channels_mut().zip(high.iter()) {
                for ((x, cut), h) in samples[piece.clone()].iter_mut().zip(over.iter()).zip(high) {
                    *x -= *cut * *h;
                }
            }
            if end && (*poisoned || (*high_square < 1e-20 && *voice_square < 1e-20)) {
                band.reset();
                *poisoned = false;
            }
        });
    }

    fn reset(&mut self) {
        self.band.reset();
        self.cells.reset();
        (self.high_square, self.near_square, self.voice_square) = (0.0, 0.0, 0.0);
        (self.reduction, self.poisoned) = (0.0, false);
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
            // The S: take the vowel out of both, which passes untouched.
            let s = |v: &[f32]| rms(&v.iter().zip(&x).map(|(a, b)| a - b).collect::<Vec<_>>()[60_000..70_000]);
            let removed = s(&y);
            let original = f64::from(0.3 * gain) / 2f64.sqrt();
            // It is 11 dB above the threshold, at 3:1 thus 8 dB down: 0.6 of it removed.
            assert!((0.4..0.7).contains(&(removed / original)), "{}", removed / original);
        }
    }
}
