//! Compressor in two to five bands.
//!
//! The bands come from Linkwitz-Riley crossovers whose sum is flat ([`crossover`](super::crossover)); each has the
//! detector, curve and smoother of the [compressor](super::compressor). At no reduction the output is the input with the
//! phase turned by the all-passes of the crossovers.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cells::{CELL_FRAMES, Cells};
use super::crossover::{CrossoverOrder, Splitter};
use super::detector::{average, follow, raise_to};
use super::gain_computer::{Curve, gains};
use super::math::{DB_PER_OCTAVE, smoothing};
use super::params::{FilterParams, ParamKind, ParamValue, filter_params};
use super::sections::check_below_nyquist;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

/// One band. What is not given has its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompressorBand {
    /// Upper end of the band, where the next begins; the last band goes on to the top whatever it says. 20 to 20000 Hz,
    /// default 20000, rising from band to band.
    #[schemars(range(min = 20.0, max = 20_000.0))]
    pub up_to_hz: f64,
    /// RMS level above which gain is reduced. -80 to 0 dBFS, default -24.
    #[schemars(range(min = -80.0, max = 0.0))]
    pub threshold_dbfs: f64,
    /// Input over output change above the threshold. 1 to 100, default 2.5.
    #[schemars(range(min = 1.0, max = 100.0))]
    pub ratio: f64,
    /// Time to cover 63 % of a reduction. 0.05 to 500 ms, default 10.
    #[schemars(range(min = 0.05, max = 500.0))]
    pub attack_ms: f64,
    /// Time to cover 63 % of a recovery. 1 to 5000 ms, default 150.
    #[schemars(range(min = 1.0, max = 5_000.0))]
    pub release_ms: f64,
    /// Gain of the band after compression. -36 to 36 dB, default 0.
    #[schemars(range(min = -36.0, max = 36.0))]
    pub gain_db: f64,
}

impl Default for CompressorBand {
    fn default() -> Self {
        Self { up_to_hz: 20_000.0, threshold_dbfs: -24.0, ratio: 2.5, attack_ms: 10.0, release_ms: 150.0, gain_db: 0.0 }
    }
}

/// Two to five bands, the lowest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompressorBands(
    /// The bands, the lowest first.
    #[schemars(length(min = 2, max = 5))]
    pub Vec<CompressorBand>,
);

impl Default for CompressorBands {
    /// Bass with slow times, middle, treble with fast ones, at 200 Hz and 3 kHz.
    fn default() -> Self {
        let band = |up_to_hz, attack_ms, release_ms| CompressorBand {
            up_to_hz,
            attack_ms,
            release_ms,
            ..CompressorBand::default()
        };
        Self(vec![band(200.0, 30.0, 250.0), band(3_000.0, 10.0, 150.0), band(20_000.0, 3.0, 80.0)])
    }
}

impl ParamValue for CompressorBands {
    const KIND: ParamKind = ParamKind::List;

    fn check_parts(&self, name: &str) -> Result<()> {
        Error::check_range(&format!("{name}, their number"), self.0.len() as f64, 2.0, 5.0, "")?;
        for (index, band) in self.0.iter().enumerate() {
            let check = |part: &str, value, min, max, unit| {
                Error::check_range(&format!("{name}[{index}].{part}"), value, min, max, unit)
            };
            check("up_to_hz", band.up_to_hz, 20.0, 20_000.0, "Hz")?;
            check("threshold_dbfs", band.threshold_dbfs, -80.0, 0.0, "dBFS")?;
            check("ratio", band.ratio, 1.0, 100.0, "")?;
            check("attack_ms", band.attack_ms, 0.05, 500.0, "ms")?;
            check("release_ms", band.release_ms, 1.0, 5_000.0, "ms")?;
            check("gain_db", band.gain_db, -36.0, 36.0, "dB")?;
        }
        let tops = &self.0[..self.0.len() - 1];
        if let Some(index) = tops.windows(2).position(|pair| pair[0].up_to_hz >= pair[1].up_to_hz) {
            return Err(Error::InvalidValue {
                name: format!("{name}[{}].up_to_hz", index + 1),
                value: tops[index + 1].up_to_hz.to_string(),
                allowed: format!("more than the {} Hz of the band before", tops[index].up_to_hz),
            });
        }
        Ok(())
    }
}

