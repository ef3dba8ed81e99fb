//! Dynamics that listen to something else.

use super::branch::{Branch, delays, gather, indices, scatter};
use super::delay::Delay;
use super::params::filter_params;
use super::{Filter, FilterSpec, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};

filter_params! {
    /// Runs filters whose detectors listen to a key: chosen channels of the input, with filters of their own.
    pub struct SidechainParams for "sidechain" in Routing, realtime true {
        /// Numbers of the channels that make the key, from 1; none for all.
        key_channels: Vec<u32> = Vec::new();
        /// Filters for the key alone, such as a high-pass against the kick drum.
        key: Vec<FilterSpec> = Vec::new();
        /// Numbers of the channels that are processed, from 1; none for all.
        channels: Vec<u32> = Vec::new();
        /// What is run: compressor, gate, ducker, ... Filters without a detector work as ever.
        filters: Vec<FilterSpec> = Vec::new();
    }
}

/// See [`SidechainParams`]. The sound waits for the key, and the channels that are not processed wait for those that are:
/// latency is the sum of both.
pub struct Sidechain {
    params: SidechainParams,
    key: Branch,
    key_places: Vec<usize>,
    sound: Branch,
    places: Vec<usize>,
    /// Until the key is ready.
    wait: Vec<Delay>,
    /// Of the channels that pass.
    rest: Vec<(usize, Delay)>,
    prepared: bool,
}

impl Sidechain {
    /// Filters of `params`.
    pub fn new(params: &SidechainParams) -> Self {
        Self {
            params: params.clone(),
            key: Branch::new(&params.key),
            key_places: Vec::new(),
            sound: Branch::new(&params.filters),
            places: Vec::new(),
            wait: Vec::new(),
            rest: Vec::new(),
            prepared: false,
        }
    }
}

impl Filter for Sidechain {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.prepared = false;
        self.key_places = indices("sidechain.key_channels", &self.params.key_channels, spec)?;
        self.places = indices("sidechain.channels", &self.params.channels, spec)?;
        let part = |count: usize| {
            let layout = if count == spec.channels() { spec.layout } else { ChannelLayout::from_count(count) };
            Spec::new(spec.rate_hz, layout)
        };
        self.key.prepare("sidechain.key", part(self.key_places.len()), max_frames, 0)?;
        self.sound.prepare("sidechain.filters", part(self.places.len()), max_frames, self.key_places.len())?;
        self.wait = delays(self.places.len(), self.key.latency_frames);
        let latency_frames = self.key.latency_frames + self.sound.latency_frames;
        let passes = |c: &usize| !self.places.contains(c);
        self.rest = (0..spec.channels()).filter(passes).zip(delays(spec.channels(), latency_frames)).collect();
        self.prepared = true;
        Ok(Prepared { spec, max_frames, latency_frames, tail_frames: self.sound.tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        if !self.prepared {
            return;
        }
        self.key.clear();
        gather(block, &self.key_places, &mut self.key.block);
        self.key.process(None);
        self.sound.clear();
        gather(block, &self.places, &mut self.sound.block);
        self.sound.block.channels_mut().zip(&mut self.wait).for_each(|(c, d)| d.process(c));
        self.sound.process(Some(&mut self.key.block));
        scatter(&self.sound.block, &self.places, block);
        for (channel, delay) in &mut self.rest {
            delay.process(block.channel_mut(*channel));
        }
    }

    fn take_error(&mut self) -> Option<Error> {
        self.key.take_error().or_else(|| self.sound.take_error())
    }

    fn reset(&mut self) {
        self.key.reset();
        self.sound.reset();
        self.wait.iter_mut().for_each(Delay::reset);
        self.rest.iter_mut().for_each(|(_, delay)| delay.reset());
    }
}

#[cfg(test)]
mod tests {
    use super::super::branch::tests::{noise, run};
    use super::*;

    #[test]
    fn the_sound_waits_for_the_key_and_the_rest_for_both() {
        let spec = Spec::new(48_000, ChannelLayout::from_count(3));
        let input = noise(spec, 2_000);
        let (out, prepared) = run(
            r#"{"type":"sidechain","key_channels":[3],"key":[{"type":"limiter"}],"channels":[1,2],
                "filters":[{"type":"limiter","lookahead_ms":4},{"type":"gain","gain_db":-20}]}"#,
            &input,
        );
        let (_, key) = run("limiter", &input);
        let (_, sound) = run("limiter:lookahead_ms=4", &input);
        let latency = prepared.latency_frames;
        assert_eq!(latency, key.latency_frames + sound.latency_frames);
        for (index, gain) in [0.1f32, 0.1, 1.0].into_iter().enumerate() {
            assert!(out.channel(index)[..latency].iter().all(|y| *y == 0.0));
            for (y, x) in out.channel(index)[latency..].iter().zip(input.channel(index)) {
                assert_eq!(*y, x * gain);
            }
        }
    }

    #[test]
    fn music_goes_down_under_speech_by_the_stated_db() {
        // One second of talk on the third channel, in the middle of music on the first two.
        let spec = Spec::new(48_000, ChannelLayout::from_count(3));
        let tone = |hz: f32, n: usize| (2.0 * std::f32::consts::PI * hz * n as f32 / 48_000.0).sin();
        let music: Vec<f32> = (0..192_000).map(|n| 0.5 * tone(440.0, n)).collect();
        let talk: Vec<f32> =
            (0..192_000).map(|n| if (48_000..96_000).contains(&n) { 0.3 * tone(200.0, n) } else { 0.0 }).collect();
        let input = Buffer::from_channels(spec, &[music.clone(), music, talk.clone()]);
        let (out, prepared) = run(
            r#"{"type":"sidechain","key_channels":[3],"channels":[1,2],"filters":[{"type":"ducker","threshold_dbfs":-30,
                "range_db":9,"attack_ms":20,"hold_ms":100,"release_ms":100}]}"#,
            &input,
        );
        assert_eq!(prepared.latency_frames, 0);
        assert_eq!(out.channel(2), talk.as_slice(), "the talk passes");
        for channel in 0..2 {
            let change_db = |from: usize| {
                let energy = |b: &Buffer| b.channel(channel)[from..from + 12_000].iter().map(|x| x * x).sum::<f32>();
                10.0 * (energy(&out) / energy(&input)).log10()
            };
            // Before; ten attack times into the talk; two seconds after hold and release of 100 ms. What exp(-10) leaves of
            // 9 dB is 0.0004 dB; the sums are of 12000 values in f32.
            for (from, want_db) in [(30_000, 0.0), (60_000, -9.0), (84_000, -9.0), (180_000, 0.0)] {
                let got_db = change_db(from);
                assert!((got_db - want_db).abs() < 0.01, "channel {channel}, frame {from}: {got_db} dB");
            }
        }
    }
}
