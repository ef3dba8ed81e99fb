//! [`Decoder`]: blocks of an input, one after the other.

use napi::bindgen_prelude::{Env, Object};
use napi_derive::napi;
use pure_sound::audio::Buffer as CoreBuffer;
use pure_sound::formats::{Decoder as CoreDecoder, ReadOptions, Source as CoreSource};
use pure_sound::{Engine as CoreEngine, Error as CoreError};

use crate::error::{sync, to_js};
use crate::promise::{json, promise};
use crate::samples::Audio;
use crate::slot::Slot;
use crate::threads::Lane;

/// Most frames of one block.
const MAX_FRAMES: f64 = 16_777_216.0;

/// An open input. One call at a time.
#[napi]
pub struct Decoder {
    slot: Slot<Box<dyn CoreDecoder>>,
}

impl Decoder {
    /// Opens `source`.
    ///
    /// # Errors
    /// As [`CoreEngine::open`].
    pub fn open(engine: &CoreEngine, source: CoreSource, read: &ReadOptions) -> pure_sound::Result<Self> {
        Ok(Self { slot: Slot::new("decoder", engine.open(source, read)?) })
    }
}

/// Reads until there are frames or the end.
fn read(decoder: &mut dyn CoreDecoder, max_frames: f64) -> pure_sound::Result<Option<Audio>> {
    CoreError::check_range("max_frames", max_frames, 1.0, MAX_FRAMES, "frames")?;
    let mut block = CoreBuffer::new(decoder.info().spec, 0);
    let frames = decoder.read(&mut block, max_frames as usize)?;
    Ok((frames > 0).then_some(Audio(block)))
}

#[napi]
impl Decoder {
    /// What is being decoded, as JSON. The duration may become more exact while reading.
    #[napi]
    pub fn info(&self, env: &Env) -> napi::Result<String> {
        sync(env, || self.slot.take()?.with(|decoder| json(decoder.info())))
    }

    /// Damage met so far, as JSON.
    #[napi]
    pub fn damage(&self, env: &Env) -> napi::Result<String> {
        sync(env, || self.slot.take()?.with(|decoder| json(decoder.damage())))
    }

    /// A promise of the next block: at most so many frames; null at the end.
    #[napi]
    pub fn read<'env>(&self, env: &'env Env, max_frames: f64) -> napi::Result<Object<'env>> {
        let taken = self.slot.take().map_err(|error| to_js(env, &error))?;
        promise(env, Lane::Block, move || taken.with(|decoder| read(&mut **decoder, max_frames)))
    }

    /// As `read`, in the calling thread.
    #[napi]
    pub fn read_sync(&self, env: &Env, max_frames: f64) -> napi::Result<Option<Audio>> {
        sync(env, || self.slot.take()?.with(|decoder| read(&mut **decoder, max_frames)))
    }

    /// A promise of being at exactly this frame.
    #[napi]
    pub fn seek<'env>(&self, env: &'env Env, frame: f64) -> napi::Result<Object<'env>> {
        let taken = self.slot.take().map_err(|error| to_js(env, &error))?;
        promise(env, Lane::Block, move || {
            taken.with(|decoder| {
                CoreError::check_range("frame", frame, 0.0, 9_007_199_254_740_991.0, "frames")?;
                decoder.seek(frame as u64)
            })
        })
    }

    /// Lets the input go.
    #[napi]
    pub fn close(&self) {
        self.slot.close();
    }
}
