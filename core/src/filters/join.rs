//! Several recordings one after the other, each cross-faded into the next.
//!
//! The filter [`concat`](super::concat) does so for files; this is for whoever has the recordings as blocks. All must have
//! the same rate and layout.

use super::crossfade::{CrossfadeCurve, crossfade};
use super::fifo::FrameFifo;
use crate::audio::{Buffer, Spec};
use crate::error::Result;

/// Frames that are cross-faded at once.
const CHUNK_FRAMES: u64 = 4_096;

/// Joins streams. Holds back one cross-fade, beyond 2 MiB in a temporary file. Of pieces shorter than that, the cross-fade is
/// as long as the shorter one has frames left.
#[derive(Debug)]
pub struct Join {
    overlap: u64,
    curve: CrossfadeCurve,
    /// End of what came before the present piece.
    ending: FrameFifo,
    /// The cross-fade that goes on: its length, and how much of it is done.
    fade: Option<(u64, u64)>,
    /// Frames of the present piece that wait for the cross-fade.
    piece: FrameFifo,
    /// Frames of the present piece after it, of which the last may become the next ending.
    faded: FrameFifo,
    /// Output.
    ready: FrameFifo,
    work: [Buffer; 2],
}

impl Join {
    /// A join of streams of `spec` with cross-fades of `overlap_frames`.
    pub fn new(spec: Spec, overlap_frames: u64, curve: CrossfadeCurve) -> Self {
        let fifo = || FrameFifo::new(spec.channels());
        Self {
            overlap: overlap_frames,
            curve,
            ending: fifo(),
            fade: None,
            piece: fifo(),
            faded: fifo(),
            ready: fifo(),
            work: [(); 2].map(|()| Buffer::new(spec, CHUNK_FRAMES as usize)),
        }
    }

    /// Takes a block of the present piece.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when what is held back cannot be spooled.
    pub fn push(&mut self, block: &Buffer) -> Result<()> {
        self.piece.push(block)?;
        if self.piece.frames() >= self.ending.frames() || self.fade.is_some() {
            self.take_in()?;
        }
        Ok(())
    }

    /// Ends the present piece and begins the next. An empty piece is none.
    ///
    /// # Errors
    /// As [`Join::push`].
    pub fn next_piece(&mut self) -> Result<()> {
        if self.piece.frames() + self.faded.frames() == 0 {
            return Ok(());
        }
        // A piece shorter than the ending: the cross-fade begins later.
        let rest = self.ending.frames().saturating_sub(self.piece.frames());
        Self::pass(&mut self.work[0], &mut self.ending, rest, &mut self.ready)?;
        self.take_in()?;
        std::mem::swap(&mut self.ending, &mut self.faded);
        self.fade = None;
        Ok(())
    }

    /// Ends the last piece: all that is left becomes ready.
    ///
    /// # Errors
    /// As [`Join::push`].
    pub fn finish(&mut self) -> Result<()> {
        self.next_piece()?;
        let rest = self.ending.frames();
        Self::pass(&mut self.work[0], &mut self.ending, rest, &mut self.ready)
    }

    /// Frames that are ready.
    pub fn ready_frames(&self) -> u64 {
        self.ready.frames()
    }

    /// Replaces the content of `block`, whose capacity must suffice, by the next `frames` frames, or all that are ready.
    ///
    /// # Errors
    /// As [`Join::push`].
    pub fn pop(&mut self, frames: u64, block: &mut Buffer) -> Result<()> {
        self.ready.pop(frames, Some(block))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        for fifo in [&mut self.ending, &mut self.piece, &mut self.faded, &mut self.ready] {
            fifo.clear();
        }
        self.fade = None;
    }

    /// Fades what waits of the piece, which is at least as long as the ending, and gives out what cannot be faded again.
    fn take_in(&mut self) -> Result<()> {
        let (frames, mut done) = self.fade.unwrap_or((self.ending.frames(), 0));
        let [from, to] = &mut self.work;
        while self.piece.frames() > 0 {
            if done < frames {
                let count = CHUNK_FRAMES.min(self.piece.frames()).min(self.ending.frames());
                self.piece.pop(count, Some(to))?;
                self.ending.pop(count, Some(from))?;
                for (to, from) in to.channels_mut().zip(from.channels()) {
                    crossfade(self.curve, from, to, done as usize, frames as usize);
                }
                done += count;
            } else {
                self.piece.pop(CHUNK_FRAMES, Some(to))?;
            }
            self.faded.push(to)?;
            let surplus = self.faded.frames().saturating_sub(self.overlap);
            Self::pass(from, &mut self.faded, surplus, &mut self.ready)?;
        }
        self.fade = Some((frames, done));
        Ok(())
    }

    /// Moves `frames` frames.
    fn pass(work: &mut Buffer, from: &mut FrameFifo, frames: u64, to: &mut FrameFifo) -> Result<()> {
        let mut left = frames.min(from.frames());
        while left > 0 {
            from.pop(left.min(CHUNK_FRAMES), Some(work))?;
            left -= work.frames() as u64;
            to.push(work)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    fn joined(pieces: &[Vec<f32>], overlap: u64, block: usize) -> Vec<f32> {
        let spec = Spec::new(8_000, ChannelLayout::STEREO);
        let mut join = Join::new(spec, overlap, CrossfadeCurve::EqualGain);
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                join.next_piece().unwrap();
            }
            for part in piece.chunks(block) {
                join.push(&Buffer::from_channels(spec, &[part.to_vec(), part.to_vec()])).unwrap();
            }
        }
        join.finish().unwrap();
        let mut out = Buffer::new(spec, join.ready_frames() as usize);
        join.pop(u64::MAX, &mut out).unwrap();
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
    fn long_crossfades_are_one_curve() {
        let y = joined(&[vec![0.0; 30_000], vec![1.0; 40_000]], 20_000, 999);
        assert_eq!(y.len(), 50_000);
        for (n, y) in y[10_000..30_000].iter().enumerate() {
            assert!((y - (n as f32 + 0.5) / 20_000.0).abs() < 1e-6, "{n}"); // f32 rounding
        }
    }
}
