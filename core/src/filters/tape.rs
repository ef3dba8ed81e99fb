//! A recording kept whole, to be read from anywhere: in memory while it is short, then in a temporary file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use crate::audio::Buffer;
use crate::error::{Error, Result};

/// Samples kept in memory: 16 MiB, 47 seconds of stereo at 44.1 kHz.
const MEMORY_SAMPLES: usize = 1 << 22;

/// Interleaved frames, written at the end and read anywhere. For filters that need the whole recording.
#[derive(Debug)]
pub struct Tape {
    channels: usize,
    /// The frames after those of the file.
    memory: Vec<f32>,
    memory_samples: usize,
    file: Option<File>,
    file_frames: u64,
    bytes: Vec<u8>,
}

fn failed(source: std::io::Error) -> Error {
    Error::io("keep the recording in a temporary file", None, source)
}

impl Tape {
    /// An empty tape of frames of `channels` samples.
    pub fn new(channels: usize) -> Self {
        Self {
            channels: channels.max(1),
            memory: Vec::new(),
            memory_samples: MEMORY_SAMPLES,
            file: None,
            file_frames: 0,
            bytes: Vec::new(),
        }
    }

    /// Frames on the tape.
    pub fn frames(&self) -> u64 {
        self.file_frames + (self.memory.len() / self.channels) as u64
    }

    /// Appends all frames of `block`. NaN, infinity and numbers beyond 120 dBFS become silence.
    ///
    /// # Errors
    /// [`Error::Io`] when the temporary file cannot be made or written.
    pub fn push(&mut self, block: &Buffer) -> Result<()> {
        let (start, channels) = (self.memory.len(), self.channels);
        self.memory.resize(start + block.frames() * channels, 0.0);
        for (index, samples) in block.channels().enumerate().take(channels) {
            for (frame, x) in self.memory[start..].chunks_exact_mut(channels).zip(samples) {
                frame[index] = if x.abs() < 1e6 { *x } else { 0.0 };
            }
        }
        if self.memory.len() > self.memory_samples {
            self.bytes.clear();
            self.bytes.extend(self.memory.iter().flat_map(|x| x.to_le_bytes()));
            if self.file.is_none() {
                self.file = Some(tempfile::tempfile().map_err(failed)?);
            }
            let file = self.file.as_mut().ok_or_else(|| Error::internal("a tape lost its file"))?;
            file.seek(SeekFrom::Start(self.file_frames * channels as u64 * 4)).map_err(failed)?;
            file.write_all(&self.bytes).map_err(failed)?;
            self.file_frames += (self.memory.len() / channels) as u64;
            self.memory.clear();
        }
        Ok(())
    }

    /// Replaces the frames of `block`, whose capacity must suffice, by `frames` frames from `start`. What lies beyond the
    /// end is silence.
    ///
    /// # Errors
    /// [`Error::Io`] when the temporary file cannot be read.
    pub fn read(&mut self, start: u64, frames: usize, block: &mut Buffer) -> Result<()> {
        let channels = self.channels;
        block.set_frames(frames);
        block.channels_mut().for_each(|c| c.fill(0.0));
        let from_file = usize::try_from(self.file_frames.saturating_sub(start)).unwrap_or(usize::MAX).min(frames);
        if from_file > 0 {
            let file = self.file.as_mut().ok_or_else(|| Error::internal("a tape lost its file"))?;
            self.bytes.resize(from_file * channels * 4, 0);
            file.seek(SeekFrom::Start(start * channels as u64 * 4)).map_err(failed)?;
            file.read_exact(&mut self.bytes).map_err(failed)?;
            for (index, samples) in block.channels_mut().enumerate().take(channels) {
                for (x, frame) in samples.iter_mut().zip(self.bytes.chunks_exact(4 * channels)) {
                    let b = &frame[4 * index..4 * index + 4];
                    *x = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                }
            }
        }
        let skip = usize::try_from((start + from_file as u64).saturating_sub(self.file_frames)).unwrap_or(usize::MAX);
        let rest = self.memory.get(skip.saturating_mul(channels)..).unwrap_or(&[]);
        for (index, samples) in block.channels_mut().enumerate().take(channels) {
            for (x, frame) in samples[from_file..].iter_mut().zip(rest.chunks_exact(channels)) {
                *x = frame[index];
            }
        }
        Ok(())
    }

    /// Empties the tape.
    pub fn clear(&mut self) {
        self.memory.clear();
        self.file_frames = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{ChannelLayout, Spec};

    #[test]
    fn reads_anywhere_across_file_and_memory() {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let mut tape = Tape::new(2);
        tape.memory_samples = 1_000;
        let mut block = Buffer::new(spec, 700);
        for round in 0..2 {
            for start in (0..5_000).step_by(100) {
                block.set_frames(100);
                for (c, samples) in block.channels_mut().enumerate() {
                    samples.iter_mut().enumerate().for_each(|(n, x)| *x = (start + n) as f32 + c as f32 * 0.5);
                }
                tape.push(&block).unwrap();
            }
            assert_eq!(tape.frames(), 5_000);
            assert!(tape.file_frames > 4_000 && tape.file_frames < 5_000);
            for (start, count) in [(0, 700), (4_300, 700), (4_790, 10), (4_000, 5), (4_900, 300), (6_000, 4), (17, 0)] {
                tape.read(start, count, &mut block).unwrap();
                assert_eq!(block.frames(), count);
                for (c, samples) in block.channels().enumerate() {
                    for (n, x) in samples.iter().enumerate() {
                        let at = start as usize + n;
                        assert_eq!(*x, if at < 5_000 { at as f32 + c as f32 * 0.5 } else { 0.0 }, "{round} {at}");
                    }
                }
            }
            tape.clear();
            assert_eq!(tape.frames(), 0);
        }
    }
}