filter_params! {
    /// Compresses two to five bands on their own, so that bass does not pump the voice.
    pub struct MultibandCompressorParams for "multiband_compressor" in Dynamics, realtime true {
        /// The bands, the lowest first: upper end, threshold, ratio, attack, release and gain of each.
        bands: CompressorBands = CompressorBands::default();
        /// Width of the soft transition around the thresholds.
        knee_db: f64 = 6.0, 0.0 to 36.0 "dB";
        /// Time constant of the RMS detectors.
        rms_ms: f64 = 10.0, 0.5 to 500.0 "ms";
        /// Gain of the sum.
        makeup_db: f64 = 0.0, -24.0 to 36.0 "dB";
        /// Share of the compressed sound; the rest is the sum of the bands before compression, in phase with it.
        mix_percent: f64 = 100.0, 0.0 to 100.0 "%";
    }
}

/// One band at work.
#[derive(Debug, Clone, Default)]
struct Band {
    curve: Curve,
    attack: f64,
    release: f64,
    /// In octaves (6.02 dB).
    gain: f32,
    mean_square: f64,
    reduction: f64,
}

/// A sound in bands, a cell at a time.
#[derive(Debug)]
struct Split {
    splitter: Splitter,
    bands: Vec<Buffer>,
}

impl Split {
    fn new(spec: Spec, crossovers_hz: &[f64]) -> Result<Self> {
        let splitter = Splitter::new(spec, crossovers_hz, CrossoverOrder::Lr4)?;
        Ok(Self { bands: vec![Buffer::new(spec, CELL_FRAMES); splitter.bands()], splitter })
    }

    fn run(&mut self, from: &Buffer, piece: &Range<usize>) {
        self.splitter.split_part(from, piece.clone(), &mut self.bands);
    }
}

/// See [`MultibandCompressorParams`]. All channels of a band share one gain. No latency; phase as said in the module.
#[derive(Debug)]
pub struct MultibandCompressor {
    params: MultibandCompressorParams,
    rate_hz: f64,
    cells: Cells,
    split: Option<Split>,
    key_split: Option<Split>,
    bands: Vec<Band>,
    averaging: f64,
}

impl MultibandCompressor {
    /// A compressor of `params`.
    pub fn new(params: &MultibandCompressorParams) -> Self {
        Self {
            params: params.clone(),
            rate_hz: 48_000.0,
            cells: Cells::default(),
            split: None,
            key_split: None,
            bands: vec![Band::default(); params.bands.0.len()],
            averaging: 0.0,
        }
    }

    fn update(&mut self) {
        for (band, p) in self.bands.iter_mut().zip(&self.params.bands.0) {
            band.curve = Curve::new(true, p.threshold_dbfs, self.params.knee_db, 1.0 - 1.0 / p.ratio);
            band.attack = smoothing(p.attack_ms, self.rate_hz);
            band.release = smoothing(p.release_ms, self.rate_hz);
            band.gain = (p.gain_db + self.params.makeup_db) as f32 / DB_PER_OCTAVE;
        }
        self.averaging = smoothing(self.params.rms_ms, self.rate_hz);
    }

