//! Several recordings one after the other, each cross-faded into the next, and recordings on top of each other.
//!
//! Not filters, as these have one input: for whoever opens the recordings. All must have the same rate and layout.

use super::crossfade::{CrossfadeCurve, crossfade};
use crate::audio::{Buffer, Spec};

/// Joins streams. Holds back one cross-fade. Of pieces shorter than that, the cross-fade is as long as the shorter one
/// has frames left.
#[derive(Debug, Clone)]
pub struct Join {
    overlap: usize,
    curve: CrossfadeCurve,
    /// End of what came before the present piece.
    ending: Buffer,
    /// Frames of the present piece that are not given out yet.
    piece: Buffer,
}

impl Join {
    /// A join of streams of `spec` with cross-fades of `overlap_frames`.
    pub fn new(spec: Spec, overlap_frames: usize, curve: CrossfadeCurve) -> Self {
        Self { overlap: overlap_frames, curve, ending: Buffer::new(spec, 0), piece: Buffer::new(spec, 0) }
    }

    /// Takes a block of the present piece and appends to `out` what is ready. Allocates.
    pub fn push(&mut self, block: &Buffer, out: &mut Buffer) {
        self.piece.append(block, 0, block.frames());
        if self.piece.frames() < self.ending.frames() {
            return;
        }
        self.fade();
        self.give(self.overlap, out);
    }

    /// Ends the present piece and begins the next.
    pub fn next_piece(&mut self, out: &mut Buffer) {
        if self.piece.is_empty() {
            return;
        }
        let rest = self.ending.frames().saturating_sub(self.piece.frames());
        out.append(&self.ending, 0, rest);
        self.ending.drop_front(rest);
        self.fade();
        self.give(self.overlap, out);
        std::mem::swap(&mut self.ending, &mut self.piece);
        self.piece.set_frames(0);
    }

    /// Ends the last piece: appends all that is left.
    pub fn finish(&mut self, out: &mut Buffer) {
        self.next_piece(out);
        out.append(&self.ending, 0, self.ending.frames());
        self.ending.set_frames(0);
    }

    /// Fades the ending into the beginning of the piece, which is at least as long.
    fn fade(&mut self) {
        let frames = self.ending.frames();
        for (to, from) in self.piece.channels_mut().zip(self.ending.channels()) {
            crossfade(self.curve, from, &mut to[..frames], 0, frames);
        }
        self.ending.set_frames(0);
    }

    /// Moves all but the last `keep` frames of the piece to `out`.
    fn give(&mut self, keep: usize, out: &mut Buffer) {
        let count = self.piece.frames().saturating_sub(keep);
        out.append(&self.piece, 0, count);
        self.piece.drop_front(count);
    }
}

/// Adds `from` times `gain` to `to`, over the shorter length and the channels that both have. Real-time safe.
pub fn mix_into(to: &mut Buffer, from: &Buffer, gain: f32) {
    for (to, from) in to.channels_mut().zip(from.channels()) {
        to.iter_mut().zip(from).for_each(|(y, x)| *y += x * gain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    fn joined(pieces: &[Vec<f32>], overlap: usize, block: usize) -> Vec<f32> {
        let spec = Spec::new(8_000, ChannelLayout::STEREO);
        let mut join = Join::new(spec, overlap, CrossfadeCurve::EqualGain);
        let mut out = Buffer::new(spec, 0);
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                join.next_piece(&mut out);
            }
            for part in piece.chunks(block) {
                join.push(&Buffer::from_channels(spec, &[part.to_vec(), part.to_vec()]), &mut out);
            }
        }
        join.finish(&mut out);
        assert_eq!(out.channel(0), out.channel(1));
        out.channel(1).to_vec()
    }

    #[test]
    fn pieces_follow_each_other_for_any_block() {
        let pieces = [vec![1.0; 300], vec![2.0; 200], vec![], vec![4.0; 250]];
        for block in [1, 7, 64, 1_000] {
            assert_eq!(joined(&pieces, 0, block), pieces.concat());
            let y = joined(&pieces, 50, block);
            assert_eq!(y.len(), 750 - 100);
            for (n, y) in y.iter().enumerate() {
                let t = |from: usize| (n - from) as f32 / 50.0 + 0.01;
                let want = match n {
                    0..250 => 1.0,
                    250..300 => 1.0 + t(250),
                    300..400 => 2.0,
                    400..450 => 2.0 + 2.0 * t(400),
                    _ => 4.0,
                };
                assert!((y - want).abs() < 1e-6, "{block} {n}: {y} {want}"); // f32 rounding
            }
        }
    }

    #[test]
    fn pieces_shorter_than_the_crossfade_shorten_it() {
        for block in [1, 7, 64] {
            // 100 and 20 overlap by 20, and so do the 20 and 100.
            let y = joined(&[vec![1.0; 100], vec![1.0; 20], vec![1.0; 100]], 50, block);
            assert!(y.iter().all(|y| (y - 1.0).abs() < 1e-6));
            assert_eq!(y.len(), 100 + 20 - 20 + 100 - 20, "{block}");
        }
    }

    #[test]
    fn mixing_adds() {
        let spec = Spec::new(8_000, ChannelLayout::MONO);
        let mut a = Buffer::from_channels(spec, &[vec![1.0, 2.0, 3.0]]);
        mix_into(&mut a, &Buffer::from_channels(spec, &[vec![10.0, 20.0]]), 0.5);
        assert_eq!(a.channel(0), [6.0, 12.0, 3.0]);
    }
}
