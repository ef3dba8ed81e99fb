//! Shortens the pauses inside a file.

use std::collections::VecDeque;

use super::crossfade::{CrossfadeCurve, crossfade};
use super::fifo::FrameFifo;
use super::params::filter_params;
use super::{Filter, Finding, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};

filter_params! {
    /// Shortens long pauses inside a file and tells where; silence at the beginning and the end stays. For files.
    pub struct CutSilenceParams for "cut_silence" in Time, realtime false {
        /// Peak level under which all channels count as silent.
        threshold_dbfs: f64 = -50.0, -120.0 to 0.0 "dBFS";
        /// Shortest pause that is cut.
        min_pause_ms: f64 = 800.0, 20.0 to 600000.0 "ms";
        /// What is left of a pause, half after the last sound and half before the next; at most `min_pause_ms`.
        keep_ms: f64 = 400.0, 0.0 to 600000.0 "ms";
        /// Cross-fade over the cut, a part of what is kept.
        crossfade_ms: f64 = 5.0, 0.0 to 100.0 "ms";
    }
}

/// A pause that is cut, in frames of the input. `fade` frames before `start` become those before `end` gradually.
#[derive(Debug, Clone, Copy)]
struct Cut {
    start: u64,
    end: u64,
}

/// See [`CutSilenceParams`]. Pauses are held back until sound returns, beyond 2 MiB in a temporary file; no latency, as it
/// compensates itself. Its [`Filter::take_findings`] are the cuts, in times of its input.
#[derive(Debug)]
pub struct CutSilence {
    params: CutSilenceParams,
    spec: Option<Spec>,
    room: usize,
    threshold: f32,
    min_pause: u64,
    keep: u64,
    fade: u64,
    held: FrameFifo,
    /// Frames received, and position of the first frame that is held.
    received: u64,
    read: u64,
    /// After the last sound; none before the first.
    sound_end: Option<u64>,
    cuts: VecDeque<Cut>,
    findings: Vec<Finding>,
    /// Two pieces of input around a cut.
    piece: Buffer,
    next: Buffer,
    /// Finished frames.
    ready: FrameFifo,
    error: Option<Error>,
}

impl CutSilence {
    /// A cut of pauses by `params`.
    pub fn new(params: &CutSilenceParams) -> Self {
        let unset = Buffer::new(Spec::new(48_000, ChannelLayout::MONO), 0);
        Self {
            params: params.clone(),
            spec: None,
            room: 0,
            threshold: 0.0,
            min_pause: 0,
            keep: 0,
            fade: 0,
            held: FrameFifo::new(1),
            received: 0,
            read: 0,
            sound_end: None,
            cuts: VecDeque::new(),
            findings: Vec::new(),
            piece: unset.clone(),
            next: unset,
            ready: FrameFifo::new(1),
            error: None,
        }
    }

    /// Takes note of sound at `at`.
    fn hear(&mut self, at: u64) {
        if let (Some(from), Some(spec)) = (self.sound_end, self.spec) {
            let pause = at - from;
            if pause >= self.min_pause && pause > self.keep {
                // Half of what is kept, and the cross-fade, come before the cut.
                let start = from + (self.keep - self.fade) / 2 + self.fade;
                let cut = Cut { start, end: start + pause - self.keep };
                self.cuts.push_back(cut);
                self.findings.push(Finding {
                    filter: "cut_silence".into(),
                    what: "cut".into(),
                    start_s: spec.seconds(cut.start),
                    end_s: spec.seconds(cut.end),
                });
            }
        }
        self.sound_end = Some(at + 1);
    }

    /// Moves all that is decided, up to the frame `until` of the input, to `ready`.
    fn advance(&mut self, until: u64) -> Result<()> {
        while self.read < until {
            let limit = self.cuts.front().map_or(until, |cut| cut.start - self.fade).min(until);
            if self.read < limit {
                let count = (limit - self.read).min(self.room as u64);
                self.held.pop(count, Some(&mut self.piece))?;
                self.ready.push(&self.piece)?;
                self.read += count;
                continue;
            }
            let Some(cut) = self.cuts.pop_front() else { return Ok(()) };
            self.held.pop(self.fade, Some(&mut self.piece))?;
            self.held.pop(cut.end - cut.start - self.fade.min(cut.end - cut.start), None)?;
            let fade = self.fade.min(cut.end - cut.start);
            // With a cut shorter than the cross-fade, the two pieces overlap.
            self.held.pop(fade, Some(&mut self.next))?;
            let offset = (self.fade - fade) as usize;
            for (to, from) in self.next.channels_mut().zip(self.piece.channels()) {
                crossfade(CrossfadeCurve::Smooth, &from[offset..], to, 0, fade as usize);
            }
            self.piece.set_frames(offset);
            self.ready.push(&self.piece)?;
            self.ready.push(&self.next)?;
            self.read = cut.end;
        }
        Ok(())
    }

    fn emit(&mut self, until: u64, block: &mut Buffer) {
        block.set_frames(0);
        let mut result = self.advance(until);
        if result.is_ok() {
            result = self.ready.pop(self.room as u64, Some(block));
        }
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }
}