    fn run(&mut self, block: &mut Buffer, key: Option<&Buffer>) {
        let (Some(split), Some(key_split)) = (&mut self.split, &mut self.key_split) else { return };
        let (bands, averaging) = (&mut self.bands, self.averaging);
        let wet = (self.params.mix_percent / 100.0) as f32;
        // The dry share gets the gain after compression as well.
        let makeup = self.params.makeup_db as f32 / DB_PER_OCTAVE;
        let dry = super::math::exp2(makeup) - 1.0;
        let mut level = [0.0f32; CELL_FRAMES];
        let frames = key.map_or(block.frames(), |k| k.frames().min(block.frames()));
        self.cells.for_each(frames, |piece, _| {
            let level = &mut level[..piece.len()];
            split.run(block, &piece);
            if let Some(key) = key {
                key_split.run(key, &piece);
            }
            for samples in block.channels_mut() {
                samples[piece.clone()].fill(0.0);
            }
            for (index, (band, sound)) in bands.iter_mut().zip(&split.bands).enumerate() {
                let heard = if key.is_some() { &key_split.bands[index] } else { sound };
                level.fill(0.0);
                heard.channels().for_each(|x| raise_to(x, true, level));
                average(level, &mut band.mean_square, averaging);
                band.curve.above(level);
                follow(level, &mut band.reduction, band.attack, band.release);
                gains(level, band.gain, wet);
                if wet < 1.0 {
                    let extra = (1.0 - wet) * dry;
                    level.iter_mut().for_each(|g| *g += extra);
                }
                for (samples, sound) in block.channels_mut().zip(sound.channels()) {
                    for ((y, x), gain) in samples[piece.clone()].iter_mut().zip(sound).zip(level.iter()) {
                        *y += x * gain;
                    }
                }
            }
        });
    }
}

