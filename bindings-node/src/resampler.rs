//! [`Resampler`]: another sample rate.

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use pure_sound::Error as CoreError;
use pure_sound::audio::{Buffer as CoreBuffer, Spec};
use pure_sound::dsp::resampler::{Quality, Resampler as CoreResampler};

use crate::error::{sync, to_js};
use crate::samples::{Audio, BLOCK_FRAMES, Planes, spec_of};

/// A converter of streams. Used by the JavaScript thread alone.
#[napi]
pub struct Resampler {
    /// None after a panic.
    resampler: Option<CoreResampler>,
    input: Spec,
    output: Spec,
    block: CoreBuffer,
    /// What one block gives.
    converted: CoreBuffer,
}

impl Resampler {
    fn with(
        &mut self,
        env: &Env,
        work: impl FnOnce(&mut CoreResampler, &mut CoreBuffer, &mut CoreBuffer, &mut CoreBuffer) -> pure_sound::Result<()>,
    ) -> napi::Result<Audio> {
        let Some(mut resampler) = self.resampler.take() else {
            return Err(to_js(env, &CoreError::Closed { what: "resampler" }));
        };
        let mut all = CoreBuffer::new(self.output, 0);
        self.block.set_spec(self.input);
        let outcome = pure_sound::guarded(|| work(&mut resampler, &mut self.block, &mut self.converted, &mut all));
        if !matches!(outcome, Err(CoreError::Panic { .. })) {
            self.resampler = Some(resampler);
        }
        outcome.map(|()| Audio(all)).map_err(|error| to_js(env, &error))
    }
}

fn quality_of(name: &str) -> pure_sound::Result<Quality> {
    serde_json::from_value(name.into()).map_err(|_| CoreError::InvalidValue {
        name: "quality".into(),
        value: name.into(),
        allowed: "fast, good, best".into(),
    })
}

#[napi]
impl Resampler {
    /// A converter from one rate to another. Quality: `fast`, `good` (the default) or `best`.
    #[napi(constructor)]
    pub fn new(
        env: &Env,
        in_rate_hz: f64,
        out_rate_hz: f64,
        layout: String,
        quality: Option<String>,
    ) -> napi::Result<Self> {
        sync(env, || {
            let (input, output) = (spec_of(in_rate_hz, &layout)?, spec_of(out_rate_hz, &layout)?);
            let quality = quality.as_deref().map_or(Ok(Quality::default()), quality_of)?;
            let resampler = CoreResampler::new(input.rate_hz, output.rate_hz, input.channels(), quality)?;
            Ok(Self {
                resampler: Some(resampler),
                input,
                output,
                block: CoreBuffer::new(input, BLOCK_FRAMES),
                converted: CoreBuffer::new(output, 0),
            })
        })
    }

    /// Converts samples; gives what is ready.
    #[napi]
    pub fn process(&mut self, env: &Env, planes: Planes, interleaved: bool) -> napi::Result<Audio> {
        self.with(env, |resampler, block, converted, all| {
            planes.read(block, interleaved, |block| {
                resampler.process(block, converted);
                all.append(converted, 0, converted.frames());
                Ok(())
            })
        })
    }

    /// Most frames that one call with at most so many, or `finish`, can give.
    #[napi]
    pub fn max_output_frames(&self, frames: u32) -> f64 {
        self.resampler.as_ref().map_or(0.0, |r| r.max_output_frames(frames as usize) as f64)
    }

    /// Lets it go.
    #[napi]
    pub fn close(&mut self) {
        self.resampler = None;
    }

    /// Gives the last frames.
    #[napi]
    pub fn finish(&mut self, env: &Env) -> napi::Result<Audio> {
        self.with(env, |resampler, _, converted, all| {
            loop {
                resampler.finish(converted);
                if converted.is_empty() {
                    return Ok(());
                }
                all.append(converted, 0, converted.frames());
            }
        })
    }

    /// Forgets the signal.
    #[napi]
    pub fn reset(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
    }
}
