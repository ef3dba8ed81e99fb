//! All features of a stream in one pass.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cepstrum::{DELTA_WIDTH, Dct, delta};
use super::contrast::ContrastBands;
use super::cqt::{CHROMA_BANDS, Cqt, CqtParams, chroma_of};
use super::floor::FloorQueue;
use super::framer::{Frame, Framer};
use super::hpss::{Hpss, Parts};
use super::level::{rms, zero_crossing_rate};
use super::mel::{MelBank, MelParams};
use super::spectral::ShapeMeter;
use super::statistics::{Statistics, Summary, VectorStatistics, VectorSummary};
use super::stft::Stft;
use super::values::{FeatureSummary, Scalars, Series, append};
use crate::analysis::tonal::{ChromaBank, PeakHistogram, Pitch, Yin, YinParams};
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

/// Parameters of the features, named and defaulted as librosa's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeatureParams {
    /// Samples of a frame. 64 to 65536. Default 2048 up to 64 kHz, and twice as many per doubling of the rate above.
    pub n_fft: Option<usize>,
    /// Samples from frame to frame. Default a quarter of `n_fft`.
    pub hop_length: Option<usize>,
    /// Samples of the window in the middle of the frame. Default `n_fft`.
    pub win_length: Option<usize>,
    /// Whether frame `t` has its middle at `t * hop_length` (with zeros before and after the recording). Default true.
    pub center: bool,
    /// Mel bands, also of the cepstrum and the onset strength.
    pub mel: MelParams,
    /// Number of cepstral coefficients. 1 to `n_mels`, default 20.
    pub n_mfcc: usize,
    /// Levels in dB are cut this far under the loudest. 20 to 200 dB, default 80.
    pub top_db: f64,
    /// Share of the magnitude below the roll-off. 0.01 to 0.99, default 0.85.
    pub roll_percent: f64,
    /// Upper end of the lowest band of the contrast in Hz. 20 to 1000, default 200.
    pub contrast_fmin: f64,
    /// Octaves of the contrast above the lowest band. 1 to 10, default 6; those above half the rate are left out.
    pub n_bands: usize,
    /// Tuning of the chroma and the constant-Q transform in semitones from A4 = 440 Hz. -0.5 to 0.5, default 0.
    pub tuning: f64,
    /// Bands of the constant-Q transform; without, there is none. Needs `center`.
    pub cqt: Option<CqtParams>,
    /// Whether chroma are also made from a constant-Q transform of 36 bands per octave over the seven octaves from C1 on, which costs
    /// more than half as much as everything else. Needs `center`. Default false.
    pub chroma_cqt: bool,
    /// Whether what rings and what strikes are told apart. Default false.
    pub hpss: bool,
    /// Whether the pitch is followed, which costs as much as everything else. Default true.
    pub pitch: bool,
    /// Parameters of the pitch. Its `fmin` is raised where two periods do not fit a frame.
    pub yin: YinParams,
}

impl Default for FeatureParams {
    fn default() -> Self {
        Self {
            n_fft: None,
            hop_length: None,
            win_length: None,
            center: true,
            mel: MelParams::default(),
            n_mfcc: 20,
            top_db: 80.0,
            roll_percent: 0.85,
            contrast_fmin: 200.0,
            n_bands: 6,
            tuning: 0.0,
            cqt: None,
            chroma_cqt: false,
            hpss: false,
            pitch: true,
            yin: YinParams::default(),
        }
    }
}

impl FeatureParams {
    /// Samples of a frame, and from frame to frame, at a rate.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn frame(&self, rate_hz: u32) -> Result<(usize, usize)> {
        let mut usual = 2048;
        while f64::from(rate_hz) > usual as f64 * (64_000.0 / 2048.0) && usual < 65_536 {
            usual *= 2;
        }
        let n_fft = self.n_fft.unwrap_or(usual);
        Error::check_range("n_fft", n_fft as f64, 64.0, 65_536.0, "samples")?;
        let hop_length = self.hop_length.unwrap_or(n_fft / 4);
        Error::check_range("hop_length", hop_length as f64, 16.0, 1_048_576.0, "samples")?;
        Ok((n_fft, hop_length))
    }
}

