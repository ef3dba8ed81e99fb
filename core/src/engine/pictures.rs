//! Pictures of an input, and pages with everything that is known of it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Engine;
use super::observed::Call;
use crate::analysis::page::{self, AnalysisPage, PageOptions, Painter, Portrait};
use crate::analysis::picture::waveform::waveform_png;
use crate::analysis::picture::{Spectrogram, SpectrogramOptions, WaveformOptions};
use crate::analysis::{AnalysisParams, PeakParams, Peaks, WaveformPeaks, delivery};
use crate::audio::Buffer;
use crate::error::{Error, Result};
use crate::formats::{MediaInfo, ReadOptions, Source};
use crate::processing::{self, Control, Cost, Progress, ProgressFn, Report};
use crate::resources::MemoryAccount;

/// What [`Engine::waveform_peaks`] is to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PeakOptions {
    /// How to read the input.
    pub read: ReadOptions,
    /// Which peaks.
    pub peaks: PeakParams,
}

/// The border of a call that reads two inputs, for one of both: its progress begins at `from` and is half of the whole.
fn half(control: &Control, from: f64) -> Control {
    let progress = control.progress.clone().map(|tell| -> ProgressFn {
        Arc::new(move |told: &Progress| {
            let eta_s = told.eta_s.filter(|_| from > 0.0);
            tell(&Progress { fraction: from + told.fraction / 2.0, eta_s, ..told.clone() });
        })
    });
    Control { progress, ..control.clone() }
}

/// Reads all blocks of an input.
pub(super) type ReadAll<'a> = dyn FnMut(&mut dyn FnMut(&Buffer) -> Result<()>) -> Result<()> + 'a;

impl Engine {
    /// Waveform peaks of a whole input, for hosts that draw themselves. Memory for them is counted while they grow, unless
    /// [`PeakParams::max_pixels`] says how many there may be. Waits while the budgets have no room for it.
    ///
    /// # Errors
    /// Those of [`WaveformPeaks::new`], of [`crate::formats::open`] and [`crate::resources::ResourcePool::acquire`];
    /// [`crate::Error::LimitExceeded`] when they do not fit the memory; [`crate::Error::Cancelled`]; [`crate::Error::Denied`] by the policy.
    pub fn waveform_peaks(&self, source: Source, options: &PeakOptions, control: &Control) -> Result<Peaks> {
        self.looking(source, &options.read, control, 1 << 20, |media, memory, read| {
            let mut peaks = WaveformPeaks::new(media.stream.spec, &options.peaks)?;
            let mut kept = memory.take(0)?;
            let mut counted = 0;
            read(&mut |block| {
                peaks.push(block);
                let bytes = peaks.kept_bytes();
                if bytes > counted {
                    kept.grow(bytes - counted)?;
                    counted = bytes;
                }
                Ok(())
            })?;
            Ok(peaks.finish())
        })
    }

    /// The waveform of a whole input as PNG. Waits while the budgets have no room for it.
    ///
    /// # Errors
    /// Those of [`WaveformOptions::validate`], before anything is read, and of [`crate::formats::open`] and
    /// [`crate::resources::ResourcePool::acquire`]; [`crate::Error::OutOfRange`] when the height has no room for every channel;
    /// [`crate::Error::Cancelled`]; [`crate::Error::Denied`] by the policy.
    pub fn waveform_png(&self, source: Source, options: &WaveformOptions, control: &Control) -> Result<Vec<u8>> {
        options.validate()?;
        self.looking(source, &options.read, control, 0, |media, _, read| {
            let mut peaks = WaveformPeaks::new(media.stream.spec, &options.peaks())?;
            let mut frames = 0;
            read(&mut |block| {
                frames += block.frames() as u64;
                peaks.push(block);
                Ok(())
            })?;
            waveform_png(&peaks.finish(), frames, options)
        })
    }

    /// A spectrogram of a whole input as PNG. Waits while the budgets have no room for it.
    ///
    /// # Errors
    /// Those of [`SpectrogramOptions::validate`], before anything is read, of [`Spectrogram::new`], [`crate::formats::open`] and
    /// [`crate::resources::ResourcePool::acquire`]; [`crate::Error::Cancelled`]; [`crate::Error::Denied`] by the policy.
    pub fn spectrogram_png(&self, source: Source, options: &SpectrogramOptions, control: &Control) -> Result<Vec<u8>> {
        options.validate()?;
        let memory_bytes = Spectrogram::most_bytes(options);
        self.looking(source, &options.read, control, memory_bytes, |media, _, read| {
            let mut spectrogram = Spectrogram::new(media.stream.spec, options)?;
            read(&mut |block| spectrogram.push(block))?;
            spectrogram.finish()
        })
    }

