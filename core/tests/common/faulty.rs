//! Files whose n-th operation fails, and that are those of the operating system otherwise.
#![allow(dead_code)] // each test binary uses its part

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pure_sound::services::seams::{FileHandle, FileInfo, FileSystem, NewFile, OpenedFile, SystemFiles};

/// What an operation does when its turn has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this number of the operating system, once.
    Once(i32),
    /// So do all after it.
    FromThen(i32),
    /// Reads and writes do half of what they are asked for, as they may.
    Short,
}

struct Plan {
    fault: Fault,
    at: u64,
    done: AtomicU64,
}

impl Plan {
    /// Counts an operation; true when it is to do half.
    fn step(&self) -> io::Result<bool> {
        let now = self.done.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::Once(number) if now == self.at => Err(io::Error::from_raw_os_error(number)),
            Fault::FromThen(number) if now >= self.at => Err(io::Error::from_raw_os_error(number)),
            Fault::Short => Ok(now >= self.at),
            _ => Ok(false),
        }
    }
}

/// The files.
#[derive(Clone)]
pub struct FaultyFiles(Arc<Plan>);

impl FaultyFiles {
    /// The operation number `at`, from 0, has this fault.
    pub fn new(fault: Fault, at: u64) -> Self {
        Self(Arc::new(Plan { fault, at, done: AtomicU64::new(0) }))
    }

    /// Files without a fault, which only count.
    pub fn counting() -> Self {
        Self::new(Fault::Short, u64::MAX)
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.0.done.load(Ordering::SeqCst)
    }

    fn wrap(&self, file: Box<dyn FileHandle>) -> Box<dyn FileHandle> {
        Box::new(FaultyHandle { file, plan: Arc::clone(&self.0) })
    }
}

impl FileSystem for FaultyFiles {
    fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        self.0.step()?;
        SystemFiles.read(path, max_bytes)
    }
    fn info(&self, path: &Path) -> io::Result<FileInfo> {
        self.0.step()?;
        SystemFiles.info(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.0.step()?;
        SystemFiles.list(folder)
    }
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.0.step()?;
        SystemFiles.replace(path, bytes)
    }
    fn open(&self, path: &Path) -> io::Result<OpenedFile> {
        self.0.step()?;
        let opened = SystemFiles.open(path)?;
        Ok(OpenedFile { file: self.wrap(opened.file), ..opened })
    }
    fn create(&self, target: &Path) -> io::Result<Box<dyn NewFile>> {
        self.0.step()?;
        Ok(Box::new(FaultyNewFile { file: SystemFiles.create(target)?, files: self.clone() }))
    }
    fn temporary(&self, folder: Option<&Path>) -> io::Result<Box<dyn FileHandle>> {
        self.0.step()?;
        Ok(self.wrap(SystemFiles.temporary(folder)?))
    }
    // Only cleans up after a failure; a second failure there cannot be helped.
    fn remove(&self, path: &Path) -> io::Result<()> {
        SystemFiles.remove(path)
    }
}

struct FaultyHandle {
    file: Box<dyn FileHandle>,
    plan: Arc<Plan>,
}

impl Read for FaultyHandle {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let half = self.plan.step()? && to.len() > 1;
        let len = if half { to.len() / 2 } else { to.len() };
        self.file.read(&mut to[..len])
    }
}

impl Write for FaultyHandle {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let half = self.plan.step()? && from.len() > 1;
        self.file.write(if half { &from[..from.len() / 2] } else { from })
    }
    fn flush(&mut self) -> io::Result<()> {
        self.plan.step()?;
        self.file.flush()
    }
}

impl Seek for FaultyHandle {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.plan.step()?;
        self.file.seek(to)
    }
}

impl FileHandle for FaultyHandle {
    fn duplicate(&self) -> io::Result<Box<dyn FileHandle>> {
        self.plan.step()?;
        Ok(Box::new(Self { file: self.file.duplicate()?, plan: Arc::clone(&self.plan) }))
    }
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.plan.step()?;
        self.file.set_len(bytes)
    }
    fn sync(&self) -> io::Result<()> {
        self.plan.step()?;
        self.file.sync()
    }
}

struct FaultyNewFile {
    file: Box<dyn NewFile>,
    files: FaultyFiles,
}

impl NewFile for FaultyNewFile {
    fn handle(&self) -> io::Result<Box<dyn FileHandle>> {
        self.files.0.step()?;
        Ok(self.files.wrap(self.file.handle()?))
    }
    fn publish(self: Box<Self>, replace: bool) -> io::Result<bool> {
        // Twice: as when the data cannot be synced, and as when the name cannot be given.
        self.files.0.step()?;
        self.files.0.step()?;
        self.file.publish(replace)
    }
}
