//! Noise gate with hysteresis, hold and a limited range.

use super::params::{FilterParams, filter_params};
use super::trigger::{Behaviour, Heard, Trigger};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Turns the sound down while it stays under a threshold.
    pub struct GateParams for "gate" in Dynamics, realtime true {
        /// Peak level that opens the gate.
        threshold_dbfs: f64 = -50.0, -100.0 to 0.0 "dBFS";
        /// How far under the threshold the level must fall before the gate closes.
        hysteresis_db: f64 = 4.0, 0.0 to 24.0 "dB";
        /// Reduction of the closed gate.
        range_db: f64 = 40.0, 0.0 to 120.0 "dB";
        /// Time to cover 63 % of the opening.
        attack_ms: f64 = 1.0, 0.05 to 500.0 "ms";
        /// How long the gate stays open after the last sound above the lower threshold.
        hold_ms: f64 = 80.0, 1.0 to 5000.0 "ms";
        /// Time to cover 63 % of the closing.
        release_ms: f64 = 150.0, 1.0 to 5000.0 "ms";
        /// How much earlier the gate opens than the sound comes; adds as much latency.
        lookahead_ms: f64 = 2.0, 0.0 to 50.0 "ms";
        /// High-pass in front of the detector (12 dB per octave), so that rumble does not open the gate; 0 is none.
        sidechain_highpass_hz: f64 = 0.0, 0.0 to 2000.0 "Hz";
    }
}

/// Place of `lookahead_ms`, which decides the latency.
const LOOKAHEAD: usize = 6;

/// See [`GateParams`]. All channels share one gain. Latency is the look-ahead.
#[derive(Debug)]
pub struct Gate {
    params: GateParams,
    trigger: Trigger,
}

impl Gate {
    /// A gate of `params`, closed.
    pub fn new(params: &GateParams) -> Self {
        Self { params: params.clone(), trigger: Trigger::default() }
    }

    fn update(&mut self) {
        let p = &self.params;
        self.trigger.set(&Behaviour {
            threshold_dbfs: p.threshold_dbfs,
            hysteresis_db: p.hysteresis_db,
            hold_ms: p.hold_ms,
            reductions_db: [0.0, p.range_db],
            times_ms: [p.attack_ms, p.release_ms],
            highpass_hz: p.sidechain_highpass_hz,
        });
    }
}

