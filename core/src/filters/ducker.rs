//! Ducker: lowers a sound while another one, the key, is there: music under a voice.
//!
//! Who is heard decides, not how loud: above the threshold the gain glides to the range, and back after a hold. The key is
//! that of `process_keyed`; without one a channel of the sound itself, when `key_channel` names it; otherwise nothing is
//! ducked.

use super::params::{FilterParams, filter_params};
use super::trigger::{Behaviour, Heard, Trigger};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

filter_params! {
    /// Lowers the sound while a key (such as a voice) is there.
    pub struct DuckerParams for "ducker" in Dynamics, realtime true {
        /// Peak level of the key that starts the ducking.
        threshold_dbfs: f64 = -40.0, -100.0 to 0.0 "dBFS";
        /// How far under the threshold the key must fall before the ducking ends.
        hysteresis_db: f64 = 4.0, 0.0 to 24.0 "dB";
        /// Reduction while the key is there.
        range_db: f64 = 12.0, 0.0 to 60.0 "dB";
        /// Time to cover 63 % of the way down, in dB.
        attack_ms: f64 = 50.0, 0.05 to 2000.0 "ms";
        /// How long the sound stays down after the key: pauses between words.
        hold_ms: f64 = 400.0, 1.0 to 10000.0 "ms";
        /// Time to cover 63 % of the way back, in dB.
        release_ms: f64 = 500.0, 1.0 to 10000.0 "ms";
        /// How much earlier the key is known than the sound is heard; adds as much latency.
        lookahead_ms: f64 = 0.0, 0.0 to 500.0 "ms";
        /// High-pass in front of the detector (12 dB per octave); 0 is none.
        sidechain_highpass_hz: f64 = 0.0, 0.0 to 2000.0 "Hz";
        /// Without a key from elsewhere: the channel, counted from 1, whose sound lowers the others and stays as it is
        /// itself. 0: none, the filter then only works with a key.
        key_channel: u32 = 0, 0 to 64 "";
    }
}

/// Place of `lookahead_ms`, which decides the latency.
const LOOKAHEAD: usize = 6;

/// See [`DuckerParams`]. Latency is the look-ahead.
#[derive(Debug)]
pub struct Ducker {
    params: DuckerParams,
    trigger: Trigger,
}

impl Ducker {
    /// A ducker of `params`.
    pub fn new(params: &DuckerParams) -> Self {
        Self { params: params.clone(), trigger: Trigger::default() }
    }

    fn update(&mut self) {
        let p = &self.params;
        self.trigger.set(&Behaviour {
            threshold_dbfs: p.threshold_dbfs,
            hysteresis_db: p.hysteresis_db,
            hold_ms: p.hold_ms,
            reductions_db: [p.range_db, 0.0],
            times_ms: [p.attack_ms, p.release_ms],
            highpass_hz: p.sidechain_highpass_hz,
        });
    }
}

