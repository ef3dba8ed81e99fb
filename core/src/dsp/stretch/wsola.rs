//! Stretch of speech: waveform-similarity overlap-add.
//!
//! W. Verhelst, M. Roelands, "An overlap-add technique based on waveform similarity (WSOLA) for high quality time-scale
//! modification of speech", ICASSP 1993. Segments of 2 hops overlap by half under a raised cosine. Each begins within
//! `reach` of where the tempo would have it, there where it is most like the continuation of the previous one
//! ([`Search`]). As long as the continuation
//! itself is within reach it is taken, so that most of the output is an exact copy.

use super::similar::Search;
use super::source::Source;

/// See the module's documentation.
#[derive(Debug, Clone)]
pub struct Wsola {
    tempo: f64,
    hop: usize,
    search: Search,
    window: Vec<f32>,
    /// Segments so far, and where the last one began.
    count: u64,
    last: i64,
    /// Second half of the last segment, faded out, per channel.
    overlap: Vec<Vec<f32>>,
}

impl Wsola {
    /// A stretch of a signal of `rate_hz` to `1 / tempo` of its length.
    pub fn new(rate_hz: f64, channels: usize, tempo: f64) -> Self {
        let hop = ((rate_hz * HOP_MS / 1000.0).round() as usize).max(2);
        let window =
            (0..hop).map(|n| (0.5 - 0.5 * (std::f64::consts::PI * (n as f64 + 0.5) / hop as f64).cos()) as f32);
        Self {
            tempo,
            hop,
            search: Search::new(rate_hz, REACH_MS),
            window: window.collect(),
            count: 0,
            last: 0,
            overlap: vec![vec![0.0; hop]; channels],
        }
    }

    /// Frames that each step gives.
    pub fn hop(&self) -> usize {
        self.hop
    }

    /// Silence that must lie before the input.
    pub fn lead(&self) -> usize {
        2 * self.hop + self.around()
    }

    /// Farthest frame from the target that is looked at.
    fn around(&self) -> usize {
        self.search.reach() + self.search.margin()
    }

    /// Where the next segment would begin by the tempo alone.
    fn target(&self) -> i64 {
        (self.count as f64 * self.hop as f64 * self.tempo).round() as i64 - self.hop as i64
    }

    /// Position up to which the next step needs the input.
    pub fn needs(&self) -> i64 {
        let segment = (2 * self.hop) as i64;
        (self.target() + self.around() as i64).max(self.last + self.hop as i64) + segment
    }

    /// Position before which the input is not needed any more.
    pub fn done(&self) -> i64 {
        (self.target() - self.around() as i64).min(self.last)
    }

    /// Appends the next [`Wsola::hop`] frames to `output`, one vector per channel.
    pub fn step(&mut self, source: &Source, output: &mut [Vec<f32>]) {
        let target = self.target();
        let natural = self.last + self.hop as i64;
        let at = if self.count == 0 {
            target
        } else if (natural - target).unsigned_abs() as usize <= self.search.reach() {
            natural
        } else {
            self.search.find(source, target, |channel| source.window(channel, natural, 2 * self.hop))
        };
        for (channel, (overlap, out)) in self.overlap.iter_mut().zip(output).enumerate() {
            let segment = source.window(channel, at, 2 * self.hop);
            if segment.len() < 2 * self.hop {
                out.extend_from_slice(overlap);
                overlap.fill(0.0);
                continue;
            }
            let (first, second) = segment.split_at(self.hop);
            // The first segment lies half before the start.
            if self.count > 0 {
                out.extend(overlap.iter().zip(first).zip(&self.window).map(|((o, x), w)| o + x * w));
            }
            for ((o, x), w) in overlap.iter_mut().zip(second).zip(self.window.iter().rev()) {
                *o = x * w;
            }
        }
        self.last = at;
        self.count += 1;
    }
}

/// Distance of two segments. This and the reach were chosen by the spectral convergence of speech that is stretched and
/// stretched back (tests/performance/stretch.py): 12 ms and 12 ms give 0.23 over windows of 2048, these 0.19.
const HOP_MS: f64 = 10.0;
/// How far a segment may lie from where the tempo would have it: half of a period of 77 Hz.
const REACH_MS: f64 = 6.5;
