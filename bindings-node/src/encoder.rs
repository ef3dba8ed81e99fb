//! [`Encoder`]: blocks in, an encoded file out.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{Buffer, Env, Object};
use napi_derive::napi;
use pure_sound::Engine as CoreEngine;
use pure_sound::audio::Spec;
use pure_sound::formats::FormatSettings;
use pure_sound::formats::tags::Metadata;
use pure_sound::processing::{EncodeTarget, Overwrite, StreamEncoder};

use crate::engine::EncodedBytes;
use crate::error::{sync, to_js};
use crate::promise::{json, promise};
use crate::samples::Planes;
use crate::slot::Slot;
use crate::threads::Lane;

/// Formats whose encoders never go back to what they wrote: Ogg pages and ADTS frames are complete when they are written.
const FORWARD_ONLY: [&str; 3] = ["opus", "adts", "vorbis"];

/// Where the bytes go.
pub enum Target {
    /// A file.
    File(String, Overwrite),
    /// Memory, whole at the end.
    Memory,
    /// Handed over as they come; those of formats that go back to fill in their headers at the end.
    Stream,
}

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    /// Bytes that were handed over before those.
    gone: u64,
    position: u64,
}

/// Bytes on their way to a stream.
#[derive(Clone, Default)]
struct Outlet(Arc<Mutex<Written>>);

impl Outlet {
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there by now. Nothing can be changed in it any more.
    fn take(&self) -> Vec<u8> {
        let mut written = self.lock();
        written.gone += written.bytes.len() as u64;
        std::mem::take(&mut written.bytes)
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.lock();
        let back = || io::Error::other("the encoder goes back to bytes that were sent");
        let at = written.position.checked_sub(written.gone).ok_or_else(back)? as usize;
        if at > written.bytes.len() {
            written.bytes.resize(at, 0);
        }
        let over = bytes.len().min(written.bytes.len() - at);
        written.bytes[at..at + over].copy_from_slice(&bytes[..over]);
        written.bytes.extend_from_slice(&bytes[over..]);
        written.position += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Outlet {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut written = self.lock();
        let end = written.gone + written.bytes.len() as u64;
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => written.position.checked_add_signed(by),
            SeekFrom::End(by) => end.checked_add_signed(by),
        };
        written.position = position.ok_or_else(|| io::Error::other("a position before the start"))?;
        Ok(written.position)
    }
}

struct Running {
    encoder: StreamEncoder,
    outlet: Option<Outlet>,
    /// Whether bytes may be handed over before the end.
    forward_only: bool,
}

impl Running {
    fn ready(&self) -> Option<Buffer> {
        let outlet = self.outlet.as_ref().filter(|_| self.forward_only)?;
        Some(outlet.take()).filter(|bytes| !bytes.is_empty()).map(Buffer::from)
    }
}

/// An encoder. One call at a time. Dropped or aborted before `finish`, it leaves no file.
#[napi]
pub struct Encoder {
    slot: Slot<Running>,
    spec: Spec,
    negotiated: String,
}

impl Encoder {
    /// An encoder for blocks of `spec`.
    ///
    /// # Errors
    /// As [`CoreEngine::encoder`].
    pub fn create(
        engine: &CoreEngine,
        target: Target,
        format: Option<&FormatSettings>,
        spec: Spec,
        metadata: &Metadata,
    ) -> pure_sound::Result<Self> {
        let outlet = matches!(target, Target::Stream).then(Outlet::default);
        let target = match (&target, &outlet) {
            (_, Some(outlet)) => EncodeTarget::Sink(Box::new(outlet.clone())),
            (Target::File(path, overwrite), _) => EncodeTarget::Path(Path::new(path), *overwrite),
            _ => EncodeTarget::Memory,
        };
        let encoder = engine.encoder(target, format, spec, metadata)?;
        let forward_only = FORWARD_ONLY.contains(&encoder.negotiated().settings.name());
        let negotiated = json(encoder.negotiated())?;
        Ok(Self { slot: Slot::new("encoder", Running { encoder, outlet, forward_only }), spec, negotiated })
    }
}

#[napi]
impl Encoder {
    /// What is written: rate, layout, settings, and why they differ from the blocks. JSON.
    #[napi]
    pub fn negotiated(&self) -> String {
        self.negotiated.clone()
    }

    /// A promise of having encoded a block; of the bytes that are ready, for a stream.
    #[napi]
    pub fn write<'env>(&self, env: &'env Env, planes: Planes, interleaved: bool) -> napi::Result<Object<'env>> {
        let block = sync(env, || planes.into_buffer(self.spec, interleaved))?;
        let taken = self.slot.take().map_err(|error| to_js(env, &error))?;
        promise(env, Lane::Block, move || {
            taken.with(|running| {
                running.encoder.write(&block)?;
                Ok(running.ready())
            })
        })
    }

    /// Ends the stream. A promise of what was written, and of the bytes that were not handed over yet.
    #[napi]
    pub fn finish<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let taken = self.slot.take().map_err(|error| to_js(env, &error))?;
        promise(env, Lane::Block, move || {
            let Running { encoder, outlet, .. } = taken.into_inner();
            let (encoded, bytes) = encoder.finish()?;
            let bytes = bytes.or_else(|| outlet.map(|outlet| outlet.take()));
            Ok(EncodedBytes { encoded: json(&encoded)?, bytes: bytes.map(Buffer::from) })
        })
    }

    /// Gives up: nothing is left.
    #[napi]
    pub fn abort(&self) {
        self.slot.close();
    }
}
