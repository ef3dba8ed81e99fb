//! Lossy origin: whether the samples were decoded from MP3, AAC or Vorbis, however the file is stored now.
//!
//! An encoder transforms frames of the sound and quantises the lines; many become zero. The same transform of the decoded samples shows these
//! zeros as holes 30 dB below the lines beside them, but only with the same window and when its frames lie where those of the encoder lay: one
//! frame off, and nothing is left of them. So the share of holes is taken for every offset, and one offset that stands far over all others is the
//! mark of the codec. Holes are counted against their neighbours, so that a change of level does not matter. Resampling, stretching, or another
//! codec afterwards hide the mark. Sources: J. Herre, M. Schug, "Analysis of decompressed audio: the inverse decoder", AES 109th Convention, 2000;
//! R. Hennequin, J. Royo-Letelier, M. Moussallam, "Codec independent lossy audio compression detection", ICASSP 2017; O. Derrien, "Detection of
//! genuine lossless audio files: application to the MPEG-AAC codec", JAES 67(3), 2019.
//!
//! Two steps: a search over all offsets in a few places (`search`), and a check of the few best, in other places, against some of the rest
//! (`check`). The check does not know what made the search choose, so that chance passes the one or the other, hardly both.

mod check;
mod hybrid;
mod mdct;
mod search;
#[cfg(test)]
mod tests;

use check::Check;
use mdct::HOP;
use search::Search;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::verdict::{Severity, Verdict, VerdictName};
use crate::audio::Buffer;

/// Rates that MP3 has. AAC has the same transform at all of them, Vorbis from 32 kHz on.
const RATES_HZ: [f64; 6] = [16_000.0, 22_050.0, 24_000.0, 32_000.0, 44_100.0, 48_000.0];
/// Frames of a place that is kept, and places at most: 1.2 MB for two channels.
const SPOT: usize = 8_192;
const SPOTS: usize = 16;
/// Places with sound that are needed: 0.6 s.
const MIN_SPOTS: usize = 3;
/// Short blocks move the grid of Vorbis by multiples of half of their 256 frames.
const VORBIS_STEP: usize = 128;

/// A codec that leaves a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossyCodec {
    /// MPEG-1, 2 Layer III.
    Mp3,
    /// MPEG-4 AAC, low complexity.
    Aac,
    /// Vorbis I.
    Vorbis,
}

impl LossyCodec {
    /// From the first frame of a window to the origin that decoders begin at: `raw` modulo the grid. The polyphase filterbanks of both sides
    /// delay by 481 of 512 frames, the first block of Vorbis ends 64 frames behind a multiple of 128.
    fn offset(self, raw: usize) -> usize {
        match self {
            Self::Mp3 => (raw + hybrid::LINES - 1) % hybrid::LINES,
            Self::Aac => raw,
            Self::Vorbis => (raw + VORBIS_STEP / 2) % VORBIS_STEP,
        }
    }
}

/// What [`Lossy::finish`] measures.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct LossyOrigin {
    /// None: no mark was found, which proves nothing.
    pub codec: Option<LossyCodec>,
    /// Share of holes at the best offset against that at others, 1 when none stands out. None: too short, too quiet, another rate.
    pub score: Option<f64>,
    /// Share of frames in which the offset wins, 0 to 1.
    pub wins: f64,
    /// Frame, modulo 576 for MP3, 1,024 for AAC and 128 for Vorbis, at which the grid lies. 0: where it lies when a decoder gives all that it
    /// has, from the first frame on (for MP3 with LAME's encoder in front, 47 when its delay is taken off).
    pub offset: Option<usize>,
}

/// A place.
#[derive(Clone)]
struct Spot {
    start: u64,
    quality: f32,
    /// Of one channel the second is silent.
    samples: [Vec<f32>; 2],
}

impl Spot {
    fn new() -> Self {
        Self { start: 0, quality: 0.0, samples: [vec![0.0; SPOT], vec![0.0; SPOT]] }
    }

    /// Where `offset` of a grid of `hop` lies in the place, first.
    fn first(&self, offset: usize, hop: usize) -> usize {
        (offset + hop - (self.start % hop as u64) as usize) % hop
    }
}

