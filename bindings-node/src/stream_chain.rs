//! [`StreamChain`]: filters over a stream of blocks, on other threads, with latency compensated.

use napi::bindgen_prelude::{Env, Object};
use napi_derive::napi;
use pure_sound::audio::{Buffer as CoreBuffer, Spec};
use pure_sound::filters::FileChain;

use crate::chain::read_filters;
use crate::engine::Engine;
use crate::error::{sync, to_js};
use crate::promise::promise;
use crate::samples::{Audio, BLOCK_FRAMES, Planes, spec_of};
use crate::slot::Slot;
use crate::threads::Lane;

/// Filters in series, as files go through them. One call at a time.
#[napi]
pub struct StreamChain {
    slot: Slot<FileChain>,
    input: Spec,
    output: Spec,
}

/// Gathers what a chain gives.
fn gather(
    spec: Spec,
    give: impl FnOnce(&mut dyn FnMut(&CoreBuffer) -> pure_sound::Result<()>) -> pure_sound::Result<()>,
) -> pure_sound::Result<Option<Audio>> {
    let mut all = CoreBuffer::new(spec, 0);
    give(&mut |block| {
        all.append(block, 0, block.frames());
        Ok(())
    })?;
    Ok((!all.is_empty()).then_some(Audio(all)))
}

#[napi]
impl StreamChain {
    /// A chain of filters (JSON) for streams of this rate and layout.
    #[napi(constructor)]
    pub fn new(env: &Env, engine: &Engine, filters: String, rate_hz: f64, layout: String) -> napi::Result<Self> {
        sync(env, || {
            let input = spec_of(rate_hz, &layout)?;
            let mut chain = FileChain::new(&read_filters(engine, &filters)?)?;
            let output = chain.prepare(input, BLOCK_FRAMES)?;
            Ok(Self { slot: Slot::new("chain", chain), input, output })
        })
    }

    /// Rate of the output, in Hz.
    #[napi(getter)]
    pub fn rate_hz(&self) -> u32 {
        self.output.rate_hz
    }

    /// Layout of the output.
    #[napi(getter)]
    pub fn layout(&self) -> String {
        self.output.layout.name()
    }

    /// A promise of what a block of any length gives; null when nothing yet.
    #[napi]
    pub fn write<'env>(&self, env: &'env Env, planes: Planes) -> napi::Result<Object<'env>> {
        let (input, output) = (self.input, self.output);
        let block = sync(env, || planes.into_buffer(input, false))?;
        let taken = self.slot.take().map_err(|error| to_js(env, &error))?;
        promise(env, Lane::Block, move || {
            taken.with(|chain| {
                let mut part = CoreBuffer::new(input, BLOCK_FRAMES);
                gather(output, |sink| {
                    for start in (0..block.frames()).step_by(BLOCK_FRAMES) {
                        part.copy_from(&block, start, BLOCK_FRAMES.min(block.frames() - start));
                        chain.process(&mut part, sink)?;
                    }
                    Ok(())
                })
            })
        })
    }

    /// A promise of what is left.
    #[napi]
    pub fn finish<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let output = self.output;
        let taken = self.slot.take().map_err(|error| to_js(env, &error))?;
        promise(env, Lane::Block, move || {
            let mut chain = taken.into_inner();
            gather(output, |sink| chain.finish(sink))
        })
    }

    /// Lets it go.
    #[napi]
    pub fn close(&self) {
        self.slot.close();
    }
}
