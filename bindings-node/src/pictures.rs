//! Recommendations, comparisons, pictures and pages of an [`Engine`], each call a promise.

use napi::bindgen_prelude::{Buffer, Env, Object};
use napi_derive::napi;
use pure_sound::analysis::page::PageOptions;
use pure_sound::analysis::picture::{SpectrogramOptions, WaveformOptions};
use pure_sound::analysis::recommend::RecommendOptions;
use pure_sound::engine::{ClassifyOptions, CompareOptions, PeakOptions};
use pure_sound::processing::Report;

use crate::call::Call;
use crate::cancel::{Cancel, ProgressCallback, Reins};
use crate::engine::Engine;
use crate::promise::{json, options};
use crate::source::Source;
use crate::threads::Lane;

#[napi]
impl Engine {
    /// What an input is made of, as JSON.
    #[napi]
    pub fn classify<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        given: String,
        cancel: &Cancel,
        tenant: Option<String>,
        progress: Option<ProgressCallback>,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::File)?;
        let reins = Reins::new(cancel, progress).tenant(tenant);
        call.run(env, given, reins, |engine, source, given: &ClassifyOptions, control| {
            json(&engine.classify(source, given, control)?)
        })
    }

    /// What to do with an input, as JSON.
    #[napi]
    pub fn recommend<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        given: String,
        cancel: &Cancel,
        tenant: Option<String>,
        progress: Option<ProgressCallback>,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::File)?;
        let reins = Reins::new(cancel, progress).tenant(tenant);
        call.run(env, given, reins, |engine, source, given: &RecommendOptions, control| {
            json(&engine.recommend(source, given, control)?)
        })
    }

    /// How far an input lies off its reference, as JSON.
    #[napi]
    #[allow(clippy::too_many_arguments, reason = "called by lib/engine.js alone")]
    pub fn compare<'env>(
        &self,
        env: &'env Env,
        reference: &Source,
        degraded: &Source,
        given: String,
        cancel: &Cancel,
        tenant: Option<String>,
        progress: Option<ProgressCallback>,
    ) -> napi::Result<Object<'env>> {
        let call = Call::of_two(self, env, reference, degraded)?;
        let reins = Reins::new(cancel, progress).tenant(tenant);
        call.run(env, given, reins, |engine, (reference, degraded), given: &CompareOptions, control| {
            json(&engine.compare(reference, degraded, given, control)?)
        })
    }

    /// Waveform peaks as JSON.
    #[napi]
    pub fn waveform_peaks<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        given: String,
        cancel: &Cancel,
        tenant: Option<String>,
        progress: Option<ProgressCallback>,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::File)?;
        let reins = Reins::new(cancel, progress).tenant(tenant);
        call.run(env, given, reins, |engine, source, given: &PeakOptions, control| {
            json(&engine.waveform_peaks(source, given, control)?)
        })
    }

    /// The waveform as PNG.
    #[napi]
    pub fn waveform_png<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        given: String,
        cancel: &Cancel,
        tenant: Option<String>,
        progress: Option<ProgressCallback>,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::File)?;
        let reins = Reins::new(cancel, progress).tenant(tenant);
        call.run(env, given, reins, |engine, source, given: &WaveformOptions, control| {
            engine.waveform_png(source, given, control).map(Buffer::from)
        })
    }

    /// A spectrogram as PNG.
    #[napi]
    pub fn spectrogram_png<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        given: String,
        cancel: &Cancel,
        tenant: Option<String>,
        progress: Option<ProgressCallback>,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::File)?;
        let reins = Reins::new(cancel, progress).tenant(tenant);
        call.run(env, given, reins, |engine, source, given: &SpectrogramOptions, control| {
            engine.spectrogram_png(source, given, control).map(Buffer::from)
        })
    }

    /// A page for people, and what stands on it, as JSON.
    #[napi]
    pub fn analysis_page<'env>(
        &self,
        env: &'env Env,
        source: &Source,
        given: String,
        cancel: &Cancel,
        tenant: Option<String>,
        progress: Option<ProgressCallback>,
    ) -> napi::Result<Object<'env>> {
        let call = Call::new(self, env, source, Lane::File)?;
        let reins = Reins::new(cancel, progress).tenant(tenant);
        call.run(env, given, reins, |engine, source, given: &PageOptions, control| {
            json(&engine.analysis_page(source, given, control)?)
        })
    }

    /// A page of a recording before and after it was processed, as HTML. `report` is that of the run, as JSON.
    #[napi]
    #[allow(clippy::too_many_arguments, reason = "called by lib/engine.js alone")]
    pub fn comparison_page<'env>(
        &self,
        env: &'env Env,
        before: &Source,
        after: &Source,
        report: Option<String>,
        given: String,
        cancel: &Cancel,
        tenant: Option<String>,
        progress: Option<ProgressCallback>,
    ) -> napi::Result<Object<'env>> {
        let call = Call::of_two(self, env, before, after)?;
        let reins = Reins::new(cancel, progress).tenant(tenant);
        call.run(env, given, reins, move |engine, (before, after), given: &PageOptions, control| {
            let report = report.map(|text| options::<Report>("report", &text)).transpose()?;
            engine.comparison_page(before, after, report.as_ref(), given, control)
        })
    }
}
