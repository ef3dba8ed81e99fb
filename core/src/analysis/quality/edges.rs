//! Begin and end: silence there, or sound that starts and stops in the middle.

use super::verdict::{Severity, Span, Verdict, VerdictName};
use crate::audio::Buffer;
use crate::meter::level::power_db;

/// What is below counts as silence: RMS of 10 ms, loudest channel, in dBFS.
const SILENCE_DBFS: f64 = -60.0;
/// Silence at an end that is told, and that is too much for any use.
const TOLD_S: f64 = 1.0;
const LONG_S: f64 = 10.0;
/// Level in the first or last 2 ms from which sound is cut, against the RMS of all sound, and at least.
const CUT_DB: f64 = -12.0;
const CUT_DBFS: f64 = -40.0;

/// Follows the level at both ends.
pub(super) struct Edges {
    rate_hz: f64,
    window: u64,
    edge: usize,
    frames: u64,
    filled: u64,
    sums: Vec<f64>,
    /// Squares over all, largest channel.
    totals: Vec<f64>,
    /// Squares of the first and the last 2 ms.
    first: Vec<f32>,
    last: Vec<f32>,
    at: usize,
    /// First frame of the first window with sound, and the end of the last.
    sound: Option<(u64, u64)>,
}

/// What is at the ends.
pub(super) struct Ends {
    pub start_s: f64,
    pub end_s: f64,
    pub verdicts: Vec<Verdict>,
}

impl Edges {
    pub fn new(rate_hz: f64, channels: usize) -> Self {
        let edge = ((rate_hz * 0.002).round() as usize).max(4);
        Self {
            rate_hz,
            window: ((rate_hz * 0.010).round() as u64).max(4),
            edge,
            frames: 0,
            filled: 0,
            sums: vec![0.0; channels],
            totals: vec![0.0; channels],
            first: Vec::with_capacity(edge),
            last: vec![0.0; edge],
            at: 0,
            sound: None,
        }
    }

    pub fn push(&mut self, block: &Buffer) {
        let mut start = 0;
        while start < block.frames() {
            let end = block.frames().min(start + (self.window - self.filled) as usize);
            for (sum, samples) in self.sums.iter_mut().zip(block.channels()) {
                for x in &samples[start..end] {
                    *sum += f64::from(*x) * f64::from(*x);
                }
            }
            self.filled += (end - start) as u64;
            self.frames += (end - start) as u64;
            if self.filled == self.window {
                self.end_window();
            }
            start = end;
        }
        let loudest = |n: usize| block.channels().map(|c| c[n] * c[n]).fold(0.0, f32::max);
        for n in 0..block.frames().min(self.edge - self.first.len()) {
            self.first.push(loudest(n));
        }
        for n in block.frames().saturating_sub(self.edge)..block.frames() {
            self.last[self.at] = loudest(n);
            self.at = (self.at + 1) % self.edge;
        }
    }

    fn end_window(&mut self) {
        let loudest = self.sums.iter().copied().fold(0.0, f64::max) / self.filled.max(1) as f64;
        if power_db(loudest) > SILENCE_DBFS {
            let start = self.frames - self.filled;
            self.sound = Some((self.sound.map_or(start, |s| s.0), self.frames));
        }
        for (total, sum) in self.totals.iter_mut().zip(&mut self.sums) {
            *total += *sum;
            *sum = 0.0;
        }
        self.filled = 0;
    }

    pub fn finish(mut self) -> Ends {
        if self.filled > 0 {
            self.end_window();
        }
        let seconds = |frames: u64| frames as f64 / self.rate_hz;
        let length_s = seconds(self.frames);
        let Some((begin, end)) = self.sound else {
            return Ends { start_s: length_s, end_s: length_s, verdicts: Vec::new() };
        };
        let (start_s, end_s) = (seconds(begin), seconds(self.frames - end));
        let mut verdicts = Vec::new();
        let places = [
            (VerdictName::SilenceAtStart, start_s, 0.0, "before"),
            (VerdictName::SilenceAtEnd, end_s, length_s - end_s, "after"),
        ];
        for (name, silent_s, from_s, word) in places {
            if silent_s >= TOLD_S {
                let severity = if silent_s >= LONG_S { Severity::Warning } else { Severity::Info };
                let text = format!("{silent_s:.2} s of silence (below {SILENCE_DBFS} dBFS) {word} the sound.");
                let span = Span { start_s: from_s, end_s: from_s + silent_s, channel: None };
                verdicts.push(Verdict::new(name, severity, (silent_s, TOLD_S, "s"), text).at(vec![span], 1));
            }
        }
        let loudest = self.totals.iter().copied().fold(0.0, f64::max) / (end - begin).max(1) as f64;
        let threshold = (power_db(loudest) + CUT_DB).max(CUT_DBFS);
        let mean = |squares: &[f32]| {
            power_db(squares.iter().map(|s| f64::from(*s)).sum::<f64>() / squares.len().max(1) as f64)
        };
        let edge_s = seconds(self.edge as u64);
        let places = [
            (VerdictName::StartsCut, mean(&self.first), 0.0, "begins"),
            (VerdictName::EndsCut, mean(&self.last), (length_s - edge_s).max(0.0), "ends"),
        ];
        for (name, level_db, from_s, word) in places {
            // What is as short as a few windows has no middle.
            if level_db > threshold && length_s > 0.1 {
                let text =
                    format!("{word} at {level_db:.1} dBFS, in the middle of sound: part of an excerpt, or cut off.");
                let span = Span { start_s: from_s, end_s: from_s + edge_s, channel: None };
                verdicts
                    .push(Verdict::new(name, Severity::Info, (level_db, threshold, "dBFS"), text).at(vec![span], 1));
            }
        }
        Ends { start_s, end_s, verdicts }
    }
}