impl Filter for Ducker {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let channels = spec.channels() as f64;
        Error::check_range("ducker.key_channel", f64::from(self.params.key_channel), 0.0, channels, "")?;
        let prepared = self.trigger.prepare(spec, max_frames, self.params.lookahead_ms);
        self.update();
        self.reset();
        Ok(prepared)
    }

    fn process(&mut self, block: &mut Buffer) {
        let own = (self.params.key_channel as usize).checked_sub(1);
        self.trigger.process(block, own.map_or(Heard::Nothing, Heard::Channel));
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

    fn spec(channels: usize) -> Spec {
        Spec::new(48_000, ChannelLayout::from_count(channels))
    }

    fn db(y: f32, x: f32) -> f64 {
        20.0 * f64::from(y / x).log10()
    }

    /// A second of nothing, a second of -20 dBFS, three seconds between the thresholds or of nothing.
    fn key(after: f32) -> Vec<f32> {
        [(0.0, 1), (0.1, 1), (after, 3)].iter().flat_map(|(x, s)| vec![*x; s * 48_000]).collect()
    }

    #[test]
    fn goes_down_with_the_key_holds_and_comes_back_in_its_times() {
        let mut f = Ducker::new(&DuckerParams::default());
        f.prepare(spec(1), 240_000).unwrap();
        let mut block = Buffer::from_channels(spec(1), &[vec![0.5; 240_000]]);
        f.process_keyed(&mut block, &Buffer::from_channels(spec(1), &[key(0.0)]));
        let y = block.channel(0);
        assert_eq!(y[47_999], 0.5);
        // 12 dB times 1 - 1/e after 50 ms; a frame is 0.002 dB.
        assert!((db(y[48_000 + 2_399], 0.5) + 7.585).abs() < 0.01, "{}", db(y[50_399], 0.5));
        // 20 attack times later it is down, and stays so for the hold.
        assert!((db(y[96_000 + 19_199], 0.5) + 12.0).abs() < 1e-3);
        // Then 12 dB times 1/e are left after 500 ms.
        assert!((db(y[96_000 + 19_200 + 24_000], 0.5) + 4.415).abs() < 0.01);
        assert!(db(y[239_999], 0.5) > -0.1);
    }

    #[test]
    fn hysteresis_keeps_it_down_between_the_thresholds() {
        let at_end = |after_dbfs: f32| {
            let mut f = Ducker::new(&DuckerParams::default());
            f.prepare(spec(1), 240_000).unwrap();
            let mut block = Buffer::from_channels(spec(1), &[vec![0.5; 240_000]]);
            let key = key(10f32.powf(after_dbfs / 20.0));
            f.process_keyed(&mut block, &Buffer::from_channels(spec(1), &[key]));
            db(block.channel(0)[239_999], 0.5)
        };
        // -40 starts, -44 ends.
        assert!((at_end(-43.9) + 12.0).abs() < 1e-3);
        assert!(at_end(-44.1) > -0.1);
    }

    #[test]
    fn without_a_key_a_channel_ducks_the_others_or_nobody() {
        let planes = [key(0.1), vec![0.5; 240_000]];
        let run = |key_channel| {
            let mut f = Ducker::new(&DuckerParams { key_channel, lookahead_ms: 10.0, ..Default::default() });
            let latency = f.prepare(spec(2), 240_000).unwrap().latency_frames;
            assert_eq!(latency, 480);
            let mut block = Buffer::from_channels(spec(2), &planes);
            f.process(&mut block);
            (block.channel(0)[latency..] == planes[0][..240_000 - latency], db(block.channel(1)[239_999], 0.5))
        };
        assert_eq!(run(0), (true, 0.0));
        let (same, ducked_db) = run(1);
        assert!(same && (ducked_db + 12.0).abs() < 1e-3);
        let error =
            Ducker::new(&DuckerParams { key_channel: 3, ..Default::default() }).prepare(spec(2), 64).unwrap_err();
        assert!(error.to_string().contains("ducker.key_channel"), "{error}");
    }

    #[test]
    fn distortion_while_it_is_down() {
        let p = DuckerParams { key_channel: 1, ..Default::default() };
        let frames = 96_000;
        let step = std::f64::consts::TAU * 997.0 / 48_000.0;
        let sine: Vec<f32> = (0..frames).map(|n| (0.5 * (step * n as f64).sin()) as f32).collect();
        let mut f = Ducker::new(&p);
        f.prepare(spec(2), frames).unwrap();
        let mut block = Buffer::from_channels(spec(2), &[vec![0.5; frames], sine.clone()]);
        f.process(&mut block);
        // A constant gain once it is down (20 attack times): what remains is one rounding of the product, 6e-8.
        let gain = f64::from(block.channel(1)[95_999] / sine[95_999]);
        for (n, (y, x)) in block.channel(1).iter().zip(&sine).enumerate().skip(60_000) {
            assert!((f64::from(*y) - gain * f64::from(*x)).abs() < 2e-7, "{n}");
        }
        assert_eq!(DuckerParams::parameters()[LOOKAHEAD].name, "lookahead_ms");
        assert!(!f.set_parameter(LOOKAHEAD, 3.0) && f.set_parameter(2, 6.0));
    }
}
