//! The one pass: every part sees each block once.

use super::activity::ActivityMeter;
use super::content::ContentClassifier;
use super::features::FeatureExtractor;
use super::fingerprint::Fingerprinter;
use super::report::{ANALYSIS_VERSION, Analysis, AnalysisParams, PitchSummary, Rhythm, Tonal};
use super::rhythm::{beats, onsets, tempo};
use super::tonal::key::key;
use super::waveform::WaveformPeaks;
use crate::audio::{Buffer, Spec};
use crate::error::Result;
use crate::meter::{LoudnessMeter, MeterOptions};

/// Analyses a stream of blocks. Any split into blocks gives the same result.
pub struct Analyser {
    spec: Spec,
    params: AnalysisParams,
    loudness: LoudnessMeter,
    features: FeatureExtractor,
    activity: ActivityMeter,
    content: Option<ContentClassifier>,
    peaks: Option<WaveformPeaks>,
    fingerprint: Option<Fingerprinter>,
    frames: u64,
}

impl Analyser {
    /// For streams of `spec`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange) for parameters, or a rate outside 1 kHz to 768 kHz; those of [`LoudnessMeter::new`].
    pub fn new(spec: Spec, params: &AnalysisParams) -> Result<Self> {
        params.tempo.validate()?;
        Ok(Self {
            spec,
            loudness: LoudnessMeter::new(spec, MeterOptions::default())?,
            features: FeatureExtractor::new(spec, &params.features, params.series)?,
            activity: ActivityMeter::new(spec, &params.activity)?,
            content: params.content.as_ref().map(|content| ContentClassifier::new(spec, content)).transpose()?,
            peaks: params.peaks.as_ref().map(|peaks| WaveformPeaks::new(spec, peaks)).transpose()?,
            fingerprint: params.fingerprint.as_ref().map(|print| Fingerprinter::new(spec, print)).transpose()?,
            params: params.clone(),
            frames: 0,
        })
    }

    /// Adds a block.
    ///
    /// # Errors
    /// [`Error::InvalidValue`](crate::Error::InvalidValue) when its spec is another.
    pub fn push(&mut self, block: &Buffer) -> Result<()> {
        self.features.push(block)?;
        self.loudness.push(block);
        self.activity.push(block);
        if let Some(content) = &mut self.content {
            content.push(block)?;
        }
        if let Some(peaks) = &mut self.peaks {
            peaks.push(block);
        }
        if let Some(fingerprint) = &mut self.fingerprint {
            fingerprint.push(block)?;
        }
        self.frames += block.frames() as u64;
        Ok(())
    }

    /// Memory in bytes that has grown with the length so far: the onset strength, and the series and peaks that were asked for.
    pub fn kept_bytes(&self) -> u64 {
        let peaks = self.peaks.as_ref().map_or(0, WaveformPeaks::kept_bytes);
        self.features.kept_bytes() + peaks
    }

    /// What all that was pushed is like.
    ///
    /// # Errors
    /// Those of the parts.
    pub fn finish(self) -> Result<Analysis> {
        self.finish_while(&|| Ok(()))
    }

