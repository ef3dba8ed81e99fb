//! Clipping: flat tops at the extreme of a channel, also below full scale.
//!
//! Looked for are runs of at least three samples within a few steps of 16 bits of the largest (or smallest) sample of the channel, with an
//! edge: outside of the run the signal falls away at once. A smooth peak that is as flat as that falls away like a parabola, so
//! that its neighbours stay within a few tolerances. The extreme is that of the channel, not full scale: what was clipped and then
//! turned down is found too. Compare Essentia's `SaturationDetector` and the flat factor of ffmpeg's `astats`, which ask for full scale.

use super::verdict::{Severity, Span, Verdict, VerdictName};

/// Samples closer than this to the extreme are at it: the noise of a dither at 16 bits, and rounding after a change of level.
const STEP: f32 = 2.5 / 32_768.0;
const RELATIVE: f32 = 1e-4;
/// A run is clipped when the signal falls by so many tolerances within one sample on one of its sides.
const EDGE: f32 = 6.0;
const MIN_RUN: u32 = 3;
/// A single run counts from this length, or two of [`MIN_RUN`]: a peak may be flat by chance, not twice at the same level.
const LONG_RUN: u32 = 6;
/// Below -50 dBFS steps of 16 bits are too coarse to tell.
const MIN_LEVEL: f32 = 0.003;
/// More than this share of all samples at the extremes is a square wave.
const SQUARE: f64 = 0.8;
/// Runs kept per channel and side.
const KEPT: usize = 2_000;
/// Share from which clipping is an error.
const ERROR_SHARE: f64 = 1e-3;

struct Run {
    start: u64,
    frames: u32,
}

/// One polarity of a channel.
#[derive(Default)]
struct Side {
    level: f32,
    run_start: u64,
    run: u32,
    /// Fall before the run.
    before: f32,
    runs: Vec<Run>,
    count: u64,
    samples: u64,
    longest: u32,
    /// Largest sample clearly below the level: how coarse the signal is there.
    second: f32,
}

impl Side {
    fn push(&mut self, samples: &[f32], sign: f32, prev: f32, at: u64) {
        let tol = STEP + RELATIVE * self.level;
        let top = samples.iter().fold(f32::NEG_INFINITY, |m, x| m.max(x * sign));
        if self.run == 0 && top < self.level - tol {
            self.second = self.second.max(top);
            return;
        }
        let mut prev = prev * sign;
        for (n, x) in samples.iter().enumerate() {
            let x = x * sign;
            let tol = STEP + RELATIVE * self.level;
            if x > self.level + tol {
                // A new extreme: what was flat below it was not clipping.
                let second = if self.level > 0.0 { self.level } else { 0.0 };
                *self =
                    Self { level: x, run_start: at + n as u64, run: 1, before: x - prev, second, ..Self::default() };
            } else if x >= self.level - tol {
                if self.run == 0 {
                    (self.run_start, self.before) = (at + n as u64, x - prev);
                }
                self.run += 1;
            } else {
                self.end(self.level - x);
                self.second = self.second.max(x);
            }
            prev = x;
        }
    }

    fn end(&mut self, after: f32) {
        let tol = STEP + RELATIVE * self.level;
        // In a coarse signal (8 bits, A-law) the next lower value is far away anyhow.
        let edge = (EDGE * tol).max(1.5 * (self.level - self.second - tol));
        if self.run >= MIN_RUN && self.level >= MIN_LEVEL && self.before.max(after) >= edge {
            self.count += 1;
            self.samples += u64::from(self.run);
            self.longest = self.longest.max(self.run);
            if self.runs.len() < KEPT {
                self.runs.push(Run { start: self.run_start, frames: self.run });
            }
        }
        self.run = 0;
    }

    fn is_clipped(&self) -> bool {
        self.count >= 2 || self.longest >= LONG_RUN
    }
}

/// One channel.
pub(super) struct Clipping {
    sides: [Side; 2],
    prev: f32,
    frames: u64,
}

/// What was found in one channel.
pub(super) struct Clipped {
    pub count: u64,
    pub samples: u64,
    pub frames: u64,
    pub longest: u32,
    /// Larger of the two levels.
    pub level: f32,
    pub runs: Vec<(u64, u32)>,
}

impl Clipping {
    pub fn new() -> Self {
        Self { sides: Default::default(), prev: 0.0, frames: 0 }
    }

    pub fn push(&mut self, samples: &[f32]) {
        for (side, sign) in self.sides.iter_mut().zip([1.0, -1.0]) {
            side.push(samples, sign, self.prev, self.frames);
        }
        self.prev = samples.last().copied().unwrap_or(self.prev);
        self.frames += samples.len() as u64;
    }

    pub fn finish(mut self) -> Clipped {
        let mut found = Clipped { count: 0, samples: 0, frames: self.frames, longest: 0, level: 0.0, runs: Vec::new() };
        for side in &mut self.sides {
            side.end(side.level);
            if side.is_clipped() {
                found.count += side.count;
                found.samples += side.samples;
                found.longest = found.longest.max(side.longest);
                found.level = found.level.max(side.level);
                found.runs.extend(side.runs.iter().map(|r| (r.start, r.frames)));
            }
        }
        if found.samples as f64 > SQUARE * self.frames as f64 {
            (found.count, found.samples, found.runs) = (0, 0, Vec::new());
        }
        found
    }
}

/// The verdict over all channels.
pub(super) fn verdict(channels: &[Clipped], rate_hz: f64) -> Option<Verdict> {
    let count: u64 = channels.iter().map(|c| c.count).sum();
    if count == 0 {
        return None;
    }
    let worst = channels.iter().map(|c| c.samples as f64 / c.frames.max(1) as f64).fold(0.0, f64::max);
    let level = channels.iter().filter(|c| c.count > 0).map(|c| c.level).fold(0.0, f32::max);
    let longest = channels.iter().map(|c| c.longest).max().unwrap_or(0);
    let level_db = crate::meter::level::amplitude_db(f64::from(level));
    let how = if level_db < -0.2 { "clipped, then turned down" } else { "clipped" };
    let severity = if worst >= ERROR_SHARE || longest >= 20 { Severity::Error } else { Severity::Warning };
    let text = format!(
        "{how}: {count} flat tops at {level_db:.1} dBFS, the longest of {longest} samples; the waveform above is lost."
    );
    let mut spans = Vec::new();
    for (index, channel) in channels.iter().enumerate() {
        spans.extend(channel.runs.iter().map(|(start, frames)| Span {
            start_s: *start as f64 / rate_hz,
            end_s: (*start + u64::from(*frames)) as f64 / rate_hz,
            channel: Some(index as u32),
        }));
    }
    Some(Verdict::new(VerdictName::Clipping, severity, (count as f64, 2.0, "flat tops"), text).at(spans, count))
}
