//! A stream cut into pieces of whole codec frames, each with the codec frames before it as pre-roll.
//!
//! A codec with memory (overlapping transforms, adaptive models) that starts a piece with some frames of pre-roll has
//! forgotten its cold start when the first frame that counts comes. The pieces depend on nothing but the position in the
//! stream.

use crate::audio::{Buffer, Spec};

/// Samples of one piece.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Index of its first codec frame in the stream.
    pub first: u64,
    /// Codec frames of pre-roll at the start of `samples`.
    pub preroll: usize,
    /// Codec frames that count. The last one of the stream may lack samples.
    pub count: usize,
    /// Planar samples.
    pub samples: Vec<Vec<f32>>,
    /// The stream ends with it.
    pub last: bool,
}

/// Cuts pieces.
pub(crate) struct Cutter {
    frame: usize,
    preroll: usize,
    per_piece: usize,
    planes: Vec<Vec<f32>>,
    /// Samples at the start of `planes` that are done. Removed at the next push, so that a huge block costs one move.
    done: usize,
    /// Codec frames of pre-roll that `planes` starts with.
    have_preroll: usize,
    next: u64,
    total: u64,
}

impl Cutter {
    /// For codec frames of `frame` samples; `per_piece` of them make a piece.
    pub fn new(spec: Spec, frame: usize, preroll: usize, per_piece: usize) -> Self {
        debug_assert!(preroll <= per_piece);
        Self {
            frame,
            preroll,
            per_piece,
            planes: vec![Vec::new(); spec.channels()],
            done: 0,
            have_preroll: 0,
            next: 0,
            total: 0,
        }
    }

    /// Frames of audio pushed so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Appends `block`.
    pub fn push(&mut self, block: &Buffer) {
        self.total += block.frames() as u64;
        let done = std::mem::take(&mut self.done);
        for (to, from) in self.planes.iter_mut().zip(block.channels()) {
            to.drain(..done);
            to.extend_from_slice(from);
        }
    }

    /// The next whole piece, when more than it is there (so that the last piece is never empty).
    pub fn next(&mut self) -> Option<Piece> {
        let need = (self.have_preroll + self.per_piece) * self.frame;
        if self.planes[0].len() - self.done <= need {
            return None;
        }
        let samples = self.planes.iter().map(|p| p[self.done..self.done + need].to_vec()).collect();
        self.done += need - self.preroll * self.frame;
        let piece = Piece { last: false, first: self.next, preroll: self.have_preroll, count: self.per_piece, samples };
        self.next += self.per_piece as u64;
        self.have_preroll = self.preroll;
        Some(piece)
    }

    /// Puts silence before everything, as long as no piece was cut. Does not count as audio.
    pub fn prepend_silence(&mut self, frames: usize) {
        debug_assert_eq!(self.next, 0);
        for p in &mut self.planes {
            p.splice(0..0, std::iter::repeat_n(0.0, frames));
        }
    }

    /// The last piece, extended with silence to `total_frames` codec frames of the whole stream.
    pub fn finish(&mut self, total_frames: u64) -> Piece {
        let count = total_frames.saturating_sub(self.next) as usize;
        let mut samples = std::mem::take(&mut self.planes);
        for p in &mut samples {
            p.drain(..self.done);
            p.resize((self.have_preroll + count) * self.frame, 0.0);
        }
        self.planes = vec![Vec::new(); samples.len()];
        self.done = 0;
        let piece = Piece { last: true, first: self.next, preroll: self.have_preroll, count, samples };
        self.next += count as u64;
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{float_signal, spec};
    use super::*;

    #[test]
    fn pieces_cover_the_stream_once_whatever_the_block_size() {
        let signal = float_signal(spec(48_000, 2), 10_000);
        for size in [1_usize, 99, 960, 10_000] {
            let mut cutter = Cutter::new(signal.spec(), 100, 3, 20);
            let mut pieces = Vec::new();
            let mut at = 0;
            while at < signal.frames() {
                let n = size.min(signal.frames() - at);
                let mut part = Buffer::new(signal.spec(), n);
                part.copy_from(&signal, at, n);
                cutter.push(&part);
                while let Some(p) = cutter.next() {
                    pieces.push(p);
                }
                at += n;
            }
            pieces.push(cutter.finish(101));
            let mut next = 0;
            for p in &pieces {
                assert_eq!(p.first, next);
                assert_eq!(p.preroll, if next == 0 { 0 } else { 3 });
                for (c, samples) in p.samples.iter().enumerate() {
                    assert_eq!(samples.len(), (p.preroll + p.count) * 100);
                    let start = (p.first as usize - p.preroll) * 100;
                    for (i, s) in samples.iter().enumerate() {
                        assert_eq!(*s, signal.channel(c).get(start + i).copied().unwrap_or(0.0));
                    }
                }
                next += p.count as u64;
            }
            assert_eq!(next, 101);
        }
    }
}