    /// A page of an input for people, one HTML file that needs nothing else: waveform, loudness over time, spectrogram, faults with their
    /// places and evidence, delivery specifications, facts, tags; and the same as data. Everything comes from one pass.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for a specification, [`Error::OutOfRange`] for the target, both before anything is read; those of
    /// [`Engine::analyse`] and [`Engine::quality`].
    pub fn analysis_page(&self, source: Source, options: &PageOptions, control: &Control) -> Result<AnalysisPage> {
        let specifications = checked(options)?;
        let portrait = self.portrait(source, options, None, Some(&options.analysis), control)?;
        let html = page::analysis_page(&portrait, options, &specifications);
        let check = portrait.check(&specifications);
        let analysis = portrait.analysis.ok_or_else(|| Error::internal("no analysis"))?;
        Ok(AnalysisPage { html, analysis, check })
    }

    /// A page of a recording before and after it was processed, as [`Engine::analysis_page`], with what is gone and what is new; and with
    /// the steps and the target of `report`, when there is one.
    ///
    /// # Errors
    /// As [`Engine::analysis_page`], for either input.
    pub fn comparison_page(
        &self,
        before: Source,
        after: Source,
        report: Option<&Report>,
        options: &PageOptions,
        control: &Control,
    ) -> Result<String> {
        let specifications = checked(options)?;
        let before = self.portrait(before, options, None, None, &half(control, 0.0))?;
        // What was asked for the input, such as a track, means nothing for what was made of it.
        let plain = PageOptions { read: ReadOptions { track: None, ..options.read.clone() }, ..options.clone() };
        let after = self.portrait(after, &plain, Some(before.ends_hz.1), None, &half(control, 0.5))?;
        Ok(page::comparison_page(&before, &after, report, options, &specifications))
    }

    fn portrait(
        &self,
        source: Source,
        options: &PageOptions,
        most_hz: Option<f64>,
        analysis: Option<&AnalysisParams>,
        control: &Control,
    ) -> Result<Portrait> {
        let name = match &source {
            Source::Path(path) => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            _ => "recording".into(),
        };
        self.looking(source, &options.read, control, Painter::most_bytes(), |media, memory, read| {
            let mut painter = Painter::new(media, options.scale, most_hz, analysis)?;
            let mut kept = memory.take(0)?;
            let mut counted = 0;
            read(&mut |block| {
                self.pool.install(|| painter.push(block))?;
                let bytes = painter.kept_bytes();
                if bytes > counted {
                    kept.grow(bytes - counted)?;
                    counted = bytes;
                }
                Ok(())
            })?;
            painter.finish(name.clone())
        })
    }

    /// Opens an input and lets `look` read its blocks. `memory_bytes` is what it needs beside the blocks.
    pub(super) fn looking<T>(
        &self,
        source: Source,
        read: &ReadOptions,
        control: &Control,
        memory_bytes: u64,
        look: impl Fn(&MediaInfo, &MemoryAccount, &mut ReadAll<'_>) -> Result<T>,
    ) -> Result<T> {
        self.observed.operation(Call::Picture, || {
            self.ask_policy(Call::Picture.name(), &source, &[], Some(control))?;
            let options = self.read_options(read);
            self.retrying(None, source, control, |attempt| {
                let cost = |media: &MediaInfo| Ok(Cost::of_measuring(&media.stream).with_memory(memory_bytes));
                let mut admitted = self.admit(Call::Picture.name(), attempt, &options, control, &cost)?;
                let memory = admitted.permit.memory();
                look(&admitted.media, memory, &mut |each| {
                    processing::read_blocks(&mut *admitted.decoder, control, memory, &mut |block| each(block))
                })
            })
        })
    }
}

/// The specifications of a page, when its options are in order.
fn checked(options: &PageOptions) -> Result<Vec<&'static delivery::Specification>> {
    if let Some(lufs) = options.target_lufs {
        Error::check_range("target_lufs", lufs, -70.0, 0.0, "LUFS")?;
    }
    delivery::specifications(&options.specifications)
}
