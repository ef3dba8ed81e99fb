//! Analysing an input: the record, and the features over time as arrays.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Engine;
use super::observed::Call;
use crate::analysis::{Analysis, AnalysisParams, Content, ContentClassifier, ContentParams, FeatureArray};
use crate::audio::Buffer;
use crate::cache::Kind;
use crate::error::{Error, Result};
use crate::formats::{MediaInfo, ReadOptions, Source};
use crate::processing::{self, Control, Cost};

/// What [`Engine::analyse`] is to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnalyseOptions {
    /// How to read the input.
    pub read: ReadOptions,
    /// What to find.
    pub analysis: AnalysisParams,
}

/// What [`Engine::classify`] is to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifyOptions {
    /// How to read the input.
    pub read: ReadOptions,
    /// What counts as what.
    pub content: ContentParams,
}

/// What an input is like, with its features over time.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureArrays {
    /// The record; its `series` are in `arrays`.
    pub analysis: Analysis,
    /// Each feature over time, in a fixed order. Frame `t` belongs to the time `t / analysis.features.frame_rate_hz`.
    pub arrays: Vec<FeatureArray>,
}

impl Engine {
    /// Decodes an input once and tells what it is like: loudness, features, rhythm, key, pitch, activity. Waits while the budgets have no
    /// room for it.
    ///
    /// # Errors
    /// Those of [`crate::formats::open`], of [`Analyser::new`](crate::analysis::Analyser::new) and of [`ResourcePool::acquire`];
    /// [`Error::Cancelled`]; [`Error::Denied`] by the policy; [`Error::LimitExceeded`] when series do not fit the memory.
    pub fn analyse(&self, source: Source, options: &AnalyseOptions, control: &Control) -> Result<Analysis> {
        self.observed.operation(Call::Analyse, || {
            self.ask_policy("analyse", &source, &[], Some(control))?;
            let read = self.read_options(&options.read);
            self.remembered(Kind::Analysis, source, &read, &options.analysis, control, |source| {
                self.retrying(None, source, control, |attempt| {
                    let cost = |media: &MediaInfo| Ok(Cost::of_analysing(&media.stream));
                    let mut admitted = self.admit("analyse", attempt, &read, control, &cost)?;
                    let memory = admitted.permit.memory();
                    processing::analyse_features(&mut *admitted.decoder, &options.analysis, control, memory)
                })
            })
        })
    }

    /// As [`Engine::analyse`], with all features over time as arrays. `options.analysis.series` does not matter.
    ///
    /// # Errors
    /// As [`Engine::analyse`].
    pub fn features(&self, source: Source, options: &AnalyseOptions, control: &Control) -> Result<FeatureArrays> {
        let mut options = options.clone();
        options.analysis.series = true;
        let mut analysis = self.analyse(source, &options, control)?;
        let series = analysis.series.take().ok_or_else(|| Error::internal("an analysis lost its series"))?;
        Ok(FeatureArrays { arrays: series.into_arrays(), analysis })
    }

    /// Decodes an input once and tells speech, music, speech over music, noise and silence in it apart, and where somebody speaks. Waits while
    /// the budgets have no room for it.
    ///
    /// # Errors
    /// As [`Engine::analyse`], with the parameters of [`ContentClassifier::new`].
    pub fn classify(&self, source: Source, options: &ClassifyOptions, control: &Control) -> Result<Content> {
        self.observed.operation(Call::Classify, || {
            self.ask_policy(Call::Classify.name(), &source, &[], Some(control))?;
            let read = self.read_options(&options.read);
            self.remembered(Kind::Content, source, &read, &options.content, control, |source| {
                self.retrying(None, source, control, |attempt| {
                    let cost = |media: &MediaInfo| Ok(Cost::of_analysing(&media.stream));
                    let mut admitted = self.admit(Call::Classify.name(), attempt, &read, control, &cost)?;
                    let memory = admitted.permit.memory();
                    let mut classifier = ContentClassifier::new(admitted.decoder.info().spec, &options.content)?;
                    let mut each = |block: &mut Buffer| classifier.push(block);
                    processing::read_blocks(&mut *admitted.decoder, control, memory, &mut each)?;
                    classifier.finish_while(&|| control.cancel.check())
                })
            })
        })
    }
}
