//! Quality verdicts: what is wrong with a recording, where, and by which measurement.
//!
//! [`QualityAnalyser`] looks at a stream once, in bounded memory, and gives a [`QualityReport`]: measurements, and a [`Verdict`] for each
//! thing found. Verdicts are a function of the samples alone (and of the bits they were stored with, when that is told), so that the same
//! samples get the same verdicts from any container. Each detector has its file, with its thresholds at the top and where they come from;
//! `docs/quality.md` has the table.

mod bandwidth;
mod bits;
mod clicks;
mod clipping;
mod dynamics;
mod edges;
mod gaps;
mod hum;
mod lossy;
mod noise;
mod reverb;
mod spectrum;
mod stereo;
#[cfg(test)]
mod tests;
mod verdict;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use lossy::LossyCodec;
pub use verdict::{MAX_SPANS, Severity, Span, Verdict, VerdictName};

use super::content::{Content, ContentClass, ContentClassifier, ContentParams};
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};
use crate::meter::{Loudness, LoudnessMeter, MeterOptions};

/// Samples beyond 120 dB over full scale are no audio, nor is NaN: both are counted and taken as silence.
const NO_AUDIO: f32 = 1e6;

/// What is known of the samples beside their values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QualityParams {
    /// Bits of the integer words that the samples were stored in; none: not known, or floats.
    pub declared_bits: Option<u32>,
    /// Tell speech, music and noise apart as well; without, that is not done.
    pub content: Option<ContentParams>,
}

/// What was measured. A value that the recording is too short, too quiet or has too few channels for is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurements {
    /// Length in seconds.
    pub duration_s: f64,
    /// Mean of each channel, in full scale.
    pub dc_offset: Vec<f64>,
    /// RMS of each channel in dBFS; a full-scale sine reads -3.01. None: silence.
    pub rms_dbfs: Vec<Option<f64>>,
    /// Bits that the samples use; none when they are no integers of up to 32 bits.
    pub effective_bits: Option<u32>,
    /// Level of the quietest tenth of the frames that are not digital silence, in dBFS.
    pub noise_floor_dbfs: Option<f64>,
    /// The louder half of the frames against the noise, in dB: that of the pauses when the floor sounds like noise, else that which stands
    /// still in some bands while the sound goes on; none when neither is there.
    pub snr_db: Option<f64>,
    /// Spectral flatness of that floor within narrow bands, 0 to 1: 0.56 for white noise, near 0 for notes.
    pub floor_flatness: Option<f64>,
    /// Time in which sound dies away by 60 dB, in seconds, 0.1 to 3: the reverberation of the room, estimated from the decays of the sound
    /// itself. Dry speech has 0.1 to 0.5; music has that of its notes as well. None: too few decays, or noise less than 26 dB below the sound.
    pub reverberation_s: Option<f64>,
    /// Highest frequency with sound, in Hz.
    pub bandwidth_hz: Option<f64>,
    /// Height of the edge there, in dB; none when the spectrum fades.
    pub band_edge_db: Option<f64>,
    /// Share of frames with an empty band below the edge, 0 to 1.
    pub spectral_holes: Option<f64>,
    /// The codec whose mark the samples bear, `mp3`, `aac` or `vorbis`; none: none was found.
    pub lossy_codec: Option<LossyCodec>,
    /// Holes in the transform of that codec at the best offset of its frames against those at others: from 1.5 on a mark, below 1.3 usual
    /// without. None: too short, too soft, or a rate that is not looked at.
    pub lossy_score: Option<f64>,
    /// Correlation of the two channels, -1 to 1.
    pub correlation: Option<f64>,
    /// What the sound loses when the two channels are added, in dB: 0 for equal, 3 for unrelated ones.
    pub mono_loss_db: Option<f64>,
    /// Level of the difference of the two channels against both, in dB. None: no difference, or not two channels.
    pub side_db: Option<f64>,
    /// Base of the mains hum in Hz.
    pub hum_hz: Option<f64>,
    /// Level of the mains hum in dBFS RMS.
    pub hum_dbfs: Option<f64>,
    /// Silence before the sound, in seconds.
    pub silence_at_start_s: f64,
    /// Silence after the sound, in seconds.
    pub silence_at_end_s: f64,
    /// Dynamic range in dB, as of the TT meter.
    pub dr_db: Option<f64>,
    /// True peak minus integrated loudness, in LU.
    pub plr_lu: Option<f64>,
    /// Smallest peak to short-term loudness ratio, in LU.
    pub min_psr_lu: Option<f64>,
    /// Sample peak minus RMS, in dB.
    pub crest_db: Option<f64>,
}

/// What [`QualityAnalyser`] finds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QualityReport {
    /// Rate and layout of what was looked at.
    pub spec: Spec,
    /// The verdicts, the worst first. Empty: nothing was found.
    pub verdicts: Vec<Verdict>,
    /// The figures.
    pub measurements: Measurements,
    /// Loudness, range, peaks.
    pub loudness: Loudness,
    /// Speech, music, noise, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

