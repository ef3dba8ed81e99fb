//! ReplayGain applied to the samples.
//!
//! ReplayGain 2.0 (2012): the gain that brings the loudness after ITU-R BS.1770 to -18 LUFS, held so that the peak does not
//! clip: `min(10^((gain + preamp) / 20), 1 / peak)`.

use super::normalize::{GainAfterAll, without_poison};
use super::params::{filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::meter::{LoudnessMeter, MeterOptions};

filter_choice! {
    /// Where the gain comes from.
    pub enum ReplaygainSource {
        Given = "given": "From `gain_db` and `peak`, as tags have them; the sound is not held back.",
        Measure = "measure": "From the loudness of the whole file.",
    }
}

filter_params! {
    /// Applies a ReplayGain, from tags or measured, without clipping. For files.
    pub struct ReplaygainApplyParams for "replaygain_apply" in Level, realtime false {
        /// Where the gain comes from.
        source: ReplaygainSource = ReplaygainSource::Measure;
        /// Gain of the tag.
        gain_db: f64 = 0.0, -60.0 to 60.0 "dB";
        /// Peak of the tag, 1 is full scale; 0 is not known.
        peak: f64 = 0.0, 0.0 to 100.0 "";
        /// Loudness that a measured gain leads to.
        reference_lufs: f64 = -18.0, -40.0 to 0.0 "LUFS";
        /// Gain on top.
        preamp_db: f64 = 0.0, -24.0 to 24.0 "dB";
        /// Lowers the gain where the peak would exceed full scale.
        prevent_clipping: bool = true;
    }
}

/// See [`ReplaygainApplyParams`]. Measured, everything is held back to the end, beyond 16 MiB in a temporary file. Silence
/// stays as it is. NaN and infinity do not count. No latency, as it compensates itself.
pub struct ReplaygainApply {
    params: ReplaygainApplyParams,
    stream: GainAfterAll,
    meter: Option<LoudnessMeter>,
    clean: Buffer,
}

impl ReplaygainApply {
    /// A gain of `params`.
    pub fn new(params: &ReplaygainApplyParams) -> Self {
        let unset = Spec::new(48_000, ChannelLayout::MONO);
        Self { params: params.clone(), stream: GainAfterAll::new(), meter: None, clean: Buffer::new(unset, 0) }
    }

    /// Gain with preamp, held by the peak in dBFS (`-inf` when it is not known).
    fn held_db(&self, gain_db: f64, peak_dbfs: f64) -> f64 {
        let wanted = gain_db + self.params.preamp_db;
        if self.params.prevent_clipping && peak_dbfs.is_finite() { wanted.min(-peak_dbfs) } else { wanted }
    }
}

impl Filter for ReplaygainApply {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.stream.prepare(spec, max_frames);
        let options = MeterOptions { true_peak: false, range: false, ..MeterOptions::default() };
        let measures = self.params.source == ReplaygainSource::Measure;
        self.meter = if measures { Some(LoudnessMeter::new(spec, options)?) } else { None };
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        match &mut self.meter {
            Some(meter) => {
                without_poison(block, &mut self.clean);
                meter.push(&self.clean);
                self.stream.take(block);
            }
            // Not prepared yet.
            None if self.params.source == ReplaygainSource::Measure => {}
            None => {
                let gain_db = self.held_db(self.params.gain_db, 20.0 * self.params.peak.log10());
                let gain = 10f64.powf(gain_db / 20.0) as f32;
                for samples in block.channels_mut() {
                    samples.iter_mut().for_each(|x| *x *= gain);
                }
            }
        }
    }

    fn finish(&mut self, block: &mut Buffer) {
        let Some(meter) = &self.meter else { return block.set_frames(0) };
        let measured = meter.summary();
        let gain_db = if measured.integrated_lufs.is_finite() {
            self.held_db(self.params.reference_lufs - measured.integrated_lufs, measured.sample_peak_dbfs)
        } else {
            0.0
        };
        let channels = meter.spec().channels();
        self.stream.give(block, || vec![gain_db; channels]);
    }

    fn take_error(&mut self) -> Option<Error> {
        self.stream.take_error()
    }

    fn reset(&mut self) {
        self.stream.reset();
        if let Some(meter) = &mut self.meter {
            meter.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::normalize::tests::{noise, run};
    use super::*;

    fn lufs(planes: &[Vec<f32>], rate_hz: u32) -> f64 {
        let spec = Spec::new(rate_hz, ChannelLayout::from_count(planes.len()));
        let mut meter = LoudnessMeter::new(spec, MeterOptions::default()).unwrap();
        meter.push(&Buffer::from_channels(spec, planes));
        meter.integrated_lufs()
    }

    #[test]
    fn a_measured_gain_leads_to_the_reference_or_to_full_scale() {
        let planes = [noise(96_000, 0.02, 3), noise(96_000, 0.02, 4)];
        let y = run(&mut ReplaygainApply::new(&ReplaygainApplyParams::default()), 48_000, &planes);
        assert!((lufs(&y, 48_000) + 18.0).abs() < 1e-4, "{}", lufs(&y, 48_000)); // f32 gain
        let mut peaky = planes.clone();
        peaky[0][500] = 0.9;
        let y = run(&mut ReplaygainApply::new(&ReplaygainApplyParams::default()), 48_000, &peaky);
        let peak = y.iter().flatten().fold(0.0f32, |m, v| m.max(v.abs()));
        assert!((peak - 1.0).abs() < 1e-6, "{peak}");
    }

    #[test]
    fn a_given_gain_is_applied_with_preamp_and_held_by_the_peak() {
        let x = vec![vec![0.25f32; 10]];
        let given = ReplaygainApplyParams {
            source: ReplaygainSource::Given,
            gain_db: 4.0,
            preamp_db: 2.0206,
            ..Default::default()
        };
        let y = run(&mut ReplaygainApply::new(&given), 48_000, &x);
        assert!((y[0][9] - 0.5).abs() < 1e-6);
        let y = run(&mut ReplaygainApply::new(&ReplaygainApplyParams { peak: 0.8, ..given.clone() }), 48_000, &x);
        assert!((y[0][9] - 0.25 / 0.8).abs() < 1e-6);
        let free = ReplaygainApplyParams { peak: 0.8, prevent_clipping: false, ..given };
        assert!((run(&mut ReplaygainApply::new(&free), 48_000, &x)[0][9] - 0.5).abs() < 1e-6);
    }
}
