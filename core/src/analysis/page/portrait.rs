//! Everything that a page shows of one recording, from one pass over it.

use super::curve::{Curve, CurveMeter};
use crate::analysis::delivery::{self, CheckReport, Specification};
use crate::analysis::picture::{FrequencyScale, Spectrogram, SpectrogramOptions};
use crate::analysis::quality::{QualityAnalyser, QualityParams, QualityReport};
use crate::analysis::{Analyser, Analysis, AnalysisParams, PeakParams, Peaks, WaveformPeaks};
use crate::audio::{Buffer, Spec};
use crate::error::Result;
use crate::formats::{MediaInfo, SampleFormat};

/// Size of the spectrogram of a page, in pixels.
pub(super) const PLOT_WIDTH: u32 = 930;
pub(super) const PLOT_HEIGHT: u32 = 256;

/// What is known of a recording.
pub(crate) struct Portrait {
    /// How it is called: anything.
    pub name: String,
    pub media: MediaInfo,
    pub frames: u64,
    pub quality: QualityReport,
    /// None when it was not asked for.
    pub analysis: Option<Analysis>,
    pub peaks: Peaks,
    pub curve: Curve,
    pub spectrogram_png: Vec<u8>,
    pub scale: FrequencyScale,
    pub ends_hz: (f64, f64),
}

impl Portrait {
    pub fn spec(&self) -> Spec {
        self.quality.spec
    }

    pub fn duration_s(&self) -> f64 {
        self.spec().seconds(self.frames)
    }

    /// Holds it against specifications.
    pub fn check(&self, specifications: &[&'static Specification]) -> CheckReport {
        let delivery: Vec<_> = specifications.iter().map(|spec| delivery::check(&self.quality, spec)).collect();
        let passed = delivery.iter().all(|result| result.passed);
        CheckReport { passed, quality: self.quality.clone(), delivery }
    }
}

/// Looks at a recording block by block.
pub(crate) struct Painter {
    media: MediaInfo,
    frames: u64,
    quality: QualityAnalyser,
    analyser: Option<Analyser>,
    peaks: WaveformPeaks,
    curve: CurveMeter,
    spectrogram: Spectrogram,
    scale: FrequencyScale,
    ends_hz: (f64, f64),
}

impl Painter {
    /// `most_hz`: where the axis of the spectrogram ends at the latest.
    pub fn new(
        media: &MediaInfo,
        scale: FrequencyScale,
        most_hz: Option<f64>,
        analysis: Option<&AnalysisParams>,
    ) -> Result<Self> {
        let spec = media.stream.spec;
        let declared_bits = match media.stream.sample_format {
            SampleFormat::Int(bits) => Some(u32::from(bits)),
            SampleFormat::Float(_) | SampleFormat::Lossy => None,
        };
        let high_hz = most_hz.unwrap_or(f64::INFINITY).min(f64::from(spec.rate_hz) / 2.0);
        let options = SpectrogramOptions { max_hz: Some(high_hz), ..spectrogram_options(scale) };
        let low_hz = if scale == FrequencyScale::Log { 20.0 } else { 0.0 };
        Ok(Self {
            media: media.clone(),
            frames: 0,
            quality: QualityAnalyser::new(spec, QualityParams { declared_bits, content: None })?,
            analyser: analysis.map(|params| Analyser::new(spec, params)).transpose()?,
            peaks: WaveformPeaks::new(
                spec,
                &PeakParams { samples_per_pixel: 2, mono: spec.channels() > 2, max_pixels: Some(4 * PLOT_WIDTH) },
            )?,
            curve: CurveMeter::new(spec)?,
            spectrogram: Spectrogram::new(spec, &options)?,
            scale,
            ends_hz: (low_hz, high_hz),
        })
    }

    /// Adds a block, on the threads of the pool that this runs in.
    pub fn push(&mut self, block: &Buffer) -> Result<()> {
        let Self { quality, analyser, peaks, curve, spectrogram, .. } = self;
        let (features, others) = rayon::join(
            || analyser.as_mut().map_or(Ok(()), |analyser| analyser.push(block)),
            || {
                quality.push(block)?;
                peaks.push(block);
                curve.push(block);
                spectrogram.push(block)
            },
        );
        self.frames += block.frames() as u64;
        features.and(others)
    }

    /// Memory that has grown with the length so far, in bytes.
    pub fn kept_bytes(&self) -> u64 {
        self.analyser.as_ref().map_or(0, Analyser::kept_bytes)
    }

    /// Memory in bytes that it takes at most beside that.
    pub fn most_bytes() -> u64 {
        Spectrogram::most_bytes(&spectrogram_options(FrequencyScale::Mel)) + (8 << 20)
    }

    pub fn finish(self, name: String) -> Result<Portrait> {
        Ok(Portrait {
            name,
            media: self.media,
            frames: self.frames,
            quality: self.quality.finish()?,
            analysis: self.analyser.map(Analyser::finish).transpose()?,
            peaks: self.peaks.finish(),
            curve: self.curve.finish(),
            spectrogram_png: self.spectrogram.finish()?,
            scale: self.scale,
            ends_hz: self.ends_hz,
        })
    }
}

fn spectrogram_options(scale: FrequencyScale) -> SpectrogramOptions {
    SpectrogramOptions { width: PLOT_WIDTH, height: PLOT_HEIGHT, axes: false, scale, ..SpectrogramOptions::default() }
}
