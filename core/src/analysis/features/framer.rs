//! Cuts a stream into overlapping frames.
//!
//! Frame `t` has its middle at sample `t * hop_length` when centred (the ends are padded by `frame_length / 2` zeros), its
//! beginning there otherwise: `librosa.util.frame` after `librosa.stft`'s padding.

use std::ops::Range;

/// One frame of a stream.
#[derive(Debug)]
pub struct Frame<'a> {
    /// Number of the frame, from 0.
    pub index: u64,
    /// `frame_length` samples.
    pub samples: &'a [f32],
    /// Those of them that are not padding.
    pub valid: Range<usize>,
}

/// Cuts samples of any number into frames. Memory does not grow.
#[derive(Debug)]
pub struct Framer {
    frame_length: usize,
    hop_length: usize,
    pad: usize,
    /// From the beginning of the next frame on.
    buffer: Vec<f32>,
    /// Samples of `buffer` that are before the next frame.
    skip: usize,
    index: u64,
    samples: u64,
}

impl Framer {
    /// For frames of `frame_length` samples every `hop_length` samples, both at least 1.
    pub fn new(frame_length: usize, hop_length: usize, center: bool) -> Self {
        let pad = if center { frame_length / 2 } else { 0 };
        Self { frame_length, hop_length, pad, buffer: vec![0.0; pad], skip: 0, index: 0, samples: 0 }
    }

    /// Adds samples and calls `each` for every frame that is complete.
    pub fn push(&mut self, samples: &[f32], each: &mut impl FnMut(&Frame<'_>)) {
        // In pieces, so that a large block makes no large buffer.
        for piece in samples.chunks(self.frame_length.max(self.hop_length)) {
            self.samples += piece.len() as u64;
            self.buffer.extend_from_slice(piece);
            self.emit(each);
        }
    }

    /// Calls `each` for the frames that reach beyond the end. None for a stream without samples.
    pub fn finish(mut self, each: &mut impl FnMut(&Frame<'_>)) {
        if self.samples > 0 {
            self.buffer.resize(self.buffer.len() + self.pad, 0.0);
            self.emit(each);
        }
    }

    fn emit(&mut self, each: &mut impl FnMut(&Frame<'_>)) {
        while self.skip + self.frame_length <= self.buffer.len() {
            let start = self.index as i128 * self.hop_length as i128 - self.pad as i128;
            let inside = |at: i128| usize::try_from(at).unwrap_or(0).min(self.frame_length);
            let valid = inside(-start)..inside(i128::from(self.samples) - start);
            let samples = &self.buffer[self.skip..self.skip + self.frame_length];
            each(&Frame { index: self.index, samples, valid });
            self.index += 1;
            self.skip += self.hop_length;
        }
        let done = self.skip.min(self.buffer.len());
        self.buffer.drain(..done);
        self.skip -= done;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_those_of_the_padded_signal_for_any_block_size() {
        for (length, hop, center, n) in [(8, 2, true, 21), (8, 3, false, 20), (4, 7, true, 30), (16, 4, true, 3)] {
            let signal: Vec<f32> = (1..=n).map(|i| i as f32).collect();
            let pad = if center { length / 2 } else { 0 };
            let padded = [vec![0.0; pad], signal.clone(), vec![0.0; pad]].concat();
            let expected: Vec<&[f32]> = (0..)
                .map(|t| t * hop)
                .take_while(|s| s + length <= padded.len())
                .map(|s| &padded[s..s + length])
                .collect();
            for block in [1, 5, 100] {
                let mut framer = Framer::new(length, hop, center);
                let mut got: Vec<Vec<f32>> = Vec::new();
                let mut each = |frame: &Frame<'_>| {
                    assert_eq!(frame.index as usize, got.len());
                    assert!(frame.samples.iter().enumerate().all(|(i, s)| (*s != 0.0) == frame.valid.contains(&i)));
                    got.push(frame.samples.to_vec());
                };
                signal.chunks(block).for_each(|b| framer.push(b, &mut each));
                framer.finish(&mut each);
                assert_eq!(got, expected);
            }
        }
    }

    #[test]
    fn nothing_gives_no_frames() {
        Framer::new(8, 2, true).finish(&mut |_| panic!("a frame of nothing"));
    }
}
