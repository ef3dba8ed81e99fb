//! Removes silence at the beginning and the end of a file.

use super::fifo::FrameFifo;
use super::params::filter_params;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

filter_params! {
    /// Removes silence at the beginning and the end; pauses within stay as they are. For files.
    pub struct TrimSilenceParams for "trim_silence" in Time, realtime false {
        /// Peak level under which all channels count as silent.
        threshold_dbfs: f64 = -50.0, -120.0 to 0.0 "dBFS";
        /// Silence that is kept before the first and after the last sound.
        padding_ms: f64 = 150.0, 0.0 to 10000.0 "ms";
        /// Shortest sound that counts: shorter clicks are silence.
        min_sound_ms: f64 = 5.0, 0.0 to 1000.0 "ms";
        /// Trims the beginning.
        start: bool = true;
        /// Trims the end.
        end: bool = true;
    }
}

/// See [`TrimSilenceParams`]. A file without any sound becomes empty. Pauses are held back until sound returns, beyond
/// 2 MiB in a temporary file; no latency, as it compensates itself.
#[derive(Debug)]
pub struct TrimSilence {
    params: TrimSilenceParams,
    spec: Option<Spec>,
    max_frames: usize,
    threshold: f32,
    padding_frames: u64,
    min_sound_frames: u64,
    /// Longest dip within a sound: half of a period of 50 Hz.
    bridge_frames: u64,
    held: FrameFifo,
    /// Frames received, and position of the first frame that is held.
    received: u64,
    read: u64,
    /// Frames before this position will be given out.
    keep_until: u64,
    started: bool,
    /// Start and end of the sound that may still be a click.
    sound: Option<(u64, u64)>,
    error: Option<Error>,
}

impl TrimSilence {
    /// A trim of `params`.
    pub fn new(params: &TrimSilenceParams) -> Self {
        Self {
            params: params.clone(),
            spec: None,
            max_frames: 0,
            threshold: 0.0,
            padding_frames: 0,
            min_sound_frames: 0,
            bridge_frames: 0,
            held: FrameFifo::new(1),
            received: 0,
            read: 0,
            keep_until: 0,
            started: false,
            sound: None,
            error: None,
        }
    }

    /// Takes note of a frame above the threshold at `at`.
    fn hear(&mut self, at: u64) {
        let first = match self.sound {
            Some((first, last)) if at - last <= self.bridge_frames => first,
            _ => at,
        };
        self.sound = Some((first, at));
        if at + 1 - first >= self.min_sound_frames {
            if !std::mem::replace(&mut self.started, true) && self.params.start {
                self.drop_to(first.saturating_sub(self.padding_frames));
            }
            self.keep_until = at + 1 + self.padding_frames;
        }
    }

    fn drop_to(&mut self, position: u64) {
        if position > self.read {
            let result = self.held.pop(position - self.read, None);
            self.keep_error(result);
            self.read = position;
        }
    }

    fn keep_error(&mut self, result: Result<()>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }

    /// Gives out what is known to stay, at most as much as was promised.
    fn emit(&mut self, block: &mut Buffer) {
        let until = if self.params.end { self.keep_until } else { u64::MAX };
        let ready =
            if self.started || !self.params.start { until.min(self.received).saturating_sub(self.read) } else { 0 };
        let count = ready.min(2 * self.max_frames as u64);
        block.set_frames(0);
        let result = self.held.pop(count, Some(block));
        self.keep_error(result);
        self.read += count;
    }
}

