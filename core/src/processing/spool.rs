//! The filtered audio between measuring and encoding: in memory up to a budget, then in a temporary file.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::pipe::BLOCK_FRAMES;
use super::run::Resources;
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};
use crate::resources::{BudgetedVec, Lease, Permit, Resource};
use crate::services::seams::{FileHandle, FileSystem};

/// Temporary disk that is asked for at once when there is more audio than was expected, in bytes.
const EXTENSION_BYTES: u64 = 16 << 20;

/// Blocks of planar f32 in the order they were pushed. Memory: at most the budget and one block, counted against the permit.
pub(crate) struct Spool {
    spec: Spec,
    budget_bytes: u64,
    in_memory: Vec<Buffer>,
    memory: Lease,
    file: Option<SpoolFile>,
    frames: u64,
    permit: Arc<Permit>,
    files: Arc<dyn FileSystem>,
    temp_dir: Option<PathBuf>,
}

/// Frames of each block in the file, in order; the samples follow each other without headers.
struct SpoolFile {
    /// Behind a lock because several readers share one file position.
    file: Mutex<Box<dyn FileHandle>>,
    block_frames: Vec<u32>,
    bytes: BudgetedVec<u8>,
    written: u64,
    /// What the permit has of temporary disk, as far as is known here.
    granted: u64,
}

impl Spool {
    /// An empty spool.
    ///
    /// # Errors
    /// None in practice: nothing is counted yet.
    pub fn new(spec: Spec, resources: &Resources) -> Result<Self> {
        Ok(Self {
            spec,
            budget_bytes: resources.spool_memory_bytes,
            in_memory: Vec::new(),
            memory: resources.permit.memory().take(0)?,
            file: None,
            frames: 0,
            permit: Arc::clone(&resources.permit),
            files: Arc::clone(&resources.files),
            temp_dir: resources.temp_dir.clone(),
        })
    }

    /// Frames pushed.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Bytes in the temporary file.
    #[cfg(test)]
    fn file_bytes(&self) -> u64 {
        self.file.as_ref().map_or(0, |f| f.written)
    }

    /// Appends a block.
    ///
    /// # Errors
    /// [`Error::Io`] when the temporary file cannot be made or written, such as on a full disk; [`Error::LimitExceeded`]
    /// when there is more audio than was expected and the budget for temporary disk has no room for it.
    pub fn push(&mut self, block: &Buffer) -> Result<()> {
        // In pieces, so that what is read back later is small however much a filter gives at once.
        let mut start = 0;
        while start < block.frames() {
            let count = BLOCK_FRAMES.min(block.frames() - start);
            self.push_part(block, start, count)?;
            start += count;
        }
        Ok(())
    }