    /// The same for those who may want to stop meanwhile.
    ///
    /// # Errors
    /// What `go_on` says.
    pub(crate) fn finish_while(self, go_on: &dyn Fn() -> Result<()>) -> Result<Analysis> {
        let features = self.features.finish()?;
        let rate_hz = features.summary.frame_rate_hz;
        let duration_s = self.spec.seconds(self.frames);
        let strength = &features.onset_strength;
        let seconds = |frames: Vec<u64>| frames.into_iter().map(|t| t as f64 / rate_hz).collect::<Vec<f64>>();
        let found = tempo(strength, rate_hz, &self.params.tempo)?;
        let onsets_s = seconds(onsets(strength, rate_hz));
        let total: f64 = features.pitch_classes.iter().sum();
        let rhythm = Rhythm {
            beats_s: seconds(found.as_ref().map_or_else(Vec::new, |t| beats(strength, rate_hz, t.bpm))),
            tempo: found,
            onset_rate_hz: if duration_s > 0.0 { onsets_s.len() as f64 / duration_s } else { 0.0 },
            onsets_s,
        };
        let tonal = Tonal {
            tuning_semitones: features.tuning_semitones,
            key: key(&features.pitch_classes, self.params.key_profile),
            pitch_classes: features.pitch_classes.map(|c| if total > 0.0 { c / total } else { 0.0 }),
            pitch: features.pitch.map(|(voiced_ratio, f0_hz)| PitchSummary { voiced_ratio, f0_hz }),
        };
        Ok(Analysis {
            analysis_version: ANALYSIS_VERSION,
            spec: self.spec,
            frames: self.frames,
            duration_s,
            params: self.params,
            loudness: self.loudness.summary(),
            features: features.summary,
            rhythm,
            tonal,
            activity: self.activity.finish(),
            content: self.content.map(|content| content.finish_while(go_on)).transpose()?,
            waveform: self.peaks.map(WaveformPeaks::finish),
            fingerprint: self.fingerprint.map(Fingerprinter::finish),
            series: features.series,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::features::CqtParams;
    use crate::analysis::{FeatureParams, FingerprintParams, PeakParams};
    use crate::audio::ChannelLayout;

    /// Four seconds of a chord with a click on each half second, then silence, in stereo.
    fn recording(rate_hz: u32) -> Buffer {
        let spec = Spec::new(rate_hz, ChannelLayout::STEREO);
        let sample = |i: u32| {
            let t = f64::from(i) / f64::from(rate_hz);
            let chord: f64 = [261.63, 329.63, 392.0].iter().map(|hz| (std::f64::consts::TAU * hz * t).sin()).sum();
            let since = t % 0.5;
            let click = (-since * 60.0).exp() * (std::f64::consts::TAU * 3000.0 * t).sin();
            if t < 4.0 { (0.1 * chord + 0.4 * click) as f32 } else { 0.0 }
        };
        let left: Vec<f32> = (0..5 * rate_hz).map(sample).collect();
        let right = left.iter().map(|x| 0.5 * x).collect();
        Buffer::from_channels(spec, &[left, right])
    }

    fn analyse(audio: &Buffer, block: usize, params: &AnalysisParams) -> Analysis {
        let mut analyser = Analyser::new(audio.spec(), params).unwrap();
        let mut part = Buffer::new(audio.spec(), block);
        for start in (0..audio.frames()).step_by(block) {
            part.copy_from(audio, start, block.min(audio.frames() - start));
            analyser.push(&part).unwrap();
        }
        analyser.finish().unwrap()
    }

    #[test]
    fn any_block_size_gives_the_same_record() {
        let audio = recording(16_000);
        let cqt = Some(CqtParams::default());
        let features = FeatureParams { cqt, chroma_cqt: true, hpss: true, ..FeatureParams::default() };
        let (peaks, fingerprint) = (Some(PeakParams::default()), Some(FingerprintParams::default()));
        let params = AnalysisParams { series: true, peaks, fingerprint, features, ..AnalysisParams::default() };
        let whole = analyse(&audio, audio.frames(), &params);
        for block in [1, 512, 4097] {
            assert!(analyse(&audio, block, &params) == whole, "blocks of {block}");
        }
        assert_eq!(whole.features.frames, 80_000 / 512 + 1);
        let series = whole.series.as_ref().unwrap();
        assert_eq!((series.mfcc.len(), series.mfcc[0].len()), (20, 157));
        assert_eq!((series.cqt.len(), series.cqt[83].len()), (84, 157));
        assert_eq!((series.chroma_cqt.len(), series.chroma_cqt[11].len()), (12, 157));
        // The chord is of C, E and G, in the silence after it nothing sounds.
        let chroma = &whole.features.chroma_cqt.as_ref().unwrap().mean;
        assert!(
            [0, 4, 7].iter().all(|c| chroma[*c] > 0.5) && [1, 6, 8, 10].iter().all(|c| chroma[*c] < 0.3),
            "{chroma:?}"
        );
        assert_eq!(series.clone().into_arrays().iter().filter(|a| a.name.contains("cqt")).count(), 2);
        let print = whole.fingerprint.as_ref().unwrap();
        assert!(print.duration_s == 5.0 && print.text.starts_with("AQAA") && print.text.len() > 20, "{print:?}");
        let lengths = [&series.harmonic_energy, &series.percussive_energy, &series.harmonic_ratio].map(Vec::len);
        assert_eq!(lengths, [157; 3]);
        // The chord rings for most of the time, and the clicks strike.
        let ratio = whole.features.harmonic_ratio.unwrap();
        assert!(ratio.p50 > 0.9 && ratio.min < 0.5, "{ratio:?}");
        assert_eq!((series.f0_hz.len(), series.onset_strength.len(), series.contrast_db[6].len()), (157, 157, 157));
        let json = serde_json::to_value(&whole).unwrap();
        assert_eq!(json["analysis_version"], 1);
        assert!(serde_json::from_value::<Analysis>(json).is_ok());
    }

    #[test]
    fn the_record_tells_what_was_made() {
        let got = analyse(&recording(44_100), 4096, &AnalysisParams::default());
        let tempo = got.rhythm.tempo.as_ref().unwrap();
        // 120 clicks a minute; an octave is as right.
        assert!([60.0, 120.0, 240.0].iter().any(|bpm| (tempo.bpm / bpm - 1.0).abs() < 0.04), "{tempo:?}");
        let key = got.tonal.key.as_ref().unwrap();
        assert_eq!((key.best.tonic.as_str(), key.best.mode), ("C", crate::analysis::tonal::Mode::Major), "{key:?}");
        assert!(got.tonal.tuning_semitones.abs() <= 0.05, "{}", got.tonal.tuning_semitones);
        // 8 clicks, the first at 0 without a frame before it to rise from.
        let near = |t: f64| got.rhythm.onsets_s.iter().any(|o| (o - t).abs() < 0.05);
        assert!((1..8).all(|i| near(f64::from(i) * 0.5)), "{:?}", got.rhythm.onsets_s);
        assert!((got.activity.trailing_silence_s - 1.0).abs() < 0.011 && got.activity.segments.len() == 1);
        assert_eq!((got.frames, got.duration_s), (220_500, 5.0));
    }

    #[test]
    fn nothing_and_silence_are_analysed() {
        let spec = Spec::new(8000, ChannelLayout::MONO);
        let nothing = Analyser::new(spec, &AnalysisParams::default()).unwrap().finish().unwrap();
        assert_eq!((nothing.features.frames, nothing.rhythm, nothing.tonal.key), (0, Rhythm::default(), None));
        let silence = analyse(&Buffer::from_channels(spec, &[vec![0.0; 16_000]]), 1000, &AnalysisParams::default());
        assert_eq!((silence.rhythm, silence.tonal.key), (Rhythm::default(), None));
        assert_eq!(silence.tonal.pitch.unwrap().voiced_ratio, 0.0);
        let broken = vec![f32::NAN, f32::INFINITY, 1e30, -1e30, 0.5];
        let broken: Vec<f32> = broken.into_iter().cycle().take(9000).collect();
        let got = analyse(&Buffer::from_channels(spec, &[broken]), 777, &AnalysisParams::default());
        assert!(got.features.scalars.entries().iter().all(|(_, s)| s.mean.is_finite() && s.std.is_finite()));
    }

    #[test]
    fn what_was_not_asked_for_is_not_in_the_record() {
        let audio = recording(8000);
        let params = AnalysisParams { series: true, ..AnalysisParams::default() };
        let json = serde_json::to_value(analyse(&audio, 4096, &params)).unwrap();
        assert!(json.get("fingerprint").is_none());
        for name in ["cqt", "chroma_cqt", "harmonic_ratio", "harmonic_energy", "percussive_energy"] {
            assert!(json["features"].get(name).is_none() && json["series"].get(name).is_none(), "{name}");
        }
        // Frames that begin at their time do not lie where those of the transform do.
        let features = FeatureParams { center: false, chroma_cqt: true, ..FeatureParams::default() };
        assert!(Analyser::new(audio.spec(), &AnalysisParams { features, ..params }).is_err());
    }

    #[test]
    fn every_usual_rate_and_layout_is_analysed() {
        for rate_hz in [8000, 11_025, 96_000, 192_000] {
            for layout in [ChannelLayout::MONO, ChannelLayout::STEREO] {
                let spec = Spec::new(rate_hz, layout);
                let tone: Vec<f32> = (0..rate_hz).map(|i| (i as f32 * 0.05).sin() * 0.2).collect();
                let audio = Buffer::from_channels(spec, &vec![tone; layout.channels()]);
                let got = analyse(&audio, 5000, &AnalysisParams::default());
                let expected_hz = 0.05 / std::f64::consts::TAU * f64::from(rate_hz);
                // The ends of the recording widen the spectrum; the tone holds the median.
                assert!((got.features.scalars.centroid_hz.p50 / expected_hz - 1.0).abs() < 0.1, "{rate_hz}");
            }
        }
        assert!(Analyser::new(Spec::new(500, ChannelLayout::MONO), &AnalysisParams::default()).is_err());
    }
}