impl QualityReport {
    /// The worst severity; none when nothing was found.
    pub fn worst(&self) -> Option<Severity> {
        self.verdicts.iter().map(|v| v.severity).max()
    }

    /// The verdict of a name, when it was given.
    pub fn verdict(&self, name: VerdictName) -> Option<&Verdict> {
        self.verdicts.iter().find(|v| v.name == name)
    }
}

/// Looks at a stream once. Any split into blocks gives the same report. Memory: about 100 kB per channel, 1.5 MB, and 0.4 MB per hour.
pub struct QualityAnalyser {
    spec: Spec,
    params: QualityParams,
    /// Frames that wait for a whole hop.
    waiting: Buffer,
    hop: usize,
    frames: u64,
    non_finite: u64,
    loudness: LoudnessMeter,
    clipping: Vec<clipping::Clipping>,
    bits: bits::Bits,
    stereo: stereo::Stereo,
    edges: edges::Edges,
    gaps: Vec<gaps::Gaps>,
    clicks: Vec<clicks::Clicks>,
    dynamics: dynamics::Dynamics,
    hum: hum::Hum,
    lossy: lossy::Lossy,
    spectra: spectrum::Spectra,
    noise: noise::Noise,
    reverb: reverb::Reverb,
    bandwidth: bandwidth::Bandwidth,
    content: Option<ContentClassifier>,
}

impl QualityAnalyser {
    /// An analyser for streams of `spec`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]: no channel, a rate below 1 kHz or above 1 MHz.
    pub fn new(spec: Spec, params: QualityParams) -> Result<Self> {
        Error::check_range("channels", spec.channels() as f64, 1.0, 65_535.0, "")?;
        Error::check_range("rate_hz", f64::from(spec.rate_hz), 1_000.0, 1e6, "Hz")?;
        let (rate_hz, channels) = (f64::from(spec.rate_hz), spec.channels());
        // 16 to 32 ms, a power of two: 1,024 at 44.1 and 48 kHz.
        let hop = ((rate_hz * 0.016) as usize).next_power_of_two().max(64);
        Ok(Self {
            spec,
            params,
            waiting: Buffer::new(spec, hop),
            hop,
            frames: 0,
            non_finite: 0,
            loudness: LoudnessMeter::new(spec, MeterOptions::default())?,
            clipping: (0..channels).map(|_| clipping::Clipping::new()).collect(),
            bits: bits::Bits::new(),
            stereo: stereo::Stereo::new(rate_hz, channels),
            edges: edges::Edges::new(rate_hz, channels),
            gaps: (0..channels).map(|_| gaps::Gaps::new(rate_hz)).collect(),
            clicks: (0..channels).map(|_| clicks::Clicks::new(rate_hz, hop)).collect(),
            dynamics: dynamics::Dynamics::new(rate_hz, channels),
            hum: hum::Hum::new(rate_hz, channels),
            lossy: lossy::Lossy::new(rate_hz, channels),
            spectra: spectrum::Spectra::new(hop, channels),
            noise: noise::Noise::new(rate_hz, hop + 1),
            reverb: reverb::Reverb::new(rate_hz, hop),
            bandwidth: bandwidth::Bandwidth::new(rate_hz, hop + 1),
            content: params.content.as_ref().map(|content| ContentClassifier::new(spec, content)).transpose()?,
        })
    }

    /// Adds a block of any length.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] when the block is not of the spec that the analyser was made for.
    pub fn push(&mut self, block: &Buffer) -> Result<()> {
        if block.spec() != self.spec {
            return Err(Error::InvalidValue {
                name: "block".into(),
                value: format!("{} Hz, {} channels", block.spec().rate_hz, block.channel_count()),
                allowed: format!("{} Hz, {} channels", self.spec.rate_hz, self.spec.channels()),
            });
        }
        let mut start = 0;
        while start < block.frames() {
            let filled = self.waiting.frames();
            let count = (self.hop - filled).min(block.frames() - start);
            self.waiting.set_frames(filled + count);
            for (to, from) in self.waiting.channels_mut().zip(block.channels()) {
                for (to, from) in to[filled..].iter_mut().zip(&from[start..start + count]) {
                    let audio = from.is_finite() && from.abs() <= NO_AUDIO;
                    self.non_finite += u64::from(!audio);
                    *to = if audio { *from } else { 0.0 };
                }
            }
            start += count;
            if self.waiting.frames() == self.hop {
                self.hop()?;
            }
        }
        Ok(())
    }