impl Filter for Gate {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let prepared = self.trigger.prepare(spec, max_frames, self.params.lookahead_ms);
        self.update();
        self.reset();
        Ok(prepared)
    }

    fn process(&mut self, block: &mut Buffer) {
        self.trigger.process(block, Heard::Itself);
    }

    fn process_keyed(&mut self, block: &mut Buffer, key: &Buffer) {
        self.trigger.process(block, Heard::Key(key));
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = index != LOOKAHEAD && self.params.set_number(index, value);
        if set {
            self.update();
        }
        set
    }

    fn reset(&mut self) {
        self.trigger.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    fn run(params: &GateParams, x: Vec<f32>) -> (Vec<f32>, usize) {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut f = Gate::new(params);
        let mut block = Buffer::from_channels(spec, &[x]);
        let latency = f.prepare(spec, block.frames()).unwrap().latency_frames;
        f.process(&mut block);
        (block.channel(0).to_vec(), latency)
    }

    fn level(db: f64) -> f32 {
        10f64.powf(db / 20.0) as f32
    }

    #[test]
    fn passes_above_and_reduces_by_the_range_below() {
        let params = GateParams { threshold_dbfs: -40.0, range_db: 30.0, ..Default::default() };
        let (y, latency) = run(&params, vec![level(-30.0); 48_000]);
        assert_eq!(latency, 96);
        assert_eq!(y[20_000], level(-30.0), "open is bit-exact");
        let (y, _) = run(&params, vec![level(-41.0); 48_000]);
        assert!((20.0 * y[40_000].log10() + 71.0).abs() < 0.01);
    }

    #[test]
    fn hysteresis_and_hold_keep_it_open() {
        let params = GateParams { threshold_dbfs: -40.0, hysteresis_db: 6.0, hold_ms: 100.0, ..Default::default() };
        let mut x = vec![level(-30.0); 4_800];
        x.extend(vec![level(-45.0); 48_000]); // between the thresholds
        let (y, _) = run(&params, x.clone());
        assert_eq!(y[50_000], level(-45.0));
        x.extend(vec![level(-50.0); 48_000]); // under both
        let (y, latency) = run(&params, x);
        assert_eq!(y[52_800 + 4_800 + latency - 1], level(-50.0), "held for 100 ms");
        assert!(y[52_800 + 4_800 + latency + 480] < level(-50.2), "then closes");
        assert!(20.0 * y[100_000].log10() < -89.0, "by 40 dB");
    }

    #[test]
    fn lookahead_opens_before_the_onset() {
        let params = GateParams { attack_ms: 0.2, lookahead_ms: 2.0, ..Default::default() };
        let mut x = vec![0.0; 48_000];
        x.extend(vec![0.5; 1_000]);
        let (y, latency) = run(&params, x);
        // 2 ms are ten time constants of 0.2 ms: 40 dB times e^-10 is 0.002 dB.
        assert!((y[48_000 + latency] / 0.5 - 1.0).abs() < 0.001);
    }

    #[test]
    fn attack_and_release_cover_63_percent_in_their_times() {
        let params = GateParams {
            threshold_dbfs: -40.0,
            range_db: 20.0,
            attack_ms: 10.0,
            hold_ms: 50.0,
            release_ms: 100.0,
            lookahead_ms: 0.0,
            ..Default::default()
        };
        let mut x = vec![level(-30.0); 48_000];
        x.extend(vec![level(-60.0); 48_000]);
        let (y, _) = run(&params, x);
        // 20 dB times 1/e, 10 ms after the start; one frame is 0.02 dB.
        assert!((20.0 * y[479].log10() + 30.0 + 7.36).abs() < 0.03, "{}", 20.0 * y[479].log10());
        // Hold, then 20 dB times 1 - 1/e after 100 ms.
        let got_db = 20.0 * y[48_000 + 2_400 + 4_800].log10() + 60.0;
        assert!((got_db + 12.64).abs() < 0.03, "{got_db}");
    }

    #[test]
    fn the_key_opens_and_rumble_does_not_if_it_is_left_out() {
        let params = GateParams { lookahead_ms: 0.0, ..Default::default() };
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let rumble: Vec<f32> =
            (0..48_000).map(|n| 0.1 * (std::f32::consts::TAU * 20.0 * n as f32 / 48_000.0).sin()).collect();
        let gain = |cutoff_hz| {
            let mut f = Gate::new(&GateParams { sidechain_highpass_hz: cutoff_hz, ..params.clone() });
            f.prepare(spec, 48_000).unwrap();
            let mut block = Buffer::from_channels(spec, &[vec![0.001; 48_000]]);
            f.process_keyed(&mut block, &Buffer::from_channels(spec, std::slice::from_ref(&rumble)));
            block.channel(0)[47_999] / 0.001
        };
        // (20 / 500)^2 of -20 dBFS is -76 dBFS: under the threshold of -50.
        assert!((gain(0.0), gain(500.0)).0 == 1.0 && (gain(500.0) - 0.01).abs() < 1e-5);
    }

    #[test]
    fn live_parameters_take_effect_and_latency_does_not_change() {
        assert_eq!(GateParams::parameters()[LOOKAHEAD].name, "lookahead_ms");
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut f = Gate::new(&GateParams::default());
        f.prepare(spec, 48_000).unwrap();
        assert!(!f.set_parameter(LOOKAHEAD, 9.0) && f.set_parameter(0, -80.0));
        let mut block = Buffer::from_channels(spec, &[vec![level(-70.0); 48_000]]);
        f.process(&mut block);
        assert_eq!(block.channel(0)[40_000], level(-70.0));
    }

    #[test]
    fn an_open_gate_does_not_distort_and_a_closed_one_hardly() {
        let thd = |db| crate::filters::detector::tests::thd_n_db(&mut Gate::new(&GateParams::default()), db);
        println!("gate THD+N open {:.1} dB, closed {:.1} dB", thd(-20.0), thd(-60.0));
        // Both are a constant gain: what remains is the rounding of the f32 sine (-150 dB of its peak).
        assert!(thd(-20.0) < -140.0 && thd(-60.0) < -140.0);
    }
}