impl Filter for CutSilence {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let frames = |ms: f64| (ms * f64::from(spec.rate_hz) / 1000.0).round() as u64;
        self.threshold = 10f64.powf(self.params.threshold_dbfs / 20.0) as f32;
        self.min_pause = frames(self.params.min_pause_ms).max(1);
        self.keep = frames(self.params.keep_ms).min(self.min_pause);
        self.fade = frames(self.params.crossfade_ms).min(self.keep);
        self.held = FrameFifo::new(spec.channels());
        self.ready = FrameFifo::new(spec.channels());
        // Twice, so that a pause that stays is caught up with after it.
        (self.spec, self.room) = (Some(spec), 2 * max_frames);
        self.piece = Buffer::new(spec, self.room.max(self.fade as usize));
        self.next = Buffer::new(spec, self.fade as usize);
        self.reset();
        Ok(Prepared { spec, max_frames: self.room, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        if self.spec.is_none() {
            return;
        }
        let (frames, start) = (block.frames(), self.received);
        if let Err(error) = self.held.push(block) {
            self.error.get_or_insert(error);
        }
        self.received += frames as u64;
        let loud = block.channels().map(super::sections::peak).fold(0.0, f32::max) >= self.threshold;
        for n in 0..if loud { frames } else { 0 } {
            if block.channels().any(|c| c[n].abs() >= self.threshold) {
                self.hear(start + n as u64);
            }
        }
        // Of a pause that may still be cut, only the first part is sure to stay; before the first sound all is.
        let sure = self.sound_end.map_or(self.received, |end| end + (self.keep - self.fade) / 2);
        self.emit(sure.min(self.received), block);
    }

    fn finish(&mut self, block: &mut Buffer) {
        let Some(spec) = self.spec else { return block.set_frames(0) };
        block.set_spec(spec);
        self.emit(self.received, block);
    }

    fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    fn reset(&mut self) {
        self.held.clear();
        self.ready.clear();
        self.cuts.clear();
        self.findings.clear();
        (self.received, self.read, self.sound_end, self.error) = (0, 0, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::file_testing::through;
    use super::*;

    /// Sound (0.5) and pauses (0.001 and more, rising) in turn, in frames.
    fn file(parts: &[usize]) -> Vec<f32> {
        let mut x = Vec::new();
        for (index, frames) in parts.iter().enumerate() {
            x.extend((0..*frames).map(|n| if index % 2 == 0 { 0.001 + n as f32 * 1e-8 } else { 0.5 }));
        }
        x
    }

    #[test]
    fn long_pauses_inside_are_shortened_and_others_stay() {
        let x = file(&[2_000, 100, 799, 50, 800, 10, 3_000, 100, 5_000]);
        for block in [1, 7, 64, 4_096] {
            let y = through("cut_silence:crossfade_ms=0", 1_000, &[x.clone(), vec![0.0; x.len()]], block).remove(0);
            // Of the pauses of 800 and 3000 frames 400 are left: their first and their last 200.
            let (a, b) = (2_949, 3_759);
            let want = [&x[..a + 200], &x[a + 600..b + 200], &x[b + 2_800..]].concat();
            assert!(y == want, "{block}: {} {}", y.len(), want.len());
        }
        let quiet = file(&[5_000]);
        assert!(through("cut_silence", 1_000, std::slice::from_ref(&quiet), 64)[0] == quiet);
    }

    #[test]
    fn the_crossfade_leaves_no_step_and_the_length_is_the_same() {
        // Pauses that rise from 0.001 to 0.003: a plain cut would be a step.
        let mut x = vec![0.5f32; 10];
        x.extend((0..2_000).map(|n| 0.001 + n as f32 * 1e-6));
        x.extend(vec![0.5f32; 10]);
        for (keep_ms, crossfade_ms) in [(400, 0), (400, 100), (50, 50), (100, 100)] {
            for block in [1, 64] {
                let text = format!("cut_silence:keep_ms={keep_ms},crossfade_ms={crossfade_ms}");
                let y = through(&text, 1_000, &[x.clone()], block).remove(0);
                assert_eq!(y.len(), 20 + keep_ms, "{text}");
                let pause = &y[11..10 + keep_ms];
                let step = pause.windows(2).map(|p| (p[1] - p[0]).abs()).fold(0.0, f32::max);
                // A raised cosine over n frames is steepest in the middle: pi / 2n of the height, 0.002.
                let most = if crossfade_ms == 0 { 0.002 } else { 0.002 * 1.6 / crossfade_ms as f32 + 2e-6 };
                assert!(step <= most, "{text}: {step}");
            }
        }
    }

    #[test]
    fn the_cuts_are_told_in_times_of_the_input() {
        let spec = Spec::new(1_000, ChannelLayout::MONO);
        let x = file(&[2_000, 100, 1_000, 50, 500, 10, 3_000, 100, 5_000]);
        let mut filter = CutSilence::new(&CutSilenceParams { crossfade_ms: 0.0, ..Default::default() });
        let room = filter.prepare(spec, 128).unwrap().max_frames;
        let mut block = Buffer::new(spec, room);
        let mut found = Vec::new();
        for part in x.chunks(128) {
            block.copy_from(&Buffer::from_channels(spec, &[part.to_vec()]), 0, part.len());
            filter.process(&mut block);
            found.extend(filter.take_findings());
        }
        let times: Vec<_> = found.iter().map(|f| (f.start_s, f.end_s)).collect();
        assert_eq!(times, [(2.3, 2.9), (3.86, 6.46)]);
        assert!(found.iter().all(|f| f.filter == "cut_silence" && f.what == "cut"));
    }
}