/// What [`FeatureExtractor`] has found.
#[derive(Debug, Clone)]
pub struct Features {
    /// Summaries.
    pub summary: FeatureSummary,
    /// Onset strength per frame.
    pub onset_strength: Vec<f32>,
    /// Tuning in semitones from A4 = 440 Hz.
    pub tuning_semitones: f64,
    /// Strength of the pitch classes from C on, under that tuning.
    pub pitch_classes: [f64; 12],
    /// Share of the frames with a pitch, and the pitch of those in Hz; none when it was not followed.
    pub pitch: Option<(f64, Summary)>,
    /// Everything over time, when asked for.
    pub series: Option<Series>,
}

/// Extracts features from blocks of any size, with the same bits for every size. Channels are mixed to one.
pub struct FeatureExtractor {
    framer: Framer,
    core: Core,
    spec: Spec,
    mono: Vec<f32>,
}

impl FeatureExtractor {
    /// For streams of `spec`; `series` tells whether features are kept over time.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for parameters, or a rate outside 1 kHz to 768 kHz.
    pub fn new(spec: Spec, params: &FeatureParams, series: bool) -> Result<Self> {
        Error::check_range("rate_hz", spec.rate_hz.into(), 1000.0, 768_000.0, "Hz")?;
        let (n_fft, hop_length) = params.frame(spec.rate_hz)?;
        let framer = Framer::new(n_fft, hop_length, params.center);
        Ok(Self { framer, core: Core::new(spec, params, n_fft, hop_length, series)?, spec, mono: Vec::new() })
    }

    /// Adds a block.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] when its spec is another.
    pub fn push(&mut self, block: &Buffer) -> Result<()> {
        crate::analysis::check_spec(self.spec, block.spec())?;
        crate::analysis::mix_to_mono(block, &mut self.mono);
        self.framer.push(&self.mono, &mut |frame| self.core.frame(frame));
        self.core.samples(&self.mono);
        Ok(())
    }

    /// Memory in bytes that has grown with the length so far: the onset strength and series.
    pub fn kept_bytes(&self) -> u64 {
        let core = &self.core;
        // Pitch classes, ten scalars, onset strength, three of the pitch; lists double their room when they grow.
        let bands = core.cqt.iter().chain(&core.chroma_cqt).map(PitchBands::len).sum::<usize>();
        let parts = if core.hpss.is_some() { 3 } else { 0 };
        let values = core.mel.len() + core.late.mfcc.len() + core.contrast.len() + bands + parts + 12 + 10 + 1 + 3;
        core.frames * 8 * if core.series.is_some() { values as u64 } else { 1 }
    }

    /// The features of all that was pushed.
    ///
    /// # Errors
    /// None so far; others may come.
    pub fn finish(mut self) -> Result<Features> {
        self.framer.finish(&mut |frame| self.core.frame(frame));
        Ok(self.core.finish())
    }
}

/// What happens to each frame.
struct Core {
    stft: Stft,
    shape: ShapeMeter,
    mel: MelBank,
    contrast: ContrastBands,
    chroma: ChromaBank,
    peaks: PeakHistogram,
    yin: Option<Yin>,
    cqt: Option<PitchBands>,
    chroma_cqt: Option<PitchBands>,
    hpss: Option<Hpss>,
    harmonic_ratios: Statistics,
    late: Late,
    scalars: Scalars<Statistics>,
    chromas: VectorStatistics,
    f0: Statistics,
    pitched: u64,
    frames: u64,
    frame_rate_hz: f64,
    /// Frames by which the onset strength is late.
    onset_shift: usize,
    series: Option<Series>,
    /// Mel power, then peaks and valleys of the contrast.
    row: Vec<f32>,
}

