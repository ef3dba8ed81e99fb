//! Equaliser from a drawn curve, by a finite impulse response of linear or minimum phase.
//!
//! Between its points the curve is straight over the logarithm of the frequency; before the first and after the last it is
//! level. The design is in [`crate::dsp::fir`], the convolution in [`crate::dsp::convolver`].

use super::params::{ParamKind, ParamValue, filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::convolver::{Partitions, Work};
use crate::dsp::fir::{linear_phase, minimum_phase};
use crate::error::{Error, Result};

filter_choice! {
    /// What becomes of the phase.
    pub enum FirPhase {
        Linear = "linear": "All frequencies are delayed alike: wave forms keep their shape; half of the length is latency.",
        Minimum = "minimum": "The least delay that the curve allows, as an analogue equaliser has it.",
    }
}

/// One point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CurvePoint {
    /// 1 to 400000 Hz.
    #[schemars(range(min = 1.0, max = 400_000.0))]
    #[serde(alias = "freq_hz")]
    pub frequency_hz: f64,
    /// -120 to 40 dB.
    #[schemars(range(min = -120.0, max = 40.0))]
    pub gain_db: f64,
}

impl ParamValue for Vec<CurvePoint> {
    const KIND: ParamKind = ParamKind::List;

    fn check_parts(&self, name: &str) -> Result<()> {
        Error::check_range(name, self.len() as f64, 0.0, 1000.0, "points")?;
        let mut least_hz = 1.0;
        for (n, point) in self.iter().enumerate() {
            Error::check_range(&format!("{name}[{n}].frequency_hz"), point.frequency_hz, least_hz, 400_000.0, "Hz")?;
            Error::check_range(&format!("{name}[{n}].gain_db"), point.gain_db, -120.0, 40.0, "dB")?;
            least_hz = point.frequency_hz;
        }
        Ok(())
    }
}

filter_params! {
    /// Equaliser that follows a drawn curve, with linear or minimum phase.
    pub struct FirEqParams for "fir_eq" in Tone, realtime true {
        /// The curve: objects with `frequency_hz` and `gain_db`, frequencies rising. None is flat.
        points: Vec<CurvePoint> = Vec::new();
        /// What becomes of the phase.
        phase: FirPhase = FirPhase::Linear;
        /// Length of the impulse response: details finer than 2000 / length_ms Hz are smoothed.
        length_ms: f64 = 85.0, 1.0 to 1000.0 "ms";
    }
}

/// Gain of the curve through `points` in dB.
fn curve_db(points: &[CurvePoint], freq_hz: f64) -> f64 {
    let after = points.partition_point(|p| p.frequency_hz <= freq_hz);
    match (after.checked_sub(1).and_then(|n| points.get(n)), points.get(after)) {
        (Some(a), Some(b)) => {
            let t = (freq_hz / a.frequency_hz).ln() / (b.frequency_hz / a.frequency_hz).ln();
            a.gain_db + t * (b.gain_db - a.gain_db)
        }
        (Some(edge), None) | (None, Some(edge)) => edge.gain_db,
        (None, None) => 0.0,
    }
}

/// Frames of a partition of the impulse response, and the latency of the convolution.
const BLOCK_FRAMES: usize = 256;

/// See [`FirEqParams`]. Latency: a block of 256 frames, and with linear phase half of the impulse response. NaN and infinity
/// are taken as silence.
pub struct FirEq {
    params: FirEqParams,
    /// One for each channel.
    lanes: Vec<Partitions>,
}

impl FirEq {
    /// An equaliser of `params`.
    pub fn new(params: &FirEqParams) -> Self {
        Self { params: params.clone(), lanes: Vec::new() }
    }

    /// The impulse response for a rate; an odd number of taps.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]: longer than 2^20 taps.
    pub fn taps(params: &FirEqParams, rate_hz: f64) -> Result<Vec<f32>> {
        let taps = ((params.length_ms * rate_hz / 1000.0).round() as usize).max(3) | 1;
        let curve = |freq_hz: f64| curve_db(&params.points, freq_hz);
        match params.phase {
            FirPhase::Linear => linear_phase(curve, taps, rate_hz),
            FirPhase::Minimum => minimum_phase(curve, taps, rate_hz),
        }
    }
}