    /// Looks at the frames that wait.
    fn hop(&mut self) -> Result<()> {
        let block = &self.waiting;
        self.loudness.push(block);
        for (channel, samples) in block.channels().enumerate() {
            self.clipping[channel].push(samples);
            self.bits.push(samples);
            self.gaps[channel].push(samples);
            self.clicks[channel].push(samples);
        }
        self.stereo.push(block);
        self.edges.push(block);
        self.dynamics.push(block, self.loudness.short_term_lufs());
        self.hum.push(block);
        self.lossy.push(block);
        if self.spectra.push(block) {
            self.noise.push(&self.spectra.power, self.spectra.mean_square);
            self.reverb.push(&self.spectra.power);
            self.bandwidth.push(&self.spectra.power, self.spectra.mean_square);
        }
        if let Some(content) = &mut self.content {
            content.push(block)?;
        }
        self.frames += block.frames() as u64;
        self.waiting.set_frames(0);
        Ok(())
    }

    /// The report of all that was pushed.
    ///
    /// # Errors
    /// [`Error::Empty`] when nothing was pushed.
    pub fn finish(mut self) -> Result<QualityReport> {
        if !self.waiting.is_empty() {
            self.hop()?;
        }
        if self.frames == 0 {
            return Err(Error::Empty);
        }
        let rate_hz = f64::from(self.spec.rate_hz);
        let loudness = self.loudness.summary();
        let clipped: Vec<_> = self.clipping.into_iter().map(clipping::Clipping::finish).collect();
        let (levels, ends) = (self.stereo.finish(), self.edges.finish());
        let (floor, band) = (self.noise.finish(), self.bandwidth.finish());
        let range = self.dynamics.finish(&loudness);
        let hum = self.hum.finish();
        let room = self.reverb.finish();
        let origin = self.lossy.finish();
        let content = self.content.map(ContentClassifier::finish).transpose()?;
        let effective_bits = self.bits.effective();
        let mut verdicts = Vec::new();
        if self.non_finite > 0 {
            let text = format!(
                "{} samples are no numbers or far beyond full scale; they were taken as silence.",
                self.non_finite
            );
            let value = (self.non_finite as f64, 1.0, "samples");
            verdicts.push(Verdict::new(VerdictName::NonFinite, Severity::Error, value, text));
        }
        if loudness.sample_peak_dbfs == f64::NEG_INFINITY {
            let value = (self.spec.seconds(self.frames), 0.0, "s");
            verdicts.push(Verdict::new(
                VerdictName::Silent,
                Severity::Error,
                value,
                "nothing but digital silence.".into(),
            ));
        }
        verdicts.extend(clipping::verdict(&clipped, rate_hz));
        verdicts.extend(levels.verdicts);
        verdicts.extend(hum::verdict(hum.as_ref()));
        verdicts.extend(floor.verdict);
        verdicts.extend(clicks::verdicts(&mut self.clicks, |channel| clipped[channel].count > 0));
        verdicts.extend(gaps::verdict(&self.gaps, rate_hz));
        // The mark of a codec tells more than an edge and holes.
        let edge = |v: &Verdict| v.name != VerdictName::LossyOrigin || origin.codec.is_none();
        verdicts.extend(band.verdicts.into_iter().filter(edge));
        verdicts.extend(lossy::verdict(&origin));
        verdicts.extend(bits::verdict(effective_bits, self.params.declared_bits));
        verdicts.extend(ends.verdicts);
        verdicts.extend(range.verdict);
        // Notes that ring are no room: where it is known what the recording is, only speech is told.
        let speech = content.as_ref().is_none_or(|content| content.class == ContentClass::Speech);
        verdicts.extend(room.verdict.filter(|_| speech));
        verdicts.sort_by_key(|v| (std::cmp::Reverse(v.severity), v.name));
        let finite = |x: f64| x.is_finite().then_some(x);
        Ok(QualityReport {
            spec: self.spec,
            verdicts,
            measurements: Measurements {
                duration_s: self.spec.seconds(self.frames),
                dc_offset: levels.dc_offset,
                rms_dbfs: levels.rms_dbfs.into_iter().map(finite).collect(),
                effective_bits,
                noise_floor_dbfs: floor.floor_dbfs,
                snr_db: floor.snr_db,
                floor_flatness: floor.flatness,
                reverberation_s: room.rt60_s,
                bandwidth_hz: band.bandwidth_hz,
                band_edge_db: band.step_db,
                spectral_holes: band.holes,
                lossy_codec: origin.codec,
                lossy_score: origin.score,
                correlation: levels.correlation,
                mono_loss_db: levels.mono_loss_db.and_then(finite),
                side_db: levels.side_db.and_then(finite),
                hum_hz: hum.as_ref().map(|h| h.base_hz),
                hum_dbfs: hum.as_ref().map(|h| h.level_dbfs),
                silence_at_start_s: ends.start_s,
                silence_at_end_s: ends.end_s,
                dr_db: range.dr_db,
                plr_lu: range.plr_lu,
                min_psr_lu: range.min_psr_lu,
                crest_db: range.crest_db,
            },
            loudness,
            content,
        })
    }
}
