//! Queue of frames that lies on disk when it grows long.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use crate::audio::Buffer;
use crate::error::{Error, Result};

/// Samples of one piece on disk: 1 MiB.
const PIECE_SAMPLES: usize = 1 << 18;

/// First in, first out, interleaved. Holds up to 2 MiB in memory, the rest in an unnamed temporary file, which is as long as
/// the queue was at its longest.
#[derive(Debug)]
pub struct FrameFifo {
    channels: usize,
    /// Being read.
    head: Vec<f32>,
    head_at: usize,
    /// Whole pieces between head and tail.
    file: Option<File>,
    /// Their places in the file, in order, and the places that are free.
    pieces: VecDeque<u64>,
    free: Vec<u64>,
    /// Being written.
    tail: Vec<f32>,
    frames: u64,
    bytes: Vec<u8>,
}

fn failed(source: std::io::Error) -> Error {
    Error::io("spool held-back audio to a temporary file", None, source)
}

impl FrameFifo {
    /// An empty queue of frames of `channels` samples.
    pub fn new(channels: usize) -> Self {
        Self {
            channels: channels.max(1),
            head: Vec::new(),
            head_at: 0,
            file: None,
            pieces: VecDeque::new(),
            free: Vec::new(),
            tail: Vec::new(),
            frames: 0,
            bytes: Vec::new(),
        }
    }

    /// Frames in the queue.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Appends all frames of `block`.
    ///
    /// # Errors
    /// [`Error::Io`] when the temporary file cannot be made or written.
    pub fn push(&mut self, block: &Buffer) -> Result<()> {
        let (start, channels) = (self.tail.len(), self.channels);
        self.tail.resize(start + block.frames() * channels, 0.0);
        for (index, samples) in block.channels().enumerate().take(channels) {
            for (frame, x) in self.tail[start..].chunks_exact_mut(channels).zip(samples) {
                frame[index] = *x;
            }
        }
        self.frames += block.frames() as u64;
        let piece = self.piece_samples();
        while self.tail.len() >= 2 * piece {
            self.write_piece(piece)?;
        }
        Ok(())
    }

    /// Removes the first `frames` frames (or all) and, when given, puts them into `block`, whose capacity must suffice.
    ///
    /// # Errors
    /// [`Error::Io`] when the temporary file cannot be read.
    pub fn pop(&mut self, frames: u64, mut block: Option<&mut Buffer>) -> Result<()> {
        let frames = frames.min(self.frames);
        if let Some(block) = block.as_deref_mut() {
            block.set_frames(usize::try_from(frames).unwrap_or(usize::MAX));
        }
        let mut done = 0u64;
        while done < frames {
            if self.head_at == self.head.len() {
                self.refill()?;
            }
            let available = (self.head.len() - self.head_at) / self.channels;
            let count = usize::try_from(frames - done).unwrap_or(usize::MAX).min(available);
            if count == 0 {
                return Err(Error::internal("the frame queue lost count"));
            }
            let part = &self.head[self.head_at..self.head_at + count * self.channels];
            if let Some(block) = block.as_deref_mut() {
                for (index, samples) in block.channels_mut().enumerate().take(self.channels) {
                    for (x, frame) in samples[done as usize..].iter_mut().zip(part.chunks_exact(self.channels)) {
                        *x = frame[index];
                    }
                }
            }
            self.head_at += count * self.channels;
            self.frames -= count as u64;
            done += count as u64;
        }
        Ok(())
    }

    /// Empties the queue.
    pub fn clear(&mut self) {
        self.head.clear();
        self.tail.clear();
        self.free.extend(self.pieces.drain(..));
        (self.head_at, self.frames) = (0, 0);
    }

    /// A whole number of frames.
    fn piece_samples(&self) -> usize {
        (PIECE_SAMPLES / self.channels).max(1) * self.channels
    }

