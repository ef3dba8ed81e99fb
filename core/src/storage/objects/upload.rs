//! An object on its way: a temporary file, then an upload that is there whole or not at all.

use std::io::{self, Read, Seek};

use object_store::{ObjectStore, ObjectStoreExt, PutMode, WriteMultipart};

use super::{Object, told};
use crate::services::seams::{FileHandle, NewFile};

/// Bytes of a part, at least. S3 wants 5 MiB, but for the last one.
const PART: u64 = 8 << 20;
/// Parts of an object, at most: S3 takes 10,000.
const PARTS: u64 = 9_000;
/// Parts on their way at the same time: with the one that is read, what an upload costs in memory.
const AT_ONCE: usize = 3;

/// An object that is not there yet.
pub(super) struct NewObject {
    object: Object,
    file: Box<dyn FileHandle>,
}

impl NewObject {
    pub fn new(object: Object, file: Box<dyn FileHandle>) -> Self {
        Self { object, file }
    }

    /// In one request, which also refuses to replace.
    fn put(&mut self, len: u64, replace: bool) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
        self.file.read_to_end(&mut bytes)?;
        let mode = if replace { PutMode::Overwrite } else { PutMode::Create };
        let done = self.object.wait(|store, key| async move { store.put_opts(&key, bytes.into(), mode.into()).await });
        done.map(drop)
    }

    /// In parts. Nothing is there before the last request, and nothing is left when one fails.
    fn put_parts(&mut self, len: u64, replace: bool) -> io::Result<()> {
        let part = PART.max(len.div_ceil(PARTS));
        let writer = self.object.wait(|store, key| async move {
            let upload = store.put_multipart(&key).await?;
            Ok(WriteMultipart::new_with_chunk_size(upload, usize::try_from(part).unwrap_or(usize::MAX)))
        })?;
        let mut upload = Upload { object: &self.object, writer: Some(writer) };
        loop {
            let mut bytes = Vec::new();
            self.file.by_ref().take(part).read_to_end(&mut bytes)?;
            if bytes.is_empty() {
                break;
            }
            upload.send(bytes)?;
        }
        // There is no such condition on the last request of an upload in parts.
        if !replace && self.object.look()?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        upload.finish()
    }
}

impl NewFile for NewObject {
    fn handle(&self) -> io::Result<Box<dyn FileHandle>> {
        self.file.duplicate()
    }

    fn publish(mut self: Box<Self>, replace: bool) -> io::Result<bool> {
        let len = self.file.seek(io::SeekFrom::End(0))?;
        self.file.rewind()?;
        let created = self.object.look()?.is_none();
        if !created && !replace {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if len <= PART {
            self.put(len, replace)?
        } else {
            self.put_parts(len, replace)?
        }
        let there = self.object.head()?.size;
        if there != len {
            return Err(io::Error::other(format!("{len} bytes were written, and {there} are there")));
        }
        Ok(created)
    }
}

/// An upload in parts; given up unless it is finished.
struct Upload<'a> {
    object: &'a Object,
    writer: Option<WriteMultipart>,
}

impl Upload<'_> {
    fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let Some(mut writer) = self.writer.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let begun = self.object.background.begin(async move {
            let room = writer.wait_for_capacity(AT_ONCE).await;
            if room.is_ok() {
                writer.put(bytes.into());
            }
            (writer, room)
        });
        let (writer, room) = begun.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
        self.writer = Some(writer);
        room.map_err(told)
    }

    fn finish(mut self) -> io::Result<()> {
        let Some(mut writer) = self.writer.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let begun = self.object.background.begin(async move {
            // First the parts: `finish` alone would leave them behind when one fails.
            match writer.wait_for_capacity(1).await {
                Ok(()) => writer.finish().await.map(drop),
                Err(error) => {
                    let _ = writer.abort().await;
                    Err(error)
                }
            }
        });
        begun.recv().map_err(|_| io::ErrorKind::BrokenPipe)?.map_err(told)
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            // What is wrong is told already; the parts that are left cost room until the store forgets them.
            if let Ok(Err(error)) = self.object.background.begin(writer.abort()).recv() {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(key = %self.object.key, error, "an upload in parts could not be given up");
            }
        }
    }
}