impl Core {
    fn new(spec: Spec, params: &FeatureParams, n_fft: usize, hop_length: usize, series: bool) -> Result<Self> {
        let rate_hz = f64::from(spec.rate_hz);
        Error::check_range("n_mfcc", params.n_mfcc as f64, 1.0, params.mel.n_mels as f64, "")?;
        Error::check_range("top_db", params.top_db, 20.0, 200.0, "dB")?;
        Error::check_range("roll_percent", params.roll_percent, 0.01, 0.99, "")?;
        Error::check_range("tuning", params.tuning, -0.5, 0.5, "semitones")?;
        if !params.center && (params.cqt.is_some() || params.chroma_cqt) {
            let allowed = "true with cqt or chroma_cqt".into();
            return Err(Error::InvalidValue { name: "center".into(), value: "false".into(), allowed });
        }
        let bands = |bands: &CqtParams, chroma: bool| {
            Cqt::new(bands, rate_hz, hop_length, params.tuning).map(|cqt| PitchBands::new(cqt, chroma))
        };
        let mel = MelBank::new(&params.mel, rate_hz, n_fft)?;
        let contrast = ContrastBands::new(rate_hz, n_fft, params.contrast_fmin, params.n_bands)?;
        let yin = YinParams { fmin: params.yin.fmin.max(2.0 * rate_hz / n_fft as f64), ..params.yin };
        let yin = if params.pitch { Some(Yin::new(&yin, rate_hz, n_fft, hop_length)?) } else { None };
        Ok(Self {
            stft: Stft::new(n_fft, params.win_length.unwrap_or(n_fft))?,
            shape: ShapeMeter::new(rate_hz, n_fft, params.roll_percent as f32),
            late: Late::new(mel.len(), params.n_mfcc, contrast.len(), params.top_db as f32),
            row: vec![0.0; mel.len() + 2 * contrast.len()],
            mel,
            contrast,
            chroma: ChromaBank::new(rate_hz, n_fft, params.tuning),
            peaks: PeakHistogram::new(rate_hz, n_fft),
            yin,
            cqt: params.cqt.as_ref().map(|cqt| bands(cqt, false)).transpose()?,
            chroma_cqt: params.chroma_cqt.then(|| bands(&CHROMA_BANDS, true)).transpose()?,
            hpss: params.hpss.then(|| Hpss::new(n_fft / 2 + 1)),
            harmonic_ratios: Statistics::default(),
            scalars: Scalars::default(),
            chromas: VectorStatistics::default(),
            f0: Statistics::default(),
            pitched: 0,
            frames: 0,
            frame_rate_hz: rate_hz / hop_length as f64,
            onset_shift: if params.center { n_fft / (2 * hop_length) } else { 0 },
            series: series.then(Series::default),
        })
    }

    /// For what needs no frames.
    fn samples(&mut self, samples: &[f32]) {
        if let Some(cqt) = &mut self.cqt {
            cqt.push(samples, self.series.as_mut().map(|s| &mut s.cqt));
        }
        if let Some(chroma) = &mut self.chroma_cqt {
            chroma.push(samples, self.series.as_mut().map(|s| &mut s.chroma_cqt));
        }
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        self.frames += 1;
        let (magnitude, power) = self.stft.transform(frame.samples);
        let shape = self.shape.measure(magnitude, power);
        let values = Scalars {
            centroid_hz: shape.centroid_hz,
            bandwidth_hz: shape.bandwidth_hz,
            rolloff_hz: shape.rolloff_hz,
            flatness: shape.flatness,
            flux: shape.flux,
            slope: shape.slope,
            crest: shape.crest,
            entropy: shape.entropy,
            zero_crossing_rate: zero_crossing_rate(frame),
            rms: rms(frame),
        };
        self.scalars.with(&values, |statistics, value| statistics.push(*value));
        let (mel, rest) = self.row.split_at_mut(self.mel.len());
        let (peaks, valleys) = rest.split_at_mut(self.contrast.len());
        self.mel.apply(power, mel);
        self.contrast.measure(magnitude, peaks, valleys);
        let chroma = self.chroma.apply(power);
        self.chromas.push(&chroma);
        self.peaks.push(magnitude);
        if let Some(hpss) = &mut self.hpss {
            hpss.push(magnitude, &mut |parts| take_parts(parts, &mut self.harmonic_ratios, self.series.as_mut()));
        }
        if let Some(series) = &mut self.series {
            series.scalars.with(&values, |series, value| series.push(*value));
            append(&mut series.mel, mel);
            append(&mut series.chroma, &chroma);
        }
        self.late.push(&self.row, self.series.as_mut());
        if let Some(pitch) = self.yin.as_mut().and_then(|yin| yin.push(frame.samples)) {
            self.pitch(pitch);
        }
    }

