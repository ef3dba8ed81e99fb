//! Cuts blocks at fixed stream positions.
//!
//! What a filter does now and then (flush tiny state, look for NaN, decide about a fast path) must not depend on how the
//! stream was split into blocks. So it is done at multiples of [`CELL_FRAMES`] frames since the last reset.

use std::ops::Range;

/// Frames of one cell.
pub const CELL_FRAMES: usize = 256;

/// Position within the current cell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cells {
    filled: usize,
}

impl Cells {
    /// Calls `work` for each piece of `0..frames` that lies within one cell. Its second argument is true when the piece
    /// completes the cell.
    #[inline]
    pub fn for_each(&mut self, frames: usize, mut work: impl FnMut(Range<usize>, bool)) {
        let mut at = 0;
        while at < frames {
            let count = (CELL_FRAMES - self.filled).min(frames - at);
            self.filled = (self.filled + count) % CELL_FRAMES;
            work(at..at + count, self.filled == 0);
            at += count;
        }
    }

    /// Back to the start of a cell.
    pub fn reset(&mut self) {
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_end_at_the_same_frames_for_any_split() {
        for split in [1, 7, 255, 256, 257, 1000] {
            let (mut cells, mut ends, mut at) = (Cells::default(), Vec::new(), 0);
            while at < 2000 {
                let frames = split.min(2000 - at);
                let mut covered = 0;
                cells.for_each(frames, |piece, end| {
                    assert_eq!(piece.start, covered);
                    covered = piece.end;
                    if end {
                        ends.push(at + piece.end);
                    }
                });
                assert_eq!(covered, frames);
                at += frames;
            }
            assert_eq!(ends, (1..8).map(|n| n * CELL_FRAMES).filter(|n| *n <= 2000).collect::<Vec<_>>());
        }
    }
}
