//! Transient shaper: more or less attack and sustain, whatever the level.
//!
//! Three envelopes of the same sound are compared: one that follows it closely, one that rises slowly and one that falls
//! slowly. Where the close one stands above the slow-rising one there is an attack, where the slow-falling one stands above
//! the close one there is a decay; the differences in dB, times the wanted shares, are the gain. As only differences count
//! there is no threshold. The principle is that of the differential envelopes of the SPL Transient Designer (SPL
//! electronics, *Transient Designer Model 9946: Manual*, "Differential Envelope Technology").

use fearless_simd::{Simd, dispatch};

use super::cells::{CELL_FRAMES, Cells};
use super::detector::{Sense, follow};
use super::gain_computer::gains;
use super::math::{DB_PER_OCTAVE, log2, smoothing};
use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::kernels;
use crate::error::Result;

filter_params! {
    /// Makes the beginnings of sounds harder or softer and their decay longer or shorter, at any level.
    pub struct TransientShaperParams for "transient_shaper" in Dynamics, realtime true {
        /// Share of the attacks' own dB that is added (above 0) or taken away.
        attack_percent: f64 = 40.0, -100.0 to 100.0 "%";
        /// Share of the decays' own dB that is added (above 0) or taken away.
        sustain_percent: f64 = 0.0, -100.0 to 100.0 "%";
        /// Rise time of the slow envelope: how long a beginning counts as attack.
        attack_ms: f64 = 20.0, 2.0 to 200.0 "ms";
        /// Fall time of the slow envelope: how long an end counts as decay.
        sustain_ms: f64 = 300.0, 50.0 to 2000.0 "ms";
        /// Most change of gain.
        range_db: f64 = 15.0, 0.0 to 30.0 "dB";
        /// Gain after it.
        output_db: f64 = 0.0, -24.0 to 24.0 "dB";
    }
}

/// Rise and fall of the close envelope. The fall spans a period of 30 Hz.
const CLOSE_MS: (f64, f64) = (1.0, 30.0);
/// Envelopes under -100 dBFS are taken as that: silence has no attack.
const FLOOR: f32 = 1e-5;

/// Shares and range of the gain.
#[derive(Debug, Clone, Copy, Default)]
struct Shape {
    attack: f32,
    sustain: f32,
    /// In octaves (6.02 dB).
    range: f32,
}

impl Shape {
    /// From the envelopes to reductions in octaves (negative: more gain), into `close`.
    #[inline(always)]
    fn reductions<S: Simd>(self, _: S, close: &mut [f32], rising: &[f32], falling: &[f32]) {
        for ((c, r), f) in close.iter_mut().zip(rising).zip(falling) {
            let here = log2(if *c > FLOOR { *c } else { FLOOR });
            let attack = here - log2(if *r > FLOOR { *r } else { FLOOR });
            let attack = if attack > 0.0 { attack } else { 0.0 };
            let decay = log2(if *f > FLOOR { *f } else { FLOOR }) - here;
            let decay = if decay > 0.0 { decay } else { 0.0 };
            let change = self.attack * attack + self.sustain * decay;
            let change = if change < self.range { change } else { self.range };
            let change = if change > -self.range { change } else { -self.range };
            *c = -change;
        }
    }
}

/// See [`TransientShaperParams`]. All channels share one gain. No latency.
#[derive(Debug)]
pub struct TransientShaper {
    params: TransientShaperParams,
    rate_hz: f64,
    sense: Sense,
    cells: Cells,
    shape: Shape,
    output: f32,
    /// Coefficients of rise and fall: close, slow rise, slow fall.
    times: [(f64, f64); 3],
    envelopes: [f64; 3],
}

impl TransientShaper {
    /// A shaper of `params`.
    pub fn new(params: &TransientShaperParams) -> Self {
        Self {
            params: params.clone(),
            rate_hz: 48_000.0,
            sense: Sense::new(),
            cells: Cells::default(),
            shape: Shape::default(),
            output: 0.0,
            times: [(0.0, 0.0); 3],
            envelopes: [0.0; 3],
        }
    }

    fn update(&mut self) {
        let p = &self.params;
        self.shape = Shape {
            attack: (p.attack_percent / 100.0) as f32,
            sustain: (p.sustain_percent / 100.0) as f32,
            range: p.range_db as f32 / DB_PER_OCTAVE,
        };
        self.output = p.output_db as f32 / DB_PER_OCTAVE;
        let (rise_ms, fall_ms) = CLOSE_MS;
        self.times = [(rise_ms, fall_ms), (p.attack_ms, fall_ms), (rise_ms, p.sustain_ms)]
            .map(|(rise, fall)| (smoothing(rise, self.rate_hz), smoothing(fall, self.rate_hz)));
    }

