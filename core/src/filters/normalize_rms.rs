//! RMS normalisation of a whole file.

use super::normalize::{GainAfterAll, without_poison};
use super::params::filter_params;
use super::{Filter, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::meter::level::{amplitude_db, power_db};

filter_params! {
    /// Gives a whole file the gain that brings its RMS level to a target. For files.
    pub struct NormalizeRmsParams for "normalize_rms" in Level, realtime false {
        /// RMS of the result over the whole time and all channels; a full-scale sine reads -3.01 dBFS.
        target_dbfs: f64 = -20.0, -80.0 to 0.0 "dBFS";
        /// Lowers the gain where the peaks would exceed the ceiling; otherwise they do.
        prevent_clipping: bool = true;
        /// Highest sample when clipping is prevented.
        ceiling_dbfs: f64 = 0.0, -40.0 to 0.0 "dBFS";
        /// Most gain: what needs more stays quieter.
        max_gain_db: f64 = 60.0, 0.0 to 120.0 "dB";
    }
}

/// See [`NormalizeRmsParams`]. Everything is held back to the end, beyond 16 MiB in a temporary file. Silence stays as it
/// is. NaN and infinity do not count. No latency, as it compensates itself.
pub struct NormalizeRms {
    params: NormalizeRmsParams,
    stream: GainAfterAll,
    /// Sum of squares of each channel; each runs in the order of the samples, so blocks do not matter.
    squares: Vec<f64>,
    frames: u64,
    peak: f32,
    clean: Buffer,
}

impl NormalizeRms {
    /// A normalisation of `params`.
    pub fn new(params: &NormalizeRmsParams) -> Self {
        let unset = Spec::new(48_000, ChannelLayout::MONO);
        Self {
            params: params.clone(),
            stream: GainAfterAll::new(),
            squares: Vec::new(),
            frames: 0,
            peak: 0.0,
            clean: Buffer::new(unset, 0),
        }
    }
}

impl Filter for NormalizeRms {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.stream.prepare(spec, max_frames);
        self.squares = vec![0.0; spec.channels()];
        (self.frames, self.peak) = (0, 0.0);
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        without_poison(block, &mut self.clean);
        for (sum, samples) in self.squares.iter_mut().zip(self.clean.channels()) {
            *sum = samples.iter().fold(*sum, |sum, x| sum + f64::from(*x) * f64::from(*x));
            self.peak = self.peak.max(super::sections::peak(samples));
        }
        self.frames += block.frames() as u64;
        self.stream.take(block);
    }

    fn finish(&mut self, block: &mut Buffer) {
        let p = &self.params;
        let (squares, samples) = (&self.squares, self.frames as f64 * self.squares.len() as f64);
        let peak_dbfs = amplitude_db(f64::from(self.peak));
        self.stream.give(block, || {
            let rms_dbfs = power_db(squares.iter().sum::<f64>() / samples);
            let mut gain_db = if rms_dbfs.is_finite() { (p.target_dbfs - rms_dbfs).min(p.max_gain_db) } else { 0.0 };
            if p.prevent_clipping && peak_dbfs.is_finite() {
                gain_db = gain_db.min(p.ceiling_dbfs - peak_dbfs);
            }
            vec![gain_db; squares.len()]
        });
    }

    fn take_error(&mut self) -> Option<Error> {
        self.stream.take_error()
    }

    fn reset(&mut self) {
        self.stream.reset();
        self.squares.fill(0.0);
        (self.frames, self.peak) = (0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::normalize::tests::{noise, run};
    use super::*;

    fn rms(planes: &[Vec<f32>]) -> f64 {
        let all: Vec<f64> = planes.iter().flatten().map(|x| f64::from(*x)).collect();
        10.0 * (all.iter().map(|x| x * x).sum::<f64>() / all.len() as f64).log10()
    }

    #[test]
    fn the_rms_comes_to_the_target_unless_the_peaks_forbid_it() {
        let planes = [noise(9_000, 0.01, 1), noise(9_000, 0.002, 2)];
        let y = run(&mut NormalizeRms::new(&NormalizeRmsParams::default()), 44_100, &planes);
        assert!((rms(&y) + 20.0).abs() < 1e-4 && y[0].len() == 9_000, "{}", rms(&y)); // f32 gain
        let loud = NormalizeRmsParams { target_dbfs: -2.0, ceiling_dbfs: -1.0, ..Default::default() };
        let y = run(&mut NormalizeRms::new(&loud), 44_100, &planes);
        let peak = y.iter().flatten().fold(0.0f32, |m, v| m.max(v.abs()));
        assert!((20.0 * peak.log10() + 1.0).abs() < 1e-4);
        let y = run(&mut NormalizeRms::new(&NormalizeRmsParams { prevent_clipping: false, ..loud }), 44_100, &planes);
        assert!((rms(&y) + 2.0).abs() < 1e-4);
        let silent = run(&mut NormalizeRms::new(&NormalizeRmsParams::default()), 48_000, &[vec![0.0; 700]]);
        assert!(silent[0] == vec![0.0; 700]);
    }
}