    fn pitch(&mut self, pitch: Pitch) {
        if pitch.f0_hz > 0.0 {
            self.pitched += 1;
            self.f0.push(pitch.f0_hz);
        }
        if let Some(series) = &mut self.series {
            series.yin_hz.push(pitch.yin_hz);
            series.f0_hz.push(pitch.f0_hz);
            series.voiced_probability.push(pitch.voiced_probability);
        }
    }

    fn finish(mut self) -> Features {
        let yin = self.yin.take();
        let followed = yin.is_some();
        for pitch in yin.into_iter().flat_map(Yin::finish) {
            self.pitch(pitch);
        }
        self.late.finish(self.series.as_mut());
        let separated = self.hpss.take().map(|hpss| {
            hpss.finish(&mut |parts| take_parts(parts, &mut self.harmonic_ratios, self.series.as_mut()));
            self.harmonic_ratios.summary()
        });
        let cqt = self.cqt.take().map(|c| c.finish(self.series.as_mut().map(|s| &mut s.cqt)));
        let chroma_cqt = self.chroma_cqt.take().map(|c| c.finish(self.series.as_mut().map(|s| &mut s.chroma_cqt)));
        // A rise between two frames is known when the later one is complete: librosa moves the strength to the middle of that frame.
        let mut onset_strength = vec![0.0; self.onset_shift];
        onset_strength.append(&mut self.late.onset_strength);
        onset_strength.truncate(self.frames as usize);
        let mut strengths = Statistics::default();
        onset_strength.iter().for_each(|s| strengths.push(*s));
        if let Some(series) = &mut self.series {
            series.onset_strength.clone_from(&onset_strength);
        }
        let tuning_semitones = self.peaks.tuning();
        Features {
            summary: FeatureSummary {
                frames: self.frames,
                frame_rate_hz: self.frame_rate_hz,
                scalars: self.scalars.map(Statistics::summary),
                onset_strength: strengths.summary(),
                mel_db: self.late.mel_db.summary(),
                mfcc: self.late.mfccs.summary(),
                mfcc_delta: self.late.deltas[0].summary(),
                mfcc_delta2: self.late.deltas[1].summary(),
                chroma: self.chromas.summary(),
                contrast_db: self.late.contrasts.summary(),
                cqt,
                chroma_cqt,
                harmonic_ratio: separated,
            },
            onset_strength,
            tuning_semitones,
            pitch_classes: self.peaks.pitch_classes(tuning_semitones),
            pitch: followed.then(|| (self.pitched as f64 / self.frames.max(1) as f64, self.f0.summary())),
            series: self.series,
        }
    }
}

/// Takes over the parts of a frame. Silence has no ratio.
fn take_parts(parts: Parts, ratios: &mut Statistics, series: Option<&mut Series>) {
    let ratio = parts.harmonic_ratio();
    ratio.into_iter().for_each(|r| ratios.push(r));
    if let Some(series) = series {
        series.harmonic_energy.push(parts.harmonic);
        series.percussive_energy.push(parts.percussive);
        series.harmonic_ratio.push(ratio.unwrap_or(0.0));
    }
}

/// A constant-Q transform, or the chroma of one, and what its frames come to.
struct PitchBands {
    cqt: Cqt,
    chroma: bool,
    statistics: VectorStatistics,
}

impl PitchBands {
    fn new(cqt: Cqt, chroma: bool) -> Self {
        Self { cqt, chroma, statistics: VectorStatistics::default() }
    }

    /// Numbers per frame.
    fn len(&self) -> usize {
        if self.chroma { 12 } else { self.cqt.n_bins() }
    }

    fn push(&mut self, samples: &[f32], series: Option<&mut Vec<Vec<f32>>>) {
        self.cqt.push(samples, &mut Self::taker(self.chroma, &mut self.statistics, series));
    }

    fn finish(mut self, series: Option<&mut Vec<Vec<f32>>>) -> VectorSummary {
        self.cqt.finish(&mut Self::taker(self.chroma, &mut self.statistics, series));
        self.statistics.summary()
    }

    /// Takes over a frame of the transform.
    fn taker(
        chroma: bool,
        statistics: &mut VectorStatistics,
        mut series: Option<&mut Vec<Vec<f32>>>,
    ) -> impl FnMut(&[f32]) {
        move |bands| {
            let classes = chroma.then(|| chroma_of(bands));
            let row = classes.as_ref().map_or(bands, |c| &c[..]);
            statistics.push(row);
            if let Some(series) = series.as_deref_mut() {
                append(series, row);
            }
        }
    }
}