impl Filter for MultibandCompressor {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        let bands = &self.params.bands.0;
        let crossovers_hz: Vec<f64> = bands.iter().take(bands.len().saturating_sub(1)).map(|b| b.up_to_hz).collect();
        for (index, hz) in crossovers_hz.iter().enumerate() {
            check_below_nyquist(&format!("multiband_compressor.bands[{index}].up_to_hz"), *hz, self.rate_hz)?;
        }
        self.split = Some(Split::new(spec, &crossovers_hz)?);
        self.key_split = Some(Split::new(spec, &crossovers_hz)?);
        self.update();
        self.reset();
        // An all-pass of second order rings as long as its sections: 120 dB in 14 / (0.707 2 pi f) s of the lowest.
        let lowest_hz = crossovers_hz.first().copied().unwrap_or(20.0);
        let tail_frames = (3.2 * self.rate_hz / lowest_hz).ceil() as usize;
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        self.run(block, None);
    }

    /// The key is split like the sound. A key with more channels than the block is heard in as many as the block has.
    fn process_keyed(&mut self, block: &mut Buffer, key: &Buffer) {
        self.run(block, Some(key));
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set {
            self.update();
        }
        set
    }

    fn reset(&mut self) {
        for band in &mut self.bands {
            (band.mean_square, band.reduction) = (0.0, 0.0);
        }
        self.split.iter_mut().chain(&mut self.key_split).for_each(|split| split.splitter.reset());
        self.cells.reset();
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::audio::ChannelLayout;
    use crate::filters::sections::tests::measured_gain_db;

    fn params(bands: &[(f64, f64, f64, f64)]) -> MultibandCompressorParams {
        let band = |(up_to_hz, threshold_dbfs, ratio, gain_db): &(f64, f64, f64, f64)| CompressorBand {
            up_to_hz: *up_to_hz,
            threshold_dbfs: *threshold_dbfs,
            ratio: *ratio,
            gain_db: *gain_db,
            ..Default::default()
        };
        MultibandCompressorParams {
            bands: CompressorBands(bands.iter().map(band).collect()),
            knee_db: 0.0,
            ..Default::default()
        }
    }

    #[test]
    fn without_reduction_the_sum_is_flat() {
        for bands in [
            vec![(300.0, 0.0, 4.0, 0.0), (20_000.0, 0.0, 4.0, 0.0)],
            vec![
                (80.0, 0.0, 4.0, 0.0),
                (400.0, 0.0, 4.0, 0.0),
                (2_000.0, 0.0, 4.0, 0.0),
                (8_000.0, 0.0, 4.0, 0.0),
                (1_000.0, 0.0, 4.0, 0.0),
            ],
        ] {
            for hz in [50.0, 80.0, 300.0, 400.0, 1_000.0, 2_000.0, 8_000.0, 15_000.0] {
                let got_db = measured_gain_db(&mut MultibandCompressor::new(&params(&bands)), hz, 48_000);
                // 1e-5 dB is 1.2e-6: f32 rounding of five bands and of the tone.
                assert!(got_db.abs() < 2e-5, "{hz}: {got_db}");
            }
        }
    }

    #[test]
    fn each_band_follows_its_own_curve_and_gain() {
        let p = params(&[(300.0, -30.0, 2.0, 0.0), (3_000.0, -30.0, 4.0, 6.0), (20_000.0, 0.0, 1.0, -3.0)]);
        // Tones of -20 dBFS are -23.01 dBFS RMS: 6.99 dB over.
        for (hz, want_db) in [(40.0, -6.99 / 2.0), (950.0, -6.99 * 0.75 + 6.0), (14_000.0, -3.0)] {
            let p = MultibandCompressorParams { rms_ms: 100.0, ..p.clone() };
            let got_db = measured_gain_db(&mut MultibandCompressor::new(&p), hz, 48_000);
            // What leaks into the neighbours (24 dB per octave) and the ripple of the detector at 40 Hz: 0.15 dB.
            assert!((got_db - want_db).abs() < 0.15, "{hz}: {got_db} {want_db}");
        }
    }

    #[test]
    fn bass_of_the_key_lowers_the_bass_alone_and_mix_keeps_its_share() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let tone = |hz: f64, a: f64| -> Vec<f32> {
            (0..96_000).map(|n| (a * (TAU * hz * f64::from(n) / 48_000.0).sin()) as f32).collect()
        };
        let rms_db = |x: &[f32]| 10.0 * (x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / x.len() as f64).log10();
        let settled = |hz, mix_percent| {
            let p = MultibandCompressorParams {
                mix_percent,
                ..params(&[(300.0, -40.0, 100.0, 0.0), (20_000.0, -40.0, 100.0, 0.0)])
            };
            let mut f = MultibandCompressor::new(&p);
            f.prepare(spec, 96_000).unwrap();
            let x = tone(hz, 0.001);
            let mut block = Buffer::from_channels(spec, std::slice::from_ref(&x));
            f.process_keyed(&mut block, &Buffer::from_channels(spec, &[tone(40.0, 1.0)]));
            rms_db(&block.channel(0)[72_000..]) - rms_db(&x[72_000..])
        };
        // 37 dB over at 100:1: -36.6 dB; the ripple of 10 ms of averaging is +/-1 dB.
        assert!((settled(40.0, 100.0) + 36.6).abs() < 1.0, "{}", settled(40.0, 100.0));
        assert!(settled(5_000.0, 100.0).abs() < 0.1, "{}", settled(5_000.0, 100.0));
        // Half of it dry: 20 log10(0.5 + 0.5 * 0.0148).
        assert!((settled(40.0, 50.0) + 5.9).abs() < 0.1, "{}", settled(40.0, 50.0));
    }

    #[test]
    fn mistakes_in_bands_are_named() {
        let says = |json: &str| crate::filters::FilterSpec::parse(json).unwrap_err().to_string();
        let one = |band: &str| format!(r#"{{"type":"multiband_compressor","bands":[{{"up_to_hz":500}},{band}]}}"#);
        assert_eq!(says(&one(r#"{"ratio":0}"#)), "multiband_compressor.bands[1].ratio is 0, allowed is 1 to 100");
        assert!(says(&one(r#"{"up_to_hz":400},{}"#)).contains("bands[1].up_to_hz: '400' is not valid"));
        assert!(says(&one(r#"{"rato":2}"#)).contains("rato"));
        assert!(says(r#"{"type":"multiband_compressor","bands":[{}]}"#).contains("number is 1, allowed is 2 to 5"));
        assert!(says(r#"{"type":"multiband_compressor","bands":[]}"#).contains("number is 0"));
    }

    #[test]
    fn distortion_of_a_sine() {
        let p = MultibandCompressorParams { rms_ms: 30.0, ..Default::default() };
        let got_db = crate::filters::detector::tests::thd_n_db(&mut MultibandCompressor::new(&p), -1.0);
        println!("multiband_compressor THD+N {got_db:.1} dB");
        assert!(got_db < -70.0, "{got_db}");
    }
}