    fn refill(&mut self) -> Result<()> {
        self.head_at = 0;
        let Some(place) = self.pieces.pop_front() else {
            self.head.clear();
            std::mem::swap(&mut self.head, &mut self.tail);
            return Ok(());
        };
        let piece = self.piece_samples();
        self.bytes.resize(piece * 4, 0);
        let file = self.file.as_mut().ok_or_else(|| Error::internal("pieces without a file"))?;
        file.seek(SeekFrom::Start(place * piece as u64 * 4)).map_err(failed)?;
        file.read_exact(&mut self.bytes).map_err(failed)?;
        self.head.clear();
        self.head.extend(self.bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        self.free.push(place);
        Ok(())
    }

    fn write_piece(&mut self, piece: usize) -> Result<()> {
        self.bytes.clear();
        self.bytes.extend(self.tail[..piece].iter().flat_map(|x| x.to_le_bytes()));
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile().map_err(failed)?);
        }
        let file = self.file.as_mut().ok_or_else(|| Error::internal("pieces without a file"))?;
        // No place is free: all are in use, so that the next is at the end.
        let place = self.free.pop().unwrap_or(self.pieces.len() as u64);
        file.seek(SeekFrom::Start(place * piece as u64 * 4)).map_err(failed)?;
        file.write_all(&self.bytes).map_err(failed)?;
        self.pieces.push_back(place);
        self.tail.drain(..piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{ChannelLayout, Spec};

    #[test]
    fn gives_back_in_order_across_memory_and_file() {
        let spec = Spec::new(48_000, ChannelLayout::from_count(3));
        let mut fifo = FrameFifo::new(3);
        let mut block = Buffer::new(spec, 50_000);
        let (mut written, mut read) = (0u32, 0u32);
        let mut used_file = false;
        // Grows to 600,000 frames (1.8 million samples, 7 pieces), shrinks, grows, and empties.
        for (pushes, pops) in [(12, 3), (0, 8), (10, 0), (0, 11)] {
            for _ in 0..pushes {
                block.set_frames(50_000);
                for (c, samples) in block.channels_mut().enumerate() {
                    samples
                        .iter_mut()
                        .enumerate()
                        .for_each(|(n, x)| *x = (written + n as u32) as f32 + c as f32 * 0.25);
                }
                written += 50_000;
                fifo.push(&block).unwrap();
            }
            used_file |= fifo.file.is_some();
            for _ in 0..pops {
                fifo.pop(50_000, Some(&mut block)).unwrap();
                for (c, samples) in block.channels().enumerate() {
                    assert!(samples.iter().enumerate().all(|(n, x)| *x == (read + n as u32) as f32 + c as f32 * 0.25));
                }
                read += 50_000;
            }
            assert_eq!(fifo.frames(), u64::from(written - read));
        }
        assert!(used_file && fifo.frames() == 0);
        assert!(fifo.head.len() + fifo.tail.len() < 4 * PIECE_SAMPLES);
        fifo.pop(5, Some(&mut block)).unwrap();
        assert!(block.is_empty());
    }

    #[test]
    fn the_file_stays_as_long_as_the_queue() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut fifo = FrameFifo::new(1);
        let mut block = Buffer::new(spec, 100_000);
        block.set_frames(100_000);
        for round in 0..60u32 {
            block.set_frames(100_000);
            block.channel_mut(0).iter_mut().zip(0..).for_each(|(x, n)| *x = (100_000 * round + n) as f32);
            fifo.push(&block).unwrap();
            if let Some(back) = round.checked_sub(20) {
                fifo.pop(100_000, Some(&mut block)).unwrap();
                assert!(block.channel(0).iter().zip(0..).all(|(x, n)| *x == (100_000 * back + n) as f32), "{round}");
            }
        }
        // 2.1 million frames at the most, 8 bytes of place for each MiB.
        let bytes = fifo.file.as_ref().unwrap().metadata().unwrap().len();
        assert!(bytes <= 4 * 2_100_000 && fifo.free.len() + fifo.pieces.len() <= 8, "{bytes}");
    }
}