/// Features of levels in dB, which wait for the loudest: cepstrum, contrast, onset strength.
struct Late {
    queue: FloorQueue,
    dct: Dct,
    n_mels: usize,
    bands: usize,
    row: Vec<f32>,
    before: Vec<f32>,
    mfcc: Vec<f32>,
    /// The last [`DELTA_WIDTH`] frames of each coefficient.
    recent: Vec<Vec<f32>>,
    last_delta: [Vec<f32>; 2],
    contrast: Vec<f32>,
    mel_db: VectorStatistics,
    mfccs: VectorStatistics,
    deltas: [VectorStatistics; 2],
    contrasts: VectorStatistics,
    onset_strength: Vec<f32>,
}

impl Late {
    fn new(n_mels: usize, n_mfcc: usize, bands: usize, top_db: f32) -> Self {
        Self {
            queue: FloorQueue::new(&[n_mels, bands, bands], top_db),
            dct: Dct::new(n_mfcc, n_mels),
            n_mels,
            bands,
            row: Vec::new(),
            before: Vec::new(),
            mfcc: vec![0.0; n_mfcc],
            recent: vec![Vec::new(); n_mfcc],
            last_delta: [vec![0.0; n_mfcc], vec![0.0; n_mfcc]],
            contrast: vec![0.0; bands],
            mel_db: VectorStatistics::default(),
            mfccs: VectorStatistics::default(),
            deltas: Default::default(),
            contrasts: VectorStatistics::default(),
            onset_strength: Vec::new(),
        }
    }

    fn push(&mut self, power: &[f32], series: Option<&mut Series>) {
        if self.queue.push(power, &mut self.row) {
            self.take(series);
        }
    }

    /// Takes over the row that has come out of the queue.
    fn take(&mut self, series: Option<&mut Series>) {
        let (mel, rest) = self.row.split_at(self.n_mels);
        let (peaks, valleys) = rest.split_at(self.bands);
        self.mel_db.push(mel);
        let rise: f32 = if self.before.is_empty() {
            0.0
        } else {
            mel.iter().zip(&self.before).map(|(now, before)| (now - before).max(0.0)).sum()
        };
        self.onset_strength.push(rise / self.n_mels as f32);
        self.before.clear();
        self.before.extend_from_slice(mel);
        self.dct.apply(mel, &mut self.mfcc);
        self.mfccs.push(&self.mfcc);
        for ((to, peak), valley) in self.contrast.iter_mut().zip(peaks).zip(valleys) {
            *to = peak - valley;
        }
        self.contrasts.push(&self.contrast);
        if let Some(series) = series {
            append(&mut series.mfcc, &self.mfcc);
            append(&mut series.contrast_db, &self.contrast);
        }
        for (recent, value) in self.recent.iter_mut().zip(&self.mfcc) {
            if recent.len() == DELTA_WIDTH {
                recent.remove(0);
            }
            recent.push(*value);
        }
        self.push_deltas();
    }

    fn push_deltas(&mut self) {
        if self.recent[0].len() < DELTA_WIDTH {
            return;
        }
        // The outer frames have the derivative of the first and last window.
        let first = self.mfccs.count() == DELTA_WIDTH as u64;
        for (order, (last, statistics)) in self.last_delta.iter_mut().zip(&mut self.deltas).enumerate() {
            for (to, recent) in last.iter_mut().zip(&self.recent) {
                *to = delta(recent, order + 1)[0];
            }
            for _ in 0..if first { DELTA_WIDTH / 2 + 1 } else { 1 } {
                statistics.push(last);
            }
        }
    }

    fn finish(&mut self, mut series: Option<&mut Series>) {
        while self.queue.pop(&mut self.row) {
            self.take(series.as_deref_mut());
        }
        for (last, statistics) in self.last_delta.iter().zip(&mut self.deltas) {
            let missing =
                if self.mfccs.count() < DELTA_WIDTH as u64 { self.mfccs.count() } else { DELTA_WIDTH as u64 / 2 };
            (0..missing).for_each(|_| statistics.push(last));
        }
    }
}
