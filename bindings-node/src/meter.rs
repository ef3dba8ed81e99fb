//! [`Meter`]: loudness, true peak and level of a stream.

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use pure_sound::Error as CoreError;
use pure_sound::audio::{Buffer as CoreBuffer, Spec};
use pure_sound::meter::{LoudnessMeter, MeterOptions};

use crate::error::{sync, to_js};
use crate::promise::{json, options};
use crate::samples::{BLOCK_FRAMES, Planes, spec_of};

/// A loudness meter. Used by the JavaScript thread alone.
#[napi]
pub struct Meter {
    /// None after a panic.
    meter: Option<LoudnessMeter>,
    block: CoreBuffer,
    spec: Spec,
}

impl Meter {
    fn meter(&self, env: &Env) -> napi::Result<&LoudnessMeter> {
        self.meter.as_ref().ok_or_else(|| to_js(env, &CoreError::Closed { what: "meter" }))
    }
}

#[napi]
impl Meter {
    /// A meter for streams of this rate and layout; options as JSON.
    #[napi(constructor)]
    pub fn new(env: &Env, rate_hz: f64, layout: String, settings: String) -> napi::Result<Self> {
        sync(env, || {
            let spec = spec_of(rate_hz, &layout)?;
            let meter = LoudnessMeter::new(spec, options::<MeterOptions>("options", &settings)?)?;
            Ok(Self { meter: Some(meter), block: CoreBuffer::new(spec, BLOCK_FRAMES), spec })
        })
    }

    /// Measures samples.
    #[napi]
    pub fn push(&mut self, env: &Env, planes: Planes, interleaved: bool) -> napi::Result<()> {
        let Some(mut meter) = self.meter.take() else {
            return Err(to_js(env, &CoreError::Closed { what: "meter" }));
        };
        self.block.set_spec(self.spec);
        let outcome = pure_sound::guarded(|| {
            planes.read(&mut self.block, interleaved, |block| {
                meter.push(block);
                Ok(())
            })
        });
        if !matches!(outcome, Err(CoreError::Panic { .. })) {
            self.meter = Some(meter);
        }
        outcome.map_err(|error| to_js(env, &error))
    }

    /// Loudness of the last 400 ms in LUFS.
    #[napi]
    pub fn momentary_lufs(&self, env: &Env) -> napi::Result<f64> {
        Ok(self.meter(env)?.momentary_lufs())
    }

    /// Loudness of the last 3 s in LUFS.
    #[napi]
    pub fn short_term_lufs(&self, env: &Env) -> napi::Result<f64> {
        Ok(self.meter(env)?.short_term_lufs())
    }

    /// Loudness so far in LUFS.
    #[napi]
    pub fn integrated_lufs(&self, env: &Env) -> napi::Result<f64> {
        Ok(self.meter(env)?.integrated_lufs())
    }

    /// Frames measured so far.
    #[napi]
    pub fn frames(&self, env: &Env) -> napi::Result<f64> {
        Ok(self.meter(env)?.frames() as f64)
    }

    /// All results so far, as JSON.
    #[napi]
    pub fn summary(&self, env: &Env) -> napi::Result<String> {
        let meter = self.meter(env)?;
        sync(env, || json(&meter.summary()))
    }

    /// Lets it go.
    #[napi]
    pub fn close(&mut self) {
        self.meter = None;
    }

    /// Forgets the signal.
    #[napi]
    pub fn reset(&mut self) {
        if let Some(meter) = &mut self.meter {
            meter.reset();
        }
    }
}
