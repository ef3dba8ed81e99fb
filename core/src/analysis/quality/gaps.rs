//! Drop-outs: digital silence inside of sound, with abrupt edges on both sides.
//!
//! A pause fades: before it the level falls. A lost packet or a failed read does not. Essentia's `GapsDetector` asks for much the same
//! (gaps of 10 ms to 3.5 s with sound above a threshold before), but not for the edge behind.

use super::verdict::{MAX_SPANS, Severity, Span, Verdict, VerdictName};

/// Shortest and longest gap.
const MIN_S: f64 = 0.0008;
const MAX_S: f64 = 5.0;
/// Half a step of 16 bits: what a decoder leaves of zero.
const ZERO: f32 = 1.5e-5;
/// RMS on both sides.
const LOUD: f64 = 0.003;
/// The last 3 ms before the gap, and the first after it, against the twenty around: what fades is below. Shorter edges meet bass where it
/// crosses zero.
const EDGE_S: f64 = 0.003;
const AROUND_S: f64 = 0.020;
const ABRUPT: f64 = 0.3;

/// Where a channel is.
enum State {
    Sound,
    /// So many zeros, after sound that ended abruptly or not.
    Zeros(u64, bool),
    /// After a gap of so many frames, sum of squares of the first 3 ms and of all since.
    After(u64, u64, f64, f64),
}

/// One channel.
pub(super) struct Gaps {
    short: u64,
    long: u64,
    max: u64,
    min: u64,
    frames: u64,
    /// Squares of the last `long` frames.
    ring: Vec<f32>,
    at: usize,
    state: State,
    zeros: u64,
    pub found: Vec<(u64, u64)>,
    pub count: u64,
}

impl Gaps {
    pub fn new(rate_hz: f64) -> Self {
        let frames = |s: f64| ((s * rate_hz).round() as u64).max(4);
        Self {
            short: frames(EDGE_S),
            long: frames(AROUND_S),
            max: frames(MAX_S),
            min: frames(MIN_S),
            frames: 0,
            ring: vec![0.0; frames(AROUND_S) as usize],
            at: 0,
            state: State::Sound,
            zeros: 0,
            found: Vec::new(),
            count: 0,
        }
    }

    /// Whether the sound of the last `long` frames is loud, and no softer at its end.
    fn ends_abruptly(&self) -> bool {
        let (n, short) = (self.ring.len(), self.short as usize);
        let all: f64 = self.ring.iter().map(|s| f64::from(*s)).sum();
        let last: f64 = (1..=short).map(|k| f64::from(self.ring[(self.at + n - k) % n])).sum();
        abrupt(last, self.short, all, self.long)
    }

    pub fn push(&mut self, samples: &[f32]) {
        for x in samples {
            let zero = x.abs() <= ZERO;
            match &mut self.state {
                // A crossing of zero is no gap: sound goes on until there are several zeros in a row.
                State::Sound | State::After(..) if zero => self.zeros += 1,
                State::Sound | State::After(..) => {
                    if self.zeros > 0 {
                        for _ in 0..self.zeros {
                            self.sound(0.0);
                        }
                        self.zeros = 0;
                    }
                    self.sound(x * x);
                }
                State::Zeros(count, abrupt) => {
                    if zero {
                        *count += 1;
                    } else {
                        let (gap, whole) = (*count, *abrupt && (self.min..=self.max).contains(count));
                        self.state = if whole { State::After(gap, 0, 0.0, 0.0) } else { State::Sound };
                        self.ring.fill(0.0);
                        self.sound(x * x);
                    }
                }
            }
            self.frames += 1;
            if self.zeros >= self.min {
                let abrupt = matches!(self.state, State::Sound) && self.ends_abruptly();
                self.state = State::Zeros(self.zeros, abrupt);
                self.zeros = 0;
            }
        }
    }

    fn sound(&mut self, square: f32) {
        self.ring[self.at] = square;
        self.at = (self.at + 1) % self.ring.len();
        if let State::After(gap, frames, first, all) = &mut self.state {
            if *frames < self.short {
                *first += f64::from(square);
            }
            *all += f64::from(square);
            *frames += 1;
            if *frames == self.long {
                if abrupt(*first, self.short, *all, self.long) {
                    self.count += 1;
                    if self.found.len() < MAX_SPANS {
                        // `frames` of this sample is not counted yet.
                        let end = self.frames + 1 - self.long - self.zeros;
                        self.found.push((end.saturating_sub(*gap), *gap));
                    }
                }
                self.state = State::Sound;
            }
        }
    }
}

fn abrupt(edge: f64, edge_frames: u64, all: f64, frames: u64) -> bool {
    let (edge, all) = ((edge / edge_frames as f64).sqrt(), (all / frames as f64).sqrt());
    all > LOUD && edge > ABRUPT * all
}

pub(super) fn verdict(channels: &[Gaps], rate_hz: f64) -> Option<Verdict> {
    let count: u64 = channels.iter().map(|c| c.count).sum();
    if count == 0 {
        return None;
    }
    let seconds = |frames: u64| frames as f64 / rate_hz;
    let mut spans = Vec::new();
    let mut longest = 0;
    for (index, channel) in channels.iter().enumerate() {
        for (start, frames) in &channel.found {
            longest = longest.max(*frames);
            let channel = Some(index as u32);
            spans.push(Span { start_s: seconds(*start), end_s: seconds(start + frames), channel });
        }
    }
    let longest_ms = seconds(longest) * 1000.0;
    let text = format!(
        "{count} stretches of digital silence cut into the sound, the longest of {longest_ms:.1} ms: data was lost."
    );
    Some(
        Verdict::new(VerdictName::DropOuts, Severity::Error, (longest_ms, MIN_S * 1000.0, "ms"), text).at(spans, count),
    )
}
