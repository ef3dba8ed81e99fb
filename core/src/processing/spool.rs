//! The filtered audio between measuring and encoding: in memory up to a budget, then in a temporary file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

/// Blocks of planar f32 in the order they were pushed. Memory: at most the budget and one block.
pub(crate) struct Spool {
    spec: Spec,
    budget_bytes: u64,
    in_memory: Vec<Buffer>,
    memory_bytes: u64,
    file: Option<SpoolFile>,
    frames: u64,
}

/// Frames of each block in the file, in order; the samples follow each other without headers.
struct SpoolFile {
    /// Behind a lock because several readers share one file position.
    file: Mutex<File>,
    block_frames: Vec<u32>,
    bytes: Vec<u8>,
}

impl Spool {
    /// An empty spool. `temp_dir` is where the file goes that is made when `budget_bytes` is used up.
    pub fn new(spec: Spec, budget_bytes: u64) -> Self {
        Self { spec, budget_bytes, in_memory: Vec::new(), memory_bytes: 0, file: None, frames: 0 }
    }

    /// Frames pushed.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Bytes in the temporary file.
    #[cfg(test)]
    fn file_bytes(&self) -> u64 {
        self.frames * self.spec.channels() as u64 * 4 - self.memory_bytes
    }

    /// Appends a block.
    ///
    /// # Errors
    /// [`Error::Io`] when the temporary file cannot be made or written, such as on a full disk.
    pub fn push(&mut self, block: &Buffer, temp_dir: Option<&Path>) -> Result<()> {
        let bytes = (block.frames() * block.channel_count() * 4) as u64;
        self.frames += block.frames() as u64;
        if self.file.is_none() && self.memory_bytes + bytes <= self.budget_bytes {
            let mut copy = Buffer::new(block.spec(), block.frames());
            copy.copy_from(block, 0, block.frames());
            self.in_memory.push(copy);
            self.memory_bytes += bytes;
            return Ok(());
        }
        if self.file.is_none() {
            let dir = temp_dir.map_or_else(std::env::temp_dir, Path::to_path_buf);
            // Without a name from the start: nothing is left behind, whatever happens.
            let file = tempfile::tempfile_in(&dir).map_err(|e| Error::io("create temporary file in", Some(&dir), e))?;
            self.file = Some(SpoolFile { file: Mutex::new(file), block_frames: Vec::new(), bytes: Vec::new() });
        }
        let Some(spool) = &mut self.file else { return Err(Error::internal("spool file")) };
        spool.bytes.resize(block.frames() * block.channel_count() * 4, 0);
        let (mut bytes, _) = spool.bytes.as_chunks_mut::<4>();
        for channel in block.channels() {
            let (now, rest) = bytes.split_at_mut(channel.len());
            for (bytes, sample) in now.iter_mut().zip(channel) {
                *bytes = sample.to_le_bytes();
            }
            bytes = rest;
        }
        let file = spool.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&spool.bytes).map_err(|e| Error::io("write temporary file", temp_dir, e))?;
        spool.block_frames.push(block.frames() as u32);
        Ok(())
    }

    /// Calls `each` with every block in order. Several threads may replay at once, after the last push.
    ///
    /// # Errors
    /// [`Error::Io`], and those of `each`.
    pub fn replay(&self, each: &mut dyn FnMut(&Buffer) -> Result<()>) -> Result<()> {
        for block in &self.in_memory {
            each(block)?;
        }
        let Some(spool) = &self.file else { return Ok(()) };
        let mut block = Buffer::new(self.spec, 0);
        let mut bytes = Vec::new();
        let mut offset = 0;
        for frames in &spool.block_frames {
            let frames = *frames as usize;
            bytes.resize(frames * self.spec.channels() * 4, 0);
            spool.read_at(offset, &mut bytes).map_err(|e| Error::io("read temporary file", None, e))?;
            offset += bytes.len() as u64;
            block.reserve(self.spec, frames);
            block.set_frames(frames);
            for (channel, bytes) in block.channels_mut().zip(bytes.chunks_exact((frames * 4).max(1))) {
                for (sample, b) in channel.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *sample = f32::from_le_bytes(*b);
                }
            }
            each(&block)?;
        }
        Ok(())
    }
}

impl SpoolFile {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> std::io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn what_goes_in_comes_out_from_memory_and_from_the_file() {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        // 10 blocks of 80 bytes: 3 fit the memory, 7 go to the file.
        let mut spool = Spool::new(spec, 250);
        let mut sent = Vec::new();
        for i in 0..10 {
            let block = Buffer::from_channels(spec, &[vec![i as f32; 10], (0..10).map(|f| (f * i) as f32).collect()]);
            spool.push(&block, None).unwrap();
            sent.push(block);
        }
        assert_eq!((spool.frames(), spool.file_bytes()), (100, 560));
        for _ in 0..2 {
            let mut index = 0;
            spool
                .replay(&mut |block| {
                    assert!(block.channels().eq(sent[index].channels()));
                    index += 1;
                    Ok(())
                })
                .unwrap();
            assert_eq!(index, 10);
        }
    }
}
