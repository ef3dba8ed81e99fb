//! One offset of a grid against others: the share of holes, and how often it has most of them.

use super::{LossyCodec, MIN_SPOTS};

/// Lines that are compared with their mean.
const BLOCK: usize = 16;
/// A hole has this part of the mean power of its block: -30 dB. Of Gaussian lines 2.5 % are that small.
const HOLE: f32 = 1e-3;
/// Mean power of a block from which holes can be seen: 20 dB over the rounding of 16 bits, 2^-30 / 12.
const AUDIBLE: f32 = 7.8e-9;
/// Lines in such blocks that a frame must have.
const MIN_LINES: f32 = 64.0;
/// Offsets that are checked, and those that they are compared with.
const CANDIDATES: usize = 3;
const OTHERS: usize = 12;
/// Holes at the offset against those elsewhere, from which on it is told: lossless pieces stay below 1.3,
/// MP3 at 192 kbit/s lies at 3, what is decoded from lower rates at 4 to 13.
pub(super) const RATIO: f64 = 1.5;
/// Share of the frames in which the offset has more holes than each of the others; by chance 1 / 13.
const WINS: f64 = 0.3;

/// An offset against others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check {
    pub codec: LossyCodec,
    pub offset: usize,
    /// Share of holes at the offset, and elsewhere.
    share: f64,
    elsewhere: f64,
    pub wins: f64,
}

impl Check {
    pub fn ratio(&self) -> f64 {
        // Half a hole in a hundred lines is nothing to divide by.
        self.share / self.elsewhere.max(0.005)
    }

    pub fn passes(&self) -> bool {
        self.ratio() >= RATIO && self.wins >= WINS
    }
}

/// Sums over the frames of a check: candidates first, then the others.
pub(super) struct Tally {
    candidates: Vec<usize>,
    pub offsets: Vec<usize>,
    sums: Vec<f64>,
    wins: Vec<usize>,
    frames: usize,
}

impl Tally {
    /// The best of `scores`, and others `step` apart; none when nothing stands out.
    pub fn new(scores: &[f32], stands_out: f32, step: usize) -> Option<Self> {
        let count = scores.len() as f32;
        let mean = scores.iter().sum::<f32>() / count;
        let deviation = (scores.iter().map(|s| (s - mean) * (s - mean)).sum::<f32>() / count).sqrt();
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
        let best = *order.first()?;
        if scores[best] - mean < stands_out * deviation.max(1e-6) {
            return None;
        }
        order.truncate(CANDIDATES);
        let others = (1..=OTHERS).map(|i| (best + step * i) % scores.len());
        let offsets: Vec<usize> = order.iter().copied().chain(others).collect();
        Some(Self { sums: vec![0.0; offsets.len()], wins: vec![0; order.len()], candidates: order, offsets, frames: 0 })
    }

    /// Adds the shares of one frame at all offsets.
    pub fn add(&mut self, shares: impl Iterator<Item = Option<f32>>) {
        let Some(shares) = shares.collect::<Option<Vec<f32>>>() else { return };
        self.frames += 1;
        let most = shares[self.candidates.len()..].iter().copied().fold(0.0, f32::max);
        for (wins, share) in self.wins.iter_mut().zip(&shares) {
            *wins += usize::from(*share > most);
        }
        for (sum, share) in self.sums.iter_mut().zip(&shares) {
            *sum += f64::from(*share);
        }
    }

    pub fn finish(&self, codec: LossyCodec) -> Option<Check> {
        if self.frames < MIN_SPOTS {
            return None;
        }
        let (candidates, others) = self.sums.split_at(self.candidates.len());
        let best = (0..candidates.len()).max_by(|a, b| candidates[*a].total_cmp(&candidates[*b]))?;
        let frames = self.frames as f64;
        Some(Check {
            codec,
            offset: self.candidates[best],
            share: candidates[best] / frames,
            elsewhere: others.iter().sum::<f64>() / others.len() as f64 / frames,
            wins: self.wins[best] as f64 / frames,
        })
    }
}

/// Holes, and lines in which there could be some.
#[derive(Default, Clone, Copy)]
struct Holes {
    holes: u32,
    lines: u32,
}

impl Holes {
    fn count(&mut self, powers: &[f32]) {
        for block in powers.as_chunks::<BLOCK>().0 {
            let mean = block.iter().sum::<f32>() / BLOCK as f32;
            if mean >= AUDIBLE {
                self.lines += BLOCK as u32;
                self.holes += block.iter().map(|p| u32::from(*p < mean * HOLE)).sum::<u32>();
            }
        }
    }

    fn share(self) -> f32 {
        self.holes as f32 / self.lines.max(1) as f32
    }
}

/// Share of holes in the lines of one channel, or of two: as they are, or their sum and difference, whichever has more, as encoders store the
/// one or the other. None: too little sound.
pub(super) fn share(lines: &[&[f32]], powers: &mut [f32]) -> Option<f32> {
    let (mut apart, mut joint) = (Holes::default(), Holes::default());
    for channel in lines {
        for (p, x) in powers.iter_mut().zip(*channel) {
            *p = x * x;
        }
        apart.count(&powers[..channel.len()]);
    }
    if let [left, right] = lines {
        for sign in [1.0f32, -1.0] {
            for ((p, l), r) in powers.iter_mut().zip(*left).zip(*right) {
                *p = 0.5 * (l + sign * r) * (l + sign * r);
            }
            joint.count(&powers[..left.len()]);
        }
    }
    (apart.lines.max(joint.lines) as f32 >= MIN_LINES).then(|| apart.share().max(joint.share()))
}