    fn run(&mut self, block: &mut Buffer, key: Option<&Buffer>) {
        let (sense, shape, output, times) = (&mut self.sense, self.shape, self.output, self.times);
        let [close_state, rising_state, falling_state] = &mut self.envelopes;
        let mut close = [0.0f32; CELL_FRAMES];
        let (mut rising, mut falling) = (close, close);
        let frames = key.map_or(block.frames(), |k| k.frames().min(block.frames()));
        self.cells.for_each(frames, |piece, _| {
            let count = piece.len();
            let (close, rising, falling) = (&mut close[..count], &mut rising[..count], &mut falling[..count]);
            sense.level(key.unwrap_or(&*block), piece.clone(), None, false, close);
            rising.copy_from_slice(close);
            falling.copy_from_slice(close);
            follow(close, close_state, times[0].0, times[0].1);
            follow(rising, rising_state, times[1].0, times[1].1);
            follow(falling, falling_state, times[2].0, times[2].1);
            dispatch!(kernels::level(), simd => shape.reductions(simd, close, rising, falling));
            gains(close, output, 1.0);
            for samples in block.channels_mut() {
                for (x, gain) in samples[piece.clone()].iter_mut().zip(close.iter()) {
                    *x *= gain;
                }
            }
        });
    }
}

impl Filter for TransientShaper {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        self.sense.prepare(spec.channels());
        self.update();
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        self.run(block, None);
    }

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
        self.envelopes = [0.0; 3];
        self.cells.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    /// Gains in dB, frame by frame, for the level `x`, given as a constant or a falling row of samples.
    fn gain_db(params: &TransientShaperParams, x: &[f32]) -> Vec<f64> {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut f = TransientShaper::new(params);
        f.prepare(spec, x.len()).unwrap();
        let mut block = Buffer::from_channels(spec, &[x.to_vec()]);
        f.process(&mut block);
        block.channel(0).iter().zip(x).map(|(y, x)| 20.0 * f64::from(y / x).log10()).collect()
    }

    #[test]
    fn an_onset_gets_its_share_of_the_envelopes_difference() {
        for (quiet, loud) in [(0.01f32, 0.1f32), (0.001, 0.01)] {
            let mut x = vec![quiet; 48_000];
            x.extend(vec![loud; 48_000]);
            let params = TransientShaperParams { attack_percent: 50.0, range_db: 30.0, ..Default::default() };
            let got = gain_db(&params, &x);
            for frame in [47_999usize, 48_047, 48_239, 48_959, 90_000] {
                // One-pole rises over 1 ms and 20 ms from `quiet` to `loud`.
                let t = (frame + 1).saturating_sub(48_000) as f64 / 48.0;
                let rise = |ms: f64| f64::from(quiet) + f64::from(loud - quiet) * (1.0 - (-t / ms).exp());
                let want_db = 0.5 * 20.0 * (rise(1.0) / rise(20.0)).log10();
                // The end of the first rise from silence is still 1e-6 away; the rest is f32.
                assert!((got[frame] - want_db).abs() < 2e-3, "{frame}: {} {want_db}", got[frame]);
            }
        }
    }

    #[test]
    fn a_decay_gets_its_share_until_the_range() {
        let decay: Vec<f32> = (0..96_000).map(|n| 10f32.powf(-(n as f32) / 48_000.0)).collect(); // 20 dB per second
        let params = TransientShaperParams { attack_percent: 0.0, sustain_percent: -100.0, ..Default::default() };
        let got = gain_db(&params, &decay);
        // The tails lag behind a decay exp(-a t): an envelope of fall time T stands at 1 / (1 - a T) of it, a = 2.303 / s.
        let lag = |s: f64| -20.0 * (1.0 - std::f64::consts::LN_10 * s).log10();
        let want_db = -(lag(0.3) - lag(0.03));
        // Settled to exp(-t (1/0.3 - 2.3)) of the 0.3 s envelope: 0.13 of it after 2 s.
        let end_db = got[95_999];
        assert!(end_db < 0.85 * want_db && end_db > 1.01 * want_db, "{end_db} {want_db}");
        let limited = gain_db(&TransientShaperParams { range_db: 3.0, ..params }, &decay);
        assert!((limited[95_999] + 3.0).abs() < 1e-3);
    }

    #[test]
    fn nothing_wanted_is_nothing_done_and_a_steady_tone_stays() {
        let x: Vec<f32> = (0..48_000).map(|n| 0.3 * (n as f32 * 0.13).sin() + 0.4).collect();
        let nothing = TransientShaperParams { attack_percent: 0.0, ..Default::default() };
        assert!(gain_db(&nothing, &x).iter().all(|g| *g == 0.0));
        let params = TransientShaperParams { attack_percent: 100.0, sustain_percent: 100.0, ..Default::default() };
        let got_db = crate::filters::detector::tests::thd_n_db(&mut TransientShaper::new(&params), -6.0);
        println!("transient_shaper THD+N {got_db:.1} dB");
        // The close envelope falls by 0.15 dB between the peaks of 1 kHz, the slow ones by less: 1 % of ripple, of which a
        // part is distortion.
        assert!(got_db < -55.0, "{got_db}");
    }
}
