//! Reading a stream back while it is still being written.
//!
//! What goes through a [`FollowedSink`] into a file also goes, byte by byte, to a [`Follower`], from which a decoder reads as
//! from a file whose end is not known yet. So an output is decoded and measured on one core while it is encoded on another.
//! The follower hashes every byte that it gives to the decoder: when that hash is the hash of the finished file, what was
//! decoded is what will be published. Where it is not, as when an encoder went back to patch a header, nothing that was
//! decoded counts, and the caller reads the file itself.

use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::formats::encode::Sink;

/// Writes that the decoder may be behind: with the 32 KiB that encoders gather 2 MiB, or some minutes of audio.
const DEPTH: usize = 64;

/// Writes to a file, and to a follower.
pub(crate) struct FollowedSink {
    file: Box<dyn Sink>,
    /// None when nobody follows any more.
    follower: Option<Sender<Vec<u8>>>,
    position: u64,
}

/// Reads what is written, from the first byte on, and waits for what is not yet written. The end comes when the sink is
/// dropped.
pub(crate) struct Follower {
    writes: Receiver<Vec<u8>>,
    /// The present write, and how much of it was read.
    write: Vec<u8>,
    at: usize,
    position: u64,
    seen: Arc<Mutex<blake3::Hasher>>,
}

/// The hash of what a [`Follower`] has read.
pub(crate) struct Seen(Arc<Mutex<blake3::Hasher>>);

/// A sink into the empty `file`, and who follows it.
pub(crate) fn follow(file: Box<dyn Sink>) -> (FollowedSink, Follower, Seen) {
    let (sender, writes) = bounded(DEPTH);
    let seen = Arc::new(Mutex::new(blake3::Hasher::new()));
    let follower = Follower { writes, write: Vec::new(), at: 0, position: 0, seen: Arc::clone(&seen) };
    (FollowedSink { file, follower: Some(sender), position: 0 }, follower, Seen(seen))
}

impl Seen {
    /// BLAKE3 in hexadecimal digits.
    pub fn hash(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).finalize().to_hex().to_string()
    }
}

impl Write for FollowedSink {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let count = self.file.write(bytes)?;
        self.position += count as u64;
        if let Some(follower) = &self.follower
            && follower.send(bytes[..count].to_vec()).is_err()
        {
            self.follower = None;
        }
        Ok(count)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}

impl Seek for FollowedSink {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let position = self.file.seek(to)?;
        if position != self.position {
            // What was read is about to be overwritten.
            self.follower = None;
        }
        self.position = position;
        Ok(position)
    }
}

impl Read for Follower {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        if self.at == self.write.len() {
            let Ok(write) = self.writes.recv() else { return Ok(0) };
            (self.write, self.at) = (write, 0);
        }
        let count = to.len().min(self.write.len() - self.at);
        let bytes = &self.write[self.at..self.at + count];
        to[..count].copy_from_slice(bytes);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).update(bytes);
        self.at += count;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Follower {
    /// Only to where it is: nothing is kept.
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        match to {
            SeekFrom::Start(position) if position == self.position => Ok(position),
            SeekFrom::Current(0) => Ok(self.position),
            _ => Err(Error::new(ErrorKind::Unsupported, "a stream that is being written is read once, in order")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_follower_reads_what_the_file_holds_while_it_grows() {
        let file = tempfile::tempfile().unwrap();
        let (mut sink, mut follower, seen) = follow(Box::new(file.try_clone().unwrap()));
        let all: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let read = std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut read = vec![0; 10];
                follower.read_exact(&mut read).unwrap();
                assert_eq!(follower.stream_position().unwrap(), 10);
                assert_eq!(follower.seek(SeekFrom::Start(10)).unwrap(), 10);
                assert!(follower.seek(SeekFrom::Start(9)).is_err());
                follower.read_to_end(&mut read).unwrap();
                read
            });
            // More writes than the follower may be behind.
            assert_eq!(sink.stream_position().unwrap(), 0);
            all.chunks(777).for_each(|part| sink.write_all(part).unwrap());
            drop(sink);
            reader.join().unwrap()
        });
        assert!(read == all);
        assert_eq!(seen.hash(), blake3::hash(&all).to_hex().to_string());
        let (mut file, mut written) = (file, Vec::new());
        file.rewind().unwrap();
        file.read_to_end(&mut written).unwrap();
        assert!(written == all);
    }

    #[test]
    fn a_patch_ends_the_following_and_shows_in_the_hash() {
        let (mut sink, mut follower, seen) = follow(Box::new(tempfile::tempfile().unwrap()));
        sink.write_all(b"header").unwrap();
        sink.seek(SeekFrom::Start(0)).unwrap();
        sink.write_all(b"H").unwrap();
        let mut read = Vec::new();
        follower.read_to_end(&mut read).unwrap();
        assert_eq!(read, b"header");
        assert_ne!(seen.hash(), blake3::hash(b"Header").to_hex().to_string());
    }

    #[test]
    fn a_follower_that_is_gone_does_not_hold_up_the_writer() {
        let (mut sink, follower, _) = follow(Box::new(tempfile::tempfile().unwrap()));
        drop(follower);
        for _ in 0..2 * DEPTH {
            sink.write_all(b"x").unwrap();
        }
        assert_eq!(sink.stream_position().unwrap(), 2 * DEPTH as u64);
    }
}