impl Filter for FirEq {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let taps = Self::taps(&self.params, f64::from(spec.rate_hz))?;
        let own = if self.params.phase == FirPhase::Linear { taps.len() / 2 } else { 0 };
        self.lanes = vec![Partitions::new(BLOCK_FRAMES, &taps, Work::AtOnce); spec.channels()];
        Ok(Prepared { spec, max_frames, latency_frames: BLOCK_FRAMES + own, tail_frames: taps.len() - 1 - own })
    }

    fn process(&mut self, block: &mut Buffer) {
        self.lanes.iter_mut().zip(block.channels_mut()).for_each(|(lane, samples)| lane.process(samples));
    }

    fn reset(&mut self) {
        self.lanes.iter_mut().for_each(Partitions::reset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::FilterSpec;
    use crate::filters::sections::tests::measured_gain_db;

    fn points() -> Vec<CurvePoint> {
        [(50.0, -12.0), (200.0, 0.0), (1_000.0, 0.0), (4_000.0, 6.0), (16_000.0, -6.0)]
            .map(|(frequency_hz, gain_db)| CurvePoint { frequency_hz, gain_db })
            .to_vec()
    }

    #[test]
    fn measured_gain_follows_the_curve_between_and_beyond_its_points() {
        for phase in [FirPhase::Linear, FirPhase::Minimum] {
            let params = FirEqParams { points: points(), phase, ..Default::default() };
            for (freq_hz, want_db) in [(100.0, -6.0), (500.0, 0.0), (2_000.0, 3.0), (8_000.0, 0.0), (20_000.0, -6.0)] {
                let got_db = measured_gain_db(&mut FirEq::new(&params), freq_hz, 48_000);
                // The test tone is up to 0.7 Hz off, the window smooths over 24 Hz: 0.1 dB at 100 Hz.
                let tolerance_db = if freq_hz < 200.0 { 0.15 } else { 0.01 };
                assert!((got_db - want_db).abs() < tolerance_db, "{phase:?} {freq_hz}: {got_db} {want_db}");
            }
        }
    }

    #[test]
    fn an_impulse_comes_out_as_the_taps_at_the_stated_latency() {
        let spec = Spec::new(48_000, crate::audio::ChannelLayout::MONO);
        for phase in [FirPhase::Linear, FirPhase::Minimum] {
            let params = FirEqParams { points: points(), phase, length_ms: 20.0 };
            let taps = FirEq::taps(&params, 48_000.0).unwrap();
            let mut f = FirEq::new(&params);
            let prepared = f.prepare(spec, 4_000).unwrap();
            let mut x = vec![0.0; 4_000];
            x[0] = 1.0;
            let mut block = Buffer::from_channels(spec, &[x]);
            f.process(&mut block);
            let y = block.channel(0);
            for (n, h) in taps.iter().enumerate() {
                assert!((y[BLOCK_FRAMES + n] - h).abs() < 1e-6, "{n}"); // transforms of 512 points in f32
            }
            let loudest = (0..y.len()).max_by(|a, b| y[*a].abs().total_cmp(&y[*b].abs())).unwrap();
            assert_eq!(loudest, prepared.latency_frames);
            assert_eq!(prepared.latency_frames + prepared.tail_frames, BLOCK_FRAMES + taps.len() - 1);
        }
    }

    #[test]
    fn points_are_read_from_json_and_must_rise() {
        let text = r#"{"type":"fir_eq","points":[{"freq_hz":100,"gain_db":3},{"frequency_hz":50,"gain_db":0}]}"#;
        let e = FilterSpec::parse(text).unwrap_err();
        assert_eq!(e.to_string(), "fir_eq.points[1].frequency_hz is 50 Hz, allowed is 100 to 400000 Hz");
        assert!(FilterSpec::parse(r#"{"type":"fir_eq","points":[{"gain_db":3}]}"#).is_err());
    }
}