    fn push_part(&mut self, block: &Buffer, start: usize, count: usize) -> Result<()> {
        let bytes = count * block.channel_count() * 4;
        self.frames += count as u64;
        if self.file.is_none() && self.memory.bytes() + bytes as u64 <= self.budget_bytes {
            self.memory.grow(bytes as u64)?;
            let mut copy = Buffer::new(block.spec(), count);
            copy.copy_from(block, start, count);
            self.in_memory.push(copy);
            return Ok(());
        }
        if self.file.is_none() {
            let dir = self.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
            let file = self.files.temporary(self.temp_dir.as_deref());
            let file = file.map_err(|e| Error::io("create temporary file in", Some(&dir), e))?;
            self.file = Some(SpoolFile {
                file: Mutex::new(file),
                block_frames: Vec::new(),
                bytes: BudgetedVec::new(self.permit.memory())?,
                written: 0,
                granted: self.permit.amounts().temp_disk_bytes,
            });
        }
        let Some(spool) = &mut self.file else { return Err(Error::internal("spool file")) };
        spool.reserve(bytes as u64, &self.permit)?;
        spool.bytes.resize(bytes, 0)?;
        let (mut to, _) = spool.bytes.as_chunks_mut::<4>();
        for channel in block.channels() {
            let (now, rest) = to.split_at_mut(count);
            for (bytes, sample) in now.iter_mut().zip(&channel[start..start + count]) {
                *bytes = sample.to_le_bytes();
            }
            to = rest;
        }
        let file = spool.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&spool.bytes).map_err(|e| Error::io("write temporary file", self.temp_dir.as_deref(), e))?;
        spool.block_frames.push(count as u32);
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
        let mut bytes = BudgetedVec::new(self.permit.memory())?;
        let mut offset = 0;
        for frames in &spool.block_frames {
            let frames = *frames as usize;
            bytes.resize(frames * self.spec.channels() * 4, 0)?;
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
    /// Makes sure that the budget has room for `bytes` more.
    fn reserve(&mut self, bytes: u64, permit: &Permit) -> Result<()> {
        let needed = self.written + bytes;
        if needed > self.granted {
            let missing = needed - self.granted;
            let step = EXTENSION_BYTES.max(missing);
            self.granted += match permit.extend(Resource::TempDisk, step) {
                Ok(()) => step,
                Err(_) => permit.extend(Resource::TempDisk, missing).map(|()| missing)?,
            };
        }
        self.written = needed;
        Ok(())
    }

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
    use crate::formats::BuiltInCodecs;
    use crate::resources::{Amounts, PoolOptions, Request, ResourcePool};
    use crate::services::seams::SystemFiles;

    /// What a run gets that asked for so much of a pool with so much temporary disk.
    fn resources(spool_memory_bytes: u64, asked: Amounts, disk: u64) -> (ResourcePool, Resources) {
        let budgets = Amounts { memory_bytes: 1 << 20, temp_disk_bytes: disk, ..Amounts::UNLIMITED };
        let pool = ResourcePool::new(PoolOptions { budgets, ..PoolOptions::default() });
        let permit = pool.acquire(&Request::new("test", asked)).unwrap();
        let resources = Resources {
            pool: Arc::new(rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap()),
            spool_memory_bytes,
            temp_dir: None,
            files: Arc::new(SystemFiles),
            codecs: Arc::new(BuiltInCodecs::default()),
            permit: Arc::new(permit),
        };
        (pool, resources)
    }

    const ENOUGH: Amounts = Amounts { memory_bytes: 1 << 20, threads: 0, files: 0, temp_disk_bytes: 0 };

    #[test]
    fn what_goes_in_comes_out_from_memory_and_from_the_file() {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        // 10 blocks of 80 bytes: 3 fit the memory, 7 go to the file.
        let (_pool, resources) = resources(250, ENOUGH, u64::MAX);
        let mut spool = Spool::new(spec, &resources).unwrap();
        let mut sent = Vec::new();
        for i in 0..10 {
            let block = Buffer::from_channels(spec, &[vec![i as f32; 10], (0..10).map(|f| (f * i) as f32).collect()]);
            spool.push(&block).unwrap();
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

    #[test]
    fn large_blocks_come_back_in_pieces() {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let frames = 2 * BLOCK_FRAMES + 100;
        let block = Buffer::from_channels(spec, &[(0..frames).map(|f| f as f32).collect(), vec![0.5; frames]]);
        let (_pool, resources) = resources(70_000, ENOUGH, u64::MAX);
        let mut spool = Spool::new(spec, &resources).unwrap();
        spool.push(&block).unwrap();
        let mut back = Vec::new();
        spool
            .replay(&mut |part| {
                assert!(part.frames() <= BLOCK_FRAMES);
                back.extend_from_slice(part.channel(0));
                Ok(())
            })
            .unwrap();
        assert!(back == block.channel(0));
    }

    #[test]
    fn more_audio_than_expected_takes_what_is_free_and_no_more() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let block = Buffer::from_channels(spec, &[vec![0.0; 100]]);
        let asked = Amounts { temp_disk_bytes: 400, ..ENOUGH };
        let (pool, resources) = resources(0, asked, 1200);
        let mut spool = Spool::new(spec, &resources).unwrap();
        // Blocks of 400 bytes: one was asked for, two more are free.
        (0..3).for_each(|_| spool.push(&block).unwrap());
        assert_eq!(pool.usage().resources[3].used, 1200);
        assert!(matches!(spool.push(&block), Err(Error::LimitExceeded { limit: "temp_disk_bytes", max: 1200.0, .. })));
        drop((spool, resources));
        assert_eq!(pool.usage().resources[3].used, 0);
    }

    #[test]
    fn memory_beyond_the_permit_is_refused() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let block = Buffer::from_channels(spec, &[vec![0.0; 100]]);
        let (_pool, resources) = resources(10_000, Amounts { memory_bytes: 1000, ..ENOUGH }, u64::MAX);
        let mut spool = Spool::new(spec, &resources).unwrap();
        (0..2).for_each(|_| spool.push(&block).unwrap());
        assert!(matches!(spool.push(&block), Err(Error::LimitExceeded { limit: "memory_bytes", value: 1200.0, .. })));
    }
}
