//! An object as a file that is read: by ranges, in any order, never whole.

use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::Receiver;
use object_store::{GetOptions, GetRange, ObjectStore};

use super::{Object, answer};
use crate::services::seams::FileHandle;
use crate::sync::{Mutex, lock};

/// Bytes of one request.
const CHUNK: u64 = 1 << 20;
/// Chunks that are kept; formats go back and forth between their tables and their audio.
const KEPT: usize = 6;

/// An object of a known length; one that changes while it is read is an error.
pub(super) struct Reader {
    object: Object,
    len: u64,
    tag: Option<String>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    position: u64,
    /// The one used last is the last one.
    kept: VecDeque<(u64, Bytes)>,
    /// The chunk after one that was read, on its way.
    ahead: Option<(u64, Receiver<object_store::Result<Bytes>>)>,
    last: Option<u64>,
}

impl Reader {
    /// Opens it with its first chunk, which tells its length, too; so who may not read hears that now.
    pub fn open(object: Object) -> io::Result<Self> {
        let first = object.wait(|store, key| async move {
            let options = GetOptions { range: Some(GetRange::Bounded(0..CHUNK)), ..GetOptions::default() };
            let found = store.get_opts(&key, options).await?;
            let meta = found.meta.clone();
            Ok((meta, found.bytes().await?))
        });
        let (meta, first) = match first {
            Ok(found) => found,
            Err(error) => match object.head() {
                // There is no range in nothing.
                Ok(meta) if meta.size == 0 => (meta, Bytes::new()),
                _ => return Err(error),
            },
        };
        let state = State { kept: VecDeque::from([(0, first)]), ..State::default() };
        Ok(Self { object, len: meta.size, tag: meta.e_tag, state: Arc::new(Mutex::new(state)) })
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Everything.
    pub fn all(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Asks for a chunk.
    fn ask(&self, index: u64) -> Receiver<object_store::Result<Bytes>> {
        let (store, key, tag) = (Arc::clone(&self.object.store), self.object.key.clone(), self.tag.clone());
        let (start, end) = (index * CHUNK, (index * CHUNK + CHUNK).min(self.len));
        self.object.background.begin(async move {
            let options =
                GetOptions { range: Some(GetRange::Bounded(start..end)), if_match: tag, ..GetOptions::default() };
            store.get_opts(&key, options).await?.bytes().await
        })
    }

    fn chunk(&self, state: &mut State, index: u64) -> io::Result<Bytes> {
        if let Some(at) = state.kept.iter().position(|(kept, _)| *kept == index) {
            let found = state.kept.remove(at);
            state.kept.extend(found);
        } else {
            let asked = state.ahead.take().filter(|(ahead, _)| *ahead == index).map(|(_, asked)| asked);
            let bytes = answer(&asked.unwrap_or_else(|| self.ask(index)))?;
            if bytes.len() as u64 != CHUNK.min(self.len - index * CHUNK) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if state.kept.len() >= KEPT {
                state.kept.pop_front();
            }
            state.kept.push_back((index, bytes));
        }
        // Who read two in a row reads on.
        let next = index + 1;
        let wanted = state.last == index.checked_sub(1) && next * CHUNK < self.len && state.ahead.is_none();
        if wanted && index > 0 && !state.kept.iter().any(|(kept, _)| *kept == next) {
            state.ahead = Some((next, self.ask(next)));
        }
        state.last = Some(index);
        Ok(state.kept.back().map(|(_, bytes)| bytes.clone()).unwrap_or_default())
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = lock(&self.state);
        if state.position >= self.len || buffer.is_empty() {
            return Ok(0);
        }
        let index = state.position / CHUNK;
        let chunk = self.chunk(&mut state, index)?;
        let from = usize::try_from(state.position - index * CHUNK).unwrap_or(usize::MAX);
        let rest = chunk.get(from..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        state.position += count as u64;
        Ok(count)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut state = lock(&self.state);
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => state.position.checked_add_signed(by),
        };
        state.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(state.position)
    }
}

impl Write for Reader {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileHandle for Reader {
    fn duplicate(&self) -> io::Result<Box<dyn FileHandle>> {
        let (object, state) = (self.object.clone(), Arc::clone(&self.state));
        Ok(Box::new(Self { object, len: self.len, tag: self.tag.clone(), state }))
    }
    fn set_len(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