impl Filter for TrimSilence {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let frames = |ms: f64| (ms * f64::from(spec.rate_hz) / 1000.0).round() as u64;
        self.threshold = 10f64.powf(self.params.threshold_dbfs / 20.0) as f32;
        self.padding_frames = frames(self.params.padding_ms);
        self.min_sound_frames = frames(self.params.min_sound_ms).max(1);
        self.bridge_frames = frames(10.0).max(1);
        self.held = FrameFifo::new(spec.channels());
        (self.spec, self.max_frames) = (Some(spec), max_frames);
        self.reset();
        // Twice, so that a long pause is caught up with after it.
        Ok(Prepared { spec, max_frames: 2 * max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let (frames, start) = (block.frames(), self.received);
        let result = self.held.push(block);
        self.keep_error(result);
        self.received += frames as u64;
        let loud = block.channels().map(super::sections::peak).fold(0.0, f32::max) >= self.threshold;
        for n in 0..if loud { frames } else { 0 } {
            if block.channels().any(|c| c[n].abs() >= self.threshold) {
                self.hear(start + n as u64);
            }
        }
        if !self.started && self.params.start {
            // Of what came so far only the padding can still matter, and a sound that may turn out not to be a click.
            let from = match self.sound {
                Some((first, last)) if self.received - last <= self.bridge_frames => first,
                _ => self.received,
            };
            self.drop_to(from.saturating_sub(self.padding_frames));
        }
        self.emit(block);
    }

    fn finish(&mut self, block: &mut Buffer) {
        if let Some(spec) = self.spec {
            block.set_spec(spec);
        }
        self.emit(block);
    }

    fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    fn reset(&mut self) {
        self.held.clear();
        (self.received, self.read, self.keep_until, self.started) = (0, 0, 0, false);
        (self.sound, self.error) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    fn run(params: &TrimSilenceParams, x: &[f32], block: usize) -> Vec<f32> {
        let spec = Spec::new(1_000, ChannelLayout::STEREO);
        let mut f = TrimSilence::new(params);
        let room = f.prepare(spec, block).unwrap().max_frames;
        let mut part = Buffer::new(spec, room);
        let mut out = Vec::new();
        for piece in x.chunks(block) {
            part.set_frames(piece.len());
            part.channel_mut(0).fill(0.0);
            part.channel_mut(1).copy_from_slice(piece);
            f.process(&mut part);
            assert!(f.take_error().is_none());
            out.extend_from_slice(part.channel(1));
        }
        loop {
            f.finish(&mut part);
            if part.is_empty() {
                return out;
            }
            out.extend_from_slice(part.channel(1));
        }
    }

    /// 300 frames of silence, 100 of sound, a pause, 50 of sound, 400 of silence, numbered so that none is mistaken.
    fn file(pause: usize) -> Vec<f32> {
        let mut x: Vec<f32> = vec![1e-6; 300];
        x.extend((0..100).map(|n| 0.1 + n as f32 * 0.001));
        x.extend(vec![2e-6; pause]);
        x.extend((0..50).map(|n| -0.2 - n as f32 * 0.001));
        x.extend(vec![3e-6; 400]);
        x
    }

    #[test]
    fn keeps_sound_pauses_and_padding_for_any_block() {
        let params = TrimSilenceParams { padding_ms: 20.0, ..Default::default() };
        for pause in [100, 5_000] {
            let x = file(pause);
            let want = &x[280..300 + 100 + pause + 50 + 20];
            for block in [1, 7, 64, 4_096] {
                assert!(run(&params, &x, block) == want.to_vec(), "{pause} {block}");
            }
        }
        let x = file(500);
        let start_only = TrimSilenceParams { end: false, ..params.clone() };
        assert!(run(&start_only, &x, 64) == x[280..]);
        let end_only = TrimSilenceParams { start: false, ..params.clone() };
        assert!(run(&end_only, &x, 64) == x[..300 + 100 + 500 + 50 + 20]);
        assert!(run(&params, &[1e-5; 500], 64).is_empty());
    }

    #[test]
    fn clicks_are_silence() {
        let mut x = file(100);
        x[50] = 0.9;
        x[800] = 0.9;
        let params = TrimSilenceParams { padding_ms: 20.0, ..Default::default() };
        assert!(run(&params, &x, 64) == x[280..570]);
    }

    #[test]
    fn a_pause_longer_than_the_memory_comes_back_whole() {
        let x = file(700_000); // 1.4 million samples, 5 pieces of the file
        let params = TrimSilenceParams { padding_ms: 0.0, ..Default::default() };
        let y = run(&params, &x, 4_096);
        assert!(y == x[300..300 + 100 + 700_000 + 50]);
    }
}