/// Keeps the best places of a stream: those with sound in the heights all the time. Of more than two channels the first two.
pub(super) struct Lossy {
    rate_hz: f64,
    channels: usize,
    window: Spot,
    filled: usize,
    frames: u64,
    /// Best place of the interval.
    best: Spot,
    /// Places that the interval had, and has when it is over.
    seen: u64,
    interval: u64,
    spots: Vec<Spot>,
}

impl Lossy {
    pub fn new(rate_hz: f64, channels: usize) -> Self {
        Self {
            rate_hz,
            channels: channels.min(2),
            window: Spot::new(),
            filled: 0,
            frames: 0,
            best: Spot::new(),
            seen: 0,
            interval: 1,
            spots: Vec::with_capacity(SPOTS),
        }
    }

    /// A block of any length.
    pub fn push(&mut self, block: &Buffer) {
        if !RATES_HZ.contains(&self.rate_hz) {
            return;
        }
        let mut done = 0;
        while done < block.frames() {
            let count = (SPOT - self.filled).min(block.frames() - done);
            for (to, from) in self.window.samples.iter_mut().zip(block.channels()).take(self.channels) {
                to[self.filled..self.filled + count].copy_from_slice(&from[done..done + count]);
            }
            done += count;
            self.filled += count;
            if self.filled == SPOT {
                self.end_window();
            }
        }
    }

    fn end_window(&mut self) {
        self.window.start = self.frames;
        self.frames += SPOT as u64;
        self.filled = 0;
        // The weakest part counts, so that silence and single beats do not win; differences, so that the bass does not.
        let part = |at: usize| {
            let power = |c: &Vec<f32>| c[at..at + HOP].windows(2).map(|w| (w[1] - w[0]) * (w[1] - w[0])).sum::<f32>();
            self.window.samples[..self.channels].iter().map(power).sum::<f32>()
        };
        self.window.quality = (0..SPOT).step_by(HOP).map(part).fold(f32::INFINITY, f32::min);
        if self.window.quality > self.best.quality {
            std::mem::swap(&mut self.window, &mut self.best);
        }
        self.seen += 1;
        if self.seen == self.interval {
            self.end_interval();
        }
    }

    /// Keeps the best place. When the store is full, the better of each two stays and intervals become twice as long.
    fn end_interval(&mut self) {
        self.seen = 0;
        if self.best.quality > 0.0 {
            self.spots.push(self.best.clone());
            self.best.quality = 0.0;
        }
        if self.spots.len() == SPOTS {
            self.interval *= 2;
            for pair in 0..SPOTS / 2 {
                let worse = self.spots[pair].quality < self.spots[pair + 1].quality;
                self.spots.remove(if worse { pair } else { pair + 1 });
            }
        }
    }

    pub fn finish(mut self) -> LossyOrigin {
        if self.seen > 0 {
            self.end_interval();
        }
        if self.spots.len() < MIN_SPOTS {
            return LossyOrigin::default();
        }
        self.spots.sort_by(|a, b| b.quality.total_cmp(&a.quality).then(a.start.cmp(&b.start)));
        let mut search = Search::new(self.rate_hz, self.channels);
        let mut checks = search.transforms(&self.spots);
        checks.extend(search.hybrid(&self.spots));
        let passed = checks.iter().filter(|c| c.passes()).max_by(|a, b| a.ratio().total_cmp(&b.ratio()));
        let best = passed.or_else(|| checks.iter().max_by(|a, b| a.ratio().total_cmp(&b.ratio())));
        LossyOrigin {
            codec: passed.map(|c| c.codec),
            score: Some(best.map_or(1.0, Check::ratio)),
            wins: best.map_or(0.0, |c| c.wins),
            offset: passed.map(|c| c.codec.offset(c.offset)),
        }
    }
}

pub(super) fn verdict(origin: &LossyOrigin) -> Option<Verdict> {
    let (codec, score) = (origin.codec?, origin.score?);
    let name = match codec {
        LossyCodec::Mp3 => "MP3",
        LossyCodec::Aac => "AAC",
        LossyCodec::Vorbis => "Vorbis",
    };
    let text = format!(
        "sound in it was decoded from {name}: {:.0} % of the frames bear the mark of that codec, {score:.1} times over chance.",
        100.0 * origin.wins
    );
    Some(Verdict::new(VerdictName::LossyOrigin, Severity::Info, (score, check::RATIO, "ratio"), text))
}
