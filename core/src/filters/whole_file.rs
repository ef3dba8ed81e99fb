//! Keeps a whole stream, for filters that must have heard all of it before they give any.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use crate::audio::Buffer;
use crate::error::{Error, Result};

/// Samples kept in memory: 16 MiB, 47 s of stereo at 44.1 kHz. The rest lies in a temporary file without a name.
const MEMORY_SAMPLES: usize = 1 << 22;
/// Samples of one piece of the file: 1 MiB.
const PIECE_SAMPLES: usize = 1 << 18;

/// Frames that are pushed once and read as often as wanted, interleaved.
///
/// Errors of the temporary file are kept for [`WholeFile::take_error`]; after one nothing more is stored or read.
#[derive(Debug)]
pub struct WholeFile {
    channels: usize,
    memory_samples: usize,
    memory: Vec<f32>,
    file: Option<File>,
    /// Samples in the file, and those on their way to it.
    in_file: u64,
    tail: Vec<f32>,
    /// Samples read since `rewind`, and the piece of the file that they lie in.
    read: u64,
    piece: Vec<f32>,
    piece_at: usize,
    bytes: Vec<u8>,
    interleaved: Vec<f32>,
    error: Option<Error>,
}

fn failed(source: std::io::Error) -> Error {
    Error::io("spool the whole stream to a temporary file", None, source)
}

impl WholeFile {
    /// Empty, for frames of `channels` samples.
    pub fn new(channels: usize) -> Self {
        Self::with_memory(channels, MEMORY_SAMPLES)
    }

    fn with_memory(channels: usize, memory_samples: usize) -> Self {
        Self {
            channels: channels.max(1),
            memory_samples,
            memory: Vec::new(),
            file: None,
            in_file: 0,
            tail: Vec::new(),
            read: 0,
            piece: Vec::new(),
            piece_at: 0,
            bytes: Vec::new(),
            interleaved: Vec::new(),
            error: None,
        }
    }

    /// Appends all frames of `block`, which must have the channels of the stream.
    pub fn push(&mut self, block: &Buffer) {
        if self.error.is_some() {
            return;
        }
        let mut samples = std::mem::take(&mut self.interleaved);
        block.interleave_into(&mut samples);
        let room = self.memory_samples.saturating_sub(self.memory.len()).min(samples.len());
        self.memory.extend_from_slice(&samples[..room]);
        self.tail.extend_from_slice(&samples[room..]);
        self.interleaved = samples;
        if self.tail.len() >= PIECE_SAMPLES {
            self.flush();
        }
    }

    /// Reading begins again with the first frame.
    pub fn rewind(&mut self) {
        self.flush();
        self.read = 0;
        self.piece.clear();
        self.piece_at = 0;
    }

    /// Puts the next frames into `block`, at most `frames` and no more than it has room for; 0 at the end.
    pub fn read(&mut self, block: &mut Buffer, frames: usize) {
        let wanted = frames.min(block.capacity_frames()) * self.channels;
        let mut samples = std::mem::take(&mut self.interleaved);
        samples.clear();
        while samples.len() < wanted && self.error.is_none() {
            let left = wanted - samples.len();
            let from = usize::try_from(self.read).unwrap_or(usize::MAX);
            if let Some(rest) = self.memory.get(from..).filter(|rest| !rest.is_empty()) {
                let count = rest.len().min(left);
                samples.extend_from_slice(&rest[..count]);
                self.read += count as u64;
                continue;
            }
            if self.piece_at == self.piece.len() && !self.refill() {
                break;
            }
            let count = (self.piece.len() - self.piece_at).min(left);
            samples.extend_from_slice(&self.piece[self.piece_at..self.piece_at + count]);
            self.piece_at += count;
            self.read += count as u64;
        }
        block.deinterleave_from(&samples);
        self.interleaved = samples;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::with_memory(self.channels, self.memory_samples);
    }

    /// What went wrong since the last call.
    pub fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Writes what waits for the file.
    fn flush(&mut self) {
        if self.tail.is_empty() || self.error.is_some() {
            return;
        }
        let result = self.write();
        self.error = result.err();
    }

    fn write(&mut self) -> Result<()> {
        self.bytes.clear();
        self.bytes.extend(self.tail.iter().flat_map(|x| x.to_le_bytes()));
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile().map_err(failed)?);
        }
        let file = self.file.as_mut().ok_or_else(|| Error::internal("spool without a file"))?;
        file.seek(SeekFrom::Start(self.in_file * 4)).map_err(failed)?;
        file.write_all(&self.bytes).map_err(failed)?;
        self.in_file += self.tail.len() as u64;
        self.tail.clear();
        Ok(())
    }

    /// Reads the next piece of the file; false at its end.
    fn refill(&mut self) -> bool {
        let at = self.read - self.memory.len() as u64;
        let count = (self.in_file - at).min(PIECE_SAMPLES as u64) as usize;
        let (Some(file), true) = (&mut self.file, count > 0) else { return false };
        self.bytes.resize(count * 4, 0);
        let result = file.seek(SeekFrom::Start(at * 4)).and_then(|_| file.read_exact(&mut self.bytes));
        if let Err(error) = result {
            self.error = Some(failed(error));
            return false;
        }
        self.piece.clear();
        self.piece.extend(self.bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        self.piece_at = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{ChannelLayout, Spec};

    #[test]
    fn gives_back_everything_as_often_as_wanted_from_memory_and_file() {
        let spec = Spec::new(48_000, ChannelLayout::from_count(3));
        // All in memory; across the border within a frame; nearly all in the file, several pieces.
        for (memory, frames) in [(10_000, 3_000usize), (1_000, 3_000), (7, 300_000)] {
            let mut spool = WholeFile::with_memory(3, memory);
            let mut block = Buffer::new(spec, 5_000);
            let mut at = 0;
            while at < frames {
                let count = 777.min(frames - at);
                block.set_frames(count);
                for (c, samples) in block.channels_mut().enumerate() {
                    samples.iter_mut().enumerate().for_each(|(n, x)| *x = (at + n) as f32 + c as f32 * 0.25);
                }
                spool.push(&block);
                at += count;
            }
            assert!(spool.memory.len() <= memory && spool.tail.len() < PIECE_SAMPLES + 777 * 3);
            for size in [5_000, 1_234] {
                spool.rewind();
                let mut seen = 0;
                loop {
                    spool.read(&mut block, size);
                    if block.is_empty() {
                        break;
                    }
                    for (c, samples) in block.channels().enumerate() {
                        assert!(samples.iter().enumerate().all(|(n, x)| *x == (seen + n) as f32 + c as f32 * 0.25));
                    }
                    seen += block.frames();
                }
                assert_eq!(seen, frames);
            }
            assert!(spool.take_error().is_none());
            assert_eq!(spool.file.is_some(), memory < frames * 3);
            spool.clear();
            spool.rewind();
            spool.read(&mut block, 10);
            assert!(block.is_empty());
        }
    }
}
