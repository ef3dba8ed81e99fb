//! Looking at the quality of an input, and holding it against delivery specifications.

use super::Engine;
use super::admission::Admitted;
use super::observed::Call;
use crate::analysis::ContentParams;
use crate::analysis::delivery::{self, CheckReport};
use crate::analysis::quality::{QualityAnalyser, QualityParams, QualityReport};
use crate::analysis::recommend::{RecommendOptions, Recommendation, recommend};
use crate::audio::Buffer;
use crate::cache::Kind;
use crate::error::Result;
use crate::formats::{MediaInfo, ReadOptions, SampleFormat, Source};
use crate::presets::{Facts, Suggestion, suggest};
use crate::processing::progress::Tracker;
use crate::processing::{Control, Cost, Recipe, Stage};

/// Frames that are decoded at a time.
const BLOCK_FRAMES: usize = 8_192;

impl Engine {
    /// Looks at a whole input for faults, and holds it against delivery specifications by their names; `all` stands for every one.
    ///
    /// # Errors
    /// [`crate::Error::UnknownName`] for a specification, before anything is read; those of [`Engine::quality`].
    pub fn check(
        &self,
        source: Source,
        specifications: &[impl AsRef<str>],
        options: &ReadOptions,
        control: &Control,
    ) -> Result<CheckReport> {
        let chosen = delivery::specifications(specifications)?;
        let quality = self.quality(source, options, control)?;
        let delivery: Vec<_> = chosen.into_iter().map(|spec| delivery::check(&quality, spec)).collect();
        Ok(CheckReport { passed: delivery.iter().all(|result| result.passed), quality, delivery })
    }

    /// Looks at a whole input for faults. The bits that the verdict on fake bit depth asks for are those of the stream. Waits while the
    /// budgets have no room for it.
    ///
    /// # Errors
    /// Those of [`crate::formats::open`] and of [`crate::resources::ResourcePool::acquire`]; [`crate::Error::Empty`]; [`crate::Error::Cancelled`];
    /// [`crate::Error::Denied`] by the policy.
    pub fn quality(&self, source: Source, options: &ReadOptions, control: &Control) -> Result<QualityReport> {
        self.examine(source, options, None, control)
    }

    /// The same, which tells speech and music apart as well.
    ///
    /// # Errors
    /// As [`Engine::quality`].
    pub(crate) fn quality_and_content(
        &self,
        source: Source,
        options: &ReadOptions,
        control: &Control,
    ) -> Result<QualityReport> {
        self.examine(source, options, Some(ContentParams::default()), control)
    }

    fn examine(
        &self,
        source: Source,
        options: &ReadOptions,
        content: Option<ContentParams>,
        control: &Control,
    ) -> Result<QualityReport> {
        self.observed.operation(Call::Quality, || {
            self.ask_policy(Call::Quality.name(), &source, &[], Some(control))?;
            let options = self.read_options(options);
            self.remembered(Kind::Quality, source, &options, &content, control, |source| {
                self.retrying(None, source, control, |attempt| {
                    let cost = |media: &MediaInfo| Ok(Cost::of_measuring(&media.stream));
                    let admitted = self.admit(Call::Quality.name(), attempt, &options, control, &cost)?;
                    let Admitted { mut decoder, permit, .. } = admitted;
                    let (spec, duration) = (decoder.info().spec, decoder.info().duration);
                    let tracker = Tracker::for_reading(control, spec.rate_hz, duration.map(|d| d.frames));
                    let declared_bits = match decoder.info().sample_format {
                        SampleFormat::Int(bits) => Some(u32::from(bits)),
                        SampleFormat::Float(_) | SampleFormat::Lossy => None,
                    };
                    let mut analyser = QualityAnalyser::new(spec, QualityParams { declared_bits, content })?;
                    let mut block = Buffer::new(spec, BLOCK_FRAMES);
                    loop {
                        tracker.check()?;
                        let count = decoder.read(&mut block, BLOCK_FRAMES)?;
                        if count == 0 {
                            break;
                        }
                        analyser.push(&block)?;
                        tracker.advance(Stage::Analyse, count, spec.rate_hz);
                    }
                    drop(permit);
                    let report = analyser.finish()?;
                    tracker.done();
                    Ok(report)
                })
            })
        })
    }

    /// The presets that fit an input, the best first, with the reasons; see [`suggest`]. The whole input is looked at.
    ///
    /// # Errors
    /// As [`Engine::quality`].
    pub fn suggest_presets(&self, source: Source, options: &ReadOptions, control: &Control) -> Result<Vec<Suggestion>> {
        Ok(suggest(&Facts::of(&self.quality_and_content(source, options, control)?)))
    }

    /// What to do with an input: preset, filters, channels, codec and bit rate, each with its reason and the measurement behind it, and all of
    /// it as a recipe; see [`recommend`]. The whole input is looked at.
    ///
    /// # Errors
    /// As [`Engine::quality`]; [`crate::Error::UnknownName`] when a preset of the library was taken away.
    pub fn recommend(&self, source: Source, options: &RecommendOptions, control: &Control) -> Result<Recommendation> {
        let quality = self.quality_and_content(source, &options.read, control)?;
        let recommendation = recommend(&quality, options.content, &self.presets)?;
        let read = options.read.clone();
        Ok(Recommendation { recipe: Recipe { read, ..recommendation.recipe }, ..recommendation })
    }
}
